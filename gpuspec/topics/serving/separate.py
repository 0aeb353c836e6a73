"""Prompts and answers on separate GPUs: the two sides that are asked for, and their answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gpuspec.base.errors import InputError
from gpuspec.base.units import distinct
from gpuspec.constants.disaggregated import separate_interval
from gpuspec.formulas.serving import Deployment
from gpuspec.formulas.serving.disaggregated import (
    Disaggregated,
    cache_transfer_bytes,
    largest_rate,
    prefill_gpus_per_decode_gpu,
)
from gpuspec.formulas.serving.lengths import mean_context
from gpuspec.formulas.serving.serving import kv_capacity_tokens
from gpuspec.topics.serving.load import (
    largest_within,
    most_requests,
    over_limits,
    seen_at,
    served,
)

if TYPE_CHECKING:
    from gpuspec.topics.serving.ask import EstimateQuestion
    from gpuspec.topics.ways import Row

FIGURES = (("ttft_s", "ttft"), ("tpot_s", "tpot"), ("output_tokens_s", "tpot"))
"""Figures of an answer, and the kind whose error each has: the rate follows the decode side."""


def pair_of(question: EstimateQuestion, decode: Deployment) -> Disaggregated:
    """Return the two sides that a question asks for, given one worker that writes answers.

    Raises
    ------
    InputError
        GPUs that are no whole workers, or requests without a time between tokens.
    """
    q, own = question, decode.layout
    if q.draft_tokens or q.network.kind == "encoder" or q.osl < 2:
        valid = "0: separate GPUs write answers of 2 tokens or more, without speculation"
        raise InputError("prefill_gpus", q.prefill_gpus, valid)
    tp = q.prefill_tp or own.tp
    groups = q.prefill_attention_dp or (own.attention_dp if tp == own.tp else 1)
    ep = own.ep if tp == own.tp else None
    read = q.replica(own.gpu, own.weight, tp, own.pp, ep, groups)
    written = q.decode_gpus or decode.gpus
    for name, count, one in (
        ("prefill_gpus", q.prefill_gpus, read.gpus),
        ("decode_gpus", written, decode.gpus),
    ):
        if count % one:
            raise InputError(name, count, f"give a multiple of the {one} GPUs of a worker")
    workers = q.prefill_gpus // read.gpus, written // decode.gpus
    return separated(read, decode, *workers, q.transfer_by_layer)


def separated(
    read: Deployment, write: Deployment, reads: int = 1, writes: int = 1, by_layer: bool = False
) -> Disaggregated:
    """Return so many workers that read and that write.

    The cache crosses the links of a node where both sides stand in one, else the network.
    """
    together = read.gpus * reads + write.gpus * writes <= write.layout.node_gpus
    return Disaggregated(
        prefill=read,
        decode=write,
        prefill_workers=reads,
        decode_workers=writes,
        link="node" if together else "network",
        by_layer=by_layer,
    )


def separate_answer(question: EstimateQuestion, pair: Disaggregated) -> Row:
    """Return what users see where prompts are read on GPUs of their own.

    Beside it, under ``same_gpus``, what as many GPUs do that read and write, as replicas of the
    side that writes.
    """
    q, load = question, (question.prompt_tokens, question.osl)
    seen = {n: float(v) for n, v in seen_at(q, pair, q.arriving).items()} if q.arriving else {}
    # By Little's law; without bound where the rate is more than can be sustained.
    asked = seen["in_flight"] if seen else float(q.in_flight)
    most = most_requests(q, pair)
    # What is in flight counts those who queue for the sides, so that it may exceed what one holds.
    inside = asked if np.isfinite(asked) else most
    found = served(q, pair, max(inside, 1.0) if seen else inside)
    rate = float(found["requests_s"])
    waiting = float(found["queue_s"]) * rate
    answer: Row = {"load": inside, "concurrency": asked, "gpus": pair.gpus, "replicas": 1}
    answer |= {"max_concurrency": most, "waiting": asked - inside if seen else 0.0}
    answer["waiting_s"] = answer["waiting"] / rate
    answer |= {"arrivals": seen} if seen else {}
    tokens = kv_capacity_tokens(pair.decode, q.held_context) * pair.decode_workers
    used = float(found["decoding"]) * float(mean_context(*load, q.osl_cv))
    answer |= {"cache_tokens": float(tokens), "cache_tokens_used": used}
    for name, kind in FIGURES:
        value = float(found[name])
        low, high = separate_interval(value, kind)
        # A rate is wrong the other way round than the time between tokens.
        ends = (value**2 / high, value**2 / low) if name == "output_tokens_s" else (low, high)
        answer[name] = (value, *map(float, ends))
    each = max(float(found["decoding"]) / pair.decode_workers, 1.0)
    sides = {n: float(v) for n, v in largest_rate(pair, *load, q.cached_share, q.client).items()}
    waits = ("queue_s", "prefill_s", "transfer_s", "decoding", "prefill_busy")
    answer["separate"] = {
        **{name: float(found[name]) for name in waits},
        "prefill_gpus": pair.prefill_gpus,
        "decode_gpus": pair.decode_gpus,
        "transfer_bytes": float(
            cache_transfer_bytes(q.network, q.prompt_tokens, pair.decode.layout.kv_bytes)
        ),
        "requests_s_most": sides,
        "waiting": waiting,
        "slowest": min(sides, key=lambda side: sides[side]),
        "prefill_gpus_per_decode_gpu": float(
            prefill_gpus_per_decode_gpu(pair, each, *load, q.cached_share)
        ),
    }
    answer["concurrency_within"] = _within(q, pair)
    answer["requests_s_sustained"] = min(sides.values())
    answer |= {"requests_s_within": largest_within(q, pair)} if q.arriving else {}
    answer["same_gpus"] = _on_the_same(q, pair)
    answer["parts"] = {name: float(seconds) for name, seconds in found["parts"].items()}
    return answer


def _within(question: EstimateQuestion, pair: Disaggregated) -> float:
    """Return the most requests in flight that keep the limits; 0 where one does not."""
    q = question
    loads = distinct(np.floor(np.geomspace(1.0, max(most_requests(q, pair), 1.0), 64)))
    found = served(q, pair, loads)
    kept = over_limits(q, found["ttft_s"], found["tpot_s"]) <= 1
    return float(loads[kept].max(initial=0.0))


def _on_the_same(question: EstimateQuestion, pair: Disaggregated) -> Row:
    """Return what replicas on as many GPUs do that read prompts and write answers."""
    q, replicas = question, max(pair.gpus // pair.decode.gpus, 1)
    if q.arriving:
        seen = seen_at(q, pair.decode, q.arriving / replicas)
        times = {name: float(seen[f"{name[:-2]}_p95_s"]) for name in ("ttft_s", "tpot_s")}
    else:
        seen = served(q, pair.decode, max(q.in_flight / replicas, 1.0))
        times = {name: float(seen[name]) for name in ("ttft_s", "tpot_s")}
    tokens = float(seen["output_tokens_s"]) * replicas
    return {"replicas": replicas, **times, "output_tokens_s": tokens}
