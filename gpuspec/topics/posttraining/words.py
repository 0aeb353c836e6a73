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
from gpuspec.views.language import say
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
    told = say("{answers:,} answers of {osl:,} tokens each", answers=q.answers, osl=q.osl)
    run = say(
        "{steps} of {upper} on {name}",
        steps=counted(q.steps, "step"),
        upper=q.algorithm.upper(),
        name=q.network.name,
    )
    return in_time(f"{run}, {told}, {due(q)}", answer)


def run_sentences(question: PostTrainingQuestion, answer: pd.DataFrame) -> str:
    """Say for each GPU how the run is laid out, what a step consists of, how long it takes."""
    said = []
    for r in rows(answer):
        if not r.works:
            said.append(f"{r.gpus:,} x {r.gpu}: {r.reason}.")
            continue
        span = days_with_interval(r.days, r.days_low, r.days_high)
        step = say(
            "a step takes {seconds} s ({low} to {high}): {stages}",
            seconds=amount(r.step_s),
            low=amount(r.step_s_low),
            high=amount(r.step_s_high),
            stages=_stages(r._asdict()),
        )
        said.append(
            say(
                "{gpus:,} x {gpu} ({layout}): {span}, {gpu_hours} GPU-hours; {step}. The host of a "
                "node holds {host_gb} GB of what takes turns.",
                gpus=r.gpus,
                gpu=r.gpu,
                layout=layout(r._asdict()),
                span=span,
                gpu_hours=amount(r.gpu_hours),
                step=step,
                host_gb=amount(r.host_gb),
            )
        )
    told = {r.gpu: (r.ground["level"], r.ground["reasons"]) for r in rows(answer) if r.works}
    known = grounds_sentence(told) if told else ""
    doubts = (question.doubts, question.network.doubts)
    return " ".join(filter(None, [*said, known, *doubts]))


def layout(row: Mapping[Any, Any]) -> str:
    """Say which GPUs generate and which train, and how each is split."""
    split = ", ".join(parallel_sizes(row)) or say("one GPU")
    training = say("training {split}{row}", split=split, row=layout_more(row))
    stages = (
        say(" PP {generation_pp}", generation_pp=row["generation_pp"])
        if row["generation_pp"] > 1
        else ""
    )
    engine = say(
        "engine {replicas:,} x TP {generation_tp}{stages}",
        replicas=row["replicas"],
        generation_tp=row["generation_tp"],
        stages=stages,
    )
    if row["generation_gpus"] == row["gpus"]:
        return say("in turns, {engine}, {training}", engine=engine, training=training)
    pools = say(
        "{generation_gpus:,} generate, {training_gpus:,} train",
        generation_gpus=row["generation_gpus"],
        training_gpus=row["training_gpus"],
    )
    return f"{pools}, {engine}, {training}"


def _stages(row: Mapping[Any, Any]) -> str:
    total = sum(row[f"{name}_s"] for name in STAGES)
    shares = [(row[f"{name}_s"] / total, say(STAGE_WORDS[name])) for name in STAGES]
    return listed([f"{words} {share:.0%}" for share, words in shares if share >= 0.005])


def errors_sentence() -> str:
    """Say how wrong a step is on publishers that no fit had seen."""
    of = posttraining_errors().loc["step"]
    return say(
        "Held against {rows:.0f} published steps of {publishers:.0f} publishers, each left "
        "out in its turn, half of the steps are within {median_error:.0%} and nine of ten "
        "within {p90_error:.0%}; the intervals say so.",
        rows=of["rows"],
        publishers=of["publishers"],
        median_error=of["median_error"],
        p90_error=of["p90_error"],
    )
