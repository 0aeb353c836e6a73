"""Tables behind the pictures of the training notebook."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from gpuspec.base.units import GB, Floats
from gpuspec.catalog import Gpu, gpu
from gpuspec.catalog.models import Model
from gpuspec.constants.training import training_interval, training_ratio_interval
from gpuspec.formulas.training import (
    PARTS,
    checkpoint_bytes,
    checkpoint_interval_s,
    goodput,
    host_memory_gb,
    storage_bytes,
    training_seconds,
)
from gpuspec.topics.training.ask import TrainingQuestion
from gpuspec.topics.training.elsewhere import unfit_reason
from gpuspec.topics.training.ground import layout_ground
from gpuspec.topics.training.layouts import BOUNDS, layout_parts, layout_table, nearest_layout
from gpuspec.topics.ways import Row
from gpuspec.views.columns import duration

DAY = 86400.0
WATT_HOURS = 3.6e6
"""Joules of a kilowatt-hour."""
SIZES = (
    "llama-3.2-1b",
    "llama-3.1-8b",
    "qwen2.5-14b",
    "qwen2.5-32b",
    "llama-3.1-70b",
    "mistral-large-123b",
    "llama-3.1-405b",
)
"""Models by which sizes are compared."""
SIZE_COUNTS = (8, 8, 16, 64, 64, 128, 512)
"""GPUs on which each of them is trained there: enough for either GPU."""
KEPT_CHECKPOINTS = 5


@lru_cache(1024)
def layouts(question: TrainingQuestion, device: Gpu, count: int) -> pd.DataFrame:
    """Return `layout_table`; the same table for the same question, so do not change it."""
    return layout_table(question, device, count)


def best_layout(question: TrainingQuestion, device: Gpu, count: int) -> pd.Series:
    """Return the fastest layout of the job on `count` GPUs; one with a reason where none works."""
    table = layouts(question, device, count)
    if table["works"].any():
        return table.iloc[0]
    nearest = nearest_layout(table).iloc[0].copy()
    nearest["reason"] = unfit_reason(question, device, count, str(nearest["reason"]))
    return nearest


def run_figures(question: TrainingQuestion, device: Gpu, count: int, step_s: ArrayLike) -> Row:
    """Return time, energy and useful share of a run whose steps take `step_s` seconds.

    ``days`` is the wall clock with checkpoints and failures, ``goodput`` the useful share of
    it; ``kwh`` counts whole nodes.
    """
    q = question
    days, useful, interval, write, size = _run(q, count, step_s)
    nodes = count / q.gpus_per_node
    return {
        "days": days,
        "gpu_hours": days * 24 * count,
        "goodput": float(useful),
        "kwh": days * DAY * q.node_power_w(device) * nodes / WATT_HOURS,
        "checkpoint_minutes": float(interval) / 60,
        "checkpoint_gb": size / GB,
        "write_s": float(write),
    }


def run_days(question: TrainingQuestion, count: ArrayLike, step_s: ArrayLike) -> Floats:
    """Return the days of `run_figures`, of arrays of numbers of GPUs and of steps."""
    return _run(question, count, step_s)[0]


def _run(
    q: TrainingQuestion, count: ArrayLike, step_s: ArrayLike
) -> tuple[Floats, Floats, Floats, float, float]:
    """Return days, useful share, seconds between checkpoints and of one, and its bytes."""
    size = checkpoint_bytes(q.network, q.recipe)
    write = size / (q.storage_gb_s * GB)
    rate = q.failures_per_gpu_day * np.asarray(count, float) / DAY
    interval = checkpoint_interval_s(write, rate)
    useful = goodput(interval, write, rate, q.restart_s)
    days = training_seconds(q.tokens, q.tokens_per_step, step_s) / useful / DAY
    return days, useful, interval, write, size


def runs_table(question: TrainingQuestion) -> pd.DataFrame:
    """Return one row for each GPU and number of them: the best layout and what the run takes.

    Columns: those of the layout, then ``days`` with ``days_low`` and ``days_high`` (80 %
    interval), ``gpu_hours``, ``goodput``, ``kwh``, ``ground`` (its level and reasons),
    ``meets`` (within the deadline at the central estimate), ``surely`` (at the upper end
    of the interval too).
    """
    rows = []
    for device in question.devices:
        for count in question.counts:
            best = dict(best_layout(question, device, count))
            figures = run_figures(question, device, count, best["step_s"])
            scale = figures["days"] / best["step_s"] if best["works"] else np.nan
            figures |= {f"days_{end}": best[f"step_s_{end}"] * scale for end in ("low", "high")}
            met = bool(best["works"]) and figures["days"] <= question.deadline_days
            surely = met and figures["days_high"] <= question.deadline_days
            ground = layout_ground(question, best).told()
            rows.append({**best, **figures, "ground": ground, "meets": met, "surely": surely})
    return pd.DataFrame(rows)


def deadline_table(question: TrainingQuestion, runs: pd.DataFrame) -> pd.DataFrame:
    """Return for each GPU the fewest of those tried that meet the deadline.

    Where none does, the row of the largest number that works, or the nearest miss with its
    reason. ``verdict`` says it in words.
    """
    rows = []
    for _, group in runs.groupby("gpu", sort=False):
        met, works = group[group["meets"]], group[group["works"]]
        row = met.iloc[0] if len(met) else (works.iloc[-1] if len(works) else group.iloc[-1])
        rows.append({**dict(row), "verdict": _verdict(question, row)})
    return pd.DataFrame(rows)


def _verdict(question: TrainingQuestion, row: pd.Series) -> str:
    if not row["works"]:
        return str(row["reason"])
    if row["surely"]:
        return "meets the deadline, at the upper end of the interval too"
    if row["meets"]:
        return "meets the deadline at the central estimate, not at the upper end"
    return f"misses the deadline by {duration(row['days'] - question.deadline_days)}"


def parts_table(question: TrainingQuestion, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the share of a step that each part takes, for working rows of `runs_table`."""
    found = {}
    for row in rows[rows["works"]].to_dict("records"):
        device = next(g for g in question.devices if g.id == row["gpu"])
        parts = layout_parts(question, device, pd.DataFrame([row]))
        total = sum(float(v[0]) for v in parts.values())
        label = f"{row['gpus']:,} x {row['gpu']}"
        found[label] = {name: float(parts[name][0]) / total for name in PARTS}
    return pd.DataFrame(found).T.rename(columns=BOUNDS)


def mfu_table(question: TrainingQuestion, device: Gpu, count: int) -> pd.DataFrame:
    """Return the best MFU for each tensor and pipeline size; NaN where none works.

    Index ``tp``, columns ``pp``.
    """
    table = layouts(question, device, count)
    table = table.assign(mfu=table["mfu"].where(table["works"]))
    return table.pivot_table(index="tp", columns="pp", values="mfu", aggfunc="max", dropna=False)


def scaling_table(question: TrainingQuestion, counts: Sequence[int]) -> pd.DataFrame:
    """Return how speed grows with GPUs: strong (same batch) and weak (batch grows with them).

    Columns: ``gpu``, ``gpus``, ``kind``, ``tokens_s``, ``efficiency`` (of a GPU, over the
    smallest number that works).
    """
    rows = []
    for device in question.devices:
        for kind in ("strong", "weak"):
            first = 0.0
            for count in counts:
                batch = question.global_batch
                if kind == "weak":
                    batch = max(batch * count // counts[-1], 1)
                asked = question.model_copy(update={"global_batch": int(batch)})
                best = best_layout(asked, device, count)
                if not best["works"]:
                    continue
                each = float(best["tokens_s_gpu"])
                first = first or each
                rows.append((device.id, count, kind, each * count, each / first))
    return pd.DataFrame(rows, columns=["gpu", "gpus", "kind", "tokens_s", "efficiency"])


def fp8_table(question: TrainingQuestion, count: int) -> pd.DataFrame:
    """Return what FP8 brings on each GPU that has it, with the interval of that ratio.

    Columns: ``gpu``, ``bf16_tokens_s``, ``fp8_tokens_s``, ``fp8_over_bf16``,
    ``fp8_over_bf16_low``, ``fp8_over_bf16_high``, ``note``.
    """
    rows = []
    for device in question.devices:
        speeds = []
        for compute in ("bf16", "fp8"):
            asked = question.model_copy(update={"precision": compute})
            best = best_layout(asked, device, count)
            speeds.append(float(best["tokens_s_gpu"]) if best["works"] else np.nan)
        has = "fp8" in device.precisions
        ratio = speeds[1] / speeds[0] if has or np.isnan(speeds[0]) else 1.0
        low, high = training_interval(ratio, "fp8 ratio") if has else (1.0, 1.0)
        note = "" if has else "no FP8 units: computes in BF16"
        note = note if np.isfinite(speeds[0]) else f"does not fit {count} GPUs"
        rows.append((device.id, *speeds, ratio, float(low), float(high), note))
    ratio_columns = ["fp8_over_bf16", "fp8_over_bf16_low", "fp8_over_bf16_high"]
    columns = ["gpu", "bf16_tokens_s", "fp8_tokens_s", *ratio_columns, "note"]
    return pd.DataFrame(rows, columns=columns)


def size_table(
    new: tuple[str, str],
    old: tuple[str, str],
    sizes: Sequence[str | Model] = SIZES,
    counts: Sequence[int] = SIZE_COUNTS,
    seq_len: int = 4096,
    global_batch: int = 1024,
    framework: str = "megatron-core",
) -> pd.DataFrame:
    """Return speed of the `new` (GPU, precision) over the `old` one, by model size.

    Both train the same model on the same number of GPUs, each in its best layout. The ratio is
    also the price ratio at which both cost the same: a GPU-hour of the new one may cost so many
    times that of the old. ``old_gpus`` is what the old one needs to hold the model at all.
    """
    rows = []
    for name, count in zip(sizes, counts, strict=True):
        speeds, reason = [], ""
        for device_name, compute in (old, new):
            asked = TrainingQuestion.ask(
                model=name,
                gpus=device_name,
                counts=[count],
                seq_len=seq_len,
                global_batch=global_batch,
                precision=compute,
                framework=framework,
            )
            best = best_layout(asked, asked.devices[0], count)
            speeds.append(float(best["tokens_s_gpu"]) if best["works"] else np.nan)
            reason = reason or ("" if best["works"] else f"{device_name}: {best['reason']}")
        ratio = speeds[1] / speeds[0]
        low, high = _ratio_interval(ratio, new, old)
        network = asked.network
        rows.append(
            (
                network.name,
                network.params / 1e9,
                count,
                *speeds,
                ratio,
                float(low),
                float(high),
                reason,
            )
        )
    columns = ["model", "params_b", "gpus", "old_tokens_s", "new_tokens_s", "ratio"]
    return pd.DataFrame(rows, columns=[*columns, "ratio_low", "ratio_high", "reason"])


def _ratio_interval(
    ratio: float, new: tuple[str, str], old: tuple[str, str]
) -> tuple[float, float]:
    """Return the interval of a ratio of two (GPU, precision); FP8 adds its own error."""
    ends = [training_ratio_interval(1.0, gpu(new[0]).id, gpu(old[0]).id)]
    if new[1] != old[1]:
        ends.append(training_interval(1.0, "fp8 ratio"))
    low, high = (np.sqrt(sum(np.log(e[i]) ** 2 for e in ends)) for i in (0, 1))
    return float(ratio * np.exp(-low)), float(ratio * np.exp(high))


def fine_tuning_table(question: TrainingQuestion, count: int) -> pd.DataFrame:
    """Return speed and memory of full fine-tuning, LoRA and QLoRA on `count` GPUs of a kind."""
    rows = []
    for device in question.devices:
        for tuning, name in (("full", "all weights"), ("lora", "LoRA"), ("qlora", "QLoRA")):
            asked = question.but(tuning=tuning)
            best = best_layout(asked, device, count)
            speed = float(best["tokens_s_gpu"]) * count if best["works"] else np.nan
            rows.append((device.id, name, speed, best["memory_bytes"], best["reason"]))
    return pd.DataFrame(rows, columns=["gpu", "tuning", "tokens_s", "memory_bytes", "reason"])


def checkpoint_table(
    question: TrainingQuestion, count: int, storage: Sequence[float] = (1.0, 5.0, 20.0, 100.0)
) -> pd.DataFrame:
    """Return interval and useful share of the wall clock by the rate of the storage."""
    rows = []
    for rate in storage:
        asked = question.model_copy(update={"storage_gb_s": float(rate)})
        found = run_figures(asked, question.devices[0], count, 1.0)
        rows.append((rate, found["write_s"], found["checkpoint_minutes"], found["goodput"]))
    columns = ["storage_gb_s", "write_s", "interval_minutes", "goodput"]
    return pd.DataFrame(rows, columns=columns)


def node_table(question: TrainingQuestion, row: pd.Series) -> pd.DataFrame:
    """Return what a node needs beside GPUs, for one row of `runs_table`: what and how much."""
    q, count = question, int(row["gpus"])
    nodes = max(count / q.gpus_per_node, 1)
    size = checkpoint_bytes(q.network, q.recipe)
    device = next(g for g in q.devices if g.id == row["gpu"])
    network = q.network_gb_s(device)
    # A node sends and receives each gradient of its pipeline stage once, the weights once more.
    moved = q.network.params / row["pp"] * (q.recipe.grad_bytes + q.recipe.weight_bytes)
    once = moved / max(network * GB, 1e-9)
    rows = [
        ("Host memory of a node", f"{host_memory_gb(size, nodes):,.0f} GB"),
        ("Checkpoint", f"{size / GB:,.0f} GB, written in {size / q.storage_gb_s / GB:,.0f} s"),
        (
            f"Storage: {KEPT_CHECKPOINTS} checkpoints and the tokens",
            f"{storage_bytes(size, KEPT_CHECKPOINTS, q.tokens) / 1e12:,.1f} TB",
        ),
        ("Network of a node, one direction", f"{network:,.0f} GB/s"),
    ]
    if nodes > 1:
        exposed = float(row["step_s"])
        rows.append(
            (
                "Gradients and weights of a step over it",
                f"{once:,.2f} s at line rate, of a step of {exposed:,.1f} s",
            )
        )
    rows.append(("Power of a node in training", f"{q.node_power_w(device) / 1e3:,.1f} kW"))
    return pd.DataFrame(rows, columns=["what", "amount"])
