"""Columns of the programme: which way each work goes in each round, and where it runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gpuspec.decision.calendar import Calendar
from gpuspec.decision.contracts import Kinds
from gpuspec.decision.errors import SURE, Draws
from gpuspec.decision.options import Options
from gpuspec.decision.recourse import Layers, layered
from gpuspec.decision.scenario import Scenario

VENUES = ("pool", "by the hour", "spot", "by API")
POOL, HOUR, SPOT, API = range(4)
"""Where work runs: on the GPUs that are signed for or owned, and what they lack by the hour; a
job wholly by the hour; on spot GPUs; a service with a provider, on no GPU that is counted here."""
NONE = -1
"""Way and kind of GPU of a service by API."""


@dataclass(frozen=True)
class Choices:
    """C columns: a way of a workload, in a round, at a venue."""

    workload: np.ndarray
    way: np.ndarray
    round: np.ndarray
    venue: np.ndarray
    kind: np.ndarray
    """(C,) places of the workload, of its way, of the round, the venue and the kind of GPU."""
    month_usd: np.ndarray
    """(C, Q) expected rent of a month by the hour or on spot."""
    atonce: np.ndarray
    """(C, Q) GPUs at once at the central estimate."""
    kwh_month: np.ndarray
    """(C, Q) energy at the GPUs of a month's work."""
    block: np.ndarray
    """(C,) GPUs that a job needs at one place; 0 for services."""
    log_time: np.ndarray
    """(C,) log of the time that the objective "time" counts."""
    share_from: np.ndarray
    share_to: np.ndarray
    """(C,) part of the work that it does: shares of the load of the busiest hour, or of the runs.
    """
    share: np.ndarray
    """(C,) share of all that is served."""

    @property
    def part(self) -> np.ndarray:
        """Return (C,) whether a column does a part of its work alone."""
        return np.asarray((self.share_from > 0) | (self.share_to < 1))

    def __len__(self) -> int:
        return len(self.workload)


def choices_of(
    scenario: Scenario, options: Sequence[Options], kinds: Kinds, calendar: Calendar, draws: Draws
) -> Choices:
    """Return every column of the programme."""
    rows: list[tuple[int, int, int, int, int]] = []
    for w, mine in enumerate(options):
        rounds = [
            e
            for e in range(len(calendar.rounds))
            if (mine.size_of[calendar.round_of == e] >= 0).any()
        ]
        for i, v, k in _places(scenario, w, mine, kinds, draws):
            rows += [(w, i, e, v, k) for e in rounds]
        rows += [(w, NONE, e, API, NONE) for e in rounds if mine.bought]
    place = np.array(rows, int).reshape(-1, 5).T
    shape = (len(rows), len(calendar.months))
    usd, atonce, kwh = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    by_api = place[3] == API
    for c in np.flatnonzero(by_api).tolist():
        w, _, e, _, _ = rows[c]
        api = options[w].api
        usd[c] = np.where(calendar.round_of == e, api.month_usd, 0.0) * api.factor(draws).mean()
    for c, (w, i, e, v, k) in enumerate(rows):
        if v == API:
            continue
        mine, need = options[w], options[w].needs[i]
        if c == 0 or rows[c - 1][:2] != (w, i):
            drawn = need.gpu_hours
        for q in np.flatnonzero((calendar.round_of == e) & (mine.size_of >= 0)):
            z = mine.size_of[q]
            hours = drawn[z]
            atonce[c, q] = need.central[z]
            kwh[c, q] = need.mean_hours[z] * kinds.power_kw[k] * scenario.prices.power_share
            if v == HOUR:
                usd[c, q] = kinds.hour_usd[k, q] * _mean(hours, draws, int(kinds.hour_offer[k]))
            elif v == SPOT:
                paid = hours / useful(mine, i, kinds, k, draws)
                usd[c, q] = kinds.spot_usd[k, q] * _mean(paid, draws, int(kinds.spot_offer[k]))
    on_gpus = [(options[w], i) for w, i, *_ in np.array(rows, int).reshape(-1, 5)[~by_api]]
    block, times, parts = np.zeros(len(rows)), np.zeros(len(rows)), np.ones((3, len(rows)))
    parts[0] = 0.0
    block[~by_api] = [float(mine.cells["gpus"][i]) * mine.is_job for mine, i in on_gpus]
    times[~by_api] = [np.log(mine.needs[i].time_s) for mine, i in on_gpus]
    for w, mine in enumerate(options):
        of = mine.table[["share_from", "share_to", "share"]].to_numpy(float)
        at = (place[0] == w) & ~by_api
        parts[:, at] = of[place[1, at]].T
    work, way, round_, venue, kind = place
    asked = usd, atonce, kwh, block, times
    return Choices(work, way, round_, venue, kind, *asked, *parts)


def _places(
    scenario: Scenario, w: int, mine: Options, kinds: Kinds, draws: Draws
) -> Iterator[tuple[int, int, int]]:
    """Yield the ways of a workload, the venues at which they keep its limits surely, their kinds.

    A job on more GPUs counts where it takes fewer GPU-hours at that venue than on fewer of them,
    unless time is the objective.
    """
    spot = getattr(scenario.workloads[w], "interruptible", False)
    least: dict[tuple[int, str, int, float, float], float] = {}
    atonce = [float(need.central.max(initial=0.0)) for need in mine.needs]
    for i in np.argsort(atonce, kind="stable").tolist():
        k = kinds.names.index(mine.cells["gpu"][i])
        venues = [POOL] + ([HOUR] if mine.is_job and kinds.hour_offer[k] >= 0 else [])
        venues += (
            [SPOT]
            if spot and kinds.spot_offer[k] >= 0 and _surely(mine, i, kinds, k, draws)
            else []
        )
        hours = float(mine.needs[i].mean_hours.mean())
        part = float(mine.cells["share_from"][i]), float(mine.cells["share_to"][i])
        for venue in venues:
            key = k, str(mine.cells["precision"][i]), venue, *part
            more = hours >= least.get(key, np.inf) * (1 - 1e-9)
            if mine.is_job and more and scenario.objective != "time":
                continue
            least[key] = min(hours, least.get(key, np.inf))
            yield i, venue, k


def _surely(mine: Options, way: int, kinds: Kinds, kind: int, draws: Draws) -> bool:
    """Return whether a way keeps its limits surely on spot GPUs, interruptions included."""
    over = mine.needs[way].over / useful(mine, way, kinds, kind, draws)
    return bool((over <= 1 + 1e-9).mean(axis=1).min(initial=1.0) >= SURE)


def useful(mine: Options, way: int, kinds: Kinds, kind: int, draws: Draws) -> np.ndarray:
    """Return (S,) the share of paid spot hours that move the work forward."""
    unit = float(mine.cells["unit_gpus"][way])
    unit = max(unit, float(mine.cells["gpus"][way])) if mine.is_job else unit
    return draws.spot_useful(float(kinds.lost[kind]), unit)


def _mean(hours: np.ndarray, draws: Draws, offer: int) -> float:
    return float((hours * draws.price(offer)).mean())


def pool_layers(
    choices: Choices, options: Sequence[Options], calendar: Calendar, k: int, q: int
) -> Layers | None:
    """Return the layers of all columns of the pool of a kind in a segment; None without any."""
    mine = np.flatnonzero(
        (choices.kind == k) & (choices.venue == POOL) & (choices.round == calendar.round_of[q])
    )
    need, hours, column = [], [], []
    for c in mine:
        of = options[choices.workload[c]]
        z = of.size_of[q]
        if z < 0:
            continue
        found = of.needs[choices.way[c]]
        need.append(found.gpus[:, z])
        hours.append(found.hours)
        column.append(np.full(len(found.hours), c))
    if not need:
        return None
    return layered(np.concatenate(need), np.concatenate(hours), np.concatenate(column))
