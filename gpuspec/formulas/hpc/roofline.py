"""Seconds of a piece of scientific computing on one GPU: a roofline with few fitted constants.

Compute, device memory and L2 overlap, though not perfectly: they combine as a p-norm. Units that
would draw more than the power limit clock down. What does not shrink with the number of SMs is
added (Amdahl's law): host code and files, which no GPU changes, and chains of small kernels, whose
latency is so many clocks.

References
----------
Williams, Waterman, Patterson 2009, doi:10.1145/1498765.1498785 (roofline); Amdahl 1967,
doi:10.1145/1465482.1465560.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gpuspec.base.units import Floats
from gpuspec.catalog.workloads import Work
from gpuspec.constants.hpc import HpcTerms
from gpuspec.formulas.hpc.machine import Machine
from gpuspec.formulas.roofline import p_norm

SHARPNESS = 4.0
"""Exponent of the norm that joins compute, memory and cache; infinity is a perfect overlap."""


def gpu_parts(units: ArrayLike, work: Work, machine: Machine, terms: HpcTerms) -> dict[str, Floats]:
    """Return the seconds that each resource alone would need.

    Parameters
    ----------
    units : array_like
        Units of work; broadcasts with the fields of `work` and `machine`.

    Returns
    -------
    dict
        ``compute``, ``memory`` and ``cache``, in seconds.
    """
    n = np.asarray(units, float)
    each = np.sum(work.shares / machine.rates, axis=-1)
    slowed = terms.compute_share * power_share(work, machine) ** terms.power_exponent
    moved = n * np.asarray(work.memory_bytes, float)
    through = moved / (1 - np.asarray(work.l2_reuse, float))
    return {
        "compute": np.asarray(n * np.asarray(work.operations, float) * each / slowed),
        "memory": np.asarray(moved / (machine.bandwidth_bytes_s * terms.bandwidth_share)),
        "cache": np.asarray(through / (machine.l2_bytes_s * terms.cache_share)),
    }


def power_share(work: Work, machine: Machine) -> Floats:
    """Return the power limit over what the units would draw at the highest clock, at most 1.

    100 operations a second of 2 J each are 200 W.
    """
    joules = np.sum(work.shares * machine.joules, axis=-1)
    drawn = joules / np.sum(work.shares / machine.rates, axis=-1)
    return np.asarray(machine.chip_w / np.maximum(drawn, machine.chip_w))


def gpu_seconds(units: ArrayLike, work: Work, machine: Machine, terms: HpcTerms) -> Floats:
    """Return the seconds of `units` of work on one GPU, without what the host adds."""
    return joined(gpu_parts(units, work, machine, terms))


def transfer_seconds(units: ArrayLike, work: Work, machine: Machine) -> Floats:
    """Return the seconds that bytes to and from the host take, one after the other.

    Whether the GPU's work hides them is for `gpuspec.formulas.hpc.exposed_seconds` to say.
    """
    moved = np.asarray(units, float) * np.asarray(work.host_bytes, float)
    return np.asarray(moved / machine.host_bytes_s)


def joined(parts: dict[str, Floats]) -> Floats:
    """Return the seconds of parts that overlap: a p-norm, never below the largest."""
    return p_norm(SHARPNESS, *parts.values())


def bound(parts: dict[str, Floats]) -> NDArray[np.str_]:
    """Return which of the parts is the largest, by name."""
    every = np.stack(np.broadcast_arrays(*parts.values()))
    return np.asarray(list(parts))[every.argmax(axis=0)]


def fixed_seconds(reference_seconds: ArrayLike, fixed_share: ArrayLike) -> Floats:
    """Return the seconds that no GPU changes, from their share beside the reference's.

    References
    ----------
    Amdahl 1967, doi:10.1145/1465482.1465560: a part s of the time bounds every speed-up to 1/s.

    >>> float(fixed_seconds(9.0, 0.1))
    1.0
    """
    share = np.asarray(fixed_share, float)
    return np.asarray(np.asarray(reference_seconds, float) * share / (1 - share))


def serial_seconds(
    fixed_s: ArrayLike, chain_share: ArrayLike, faster: ArrayLike, size: ArrayLike = 1.0
) -> Floats:
    """Return the seconds of a step that more SMs do not shorten, on another GPU.

    Parameters
    ----------
    fixed_s : array_like
        Those beside the reference GPU at the typical size.
    chain_share : array_like
        Share of them that is a chain of dependent kernels, whatever the size; the rest is the
        host's and grows with the work.
    faster : array_like
        Clock of the GPU over that of the reference.
    size : array_like
        Work as a multiple of the typical size.

    >>> float(serial_seconds(1.0, 0.5, 2.0))
    0.75
    """
    chain = np.asarray(chain_share, float)
    shares = (1 - chain) * np.asarray(size, float) + chain / np.asarray(faster, float)
    return np.asarray(np.asarray(fixed_s, float) * shares)
