"""Export rules: what a GPU needs to be delivered into a region, on a day."""

from datetime import date
from typing import Any, NamedTuple

from gpuspec.catalog import table_rows
from gpuspec.catalog.export_class import (
    ExportClass,
    export_class,
    total_processing_performance,
)
from gpuspec.catalog.records import Gpu

FREE = "none"
"""No rule of the table is of this GPU and region."""
GUIDANCE = "guidance"
"""Nothing is exported, but its use is ruled."""
CHINESE = ("Huawei",)
"""Makers whose parts are not delivered from the US: rules by performance are of others."""


class Status(NamedTuple):
    """What a rule asks, and since when."""

    status: str
    """``denial`` (a licence, presumed denied), ``case-by-case``, ``licence``, `GUIDANCE` or
    `FREE`."""
    since: date | None = None


class Standing(NamedTuple):
    """What the rules by date ask for a GPU in a region, and what its parts say beside them."""

    status: Status
    parts: ExportClass
    agree: bool | None
    """Whether both ask for a licence, or neither; None of guidance or where it is open."""


def standing(device: Gpu, region: str, day: date) -> Standing:
    """Return what holds for a GPU in a region on a day, by the rules and by its parts."""
    status, parts = export_status(device, region, day), export_class(device, day, region)
    asked = parts.licence
    agree = None if asked is None else asked == (status.status != FREE)
    agree = None if status.status == GUIDANCE else agree
    return Standing(status, parts, agree)


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


def rules_all(region: str, day: date) -> bool:
    """Return whether a rule of a region is of GPUs by their performance, whatever their name."""
    return any(not row["gpu_ids"] for row in ruling(region, day))


def last_seen() -> date:
    """Return the day of the newest row of the table."""
    return date.fromisoformat(max(row["as_of"] for row in table_rows("export-controls")))


def _applies(row: dict[str, Any], device: Gpu) -> bool:
    if row["gpu_ids"]:
        return device.id in row["gpu_ids"].split("|")
    if device.vendor in CHINESE:
        return False
    performance = total_processing_performance(device)
    bandwidth = row["bandwidth_below_gb_s"]
    return (
        performance >= row["tpp_from"]
        and (row["tpp_below"] is None or performance < row["tpp_below"])
        and (bandwidth is None or device.memory_bandwidth_gb_s < bandwidth)
    )
