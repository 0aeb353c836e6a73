"""What a replica does under a load, and the largest rate at which it keeps the limits."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats
from gpuspec.constants.ground import ground_codes
from gpuspec.constants.learnt import learnt
from gpuspec.constants.stored import own_factor
from gpuspec.formulas.serving import (
    Deployment,
    Layout,
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
from gpuspec.topics.serving.ground import levels, setting
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
CELLS, NEAR = 128, 0.98
"""Of the search for the largest request rate: within a percent of the rate that never ends."""
OFTEN, RISING, SOON = 0.78, 0.025, 8
"""Where it begins: the share of the cells that often keeps the limits, and how much the logarithm
of how far they are taken rises there from cell to cell. Values after which it goes on by halving.
"""


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
    if learnt("inference") is None:
        return {**found}
    return slowed({**found}, q.osl, *own_factors(q, replica.layout, concurrency))


def slowed(found: Row, osl: float, first: ArrayLike, each: ArrayLike) -> Row:
    """Return a steady state whose first token takes `first` times as long, each later one `each`.

    With as many requests in flight as before, rates fall as a request takes longer (Little's law).
    """
    ttft, tpot = found["ttft_s"] * first, found["tpot_s"] * each
    later = max(float(osl) - 1, 0.0)
    longer = (ttft + tpot * later) / (found["ttft_s"] + found["tpot_s"] * later)
    rates = {name: found[name] / longer for name in ("output_tokens_s", "requests_s")}
    parts = {name: seconds * each for name, seconds in found["parts"].items()}
    decoding = found["decoding"] * each / longer
    return {**found, **rates, "ttft_s": ttft, "tpot_s": tpot, "parts": parts, "decoding": decoding}


def own_factors(question: Replicas, layout: Layout, load: Any) -> tuple[Floats, Floats]:
    """Return how many times as long the first token and later ones take by one's own rows."""
    said = setting(question, layout, load) | levels(question, layout.gpu.architecture)
    ground = ground_codes("inference", setting(question, layout, load))
    first, each = (
        own_factor("inference", said | {"quantity": name}, ground) for name in ("ttft", "tpot")
    )
    return first, each


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
    seen = arrivals_of(replica, *lengths, client=q.client)
    return (
        seen if learnt("inference") is None else lambda rate: _seen_slowed(q, replica, seen, rate)
    )


def _seen_slowed(
    q: Replicas,
    replica: Deployment,
    seen: Callable[[ArrayLike], Mapping[str, ArrayLike]],
    rate: ArrayLike,
) -> Row:
    """Return what users see of a replica that takes longer by one's own rows.

    One that takes f times as long for everything sees at a rate what the faster one sees at f times
    it, every time f times as long.
    """
    first, each = own_factors(q, replica.layout, seen(rate)["in_flight"])
    found: Row = {**seen(np.asarray(rate) * each)}
    for name, value in found.items():
        longer = first if name.startswith("ttft") else each
        rated = name in ("output_tokens_s", "requests_s")
        timed = name.endswith("_s") and not rated
        found[name] = value * longer if timed else value / each if rated else value
    return found


def sustained(question: Replicas, replica: Runs) -> float:
    """Return the most requests a second that a replica serves for ever; 0 where none fits."""
    q = question
    lengths = q.prompt_tokens, q.osl, q.cached_share, q.client
    if isinstance(replica, Disaggregated):
        return float(min(largest_rate(replica, *lengths).values()))
    most = sustainable_requests_s(replica, *lengths)
    if learnt("inference") is None:
        return most
    return most / float(own_factors(q, replica.layout, most_requests(q, replica))[1])


def over_limits(q: Replicas, ttft_s: ArrayLike, tpot_s: ArrayLike) -> np.ndarray:
    """Return how many times the stricter limit is taken; 0 without limits."""
    over = np.zeros(np.shape(tpot_s))
    for seconds, limit in ((ttft_s, q.ttft_limit_s), (tpot_s, q.tpot_limit_s)):
        if limit:
            over = np.maximum(over, np.asarray(seconds) / limit)
    return np.maximum.accumulate(over) if np.ndim(over) else over


def largest_within(question: Replicas, replica: Runs) -> float:
    """Return the most requests a second of which 95 % keep the limits; 0 where none does.

    It is the place of a fine grid that halving would find: up to `NEAR` of the rate that never
    ends, or beyond.
    """
    seen, most = seen_of(question, replica), sustained(question, replica)
    near = NEAR * most
    step, beyond = near / CELLS, (most - near) / CELLS
    place = last_within(lambda n: _log_over(question, seen(n * step)), CELLS)
    if place < CELLS:
        return float(place * step)
    more = last_within(lambda n: _log_over(question, seen(near + n * beyond)), CELLS - 1)
    return float(near + more * beyond)


def last_within(over: Callable[[int], float], cells: int) -> int:
    """Return the last place from 1 to `cells` at which `over`, which grows, is at most 0; or 0.

    The next one that is tried lies where the line through the two values nearest to 0 meets it, or
    halfway where none is finite or many were tried.
    """
    low, high, place = 0, cells + 1, round(OFTEN * cells)
    known: dict[float, int] = {}
    tries = 0
    while high - low > 1:
        value, tries = over(place), tries + 1
        low, high = (place, high) if value <= 0 else (low, place)
        if np.isfinite(value):
            known[value] = place
        nearest = [(known[one], one) for one in sorted(known, key=abs)[:2]]
        if not nearest and value < 0:  # there is no limit
            place = cells
        elif not nearest or tries > SOON:
            place = (low + high) // 2
        else:
            (first, at), (second, then) = nearest[0], nearest[-1]
            rising = (then - at) / (second - first) if second != first else RISING
            place = int(first - at / (rising if rising > 0 else RISING))
        place = min(max(place, low + 1), high - 1)
    return low


def _log_over(q: Replicas, seen: Mapping[str, ArrayLike]) -> float:
    """Return the logarithm of how far 95 % of the requests take the limits."""
    over = float(over_limits(q, seen["ttft_p95_s"], seen["tpot_p95_s"]))
    return float(np.log(over)) if over else -np.inf


def keeps(q: Replicas, seen: Mapping[str, ArrayLike]) -> bool:
    """Return whether 95 % of the requests that were seen keep the limits."""
    return bool(over_limits(q, seen["ttft_p95_s"], seen["tpot_p95_s"]) <= 1)
