"""How many of each GPU hold all tenants, each on a slice or on whole GPUs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError
from gpuspec.base.spread import Kept
from gpuspec.constants.ground import Ground
from gpuspec.topics.mig import MigQuestion, pack, tenant_options
from gpuspec.topics.mig.ground import packing_ground
from gpuspec.topics.ways import Ways, filled

PACKING_S = 1.0
"""Time that the solver gets to pack tenants on one kind of GPU."""
MOST_PACKED = 256
"""Kinds of GPU with tenants whose packing is kept."""


def tenants_ways(table: str | Sequence[Mapping[str, object]], gpus: Sequence[str]) -> Ways:
    """Return how many of each GPU hold all tenants of a table (a file, or its rows)."""
    told = table if isinstance(table, str) else json.dumps(list(map(dict, table)), default=str)
    packed = _each_packed([_Tenants(told, name, table) for name in gpus])
    counts, reasons = [float(count) for count, _, _ in packed], [why for _, why, _ in packed]
    grounds = {name: ground for name, (_, _, ground) in zip(gpus, packed, strict=True)}
    rows = pd.DataFrame({"gpu": list(gpus), "reason": reasons, "units": counts, "gpus": counts})
    rows = rows.assign(precision="", split="MIG slices", unit_gpus=1, bound="slices")
    rows = rows.assign(curve=range(len(rows)), works=rows["reason"] == "")
    rows = rows.assign(**dict.fromkeys(("batch", "within", "speed_s"), 1.0))
    # Memory decides on most slices: the number of GPUs does not follow the speed.
    flat = {"batch": np.array([1.0, 1.0 + 1e-9]), "excess": np.array([1e-9, 2e-9])}
    rows = rows.assign(ground=[ground.code for ground in grounds.values()])
    curves = [flat | {"load": np.array([count])} for count in counts]
    return Ways(filled(rows), curves, lambda row: grounds[row["gpu"]])


@dataclass(frozen=True)
class _Tenants:
    """Tenants on a kind of GPU; the same where `told` and `gpu` are."""

    told: str
    gpu: str
    table: str | Sequence[Mapping[str, object]] = field(compare=False)


def _packed(asked: _Tenants) -> tuple[int, str, Ground]:
    """Return the GPUs of one kind that hold all tenants, or why they do not; and the ground."""
    table, name = asked.table, asked.gpu
    try:
        goal = {"objective": "gpus", "prices": f"{name}=1", "solver_seconds": PACKING_S}
        question = MigQuestion.ask(tenants=table, gpus=[name], reserve=0.0, **goal)
    except InputError as error:
        if error.field == "gpus":
            return 0, f"it has no MIG in the tables ({error.valid})", Ground("measured")
        raise
    options = tenant_options(question)
    found = pack(question, options)
    ground = packing_ground(found, options)
    if found.unplaced:
        return 0, f"no place for {', '.join(found.unplaced[:3])}", ground
    return sum(found.gpus.values()), "", ground


_each_packed = Kept(_packed, MOST_PACKED)
