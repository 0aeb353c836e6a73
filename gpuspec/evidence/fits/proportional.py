"""Fits whose predictions are slow: times that are taken as linear in the constants.

Nearly every constant is a factor on, or a part of, a time, so that between two points

    time(x) / time(x0) = 1 + sum_n share_n (c_n / c0_n - 1)

with the share of the time that each constant accounts for. A step in logarithms alone would let
a constant that is becoming small go on saving time after it has reached nothing. The shares are
taken anew around what was found until nothing gets better; a fit looks at the same rows
thousands of times, so that leaving out each publisher in turn costs no more predictions.

Constants of a second grouping that cuts through the members (the generation of a GPU) have shares
in the same sum; the two are fitted in turn.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from gpuspec.constants.terms import Terms
from gpuspec.evidence.fits.hierarchy import (
    Constants,
    Curve,
    Fit,
    Hierarchy,
    Levels,
    Points,
    T,
    soft,
    soft_slope,
)

STEP = 0.1
"""Step of a constant: wide enough to average over requests that just fit, or just do not."""
ROUNDS = 6
SETTLED = 0.005
"""Share of the cost below which a round has brought nothing."""
LEAST = 0.02
"""A time never falls below this share of the one that was predicted."""
HOPELESS = 8.0
"""Log error beyond which a row teaches nothing: it does not fit its GPUs, by our reckoning."""
TURNS = 2
"""Times that the members and the second grouping are fitted in turn."""


class ProportionalFit(Fit[T]):
    """Levels of constants for members whose predictions are seconds."""

    def __init__(self, what: Hierarchy[T], rows: pd.DataFrame) -> None:
        super().__init__(what, rows)
        names, families = sorted(set(self.members)), sorted(set(self.families))
        self.groups = what.crossed.group(rows).to_numpy() if what.crossed else self.members
        self.across = list(what.crossed.widths) if what.crossed else []
        first, one = what.first(), np.zeros(len(self.across))
        groups = sorted(set(self.groups)) if what.crossed else []
        self.beside: Points = dict.fromkeys(groups, one)
        """The second grouping's constants while members are fitted."""
        at = Levels(
            first,
            dict.fromkeys(families, first),
            dict.fromkeys(names, first),
            dict.fromkeys(groups, one),
        )
        self._settle(at, names)

    def _settle(self, at: Levels, names: Iterable[str]) -> None:
        """Move from levels to better ones until none is found."""
        everything = np.ones(len(self.rows), bool)
        now = self._logs(self._constants(at))[0]
        cost = self._cost(at, now)
        for _ in range(ROUNDS):
            self._around(at, now)
            aim = self.levels(everything, names)
            step, errors_there, lower = self._step(at, aim, cost)
            if lower >= cost:
                return
            gain, cost, at, now = cost - lower, lower, step, errors_there
            if gain < SETTLED * cost:
                break
        self._around(at, now)

    def _step(self, at: Levels, aim: Levels, cost: float) -> tuple[Levels, np.ndarray, float]:
        """Return the longest step toward `aim` that costs less, its errors and its cost."""
        for share in (1.0, 0.5, 0.25):
            step = at.toward(aim, share)
            errors = self._logs(self._constants(step))[0]
            reached = self._cost(step, errors)
            if reached < cost:
                break
        return step, errors, reached

    def _constants(self, at: Levels) -> Constants:
        members = {name: self.what.record(x) for name, x in at.members.items()}
        return members, self._across(at.crossed)

    def _across(self, points: Mapping[str, np.ndarray]) -> dict[str, Terms]:
        crossed = self.what.crossed
        return {name: crossed.record(x) for name, x in points.items()} if crossed else {}

    def _logs(self, *several: Constants) -> np.ndarray:
        """Return the log errors for sets of constants, predicted without any simplification."""
        if self.what.many:
            predicted = self.what.many(self.rows, several)
        else:
            predicted = np.array([self.predictor.everything(*one) for one in several])
        return np.asarray(np.log(np.clip(predicted, 1e-9, 1e9)) - self.measured)

    def _cost(self, at: Levels, error: np.ndarray) -> float:
        """Return what the errors and the distances between the levels cost together."""
        what = self.what
        far = np.minimum(np.abs(error), HOPELESS) / what.noise
        total = float(np.sum((self.weight * soft(far)) ** 2))
        drawn = [(at.centre - what.first()) / what.centre_width]
        drawn += [x - at.centre for x in at.families.values()]
        drawn += [
            (x - at.families[what.family(name)]) / what.member_width
            for name, x in at.members.items()
        ]
        total += float(np.sum((np.array(drawn) / self.width) ** 2))
        return total + sum(
            float(np.sum((x / list(what.crossed.widths.values())) ** 2))
            for x in at.crossed.values()
            if what.crossed
        )

    def _around(self, at: Levels, error: np.ndarray) -> None:
        """Take the shares of each constant around levels, at which the errors are known."""
        what, (members, across), high = self.what, self._constants(at), self.high
        self.points = np.array([at.members[e] for e in self.members])
        self.begin, self.usable = error, np.abs(error) < HOPELESS
        moved: list[Constants] = []
        steps = np.zeros((len(error), len(what.names) + len(self.across)))
        for n in range(len(what.names)):
            up = {m: STEP if x[n] + STEP <= high[n] else -STEP for m, x in at.members.items()}
            near = {m: what.record(_moved(x, n, up[m])) for m, x in at.members.items()}
            moved.append((near, across))
            steps[:, n] = [up[e] for e in self.members]
        for n in range(len(self.across)):
            there = self._across({g: _moved(x, n, STEP) for g, x in at.crossed.items()})
            moved.append((members, there))
        steps[:, len(what.names) :] = STEP
        change = np.expm1(self._logs(*moved) - error).T
        shares = change / np.expm1(steps) * self.usable[:, None]
        self.share, self.share_across = np.split(shares, [len(what.names)], axis=1)
        if what.crossed:
            self.begin_across = np.array([at.crossed[g] for g in self.groups])
            self.beside = dict(at.crossed)

    def used(self, chosen: np.ndarray) -> np.ndarray:
        """Return the `chosen` rows that can be predicted."""
        return chosen & self.usable

    def errors(self, chosen: np.ndarray) -> tuple[Curve, Curve]:
        """Return the log errors of the `chosen` rows and their slopes, as functions."""
        use = self.used(chosen)
        beside = self._grown_across(use, self.beside)
        return self._curves(self.begin[use], self.share[use], self.points[use], beside)

    def _grown_across(self, use: np.ndarray, points: Points) -> np.ndarray:
        """Return what the second grouping adds to the time of rows, as a share of it."""
        if not self.across:
            return np.zeros(int(use.sum()))
        now = np.array([points[g] for g in self.groups[use]]).reshape(-1, len(self.across))
        grown = np.expm1(now - self.begin_across[use])
        return np.asarray((self.share_across[use] * grown).sum(axis=1))

    @staticmethod
    def _curves(
        begin: np.ndarray, share: np.ndarray, points: np.ndarray, beside: np.ndarray
    ) -> tuple[Curve, Curve]:
        def grown(x: np.ndarray) -> np.ndarray:
            return np.asarray(share * np.exp(x - points))

        def time(x: np.ndarray) -> np.ndarray:
            whole = 1.0 + beside + (grown(x) - share).sum(axis=1)
            return np.asarray(np.maximum(whole, LEAST))

        return (
            lambda x: np.asarray(begin + np.log(time(x))),
            lambda x: grown(x) / time(x)[:, None],
        )

    def levels(self, chosen: np.ndarray, members: Iterable[str]) -> Levels:
        """Return the constants of `members` and of all groups from the `chosen` rows."""
        asked = set(members)
        if not self.what.crossed:
            return super().levels(chosen, asked)
        before = self.beside
        everyone = asked | set(self.members[chosen])
        for _ in range(TURNS - 1):
            found = super().levels(chosen, everyone)
            self.beside = self._fit_across(chosen, found.members)
        found = replace(super().levels(chosen, asked), crossed=self.beside)
        self.beside = before
        return found

    def _fit_across(self, chosen: np.ndarray, members: Points) -> Points:
        """Return the constants of each group, those of the members being known."""
        from scipy.optimize import least_squares

        crossed = self.what.crossed
        assert crossed is not None
        low, high = crossed.bounds()
        width, noise = np.array(list(crossed.widths.values())), self.what.noise
        found: Points = {}
        for group in self.beside:
            use = self.used(chosen & (self.groups == group))
            own = np.array([members[m] for m in self.members[use]]).reshape(-1, len(self.width))
            beside = (self.share[use] * np.expm1(own - self.points[use])).sum(axis=1)
            around = self.begin_across[use]
            error, slopes = self._curves(self.begin[use], self.share_across[use], around, beside)
            weight = self.weight[use]

            def residuals(x, error=error, weight=weight):  # type: ignore[no-untyped-def]
                return np.concatenate([weight * soft(error(x) / noise), x / width])

            def derivatives(x, error=error, slopes=slopes, weight=weight):  # type: ignore[no-untyped-def]
                inner = (weight * soft_slope(error(x) / noise) / noise)[:, None] * slopes(x)
                return np.concatenate([inner, np.diag(1 / width)])

            start = np.zeros(len(width))
            found[group] = least_squares(residuals, start, derivatives, bounds=(low, high)).x
        return found


def _moved(point: np.ndarray, place: int, step: float) -> np.ndarray:
    return np.asarray(point + np.where(np.arange(len(point)) == place, step, 0.0))


def fitting(what: Hierarchy[T], rows: pd.DataFrame) -> Fit[T]:
    """Return a fit of `rows` that is ready to be asked."""
    return ProportionalFit(what, rows) if what.proportional else Fit(what, rows)
