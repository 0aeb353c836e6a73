"""Break-even values: where the runner-up would cost the same as the recommended plan."""

from typing import Any

import numpy as np
import pandas as pd

from gpuspec.decision.plan.decision import Decision
from gpuspec.decision.plan.sensitivity import Gap
from gpuspec.formulas.cost import break_even_share, owned_fixed_hour_usd
from gpuspec.topics.ways import records


def break_evens(decision: Decision, tornado_rows: pd.DataFrame) -> pd.DataFrame:
    """Return the values at which the runner-up would cost the same as the recommended plan.

    Returns
    -------
    DataFrame
        ``kind`` (price, load or use), ``what`` (the offer's label, the load's name), ``gpu``,
        ``input``, ``now``, ``flips_at`` (in words), ``at`` and ``value`` (as numbers: factor on
        the load, price), ``far`` (how far away, as a share; infinite where nothing in reach
        flips it); the nearest first.
    """
    columns = ["kind", "what", "gpu", "input", "now", "flips_at", "at", "value", "far"]
    if not decision.feasible or decision.runner_up is None:
        return pd.DataFrame(columns=columns).astype({"far": float})
    gap, rows = Gap(decision), []
    for place in sorted({int(o) for m in gap.members for o in m["offer"]}):
        offer = gap.draws.rows[place]
        own = offer["mode"] == "own"
        now = float(offer["capital_usd_gpu"] if own else offer["hour_usd"])
        if not now > 0:
            continue
        factor = _price_root(gap, place)
        at = np.nan if factor is None else now * factor
        text = "no price does" if factor is None else _written(at, own)
        name = f"Price of {offer['gpu']}, {offer['label']}"
        far = np.inf if factor is None else abs(factor - 1)
        rows.append(
            ("price", offer["mode"], offer["gpu"], name, _written(now, own), text, at, now, far)
        )
    loads = records(tornado_rows)
    rows += [_load_root(gap.value, r) for r in loads if r["factors"]]
    rows += _used_hours(decision)
    found = pd.DataFrame(rows, columns=columns)
    return found.sort_values("far", kind="stable", ignore_index=True)


def _written(value: float, own: bool) -> str:
    return f"{value:,.0f} USD a GPU" if own else f"{value:,.2f} USD/h"


def _price_root(gap: Gap, place: int) -> float | None:
    """Return the factor on one price at which the gap is 0: costs are linear in prices."""
    factors = np.ones(len(gap.draws.offers))
    factors[place] = 2.0
    slope = gap.with_prices(factors) - gap.value
    if abs(slope) < 1e-9:
        return None
    factor = 1 - gap.value / slope
    return factor if factor > 0 else None


def _load_root(now: float, row: dict[str, Any]) -> tuple[Any, ...]:
    """Return where a load flips the choice, between the three values that were computed."""
    ends = list(zip(row["factors"], (float(row["low"]), float(row["high"])), strict=True))
    for factor, share in ends:
        if share == share and share < 0 <= now:
            at = float(np.exp(np.log(factor) * now / (now - share)))
            name, words = row["input"], f"{at:.2g} times"
            return ("load", name, "", name, "as asked", words, at, 1.0, abs(np.log(at)))
    known = [f for f, share in ends if share == share]
    reach = f"nothing from {min([*known, 1]):.2g} to {max([*known, 1]):.2g} times"
    name = row["input"]
    return ("load", name, "", name, "as asked", reach, np.nan, 1.0, np.inf)


def _used_hours(decision: Decision) -> list[tuple[Any, ...]]:
    """Return from which share of hours in use owning beats renting by the hour, for GPUs chosen."""
    rows = []
    names = dict.fromkeys(decision.plans.members(decision.best["choice"])["gpu"])
    offers = decision.offers
    for name in names:
        of = offers[offers["gpu"] == name]
        own, rent = of[of["mode"] == "own"], of[of["mode"] == "on-demand"]
        if own.empty or rent.empty:
            continue
        fixed = float(np.asarray(owned_fixed_hour_usd(own))[0])
        found = break_even_share(
            float(rent["hour_usd"].iloc[0]),
            fixed,
            float(own["energy_hour_usd"].iloc[0]),
            float(own["idle_hour_usd"].iloc[0]),
        )
        share = float(found)
        text = f"{share:.0%} of all hours" if np.isfinite(share) else "never"
        words = f"Own {name} instead of on-demand"
        rows.append(("use", "own", name, words, "", text, share, np.nan, np.inf))
    return rows
