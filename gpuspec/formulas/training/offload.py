"""Time of activations on their way to host memory and back."""

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats
from gpuspec.formulas.training.work import PCIE_SHARE


def offload_seconds(moved_bytes: ArrayLike, link_bytes_s: ArrayLike, busy_s: ArrayLike) -> Floats:
    """Seconds of a step in which a GPU waits for activations that lie in host memory.

    They leave during the forward pass and come back during the backward pass, behind the work of
    both; what the link cannot move meanwhile is waited for.

    Parameters
    ----------
    moved_bytes : array_like
        Bytes of a step in one direction.
    link_bytes_s : array_like
        Rate of the link to the host in one direction: PCIe, or NVLink-C2C.
    busy_s : array_like
        Seconds of a step in which the GPU computes.

    References
    ----------
    Rajbhandari et al. 2021, arXiv:2104.07857 (ZeRO-Infinity, section 6.1).

    >>> float(offload_seconds(50e9, 50e9 / PCIE_SHARE, 1.5))
    0.5
    """
    moving = 2 * np.asarray(moved_bytes, float) / (np.asarray(link_bytes_s, float) * PCIE_SHARE)
    return np.maximum(moving - np.asarray(busy_s, float), 0.0)
