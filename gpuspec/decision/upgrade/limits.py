"""Limits on money, power and GPUs as rows of the programme."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gpuspec.decision.upgrade.derived import HOURLY, unit_prices
from gpuspec.decision.upgrade.money import MONTHS
from gpuspec.decision.upgrade.problem import FleetProblem
from gpuspec.decision.upgrade.rows import Term, Terms

Row = tuple[str, list[Term], float]
"""Name of a limit, terms, and what they may add up to."""


def limits_rows(problem: FleetProblem, terms: Terms) -> Iterator[Row]:
    """Yield the rows of the limits that are asked: those of each quarter, capital in all first."""
    limits, capital = problem.limits, np.nan_to_num(problem.kinds.capital)
    if np.isfinite(limits.capital_usd):
        yield "capital_usd", [(terms.bought, capital)], limits.capital_usd
    of_quarter: dict[str, Callable[[int], tuple[list[Term], float]]] = {
        "capital_quarter_usd": lambda t: ([(terms.bought[:, t], capital[:, t])], 0.0),
        "month_usd": lambda t: month_terms(problem, terms, t),
        "power_kw": lambda t: _held(problem, terms, t, problem.kinds.power_kw),
        "gpus": lambda t: _gpus(problem, terms, t),
    }
    for t in range(problem.shape[1]):
        for name, row in of_quarter.items():
            most = getattr(limits, name)
            if np.isfinite(most):
                used, constant = row(t)
                yield name, used, most - constant


def _held(
    problem: FleetProblem, terms: Terms, t: int, owned: np.ndarray, committed: Any = None
) -> tuple[list[Term], float]:
    """Return the terms of a quantity of each owned (K,) and committed (C, K, T) node."""
    used: list[Term] = []
    constant = 0.0
    for k, each in enumerate(owned):
        own, start = terms.owned(k, t, float(each))
        used += own
        constant += start
        if committed is not None:
            used += terms.committed(k, t, committed[:, k])
    return used, constant


def _gpus(problem: FleetProblem, terms: Terms, t: int) -> tuple[list[Term], float]:
    """Return the terms of the GPUs that are owned, committed or rented for replicas."""
    work, (k, quarters, _, _, c) = problem.work, problem.shape
    node = float(problem.kinds.node_gpus)
    used, constant = _held(problem, terms, t, np.full(k, node), np.full((c, k, quarters), node))
    services = ~work.is_job[work.workload]
    return [*used, (terms.units[services, HOURLY, t], work.gpus[services])], constant


def month_terms(problem: FleetProblem, terms: Terms, t: int) -> tuple[list[Term], float]:
    """Return the terms of what a month of quarter `t` costs to run and rent, not discounted."""
    kinds = problem.kinds
    signed = np.nan_to_num(kinds.committed) * kinds.node_gpus / MONTHS
    used, constant = _held(problem, terms, t, kinds.fixed / MONTHS, signed)
    rented = unit_prices(problem)[:, :, t] / MONTHS
    used += [(terms.busy[:, t], kinds.energy / MONTHS), (terms.units[:, :, t], rented)]
    return used, constant
