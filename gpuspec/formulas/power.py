"""What a node of GPUs draws."""

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats

POWER_SHARE = 0.76
"""Draw of a node in training over its rating: 7.75 of 10.2 kW for 8 H100 (arXiv:2506.14551)."""
SYSTEM_FACTOR = 1.85
"""Rating of a node over the TDP of its GPUs, where the server table has none: 1.8 to 2.0."""


def node_rated_w(gpu_tdp_w: ArrayLike, gpus: ArrayLike = 8) -> Floats:
    """Rating of a node in watts where no table has it, from the TDP of its GPUs.

    >>> float(node_rated_w(700.0))
    10360.0
    """
    return np.asarray(np.asarray(gpu_tdp_w, float) * gpus * SYSTEM_FACTOR)


def node_power_w(gpu_tdp_w: ArrayLike, gpus: ArrayLike = 8, rated_w: ArrayLike = 0.0) -> Floats:
    """Watts that a node draws in training; `rated_w` 0: from the TDP of its GPUs.

    >>> float(node_power_w(700.0, 8, 10_200.0))
    7752.0
    """
    rated = np.asarray(rated_w, float)
    known = np.where(rated > 0, rated, node_rated_w(gpu_tdp_w, gpus))
    return np.asarray(POWER_SHARE * known)
