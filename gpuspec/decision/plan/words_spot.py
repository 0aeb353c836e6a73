"""What running on spot GPUs asks of the buyer, as sentences of page 1."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gpuspec.base.units import NODE_GPUS
from gpuspec.decision.errors import spot_stops
from gpuspec.decision.loads import DAY_HOURS
from gpuspec.decision.plan.words import Voice, percent, plain
from gpuspec.decision.plans import Plan

FEW = 0.05
"""Interruptions of a run or month below which none is worth a sentence, in one node."""
STOPPED = {
    True: "Sellers differ: between {low} and {high} interruptions a run are drawn, and in the "
    "middle case they take {share} of the paid hours.",
    False: "Sellers differ: between {low} and {high} interruptions a month are drawn, and in the "
    "middle case they take {share} of the paid hours.",
}
"""By whether the work ends."""
TOGETHER = {
    False: "{work} would run on {gpus} on spot, which may be withdrawn at any time.",
    True: "{work} would run on {gpus} on spot, which may be withdrawn at any time: ask first "
    "whether {nodes} servers joined by a fast network can be had together, which is taken here.",
}
"""By whether they stand in several servers."""


def spot_sentences(plan: Plan, voice: Voice) -> str:
    """Say which works rest on spot GPUs, how often they stop, and what is not known of it."""
    runs = plan.runs[plan.runs["venue"] == "spot"].to_dict("records")
    return voice.joined(_sentence(plan, run, voice) for run in runs)


def _count(value: float) -> str:
    return plain(float(f"{value:.2g}"))


def _sentence(plan: Plan, run: Mapping[Any, Any], voice: Voice) -> str:
    kinds, draws = plan.problem.kinds, plan.problem.draws
    ends = bool(np.isfinite(run["days"]))
    hours = float(run["days"] * DAY_HOURS if ends else run["hours_month"])
    usual = float(kinds.lost[kinds.names.index(run["gpu"])]) * run["gpus"] * hours
    low, high = np.quantile(usual * spot_stops(draws.samples, draws.seed), (0.1, 0.9))
    nodes = int(np.ceil(run["gpus"] / NODE_GPUS))
    if nodes == 1 and high < FEW:
        return ""
    values = {"work": run["workload"], "gpus": voice.counted({run["gpu"]: run["gpus"]})}
    texts = [voice.say(TOGETHER[nodes > 1], **values, nodes=plain(nodes))]
    if high >= FEW:
        lost = percent(1 - run["useful"])
        stops = {"low": _count(low), "high": _count(high)}
        texts.append(voice.say(STOPPED[ends], **stops, share=lost))
    return voice.joined(texts)
