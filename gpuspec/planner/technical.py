"""Every way to run one workload, before prices: one row an option, all kinds alike.

Columns of every table here:

============== =============================================================================
column         what it is
============== =============================================================================
gpu, precision id of the GPU, format of the weights or products
split          how a replica or the job is split, in words
unit_gpus      GPUs of one replica, or of the whole job
batch          requests in flight on a replica (services), sequences a step (jobs)
units, gpus    replicas and GPUs for the whole load, at the central estimate
speed_s        seconds that the objective "time" counts: a token, an image, a run
ttft_s, tpot_s services of tokens; NaN elsewhere
days           jobs: wall clock; NaN elsewhere
hours_month    hours that the GPUs are needed in an average month
need           most units of load a replica carries within memory and limits (services)
curve          place in `curves`; -1 where load and speed do not depend on each other
works, reason  whether the split can run at all, else why not
bound          part that takes most of the time
============== =============================================================================
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.catalog import gpu
from gpuspec.deploy import inference_question
from gpuspec.deploy.layouts import impossible, shortfall
from gpuspec.deploy.options import BOUNDS, largest_rate, served
from gpuspec.errors import InputError
from gpuspec.inference import arrivals, max_concurrency
from gpuspec.inference.images import image_model, image_seconds
from gpuspec.jobs import training_question
from gpuspec.jobs.layouts import layout_table
from gpuspec.jobs.tables import run_figures
from gpuspec.memory import sequence_kv_bytes
from gpuspec.scenario import Images, Inference, Scenario, Training
from gpuspec.scenario.records import HOURS_PER_MONTH
from gpuspec.training import model_flops_per_token
from gpuspec.units import GIB

SPLITS = ((1, 1), (2, 1), (4, 1), (8, 1), (2, 2), (4, 2), (8, 2))
"""Tensor-parallel sizes and pipeline stages of a replica that are tried."""
LOADS = 32
"""Loads of a replica at which its speed is computed, from one request to a full memory."""
EVEN = 24
"""Numbers of replicas that are tried one by one."""
BEST_MFU, WORST_MFU = 0.7, 0.15
"""Shares of the peak between which a training job lies: they bound the counts that are tried."""
MOST_COUNTS = 7
HEADROOM = 0.85
"""Share of its throughput at which an image service is run, so that queues stay short."""
HOURS_YEAR = 8760.0
DAY_S = 86400.0


@dataclass(frozen=True)
class Technical:
    """Options of one workload without prices, and the load curves that some of them have."""

    table: pd.DataFrame
    curves: list[dict[str, np.ndarray]] = field(default_factory=list)
    """``batch`` and ``excess``: how far each load is over the limits, 1 at the limit."""


def training_formats(precisions: Sequence[str], device_id: str) -> list[str]:
    """Return the allowed formats in which a GPU can train."""
    has = gpu(device_id).precisions
    names = [n for n in precisions if n == "bf16" or (n == "fp8" and "fp8" in has)]
    return names or ["bf16"]


def inference_options(
    workload: Inference, gpus: Sequence[str], precisions: Sequence[str], loads: int = LOADS
) -> Technical:
    """Return every GPU, format, split and load of a replica for a service of tokens."""
    w = workload
    parts: list[dict[str, Any]] = []
    curves: list[dict[str, np.ndarray]] = []
    q = inference_question(
        w.model,
        list(gpus),
        list(precisions),
        w.kv_precision,
        w.isl,
        w.osl,
        max(w.concurrency, 1),
        w.ttft_limit_s,
        w.tpot_limit_s,
        w.engine,
        cached_share=w.cached_share,
        request_rate=w.request_rate,
    )
    for device in q.gpus:
        for weight in q.weights:
            whole = False  # once a node holds the model, no replica needs a second one
            for tp, pp in SPLITS:
                if whole and tp * pp > 8:
                    continue
                base = {"gpu": device.id, "precision": weight.id, "split": _split(tp, pp)}
                base |= {"unit_gpus": tp * pp, "tp": tp, "pp": pp}
                why = impossible(q.network, tp, pp)
                ep = tp if q.network.experts and q.network.experts % tp == 0 else 1
                replica = q.replica(device, weight, tp, pp, ep)
                why = why or _shortfall(replica, q)
                if why:
                    parts.append({**base, "works": False, "reason": why})
                    continue
                whole = True
                curve, part = _curve(q, replica, base, w, loads)
                parts.append(part | {"curve": len(curves)})
                curves.append(curve)
    return Technical(_stacked(parts), curves)


def _stacked(parts: list[dict[str, Any]]) -> pd.DataFrame:
    """Stack options whose cells are values or arrays of one length: far quicker than rows."""
    sizes = [max(np.size(v) for v in part.values()) for part in parts]
    found = {}
    for name in dict.fromkeys(n for part in parts for n in part):
        blank = _DEFAULTS.get(name, "")
        cells = [np.asarray(p.get(name, blank)) for p in parts]
        kind = object if any(c.dtype.kind in "USO" for c in cells) else None
        columns = [
            np.broadcast_to(c.astype(kind) if kind else c, (n,))
            for c, n in zip(cells, sizes, strict=True)
        ]
        found[name] = np.concatenate(columns)
    return _filled(pd.DataFrame(found))


def _split(tp: int, pp: int) -> str:
    return "one GPU" if tp * pp == 1 else f"TP {tp}" + (f" PP {pp}" if pp > 1 else "")


def _shortfall(replica: Any, q: Any) -> str:
    said = shortfall(replica, q.context)
    if said.startswith("the cache of one request is"):
        amount = said.removeprefix("the cache of one request is ").removesuffix(" too large")
        return f"KV cache does not fit at {q.context:,} tokens x 1: {amount} short"
    return said.replace(" too large", " short of memory").replace("are ", "", 1)


def _curve(
    q: Any, replica: Any, base: dict[str, Any], w: Inference, loads: int
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return how speed follows the load of a replica, and an option for each load."""
    most = float(max_concurrency(replica, q.isl, q.osl))
    total = float(w.concurrency) if w.concurrency else most
    end = max(min(most, total), 1.0)
    even = np.ceil(total / np.arange(1, EVEN + 1))  # the load shared by few replicas
    batch = np.unique([*np.floor(np.geomspace(1, end, loads)), *even[even <= end]])
    found = served(q, replica, batch)
    ttft, tpot = (np.broadcast_to(found[n], batch.shape) for n in ("ttft_s", "tpot_s"))
    excess = _excess(ttft, tpot, w)
    parts = {
        n: float(np.ravel(np.broadcast_to(v, batch.shape))[-1]) for n, v in found["parts"].items()
    }
    units = np.ceil(total / batch)
    if w.request_rate:
        return _for_rate(q, replica, base, w, most)
    one = float(
        sequence_kv_bytes(q.network, q.context, replica.layout.kv_bytes, base["tp"], base["pp"])
    )
    part = {
        **base,
        "batch": batch,
        "units": units,
        "gpus": units * base["unit_gpus"],
        "ttft_s": ttft,
        "tpot_s": tpot,
        "speed_s": tpot,
        "hours_month": w.hours_per_month,
        "most": most,
        "kv_gib": one * base["unit_gpus"] / GIB,
        "inherited": bool(replica.layout.kernels.inherited),
        "works": True,
        "reason": "",
        "bound": BOUNDS[max(parts, key=lambda n: parts[n])],
    }
    return {"batch": batch, "excess": excess, "load": np.array([total]), "whole": np.ones(1)}, part


def _excess(ttft: Any, tpot: Any, w: Inference) -> np.ndarray:
    """Return how many times the stricter limit is taken; 0 without limits."""
    over = np.zeros(np.shape(tpot))
    if w.ttft_limit_s:
        over = np.maximum(over, np.asarray(ttft) / w.ttft_limit_s)
    if w.tpot_limit_s:
        over = np.maximum(over, np.asarray(tpot) / w.tpot_limit_s)
    return np.maximum.accumulate(over) if np.ndim(over) else over


def _for_rate(
    q: Any, replica: Any, base: dict[str, Any], w: Inference, most: float
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the option that just keeps the limits when requests arrive at random."""
    rate = largest_rate(q, replica)
    alone = served(q, replica, 1.0)
    row: dict[str, Any] = {**base, "most": most, "hours_month": w.hours_per_month, "bound": ""}
    row |= {"inherited": bool(replica.layout.kernels.inherited), "works": True, "reason": ""}
    if not rate:
        times = {n: float(np.ravel(alone[n])[0]) for n in ("ttft_s", "tpot_s")}
        row |= {"batch": 1.0, "units": w.request_rate, **times, "speed_s": times["tpot_s"]}
        over = max(float(np.max(_excess(times["ttft_s"], times["tpot_s"], w))), 1.001)
        curve = {"batch": np.array([1.0]), "excess": np.array([over]), "load": np.array([1.0])}
        row["gpus"] = np.ceil(row["units"]) * base["unit_gpus"]
        return curve, row
    units = float(np.ceil(w.request_rate / rate))
    seen = arrivals(replica, w.request_rate / units, w.isl, w.osl, w.cached_share)
    row |= {"batch": float(seen["in_flight"]), "units": units, "gpus": units * base["unit_gpus"]}
    row |= {"ttft_s": float(seen["ttft_p95_s"]), "tpot_s": float(seen["tpot_p95_s"])}
    row["speed_s"] = row["tpot_s"]
    # What a replica carries is proportional to its speed: a curve through its one known point.
    ladder = np.geomspace(0.25, 4.0, 9)
    curve = {"batch": rate * ladder, "excess": ladder, "load": np.array([w.request_rate])}
    return curve, row


def training_options(
    workload: Training,
    gpus: Sequence[str],
    precisions: Sequence[str],
    most_gpus: int = 0,
    every: bool = False,
) -> Technical:
    """Return the best layout (or `every` one) of each GPU, format and number of GPUs."""
    w, parts = workload, []
    for name in gpus:
        for compute in training_formats(precisions, name):
            q = training_question(
                w.model,
                name,
                [8],
                w.tokens,
                w.deadline_days,
                w.seq_len,
                w.global_batch,
                compute,
                w.framework,
                w.tuning,
            )
            bare = q.model_copy(update={"tokens": 1.0, "deadline_days": 1.0})
            for count in training_counts(q, most_gpus):
                table = _layouts(bare, count)
                parts.append(_job_rows(q, w, compute, count, table, every))
    return Technical(_filled(pd.concat(parts, ignore_index=True)))


def training_counts(question: Any, most: int = 0) -> list[int]:
    """Return the numbers of GPUs between which the deadline can just be met."""
    q = question
    flops = float(model_flops_per_token(q.network, q.seq_len)) * q.tokens
    rate = q.gpus[0].peak_flops(q.computes_in(q.gpus[0])) * q.deadline_days * DAY_S
    least, enough = flops / rate / BEST_MFU, 3 * flops / rate / WORST_MFU
    sizes = [2**i for i in range(12)] + [24 * 2**i for i in range(8)]
    sizes = [n for n in sorted(sizes) if n <= (most or 4096)]
    wide = [n for n in sizes if n >= least and n <= max(enough, 8)]
    return (wide or sizes[-1:])[:MOST_COUNTS]


def _job_rows(q: Any, w: Training, compute: str, count: int, table: Any, every: bool) -> Any:
    device = q.gpus[0]
    if not table["works"].any():
        fits = table[table["reason"].str.startswith("does not fit")]
        near = fits.sort_values("memory_bytes", kind="stable") if len(fits) else table
        reason = str(near["reason"].iloc[0])
        row = {"gpu": device.id, "precision": compute, "split": f"{count:,} GPUs"}
        sized = {"unit_gpus": count, "gpus": count, "works": False, "reason": reason}
        return pd.DataFrame([{**row, **sized}])
    best = table[table["works"]]
    best = best if every else best.iloc[:1]
    figures = run_figures(q, device, count, best["step_s"].to_numpy(float))
    hours = figures["days"] * 24
    return pd.DataFrame(
        {
            "gpu": device.id,
            "precision": compute,
            "split": _layout_words(best),
            "tp": best["tp"].to_numpy(),
            "pp": best["pp"].to_numpy(),
            "unit_gpus": count,
            "batch": float(w.global_batch),
            "units": 1.0,
            "gpus": float(count),
            "days": figures["days"],
            "speed_s": figures["days"] * DAY_S,
            "hours_month": hours * w.runs_per_year / 12,
            "busy": np.minimum(hours * w.runs_per_year / HOURS_YEAR, 10.0),
            "memory_gib": best["memory_bytes"].to_numpy(float) / GIB,
            "works": True,
            "reason": "",
            "bound": best["bound"].to_numpy(object),
        }
    )


def _layout_words(rows: pd.DataFrame) -> list[str]:
    words = []
    for r in rows.to_dict("records"):
        sizes = [f"{n.upper()} {r[n]}" for n in ("tp", "pp", "cp", "ep", "dp") if r[n] > 1]
        sizes += ["ZeRO-3"] if r["zero_stage"] == 3 else []
        words.append(" ".join(sizes) or "one GPU")
    return words


def images_options(workload: Images, gpus: Sequence[str]) -> Technical:
    """Return how many of each GPU generate the asked images a second."""
    w, rows = workload, []
    for name in gpus:
        parts = image_seconds(image_model(w.model), gpu(name), w.steps, w.size, w.size, w.stack)
        seconds = float(sum(parts.values()))
        need = w.images_per_s * seconds / HEADROOM
        units = float(np.ceil(need))
        rows.append(
            {
                "gpu": name,
                "precision": "bf16",
                "split": "one GPU",
                "tp": 1,
                "pp": 1,
                "unit_gpus": 1,
                "batch": HEADROOM / seconds,
                "units": units,
                "gpus": units,
                "speed_s": seconds,
                "hours_month": w.hours_per_month,
                "works": True,
                "reason": "",
                "bound": "products",
            }
        )
    curves = [
        {
            "batch": r["batch"] * np.geomspace(0.1, 10, 9),
            "excess": np.geomspace(0.1, 10, 9),
            "load": np.array([w.images_per_s]),
        }
        for r in rows
    ]
    table = pd.DataFrame(rows).assign(curve=range(len(rows)))
    return Technical(_filled(table), curves)


_DEFAULTS: dict[str, Any] = {
    "tp": 1,
    "pp": 1,
    "batch": 0.0,
    "units": 0.0,
    "gpus": 0.0,
    "speed_s": np.inf,
    "ttft_s": np.nan,
    "tpot_s": np.nan,
    "days": np.nan,
    "hours_month": HOURS_PER_MONTH,
    "busy": 1.0,
    "most": np.nan,
    "kv_gib": np.nan,
    "memory_gib": np.nan,
    "inherited": False,
    "curve": -1,
    "bound": "",
}


def _filled(table: pd.DataFrame) -> pd.DataFrame:
    """Give every table the same columns, so that the rest of the planner knows one shape."""
    table = table.copy()
    for name, value in _DEFAULTS.items():
        if name not in table:
            table[name] = value
        elif value == value and table[name].isna().any():
            table[name] = table[name].fillna(value)
    for name in ("unit_gpus", "curve", "tp", "pp"):
        table[name] = table[name].astype(int)
    table["inherited"] = table["inherited"].astype(bool)
    table["works"] = table["works"].astype(bool)
    return table.reset_index(drop=True)


def technical(scenario: Scenario, place: int, gpus: Any = None, loads: int = LOADS) -> Technical:
    """Return the options of workload number `place` before prices.

    What was computed is kept: a change of hours, prices or horizon computes nothing again.
    """
    workload: Any = scenario.workloads[place]
    names = tuple(gpus or scenario.allow.gpus)
    hours = getattr(workload, "hours_per_month", None)
    if hours is not None:
        workload = workload.model_copy(update={"hours_per_month": HOURS_PER_MONTH})
    # Only what matters for speed is part of the key.
    plain = {"from_quarter": 1, "to_quarter": 40, "growth": 0.0, "interruptible": True}
    workload = workload.model_copy(update=plain)
    found = _technical(workload, names, scenario.allow.precisions, scenario.limits.gpus, loads)
    if hours is None:
        return found
    return Technical(found.table.assign(hours_month=float(hours)), found.curves)


@lru_cache(128)
def _technical(
    workload: Any, gpus: tuple[str, ...], precisions: Any, most_gpus: int, loads: int
) -> Technical:
    if isinstance(workload, Inference):
        return inference_options(workload, gpus, precisions, loads)
    if isinstance(workload, Training):
        return training_options(workload, gpus, precisions, most_gpus)
    if isinstance(workload, Images):
        return images_options(workload, gpus)
    valid = "the planner takes training, inference and images"
    raise InputError("workloads.kind", workload.kind, valid)


@lru_cache(1024)
def _layouts(question: Any, count: int) -> pd.DataFrame:
    return layout_table(question, question.gpus[0], count)
