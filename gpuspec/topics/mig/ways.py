"""How many of each GPU hold all tenants, each on a slice or on whole GPUs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError
from gpuspec.topics.mig import MigQuestion, pack, tenant_options
from gpuspec.topics.ways import Ways, filled

PACKING_S = 1.0
"""Time that the solver gets to pack tenants on one kind of GPU."""


def tenants_ways(table: Any, gpus: Sequence[str]) -> Ways:
    """Return how many of each GPU hold all tenants of a table (a file, or its rows)."""
    rows: list[dict[str, Any]] = []
    curves: list[dict[str, np.ndarray]] = []
    for name in gpus:
        count, why = _packed(table, name)
        row: dict[str, Any] = {"gpu": name, "precision": "", "split": "MIG slices"}
        row |= {"unit_gpus": 1, "curve": len(curves), "bound": "slices"}
        row |= {"works": not why, "reason": why, "units": float(count), "gpus": float(count)}
        rows.append(row | {"batch": 1.0, "within": 1.0, "speed_s": 1.0})
        # Memory decides on most slices: the number of GPUs does not follow the speed.
        flat = {"batch": np.array([1.0, 1.0 + 1e-9]), "excess": np.array([1e-9, 2e-9])}
        curves.append(flat | {"load": np.array([float(count)])})
    return Ways(filled(pd.DataFrame(rows)), curves)


def _packed(table: Any, name: str) -> tuple[int, str]:
    """Return the GPUs of one kind that hold all tenants, or why they do not."""
    given: Any = table if isinstance(table, str) else list(table)
    try:
        question = MigQuestion.ask(
            tenants=given,
            gpus=[name],
            prices=f"{name}=1",
            objective="gpus",
            reserve=0.0,
            solver_seconds=PACKING_S,
        )
    except InputError as error:
        if error.field in ("gpu", "gpus", "gpu_name"):
            return 0, f"it has no MIG in the tables ({error.valid})"
        raise
    found = pack(question, tenant_options(question))
    if found.unplaced:
        return 0, f"no place for {', '.join(found.unplaced[:3])}"
    return sum(found.gpus.values()), ""
