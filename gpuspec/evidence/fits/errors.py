"""Error figures of predictions, every source counting the same, and intervals from them."""

import math

import numpy as np
import pandas as pd

COVERAGE = 0.8
TAIL = (1 - COVERAGE) / 2


def row_weights(sources: "np.ndarray | pd.Series[str]", power: float = 0.5) -> np.ndarray:
    """Weigh each row as its source's number of rows to -`power`.

    1: every source counts the same; 0.5: none rules, none is lost. A least-squares residual is
    squared, so there 0.25 weighs sources as the square root of their rows.
    """
    _, place, size = np.unique(np.asarray(sources), return_inverse=True, return_counts=True)
    return np.asarray((size**-power)[place])


def figures(error: np.ndarray, sources: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    """Return the figures of log(measured / predicted) but for the coverage: see `summary`."""
    return {
        "rows": len(error),
        "sources": len(set(sources)),
        "median_error": _rounded(np.median(np.abs(error))),
        "p90_error": _rounded(np.quantile(np.abs(error), 0.9)),
        "low": _rounded(math.exp(_quantile(error, weight, TAIL))),
        "high": _rounded(math.exp(_quantile(error, weight, 1 - TAIL))),
    }


def summary(error: np.ndarray, sources: "np.ndarray | pd.Series[str]") -> dict[str, float]:
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
    shown = figures(error, sources, row_weights(sources))
    return {**shown, "coverage": _rounded(_coverage(error, sources))}


def _coverage(error: np.ndarray, sources: np.ndarray) -> float:
    """Return the share of rows inside the interval that all other sources gave."""
    inside = np.zeros(len(error), bool)
    for source in set(sources):
        own = sources == source
        if own.all():
            return float("nan")
        weight = row_weights(sources[~own])
        low = _quantile(error[~own], weight, TAIL)
        high = _quantile(error[~own], weight, 1 - TAIL)
        inside[own] = (error[own] >= low) & (error[own] <= high)
    return float(inside.mean())


def _quantile(values: np.ndarray, weights: np.ndarray, share: float) -> float:
    return float(np.quantile(values, share, weights=weights, method="inverted_cdf"))


def _rounded(value: float) -> float:
    return round(float(value), 4)
