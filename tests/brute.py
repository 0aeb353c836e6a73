"""The best plan of a small scenario by trying every way of its works with every number signed.

Nothing of the programme is used but the arrays that it is made of: ways with what they need in
each draw, contracts, prices, limits. No way is left out beforehand, no bound is trusted; what a
plan costs is added up here once more, draw by draw. For one round of ordering.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from unittest import mock

import numpy as np

from gpuspec.base.units import HOURS_YEAR
from gpuspec.decision import options
from gpuspec.decision.decide import problem_of
from gpuspec.decision.errors import SURE
from gpuspec.decision.loads import layers
from gpuspec.decision.options import Need
from gpuspec.decision.programme import API, HOUR, POOL, SPOT, Problem

SLACK = 1 + 1e-9


@dataclass(frozen=True)
class Column:
    """A way of a work at a venue: on the pool of a kind, by the hour, on spot; all of the work, or
    the part between two shares of its load, with or without the spare replicas.
    """

    work: int
    way: int
    venue: int
    kind: int
    low: float = 0.0
    high: float = 1.0
    spare: bool = True


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


def alternatives(p: Problem, work: int, cuts: Sequence[float]) -> list[tuple[Column, ...]]:
    """Return all that may do a workload: a column, or two of different kinds for a part each."""
    whole = columns(p, work)
    found = [(c,) for c in whole]
    if p.options[work].bought:
        found.append((Column(work, -1, API, -1),))
    w, mine = p.scenario.workloads[work], p.options[work]
    spare = 0 if mine.is_job else _spare(w)
    for a, b in product(whole, whole):
        if a.kind == b.kind:
            continue
        for cut in cuts:
            large = mine.is_job or carried(p, a).mean() >= carried(p, b).mean()
            below = replace(a, low=0.0, high=cut, spare=not spare or large)
            above = replace(b, low=cut, high=1.0, spare=not spare or not large)
            found.append((below, above))
    return found


def _spare(w) -> int:
    always = int(w.availability is None and w.hours_per_month > 700)
    return always if w.spare_replicas is None else w.spare_replicas


def carried(p: Problem, c: Column) -> np.ndarray:
    """Return (S,) the share of the load that a replica carries."""
    return p.options[c.work].carried(p.scenario, p.draws, c.way)


@cache
def _need(p: int, c: Column) -> Need:
    return _part(KNOWN[p], c)


KNOWN: dict[int, Problem] = {}


def need_of(p: Problem, c: Column) -> Need:
    """Return what a column needs; of a part added up replica by replica."""
    if c.low == 0 and c.high == 1:
        return p.options[c.work].needs[c.way]
    KNOWN[id(p)] = p
    return _need(id(p), c)


def _part(p: Problem, c: Column) -> Need:
    whole, mine, w = p.options[c.work].needs[c.way], p.options[c.work], p.scenario.workloads[c.work]
    if mine.is_job:
        days = p.options[c.work].table["days"].iloc[c.way]
        per_year = w.runs_per_year * (c.high - c.low)
        part = min(w.deadline_days * per_year / (HOURS_YEAR / 24), 1.0)
        was = min(w.deadline_days * w.runs_per_year / (HOURS_YEAR / 24), 1.0)
        assert days > 0
        gpus = whole.gpus * (c.high - c.low) * was / part
        return replace(whole, gpus=gpus, hours=whole.hours * part / was)
    unit, each = int(mine.table["unit_gpus"].iloc[c.way]), carried(p, c)
    spare = _spare(w) * unit * c.spare
    gpus = np.zeros_like(whole.gpus)
    central = np.zeros(whole.gpus.shape[1])
    for z, size in enumerate(mine.sizes):
        for s in range(gpus.shape[2]):
            before = 0.0
            for at, layer in enumerate(layers(w)):
                top = min(max(layer.share_to - c.low, 0.0), c.high - c.low) * size
                now = np.ceil(top / each[s] - 1e-6) * unit
                least = unit if c.low == 0 else 0
                now = max(now, least) + spare
                gpus[at, z, s] = now - before
                before = now
        load = float(mine.ways.curves[int(mine.table["curve"].iloc[c.way])]["load"][0])
        full = np.ceil((c.high - c.low) * size * load / whole.carried - 1e-6) * unit
        central[z] = max(full, unit if c.low == 0 else 0) + spare
    return replace(whole, gpus=gpus, central=central)


def _in_time(p: Problem, work: int, way: int, kind: int) -> bool:
    """Return whether a way keeps its limits on spot GPUs in as many draws as it must."""
    mine = p.options[work]
    unit = max(mine.table["gpus"].iloc[way] * mine.is_job, mine.table["unit_gpus"].iloc[way])
    over = mine.needs[way].over / p.draws.spot_useful(p.kinds.lost[kind], unit)
    return bool((over <= SLACK).mean(axis=1).min(initial=1.0) >= SURE)


def segments(p: Problem, work: int) -> Iterator[tuple[int, int]]:
    """Yield the segments in which a work is there, with the place of its size."""
    yield from ((q, int(z)) for q, z in enumerate(p.options[work].size_of) if z >= 0)


def rent(p: Problem, c: Column) -> np.ndarray:
    """Return (Q,) what a column by the hour or on spot costs in a month of each segment."""
    found = np.zeros(len(p.calendar.months))
    if c.venue == POOL:
        return found
    if c.venue == API:
        return by_api(p, c.work)
    need, table = need_of(p, c), p.options[c.work].table
    for q, z in segments(p, c.work):
        hours = (need.gpus[:, z].astype(float) * need.hours[:, None]).sum(axis=0)
        if c.venue == HOUR:
            price = p.kinds.hour_usd[c.kind, q] * p.draws.price(int(p.kinds.hour_offer[c.kind]))
        else:
            unit = max(table["gpus"].iloc[c.way] * p.options[c.work].is_job, 0.0)
            unit = max(unit, table["unit_gpus"].iloc[c.way])
            price = p.kinds.spot_usd[c.kind, q] * p.draws.price(int(p.kinds.spot_offer[c.kind]))
            price = price / p.draws.spot_useful(p.kinds.lost[c.kind], unit)
        found[q] = (hours * price).mean()
    return found


def by_api(p: Problem, work: int) -> np.ndarray:
    """Return (Q,) what a month of a service costs by API: token by token."""
    w, api = p.scenario.workloads[work], p.options[work].api
    first = dict(api.offers.iloc[0])
    usd = (w.prompt_tokens * first["input_mtok"] + w.osl * first["output_mtok"]) / 1e6
    month = w.arriving / w.peak_factor * w.hours_per_month * 3600 * usd
    found = np.zeros(len(p.calendar.months))
    for q, z in segments(p, work):
        found[q] = month * p.options[work].sizes[z] * api.factor(p.draws).mean()
    return found


def atonce(p: Problem, c: Column) -> np.ndarray:
    """Return (Q,) GPUs at once at the central estimate."""
    found = np.zeros(len(p.calendar.months))
    if c.venue == API:
        return found
    for q, z in segments(p, c.work):
        found[q] = need_of(p, c).central[z]
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
    needs = [(need_of(p, c), c) for c in mine]
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
        spent = [busy * o.mean() for o in beyond] if kinds.hour_offer[kind] < 0 else paid
        month[:, q] += np.array(spent)
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
    kinds = {c.kind for c in chosen if c.venue != API}
    total = asked.kind_usd_year * p.calendar.edges[-1] / 12 * max(len(kinds) - 1, 0)
    works = {c.work for c in chosen}
    total += asked.workload_usd * (len({(c.work, c.kind) for c in chosen}) - len(works))
    changed = {c.work for c in chosen if c.venue != API and p.options[c.work].changes_format(c.way)}
    return total + asked.precision_usd * len(changed)


def best(p: Problem, cuts: Sequence[float] = ()) -> tuple[float, tuple[Column, ...]]:
    """Return the least expected cost of any plan that keeps all limits, and what runs where; works
    may be split over two kinds at the `cuts`.
    """
    assert len(p.calendar.rounds) == 1, "one round of ordering alone is tried"
    least, found = np.inf, ()
    tables: dict[tuple[object, ...], Table] = {}
    each = [alternatives(p, w, cuts) for w in range(len(p.options))]
    rents = {c: (rent(p, c), atonce(p, c)) for mine in each for some in mine for c in some}
    for several in product(*each):
        chosen = tuple(c for some in several for c in some)
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
