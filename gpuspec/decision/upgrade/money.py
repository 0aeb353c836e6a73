"""From offers to what each kind of node costs in each quarter."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.base.units import HOURS_MONTH, NODE_GPUS
from gpuspec.catalog import gpu
from gpuspec.decision.money import keep_usd_month, power_usd_hour
from gpuspec.decision.upgrade.problem import QUARTERS_A_YEAR, Kinds
from gpuspec.formulas.cost import spot_hour_usd
from gpuspec.topics.cost.prices import drift_year, operating, rated_w_gpu
from gpuspec.topics.cost.prices.offers import TERM_MONTHS

MONTHS = 12 // QUARTERS_A_YEAR
"""Months of a quarter."""
HOURS = HOURS_MONTH * MONTHS
TERMS = {mode: months // MONTHS for mode, months in TERM_MONTHS.items()}
"""Quarters of each commitment."""
RENTED = ("on-demand", *TERMS)
SPOT_GPUS = 8
"""GPUs of the job whose interruptions the price of spot counts."""
SOLD_SHARE = 0.8
"""What a seller gets of the price at which a used node is offered: an assumption."""


def kinds_of(
    found: pd.DataFrame,
    owned: dict[str, int],
    ages_years: dict[str, float],
    quarters: int,
    drift: str | float,
    introduce_usd: float,
    can_buy: tuple[str, ...],
    power_share: float,
) -> Kinds:
    """Return the kinds of node from a table of offers (flat prices of today).

    Rents and prices of new nodes follow `drift`; a commitment keeps the price of its first
    quarter. What a node is worth later follows the residual values of the operating table by
    its age, owned ones from their market price of today. `owned` are nodes by GPU, `can_buy` GPUs
    of which nodes may be bought, `power_share` is the share of the time that a GPU in use works
    at full power.
    """
    names = tuple(dict.fromkeys(found["gpu"]))
    values = operating()
    factor = (1 + drift_year(drift)) ** ((np.arange(quarters) + 0.5) / QUARTERS_A_YEAR)
    at_start = (1 + drift_year(drift)) ** (np.arange(quarters + 1) / QUARTERS_A_YEAR)
    own = cheapest(found, names, "own")
    price = own["capital_usd_gpu"].to_numpy(float) * NODE_GPUS
    buyable = np.array([n in can_buy for n in names])
    age_end = (quarters - np.arange(quarters)) / QUARTERS_A_YEAR
    left = np.interp(age_end, range(len(values.residuals)), values.residuals)
    rent = {m: cheapest(found, names, m)["hour_usd"].to_numpy(float) * HOURS for m in RENTED}
    spot = cheapest(found, names, "spot")
    lost = spot["interruptions_per_gpu_hour"].to_numpy(float)
    spot_usd = spot_hour_usd(spot["hour_usd"].to_numpy(float), lost, SPOT_GPUS)
    held = np.array([float(owned.get(n, 0)) for n in names])
    resale = np.zeros((len(names), quarters + 1))
    for row, name in enumerate(names):
        if held[row]:
            resale[row] = _resale(
                price[row] * (1 - values.network_share), ages_years.get(name, 0.0), quarters, values
            )
    return Kinds(
        names=names,
        owned=held,
        capital=np.where(buyable[:, None], price[:, None] * at_start[:-1], np.nan),
        residual=np.where(buyable[:, None], price[:, None] * at_start[:-1] * left, np.nan),
        resale=np.nan_to_num(resale),
        fixed=np.nan_to_num(keep_usd_month(own) * MONTHS * NODE_GPUS),
        energy=np.nan_to_num(power_usd_hour(own, power_share) * HOURS),
        power_kw=np.array([rated_w_gpu(gpu(n)) * NODE_GPUS / 1e3 for n in names]),
        on_demand=rent["on-demand"][:, None] * factor,
        spot=spot_usd[:, None] * factor * HOURS,
        committed=np.stack([rent[m][:, None] * at_start[:-1] for m in TERMS]),
        terms=tuple(TERMS.values()),
        introduce=np.where(held == 0, introduce_usd, 0.0),
    )


def cheapest(offers: pd.DataFrame, names: Sequence[str], mode: str) -> pd.DataFrame:
    """Return the cheapest offer of each GPU in a mode, one row each; NaN where there is none."""
    column = "capital_usd_gpu" if mode == "own" else "hour_usd"
    rows = offers[offers["mode"] == mode].sort_values(column, kind="stable")
    return rows.drop_duplicates("gpu").set_index("gpu").reindex(list(names))


def _resale(price: float, age: float, quarters: int, values: Any) -> np.ndarray:
    """Return what a node of a given age brings at the start of each quarter, and at the end."""
    years = age + np.arange(quarters + 1) / QUARTERS_A_YEAR
    curve = np.interp(years, range(len(values.residuals)), values.residuals)
    now = np.interp(age, range(len(values.residuals)), values.residuals)
    return np.asarray(price * SOLD_SHARE * curve / now)
