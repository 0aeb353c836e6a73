"""What training takes, by way to train."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.lazy import pd
from gpuspec.catalog.precision import precision, training_recipe
from gpuspec.constants.memory import interval
from gpuspec.formulas.memory import TARGETS, Adapter, state_parts, training_parts
from gpuspec.formulas.splits import node_tp
from gpuspec.formulas.training import TrainingJob
from gpuspec.topics.memory.ask import MemoryQuestion
from gpuspec.topics.memory.ground import training_ground
from gpuspec.topics.ways import Row

TRAINING_COUNTS = 2 ** np.arange(0, 12)


def training_policies(question: MemoryQuestion) -> list[tuple[str, str, Row]]:
    """Return the ways to train that are compared: name, kind of error, options."""
    rank = question.lora_rank
    base = {"persistent_gradients": True, "bytes_per_logit": 10.0}
    base |= {"fused_norms": False, "fused_glu": False}  # eager PyTorch, as most scripts run it
    megatron = {"split": True, "zero_stage": 1}
    lora, qlora = (
        {"adapter": Adapter(base=precision(form), rank=rank, targets=TARGETS)}
        for form in ("bf16", "nf4-dq")
    )
    mixed, eight = {"recipe": "adamw-mixed"}, {"recipe": "adamw-8bit"}
    full, tuned = {"recompute": "full"}, {"recipe": "adamw-bf16", "persistent_gradients": False}
    return [
        ("AdamW, not sharded", "full", {**base, **mixed}),
        ("AdamW, ZeRO-1", "full", {**base, **mixed, "zero_stage": 1}),
        ("AdamW, ZeRO-3 / FSDP", "full", {**base, **mixed, "zero_stage": 3}),
        ("AdamW, ZeRO-3, recomputed", "full", {**base, **mixed, **full, "zero_stage": 3}),
        ("Megatron: TP in the node, ZeRO-1", "full", {"recipe": "adamw-megatron", **megatron}),
        ("8-bit AdamW, ZeRO-3, recomputed", "full", {**base, **eight, **full, "zero_stage": 3}),
        (
            f"LoRA rank {rank}, FSDP, recomputed",
            "lora",
            {**base, **full, **tuned, "zero_stage": 3, **lora},
        ),
        (f"QLoRA rank {rank}, recomputed", "qlora", {**base, **full, **tuned, **qlora}),
    ]


def training_table(question: MemoryQuestion) -> pd.DataFrame:
    """Return the peak memory of one GPU for each way to train, on `training_gpus` GPUs.

    Returns
    -------
    DataFrame
        ``policy``, the parts in bytes, ``total``, ``total_low``, ``total_high`` (80 % interval),
        ``ground``, and one column ``needs {gpu}`` for each GPU: the smallest power of two of GPUs
        that holds it at the upper end of the interval (NaN: not even 2,048). Of an encoder with a
        decoder the states alone, as ``policy`` says: what its layers keep is not in its
        description.
    """
    q = question
    alone = " of the decoder alone" if q.network.tower_params else " alone"
    what = f", states{alone}" if q.network.kind == "encoder-decoder" else ""
    rows = []
    for name, kind, options in training_policies(q):
        parts = {k: float(v) for k, v in _policy_parts(q, q.training_gpus, options).items()}
        total = sum(parts.values())
        low, high = interval(total, kind)
        row: Row = {"policy": f"{name}{what}", **parts, "total": total}
        row |= {"total_low": low, "total_high": high, "ground": training_ground(q, kind).told()}
        each = np.array([sum(_policy_parts(q, n, options).values()) for n in TRAINING_COUNTS])
        most = interval(each, kind)[1]
        for g in q.devices:
            enough = most <= g.memory_bytes
            row[f"needs {g.id}"] = TRAINING_COUNTS[enough.argmax()] if enough.any() else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def _policy_parts(q: MemoryQuestion, count: ArrayLike, options: Row) -> Row:
    rest = {k: v for k, v in options.items() if k not in ("recipe", "split", "adapter")}
    counts = np.atleast_1d(count)
    tp = np.array([node_tp(q.network, int(n)) if "split" in options else 1 for n in counts])
    tp = tp if np.ndim(count) else tp[0]
    sizes = {"seq_len": q.seq_len, "micro_batch": q.micro_batch, "tp": tp}
    job = TrainingJob.of(**sizes, dp=np.asarray(count) // tp, **rest)
    recipe, adapter = training_recipe(options["recipe"]), options.get("adapter")
    if q.network.kind == "encoder-decoder":
        states = state_parts(q.network, recipe, job, adapter=adapter)
        return {**states, **dict.fromkeys(("activations", "logits", "workspace", "runtime"), 0.0)}
    return training_parts(q.network, recipe, job, adapter=adapter, terms=q.terms)
