"""Quantities that follow from a problem alone."""

import numpy as np

from gpuspec.decision.upgrade.money import MONTHS
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


def month_prices(problem: FleetProblem) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return what a month costs: (K,) of an owned node, (C, K, T) of a committed one by the
    quarter that it is signed in, (K,) of a busy owned GPU more, (O, S, T) of a unit that is rented.
    """
    kinds = problem.kinds
    committed = np.nan_to_num(kinds.committed) * kinds.node_gpus
    costs = (kinds.fixed, committed, kinds.energy, unit_prices(problem))
    fixed, signed, busy, rented = (np.asarray(cost) / MONTHS for cost in costs)
    return fixed, signed, busy, rented


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
