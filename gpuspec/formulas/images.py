"""Seconds of an image on a GPU: a roofline of its own peaks, bandwidth and power."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.base.units import Floats
from gpuspec.catalog import Gpu
from gpuspec.catalog.images import ImageModel
from gpuspec.constants.images import (
    EIGHT_BITS,
    FUSED_8BIT,
    PRECISIONS,
    STACKS,
    ImageTerms,
    image_terms,
)
from gpuspec.formulas.hpc.devices import chip_power_w

FULL_WATTS_PER_SM = {"GA100": 400 / 108, "GH100": 700 / 132}
"""Power limit for each SM of the SXM module."""
NO_EAGER = "plain PyTorch quantises as it runs and gains nothing: choose compiled or tensorrt"


@dataclass(frozen=True)
class ImageJob:
    """How an image is generated; numbers may be arrays that broadcast."""

    steps: ArrayLike
    width: ArrayLike = 1024
    height: ArrayLike = 1024
    stack: str = "tensorrt"
    """``tensorrt``, ``compiled`` (torch.compile, OneFlow) or ``eager``."""
    precision: str = "bf16"
    """``bf16`` (16 bits), ``fp8`` or ``int8``: of the products, weights and activations alike."""
    passes_a_step: ArrayLike | None = None
    """2 with classifier-free guidance, 1 without; the model's own unless given."""
    decodes: ArrayLike = True
    batch: ArrayLike = 1
    """Images at once, which share the launches."""

    def __post_init__(self) -> None:
        if self.stack not in STACKS:
            raise UnknownNameError("stack", self.stack, STACKS)
        if self.precision not in PRECISIONS:
            raise UnknownNameError("precision", self.precision, PRECISIONS)
        check_fused(self.stack, self.precision)


def check_fused(stack: str, precision: str) -> None:
    """Raise where a stack gains nothing from 8 bits."""
    if precision != "bf16" and stack not in FUSED_8BIT:
        raise InputError("precision", precision, NO_EAGER)


def image_seconds(
    model: ImageModel, gpu: Gpu, job: ImageJob, terms: ImageTerms | None = None
) -> dict[str, Floats]:
    """Return the seconds of an image by part; they add up.

    ``products`` on the units, ``traffic`` between kernels through memory, ``launches``, and
    ``decode``.

    Raises
    ------
    InputError
        For a GPU without units of the job's precision.
    """
    terms = terms or image_terms()
    passes = np.asarray(model.passes_a_step if job.passes_a_step is None else job.passes_a_step)
    passes = np.asarray(job.steps, float) * passes
    linear, attention = model.pass_parts(job.width, job.height)
    whole, low = _rates(gpu, job.precision, terms)
    # TensorRT quantises attention too where it has FP8; whatever is slower in 8 bits stays in 16.
    fused = job.precision == "fp8" and job.stack == "tensorrt"
    products = linear / max(low, whole) + attention / (max(low, whole) if fused else whole)
    bytes_flop = _bytes_flop(model, job.stack, terms)
    kept = 1.0 if job.precision == "bf16" else FUSED_8BIT[job.stack]
    launch = terms.eager_launch_ms if job.stack == "eager" else terms.fused_launch_ms
    pixels = np.asarray(job.width, float) * np.asarray(job.height, float) / 2**20
    decoded = np.asarray(job.decodes, float) * terms.decode_tflop * 1e12 * pixels
    # The decoder is convolutions at full resolution: as much traffic as a U-Net has for its FLOP.
    each = 1 / whole + bytes_flop / gpu.bandwidth_bytes_s
    return {
        "products": np.asarray(passes * products),
        "traffic": np.asarray(passes * linear * bytes_flop * kept / gpu.bandwidth_bytes_s),
        "launches": np.asarray(passes * launch / 1e3 / np.asarray(job.batch, float)),
        "decode": np.asarray(decoded * each),
    }


def image_precision(gpu: Gpu, asked: str) -> str:
    """Return the precision that ``8bit`` is on a GPU: FP8, else INT8, else 16 bits; or `asked`.

    >>> from gpuspec.catalog import gpu
    >>> image_precision(gpu("H100"), "8bit"), image_precision(gpu("A100"), "8bit")
    ('fp8', 'int8')
    """
    if asked != EIGHT_BITS:
        return asked
    return next((p for p in ("fp8", "int8") if p in gpu.precisions), "bf16")


def power_ratio(gpu: Gpu) -> float:
    """Return the power limit of a GPU over that of the SXM module with as many SMs, at most 1."""
    full = FULL_WATTS_PER_SM.get(gpu.chip, 0.0) * (gpu.sm_count or 0)
    return min(chip_power_w(gpu) / full, 1.0) if full else 1.0


def _rates(gpu: Gpu, precision: str, terms: ImageTerms) -> tuple[float, float]:
    """Return the FLOP a second that products reach in 16 bits and in the asked precision."""
    reached = terms.share * power_ratio(gpu) ** terms.power
    whole = gpu.peak_flops("bf16" if "bf16" in gpu.precisions else "fp16") * reached
    if precision == "bf16":
        return whole, whole
    return whole, gpu.peak_flops(precision) * reached * terms.low_share


def _bytes_flop(model: ImageModel, stack: str, terms: ImageTerms) -> float:
    """Return the bytes between kernels for a FLOP of products, in 16 bits."""
    bytes_kflop: float = getattr(terms, f"{stack}_bytes")
    return bytes_kflop / 1e3 * (terms.unet if model.blocks == "unet" else 1.0)
