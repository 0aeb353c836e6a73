"""One validated, frozen record for a row of each table, with its quantities in SI units."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict

from gpuspec.base.errors import InputError
from gpuspec.base.units import GB, GIB, MIB

TERA = 1e12
PRECISIONS = {
    "fp64": "fp64_tflops",
    "fp64_tensor": "fp64_tensor_tflops",
    "fp32": "fp32_tflops",
    "tf32": "tf32_dense_tflops",
    "fp16": "fp16_dense_tflops",
    "bf16": "bf16_dense_tflops",
    "fp8": "fp8_dense_tflops",
    "fp4": "fp4_dense_tflops",
    "int8": "int8_dense_tops",
}
"""Precision as a person writes it, and the column with its dense peak."""


def _split(value: object) -> object:
    return tuple(filter(None, value.split("|"))) if isinstance(value, str) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(_split)]
Integers = Annotated[tuple[int, ...], BeforeValidator(_split)]


class Record(BaseModel):
    """What every row of the catalogue has: where it comes from and what to know about it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: Texts
    source_seen: date
    notes: str = ""


R = TypeVar("R", bound=Record)


class Gpu(Record):
    """A GPU variant; columns as in ``data/gpus.csv``, quantities in SI units as properties."""

    id: str
    name: str
    vendor: str
    architecture: str
    chip: str = ""
    compute_capability: str = ""
    year: int | None = None
    form_factor: Literal["sxm", "pcie", "nvl", "superchip", "oam"]
    sm_count: int | None = None
    boost_clock_mhz: float | None = None
    tensor_clock_mhz: float | None = None
    memory_label_gb: float
    memory_reported_mib: int
    memory_basis: Literal["reported", "assumed"]
    memory_type: str = ""
    memory_bandwidth_gb_s: float
    l2_cache_mb: float | None = None
    fp64_tflops: float | None = None
    fp64_tensor_tflops: float | None = None
    fp32_tflops: float | None = None
    tf32_dense_tflops: float | None = None
    fp16_dense_tflops: float | None = None
    bf16_dense_tflops: float | None = None
    fp8_dense_tflops: float | None = None
    fp4_dense_tflops: float | None = None
    int8_dense_tops: float | None = None
    sparsity_factor: float | None = None
    nvlink_generation: int | None = None
    nvlink_gb_s: float | None = None
    pcie_generation: int | None = None
    pcie_gb_s: float | None = None
    tdp_w: float
    mig_max_instances: int | None = None
    dpx: bool | None = None
    transformer_engine: bool | None = None
    nvdec: int | None = None
    nvjpeg: int | None = None
    confidential_computing: bool | None = None
    aliases: Texts = ()
    confidence: Literal["high", "medium", "low"]
    unverified: Texts = ()

    @property
    def memory_bytes(self) -> int:
        """Device memory as the driver reports it."""
        return self.memory_reported_mib * MIB

    @property
    def bandwidth_bytes_s(self) -> float:
        """Peak bandwidth of device memory."""
        return self.memory_bandwidth_gb_s * GB

    @property
    def nvlink_bytes_s(self) -> float:
        """Scale-up bandwidth in one direction, all links together; 0 where there is none."""
        return (self.nvlink_gb_s or 0.0) * GB / 2

    @property
    def pcie_bytes_s(self) -> float:
        """PCIe bandwidth in one direction; 0 where the host link is not PCIe or is unknown."""
        return (self.pcie_gb_s or 0.0) * GB / 2

    @property
    def precisions(self) -> tuple[str, ...]:
        """Precisions for which the table holds a dense peak."""
        return tuple(p for p, column in PRECISIONS.items() if getattr(self, column))

    def peak_flops(self, precision: str) -> float:
        """Return the dense peak in FLOP/s (operations/s for int8).

        Raises
        ------
        InputError
            When the GPU has no such unit, or its rate is unknown; lists what it supports.

        >>> from gpuspec.catalog import gpu
        >>> gpu("H100").peak_flops("bf16")
        989400000000000.0
        """
        known = precision.lower().replace("-", "_")
        if known not in self.precisions:
            listed = ", ".join(self.precisions) or "no precision whose rate is in the table"
            raise InputError("precision", precision, f"{self.name} supports {listed}")
        rate: float = getattr(self, PRECISIONS[known])
        return rate * TERA


class Server(Record):
    """A server, baseboard or NVLink domain; columns as in ``data/servers.csv``."""

    id: str
    name: str
    gpu_id: str
    gpu_count: int
    form: Literal["sxm", "pcie", "nvl", "superchip"]
    topology: Literal["nvswitch", "point-to-point", "nvlink-bridge", "pcie-switch", "nvl-domain"]
    nvswitch_count: int | None = None
    nvlink_gb_s_per_gpu: float | None = None
    nvlink_gb_s_per_pair: float | None = None
    nvls: bool
    nic_count: int | None = None
    nic_gbit_s: float | None = None
    node_network_gb_s: float | None = None
    max_system_kw: float | None = None
    gpu_tdp_total_kw: float | None = None
    host_ram_gb: float | None = None
    cpu: str = ""
    pcie_generation: int | None = None
    rack_units: float | None = None
    nvlink_island_gpus: int
    aliases: Texts = ()
    confidence: Literal["high", "medium", "low"]

    @property
    def nvlink_bytes_s(self) -> float:
        """NVLink bandwidth of one GPU in one direction; 0 where there is none."""
        return (self.nvlink_gb_s_per_gpu or 0.0) * GB / 2

    @property
    def pair_bytes_s(self) -> float:
        """Bandwidth between two GPUs of an island in one direction."""
        pair = self.nvlink_gb_s_per_pair
        return self.nvlink_bytes_s if pair is None else pair * GB / 2

    @property
    def network_bytes_s(self) -> float | None:
        """Bandwidth of a node to other nodes in one direction; None where it is unknown."""
        return None if self.node_network_gb_s is None else self.node_network_gb_s * GB


class Link(Record):
    """A link technology; columns as in ``data/links.csv``, rates in one direction."""

    id: str
    name: str
    kind: Literal["scale-up", "host", "scale-out", "cpu-gpu"]
    generation: str = ""
    gb_s_per_link: float | None = None
    links_per_gpu: float | None = None
    gb_s_per_gpu: float
    nccl_gb_s_per_link: float | None = None
    latency_us_low: float | None = None
    latency_us_high: float | None = None
    measured: str = ""
    aliases: Texts = ()
    confidence: Literal["high", "medium", "low"]

    @property
    def bytes_s(self) -> float:
        """Line rate of all links of a GPU in one direction."""
        return self.gb_s_per_gpu * GB


class MigProfile(Record):
    """A MIG profile of a GPU; columns as in ``data/mig_profiles.csv``."""

    gpu_id: str
    profile: str
    media_engine: bool
    profile_id: int | None = None
    compute_slices: int
    memory_slices: int
    memory_label_gb: float
    memory_reported_gib: float | None = None
    sm_count: int | None = None
    copy_engines: int | None = None
    nvdec: int | None = None
    nvjpeg: int | None = None
    ofa: int | None = None
    max_instances: int
    placement_starts: Integers = ()
    placement_size: int | None = None

    @property
    def memory_bytes(self) -> float:
        """Memory of an instance as reported; the label in decimal bytes where it is unknown."""
        if self.memory_reported_gib is None:
            return self.memory_label_gb * GB
        return self.memory_reported_gib * GIB


def record_from(kind: type[R], row: Mapping[Any, Any]) -> R:
    """Make a record of a table row, with None for unknown cells."""
    return kind.model_validate({c: None if v != v else v for c, v in row.items()})
