"""One validated, frozen record for a row of each table, with its quantities in SI units."""

from typing import Annotated, Literal

from gpuspec.base.errors import InputError
from gpuspec.base.units import GB, MIB
from gpuspec.catalog.columns import (
    Amount,
    Confidence,
    Count,
    Figure,
    Flag,
    GbS,
    Gigabytes,
    Integers,
    Matching,
    Named,
    Positive,
    Record,
    Texts,
    column,
)

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
Slug = Annotated[str, Matching(r"[a-z0-9]+(-[a-z0-9.]+)*")]
Megahertz = Annotated[float, Figure(unit="MHz")]
Tflops = Annotated[float, Figure(unit="TFLOP/s")]
Kilowatts = Annotated[float, Figure(unit="kW")]
_DENSE = "Dense peak of the matrix units; empty: no such unit"


class Gpu(Named):
    """A GPU variant; columns as in ``data/gpus.csv``, quantities in SI units as properties."""

    id: Slug = column("Canonical id: family-form-memory")
    name: str = column("Full product name", unique=True)
    vendor: str = column("Maker of the GPU")
    architecture: str = column("Family name of the architecture, such as Hopper")
    chip: str = column("Die or LLVM target name", "")
    compute_capability: str = column(
        "CUDA compute capability, such as 9.0; empty for other vendors", ""
    )
    year: Annotated[int, Figure(2000, 2100, unit="year")] | None = column(
        "Year in which it was announced or first sold", None
    )
    form_factor: Literal["sxm", "pcie", "nvl", "superchip", "oam"] = column(
        "How the GPU is built in; nvl is a PCIe card meant to be joined by NVLink bridges"
    )
    sm_count: Count | None = column(
        "Streaming multiprocessors that are switched on (compute units for AMD)", None
    )
    boost_clock_mhz: Megahertz | None = column("Clock of the FP32 and FP64 peaks", None)
    tensor_clock_mhz: Megahertz | None = column(
        "Clock of the Tensor peaks, lower than the boost clock on some parts", None
    )
    memory_label_gb: Gigabytes = column(
        "Capacity as the vendor labels it; never used for a fit test"
    )
    memory_reported_mib: Annotated[int, Figure(unit="MiB")] = column(
        "Capacity in MiB that the driver reports; see memory_basis"
    )
    memory_basis: Literal["reported", "assumed"] = column(
        "reported: a source printed the driver's figure; assumed: label times 1e9 bytes"
    )
    memory_type: str = column("HBM or GDDR generation", "")
    memory_bandwidth_gb_s: GbS = column("Peak bandwidth of device memory")
    l2_cache_mb: Annotated[float, Figure(unit="MB")] | None = column(
        "Last on-chip cache level that all cores share (no Infinity Cache)",
        None,
    )
    fp64_tflops: Tflops | None = column("Peak outside the Tensor Cores", None)
    fp64_tensor_tflops: Tflops | None = column(
        "Peak of the matrix units; empty: no such unit", None
    )
    fp32_tflops: Tflops | None = column("Peak outside the Tensor Cores", None)
    tf32_dense_tflops: Tflops | None = column(_DENSE, None)
    fp16_dense_tflops: Tflops | None = column(_DENSE, None)
    bf16_dense_tflops: Tflops | None = column(_DENSE, None)
    fp8_dense_tflops: Tflops | None = column(_DENSE, None)
    fp4_dense_tflops: Tflops | None = column(_DENSE, None)
    int8_dense_tops: Annotated[float, Figure(unit="TOP/s")] | None = column(
        "Dense peak of the matrix units; empty: unknown or no such unit, see unverified", None
    )
    sparsity_factor: Annotated[float, Figure(1)] | None = column(
        "Peak with 2:4 sparsity over dense peak for FP16, BF16, FP8 and INT8; 1: none",
        None,
    )
    nvlink_generation: Count | None = column("Empty where the GPU has no NVLink", None)
    nvlink_gb_s: GbS | None = column(
        "Both directions, all links of a GPU (NVLink, or Infinity Fabric for AMD); 0: none",
        None,
    )
    pcie_generation: Count | None = column("Generation of the host link", None)
    pcie_gb_s: GbS | None = column(
        "Both directions together, x16; empty where the host link is not PCIe", None
    )
    tdp_w: Annotated[float, Figure(unit="W")] = column(
        "Thermal design power; superchips include their CPU where the notes say so"
    )
    mig_max_instances: Annotated[int, Figure(0, 7)] | None = column(
        "Largest number of MIG instances; 0: no MIG", None
    )
    dpx: Flag | None = column("Dynamic-programming instructions in hardware", None)
    transformer_engine: Flag | None = column(
        "Hardware for FP8 training with per-layer scaling; false for other vendors' equivalents",
        None,
    )
    nvdec: Count | None = column("Number of NVDEC engines", None)
    nvjpeg: Count | None = column("Number of JPEG engines", None)
    confidential_computing: Flag | None = column("Trusted execution on the GPU", None)
    confidence: Confidence = column(
        "high: the vendor prints it; medium: relayed, or documents disagree; low: little support"
    )
    unverified: Texts = column(
        "Columns whose value, or empty cell, no source showed; separated by |",
        (),
    )

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


class Server(Named):
    """A server, baseboard or NVLink domain; columns as in ``data/servers.csv``."""

    id: Slug = column("Canonical id: family-gpu-count")
    name: str = column("Full name", unique=True)
    gpu_id: str = column("Id of the GPU in gpus")
    gpu_count: Positive = column("GPUs in one server, board, or NVLink domain")
    form: Literal["sxm", "pcie", "nvl", "superchip"] = column("How the GPUs are built in")
    topology: Literal[
        "nvswitch", "point-to-point", "nvlink-bridge", "pcie-switch", "nvl-domain"
    ] = column("What joins the GPUs")
    nvswitch_count: Count | None = column("NVSwitch chips; 0: none", None)
    nvlink_gb_s_per_gpu: GbS | None = column(
        "Both directions together, all links of a GPU; 0: none", None
    )
    nvlink_gb_s_per_pair: GbS | None = column(
        "Both directions together between two GPUs that are joined directly; only without a switch",
        None,
    )
    nvls: Flag = column("The switch reduces in the network (NCCL algorithm NVLS)")
    nic_count: Count | None = column("Network adapters for traffic between nodes", None)
    nic_gbit_s: Annotated[float, Figure(unit="Gbit/s")] | None = column(
        "Line rate of one adapter", None
    )
    node_network_gb_s: GbS | None = column("All adapters of a node together, one direction", None)
    max_system_kw: Kilowatts | None = column(
        "Largest input power that the vendor states for the whole system; not typical draw", None
    )
    gpu_tdp_total_kw: Kilowatts | None = column("Sum of the GPUs' design power", None)
    host_ram_gb: Gigabytes | None = column("Main memory of the host as sold", None)
    cpu: str = column("Host processors", "")
    pcie_generation: Count | None = column("Generation of the host link", None)
    rack_units: Annotated[float, Figure(unit="U")] | None = column("Height in a rack", None)
    nvlink_island_gpus: Positive = column("How many GPUs share one NVLink island; 1: none")
    confidence: Confidence = column(
        "high: the vendor prints it; medium: relayed, or documents disagree; low: little support"
    )

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


class Link(Named):
    """A link technology; columns as in ``data/links.csv``, rates in one direction."""

    id: Slug = column("Canonical id: technology-generation")
    name: str = column("Full name", unique=True)
    kind: Literal["scale-up", "host", "scale-out", "cpu-gpu"] = column(
        "Joins GPUs in a node (scale-up), GPU and host, nodes (scale-out), coherent CPU and GPU"
    )
    generation: str = column("Generation or rate class", "")
    gb_s_per_link: GbS | None = column("Payload line rate of one link, one direction", None)
    links_per_gpu: Amount | None = column(
        "Links of one GPU; may be a fraction where a node shares them; empty: up to the builder",
        None,
    )
    gb_s_per_gpu: GbS = column(
        "All links of a GPU, one direction; of adapters without a fixed number, one adapter"
    )
    nccl_gb_s_per_link: GbS | None = column("What NCCL's topology model counts for one link", None)
    latency_us_low: Annotated[float, Figure(unit="us")] | None = column(
        "Per hop, small-message protocol", None
    )
    latency_us_high: Annotated[float, Figure(unit="us")] | None = column(
        "Per hop, large-message protocol", None
    )
    measured: str = column("Published measurements on this link", "")
    confidence: Confidence = column(
        "high: the vendor prints it; medium: relayed, or documents disagree; low: little support"
    )

    @property
    def bytes_s(self) -> float:
        """Line rate of all links of a GPU in one direction."""
        return self.gb_s_per_gpu * GB


class MigProfile(Record):
    """A MIG profile of a GPU; columns as in ``data/mig_profiles.csv``."""

    gpu_id: str = column("Id of the GPU in gpus")
    profile: Annotated[str, Matching(r"[1-7]g\.[0-9]+gb(\+me)?")] = column(
        "Name that nvidia-smi mig -lgip prints"
    )
    media_engine: Flag = column("Profile with the media extensions (+me)")
    profile_id: Count | None = column("Id that nvidia-smi mig -lgip prints", None)
    compute_slices: Annotated[int, Figure(1, 7)] = column(
        "Compute slices that an instance takes (of 7; of 4 on RTX PRO 6000)"
    )
    memory_slices: Annotated[int, Figure(1, 8)] = column(
        "Memory slices that an instance takes (of 8; of 4 on RTX PRO 6000)"
    )
    memory_label_gb: Gigabytes = column("Memory in the profile's name; never used for a fit test")
    memory_reported_gib: Annotated[float, Figure(unit="GiB")] | None = column(
        "Memory that nvidia-smi mig -lgip prints", None
    )
    sm_count: Count | None = column(
        "Streaming multiprocessors that nvidia-smi mig -lgip prints", None
    )
    copy_engines: Count | None = column("Copy engines of an instance", None)
    nvdec: Count | None = column("NVDEC engines of an instance", None)
    nvjpeg: Count | None = column("JPEG engines of an instance", None)
    ofa: Count | None = column("Optical flow engines of an instance", None)
    max_instances: Annotated[int, Figure(1, 7)] = column(
        "Largest number of instances of this profile on one GPU"
    )
    placement_starts: Integers = column(
        "Memory slices at which an instance may start, separated by |; empty: no source", ()
    )
    placement_size: Annotated[int, Figure(1, 8)] | None = column(
        "Memory slices that a placement covers; empty: no source", None
    )
