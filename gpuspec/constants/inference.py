"""Errors and intervals of inference: engines, ratios of GPUs, images."""

from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from gpuspec.constants.stored import (
    Interval,
    stored_errors,
    stored_interval,
    stored_ratio_interval,
)

if TYPE_CHECKING:
    import pandas as pd

WIDER = 1.5
"""Factor on the log width of an interval for a GPU that inherits its kernels."""


def inference_errors() -> "pd.DataFrame":
    """Return the held-out error of each quantity; columns as in `stored_errors`."""
    return stored_errors("inference")


def inference_interval(value: ArrayLike, quantity: str, inherited: bool = False) -> Interval:
    """Return the 80 % interval of an estimate: ``throughput``, ``ttft``, ``tpot``, ``ratio``..."""
    return stored_interval(value, "inference", quantity, WIDER if inherited else 1.0)


def ratio_interval(value: ArrayLike, new: str, old: str) -> Interval:
    """Return the 80 % interval of a ratio of two GPUs, given by id, to the same software."""
    return stored_ratio_interval(value, "inference", new, old)
