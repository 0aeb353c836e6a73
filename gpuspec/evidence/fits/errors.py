"""Error figures of predictions, every source counting the same, and intervals from them."""

import math
from typing import Any

import numpy as np

COVERAGE = 0.8


def summary(error: np.ndarray, sources: Any) -> dict[str, float]:
    """Return the figures of log(measured / predicted), given the source of each row.

    ``rows``, ``sources``, ``median_error`` and ``p90_error`` (absolute log errors: 0.1 is
    10 %), ``low`` and ``high`` (80 % of measurements lie between these multiples of the
    estimate) and ``coverage`` (share of a source's rows inside the interval that the other
    sources gave).

    References
    ----------
    Lei et al. 2018, arXiv:1604.04173 (split-conformal prediction), with whole sources held out.
    """
    sources = np.asarray(sources)
    weight = _weights(sources)
    tail = (1 - COVERAGE) / 2
    return {
        "rows": len(error),
        "sources": len(set(sources)),
        "median_error": _rounded(np.median(np.abs(error))),
        "p90_error": _rounded(np.quantile(np.abs(error), 0.9)),
        "low": _rounded(math.exp(_quantile(error, weight, tail))),
        "high": _rounded(math.exp(_quantile(error, weight, 1 - tail))),
        "coverage": _rounded(_coverage(error, sources)),
    }


def _weights(sources: Any) -> Any:
    """Weigh sources as the square root of their rows."""
    _, place, size = np.unique(sources, return_inverse=True, return_counts=True)
    return (size**-0.5)[place]


def _coverage(error: np.ndarray, sources: Any) -> float:
    """Return the share of rows inside the interval that all other sources gave."""
    inside, tail = np.zeros(len(error), bool), (1 - COVERAGE) / 2
    for source in set(sources):
        own = sources == source
        if own.all():
            return float("nan")
        weight = _weights(sources[~own])
        low = _quantile(error[~own], weight, tail)
        high = _quantile(error[~own], weight, 1 - tail)
        inside[own] = (error[own] >= low) & (error[own] <= high)
    return float(inside.mean())


def _quantile(values: Any, weights: Any, share: float) -> float:
    return float(np.quantile(values, share, weights=weights, method="inverted_cdf"))


def _rounded(value: float) -> float:
    return round(float(value), 4)
