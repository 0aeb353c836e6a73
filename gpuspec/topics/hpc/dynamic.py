"""Tables of dynamic programming: cell updates with and without DPX, and what was published."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd

from gpuspec.catalog import Gpu
from gpuspec.constants.hpc import dynamic_interval, dynamic_terms
from gpuspec.evidence.measurements.hpc import dynamic_programs
from gpuspec.formulas.hpc import ALGORITHMS, cell_updates_s, dynamic_parts
from gpuspec.formulas.hpc.devices import chip
from gpuspec.formulas.hpc.dynamic import DynamicTerms
from gpuspec.topics.hpc.ground import dynamic_ground

WAYS = (
    ("int32", False, "32-bit integers"),
    ("half2", False, "two half-precision cells"),
    ("int32", True, "32-bit DPX"),
    ("int16x2", True, "two 16-bit cells, DPX"),
)
"""Type of the cells, whether DPX is asked for, and words for both."""
LIMITS = {"units": "integer units", "issue": "instruction issue", "memory": "memory bandwidth"}


def dynamic_table(gpus: Sequence[Gpu]) -> pd.DataFrame:
    """Return the cell updates of each recurrence, way to write it and GPU.

    Columns: ``algorithm``, ``way``, ``cell``, ``dpx``, ``gpu``, ``gcups`` with ``gcups_low`` and
    ``gcups_high`` (80 % interval), ``emulated`` (DPX asked of a GPU that has none), ``bound``.
    """
    every, terms = chip(gpus), dynamic_terms()
    rows = []
    for algorithm, (cell, dpx, words) in product(ALGORITHMS, WAYS):
        parts = dynamic_parts(algorithm, cell, every, terms, dpx)
        names = np.array(list(parts))[np.stack(list(parts.values())).argmax(axis=0)]
        found = cell_updates_s(algorithm, cell, every, terms, dpx) / 1e9
        low, high = dynamic_interval(found)
        row = {"algorithm": algorithm, "way": words, "cell": cell, "dpx": dpx}
        row |= {"gpu": [g.id for g in gpus], "gcups": found, "gcups_low": low, "gcups_high": high}
        row |= {"ground": [dynamic_ground(g, algorithm, dpx).told() for g in gpus]}
        row |= {"emulated": dpx & ~every.has_dpx, "bound": [LIMITS[str(n)] for n in names]}
        rows.append(pd.DataFrame(row))
    return pd.concat(rows, ignore_index=True)


def published_dynamic() -> pd.DataFrame:
    """Return published cell updates of alignment programs beside what the model says.

    Columns: ``program``, ``case``, ``algorithm``, ``gpu``, ``dpx``, ``gcups`` (for each GPU),
    ``predicted``, ``source_id``.
    """
    rows, terms = dynamic_programs(), dynamic_terms()
    share = np.where(rows["dpx"] == "hardware", terms.dpx_share, terms.issue_share)
    columns = ["program", "case", "algorithm", "gpu", "dpx", "gcups", "source_id"]
    return rows[columns].assign(predicted=rows["limit"] * share / 1e9)


def dpx_pair(gpus: Sequence[Gpu]) -> tuple[Gpu, Gpu]:
    """Return the first GPU with DPX and the first without; else the last and the first."""
    new = next((g for g in gpus if g.dpx), gpus[-1])
    return new, next((g for g in gpus if not g.dpx), gpus[0])


def seven_times_table(new: Gpu, old: Gpu) -> pd.DataFrame:
    """Return how many times faster `new` is, by what is compared with what (Smith-Waterman).

    At the instruction limit of both sides, so that nothing but the instructions, the SMs and
    the clock differ. Columns: ``compared``, ``new_gcups``, ``old_gcups``, ``ratio``.
    """
    whole, every = DynamicTerms(issue_share=1.0, dpx_share=1.0), chip([new, old])

    def cells(cell: str, dpx: bool) -> tuple[float, float]:
        found = cell_updates_s("smith-waterman", cell, every, whole, dpx) / 1e9
        return float(found[0]), float(found[1])

    packed, plain = cells("int16x2", True), cells("int32", False)
    half, fused = cells("half2", False), cells("int32", True)
    comparisons = (
        ("the same 16-bit DPX functions on both", packed[0], packed[1]),
        ("16-bit DPX against plain 32-bit integers", packed[0], plain[1]),
        ("32-bit DPX against plain 32-bit integers", fused[0], plain[1]),
        ("16-bit DPX against half precision", packed[0], half[1]),
        ("plain 32-bit integers on both", plain[0], plain[1]),
        ("new GPU alone: 16-bit DPX against half precision", packed[0], half[0]),
    )
    table = pd.DataFrame(comparisons, columns=["compared", "new_gcups", "old_gcups"])
    return table.assign(ratio=table["new_gcups"] / table["old_gcups"])
