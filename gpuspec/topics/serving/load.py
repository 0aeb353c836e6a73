"""What a replica does under a load, and the largest rate at which it keeps the limits."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.formulas.serving import (
    Deployment,
    arrivals_of,
    max_concurrency,
    steady_state,
    sustainable_requests_s,
)
from gpuspec.formulas.serving.disaggregated import (
    Disaggregated,
    disaggregated,
    held_requests,
    largest_rate,
)
from gpuspec.formulas.serving.speculative import speculative
from gpuspec.formulas.serving.tandem import separate_arrivals
from gpuspec.topics.serving.ask import Replicas
from gpuspec.topics.ways import Row

BOUNDS = {
    "matmul": "products",
    "experts": "experts",
    "elementwise": "small kernels",
    "communication": "links between GPUs",
    "attention": "attention",
    "recurrence": "recurrent states",
    "tower": "the tower that reads images",
    "head": "output head",
    "launches": "kernel launches",
    "engine": "engine overhead",
}
"""What a reader calls the part that takes most of a token step."""
CELLS = 128
"""Of the search for the largest request rate: within a percent of the rate that never ends."""


Runs = Deployment | Disaggregated
"""What serves a load: a replica, or workers that read prompts and workers that write answers."""


def most_requests(question: Replicas, replica: Runs) -> float:
    """Return the most requests in flight that memory holds; long answers are held longer."""
    q = question
    if isinstance(replica, Disaggregated):
        return float(held_requests(replica, q.prompt_tokens, q.osl, q.client))
    return float(max_concurrency(replica, q.prompt_tokens, q.held_osl))


def served(
    question: Replicas, replica: Runs, concurrency: ArrayLike, most: float | None = None
) -> Row:
    """Return `steady_state` of a replica for users who act on their own, speculation included.

    Of separate GPUs it is `disaggregated`. `most`: the `most_requests`, where they are known.
    """
    q = question
    lengths = q.prompt_tokens, q.osl, q.cached_share
    if isinstance(replica, Disaggregated):
        return {**disaggregated(replica, concurrency, *lengths, client=q.client)}
    found = steady_state(replica, concurrency, *lengths, client=q.client, most=most)
    if q.draft_tokens:
        found = speculative(replica, found, q.prompt_tokens, q.osl, q.draft_tokens, q.acceptance)
    return {**found}


def seen_at(question: Replicas, replica: Runs, requests_s: ArrayLike) -> Row:
    """Return what users see of a replica where so many requests arrive a second: `arrivals`."""
    return {**seen_of(question, replica)(requests_s)}


def seen_of(question: Replicas, replica: Runs) -> Callable[[ArrayLike], Mapping[str, ArrayLike]]:
    """Return `seen_at` as a function of the rate alone, for a search that asks at many rates."""
    q = question
    lengths = q.prompt_tokens, q.osl, q.cached_share
    if isinstance(replica, Disaggregated):
        pair = replica
        return lambda rate: {**separate_arrivals(pair, rate, *lengths, client=q.client)}
    return arrivals_of(replica, *lengths, client=q.client)


def sustained(question: Replicas, replica: Runs) -> float:
    """Return the most requests a second that a replica serves for ever; 0 where none fits."""
    q = question
    lengths = q.prompt_tokens, q.osl, q.cached_share, q.client
    if isinstance(replica, Disaggregated):
        return float(min(largest_rate(replica, *lengths).values()))
    return sustainable_requests_s(replica, *lengths)


def over_limits(q: Replicas, ttft_s: ArrayLike, tpot_s: ArrayLike) -> np.ndarray:
    """Return how many times the stricter limit is taken; 0 without limits."""
    over = np.zeros(np.shape(tpot_s))
    for seconds, limit in ((ttft_s, q.ttft_limit_s), (tpot_s, q.tpot_limit_s)):
        if limit:
            over = np.maximum(over, np.asarray(seconds) / limit)
    return np.maximum.accumulate(over) if np.ndim(over) else over


def largest_within(question: Replicas, replica: Runs) -> float:
    """Return the most requests a second of which 95 % keep the limits; 0 where none does.

    It is the place of a fine grid that halving would find, sought by the line through the logarithm
    of how far the limits are taken (the Illinois variant of the regula falsi).
    """
    seen, most = seen_of(question, replica), sustained(question, replica)
    near = 0.98 * most
    over = _log_over(question, seen(near))
    start, step = (near, most - near) if over <= 0 else (0.0, near)
    low, high, step = 0, CELLS, step / CELLS
    below, above = (over, np.inf) if over <= 0 else (-np.inf, over)
    while high - low > 1:
        share = below / (below - above) if np.isfinite([below, above]).all() else 0.5
        place = min(max(low + round(share * (high - low)), low + 1), high - 1)
        over = _log_over(question, seen(start + place * step))
        if over <= 0:
            low, below, above = place, over, above / 2
        else:
            high, above, below = place, over, below / 2
    return float(start + low * step)


def _log_over(q: Replicas, seen: Mapping[str, ArrayLike]) -> float:
    """Return the logarithm of how far 95 % of the requests take the limits."""
    over = float(over_limits(q, seen["ttft_p95_s"], seen["tpot_p95_s"]))
    return float(np.log(over)) if over else -np.inf


def keeps(q: Replicas, seen: Mapping[str, ArrayLike]) -> bool:
    """Return whether 95 % of the requests that were seen keep the limits."""
    return bool(over_limits(q, seen["ttft_p95_s"], seen["tpot_p95_s"]) <= 1)
