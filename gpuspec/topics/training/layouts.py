"""Every way to lay a training job out on a number of GPUs, evaluated in a few vectorised calls."""

from functools import lru_cache

import numpy as np
import pandas as pd

from gpuspec.base.units import GIB, NODE_GPUS
from gpuspec.catalog import Gpu
from gpuspec.catalog.models import Model
from gpuspec.constants.training import training_interval
from gpuspec.formulas.memory import training_parts
from gpuspec.formulas.splits import TENSOR, Rules, first_broken, split_rules
from gpuspec.formulas.training import (
    TrainingJob,
    expert_counts,
    model_flops_per_token,
    step_parts,
)
from gpuspec.topics.training.ask import TrainingQuestion
from gpuspec.topics.training.ground import layouts_ground, levels

CONTEXT = (1, 2, 4, 8, 16, 32)
EXPERT = (1, 2, 4, 8, 16, 32, 64)
MICRO = (1, 2, 4, 8)
ZERO = (1, 3)
RECOMPUTE = ("none", "full")
LARGEST_BUBBLE = 0.5
"""Bubble over work at which a layout is rejected without computing it."""
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


def layout_grid(question: TrainingQuestion, count: int) -> pd.DataFrame:
    """Return all combinations of parallel sizes whose product is `count`, possible or not.

    Columns: ``tp``, ``pp``, ``cp``, ``ep``, ``dp``, ``micro_batch``, ``interleave``,
    ``zero_stage``, ``recompute``, ``microbatches``.
    """
    network = question.network
    longest = max(question.seq_len // LONG_SEQUENCE, 1)
    contexts = tuple(c for c in CONTEXT if c == 1 or c <= 2 * longest)
    experts = tuple(e for e in EXPERT if e <= max(expert_counts(network), default=1))
    shape = _shapes(count, network.layers, contexts, experts)
    return shape.assign(microbatches=question.global_batch / shape["dp"] / shape["micro_batch"])


@lru_cache(64)
def _shapes(
    count: int, layers: int, contexts: tuple[int, ...], experts: tuple[int, ...]
) -> pd.DataFrame:
    stages = [p for p in _divisors(count) if p <= 2 * layers]
    shape = pd.MultiIndex.from_product(
        [(*TENSOR, 2 * NODE_GPUS), stages, contexts, experts, MICRO, (0, 1), ZERO, RECOMPUTE],
        names=["tp", "pp", "cp", "ep", "micro_batch", "chunked", "zero_stage", "recompute"],
    ).to_frame(index=False)
    split = shape["tp"] * shape["pp"] * shape["cp"]
    shape = shape[(count % split == 0) & ((shape["pp"] > 1) | (shape["chunked"] == 0))]
    shape = shape[(shape["zero_stage"] < 3) | (shape["pp"] == 1)].reset_index(drop=True)
    shape["dp"] = count // (shape["tp"] * shape["pp"] * shape["cp"])
    chunks = np.maximum(layers // shape["pp"], 1)
    shape["interleave"] = np.where(shape["chunked"] == 1, chunks, 1)
    return shape.drop(columns="chunked")


def _divisors(number: int) -> list[int]:
    return [d for d in range(1, number + 1) if number % d == 0]


def impossible(network: Model, question: TrainingQuestion, grid: pd.DataFrame) -> np.ndarray:
    """Return why each layout does not work at all, before memory; empty where it may."""
    rules = layout_rules(network, question.seq_len, question.global_batch, grid)
    return first_broken(rules, len(grid))


def layout_rules(
    network: Model, seq_len: int, global_batch: int, grid: pd.DataFrame, node_gpus: int = NODE_GPUS
) -> Rules:
    """Return what breaks each layout of a grid, memory aside."""
    tp, pp, cp, ep, dp = (grid[c].to_numpy() for c in ("tp", "pp", "cp", "ep", "dp"))
    batches = grid["microbatches"].to_numpy(float)
    chunks = grid["interleave"].to_numpy(float)
    micro, ranks = grid["micro_batch"].to_numpy(), dp * cp
    layers, experts = network.layers, expert_counts(network)
    undivided = np.any([n % ep > 0 for n in experts] or [np.zeros(len(ep), bool)], axis=0)
    has = " and ".join(map(str, experts or (0,)))
    bubble = (pp - 1) / chunks / np.maximum(batches, 1)
    return [
        *split_rules(network, tp, pp, node_gpus),
        (
            (chunks > 1) & (layers % pp > 0),
            lambda i: f"PP {pp[i]} does not divide the {layers} layers, so it cannot interleave",
        ),
        ((cp > 1) & (seq_len % (2 * cp) > 0), lambda i: f"CP {cp[i]} does not divide the sequence"),
        (
            ep > ranks,
            lambda i: f"EP {ep[i]} is more than the {ranks[i]} data-parallel ranks",
        ),
        (
            undivided | (ranks % ep > 0),
            lambda i: f"EP {ep[i]} does not divide the {has} experts or the ranks",
        ),
        (
            (batches < 1) | (batches != np.floor(batches)),
            lambda i: (
                f"a batch of {global_batch} does not divide by DP {dp[i]} x micro-batch {micro[i]}"
            ),
        ),
        (
            bubble > LARGEST_BUBBLE,
            lambda i: f"a pipeline bubble of {bubble[i]:.0%} of the work is too large",
        ),
    ]


def layout_job(seq_len: int, grid: pd.DataFrame) -> TrainingJob:
    """Return the layouts of a grid as step and memory formulas take them."""
    names = ("tp", "pp", "dp", "cp", "ep", "micro_batch", "microbatches", "interleave")
    return TrainingJob.of(
        seq_len=seq_len,
        **{name: grid[name].to_numpy(float) for name in (*names, "zero_stage")},
        recompute=grid["recompute"].to_numpy(str),
        sequence_parallel=grid["tp"].to_numpy() > 1,
    )


def peak_memory_bytes(question: TrainingQuestion, grid: pd.DataFrame) -> np.ndarray:
    """Return the peak memory of one GPU for each layout, reserves included."""
    parts = training_parts(
        question.network,
        question.recipe,
        layout_job(question.seq_len, grid),
        adapter=question.adapter,
        terms=question.memory,
    )
    return np.asarray(sum(parts.values()))


def layout_parts(
    question: TrainingQuestion, device: Gpu, grid: pd.DataFrame
) -> dict[str, np.ndarray]:
    """Return the seconds of a step of each layout, by part."""
    return step_parts(
        question.network,
        question.recipe,
        question.cluster(device),
        layout_job(question.seq_len, grid),
        fp8=question.computes_in(device) == "fp8",
        adapter=question.adapter,
    )


def layout_table(question: TrainingQuestion, device: Gpu, count: int) -> pd.DataFrame:
    """Return every layout of the job on `count` GPUs of a kind, the fastest first.

    Returns
    -------
    DataFrame
        The columns of `layout_grid`, then ``gpu``, ``gpus``, ``memory_bytes`` (peak of one
        GPU), ``step_s`` with ``step_s_low`` and ``step_s_high`` (80 % interval),
        ``tokens_s_gpu``, ``mfu`` (against the dense peak of the precision), ``bound``,
        ``ground`` (0 measured, 1 near, 2 far),
        ``works`` and ``reason`` (why not; never NaN). A layout that does not work has an
        infinite step.
    """
    q = question
    grid = layout_grid(q, count)
    reason = impossible(q.network, q, grid)
    memory = np.full(len(grid), np.nan)
    able = reason == ""
    if able.any():
        memory[able] = peak_memory_bytes(q, grid[able])
    short = memory - device.memory_bytes
    unfit = able & (short > 0)
    reason[unfit] = [f"does not fit: {s / GIB:.0f} GiB a GPU short" for s in short[unfit]]
    works = able & ~unfit
    step = np.full(len(grid), np.inf)
    bound = np.full(len(grid), "", dtype=object)
    if works.any():
        parts = layout_parts(q, device, grid[works])
        step[works] = sum(parts.values())
        largest = np.argmax([parts[name] for name in parts], axis=0)
        bound[works] = np.array([BOUNDS[name] for name in parts], dtype=object)[largest]
    ground = layouts_ground(q, device, count, grid)
    low, high = training_interval(step, levels=levels(q, device, count), ground=ground)
    rate = q.tokens_per_step / step / count
    flops = float(model_flops_per_token(q.network, q.seq_len, trained=q.tuning == "full"))
    peak = device.peak_flops(q.computes_in(device))
    table = grid.assign(
        gpu=device.id,
        gpus=count,
        memory_bytes=memory,
        step_s=step,
        step_s_low=low,
        step_s_high=high,
        tokens_s_gpu=rate,
        mfu=rate * flops / peak,
        bound=bound,
        ground=ground,
        works=works,
        reason=reason,
    )
    return table.sort_values(["step_s", "tp", "pp"], kind="stable").reset_index(drop=True)


def rejections(table: pd.DataFrame, most: int = 8) -> pd.DataFrame:
    """Return how many layouts fell to each kind of reason, with an example."""
    rejected = table[~table["works"]]
    kinds = rejected["reason"].str.replace(r"[\d,.]+", "n", regex=True)
    rows = [
        (group["reason"].iloc[0], len(group)) for _, group in rejected.groupby(kinds, sort=False)
    ]
    found = pd.DataFrame(rows, columns=["reason", "layouts"])
    return found.sort_values("layouts", ascending=False, kind="stable").head(most)
