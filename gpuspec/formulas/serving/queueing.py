"""Requests that arrive at random: what most users see, and what the unlucky ones see.

A replica is a queue whose servers slow each other down. Poisson arrivals find ``n`` requests in
flight; the token step takes longer the more there are, and beyond the largest concurrency they
wait outside.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gpuspec.base.units import Floats, distinct
from gpuspec.formulas.serving.deployment import Deployment
from gpuspec.formulas.serving.serving import max_concurrency, total_seconds

PERCENTILES = (50, 95, 99)
CHAINS = 2048
"""Requests that are drawn, with the same seed always, to read percentiles from; so few leave the
95th percentile uncertain by some percent."""
STEPS = 24
"""Iterations after which the draws are taken to have forgotten how they began."""
LOADS = 48
FORGETS = 1.35
"""Lives of a request in which the load forgets itself, where more load does not slow it down:
two loads u apart share the arrivals of L - u seconds (L: a life), and this exponential decay
gives the mean load over a life the same spread, two thirds of the load's variance."""
SHARED = 0.5 / np.sqrt(2 / 3)
"""Correlation of that mean load with the arrivals during the life: they make up half of it."""


def arrivals(
    replica: Deployment,
    requests_s: ArrayLike,
    isl: float,
    osl: float,
    cached_share: float = 0.0,
) -> dict[str, Floats]:
    """Return what users see when requests arrive at random, at a mean rate.

    Parameters
    ----------
    requests_s : array_like
        Requests a second that reach this replica (Poisson); any shape.
    isl, osl : float
        Tokens of a prompt and of an answer, the same for every request.

    Returns
    -------
    dict
        Arrays of the shape of `requests_s`: ``ttft_mean_s``, ``ttft_p50_s``, ``ttft_p95_s``,
        ``ttft_p99_s``, ``tpot_mean_s``..., ``in_flight`` (mean requests in flight or waiting),
        ``utilisation`` (rate over the largest sustainable one) and ``output_tokens_s``. Where
        the rate cannot be sustained the times are infinite and utilisation is 1 or more.

    References
    ----------
    In flight: the number in a processor-sharing queue whose speed depends on the load has a
    product-form distribution that depends on the mean service only (Cohen 1979, The multiple
    phase service network with generalized processor sharing). Prompts: the stationary state of
    a gated queue, whose cycles carry the arrivals of the cycle before (Kleinrock 1975,
    Queueing Systems 1, chapter 5), found by running its Markov chain.
    """
    rate = np.asarray(requests_s, float)
    most = int(max_concurrency(replica, isl, osl))
    if most < 1:
        return {n: np.full(rate.shape, v) for n, v in _figures(np.inf, np.inf, 0.0).items()}
    speed = _Speed(replica, isl, osl, cached_share, most)
    results = [_one(speed, float(one)) for one in rate.ravel()]
    return {name: np.reshape([r[name] for r in results], rate.shape) for name in results[0]}


def sustainable_requests_s(
    replica: Deployment, isl: float, osl: float, cached_share: float = 0.0
) -> float:
    """Return the largest rate of requests that a replica serves for ever; 0 where none fits."""
    most = int(max_concurrency(replica, isl, osl))
    return _Speed(replica, isl, osl, cached_share, most).capacity if most >= 1 else 0.0


class _Speed:
    """Seconds of a token step alone and of a prompt beside it, by requests in flight."""

    def __init__(
        self, replica: Deployment, isl: float, osl: float, cached_share: float, most: int
    ) -> None:
        pp, budget = replica.layout.pp, float(replica.limits.max_tokens)
        self.loads = distinct(np.round(np.geomspace(1, most, LOADS)))
        self.new = max(isl * (1 - cached_share), 1.0)
        self.room = np.maximum(budget - self.loads, budget / 8)
        chunk = np.minimum(self.new, self.room)
        past = isl - self.new + np.maximum(self.new - chunk, 0) / 2
        alone = total_seconds(replica.iteration_parts(self.loads, isl + osl / 2))
        both = total_seconds(replica.iteration_parts(self.loads, isl + osl / 2, chunk, pp, past))
        idle = total_seconds(replica.iteration_parts(0, 1, chunk[0], pp, past[0]))
        start = total_seconds(replica.iteration_parts(0, 1, 1, pp))
        self.alone = alone
        self.prompt = np.maximum(both - alone, 1e-9) * self.new / chunk / pp
        pieces = np.ceil(self.new / chunk[0])
        self.idle = float(idle * self.new / chunk[0] + start * (pieces - self.new / chunk[0]))
        self.first = replica.engine.first_token_ms / 1e3
        self.most, self.osl = most, float(osl)

    def at(self, values: Floats, load: NDArray) -> Floats:
        """Return one of the curves at a load."""
        return np.asarray(np.interp(load, self.loads, values))

    @property
    def capacity(self) -> float:
        """Requests a second at the largest load, every one of which brings its prompt."""
        busy = self.osl * self.alone + self.loads * self.prompt
        return float((self.loads / busy).max())


def _one(speed: _Speed, rate: float) -> dict[str, float]:
    """Return the figures at one rate."""
    utilisation = rate / speed.capacity
    if utilisation >= 0.999 or rate <= 0:
        time = np.inf if rate > 0 else 0.0
        return _figures(time, utilisation, min(rate, speed.capacity) * speed.osl)
    states = np.arange(1, speed.most + 1, dtype=float)
    busy = np.minimum(rate * speed.at(speed.prompt, states), 0.999)
    service = states * (1 - busy) / (speed.osl * speed.at(speed.alone, states))
    log = np.concatenate([[0.0], np.cumsum(np.log(rate / service))])
    weight = np.exp(log - log.max())
    ratio = min(rate / service[-1], 0.999)
    inside = np.append(weight[:-1], weight[-1] / (1 - ratio))  # the last: full, others outside
    inside /= inside.sum()
    draws = np.random.default_rng(0)
    normal = draws.standard_normal((2, CHAINS))
    seen = np.searchsorted(np.cumsum(inside), _share(normal[0])).astype(float)
    ttft = _first_token(speed, rate, seen, draws)
    outside = (seen >= speed.most) & (draws.random(CHAINS) < ratio)
    # Answers of equal length leave more evenly than at random: half the wait of M/M/n.
    wait = draws.exponential(1.0, CHAINS) / (service[-1] * (1 - ratio)) / 2
    ttft = ttft + np.where(outside, wait, 0.0)
    tpot = _between_tokens(speed, rate, inside, ttft, normal, draws)
    figures = _figures(0.0, utilisation, rate * speed.osl)
    figures["in_flight"] = rate * float(ttft.mean() + tpot.mean() * (speed.osl - 1))
    for name, seconds in (("ttft", ttft), ("tpot", tpot)):
        figures[f"{name}_mean_s"] = float(seconds.mean())
        for percent in PERCENTILES:
            figures[f"{name}_p{percent}_s"] = float(np.quantile(seconds, percent / 100))
    return figures


def _first_token(speed: _Speed, rate: float, seen: Floats, draws: "np.random.Generator") -> Floats:
    """Return the TTFT of requests that find `seen` others in flight."""
    load = np.maximum(seen, 1.0)
    alone, room = speed.at(speed.alone, load), speed.at(speed.room, load)
    token, new = speed.at(speed.prompt, load) / speed.new, speed.new
    backlog, served = np.zeros(CHAINS), np.zeros(CHAINS)
    cycle = alone
    for _ in range(STEPS):
        backlog = backlog - served + draws.poisson(rate * cycle) * new
        served = np.minimum(backlog, room)
        cycle = alone + token * served
    # A request meets long iterations more often than short ones.
    chosen = _biased(cycle / _mean_by(seen, cycle), draws)
    alone, room, token, seen = alone[chosen], room[chosen], token[chosen], seen[chosen]
    left, cycle = (backlog - served)[chosen], cycle[chosen]
    gone = draws.random(CHAINS)
    ahead = left + (draws.poisson(rate * cycle * gone) + 1) * new
    behind = draws.poisson(rate * cycle * (1 - gone)) * new
    turns = np.ceil(ahead / room)
    read = np.minimum(turns * room, ahead + behind)
    seconds = (1 - gone) * cycle + turns * alone + token * read
    idle = (seen < 1) & (draws.random(CHAINS) > rate * speed.idle)
    return np.asarray(np.where(idle, speed.idle, seconds) + speed.first)


def _between_tokens(
    speed: _Speed,
    rate: float,
    inside: Floats,
    ttft: Floats,
    normal: Floats,
    draws: "np.random.Generator",
) -> Floats:
    """Return the TPOT: the steps of a life, and the prompts that intrude on it."""
    states = np.arange(len(inside))
    mean = float((inside * states).sum())
    load = np.searchsorted(np.cumsum(inside), _share(normal[0]))
    load = np.clip(mean + (load - mean) * _blur(speed, rate, mean) + 1, 1, speed.most)
    life = speed.osl * speed.at(speed.alone, load)
    prompt = speed.at(speed.prompt, load)
    level = _share(SHARED * normal[0] + np.sqrt(1 - SHARED**2) * normal[1])
    intruding = np.asarray(poisson_quantile(level, rate * life), float)
    intruding += draws.poisson(rate * np.minimum(ttft, 20 * speed.idle))
    total = intruding.copy()
    for _ in range(STEPS):  # while those are read, more arrive
        intruding = draws.poisson(np.minimum(rate * prompt, 0.98) * intruding).astype(float)
        total += intruding
    return np.asarray((life + prompt * total) / speed.osl)


def _blur(speed: _Speed, rate: float, mean: float) -> float:
    """Return the spread of the mean load over a life, over that of the load itself.

    Where more load slows requests down, it also stays longer: the load forgets itself later.
    """
    loads = np.clip(mean + np.array([-0.5, 0.5]), 1, speed.most)
    busy = np.minimum(rate * speed.at(speed.prompt, loads), 0.999)
    life = speed.osl * speed.at(speed.alone, loads) / (1 - busy)
    slope = float(np.diff(life)[0] / max(float(np.diff(loads)[0]), 1e-9))
    x = FORGETS * max(1 - rate * slope, 0.02)
    return float(np.sqrt(2 * (x - 1 + np.exp(-x)) / x**2))


def poisson_quantile(level: Floats, mean: Floats) -> Floats:
    """Return the count below which a share `level` of Poisson variables lies."""
    from scipy.stats import poisson

    return np.asarray(poisson.ppf(level, mean))


def _share(normal: Floats) -> Floats:
    from scipy.special import ndtr

    return np.asarray(ndtr(normal))


def _mean_by(group: Floats, values: Floats) -> Floats:
    """Return for each value the mean of its group."""
    _, place = np.unique(group, return_inverse=True)
    return np.asarray((np.bincount(place, values) / np.bincount(place))[place])


def _biased(weight: Floats, draws: "np.random.Generator") -> NDArray[np.intp]:
    """Return places drawn with chances in proportion to `weight`, evenly spread."""
    points = (np.arange(len(weight)) + draws.random()) / len(weight)
    return np.searchsorted(np.cumsum(weight) / weight.sum(), points)


def _figures(time: float, utilisation: float, tokens: float) -> dict[str, float]:
    which = ["mean", *(f"p{percent}" for percent in PERCENTILES)]
    names = [f"{what}_{one}_s" for what in ("ttft", "tpot") for one in which]
    times = dict.fromkeys(names, time)
    return {**times, "in_flight": time, "utilisation": utilisation, "output_tokens_s": tokens}
