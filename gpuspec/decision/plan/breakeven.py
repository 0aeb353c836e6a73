"""Break-even values: where the runner-up would cost the same as the recommended plan."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from gpuspec.decision.decide import Decision
from gpuspec.decision.plan.sensitivity import Gap, price_column, price_words
from gpuspec.decision.plan.words import paid_words
from gpuspec.formulas.cost import break_even_share, owned_fixed_hour_usd
from gpuspec.views.words import gpu_name

REACH = 5.0
"""A price beyond so many times today's, or below as small a part of it, is none to wait for."""


class BreakEven(NamedTuple):
    """Where the runner-up costs the same; words first, then the same as numbers."""

    kind: str
    """price, load or use"""
    what: str
    """Way to pay, or what the load is."""
    gpu: str
    input: str
    now: str
    flips_at: str
    at: float
    """Factor on the load, price, or share of the hours."""
    value: float
    far: float
    """How far away, as a share; infinite where nothing in reach flips it."""


def break_evens(decision: Decision, swings: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the values at which the runner-up would cost the same as the recommended plan.

    Columns are those of `BreakEven`; the nearest come first. `swings` are those of `tornado`, whose
    loads are read; prices and use need none.
    """
    rows: list[BreakEven] = []
    if decision.feasible and decision.runner_up is not None:
        gap = Gap(decision)
        rows += [even for place in gap.offers_used if (even := _price_even(gap, place))]
        if swings is not None:
            loads = swings[swings["factors"].notna()]
            rows += [_load_even(gap.value, row) for _, row in loads.iterrows()]
        rows += _use_evens(decision)
    table = pd.DataFrame(rows, columns=BreakEven._fields).astype({"far": float})
    return table.sort_values("far", kind="stable", ignore_index=True)


def _price_even(gap: Gap, place: int) -> BreakEven | None:
    """Return the price at which the gap is 0: costs are linear in prices."""
    offer = dict(gap.decision.offers.iloc[place])
    now = float(offer[price_column(offer)])
    if not now > 0:
        return None
    factors = np.ones(len(gap.decision.offers))
    factors[place] = 2.0
    slope = gap.with_prices(factors) - gap.value
    factor = 1 - gap.value / slope if abs(slope) >= 1e-9 else 0.0
    root = factor if 1 / REACH <= factor <= REACH else np.nan
    nothing = f"nothing from {1 / REACH:.2g} to {REACH:.2g} times"
    flips_at = nothing if np.isnan(root) else price_words(offer, now * root)
    name = f"Price of {gpu_name(offer['gpu'])}, {paid_words(offer['label'])}"
    far = np.inf if np.isnan(root) else abs(root - 1)
    words = (name, price_words(offer, now), flips_at)
    return BreakEven("price", offer["mode"], offer["gpu"], *words, now * root, now, far)


def _load_even(now: float, row: pd.Series) -> BreakEven:
    """Return where a load flips the choice, between the three values that were computed."""
    name = row["input"]
    ends = [(f, row[end]) for f, end in zip(row["factors"], ("low", "high"), strict=True)]
    known = [(factor, share) for factor, share in ends if not np.isnan(share)]
    for factor, share in known:
        if share < 0 <= now:
            at = float(np.exp(np.log(factor) * now / (now - share)))
            flips_at, far = f"{at:.2g} times", abs(np.log(at))
            return BreakEven("load", name, "", name, "as asked", flips_at, at, 1.0, far)
    reach = [1, *(factor for factor, _ in known)]
    nothing = f"nothing from {min(reach):.2g} to {max(reach):.2g} times"
    return BreakEven("load", name, "", name, "as asked", nothing, np.nan, 1.0, np.inf)


def _use_evens(decision: Decision) -> list[BreakEven]:
    """Return from which share of hours in use owning beats renting by the hour, for GPUs chosen."""
    rows = []
    for name in decision.best.kinds_used:
        offers = decision.offers[decision.offers["gpu"] == name]
        own, rent = offers[offers["mode"] == "own"], offers[offers["mode"] == "on-demand"]
        if own.empty or rent.empty:
            continue
        hours = rent["hour_usd"].iloc[0], np.asarray(owned_fixed_hour_usd(own))[0]
        energy = own["energy_hour_usd"].iloc[0], own["idle_hour_usd"].iloc[0]
        share = float(break_even_share(*hours, *energy))
        flips_at = f"{share:.0%} of all hours" if np.isfinite(share) else "never"
        words = f"Own {gpu_name(name)} instead of renting it by the hour"
        rows.append(BreakEven("use", "own", name, words, "", flips_at, share, np.nan, np.inf))
    return rows
