"""The market between two days: how far prices of the same products moved, by series that last.

A series is one product of one seller (``data/prices_trend.csv``). Between two of its points its
price moves at an even rate; a market moves by the mean of its sellers on each day, each of whom
counts once however many products it prints. Averages over a changing set of sellers would move
when the set does (Bailey, Muth and Nourse 1963, doi:10.1080/01621459.1963.10480679).
"""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats
from gpuspec.catalog import load_table

CARRIED = ("on-demand", "reserved-1yr", "reserved-3yr")
"""Modes that are carried. Spot is not: on sellers left out the market predicts it worse than no
move at all (`gpuspec.topics.cost.prices.backtest.age_errors`). Purchases have no series."""
HYPERSCALER = "hyperscaler"
CONTRACT = "reserved-1yr"
FIRST = date(2021, 1, 1).toordinal()


@dataclass(frozen=True, eq=False)
class Market:
    """Moves of one market by day since `FIRST`."""

    level: Floats
    """(D + 1,) logarithm of the price against the first day; days without a series stand still."""
    known: Floats
    """(D + 1,) days before each day on which some series says what the price did."""

    def move(self, start: ArrayLike, end: ArrayLike) -> tuple[Floats, Floats]:
        """Return move of the logarithm and known days between days, as ordinals."""
        last = len(self.level) - 1
        low, high = (np.clip(np.asarray(d, int) - FIRST, 0, last) for d in (start, end))
        high = np.maximum(low, high)
        return self.level[high] - self.level[low], self.known[high] - self.known[low]

    def last_known(self, start: int, end: int) -> date | None:
        """Return the last day between two up to which the market is known."""
        steps = np.flatnonzero(np.diff(self.known[max(start - FIRST, 0) : end - FIRST + 1]))
        return date.fromordinal(max(start, FIRST) + int(steps[-1]) + 1) if len(steps) else None


@lru_cache(1024)
def market(
    mode: str, tier: str, until: date, shares: tuple[float, float], without: str = ""
) -> Market:
    """Return the market of a mode: of hyperscalers, or of all others.

    A contract follows the survey of 1-year contracts while there is one, then the rents on demand
    times its share; a 3-year contract moves by the ratio of the two shares.

    Parameters
    ----------
    until : date
        Points after it are not used.
    shares : tuple of float
        Move of a 1-year and of a 3-year contract over that of rents on demand.
    without : str
        A seller that is left out.
    """
    if not mode.startswith("reserved"):
        rates = _rates(mode, tier, until, without)
    else:
        share, short = shares[mode != CONTRACT], max(shares[0], 1e-9)
        seen = _rates(CONTRACT, tier, until, without)
        on_demand = _rates("on-demand", tier, until, without)
        rates = np.where(np.isfinite(seen), seen * share / short, on_demand * share)
    known = np.isfinite(rates)
    level = np.append(0.0, np.cumsum(np.where(known, rates, 0.0)))
    return Market(level, np.append(0.0, np.cumsum(known)))


@lru_cache
def followed_gpus() -> frozenset[str]:
    """Return the GPUs that some series on demand is of: the others follow no market."""
    points = series_points()
    return frozenset(points.loc[points["mode"] == "on-demand", "gpu_id"])


def survey_end(tier: str, until: date) -> int:
    """Return the day up to which contracts have a series of their own, as an ordinal."""
    last = until.toordinal() - FIRST
    steps = _steps().get((CONTRACT, tier == HYPERSCALER), [])
    return FIRST + max((end for _, _, end, _ in steps if end <= last), default=0)


@lru_cache
def series_points() -> pd.DataFrame:
    """Return points of series of one product, oldest first; ``day`` is the ordinal of the date."""
    trend = load_table("prices-trend")
    trend = trend[trend["used"]]
    days = [date.fromisoformat(day).toordinal() for day in trend["as_of"]]
    found = trend.assign(day=days).sort_values("day", kind="stable")
    return found.drop_duplicates(["series", "mode", "day"], keep="last")


@lru_cache
def _steps() -> dict[tuple[str, bool], list[tuple[str, int, int, float]]]:
    """Return seller, first day, last day and move a day between points, by mode and tier."""
    found: dict[tuple[str, bool], list[tuple[str, int, int, float]]] = {}
    for (_, mode), line in series_points().groupby(["series", "mode"], sort=False):
        seller, tier = line["provider"].iloc[0], line["tier"].iloc[0]
        day, price = line["day"].to_numpy(int), np.log(line["price_gpu_hour"].to_numpy(float))
        ends = zip(day[:-1] - FIRST, day[1:] - FIRST, np.diff(price) / np.diff(day), strict=True)
        mine = found.setdefault((str(mode), tier == HYPERSCALER), [])
        mine += [(seller, int(a), int(b), float(rate)) for a, b, rate in ends]
    return found


def _rates(mode: str, tier: str, until: date, without: str) -> Floats:
    """Return change of the logarithm of the price on each day, NaN where no series says it."""
    days = max(until.toordinal() - FIRST, 0)
    sellers: dict[str, Floats] = {}
    for seller, a, b, rate in _steps().get((mode, tier == HYPERSCALER), []):
        if seller != without and b <= days:
            sellers.setdefault(seller, np.zeros((2, days)))[:, a:b] += [[rate], [1.0]]
    if not sellers:
        return np.full(days, np.nan)
    with np.errstate(invalid="ignore"):
        each = np.array(
            [moves / np.where(count > 0, count, np.nan) for moves, count in sellers.values()]
        )
    count = np.isfinite(each).sum(0)
    return np.asarray(np.where(count > 0, np.nansum(each, 0) / np.maximum(count, 1), np.nan))
