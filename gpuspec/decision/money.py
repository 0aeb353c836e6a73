"""The offers that a scenario may take, and what a GPU costs through each of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.base.days import run_date
from gpuspec.base.units import HOURS_MONTH
from gpuspec.catalog import kept
from gpuspec.catalog.regions import places_of, usual
from gpuspec.decision.scenario import Scenario
from gpuspec.decision.scenario.questions import scenario_quotes
from gpuspec.topics.cost.prices import MODES, Priced, Quote, offers
from gpuspec.topics.cost.prices.offers import TERM_MONTHS
from gpuspec.topics.cost.prices.sources import GENERIC

ALL = ("all",)
"""Every provider: those of a region, where one is named."""
HOUSED = ("own", "owned")
"""Modes whose GPUs stand in rooms and racks of one's own."""


def _local(found: pd.DataFrame, regions: Sequence[str]) -> pd.DataFrame:
    """Return offers of regions, and usual ones of the world where the regions have none."""
    here = of_regions(found, regions)
    pairs = set(zip(found.loc[here, "gpu"], found.loc[here, "mode"], strict=True))
    priced = [pair in pairs for pair in zip(found["gpu"], found["mode"], strict=True)]
    world = (found["region"] == "") & ~found["provider"].eq(GENERIC["hyperscaler"])
    return found[here | (world & ~np.array(priced, bool))].reset_index(drop=True)


def of_regions(found: pd.DataFrame, regions: Sequence[str]) -> np.ndarray:
    """Return which offers are of these regions; a quote is, since its buyer asked there."""
    here = found["region"].isin(places_of(regions)) | found["quoted"].astype(bool)
    world = (found["region"] == "") & (found["provider"] != GENERIC["hyperscaler"])
    return np.asarray(here | (world & usual(regions)), bool)


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


def every_offer(scenario: Scenario) -> pd.DataFrame:
    """Return the offers of all GPUs of a scenario in all modes, quotes of its own first, in USD, at
    flat prices of its day. They are kept: who changes them takes a copy.
    """
    s = scenario
    devices = dict.fromkeys([*s.allow.gpus, *(o.gpu for o in s.owned)])
    local = bool(s.allow.regions) and not s.allow.vendors
    asked = _asked(s, tuple(devices), ALL if local else s.allow.vendors)
    asked = asked.but(today=s.today or run_date(), horizon_months=s.horizon_months)
    found = _offers(asked, tuple(scenario_quotes(s.prices)))
    return _local(found, s.allow.regions) if local else found


@kept
def _offers(asked: Priced, quotes: tuple[Quote, ...]) -> pd.DataFrame:
    return offers(asked, MODES, quotes)


def market(scenario: Scenario, every: pd.DataFrame) -> pd.DataFrame:
    """Return those of `every_offer` that may be taken, one row each, owned GPUs first.

    Columns of `gpuspec.topics.cost.prices.offers`, then ``available`` (GPUs there are; infinite:
    no limit), ``housed`` (they stand in rooms of one's own), ``step`` (GPUs that are taken
    together), ``minimum`` (the fewest) and ``label``. Whole nodes are bought and reserved; GPUs
    are rented one by one by the hour.
    """
    s = scenario
    held = _held(s, every)
    wanted = every[every["mode"].isin(s.allow.modes) & every["gpu"].isin(s.allow.gpus)]
    table = pd.concat([held, wanted], ignore_index=True) if len(held) else wanted
    table = table.reset_index(drop=True)
    mode = table["mode"].astype(str)
    whole = np.where(mode.isin((*TERM_MONTHS, "own")), table["gpus_per_node"].to_numpy(float), 1.0)
    for name, value in (("step", whole), ("minimum", whole), ("available", np.inf)):
        table[name] = table[name].fillna(pd.Series(value, table.index)) if name in table else value
    generic = table["provider"].isin(["specialist clouds", "purchase", "owned already"])
    label = mode.where(generic, mode + ", " + table["provider"])
    return table.assign(housed=mode.isin(HOUSED), label=label)


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
        rows.append(row | {"step": 1.0, "minimum": 1.0})
    return pd.DataFrame(rows)
