"""Latency and throughput of one replica under a load: the formulas over iterations.

Definitions, used everywhere: TTFT is the time from a request's arrival to its first token.
TPOT = (latency - TTFT) / (OSL - 1), the mean time between tokens after the first; tools that
print latency / OSL give ``(TTFT + TPOT (OSL - 1)) / OSL`` (see `per_output_token`).
"""

from typing import NamedTuple, NotRequired, TypedDict

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import GB, Floats, distinct
from gpuspec.formulas.memory import sequence_bytes, serving_parts
from gpuspec.formulas.serving.client import OFFLINE, USERS, Client
from gpuspec.formulas.serving.deployment import Deployment
from gpuspec.formulas.serving.encoding import encoding
from gpuspec.formulas.serving.lengths import length_biased, mean_context

TAIL = {"equal": 0.5, "varied": 0.75}
"""Mean answers that the last requests of a run still write: half of one; where lengths are from a
half to one and a half times their mean, the longest of them end a run."""

BALANCE_ITERATIONS = 60
"""Iterations that TensorRT-LLM holds a prompt back until each group of attention has one to read,
since the others would wait for the one that reads (``attention_dp_config``: ``enable_balance``,
``timeout_iters``)."""


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
    in_flight: Floats
    """Requests sent and not yet answered; the rate times the time of each (Little's law)."""
    waiting: Floats
    """Those among them that find no room and wait outside."""
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
    `attention_dp` every group has requests of its own.
    """
    context = np.asarray(context, float)
    free = np.maximum(cache_bytes(replica, context), 0.0)
    each = free / request_bytes(replica, context) * context
    return np.asarray(each * replica.layout.attention_dp)


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
        attention_dp=layout.attention_dp,
        batched_tokens=limits.max_tokens,
        terms=replica.memory,
    )
    taken = {name: parts[name] for name in ("weights", "activations", "runtime")}
    taken["runtime"] = taken["runtime"] + replica.engine.reserve_gb * GB
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
    split = layout.attention_tp, layout.pp
    network, images = layout.network, layout.image_tokens
    return sequence_bytes(network, context, layout.kv_bytes, *split, image_tokens=images)


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
    # Every group of attention has a scheduler of its own.
    most = replica.limits.max_sequences * replica.layout.attention_dp
    return np.asarray(np.minimum(np.floor(tokens / context), most))


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
    replica: Deployment, sequences: ArrayLike, context: ArrayLike, client: Client = OFFLINE
) -> dict[str, Floats]:
    """Return the seconds of one token step of `sequences` at a mean `context`, by part."""
    parts = replica.iteration_parts(sequences, context)
    sending = replica.sending_seconds(sequences, total_seconds(parts), client)
    return {**parts, "engine": np.asarray(parts["engine"] + sending)}


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
    client: Client = USERS,
    requests: ArrayLike = np.inf,
    most: ArrayLike | None = None,
) -> SteadyState:
    """Return speed with `concurrency` requests always in flight (continuous batching).

    A request lives for K iterations, in which each of the n requests brings its prompt once:
    latency = K a + n p, with a the seconds of an iteration that decodes and p those that a prompt
    adds. K is the iterations of its own prompt and answer, or those that the tokens of all n take
    at the engine's token budget, whichever is more: prompts beyond it wait. A prompt meets those
    of the others in its iterations as they come, so the time between tokens holds (n - 1) / n of
    the prompts' share and none of the request's own.

    Parameters
    ----------
    client : Client
        Who sends the requests.
    requests : array_like
        Requests of the whole run, of which the first ones start together and wait for each
        other's prompts: as many as `concurrency` or fewer are one burst; inf never ends.
    most : array_like, optional
        Requests that the replica holds, if known; the others wait outside (``waiting``).

    Returns
    -------
    SteadyState
        In which ``in_flight`` = ``requests_s`` x (``ttft_s`` + ``tpot_s`` (OSL - 1)). An encoder
        only reads: its answer is the first token and the last, and ``output_tokens_s`` are those
        it reads.

    References
    ----------
    Little 1961, A proof for the queuing formula L = lambda W.
    """
    sent = np.minimum(np.asarray(concurrency, float), np.asarray(requests, float))
    if replica.layout.network.kind == "encoder":
        return _reading(replica, sent, isl, client)
    i, o = np.asarray(isl, float), np.asarray(osl, float)
    longer = length_biased(o, client.osl_spread)
    held = max_concurrency(replica, i, longer) if most is None else np.asarray(most, float)
    n = np.minimum(sent, np.maximum(held, 1.0))
    cycle = _cycle(replica, n, i, o, cached_share, client)
    others, ahead = np.maximum(n - 1, 0.0), cycle.ahead
    alone, prompt = total_seconds(cycle.alone), total_seconds(cycle.prompt)
    base = alone + cycle.launches
    way = cycle.way
    own = (cycle.turns - o + 1) * base + prompt + cycle.once
    life = own + others * prompt + base * (o - 1)
    waves = np.asarray(requests, float) / np.maximum(sent, 1e-9)
    # Prompts first: a wave decodes once all of it is read, so that it also ends together.
    repeated = client.lengths == "equal" and not replica.limits.mixed
    if client.lengths == "equal":
        ahead = np.maximum(ahead, _in_line(replica, cycle, n))
    first, behind, late = own + ahead * prompt, others - ahead, np.zeros(())
    launches = cycle.launches
    if repeated or np.isfinite(waves).any():  # of a wave each waits for those before it
        full, share = _full_iterations(replica, cycle, i), 1.0 if repeated else n / sent / waves
        each = full / cycle.together
        after = np.minimum(others / 2, (o - 1) * cycle.together) * each / prompt
        first = first + ((n * each + full) / 2 - first) * share
        behind, launches = behind + (after - behind) * share, launches * (1 - share)
        # Nobody leaves before the first answer is complete; then as fast as prompts are read.
        reading = np.minimum(o - 1, n / cycle.together)
        leaves = reading * full + (o - 1 - reading) * base
        late = np.maximum(leaves - (life - n * each) / 2, 0.0)
    between = behind / np.maximum(o - 1, 1.0)
    step = alone + launches + between * prompt
    life = first + step * (o - 1) if repeated else life
    rate = np.minimum(sent / (life + way), n / life)
    parts = {
        name: np.asarray(seconds + between * cycle.prompt[name])
        for name, seconds in cycle.alone.items()
    }
    parts["launches"] = parts["launches"] + launches
    outside = np.maximum(sent - rate * (life + way), 0.0)
    # Of a first wave those before find room at once, the last wait for all that lack it.
    wait = outside / rate * (1 - (1 - outside / sent / 2) / waves)
    first = way + first + wait + outside / sent / waves * late
    return {
        "ttft_s": first,
        "tpot_s": step,
        "decoding": np.asarray(rate * step * (o - 1)),
        "output_tokens_s": rate * o,
        "requests_s": rate,
        "parts": parts,
        "in_flight": np.asarray(rate * (first + step * (o - 1))),
        "waiting": outside,
    }


def _in_line(replica: Deployment, cycle: "_Cycle", n: Floats) -> Floats:
    """Return the prompts of others that are read before that of one of `n` equal requests.

    Equal requests that are read one after the other also end so, an iteration apart, and stay in
    line for ever. While the first of them are on their way the iterations are short, later ones
    read prompts: so many stand before each that comes later.
    """
    passed = _passed(cycle.way, total_seconds(cycle.alone)) + _looks(replica)
    size = np.maximum(n, 1.0)
    stand = np.where(passed < size, passed * (1 - passed / size / 2), size / 2)
    return np.asarray(np.minimum(stand, n - 1))


def _passed(way: ArrayLike, seconds: Floats) -> Floats:
    """Return the iterations of `seconds` that start while a request is on its `way`.

    It is sent when an iteration has ended, and the way is spread as an exponential one.
    """
    ratio = np.asarray(seconds) / np.maximum(way, 1e-9)
    return np.asarray(np.where(np.asarray(way) > 0, 1 / -np.expm1(-ratio), 0.0))


def _looks(replica: Deployment) -> float:
    """Return the iterations that a request at the scheduler waits for it to look.

    Half of those after which it looks again, and one that is ready where it works ahead.
    """
    limits = replica.limits
    return (limits.receive_every - 1) / 2 + limits.works_ahead


class _Cycle(NamedTuple):
    """A request's life in iterations."""

    chunk: Floats
    """Tokens of a prompt that one iteration reads."""
    pieces: Floats
    """Iterations that it takes."""
    turns: Floats
    """Iterations from its arrival to its last token."""
    ahead: Floats
    """Prompts of others that are read before its first token."""
    together: Floats
    """Prompts that one iteration can read."""
    alone: dict[str, Floats]
    """Seconds of an iteration that only decodes, by part."""
    launches: Floats
    """Seconds in which it waits for launches that prompts need, on average."""
    prompt: dict[str, Floats]
    """Seconds that a prompt adds, by part."""
    once: Floats
    """More that the own prompt takes: its launches, the stages of a pipeline."""
    way: Floats
    """Seconds from the client to the scheduler."""


def _cycle(
    replica: Deployment, n: Floats, i: Floats, o: Floats, cached_share: ArrayLike, client: Client
) -> _Cycle:
    """Return the life of one of `n` requests that are always in flight."""
    new = np.maximum(i * (1 - np.asarray(cached_share, float)), 1.0)
    pp, others = replica.layout.pp, np.maximum(n - 1, 0.0)
    # Every stage and every group of attention has iterations of its own.
    budget, groups = float(replica.limits.max_tokens), pp * replica.layout.attention_dp
    whole = budget * groups
    most = whole * (o - 1) / (new + o - 1)
    pieces = np.maximum(new / (budget - np.minimum(n, most) / groups), 1.0)
    # The next iteration starts while a request is on its way, or is short of it.
    arriving = others / np.maximum(n, 1.0) * (1 + _looks(replica))
    turns = np.maximum(arriving + pieces + o - 1, n * (new + o - 1) / whole)
    decoding = np.maximum(n * (o - 1) / turns, np.minimum(n, 1.0))
    room = np.maximum(budget - decoding / groups, 1.0)
    pieces = np.maximum(new / room, 1.0)
    chunk = new / pieces
    # A prompt is read together with those that come during the same iteration; batches of Bose and
    # Einstein, since a long iteration gathers many: 1 + r on average where there are any.
    starts = others / turns * pieces / pp
    held = _held_back(replica, starts)
    together = np.maximum(room / chunk * replica.layout.attention_dp, 1.0)
    lump = np.minimum(1 + np.maximum(starts, held), together)
    context = mean_context(i, o, client.osl_spread)
    whole_prompt = length_biased(new, client.isl_spread)  # that a prompt's token is met in
    alone = replica.iteration_parts(decoding, context)
    middle = i - new + np.maximum(whole_prompt - chunk, 0.0) / 2
    both = replica.iteration_parts(decoding, context, chunk, lump * pp, middle)
    share = pieces / (lump * pp)
    prompt = {name: share * (both[name] - alone[name]) for name in alone}
    once = (1 - 1 / pp) / share * total_seconds(prompt) if pp > 1 else np.zeros(())
    # Launches take as long for many prompts as for one: a share of iterations has some.
    launches, busy = both["launches"] - alone["launches"], np.minimum(starts / lump, 1.0)
    once = once + pieces / pp * (1 - busy) * launches
    prompt["launches"] = np.zeros(())  # they are in `launches` and `once`
    way = replica.arrival_seconds(client, i)
    mean = (turns * (total_seconds(alone) + busy * launches) + n * total_seconds(prompt)) / turns
    sending = replica.sending_seconds(decoding, mean, client)
    alone["engine"], mean = alone["engine"] + sending, mean + sending
    waited = _passed(way, mean) - way / mean + _looks(replica)
    late = others / np.maximum(n, 1.0) * waited
    ahead = others * (turns - o + 1) / turns
    turns = np.maximum(late + pieces + o - 1, n * (new + o - 1) / whole)
    # Held back until so many have come: the mean of them waits half as long.
    once = once + held / np.maximum(starts, 1e-9) / 2 * total_seconds(alone)
    return _Cycle(
        chunk,
        pieces,
        turns,
        ahead,
        np.minimum(np.maximum(room * groups / new, 1.0), n),
        alone,
        busy * launches,
        prompt,
        once,
        way,
    )


def _held_back(replica: Deployment, starts: Floats) -> Floats:
    """Return the prompts that wait for another: under TensorRT-LLM, one for each other group."""
    layout = replica.layout
    if layout.library != "tensorrt-llm":
        return np.zeros(())
    return np.minimum(starts * BALANCE_ITERATIONS, layout.attention_dp - 1.0)


def _full_iterations(replica: Deployment, cycle: _Cycle, i: Floats) -> Floats:
    """Return the seconds in which as many prompts as one iteration can hold are read."""
    chunk, pieces, prompts = cycle.chunk, cycle.pieces, cycle.together
    middle = i - chunk * (pieces + 1) / 2
    return total_seconds(replica.iteration_parts(0, 1, chunk, prompts, middle)) * pieces


def _reading(
    replica: Deployment, concurrency: ArrayLike, isl: ArrayLike, client: Client
) -> SteadyState:
    """Return the steady state of an encoder; its step is the batch of sequences read at once."""
    found = encoding(replica, concurrency, isl, client)
    rate = found.pop("sequences_s")
    return {
        "ttft_s": found.pop("sequence_s"),
        "tpot_s": np.zeros(np.shape(rate)),
        "decoding": found.pop("batch"),
        "output_tokens_s": np.asarray(rate * np.asarray(isl, float)),
        "requests_s": rate,
        "parts": found,
        "in_flight": np.asarray(concurrency, float),
        "waiting": np.zeros(np.shape(rate)),
    }


def maximum_load(
    replica: Deployment,
    isl: ArrayLike,
    osl: ArrayLike,
    cached_share: ArrayLike = 0.0,
    client: Client = USERS,
) -> SteadyState:
    """Return `steady_state` at the largest load that memory holds, tails and ramps counted."""
    most = max_concurrency(replica, isl, length_biased(osl, client.osl_spread))
    occupied = np.maximum(most * replica.engine.occupancy, np.minimum(most, 1.0))
    load = np.maximum(occupied, 1e-9)
    steady = steady_state(replica, load, isl, osl, cached_share, client, most=most)
    steady["max_concurrency"] = most
    steady["output_tokens_s"] = np.where(most >= 1, steady["output_tokens_s"], 0.0)
    steady["requests_s"] = np.where(most >= 1, steady["requests_s"], 0.0)
    return steady


def finite_run(
    replica: Deployment,
    requests: ArrayLike,
    concurrency: ArrayLike,
    isl: ArrayLike,
    osl: ArrayLike,
    client: Client = USERS,
) -> Floats:
    """Return the seconds of a run of `requests` that are all there from the start.

    At most `concurrency` are in flight. A run is a steady state with a tail. Requests of equal
    length that start together also end together, so that it goes in waves, of which the last may
    be nearly empty; where prompts take long to read they drift apart. The two are mixed by the
    share of a wave that its prompts take.
    """
    r, n = np.asarray(requests, float), np.maximum(np.asarray(concurrency, float), 1e-9)
    first, o = np.minimum(r, n), np.asarray(osl, float)
    steady = steady_state(replica, first, isl, o, client=client, most=first)
    tail = steady["tpot_s"] * o * TAIL[client.lengths]
    busy = np.minimum(first, steady["decoding"])  # those that wait are still to be served
    drifted = np.maximum(r - busy / 2, busy / 2) / steady["requests_s"] + tail
    if client.lengths == "varied":
        return np.asarray(drifted)
    # More never decode together: prompts come in no faster than the token budget lets them.
    first = np.minimum(first, _decoding_limit(replica, isl, osl))
    full = np.floor(r / np.maximum(first, 1.0))
    rest = np.maximum(r - full * first, 0.0)
    wave = static_batch(replica, np.maximum(first, 1.0), isl, osl)
    last = static_batch(replica, np.maximum(rest, 1.0), isl, osl)
    waves = full * wave["latency_s"] + np.where(rest >= 1, last["latency_s"], 0.0)
    share = np.minimum(wave["ttft_s"] / wave["latency_s"], 1.0)
    return np.asarray((1 - share) * waves + share * drifted)


def _decoding_limit(replica: Deployment, isl: ArrayLike, osl: ArrayLike) -> Floats:
    """Return the sequences that decode at once when prompts fill the rest of each iteration."""
    budget, ratio = float(replica.limits.max_tokens), np.asarray(isl, float) / np.asarray(osl)
    return np.asarray(np.maximum(budget / (1 + ratio), 1.0))


def total_seconds(parts: dict[str, Floats]) -> Floats:
    """Return the sum of parts."""
    return np.asarray(sum(parts.values()))
