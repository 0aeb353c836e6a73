"""How old prices are; to one date: carried by the market, else with a range that grows."""

from collections.abc import Hashable, Iterable
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from gpuspec.base.units import Floats
from gpuspec.catalog import kept, table_rows
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

NAMES = {
    "own": "purchase price",
    "reserved-1yr": "1-year contract price",
    "reserved-3yr": "3-year contract price",
}
LATER = "of a later day"
"""What ``carried_why`` says of a price that is younger than the run: it is taken as it is."""
FAR = 1.1
"""Factor, up or down, from which a price counts as carried far."""


def limit_days(mode: str) -> int:
    """Return after how many days a price of this mode is stale; without a mode, a list price."""
    limits = _limits_days()
    return limits.get(mode, limits[""])


@kept
def _limits_days() -> dict[str, int]:
    rows = [row for row in table_rows("freshness") if row["table"] == "prices-defaults"]
    return {row["value"]: int(row["limit_days"]) for row in rows}


def age_days(as_of: Iterable[str], today: date) -> Floats:
    """Return days from each date to `today`, NaN where there is no date; never below 0."""
    seen = pd.to_datetime(pd.Series(list(as_of)).replace("", None), errors="coerce")
    days = (pd.Timestamp(today) - seen).dt.days.to_numpy(float)
    return np.asarray(np.maximum(days, 0))


def is_stale(modes: Iterable[str], ages: ArrayLike) -> NDArray[np.bool_]:
    """Return which prices are older than their mode allows; without a date: stale."""
    limits = np.array([limit_days(mode) for mode in modes], float)
    days = np.asarray(ages, float)
    return np.asarray(np.isnan(days) | (days > limits))


def grades(offers: pd.DataFrame) -> NDArray[np.str_]:
    """Return how firm each price is: ``firm``, ``indicative`` or ``guess``.

    Firm is a quote of the user's own that is not stale. A guess is a price that is stale, of a day
    after that of the run, derived by us, of the lowest trust, or carried farther than by `FAR`.
    Indicative is the rest: what
    a provider printed, fresh enough.
    """
    moved = np.abs(np.log(offers["carried"].to_numpy(float))) > np.log(FAR)
    weak = (offers["confidence"] == "C") | offers["derived"].astype(bool) | moved
    weak |= offers["carried_why"] == LATER
    firm = offers["quoted"].astype(bool) & ~offers["stale"]
    return np.select([firm, offers["stale"] | weak], ["firm", "guess"], "indicative")


def carry(frame: pd.DataFrame, day: date, shares: tuple[float, float]) -> pd.DataFrame:
    """Return rows of prices as of a day: low, central and high moved, and low and high widened.

    Adds ``age_days``, ``stale``, ``carried`` (the factor), ``carried_why`` and ``grade``. The error
    of age and the spread of sellers are independent: their logarithms add up as squares. A quote of
    the user's own is not moved, and widens only when it is stale.

    Parameters
    ----------
    frame : DataFrame
        Columns ``gpu``, ``mode``, ``tier``, ``region``, ``as_of``, ``quoted``,
        ``confidence``, ``derived``, ``low``, ``central``, ``high``.
    shares : tuple of float
        Move of a 1-year and of a 3-year contract over that of rents on demand.
    """
    ages = age_days(frame["as_of"], day)
    ages = np.where(frame["quoted"].astype(bool) & (frame["as_of"] == ""), 0.0, ages)
    frame = frame.assign(age_days=ages, stale=is_stale(frame["mode"], ages))
    rows = [_carried(row, day, shares) for row in frame.to_dict("records")]
    factor, width = np.array([(one, spread) for one, _, spread in rows], float).reshape(-1, 2).T
    price = {band: frame[band].to_numpy(float) for band in BANDS}
    low, high = (np.abs(np.log(price[end] / price["central"])) for end in ("low", "high"))
    central = price["central"] * factor
    moved = frame.assign(
        carried=factor,
        carried_why=pd.Series([why for _, why, _ in rows], index=frame.index, dtype=str),
        low=central * np.exp(-np.hypot(low, width)),
        central=central,
        high=central * np.exp(np.hypot(high, width)),
    )
    return moved.assign(grade=grades(moved))


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


def age_warnings(offers: pd.DataFrame) -> list[str]:
    """Return a sentence for each mode with stale prices, oldest GPU first.

    >>> import pandas as pd
    >>> age_warnings(pd.DataFrame({"gpu": ["h100-sxm-80"], "mode": ["spot"], "age_days": [64.0],
    ...     "stale": [True], "as_of": ["2026-09-20"]}))
    ['The spot price of h100-sxm-80 is 64 days old (limit 30): ask for a quote.']
    """
    sentences = []
    for mode, rows in offers[offers["stale"]].groupby("mode", sort=False):
        oldest = rows.sort_values("age_days", ascending=False, kind="stable").drop_duplicates("gpu")
        names = ", ".join(oldest["gpu"])
        ages = sorted({int(age) for age in oldest["age_days"].dropna()})
        old = f"{ages[0]} to {ages[-1]}" if len(ages) > 1 else f"{ages[0]}" if ages else "unknown"
        what = NAMES.get(str(mode), f"{mode} price")
        plural, verb = ("s", "are") if len(oldest) > 1 else ("", "is")
        limit = limit_days(str(mode))
        asked = "ask for quotes" if plural else "ask for a quote"
        sentences.append(
            f"The {what}{plural} of {names} {verb} {old} days old (limit {limit}): {asked}."
        )
    return sentences
