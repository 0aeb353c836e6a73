"""What a replica does under a load, and the largest rate at which it keeps the limits."""

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.formulas.serving import (
    Deployment,
    arrivals,
    max_concurrency,
    prefill_seconds,
    steady_state,
    sustainable_requests_s,
    total_seconds,
)
from gpuspec.formulas.serving.lengths import first_token_at, mean_context
from gpuspec.formulas.serving.speculative import speculative
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
    "engine": "engine overhead",
}
"""What a reader calls the part that takes most of a token step."""
HALVINGS = 8
"""Steps of the search for the largest request rate: within half a percent of it."""


def most_requests(question: Replicas, replica: Deployment) -> float:
    """Return the most requests in flight that memory holds; long answers are held longer."""
    return float(max_concurrency(replica, question.prompt_tokens, question.held_osl))


def served(question: Replicas, replica: Deployment, concurrency: ArrayLike) -> Row:
    """Return `steady_state` of a replica for users who act on their own, speculation included."""
    q = question
    found: Row = {**steady_state(replica, concurrency, *_lengths(q), in_step=False)}
    if q.isl_cv and q.network.kind != "encoder":
        found["ttft_s"] = first_token_at(found["ttft_s"], _own_prompt_s(q, replica), q.isl_cv)
    if q.draft_tokens:
        of = q.prompt_tokens, q.osl, q.draft_tokens, q.acceptance
        found = {**speculative(replica, found, *of)}  # type: ignore[arg-type]
    return found


def seen_at(question: Replicas, replica: Deployment, requests_s: ArrayLike) -> Row:
    """Return what users see of a replica where so many requests arrive a second: `arrivals`."""
    q = question
    found: Row = {**arrivals(replica, requests_s, *_lengths(q))}
    if q.isl_cv:
        own, times = _own_prompt_s(q, replica), {"mean": None, "p50": 0.5, "p95": 0.95, "p99": 0.99}
        for name, share in times.items():
            ttft = found[f"ttft_{name}_s"]
            found[f"ttft_{name}_s"] = first_token_at(ttft, own, q.isl_cv, share)
    return found


def sustained(question: Replicas, replica: Deployment) -> float:
    """Return the most requests a second that a replica serves for ever; 0 where none fits."""
    return sustainable_requests_s(replica, *_lengths(question))


def _lengths(q: Replicas) -> tuple[float, float, float]:
    """Return prompt, answer and cached share whose mean context is that of the varied lengths.

    What decode steps read beyond equal lengths is laid before the prompt as if it were cached.
    """
    longer = float(mean_context(0, q.osl, q.osl_cv)) - q.osl / 2
    prompt = q.prompt_tokens + longer
    cached = q.cached_share if not longer else 1 - q.prompt_tokens * (1 - q.cached_share) / prompt
    return prompt, q.osl, cached


def _own_prompt_s(q: Replicas, replica: Deployment) -> float:
    """Return the seconds of the mean prompt alone."""
    past = q.prompt_tokens * q.cached_share
    parts = prefill_seconds(replica, 1, max(q.prompt_tokens - past, 1.0), past)
    return float(total_seconds(parts))


def over_limits(q: Replicas, ttft_s: ArrayLike, tpot_s: ArrayLike) -> np.ndarray:
    """Return how many times the stricter limit is taken; 0 without limits."""
    over = np.zeros(np.shape(tpot_s))
    for seconds, limit in ((ttft_s, q.ttft_limit_s), (tpot_s, q.tpot_limit_s)):
        if limit:
            over = np.maximum(over, np.asarray(seconds) / limit)
    return np.maximum.accumulate(over) if np.ndim(over) else over


def largest_rate(question: Replicas, replica: Deployment) -> float:
    """Return the most requests a second of which 95 % keep the limits; 0 where none does."""
    q = question
    low, high = 0.0, sustained(q, replica)
    for step in range(HALVINGS):
        middle = (low + high) / 2 if step else high * 0.98
        low, high = (middle, high) if _keeps(q, replica, middle) else (low, middle)
    return low


def _keeps(q: Replicas, replica: Deployment, rate: float) -> bool:
    seen = seen_at(q, replica, rate)
    return bool(over_limits(q, seen["ttft_p95_s"], seen["tpot_p95_s"]) <= 1)
