"""How sure a comparison of plans is: fixed plans under drawn prices and capacities."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.constants.inference import inference_interval, ratio_interval
from gpuspec.constants.training import training_interval
from gpuspec.decision.upgrade.ask import UpgradeQuestion
from gpuspec.decision.upgrade.compare import runner_up
from gpuspec.decision.upgrade.derived import HOURLY, POOL, SPOT, unit_prices
from gpuspec.decision.upgrade.problem import FleetProblem
from gpuspec.decision.upgrade.solve import Plan
from gpuspec.decision.upgrade.strategies import OPTIMUM
from gpuspec.topics.cost.prices import operating

DRAWS = 2000
SEED = 7
TAIL = 1.2816
"""Standard deviations between the middle and the end of an 80 % interval."""
SHARED = 0.7
"""Correlation of a price with the market's level: ratios are steadier than levels."""
MODES = ("on-demand", "reserved-1yr", "reserved-3yr", "spot", "own")


@dataclass(frozen=True)
class Draws:
    """Factors on prices and capacities, S of them; 1 is the central estimate."""

    rent: dict[str, np.ndarray]
    """By mode: (S, K)."""
    residual: np.ndarray
    """(S,)"""
    capacity: np.ndarray
    """(S, K) of services."""
    speed: np.ndarray
    """(S, K) of jobs."""


def draw(question: UpgradeQuestion, count: int = DRAWS) -> Draws:
    """Draw prices from their low, central and high, capacities from held-out errors.

    Low and high count as 80 % intervals, log-normal on either side. Prices share the market's
    level; kinds share the error of the speed model and differ by the error of its ratios.
    """
    random = np.random.default_rng(SEED)
    names, offers = question.problem.kinds.names, question.offers
    market, steel = random.standard_normal((2, count, 1))
    rent = {}
    for mode in MODES:
        own = random.standard_normal((count, len(names)))
        level = steel if mode == "own" else market
        z = SHARED * level + np.sqrt(1 - SHARED**2) * own
        rent[mode] = _factors(z, *_spread(offers, names, mode))
    bands = [operating(band=band).residuals[3] for band in ("low", "central", "high")]
    z = random.standard_normal(count)
    residual = _factors(z, np.log(bands[1] / bands[0]) / TAIL, np.log(bands[2] / bands[1]) / TAIL)
    old = next((n for n in names if question.owned.get(n)), names[0])
    own = random.standard_normal((count, len(names)))
    ratio = [ratio_interval(1.0, n, old) if n != old else (1.0, 1.0) for n in names]
    apart = _factors(own, *(np.abs(np.log([float(r[i]) for r in ratio])) / TAIL for i in (0, 1)))
    ends = [np.abs(np.log(float(v))) / TAIL for v in inference_interval(1.0, "throughput")]
    steps = [np.abs(np.log(float(v))) / TAIL for v in training_interval(1.0)]
    level, pace = random.standard_normal((2, count, 1))
    return Draws(rent, residual, _factors(level, *ends) * apart, apart / _factors(pace, *steps))


def _spread(offers: pd.DataFrame, names: Any, mode: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the standard deviations of the log price below and above, by kind."""
    column = "capital_usd_gpu" if mode == "own" else "hour_usd"
    down, up = np.zeros(len(names)), np.zeros(len(names))
    for row, name in enumerate(names):
        found = offers[(offers["gpu"] == name) & (offers["mode"] == mode)]
        if not found.empty:
            one = found.sort_values(column, kind="stable").iloc[0]
            low, middle, high = (float(one[f"{column}{end}"]) for end in ("_low", "", "_high"))
            down[row], up[row] = np.log(middle / low) / TAIL, np.log(high / middle) / TAIL
    return down, up


def _factors(z: Any, down: Any, up: Any) -> np.ndarray:
    return np.asarray(np.exp(np.where(z < 0, z * down, z * up)))


def drawn_costs(problem: FleetProblem, plan: Plan, draws: Draws) -> np.ndarray:
    """Return (S,) the cost of a fixed plan under each draw.

    What it orders, signs, sells and moves stays; where capacity falls short of the work, the
    rest is rented by the hour on the same kind at that draw's price.
    """
    kinds, quarters = problem.kinds, np.arange(problem.shape[1])
    mid, start = problem.factor(quarters + 0.5), problem.factor(quarters)
    end = problem.factor(problem.shape[1])
    kept = kinds.owned - plan.retired.sum(1)
    capital = (plan.bought * np.nan_to_num(kinds.capital) * start).sum(1)
    residual = (plan.bought * np.nan_to_num(kinds.residual)).sum(1) * end
    resale = (plan.retired * kinds.resale[:, :-1] * start).sum(1)
    resale = resale + kept * kinds.resale[:, -1] * end
    own = draws.rent["own"]
    total = (
        own @ (kinds.owned * kinds.resale[:, 0] + capital - resale)
        - (own @ residual) * draws.residual
    )
    total += plan.parts["space and upkeep"] + plan.parts["energy"] + plan.parts["migration"]
    for c, mode in enumerate(("reserved-1yr", "reserved-3yr")):
        total += draws.rent[mode] @ _committed(problem, plan, c)
    return np.asarray(total + _running(problem, plan, draws, mid))


def _committed(problem: FleetProblem, plan: Plan, c: int) -> np.ndarray:
    """Return (K,) what the commitments of a term cost, discounted."""
    kinds, length = problem.kinds, problem.kinds.terms[c]
    paid = [problem.factor(q + 0.5 + np.arange(length)).sum() for q in range(problem.shape[1])]
    price = np.nan_to_num(kinds.committed[c]) * kinds.node_gpus
    return np.asarray((plan.committed[c] * price * np.array(paid)).sum(1))


def _running(problem: FleetProblem, plan: Plan, draws: Draws, mid: Any) -> np.ndarray:
    """Return (S,) rent by the hour and on spot, and for what the pools cannot hold."""
    work, kinds = problem.work, problem.kinds
    price, total = unit_prices(problem) * mid, np.zeros(len(draws.residual))
    capacity = (plan.owned + plan.reserved) * kinds.node_gpus
    job = work.is_job[work.workload]
    for k in range(len(kinds.names)):
        mine, need = work.kind == k, np.zeros((len(total), problem.shape[1]))
        for rows, speed in ((mine & ~job, draws.capacity[:, k]), (mine & job, draws.speed[:, k])):
            used = (plan.units[rows, POOL] * work.gpu_quarters[rows]).sum(0)
            need += used[None, :] / speed[:, None]
            for site, mode in ((HOURLY, "on-demand"), (SPOT, "spot")):
                spent = float((plan.units[rows, site] * price[rows, site]).sum())
                total += spent * draws.rent[mode][:, k] / speed
        short = np.maximum(need - capacity[k], 0.0)
        each = np.nan_to_num(kinds.on_demand[k]) * mid
        total += (short @ each) * draws.rent["on-demand"][:, k]
    return total


def sureness(question: UpgradeQuestion, plans: dict[str, Plan]) -> tuple[pd.DataFrame, float]:
    """Return the 80 % interval of each strategy's cost, and how often the best stays the best.

    Returns
    -------
    tuple of DataFrame and float
        ``strategy``, ``cost_usd_low``, ``cost_usd_high``; the share of draws in which the
        optimum's plan costs less than the runner-up's, NaN without one.
    """
    draws, other = draw(question), runner_up(plans)
    costs = {name: drawn_costs(question.problem, plan, draws) for name, plan in plans.items()}
    rows = [(name, *np.quantile(cost, (0.1, 0.9))) for name, cost in costs.items()]
    table = pd.DataFrame(rows, columns=["strategy", "cost_usd_low", "cost_usd_high"])
    sure = float((costs[OPTIMUM.name] < costs[other]).mean()) if other else float("nan")
    return table, sure


__all__ = ["DRAWS", "Draws", "draw", "drawn_costs", "sureness"]
