"""From rows of the catalogue to what the formulas take: a class of work, a GPU, a host link."""

import re
from collections.abc import Sequence
from functools import cache

import numpy as np

from gpuspec.base.errors import InputError
from gpuspec.base.units import GB
from gpuspec.catalog import Gpu
from gpuspec.catalog.workloads import UNITS, Work, Workload
from gpuspec.formulas.hpc.dynamic import Chip
from gpuspec.formulas.hpc.machine import Machine

INTEGER_LANES = 64
"""Integer operations of an SM in a clock, Volta to Hopper: CUDA C++ Programming Guide,
arithmetic instructions."""
L2_BYTES_CLOCK = {"GV100": 19.0, "AD102": 15.0, "GB202": 15.0}
"""Bytes that L2 delivers to an SM in a clock; `L2_USUAL` elsewhere. Volta: NVIDIA's statement
that A100 has 2.3 times the bandwidth of V100; Ada: 1,946 bytes a clock measured on 128 SMs
(github.com/smallscientist1/cuda_microbenchmark), 5.2 TB/s on the 142 of an L40 (gpu-benches);
GB202 is built like it, not measured."""
L2_USUAL = 36.0
"""5.3 TB/s on A100, 6.9 on H100 PCIe, 10.0 on H200 were measured (gpu-benches,
``data/measurements/hpc.csv``)."""
PICOJOULES = {
    "Ampere": {"fp64_tensor": 18.0, "fp16": 1.1},
    "Hopper": {"fp64_tensor": 14.5, "fp16": 0.84},
    "Ada": {"fp16": 0.84},
    "Blackwell": {"fp64_tensor": 14.5, "fp16": 0.55},
}
"""Of one operation of a Tensor Core at the highest clock, by architecture: what HPL and the
largest matrix products reach of the peak at the power limits of the SXM modules and PCIe cards
(``data/measurements/hpc.csv``). TF32 takes twice FP16. No measurement shows vector units there."""
SUPERCHIP_W = {"Hopper": 700.0}
"""Of the GPU on a superchip, whose limit counts processor and memory too: that of the module."""
HOST_SHARE = {"pcie": 0.87, "c2c": 0.82}
"""Share of a host link that copies in one direction reach: 55.4 of 64 GB/s over PCIe 5 (H200,
nvbandwidth) and 359 to 377 of 450 over NVLink-C2C (``data/links.csv``)."""
C2C_GB_S = {"Hopper": 450.0}
"""NVLink-C2C of one GPU in one direction; the two of a Grace Blackwell share one processor's."""
C2C_USUAL = 225.0
INSTEAD = {"fp64_tensor": "fp64", "tf32": "fp32", "fp16": "fp32"}
"""What computes where a GPU has no such unit."""
SIZES = {"fp64": 8.0, "fp32": 4.0, "fp16": 2.0}


@cache
def _at(key: Workload, precision: str) -> Work:
    arithmetic, _, stored = precision.partition("/")
    base = "fp32" if key.shares[2] > key.shares[0] + key.shares[1] else "fp64"
    base = "fp16" if key.share_fp16 > 0.5 else base
    shares, operations, moved = key.shares, key.flops_per_unit, key.bytes_per_unit
    if arithmetic == "fp8" and base == "fp16":
        return Work(operations / 2, shares, moved / 2, key.l2_reuse)
    if arithmetic not in SIZES or (arithmetic == base and not stored):
        return key.work
    if arithmetic != base and base != "fp16" and arithmetic != "fp16":
        whole = shares[:3].sum()
        shares = np.array([0.0, 0.0, 0.0, *shares[3:]])
        shares[UNITS.index(arithmetic)] = whole
    size = SIZES.get(stored[:4] if stored else arithmetic, SIZES[arithmetic])
    extra = CONVERSIONS if stored == "fp16c" else 0.0
    total = operations + extra
    shares = shares * operations / total
    shares[UNITS.index("int32")] += extra / total
    return Work(total, shares, moved * size / SIZES[base], key.l2_reuse)


CONVERSIONS = 800.0
"""Integer operations that a lattice update spends on a packed format of its own (FP16C): 21 for
each of 38 conversions."""


def work_at(workload: Workload, precision: str) -> Work:
    """Return a unit of work in another precision: ``fp32``, ``fp64`` or ``fp32/fp16s``.

    A second part says how values are stored. Words that name no precision change nothing.
    """
    return _at(workload, re.sub(r"\s", "", precision.lower()))


def machine(gpu: Gpu | Sequence[Gpu]) -> Machine:
    """Return what the catalogue says of a GPU, or of many as arrays.

    Raises
    ------
    InputError
        Where the table lacks a rate that the model needs, or the GPU is not NVIDIA's.
    """
    if not isinstance(gpu, Gpu):
        each = [machine(g) for g in gpu]
        fields = Machine.__dataclass_fields__
        return Machine(**{n: np.stack([getattr(m, n) for m in each]) for n in fields})
    if gpu.vendor != "NVIDIA":
        valid = "constants are fitted to NVIDIA GPUs: choose from A100, H100, H200 and their kin"
        raise InputError("gpu", gpu.id, valid)
    clock = (gpu.boost_clock_mhz or gpu.tensor_clock_mhz or 0.0) * 1e6
    lanes = (gpu.sm_count or 0) * clock
    if not lanes or not gpu.fp32_tflops or not gpu.fp64_tflops:
        raise InputError("gpu", gpu.id, "the table lacks its clock, SMs or FP64 rate")
    rates = {unit: _rate(gpu, unit) for unit in UNITS[:-1]} | {"int32": INTEGER_LANES * lanes}
    joules = PICOJOULES.get(gpu.architecture, {})
    joules = {**joules, "tf32": 2 * joules.get("fp16", 0.0)}
    return Machine(
        rates=np.array([rates[unit] for unit in UNITS]),
        bandwidth_bytes_s=np.asarray(gpu.bandwidth_bytes_s),
        l2_bytes_s=np.asarray(L2_BYTES_CLOCK.get(gpu.chip, L2_USUAL) * lanes),
        power_w=np.asarray(gpu.tdp_w),
        chip_w=np.asarray(chip_power_w(gpu)),
        joules=np.array([joules.get(unit, 0.0) for unit in UNITS]) * 1e-12,
        clock_hz=np.asarray(clock),
        host_bytes_s=np.asarray(host_link_bytes_s(gpu)),
    )


def chip_power_w(gpu: Gpu) -> float:
    """Return the power limit of the GPU itself, without the processor of a superchip."""
    if gpu.form_factor != "superchip":
        return gpu.tdp_w
    return min(SUPERCHIP_W.get(gpu.architecture, gpu.tdp_w), gpu.tdp_w)


def host_link_bytes_s(gpu: Gpu) -> float:
    """Return what copies to or from the host reach over a GPU's own link, in one direction."""
    if gpu.form_factor == "superchip":
        return C2C_GB_S.get(gpu.architecture, C2C_USUAL) * GB * HOST_SHARE["c2c"]
    return gpu.pcie_bytes_s * HOST_SHARE["pcie"]


def host_link(gpu: Gpu) -> str:
    """Return the name of a GPU's link to its host."""
    if gpu.form_factor == "superchip":
        return "NVLink-C2C"
    return f"PCIe {gpu.pcie_generation}"


def _rate(gpu: Gpu, unit: str) -> float:
    while unit not in gpu.precisions and unit in INSTEAD:
        unit = INSTEAD[unit]
    return gpu.peak_flops(unit)


PACKED_FROM = 9.0
"""Compute capability from which additions and maxima of two 16-bit lanes are one instruction:
nvcc compiles them so for 9.0, 10.0 and 12.0 (``tools/count_dpx_instructions.py``)."""


HALF2_LANES = {"Ada": 64.0}
"""Packed half-precision additions of an SM in a clock: the rate of FP16 outside Tensor Cores is
four times FP32 of A100 (78 TFLOP/s), twice that of H100 (134), and equal to FP32 on Ada."""


def chip(gpus: Sequence[Gpu]) -> Chip:
    """Return what dynamic programming uses of each GPU, as arrays.

    Raises
    ------
    InputError
        Where the table lacks the clock or the number of SMs.
    """
    for g in gpus:
        if not g.boost_clock_mhz or not g.sm_count or g.vendor != "NVIDIA":
            raise InputError("gpu", g.id, "the table lacks its clock or SMs, or it is not NVIDIA's")
    return Chip(
        sm_clocks_s=np.array([(g.boost_clock_mhz or 0) * 1e6 * (g.sm_count or 0) for g in gpus]),
        half2_lanes=np.array([HALF2_LANES.get(g.architecture, 128.0) for g in gpus]),
        has_dpx=np.array([bool(g.dpx) for g in gpus]),
        has_packed=np.array([float(g.compute_capability) >= PACKED_FROM for g in gpus]),
        bandwidth_bytes_s=np.array([g.bandwidth_bytes_s for g in gpus]),
    )
