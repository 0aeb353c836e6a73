"""Which input decides the cost of an owned hour: one at a time from low to high."""

from dataclasses import replace

import numpy as np
import pandas as pd

from gpuspec.catalog import Gpu
from gpuspec.formulas.cost import owned_hour_usd
from gpuspec.topics.cost.ask import CostQuestion
from gpuspec.topics.cost.hours import owned_server
from gpuspec.topics.cost.prices import operating_value

DRIVERS = {  # name: (argument, key of the table of operating values)
    "utilisation": ("used_hours_share", "utilisation"),
    "residual value": ("residual_share", "residual"),
    "cost of capital": ("rate_year", "cost_of_capital"),
    "maintenance": ("maintenance_share_year", "maintenance_share_year"),
    "colocation": ("usd_kw_month", "colocation_usd_kw_month"),
    "network share": ("network_share", "network_share"),
    "electricity": ("usd_kwh", "electricity_usd_kwh"),
    "PUE": ("pue", "pue"),
    "power drawn": ("power_w_gpu", "node_kw"),
    "staff": ("staff_usd_year", "staff_usd_year"),
}
SPANS = (0.8, 1.2)
"""Ends of the time in use over the horizon: four to six years around five."""


def driver_table(question: CostQuestion, gpu_id: str) -> pd.DataFrame:
    """Return the cost of a used hour at the low and high end of each input, others central.

    Columns: ``driver``, ``low``, ``high`` (values of the input, as text), ``cost_low`` and
    ``cost_high`` (cheapest and dearest of its two ends), ``central``, ``swing``; largest first.
    Inputs that the user has set keep their value and are left out. Empty without a purchase
    price.
    """
    q = question
    device = next(g for g in q.devices if g.id == gpu_id)
    own = q.offers(("own",), providers=())
    own = own[own["gpu"] == gpu_id]
    if own.empty:
        return pd.DataFrame(columns=["driver", "low", "high", "cost_low", "cost_high", "swing"])
    base = owned_server(q, device, own.iloc[0])
    central = float(owned_hour_usd(base)) * q.rate
    rows: list[tuple[str, float, float, float, float]] = []
    for name, (argument, low, high) in _ends(q, device, own.iloc[0]).items():
        ends = (replace(base, **{argument: end}) for end in (low, high))
        costs = [float(owned_hour_usd(one)) * q.rate for one in ends]
        rows.append((name, low, high, min(costs), max(costs)))
    years, left = np.array(SPANS) * q.horizon_months / 12, q.assumptions.residuals
    kept = zip(years, np.interp(years, range(len(left)), left), strict=True)
    ends = (replace(base, years=span, residual_share=float(share)) for span, share in kept)
    costs = [float(owned_hour_usd(one)) * q.rate for one in ends]
    rows.append(("months in use", *(years * 12).tolist(), min(costs), max(costs)))
    table = pd.DataFrame(rows, columns=["driver", "low", "high", "cost_low", "cost_high"])
    table["central"], table["swing"] = central, table["cost_high"] - table["cost_low"]
    return table.sort_values("swing", ascending=False, ignore_index=True, kind="stable")


def _ends(q: CostQuestion, device: Gpu, own: pd.Series) -> dict[str, tuple[str, float, float]]:
    """Return argument, low and high of each input that the user has not set."""
    given = {part.partition("=")[0].strip() for part in (q.operating or "").split(",")}
    found: dict[str, tuple[str, float, float]] = {}
    for name, (argument, key) in DRIVERS.items():
        if key in given or (name == "network share" and own["tier"] == "all-in"):
            continue
        ends = [_end(q, device, key, band) for band in ("low", "high")]
        if all(end is not None for end in ends):
            scale = 1e3 / 8 if key == "node_kw" else 1.0
            found[name] = (argument, ends[0] * scale, ends[1] * scale)  # type: ignore[operator]
    if not own["quoted"]:
        share = 0.0 if own["tier"] == "all-in" else q.assumptions.network_share
        size = own["gpus_per_node"] * (1 - share) / q.rate
        low, high = (own[f"capital_usd_gpu_{end}"] * size for end in ("low", "high"))
        found["server price"] = ("server_usd", low, high)
    return found


def _end(q: CostQuestion, device: Gpu, key: str, band: str) -> float | None:
    if key != "residual":
        return operating_value(key, device.id, band)
    ages = [operating_value(f"residual_{year}y", band=band) for year in range(7)]
    return float(np.interp(q.horizon_months / 12, range(7), [a or 0.0 for a in ages]))
