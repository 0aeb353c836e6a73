"""Replicas of a service that a plan may take, told apart before what each carries is searched."""

from typing import Any

import numpy as np

from gpuspec.constants.ground import FAR, MEASURED
from gpuspec.decision.errors import SURE, Draws
from gpuspec.decision.options import ABOVE, Need, needs_of
from gpuspec.decision.scenario import Inference, Scenario
from gpuspec.decision.ways import scenario_ways
from gpuspec.formulas.splits import Split
from gpuspec.topics.serving.ways import Lane
from gpuspec.topics.ways import Row, records


def contenders(
    scenario: Scenario, place: int, gpus: list[str], size: np.ndarray, draws: Draws, loads: int
) -> frozenset[Lane] | None:
    """Return the replicas of a workload that `drawn_options` may keep; None: all that there are.

    Where requests arrive at random the rate that a replica carries within its limits is searched in
    a simulation, but it is at most what the replica sustains. Of each GPU and format the replica
    that would then need the least is searched, and so on; others that even then need `ABOVE` times
    as much as one that was, and no fewer GPUs at once, are left out. Of owned GPUs all stay: what
    they carry is said.
    """
    w: Any = scenario.workloads[place]
    if not isinstance(w, Inference) or not w.arriving or w.measured_speeds or w.prefill_apart:
        return None
    distinct = np.unique(size[size > 0])
    if scenario.objective == "time" or not len(distinct):
        return None

    def found(**of: Any) -> tuple[list[Row], list[list[Need]]]:
        """Return the rows of ways that work, and what each needs on any ground."""
        ways = scenario_ways(scenario, place, gpus, loads, **of)
        rows = records(ways.table[ways.table["works"]])
        grounds = (MEASURED, FAR) if "bound" in of else (None,)
        every = [
            [row if ground is None else row | {"ground": ground} for row in rows]
            for ground in grounds
        ]
        needs = (needs_of(w, rows, ways, distinct, draws) for rows in every)
        return rows, [*map(list, zip(*needs, strict=True))]

    rows, needs = found(bound=True)
    least = {lane_of(row): min(map(_spent, each)) for row, each in zip(rows, needs, strict=True)}
    atonce = {lane_of(row): min(map(_atonce, each)) for row, each in zip(rows, needs, strict=True)}
    owned = {part.gpu for part in scenario.owned}
    left = sorted(least, key=lambda lane: (lane[0] not in owned, least[lane]))
    tried: set[Lane] = set()
    best: dict[tuple[str, str], tuple[float, float]] = {}

    def hopeless(lane: Lane) -> bool:
        spent, gpus = best.get(lane[:2], (np.inf, np.inf))
        return least[lane] > ABOVE * spent * (1 + 1e-9) and atonce[lane] >= gpus

    while left:
        these = {lane for lane in left if lane[0] in owned}
        these |= {*{lane[:2]: lane for lane in reversed(left)}.values()}
        tried |= these
        for row, (need,) in zip(*found(among=frozenset(these)), strict=True):
            if need.chance >= SURE:
                group = lane_of(row)[:2]
                best[group] = min(best.get(group, (np.inf, np.inf)), (_spent(need), _atonce(need)))
        left = [lane for lane in left if lane not in tried and not hopeless(lane)]
    return frozenset(tried)


def lane_of(row: Row) -> Lane:
    """Return GPU, format and split of a row of a table of ways."""
    return row["gpu"], row["precision"], Split(*(int(row[name]) for name in Split._fields))


def _spent(need: Need) -> float:
    return float(need.mean_hours.mean())


def _atonce(need: Need) -> float:
    return float(need.central.max(initial=0.0))
