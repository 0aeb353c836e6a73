"""What a GPU offers scientific computing: rates of its units, bandwidths, power."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.formulas.roofline import Floats

UNITS = ("fp64", "fp64_tensor", "fp32", "tf32", "fp16", "int32")
"""Units that operations may run on: vector units, Tensor Cores, integer units."""


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
    power_ratio: Floats
    """Watts for each SM over those of the same chip at its full limit, at most 1."""
    host_bytes_s: Floats
    """What the link to the host reaches in one direction."""

    def scaled(self, **factors: ArrayLike) -> "Machine":
        """Return the same with some fields multiplied: ``scaled(bandwidth_bytes_s=2)``."""
        changed = {n: np.asarray(getattr(self, n) * np.asarray(f)) for n, f in factors.items()}
        return Machine(**{**self.__dict__, **changed})


@dataclass(frozen=True)
class Work:
    """One unit of work: operations, where they run, and the bytes they move."""

    operations: Any
    shares: Floats
    """Share of the operations on each of `UNITS`; adds up to 1."""
    memory_bytes: Any
    """Across the bus of the device memory."""
    l2_reuse: Any = 0.0
    """Bytes from L2 beside them, as a share of all."""
    host_bytes: Any = 0.0
    """To and from the host, across its link."""

    @property
    def intensity(self) -> Any:
        """Operations for each byte of device memory."""
        return np.asarray(self.operations) / np.maximum(np.asarray(self.memory_bytes, float), 1e-12)
