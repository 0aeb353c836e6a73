"""Every way to run a simulation: how long its GPU-hours take on numbers of each GPU."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError
from gpuspec.catalog import gpu
from gpuspec.topics.hpc.answer import speed_table
from gpuspec.topics.hpc.ask import HpcQuestion
from gpuspec.topics.hpc.ground import class_ground
from gpuspec.topics.training.ways import COUNTS, job_times
from gpuspec.topics.ways import Row, Ways, filled

MORE = np.array([1, 1.15, 1.4, 2, 4, 8])
"""Multiples of the fewest GPUs that meet the deadline that are tried."""


def hpc_ways(
    workload: str,
    reference_gpu: str,
    gpus: Sequence[str],
    gpu_hours: float,
    deadline_days: float,
    runs_per_year: float = 1.0,
    most_gpus: int = 0,
) -> Ways:
    """Return how long the GPU-hours of a run take on numbers of each GPU.

    The hours are those of one's own on the reference GPU; the ratio of speeds is the model's.
    The run is taken to split into cases that go side by side, so any number of GPUs may do.
    """
    parts = []
    for name in gpus:
        base: Row = {"gpu": name, "precision": "fp64", "unit_gpus": 1}
        base["split"] = "cases side by side"
        try:
            asked = HpcQuestion.ask(application=workload, gpus=[reference_gpu, name])
        except InputError as error:
            if error.field not in ("gpu", "gpus"):
                raise InputError("workloads.workload", error.value, error.valid) from None
            parts.append(pd.DataFrame([{**base, "works": False, "reason": error.valid}]))
            continue
        found = speed_table(asked).iloc[-1]
        hours = gpu_hours / float(found["speed"])
        counts = hpc_counts(hours, deadline_days, most_gpus)
        base |= {"memory_gib": asked.memory_bytes / 2**30, "works": bool(found["fits"])}
        base["reason"] = "" if found["fits"] else "the case does not fit its memory"
        times = job_times(hours / counts / 24, runs_per_year)
        sized = {"units": counts.astype(float), "gpus": counts.astype(float)}
        parts.append(pd.DataFrame({**base, **sized, **times, "bound": str(found["bound"])}))
    table = filled(pd.concat(parts, ignore_index=True))
    grounds = {g: class_ground(gpu(g), workload, gpu(reference_gpu)) for g in gpus}
    codes = table["gpu"].map({g: ground.code for g, ground in grounds.items()})
    return Ways(table.assign(ground=codes), explain=lambda row: grounds[row["gpu"]])


def hpc_counts(gpu_hours: float, deadline_days: float, most: int = 0) -> np.ndarray:
    """Return numbers of GPUs from just enough to eight times as many."""
    least, most = max(int(np.ceil(gpu_hours / 24 / deadline_days)), 1), most or COUNTS[-1]
    counts = np.unique(np.ceil(least * MORE).astype(int))
    kept = counts[counts <= most]
    return kept if len(kept) else np.array([most])
