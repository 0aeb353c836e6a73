"""Rent against own: break-even, scenarios, spot with interruptions."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gpuspec.formulas.cost import (
    HOURS_MONTH,
    break_even_month,
    break_even_share,
    gpu_hour_usd,
    month_usd,
    owned_fixed_hour_usd,
    paid_always,
    present_value_usd,
    spot_hour_usd,
    spot_useful_share,
)
from gpuspec.topics.cost.ask import CostQuestion
from gpuspec.topics.cost.hours import way_names
from gpuspec.topics.cost.prices import DRIFTS

SHARES = tuple(np.round(np.linspace(0.05, 1.0, 39), 3))
JOB_SIZES = (8, 64, 256, 1024)


def _sides(question: CostQuestion) -> pd.DataFrame:
    """Return each rent beside the owned GPU of its kind: one row a GPU and way to rent."""
    found = question.offers()
    found["way"], found["always"] = way_names(found), paid_always(found)
    found["fixed"] = owned_fixed_hour_usd(found)
    own = found[found["mode"] == "own"].drop_duplicates("gpu").set_index("gpu")
    rent = found[(found["mode"] != "own") & found["gpu"].isin(own.index)].copy()
    for name in ("fixed", "energy_hour_usd", "idle_hour_usd", "capital_usd_gpu"):
        rent[name] = rent["gpu"].map(own[name])
    rent["running"] = rent["gpu"].map(own["fixed_month_usd_gpu"])
    rent["residual_share"] = rent["gpu"].map(own["residual_share"])
    return rent


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
    share = break_even_share(rent, fixed, energy, idle, always)
    saved = month_usd(rent, q.used_hours_share, always)
    drawn = (energy * q.used_hours_share + idle * (1 - q.used_hours_share)) * HOURS_MONTH
    month = break_even_month(
        saved,
        sides["capital_usd_gpu"].to_numpy(float),
        sides["running"].to_numpy(float) + drawn,
        q.assumptions.cost_of_capital,
    )
    table = sides[["gpu", "way", "mode", "tier"]].assign(rent=rent, own=fixed + energy)
    return table.assign(used_hours_share=share, month=month, within=month <= q.horizon_months)


def used_hours_curves(question: CostQuestion, shares: Sequence[float] = SHARES) -> pd.DataFrame:
    """Return cost of a used GPU-hour by share of hours in use: gpu, way, mode, share, cost."""
    found = question.offers()
    found = found[(found["tier"] != "hyperscaler")]
    names = way_names(found)
    rows = [
        found[["gpu", "mode"]].assign(
            way=names, share=share, cost=gpu_hour_usd(found, share)["central"]
        )
        for share in shares
    ]
    return pd.concat(rows, ignore_index=True)


def month_curves(question: CostQuestion, gpu_id: str) -> pd.DataFrame:
    """Return what has been paid by each month for one GPU: way, month, paid.

    Owning starts at the capital; what a sale would bring is not counted. Of hyperscalers only
    the list on demand is there.
    """
    q, sides = question, _sides(question)
    lists = (sides["tier"] == "hyperscaler") & (sides["mode"] != "on-demand")
    sides = sides[(sides["gpu"] == gpu_id) & ~lists]
    months = np.arange(0, int(q.horizon_months) + 1)
    rows = [
        pd.DataFrame(
            {
                "way": row["way"],
                "month": months,
                "paid": months
                * float(month_usd(row["hour_usd"], q.used_hours_share, row["always"])),
            }
        )
        for row in sides.to_dict("records")
    ]
    if rows:
        row = sides.iloc[0]
        used, idle = q.used_hours_share, 1 - q.used_hours_share
        drawn = (row["energy_hour_usd"] * used + row["idle_hour_usd"] * idle) * HOURS_MONTH
        paid = row["capital_usd_gpu"] + months * (row["running"] + drawn)
        rows.append(pd.DataFrame({"way": "own", "month": months, "paid": paid}))
    columns = ["way", "month", "paid"]
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=columns)


def drift_table(question: CostQuestion) -> pd.DataFrame:
    """Return present value of a GPU over the horizon, by way and scenario of rents.

    Columns: ``gpu``, ``way``, ``mode``, ``drift`` (of `DRIFTS`), ``value`` (at the use
    asked), ``hour`` (for a used hour, discounted alike). An owned GPU does not drift.
    """
    q, tables = question, []
    for name in DRIFTS:
        found = q.offers(drift=name, providers=())
        own = (found["mode"] == "own").to_numpy()
        always = paid_always(found)
        used = q.used_hours_share
        drawn = (found["energy_hour_usd"] * used + found["idle_hour_usd"] * (1 - used)).to_numpy()
        rent = month_usd(found["hour_usd"], used, always)
        running = found["fixed_month_usd_gpu"].to_numpy(float) + drawn * HOURS_MONTH
        capital = found["capital_usd_gpu"].to_numpy(float)
        sold = capital * found["residual_share"].to_numpy(float)
        rate = q.assumptions.cost_of_capital
        value = present_value_usd(
            np.where(own, running, rent), q.horizon_months, rate, capital, sold
        )
        hours = present_value_usd(HOURS_MONTH * used, q.horizon_months, rate)
        table = found[["gpu", "mode"]].assign(way=way_names(found), drift=name, value=value)
        tables.append(table.assign(hour=value / hours))
    return pd.concat(tables, ignore_index=True)


def spot_table(
    question: CostQuestion, sizes: Sequence[int] = JOB_SIZES, write_s: float = 60.0
) -> pd.DataFrame:
    """Return what spot costs for a useful hour of a job of each size, beside on demand.

    Columns: ``gpu``, ``gpus``, ``price``, ``useful`` (share of the paid hours), ``useful_low``
    and ``useful_high`` (with the highest and the lowest rate of interruptions), ``effective``,
    ``on_demand``.
    """
    from gpuspec.topics.cost.prices import operating_value

    q = question
    found = q.offers(("spot", "on-demand"), providers=())
    asked = found[found["mode"] == "on-demand"].drop_duplicates("gpu").set_index("gpu")["hour_usd"]
    spot = found[found["mode"] == "spot"].drop_duplicates("gpu")
    rates = [operating_value("spot_interruptions", band=end) for end in ("high", "low")]
    rows = []
    for row in spot.to_dict("records"):
        rate = row["interruptions_per_gpu_hour"]
        for size in sizes:
            ends = [float(spot_useful_share((r or 0) / 8, size, write_s)) for r in rates]
            rows.append(
                {
                    "gpu": row["gpu"],
                    "gpus": size,
                    "price": row["hour_usd"],
                    "useful": float(spot_useful_share(rate, size, write_s)),
                    "useful_low": ends[0],
                    "useful_high": ends[1],
                    "effective": float(spot_hour_usd(row["hour_usd"], rate, size, write_s)),
                    "on_demand": float(asked.get(row["gpu"], np.nan)),
                }
            )
    return pd.DataFrame(rows)
