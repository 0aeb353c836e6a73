"""What a unit of each workload needs on each kind of node, from the models of speed and memory."""

from functools import lru_cache
from typing import Any

import numpy as np

from gpuspec.base.errors import InputError
from gpuspec.catalog import Gpu
from gpuspec.catalog.models import model
from gpuspec.decision.scenario import Hpc, Images, Inference, Training
from gpuspec.decision.scenario.questions import job_question, service_question
from gpuspec.decision.scenario.records import HOURS_PER_MONTH
from gpuspec.decision.upgrade.demand import Demand, Way
from gpuspec.decision.upgrade.problem import QUARTERS_A_YEAR
from gpuspec.formulas.memory import sequence_kv_bytes
from gpuspec.formulas.training import parallel_sizes
from gpuspec.topics.hpc import HpcQuestion, speed_table
from gpuspec.topics.serving import ImagesQuestion, images_table
from gpuspec.topics.serving.layouts import expert_split, impossible, precision_note, shortfall
from gpuspec.topics.serving.options import largest_load, largest_rate
from gpuspec.topics.training import best_layout, run_figures

DAYS = 365.25 / QUARTERS_A_YEAR
"""Days of a quarter."""
SPLITS = (1, 2, 4, 8)
COUNTS = (8, 16, 32, 64, 128, 256)
ADAPTER_COUNTS = (1, 2, 4)
"""Numbers of GPUs below a node that are tried where only adapters are trained."""
WORTH = 1.25
"""How much more another precision must deliver for it to be an option of its own."""


def demand_of(
    workload: Any, devices: tuple[Gpu, ...], precisions: tuple[str, ...], quarters: int
) -> Demand:
    """Return what a workload of a scenario asks for in each quarter and the ways to run it.

    Replicas are whole; so are jobs. Growth multiplies the load of a service and the size of a
    job. A job with a deadline beyond a quarter counts as equal stages of a quarter each.
    """
    if isinstance(workload, Inference):
        return _service(workload, devices, precisions, quarters)
    if isinstance(workload, Images):
        return _images(workload, devices, quarters)
    if isinstance(workload, Hpc):
        return _simulation(workload, devices, quarters)
    return _training(workload, devices, precisions, quarters)


def covered(workload: Any) -> bool:
    """Return whether upgrade plans know what a workload needs."""
    return isinstance(workload, Inference | Images | Training | Hpc)


def _growing(workload: Any, quarters: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (T,) the size against the first quarter of the workload, and where it runs."""
    number = np.arange(1, quarters + 1)
    runs = (number >= workload.from_quarter) & (number <= workload.to_quarter)
    return (1 + workload.growth) ** np.maximum(number - workload.from_quarter, 0), runs


def _service(w: Inference, devices: Any, precisions: Any, quarters: int) -> Demand:
    size, runs = _growing(w, quarters)
    ways, reasons, hunger = [], {}, 0.0
    for device in devices:
        found = [_replica(w, device, form) for form in precisions]
        good = [f for f in found if f["output"] > 0]
        if not good:
            reasons[device.id] = found[0]["reason"]
        for choice in _worth(good):
            hunger = max(hunger, choice.pop("bytes"))
            ways.append(Way(days=np.zeros(quarters), allowed=runs, quantity="throughput", **choice))
    load: Any = w.request_rate or float(w.concurrency or 1)
    unit = "requests/s" if w.request_rate else "requests in flight"
    share = min(w.hours_per_month / HOURS_PER_MONTH, 1.0)
    return Demand(
        w.name, unit, False, False, load * size * runs, hunger, share, tuple(ways), reasons
    )


def _worth(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep the first precision, and another one where it delivers a quarter more a GPU."""
    kept: list[dict[str, Any]] = []
    for one in found:
        one.pop("reason")
        best = max((k["output"] / k["gpus"] for k in kept), default=0.0)
        if one["output"] / one["gpus"] > WORTH * best:
            kept.append(one)
    return kept


@lru_cache(512)
def _replica_found(w: Inference, device: Gpu, form: str) -> tuple[tuple[str, Any], ...]:
    """Return the replica that does most a GPU within the limits, with its memory."""
    q = service_question(w, device.id, form)
    best: Any = (0.0, None, 0.0, 0)
    reason = "it keeps the limits in no split"
    for tp in SPLITS:
        why = impossible(q.network, tp, 1)
        if why:
            reason = why
            continue
        replica = q.replica(device, q.formats[0], tp, 1, expert_split(q.network, tp))
        why = shortfall(replica, q.context)
        if why:
            reason = why
            continue
        within = largest_load(q, replica)[1]
        if within / tp > best[0]:
            best = (within / tp, replica, within, tp)
    _, chosen, within, tp = best
    output = largest_rate(q, chosen) if chosen is not None and w.request_rate else within
    held = q.network.params * q.formats[0].bits / 8
    kv = float(sequence_kv_bytes(q.network, q.context, 2.0)) * max(within, 1.0)
    return (
        ("gpu", device.id),
        ("precision", form),
        ("gpus", tp),
        ("output", float(output)),
        ("split", f"TP {tp}"),
        ("bytes", held + kv),
        ("reason", reason + (f" ({precision_note(device, q.formats[0])})" if not output else "")),
    )


def _replica(w: Inference, device: Gpu, form: str) -> dict[str, Any]:
    return dict(_replica_found(w.timeless(), device, form))


def _images(w: Images, devices: Any, quarters: int) -> Demand:
    size, runs = _growing(w, quarters)
    table = images_table(
        ImagesQuestion.ask(
            image_model=w.model,
            gpus=[d.id for d in devices],
            image_steps=w.steps,
            image_size=w.size,
            image_stack=w.stack,
        )
    )
    ways = tuple(
        Way(
            gpu=str(row["gpu"]),
            precision="bf16",
            gpus=1,
            output=float(row["images_s"]),
            days=np.zeros(quarters),
            allowed=runs,
            split="one GPU",
            quantity="images",
        )
        for row in table.to_dict("records")
    )
    share = min(w.hours_per_month / HOURS_PER_MONTH, 1.0)
    load = w.images_per_s * size * runs
    held = 2.0 * model(w.model).params
    return Demand(w.name, "images/s", False, False, load, held, share, ways, {})


def _training(w: Training, devices: Any, precisions: Any, quarters: int) -> Demand:
    size, runs = _growing(w, quarters)
    jobs, stages, limit = _jobs(w, quarters, runs)
    ways: list[Way] = []
    reasons, hunger = {}, 0.0
    counts = (*ADAPTER_COUNTS, *COUNTS) if w.tuning != "full" else COUNTS
    base = w.timeless()
    for device in devices:
        forms = [p for p in precisions if p in ("bf16", "fp8")] or ["bf16"]
        forms = [f for f in forms if f != "fp8" or "fp8" in device.precisions]
        for form in forms:
            tried = [(c, lambda n, d=device, f=form: _run_days(base, d, f, n)) for c in counts]
            found, why, held = _smallest(device.id, form, tried, size / stages, limit, runs)
            ways += found
            hunger = max(hunger, held)
            if not found and form == forms[0]:
                reasons[device.id] = why
    spot = bool(getattr(w, "interruptible", True))
    return Demand(w.name, "jobs", True, spot, jobs, hunger, 1.0, tuple(ways), reasons)


def _jobs(w: Training | Hpc, quarters: int, runs: Any) -> tuple[np.ndarray, int, float]:
    """Return (T,) jobs of each quarter, stages of a run, days that a stage may take."""
    stages = int(np.ceil(w.deadline_days / DAYS - 1e-9))
    done = np.arange(quarters + 1) * w.runs_per_year / QUARTERS_A_YEAR
    since = np.maximum(np.arange(quarters) + 1 - w.from_quarter, 0)
    jobs = (np.ceil(done[since + 1] - 1e-9) - np.ceil(done[since] - 1e-9)) * runs * stages
    return jobs, stages, min(w.deadline_days / stages, DAYS)


def _simulation(w: Hpc, devices: Any, quarters: int) -> Demand:
    """Return a simulation: hours known on one GPU, the model's ratio of speeds to the others.

    A run is taken to split into cases that go side by side.
    """
    size, runs = _growing(w, quarters)
    jobs, stages, limit = _jobs(w, quarters, runs)
    ways: list[Way] = []
    reasons, held = {}, 0.0
    for device in devices:
        try:
            asked = HpcQuestion.ask(application=w.workload, gpus=[w.reference_gpu, device.id])
        except InputError as error:
            if error.field not in ("gpu", "gpus"):
                raise InputError("workloads.workload", error.value, error.valid) from None
            reasons[device.id] = error.valid
            continue
        found, held = speed_table(asked).iloc[-1], float(asked.memory_bytes)
        if not found["fits"]:
            reasons[device.id] = "the case does not fit its memory"
            continue
        days = w.gpu_hours / float(found["speed"]) / 24
        tried = [
            (c, lambda n, d=days: (d / n, "", "cases side by side", 0.0))
            for c in (*ADAPTER_COUNTS, *COUNTS)
        ]
        good, why, _ = _smallest(device.id, "fp64", tried, size / stages, limit, runs)
        ways += good
        if not good:
            reasons[device.id] = why
    spot = bool(getattr(w, "interruptible", True))
    return Demand(w.name, "jobs", True, spot, jobs, held, 1.0, tuple(ways), reasons)


@lru_cache(512)
def _run_days(w: Training, device: Gpu, form: str, count: int) -> tuple[float, str, str, float]:
    """Return days of one whole run, why there is none, its split, and the bytes of its states."""
    q = job_question(w, device.id, count, form)
    best = best_layout(q, device, count)
    if not best["works"]:
        return np.inf, str(best["reason"]), "", 0.0
    days = float(run_figures(q, device, count, best["step_s"])["days"])
    split = ", ".join(parallel_sizes(best)) or "one GPU"
    kept = q.recipe.weight_bytes
    if w.tuning == "full":
        kept += q.recipe.grad_bytes + q.recipe.optimizer_bytes
    return days, "", split, float(q.network.params * kept)


def _smallest(
    gpu: str, form: str, tried: Any, size: Any, limit: float, runs: Any
) -> tuple[list[Way], str, float]:
    """Return the smallest numbers of GPUs that meet the deadline, as the job grows.

    `tried` holds pairs of a number and of a call that gives the days of a run on it, why there
    is none, how it is split and the bytes that it holds.
    """
    found: list[Way] = []
    left, why, held = np.array(runs), "no number tried meets the deadline", 0.0
    for count, call in tried:
        one, reason, split, memory = call(count)
        days = one * size
        new = left & (days <= limit)
        why = reason or f"{count} GPUs miss the deadline by {days.max() - limit:,.1f} days"
        if new.any():
            held = held or memory
            able = np.array(runs) & (days <= limit)
            days = np.where(able, days, 0.0)
            found.append(Way(gpu, form, count, 1.0, days, able, split, "step time"))
            left &= ~new
        if not left.any():
            break
    return found, why, held
