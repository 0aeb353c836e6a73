"""What a replica does under a load, and the largest rate at which it keeps the limits."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.formulas.serving import (
    Deployment,
    arrivals,
    steady_state,
    sustainable_requests_s,
)
from gpuspec.formulas.serving.speculative import speculative
from gpuspec.topics.serving.ask import ServingQuestion

BOUNDS = {
    "matmul": "products",
    "experts": "experts",
    "elementwise": "small kernels",
    "communication": "links between GPUs",
    "attention": "attention",
    "head": "output head",
    "engine": "engine overhead",
}
"""What a reader calls the part that takes most of a token step."""
HALVINGS = 8
"""Steps of the search for the largest request rate: within half a percent of it."""


def served(
    question: ServingQuestion, replica: Deployment, concurrency: ArrayLike
) -> dict[str, Any]:
    """Return `steady_state` of a replica for users who act on their own, speculation included."""
    q = question
    found = steady_state(replica, concurrency, q.isl, q.osl, q.cached_share, in_step=False)
    if q.draft_tokens:
        found = speculative(replica, found, q.isl, q.osl, q.draft_tokens, q.acceptance)
    return {**found}


def within_limits(question: ServingQuestion, found: dict[str, Any]) -> Any:
    """Return where TTFT and TPOT keep the asked limits."""
    q = question
    ttft = found["ttft_s"] <= (q.ttft_limit_s or np.inf)
    tpot = found["tpot_s"] <= (q.tpot_limit_s or np.inf)
    return np.asarray(ttft & tpot)


def largest_rate(question: ServingQuestion, replica: Deployment) -> float:
    """Return the most requests a second of which 95 % keep the limits; 0 where none does."""
    q = question
    low, high = 0.0, sustainable_requests_s(replica, q.isl, q.osl, q.cached_share)
    for step in range(HALVINGS):
        middle = (low + high) / 2 if step else high * 0.98
        low, high = (middle, high) if _keeps(q, replica, middle) else (low, middle)
    return low


def _keeps(q: ServingQuestion, replica: Deployment, rate: float) -> bool:
    found = arrivals(replica, rate, q.isl, q.osl, q.cached_share)
    return bool(within_limits(q, {"ttft_s": found["ttft_p95_s"], "tpot_s": found["tpot_p95_s"]}))
