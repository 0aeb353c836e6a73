"""How long work takes on a slice, from how long it takes on the whole GPU."""

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats


def slice_seconds(
    items: ArrayLike, share: ArrayLike, batches: ArrayLike, seconds: ArrayLike
) -> Floats:
    """Seconds of a batch on a slice, from those of the whole GPU.

    A slice with a `share` of the SMs takes as long for b items as the whole GPU takes for
    b / share: every SM has as much to do, and launches and the host take as long (weak scaling,
    Gustafson 1988, doi:10.1145/42411.42415, read backwards). What does not grow with the batch,
    such as weights that are read once, takes as long as on the whole GPU in this; with a part of
    the bandwidth it takes longer, so that the smallest slices lose more than said.

    Parameters
    ----------
    items : array_like
        Items of the batch.
    share : array_like
        Share of the SMs (of the memory slices, where bandwidth is all that counts).
    batches, seconds : array_like, shape (n,)
        Batches that the whole GPU was given, smallest first, and the seconds that it took.
        Between two the time is a straight line; beyond the largest it grows as the batch, below
        the smallest it stays.

    >>> slice_seconds([1, 2, 8], 0.5, [1, 4], [0.010, 0.016]).round(3).tolist()
    [0.012, 0.016, 0.064]
    """
    known = np.asarray(batches, float)
    equal = np.asarray(items, float) / np.asarray(share, float)
    beyond = np.maximum(equal / known[-1], 1.0)
    return np.asarray(np.interp(equal, known, np.asarray(seconds, float)) * beyond)
