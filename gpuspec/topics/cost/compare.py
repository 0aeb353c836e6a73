"""Rent against own: break-even, scenarios, spot with interruptions."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gpuspec.base.units import HOURS_MONTH, NODE_GPUS, Floats
from gpuspec.formulas import cost
from gpuspec.topics.cost.ask import CostQuestion
from gpuspec.topics.cost.hours import way_names
from gpuspec.topics.cost.prices import DRIFTS, operating_value

SHARES = tuple(np.round(np.linspace(0.05, 1.0, 39), 3))
JOB_SIZES = (8, 64, 256, 1024)


OF_OWNED = ["fixed", "energy_hour_usd", "idle_hour_usd", "capital_usd_gpu", "fixed_month_usd_gpu"]
"""What the rows of `_sides` say of the owned GPU."""


def _sides(question: CostQuestion) -> pd.DataFrame:
    """Return each rent beside the owned GPU of its kind: one row a GPU and way to rent."""
    found = question.offers()
    found["way"], found["always"] = way_names(found), cost.paid_always(found)
    found["fixed"] = cost.owned_fixed_hour_usd(found)
    own = found[found["mode"] == "own"].drop_duplicates("gpu")[["gpu", *OF_OWNED]]
    return found[found["mode"] != "own"].drop(columns=OF_OWNED).merge(own, on="gpu")


def _running_month_usd(table: pd.DataFrame, used: float) -> Floats:
    """Return what an owned GPU costs a month besides its capital, in use for a share of it."""
    drawn = table["energy_hour_usd"] * used + table["idle_hour_usd"] * (1 - used)
    return (table["fixed_month_usd_gpu"] + drawn * HOURS_MONTH).to_numpy(float)


def break_even_table(question: CostQuestion) -> pd.DataFrame:
    """Return used share of hours and month from which owning is cheaper than each way to rent.

    Columns: ``gpu``, ``way``, ``rent`` (paid hour), ``own`` (owned hour at full use),
    ``used_hours_share`` (0: at any use, infinite: never), ``month`` (at the question's own
    share; infinite: never), ``within`` (inside the horizon).
    """
    q, sides = question, _sides(question)
    rent = sides["hour_usd"].to_numpy(float)
    energy, idle = (sides[f"{name}_hour_usd"].to_numpy(float) for name in ("energy", "idle"))
    fixed, always = sides["fixed"].to_numpy(float), sides["always"].to_numpy()
    share = cost.break_even_share(rent, fixed, energy, idle, always)
    saved = cost.month_usd(rent, q.used_hours_share, always)
    month = cost.break_even_month(
        saved,
        sides["capital_usd_gpu"].to_numpy(float),
        _running_month_usd(sides, q.used_hours_share),
        q.assumptions.cost_of_capital,
    )
    table = sides[["gpu", "way", "mode", "tier"]].assign(rent=rent, own=fixed + energy)
    return table.assign(used_hours_share=share, month=month, within=month <= q.horizon_months)


def used_hours_curves(question: CostQuestion, shares: Sequence[float] = SHARES) -> pd.DataFrame:
    """Return cost of a used GPU-hour by share of hours in use: gpu, way, mode, share, cost."""
    offers = question.offers()
    offers = offers[offers["tier"] != "hyperscaler"]
    named = offers[["gpu", "mode"]].assign(way=way_names(offers))
    costs = {share: cost.gpu_hour_usd(offers, share)["central"] for share in shares}
    rows = [named.assign(share=share, cost=usd) for share, usd in costs.items()]
    return pd.concat(rows, ignore_index=True)


def month_curves(question: CostQuestion, gpu_id: str) -> pd.DataFrame:
    """Return what has been paid by each month for one GPU: way, month, paid.

    Owning starts at the capital; what a sale would bring is not counted. Of hyperscalers only
    the list on demand is there.
    """
    q, sides = question, _sides(question)
    lists = (sides["tier"] == "hyperscaler") & (sides["mode"] != "on-demand")
    sides = sides[(sides["gpu"] == gpu_id) & ~lists]
    if sides.empty:
        return pd.DataFrame(columns=["way", "month", "paid"])
    months = np.arange(0, int(q.horizon_months) + 1)
    rents = cost.month_usd(sides["hour_usd"], q.used_hours_share, sides["always"])
    ways, each = [*sides["way"], "own"], [*rents, _running_month_usd(sides, q.used_hours_share)[0]]
    first = [0.0] * len(sides) + [sides["capital_usd_gpu"].iloc[0]]
    paid = np.add.outer(first, np.zeros(len(months))) + np.outer(each, months)
    table = {"way": np.repeat(ways, len(months)), "month": np.tile(months, len(ways))}
    return pd.DataFrame({**table, "paid": paid.ravel()})


def drift_table(question: CostQuestion) -> pd.DataFrame:
    """Return present value of a GPU over the horizon, by way and scenario of rents.

    Columns: ``gpu``, ``way``, ``mode``, ``drift`` (of `DRIFTS`), ``value`` (at the use
    asked), ``hour`` (for a used hour, discounted alike). An owned GPU does not drift.
    """
    q, tables = question, []
    for name in DRIFTS:
        found = q.offers(drift=name, providers=())
        own = (found["mode"] == "own").to_numpy()
        used = q.used_hours_share
        rent = cost.month_usd(found["hour_usd"], used, cost.paid_always(found))
        running = _running_month_usd(found, used)
        capital = found["capital_usd_gpu"].to_numpy(float)
        sold = capital * found["residual_share"].to_numpy(float)
        rate = q.assumptions.cost_of_capital
        value = cost.present_value_usd(
            np.where(own, running, rent), q.horizon_months, rate, capital, sold
        )
        hours = cost.present_value_usd(HOURS_MONTH * used, q.horizon_months, rate)
        table = found[["gpu", "mode"]].assign(way=way_names(found), drift=name, value=value)
        tables.append(table.assign(hour=value / hours))
    return pd.concat(tables, ignore_index=True)


def spot_table(question: CostQuestion) -> pd.DataFrame:
    """Return what spot costs for a useful hour of a job of each size, beside on demand.

    Columns: ``gpu``, ``gpus``, ``price``, ``useful`` (share of the paid hours), ``useful_low``
    and ``useful_high`` (with the highest and the lowest rate of interruptions), ``effective``,
    ``on_demand``.
    """
    found = question.offers(("spot", "on-demand"), providers=())
    found = found.drop_duplicates(["gpu", "mode"]).rename(columns={"hour_usd": "price"})
    on_demand = found[found["mode"] == "on-demand"].set_index("gpu")["price"]
    spot = found.loc[found["mode"] == "spot", ["gpu", "price", "interruptions_per_gpu_hour"]]
    table = spot.merge(pd.DataFrame({"gpus": JOB_SIZES}), how="cross")
    price, rate, size = table["price"], table.pop("interruptions_per_gpu_hour"), table["gpus"]
    most, least = (operating_value("spot_interruptions", band=end) for end in ("high", "low"))
    return table.assign(
        useful=cost.spot_useful_share(rate, size),
        useful_low=cost.spot_useful_share((most or 0) / NODE_GPUS, size),
        useful_high=cost.spot_useful_share((least or 0) / NODE_GPUS, size),
        effective=cost.spot_hour_usd(price, rate, size),
        on_demand=table["gpu"].map(on_demand),
    )
