"""Every way to serve a load: each GPU, format and split, and how many replicas it takes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache, partial
from itertools import product
from typing import Any

import numpy as np

from gpuspec.base.lazy import pd
from gpuspec.base.spread import Kept
from gpuspec.base.units import GIB, distinct
from gpuspec.catalog import gpu
from gpuspec.constants.ground import Ground
from gpuspec.formulas.images import image_seconds
from gpuspec.formulas.serving import Deployment, request_bytes
from gpuspec.formulas.splits import Split
from gpuspec.topics.serving.apart import fewest_pair, pair_words
from gpuspec.topics.serving.ask import ImagesQuestion, ServingQuestion
from gpuspec.topics.serving.ground import (
    images_ground,
    separate_ground,
    way_ground,
    ways_ground,
)
from gpuspec.topics.serving.layouts import replicas
from gpuspec.topics.serving.load import (
    BOUNDS,
    largest_within,
    most_requests,
    over_limits,
    seen_at,
    served,
    sustained,
)
from gpuspec.topics.ways import Row, Ways, capacity, filled, records, stacked

LOADS = 32
"""Loads of a replica at which its speed is computed, from one request to a full memory."""
EVEN = 24
"""Numbers of replicas that are tried one by one."""
HEADROOM = 0.85
"""Share of its throughput at which an image service is run, so that queues stay short."""
MOST_KEPT = 2048
"""Replicas whose times are kept for questions with other limits, GPUs or formats."""
MOST_RATES = 2**15
"""Replicas whose rates are kept: a number each."""
LADDER = np.geomspace(0.1, 10, 9)
"""Loads over the largest one of a replica whose work is proportional to its speed."""


Lane = tuple[str, str, Split]
"""GPU, format and split of a replica."""


def service_ways(
    question: ServingQuestion,
    loads: int = LOADS,
    apart: bool = False,
    among: Collection[Lane] | None = None,
    bound: bool = False,
) -> Ways:
    """Return every GPU, format, split and load of a replica for a service of tokens.

    `among`: those alone of the replicas that work. `bound`: where requests arrive at random, at
    the rate that a replica sustains in place of the one within the limits, which is at most that.

    `apart`: beside them, for each GPU and format, workers that read prompts and workers that write
    answers, where a pair of them keeps the limits on fewer GPUs than replicas do. The whole pair is
    one unit, with ``prefill_gpus``; its row is as wide as one of inherited kernels.
    """
    q = question
    parts: list[Row] = []
    curves: list[dict[str, np.ndarray]] = []
    of = tried(q, among)
    able = [replica for *_, replica, why in of if not why]
    if q.arriving:
        found = iter((rate_bounds if bound else rate_curves)(q, able))
    else:
        bare, total = _unlimited(q), float(q.in_flight)
        loaded = _loaded_replicas([(bare, _of(replica), loads, total) for replica in able])
        found = iter([_within_limits(q, *one) for one in loaded])
    for name, form, split, _, why in of:
        base: Row = {"gpu": name, "precision": form, **split._asdict()}
        base |= {"split": split.words, "unit_gpus": split.gpus}
        if why:
            parts.append({**base, "works": False, "reason": why})
            continue
        curve = next(found)
        shown = {n: v for n, v in curve.items() if n not in ("knots", "excess", "load")}
        parts.append(base | shown | {"curve": len(curves), "works": True, "reason": ""})
        parts[-1]["gpus"] = curve["units"] * base["unit_gpus"]
        whole = {} if q.arriving else {"whole": np.ones(1)}
        curves.append({n: curve[n] for n in ("excess", "load")} | {"batch": curve["knots"]} | whole)
    table = stacked(parts)
    table = table.assign(ground=ways_ground(q, table))
    explain = partial(way_ground, q)
    if not apart:
        return Ways(table, curves, explain)
    pairs, grounds = _pairs(q, table, len(curves))
    curves += [_proportional(q.arriving or float(q.in_flight))] * len(pairs)
    both = stacked([*records(table), *pairs]) if pairs else table

    def ground(row: Mapping[str, Any]) -> Ground:
        own = grounds[row["gpu"], row["precision"]] if row.get("prefill_gpus") else None
        return own or explain(row)

    return Ways(both, curves, ground)


def tried(
    q: ServingQuestion, among: Collection[Lane] | None = None
) -> list[tuple[str, str, Split, Deployment, str]]:
    """Return GPU, format, split, replica and why it does not work, of all that are tried; of those
    that work `among` alone.
    """
    return [one for one in _tried(q) if one[-1] or among is None or one[:3] in among]


@lru_cache(8)
def _tried(q: ServingQuestion) -> list[tuple[str, str, Split, Deployment, str]]:
    return [
        (device.id, weight.id, *one)
        for device, weight in product(q.devices, q.formats)
        for one in replicas(q, device, weight)
    ]


def _pairs(
    q: ServingQuestion, table: pd.DataFrame, place: int
) -> tuple[list[Row], dict[tuple[str, str], Ground]]:
    """Return the rows of prompts that are read apart, and their ground by GPU and format."""
    rows: list[Row] = []
    grounds = {}
    for device, form in product(q.devices, q.formats):
        own = table[(table["gpu"] == device.id) & (table["precision"] == form.id)]
        kept = own[own["works"] & (own["within"] > 0)]
        found = fewest_pair(q, device, form, float(kept["gpus"].min()) if len(kept) else np.inf)
        if not found:
            continue
        pair, seen = found
        known = grounds[device.id, form.id] = separate_ground(q, pair, seen["load"])
        load = q.arriving or float(q.in_flight)
        rows.append(
            {
                **{n: getattr(pair.decode.layout, n) for n in Split._fields},
                **{n: seen[n] for n in ("ttft_s", "tpot_s")},
                "gpu": device.id,
                "precision": form.id,
                "split": pair_words(pair),
                "prefill_gpus": pair.prefill_gpus,
                "unit_gpus": pair.gpus,
                "gpus": pair.gpus,
                "units": 1.0,
                "batch": float(seen["load"]),
                "within": load,
                "most": most_requests(q, pair),
                "speed_s": seen["tpot_s"],
                "inherited": True,
                "curve": place + len(rows),
                "works": True,
                "reason": "",
                "ground": known.code,
            }
        )
    return rows, grounds


def _proportional(load: float) -> dict[str, np.ndarray]:
    """Return the curve of a unit whose load is proportional to its speed, through a known point."""
    return {"batch": load * LADDER, "excess": LADDER, "load": np.array([load])}


def load_curve(q: ServingQuestion, replica: Deployment, loads: int = LOADS) -> Row:
    """Return how the speed of a replica follows its load, and the replicas that each load needs.

    ``knots`` are the loads, ``excess`` how many times the stricter limit is taken there (1 at the
    limit; 0 without limits), ``within`` the largest load that keeps them, ``most`` the largest
    that memory holds; ``batch``, ``units``, ``ttft_s``, ``tpot_s`` are for each load.
    """
    return _within_limits(q, *_loaded(q, replica, loads, float(q.in_flight)))


def _loaded(q: ServingQuestion, replica: Deployment, loads: int, total: float) -> tuple[Row, Row]:
    """Return the times of a replica at its loads, which no limit changes, and what it is."""
    most = most_requests(q, replica)
    even = np.ceil(total / np.arange(1, EVEN + 1))  # the load shared by few replicas
    knots = distinct([*np.floor(np.geomspace(1, most, loads)), *even[even <= most]])
    found = served(q, replica, knots, most)
    ttft, tpot = (np.broadcast_to(found[n], knots.shape) for n in ("ttft_s", "tpot_s"))
    asked = knots <= max(total, 1.0)
    last = {n: np.broadcast_to(v, knots.shape)[asked][-1] for n, v in found["parts"].items()}
    times = {"knots": knots, "ttft_s": ttft, "tpot_s": tpot}
    return times, {
        "load": np.array([total]),
        "batch": knots[asked],
        "units": np.ceil(total / knots[asked]),
        "ttft_s": ttft[asked],
        "tpot_s": tpot[asked],
        "speed_s": tpot[asked],
        "most": most,
        "within": np.nan,
        "kv_gib": float(request_bytes(replica, q.prompt_tokens + q.held_osl)) * replica.gpus / GIB,
        "inherited": bool(replica.layout.inherited),
        "bound": BOUNDS[max(last, key=lambda n: last[n])],
    }


def _within_limits(q: ServingQuestion, times: Row, loaded: Row) -> Row:
    """Return the curve of a replica whose times are known."""
    excess = over_limits(q, times["ttft_s"], times["tpot_s"])
    within = np.floor(capacity(times["knots"], excess) + 1e-6) if excess[0] <= 1 else 0.0
    return {**loaded, "knots": times["knots"], "excess": excess, "within": within}


def _of(replica: Deployment) -> tuple[Any, ...]:
    names = ("gpu", "weight", "tp", "pp", "ep", "attention_dp")
    return tuple(getattr(replica.layout, name) for name in names)


_ANY = {"gpus": (), "weights": (), "request_rate": 1.0, "concurrency": None, "users": None}
"""What a replica does at a rate, or at a load, does not depend on these."""


def _unlimited(q: ServingQuestion) -> ServingQuestion:
    return q.model_copy(update={**_ANY, "ttft_limit_s": None, "tpot_limit_s": None})


def _loaded_replica(of: tuple[ServingQuestion, tuple[Any, ...], int, float]) -> tuple[Row, Row]:
    q, layout, loads, total = of
    return _loaded(q, q.replica(*layout), loads, total)


def _rate_within(of: tuple[ServingQuestion, tuple[Any, ...]]) -> float:
    q, layout = of
    return largest_within(q, q.replica(*layout))


def _seen_at_rate(of: tuple[ServingQuestion, tuple[Any, ...], float]) -> Row:
    """Return what users see of a replica at a rate; at none, of a request that is alone."""
    q, layout, rate = of
    replica = q.replica(*layout)
    if rate:
        seen = seen_at(q, replica, rate)
        names = {"batch": "in_flight", "ttft_s": "ttft_p95_s", "tpot_s": "tpot_p95_s"}
        return {name: float(seen[of]) for name, of in names.items()}
    alone = served(q, replica, 1.0)
    return {"batch": 1.0} | {n: float(np.ravel(alone[n])[0]) for n in ("ttft_s", "tpot_s")}


_loaded_replicas = Kept(_loaded_replica, MOST_KEPT)
_rates_within = Kept(_rate_within, MOST_RATES)
_seen_at_rates = Kept(_seen_at_rate, MOST_KEPT)


def rate_curves(q: ServingQuestion, replicas: Sequence[Deployment]) -> list[Row]:
    """Return `rate_curve` of each replica."""
    any_rate = q.model_copy(update=_ANY)
    layouts = [_of(one) for one in replicas]
    rates = _rates_within([(any_rate, layout) for layout in layouts])
    units = [float(np.ceil(q.arriving / rate)) if rate else 0.0 for rate in rates]
    each = [q.arriving / count if count else 0.0 for count in units]
    seen = _seen_at_rates([(any_rate, *one) for one in zip(layouts, each, strict=True)])
    return [_at_rate(q, *one) for one in zip(replicas, rates, units, seen, strict=True)]


def rate_bounds(q: ServingQuestion, replicas: Sequence[Deployment]) -> list[Row]:
    """Return `rate_curves` as if each replica kept the limits at all that it sustains."""
    alone = {"batch": 1.0, "ttft_s": 0.0, "tpot_s": 0.0}
    rates = [sustained(q, replica) for replica in replicas]
    units = [float(np.ceil(q.arriving / rate)) if rate else 0.0 for rate in rates]
    return [_at_rate(q, *one, alone) for one in zip(replicas, rates, units, strict=True)]


def rate_curve(q: ServingQuestion, replica: Deployment) -> Row:
    """Return the same as `load_curve` where requests arrive at random, at the rate that just keeps
    the limits.
    """
    return rate_curves(q, [replica])[0]


def _at_rate(q: ServingQuestion, replica: Deployment, rate: float, units: float, seen: Row) -> Row:
    row: Row = {
        "most": most_requests(q, replica),
        "within": rate,
        "inherited": bool(replica.layout.inherited),
        "bound": "",
        **seen,
        "speed_s": seen["tpot_s"],
        "units": units or q.arriving,
    }
    if not rate:
        over = max(float(over_limits(q, seen["ttft_s"], seen["tpot_s"])), 1.001)
        curve = {"knots": np.array([1.0]), "excess": np.array([over]), "load": np.array([1.0])}
        return row | curve
    # What a replica carries is proportional to its speed: a curve through its one known point.
    return row | {"knots": rate * LADDER, "excess": LADDER, "load": np.array([q.arriving])}


def images_ways(asked: ImagesQuestion, gpus: Sequence[str], images_s: float) -> Ways:
    """Return how many of each GPU generate the asked images a second, with `HEADROOM` left."""
    rows: list[Row] = []
    devices = {name: gpu(name) for name in gpus}
    jobs = {name: asked.job(device) for name, device in devices.items()}
    grounds = {n: images_ground(d, asked.network.id, jobs[n]) for n, d in devices.items()}
    for name, device in devices.items():
        parts = image_seconds(asked.network, device, jobs[name])
        seconds = float(sum(parts.values()))
        rows.append(
            {
                "gpu": name,
                "precision": jobs[name].precision,
                "split": Split().words,
                "unit_gpus": 1,
                "batch": HEADROOM / seconds,
                "within": HEADROOM / seconds,
                "units": float(np.ceil(images_s * seconds / HEADROOM)),
                "speed_s": seconds,
                "curve": len(rows),
                "works": True,
                "reason": "",
                "bound": "products",
                "ground": grounds[name].code,
            }
        )
    curves = [
        {"batch": r["batch"] * LADDER, "excess": LADDER, "load": np.array([images_s])} for r in rows
    ]
    table = filled(pd.DataFrame(rows).assign(gpus=lambda t: t["units"]))
    return Ways(table, curves, lambda row: grounds[row["gpu"]])
