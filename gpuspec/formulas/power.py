"""What a node of GPUs draws."""

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.errors import InputError
from gpuspec.base.units import Floats
from gpuspec.catalog import Gpu

POWER_SHARE = 0.76
"""Draw of a node in training over its rating: 7.75 of 10.2 kW for 8 H100 (arXiv:2506.14551)."""
SYSTEM_FACTOR = 1.85
"""Rating of a node over the TDP of its GPUs, where the server table has none: 1.8 to 2.0."""

IDLE_SHARE = 0.2
"""Draw of a GPU whose clock does nothing, over its TDP: an H100's 140 W of 700."""
_DENSE = ("tf32", "fp16", "bf16", "fp8", "fp4")
_RATES = ("fp64", "fp64_tensor", "fp32", *(f"{kind}_dense" for kind in _DENSE))


def clock_share(power_limit_w: ArrayLike, tdp_w: ArrayLike) -> Floats:
    """Return the clock of a GPU under a power limit over that at its TDP.

    Voltage follows the clock, so that what switching draws goes with its cube:
    ``((P - i T) / (T - i T))^(1/3)`` for a limit P, a TDP T and an idle share i.

    References
    ----------
    Weiser et al. 1994, Scheduling for Reduced CPU Energy (OSDI); McDonald et al. 2022,
    arXiv:2205.09646 (language models under power limits).

    >>> clock_share([700.0, 500.0], 700.0).round(3).tolist()
    [1.0, 0.863]
    """
    idle = IDLE_SHARE * np.asarray(tdp_w, float)
    left = (np.asarray(power_limit_w, float) - idle) / (np.asarray(tdp_w, float) - idle)
    return np.asarray(np.clip(left, 1e-3, 1.0) ** (1 / 3))


def limited(device: Gpu, power_limit_w: float) -> Gpu:
    """Return a GPU under a power limit: its peaks follow the clock, its memory does not.

    Raises
    ------
    InputError
        Where the limit leaves nothing beside what the GPU draws idle.
    """
    least = IDLE_SHARE * device.tdp_w
    if not power_limit_w > least:
        raise InputError("power_limit_w", power_limit_w, f"above {least:.0f} W on {device.id}")
    share = float(clock_share(power_limit_w, device.tdp_w))
    rates = {f"{name}_tflops": getattr(device, f"{name}_tflops") for name in _RATES}
    slower = {name: rate * share for name, rate in rates.items() if rate is not None}
    return device.model_copy(update={**slower, "tdp_w": min(power_limit_w, device.tdp_w)})


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
