"""The options of a workload before prices, whatever its kind; what was computed is kept."""

from functools import lru_cache
from typing import Any

from gpuspec.decision.plan.jobs import hpc_options, training_options
from gpuspec.decision.plan.rows import LOADS, Technical
from gpuspec.decision.plan.serving import images_options, inference_options, tenants_options
from gpuspec.decision.scenario import Hpc, Images, Inference, Scenario, Training
from gpuspec.decision.scenario.records import HOURS_PER_MONTH, KINDS


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
    workload = workload.timeless().model_copy(update={"interruptible": True})
    if hasattr(workload, "runs_per_year"):  # a horizon holds a whole run at least
        runs = max(workload.runs_per_year, 12 / scenario.horizon_months)
        workload = workload.model_copy(update={"runs_per_year": runs})
    key = workload.model_dump_json()
    found = _technical(
        workload.kind, key, names, scenario.allow.weights, scenario.limits.gpus, loads
    )
    if hours is None:
        return found
    return Technical(found.table.assign(hours_month=float(hours)), found.curves)


@lru_cache(128)
def _technical(
    kind: str, asked: str, gpus: tuple[str, ...], precisions: Any, most_gpus: int, loads: int
) -> Technical:
    workload: Any = KINDS[kind].model_validate_json(asked)
    if isinstance(workload, Inference):
        return inference_options(workload, gpus, precisions, loads)
    if isinstance(workload, Training):
        return training_options(workload, gpus, precisions, most_gpus)
    if isinstance(workload, Images):
        return images_options(workload, gpus)
    if isinstance(workload, Hpc):
        return hpc_options(workload, gpus, most_gpus)
    return tenants_options(workload, gpus)
