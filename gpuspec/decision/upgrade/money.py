"""From offers to what each kind of node costs in each quarter."""

from typing import Any

import numpy as np
import pandas as pd

from gpuspec.catalog import gpu
from gpuspec.decision.upgrade.problem import QUARTERS_A_YEAR, Kinds
from gpuspec.formulas.cost import HOURS_YEAR, spot_hour_usd
from gpuspec.topics.cost.prices import drift_year, operating, rated_w_gpu

NODE = 8
HOURS = HOURS_YEAR / QUARTERS_A_YEAR
MONTHS = 3
TERMS = {"reserved-1yr": 4, "reserved-3yr": 12}
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
) -> Kinds:
    """Return the kinds of node from a table of offers (flat prices of today).

    Rents and prices of new nodes follow `drift`; a commitment keeps the price of its first
    quarter. What a node is worth later follows the residual values of the operating table by
    its age, owned ones from their market price of today.

    Parameters
    ----------
    owned, ages_years : dict
        Nodes there are and how old they are, by GPU.
    can_buy : tuple of str
        GPUs of which nodes may be bought.
    """
    names = tuple(dict.fromkeys(found["gpu"]))
    values = operating()
    factor = (1 + drift_year(drift)) ** ((np.arange(quarters) + 0.5) / QUARTERS_A_YEAR)
    at_start = (1 + drift_year(drift)) ** (np.arange(quarters + 1) / QUARTERS_A_YEAR)
    own = {name: _one(found, name, "own") for name in names}
    price = np.array([_get(own[n], "capital_usd_gpu") for n in names]) * NODE
    buyable = np.array([n in can_buy for n in names])
    age_end = (quarters - np.arange(quarters)) / QUARTERS_A_YEAR
    left = np.interp(age_end, range(len(values.residuals)), values.residuals)
    idle = np.array([_get(own[n], "idle_hour_usd") for n in names])
    fixed = np.array([_get(own[n], "fixed_month_usd_gpu") for n in names]) * MONTHS * NODE
    energy = np.array([_get(own[n], "energy_hour_usd") for n in names])
    rent = {
        mode: np.array([_get(_one(found, n, mode), "hour_usd") for n in names]) * HOURS
        for mode in ("on-demand", *TERMS)
    }
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
        fixed=np.nan_to_num(fixed + idle * HOURS * NODE),
        energy=np.nan_to_num((energy - idle) * HOURS),
        power_kw=np.array([rated_w_gpu(gpu(n)) * NODE / 1e3 for n in names]),
        on_demand=rent["on-demand"][:, None] * factor,
        spot=np.array([_spot(found, n) for n in names])[:, None] * factor * HOURS,
        committed=np.stack([rent[m][:, None] * at_start[:-1] for m in TERMS]),
        terms=tuple(TERMS.values()),
        introduce=np.where(held == 0, introduce_usd, 0.0),
    )


def _one(found: pd.DataFrame, name: str, mode: str) -> Any:
    """Return the cheapest offer of a GPU and mode; None where there is none."""
    rows = found[(found["gpu"] == name) & (found["mode"] == mode)]
    if rows.empty:
        return None
    column = "capital_usd_gpu" if mode == "own" else "hour_usd"
    return rows.sort_values(column, kind="stable").iloc[0]


def _get(row: Any, column: str) -> float:
    return float("nan") if row is None else float(row[column])


def _spot(found: pd.DataFrame, name: str) -> float:
    row = _one(found, name, "spot")
    if row is None:
        return float("nan")
    lost = row["interruptions_per_gpu_hour"]
    return float(spot_hour_usd(row["hour_usd"], lost, SPOT_GPUS))


def _resale(price: float, age: float, quarters: int, values: Any) -> np.ndarray:
    """Return what a node of a given age brings at the start of each quarter, and at the end."""
    years = age + np.arange(quarters + 1) / QUARTERS_A_YEAR
    curve = np.interp(years, range(len(values.residuals)), values.residuals)
    now = np.interp(age, range(len(values.residuals)), values.residuals)
    return np.asarray(price * SOLD_SHARE * curve / now)
