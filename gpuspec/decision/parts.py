"""Parts of a work that may run on several kinds of GPU at once: which, and where they are cut.

The load of the busiest hour is cut at a share: one kind takes what lies below, and is filled first;
another takes what is above it, in the hours in which there is more. Each keeps whole replicas of
its own layout within the limits at its own load. Of jobs that are done several times, runs are
shared out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gpuspec.decision.errors import Draws
from gpuspec.decision.loads import layers, spare_of
from gpuspec.decision.options import SERVICES, Options
from gpuspec.decision.scenario import Scenario, Workload

EIGHTHS = tuple(i / 8 for i in range(1, 8))
"""Shares at which every work is cut."""
FINE = 1 / 64
"""Steps around a cut that is taken, up to an eighth away."""
FILLED = (0.1, 0.3, 0.5)
"""Shares of the draws in which GPUs that are owned are too slow for a cut that is tried."""
SAME = 1 / 256
"""Cuts that lie so near to each other are one."""
MOST_FILLS = 4
"""Numbers of whole replicas for which a cut is tried, from either end."""
CLOSE = 1.02
"""A part in another format is kept where it needs at most so many times the GPU-hours."""
Part = dict[str, Any]


def divisible(scenario: Scenario, place: int) -> bool:
    """Return whether a workload may be split: a service by its load, a job of several runs."""
    w: Any = scenario.workloads[place]
    return scenario.allow.split and (w.kind in SERVICES or _runs(scenario, w) >= 2)


def _runs(scenario: Scenario, w: Workload) -> float:
    return round(getattr(w, "runs_per_year", 0.0) * scenario.horizon_months / 12, 6)


def with_parts(scenario: Scenario, options: Sequence[Options], draws: Draws) -> list[Options]:
    """Return the ways of each workload, with those that do a part of it behind them."""
    found = []
    for mine in options:
        ways = candidates(mine) if divisible(scenario, mine.place) else []
        if len({mine.table["gpu"].iloc[i] for i in ways}) < 2:
            found.append(mine)
            continue
        owned = {o.gpu for o in scenario.owned}
        held = [i for i in ways if mine.table["gpu"].iloc[i] in owned]
        cuts = [*EIGHTHS, *(c for i in held for c in _owned_cuts(scenario, mine, i, draws))]
        found.append(_cut(scenario, mine, draws, ways, cuts))
    return found


def finer(
    scenario: Scenario, options: Sequence[Options], draws: Draws, taken: Iterable[tuple[int, int]]
) -> list[Options]:
    """Return the same with more cuts around those of the parts that are taken, as places of the
    workload and of the way.
    """
    found = list(options)
    for w in dict.fromkeys(place for place, _ in taken):
        mine = options[w]
        rows = [mine.table.iloc[i] for place, i in taken if place == w and i >= mine.whole]
        if not rows:
            continue
        names = {row["gpu"] for row in rows}
        ways = [i for i in candidates(mine) if mine.table["gpu"].iloc[i] in names]
        at = {c for row in rows for c in (row["share_from"], row["share_to"]) if 0 < c < 1}
        steps = np.arange(-8, 9) * FINE
        cuts = [float(c) for cut in at for c in np.round((cut + steps) / FINE) * FINE]
        fills = [c for i in ways for c in _fills(mine, i, draws)]
        cuts += [c for c in fills if min(abs(c - cut) for cut in at) <= 1 / 8]
        found[w] = _cut(scenario, mine, draws, ways, cuts)
    return found


def candidates(options: Options) -> list[int]:
    """Return the ways that are worth a part of the work: of each GPU and format the one with the
    fewest GPU-hours, and the one with the smallest replica.
    """
    table, found = options.table.iloc[: options.whole], []
    hours = np.array([options.needs[i].mean_hours.mean() for i in range(options.whole)])
    for _, mine in table.groupby(["gpu", "precision"], sort=False):
        places = mine.index.to_numpy()
        found.append(int(places[np.argmin(hours[places])]))
    for _, mine in table.groupby("gpu", sort=False):
        smallest = mine[mine["unit_gpus"] == mine["unit_gpus"].min()].index.to_numpy()
        found.append(int(smallest[np.argmin(hours[smallest])]))
    return sorted(dict.fromkeys(found))


def _cut(
    scenario: Scenario, mine: Options, draws: Draws, ways: Sequence[int], cuts: Iterable[float]
) -> Options:
    """Return ways with those that do the part below or above each cut, unless it is there."""
    w: Any = scenario.workloads[mine.place]
    if w.kind not in SERVICES:
        runs = _runs(scenario, w)
        cuts = [round(cut * runs) / runs for cut in cuts]
    even = w.kind not in SERVICES or len(layers(w)) == 1  # below and above a cut are alike
    known = sorted(set(mine.table["share_to"]) | {0.0})
    spare = w.kind in SERVICES and w.availability is None and spare_of(w) > 0
    parts: list[Part] = []
    for cut in sorted(cuts):
        near = min(abs(cut - other) for other in [*known, 0.0, 1.0]) < SAME
        if near or not 0 < cut < 1 or (even and cut < 0.5):
            continue
        known.append(cut)
        parts += [
            {"whole_way": i, "share_from": low, "share_to": high, "spares": spares}
            for i in ways
            for low, high in ((0.0, cut), (cut, 1.0))
            for spares in ((True, False) if spare else (True,))
        ]
    return _worth(mine.with_parts(scenario, draws, parts))


def _worth(mine: Options) -> Options:
    """Return ways without parts for which another format or layout of the GPU needs fewer hours."""
    table = mine.table.assign(hours=[float(need.mean_hours.mean()) for need in mine.needs])
    parts = table.iloc[mine.whole :]
    least = parts.groupby(["gpu", "share_from", "share_to", "spares"])["hours"].transform("min")
    first = parts[parts["hours"] <= least * CLOSE]
    first = first.sort_values("hours", kind="stable").drop_duplicates(
        ["gpu", "precision", "share_from", "share_to", "spares"]
    )
    kept = [*range(mine.whole), *sorted(first.index)]
    table = mine.table.iloc[kept].reset_index(drop=True)
    return replace(mine, table=table, needs=[mine.needs[i] for i in kept])


def _owned_cuts(scenario: Scenario, mine: Options, way: int, draws: Draws) -> list[float]:
    """Return the cuts below which owned GPUs carry all in some of the draws."""
    row = mine.table.iloc[way]
    if mine.is_job:
        return []
    count = sum(o.count for o in scenario.owned if o.gpu == row["gpu"])
    replicas = count // int(row["unit_gpus"])
    spare = spare_of(scenario.workloads[mine.place])
    each = np.quantile(mine.carried(scenario, draws, way), FILLED)
    sizes = mine.sizes[[0, -1]]
    found = [n * each / size for n in {replicas, replicas - spare} for size in sizes if n > 0]
    return [float(c) for c in np.ravel(found)] + [1 - float(c) for c in np.ravel(found)]


def _fills(mine: Options, way: int, draws: Draws) -> list[float]:
    """Return the cuts at which few whole replicas are full at the central estimate."""
    if mine.is_job:
        return []
    each = mine.needs[way].carried / mine.ways.curves[int(mine.table["curve"].iloc[way])]["load"][0]
    found = [n * each / size for n in range(1, MOST_FILLS + 1) for size in mine.sizes[[0, -1]]]
    return [float(c) for c in found] + [1 - float(c) for c in found]
