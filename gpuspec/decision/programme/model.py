"""The programme's columns, costs and rows, as the solver takes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import highspy
import numpy as np
import pandas as pd

from gpuspec.base.solver import loaded
from gpuspec.decision.calendar import Calendar
from gpuspec.decision.contracts import Contracts, Kinds
from gpuspec.decision.errors import SURE, Draws
from gpuspec.decision.options import Options
from gpuspec.decision.programme.choices import NONE, POOL, Choices, choices_of, pool_layers
from gpuspec.decision.recourse import Layers, Tail, slopes, tail_of
from gpuspec.decision.scenario import Scenario

THOUSANDTH = 1e-3
"""Costs go to the solver in thousands of USD: its tolerances are absolute."""
MONTHLY_SLACK = 1e-3
"""Share of the limit on a month by which the solver may hold it too low."""

OPTIONS: dict[str, object] = {
    "presolve": "off",
    "mip_allow_restart": False,
    "mip_heuristic_run_feasibility_jump": False,
    "mip_heuristic_run_rins": False,
    "mip_heuristic_run_rens": False,
    "mip_heuristic_run_root_reduced_cost": False,
    "mip_pool_soft_limit": 100,
    "mip_pool_age_limit": 5,
}
"""What suits programmes that are solved at the root: without presolve HiGHS does not restart there;
without its larger heuristics, and with few cuts kept, it takes half the time, and proves as much.
Where a percent is close enough, presolve is on: the root closes such a gap sooner then.
"""


class Short(NamedTuple):
    """What is short of a kind in a segment; (S,) what a month of it costs."""

    place: tuple[int, int]
    every: Tail
    """Beyond all GPUs that are there."""
    alone: Tail
    """Beyond those of them that stand in rooms of others."""
    rent_usd: np.ndarray
    """By the hour, for what is short."""
    energy_usd: np.ndarray
    """Of what is used in one's own rooms."""


class Added(NamedTuple):
    """What is short under a plan, and what the solver did not know of it."""

    cost_usd: float
    """Over the horizon, on average over the draws."""
    added: int
    """Bounds that were added since the solver held it too low."""
    kept: bool
    """Whether the limit on a month is kept all the same."""


Bound = tuple[tuple[int, int], np.ndarray | None, np.ndarray]
"""Kind and segment, and the marginal hours of tails beyond all GPUs and beyond those of others:
whatever they are, the bound that they make holds. Without the former it is one on what is paid."""
Term = tuple[Any, Any]
"""Places of columns, and their coefficients: as many, or one for all."""
Row = tuple[np.ndarray, np.ndarray, float, float]
"""Places of columns, coefficients, and the bounds between which their sum lies."""


@dataclass(frozen=True)
class Limits:
    """What a plan may not exceed; infinite where nothing is asked."""

    capital: float = np.inf
    monthly: float = np.inf
    power: float = np.inf
    gpus: float = np.inf
    total: float = np.inf


@dataclass(frozen=True)
class Problem:
    """One question as arrays: kinds, contracts, ways with their needs, limits."""

    scenario: Scenario
    offers: pd.DataFrame
    calendar: Calendar
    kinds: Kinds
    contracts: Contracts
    options: list[Options]
    draws: Draws
    limits: Limits = field(default_factory=Limits)

    @property
    def able(self) -> bool:
        """Whether each work that is there at all has a way to run, or may be bought."""
        return all(o.needs or o.bought or not (o.size_of >= 0).any() for o in self.options)

    @cached_property
    def choices(self) -> Choices:
        """The columns that say which way each work goes."""
        return choices_of(self.scenario, self.options, self.kinds, self.calendar, self.draws)

    @cached_property
    def pools(self) -> dict[tuple[int, int], Layers]:
        """The layers of the pool of each kind and segment; one object where they are the same."""
        calendar, found = self.calendar, {}
        alike: dict[tuple[int, ...], Layers | None] = {}
        for k in range(len(self.kinds.names)):
            for q in range(len(calendar.months)):
                same = k, int(calendar.round_of[q]), *(int(o.size_of[q]) for o in self.options)
                if same not in alike:
                    alike[same] = pool_layers(self.choices, self.options, calendar, k, q)
                layers = alike[same]
                if layers is not None:
                    found[k, q] = layers
        return found

    def hour_usd(self, k: int, q: int) -> np.ndarray:
        """Return (S,) what an hour of a GPU that is short costs."""
        offer = int(self.kinds.hour_offer[k])
        factor = self.draws.price(offer) if offer >= 0 else np.ones(self.draws.samples)
        return np.asarray(self.kinds.hour_usd[k, q] * factor)

    @cached_property
    def paid_share(self) -> np.ndarray:
        """(K, Q) share of the cost of what is short that is paid: all of rent; of GPUs that cannot
        be rented as much as their work would take in energy.
        """
        busy = self.kinds.busy_usd[:, None] / np.maximum(self.kinds.hour_usd, 1e-9)
        return np.where(self.kinds.hour_offer[:, None] < 0, busy, 1.0)

    def with_missing(self, times: float) -> Problem:
        """Return the same question with GPUs that are missing counting so many times as much."""
        cannot = self.kinds.hour_offer < 0
        if times == 1.0 or not cannot.any():
            return self
        usd = self.kinds.hour_usd.copy()
        usd[np.ix_(cannot, self.calendar.settled)] *= times  # before, work can only wait
        return replace(self, kinds=replace(self.kinds, hour_usd=usd))

    def tails(
        self, chosen: Chosen, places: Iterable[tuple[int, int]] | None = None
    ) -> Iterator[Short]:
        """Yield what a month costs beside what is signed, for the pool of each kind and segment (of
        all, unless `places` says which) in which something runs.
        """
        there, others = chosen.there(self)
        known: dict[tuple[int, float], Tail] = {}  # the same layers come in many segments

        def tail(layers: Layers, there: float) -> Tail:
            place = id(layers), there
            if place not in known:
                known[place] = tail_of(layers, chosen.taken[layers.column], there)
            return known[place]

        for k, q in self.pools if places is None else places:
            layers = self.pools[k, q]
            if not (chosen.taken[layers.column] > 1e-9).any():
                continue
            every = tail(layers, there[k, q])
            busy = self.kinds.busy_usd[k]
            alone = tail(layers, others[k, q]) if busy else every
            energy = busy * (alone.hours - every.hours)
            yield Short((k, q), every, alone, self.hour_usd(k, q) * every.hours, energy)


@dataclass(frozen=True)
class Chosen:
    """A plan as numbers: what runs where, what is signed, what is sold."""

    taken: np.ndarray
    """(C,) 1 where a column is chosen."""
    signed: np.ndarray
    """(J,) GPUs of each contract."""
    sold: np.ndarray
    """(K, E) owned GPUs that are sold at the start of a round."""

    def there(self, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
        """Return (K, Q) GPUs that are there, and those of them that stand in rooms of others."""
        con, calendar, kinds = problem.contracts, problem.calendar, problem.kinds
        shape = len(kinds.names), len(calendar.months)
        every, others = np.zeros(shape), np.zeros(shape)
        each = con.active * self.signed[:, None]
        np.add.at(every, con.kind, each)
        np.add.at(others, con.kind, each * ~con.housed[:, None])
        held = kinds.owned[:, None] - np.cumsum(self.sold, axis=1)[:, calendar.round_of]
        return every + held, others


class Model:
    """The programme of a problem in the solver, which remembers its bounds on what is short."""

    def __init__(self, problem: Problem, spared: str = "", bounds: Iterable[Bound] = ()) -> None:
        """`spared` is a limit of `Limits` that is not held but made as small as possible first;
        `bounds` are those of another programme of the same kinds, segments and draws.
        """
        self.problem, self.spared = problem, spared
        self.bounds: list[Bound] = []
        self.planes: dict[tuple[object, ...], tuple[np.ndarray, float, float]] = {}
        p, calendar = problem, problem.calendar
        self.size = 0
        self.cost: list[np.ndarray] = []
        self.upper: list[np.ndarray] = []
        self.whole: list[np.ndarray] = []
        self.rows: list[Row] = []
        self.constant = 0.0
        kinds, segments, rounds = len(p.kinds.names), len(calendar.months), len(calendar.rounds)
        con, cho = p.contracts, p.choices
        self.x = self._add((len(cho),), (cho.month_usd * calendar.months).sum(axis=1), 1.0)
        fixed = con.fixed_usd + con.priced_usd * np.array(
            [p.draws.price(o).mean() for o in con.offer]
        )
        self.n = self._add((len(con.offer),), fixed * con.step, self._most_steps())
        gone = np.append(calendar.starts, calendar.edges[-1])
        keep = p.kinds.keep_usd[:, None] * gone + p.kinds.tied_usd(gone)
        self.constant += float((p.kinds.owned * keep[:, -1]).sum())
        saved = keep[:, :-1] - keep[:, -1:]
        self.sold = self._add((kinds, rounds), saved, p.kinds.owned[:, None])
        self.theta = self._add((kinds, segments), 1.0 / THOUSANDTH, np.inf, whole=False)
        self.cash = self._cash()
        self._one_way_each()
        self._efforts()
        self._sales()
        self._blocks()
        self._unrented()
        self._limits()
        self._minimums()
        self.goal = self._goal()
        self.goal_row = len(self.rows)
        self._row((np.flatnonzero(self.goal), self.goal[self.goal != 0]))
        self.highs = self._loaded()
        most = {place: layers.hours[0] for place, layers in problem.pools.items()}
        each = {hours: np.full(problem.draws.samples, hours) for hours in set(most.values())}
        none = [(place, each[hours], each[hours]) for place, hours in most.items()]
        for bound in bounds or none:
            self._bound(*bound)

    def _add(
        self, shape: tuple[int, ...], cost: object, upper: object, whole: bool = True
    ) -> np.ndarray:
        size = int(np.prod(shape))
        places = np.arange(self.size, self.size + size).reshape(shape)
        for kept, value in ((self.cost, cost), (self.upper, upper)):
            kept.append(np.broadcast_to(np.asarray(value, float), shape).ravel().copy())
        self.whole.append(np.full(size, whole))
        self.size += size
        return places

    def _row(self, *terms: Term, low: float = -np.inf, high: float = np.inf) -> None:
        """Add one row from (places, coefficients) pairs; a coefficient may be a scalar."""
        shaped = [np.asarray(p, int) for p, _ in terms]
        values = [
            np.broadcast_to(np.asarray(v, float), p.shape).ravel()
            for p, (_, v) in zip(shaped, terms, strict=True)
        ]
        places = [p.ravel() for p in shaped]
        self.rows.append((np.concatenate(places), np.concatenate(values), low, high))

    def _cash(self) -> np.ndarray:
        """Return (K, Q) columns of what is paid for what is short: they have their own where GPUs
        cannot be rented.
        """
        found, alone = self.theta.copy(), np.flatnonzero(self.problem.kinds.hour_offer < 0)
        found[alone] = self._add((len(alone), found.shape[1]), 0.0, np.inf, whole=False)
        return found

    def _most_steps(self) -> np.ndarray:
        """Return (J,) the most steps of a contract that can be of use."""
        p, con = self.problem, self.problem.contracts
        most = np.zeros(len(p.kinds.names))
        for w in range(len(p.options)):
            mine = p.options[w]
            of = np.zeros(len(p.kinds.names))
            for i, need in enumerate(mine.needs):
                k = p.kinds.names.index(mine.cells["gpu"][i])
                total = need.gpus.sum(axis=0)
                block = float(mine.cells["gpus"][i]) if mine.is_job else 0.0
                of[k] = max(of[k], float(total.max(initial=0.0)), block)
            most += of
        least = con.minimum
        return np.ceil(np.maximum(most[con.kind], least) / con.step - 1e-9)

    def _one_way_each(self) -> None:
        """Each work is done: wholly in one way, or in parts that leave nothing between them."""
        p, cho = self.problem, self.problem.choices
        for w, mine in enumerate(p.options):
            for e in range(len(p.calendar.rounds)):
                if not (mine.size_of[p.calendar.round_of == e] >= 0).any():
                    continue
                at = np.flatnonzero((cho.workload == w) & (cho.round == e))
                below = at[cho.share_from[at] == 0]
                self._row((self.x[below], 1.0), low=1.0, high=1.0)
                for cut in np.unique(cho.share_to[below]):
                    if cut < 1:
                        ends = self.x[at[cho.share_to[at] == cut]]
                        goes_on = self.x[at[cho.share_from[at] == cut]]
                        self._row((ends, 1.0), (goes_on, -1.0), low=0.0, high=0.0)
                self._spares(mine, at[cho.part[at]])

    def _spares(self, mine: Options, parts: np.ndarray) -> None:
        """Of a service that is split, spare replicas are kept in one part: of the replicas that
        carry the most, so that each stands in for any other.
        """
        cho = self.problem.choices
        spares = mine.cells["spares"].astype(bool)[cho.way[parts]]
        if spares.all():
            return
        carried = np.array([mine.needs[i].carried for i in cho.way[parts]])
        below = parts[cho.share_from[parts] == 0]
        self._row((self.x[parts[spares]], 1.0), (self.x[below], -1.0), low=0.0, high=0.0)
        for least in np.unique(carried)[1:]:
            large = carried >= least
            kept, other = parts[large & spares], parts[large & ~spares]
            self._row((self.x[kept], 1.0), (self.x[other], -1.0), low=0.0)

    def _efforts(self) -> None:
        """Efforts: each kind beyond the first, a move to another kind, a new format."""
        p, cho = self.problem, self.problem.choices
        effort, several = p.scenario.effort, len(p.calendar.rounds) > 1
        kinds, kind_usd = (
            len(p.kinds.names),
            effort.kind_usd_year * float(p.calendar.edges[-1]) / 12,
        )
        self.used = self._add((kinds,), kind_usd, 1.0, whole=False)
        self.constant -= kind_usd  # something runs somewhere, or
        if (cho.kind == NONE).any():
            idle = self._add((1,), kind_usd, 1.0, whole=False)
            self._row((self.used, 1.0), (idle, 1.0), low=1.0)
        for w, mine in enumerate(p.options):
            moves = (several or mine.split) and (mine.size_of >= 0).any()
            self.constant -= effort.workload_usd * bool(moves)  # each work runs somewhere
            forms = [i for i in range(len(mine.needs)) if mine.changes_format(i)]
            for k in (*range(kinds), NONE):
                columns = np.flatnonzero((cho.workload == w) & (cho.kind == k))
                if not len(columns):
                    continue
                moved = self._once(effort.workload_usd * bool(moves), columns)
                for e in np.unique(cho.round[columns]):
                    at = columns[cho.round[columns] == e]
                    if k != NONE:
                        self._row((self.x[at], 1.0), (self.used[k], -1.0), high=0.0)
                    if moved >= 0:
                        self._row((self.x[at], 1.0), (moved, -1.0), high=0.0)
            changed = np.flatnonzero((cho.workload == w) & np.isin(cho.way, forms))
            tested = self._once(effort.precision_usd, changed)
            if tested >= 0:
                for e in np.unique(cho.round[changed]):
                    at = changed[cho.round[changed] == e]
                    for of in (cho.share_from[at] == 0, cho.share_from[at] > 0):
                        if of.any():
                            self._row((self.x[at[of]], 1.0), (tested, -1.0), high=0.0)

    def _once(self, cost: float, columns: np.ndarray) -> int:
        """Add a column that is 1 where any of `columns` is chosen in any round; -1 where free."""
        if not cost or not len(columns):
            return -1
        place = int(self._add((1,), cost, 1.0, whole=False)[0])
        return place

    def _sales(self) -> None:
        kinds = self.problem.kinds
        for k in np.flatnonzero(kinds.owned > 0):
            high = float(kinds.owned[k]) if self.problem.scenario.allow.sell else 0.0
            self._row((self.sold[k], 1.0), high=high)

    def _there(self, k: int, q: int, each: float = 1.0) -> tuple[list[Term], float]:
        """Return the terms of `each` x GPUs of a kind that are there, and the constant."""
        con, calendar = self.problem.contracts, self.problem.calendar
        mine = np.flatnonzero((con.kind == k) & con.active[:, q])
        gone = self.sold[k, : calendar.round_of[q] + 1]
        terms = [(self.n[mine], con.step[mine] * each), (gone, -each)]
        return terms, each * float(self.problem.kinds.owned[k])

    def _blocks(self) -> None:
        """A job on a pool finds its GPUs at one place, beside the services that run there."""
        p, cho, calendar = self.problem, self.problem.choices, self.problem.calendar
        pooled = cho.venue == POOL
        for w in [w for w, mine in enumerate(p.options) if mine.is_job]:
            for k in range(len(p.kinds.names)):
                for q in calendar.settled:
                    at = cho.round == calendar.round_of[q]
                    mine = np.flatnonzero(pooled & at & (cho.workload == w) & (cho.kind == k))
                    if not len(mine) or p.options[w].size_of[q] < 0:
                        continue
                    service = np.flatnonzero(pooled & at & (cho.kind == k) & (cho.block == 0))
                    terms, constant = self._there(k, q, -1.0)
                    most = _most(cho.workload[service], cho.atonce[service, q])
                    beside = (self.x[service], cho.atonce[service, q])
                    job = (self.x[mine], cho.block[mine] + most)
                    self._row(job, beside, *terms, high=most - constant)

    def _limits(self) -> None:
        """Rows of the limits; of the one that is spared, its use is a column instead."""
        p, con, calendar, limits = *_parts(self.problem), self.problem.limits
        self.use = int(self._add((1,), 0.0, np.inf, whole=False)[0])
        mean = np.array([p.draws.price(o).mean() for o in con.offer])
        capital = (self.n, con.upfront_usd * con.step * THOUSANDTH)
        self._limit("capital", limits.capital * THOUSANDTH, 0.0, capital)
        spent, kept_usd = [capital], 0.0
        for q, months in enumerate(calendar.months):
            gone = self.sold[:, : calendar.round_of[q] + 1]
            rent = np.where(con.housed, 1.0, mean) * con.month_usd[:, q] * con.step
            month = [
                (self.n, rent * THOUSANDTH),
                (gone, -THOUSANDTH * np.broadcast_to(p.kinds.keep_usd[:, None], gone.shape)),
                (self.cash[:, q], 1.0 / months),
                (self.x, p.choices.month_usd[:, q] * THOUSANDTH),
            ]
            keep = float(p.kinds.owned @ p.kinds.keep_usd) * THOUSANDTH
            self._limit("monthly", limits.monthly * THOUSANDTH, keep, *month)
            spent += [(places, np.multiply(usd, months)) for places, usd in month]
            kept_usd += keep * months
            housed = np.flatnonzero(con.housed & con.active[:, q])
            room = [
                (self.n[housed], (con.step * p.kinds.power_kw[con.kind])[housed]),
                (gone, -np.broadcast_to(p.kinds.power_kw[:, None], gone.shape)),
            ]
            self._limit("power", limits.power, float(p.kinds.owned @ p.kinds.power_kw), *room)
        self._limit("total", limits.total * THOUSANDTH, kept_usd, *spent)
        if np.isfinite(limits.gpus) or self.spared == "gpus":
            self._gpus_atonce()

    def _unrented(self) -> None:
        """Where time, energy or a limit counts first, work on GPUs that cannot be rented fits on
        those that are there, each in `SURE` of the draws; where cost does, what is missing costs
        more.
        """
        p = self.problem
        if not self.spared and p.scenario.objective not in ("time", "energy"):
            return
        for (k, q), layers in p.pools.items():
            if p.kinds.hour_offer[k] >= 0 or q not in p.calendar.settled:
                continue
            column, back = np.unique(layers.column, return_inverse=True)
            need = np.zeros((len(column), p.draws.samples))
            np.add.at(need, back, layers.need)
            terms, constant = self._there(k, q, -1.0)
            need = np.quantile(need, SURE, axis=1, method="higher")
            self._row((self.x[column], need), *terms, high=-constant)

    def _limit(self, name: str, most: float, constant: float, *terms: Term) -> None:
        """Hold the sum of terms and a constant to a limit, or to the use that is made small."""
        if name == self.spared:
            self._row(*terms, (self.use, -1.0), high=-constant)
        elif np.isfinite(most):
            self._row(*terms, high=most - constant)

    def _gpus_atonce(self) -> None:
        """GPUs that are there or rented at a time, at the central estimates, within the limit."""
        p, _, calendar = _parts(self.problem)
        cho, kinds = p.choices, range(len(p.kinds.names))
        atonce = self._add((len(p.kinds.names), len(calendar.months)), 0.0, np.inf, whole=False)
        for q in range(len(calendar.months)):
            at = cho.round == calendar.round_of[q]
            for k in kinds:
                terms, constant = self._there(k, q, -1.0)
                self._row((atonce[k, q], 1.0), *terms, low=-constant)
                here = np.flatnonzero(at & (cho.kind == k) & (cho.venue == POOL) & (cho.block == 0))
                self._row((atonce[k, q], 1.0), (self.x[here], -cho.atonce[here, q]), low=0.0)
            rented = np.flatnonzero(at & (cho.venue != POOL))
            asked = [(atonce[:, q], 1.0), (self.x[rented], cho.atonce[rented, q])]
            self._limit("gpus", p.limits.gpus, 0.0, *asked)

    def _minimums(self) -> None:
        """A contract has a fewest number of GPUs, and the effort of signing it."""
        con, effort = self.problem.contracts, self.problem.scenario.effort
        few = np.flatnonzero((con.minimum > con.step) | (effort.contract_usd > 0))
        self.signs = self._add((len(few),), effort.contract_usd, 1.0)
        self.signs_of = few
        most = self._most_steps()
        for place, j in zip(self.signs, few, strict=True):
            self._row((self.n[j], 1.0), (place, -most[j]), high=0.0)
            if con.minimum[j] > con.step[j]:
                self._row((self.n[j], con.step[j]), (place, -con.minimum[j]), low=0.0)

    def _goal(self) -> np.ndarray:
        """Return what is to be least before the cost: the use of a limit that is spared, mean log
        time, or energy; 0 where nothing.
        """
        p, cho, found = self.problem, self.problem.choices, np.zeros(self.size)
        if self.spared:
            found[self.use] = 1.0
            return found
        share = p.calendar.months / p.calendar.months.sum()
        if p.scenario.objective == "time":
            there = np.array([p.options[w].size_of >= 0 for w in range(len(p.options))])
            at = p.calendar.round_of[None] == cho.round[:, None]
            weight = ((there[cho.workload] & at) * share).sum(axis=1)
            least = np.array(
                [min((np.log(n.time_s) for n in o.needs), default=0.0) for o in p.options]
            )
            longer = (cho.log_time - least[cho.workload]) * cho.share
            found[self.x] = longer * weight / max(len(p.options), 1)
        elif p.scenario.objective == "energy":
            found[self.x] = (cho.kwh_month * share).sum(axis=1) * THOUSANDTH
        return found

    def _loaded(self) -> highspy.Highs:
        row = np.repeat(np.arange(len(self.rows)), [len(r[0]) for r in self.rows])
        column, value = (np.concatenate([r[part] for r in self.rows]) for part in (0, 1))
        low, high = (np.array([r[part] for r in self.rows]) for part in (2, 3))
        cost, upper = np.concatenate(self.cost) * THOUSANDTH, np.concatenate(self.upper)
        solver = loaded(cost, upper, (row, column, value), low, high)
        for name, setting in OPTIONS.items():
            solver.setOptionValue(name, setting)
        return solver

    def forget(self, kept: int) -> None:
        """Drop the bounds that were added after the first ones."""
        first = len(self.rows) + kept
        gone = np.arange(first, len(self.rows) + len(self.bounds), dtype=np.int32)
        self.highs.deleteRows(len(gone), gone)
        del self.bounds[kept:]
        self.planes.clear()

    def read(self, values: np.ndarray) -> Chosen:
        """Name the numbers of the solver's vector."""
        step = self.problem.contracts.step
        return Chosen(values[self.x], values[self.n] * step, values[self.sold])

    def cut(self, chosen: Chosen, values: np.ndarray, tolerance: float) -> Added:
        """Add a bound for each kind and segment whose cost the solver holds too low."""
        p, added, total = self.problem, 0, 0.0
        more = np.zeros(len(p.calendar.months))
        for short in p.tails(chosen):
            k, q = short.place
            months = float(p.calendar.months[q])
            rent, energy = (float(u.mean()) * months for u in (short.rent_usd, short.energy_usd))
            total += rent + energy
            due: dict[int, tuple[float, np.ndarray | None]]
            due = {int(self.cash[k, q]): (rent * float(p.paid_share[k, q]) + energy, None)}
            due |= {int(self.theta[k, q]): (rent + energy, short.every.marginal)}
            for column, (usd, every) in due.items():
                late = usd - float(values[column]) / THOUSANDTH
                if late <= tolerance * max(usd, 1.0):
                    continue
                more[q] += late / months if column == self.cash[k, q] else 0.0
                self._bound(short.place, every, short.alone.marginal)
                added += 1
        kept = float(more.max(initial=0.0)) <= MONTHLY_SLACK * self._most("monthly", values)
        kept &= float(more @ p.calendar.months) <= MONTHLY_SLACK * self._most("total", values)
        return Added(total, added, kept)

    def _most(self, name: str, values: np.ndarray) -> float:
        """Return a limit on money; of the one made small, what the solver holds it to be."""
        if name == self.spared:
            return float(values[self.use]) / THOUSANDTH
        return float(getattr(self.problem.limits, name))

    def _bound(self, place: tuple[int, int], every: np.ndarray | None, alone: np.ndarray) -> None:
        """Add the bound that (S,) marginal hours make: beyond all GPUs that are there, and beyond
        those in rooms of others; at first as if none were there.
        """
        p, con, calendar = self.problem, self.problem.contracts, self.problem.calendar
        (k, q), layers = place, p.pools[place]
        self.bounds.append((place, every, alone))
        same = k, float(p.kinds.hour_usd[k, q]), id(layers), id(every), id(alone)
        if same not in self.planes:
            self.planes[same] = self._plane(place, every, alone)
        each, there, others = self.planes[same]
        scale = float(calendar.months[q]) * THOUSANDTH
        mine = np.flatnonzero((con.kind == k) & con.active[:, q])
        slope = (there + np.where(con.housed[mine], 0.0, others)) * con.step[mine] * scale
        gone = self.sold[k, : calendar.round_of[q] + 1]
        column, back = np.unique(layers.column, return_inverse=True)
        summed = np.bincount(back, each * scale)
        of = self.cash if every is None else self.theta
        places = [[of[k, q]], self.x[column], self.n[mine], gone]
        values = [[1.0], -summed, -slope, np.full(len(gone), there * scale)]
        low = there * scale * float(p.kinds.owned[k])
        at, value = np.concatenate(places).astype(np.int32), np.concatenate(values)
        used = np.abs(value) > 1e-12
        self.highs.addRow(low, highspy.kHighsInf, int(used.sum()), at[used], value[used])

    def _plane(
        self, place: tuple[int, int], every: np.ndarray | None, alone: np.ndarray
    ) -> tuple[np.ndarray, float, float]:
        """Return how what is short of a kind follows each layer, all GPUs, and those of others."""
        p, layers = self.problem, self.problem.pools[place]
        busy = float(p.kinds.busy_usd[place[0]])
        each, there = np.zeros(len(layers.hours)), 0.0
        if every is not None:
            each, there = slopes(layers, every, np.maximum(p.hour_usd(*place) - busy, 0.0))
        if not busy:
            return each, there, 0.0
        more, others = slopes(layers, alone, np.full(len(alone), busy))
        return each + more, there, others


def _most(workload: np.ndarray, atonce: np.ndarray) -> float:
    """Return the most that columns of which each workload takes one can add up to."""
    each = np.zeros(workload.max(initial=-1) + 1)
    np.maximum.at(each, workload, atonce)
    return float(each.sum())


def _parts(problem: Problem) -> tuple[Problem, Contracts, Calendar]:
    return problem, problem.contracts, problem.calendar
