"""Classes of scientific computing and the GPUs that run them: from tables to formulas."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from gpuspec.base.units import Floats, Number
from gpuspec.catalog import load_table, resolve
from gpuspec.catalog.records import Record, Texts, record_from

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


class Workload(Record):
    """A class of computations; columns as in ``data/workloads.csv``."""

    id: str
    name: str
    kind: Literal["kernel", "application"]
    family: str
    unit: str
    flops_per_unit: float
    bytes_per_unit: float
    memory_bytes_per_unit: float
    share_fp64: float
    share_fp64_tensor: float
    share_fp32: float
    share_tf32: float
    share_fp16: float
    share_int32: float
    l2_reuse: float
    dimensions: int
    halo_bytes: float
    transpose_bytes: float
    reduces: int
    cpu_share: float
    power_share: float
    typical_units: float
    precision: str
    host_bytes_per_unit: float = 0.0
    """Not a column: what an application moves to and from its host is asked for."""
    aliases: Texts = ()
    confidence: Literal["high", "medium", "low"]

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


def workloads(data: str | Path | None = None) -> pd.DataFrame:
    """Return all classes, indexed by id; columns as in ``data/workloads.csv``."""
    return load_table("workloads", data).set_index("id")


def workload(name: str, data: str | Path | None = None) -> Workload:
    """Find a class by id, name or alias, such as ``"HPCG"``, ``"GROMACS"`` or ``"FFT"``.

    Raises
    ------
    UnknownNameError
        When no class has that name; lists close matches.
    """
    frame = load_table("workloads", data)
    row = frame[frame["id"] == resolve(name, frame, "workload")]
    return record_from(Workload, row.to_dict("records")[0])
