"""The mixed-integer programme: variables, costs and constraints.

``docs/upgrade.md`` writes it out; names here are the ones that it uses.
"""

import itertools
from functools import partial

import numpy as np

from gpuspec.decision.upgrade import derived
from gpuspec.decision.upgrade.limits import limits_rows
from gpuspec.decision.upgrade.problem import SITES, FleetProblem
from gpuspec.decision.upgrade.rows import Columns, Rows, Terms
from gpuspec.decision.upgrade.strategies import Strategy

OWN, RESERVED = range(2)
EXACT_REPLICAS, EXACT = 100, 400
"""Choices of replicas, and of units in all, up to which a programme is solved at once."""


class Programme:
    """One programme, ready for the solver: `columns`, `rows`, and the places of each variable.

    `may_fail` lets work stay undone at a price. `rounding` says how divisible replicas stand
    for whole ones: ``rows`` adds what whole ones imply, so that the bound holds; ``output``
    lowers what a replica does to the demand over the replicas that it takes, a good guess.
    """

    def __init__(
        self,
        problem: FleetProblem,
        strategy: Strategy,
        may_fail: bool = True,
        rounding: str = "",
    ) -> None:
        self.may_fail, self.rounding = may_fail, rounding
        self.problem, self.strategy = problem, strategy
        self.columns, self.rows = Columns(), Rows()
        self.quarters = np.arange(problem.shape[1])
        self.mid = problem.factor(self.quarters + 0.5)
        self.most = derived.most_units(problem)
        self.nodes = derived.most_nodes(problem, self.most)
        self.bought = self._buy()
        self.retired = self._retire()
        self.committed = self._commit()
        self.units = self._run()
        self.blocks = self._block()
        self.busy = self._use()
        self.moved, self.introduced = self._move()
        self.unmet = self._unmet()
        self.switches = np.empty(0, int)
        held = (self.bought, self.retired, self.committed, self.units, self.busy)
        self.terms = Terms(problem, *held)
        self._pools()
        for name, used, most in limits_rows(problem, self.terms):
            self.rows.add(name, *used, upper=most)
        if strategy.hungriest_first:
            self._hungriest_first()

    @property
    def constant(self) -> float:
        """Return the cost of what is owned when nothing is retired, its worth of today included."""
        kinds = self.problem.kinds
        kept = kinds.fixed * self.mid.sum() + kinds.resale[:, 0]
        kept = kept - kinds.resale[:, -1] * self.problem.factor(len(self.quarters))
        return float((kinds.owned * kept).sum())

    @property
    def small(self) -> bool:
        """Return whether it is solved at once, everything whole: replicas are what is hard."""
        upper = np.concatenate(self.columns.upper)
        choices = (upper[self.units] > 0).sum((1, 2))
        job = self.problem.work.is_job[self.problem.work.workload]
        return bool(choices[~job].sum() <= EXACT_REPLICAS and choices.sum() <= EXACT)

    def lasting(self) -> tuple[np.ndarray, ...]:
        """Return the places of what outlasts a quarter: orders, sales, commitments, moves."""
        lasts = (self.bought, self.retired, self.committed, self.moved, self.introduced)
        return (*lasts, self.switches)

    def passing(self, quarter: int) -> np.ndarray:
        """Return the places of what is decided for one quarter alone."""
        parts = (self.units[:, :, quarter], self.blocks[:, :, quarter])
        flows = (self.busy[:, quarter], self.unmet[:, quarter])
        return np.concatenate([np.ravel(part) for part in (*parts, *flows)])

    def may_use(self) -> np.ndarray:
        """Return (K, T) where a kind may be bought or rented."""
        s, is_new = self.strategy, self.problem.kinds.is_new
        able = np.where(is_new, s.new_kinds, not s.only_new)
        return np.repeat(able[:, None], len(self.quarters), axis=1)

    def _buy(self) -> np.ndarray:
        p, kinds = self.problem, self.problem.kinds
        k, t = p.shape[:2]
        arrives = self.quarters + p.lead_quarters
        able = np.isfinite(kinds.capital) & self.may_use() & (arrives < t)[None, :]
        able &= (self.quarters >= self.strategy.first_buy)[None, :] & self.strategy.buys
        able &= (self.quarters % p.order_every == 0)[None, :]
        running = np.array([self.mid[min(a, t) :].sum() for a in arrives])
        cost = kinds.capital * p.factor(self.quarters) - kinds.residual * p.factor(t)
        cost = np.where(able, cost + kinds.fixed[:, None] * running, 0.0)
        return self.columns.add((k, t), np.where(able, self.nodes[:, None], 0), cost)

    def _retire(self) -> np.ndarray:
        p, kinds = self.problem, self.problem.kinds
        k, t = p.shape[:2]
        saved = np.array([self.mid[q:].sum() for q in self.quarters])
        cost = kinds.resale[:, -1:] * p.factor(t) - kinds.resale[:, :-1] * p.factor(self.quarters)
        cost = cost - kinds.fixed[:, None] * saved
        upper = np.repeat(kinds.owned[:, None], t, axis=1) * (self.strategy.retires != "no")
        places = self.columns.add((k, t), upper, cost)
        when = min(p.lead_quarters, t - 1)
        for row, owned in enumerate(kinds.owned):
            self.rows.add("retired at most once", (places[row], 1.0), upper=owned)
            if self.strategy.retires == "all":
                self.rows.add("retired at most once", (places[row, : when + 1], 1.0), lower=owned)
        return places

    def _commit(self) -> np.ndarray:
        p, kinds = self.problem, self.problem.kinds
        k, t, _, _, c = p.shape
        able = np.isfinite(kinds.committed) & self.may_use()[None]
        ends = self.quarters + np.array(kinds.terms).reshape(c, 1, 1)
        able &= (self.quarters % p.order_every == 0) & (ends <= t)
        cost = np.where(able, derived.commitment_prices(p), 0.0)
        return self.columns.add((c, k, t), np.where(able, self.nodes[None, :, None], 0), cost)

    def _run(self) -> np.ndarray:
        """Add the units of each option at each site in each quarter: (O, S, T)."""
        p, kinds, work = self.problem, self.problem.kinds, self.problem.work
        kind, job = work.kind, work.is_job[work.workload]
        price = derived.unit_prices(p)
        able = np.repeat(work.allowed[:, None, :], len(SITES), axis=1)
        able &= ((self.strategy.new_kinds | ~kinds.is_new)[kind])[:, None, None]
        rent = self.may_use()[kind]
        able[:, derived.HOURLY] &= rent & np.isfinite(kinds.on_demand)[kind]
        spot = rent & (job & work.interruptible[work.workload])[:, None]
        able[:, derived.SPOT] &= spot & np.isfinite(kinds.spot)[kind]
        # A job that may be interrupted never pays more for an hour than spot costs.
        able[:, derived.HOURLY] &= ~(
            able[:, derived.SPOT] & (price[:, derived.SPOT] <= price[:, derived.HOURLY])
        )
        cost = np.where(able, price * self.mid, 0.0)
        self.able = able
        return self.columns.add(able.shape, np.where(able, self.most[:, None, :], 0), cost)

    def _block(self) -> np.ndarray:
        """Add whether any job of an option runs on owned or on committed nodes: (O, 2, T)."""
        job = self.problem.work.is_job[self.problem.work.workload]
        able = self.able[:, :1] & job[:, None, None] & np.ones((1, 2, 1), bool)
        return self.columns.add(able.shape, able)

    def _use(self) -> np.ndarray:
        """Add the owned GPUs that are busy, which need energy: (K, T)."""
        cost = self.problem.kinds.energy[:, None] * self.mid
        return self.columns.add(cost.shape, cost=cost, whole=False)

    def _move(self) -> tuple[np.ndarray, np.ndarray]:
        p, work = self.problem, self.problem.work
        effort = np.broadcast_to(np.asarray(p.kinds.introduce, float), (p.shape[0],))
        moved = self.columns.add((p.shape[3],), 1, work.move_usd)
        introduced = self.columns.add((p.shape[0],), 1, np.where(p.kinds.is_new, effort, 0.0))
        paid = (work.move_usd > 0) | (p.kinds.is_new & (effort > 0))[work.kind]
        before = partial(self.rows.add, "moved before it runs", upper=0.0)
        for o in np.flatnonzero(paid):
            before((moved[o], 1.0), (introduced[work.kind[o]], -1.0))
            for t in np.flatnonzero(work.allowed[o]):
                before((self.units[o, :, t], 1.0), (moved[o], -float(self.most[o, t])))
        return moved, introduced

    def _unmet(self) -> np.ndarray:
        p, work = self.problem, self.problem.work
        unmet = work.demand if self.may_fail else 0.0 * work.demand
        places = self.columns.add(
            unmet.shape, unmet, derived.unmet_prices(p) * self.mid, whole=False
        )
        for w in range(p.shape[2]):
            mine = np.flatnonzero(work.workload == w)
            for t in self.quarters.tolist():
                each = np.repeat(self._output(mine, t)[:, None], len(SITES), axis=1)
                done = (self.units[mine, :, t], each)
                self.rows.add("demand", done, (places[w, t], 1.0), lower=float(work.demand[w, t]))
                if self.rounding == "rows" and not (self.may_fail or work.is_job[w]):
                    self._rounded(w, t)
        return places

    def _output(self, mine: np.ndarray, t: int) -> np.ndarray:
        """Return what a unit of the options does, lowered where that is asked."""
        work = self.problem.work
        if self.rounding != "output":
            return work.output[mine]
        needed = work.demand[work.workload[mine], t] / work.output[mine]
        share = needed / np.maximum(np.ceil(needed - 1e-9), 1.0)
        return work.output[mine] * np.where(needed > 0, share, 1.0)

    def _rounded(self, w: int, t: int) -> None:
        """Add what whole replicas imply: a bound that holds for divisible ones too.

        Sum of a x >= d in whole x gives sum of ceil(a / b) x >= ceil(d / b) for every b > 0
        (Chvatal 1973, doi:10.1016/0012-365X(73)90167-2, with coefficients rounded up).
        """
        work = self.problem.work
        able = np.flatnonzero((work.workload == w) & work.allowed[:, t])
        output = work.output[able]
        step = np.unique(output)
        each = np.ceil(output / step[:, None] - 1e-9)
        least = np.ceil(work.demand[w, t] / step - 1e-9)
        for row in needed_rows(each, least):
            value = np.repeat(each[row][:, None], len(SITES), axis=1)
            self.rows.add(
                "whole replicas", (self.units[able, :, t], value), lower=float(least[row])
            )

    def _pools(self) -> None:
        """GPUs in use stay within those that are there, in each quarter."""
        p, work, node = self.problem, self.problem.work, self.problem.kinds.node_gpus
        job, capacity = work.is_job[work.workload], partial(self.rows.add, "capacity")
        for k in range(p.shape[0]):
            mine, services = work.kind == k, (work.kind == k) & ~job
            for t in self.quarters.tolist():
                own, there = self.terms.owned(k, t, -float(node))
                reserved = self.terms.committed(k, t, -float(node))
                used = (self.units[mine, derived.POOL, t], work.gpu_quarters[mine, t])
                capacity(used, *own, *reserved, upper=-there)
                capacity(used, *reserved, (self.busy[k, t], -1.0), upper=0.0)
                kept = (self.units[services, derived.POOL, t], work.gpu_quarters[services, t])
                for o in np.flatnonzero(mine & job & self.able[:, derived.POOL, t]):
                    needs, blocks = float(work.gpus[o]), self.blocks[o, :, t]
                    capacity(kept, (blocks, needs), *own, *reserved, upper=-there)
                    capacity((blocks[OWN], needs), *own, upper=-there)
                    capacity((blocks[RESERVED], needs), *reserved, upper=0.0)
                    most = -float(self.most[o, t])
                    capacity((self.units[o, derived.POOL, t], 1.0), (blocks, most), upper=0.0)

    def _hungriest_first(self) -> None:
        """The hungriest workloads run on new kinds alone, the others on owned kinds alone."""
        p, work = self.problem, self.problem.work
        on_new = p.kinds.is_new[work.kind]
        moves = self.columns.add((p.shape[2],), 1)
        self.switches = moves
        order = np.argsort(-np.asarray(work.hunger), kind="stable")
        able = [w for w in order if (on_new & (work.workload == w) & work.allowed.any(1)).any()]
        for first, then in itertools.pairwise(able):
            self.rows.add("hungriest first", (moves[then], 1.0), (moves[first], -1.0), upper=0.0)
        if able:
            self.rows.add("hungriest first", (moves[able[0]], 1.0), lower=1.0)
        for o in range(p.shape[3]):
            switch = moves[work.workload[o]]
            for t in self.quarters[p.lead_quarters :].tolist():
                units, most = self.units[o, :, t], float(self.most[o, t])
                if on_new[o]:
                    self.rows.add("hungriest first", (units, 1.0), (switch, -most), upper=0.0)
                else:
                    self.rows.add("hungriest first", (units, 1.0), (switch, most), upper=most)


def needed_rows(each: np.ndarray, least: np.ndarray) -> list[int]:
    """Return the rows of each x >= least, for x >= 0, that no other row implies."""
    needed = [int(row) for row in np.flatnonzero(least > 0)]
    for row in list(needed):
        # `row` follows from another where that asks for less of everything to reach the same.
        if any(
            (each[other] * least[row] <= each[row] * least[other]).all()
            for other in needed
            if other != row
        ):
            needed.remove(row)
    return needed
