"""The offers that a scenario may take, and what a GPU costs through each of them."""

from collections import Counter

import numpy as np
import pandas as pd

from gpuspec.base.days import run_date
from gpuspec.catalog import kept
from gpuspec.decision.scenario import Scenario
from gpuspec.topics.cost.prices import MODES, Priced, Quote, offers

ALL = ("all",)
"""Every provider: those of a region, where one is named."""
HOUSED = ("own", "owned")
"""Modes whose GPUs stand in rooms and racks of one's own."""


def every_offer(scenario: Scenario) -> pd.DataFrame:
    """Return the offers of all GPUs of a scenario in all modes, quotes of its own first, owned GPUs
    last, in USD, at flat prices of its day. They are kept: who changes them takes a copy.
    """
    allow, owned = scenario.allow, tuple(dict.fromkeys(part.gpu for part in scenario.owned))
    local = bool(allow.regions) and not allow.vendors
    asked = Priced.ask(
        gpus=tuple(dict.fromkeys([*allow.gpus, *owned])),
        regions=allow.regions,
        providers=ALL if local else allow.vendors,
        cny_per_usd=scenario.prices.cny_per_usd,
        today=scenario.today or run_date(),
        horizon_months=scenario.horizon_months,
        operating=scenario.prices.operating,
    )
    return _offers(asked, tuple(scenario.prices.own), owned, local)


@kept
def _offers(
    asked: Priced, quotes: tuple[Quote, ...], owned: tuple[str, ...], local: bool
) -> pd.DataFrame:
    return offers(asked, MODES, quotes, owned, local)


def market(scenario: Scenario, every: pd.DataFrame) -> pd.DataFrame:
    """Return those of `every_offer` that may be taken, one row each, owned GPUs first.

    Columns of `gpuspec.topics.cost.prices.offers`, then ``available`` (GPUs there are; infinite:
    no limit), ``housed`` (they stand in rooms of one's own) and ``label``. Whole nodes are bought
    and reserved; GPUs are rented one by one by the hour.
    """
    count = Counter[str]()
    for part in scenario.owned:
        count[part.gpu] += part.count
    held = every[every["mode"] == "owned"].set_index("gpu", drop=False).loc[list(count)]
    held = held.assign(available=held["gpu"].map(count).astype(float))
    wanted = every[every["mode"].isin(scenario.allow.modes)]
    wanted = wanted[wanted["gpu"].isin(scenario.allow.gpus)].assign(available=np.inf)
    table = pd.concat([held, wanted], ignore_index=True) if len(held) else wanted
    table = table.reset_index(drop=True)
    generic = table["provider"].isin(["specialist clouds", "purchase", "owned already"])
    label = table["mode"].where(generic, table["mode"] + ", " + table["provider"])
    return table.assign(housed=table["mode"].isin(HOUSED), label=label)
