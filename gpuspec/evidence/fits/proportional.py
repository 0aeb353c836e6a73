"""Fits whose predictions are slow: times that are taken as linear in the constants.

Nearly every constant is a factor on, or a part of, a time, so that between two points

    time(x) / time(x0) = 1 + sum_n share_n (c_n / c0_n - 1)

with the share of the time that each constant accounts for. A step in logarithms alone would let
a constant that is becoming small go on saving time after it has reached nothing. The shares are
taken anew around what was found until nothing gets better; a fit looks at the same rows
thousands of times, so that leaving out each source in turn costs no more predictions.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from gpuspec.evidence.fits.hierarchy import Curve, Fit, Hierarchy, Levels, Points, T, soft

STEP = 0.1
"""Step of a constant: wide enough to average over requests that just fit, or just do not."""
ROUNDS = 8
SETTLED = 0.002
"""Share of the cost below which a round has brought nothing."""
LEAST = 0.02
"""A time never falls below this share of the one that was predicted."""
HOPELESS = 8.0
"""Log error beyond which a row teaches nothing: it does not fit its GPUs, by our reckoning."""


class ProportionalFit(Fit[T]):
    """Levels of constants for members whose predictions are seconds."""

    def __init__(self, what: Hierarchy[T], rows: pd.DataFrame) -> None:
        super().__init__(what, rows)
        names, families = sorted(set(self.members)), sorted(set(self.families))
        touched = what.touched or (lambda rows, name: np.ones(len(rows), bool))
        self.touched = [np.flatnonzero(touched(rows, name)) for name in what.names]
        self.predictors = [what.predictor(rows.iloc[places]) for places in self.touched]
        first = what.first()
        at = Levels(first, dict.fromkeys(families, first), dict.fromkeys(names, first))
        self._settle(at, names)

    def _settle(self, at: Levels, names: Iterable[str]) -> None:
        """Move from levels to better ones until none is found."""
        everything = np.ones(len(self.rows), bool)
        now = self._logs(at.members)
        cost = self._cost(at, now)
        for _ in range(ROUNDS):
            self._around(at.members, now)
            aim = self.levels(everything, names)
            step, errors_there, lower = self._step(at, aim, cost)
            if lower >= cost:
                return
            gain, cost, at, now = cost - lower, lower, step, errors_there
            if gain < SETTLED * cost:
                break
        self._around(at.members, now)

    def _step(self, at: Levels, aim: Levels, cost: float) -> tuple[Levels, np.ndarray, float]:
        """Return the longest step toward `aim` that costs less, its errors and its cost."""
        for share in (1.0, 0.5, 0.25):
            step = at.toward(aim, share)
            errors = self._logs(step.members)
            reached = self._cost(step, errors)
            if reached < cost:
                break
        return step, errors, reached

    def _logs(self, points: Points) -> np.ndarray:
        """Return the log errors at `points`, predicted without any simplification."""
        constants = {name: self.what.record(x) for name, x in points.items()}
        predicted = np.clip(self.predictor.everything(constants), 1e-9, 1e9)
        return np.asarray(np.log(predicted) - self.measured)

    def _cost(self, at: Levels, error: np.ndarray) -> float:
        """Return what the errors and the distances between the levels cost together."""
        what = self.what
        far = np.minimum(np.abs(error), HOPELESS) / what.noise
        total = float(np.sum((self.weight * soft(far)) ** 2))
        drawn = [at.centre - what.first()]
        drawn += [x - at.centre for x in at.families.values()]
        drawn += [
            (x - at.families[what.family(name)]) / what.member_width
            for name, x in at.members.items()
        ]
        return total + float(np.sum((np.array(drawn) / self.width) ** 2))

    def _around(self, points: Points, error: np.ndarray) -> None:
        """Take the shares of each constant around `points`, at which the errors are known."""
        what = self.what
        self.points = np.array([points[e] for e in self.members])
        self.begin, self.usable = error, np.abs(error) < HOPELESS
        self.share = np.zeros((len(error), len(what.names)))
        for n, (places, predictor) in enumerate(zip(self.touched, self.predictors, strict=True)):
            if not len(places):
                continue
            up = {name: x[n] + STEP <= self.high[n] for name, x in points.items()}
            steps = {name: STEP if up[name] else -STEP for name in points}
            moved = {
                name: what.record(x + np.where(np.arange(len(x)) == n, steps[name], 0.0))
                for name, x in points.items()
            }
            logs = np.log(np.clip(predictor.everything(moved), 1e-9, 1e9))
            change = np.expm1(logs - self.measured[places] - error[places])
            step = np.array([steps[e] for e in self.members[places]])
            self.share[places, n] = change / np.expm1(step)
        self.share[~self.usable] = 0.0

    def used(self, chosen: np.ndarray) -> np.ndarray:
        """Return the `chosen` rows that can be predicted."""
        return chosen & self.usable

    def errors(self, chosen: np.ndarray) -> tuple[Curve, Curve]:
        """Return the log errors of the `chosen` rows and their slopes, as functions."""
        use = self.used(chosen)
        begin, share, points = self.begin[use], self.share[use], self.points[use]

        def grown(x: np.ndarray) -> np.ndarray:
            return np.asarray(share * np.exp(x - points))

        def time(x: np.ndarray) -> np.ndarray:
            return np.asarray(np.maximum(1.0 + (grown(x) - share).sum(axis=1), LEAST))

        return (
            lambda x: np.asarray(begin + np.log(time(x))),
            lambda x: grown(x) / time(x)[:, None],
        )


def fitting(what: Hierarchy[T], rows: pd.DataFrame) -> Fit[T]:
    """Return a fit of `rows` that is ready to be asked."""
    return ProportionalFit(what, rows) if what.proportional else Fit(what, rows)
