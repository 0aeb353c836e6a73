"""Units: SI inside, and the two families of byte prefixes never confused."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Number = float | Floats
"""A number, or an array of them."""
Flags = bool | NDArray[np.bool_]
MICRO = 1e-6
GB = 1e9
KIB, MIB, GIB, TIB = 2**10, 2**20, 2**30, 2**40
HOURS_YEAR = 8760.0
HOURS_MONTH = HOURS_YEAR / 12
NODE_GPUS = 8
"""GPUs of a server: tensor parallelism stays inside, buyers take whole ones."""


def distinct(values: ArrayLike) -> Floats:
    """Return finite values in order, each once; `numpy.unique` first loads masked arrays.

    >>> distinct([3, 1, 3])
    array([1., 3.])
    """
    ordered = np.sort(np.asarray(values, float))
    return ordered[np.diff(ordered, prepend=-np.inf) > 0]


def format_bytes(value_bytes: float) -> str:
    """Write a number of bytes with the binary prefix that suits it.

    >>> format_bytes(327680)
    '320.0 KiB'
    >>> format_bytes(150.75e9)
    '140.4 GiB'
    """
    if not math.isfinite(value_bytes):
        return str(value_bytes)
    for unit, size in (("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if abs(value_bytes) >= size:
            return f"{value_bytes / size:,.1f} {unit}"
    return f"{value_bytes:.0f} B"
