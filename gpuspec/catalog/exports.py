"""Export rules: what a GPU needs to be delivered into a region, on a day."""

from datetime import date
from typing import Any, NamedTuple

from gpuspec.catalog import table_rows
from gpuspec.catalog.export_class import total_processing_performance
from gpuspec.catalog.records import Gpu

FREE = "none"
"""No rule of the table is of this GPU and region."""


class Status(NamedTuple):
    """What a rule asks, and since when."""

    status: str
    """``denial`` (a licence, presumed denied), ``case-by-case``, ``licence`` or `FREE`."""
    since: date | None = None


def export_status(device: Gpu, region: str, day: date) -> Status:
    """Return the newest rule up to a day that is of a GPU and a region."""
    found = Status(FREE)
    for row in ruling(region, day):
        if _applies(row, device):
            found = Status(str(row["status"]), date.fromisoformat(row["as_of"]))
    return found


def ruling(region: str, day: date) -> list[dict[str, Any]]:
    """Return the rules of a region up to a day, the oldest first; empty for a region without."""
    rows = [row for row in table_rows("export-controls") if row["status"]]
    mine = [row for row in rows if region in row["regions"].split("|")]
    return sorted((r for r in mine if r["as_of"] <= day.isoformat()), key=lambda r: r["as_of"])


def last_seen() -> date:
    """Return the day of the newest row of the table."""
    return date.fromisoformat(max(row["as_of"] for row in table_rows("export-controls")))


def _applies(row: dict[str, Any], device: Gpu) -> bool:
    if row["gpu_ids"]:
        return device.id in row["gpu_ids"].split("|")
    performance = total_processing_performance(device)
    bandwidth = row["bandwidth_below_gb_s"]
    return (
        performance >= row["tpp_from"]
        and (row["tpp_below"] is None or performance < row["tpp_below"])
        and (bandwidth is None or device.memory_bandwidth_gb_s < bandwidth)
    )
