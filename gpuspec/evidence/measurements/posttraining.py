"""Published steps of reinforcement learning, and what the formulas say of each.

A row states the layouts of generation and of training, the answers of a step and their lengths;
nothing is searched.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.base.units import Floats
from gpuspec.catalog import Gpu, gpu
from gpuspec.catalog.frameworks import framework_record
from gpuspec.catalog.precision import training_recipe
from gpuspec.constants.engine import engine
from gpuspec.constants.fabrics import fabric
from gpuspec.constants.kernels import kernels
from gpuspec.constants.memory import memory_terms
from gpuspec.constants.posttraining import PostTrainingTerms
from gpuspec.constants.training import framework
from gpuspec.evidence.measurements.rows import Row, completed, known_model, weights_of
from gpuspec.formulas.memory import state_parts
from gpuspec.formulas.posttraining import (
    LENGTH_SPREAD,
    Lengths,
    packed_batch,
    refit_seconds,
    rollout_seconds,
    step_seconds,
    step_stages,
    streamed_seconds,
    with_terms,
)
from gpuspec.formulas.serving import Deployment, Layout
from gpuspec.formulas.splits import expert_split
from gpuspec.formulas.training import Cluster, TrainingJob, step_parts
from gpuspec.formulas.training.offload import PCIE_SHARE

Stages = dict[str, Floats]
METRICS = ("step_time_s", "generation_s")
"""What a source may print: a whole step, or the answers alone."""
RECIPE = "adamw-megatron"
_NUMBERS: dict[str, float] = {"generation_gpus": 0, "off_policy_steps": 0, "generation_pp": 1}
_NUMBERS |= dict.fromkeys(("tp", "pp", "cp", "ep"), 1) | {"memory_share": np.nan}
_TEXTS = {"recompute": "none", "offload": "", "fp8_recipe": "tensor"}


def prepared(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with every column that a prediction reads, blanks filled.

    Blank GPUs of generation: it takes turns with training on all of them.
    """
    return completed(rows, _NUMBERS, _TEXTS)


def predicted_posttraining(
    rows: pd.DataFrame, terms: PostTrainingTerms, bare: list[Stages] | None = None
) -> Floats:
    """Return what the formulas say for each prepared row, in seconds.

    `bare` are the stages of the rows before any constant (`bare_stages`), where they are known.
    """
    found = zip(rows.to_dict("records"), bare or bare_stages(rows), strict=True)
    return np.array([_predicted(row, stages, terms) for row, stages in found])


def bare_stages(rows: pd.DataFrame) -> list[Stages]:
    """Return the stages of each row's step as engine and training framework take them alone."""
    return [stages_of(row) for row in rows.to_dict("records")]


def _predicted(row: Row, bare: Stages, terms: PostTrainingTerms) -> float:
    found = with_terms(bare, terms)
    if row["metric"] == "generation_s":
        return float(found["generation"])
    return float(step_seconds(found, overlapped=row["off_policy_steps"] > 0))


def stages_of(row: Row) -> Stages:
    """Return the seconds of each stage of a prepared row's step, before any constant."""
    device, apart = gpu(row["gpu"]), row["generation_gpus"] > 0
    writing = row["generation_gpus"] if apart else row["n_gpus"]
    training = row["n_gpus"] - writing if apart else row["n_gpus"]
    lengths = Lengths(float(row["answer_tokens"]), float(row["max_answer_tokens"]), LENGTH_SPREAD)
    answers = row["prompts"] * row["generations"]
    replica = _replica(row, device)
    copies = max(writing // replica.gpus, 1)
    asked = replica, answers / copies, float(row["prompt_tokens"]), lengths, row["generations"]
    late = row["off_policy_steps"]
    generation = streamed_seconds(*asked, late) if late else rollout_seconds(*asked)
    ranks = max(training // (row["tp"] * row["pp"] * row["cp"]), 1)
    job = _job(row, lengths, ranks)
    network, recipe = known_model(row["model"]), training_recipe(RECIPE)
    parts = step_parts(
        network,
        recipe,
        Cluster(
            kernels=kernels(device), fabric=fabric(device), terms=framework(row["framework"])[1]
        ),
        job,
        fp8=row["precision"] == "fp8",
    )
    states = 0.0 if apart else float(sum(state_parts(network, recipe, job).values()))
    link = (device.pcie_bytes_s or 64e9) * PCIE_SHARE
    weights = network.params * replica.layout.weight.main.bytes_per_weight
    return step_stages(
        generation,
        parts,
        job.parallel.zero_stage,
        updates=answers / row["train_batch"],
        reference=bool(row["reference"]),
        critic=row["algorithm"] == "ppo",
        refit_s=refit_seconds(weights, states, host_bytes_s=link),
    )


def _replica(row: Row, device: Gpu) -> Deployment:
    """Return one replica of the engine that writes the answers."""
    era, network = engine(row["engine"], row["engine_version"]), known_model(row["model"])
    tp, share = int(row["generation_tp"]), row["memory_share"]
    limits = era.limits if share != share else era.limits.model_copy(update={"memory_share": share})
    return Deployment(
        layout=Layout(
            network=network,
            gpu=device,
            weight=weights_of(row["model"], row["weight_precision"]),
            tp=tp,
            pp=int(row["generation_pp"]),
            ep=expert_split(network, tp),
            library=era.library,
        ),
        engine=era.terms,
        limits=limits,
        memory=memory_terms(),
    )


def _job(row: Row, lengths: Lengths, ranks: float) -> TrainingJob:
    """Return how an optimizer step of a row is run: sequences packed, one micro-batch at a time."""
    batch = packed_batch(float(row["prompt_tokens"]), lengths, row["train_batch"] / ranks)
    has = framework_record(row["framework"])
    sizes: dict[str, Any] = {name: row[name] for name in ("tp", "pp", "cp", "ep", "recompute")}
    job = TrainingJob.of(
        seq_len=batch.seq_len,
        dp=ranks,
        zero_stage=1,
        sequence_parallel=row["tp"] > 1,
        tp_overlap=row["tp"] > 1,
        fp8_recipe=row["fp8_recipe"],
        attention=has.attention,
        fused_glu=has.fused_glu,
        gathers_ahead=has.ahead(1),
        by_layer=has.by_layer,
        bucket_per_rank=has.bucket_per_rank,
        bytes_per_logit=has.bytes_per_logit,
        offload_optimizer=row["offload"] == "optimizer",
        **sizes,
    )
    return replace(job, batch=batch)
