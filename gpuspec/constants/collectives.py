"""Errors and intervals of collectives."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.constants.stored import Interval, stored_errors, stored_interval

if TYPE_CHECKING:
    import pandas as pd

LARGE = 2**20
"""Message from which a row counts as large."""


def collective_errors() -> "pd.DataFrame":
    """Return the held-out error of each kind of collective; columns as in `stored_errors`."""
    return stored_errors("collectives")


def collective_interval(
    value: ArrayLike,
    message_bytes: ArrayLike,
    nodes: ArrayLike = 1,
    link: ArrayLike = "",
    ground: ArrayLike = 0,
) -> Interval:
    """Return the 80 % interval of the seconds of a collective; arguments broadcast.

    Parameters
    ----------
    value : array_like
        Estimated seconds.
    message_bytes, nodes : array_like
        Size of the message and nodes of the group: the error differs by both.
    link : array_like
        What joins the GPUs of a node, as the table of measurements calls it: ``nvlink-4``...
    ground : array_like
        0 measured, 1 near, 2 far: see `constants.ground`.
    """
    levels = {"size": size_of(message_bytes), "reach": where(nodes), "link": link}
    return stored_interval(value, "collectives", "seconds", levels, ground=ground)


def size_of(message_bytes: ArrayLike) -> np.ndarray:
    """Return how errors call the size of messages."""
    return np.where(np.asarray(message_bytes) >= LARGE, "from 1 MiB", "below 1 MiB")


def where(nodes: ArrayLike) -> np.ndarray:
    """Return how errors call the reach of a group."""
    return np.where(np.asarray(nodes) > 1, "between nodes", "in a node")
