"""Requests that arrive at random: what most users see, and what the unlucky ones see."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats, distinct
from gpuspec.formulas.serving.client import USERS, Client
from gpuspec.formulas.serving.deployment import Deployment
from gpuspec.formulas.serving.lengths import length_biased, lognormal
from gpuspec.formulas.serving.serving import max_concurrency, steady_state
from gpuspec.formulas.serving.simulation import Iterations, simulate

PERCENTILES = (50, 95, 99)
REQUESTS = 2500
"""Requests that are simulated, with the same seed always; so few leave the 95th percentile
uncertain by some percent."""
WARM_UP = 0.25
"""Share of them that find a replica which is still filling, and do not count."""
FULL = 0.999
"""Share of the sustainable rate from which queues are said to grow for ever."""
LOADS = 48


def arrivals(
    replica: Deployment,
    requests_s: ArrayLike,
    isl: float,
    osl: float,
    cached_share: float = 0.0,
    client: Client = USERS,
    requests: float = np.inf,
) -> dict[str, Floats]:
    """Return what users see when requests arrive at random, at a mean rate.

    Parameters
    ----------
    requests_s : array_like
        Requests a second that reach this replica (Poisson); any shape.
    isl, osl : float
        Mean tokens of a prompt and of an answer.
    client : Client
        How far away the users are, and how much the lengths of their requests vary.
    requests : float
        Those of a run that ends: it starts empty, and its rate may be more than can be sustained.

    Returns
    -------
    dict
        Arrays of the shape of `requests_s`: ``ttft_mean_s``, ``ttft_p50_s``, ``ttft_p95_s``,
        ``ttft_p99_s``, ``tpot_mean_s``..., ``in_flight`` (mean requests in flight or waiting),
        ``utilisation`` (rate over the largest sustainable one) and ``output_tokens_s``. Where
        the rate cannot be sustained the times are infinite and utilisation is 1 or more.

    Notes
    -----
    Every iteration of `REQUESTS` requests is simulated (`simulate`): near saturation no formula
    for the percentiles holds. The draws are the same at every rate.
    """
    return arrivals_of(replica, isl, osl, cached_share, client)(requests_s, requests)


def arrivals_of(
    replica: Deployment,
    isl: float,
    osl: float,
    cached_share: float = 0.0,
    client: Client = USERS,
) -> Callable[..., dict[str, Floats]]:
    """Return `arrivals` as a function of the rate and the requests alone: what does not depend on
    them is computed once for a search that asks at many rates.
    """
    step = Iterations(replica, isl, osl, cached_share, client)
    most = sustainable_requests_s(replica, isl, osl, cached_share, client)
    way = float(replica.arrival_seconds(client, isl))

    def seen(requests_s: ArrayLike, requests: float = np.inf) -> dict[str, Floats]:
        rate = np.asarray(requests_s, float)
        results = [_one(step, float(one), most, way, requests) for one in rate.ravel()]
        return {name: np.reshape([r[name] for r in results], rate.shape) for name in results[0]}

    return seen


def sustainable_requests_s(
    replica: Deployment,
    isl: float,
    osl: float,
    cached_share: float = 0.0,
    client: Client = USERS,
) -> float:
    """Return the largest rate of requests that a replica serves for ever; 0 where none fits."""
    most = float(max_concurrency(replica, isl, length_biased(osl, client.osl_spread)))
    if most < 1:
        return 0.0
    loads = distinct(np.round(np.geomspace(1, most, LOADS)))
    # An engine may run fewer at once than it could hold; on the way a request holds nothing.
    near = client.model_copy(update={"transport_s": 0.0})
    found = steady_state(replica, loads, isl, osl, cached_share, near, most=most)
    return float(np.max(found["requests_s"]))


def _one(
    step: Iterations, rate: float, most: float, way: float, requests: float
) -> dict[str, float]:
    """Return the figures at one rate."""
    utilisation = rate / most if most else np.inf
    endless = not np.isfinite(requests)
    if not most or rate <= 0 or (endless and utilisation >= FULL):
        time = np.inf if rate > 0 else 0.0
        return unsustained(time, utilisation, min(rate, most) * step.osl)
    count = REQUESTS if endless else int(max(requests, 1))
    arrive = arrival_times(rate, count)
    lengths = varied_lengths(step, count)
    seen = simulate(step, arrive, *lengths, transport_s=way)
    done = rate if endless else count / seen.seconds
    kept = slice(int(WARM_UP * count) if endless else 0, None)
    times = seen.ttft_s[kept], seen.tpot_s[kept]
    return percentiles(*times, lengths[0][kept], done, utilisation, done * step.osl)


def arrival_times(rate: float, count: int) -> Floats:
    """Return when `count` requests arrive at random at a mean rate; the same draws at every one."""
    return np.asarray(_gaps(count) / rate)


@lru_cache(8)
def _gaps(count: int) -> Floats:
    """Return when requests arrive that come once a second on average."""
    return np.asarray(np.cumsum(np.random.default_rng(0).exponential(1.0, count)))


def varied_lengths(step: Iterations, count: int) -> tuple[Floats, Floats]:
    """Return the tokens of each answer and prompt: lognormal, with the asked means."""
    draws, found = _normals(count), []
    for mean, spread, normal in (
        (step.osl, step.client.osl_spread, draws[0]),
        (step.new, step.client.isl_spread, draws[1]),
    ):
        drawn = lognormal(mean, spread, normal)
        found.append(np.maximum(drawn * mean / drawn.mean(), 1.0))
    return found[0], found[1]


@lru_cache(8)
def _normals(count: int) -> Floats:
    return np.random.default_rng(1).standard_normal((2, count))


def percentiles(
    ttft: Floats, tpot: Floats, answers: Floats, done: float, utilisation: float, tokens_s: float
) -> dict[str, float]:
    """Return the figures of requests that were seen, of which `done` a second are answered."""
    figures = unsustained(0.0, utilisation, tokens_s)
    written = np.maximum(np.round(answers), 1)
    figures["in_flight"] = done * float(np.mean(ttft + tpot * (written - 1)))
    for name, seconds in (("ttft", ttft), ("tpot", tpot)):
        figures[f"{name}_mean_s"] = float(seconds.mean())
        those = np.quantile(seconds, [percent / 100 for percent in PERCENTILES])
        for percent, value in zip(PERCENTILES, those.tolist(), strict=True):
            figures[f"{name}_p{percent}_s"] = value
    return figures


def unsustained(time: float, utilisation: float, tokens: float) -> dict[str, float]:
    """Return the figures of a rate at which every time is the same: without end, or none."""
    which = ["mean", *(f"p{percent}" for percent in PERCENTILES)]
    names = [f"{what}_{one}_s" for what in ("ttft", "tpot") for one in which]
    times = dict.fromkeys(names, time)
    return {**times, "in_flight": time, "utilisation": utilisation, "output_tokens_s": tokens}
