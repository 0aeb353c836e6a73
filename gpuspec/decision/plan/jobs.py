"""Ways to run a job: training, simulation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError
from gpuspec.base.units import GIB
from gpuspec.catalog import gpu
from gpuspec.decision.plan.rows import Technical, filled
from gpuspec.decision.scenario import Hpc, Training
from gpuspec.decision.scenario.questions import job_question
from gpuspec.formulas.cost import HOURS_YEAR
from gpuspec.formulas.training import model_flops_per_token, parallel_sizes
from gpuspec.topics.hpc import HpcQuestion, speed_table
from gpuspec.topics.training.answer import DAY, layouts, run_figures

BEST_MFU, WORST_MFU = 0.7, 0.15
"""Shares of the peak between which a training job lies: they bound the counts that are tried."""
MOST_COUNTS = 7
MOST_GPUS = 4096


def training_formats(precisions: Sequence[str], device_id: str) -> list[str]:
    """Return the allowed formats in which a GPU can train."""
    has = gpu(device_id).precisions
    names = [n for n in precisions if n == "bf16" or (n == "fp8" and "fp8" in has)]
    return names or ["bf16"]


def training_options(
    workload: Training,
    gpus: Sequence[str],
    precisions: Sequence[str],
    most_gpus: int = 0,
    every: bool = False,
) -> Technical:
    """Return the best layout (or `every` one) of each GPU, format and number of GPUs."""
    w, parts = workload, []
    for name in gpus:
        for compute in training_formats(precisions, name):
            q = job_question(w, name, 8, compute)
            if compute not in q.devices[0].precisions:
                out = {"gpu": q.devices[0].id, "precision": compute, "split": "", "unit_gpus": 1}
                why = f"{q.devices[0].name} has no {compute.upper()} units"
                parts.append(pd.DataFrame([{**out, "works": False, "reason": why}]))
                continue
            bare = q.model_copy(update={"tokens": 1.0, "deadline_days": 1.0})
            for count in training_counts(q, most_gpus):
                table = layouts(bare, bare.devices[0], count)
                parts.append(_job_rows(q, w, compute, count, table, every))
    return Technical(filled(pd.concat(parts, ignore_index=True)))


def training_counts(question: Any, most: int = 0) -> list[int]:
    """Return the numbers of GPUs between which the deadline can just be met."""
    q = question
    flops = float(model_flops_per_token(q.network, q.seq_len)) * q.tokens
    rate = q.devices[0].peak_flops(q.computes_in(q.devices[0])) * q.deadline_days * DAY
    least, enough = flops / rate / BEST_MFU, 3 * flops / rate / WORST_MFU
    sizes = [2**i for i in range(12)] + [24 * 2**i for i in range(8)]
    sizes = [n for n in sorted(sizes) if n <= (most or 4096)]
    wide = [n for n in sizes if n >= least and n <= max(enough, 8)]
    return (wide or sizes[-1:])[:MOST_COUNTS]


def _job_rows(q: Any, w: Training, compute: str, count: int, table: Any, every: bool) -> Any:
    device = q.devices[0]
    if not table["works"].any():
        fits = table[table["reason"].str.startswith("does not fit")]
        near = fits.sort_values("memory_bytes", kind="stable") if len(fits) else table
        reason = str(near["reason"].iloc[0])
        row = {"gpu": device.id, "precision": compute, "split": f"{count:,} GPUs"}
        sized = {"unit_gpus": count, "gpus": count, "works": False, "reason": reason}
        return pd.DataFrame([{**row, **sized}])
    best = table[table["works"]]
    best = best if every else best.iloc[:1]
    figures = run_figures(q, device, count, best["step_s"].to_numpy(float))
    hours = figures["days"] * 24
    return pd.DataFrame(
        {
            "gpu": device.id,
            "precision": compute,
            "split": _layout_words(best),
            "tp": best["tp"].to_numpy(),
            "pp": best["pp"].to_numpy(),
            "unit_gpus": count,
            "batch": float(w.global_batch),
            "units": 1.0,
            "gpus": float(count),
            "days": figures["days"],
            "speed_s": figures["days"] * DAY,
            "hours_month": hours * w.runs_per_year / 12,
            "busy": np.minimum(hours * w.runs_per_year / HOURS_YEAR, 10.0),
            "memory_gib": best["memory_bytes"].to_numpy(float) / GIB,
            "works": True,
            "reason": "",
            "bound": best["bound"].to_numpy(object),
        }
    )


def _layout_words(rows: pd.DataFrame) -> list[str]:
    words = []
    for r in rows.to_dict("records"):
        sizes = parallel_sizes(r)
        sizes += ["ZeRO-3"] if r["zero_stage"] == 3 else []
        words.append(" ".join(sizes) or "one GPU")
    return words


def hpc_options(workload: Hpc, gpus: Sequence[str], most_gpus: int = 0) -> Technical:
    """Return how long the GPU-hours of a run take on numbers of each GPU.

    The hours are those of one's own on the reference GPU; the ratio of speeds is the model's.
    The run is taken to split into cases that go side by side.
    """
    w, parts = workload, []
    for name in gpus:
        base = {"gpu": name, "precision": "fp64", "split": "cases side by side"}
        try:
            table = speed_table(
                HpcQuestion.ask(application=w.workload, gpus=[w.reference_gpu, name])
            )
        except InputError as error:
            if error.field not in ("gpu", "gpus"):
                raise InputError("workloads.workload", error.value, error.valid) from None
            parts.append(
                pd.DataFrame([{**base, "unit_gpus": 1, "works": False, "reason": error.valid}])
            )
            continue
        parts.append(_hpc_rows(w, base, table.iloc[-1], most_gpus))
    return Technical(filled(pd.concat(parts, ignore_index=True)))


def _hpc_rows(w: Hpc, base: dict[str, Any], found: Any, most_gpus: int) -> pd.DataFrame:
    hours = w.gpu_hours / float(found["speed"])
    counts = _hpc_counts(hours, w.deadline_days, most_gpus)
    days = hours / counts / 24
    return pd.DataFrame(
        {
            **base,
            "unit_gpus": 1,
            "units": counts.astype(float),
            "gpus": counts.astype(float),
            "days": days,
            "speed_s": days * DAY,
            "hours_month": days * 24 * w.runs_per_year / 12,
            "busy": np.minimum(days * 24 * w.runs_per_year / HOURS_YEAR, 10.0),
            "works": bool(found["fits"]),
            "reason": "" if found["fits"] else "the case does not fit its memory",
            "bound": str(found["bound"]),
        }
    )


def _hpc_counts(gpu_hours: float, deadline_days: float, most: int) -> np.ndarray:
    """Return numbers of GPUs from just enough to eight times as many."""
    least = max(int(np.ceil(gpu_hours / 24 / deadline_days)), 1)
    counts = np.unique(np.ceil(least * np.array([1, 1.15, 1.4, 2, 4, 8])).astype(int))
    kept = counts[counts <= (most or MOST_GPUS)]
    return kept if len(kept) else np.array([most or MOST_GPUS])
