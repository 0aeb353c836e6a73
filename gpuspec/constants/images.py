"""Seconds to generate an image: products, traffic between kernels, launches.

A diffusion model runs its network for every denoising step (twice with classifier-free
guidance), then decodes the latent image. The products of a pass need the units of the GPU, what
stands between them (norms, activations, layouts) its memory, and every pass is launched.
"""

from typing import TYPE_CHECKING

from numpy.typing import ArrayLike
from pydantic import Field

from gpuspec.constants.stored import Interval, stored, stored_errors, stored_interval
from gpuspec.constants.terms import Terms

if TYPE_CHECKING:
    import pandas as pd

STACKS = ("tensorrt", "compiled", "eager")
PRECISIONS = ("bf16", "fp8", "int8")
"""In what the network's products are computed; bf16 stands for 16 bits."""
EIGHT_BITS = "8bit"
"""FP8 where a GPU has it, else INT8."""
FUSED_8BIT = {"tensorrt": 0.5, "compiled": 0.75}
"""Traffic of a network in 8 bits over that in 16. TensorRT keeps 8 bits between its kernels; in
compiled PyTorch a product reads 8 and writes 16, 3 bytes for 4. Plain PyTorch quantises with
kernels of its own and gains nothing."""


class ImageTerms(Terms):
    """Constants of image generation, fitted to published times."""

    share: float = Field(0.75, ge=0.3, le=0.98)
    """Share of the dense peak that products reach on a GPU with the power of its SXM module."""
    power: float = Field(0.5, ge=0.05, le=1.5)
    """Exponent of the power limit over that of the SXM module: cards compute at lower clocks."""
    low_share: float = Field(0.75, ge=0.3, le=1.1)
    """Share of the peak in 8 bits over that in 16."""
    tensorrt_bytes: float = Field(2.0, ge=0.1, le=30.0)
    """Bytes to and from memory for 1,000 FLOP of a transformer's products under TensorRT."""
    compiled_bytes: float = Field(2.5, ge=0.1, le=30.0)
    """The same with compiled PyTorch and its like."""
    eager_bytes: float = Field(5.0, ge=0.1, le=30.0)
    """The same with plain PyTorch."""
    unet: float = Field(2.0, ge=0.3, le=8.0)
    """Bytes of a U-Net (SDXL) over those of a transformer (FLUX)."""
    fused_launch_ms: float = Field(6.0, ge=0.1, le=60.0)
    """Time of a pass that neither units nor memory explain, for a whole batch; TensorRT and
    compiled PyTorch."""
    eager_launch_ms: float = Field(15.0, ge=0.1, le=120.0)
    """The same with plain PyTorch."""
    decode_tflop: float = Field(8.0, ge=0.5, le=100.0)
    """FLOP equivalent of decoding an image of 1024 x 1024 in 16 bits (10^12)."""


def image_terms() -> ImageTerms:
    """Return the stored constants."""
    return ImageTerms(**stored("images")["terms"])


def image_errors() -> "pd.DataFrame":
    """Return the held-out errors of seconds of an image: all, by stack, precision, ground."""
    return stored_errors("images")


def image_interval(
    value: ArrayLike,
    stack: ArrayLike | None = None,
    bits: ArrayLike | None = None,
    ground: ArrayLike = 0,
) -> Interval:
    """Return the 80 % interval of the seconds of an image.

    `bits` are ``16 bits`` or ``8 bits``; what is not said has the width of all.
    """
    levels = {"stack": stack, "bits": bits}
    known = {name: level for name, level in levels.items() if level is not None}
    return stored_interval(value, "images", "seconds", known, ground=ground)


def image_bits(precision: str) -> str:
    """Return how ground and intervals call a precision.

    >>> image_bits("fp8"), image_bits("bf16")
    ('8 bits', '16 bits')
    """
    return "16 bits" if precision == "bf16" else "8 bits"
