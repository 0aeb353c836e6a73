"""How far predictions of MIG slices lie from published ones. Nothing is fitted to them."""

from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from gpuspec.constants.stored import Interval, stored, stored_errors, stored_interval

if TYPE_CHECKING:
    import pandas as pd


def slice_errors() -> "pd.DataFrame":
    """Return the error of slice over whole GPU, one row a load, and one for all.

    Columns as in `stored_errors`. The prediction has no constant that was fitted to these
    rows, so every publisher counts as held out. ``full load``: the batch fills the whole GPU, and a
    slice is expected to give its share of the SMs. ``light load``: it does not.
    """
    return stored_errors("mig", "load")


def slice_interval(
    value: ArrayLike, load: ArrayLike = "full load", ground: ArrayLike = 0
) -> Interval:
    """Return the 80 % interval of the speed of a slice over that of the whole GPU."""
    return stored_interval(value, "mig", "slice", {"load": load}, ground=ground)


def least_of_share() -> float:
    """Return the least that a published slice gave of its share of the whole GPU's speed."""
    return float(stored("mig")["least_of_share"])
