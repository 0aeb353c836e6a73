"""Errors and intervals of collectives."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats
from gpuspec.constants.stored import Interval, stored, stored_errors

if TYPE_CHECKING:
    import pandas as pd

LARGE = 2**20
"""Message from which a row counts as large."""


def collective_errors() -> "pd.DataFrame":
    """Return the held-out error of each kind of collective; columns as in `stored_errors`."""
    return stored_errors("collectives")


def collective_interval(
    value: ArrayLike, message_bytes: ArrayLike, nodes: ArrayLike = 1
) -> Interval:
    """Return the 80 % interval of the seconds of a collective; arguments broadcast.

    Parameters
    ----------
    value : array_like
        Estimated seconds.
    message_bytes, nodes : array_like
        Size of the message and nodes of the group: the error differs by both.
    """
    errors = stored("collectives")["errors"]
    large, across = np.asarray(message_bytes) >= LARGE, np.asarray(nodes) > 1

    def end(name: str) -> Floats:
        inside, outside = (
            np.where(large, errors[f"{r}, from 1 MiB"][name], errors[f"{r}, below 1 MiB"][name])
            for r in ("in a node", "between nodes")
        )
        return np.asarray(np.asarray(value) * np.where(across, outside, inside))

    return end("low"), end("high")
