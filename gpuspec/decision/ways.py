"""The ways to run a workload of a scenario, whatever its kind; what was computed is kept.

`plan` picks from them at one time, `upgrade` over quarters.
"""

from dataclasses import replace
from functools import lru_cache
from typing import Any

from gpuspec.base.units import HOURS_MONTH
from gpuspec.catalog import gpu
from gpuspec.decision.scenario import Hpc, Images, Inference, Scenario, Training
from gpuspec.decision.scenario.questions import image_question, job_question, service_question
from gpuspec.decision.scenario.records import KINDS
from gpuspec.topics.hpc.ways import hpc_ways
from gpuspec.topics.mig.ways import tenants_ways
from gpuspec.topics.serving.ways import LOADS, Lane, images_ways, service_ways, tried
from gpuspec.topics.training.ways import training_ways
from gpuspec.topics.ways import Ways, joined_ways


def scenario_ways(
    scenario: Scenario, place: int, gpus: Any = None, loads: int = LOADS, **of: Any
) -> Ways:
    """Return the ways to run workload number `place` of a scenario.

    `of` are ``among`` and ``bound`` of `service_ways`.
    """
    names = tuple(gpus or scenario.allow.gpus)
    fastest = scenario.objective == "time"
    most = scenario.limits.gpus or 0
    work = scenario.works[place]
    return workload_ways(work, names, scenario.allow.weights, most, loads, fastest, **of)


def workload_ways(
    workload: Any,
    gpus: tuple[str, ...],
    precisions: tuple[str, ...],
    most_gpus: int = 0,
    loads: int = LOADS,
    fastest: bool = False,
    among: frozenset[Lane] | None = None,
    bound: bool = False,
) -> Ways:
    """Return the ways to run a workload on `gpus` in `precisions`.

    What was computed is kept: a change of hours, prices or horizon computes nothing again.
    """
    hours = getattr(workload, "hours_per_month", None)
    same = {"interruptible": True} | ({} if hours is None else {"hours_per_month": HOURS_MONTH})
    # Only what matters for speed is part of the key.
    key = workload.timeless().model_copy(update=same).model_dump_json()
    if workload.kind in ("images", "hpc", "tenants"):
        precisions = ()  # these have their own
    if workload.kind != "inference":
        loads = LOADS  # which is of services of tokens alone
    found = _ways(workload.kind, key, gpus, precisions, most_gpus, loads, fastest, among, bound)
    if hours is None:
        return found
    return replace(found, table=found.table.assign(hours_month=float(hours)))


@lru_cache(256)
def _ways(
    kind: str,
    asked: str,
    gpus: tuple[str, ...],
    precisions: Any,
    most_gpus: int,
    loads: int,
    fastest: bool,
    among: frozenset[Lane] | None,
    bound: bool,
) -> Ways:
    w: Any = KINDS[kind].model_validate_json(asked)
    if isinstance(w, Inference):
        vendors = dict.fromkeys(gpu(name).vendor for name in gpus)
        groups = [[name for name in gpus if gpu(name).vendor == of] for of in vendors]
        asks = [service_question(w, names, list(precisions)) for names in groups]
        each = [q for q in asks if tried(q, among)]
        return joined_ways([service_ways(q, loads, w.prefill_apart, among, bound) for q in each])
    if isinstance(w, Training):
        job = job_question(w, list(gpus), 8, "bf16")
        return training_ways(job, precisions, w.runs_per_year or 1.0, most_gpus, fastest=fastest)
    if isinstance(w, Images):
        return images_ways(image_question(w, gpus), gpus, w.images_per_s)
    if isinstance(w, Hpc):
        size = (w.gpu_hours, w.deadline_days, w.runs_per_year)
        return hpc_ways(w.workload, w.reference_gpu, gpus, *size, most_gpus)
    return tenants_ways(w.table, gpus)
