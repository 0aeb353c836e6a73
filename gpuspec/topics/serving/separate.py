"""Prompts and answers on separate GPUs: what is asked of it, and its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from gpuspec.base.ask import Ask, Range
from gpuspec.base.errors import InputError
from gpuspec.base.units import distinct
from gpuspec.constants.disaggregated import separate_interval
from gpuspec.formulas.serving import Deployment, max_concurrency, steady_state
from gpuspec.formulas.serving.disaggregated import (
    Disaggregated,
    cache_transfer_bytes,
    disaggregated,
    largest_rate,
    prefill_gpus_per_decode_gpu,
)
from gpuspec.formulas.serving.serving import kv_capacity_tokens

if TYPE_CHECKING:
    from gpuspec.topics.serving.ask import EstimateQuestion
    from gpuspec.topics.ways import Row

Gpus = Annotated[int, Range(1, 1024, "GPUs")]
FIGURES = (("ttft_s", "ttft"), ("tpot_s", "tpot"), ("output_tokens_s", "tpot"))
"""Figures of an answer, and the kind whose error each has: the rate follows the decode side."""


class Separate(Ask):
    """How experts and attention are split, and on which GPUs prompts are read apart."""

    ep: Gpus | None = Field(
        None,
        description="GPUs of tp over which whole experts are spread; None: all, where they divide",
    )
    attention_dp: Gpus = Field(
        1,
        description="Groups of the tp GPUs whose attention works on requests of its own; 1: all "
        "share each request, tp: every GPU has its own",
    )
    prefill_gpus: Annotated[int, Range(0, 1024, "GPUs")] = Field(
        0, description="GPUs that read prompts and write no answers; 0: the same GPUs do both"
    )
    prefill_tp: Gpus | None = Field(
        None, description="Tensor-parallel size of a worker that reads prompts; None: as tp"
    )
    prefill_attention_dp: Gpus | None = Field(
        None, description="Its groups of attention; None: as attention_dp where prefill_tp is tp"
    )
    decode_gpus: Gpus | None = Field(
        None, description="GPUs that write answers where prompts are read apart; None: one replica"
    )
    transfer_by_layer: bool = Field(
        False,
        description="Whether the cache is sent layer by layer while the prompt is read; else after",
    )


def pair_of(question: EstimateQuestion, decode: Deployment) -> Disaggregated:
    """Return the two sides that a question asks for, given one worker that writes answers.

    The cache crosses the links of a node where both sides stand in one, else the network.

    Raises
    ------
    InputError
        GPUs that are no whole workers, or requests without a time between tokens.
    """
    q, own = question, decode.layout
    if q.arriving:
        valid = "0 with a request rate: random arrivals are not modelled on separate GPUs"
        raise InputError("prefill_gpus", q.prefill_gpus, valid)
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
    together = q.prefill_gpus + written <= own.node_gpus
    return Disaggregated(
        prefill=read,
        decode=decode,
        prefill_workers=q.prefill_gpus // read.gpus,
        decode_workers=written // decode.gpus,
        link="node" if together else "network",
        by_layer=q.transfer_by_layer,
    )


def separate_answer(question: EstimateQuestion, pair: Disaggregated) -> Row:
    """Return what users see where prompts are read on GPUs of their own.

    Beside it, under ``same_gpus``, what as many GPUs do that read and write, as replicas of the
    side that writes.
    """
    q, load = question, (question.prompt_tokens, question.osl)
    asked = float(q.in_flight)
    found = disaggregated(pair, asked, *load, q.cached_share)
    rate = float(found["requests_s"])
    waiting = float(found["queue_s"]) * rate
    answer: Row = {"load": asked, "concurrency": asked, "gpus": pair.gpus, "replicas": 1}
    answer |= {"max_concurrency": float(found["max_concurrency"]), "waiting": 0.0, "waiting_s": 0.0}
    tokens = kv_capacity_tokens(pair.decode, q.context) * pair.decode_workers
    used = float(found["decoding"]) * (q.prompt_tokens + q.osl / 2)
    answer |= {"cache_tokens": float(tokens), "cache_tokens_used": used}
    for name, kind in FIGURES:
        value = float(found[name])  # type: ignore[literal-required]
        low, high = separate_interval(value, kind)
        # A rate is wrong the other way round than the time between tokens.
        ends = (value**2 / high, value**2 / low) if name == "output_tokens_s" else (low, high)
        answer[name] = (value, *map(float, ends))
    each = max(float(found["decoding"]) / pair.decode_workers, 1.0)
    sides = {n: float(v) for n, v in largest_rate(pair, *load, q.cached_share).items()}
    waits = ("queue_s", "prefill_s", "transfer_s", "decoding", "prefill_busy")
    answer["separate"] = {
        **{name: float(found[name]) for name in waits},  # type: ignore[literal-required]
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
    answer["same_gpus"] = _on_the_same(q, pair)
    answer["parts"] = {name: float(seconds) for name, seconds in found["parts"].items()}
    return answer


def _within(question: EstimateQuestion, pair: Disaggregated) -> float:
    """Return the most requests in flight that keep the limits; 0 where one does not."""
    q = question
    most = float(max_concurrency(pair.decode, q.prompt_tokens, q.osl)) * pair.decode_workers
    loads = distinct(np.floor(np.geomspace(1.0, max(most, 1.0), 64)))
    found = disaggregated(pair, loads, q.prompt_tokens, q.osl, q.cached_share)
    kept = np.ones(len(loads), bool)
    for name, limit in (("ttft_s", q.ttft_limit_s), ("tpot_s", q.tpot_limit_s)):
        if limit:
            kept &= found[name] <= limit  # type: ignore[literal-required]
    return float(loads[kept].max(initial=0.0))


def _on_the_same(question: EstimateQuestion, pair: Disaggregated) -> Row:
    """Return what replicas on as many GPUs do that read prompts and write answers."""
    q, replicas = question, max(pair.gpus // pair.decode.gpus, 1)
    load = np.asarray(max(q.in_flight / replicas, 1.0))
    found = steady_state(pair.decode, load, q.prompt_tokens, q.osl, q.cached_share)
    return {
        "replicas": replicas,
        "ttft_s": float(found["ttft_s"]),
        "tpot_s": float(found["tpot_s"]),
        "output_tokens_s": float(found["output_tokens_s"]) * replicas,
    }
