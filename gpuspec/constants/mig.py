"""How far predictions of MIG slices lie from published ones. Nothing is fitted to them."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.constants.stored import Interval, stored, stored_errors, stored_interval

if TYPE_CHECKING:
    import pandas as pd

LANGUAGE_MODELS = "language models"
"""What tokens are generated with on a slice, apart from other inference."""
SIZES = ("1g", "2g", "3g and larger")
"""The smaller a slice, the more of its time does not follow the share of the SMs."""


def slice_size(slices: ArrayLike) -> np.ndarray:
    """Return the size of slices, by their compute slices, that decides how sure their speed is.

    >>> slice_size([1, 4]).tolist()
    ['1g', '3g and larger']
    """
    return np.asarray(SIZES)[np.clip(np.asarray(slices, int), 1, len(SIZES)) - 1]


def slice_errors() -> "pd.DataFrame":
    """Return the error of slice over whole GPU, one row a load and a size, and one for all.

    Columns as in `stored_errors`. The prediction has no constant that was fitted to these
    rows, so every publisher counts as held out. ``full load``: the batch fills the whole GPU, and a
    slice is expected to give its share of the SMs. ``light load``: it does not.
    """
    return stored_errors("mig", "load")


def slice_interval(
    value: ArrayLike, slices: ArrayLike, load: ArrayLike = "full load", ground: ArrayLike = 0
) -> Interval:
    """Return the 80 % interval of the speed of a slice over that of the whole GPU.

    `slices` are its compute slices.
    """
    levels = {"load": load, "size": slice_size(slices)}
    return stored_interval(value, "mig", "slice", levels, ground=ground)


def least_of_share() -> float:
    """Return the least that a published slice gave of its share of the whole GPU's speed."""
    return float(stored("mig")["least_of_share"])
