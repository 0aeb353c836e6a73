"""The offers that a scenario may take, and what a GPU costs through each of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.base.units import HOURS_MONTH
from gpuspec.decision.scenario import Scenario
from gpuspec.decision.scenario.questions import scenario_quotes
from gpuspec.formulas.cost import owned_fixed_hour_usd
from gpuspec.topics.cost.prices import Mode, Priced, Quote, offers
from gpuspec.topics.cost.prices.offers import TERM_MONTHS

POOLED = (*TERM_MONTHS, "own", "owned")
"""Modes that are paid whether the GPU works or not, so that jobs can take turns on them."""
HOUSED = ("own", "owned")
"""Modes whose GPUs stand in rooms and racks of one's own."""


def offered(
    scenario: Scenario, gpus: Sequence[str], modes: Sequence[Mode], months: float, drift: str
) -> pd.DataFrame:
    """Return the offers of GPUs that a scenario may take, quotes of its own first, in USD."""
    s = scenario
    asked = _asked(s, gpus, s.allow.vendors).but(today=s.today, horizon_months=months, drift=drift)
    return offers(asked, modes, scenario_quotes(s.prices))


def _asked(scenario: Scenario, gpus: Sequence[str], vendors: Sequence[str] = ()) -> Priced:
    rate = scenario.prices.cny_per_usd
    return Priced.ask(
        gpus=gpus, regions=scenario.allow.regions, providers=vendors, cny_per_usd=rate
    )


def keep_usd_month(offers: pd.DataFrame) -> np.ndarray:
    """Return what an owned GPU costs a month, used or not: space, upkeep, staff, idle power."""
    idle = offers["idle_hour_usd"].to_numpy(float)
    return np.asarray(offers["fixed_month_usd_gpu"].to_numpy(float) + idle * HOURS_MONTH)


def power_usd_hour(offers: pd.DataFrame, power_share: float) -> np.ndarray:
    """Return what an hour in use adds to it.

    A GPU in use works at full power for `power_share` of the time, and else idles.
    """
    more = offers["energy_hour_usd"] - offers["idle_hour_usd"]
    return np.asarray(more.to_numpy(float) * power_share)


def market(scenario: Scenario) -> pd.DataFrame:
    """Return one row an offer, owned GPUs first.

    Columns of `gpuspec.topics.cost.prices.offers`, then ``fixed_usd`` with ``fixed_usd_low`` and
    ``fixed_usd_high`` (what one GPU costs over the horizon, used or not), ``hour_cost`` with
    ``_low`` and ``_high`` (what an hour in use costs besides), ``upfront_usd`` (capital of one
    GPU), ``running_usd_month`` (cash of a month without use), ``pooled``, ``housed``, ``step``
    (GPUs that must be taken together), ``keep_usd_month`` (of a GPU that is there already,
    whatever is decided) and ``available`` (GPUs there are; infinite: no limit).
    """
    s = scenario
    devices = dict.fromkeys([*s.allow.gpus, *(o.gpu for o in s.owned)])
    modes: dict[Mode, None] = dict.fromkeys([*s.allow.modes, "own"])
    found = offered(s, tuple(devices), tuple(modes), s.horizon_months, s.prices.drift)
    held = _held(s, found)
    wanted = found[found["mode"].isin(s.allow.modes) & found["gpu"].isin(s.allow.gpus)]
    table = pd.concat([held, wanted], ignore_index=True) if len(held) else wanted
    return _costed(table.reset_index(drop=True), s)


def _held(s: Scenario, found: pd.DataFrame) -> pd.DataFrame:
    """Return an offer for each kind of GPU that is owned already: no capital, only its keep."""
    rows = []
    for name in dict.fromkeys(o.gpu for o in s.owned):
        count = sum(o.count for o in s.owned if o.gpu == name)
        own = found[(found["gpu"] == name) & (found["mode"] == "own")]
        if own.empty:  # nobody sells it any more: what it draws is known all the same
            free = [Quote(gpu=name, mode="own-gpu", price=1e-9)]
            own = offers(_asked(s, [name]).but(horizon_months=36), ("own",), free)
        row: dict[str, Any] = dict(own.iloc[0])
        row |= {"mode": "owned", "provider": "owned already", "available": float(count)}
        row |= {f"capital_usd_gpu{end}": 0.0 for end in ("_low", "", "_high")}
        row |= {"residual_share": 0.0, "stale": False, "gpus_per_node": 1, "source": "yours"}
        rows.append(row)
    return pd.DataFrame(rows)


def _costed(table: pd.DataFrame, s: Scenario) -> pd.DataFrame:
    months, mode = float(s.horizon_months), table["mode"].astype(str)
    pooled = mode.isin(POOLED).to_numpy()
    housed = mode.isin(HOUSED).to_numpy()
    term = np.maximum(table["term_months"].to_numpy(float), 1.0)
    paid = np.where(housed, months, np.ceil(months / term) * term)
    found = table.assign(pooled=pooled, housed=housed, months_paid=np.where(pooled, paid, months))
    held = (mode == "owned").to_numpy()
    power, keep = power_usd_hour(table, s.prices.power_share), keep_usd_month(table)
    idle = table["idle_hour_usd"].to_numpy(float)
    for band in ("low", "central", "high"):
        end = "" if band == "central" else f"_{band}"
        rent = table[f"hour_usd{end}"].to_numpy(float)
        own = owned_fixed_hour_usd(table.assign(term_months=months), band) + idle
        fixed = [0.0, own * HOURS_MONTH * months, rent * HOURS_MONTH * paid]
        # GPUs that are owned already cost their keep whatever is decided: `keep_usd_month`.
        found[f"fixed_usd{end}"] = np.select([held, housed, pooled], fixed)
        found[f"hour_cost{end}"] = np.select([housed, pooled], [power, 0.0], rent)
    found["upfront_usd"] = np.where(housed & ~held, table["capital_usd_gpu"].to_numpy(float), 0.0)
    rent = table["hour_usd"].to_numpy(float) * HOURS_MONTH
    found["keep_usd_month"] = np.where(held, keep, 0.0)
    found["running_usd_month"] = np.select([held, housed, pooled], [0.0, keep, rent])
    found["step"] = np.where(mode == "own", table["gpus_per_node"].to_numpy(float), 1.0)
    if "available" not in found:
        found["available"] = np.inf
    found["available"] = found["available"].fillna(np.inf)
    generic = table["provider"].isin(["specialist clouds", "purchase", "owned already"])
    found["label"] = mode.where(generic, mode + ", " + table["provider"])
    return found


def kept_usd_month(offers: pd.DataFrame) -> float:
    """Return what the GPUs that are owned already cost a month, whatever is decided."""
    return float((offers["keep_usd_month"] * offers["available"].replace(np.inf, 0.0)).sum())
