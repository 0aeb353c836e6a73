"""Sentences about training."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.formulas.training import parallel_sizes
from gpuspec.topics.training import TrainingQuestion
from gpuspec.topics.training.layouts import beside_sizes
from gpuspec.topics.words_running import started
from gpuspec.views.columns import amount
from gpuspec.views.language import say
from gpuspec.views.words import (
    count_words,
    days_with_interval,
    grounds_sentence,
    listed,
    rows,
)


def deadline_finding(question: TrainingQuestion, answer: pd.DataFrame) -> str:
    """Say how many of each GPU train the model in time."""
    q = question
    return in_time(
        say(
            "{name} on {tokens} tokens {due}",
            name=q.network.name,
            tokens=count_words(q.tokens),
            due=due(q),
        ),
        answer,
    )


def due(question: Any) -> str:
    """Say by when a job must be done."""
    q = question
    days = say(
        "{count} day" if q.deadline_days == 1 else "{count} days", count=f"{q.deadline_days:g}"
    )
    return (
        say("by {deadline:%A %Y-%m-%d} (in {days})", deadline=q.deadline, days=days)
        if q.deadline
        else say("in {days}", days=days)
    )


def in_time(job: str, answer: pd.DataFrame) -> str:
    """Say how many of each GPU do a job in time, and which do not on the numbers tried."""
    met = [f"{r.gpus:,} x {r.gpu}" for r in rows(answer) if r.meets]
    late = [str(r.gpu) for r in rows(answer) if not r.meets]
    if not met:
        return say("{job}: none of the numbers tried does it", job=job)
    text = f"{job}: {listed(met)}"
    return (
        say("{what}; {late} not with the numbers tried", what=text, late=listed(late))
        if late
        else text
    )


def deadline_sentences(question: TrainingQuestion, answer: pd.DataFrame) -> str:
    """Say for each GPU how the job is run, how long it takes, or why it does not work."""
    said = []
    for r in rows(answer):
        if not r.works:
            said.append(f"{r.gpu}: {r.reason}.")
            continue
        split = ", ".join(parallel_sizes(r._asdict()))
        more = layout_more(r._asdict())
        said.append(
            say(
                "{gpus:,} x {gpu} ({value}{more}): {days}, MFU {mfu:.0%}, {gpu_hours} GPU-hours, "
                "{kwh}; {verdict}.",
                gpus=r.gpus,
                gpu=r.gpu,
                value=split or say("one GPU"),
                more=more,
                days=days_with_interval(r.days, r.days_low, r.days_high),
                mfu=r.mfu,
                gpu_hours=amount(r.gpu_hours),
                kwh=_energy(r.kwh),
                verdict=r.verdict,
            )
        )
    doubts = (question.doubts, question.network.doubts)
    return " ".join(filter(None, [*said, runs_ground(answer), *doubts]))


def layout_more(row: Mapping[Any, Any]) -> str:
    """Say what a layout does beside splitting the model: sharding, host memory, recomputation."""
    said = beside_sizes(row)
    share = row["recompute_share"]
    if row["recompute"] != "none":
        said.append(
            say("{recompute} recomputation", recompute=row["recompute"])
            + (say(" of {share:.0%}", share=share) if share < 1 else "")
        )
    return "".join(f", {part}" for part in said)


def runs_ground(answer: pd.DataFrame) -> str:
    """Say what is known of settings like those of the runs that work."""
    working = [r for r in rows(answer) if r.works]
    return grounds_sentence({r.gpu: (r.ground["level"], r.ground["reasons"]) for r in working})


def run_sentence(question: TrainingQuestion, row: Mapping[Any, Any]) -> str:
    """Say which job the commands start; of one that does not work, why."""
    split = ", ".join(parallel_sizes(row)) or say("one GPU")
    if not row["works"]:
        return say("{gpu} does not: {reason} ({r}).", gpu=row["gpu"], reason=row["reason"], r=split)
    return started(question.network.name, int(row["gpus"]), row["gpu"], split)


def _energy(kwh: float) -> str:
    return (
        say("{kwh:,.0f} MWh", kwh=kwh / 1000.0) if kwh >= 1e4 else say("{kwh} kWh", kwh=amount(kwh))
    )


def scaling_finding(table: pd.DataFrame) -> str:
    """Say what share of its speed a GPU keeps in the largest job of the same batch."""
    strong = table[table["kind"] == "strong"]
    if strong.empty:
        return say("The job fits none of these numbers of GPUs")
    last = strong.groupby("gpu", sort=False).tail(1)
    said = [f"{r.gpu} {r.efficiency:.0%}" for r in rows(last)]
    return say(
        "Same batch on {max:,} GPUs: a GPU keeps {said} of its speed",
        max=strong["gpus"].max(),
        said=listed(said),
    )


def mfu_finding(table: pd.DataFrame, job: str) -> str:
    """Say which split is the best and how much the worst that works loses."""
    values = table.to_numpy(float)
    if not np.isfinite(values).any():
        return say("{job}: no split works", job=job)
    row, column = np.unravel_index(np.nanargmax(values), values.shape)
    tp, pp = list(table.index)[int(row)], list(table.columns)[int(column)]
    lost = 1 - np.nanmin(values) / np.nanmax(values)
    return say(
        "{job}: best with TP {tp} and PP {pp}; the worst split loses {lost:.0%}",
        job=job,
        tp=tp,
        pp=pp,
        lost=lost,
    )


def size_finding(table: pd.DataFrame, new: str, old: str) -> str:
    """Say between which ratios of speed, and so of price, two GPUs lie over all sizes."""
    known = table.dropna(subset=["ratio"])
    if known.empty:
        return say("No size trains on both {new} and {old}", new=new, old=old)
    low, high = known["ratio"].min(), known["ratio"].max()
    return say(
        "{new} trains {low:.1f} to {high:.1f} times as fast as {old}, small models or large",
        new=new,
        low=low,
        high=high,
        old=old,
    )
