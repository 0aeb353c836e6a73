"""Diffusion networks: the work of one pass; columns as in ``data/image_models.csv``."""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.errors import UnknownNameError
from gpuspec.base.units import Floats
from gpuspec.catalog import resolve, table_rows
from gpuspec.catalog.columns import Amount, Figure, Positive, Record, column, record_from


class ImageModel(Record):
    """Work of one pass of a diffusion network; columns as in ``data/image_models.csv``."""

    id: str = column("A model of the table of models")
    reference_pixels: Annotated[float, Figure(1)] = column(
        "Pixels of the image to which the FLOP belong"
    )
    image_tokens: Annotated[float, Figure(1)] = column("Tokens of that image")
    text_tokens: Amount = column("Tokens of the prompt that pass with them")
    linear_gflop: Amount = column("GFLOP of one pass in products and convolutions")
    attention_gflop: Amount = column("GFLOP of one pass in attention")
    passes_a_step: Positive = column("Passes of a denoising step: 2 with classifier-free guidance")
    blocks: Literal["unet", "transformer"] = column("Kind of network")

    def pass_parts(self, width: ArrayLike, height: ArrayLike) -> tuple[Floats, Floats]:
        """Return the FLOP of one pass in products and in attention.

        Products grow with the tokens, attention with their square.
        """
        pixels = np.asarray(width, float) * np.asarray(height, float)
        tokens = self.image_tokens * pixels / self.reference_pixels + self.text_tokens
        ratio = tokens / (self.image_tokens + self.text_tokens)
        return self.linear_gflop * 1e9 * ratio, self.attention_gflop * 1e9 * ratio**2

    def pass_flop(self, width: ArrayLike, height: ArrayLike) -> Floats:
        """Return all FLOP of one pass.

        >>> round(float(image_model("SDXL").pass_flop(1024, 1024)) / 1e12, 2)
        6.73
        """
        return np.asarray(sum(self.pass_parts(width, height)))


@cache
def image_model(name: str, data: str | Path | None = None) -> ImageModel:
    """Look up a diffusion model, such as ``"SDXL"`` or ``"FLUX.1-dev"``.

    Raises
    ------
    UnknownNameError
        When its work is not in the table; lists what is.
    """
    known = {row["id"]: row for row in table_rows("image-models", data)}
    try:
        key = resolve("models", name, "image_model", data)
    except UnknownNameError:  # whose list is that of all models
        key = ""
    if key not in known:
        raise UnknownNameError("image_model", name, list(known))
    return record_from(ImageModel, known[key])
