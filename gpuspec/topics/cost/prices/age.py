"""How old prices are, and the sentences that warn of it."""

from collections.abc import Iterable
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from gpuspec.base.units import Floats
from gpuspec.catalog import kept, table_rows

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
