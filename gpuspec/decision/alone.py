"""Each work on its own: the best number to sign of every GPU and way to pay, had it no company."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuspec.base.lazy import pd
from gpuspec.base.spread import spread
from gpuspec.decision.options import Need, Options
from gpuspec.decision.programme import Problem
from gpuspec.decision.programme.choices import useful
from gpuspec.decision.recourse import Layers, Tail, layered, tail_of
from gpuspec.topics.ways import records

MOST_TRIED = 8
"""Numbers of GPUs that are tried for a contract."""


@dataclass(frozen=True)
class Alone:
    """A table of ways alone, and what each costs in every draw.

    ``table``: ``gpu``, ``mode``, ``label``, ``offer``, ``precision``, ``split``, ``way``, ``tech``,
    ``gpus`` (that the work needs), ``signed`` (that are signed for), ``expected_usd``, ``low``,
    ``high``, ``time_s``, ``days``, ``sure`` and ``probability`` (of being the cheapest); the
    cheapest first.
    """

    table: pd.DataFrame
    costs: np.ndarray
    """(rows, S)"""

    def best_of_each(self, *columns: str) -> pd.DataFrame:
        """Return the cheapest row of each value of the columns."""
        return self.table.drop_duplicates(list(columns), ignore_index=True)


def every_alone(problem: Problem) -> list[Alone]:
    """Return `alone` of each workload."""
    return spread(lambda place: alone(problem, place), range(len(problem.options)))


def alone(problem: Problem, place: int) -> Alone:
    """Return every way of a workload with every way to pay for it, priced alone."""
    options = problem.options[place]
    rows: list[dict[str, Any]] = []
    costs: list[np.ndarray] = []
    paid = records(problem.offers[["mode", "label"]])
    for way, need in enumerate(options.needs[: options.whole]):
        row = options.rows[way]
        k = problem.kinds.names.index(row["gpu"])
        for offer, signed, usd in _paid(problem, options, need, way, k):
            names = ("gpu", "precision", "split", "tech", "days", "sure")
            rows.append(
                {
                    **{n: row[n] for n in names},
                    **paid[offer],
                    "offer": offer,
                    "way": way,
                    "gpus": float(row["need_gpus"]),
                    "signed": signed,
                    "time_s": need.time_s,
                }
            )
            costs.append(usd)
    columns = ["gpu", "mode", "label", "offer", "precision", "split", "way", "tech", "gpus"]
    columns += ["signed", "time_s", "days", "sure"]
    table, usd = pd.DataFrame(rows, columns=columns), np.array(costs)
    if not len(rows):
        usd = np.zeros((0, problem.draws.samples))
    order = np.argsort(usd.mean(axis=1), kind="stable")
    table, usd = table.iloc[order].reset_index(drop=True), usd[order]
    low, high = np.quantile(usd, (0.1, 0.9), axis=1) if len(rows) else (np.zeros(0),) * 2
    table = table.assign(expected_usd=usd.mean(axis=1), low=low, high=high)
    first = np.argmin(usd, axis=0) if len(rows) else np.zeros(0, int)
    return Alone(
        table.assign(probability=np.bincount(first, minlength=len(rows)) / max(len(first), 1)), usd
    )


def _paid(
    p: Problem, options: Options, need: Need, way: int, k: int
) -> list[tuple[int, float, np.ndarray]]:
    """Return for each way to pay its offer, the GPUs signed for, and (S,) what it costs."""
    found: list[tuple[int, float, np.ndarray]] = []
    layers, tails = _layers(options, need), dict[tuple[int, float], Tail]()
    hour, spot = int(p.kinds.hour_offer[k]), int(p.kinds.spot_offer[k])
    if hour >= 0:
        found.append((hour, 0.0, _short(p, layers, tails, k, np.zeros(len(p.calendar.months)), 0)))
    if spot >= 0 and getattr(p.scenario.workloads[options.place], "interruptible", False):
        hours = sum(
            need.gpu_hours[z] * p.calendar.months[q] * p.kinds.spot_usd[k, q]
            for q, z in enumerate(options.size_of)
            if z >= 0
        )
        found.append(
            (spot, 0.0, hours * p.draws.price(spot) / useful(options, way, p.kinds, k, p.draws))
        )
    con = p.contracts
    for offer in np.unique(con.offer[con.kind == k]):
        mine = np.flatnonzero(
            (con.offer == offer) & (con.start == con.start[con.offer == offer].min())
        )
        j = int(mine[0])
        block = float(options.table["gpus"].iloc[way]) if options.is_job else 0.0
        most = max(float(np.quantile(need.gpus.sum(axis=0), 0.98)), block, con.minimum[j])
        steps = np.unique(
            np.ceil(np.linspace(max(block, con.minimum[j]), most, MOST_TRIED) / con.step[j] - 1e-9)
        )
        tried = []
        for count in steps * con.step[j]:
            signed = count * (con.fixed_usd[j] + con.priced_usd[j] * p.draws.price(int(offer)))
            there = con.active[j] * count
            tried.append((count, signed + _short(p, layers, tails, k, there, con.housed[j])))
        count, usd = min(tried, key=lambda one: float(one[1].mean()))
        found.append((int(offer), float(count), usd))
    return found


def _layers(options: Options, need: Need) -> dict[int, Layers]:
    """Return the layers of the work in each segment in which it is there."""
    column = np.zeros(len(need.hours), int)
    of = {z: layered(need.gpus[:, z], need.hours, column) for z in np.unique(options.size_of)}
    return {q: of[z] for q, z in enumerate(options.size_of) if z >= 0}


def _short(
    p: Problem,
    layers: Mapping[int, Layers],
    tails: dict[tuple[int, float], Tail],
    k: int,
    there: np.ndarray,
    housed: object,
) -> np.ndarray:
    """Return (S,) what is rented by the hour over the horizon, and energy in one's own rooms.

    `tails` are those of layers and GPUs that are known, to which new ones are added.
    """
    total = np.zeros(p.draws.samples)
    for q, mine in layers.items():
        same = id(mine), float(there[q])
        if same not in tails:
            tails[same] = tail_of(mine, np.ones(len(mine.hours)), float(there[q]))
        tail = tails[same]
        total += p.hour_usd(k, q) * tail.hours * p.calendar.months[q]
        if housed and there[q]:
            used = mine.hours @ mine.need - tail.hours
            total += p.kinds.busy_usd[k] * used * p.calendar.months[q]
    return total
