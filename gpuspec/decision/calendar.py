"""The horizon cut into segments in which nothing changes, and the rounds in which one decides.

A segment ends where a load starts, ends or grows, where a term runs out, and where what was
ordered arrives. A round is a segment at whose start work may move and contracts may be signed.
Where nothing changes over time there is one segment and one round: a plan for one time is the
same programme as a plan over quarters.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gpuspec.base.lazy import pd
from gpuspec.decision.scenario import Scenario, Workload

QUARTER = 3.0
"""Months of a quarter."""
ROUND = 12.0
"""Months between rounds of ordering where loads grow."""


@dataclass(frozen=True)
class Calendar:
    """Segments and rounds; months count from the start."""

    edges: np.ndarray
    """(Q + 1,) months at which segments begin and the last one ends."""
    rounds: np.ndarray
    """(E,) segments at whose start one decides; the first is 0."""
    drift_year: float = 0.0
    """Change of prices in a year, as a share."""

    @cached_property
    def months(self) -> np.ndarray:
        """Return (Q,) the months of each segment."""
        return np.diff(self.edges)

    @cached_property
    def starts(self) -> np.ndarray:
        """Return (E,) the month of each round."""
        return self.edges[self.rounds]

    @cached_property
    def drifts(self) -> np.ndarray:
        """Return (E,) what a price that begins at 1 is at the start of each round."""
        return np.asarray((1 + self.drift_year) ** (self.starts / 12))

    @cached_property
    def round_of(self) -> np.ndarray:
        """Return (Q,) the round that a segment belongs to."""
        return np.searchsorted(self.rounds, np.arange(len(self.months)), side="right") - 1

    @property
    def settled(self) -> np.ndarray:
        """Return (E,) the last segment of each round: what was ordered in it has arrived.

        >>> Calendar(np.array([0.0, 6.0, 12.0, 24.0]), np.array([0, 2])).settled
        array([1, 2])
        """
        return np.append(self.rounds[1:], len(self.months)) - 1

    @property
    def middles(self) -> np.ndarray:
        """Return (Q,) the months of the middles of the segments."""
        return (self.edges[:-1] + self.edges[1:]) / 2

    @cached_property
    def drifted(self) -> np.ndarray:
        """(Q,) the mean over each segment of a price that begins at 1 and drifts: of two halves of
        a segment it is their mean.

        >>> Calendar(np.array([0.0, 12.0]), np.array([0]), -0.1).drifted.round(4)
        array([0.9491])
        """
        slope = np.log1p(self.drift_year) / 12
        grown = slope * self.months
        mean = np.expm1(grown) / grown if slope else 1.0
        return np.asarray(np.exp(slope * self.edges[:-1]) * mean)


def calendar_of(scenario: Scenario, offers: pd.DataFrame, every: float = ROUND) -> Calendar:
    """Return the segments and rounds of a scenario.

    Terms of contracts and deliveries are those of the offers; `every` are the months between rounds
    where a load grows.
    """
    end = float(scenario.horizon_months)
    growing = any(w.growth for w in scenario.workloads)
    terms = offers["term_months"][offers["mode"].str.startswith("reserved")].to_numpy(float)
    turns = [*np.arange(0.0, end, every if growing else end), *np.floor(end / terms) * terms]
    for w in scenario.workloads:
        turns += [(w.from_quarter - 1) * QUARTER, w.to_quarter * QUARTER]
    turns = [month for month in sorted(set(turns)) if 0 <= month < end]
    edges = [*np.add.outer(turns, [0.0, *offers["lead_months"].dropna()]).ravel(), end]
    if growing:
        edges += [*np.arange(0.0, end, QUARTER)]
    edges = [month for month in sorted(set(edges)) if month <= end]
    rounds = np.searchsorted(edges, turns)
    return Calendar(np.array(edges), rounds, scenario.prices.drift_year)


def sizes(workload: Workload, calendar: Calendar) -> np.ndarray:
    """Return (Q,) the size of a workload in each segment against its first; 0 where it is not."""
    w: Any = workload
    quarter = np.floor(calendar.middles / QUARTER) + 1
    runs = (quarter >= w.from_quarter) & (quarter <= w.to_quarter)
    return np.where(runs, (1 + w.growth) ** np.maximum(quarter - w.from_quarter, 0), 0.0)
