"""Published prices over time, and how wrong an earlier one is about a later one."""

from datetime import date

import pandas as pd

from gpuspec.catalog import load_table
from gpuspec.topics.cost.prices import back_test, error_summary

SERIES = (
    "SemiAnalysis H100 1-yr contract survey index",
    "RunPod Secure H100 SXM list",
    "Lambda H100 SXM list",
    "Nebius H100 list",
    "Nebius H200 list",
    "RunPod Secure A100 SXM list",
    "AWS p5.48xlarge",
    "AWS p4de.24xlarge",
)
"""Series that the picture shows: of the same product, at least one in each year from 2025."""
SINCE = "2024-07-01"


def trend_table(until: date, series: tuple[str, ...] = SERIES, since: str = SINCE) -> pd.DataFrame:
    """Return the points of the given series up to a day: gpu_id, series, date, price, mode."""
    trend = load_table("prices-trend")
    inside = (trend["as_of"] >= since) & (trend["as_of"] <= until.isoformat())
    keep = trend["used"] & trend["series"].isin(series) & inside
    table = trend[keep].assign(date=pd.to_datetime(trend["as_of"]))
    table["order"] = table["series"].map({name: i for i, name in enumerate(series)})
    table = table.sort_values(["order", "date"], ignore_index=True)
    return table[["gpu_id", "series", "date", "price_gpu_hour", "mode"]]


def trend_change(table: pd.DataFrame, since: str = "2025-10-01") -> pd.DataFrame:
    """Return first and last price of each series since a day, and the change."""
    recent = table[table["date"] >= since]
    ends = recent.groupby("series", sort=False).agg(
        gpu_id=("gpu_id", "first"),
        first_date=("date", "first"),
        first=("price_gpu_hour", "first"),
        last_date=("date", "last"),
        last=("price_gpu_hour", "last"),
    )
    ends["change"] = ends["last"] / ends["first"] - 1
    return ends[ends["first_date"] < ends["last_date"]].reset_index()


def backtest_table(until: date) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return the back-test of rents, May and June 2026 for October and November, and its errors.

    Points after `until` are not used. Series that did not move stand in one last row, with their
    number and the worst error of carrying them all the same.
    """
    errors = back_test(until)
    summary, still = error_summary(errors), errors["error"].abs() < 0.005
    table = errors[~still]
    if still.any():
        names = f"{still.sum()} more, all without a change"
        row = {"series": [names], "error": [0.0]}
        row["error_carried"] = [errors.loc[still, "error_carried"].abs().max()]
        table = pd.concat([table, pd.DataFrame(row)])
    return table.reset_index(drop=True), summary | {"still": float(still.sum())}
