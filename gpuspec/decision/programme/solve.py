"""Solve the programme by bounds that are added where they are missing (the L-shaped method)."""

from dataclasses import dataclass, replace
from time import monotonic

import highspy
import numpy as np

from gpuspec.base.solver import FEASIBLE, whole
from gpuspec.decision.programme.model import THOUSANDTH, Chosen, Model

GAP = 1e-3
"""Share of the cost within which a plan is proven to be the best."""
TIME_LIMIT_S = 60.0
NODES = 4000
"""Nodes of the tree after which the best plan so far is taken, with its gap."""
TOLERANCE = 1e-4
"""Share of the cost of what is short that the solver may hold too low."""
ROUGHLY = 1e-2
"""The same while the work is still divisible."""
GOAL_GAP = 2e-3
"""Of log time, thousands of kWh, or the unit of a limit: what is close enough to the least."""
MOST_ROUNDS = 100


@dataclass(frozen=True)
class Found:
    """The best plan that was found, what it costs, and below what there is none."""

    chosen: Chosen
    cost_usd: float
    bound_usd: float

    @property
    def gap(self) -> float:
        """Return how far the cost may lie above the best, as a share."""
        return max(self.cost_usd - self.bound_usd, 0.0) / max(abs(self.cost_usd), 1e-9)


def solve(
    model: Model,
    upper: np.ndarray | None = None,
    gap: float = GAP,
    time_limit_s: float = TIME_LIMIT_S,
    nodes: int = NODES,
) -> Found | None:
    """Return the best plan, or None where no plan keeps all limits.

    `upper` are bounds of columns below those of the model: what may not be chosen. Bounds on what
    is short hold for every such restriction, so that later calls start with those of earlier ones.
    Where time or energy is the objective, it is made least first, then the cost of what reaches it.

    References
    ----------
    Van Slyke and Wets 1969, doi:10.1137/0117061; Huangfu and Hall 2018,
    doi:10.1007/s12532-017-0130-5 (HiGHS).
    """
    solver, end = model.highs, monotonic() + time_limit_s
    solver.setOptionValue("mip_max_nodes", nodes)
    every = np.arange(model.size, dtype=np.int32)
    bounds = np.concatenate(model.upper)
    bounds = bounds if upper is None else np.minimum(bounds, upper)
    solver.changeColsBounds(model.size, every, np.zeros(model.size), bounds)
    solver.changeRowBounds(model.goal_row, -highspy.kHighsInf, highspy.kHighsInf)
    cost = np.concatenate(model.cost) * THOUSANDTH
    if model.goal.any():
        solver.changeColsCost(model.size, every, model.goal)
        solver.setOptionValue("presolve", "on")
        first = _solved(model, model.goal, gap, end)
        solver.setOptionValue("presolve", "off")
        if first is None:
            return None
        least = first.cost_usd + max(GOAL_GAP, 1e-6 * abs(first.cost_usd))
        solver.changeRowBounds(model.goal_row, -highspy.kHighsInf, least)
    solver.changeColsCost(model.size, every, cost)
    return _solved(model, cost / THOUSANDTH, gap, end)


def _solved(model: Model, cost: np.ndarray, gap: float, end: float) -> Found | None:
    """Return the best plan for a cost of each column, with bounds added until it is the true one.

    Where the cost does not count what is short, only the limits on a month need the bounds.
    """
    solver, counted = model.highs, np.flatnonzero(np.concatenate(model.whole)).astype(np.int32)
    counts = bool(cost[model.theta].any())
    scale, constant = (THOUSANDTH, model.constant) if counts else (1.0, 0.0)
    whole(solver, counted, False)
    for _ in range(MOST_ROUNDS):
        solver.setOptionValue("time_limit", solver.getRunTime() + max(end - monotonic(), 0.5))
        solver.run()
        status = solver.getModelStatus()
        if status == highspy.HighsModelStatus.kTimeLimit:
            break
        if status != highspy.HighsModelStatus.kOptimal:
            return None
        values = np.array(solver.getSolution().col_value)
        if not model.cut(model.read(values), values, ROUGHLY).added or monotonic() > end:
            break
    whole(solver, counted)
    solver.setOptionValue("mip_rel_gap", gap / 2)
    best: Found | None = None
    close = 1e-6 if counts else GOAL_GAP
    solver.setOptionValue("mip_abs_gap", close)
    for _ in range(MOST_ROUNDS):
        solver.setOptionValue("time_limit", solver.getRunTime() + max(end - monotonic(), 0.5))
        solver.run()
        info = solver.getInfo()
        if info.primal_solution_status != FEASIBLE:
            break
        values = np.array(solver.getSolution().col_value)
        values[counted] = np.round(values[counted])
        bound = info.mip_dual_bound / scale + constant
        held = values[model.theta].sum() / THOUSANDTH
        short = model.cut(model.read(values), values, TOLERANCE)
        paid = float(cost @ values) + constant + (short.cost_usd - held if counts else 0.0)
        if short.kept and (best is None or paid < best.cost_usd):
            best = Found(model.read(values), paid, bound)
        if best is not None:
            best = replace(best, bound_usd=max(best.bound_usd, bound))
            if best.gap <= gap or best.cost_usd - best.bound_usd <= close:
                break
        if not short.added or monotonic() > end:
            break
    return best
