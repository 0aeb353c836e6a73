"""Seconds to generate an image: a compute-bound workload.

A diffusion model runs its network for every denoising step (twice with classifier-free
guidance), then decodes the latent image. At these sizes the products fill the GPU, so time is
FLOP over an achieved share of the dense 16-bit peak.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field

from gpuspec.base.errors import UnknownNameError
from gpuspec.catalog import Gpu, load_table, resolve
from gpuspec.constants.kernels import stored
from gpuspec.formulas.roofline import Floats, Terms

STACKS = ("tensorrt", "compiled", "eager")


class ImageTerms(Terms):
    """Constants of image generation, fitted to published times."""

    tensorrt_share: float = Field(0.45, ge=0.05, le=0.95)
    """Share of the dense 16-bit peak of an A100 that a U-Net reaches under TensorRT."""
    compiled_share: float = Field(0.40, ge=0.05, le=0.95)
    """The same with compiled PyTorch and its like."""
    eager_share: float = Field(0.33, ge=0.05, le=0.95)
    """The same with plain PyTorch."""
    hopper: float = Field(0.6, ge=0.2, le=1.5)
    """Share on Hopper over that on an A100: its peak is harder to reach."""
    ada: float = Field(0.8, ge=0.2, le=1.5)
    """The same on Ada (L40S) and on the smaller Ampere cards."""
    transformer: float = Field(1.5, ge=0.5, le=3.0)
    """Share of a transformer (FLUX) over that of a U-Net."""
    decode_tflop: float = Field(15.0, ge=0.5, le=100.0)
    """FLOP equivalent, at the network's share, of decoding an image of 1024 x 1024 (10^12)."""


class ImageModel(BaseModel):
    """Work of one pass of a diffusion network; columns as in ``data/image_models.csv``."""

    model_config = ConfigDict(frozen=True)

    id: str
    reference_pixels: float = Field(gt=0)
    image_tokens: float = Field(gt=0)
    text_tokens: float = Field(ge=0)
    linear_gflop: float = Field(gt=0)
    attention_gflop: float = Field(ge=0)
    passes_a_step: int = Field(ge=1)
    blocks: str

    def pass_flop(self, width: ArrayLike, height: ArrayLike) -> Floats:
        """Return the FLOP of one pass: products grow with the tokens, attention with their square.

        >>> round(float(image_model("SDXL").pass_flop(1024, 1024)) / 1e12, 2)
        6.73
        """
        pixels = np.asarray(width, float) * np.asarray(height, float)
        tokens = self.image_tokens * pixels / self.reference_pixels + self.text_tokens
        ratio = tokens / (self.image_tokens + self.text_tokens)
        return np.asarray((self.linear_gflop * ratio + self.attention_gflop * ratio**2) * 1e9)


@cache
def image_model(name: str, data: str | Path | None = None) -> ImageModel:
    """Look up a diffusion model, such as ``"SDXL"`` or ``"FLUX.1-dev"``.

    Raises
    ------
    UnknownNameError
        When its work is not in the table; lists what is.
    """
    known = load_table("image-models", data).set_index("id", drop=False)
    found = resolve(name, load_table("models", data).set_index("id", drop=False), "image_model")
    if found not in known.index:
        raise UnknownNameError("image_model", name, list(known.index))
    return ImageModel(**{field: known.loc[found, field] for field in ImageModel.model_fields})


def image_terms() -> ImageTerms:
    """Return the stored constants."""
    return ImageTerms(**stored().get("images", {}))


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


def images_per_second(parts: dict[str, Floats]) -> Any:
    """Return images a second of one GPU from the parts of `image_seconds`."""
    return 1 / sum(parts.values())
