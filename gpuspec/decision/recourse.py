"""What happens after signing: what is short is rented by the hour, what is idle stays idle.

Of a kind of GPU, ``there`` GPUs are there in a segment, and the layers of all work on them need
``need`` GPUs in each draw, each for its hours of a month. The GPUs that are there serve the layers
with the most hours first; the tail is rented. That is the cheapest way, and its cost is convex and
piecewise linear in what is signed and in what runs there: for each draw a slope is known in closed
form, and the mean of the slopes is a row that the programme may use as a bound (Van Slyke and Wets
1969, doi:10.1137/0117061).
"""

from typing import NamedTuple

import numpy as np


class Layers(NamedTuple):
    """Layers of the work on one kind in one segment, the most hours first."""

    need: np.ndarray
    """(L, S) GPUs."""
    hours: np.ndarray
    """(L,) hours a month; they do not grow."""
    column: np.ndarray
    """(L,) which choice of the programme brings it."""
    level: np.ndarray
    """(L,) place of its hours among the distinct ones."""


class Tail(NamedTuple):
    """GPU-hours of a month that GPUs which are there do not serve."""

    hours: np.ndarray
    """(S,)"""
    short: np.ndarray
    """(S,) GPUs that are missing while all layers are there."""
    marginal: np.ndarray
    """(S,) hours a month of the first layer that is not wholly served; 0 where all are."""


def layered(need: np.ndarray, hours: np.ndarray, column: np.ndarray) -> Layers:
    """Return layers in the order in which they are served."""
    order = np.argsort(-hours, kind="stable")
    level = np.unique(-hours[order], return_inverse=True)[1]
    return Layers(need[order], hours[order], column[order], level)


def tail_of(layers: Layers, taken: np.ndarray, there: float) -> Tail:
    """Return what is not served: `taken` (L,) says which share of each layer runs here.

    >>> one = layered(np.array([[4.0], [2.0]]), np.array([730.0, 100.0]), np.array([0, 1]))
    >>> float(tail_of(one, np.ones(2), 5.0).hours[0])
    100.0
    """
    used = np.flatnonzero(taken > 1e-9)
    draws = layers.need.shape[1]
    if not len(used):
        return Tail(np.zeros(draws), np.zeros(draws), np.zeros(draws))
    level, places = layers.level[used], np.arange(len(used))
    hours, share = np.zeros(level[-1] + 1), np.zeros((level[-1] + 1, len(used)))
    hours[level], share[level, places] = layers.hours[used], taken[used]
    need = share @ layers.need[used]  # of all layers with the same hours together
    filled = np.cumsum(need, axis=0)
    short = np.maximum(filled[-1] - there, 0.0)
    marginal = np.zeros(draws)
    over = short > 1e-9
    first = np.argmax(filled > there + 1e-9, axis=0)
    marginal[over] = hours[first[over]]
    each = np.minimum(hours[:, None], marginal)
    return Tail(np.maximum((need * each).sum(axis=0) - marginal * there, 0.0), short, marginal)


def slopes(layers: Layers, marginal: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, float]:
    """Return how the mean of ``weight * tail`` follows each layer's share and what is there.

    The plane through these slopes lies at or below the mean everywhere, for any (S,) `marginal`
    hours, and meets it where they are those of a `Tail`.
    """
    found = np.zeros(len(layers.hours))
    starts = np.searchsorted(layers.level, np.arange(layers.level[-1] + 2)).tolist()
    for rows in map(slice, starts[:-1], starts[1:]):
        hours = layers.hours[rows][0]
        found[rows] = layers.need[rows] @ (weight * np.minimum(marginal, hours))
    draws = len(weight)
    return found / draws, -float((weight * marginal).mean())
