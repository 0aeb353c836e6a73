"""Seconds to generate an image: a compute-bound workload.

A diffusion model runs its network for every denoising step (twice with classifier-free
guidance), then decodes the latent image. At these sizes the products fill the GPU, so time is
FLOP over an achieved share of the dense 16-bit peak.
"""

from pydantic import Field

from gpuspec.constants.stored import stored
from gpuspec.constants.terms import Terms

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


def image_terms() -> ImageTerms:
    """Return the stored constants."""
    return ImageTerms(**stored("inference").get("images", {}))
