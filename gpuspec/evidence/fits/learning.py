"""How alike errors of one machine are: what own rows say of other settings (`constants.learnt`).

The share of each component is estimated from products of the held-out errors of two rows of one
publisher, over the spreads of their intervals: their mean is the sum of the shares of components
that both have in common (Haseman and Elston 1972, doi:10.1007/BF01066731, with several components,
none below 0). Every publisher counts the same.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import nnls

from gpuspec.constants.learnt import TOPICS, Learnt, components
from gpuspec.constants.stored import Z80, Stored, stored
from gpuspec.evidence.learning import Errors, errors_of
from gpuspec.evidence.validation import held_out

WINSOR = 4.0
"""Errors count as no larger than so many spreads: one row does not make a component."""
MOST_PAIRED = 400
"""Rows of a publisher whose pairs are formed."""
FEWEST = 5
"""Publishers from which components can be told apart; else between and within them alone."""
MOST_SHARE = 0.8
"""Of the variance that may be shared: a row keeps as much of its own, however alike the others."""
OWN_ROWS, REPEATS, MOST_TESTED = 5, 8, 1500


class Moments(NamedTuple):
    """What a publisher adds to the regression."""

    normal: np.ndarray
    right: np.ndarray
    squares: float
    """Sum of the squares of its errors."""
    rows: int


def moments(errors: Errors, topic: str) -> dict[str, Moments]:
    """Return what each publisher of two rows or more adds."""
    rng = np.random.default_rng(0)
    publishers, found = errors.rows["publisher"].to_numpy(str), {}
    z = np.clip(errors.z, -WINSOR, WINSOR)
    for name in np.unique(publishers):
        own = np.flatnonzero(publishers == name)
        if len(own) < 2:
            continue
        if len(own) > MOST_PAIRED:
            own = rng.choice(own, MOST_PAIRED, replace=False)
        side = {n: values[own] for n, values in errors.said.items()}
        one, other = np.triu_indices(len(own), 1)
        shared = np.stack([part[one, other] for part in components(topic, side, side).values()], 1)
        product = z[own][one] * z[own][other]
        found[str(name)] = Moments(
            shared.T @ shared / len(one),
            shared.T @ product / len(one),
            float(np.sum(z[publishers == name] ** 2)),
            int(np.sum(publishers == name)),
        )
    return found


def weights_of(topic: str, found: dict[str, Moments], without: str = "") -> dict[str, float]:
    """Return the share of each component of the variance, by all publishers but one."""
    used = [m for name, m in found.items() if name != without]
    names = TOPICS[topic].names
    if len(used) < FEWEST:
        of = stored(topic)["intervals"][TOPICS[topic].figure]
        between, within = of["between"] ** 2, of["within"] ** 2
        share = between / max(between + within, 1e-12)
        return dict.fromkeys(names, 0.0) | {"machine": round(min(share, MOST_SHARE), 4)}
    normal = sum(m.normal for m in used)
    lower = np.linalg.cholesky(normal + 1e-9 * np.trace(normal) * np.eye(len(names)))
    shares = nnls(lower.T, np.linalg.solve(lower, sum(m.right for m in used)))[0]
    total = sum(m.squares for m in used) / sum(m.rows for m in used)
    shares = shares / max(total, shares.sum() / MOST_SHARE)
    return {name: round(float(share), 4) for name, share in zip(names, shares, strict=True)}


def backtest(topic: str, own_rows: int = OWN_ROWS, repeats: int = REPEATS) -> list[dict[str, Any]]:
    """Return for each publisher what learning some of its rows does to the errors of the rest.

    The publisher is left out of the fit, of the weights and of the choice of rows. Keys:
    ``publisher``, ``rows``, ``before`` and ``after`` (median |predicted / measured - 1|),
    ``inside`` (share of the rest in the narrowed 80 % interval), ``inside_before``, ``width`` (of
    the interval over that without own rows).
    """
    errors = errors_of(held_out(topic))
    found, rng = moments(errors, topic), np.random.default_rng(1)
    publishers = errors.rows["publisher"].to_numpy(str)
    lines = []
    for name in np.unique(publishers):
        own = np.flatnonzero(publishers == name)
        if len(own) < own_rows + 3:
            continue
        weights = weights_of(topic, found, str(name))
        runs = [_once(errors, topic, weights, own, own_rows, rng) for _ in range(repeats)]
        figures = {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}
        lines.append({"publisher": str(name), "rows": len(own), **figures})
    return lines


def _once(
    errors: Errors,
    topic: str,
    weights: dict[str, float],
    own: np.ndarray,
    own_rows: int,
    rng: np.random.Generator,
) -> dict[str, float]:
    learnt = rng.choice(own, own_rows, replace=False)
    rest = np.setdiff1d(own, learnt)
    rest = rng.choice(rest, MOST_TESTED, replace=False) if len(rest) > MOST_TESTED else rest
    known = Learnt(topic, weights, {n: v[learnt] for n, v in errors.said.items()}, errors.z[learnt])
    mean, share = known.predicted({n: v[rest] for n, v in errors.said.items()})
    z, spread = errors.z[rest], errors.spread[rest]
    return {
        "before": _median(z * spread),
        "after": _median((z - mean) * spread),
        "inside_before": float(np.mean(np.abs(z) <= Z80)),
        "inside": float(np.mean(np.abs(z - mean) <= Z80 * share)),
        "width": float(np.mean(share)),
    }


def _median(error: np.ndarray) -> float:
    return float(np.median(np.abs(np.expm1(-error))))


def calibrate() -> Stored:
    """Return the weights of every topic, and what five own rows do to the errors of the others."""
    weights, told = {}, {}
    for topic in TOPICS:
        errors = errors_of(held_out(topic))
        weights[topic] = weights_of(topic, moments(errors, topic))
        lines = backtest(topic)
        told[topic] = {"rows": len(errors.z), "publishers": len(lines)} | {
            name: round(float(np.mean([line[name] for line in lines])), 4)
            for name in ("before", "after", "inside_before", "inside", "width")
        }
    method = f"{OWN_ROWS} rows of each publisher learnt, the rest predicted; means over publishers"
    return {"weights": weights, "errors": told, "provenance": {"method": method}}
