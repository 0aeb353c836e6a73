"""Errors and intervals of inference: engines, ratios of GPUs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
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


def inference_interval(
    value: ArrayLike,
    quantity: ArrayLike,
    inherited: bool = False,
    levels: Mapping[str, ArrayLike] | None = None,
    ground: ArrayLike = 0,
) -> Interval:
    """Return the 80 % interval of an estimate.

    Parameters
    ----------
    quantity : array_like of str
        ``throughput``, ``ttft``, ``tpot``, ``latency``; or ``ratio``.
    inherited : bool
        Whether the GPU has the kernels of another one.
    levels : mapping, optional
        What else decides the width: ``engine`` (its family), ``kind`` of the model, ``generation``
        of the GPU, ``scenario``; one value or an array. What is not said has the width of all.
    ground : array_like
        0 measured, 1 near, 2 far: see `constants.ground`.
    """
    power = WIDER if inherited else 1.0
    if isinstance(quantity, str) and quantity == "ratio":
        return stored_interval(value, "inference", quantity, levels, ground=ground, power=power)
    return stored_interval(
        value,
        "inference",
        "seconds",
        {"quantity": quantity, **(levels or {})},
        ground=ground,
        power=power,
        inverse=np.asarray(quantity) == "throughput",
    )


def ratio_interval(value: ArrayLike, new: str, old: str) -> Interval:
    """Return the 80 % interval of a ratio of speeds of two GPUs, given by id, same software."""
    return stored_ratio_interval(value, "inference", new, old)
