"""Requests that arrive at random where prompts and answers have GPUs of their own."""

from heapq import heapreplace

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats
from gpuspec.formulas.serving.client import USERS, Client
from gpuspec.formulas.serving.disaggregated import (
    Disaggregated,
    exposed_seconds,
    largest_rate,
    transfer_seconds,
    transfer_ways,
)
from gpuspec.formulas.serving.queueing import (
    FULL,
    REQUESTS,
    WARM_UP,
    arrival_times,
    percentiles,
    unsustained,
    varied_lengths,
)
from gpuspec.formulas.serving.simulation import Iterations, simulate

MOST_REQUESTS = 20_000
"""Requests that are simulated at most: `REQUESTS` for each worker that writes."""


def separate_arrivals(
    pair: Disaggregated,
    requests_s: ArrayLike,
    isl: float,
    osl: float,
    cached_share: float = 0.0,
    client: Client = USERS,
) -> dict[str, Floats]:
    """Return what users see when requests arrive at random, at a mean rate over all workers.

    Arguments and result as of `arrivals`. Three stages follow each other, each first come first
    served: workers that read, one prompt after the other as their token budget takes them; the
    transfers, of which so many pass at once (`transfer_ways`); workers that write. A router hands
    requests to the workers of a side in turn.
    """
    rate = np.asarray(requests_s, float)
    limits = largest_rate(pair, isl, osl, cached_share, client)
    most = float(min(limits.values()))
    read = Iterations(pair.prefill, isl, 1.0, cached_share, client)
    write = Iterations(pair.decode, isl, osl, cached_share, client)
    results = [_one(pair, read, write, float(one), most) for one in rate.ravel()]
    return {name: np.reshape([r[name] for r in results], rate.shape) for name in results[0]}


def _one(
    pair: Disaggregated, read: Iterations, write: Iterations, rate: float, most: float
) -> dict[str, float]:
    """Return the figures at one rate."""
    utilisation = rate / most if most else np.inf
    if not most or rate <= 0 or utilisation >= FULL:
        time = np.inf if rate > 0 else 0.0
        return unsustained(time, utilisation, min(rate, most) * write.osl)
    count = min(REQUESTS * pair.decode_workers, MOST_REQUESTS)
    arrive = arrival_times(rate, count)
    answers, prompts = varied_lengths(write, count)
    answers = np.maximum(np.round(answers), 2)
    ready = arrive + _read(pair, read, arrive, prompts)
    sent = ready + _sent(pair, ready, float(np.mean(ready - arrive)), read.isl)
    first, tpot = _written(pair, write, sent, answers)
    kept = slice(int(WARM_UP * count), None)
    ttft = first - arrive + pair.prefill.arrival_seconds(write.client, read.isl)
    tokens = rate * write.osl
    return percentiles(ttft[kept], tpot[kept], answers[kept], rate, utilisation, tokens)


def _read(pair: Disaggregated, step: Iterations, arrive: Floats, prompts: Floats) -> Floats:
    """Return the seconds from the arrival of each prompt until it is read."""
    took = np.zeros(len(arrive))
    for worker in range(pair.prefill_workers):
        own = slice(worker, None, pair.prefill_workers)
        one = np.ones(len(arrive[own]))
        took[own] = simulate(step, arrive[own], one, prompts[own]).ttft_s
    return took


def _sent(pair: Disaggregated, ready: Floats, read: float, isl: float) -> Floats:
    """Return the seconds from reading each prompt until its cache is where it is needed."""
    whole = transfer_seconds(pair, isl)
    free, waits = [0.0] * transfer_ways(pair), np.zeros(len(ready))
    for request in np.argsort(ready, kind="stable") if whole > 0 else ():
        begin = max(free[0], ready[request])
        waits[request] = begin - ready[request]
        heapreplace(free, begin + float(whole))
    return np.asarray(waits + exposed_seconds(pair, whole, np.asarray(read)))


def _written(
    pair: Disaggregated, step: Iterations, sent: Floats, answers: Floats
) -> tuple[Floats, Floats]:
    """Return when each first token comes, and the mean seconds between those that follow."""
    first, tpot, order = sent.copy(), np.zeros(len(sent)), np.argsort(sent, kind="stable")
    for worker in range(pair.decode_workers):
        own = order[worker :: pair.decode_workers]
        seen = simulate(step, sent[own], answers[own], np.zeros(len(own)))
        first[own] = sent[own] + seen.ttft_s
        tpot[own] = seen.tpot_s
    return first, tpot
