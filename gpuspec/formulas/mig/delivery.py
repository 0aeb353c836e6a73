"""How long work takes on a slice, from how long it takes on the whole GPU."""

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats
from gpuspec.formulas.roofline import p_norm

SHARPNESS = 4.0
"""Exponent of the norm that joins a floor with work; rooflines use such a norm too."""


def slice_seconds(
    items: ArrayLike, best_rate: ArrayLike, least_seconds: ArrayLike, share: ArrayLike
) -> Floats:
    """Seconds of a batch on a slice, from two figures of the whole GPU.

    Parameters
    ----------
    items : array_like
        Items of the batch.
    best_rate : array_like
        Items a second of the whole GPU at its best batch.
    least_seconds : array_like
        Seconds of its smallest batch: launches and host, which a slice does not lengthen.
    share : array_like
        Share of the SMs (of the memory slices, where bandwidth is all that counts).

    >>> slice_seconds([1, 1000], 1000.0, 0.01, 0.5).round(3).tolist()
    [0.01, 2.0]
    """
    work = np.asarray(items, float) / (np.asarray(best_rate, float) * np.asarray(share, float))
    floor = np.asarray(least_seconds, float)
    return p_norm(SHARPNESS, work, floor)
