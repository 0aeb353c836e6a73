"""Quantities that follow from a problem alone."""

import numpy as np

from gpuspec.decision.upgrade.problem import SITES, FleetProblem

POOL, HOURLY, SPOT = range(3)
"""Places of `SITES`."""


def most_units(problem: FleetProblem) -> np.ndarray:
    """Return (O, T) units of each option that would do all of its workload alone."""
    work = problem.work
    needed = work.demand[work.workload] / work.output[:, None]
    return np.where(work.allowed, np.ceil(needed - 1e-9), 0.0)


def most_nodes(problem: FleetProblem, most: np.ndarray) -> np.ndarray:
    """Return (K,) nodes of a kind that would do all the work that it can do."""
    k, t, w, _, _ = problem.shape
    work, node = problem.work, problem.kinds.node_gpus
    gpus = np.maximum(most * work.gpu_quarters, np.where(most > 0, work.gpus[:, None], 0))
    needed = np.zeros((k, w, t))
    np.maximum.at(needed, (work.kind, work.workload), gpus)
    return np.ceil(needed.sum(1).max(1) / node) + (needed.max() > 0)


def unit_prices(problem: FleetProblem) -> np.ndarray:
    """Return (O, S, T) the rent of a unit by the hour and on spot, in whole rental units."""
    kinds, work, unit = problem.kinds, problem.work, problem.kinds.rental_gpus
    rounded = np.ceil(work.gpus / unit) * unit / work.gpus
    paid = work.gpu_quarters * (rounded * work.hours_share)[:, None]
    price = np.zeros((len(work.kind), len(SITES), problem.shape[1]))
    price[:, HOURLY] = paid * kinds.on_demand[work.kind]
    price[:, SPOT] = paid * kinds.spot[work.kind]
    return np.nan_to_num(price)


def commitment_prices(problem: FleetProblem) -> np.ndarray:
    """Return (C, K, T) what a node costs over a commitment signed in a quarter, discounted."""
    kinds, quarters = problem.kinds, problem.shape[1]
    paid = [
        [problem.factor(t + 0.5 + np.arange(term)).sum() for t in range(quarters)]
        for term in kinds.terms
    ]
    return kinds.committed * np.array(paid).reshape(-1, 1, quarters) * kinds.node_gpus


def node_values(
    problem: FleetProblem, bought: np.ndarray, retired: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return (K,) what owned nodes are worth today, what is paid for new ones, what these are
    worth in the end, and what owned ones bring when they are sold or in the end: discounted.
    """
    kinds, start = problem.kinds, problem.factor(np.arange(problem.shape[1]))
    end = problem.factor(problem.shape[1])
    kept = kinds.owned - retired.sum(1)
    paid = (bought * np.nan_to_num(kinds.capital) * start).sum(1)
    residual = (bought * np.nan_to_num(kinds.residual)).sum(1) * end
    sold = (retired * kinds.resale[:, :-1] * start).sum(1)
    return kinds.owned * kinds.resale[:, 0], paid, residual, sold + kept * kinds.resale[:, -1] * end


def unmet_prices(problem: FleetProblem) -> np.ndarray:
    """Return (W, T) the price of a unit of demand that is not met; 0 where nothing can meet it."""
    work, kinds = problem.work, problem.kinds
    known = [kinds.on_demand, kinds.spot, kinds.committed, kinds.capital / kinds.node_gpus]
    prices_known = np.concatenate([np.ravel(p) for p in known])
    dearest = np.max(prices_known, initial=0.0, where=np.isfinite(prices_known))
    by_hour = np.isfinite(kinds.on_demand)
    most = np.max(kinds.on_demand, initial=0.0, where=by_hour) or dearest
    rent = np.where(by_hour, kinds.on_demand, most)
    each = work.gpu_quarters * rent[work.kind] / work.output[:, None]
    prices = np.full(work.demand.shape, np.inf)
    np.minimum.at(prices, work.workload, np.where(work.allowed, each, np.inf))
    return np.where(np.isfinite(prices), prices, 0.0) * problem.unmet_factor
