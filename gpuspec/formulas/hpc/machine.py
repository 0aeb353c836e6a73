"""What a GPU offers scientific computing: rates of its units, bandwidths, power."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats


@dataclass(frozen=True)
class Machine:
    """Rates of one GPU, or of many: every field is a number or an array of a common shape."""

    rates: Floats
    """Dense operations/s of each of `UNITS`, along the last axis."""
    bandwidth_bytes_s: Floats
    """Peak of device memory."""
    l2_bytes_s: Floats
    """Of the L2 cache, all SMs together."""
    power_w: Floats
    """Power limit."""
    chip_w: Floats
    """Of it, what the GPU itself may draw: less on a superchip."""
    joules: Floats
    """Of one operation at the highest clock, of each of `UNITS`; 0 where power never limits it."""
    clock_hz: Floats
    host_bytes_s: Floats
    """What the link to the host reaches in one direction."""

    def scaled(self, **factors: ArrayLike) -> "Machine":
        """Return the same with some fields multiplied: ``scaled(bandwidth_bytes_s=2)``."""
        changed = {n: np.asarray(getattr(self, n) * np.asarray(f)) for n, f in factors.items()}
        return Machine(**{**self.__dict__, **changed})
