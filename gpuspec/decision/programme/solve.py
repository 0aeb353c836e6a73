"""Solve the programme by bounds that are added where they are missing (the L-shaped method)."""

from dataclasses import dataclass, field, replace
from time import thread_time

import highspy
import numpy as np

from gpuspec.base.solver import FEASIBLE, whole
from gpuspec.decision.programme.model import MONTHLY_SLACK, THOUSANDTH, Chosen, Model

GAP = 1e-3
"""Share of the cost within which a plan is proven to be the best."""
TIME_LIMIT_S = 60.0
"""Of the processor, not of the clock: a busy machine answers the same."""
NODES = 4000
"""Nodes of the tree after which the best plan so far is taken, with its gap."""
TOLERANCE = 1e-4
"""Share of the cost of what is short that the solver may hold too low."""
ENDED = (highspy.HighsModelStatus.kInterrupt, highspy.HighsModelStatus.kSolutionLimit)
"""What the solver says when time or nodes end its search."""
MOST_NODES = 2**31 - 1
ROUGHLY = 1e-2
"""The same while the work is still divisible."""
GOAL_GAP = 2e-3
"""Of log time, thousands of kWh, or the unit of a limit: what is close enough to the least."""
MOST_ROUNDS = 100
LONGER = 10
"""Times the limit that the search for a first plan may take: that there is none needs a proof."""


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
    solver, clock = model.highs, _Clock(time_limit_s, nodes)
    every = np.arange(model.size, dtype=np.int32)
    bounds = np.concatenate(model.upper)
    bounds = bounds if upper is None else np.minimum(bounds, upper)
    solver.changeColsBounds(model.size, every, np.zeros(model.size), bounds)
    solver.changeRowBounds(model.goal_row, -highspy.kHighsInf, highspy.kHighsInf)
    cost = np.concatenate(model.cost) * THOUSANDTH
    if model.goal.any():
        solver.changeColsCost(model.size, every, model.goal)
        solver.setOptionValue("presolve", "on")
        first = _solved(model, model.goal, gap, clock)
        if first is None:
            return None
        late = MONTHLY_SLACK if model.spared in ("monthly", "total") else 1e-6
        least = first.cost_usd + max(GOAL_GAP, late * abs(first.cost_usd))
        solver.changeRowBounds(model.goal_row, -highspy.kHighsInf, least)
    solver.changeColsCost(model.size, every, cost)
    solver.setOptionValue("presolve", "on" if gap >= ROUGHLY else "off")  # `OPTIONS` says why
    return _solved(model, cost / THOUSANDTH, gap, clock)


@dataclass
class _Clock:
    """Limits of a search: seconds of the processor, and nodes of the tree."""

    limit_s: float
    nodes: int
    start_s: float = field(default_factory=thread_time)

    def over(self, times: int = 1) -> bool:
        """Return whether so many times the limit has passed."""
        return thread_time() - self.start_s > self.limit_s * times

    def run(self, solver: highspy.Highs, first: bool = False) -> highspy.HighsModelStatus:
        """Run a solver; with `first` on to the first plan, or the proof that there is none."""
        solver.setOptionValue("mip_max_nodes", MOST_NODES if first else self.nodes)
        solver.setOptionValue("mip_max_improving_sols", 1 if first else MOST_NODES)
        times = LONGER if first else 1
        stop = solver.cbMipInterrupt
        stop.subscribe(lambda event: event.interrupt() if self.over(times) else None)
        solver.run()
        stop.clear()
        return solver.getModelStatus()


def _solved(model: Model, cost: np.ndarray, gap: float, clock: _Clock) -> Found | None:
    """Return the best plan for a cost of each column, with bounds added until it is the true one.

    Where the cost does not count what is short, only the limits on a month need the bounds.
    """
    solver, counted = model.highs, np.flatnonzero(np.concatenate(model.whole)).astype(np.int32)
    counts = bool(cost[model.theta].any())
    scale, constant = (THOUSANDTH, model.constant) if counts else (1.0, 0.0)
    whole(solver, counted, False)
    for _ in range(MOST_ROUNDS):
        if clock.run(solver) != highspy.HighsModelStatus.kOptimal:
            return None
        values = np.array(solver.getSolution().col_value)
        if not model.cut(model.read(values), values, ROUGHLY).added or clock.over():
            break
    whole(solver, counted)
    solver.setOptionValue("mip_rel_gap", gap / 2)
    best: Found | None = None
    close = 1e-6 if counts else GOAL_GAP
    solver.setOptionValue("mip_abs_gap", close)
    for _ in range(MOST_ROUNDS):
        status, info = clock.run(solver), solver.getInfo()
        if best is None and status in ENDED and info.primal_solution_status != FEASIBLE:
            clock.run(solver, first=True)
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
        if not short.added or clock.over():
            break
    return best
