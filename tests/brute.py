"""The best plan of a small scenario by trying every way of its works with every number signed.

Nothing of the programme is used but the arrays that it is made of: ways with what they need in
each draw, contracts, prices, limits. No way is left out beforehand, no bound is trusted; what a
plan costs is added up here once more, draw by draw. For one round of ordering.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from unittest import mock

import numpy as np

from gpuspec.decision import options
from gpuspec.decision.decide import problem_of
from gpuspec.decision.errors import SURE
from gpuspec.decision.programme import HOUR, POOL, SPOT, Problem
from gpuspec.formulas.cost import spot_useful_share

SLACK = 1 + 1e-9


@dataclass(frozen=True)
class Column:
    """A way of a work at a venue: on the pool of a kind, by the hour, on spot."""

    work: int
    way: int
    venue: int
    kind: int


@dataclass(frozen=True)
class Table:
    """Numbers signed and sold of one kind, one row each: what they cost and use."""

    numbers: np.ndarray
    """(N, contracts + 1) steps of each contract, then GPUs sold."""
    usd: np.ndarray
    capital: np.ndarray
    power: np.ndarray
    """(N, Q)"""
    gpus: np.ndarray
    """(N, Q) at once: those that are there, or what the services need if more."""
    month: np.ndarray
    """(N, Q) cash of a month."""

    def rows(self, keep: np.ndarray) -> "Table":
        """Return some of the rows."""
        return Table(*(getattr(self, name)[keep] for name in self.__dataclass_fields__))


def everything(scenario, **how) -> Problem:
    """Return the arrays of a scenario with every way that keeps its limits, none left out."""
    with mock.patch.object(options, "_worth", lambda rows, needs, sure, *rest: sure):
        return problem_of(scenario, **how)


def columns(p: Problem, work: int) -> list[Column]:
    """Return the columns of a workload."""
    mine, spot = p.options[work], getattr(p.scenario.workloads[work], "interruptible", False)
    found = []
    for way, name in enumerate(mine.table["gpu"]):
        kind = p.kinds.names.index(name)
        found.append(Column(work, way, POOL, kind))
        if mine.is_job and p.kinds.hour_offer[kind] >= 0:
            found.append(Column(work, way, HOUR, kind))
        if spot and p.kinds.spot_offer[kind] >= 0 and _in_time(p, work, way, kind):
            found.append(Column(work, way, SPOT, kind))
    return found


def _in_time(p: Problem, work: int, way: int, kind: int) -> bool:
    """Return whether a way keeps its limits on spot GPUs in as many draws as it must."""
    mine = p.options[work]
    unit = max(mine.table["gpus"].iloc[way] * mine.is_job, mine.table["unit_gpus"].iloc[way])
    over = mine.needs[way].over / spot_useful_share(p.kinds.lost[kind], unit)
    return bool((over <= SLACK).mean(axis=1).min(initial=1.0) >= SURE)


def segments(p: Problem, work: int) -> Iterator[tuple[int, int]]:
    """Yield the segments in which a work is there, with the place of its size."""
    yield from ((q, int(z)) for q, z in enumerate(p.options[work].size_of) if z >= 0)


def rent(p: Problem, c: Column) -> np.ndarray:
    """Return (Q,) what a column by the hour or on spot costs in a month of each segment."""
    found = np.zeros(len(p.calendar.months))
    if c.venue == POOL:
        return found
    need, table = p.options[c.work].needs[c.way], p.options[c.work].table
    for q, z in segments(p, c.work):
        hours = (need.gpus[:, z].astype(float) * need.hours[:, None]).sum(axis=0)
        if c.venue == HOUR:
            price = p.kinds.hour_usd[c.kind, q] * p.draws.price(int(p.kinds.hour_offer[c.kind]))
        else:
            unit = max(table["gpus"].iloc[c.way] * p.options[c.work].is_job, 0.0)
            unit = max(unit, table["unit_gpus"].iloc[c.way])
            price = p.kinds.spot_usd[c.kind, q] * p.draws.price(int(p.kinds.spot_offer[c.kind]))
            price = price / spot_useful_share(p.kinds.lost[c.kind], unit)
        found[q] = (hours * price).mean()
    return found


def atonce(p: Problem, c: Column) -> np.ndarray:
    """Return (Q,) GPUs at once at the central estimate."""
    found = np.zeros(len(p.calendar.months))
    for q, z in segments(p, c.work):
        found[q] = p.options[c.work].needs[c.way].central[z]
    return found


def unserved(need: np.ndarray, hours: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Return (N, S) GPU-hours a month beyond `there` (N,): the layers with most hours first."""
    left = np.repeat(there[:, None], need.shape[1], axis=1).astype(float)
    total = np.zeros_like(left)
    for layer in np.argsort(-hours, kind="stable"):
        served = np.minimum(left, need[layer])
        left -= served
        total += (need[layer] - served) * hours[layer]
    return total


def signing(p: Problem, kind: int, mine: tuple[Column, ...]) -> Table:
    """Return every number that may be signed of a kind for what runs on its pool."""
    con, kinds, cal = p.contracts, p.kinds, p.calendar
    q_of, months = range(len(cal.months)), cal.months
    js = np.flatnonzero(con.kind == kind)
    needs = [(p.options[c.work].needs[c.way], c) for c in mine]
    most = sum(float(n.gpus.sum(axis=0).max(initial=0.0)) for n, _ in needs)
    block = [float(p.options[c.work].table["gpus"].iloc[c.way]) for c in mine if _job(p, c)]
    beside = sum((atonce(p, c) for c in mine if not _job(p, c)), np.zeros(len(months)))
    most = max(most, *(b + beside.max() for b in block), 0.0) if mine else 0.0
    held = kinds.owned[kind]
    steps = [
        range(int(np.ceil(max(most, con.minimum[j]) / con.step[j])) + 1 if most else 1) for j in js
    ]
    sales = range(int(held) + 1) if p.scenario.allow.sell and mine else [int(held)]
    sales = sales if p.scenario.allow.sell else [0]
    grid = np.array(list(product(*steps, sales)), float).reshape(-1, len(js) + 1)
    gpus = grid[:, :-1] * con.step[js]
    fits = ((gpus == 0) | (gpus >= con.minimum[js])).all(axis=1)
    there = gpus @ con.active[js].astype(float) + (held - grid[:, -1])[:, None]
    more = gpus.sum(axis=1) - con.step[js].max(initial=0.0) if len(js) else np.zeros(len(grid))
    fits &= more <= most  # one step beyond what is ever needed is of no use
    if block:
        fits &= there[:, -1] >= max(block) + beside[-1] - 1e-6
    grid, gpus, there = grid[fits], gpus[fits], there[fits]
    others = gpus @ (con.active[js] & ~con.housed[js, None]).astype(float)
    factor = np.array([p.draws.price(int(o)).mean() for o in con.offer[js]])
    usd = gpus @ (con.fixed_usd[js] + con.priced_usd[js] * factor)
    usd = usd + p.scenario.effort.contract_usd * (gpus > 0).sum(axis=1)
    end = np.array([0.0, cal.edges[-1]])
    tied = kinds.tied_usd(end)[kind]
    usd = (
        usd
        + grid[:, -1] * tied[0]
        + (held - grid[:, -1]) * (tied[1] + kinds.keep_usd[kind] * end[1])
    )
    month = gpus @ (np.where(con.housed[js], 1.0, factor)[:, None] * con.month_usd[js])
    month = month + (held - grid[:, -1])[:, None] * kinds.keep_usd[kind]
    for q in q_of:
        layers = [
            (n.gpus[:, z].astype(float), n.hours)
            for n, c in needs
            for at, z in segments(p, c.work)
            if at == q
        ]
        if not layers:
            continue
        need = np.concatenate([n for n, _ in layers])
        hours = np.concatenate([h for _, h in layers])
        price, busy = p.hour_usd(kind, q), kinds.busy_usd[kind]
        short = _of_distinct(need, hours, there[:, q])
        beyond = _of_distinct(need, hours, others[:, q])
        paid = np.array(
            [(price * s + busy * (o - s)).mean() for s, o in zip(short, beyond, strict=True)]
        )
        month[:, q] += paid
        usd = usd + paid * months[q]
    power = (there - others) * kinds.power_kw[kind]
    return Table(grid, usd, gpus @ con.upfront_usd[js], power, np.maximum(there, beside), month)


def _of_distinct(need: np.ndarray, hours: np.ndarray, there: np.ndarray) -> list[np.ndarray]:
    found = {n: unserved(need, hours, np.array([n]))[0] for n in np.unique(there)}
    return [found[n] for n in there]


def _job(p: Problem, c: Column) -> bool:
    return p.options[c.work].is_job


def effort(p: Problem, chosen: tuple[Column, ...]) -> float:
    """Return what the columns cost in effort, contracts aside."""
    asked = p.scenario.effort
    kinds = {c.kind for c in chosen}
    total = asked.kind_usd_year * p.calendar.edges[-1] / 12 * (len(kinds) - 1)
    return total + asked.precision_usd * sum(
        p.options[c.work].changes_format(c.way) for c in chosen
    )


def best(p: Problem) -> tuple[float, tuple[Column, ...]]:
    """Return the least expected cost of any plan that keeps all limits, and what runs where."""
    assert len(p.calendar.rounds) == 1, "one round of ordering alone is tried"
    least, found = np.inf, ()
    tables: dict[tuple[object, ...], Table] = {}
    rents = {c: (rent(p, c), atonce(p, c)) for w in range(len(p.options)) for c in columns(p, w)}
    for chosen in product(*(columns(p, w) for w in range(len(p.options)))):
        month = sum((rents[c][0] for c in chosen), np.zeros(len(p.calendar.months)))
        rented = [rents[c][1] for c in chosen if c.venue != POOL]
        base = effort(p, chosen) + float(month @ p.calendar.months)
        if base >= least:
            continue
        parts = []
        for kind in range(len(p.kinds.names)):
            mine = tuple(c for c in chosen if c.venue == POOL and c.kind == kind)
            key = (kind, *mine)
            if key not in tables:
                tables[key] = signing(p, kind, mine)
            parts.append(tables[key])
        gpus = sum(rented, np.zeros(len(p.calendar.months)))
        usd = base + _least(p, parts, month, gpus, least - base)
        if usd < least:
            least, found = usd, chosen
    return least, found


def _least(
    p: Problem, parts: list[Table], month: np.ndarray, gpus: np.ndarray, most: float
) -> float:
    """Return the least that the kinds cost together within the limits that they share."""
    limits = p.limits
    free = all(np.isinf(v) for v in (limits.capital, limits.monthly, limits.power, limits.gpus))
    if any(not len(t.usd) for t in parts):
        return np.inf
    if free or sum(t.usd.min() for t in parts) >= most:
        return float(sum(t.usd.min() for t in parts))
    least = most
    floor = [sum(t.usd.min() for t in parts[i + 1 :]) for i in range(len(parts))]

    def tried(at: int, usd: float, capital: float, *uses: np.ndarray) -> None:
        nonlocal least
        if at == len(parts):
            least = min(least, usd)
            return
        t, (power, gpus, month) = parts[at], uses
        keep = t.usd + usd + floor[at] < least
        keep &= t.capital + capital <= limits.capital * SLACK
        keep &= (t.power + power <= limits.power * SLACK).all(axis=1)
        keep &= (t.gpus + gpus <= limits.gpus * SLACK).all(axis=1)
        keep &= (t.month + month <= limits.monthly * SLACK).all(axis=1)
        rows = np.flatnonzero(keep)
        for row in rows[np.argsort(t.usd[rows])]:
            if usd + t.usd[row] + floor[at] >= least:
                break
            more = power + t.power[row], gpus + t.gpus[row], month + t.month[row]
            tried(at + 1, usd + t.usd[row], capital + t.capital[row], *more)

    tried(0, 0.0, 0.0, np.zeros(len(month)), gpus, month)
    return least if least < most else np.inf
