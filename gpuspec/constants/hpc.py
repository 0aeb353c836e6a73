"""Constants, errors and intervals of scientific computing and of dynamic programming."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from gpuspec.constants.stored import Interval, stored, stored_errors, stored_interval
from gpuspec.constants.terms import Terms

if TYPE_CHECKING:
    import pandas as pd

KINDS = {"kernel": "kernels", "application": "applications"}
"""How errors call the classes of each kind."""


class HpcTerms(Terms):
    """Constants of a class of computations."""

    compute_share: float = Field(0.7, ge=0.02, le=1.1)
    """Share of the peak of the units that the computation reaches."""
    bandwidth_share: float = Field(0.88, ge=0.1, le=1.3)
    """Share of the memory bandwidth; above 1 where caches save more than the table says."""
    cache_share: float = Field(0.6, ge=0.1, le=1.5)
    """Share of the L2 bandwidth: how many bytes the SMs keep in flight. It limits codes that
    cannot feed a faster memory."""
    host_factor: float = Field(1.0, ge=0.05, le=8.0)
    """Multiple of the time that no GPU changes, as the table of classes states it."""
    power_exponent: float = Field(0.4, ge=0.1, le=0.6)
    """How the rate of the units falls where power limits it: rate ~ watts ^ exponent. Power grows
    with clock times voltage squared, which both fall: 1/3 to 1/2."""
    scale_loss: float = Field(0.02, ge=0.0, le=0.4)
    """Time more for each doubling of the GPUs, or nodes, in published runs of many: waiting for the
    slowest."""


class DynamicTerms(Terms):
    """What programs reach."""

    issue_share: float = Field(0.7, ge=0.1, le=1.05)
    """Share of the instruction limit."""
    dpx_share: float = Field(0.8, ge=0.1, le=1.05)
    """The same of programs written for DPX, on GPUs that have it."""
    bandwidth_share: float = Field(0.85, ge=0.2, le=1.0)
    """Share of the memory bandwidth."""


def hpc_terms(name: str = "") -> HpcTerms:
    """Return the fitted constants of a class; those of its family where it has none of its own."""
    classes = stored("hpc")["classes"]
    return HpcTerms(**classes[name if name in classes else "other"]["terms"])


def dynamic_terms() -> DynamicTerms:
    """Return the fitted constants of dynamic programming."""
    return DynamicTerms(**stored("hpc")["dynamic"]["terms"])


def dynamic_interval(value: ArrayLike) -> Interval:
    """Return an interval of cell updates: set at 30 %, since two sources measure none."""
    error = stored("hpc")["dynamic"]
    return np.asarray(value) * error["low"], np.asarray(value) * error["high"]


def hpc_errors() -> "pd.DataFrame":
    """Return the held-out error of each figure; columns as in `stored_errors`."""
    return stored_errors("hpc")


def hpc_order() -> "pd.DataFrame":
    """Return how often A100, H100 and L40S are put in the right order, by kind of class.

    Columns: ``rows`` (pairs that differ by more than the interval of a ratio), ``publishers``,
    ``right`` (share; the whole publisher was left out of the fit).
    """
    import pandas as pd

    return pd.DataFrame(stored("hpc")["order"]).T.rename_axis("kind")


def pair_publishers(workload: str, one: str, other: str) -> int:
    """Return how many publishers measured a class on GPUs of both generations."""
    return int(stored("hpc")["pairs"].get(workload, {}).get("|".join(sorted((one, other))), 0))


def hpc_interval(
    value: ArrayLike, ground: ArrayLike = 0, levels: Mapping[str, ArrayLike] | None = None
) -> Interval:
    """Return the 80 % interval of the speed of a kernel whose figure stands alone."""
    return stored_interval(value, "hpc", "speed", levels, ground=ground)


def hpc_ratio_interval(
    value: ArrayLike,
    kind: str,
    new: str = "",
    old: str = "",
    workload: str = "",
    ground: ArrayLike = 0,
) -> Interval:
    """Return the 80 % interval of a ratio of speeds of two GPUs, given by id.

    Parameters
    ----------
    kind : str
        ``kernel`` or ``application``.
    workload : str
        Class of the computation; blank: the width of its kind.
    """
    if new and new == old:
        return np.asarray(value), np.asarray(value)
    levels = {"kind": kind, "workload": workload}
    return stored_interval(value, "hpc", "ratio", levels, ground=ground)
