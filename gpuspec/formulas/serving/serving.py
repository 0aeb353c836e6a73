"""Latency and throughput of one replica under a load: the formulas over iterations.

Definitions, used everywhere: TTFT is the time from a request's arrival to its first token.
TPOT = (latency - TTFT) / (OSL - 1), the mean time between tokens after the first; tools that
print latency / OSL give ``(TTFT + TPOT (OSL - 1)) / OSL`` (see `per_output_token`).
"""

from typing import NotRequired, TypedDict

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import GB, Floats, distinct
from gpuspec.catalog.models import parameter_parts
from gpuspec.formulas.memory import sequence_bytes, serving_parts
from gpuspec.formulas.serving.deployment import Deployment
from gpuspec.formulas.serving.encoding import encoding

MIXERS = ("attention", "linear")
"""Parts of the weights that mix tokens."""


class SteadyState(TypedDict):
    """Speed of a replica with requests always in flight."""

    ttft_s: Floats
    tpot_s: Floats
    decoding: Floats
    """Mean sequences that decode."""
    output_tokens_s: Floats
    requests_s: Floats
    parts: dict[str, Floats]
    """Seconds of a mean token step by part, which add up to ``tpot_s`` (an encoder: of a batch)."""
    max_concurrency: NotRequired[Floats]


def per_output_token(ttft_s: ArrayLike, tpot_s: ArrayLike, osl: ArrayLike) -> Floats:
    """Return latency / OSL, which some tools call time per output token.

    >>> float(per_output_token(1.0, 0.02, 101))   # 3 s for 101 tokens
    0.0297029702970297
    """
    n = np.asarray(osl, float)
    return np.asarray((np.asarray(ttft_s) + np.asarray(tpot_s) * (n - 1)) / n)


def kv_capacity_tokens(replica: Deployment, context: ArrayLike = 2048) -> Floats:
    """Return the tokens of cache that one GPU of the replica holds, as engines reckon them.

    vLLM gives the cache its share of the total memory less weights, activations and runtime;
    TensorRT-LLM gives it a share of what is free once the model is loaded. Under
    `attention_dp` the group of GPUs holds `tp` times as many.
    """
    context = np.asarray(context, float)
    free = np.maximum(cache_bytes(replica, context), 0.0)
    groups = replica.layout.tp if replica.layout.attention_dp else 1
    return np.asarray(free / request_bytes(replica, context) * context * groups)


def engine_memory(
    replica: Deployment, context: ArrayLike = 2048
) -> tuple[dict[str, Floats], Floats]:
    """Return the bytes that a GPU holds besides the cache, by part, and those that it may hold.

    ``weights``, ``activations`` (of the engine's largest iteration), ``runtime`` (context,
    buffers and what the engine keeps); the cache gets the rest of what the GPU may hold.
    """
    layout, limits = replica.layout, replica.limits
    parts = serving_parts(
        layout.network,
        layout.weight,
        context=context,
        sequences=np.minimum(limits.max_sequences, 256),
        kv_bytes_each=layout.kv_bytes,
        tp=layout.tp,
        pp=layout.pp,
        batched_tokens=limits.max_tokens,
        terms=replica.memory,
    )
    taken = {name: parts[name] for name in ("weights", "activations", "runtime")}
    taken["runtime"] = taken["runtime"] + replica.engine.reserve_gb * GB
    if layout.attention_dp:  # every GPU holds the mixers of its own requests whole
        counts = parameter_parts(layout.network)
        mixing = sum(counts[name] * layout.weight.bytes_each(name) for name in MIXERS)
        taken["weights"] = taken["weights"] + mixing / layout.pp * (1 - 1 / layout.tp)
    held, memory = sum(taken.values()), layout.gpu.memory_bytes
    if layout.library == "tensorrt-llm":
        budget = held + (memory - held) * limits.memory_share
    else:
        budget = np.asarray(memory * limits.memory_share)
    return taken, np.asarray(budget)


def cache_bytes(replica: Deployment, context: ArrayLike = 2048) -> Floats:
    """Return the bytes that each GPU has for its cache; negative where the model does not fit."""
    parts, budget = engine_memory(replica, context)
    return np.asarray(budget - sum(parts.values()))


def request_bytes(replica: Deployment, context: ArrayLike) -> Floats:
    """Return the bytes of cache and states that one request of `context` takes of each GPU."""
    layout = replica.layout
    tp = 1 if layout.attention_dp else layout.tp
    network, images = layout.network, layout.image_tokens
    return sequence_bytes(network, context, layout.kv_bytes, tp, layout.pp, image_tokens=images)


def longest_context(replica: Deployment) -> float:
    """Return the tokens of the longest single request; 0 where not one token fits."""
    if replica.layout.network.kind == "encoder":  # keeps nothing: as long as it was made for
        return float(replica.layout.network.max_context) * bool(cache_bytes(replica) >= 0)
    low, high = 0.0, 2.0**32
    while high - low > 1:  # by bisection, since sliding windows bend the line
        tokens = distinct(np.floor(np.linspace(low, high, 64)))[1:]
        good = request_bytes(replica, tokens) <= cache_bytes(replica, tokens)
        low = float(tokens[good].max(initial=low))
        high = float(tokens[~good].min(initial=high)) if not good.all() else low
    return low


def max_concurrency(replica: Deployment, isl: ArrayLike, osl: ArrayLike) -> Floats:
    """Return the most requests in flight that memory and the engine's settings allow."""
    context = np.asarray(isl, float) + np.asarray(osl, float)
    if replica.layout.network.kind == "encoder":  # only what is read at once needs room
        fits = cache_bytes(replica, context) >= 0
        return np.asarray(np.where(fits, float(replica.limits.max_sequences), 0.0))
    tokens = kv_capacity_tokens(replica, context)
    return np.asarray(np.minimum(np.floor(tokens / context), replica.limits.max_sequences))


def prefill_seconds(
    replica: Deployment, sequences: ArrayLike, isl: ArrayLike, past_tokens: ArrayLike = 0
) -> dict[str, Floats]:
    """Return the seconds to process the prompts of `sequences` that arrive together, by part.

    Prompts go through in iterations of at most ``max_tokens``; a longer prompt is cut into
    chunks, each of which attends to what came before.
    """
    b, isl = np.asarray(sequences, float), np.asarray(isl, float)
    budget = replica.limits.max_tokens
    chunks = np.ceil(isl / budget)
    together = np.maximum(np.floor(budget / isl), 1.0)
    together = np.minimum(together, b)
    rounds = b / together * chunks
    chunk = isl / chunks
    past = np.asarray(past_tokens, float) + chunk * (chunks - 1) / 2
    # Stages of a pipeline work on different chunks at once: pp - 1 more than there are.
    parts = replica.iteration_parts(0, 1, chunk, together * replica.layout.pp, past)
    busy = (rounds + replica.layout.pp - 1) / replica.layout.pp
    return {name: np.asarray(seconds * busy) for name, seconds in parts.items()}


def decode_seconds(
    replica: Deployment, sequences: ArrayLike, context: ArrayLike
) -> dict[str, Floats]:
    """Return the seconds of one token step of `sequences` at a mean `context`, by part."""
    return replica.iteration_parts(sequences, context)


def static_batch(
    replica: Deployment, batch: ArrayLike, isl: ArrayLike, osl: ArrayLike
) -> dict[str, Floats]:
    """Return ``ttft_s``, ``tpot_s``, ``latency_s``, ``output_tokens_s`` of a batch run together."""
    b, i, o = (np.asarray(x, float) for x in (batch, isl, osl))
    ttft = total_seconds(prefill_seconds(replica, b, i))
    tpot = total_seconds(decode_seconds(replica, b, i + o / 2))
    latency = ttft + tpot * (o - 1)
    return {
        "ttft_s": ttft,
        "tpot_s": tpot,
        "latency_s": latency,
        "output_tokens_s": b * o / latency,
    }


def steady_state(
    replica: Deployment,
    concurrency: ArrayLike,
    isl: ArrayLike,
    osl: ArrayLike,
    cached_share: ArrayLike = 0.0,
    in_step: bool = True,
) -> SteadyState:
    """Return speed with `concurrency` requests always in flight (continuous batching).

    `in_step`: clients started together, as load generators do, and their prompts still come in
    bunches (``EngineTerms.burst``). Users act on their own: their prompts wait as at random.

    Each finished request makes room for the next, whose prompt is processed in chunks beside
    the others' tokens. Per token step ``B / OSL`` prompts begin, so the mean step takes a
    decode step and that share of a prefill; where prompts would exceed the engine's token
    budget, fewer sequences decode at once.
    ``ttft_s`` is the own prefill behind those of clients that send together. An encoder only
    reads: its answer is the first token and the last, and ``output_tokens_s`` are those it reads.
    """
    if replica.layout.network.kind == "encoder":
        return _reading(replica, concurrency, isl)
    n, i, o = (np.asarray(x, float) for x in (concurrency, isl, osl))
    new = np.maximum(i * (1 - np.asarray(cached_share, float)), 1.0)
    past = i - new
    budget = float(replica.limits.max_tokens)
    decoding = np.minimum(n, _decoding_limit(replica, new, o))
    starts = decoding / o  # prompts that begin in a token step
    lump = np.clip(np.maximum(new, starts * new), 1.0, np.maximum(budget - decoding, budget / 8))
    prompts = np.maximum(lump / new, 1.0)
    chunk = np.minimum(new, lump)
    middle = past + np.maximum(new - chunk, 0.0) / 2
    alone = replica.iteration_parts(decoding, i + o / 2)
    both = replica.iteration_parts(decoding, i + o / 2, chunk, prompts * replica.layout.pp, middle)
    share = starts * new / (lump * replica.layout.pp)
    parts = {
        name: np.asarray(
            (1 - np.minimum(share, 1)) * alone[name] + share * both[name]
            if name != "engine"
            else alone[name] + np.maximum(share - 1, 0) * both[name]
        )
        for name in alone
    }
    step = total_seconds(parts)
    pieces = np.ceil(new / chunk)
    waiting = step / 2  # of the iteration that runs when the request arrives
    own = pieces * total_seconds(both) + replica.engine.first_token_ms / 1e3
    more = np.maximum(total_seconds(both) - total_seconds(alone), 0.0)
    prompt = more * new / (lump * replica.layout.pp)
    if in_step:
        others = replica.engine.burst * np.maximum(n - 1, 0.0) / 2 * prompt
    else:  # M/D/1: the prompts of the others are a queue that is busy this share of the time
        busy = np.minimum(starts / step * prompt, 0.95)
        others = np.where(n > 1, busy * prompt / (2 * (1 - busy)), 0.0)
    ttft = waiting + own + others
    return {
        "ttft_s": ttft,
        "tpot_s": step,
        "decoding": decoding,
        "output_tokens_s": decoding / step,
        "requests_s": decoding / step / o,
        "parts": parts,
    }


def _reading(replica: Deployment, concurrency: ArrayLike, isl: ArrayLike) -> SteadyState:
    """Return the steady state of an encoder; its step is the batch of sequences read at once."""
    found = encoding(replica, concurrency, isl)
    rate = found.pop("sequences_s")
    return {
        "ttft_s": found.pop("sequence_s"),
        "tpot_s": np.zeros(np.shape(rate)),
        "decoding": found.pop("batch"),
        "output_tokens_s": np.asarray(rate * np.asarray(isl, float)),
        "requests_s": rate,
        "parts": found,
    }


def maximum_load(
    replica: Deployment, isl: ArrayLike, osl: ArrayLike, cached_share: ArrayLike = 0.0
) -> SteadyState:
    """Return `steady_state` at the largest load that memory holds, tails and ramps counted."""
    most = max_concurrency(replica, isl, osl)
    occupied = np.maximum(most * replica.engine.occupancy, np.minimum(most, 1.0))
    steady = steady_state(replica, np.maximum(occupied, 1e-9), isl, osl, cached_share)
    steady["max_concurrency"] = most
    steady["output_tokens_s"] = np.where(most >= 1, steady["output_tokens_s"], 0.0)
    steady["requests_s"] = np.where(most >= 1, steady["requests_s"], 0.0)
    return steady


def finite_run(
    replica: Deployment, requests: ArrayLike, concurrency: ArrayLike, isl: ArrayLike, osl: ArrayLike
) -> Floats:
    """Return the seconds of a run of `requests` that are all there from the start.

    At most `concurrency` are in flight. Requests of equal length that start together also end
    together, so a run goes in waves and its last wave may be nearly empty; where prompts take
    long to read, requests drift apart and the run is a steady state with a tail. The two are
    mixed by the share of a wave that its prompts take.
    """
    r, n = np.asarray(requests, float), np.maximum(np.asarray(concurrency, float), 1e-9)
    # More never decode together: prompts come in no faster than the token budget lets them.
    n = np.minimum(n, _decoding_limit(replica, isl, osl))
    first = np.minimum(r, n)
    full = np.floor(r / np.maximum(first, 1.0))
    rest = np.maximum(r - full * first, 0.0)
    wave = static_batch(replica, np.maximum(first, 1.0), isl, osl)
    last = static_batch(replica, np.maximum(rest, 1.0), isl, osl)
    waves = full * wave["latency_s"] + np.where(rest >= 1, last["latency_s"], 0.0)
    steady = steady_state(replica, first, isl, osl)
    tail = steady["tpot_s"] * np.asarray(osl, float) / 2
    drifted = np.maximum(r - first / 2, first / 2) / steady["requests_s"] + tail
    share = np.minimum(wave["ttft_s"] / wave["latency_s"], 1.0)
    return np.asarray((1 - share) * waves + share * drifted)


def _decoding_limit(replica: Deployment, isl: ArrayLike, osl: ArrayLike) -> Floats:
    """Return the sequences that decode at once when prompts fill the rest of each iteration."""
    budget, ratio = float(replica.limits.max_tokens), np.asarray(isl, float) / np.asarray(osl)
    return np.asarray(np.maximum(budget / (1 + ratio), 1.0))


def total_seconds(parts: dict[str, Floats]) -> Floats:
    """Return the sum of parts."""
    return np.asarray(sum(parts.values()))
