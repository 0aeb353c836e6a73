"""Classes of scientific computing and the GPUs that run them: from tables to formulas."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from gpuspec.base.units import Floats, Number
from gpuspec.catalog import find, load_table
from gpuspec.catalog.columns import Amount, Confidence, Count, Figure, Named, Share, column

if TYPE_CHECKING:
    import pandas as pd

REFERENCE = "a100-sxm-80"
"""GPU beside which shares of fixed time are stated."""


UNITS = ("fp64", "fp64_tensor", "fp32", "tf32", "fp16", "int32")
"""Units that operations may run on: vector units, Tensor Cores, integer units."""


@dataclass(frozen=True)
class Work:
    """One unit of work: operations, where they run, and the bytes they move."""

    operations: Number
    shares: Floats
    """Share of the operations on each of `UNITS`; adds up to 1."""
    memory_bytes: Number
    """Across the bus of the device memory."""
    l2_reuse: Number = 0.0
    """Bytes from L2 beside them, as a share of all."""
    host_bytes: Number = 0.0
    """To and from the host, across its link."""

    @property
    def intensity(self) -> Floats:
        """Operations for each byte of device memory."""
        return np.asarray(self.operations / np.maximum(self.memory_bytes, 1e-12))


@dataclass(frozen=True)
class Exchange:
    """What a GPU hands to the others in one step."""

    dimensions: int = 3
    """Of the domain that is cut over the GPUs; 0: no surface is exchanged."""
    halo_bytes: float = 0.0
    """Bytes of each unit at the surface of a GPU's part."""
    transpose_bytes: float = 0.0
    """Bytes of each unit that an all-to-all moves."""
    reduces: float = 0.0
    """Small all-reduces."""


class Workload(Named):
    """A class of computations; columns as in ``data/workloads.csv``."""

    id: str = column("Identifier")
    name: str = column("As a reader calls it")
    kind: Literal["kernel", "application"] = column(
        "kernel: one operation with a known count; application: a whole program"
    )
    family: str = column("Classes whose fitted constants are drawn to each other")
    unit: str = column("What the counts below are for")
    flops_per_unit: Amount = column(
        "Floating-point (integer where share_int32 says so) operations of a unit"
    )
    bytes_per_unit: Amount = column("Bytes of a unit that cross the memory bus")
    memory_bytes_per_unit: Amount = column("Bytes of device memory that a unit occupies")
    share_fp64: Share = column("Share of the operations on the FP64 vector units")
    share_fp64_tensor: Share = column("Share of the operations on the FP64 Tensor Cores")
    share_fp32: Share = column("Share of the operations on the FP32 vector units")
    share_tf32: Share = column("Share of the operations on the TF32 Tensor Cores")
    share_fp16: Share = column("Share of the operations on the 16-bit Tensor Cores")
    share_int32: Share = column(
        "Share of the operations on the integer units (64 operations a clock and SM)"
    )
    l2_reuse: Annotated[float, Figure(0, 0.99)] = column(
        "Bytes that L2 delivers beside those of HBM, as a share of all"
    )
    dimensions: Annotated[int, Figure(0, 3)] = column(
        "Of the domain that is cut over GPUs: 3 or 2; 0 where no surface is exchanged"
    )
    halo_bytes: Amount = column(
        "Bytes of each unit at the surface of a GPU's part that go to a neighbour each step"
    )
    transpose_bytes: Amount = column("Bytes of each unit that an all-to-all moves each step")
    reduces: Count = column("Small all-reduces (64 bytes) of a step")
    cpu_share: Annotated[float, Figure(0, 0.95)] = column(
        "Share of the time on one A100 that more SMs do not shorten: host, launches, files"
    )
    chain_share: Share = column(
        "Share of that time which is a chain of small kernels, shorter the higher the GPU clocks"
    )
    power_share: Share = column("Share of its power limit that a GPU draws")
    typical_units: Amount = column("Units of work on one GPU in a usual run")
    precision: str = column("In which the counts are given")
    host_bytes_per_unit: float = 0.0
    """Not a column: what an application moves to and from its host is asked for."""
    confidence: Confidence = column(
        "high: the counts follow from the definition; medium, low: estimated from the source"
    )

    @property
    def shares(self) -> Floats:
        """Share of the operations on each of `UNITS`."""
        return np.array([getattr(self, f"share_{unit}") for unit in UNITS])

    @property
    def work(self) -> Work:
        """One unit of work."""
        return Work(
            self.flops_per_unit,
            self.shares,
            self.bytes_per_unit,
            self.l2_reuse,
            self.host_bytes_per_unit,
        )

    @property
    def exchange(self) -> Exchange:
        """What a step hands to other GPUs."""
        return Exchange(self.dimensions, self.halo_bytes, self.transpose_bytes, self.reduces)

    @property
    def intensity(self) -> float:
        """Operations for each byte of device memory."""
        return float(self.work.intensity)


def workloads(data: str | Path | None = None) -> "pd.DataFrame":
    """Return all classes, indexed by id; columns as in ``data/workloads.csv``."""
    return load_table("workloads", data).set_index("id")


def workload(name: str, data: str | Path | None = None) -> Workload:
    """Find a class by id, name or alias, such as ``"HPCG"``, ``"GROMACS"`` or ``"FFT"``.

    Raises
    ------
    UnknownNameError
        When no class has that name; lists close matches.
    """
    return find("workloads", Workload, name, data)
