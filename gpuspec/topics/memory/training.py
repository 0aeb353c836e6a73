"""What training takes, by way to train."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from gpuspec.base.lazy import pd
from gpuspec.catalog.frameworks import framework_record
from gpuspec.catalog.precision import TrainingRecipe, precision, training_recipe
from gpuspec.constants.memory import interval
from gpuspec.formulas.job import TrainingJob
from gpuspec.formulas.memory import TARGETS, Adapter, state_parts, training_parts, training_peak
from gpuspec.formulas.splits import node_tp
from gpuspec.topics.memory.ask import MemoryQuestion
from gpuspec.topics.memory.ground import training_ground
from gpuspec.topics.ways import Row

TRAINING_COUNTS = 2 ** np.arange(0, 12)
MICROBATCHES = 64
"""Micro-batches of a step on a data-parallel rank: enough to fill a pipeline."""
BASES = {"lora": "bf16", "qlora": "nf4"}
"""Format of the frozen base, by tuning."""


@dataclass(frozen=True)
class Way:
    """A way to train: what is trained, under which framework, and how it is laid out."""

    name: str
    framework: str
    kind: str = "full"
    """Tuning, and whose error the interval is."""
    recipe: str = ""
    """What is kept of each parameter; empty: as the framework does."""
    split: str = ""
    """Empty: data parallelism alone; ``node``: tensor parallelism in a node; ``any``: the split of
    all that the framework can run that takes the least memory."""
    zero_stage: int = 0
    recompute: str = "none"
    offload: str = ""

    def kept(self) -> TrainingRecipe:
        """Return what is kept of each parameter that is trained."""
        usual = framework_record(self.framework).recipe if self.kind == "full" else "adamw-bf16"
        return training_recipe(self.recipe or usual)

    def adapter(self, rank: int) -> Adapter | None:
        """Return the adapters that are trained, if not all weights are."""
        if self.kind == "full":
            return None
        base, fused = precision(BASES[self.kind]), framework_record(self.framework).fused_adapters
        return Adapter(base=base, rank=rank, targets=TARGETS, fused=fused)


def training_policies(question: MemoryQuestion) -> list[Way]:
    """Return the ways to train that are compared."""
    rank = question.lora_rank
    plain, fsdp, megatron = "deepspeed", "fsdp", "megatron-core"
    sharded: Row = {"zero_stage": 3, "recompute": "full"}
    host = "optimizer|activations"
    pipeline = "Megatron: TP, pipeline, recomputed"
    ways = [
        Way("AdamW, not sharded", plain),
        Way("AdamW, ZeRO-1", plain, zero_stage=1),
        Way("AdamW, ZeRO-3 / FSDP", plain, zero_stage=3),
        Way("AdamW, ZeRO-3, recomputed", plain, **sharded),
        Way("AdamW, ZeRO-3, states on the host", plain, offload="optimizer", **sharded),
        Way("Megatron: TP in the node, ZeRO-1", megatron, split="node", zero_stage=1),
        Way(pipeline, megatron, split="any", recompute="full"),
        Way("Megatron, on the host too", megatron, split="any", recompute="full", offload=host),
        Way("8-bit AdamW, ZeRO-3, recomputed", plain, recipe="adamw-8bit", **sharded),
        Way(f"LoRA rank {rank}, FSDP, recomputed", fsdp, "lora", **sharded),
        Way(f"QLoRA rank {rank}, recomputed", fsdp, "qlora", recompute="full"),
        Way(f"QLoRA rank {rank}, FSDP, recomputed", fsdp, "qlora", **sharded),
    ]
    whole = question.network.kind != "encoder-decoder"
    return [way for way in ways if whole or way.split != "any"]


def training_table(question: MemoryQuestion) -> pd.DataFrame:
    """Return the peak memory of one GPU for each way to train, on `training_gpus` GPUs.

    Returns
    -------
    DataFrame
        ``policy``, the parts in bytes and ``total`` on the largest GPU asked for, ``total_low``,
        ``total_high`` (80 % interval), ``ground``; for each GPU ``fits {gpu}`` and
        ``needs {gpu}``: the smallest power of two of GPUs that holds it (NaN: not even 2,048).
        Of an encoder with a decoder the states alone, as ``policy`` says: what its layers keep is
        not in its description.
    """
    q = question
    alone = " of the decoder alone" if q.network.tower_params else " alone"
    what = f", states{alone}" if q.network.kind == "encoder-decoder" else ""
    largest = max(g.memory_bytes for g in q.devices)
    ways, rows = training_policies(q), []
    grounds = {kind: training_ground(q, kind).told() for kind in {way.kind for way in ways}}
    for way in ways:
        counts = (q.training_gpus, *TRAINING_COUNTS.tolist())
        every, starts = way_layouts(q, way, counts)
        parts = {k: float(v) for k, v in _parts(q, way, every[: starts[1]], largest).items()}
        total = sum(parts.values())
        low, high = interval(total, way.kind)
        row: Row = {"policy": f"{way.name}{what}", **parts, "total": total}
        row |= {"total_low": low, "total_high": high, "ground": grounds[way.kind]}
        for g in q.devices:
            least = np.minimum.reduceat(_peaks(q, way, every, g.memory_bytes), starts)
            fits = least <= g.memory_bytes
            row[f"fits {g.id}"] = bool(fits[0])
            row[f"needs {g.id}"] = TRAINING_COUNTS[fits[1:].argmax()] if fits[1:].any() else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def way_layouts(
    q: MemoryQuestion, way: Way, counts: tuple[int, ...]
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the layouts of a way to train on numbers of GPUs, and where each number's begin.

    Columns are those of `layout_grid`; each number has a layout at least.
    """
    how: Row = {"recompute": way.recompute, "offload": way.offload, "micro_batch": q.micro_batch}
    if way.split == "any":
        seq_len = min(q.seq_len, q.network.max_context or q.seq_len)
        grids = [_all_splits(q.model, seq_len, way.framework, n) for n in counts]
        starts = np.cumsum([0, *map(len, grids)])[:-1]
        return pd.concat(grids, ignore_index=True).assign(**how), starts
    gpus = np.array(counts)
    tp = np.array([node_tp(q.network, n) if way.split else 1 for n in counts])
    sizes = {"tp": tp, "pp": 1, "cp": 1, "ep": 1, "dp": gpus // tp, "interleave": 1}
    more = {"microbatches": 1, "zero_stage": way.zero_stage}
    return pd.DataFrame({**sizes, **more}).assign(**how), np.arange(len(counts))


@lru_cache(256)
def _all_splits(model: str, seq_len: int, framework: str, count: int) -> pd.DataFrame:
    """Return the splits that a framework can run on a number of GPUs, one micro-batch each."""
    # What stands in gpuspec.topics.training waits for pandas: it is imported where it is used.
    from gpuspec.topics.training.ask import TrainingQuestion
    from gpuspec.topics.training.layouts import layout_grid
    from gpuspec.topics.training.rules import impossible

    asked = TrainingQuestion.ask(
        model=model, seq_len=seq_len, framework=framework, global_batch=MICROBATCHES * count
    )
    grid = layout_grid(asked, count)
    grid = grid[(grid["micro_batch"] == 1) & (grid["recompute"] == "full")]
    grid = grid[grid["interleave"] == 1].assign(microbatches=float(MICROBATCHES))
    grid = grid[impossible(asked.network, asked, grid) == ""]
    return grid.reset_index(drop=True)


def _job(q: MemoryQuestion, way: Way, grid: pd.DataFrame) -> TrainingJob:
    from gpuspec.topics.training.layouts import layout_job

    return layout_job(q.seq_len, grid, framework_record(way.framework))


def _peaks(q: MemoryQuestion, way: Way, grid: pd.DataFrame, capacity: float) -> np.ndarray:
    """Return the peaks of some layouts on a GPU, of an encoder with a decoder its states."""
    job = _job(q, way, grid)
    recipe, adapter = way.kept(), way.adapter(q.lora_rank)
    if q.network.kind == "encoder-decoder":
        states = state_parts(q.network, recipe, job, adapter=adapter)
        peaks = np.asarray(sum(states.values()), float)
    else:
        peaks = training_peak(q.network, recipe, job, capacity, adapter=adapter, terms=q.terms)
    return np.broadcast_to(peaks, (len(grid),))


def _parts(q: MemoryQuestion, way: Way, grid: pd.DataFrame, capacity: float) -> Row:
    """Return the parts of the layout that takes the least."""
    job = _job(q, way, grid)
    recipe, adapter = way.kept(), way.adapter(q.lora_rank)
    if q.network.kind == "encoder-decoder":
        states = state_parts(q.network, recipe, job, adapter=adapter)
        rest: Row = dict.fromkeys(("activations", "logits", "workspace", "runtime"), 0.0)
        return {**{name: np.ravel(part)[0] for name, part in states.items()}, **rest}
    parts = training_parts(
        q.network, recipe, job, capacity_bytes=capacity, adapter=adapter, terms=q.terms
    )
    place = int(np.argmin(sum(parts.values())))
    return {name: np.broadcast_to(part, (len(grid),))[place] for name, part in parts.items()}
