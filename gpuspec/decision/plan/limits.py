"""The limits of a scenario: what each is called, how it is written and how it is broken."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from gpuspec.decision.scenario import Scenario, Workload

NOTHING_OVER = 1 + 1e-9
"""Share of a limit above which it is broken."""


class Constraint(NamedTuple):
    """How one limit is told; `scale` takes its values to `unit`."""

    name: str
    reason: str
    """Why an option is out: ``value``, ``limit`` and ``over`` in the unit, and in USD as money."""
    column: str = ""
    """Column of a table of options or plans that it bounds."""
    unit: str = ""
    form: str = ",.0f"
    scale: float = 1.0


TTFT = "first token after {value:,.2f} s, {over:,.2f} s too late"
TPOT = "{value:,.1f} ms a token, {over:,.1f} ms above the limit"
SPOT = "spot GPUs can be withdrawn at any time, and this service must not stop"
GPUS = "needs {value:,.0f} GPUs, {over:,.0f} more than allowed"
THERE = "needs {value:,.0f} GPUs, {limit:,.0f} are there"
POWER = "draws {value:,.0f} kW, {over:,.0f} kW more than the room has"
CAPITAL = "needs {value_usd} of capital, {over_usd} above the budget"
MONTHLY = "costs {value_usd} a month, {over_usd} above the budget"
LATE = "misses the deadline by {over:,.1f} days"
CONSTRAINTS = {
    "spot": Constraint("interruptions", SPOT),
    "deadline": Constraint("the deadline", LATE, "days", "days", ",.4g"),
    "ttft": Constraint("the limit of the first token", TTFT, "ttft_s", "s", ",.4g"),
    "tpot": Constraint("the limit of each token", TPOT, "tpot_s", "ms", ",.4g", 1e3),
    "gpus": Constraint("the number of GPUs", GPUS, "gpus", "GPUs"),
    "available": Constraint("the GPUs that are there", THERE, "gpus", "GPUs"),
    "power": Constraint("the power of the room", POWER, "power_kw", "kW"),
    "capital": Constraint("the capital", CAPITAL, "upfront_usd", "USD"),
    "monthly": Constraint("the monthly budget", MONTHLY, "cash_month_usd", "USD a month"),
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


def with_uses(table: pd.DataFrame, limits: dict[str, float], **shares: np.ndarray) -> pd.DataFrame:
    """Return a table with the share of each limit that is used, and ``feasible``.

    `shares` are those of constraints that no column is held against; what the table has no column
    of is no constraint of it.
    """
    uses: dict[str, np.ndarray] = {}
    for name, constraint in CONSTRAINTS.items():
        if name in shares:
            uses[f"use_{name}"] = shares[name]
        elif constraint.column in table and name in limits:
            uses[f"use_{name}"] = used_share(table[constraint.column], limits[name])
    feasible = np.all([share <= NOTHING_OVER for share in uses.values()], axis=0)
    return table.assign(**uses, feasible=feasible)
