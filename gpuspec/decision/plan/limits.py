"""The limits of a scenario: what each is called, how it is written and how it is broken."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.decision.scenario import Scenario, Workload

NOTHING_OVER = 1 + 1e-9
"""Share of a limit above which it is broken."""


class Constraint(NamedTuple):
    """How one limit is told; `scale` takes its values to `unit`."""

    name: str
    reason: str
    """Why an option is out: ``value``, ``limit`` and ``over`` in the unit, and in USD as money."""
    unit: str = ""
    form: str = ",.0f"
    scale: float = 1.0


CONSTRAINTS = {
    "spot": Constraint(
        "interruptions",
        "spot GPUs can be withdrawn at any time, and this service must not stop",
    ),
    "deadline": Constraint(
        "the deadline", "misses the deadline by {over:,.1f} days", "days", ",.4g"
    ),
    "ttft": Constraint(
        "the limit of the first token",
        "first token after {value:,.2f} s, {over:,.2f} s too late",
        "s",
        ",.4g",
    ),
    "tpot": Constraint(
        "the limit of each token",
        "{value:,.1f} ms a token, {over:,.1f} ms above the limit",
        "ms",
        ",.4g",
        1e3,
    ),
    "gpus": Constraint(
        "the number of GPUs",
        "needs {value:,.0f} GPUs, {over:,.0f} more than allowed",
        "GPUs",
    ),
    "available": Constraint(
        "the GPUs that are there", "needs {value:,.0f} GPUs, {limit:,.0f} are there", "GPUs"
    ),
    "power": Constraint(
        "the power of the room",
        "draws {value:,.0f} kW, {over:,.0f} kW more than the room has",
        "kW",
    ),
    "capital": Constraint(
        "the capital", "needs {value_usd} of capital, {over_usd} above the budget", "USD"
    ),
    "monthly": Constraint(
        "the monthly budget",
        "costs {value_usd} a month, {over_usd} above the budget",
        "USD a month",
    ),
}
"""Constraints in the order in which a rejection is told."""
TOTALS = ("gpus", "available", "power", "capital", "monthly")
"""Those that the workloads of a plan share."""


def limits_of(s: Scenario, w: Workload | None = None) -> dict[str, float]:
    """Return the limits of a scenario and of one of its workloads; infinite where none is set."""
    limits = {
        "deadline": getattr(w, "deadline_days", None),
        "ttft": getattr(w, "ttft_limit_s", None) or None,
        "tpot": getattr(w, "tpot_limit_s", None) or None,
        "gpus": s.limits.gpus or None,
        "power": s.limits.total_kw,
        "capital": s.budget.capital_usd,
        "monthly": s.budget.monthly_usd,
    }
    return {name: np.inf if limit is None else float(limit) for name, limit in limits.items()}


def used_share(value: ArrayLike, limit: float) -> np.ndarray:
    """Return the share of a limit that is used: above 1 it is broken, of 0 it is 1 + the value."""
    amount = np.nan_to_num(np.asarray(value, float), nan=0.0)
    if limit == np.inf:
        return np.zeros(amount.shape)
    return amount / limit if limit > 0 else np.where(amount > 0, 1 + amount, 0.0)
