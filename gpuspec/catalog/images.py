"""Diffusion networks: the work of one pass; columns as in ``data/image_models.csv``."""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field

from gpuspec.base.errors import UnknownNameError
from gpuspec.base.units import Floats
from gpuspec.catalog import load_table, resolve


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
    key = resolve(name, load_table("models", data).set_index("id", drop=False), "image_model")
    if key not in known.index:
        raise UnknownNameError("image_model", name, list(known.index))
    return ImageModel(**{field: known.loc[key, field] for field in ImageModel.model_fields})
