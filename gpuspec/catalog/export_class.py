"""Export class of a GPU from its parts: performance, its density, and rates, by the day of a rule.

What it takes to deliver a GPU somewhere is another question: ``data/export_controls.csv``. This one
says why a GPU is named there, and what a GPU is that nobody has named.
"""

from datetime import date
from typing import NamedTuple

from gpuspec.catalog import table_rows
from gpuspec.catalog.records import Gpu

NUMBERS = {"fp64_tflops": 64, "fp64_tensor_tflops": 64, "fp32_tflops": 32, "int8_dense_tops": 8}
NUMBERS |= {"fp16_dense_tflops": 16, "bf16_dense_tflops": 16}
NUMBERS |= {"fp8_dense_tflops": 8, "fp4_dense_tflops": 4}
"""Bits of an operand of each dense rate of the catalogue."""
BOUNDS = {"tpp": "", "density": "", "io": "_gb_s", "memory": "_gb_s", "sum": "_gb_s"}
"""What a row of ``data/export_thresholds.csv`` bounds, and the unit in the names of its columns."""


class ExportClass(NamedTuple):
    """The classes of a GPU on a day, and what they follow from."""

    classes: tuple[str, ...]
    """Such as ``3A090.a``; the strictest first. Empty where no row holds."""
    unsure: tuple[str, ...]
    """Classes that it has or has not, by an area of its chip that the table lacks."""
    tpp: float
    """Total processing performance."""
    density: float
    """TPP over the area of the chip in mm²; NaN where the area is not known."""
    licence: bool | None = False
    """Whether one of the classes asks for a licence; None where that depends on what is unsure."""


def total_processing_performance(device: Gpu) -> float:
    """Return the largest product of TOPS and bits over the formats of a GPU.

    A multiply-accumulate is two operations; rates are those of dense matrices.

    References
    ----------
    15 CFR 774, supplement 1, ECCN 3A090, technical note 1: TPP is 2 x MacTOPS x bits.

    >>> from gpuspec.catalog import gpu
    >>> total_processing_performance(gpu("A100")), total_processing_performance(gpu("H100"))
    (4992.0, 15831.2)
    """
    return max((getattr(device, name) or 0.0) * bits for name, bits in NUMBERS.items())


def performance_density(device: Gpu) -> float:
    """Return TPP over the area of the chip, a mm²; NaN where ``data/dies.csv`` lacks the chip.

    References
    ----------
    15 CFR 774, supplement 1, ECCN 3A090, technical note 2: TPP over the applicable die area, that
    of the logic made with transistors that are not planar.

    >>> from gpuspec.catalog import gpu
    >>> round(performance_density(gpu("H20")), 2)
    2.91
    """
    area = {row["chip"]: float(row["die_mm2"]) for row in table_rows("dies")}
    return total_processing_performance(device) / area.get(device.chip or "", float("nan"))


def export_class(device: Gpu, day: date, region: str = "") -> ExportClass:
    """Return the classes that a GPU has on a day, by ``data/export_thresholds.csv``.

    With a region, those that ask for something there. The GPU is taken to be made or sold for data
    centres; what is not has notes of its own in 3A090. Rates in and out are those of NVLink (or its
    like) and PCIe, both ways.

    References
    ----------
    15 CFR 774, supplement 1, ECCN 3A090, as of 87 FR 62186 (2022) and 88 FR 73458 (2023); letters
    of April 2025.
    """
    density = performance_density(device)
    rate = (device.nvlink_gb_s or 0.0) + (device.pcie_gb_s or 0.0)
    memory = device.memory_bandwidth_gb_s
    tpp = total_processing_performance(device)
    values = {"tpp": tpp, "density": density, "io": rate, "memory": memory, "sum": rate + memory}
    sure: list[str] = []
    open_: list[str] = []
    licence: list[bool] = []
    for row in table_rows("export-thresholds"):
        if row["as_of"] > day.isoformat() or (row["until"] or "9999") < day.isoformat():
            continue
        if region and region not in row["regions"].split("|"):
            continue
        kept = [_within(row, name, unit, values[name]) for name, unit in BOUNDS.items()]
        if None in kept and False not in kept:
            open_.append(row["class"])
        elif all(kept):
            sure.append(row["class"])
        licence += [all(kept)] if row["effect"] == "licence" and False not in kept else []
    found = set(sure) - {"3A090.b"} if "3A090.a" in sure else set(sure)  # .b: what is not in .a
    classes = tuple(name for name in dict.fromkeys(sure) if name in found)
    left = set(open_) - set(sure) - ({"3A090.b"} if "3A090.a" in sure else set())
    asked = any(licence) or (None if licence else False)
    return ExportClass(classes, tuple(sorted(left)), tpp, density, asked)


def _within(row: dict[str, object], name: str, unit: str, value: float) -> bool | None:
    """Return whether a value lies within the bounds of a row; None where it is not known."""
    low, below = row.get(f"{name}_from{unit}"), row.get(f"{name}_below{unit}")
    if low is None and below is None:
        return True
    if value != value:
        return None
    return (low is None or value >= float(str(low))) and (
        below is None or value < float(str(below))
    )
