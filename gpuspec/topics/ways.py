"""Every way to run one workload, before prices: one row a way, all kinds alike.

Columns of every table here:

============== =============================================================================
column         what it is
============== =============================================================================
gpu, precision id of the GPU, format of the weights or products
split          how a replica or the job is split, in words
unit_gpus      GPUs of one replica, or of the whole job
prefill_gpus   those of them that only read prompts; 0: all do both
batch          load of a replica (services), sequences a step (jobs)
within, most   load of a replica that keeps the limits, and that memory holds
units, gpus    replicas and GPUs for the whole load, at the central estimate
speed_s        seconds that the objective "time" counts: a token, an image, a run
ttft_s, tpot_s services of tokens; NaN elsewhere
days           jobs: wall clock; NaN elsewhere
hours_month    hours that the GPUs are needed in an average month
curve          place in `curves`; -1 where load and speed do not depend on each other
works, reason  whether the split can run at all, else why not
bound          part that takes most of the time
ground         0 measured, 1 near, 2 far: see `constants.ground`
============== =============================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.lazy import pd
from gpuspec.base.units import HOURS_MONTH
from gpuspec.constants.ground import FAR, Ground


@dataclass(frozen=True)
class Ways:
    """Ways to run one workload without prices, and the load curves that some of them have."""

    table: pd.DataFrame
    curves: list[dict[str, np.ndarray]] = field(default_factory=list)
    """``batch`` and ``excess``: how far each load is over the limits, 1 at the limit; ``load``:
    what all replicas carry together."""
    explain: Callable[[Mapping[str, Any]], Ground] | None = None
    """The ground of a row of the table with its reasons."""
    why: Callable[[Mapping[str, Any]], str] | None = None
    """The reason of a row that does not work in full, where ``reason`` leaves something out."""

    def ground(self, row: Mapping[str, Any]) -> Ground:
        """Return the ground of a row of the table, for rows that are shown."""
        return self.explain(row) if self.explain else Ground("measured")

    def reason(self, row: Mapping[str, Any]) -> str:
        """Return why a row of the table does not work, for rows that are shown."""
        return self.why(row) if self.why else str(row["reason"])


Row = dict[str, Any]
"""One row of a table in the making: a value, or an array of values, for each column."""

DEFAULTS: Row = {
    "prefill_gpus": 0,
    "tp": 1,
    "pp": 1,
    "ep": 1,
    "attention_dp": 1,
    "batch": 0.0,
    "units": 0.0,
    "gpus": 0.0,
    "speed_s": np.inf,
    "ttft_s": np.nan,
    "tpot_s": np.nan,
    "days": np.nan,
    "hours_month": HOURS_MONTH,
    "busy": 1.0,
    "within": np.nan,
    "most": np.nan,
    "kv_gib": np.nan,
    "memory_gib": np.nan,
    "inherited": False,
    "curve": -1,
    "bound": "",
    "ground": 0,
    "offload": "",
}


def joined_ways(parts: Sequence[Ways]) -> Ways:
    """Return ways to run a workload on some GPUs and on others as one."""
    if len(parts) == 1:
        return parts[0]
    tables: list[pd.DataFrame] = []
    curves: list[dict[str, np.ndarray]] = []
    for part in parts:
        own = part.table["curve"]
        tables.append(part.table.assign(curve=own.where(own < 0, own + len(curves))))
        curves += part.curves
    by_gpu = {name: part for part in parts for name in part.table["gpu"].unique()}
    table = pd.concat(tables, ignore_index=True)
    return Ways(table, curves, lambda row: by_gpu[row["gpu"]].ground(row))


def doubtful(way: Mapping[str, Any]) -> bool:
    """Return whether a way's own error is wider: kernels of another GPU, or far ground."""
    return bool(way["inherited"]) or int(way["ground"]) == FAR


def capacity(batch: np.ndarray, excess: np.ndarray, speed: ArrayLike = 1.0) -> np.ndarray:
    """Return the largest load of a replica that keeps the limits when `speed` times as fast.

    Between the loads that were computed, the curve is a straight line in log space.
    """
    safe = np.maximum.accumulate(np.maximum(excess, 1e-12))
    rising = safe * (1 + 1e-12 * np.arange(len(safe)))
    found = np.interp(np.log(speed), np.log(rising), np.log(batch))
    return np.asarray(np.exp(found))


def filled(table: pd.DataFrame) -> pd.DataFrame:
    """Give every table the same columns, so that who picks from it knows one shape."""
    table = table.copy()
    for name, value in DEFAULTS.items():
        if name not in table:
            table[name] = value
        elif value == value and table[name].isna().any():
            table[name] = table[name].fillna(value)
    for name in ("unit_gpus", "prefill_gpus", "curve", "tp", "pp", "ep", "attention_dp", "ground"):
        table[name] = table[name].astype(int)
    table["inherited"] = table["inherited"].astype(bool)
    table["works"] = table["works"].astype(bool)
    return table.reset_index(drop=True)


def stacked(parts: list[Row]) -> pd.DataFrame:
    """Stack options whose cells are values or arrays of one length: far quicker than rows."""
    sizes = [max(np.size(v) for v in part.values()) for part in parts]
    found = {}
    for name in dict.fromkeys(n for part in parts for n in part):
        blank = DEFAULTS.get(name, "")
        cells = [np.asarray(p.get(name, blank)) for p in parts]
        kind = object if any(c.dtype.kind in "USO" for c in cells) else None
        columns = [
            np.broadcast_to(c.astype(kind) if kind else c, (n,))
            for c, n in zip(cells, sizes, strict=True)
        ]
        found[name] = np.concatenate(columns)
    return filled(pd.DataFrame(found))


def records(frame: pd.DataFrame) -> list[Row]:
    """Return the rows of a table as mappings from the names of its columns."""
    names = list(map(str, frame.columns))
    columns = (frame[name].tolist() for name in names)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
