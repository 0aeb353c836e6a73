"""The fewest GPUs that serve a load where prompts are read on GPUs of their own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product

import numpy as np

from gpuspec.base.units import NODE_GPUS, distinct
from gpuspec.catalog import Gpu
from gpuspec.catalog.precision import WeightFormat
from gpuspec.constants.disaggregated import separate_interval
from gpuspec.formulas.serving import decode_seconds, total_seconds
from gpuspec.formulas.serving.disaggregated import Disaggregated, prefill_alone, transfer_seconds
from gpuspec.formulas.serving.lengths import mean_context
from gpuspec.formulas.splits import Split
from gpuspec.topics.serving.ask import ServingQuestion
from gpuspec.topics.serving.ground import separate_ground
from gpuspec.topics.serving.layouts import replicas
from gpuspec.topics.serving.load import most_requests, over_limits, seen_at, served, sustained
from gpuspec.topics.serving.separate import separated
from gpuspec.topics.ways import Row

LOADS = 32
TRIED, GROWN = 4, 12
"""Pairs of layouts that are worked out, and times that one of their sides grows."""
GROWTH = 0.05
"""Share by which the side that is too small grows, at least a worker."""


def fewest_apart(
    question: ServingQuestion, device: Gpu, form: WeightFormat, below: float = np.inf
) -> Row | None:
    """Return workers that serve the load within its limits on fewer GPUs than `below`, if any do.

    ``gpus``, ``prefill_gpus``, ``decode_gpus``, both layouts as `gpuspec estimate` asks for them
    (``tp``, ``pp``, ``attention_dp``, ``prefill_tp``, ``prefill_attention_dp``), ``ttft_s`` and
    ``tpot_s`` (with a rate those that 95 % keep) each with ``_low`` and ``_high``, ``ground``.
    """
    found = fewest_pair(question, device, form, below)
    return _row(question, *found) if found else None


def fewest_pair(
    question: ServingQuestion, device: Gpu, form: WeightFormat, below: float = np.inf
) -> tuple[Disaggregated, Row] | None:
    """Return the workers of `fewest_apart`, and what users see of them.

    ``ttft_s``, ``tpot_s`` and ``load``, the requests in flight.
    """
    q, best, kept = question, float(below), None
    if q.draft_tokens or q.network.kind == "encoder" or q.osl < 2:
        return None
    for gpus, pair in sorted(_pairs(q, device, form), key=lambda one: one[0])[:TRIED]:
        if gpus >= best:
            break
        found = _grown(q, pair, best)
        if found:
            kept, best = found, found[0].gpus
    return kept


def pair_words(pair: Disaggregated) -> str:
    """Return how a pair is split, such as 6 GPUs read (one GPU each), 8 write (TP 4 each)."""
    read, write = (
        Split(*(getattr(side.layout, name) for name in Split._fields)).words
        for side in (pair.prefill, pair.decode)
    )
    return f"{pair.prefill_gpus} GPUs read ({read} each), {pair.decode_gpus} write ({write} each)"


def _pairs(
    q: ServingQuestion, device: Gpu, form: WeightFormat
) -> Iterator[tuple[int, Disaggregated]]:
    """Yield the workers that a load takes at least, of every two layouts, and their GPUs."""
    fit = [one for split, one, why in replicas(q, device, form) if not why and _fits(split)]
    for write, read in product(fit, fit):
        if write.layout.pp != read.layout.pp:
            continue
        one = separated(read, write)
        alone, _, reads = (float(x) for x in prefill_alone(one, q.prompt_tokens, q.cached_share))
        loads = distinct(np.floor(np.geomspace(1, max(most_requests(q, one), 1), LOADS)))
        context = mean_context(q.prompt_tokens, q.osl, q.osl_cv)
        step = total_seconds(decode_seconds(write, loads, context, q.client))
        alone += float(transfer_seconds(one, q.prompt_tokens))
        good = over_limits(q, np.full(len(step), alone), step) <= 1
        if not good.any():
            continue
        life = step[good] * (q.osl - 1)
        writes = float(np.max(loads[good] / life))
        waits = max(q.ttft_limit_s or alone, alone)
        rate = q.arriving or q.in_flight / (waits + float(life[-1]))
        sides = math.ceil(rate / reads), math.ceil(rate / writes)
        pair = separated(read, write, *sides)
        yield pair.gpus, pair


def _fits(split: Split) -> bool:
    return split.tp <= NODE_GPUS and split.attention_dp in (1, split.tp)


def _grown(
    q: ServingQuestion, pair: Disaggregated, below: float
) -> tuple[Disaggregated, Row] | None:
    """Return a pair with as many workers as keep the limits; None where they are too many."""
    for _ in range(GROWN):
        if pair.gpus >= below:
            return None
        seen = _seen(q, pair)
        if over_limits(q, seen["ttft_s"], seen["tpot_s"]) <= 1:
            return pair, seen
        reads, writes = pair.prefill_workers, pair.decode_workers
        if seen["reading"] and not (q.tpot_limit_s and seen["tpot_s"] > q.tpot_limit_s):
            reads += max(math.ceil(reads * GROWTH), 1)
        else:
            writes += max(math.ceil(writes * GROWTH), 1)
        pair = separated(pair.prefill, pair.decode, reads, writes)
    return None


def _seen(q: ServingQuestion, pair: Disaggregated) -> Row:
    """Return the times that count for the limits, and whether the reading side is the fuller."""
    load = float(q.in_flight)
    if q.arriving:
        seen = seen_at(q, pair, q.arriving)
        times = {name: float(seen[f"{name[:-2]}_p95_s"]) for name in ("ttft_s", "tpot_s")}
        load = min(float(seen["in_flight"]), most_requests(q, pair))
    found = served(q, pair, max(load, 1.0))
    if not q.arriving:
        times = {name: float(found[name]) for name in ("ttft_s", "tpot_s")}
    writing = float(found["requests_s"]) / sustained(q, pair.model_copy(update={"link": "free"}))
    return {**times, "load": load, "reading": float(found["prefill_busy"]) >= writing}


def _row(q: ServingQuestion, pair: Disaggregated, seen: Row) -> Row:
    read, write = pair.prefill.layout, pair.decode.layout
    row: Row = {"gpus": pair.gpus, "prefill_gpus": pair.prefill_gpus}
    row |= {"decode_gpus": pair.decode_gpus}
    row |= {name: getattr(write, name) for name in ("tp", "pp", "attention_dp")}
    row |= {f"prefill_{name}": getattr(read, name) for name in ("tp", "attention_dp")}
    for name, kind in (("ttft_s", "ttft"), ("tpot_s", "tpot")):
        low, high = separate_interval(seen[name], kind)
        row |= {name: seen[name], f"{name}_low": low, f"{name}_high": high}
    return row | {"ground": separate_ground(q, pair, seen["load"]).told()}
