"""What breaks a layout of a training job, memory aside: its framework, its model, its batch."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from gpuspec.base.units import NODE_GPUS
from gpuspec.catalog.frameworks import Framework, framework_record
from gpuspec.catalog.models import Model
from gpuspec.formulas.splits import Rules, first_broken, split_rules
from gpuspec.formulas.training import expert_counts
from gpuspec.topics.training.ask import TrainingQuestion

SPLITS = {"tp": "tensor", "pp": "pipeline", "cp": "context", "ep": "expert"}
TRAINED = {"full": "all weights", "lora": "LoRA", "qlora": "QLoRA"}
LARGEST_BUBBLE = 0.5
"""Bubble over work at which a layout is rejected without computing it."""


def impossible(network: Model, question: TrainingQuestion, grid: pd.DataFrame) -> np.ndarray:
    """Return why each layout does not work at all, before memory; empty where it may."""
    has = framework_record(question.framework)
    rules = [
        *framework_rules(has, grid, question.tuning),
        *layout_rules(
            network, question.seq_len, question.global_batch, grid, question.gpus_per_node
        ),
    ]
    return first_broken(rules, len(grid))


def framework_rules(has: Framework, grid: pd.DataFrame, tuning: str = "full") -> Rules:
    """Return what of each layout of a grid a framework does not have."""
    name, trains = has.name, np.full(len(grid), tuning not in has.tunings)
    rules: Rules = [(trains, _always(f"{name} does not train {TRAINED[tuning]}"))]
    for size, words in SPLITS.items():
        if size not in has.splits:
            beyond = grid[size].to_numpy() > 1
            rules.append((beyond, _always(f"{name} has no {words} parallelism")))
    if not has.interleaves:
        chunked = grid["interleave"].to_numpy() > 1
        rules.append((chunked, _always(f"{name} does not interleave pipeline stages")))
    if tuning == "qlora" and not has.sharded_qlora:
        whole = (grid["zero_stage"].to_numpy() < 3) & (grid["tp"].to_numpy() == 1)
        rules.append((~whole, _always(f"{name} does not split a 4-bit base over GPUs")))
    return rules


def _always(words: str) -> Callable[[int], str]:
    return lambda i: words


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
