"""Seconds of an image from the work of a pass and the fitted share of the peak."""

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.errors import UnknownNameError
from gpuspec.base.units import Floats
from gpuspec.catalog import Gpu
from gpuspec.catalog.images import ImageModel
from gpuspec.constants.images import STACKS, ImageTerms, image_terms


def image_seconds(
    model: ImageModel,
    gpu: Gpu,
    steps: ArrayLike,
    width: ArrayLike = 1024,
    height: ArrayLike = 1024,
    stack: str = "tensorrt",
    passes_a_step: ArrayLike | None = None,
    decodes: ArrayLike = True,
    terms: ImageTerms | None = None,
) -> dict[str, Floats]:
    """Return the seconds of an image by part, ``denoise`` and ``decode``; they add up.

    Parameters
    ----------
    stack : str
        ``tensorrt``, ``compiled`` (torch.compile, OneFlow) or ``eager``.
    passes_a_step : array_like, optional
        2 with classifier-free guidance, 1 without; the model's own unless given.

    Raises
    ------
    UnknownNameError
        For a stack that is none of these.
    """
    if stack not in STACKS:
        raise UnknownNameError("stack", stack, STACKS)
    terms = terms or image_terms()
    share = {name: getattr(terms, f"{name}_share") for name in STACKS}[stack]
    share = share * _architecture(gpu, terms)
    network = share * (terms.transformer if model.blocks == "transformer" else 1.0)
    peak = gpu.peak_flops("bf16" if "bf16" in gpu.precisions else "fp16")
    passes = np.asarray(model.passes_a_step if passes_a_step is None else passes_a_step, float)
    denoise = np.asarray(steps, float) * passes * model.pass_flop(width, height) / (peak * network)
    pixels = np.asarray(width, float) * np.asarray(height, float) / 2**20
    decode = np.asarray(decodes, float) * terms.decode_tflop * 1e12 * pixels / (peak * share)
    return {"denoise": np.asarray(denoise), "decode": np.asarray(decode + 0 * denoise)}


def _architecture(gpu: Gpu, terms: ImageTerms) -> float:
    """Return the share of a GPU over that of an A100."""
    if gpu.id.startswith("a100"):
        return 1.0
    small = gpu.architecture in ("Ada", "Ampere")
    return float(terms.ada if small else terms.hopper)
