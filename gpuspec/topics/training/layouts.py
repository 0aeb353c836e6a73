"""Every way to lay a training job out on a number of GPUs, evaluated in a few vectorised calls."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.base.units import GIB, NODE_GPUS
from gpuspec.catalog import Gpu, link
from gpuspec.catalog.frameworks import Framework, framework_record
from gpuspec.catalog.models import Model
from gpuspec.constants.ground import ground_codes
from gpuspec.constants.learnt import learnt
from gpuspec.constants.stored import own_factor
from gpuspec.constants.training import training_interval
from gpuspec.formulas.memory import (
    host_bytes,
    microbatches_in_flight,
    paged_bytes,
    training_peak,
)
from gpuspec.formulas.recompute import recompute_of
from gpuspec.formulas.splits import TENSOR
from gpuspec.formulas.training import (
    PCIE_SHARE,
    TrainingJob,
    expert_counts,
    model_flops_per_token,
    offload_seconds,
    step_parts,
)
from gpuspec.topics.training.ask import TrainingQuestion
from gpuspec.topics.training.ground import SIZES, layouts_ground, levels, setting
from gpuspec.topics.training.rules import impossible
from gpuspec.topics.ways import records

CONTEXT = (1, 2, 4, 8, 16, 32)
EXPERT = (1, 2, 4, 8, 16, 32, 64)
MICRO = (1, 2, 4, 8)
ZERO = ("0", "1", "3")
"""Stages of ZeRO that are tried where a framework has them; 0 where it has no 1, which takes less
memory at the same traffic."""
WHOLE = ("none", "operations", "full")
"""Recomputation that is tried where none is asked for: of a layer, not of modules in it."""
UNFIT = "does not fit"
ORDER = ["step_s", "tp", "pp"]
"""The fastest layout first, and of equals the one that splits less."""
LONG_SEQUENCE = 8192
"""Tokens of a GPU's share of a sequence below which context parallelism is not tried."""
BOUNDS = {
    "gemm": "products",
    "attention": "attention",
    "elementwise": "small kernels",
    "recompute": "recomputation",
    "head": "output head",
    "launch_bound": "host",
    "tp": "TP links",
    "cp": "CP links",
    "ep": "EP links",
    "pp": "PP links",
    "dp": "DP network",
    "bubble": "pipeline bubble",
    "optimizer": "optimizer",
    "fixed": "fixed time",
}
"""What a reader calls a part of a step."""
HOST = {
    "optimizer": "optimizer states in host memory",
    "activations": "activations in host memory",
    "optimizer|activations": "optimizer states and activations in host memory",
}
"""What may go to host memory where nothing fits without, and how it is said."""


PAGED = "part of the optimizer states paged to host memory"


def beside_sizes(row: Mapping[Any, Any]) -> list[str]:
    """Say what a layout does beside splitting the model: sharding, host memory."""
    said = ["ZeRO-3"] if row["zero_stage"] == 3 else []
    if row["offload"]:
        return [*said, HOST[row["offload"]]]
    return said + ([PAGED] if row.get("host_bytes", 0) > 0 else [])


def layout_grid(question: TrainingQuestion, count: int) -> pd.DataFrame:
    """Return all combinations of parallel sizes whose product is `count`, possible or not.

    Columns: ``tp``, ``pp``, ``cp``, ``ep``, ``dp``, ``micro_batch``, ``interleave``,
    ``zero_stage``, ``recompute``, ``recompute_share`` (of the layers), ``offload`` (what is
    asked for), ``microbatches``.
    """
    network, has = question.network, framework_record(question.framework)
    longest = max(question.seq_len // LONG_SEQUENCE, 1)
    contexts = tuple(c for c in CONTEXT if c == 1 or c <= 2 * longest)
    experts = tuple(e for e in EXPERT if e <= max(expert_counts(network), default=1))
    stages = tuple(int(z) for z in ZERO if z in has.zero_stages)
    stages = stages[1:] if 1 in stages[1:] else stages
    again = tuple(kind for kind in has.recompute if kind in WHOLE)
    said = question.recompute
    again = (recompute_of(said, 1)[0],) if said else again
    shape = _shapes(count, network.layers, contexts, experts, stages, again)
    held = {pp: network.layers / pp for pp in shape["pp"].unique()}
    shares = {pp: recompute_of(said, n)[1] if said else 1.0 for pp, n in held.items()}
    return shape.assign(
        recompute_share=shape["pp"].map(shares),
        offload="|".join(question.host_parts or ()),
        microbatches=question.microbatches(shape["dp"], shape["micro_batch"]),
    )


@lru_cache(64)
def _shapes(
    count: int,
    layers: int,
    contexts: tuple[int, ...],
    experts: tuple[int, ...],
    zero_stages: tuple[int, ...],
    recompute: tuple[str, ...],
) -> pd.DataFrame:
    stages = [p for p in _divisors(count) if p <= 2 * layers]
    sizes = [(*TENSOR, 2 * NODE_GPUS), stages, contexts, experts, MICRO, (0, 1)]
    shape = pd.MultiIndex.from_product(
        [*sizes, zero_stages, recompute],
        names=["tp", "pp", "cp", "ep", "micro_batch", "chunked", "zero_stage", "recompute"],
    ).to_frame(index=False)
    split = shape["tp"] * shape["pp"] * shape["cp"]
    shape = shape[(count % split == 0) & ((shape["pp"] > 1) | (shape["chunked"] == 0))]
    shape = shape[(shape["zero_stage"] < 3) | (shape["pp"] == 1)].reset_index(drop=True)
    shape["dp"] = count // (shape["tp"] * shape["pp"] * shape["cp"])
    alone = shape["dp"] * shape["cp"] == 1  # one rank has nobody to shard with: one row, stage 0
    shape = shape[~alone | (shape["zero_stage"] == zero_stages[0])].reset_index(drop=True)
    shape["zero_stage"] = shape["zero_stage"].where(shape["dp"] * shape["cp"] > 1, 0)
    chunks = np.maximum(layers // shape["pp"], 1)
    shape["interleave"] = np.where(shape["chunked"] == 1, chunks, 1)
    return shape.drop(columns="chunked")


def _divisors(number: int) -> list[int]:
    return [d for d in range(1, number + 1) if number % d == 0]


def layout_job(
    seq_len: int, grid: pd.DataFrame, has: Framework, fp8_recipe: str | None = None
) -> TrainingJob:
    """Return the layouts of a grid, under a framework, as step and memory formulas take them."""
    names = ("tp", "pp", "dp", "cp", "ep", "micro_batch", "microbatches", "interleave")
    offload = grid["offload"].to_numpy(str) if "offload" in grid else np.full(len(grid), "")
    share = grid["recompute_share"].to_numpy(float) if "recompute_share" in grid else 1.0
    return TrainingJob.of(
        seq_len=seq_len,
        **{name: grid[name].to_numpy(float) for name in (*names, "zero_stage")},
        recompute=grid["recompute"].to_numpy(str),
        recompute_share=share,
        sequence_parallel=grid["tp"].to_numpy() > 1,
        balanced_stages=has.balanced_stages,
        fp8_recipe=fp8_recipe or "tensor",
        tp_overlap=has.overlaps_tensor & (grid["tp"].to_numpy() > 1),
        attention=has.attention,
        gathers_ahead=has.ahead(grid["zero_stage"]),
        layer_gathers=has.layer_gathers,
        by_layer=has.by_layer,
        bucket_per_rank=has.bucket_per_rank,
        offload_optimizer=np.char.find(offload, "optimizer") >= 0,
        offload_activations=np.char.find(offload, "activations") >= 0,
        bytes_per_logit=has.bytes_per_logit,
        persistent_gradients=has.persistent_gradients,
        fused_norms=has.fused_norms,
        fused_glu=has.fused_glu,
    )


def possible_layouts(
    question: TrainingQuestion, device: Gpu, *counts: int
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the layouts of a job on each number of GPUs, and why each does not work.

    Where none fits, what the framework can keep in host memory goes there: the grid then holds
    those layouts too. It has ``memory_bytes`` (peak of one GPU, NaN where memory was not asked
    about) and ``host_bytes`` (of the host, for each GPU).
    """
    joined = question.cluster(device).fabric
    able = tuple(n for n in counts if n <= joined.island or joined.node_bytes_s)
    found = []
    if able:
        bare = question.model_copy(update={"gpus": (), "precision": "bf16"})
        found.append(_fitting(bare, question.network, device.memory_bytes, able))
    for count in counts:
        if count not in able:
            grid, apart = (
                layout_grid(question, count),
                f"no network joins the nodes of {count:,} GPUs",
            )
            blank = dict.fromkeys(("memory_bytes", "host_bytes"), np.nan)
            found.append((grid.assign(**blank), np.full(len(grid), apart, dtype=object)))
    return _together(found)


def _together(found: list[tuple[pd.DataFrame, np.ndarray]]) -> tuple[pd.DataFrame, np.ndarray]:
    """Return several grids, and what belongs to each of their rows, as one."""
    if len(found) == 1:
        return found[0]
    grids, rows = zip(*found, strict=True)
    return pd.concat(grids, ignore_index=True), np.concatenate(rows)


def gpus_of(grid: pd.DataFrame) -> np.ndarray:
    """Return on how many GPUs each layout of a grid runs."""
    return np.asarray(grid[["tp", "pp", "cp", "dp"]].to_numpy(int).prod(axis=1))


@lru_cache(16)
def _fitting(
    question: TrainingQuestion, network: Model, memory_bytes: float, counts: tuple[int, ...]
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return `possible_layouts` on GPUs of a memory that are joined: formats and GPUs share it."""
    vars(question)["network"] = network  # which a copy of a question looks up anew
    grids = [layout_grid(question, count) for count in counts]
    held = _held(question, memory_bytes, pd.concat(grids, ignore_index=True))
    offload = framework_record(question.framework).offload
    if not offload or question.host_parts is not None:
        return held
    grid, reason = held
    short = np.char.startswith(reason.astype(str), UNFIT)
    gpus = gpus_of(grid)
    short &= ~np.isin(gpus, gpus[reason == ""])
    if not short.any():
        return held
    ways = [*offload, "|".join(offload)] if len(offload) > 1 else offload
    lent = pd.concat([grid[short].assign(offload=way) for way in ways], ignore_index=True)
    return _together([held, _held(question, memory_bytes, lent)])


def _held(
    question: TrainingQuestion, memory_bytes: float, grid: pd.DataFrame
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return a grid with the memory of each layout, and why each does not work."""
    q, has = question, framework_record(question.framework)
    reason = impossible(q.network, q, grid)
    memory, host = np.full(len(grid), np.nan), np.zeros(len(grid))
    able = reason == ""
    if able.any():
        job = layout_job(q.seq_len, grid[able], has)
        asked = (q.network, q.recipe, job)
        memory[able] = training_peak(*asked, memory_bytes, adapter=q.adapter, terms=q.memory)
        if (grid["offload"] != "").any():
            host[able] = sum(host_bytes(*asked, q.adapter).values())
        if q.recipe.paged:
            host[able] += paged_bytes(*asked, memory_bytes, q.adapter, q.memory)
    short = memory - memory_bytes
    unfit = able & (short > 0)
    reason[unfit] = [f"{UNFIT}: {s / GIB:.0f} GiB a GPU short" for s in short[unfit]]
    return grid.assign(memory_bytes=memory, host_bytes=host), reason


def layout_parts(
    question: TrainingQuestion, device: Gpu, grid: pd.DataFrame
) -> dict[str, np.ndarray]:
    """Return the seconds of a step of each layout, by part.

    Waiting for activations that lie in host memory counts as recomputation: what it costs not to
    keep them.
    """
    q, has = question, framework_record(question.framework)
    job = q.timed(layout_job(q.seq_len, grid, has, q.scaled_by))
    parts = step_parts(
        q.network,
        q.recipe,
        q.cluster(device),
        job,
        fp8=q.computes_in(device) == "fp8",
        adapter=q.adapter,
    )
    rate = device.pcie_bytes_s or link("nvlink-c2c").bytes_s
    if q.recipe.paged:  # each update brings the evicted states in and writes them out again
        asked = (q.network, q.recipe, job, device.memory_bytes, q.adapter, q.memory)
        moved = paged_bytes(*asked) / (rate * PCIE_SHARE)
        parts = {**parts, "optimizer": parts["optimizer"] + 2 * moved}
    if not np.any(job.software.offload_activations):
        return parts
    batches, pp = grid["microbatches"].to_numpy(float), grid["pp"].to_numpy(float)
    kept = host_bytes(q.network, q.recipe, job, q.adapter)["activations"]
    moved = kept * batches / microbatches_in_flight(pp, batches, grid["interleave"].to_numpy())
    busy = parts["gemm"] + parts["attention"] + parts["elementwise"]
    return {**parts, "recompute": parts["recompute"] + offload_seconds(moved, rate, busy)}


def layout_table(question: TrainingQuestion, device: Gpu, count: int) -> pd.DataFrame:
    """Return every layout of the job on `count` GPUs of a kind, the fastest first.

    Returns
    -------
    DataFrame
        The columns of `possible_layouts`, then ``gpu``, ``gpus``, ``step_s`` with
        ``step_s_low`` and ``step_s_high`` (80 % interval),
        ``tokens_s_gpu``, ``mfu`` (against the dense peak of the precision), ``bound``,
        ``ground`` (0 measured, 1 near, 2 far),
        ``works`` and ``reason`` (why not; never NaN). A layout that does not work has an
        infinite step.
    """
    timed = timed_layouts(question, device, count)
    table = _with_figures(question, device, count, timed)
    return table.sort_values(ORDER, kind="stable").reset_index(drop=True)


def timed_layouts(question: TrainingQuestion, device: Gpu, *counts: int) -> pd.DataFrame:
    """Return the layouts on each number of GPUs, with ``step_s``, ``bound`` and ``reason``."""
    q = question
    grid, reason = possible_layouts(q, device, *counts)
    works = reason == ""
    step = np.full(len(grid), np.inf)
    bound = np.full(len(grid), "", dtype=object)
    if works.any():
        parts = layout_parts(q, device, grid[works])
        step[works] = sum(parts.values())
        if learnt("training") is not None:
            for count in counts:
                rows = gpus_of(grid) == count
                step[rows] *= _own_factor(q, device, count, grid[rows])
        largest = np.argmax([parts[name] for name in parts], axis=0)
        bound[works] = np.array([BOUNDS[name] for name in parts], dtype=object)[largest]
    return grid.assign(step_s=step, bound=bound, reason=reason)


def _own_factor(q: TrainingQuestion, device: Gpu, count: int, grid: pd.DataFrame) -> np.ndarray:
    """Return the factor that one's own rows put on the steps of layouts on `count` GPUs."""
    split = setting(q, device, count, {name: grid[name].to_numpy(int) for name in SIZES})
    said = {**split, **levels(q, device, count)}
    return own_factor("training", said, ground_codes("training", split))


def fastest_layouts(
    question: TrainingQuestion, device: Gpu, counts: tuple[int, ...]
) -> dict[int, Mapping[str, Any]]:
    """Return the first row of `layout_table` on each number of GPUs that has one that works, and
    of the others that of `nearest_layout`; of figures only ``step_s``, ``bound``, ``ground``.
    """
    q = question
    table = timed_layouts(q, device, *counts)
    order = np.lexsort([table[name].to_numpy() for name in reversed(ORDER)])
    works, gpus = table["reason"].to_numpy(object) == "", gpus_of(table)
    found: dict[int, Mapping[str, Any]] = {}
    for count in counts:
        own = order[gpus[order] == count]
        works_on = bool(works[own[0]])
        first = table.iloc[own[:1]] if works_on else nearest_layout(table.iloc[own])
        (row,) = records(first)
        ground = layouts_ground(q, device, count, first)
        found[count] = {**row, "works": works_on, "ground": int(ground[0])}
    return found


def nearest_layout(table: pd.DataFrame) -> pd.DataFrame:
    """Return the layout that comes nearest to working where none does: a table of one row."""
    fits = table[table["reason"].str.startswith(UNFIT)]
    nearest = fits.sort_values("memory_bytes", kind="stable") if len(fits) else table
    return nearest.iloc[:1]


def _with_figures(
    q: TrainingQuestion, device: Gpu, count: int, timed: pd.DataFrame
) -> pd.DataFrame:
    """Return layouts on `count` GPUs with the columns of `layout_table`."""
    step, reason = timed["step_s"].to_numpy(), timed["reason"].to_numpy(object)
    split = setting(q, device, count, {name: timed[name].to_numpy(int) for name in SIZES})
    said = {**split, **levels(q, device, count)}
    ground = layouts_ground(q, device, count, timed)
    low, high = training_interval(step, levels=said, ground=ground)
    rate = q.tokens_per_step / step / count
    flops = float(model_flops_per_token(q.network, q.seq_len, trained=q.tuning == "full"))
    peak = device.peak_flops(q.computes_in(device))
    return timed.drop(columns=["step_s", "bound", "reason"]).assign(
        gpu=device.id,
        gpus=count,
        step_s=step,
        step_s_low=low,
        step_s_high=high,
        tokens_s_gpu=rate,
        mfu=rate * flops / peak,
        bound=timed["bound"],
        ground=ground,
        works=reason == "",
        reason=reason,
    )


def rejections(table: pd.DataFrame, most: int = 8) -> pd.DataFrame:
    """Return how many layouts fell to each kind of reason, with an example."""
    rejected = table[~table["works"]]
    kinds = rejected["reason"].str.replace(r"[\d,.]+", "n", regex=True)
    rows = [
        (group["reason"].iloc[0], len(group)) for _, group in rejected.groupby(kinds, sort=False)
    ]
    found = pd.DataFrame(rows, columns=["reason", "layouts"])
    return found.sort_values("layouts", ascending=False, kind="stable").head(most)
