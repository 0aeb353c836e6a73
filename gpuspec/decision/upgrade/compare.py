"""Strategies side by side, and what the answer hangs on: drift, waiting, effort of moving."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from gpuspec.decision.upgrade.ask import UpgradeQuestion, problem_of
from gpuspec.decision.upgrade.problem import FleetProblem
from gpuspec.decision.upgrade.solve import Plan, month_usd, solve
from gpuspec.decision.upgrade.strategies import OPTIMUM, STRATEGIES, Strategy

QUICK_GAP = 0.05
"""Gap of the solver where many programmes are solved side by side."""
WAITS = (0, 4)
"""Quarters before which nothing is bought, in the comparison of waiting: none, a year."""


def compare(question: UpgradeQuestion) -> dict[str, Plan]:
    """Return the best plan found for each strategy, the optimum first.

    Every other strategy's plan is one that the optimum may take: where one of them is cheaper
    than what the solver found for it, it is the optimum.
    """
    q = question
    plans: dict[str, Plan] = {}
    solved: dict[Strategy, Plan] = {}
    for strategy in STRATEGIES:
        rules = strategy
        if not q.problem.kinds.owned.any():
            rules = strategy.where_nothing_is_owned()
        rules = replace(rules, name="", meaning="")
        if rules not in solved:
            certify = strategy is OPTIMUM
            solved[rules] = solve(q.problem, strategy, q.time_limit_s, q.gap, certify)
        plans[strategy.name] = replace(solved[rules], strategy=strategy)
    best = min(plans.values(), key=_rank)
    bound = plans[OPTIMUM.name].bound_usd
    plans[OPTIMUM.name] = replace(best, strategy=OPTIMUM, bound_usd=bound)
    return plans


def _rank(plan: Plan) -> tuple[bool, float]:
    """Order plans: those that do all the work first, then the cheaper one."""
    return not plan.complete, plan.total_usd


def unmet_shares(problem: FleetProblem, plan: Plan) -> dict[str, float]:
    """Return the share of each workload's demand over the horizon that stays undone."""
    asked = problem.work.demand.sum(1)
    share = plan.unmet.sum(1) / np.maximum(asked, 1e-12)
    return {n: float(s) for n, s in zip(problem.work.names, share, strict=True) if s > 1e-6}


def strategy_table(question: UpgradeQuestion, plans: dict[str, Plan]) -> pd.DataFrame:
    """Return one row a strategy: ``strategy``, ``cost_usd`` (discounted), ``capital_usd`` (paid
    for nodes, not discounted), ``month_usd`` and ``power_kw`` (highest of a quarter), ``unmet``
    (largest share of a workload that stays undone), ``gap`` (to the bound; of the optimum, the
    only one that is certified), ``complete`` and ``meaning``.
    """
    p, rows = question.problem, []
    for name, plan in plans.items():
        spent = float((plan.bought * np.nan_to_num(p.kinds.capital)).sum())
        month, power = month_usd(p, plan).max(), (p.kinds.power_kw @ plan.owned).max()
        unmet = max(unmet_shares(p, plan).values(), default=0.0)
        gap, meaning = plan.gap if name == OPTIMUM.name else np.nan, plan.strategy.meaning
        figures = (plan.cost_usd, spent, float(month), float(power), unmet, gap)
        rows.append((name, *figures, plan.complete, meaning))
    columns = ["strategy", "cost_usd", "capital_usd", "month_usd", "power_kw", "unmet", "gap"]
    return pd.DataFrame(rows, columns=[*columns, "complete", "meaning"])


def runner_up(plans: dict[str, Plan]) -> str:
    """Return the cheapest other strategy that does all the work and is another plan; or ''."""
    best = plans[OPTIMUM.name]
    others = {
        name: plan.cost_usd
        for name, plan in plans.items()
        if name != OPTIMUM.name and plan.complete and not same_plan(plan, best)
    }
    return min(others, key=lambda name: others[name], default="")


def same_plan(one: Plan, other: Plan) -> bool:
    """Return whether two plans order, sign, sell and run the same."""
    names = ("bought", "retired", "committed", "units")
    return all(np.array_equal(getattr(one, n), getattr(other, n)) for n in names)


def wait_table(
    question: UpgradeQuestion,
    plans: dict[str, Plan],
    drifts: Sequence[str] = (),
    waits: Sequence[int] = WAITS,
) -> pd.DataFrame:
    """Return the cheapest cost where nothing is bought before a quarter, by drift of prices.

    Without `drifts`: down, flat, up, and the question's own where it is another. Columns:
    ``drift``, ``first_buy`` (quarter, from 0), ``cost_usd``, ``nodes`` bought, ``first_order``
    (quarter of the first purchase; -1: none), ``complete`` (all work is done). A plan that waits
    longer is open to one that waits less, so the cost never falls with waiting.
    """
    rows = []
    for drift in drifts or dict.fromkeys(["down", "flat", "up", question.prices_drift]):
        problem, first = question.problem, plans[OPTIMUM.name]
        if drift != question.prices_drift:
            problem = problem_of(question, problem.limits, drift=drift)
            first = _quick(question, problem, OPTIMUM)
        found = [first]
        for wait in waits[1:]:
            if found[-1].bought[:, :wait].any():
                strategy = replace(OPTIMUM, name=f"buy from Q{wait + 1}", first_buy=wait)
                found.append(_quick(question, problem, strategy))
            else:
                found.append(found[-1])
        for place, wait in enumerate(waits):
            best = min(found[place:], key=_rank)
            when = np.flatnonzero(best.bought.sum(0))
            order = int(when[0]) if len(when) else -1
            nodes = float(best.bought.sum())
            rows.append((drift, wait, best.cost_usd, nodes, order, best.complete))
    columns = ["drift", "first_buy", "cost_usd", "nodes", "first_order", "complete"]
    return pd.DataFrame(rows, columns=columns)


def _quick(question: UpgradeQuestion, problem: FleetProblem, strategy: Strategy) -> Plan:
    return solve(problem, strategy, question.time_limit_s, max(question.gap, QUICK_GAP))


def effort_table(plans: dict[str, Plan], multiples: Sequence[float]) -> pd.DataFrame:
    """Return the cost of the optimum and each complete plan as effort is multiplied.

    The plans stay as they are: index the multiple, one column a strategy.
    """
    multiple = np.asarray(multiples, float)
    return pd.DataFrame(
        {
            name: plan.cost_usd + (multiple - 1) * plan.parts["migration"]
            for name, plan in plans.items()
            if plan.complete or name == OPTIMUM.name
        },
        index=pd.Index(multiple, name="effort"),
    )


def effort_break_even(plans: dict[str, Plan]) -> tuple[float, str]:
    """Return the multiple of the effort at which another strategy's plan is as cheap, and its name.

    Infinite where none needs less effort.
    """
    best, found = plans[OPTIMUM.name], (np.inf, "")
    for name, plan in plans.items():
        saved = best.parts["migration"] - plan.parts["migration"]
        if plan.complete and saved > 0:
            found = min(found, (1 + (plan.cost_usd - best.cost_usd) / saved, name))
    return found
