"""Ways to run a service: of tokens, of images, of many small tenants."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError
from gpuspec.base.units import GIB
from gpuspec.catalog import gpu
from gpuspec.catalog.images import image_model
from gpuspec.decision.plan.rows import LOADS, Technical, filled, stacked
from gpuspec.decision.scenario import Images, Inference, Tenants
from gpuspec.decision.scenario.questions import service_question
from gpuspec.formulas.images import image_seconds
from gpuspec.formulas.memory import sequence_kv_bytes
from gpuspec.formulas.serving import arrivals, max_concurrency
from gpuspec.topics.mig import MigQuestion, pack, tenant_options
from gpuspec.topics.serving.layouts import expert_split, impossible, shortfall
from gpuspec.topics.serving.options import BOUNDS, largest_rate, served

SPLITS = ((1, 1), (2, 1), (4, 1), (8, 1), (2, 2), (4, 2), (8, 2))
"""Tensor-parallel sizes and pipeline stages of a replica that are tried."""
EVEN = 24
"""Numbers of replicas that are tried one by one."""
HEADROOM = 0.85
"""Share of its throughput at which an image service is run, so that queues stay short."""
PACKING_S = 1.0
"""Time that the solver gets to pack tenants on one kind of GPU."""


def inference_options(
    workload: Inference, gpus: Sequence[str], precisions: Sequence[str], loads: int = LOADS
) -> Technical:
    """Return every GPU, format, split and load of a replica for a service of tokens."""
    w = workload
    parts: list[dict[str, Any]] = []
    curves: list[dict[str, np.ndarray]] = []
    q = service_question(w, list(gpus), list(precisions), w.request_rate)
    for device, weight in product(q.devices, q.formats):
        whole = False  # once a node holds the model, no replica needs a second one
        for tp, pp in SPLITS:
            if (whole and tp * pp > 8) or (w.request_rate and pp > 1):
                continue  # queues of replicas with pipelines take long to compute
            base: dict[str, Any] = {"gpu": device.id, "precision": weight.id, "tp": tp, "pp": pp}
            base |= {"split": _split(tp, pp), "unit_gpus": tp * pp}
            replica = q.replica(device, weight, tp, pp, expert_split(q.network, tp))
            why = impossible(q.network, tp, pp) or _shortfall(replica, q)
            if why:
                parts.append({**base, "works": False, "reason": why})
                continue
            whole = True
            curve, part = _curve(q, replica, base, w, loads)
            parts.append(part | {"curve": len(curves)})
            curves.append(curve)
    return Technical(stacked(parts), curves)


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


@lru_cache(512)
def _rate_within(q: Any, device: Any, weight: Any, tp: int, pp: int, ep: int) -> float:
    """Return the largest rate of a replica; it does not depend on the rate that is asked."""
    return largest_rate(q, q.replica(device, weight, tp, pp, ep))


def _for_rate(
    q: Any, replica: Any, base: dict[str, Any], w: Inference, most: float
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the option that just keeps the limits when requests arrive at random."""
    layout = replica.layout
    asked = (layout.gpu, layout.weight, layout.tp, layout.pp, layout.ep)
    rate = _rate_within(q.model_copy(update={"request_rate": 1.0}), *asked)
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
    units = float(np.ceil(w.arriving / rate))
    seen = arrivals(replica, w.arriving / units, w.isl, w.osl, w.cached_share)
    row |= {"batch": float(seen["in_flight"]), "units": units, "gpus": units * base["unit_gpus"]}
    row |= {"ttft_s": float(seen["ttft_p95_s"]), "tpot_s": float(seen["tpot_p95_s"])}
    row["speed_s"] = row["tpot_s"]
    # What a replica carries is proportional to its speed: a curve through its one known point.
    ladder = np.geomspace(0.25, 4.0, 9)
    curve = {"batch": rate * ladder, "excess": ladder, "load": np.array([w.request_rate])}
    return curve, row


def images_options(workload: Images, gpus: Sequence[str]) -> Technical:
    """Return how many of each GPU generate the asked images a second."""
    w = workload
    rows: list[dict[str, Any]] = []
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
    return Technical(filled(table), curves)


def tenants_options(workload: Tenants, gpus: Sequence[str]) -> Technical:
    """Return how many of each GPU hold all tenants, each on a slice or on whole GPUs."""
    rows: list[dict[str, Any]] = []
    curves: list[dict[str, np.ndarray]] = []
    for name in gpus:
        row: dict[str, Any] = {"gpu": name, "precision": "", "split": "MIG slices"}
        row |= {"unit_gpus": 1, "hours_month": workload.hours_per_month, "curve": len(curves)}
        count, why = _packed(workload, name)
        row |= {"works": not why, "reason": why, "units": float(count), "gpus": float(count)}
        rows.append(row | {"batch": 1.0, "speed_s": 1.0, "bound": "slices"})
        # Memory decides on most slices: the number of GPUs does not follow the speed.
        flat = {"batch": np.array([1.0, 1.0 + 1e-9]), "excess": np.array([1e-9, 2e-9])}
        curves.append(flat | {"load": np.array([float(count)])})
    return Technical(filled(pd.DataFrame(rows)), curves)


def _packed(workload: Tenants, name: str) -> tuple[int, str]:
    """Return the GPUs of one kind that hold all tenants, or why they do not."""
    table: Any = workload.table if isinstance(workload.table, str) else list(workload.table)
    price = f"{name}=1"
    try:
        question = MigQuestion.ask(
            tenants=table,
            gpus=[name],
            prices=price,
            objective="gpus",
            solver_seconds=PACKING_S,
            reserve=0.0,
        )
    except InputError as error:
        if error.field in ("gpu", "gpus", "gpu_name"):
            return 0, f"it has no MIG in the tables ({error.valid})"
        raise
    found = pack(question, tenant_options(question))
    if found.unplaced:
        return 0, f"no place for {', '.join(found.unplaced[:3])}"
    return sum(found.gpus.values()), ""
