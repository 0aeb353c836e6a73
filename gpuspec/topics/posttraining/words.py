"""Sentences about reinforcement learning."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from gpuspec.constants.posttraining import posttraining_errors
from gpuspec.formulas.posttraining import STAGES
from gpuspec.formulas.training import parallel_sizes
from gpuspec.topics.posttraining.ask import PostTrainingQuestion
from gpuspec.topics.training.words import due, in_time, layout_more
from gpuspec.views.columns import amount
from gpuspec.views.words import counted, days_with_interval, grounds_sentence, listed, rows

STAGE_WORDS = {
    "generation": "answers",
    "environment": "rewards and tools",
    "log_probs": "log-probabilities",
    "reference": "reference",
    "critic": "critic",
    "update": "update",
    "refit": "hand-over of weights",
}
"""What a reader calls a stage of a step."""


def run_finding(question: PostTrainingQuestion, answer: pd.DataFrame) -> str:
    """Say how many of each GPU finish the run in time."""
    q = question
    told = f"{q.answers:,} answers of {q.osl:,} tokens each"
    run = f"{counted(q.steps, 'step')} of {q.algorithm.upper()} on {q.network.name}"
    return in_time(f"{run}, {told}, {due(q)}", answer)


def run_sentences(question: PostTrainingQuestion, answer: pd.DataFrame) -> str:
    """Say for each GPU how the run is laid out, what a step consists of, how long it takes."""
    said = []
    for r in rows(answer):
        if not r.works:
            said.append(f"{r.gpus:,} x {r.gpu}: {r.reason}.")
            continue
        span = days_with_interval(r.days, r.days_low, r.days_high)
        step = f"a step takes {amount(r.step_s)} s ({amount(r.step_s_low)} to "
        step += f"{amount(r.step_s_high)}): {_stages(r._asdict())}"
        said.append(
            f"{r.gpus:,} x {r.gpu} ({layout(r._asdict())}): {span}, {amount(r.gpu_hours)} "
            f"GPU-hours; {step}. The host of a node holds {amount(r.host_gb)} GB of what takes "
            "turns."
        )
    told = {r.gpu: (r.ground["level"], r.ground["reasons"]) for r in rows(answer) if r.works}
    known = grounds_sentence(told) if told else ""
    doubts = (question.doubts, question.network.doubts)
    return " ".join(filter(None, [*said, known, *doubts]))


def layout(row: Mapping[Any, Any]) -> str:
    """Say which GPUs generate and which train, and how each is split."""
    split = ", ".join(parallel_sizes(row)) or "one GPU"
    training = f"training {split}{layout_more(row)}"
    stages = f" PP {row['generation_pp']}" if row["generation_pp"] > 1 else ""
    engine = f"engine {row['replicas']:,} x TP {row['generation_tp']}{stages}"
    if row["generation_gpus"] == row["gpus"]:
        return f"in turns, {engine}, {training}"
    pools = f"{row['generation_gpus']:,} generate, {row['training_gpus']:,} train"
    return f"{pools}, {engine}, {training}"


def _stages(row: Mapping[Any, Any]) -> str:
    total = sum(row[f"{name}_s"] for name in STAGES)
    shares = [(row[f"{name}_s"] / total, STAGE_WORDS[name]) for name in STAGES]
    return listed([f"{words} {share:.0%}" for share, words in shares if share >= 0.005])


def errors_sentence() -> str:
    """Say how wrong a step is on publishers that no fit had seen."""
    of = posttraining_errors().loc["step"]
    return (
        f"Held against {of['rows']:.0f} published steps of {of['publishers']:.0f} publishers, each "
        f"left out in its turn, half of the steps are within {of['median_error']:.0%} and nine of "
        f"ten within {of['p90_error']:.0%}; the intervals say so."
    )
