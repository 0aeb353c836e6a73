"""Ways to lay a training job out, and the seconds of each, in one vectorised call a GPU."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gpuspec.base.units import NODE_GPUS
from gpuspec.catalog import Gpu
from gpuspec.catalog.frameworks import framework_record
from gpuspec.catalog.models import Model
from gpuspec.catalog.precision import precision, training_recipe
from gpuspec.constants.kernels import kernels
from gpuspec.constants.links import Fabric
from gpuspec.formulas.memory import TARGETS, Adapter, training_peak
from gpuspec.formulas.splits import TENSOR
from gpuspec.formulas.training import PARTS, Cluster, step_parts
from gpuspec.topics.networks.ask import NetworksQuestion
from gpuspec.topics.training.layouts import layout_job
from gpuspec.topics.training.rules import layout_rules

WAITING = ("tp", "cp", "ep", "pp", "dp", "bubble")
"""Parts of a step in which a GPU waits for others."""
LORA_RANK = 16


def layout_grid(
    network: Model,
    gpus: int,
    sequences: int,
    seq_len: int,
    node: int = NODE_GPUS,
    stages: Sequence[int] = (1,),
    contexts: Sequence[int] = (1,),
    experts: Sequence[int] = (1,),
) -> pd.DataFrame:
    """Return the layouts of a job on `gpus` GPUs that are possible at all.

    `sequences` is the global batch. Columns: parallel sizes, ``micro_batch``,
    ``microbatches``, ``interleave``, ``zero_stage``, ``recompute``.
    """
    names = ["tp", "pp", "cp", "ep", "micro_batch", "zero_stage", "recompute", "chunked"]
    choices = [TENSOR, stages, contexts, experts, (1, 2, 4), (1, 3), ("none", "full"), (0, 1)]
    grid = pd.MultiIndex.from_product(choices, names=names).to_frame(index=False)
    grid = grid[gpus % (grid["tp"] * grid["pp"] * grid["cp"]) == 0]
    grid = grid[(grid["zero_stage"] == 1) | (grid["pp"] == 1)]
    grid["dp"] = gpus // (grid["tp"] * grid["pp"] * grid["cp"])
    grid["microbatches"] = sequences / grid["dp"] / grid["micro_batch"]
    chunked = grid.pop("chunked") == 1
    grid["interleave"] = np.where(chunked, np.maximum(network.layers // grid["pp"], 1), 1)
    # Megatron-LM interleaves equal stages in full rounds alone.
    rounds = (network.layers % grid["pp"] == 0) & (grid["microbatches"] % grid["pp"] == 0)
    grid = grid[~chunked | (rounds & (grid["pp"] > 1))]
    rules = layout_rules(network, seq_len, sequences, grid, node)
    return grid[~np.any([broken for broken, _ in rules], axis=0)].reset_index(drop=True)


def adapters() -> Adapter:
    """Return the adapters of a LoRA fine-tuning on a BF16 base."""
    return Adapter(base=precision("bf16"), rank=LORA_RANK, targets=TARGETS)


def evaluated(
    question: NetworksQuestion,
    network: Model,
    device: Gpu,
    joined: Fabric,
    grid: pd.DataFrame,
    seq_len: int,
    adapter: Adapter | None = None,
) -> pd.DataFrame:
    """Return the grid with the seconds of each part of a step, and whether it fits.

    Adds ``gemm_s``, ``tp_s``... (one for each of `formulas.training.PARTS`), ``step_s``,
    ``memory_bytes`` (peak of a GPU) and ``fits``.
    """
    recipe = training_recipe("adamw-megatron" if adapter is None else "adamw-bf16")
    cluster = Cluster(kernels=kernels(device), fabric=joined, terms=question.terms)
    job = layout_job(seq_len, grid, framework_record(question.framework))
    parts = step_parts(network, recipe, cluster, job, adapter=adapter)
    capacity = device.memory_bytes
    held = training_peak(network, recipe, job, capacity, adapter=adapter, terms=question.memory)
    return grid.assign(
        **{f"{name}_s": parts[name] for name in PARTS},
        step_s=sum(parts.values()),
        memory_bytes=held,
        fits=held <= capacity,
    )


def fastest(table: pd.DataFrame) -> pd.Series | None:
    """Return the fastest layout that fits; None where none does."""
    able = table[table["fits"]]
    return None if able.empty else able.iloc[int(able["step_s"].to_numpy().argmin())]
