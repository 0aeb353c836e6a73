"""Cell updates per second of dynamic programming, with and without DPX instructions.

A recurrence is counted in instructions: additions, minima and maxima, and the fused ones that
DPX offers (add and take the larger, the larger of three, clamp at zero). Integer instructions
and minima issue on units of 64 lanes an SM, additions in half precision on others beside them;
an SM issues 128 lanes a clock in all. Packed 16-bit types update two cells at once.

References
----------
Gotoh 1982, doi:10.1016/0022-2836(82)90398-9 (affine gaps); Schmidt et al. 2024,
doi:10.1186/s12859-024-05965-6 (half2 and DPX in practice); NVIDIA, CUDA C++ Programming Guide,
sections on arithmetic instructions and DPX; Luo et al. 2024, arXiv:2402.13499 (DPX measured).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.base.units import Flags, Floats
from gpuspec.constants.hpc import DynamicTerms

LANES = 64.0
"""Integer operations, minima, maxima and DPX operations that an SM starts in a clock."""
ISSUE = 128.0
"""Operations of all kinds that an SM starts in a clock: four schedulers of 32 lanes."""
CELL_TYPES = {"int32": 1.0, "int16x2": 2.0, "half2": 2.0}
"""Type of a cell, and cells that one instruction updates."""


@dataclass(frozen=True)
class Recurrence:
    """Instructions of one cell, or of one packed pair."""

    name: str
    adds: float
    maxima: float
    fused: float
    """Instructions where DPX fuses additions and maxima."""
    emulated: float
    """Instructions of a packed 16-bit pair where the GPU emulates DPX: unpack, work, pack."""
    other: float
    """Loads, shuffles and bookkeeping: they only take a place to issue."""
    stored_bytes: float = 0.0
    """Bytes of a cell that reach device memory."""


ALGORITHMS = {
    "smith-waterman": Recurrence("Smith-Waterman, affine gaps", 4, 6, 5.5, 41.5, 1.0),
    "smith-waterman-linear": Recurrence("Smith-Waterman, linear gaps", 2, 4, 3, 23, 1.0),
    "needleman-wunsch": Recurrence(
        "Needleman-Wunsch, affine gaps, traced back", 4, 4, 5, 38, 1.5, 1.0
    ),
    "floyd-warshall": Recurrence("Floyd-Warshall, blocked", 1, 1, 1, 9, 0.5, 0.03),
    "viterbi": Recurrence("Viterbi over a profile", 9, 5, 9, 68, 2.0),
}
"""Smith-Waterman: E, F and H with their maxima, the clamp at zero and the best score so far;
fused: one gap addition, E, F, two for H, half a maximum of three for the best of two cells.
Compiled code agrees: 10.5 and 6.5 instructions with the score of a pair of letters, 41.5
emulated, and 6 and 3 with linear gaps, 2, 1 and 9 of Floyd-Warshall (``nvcc-13-sass`` in
``data/measurements/dpx.csv``); the other emulated figures are 7.5 a function."""


@dataclass(frozen=True)
class Chip:
    """What dynamic programming uses of a GPU; fields are numbers or arrays."""

    sm_clocks_s: Floats
    """SMs times clock."""
    half2_lanes: Floats
    """Packed half-precision additions of an SM in a clock: 128 on A100 and H100, 64 on Ada."""
    has_dpx: Flags
    bandwidth_bytes_s: Floats
    has_packed: Flags = False
    """Whether additions and maxima of two 16-bit lanes are one instruction each without DPX."""


def instructions_per_cell(
    algorithm: str, cell: str, fused: ArrayLike, packed_lanes: ArrayLike = False
) -> Floats:
    """Return the instructions that a cell takes on the integer units.

    Parameters
    ----------
    algorithm : str
        A key of `ALGORITHMS`.
    cell : str
        ``int32``, ``int16x2`` or ``half2``.
    fused : array_like of bool
        Whether DPX instructions do it in hardware (never for ``half2``).
    packed_lanes : array_like of bool
        Whether a GPU without DPX adds and compares two 16-bit lanes at once.

    >>> instructions_per_cell("smith-waterman", "int32", [False, True]).tolist()
    [10.0, 5.5]
    """
    recurrence, packed = _recurrence(algorithm), _packed(cell)
    if cell == "half2":
        return np.full(np.shape(fused), recurrence.maxima / packed)
    plain = np.asarray(recurrence.adds + recurrence.maxima)
    if cell == "int16x2":
        plain = np.where(packed_lanes, plain, recurrence.emulated)
    return np.asarray(np.where(fused, recurrence.fused, plain) / packed)


def dynamic_parts(
    algorithm: str, cell: str, chip: Chip, terms: DynamicTerms, dpx: bool = True
) -> dict[str, Floats]:
    """Return the seconds of 1e9 cells that units, issue and memory alone would need."""
    recurrence, packed = _recurrence(algorithm), _packed(cell)
    if cell == "half2" and dpx:
        raise InputError("dpx", dpx, "DPX has no half precision: choose int32 or int16x2")
    fused = np.asarray(chip.has_dpx, bool) & dpx
    busy = instructions_per_cell(algorithm, cell, fused, chip.has_packed)
    beside = recurrence.other / packed + (recurrence.adds / packed if cell == "half2" else 0.0)
    share = np.where(fused, terms.dpx_share, terms.issue_share)
    rate = np.asarray(chip.sm_clocks_s, float) * share
    adds = (
        recurrence.adds / packed / np.asarray(chip.half2_lanes, float) if cell == "half2" else 0.0
    )
    stored = recurrence.stored_bytes / (np.asarray(chip.bandwidth_bytes_s) * terms.bandwidth_share)
    return {
        "units": np.asarray(1e9 * np.maximum(busy / LANES, adds) / rate),
        "issue": np.asarray(1e9 * (busy + beside) / ISSUE / rate),
        "memory": np.asarray(1e9 * stored + 0 * rate),
    }


def cell_updates_s(
    algorithm: str, cell: str, chip: Chip, terms: DynamicTerms, dpx: bool = True
) -> Floats:
    """Return the cells that one GPU updates in a second; 1e9 of them are a GCUPS.

    Raises
    ------
    UnknownNameError
        For another algorithm or type of cell; lists the valid ones.
    InputError
        When DPX is asked for half precision.
    """
    parts = dynamic_parts(algorithm, cell, chip, terms, dpx)
    return np.asarray(1e9 / np.maximum.reduce(list(parts.values())))


def _recurrence(algorithm: str) -> Recurrence:
    if algorithm not in ALGORITHMS:
        raise UnknownNameError("algorithm", algorithm, ALGORITHMS)
    return ALGORITHMS[algorithm]


def _packed(cell: str) -> float:
    if cell not in CELL_TYPES:
        raise UnknownNameError("cell", cell, CELL_TYPES)
    return CELL_TYPES[cell]
