"""From a programme to a plan: the solver's call and what its numbers mean."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from gpuspec.decision.upgrade.derived import HOURLY, SPOT, node_values, unit_prices
from gpuspec.decision.upgrade.limits import month_terms
from gpuspec.decision.upgrade.problem import FleetProblem
from gpuspec.decision.upgrade.programme import Programme
from gpuspec.decision.upgrade.rows import Terms
from gpuspec.decision.upgrade.strategies import OPTIMUM, Strategy

GAP = 0.02
QUARTER_GAP = 0.002
QUARTER_NODES = 500
THOUSANDTH = 1e-3
"""Costs go to the solver in thousands of USD: its tolerances are absolute."""
INFEASIBLE = 2
TIME_LIMIT_S = 10.0
PARTS = (
    "owned today",
    "nodes bought",
    "space and upkeep",
    "energy",
    "commitments",
    "by the hour",
    "spot",
    "migration",
    "resale and residual",
)
"""What a plan's discounted cost consists of: first what the owned nodes are worth today, last
what comes back."""


@dataclass(frozen=True)
class Plan:
    """What is added when, what runs where, and what it costs; arrays as in `FleetProblem`."""

    strategy: Strategy
    bought: np.ndarray
    retired: np.ndarray
    owned: np.ndarray
    """(K, T) owned nodes in use."""
    committed: np.ndarray
    """(C, K, T) commitments made."""
    reserved: np.ndarray
    """(K, T) nodes under a commitment."""
    busy: np.ndarray
    """(K, T) owned GPUs in use."""
    units: np.ndarray
    """(O, S, T) units of each option at each site."""
    unmet: np.ndarray
    """(W, T) demand that nothing meets."""
    parts: dict[str, float]
    """Discounted USD; they add up to `cost_usd`."""
    penalty_usd: float
    """What the programme counted for unmet work, no part of the cost."""
    bound_usd: float
    """No plan of this strategy costs less, penalty included."""

    @property
    def cost_usd(self) -> float:
        """Return the discounted cost over the horizon."""
        return sum(self.parts.values())

    @property
    def total_usd(self) -> float:
        """Return what the programme minimises: cost and penalty."""
        return self.cost_usd + self.penalty_usd

    @property
    def gap(self) -> float:
        """Return how far the cost may lie above the best, as a share."""
        scale = max(abs(self.total_usd), 1e-9)
        return max(self.total_usd - self.bound_usd, 0.0) / scale

    @property
    def complete(self) -> bool:
        """Return whether all work is done."""
        return bool((self.unmet <= 1e-6).all())


def solve(
    problem: FleetProblem,
    strategy: Strategy = OPTIMUM,
    time_limit_s: float = TIME_LIMIT_S,
    gap: float = GAP,
    certify: bool = False,
) -> Plan:
    """Return the best plan found for a strategy, with a bound below which there is none.

    A small programme is solved at once. In a larger one, what lasts (orders, sales, commitments,
    moves) comes from a programme in which replicas are divisible but lose what whole ones lose;
    then each quarter is solved in whole replicas and jobs; with `certify` a relaxation gives the
    bound, else there is none. Where the limits leave no way to do all the work, some is left
    undone and named in `unmet`.

    References
    ----------
    Huangfu and Hall 2018, doi:10.1007/s12532-017-0130-5 (HiGHS), through scipy.optimize.milp.
    """
    for may_fail in (False, True):
        programme = Programme(problem, strategy, may_fail)
        exact = programme.small
        first = programme if exact else Programme(problem, strategy, may_fail, "output")
        guess = relaxed(first, time_limit_s, gap, "all" if exact else "lasting")
        if guess.status != INFEASIBLE:
            break
    values = whole(programme, guess)
    bound = bound_usd(first, guess) if exact else -np.inf
    if certify and not exact:
        below = Programme(problem, strategy, may_fail, "rows")
        bound = bound_usd(below, relaxed(below, time_limit_s, gap))
    return read(programme, values, bound)


def bound_usd(programme: Programme, found: Any) -> float:
    """Return the cost below which a relaxation has no solution."""
    bound = getattr(found, "mip_dual_bound", None)
    bound = found.fun if bound is None and found.status == 0 else bound
    return -np.inf if bound is None else float(bound) / THOUSANDTH + programme.constant


def relaxed(programme: Programme, time_limit_s: float, gap: float, whole: str = "lasting") -> Any:
    """Solve with ``all`` of the variables whole that must be, or with the ``lasting`` ones."""
    columns, rows = programme.columns, programme.rows
    kept = np.zeros(columns.size)
    if whole == "all":
        kept = np.concatenate(columns.whole).astype(float)
    else:
        for places in programme.lasting():
            kept[places] = 1
    cost, upper = np.concatenate(columns.cost), np.concatenate(columns.upper)
    free = np.flatnonzero(upper > 0)  # without presolve HiGHS would carry the fixed ones along
    matrix = rows.matrix(columns.size).tocsc()[:, free].tocsr()
    matrix.eliminate_zeros()
    lower, most = np.array(rows.lower), np.array(rows.upper)
    used = np.flatnonzero((np.diff(matrix.indptr) > 0) | (lower > 0) | (most < 0))
    found = milp(
        cost[free] * THOUSANDTH,
        integrality=kept[free],
        bounds=Bounds(0, upper[free]),
        constraints=LinearConstraint(matrix[used], lower[used], most[used]),
        # Without presolve HiGHS does not restart at the root: half the time on these programmes.
        options={"time_limit": time_limit_s, "mip_rel_gap": gap, "presolve": False},
    )
    if found.x is not None:
        values = np.zeros(columns.size)
        values[free] = found.x
        found.x = values
    return found


def whole(programme: Programme, found: Any) -> np.ndarray:
    """Return the plan in whole replicas and jobs: what lasts is kept, each quarter solved anew."""
    columns, rows = programme.columns, programme.rows
    values = np.zeros(columns.size)
    if found.x is not None:
        for places in programme.lasting():
            values[places] = np.round(found.x[places])
    matrix = rows.matrix(columns.size)
    there = matrix @ values
    low, high = np.array(rows.lower) - there, np.array(rows.upper) - there
    upper, kinds = np.concatenate(columns.upper), np.concatenate(columns.whole)
    spare = upper.copy()
    spare[programme.unmet] = programme.problem.work.demand
    cost, by_column = np.concatenate(columns.cost) * THOUSANDTH, matrix.tocsc()
    for quarter in programme.quarters.tolist():
        places = programme.passing(quarter)
        part = by_column[:, places].tocsr()
        mine = np.flatnonzero(np.diff(part.indptr))
        for most in (upper, spare):
            answer = milp(
                cost[places],
                integrality=kinds[places],
                bounds=Bounds(0, most[places]),
                constraints=LinearConstraint(part[mine], low[mine], high[mine]),
                options={"mip_rel_gap": QUARTER_GAP, "node_limit": QUARTER_NODES},
            )
            if answer.x is not None:
                break
        if answer.x is not None:
            inside = kinds[places] == 1
            values[places] = np.where(inside, np.round(answer.x), answer.x)
        else:
            values[programme.unmet[:, quarter]] = programme.problem.work.demand[:, quarter]
    used = values[programme.units].sum((1, 2)) > 0
    values[programme.moved] *= used
    kinds_used = np.isin(np.arange(programme.problem.shape[0]), programme.problem.work.kind[used])
    values[programme.introduced] *= kinds_used
    return values


def read(programme: Programme, values: np.ndarray, bound: float) -> Plan:
    """Name the numbers of the solver's vector."""
    p = programme.problem
    bought, retired, committed, units, unmet, busy = (
        values[getattr(programme, name)]
        for name in ("bought", "retired", "committed", "units", "unmet", "busy")
    )
    cost = np.concatenate(programme.columns.cost)
    return Plan(
        strategy=programme.strategy,
        bought=bought,
        retired=retired,
        owned=owned_nodes(p, bought, retired),
        committed=committed,
        reserved=reserved_nodes(p, committed),
        busy=busy,
        units=units,
        unmet=np.where(unmet > 1e-6, unmet, 0.0),
        parts=cost_parts(programme, values),
        penalty_usd=float((cost[programme.unmet] * unmet).sum()),
        bound_usd=bound,
    )


def owned_nodes(problem: FleetProblem, bought: np.ndarray, retired: np.ndarray) -> np.ndarray:
    """Return (K, T) owned nodes in use: those of the start, less retired, plus arrived."""
    lead, quarters = problem.lead_quarters, problem.shape[1]
    arrived = np.zeros_like(bought)
    arrived[:, lead:] = bought[:, : quarters - lead]
    return problem.kinds.owned[:, None] + np.cumsum(arrived - retired, axis=1)


def reserved_nodes(problem: FleetProblem, committed: np.ndarray) -> np.ndarray:
    """Return (K, T) nodes under a commitment."""
    active = np.zeros(committed.shape[1:])
    for c, length in enumerate(problem.kinds.terms):
        for t in range(problem.shape[1]):
            active[:, t] += committed[c, :, max(t - length + 1, 0) : t + 1].sum(1)
    return active


def cost_parts(programme: Programme, values: np.ndarray) -> dict[str, float]:
    """Return the discounted cost of the solver's vector by what it is spent on."""
    p, kinds, mid = programme.problem, programme.problem.kinds, programme.mid
    bought, retired = values[programme.bought], values[programme.retired]
    today, paid, residual, resale = node_values(p, bought, retired)
    owned = owned_nodes(p, bought, retired)
    running = values[programme.units] * unit_prices(p) * mid
    spent = np.concatenate(programme.columns.cost) * values
    parts = (
        today.sum(),
        paid.sum(),
        (owned * kinds.fixed[:, None] * mid).sum(),
        spent[programme.busy].sum(),
        spent[programme.committed].sum(),
        running[:, HOURLY].sum(),
        running[:, SPOT].sum(),
        spent[programme.moved].sum() + spent[programme.introduced].sum(),
        -(residual + resale).sum(),
    )
    return dict(zip(PARTS, map(float, parts), strict=True))


def month_usd(problem: FleetProblem, plan: Plan) -> np.ndarray:
    """Return (T,) what a month of each quarter costs to run and rent, not discounted."""
    held = (plan.bought, plan.retired, plan.committed, plan.units, plan.busy)
    amounts = Terms(problem, *held)
    months = [month_terms(problem, amounts, t) for t in range(problem.shape[1])]
    return np.array(
        [fixed + sum(np.sum(np.multiply(*term)) for term in used) for used, fixed in months]
    )
