"""Export rules: what a GPU needs to be delivered into a region, on a day."""

from datetime import date
from typing import Any, NamedTuple

from gpuspec.catalog import table_rows
from gpuspec.catalog.records import Gpu

BITS = {"bf16_dense_tflops": 16, "fp16_dense_tflops": 16, "fp8_dense_tflops": 8}
BITS |= {"int8_dense_tops": 8, "fp4_dense_tflops": 4}
FREE = "none"
"""No rule of the table is of this GPU and region."""


class Status(NamedTuple):
    """What a rule asks, and since when."""

    status: str
    """``denial`` (a licence, presumed denied), ``case-by-case``, ``licence`` or `FREE`."""
    since: date | None = None


def total_processing_performance(device: Gpu) -> float:
    """Return the largest product of dense TOPS and bits of all number formats.

    Reference: 15 CFR 774, supplement 1, technical notes to 3A090: a multiply-accumulate counts as
    two operations, sparsity does not count.

    >>> from gpuspec.catalog import gpu
    >>> total_processing_performance(gpu("A100")), total_processing_performance(gpu("H200"))
    (4992.0, 15831.2)
    """
    return max((getattr(device, name) or 0.0) * bits for name, bits in BITS.items())


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
