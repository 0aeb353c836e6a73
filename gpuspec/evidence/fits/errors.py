"""Errors of predictions whose publisher no fit had seen, and the intervals that follow from them.

A publisher is who measured, whatever the number of pages. An error is log(measured / predicted) of
a row that was predicted by a fit without any row of its publisher. An interval is

    centre + width * (low, high)

with one centre and one pair of ends for all rows, and a width that is the product of one factor for
each thing that decides the error: the figure, the engine, the generation of the GPU. A factor is
estimated from the rows of its level and drawn to 1 as if `PRIOR` average publishers had measured
there too, so that a level which few publishers measured has nearly the width of all. The ends are
quantiles over publishers of the errors divided by their width, further out the fewer publishers
there are (`one_more`): the spread between publishers is part of the interval.

References
----------
Dunn, Wasserman, Ramdas 2022, arXiv:1809.07441, and Lee, Barber, Willett 2023, arXiv:2306.06342:
prediction sets for a new group from quantiles over groups. Higgins, Thompson, Spiegelhalter 2009,
doi:10.1111/j.1467-985X.2008.00552.x: the spread between few groups by Student's t. Searle, Casella,
McCulloch 1992, Variance Components: `variance_components`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.constants.stored import Z80, ground_ends, log_ends
from gpuspec.evidence.measurements.known import ground_labels, left_out_codes

COVERAGE = 0.8
TAIL = (1 - COVERAGE) / 2
PRIOR = 2.0
"""Publishers of average error that a level counts as having beside its own."""
WINSOR = 4.0
"""An error of so many widths counts as no larger: one row does not make a level wide."""
ROUNDS = 4
"""Passes over the factors; the widths of overlapping levels settle in three."""

Interval = dict[str, Any]
"""An interval as it is stored: ``centre``, ``scale``, ``low``, ``high``, ``between``, ``within``,
``rows``, ``publishers``, and ``groups``: factor -> level -> ``width``, ``rows``, ``publishers``."""


def row_weights(publishers: "np.ndarray | pd.Series[str]", power: float = 0.5) -> np.ndarray:
    """Weigh each row as its publisher's number of rows to -`power`.

    1: every publisher counts the same; 0.5: none rules, none is lost. A least-squares residual is
    squared, so there 0.25 weighs publishers as the square root of their rows.
    """
    _, place, size = np.unique(np.asarray(publishers), return_inverse=True, return_counts=True)
    return np.asarray((size**-power)[place])


def variance_components(error: np.ndarray, publishers: np.ndarray) -> tuple[float, float]:
    """Return the standard deviations of errors between publishers and within one.

    ``within`` pools the rows around the mean of their publisher; ``between`` is what the means of
    the publishers spread beyond what their own rows explain, every publisher counting the same: one
    of many scattered rows does not hide how far others lie apart. A publisher of one row scatters
    as the median of those with more. With one publisher nothing is known between: 0.

    >>> variance_components(np.array([0.0, 0.2, 0.4, 0.6]), np.array(["a", "a", "b", "b"]))
    (0.2645751311064591, 0.1414213562373095)
    """
    _, place, size = np.unique(publishers, return_inverse=True, return_counts=True)
    mean = np.bincount(place, error) / size
    squares = np.bincount(place, (error - mean[place]) ** 2)
    many, rest = size > 1, len(error) - len(size)
    within = float(squares.sum() / rest) if rest else 0.0
    if len(size) < 2:
        return 0.0, float(np.sqrt(within))
    own = squares / np.maximum(size - 1, 1)
    own = np.where(many, own, np.median(own[many]) if many.any() else 0.0)
    between = float(np.var(mean, ddof=1) - np.mean(own / size))
    return float(np.sqrt(max(between, 0.0))), float(np.sqrt(within))


def shrunk(own: float, publishers: int, whole: float = 1.0) -> float:
    """Return a level's figure drawn to the `whole` as if `PRIOR` publishers had shown that.

    >>> shrunk(3.0, 2)  # two publishers: half of the way
    2.0
    """
    return (publishers * own + PRIOR * whole) / (publishers + PRIOR)


def fitted_interval(
    error: np.ndarray,
    publishers: np.ndarray,
    factors: pd.DataFrame | None = None,
    power: float = 0.5,
    far: np.ndarray | None = None,
) -> Interval:
    """Return the interval that errors give, as it is stored.

    Parameters
    ----------
    error : array, shape (n,)
        log(measured / predicted).
    publishers : array, shape (n,)
        Who measured each row.
    factors : DataFrame, optional
        One column of levels for each thing that decides the width.
    power : float
        How much publishers of many rows are held back: see `row_weights`.
    far : array of bool, shape (n,), optional
        Rows that every answer calls far. Given, the spread between publishers is stored in widths:
        that of all, and of the far ones where it is larger.
    """
    weight, count = row_weights(publishers, power), len(set(publishers))
    centre = _quantile(error, weight, 0.5)
    distance = np.abs(error - centre)
    scale = float(np.average(distance, weights=weight))
    levels = _levels({} if factors is None else dict(factors.items()), publishers)
    widths = _widths(distance / max(scale, 1e-12), weight, levels)
    width = scale * np.prod([_placed(widths[f], levels[f]) for f in levels], axis=0)
    standard = (error - centre) / np.maximum(width, 1e-12)
    low, high = (one_more(count) * _quantile(standard, weight, q) for q in (TAIL, 1 - TAIL))
    between, within = variance_components(error, publishers)
    groups = {
        str(factor): {
            str(level): {"width": _rounded(widths[factor][level]), "rows": int(own.sum())}
            | {"publishers": known}
            for level, (own, known) in found.items()
        }
        for factor, found in levels.items()
    }
    ends = {"centre": centre, "scale": scale, "low": low, "high": high}
    ends |= {"between": between, "within": within}
    found: Interval = {n: _rounded(v) for n, v in ends.items()}
    found |= {"rows": len(error), "publishers": count}
    if far is not None:
        found["spread"] = _spread(standard, publishers, far)
    return found | {"groups": groups}


def _spread(standard: np.ndarray, publishers: np.ndarray, far: np.ndarray) -> dict[str, float]:
    """Return how far one more publisher may be from those known, in widths: of all, of far rows."""

    def of(rows: np.ndarray) -> float:
        who = publishers[rows]
        return one_more(len(set(who))) * variance_components(standard[rows], who)[0]

    known = of(np.ones(len(standard), bool))
    return {"known": _rounded(known), "far": _rounded(max(known, of(far)) if far.any() else known)}


Levels = dict[str, dict[str, tuple[np.ndarray, int]]]


def _levels(factors: Mapping[Any, "pd.Series[str]"], publishers: np.ndarray) -> Levels:
    """Return for each level of each factor its rows and how many publishers they have."""
    found: Levels = {}
    for factor, column in factors.items():
        values = column.to_numpy(str)
        places = {str(level): values == level for level in np.unique(values)}
        found[factor] = {n: (own, len(set(publishers[own]))) for n, own in places.items()}
    return found


def _placed(widths: Mapping[str, float], levels: Mapping[str, tuple[np.ndarray, int]]) -> Any:
    """Return the width of each row's level."""
    return sum(widths[level] * own for level, (own, _) in levels.items())


def _widths(
    distance: np.ndarray, weight: np.ndarray, levels: Levels
) -> dict[str, dict[str, float]]:
    """Return the width of each level, over what the levels of the other factors explain."""
    widths = {factor: dict.fromkeys(found, 1.0) for factor, found in levels.items()}
    for _ in range(ROUNDS):
        for factor, found in levels.items():
            others = [_placed(widths[f], levels[f]) for f in levels if f != factor]
            left = np.minimum(distance / np.prod(others, axis=0), WINSOR)
            mean = max(float(np.average(left, weights=weight)), 1e-12)
            for level, (own, known) in found.items():
                ratio = float(np.average(left[own], weights=weight[own])) / mean
                widths[factor][level] = shrunk(ratio, known)
    return widths


def one_more(publishers: int) -> float:
    """Return how much wider the interval of a new publisher is than the spread of those known.

    Student's t for one more of them, over the normal quantile; `PRIOR` publishers beside those that
    measured, as for levels: 1.7 for one, 1.3 for three, 1.1 for twelve.

    >>> round(one_more(3), 2)
    1.31
    """
    from scipy.stats import t

    count = publishers + PRIOR
    return float(t.ppf(1 - TAIL, count - 1) * np.sqrt(1 + 1 / count) / Z80)


def inside(
    error: np.ndarray,
    publishers: np.ndarray,
    factors: pd.DataFrame | None = None,
    ground: np.ndarray | None = None,
    power: float = 0.5,
    far: np.ndarray | None = None,
) -> np.ndarray:
    """Return which rows lie in the interval that all other publishers gave; NaN for the only one.

    `ground` are the codes of the rows' ground beside what all others measured; `far` as for
    `fitted_interval`.
    """
    found = np.full(len(error), np.nan)
    for publisher in set(publishers):
        own = publishers == publisher
        if own.all():
            return found
        rest = None if factors is None else factors[~own]
        known = None if far is None else far[~own]
        given = fitted_interval(error[~own], publishers[~own], rest, power, known)
        asked = {} if factors is None else {str(n): c[own] for n, c in factors.items()}
        low, high = ground_ends(given, asked, 0 if ground is None else ground[own])
        found[own] = (error[own] >= low) & (error[own] <= high)
    return found


class Errors:
    """The errors of one kind of figure: its interval, and lines of a table by any column.

    Parameters
    ----------
    error : array
        log(measured / predicted) of each row's seconds, or of the inverse of its figure.
    rows : DataFrame
        ``publisher`` and ``source_id`` of each row.
    factors : DataFrame, optional
        What decides the width of the interval.
    topic, said
        The topic of `constants.ground` and what the rows say of their setting, where ground is
        judged.
    rate : array of bool
        Rows whose figure is one over what `error` is of.
    power : float
        How much publishers of many rows are held back from the interval: see `row_weights`.
    far : array of bool
        Rows that every answer calls far: see `fitted_interval`.
    """

    def __init__(
        self,
        error: np.ndarray,
        rows: pd.DataFrame,
        factors: pd.DataFrame | None = None,
        topic: str = "",
        said: pd.DataFrame | None = None,
        rate: "np.ndarray | bool" = False,
        power: float = 0.5,
        far: np.ndarray | None = None,
    ) -> None:
        self.error, self.factors = np.asarray(error, float), factors
        self.size = np.abs(np.expm1(np.where(rate, self.error, -self.error)))
        self.publishers, self.sources = (rows[n].to_numpy(str) for n in ("publisher", "source_id"))
        self.interval = fitted_interval(self.error, self.publishers, factors, power, far)
        self.ground = np.zeros(len(self.error), int)
        if topic and said is not None:
            self.ground = left_out_codes(topic, said, self.publishers)
        self.covered = inside(self.error, self.publishers, factors, self.ground, power, far)

    def of(self, chosen: "np.ndarray | pd.Series[bool] | None" = None) -> dict[str, float]:
        """Return the figures of the `chosen` rows; of all unless given.

        ``rows``, ``publishers``, ``sources``, ``median_error`` and ``p90_error`` (of
        ``|predicted / measured - 1|``), ``low`` and ``high`` (the middle of the rows' intervals, as
        multiples of the estimate, on measured ground) and ``coverage`` (share of the rows in the
        interval that the other publishers gave, for the ground that those know).
        """
        own = np.ones(len(self.error), bool) if chosen is None else np.asarray(chosen, bool)
        asked = {} if self.factors is None else {str(n): c for n, c in self.factors[own].items()}
        low, high = (np.median(np.exp(end)) for end in log_ends(self.interval, asked))
        size, covered = self.size[own], self.covered[own]
        found = {
            "rows": int(own.sum()),
            "publishers": len(set(self.publishers[own])),
            "sources": len(set(self.sources[own])),
            "median_error": _rounded(np.median(size)),
            "p90_error": _rounded(np.quantile(size, 0.9)),
            "low": _rounded(low),
            "high": _rounded(high),
        }
        if np.isnan(covered).any():  # one publisher alone
            return found
        return found | {"coverage": _rounded(covered.mean())}

    def each_publisher(self, chosen: "np.ndarray | pd.Series[bool] | None" = None) -> float:
        """Return the share of a publisher's rows inside the others' interval, each counting once.

        What an interval promises of a new publisher; the share of all rows is that of sweeps. Of
        the `chosen` rows; of all unless given.
        """
        own = np.ones(len(self.error), bool) if chosen is None else np.asarray(chosen, bool)
        covered = pd.Series(self.covered[own])
        return _rounded(covered.groupby(self.publishers[own]).mean().mean())

    def by(self, labels: "pd.Series[str]", prefix: str = "", least: int = 1) -> "Lines":
        """Return a line for each label that at least so many publishers measured."""
        values = labels.to_numpy(str)
        chosen = {name: values == name for name in sorted(set(values) - {""})}
        return {
            f"{prefix}{name}": self.of(own)
            for name, own in chosen.items()
            if len(set(self.publishers[own])) >= least
        }

    def by_ground(self, prefix: str = "") -> "Lines":
        """Return a line for each level of ground: far rows must show larger errors."""
        return self.by(ground_labels(self.ground), f"{prefix}ground ")


Lines = dict[str, dict[str, float]]
"""Error figures by name: see `Errors.of`."""


def _quantile(values: np.ndarray, weights: np.ndarray, share: float) -> float:
    return float(np.quantile(values, share, weights=weights, method="inverted_cdf"))


def _rounded(value: float) -> float:
    return round(float(value), 4)
