"""Fit constants that kin share: all rows first, then each family, then each of its members.

Every level is drawn to the one above it, so that few measurements move the constants little.
Whole sources are held out together: the error that is stated for a source is that of a fit
which saw none of its rows.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import pandas as pd

from gpuspec.constants.terms import Terms
from gpuspec.evidence.fits.errors import row_weights
from gpuspec.evidence.fits.store import rounded

STEP = 0.02
T = TypeVar("T", bound=Terms)
T_contra = TypeVar("T_contra", bound=Terms, contravariant=True)
Points = dict[str, np.ndarray]
Constants = tuple[Mapping[str, Any], Mapping[str, Terms]]
"""The constants of every member, and those of every group of a second grouping."""
Curve = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Levels:
    """The log constants that a fit found: of all rows, of families, of their members."""

    centre: np.ndarray
    families: Points
    members: Points
    crossed: Points = field(default_factory=dict)
    """The log constants of a second grouping, which cuts through the members."""

    def toward(self, other: "Levels", share: float) -> "Levels":
        """Return the levels that lie a `share` of the way to those of `other`."""

        def between(old: Points, new: Points) -> Points:
            return {name: old[name] + share * (new[name] - old[name]) for name in new}

        return Levels(
            self.centre + share * (other.centre - self.centre),
            between(self.families, other.families),
            between(self.members, other.members),
            between(self.crossed, other.crossed),
        )


class Predictor(Protocol[T_contra]):
    """Rows, ready to be predicted again and again with other constants."""

    def everything(
        self, terms: Mapping[str, T_contra], crossed: Mapping[str, Terms] | None = None
    ) -> np.ndarray:
        """Return the value of each row for the constants of every member, and crossed group."""

    def part(self, chosen: np.ndarray) -> Callable[[T_contra], np.ndarray]:
        """Return a function of one set of constants for the `chosen` rows."""


@dataclass(frozen=True)
class Crossed:
    """Constants of a grouping that cuts through members, as a GPU's generation does engines."""

    terms: type[Terms]
    widths: Mapping[str, float]
    """How far, as a factor in log space, they may leave 1."""
    group: Callable[[pd.DataFrame], "pd.Series[str]"]

    def record(self, point: np.ndarray) -> Terms:
        """Return the constants of a point."""
        return self.terms(**dict(zip(self.widths, map(float, np.exp(point)), strict=True)))

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the lowest and highest point, in log space."""
        limits = self.terms.bounds()
        low, high = zip(*(limits[name][1:] for name in self.widths), strict=True)
        return np.log(low), np.log(high)


@dataclass(frozen=True)
class Hierarchy(Generic[T]):
    """What is fitted, and how far a constant may leave that of the level above.

    A constant's prior width is the factor, in log space, at which leaving costs as much as one
    publisher's misfit of `noise`.
    """

    terms: type[T]
    widths: Mapping[str, float]
    predictor: Callable[[pd.DataFrame], Predictor[T]]
    measured: Callable[[pd.DataFrame], np.ndarray]
    member: Callable[[pd.DataFrame], "pd.Series[str]"]
    """The member that each row belongs to: an engine's era, a framework."""
    family: Callable[[str], str]
    """The family of a member."""
    noise: float
    """Log error that published measurements have between themselves."""
    member_width: float | np.ndarray = 0.5
    """The widths between members of a family, as a share of the others or one for each constant:
    they differ less than families."""
    centre_width: float = 1.0
    """The widths of the centre from where fits start, as a share: little where that is physics."""
    tolerance: float = 1e-8
    """Share of the misfit, and of a constant, at which a fit stops."""
    proportional: bool = False
    """Whether predictions cost so much that they are taken as linear in the constants."""
    many: Callable[[pd.DataFrame, Sequence[Constants]], np.ndarray] | None = None
    """Predictions with several sets of constants at once, a row of the result for each set."""
    start: Mapping[str, float] = field(default_factory=dict)
    """Where a fit starts, where that is not the default of the constant."""
    crossed: Crossed | None = None
    """A second grouping, fitted jointly; of `proportional` predictions only."""
    trust: Callable[[pd.DataFrame], np.ndarray] | None = None
    """How much each row counts beside its publisher's others, as a factor on its residual."""

    @property
    def names(self) -> list[str]:
        """Return the constants in the order of a point."""
        return list(self.widths)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the lowest and highest point, in log space."""
        limits = self.terms.bounds()
        low = [max(limits[n][1], limits[n][2] * 1e-4) for n in self.names]
        return np.log(low) - 1e-9, np.log([limits[n][2] for n in self.names]) + 1e-9

    def record(self, point: np.ndarray) -> T:
        """Return the constants of a point."""
        limits = self.terms.bounds()
        pairs = zip(self.names, point, strict=True)
        return self.terms(**{n: float(np.clip(np.exp(v), *limits[n][1:])) for n, v in pairs})

    def first(self) -> np.ndarray:
        """Return the point where fits start."""
        defaults = {**self.terms().model_dump(), **self.start}
        logs = np.log([max(defaults[n], 1e-9) for n in self.names])
        return np.asarray(np.clip(logs, *self.bounds()))


class Fit(Generic[T]):
    """Rows with their errors as functions of the log constants; levels of constants."""

    def __init__(self, what: Hierarchy[T], rows: pd.DataFrame) -> None:
        self.what, self.rows = what, rows
        self.members = what.member(rows).to_numpy()
        self.families = np.array([what.family(m) for m in self.members])
        self.measured = np.log(what.measured(rows))
        self.predictor = what.predictor(rows)
        self.weight = row_weights(rows["publisher"], 0.25)
        if what.trust:
            self.weight = self.weight * what.trust(rows)
        self.width = np.array(list(what.widths.values()))
        self.low, self.high = what.bounds()

    def fit(
        self, chosen: np.ndarray, centre: np.ndarray, width: float | np.ndarray = 1.0
    ) -> np.ndarray:
        """Return the log constants that fit the `chosen` rows, near `centre`."""
        from scipy.optimize import least_squares

        error, slopes = self.errors(chosen)
        weight, noise = self.weight[self.used(chosen)], self.what.noise

        def residuals(x: np.ndarray) -> np.ndarray:
            drawn = (x - centre) / (self.width * width)
            return np.concatenate([weight * soft(error(x) / noise), drawn])

        def derivatives(x: np.ndarray) -> np.ndarray:
            inner = (weight * soft_slope(error(x) / noise) / noise)[:, None] * slopes(x)
            return np.concatenate([inner, np.diag(1 / (self.width * width))])

        begin = np.clip(centre, self.low + 1e-6, self.high - 1e-6)
        stop, bounds = self.what.tolerance, (self.low, self.high)
        solution = least_squares(residuals, begin, derivatives, bounds=bounds, ftol=stop, xtol=stop)
        return np.asarray(solution.x)

    def used(self, chosen: np.ndarray) -> np.ndarray:
        """Return which of the `chosen` rows can teach anything."""
        return chosen

    def errors(self, chosen: np.ndarray) -> tuple[Curve, Curve]:
        """Return the log errors of the `chosen` rows and their slopes, as functions."""
        predict, measured = self.predictor.part(chosen), self.measured[chosen]
        size = len(self.what.names)

        def error(x: np.ndarray) -> np.ndarray:
            return np.asarray(np.log(predict(self.what.record(x))) - measured)

        def slopes(x: np.ndarray) -> np.ndarray:
            base = error(x)
            steps = np.eye(size) * STEP
            return np.column_stack([(error(x + step) - base) / STEP for step in steps])

        return error, slopes

    def levels(self, chosen: np.ndarray, members: Iterable[str]) -> Levels:
        """Return the constants of `members` from the `chosen` rows, level by level."""
        what, fitted_members = self.what, {}
        centre = self.fit(chosen, what.first(), what.centre_width)
        middles: Points = {}
        for member in sorted(members):
            family = what.family(member)
            if family not in middles:
                kin = chosen & (self.families == family)
                middles[family] = self.fit(kin, centre) if kin.any() else centre
            own = chosen & (self.members == member)
            middle = middles[family]
            fitted_members[member] = (
                self.fit(own, middle, what.member_width) if own.any() else middle
            )
        return Levels(centre, middles, fitted_members)


def fitted(fit: Fit[T], also: Iterable[str] = ()) -> dict[str, T]:
    """Return the constants of each member from all rows.

    `also` names members to which no row belongs: they get what their family has, or all.
    """
    everything = np.ones(len(fit.rows), bool)
    points = fit.levels(everything, set(fit.members) | {*also}).members
    return {member: rounded(fit.what.record(point)) for member, point in points.items()}


def fitted_both(fit: Fit[T], also: Iterable[str] = ()) -> tuple[dict[str, T], dict[str, Terms]]:
    """Return the constants of each member, and of each group of the second grouping.

    `also` names members to which no row belongs: they get what their family has, or all.
    """
    levels = fit.levels(np.ones(len(fit.rows), bool), set(fit.members) | {*also})
    members = {name: rounded(fit.what.record(point)) for name, point in levels.members.items()}
    return members, {name: rounded(one) for name, one in crossed_of(fit, levels).items()}


def held_out(fit: Fit[T], by: str = "publisher", rows: pd.DataFrame | None = None) -> np.ndarray:
    """Return the prediction of each row by a fit that saw no row of its `by`, its publisher.

    A publisher whose member nobody else measured is predicted from its family, or from all. `rows`
    may be more than those that the fit learns from.
    """
    what, rows = fit.what, fit.rows if rows is None else rows
    groups, predicted = rows[by].to_numpy(), np.full(len(rows), np.nan)
    learned, members = fit.rows[by].to_numpy(), what.member(rows).to_numpy()
    for group in sorted(set(groups)):
        own = groups == group
        levels = fit.levels(learned != group, set(members[own]))
        constants = {member: what.record(point) for member, point in levels.members.items()}
        predicted[own] = what.predictor(rows[own]).everything(constants, crossed_of(fit, levels))
    return predicted


def crossed_of(fit: Fit[T], levels: Levels) -> dict[str, Terms]:
    """Return the constants of the second grouping; none where there is none."""
    if not fit.what.crossed:
        return {}
    return {name: fit.what.crossed.record(point) for name, point in levels.crossed.items()}


def soft(error: np.ndarray) -> np.ndarray:
    """Damp outliers: quadratic up to 1, then linear (pseudo-Huber as a residual)."""
    return np.asarray(np.sign(error) * np.sqrt(2 * (np.sqrt(1 + error**2) - 1)))


def soft_slope(error: np.ndarray) -> np.ndarray:
    """Return the derivative of `soft`."""
    near = np.abs(error) < 1e-6
    damped = np.where(near, 1.0, np.abs(soft(np.where(near, 1.0, error))))
    return np.where(near, 1.0, np.abs(error) / (np.sqrt(1 + error**2) * damped))
