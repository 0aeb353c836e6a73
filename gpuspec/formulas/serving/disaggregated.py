"""Prompts read on some GPUs, answers written on others, the cache sent from these to those."""

from typing import Literal, TypedDict

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field

from gpuspec.base.units import Floats
from gpuspec.catalog.models import Model
from gpuspec.formulas.memory import sequence_bytes
from gpuspec.formulas.networks import collective_seconds
from gpuspec.formulas.serving.client import USERS, Client
from gpuspec.formulas.serving.deployment import Deployment
from gpuspec.formulas.serving.lengths import length_biased, mean_context
from gpuspec.formulas.serving.serving import (
    decode_seconds,
    max_concurrency,
    request_bytes,
    total_seconds,
)

HALVINGS = 50
"""Steps of the search for the requests that decode."""


class Disaggregated(BaseModel):
    """Workers that read prompts and workers that write answers, each a `Deployment`."""

    model_config = ConfigDict(frozen=True)

    prefill: Deployment
    decode: Deployment
    prefill_workers: int = Field(1, ge=1)
    decode_workers: int = Field(1, ge=1)
    link: Literal["network", "node", "free"] = "network"
    """What the cache crosses: the network between nodes, a GPU through one adapter; the links of a
    node; nothing that takes time."""
    by_layer: bool = False
    """Whether a layer's cache is sent while the next ones still read; else after the prompt."""

    @property
    def prefill_gpus(self) -> int:
        """Return the GPUs that read prompts."""
        return self.prefill.gpus * self.prefill_workers

    @property
    def decode_gpus(self) -> int:
        """Return the GPUs that write answers."""
        return self.decode.gpus * self.decode_workers

    @property
    def gpus(self) -> int:
        """Return all GPUs."""
        return self.prefill_gpus + self.decode_gpus


class Disaggregation(TypedDict):
    """What users see with requests always in flight, and which side sets the pace."""

    ttft_s: Floats
    """``queue_s + prefill_s + transfer_s``, and the client's way."""
    tpot_s: Floats
    queue_s: Floats
    prefill_s: Floats
    transfer_s: Floats
    """What the transfer adds to the time to the first token."""
    decoding: Floats
    """Mean requests that decode, over all decode workers."""
    requests_s: Floats
    output_tokens_s: Floats
    prefill_busy: Floats
    """Rate over the largest one of the prefill side."""
    parts: dict[str, Floats]
    """Seconds of a token step of a decode worker by part; they add up to ``tpot_s``."""
    max_concurrency: Floats
    """Requests that the decode side holds."""


def cache_transfer_bytes(network: Model, isl: ArrayLike, kv_bytes_each: ArrayLike = 2.0) -> Floats:
    """Bytes that a prompt of `isl` tokens leaves to be sent: its cache and states, once.

    >>> from gpuspec.catalog.models import model
    >>> float(cache_transfer_bytes(model("Llama-3.1-70B"), 1000)) / 320 / 2**10  # blocks of 16
    1008.0
    """
    return sequence_bytes(network, isl, kv_bytes_each)


def transfer_seconds(pair: Disaggregated, isl: ArrayLike) -> Floats:
    """Seconds in which the cache of one prompt reaches the GPUs that decode it.

    Every GPU of the decoding group receives its part, from the GPUs of the group that read the
    prompt, which share the sending; the slower of the two rules. Latents are whole on each GPU of
    a group, so that each receives all of them.
    """
    write, read = pair.decode.layout, pair.prefill.layout
    each = request_bytes(pair.decode, isl)
    if pair.link == "free":
        return np.zeros(np.shape(each))
    receivers, senders = write.attention_tp * write.pp, read.attention_tp * read.pp
    moved = each * max(1.0, receivers / senders)
    within, nodes = (2, 1) if pair.link == "node" else (1, 2)
    return collective_seconds("point_to_point", moved, write.fabric, within, nodes)


def transfer_ways(pair: Disaggregated) -> int:
    """Return the transfers that pass at once: one a group of attention of the lesser side."""
    return min(
        pair.prefill_workers * pair.prefill.layout.attention_dp,
        pair.decode_workers * pair.decode.layout.attention_dp,
    )


def prefill_alone(
    pair: Disaggregated, isl: ArrayLike, cached_share: ArrayLike = 0.0
) -> tuple[Floats, Floats, Floats]:
    """Return seconds of a prompt alone, of a full iteration, and the prompts/s of one worker.

    Every group of attention reads prompts of its own, as many as the engine's token budget takes;
    a longer prompt goes through in chunks.
    """
    replica, isl = pair.prefill, np.asarray(isl, float)
    layout, budget = replica.layout, float(replica.limits.max_tokens)
    new = np.maximum(isl * (1 - np.asarray(cached_share, float)), 1.0)
    pieces = np.ceil(new / budget)
    chunk = new / pieces
    past = isl - new + chunk * (pieces - 1) / 2
    together = np.maximum(np.floor(budget / new), 1.0) * layout.attention_dp * layout.pp
    one = total_seconds(replica.iteration_parts(0, 1, chunk, layout.pp, past))
    full = total_seconds(replica.iteration_parts(0, 1, chunk, together, past))
    passes = (pieces + layout.pp - 1) / layout.pp
    # Several prompts at once are never slower than one after the other.
    rate = np.maximum(together / (full * pieces), layout.pp / (one * pieces))
    return one * passes, full * passes, np.asarray(rate)


def largest_rate(
    pair: Disaggregated,
    isl: ArrayLike,
    osl: ArrayLike,
    cached_share: ArrayLike = 0.0,
    client: Client = USERS,
) -> dict[str, Floats]:
    """Return the requests/s of each side alone, ``prefill``, ``transfer`` and ``decode``.

    The rate of the whole is the least of them.
    """
    read = prefill_alone(pair, isl, cached_share)[2] * pair.prefill_workers
    sent = transfer_seconds(pair, isl)
    with np.errstate(divide="ignore"):
        passed = np.where(sent > 0, transfer_ways(pair) / sent, np.inf)
    most = held_requests(pair, isl, osl, client)
    written = _decode_rate(pair, most, isl, osl, client)
    return {"prefill": read, "transfer": np.asarray(passed), "decode": written}


def held_requests(
    pair: Disaggregated, isl: ArrayLike, osl: ArrayLike, client: Client = USERS
) -> Floats:
    """Return the requests that all workers that write hold; long answers are held longer."""
    longer = length_biased(osl, client.osl_spread)
    return np.maximum(max_concurrency(pair.decode, isl, longer), 0.0) * pair.decode_workers


def prefill_gpus_per_decode_gpu(
    pair: Disaggregated,
    decoding: ArrayLike,
    isl: ArrayLike,
    osl: ArrayLike,
    cached_share: ArrayLike = 0.0,
) -> Floats:
    """Return the prefill GPUs that keep one decode GPU busy with `decoding` requests a worker."""
    read = prefill_alone(pair, isl, cached_share)[2] / pair.prefill.gpus
    total = np.asarray(decoding, float) * pair.decode_workers
    return np.asarray(_decode_rate(pair, total, isl, osl) / pair.decode_gpus / read)


def disaggregated(
    pair: Disaggregated,
    concurrency: ArrayLike,
    isl: ArrayLike,
    osl: ArrayLike,
    cached_share: ArrayLike = 0.0,
    client: Client = USERS,
    requests: ArrayLike = np.inf,
) -> Disaggregation:
    """Return speed with `concurrency` requests always in flight over all workers.

    Of `requests` of a whole run the first ones start together, and half of them wait for the
    prompts of the other half.

    Prompts queue for the prefill workers, travel, and decode without prompts between their tokens.
    The rate is that at which the requests in the queue, on the way and in decoding are as many as
    are in flight (Little's law), and at most that of the slowest side; where a side is full,
    requests wait before it, which is time to the first token.

    References
    ----------
    Zhong et al. 2024, arXiv:2401.09670 (DistServe); Patel et al. 2024, arXiv:2311.18677
    (Splitwise); Sakasegawa 1977, doi:10.1007/BF02911676 (waiting with several servers), halved
    for equal prompts, and less by the one request that does not wait for itself.
    """
    n, isl, osl = np.broadcast_arrays(*(np.asarray(x, float) for x in (concurrency, isl, osl)))
    alone, full, each = prefill_alone(pair, isl, cached_share)
    whole = transfer_seconds(pair, isl)
    limits = largest_rate(pair, isl, osl, cached_share, client)
    limit = np.minimum(limits["prefill"], limits["transfer"])
    most = held_requests(pair, isl, osl, client)
    servers = pair.prefill_workers * pair.prefill.layout.attention_dp
    others = (n - 1) / np.maximum(n, 1)

    def before(rate: Floats) -> tuple[Floats, Floats, Floats]:
        """Seconds of waiting, reading and sending at a rate."""
        busy = np.minimum(rate / (each * pair.prefill_workers), 1.0)
        read = alone + (np.maximum(full, alone) - alone) * busy
        queue = busy ** (np.sqrt(2 * (servers + 1)) - 1) / np.maximum(1 - busy * others, 1e-12)
        queue = others * queue / (2 * each * pair.prefill_workers)
        return queue, read, exposed_seconds(pair, whole, read)

    way = pair.prefill.arrival_seconds(client, isl)

    low, high = np.zeros(n.shape), np.minimum(n, most)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        rate = _decode_rate(pair, middle, isl, osl, client)
        held = middle + rate * (sum(before(rate)) + way)
        fits = (held <= n) & (rate <= limit)
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    rate = np.minimum(_decode_rate(pair, low, isl, osl, client), limit)
    _, read, sent = before(rate)
    context = mean_context(isl, osl, client.osl_spread)
    share = np.maximum(low / pair.decode_workers, 1.0)
    parts = decode_seconds(pair.decode, share, context, client)
    with np.errstate(divide="ignore", invalid="ignore"):
        ttft = np.where(rate > 0, (n - low) / rate, np.inf)
        burst = (n - 1) / 2 / limits["prefill"]
    queue = np.maximum(ttft - read - sent - way, 0.0)
    queue = queue + np.maximum(burst - queue, 0.0) * np.minimum(n / np.asarray(requests), 1.0)
    return {
        "ttft_s": queue + read + sent + way,
        "tpot_s": total_seconds(parts),
        "queue_s": queue,
        "prefill_s": read,
        "transfer_s": sent,
        "decoding": low,
        "requests_s": rate,
        "output_tokens_s": rate * osl,
        "prefill_busy": rate / limits["prefill"],
        "parts": parts,
        "max_concurrency": most,
    }


def _decode_rate(
    pair: Disaggregated, decoding: ArrayLike, isl: ArrayLike, osl: ArrayLike, client: Client = USERS
) -> Floats:
    """Return the requests/s that leave when `decoding` requests decode on all workers together.

    The prefill side gives the first token, so that osl - 1 are left.
    """
    total, tokens = np.asarray(decoding, float), np.asarray(osl, float)
    context = mean_context(isl, tokens, client.osl_spread)
    each = np.maximum(total / pair.decode_workers, 1.0)
    step = total_seconds(decode_seconds(pair.decode, each, context, client))
    return np.asarray(total / (np.maximum(tokens - 1, 1.0) * step))


def exposed_seconds(pair: Disaggregated, whole: Floats, read: Floats) -> Floats:
    """Return what a transfer adds after the prompt is read.

    By layer the last layer's share is left at least, and what did not fit beside the reading.
    """
    if not pair.by_layer:
        return whole
    layers = pair.decode.layout.network.layers
    return np.maximum(whole / layers, whole - read * (1 - 1 / layers))
