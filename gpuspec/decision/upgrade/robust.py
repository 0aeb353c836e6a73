"""How sure a comparison of plans is: fixed plans under drawn prices and capacities."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from gpuspec.decision.errors import SAMPLES, SEED, price_factors, speeds_of, stream, two_sided
from gpuspec.decision.scenario.records import MODES
from gpuspec.decision.upgrade import derived
from gpuspec.decision.upgrade.ask import UpgradeQuestion
from gpuspec.decision.upgrade.compare import runner_up
from gpuspec.decision.upgrade.money import TERMS, cheapest
from gpuspec.decision.upgrade.problem import FleetProblem
from gpuspec.decision.upgrade.solve import Plan
from gpuspec.decision.upgrade.strategies import OPTIMUM
from gpuspec.topics.cost.prices import operating


@dataclass(frozen=True)
class Draws:
    """Factors on prices and speeds, S of them; 1 is the central estimate."""

    rent: dict[str, np.ndarray]
    """By mode: (S, K)."""
    residual: np.ndarray
    """(S,)"""
    speed: np.ndarray
    """(S, O) of each way."""


def draw(question: UpgradeQuestion, count: int = SAMPLES) -> Draws:
    """Draw prices and speeds as a plan draws them: see `gpuspec.decision.errors`.

    What a node is worth in the end is drawn from the range of the residual values.
    """
    names = question.problem.kinds.names
    rent: dict[str, np.ndarray] = {
        str(mode): price_factors(
            cheapest(question.offers, names, mode).assign(mode=mode).reset_index(), count, SEED
        ).T
        for mode in MODES
    }
    bands = [operating(band=band).residuals[3] for band in ("low", "central", "high")]
    z = stream(SEED, "residual", count)
    residual = np.exp(two_sided(z, bands[0] / bands[1], bands[2] / bands[1]))
    kinds = {way.kind for way in question.ways}
    speeds = {kind: speeds_of(kind, question.gpus, count) for kind in kinds}
    speed = [speeds[w.kind].factor(w.gpu, w.precision, w.inherited) for w in question.ways]
    return Draws(rent, residual, np.array(speed).reshape(-1, count).T)


def drawn_costs(problem: FleetProblem, plan: Plan, draws: Draws) -> np.ndarray:
    """Return (S,) the cost of a fixed plan under each draw.

    What it orders, signs, sells and moves stays; where capacity falls short of the work, the
    rest is rented by the hour on the same kind at that draw's price.
    """
    today, paid, residual, resale = derived.node_values(problem, plan.bought, plan.retired)
    own = draws.rent["own"]
    total = own @ (today + paid - resale) - (own @ residual) * draws.residual
    total += plan.parts["space and upkeep"] + plan.parts["energy"] + plan.parts["migration"]
    signed = (plan.committed * np.nan_to_num(derived.commitment_prices(problem))).sum(2)
    for usd, mode in zip(signed, TERMS, strict=True):
        total += draws.rent[mode] @ usd
    return np.asarray(total + _running(problem, plan, draws))


def _running(problem: FleetProblem, plan: Plan, draws: Draws) -> np.ndarray:
    """Return (S,) rent by the hour and on spot, and for what the pools cannot hold."""
    work, kinds = problem.work, problem.kinds
    mid = problem.factor(np.arange(problem.shape[1]) + 0.5)
    price, total = derived.unit_prices(problem) * mid, np.zeros(len(draws.residual))
    capacity = (plan.owned + plan.reserved) * kinds.node_gpus
    slower = 1 / draws.speed
    for k in range(len(kinds.names)):
        mine = work.kind == k
        need = slower[:, mine] @ (plan.units[mine, derived.POOL] * work.gpu_quarters[mine])
        for site, mode in ((derived.HOURLY, "on-demand"), (derived.SPOT, "spot")):
            spent = (plan.units[mine, site] * price[mine, site]).sum(1)
            total += draws.rent[mode][:, k] * (slower[:, mine] @ spent)
        short = np.maximum(need - capacity[k], 0.0)
        each = np.nan_to_num(kinds.on_demand[k]) * mid
        total += (short @ each) * draws.rent["on-demand"][:, k]
    return total


def sureness(question: UpgradeQuestion, plans: dict[str, Plan]) -> tuple[pd.DataFrame, float]:
    """Return the 80 % interval of each strategy's cost, and how often the best stays the best.

    A table of ``strategy``, ``cost_usd_low`` and ``cost_usd_high``, and the share of draws in
    which the optimum's plan costs less than the runner-up's, NaN without one.
    """
    draws, other = draw(question), runner_up(plans)
    costs = {name: drawn_costs(question.problem, plan, draws) for name, plan in plans.items()}
    rows = [(name, *np.quantile(cost, (0.1, 0.9))) for name, cost in costs.items()]
    table = pd.DataFrame(rows, columns=["strategy", "cost_usd_low", "cost_usd_high"])
    sure = float((costs[OPTIMUM.name] < costs[other]).mean()) if other else float("nan")
    return table, sure
