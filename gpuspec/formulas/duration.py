"""How long how much of a load is there: the load-duration curve of a day, cut into layers.

A level is the load of an hour over that of the busiest one, from 0 to 1.
"""

from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats, distinct
from gpuspec.formulas.serving.lengths import HOUR_S

MOST_LAYERS = 4
MOST_CUTS = 23
"""Levels at which a curve may be cut: those of 24 hours below the busiest."""


def day_and_night(mean: ArrayLike) -> tuple[Floats, Floats]:
    """Return the two levels of a day of which only the mean is known, and the share of each.

    The busiest hour lasts mean / (1 + mean) of the time, the rest is at mean^2, so that the mean
    is kept: mean / (1 + mean) + mean^2 / (1 + mean) = mean. That is an assumption. The weekdays of
    the profiles `consumer` and `office` of ``data/load_profiles.csv`` have means of 0.75 and 0.45:
    a day of two levels with their lower level has its upper one for 0.43 and 0.31 of the time,
    and above that level they hold 0.44 and 0.34.

    Returns
    -------
    tuple of ndarray
        Levels (2, ...) and shares of the time (2, ...), the busier first.

    >>> levels, shares = day_and_night(0.5)
    >>> levels.tolist(), shares.round(3).tolist()
    ([1.0, 0.25], [0.333, 0.667])
    """
    m = np.asarray(mean, float)
    return np.stack([np.ones_like(m), m**2]), np.stack([m, np.ones_like(m)]) / (1 + m)


def hourly_levels(times_s: ArrayLike, peak_s: float) -> Floats:
    """Return the level of each hour of a file of requests.

    Parameters
    ----------
    times_s : array_like
        When each request arrived, in seconds from any start; two at least, not all at once.
    peak_s : float
        Requests a second of the busiest hour.

    Returns
    -------
    ndarray
        One level for each equal part of the span, of about an hour; at most 1.

    >>> hourly_levels([0, 1800, 3599, 7200, 14400], 3 / 3600).round(3).tolist()
    [1.0, 0.0, 0.333, 0.333]
    """
    times = np.asarray(times_s, float)
    span = float(np.ptp(times))
    parts = max(round(span / HOUR_S), 1)
    counts, _ = np.histogram(times, parts)
    return np.minimum(counts * parts / span / peak_s, 1.0)


def time_share(edges: ArrayLike, levels: ArrayLike, shares: ArrayLike) -> Floats:
    """Return the share of the time in which each layer of a load is needed.

    A layer from a to b is needed for sum_i share_i min(max((level_i - a) / (b - a), 0), 1): the
    area of the duration curve between a and b, over b - a. So layers keep the area, whatever
    their edges.

    Parameters
    ----------
    edges : array_like
        Edges of the layers (..., n + 1), increasing.
    levels, shares : array_like
        The levels of the load (m,), and for which share of the time each is there (m,).

    Returns
    -------
    ndarray
        Shares of the time (..., n); they never grow from a layer to the next.

    References
    ----------
    Masters 2004, Renewable and Efficient Electric Power Systems (load-duration curves).

    >>> time_share([0, 0.25, 1], [1, 0.25], [1 / 3, 2 / 3]).round(3).tolist()
    [1.0, 0.333]
    """
    cut = np.asarray(edges, float)
    low, high = cut[..., :-1, None], cut[..., 1:, None]
    part = np.clip((np.asarray(levels, float) - low) / (high - low), 0.0, 1.0)
    return np.asarray((part * np.asarray(shares, float)).sum(axis=-1))


def layer_edges(levels: ArrayLike, shares: ArrayLike, most: int = MOST_LAYERS) -> Floats:
    """Return the edges from 0 to 1 of at most `most` layers that follow a load the closest.

    Edges stand at levels of the load. Of all sets of them the one is taken whose steps differ the
    least from the duration curve, in squares: as the area is kept, that with the largest
    sum of (b - a) share^2.

    >>> layer_edges([1, 0.25, 0.25], [1 / 3] * 3).tolist()
    [0.0, 0.25, 1.0]
    """
    within = distinct(levels)[:-1]
    within = within[within > 0]
    if len(within) > MOST_CUTS:
        within = within[np.linspace(0, len(within) - 1, MOST_CUTS).round().astype(int)]
    cuts = np.array(list(combinations(within, min(most - 1, len(within)))))
    ends = np.ones((len(cuts), 1))
    edges = np.hstack([0 * ends, cuts.reshape(len(cuts), -1), ends])
    fit = np.diff(edges) * time_share(edges, levels, shares) ** 2
    return np.asarray(edges[int(fit.sum(axis=-1).argmax())])
