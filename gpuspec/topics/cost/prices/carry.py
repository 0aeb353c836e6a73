"""Prices to one date: carried by the market where it is known, else with a range that grows."""

from collections.abc import Hashable
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.topics.cost.prices.age import LATER
from gpuspec.topics.cost.prices.backtest import age_spread
from gpuspec.topics.cost.prices.market import (
    CARRIED,
    CONTRACT,
    HYPERSCALER,
    followed_gpus,
    market,
    survey_end,
)
from gpuspec.topics.cost.prices.records import BANDS, CHINA


def carry(frame: pd.DataFrame, day: date, shares: tuple[float, float]) -> pd.DataFrame:
    """Return rows of prices as of a day: low, central and high moved, and low and high widened.

    Adds ``carried`` (the factor) and ``carried_why``. The error of age and the spread of sellers
    are independent: their logarithms add up as squares. A quote of the user's own is not moved,
    and widens only when it is stale.

    Parameters
    ----------
    frame : DataFrame
        Columns ``gpu``, ``mode``, ``tier``, ``region``, ``as_of``, ``age_days``, ``stale``,
        ``quoted``, ``low``, ``central``, ``high``.
    shares : tuple of float
        Move of a 1-year and of a 3-year contract over that of rents on demand.
    """
    rows = [_carried(row, day, shares) for row in frame.to_dict("records")]
    factor, width = np.array([(one, spread) for one, _, spread in rows], float).reshape(-1, 2).T
    price = {band: frame[band].to_numpy(float) for band in BANDS}
    low, high = (np.abs(np.log(price[end] / price["central"])) for end in ("low", "high"))
    central = price["central"] * factor
    return frame.assign(
        carried=factor,
        carried_why=pd.Series([why for _, why, _ in rows], index=frame.index, dtype=str),
        low=central * np.exp(-np.hypot(low, width)),
        central=central,
        high=central * np.exp(np.hypot(high, width)),
    )


def _carried(
    row: dict[Hashable, Any], day: date, shares: tuple[float, float]
) -> tuple[float, str, float]:
    """Return factor, words and spread of the logarithm of one price."""
    mode, age = str(row["mode"]), float(row["age_days"])
    if row["quoted"]:
        return 1.0, "your quote", age_spread(mode, 0.0, age) if row["stale"] and age > 0 else 0.0
    seen = date.fromisoformat(row["as_of"])
    if seen >= day:
        return 1.0, "of the day" if seen == day else LATER, 0.0
    if missing := _no_series(mode, str(row["gpu"]), str(row["region"])):
        return 1.0, missing, age_spread(mode, 0.0, age)
    tier, start, end = str(row["tier"]), seen.toordinal(), day.toordinal()
    found = market(mode, tier, day, shares)
    move, known = (float(part) for part in found.move(start, end))
    last = found.last_known(start, end)
    why = (
        f"{_followed(mode, tier, start, day, shares)} to {last}"
        if last
        else f"no series after {seen}"
    )
    return float(np.exp(move)), why, age_spread(mode, known, age - known)


def _no_series(mode: str, gpu: str, region: str) -> str:
    """Say why there is no market that the price could follow; empty: there is one."""
    if mode not in CARRIED:
        return "no series of purchases" if mode == "own" else "series of spot disagree"
    if region == CHINA:
        return "no series in China"
    return "" if gpu in followed_gpus() else "no series of this GPU"


def _followed(mode: str, tier: str, start: int, day: date, shares: tuple[float, float]) -> str:
    """Say which market a price follows from a day on, as an ordinal."""
    rents = "rents on demand of hyperscalers" if tier == HYPERSCALER else "rents on demand"
    if not mode.startswith("reserved"):
        return rents
    share = shares[mode != CONTRACT]
    surveyed = start < survey_end(tier, day)
    return f"{'contracts, then ' * surveyed}{share:g} of {rents}"
