"""Limits on money, power and GPUs as rows of the programme."""

from typing import TYPE_CHECKING, Any

import numpy as np

from gpuspec.decision.upgrade.derived import HOURLY, month_prices

if TYPE_CHECKING:
    from gpuspec.decision.upgrade.programme import Programme


def add_limits(programme: "Programme") -> dict[str, list[int]]:
    """Add the limits that are asked, and return the rows of each by its name."""
    p, limits, capital = (
        programme.problem,
        programme.problem.limits,
        programme.problem.kinds.capital,
    )
    found: dict[str, list[int]] = {name: [] for name in limits.asked()}

    def add(name: str, terms: list[Any], there: float) -> None:
        found[name].append(len(programme.rows.lower))
        programme.rows.add(*terms, upper=getattr(limits, name) - there)

    if np.isfinite(limits.capital_usd):
        add("capital_usd", [(programme.bought, np.nan_to_num(capital))], 0.0)
    for t in programme.quarters:
        if np.isfinite(limits.capital_quarter_usd):
            terms = [(programme.bought[:, t], np.nan_to_num(capital[:, t]))]
            add("capital_quarter_usd", terms, 0.0)
        if np.isfinite(limits.month_usd):
            add("month_usd", *_month(programme, t))
        if np.isfinite(limits.power_kw):
            pairs = [
                programme.owned_terms(k, t, float(p.kinds.power_kw[k])) for k in range(p.shape[0])
            ]
            terms = [term for part, _ in pairs for term in part]
            add("power_kw", terms, sum(there for _, there in pairs))
        if np.isfinite(limits.gpus):
            add("gpus", *_gpus(programme, t))
    return found


def _gpus(programme: "Programme", t: int) -> tuple[list[Any], float]:
    """Return the terms of the GPUs that are owned, committed or rented for replicas."""
    p, work = programme.problem, programme.problem.work
    node, terms, there = float(p.kinds.node_gpus), [], 0.0
    for k in range(p.shape[0]):
        own, constant = programme.owned_terms(k, t, node)
        terms += own + programme.committed_terms(k, t, node)
        there += constant
    services = ~work.is_job[work.workload]
    terms.append((programme.units[services, HOURLY, t], work.gpus[services]))
    return terms, there


def _month(programme: "Programme", t: int) -> tuple[list[Any], float]:
    """Return the terms of what a month of quarter `t` costs to run and rent."""
    fixed, signed, busy, rented = month_prices(programme.problem)
    terms, there = [], 0.0
    for k in range(len(fixed)):
        own, constant = programme.owned_terms(k, t, float(fixed[k]))
        terms += own + programme.committed_terms(k, t, signed[:, k])
        there += constant
    terms.append((programme.busy[:, t], busy))
    running = np.where(programme.able[:, :, t], rented[:, :, t], 0.0)
    terms.append((programme.units[:, :, t], running))
    return terms, there
