"""What was measured of classes of computations like those that a question asks for."""

import re
from functools import cache

from gpuspec.base.units import NODE_GPUS
from gpuspec.catalog import Gpu
from gpuspec.catalog.workloads import workloads
from gpuspec.constants.ground import ALONE, LEAST_PUBLISHERS, NONE, Ground, ground_of, joined
from gpuspec.constants.hpc import pair_publishers
from gpuspec.evidence.measurements.hpc import dynamic_programs
from gpuspec.evidence.measurements.rows import measurements
from gpuspec.topics.hpc.names import short_name


def class_ground(device: Gpu, workload: str, beside: Gpu | None = None, gpus: int = 1) -> Ground:
    """Return the ground of a class of computations on GPUs of a kind, or of its ratio to another.

    A ratio is near where nobody, or one publisher alone, measured both generations in the class.
    """
    said = {"generation": device.architecture, "gpu": device.id, "workload": workload}
    found = ground_of("hpc", {**said, "gpus": gpus})
    if beside is not None and beside.id != device.id:
        known = pair_publishers(workload, device.architecture, beside.architecture)
        both = f"{workload} on {beside.architecture} and {device.architecture} alike"
        reason = f"{ALONE if known else NONE} of {both}"
        both_sides = joined([found, class_ground(beside, workload)])
        pair = Ground("near", (reason,)) if known < LEAST_PUBLISHERS else Ground("measured")
        found = both_sides if both_sides.code > pair.code or known >= LEAST_PUBLISHERS else pair
    if workload not in workloads().index:
        return found
    name = short_name(workload)
    reasons = [re.sub(rf"\b{re.escape(workload)}\b", name, r) for r in found.reasons]
    return Ground(found.level, tuple(dict.fromkeys(reasons)))


def scaling_ground(device: Gpu, workload: str, gpus: int) -> Ground:
    """Return the ground of a class on many GPUs: far over nodes where no run of it is published."""
    found = class_ground(device, workload, gpus=gpus)
    if gpus <= NODE_GPUS or workload in _over_nodes():
        return found
    name = short_name(workload) if workload in workloads().index else workload
    return joined([found, Ground("far", (f"{NONE} of {name} over nodes",))])


@cache
def _over_nodes() -> set[str]:
    """Return the classes of which runs over several nodes are published."""
    rows = measurements("hpc")
    return set(rows.loc[rows["nodes"] > 1, "workload"])


def dynamic_ground(device: Gpu, algorithm: str, dpx: bool) -> Ground:
    """Return the ground of a recurrence: whether published programs run it like that."""
    seen = dynamic_programs()
    seen = seen[seen["algorithm"] == algorithm]
    like = seen[(seen["gpu"] == device.id) & ((seen["dpx"] == "hardware") == dpx)]
    if like["publisher"].nunique() >= LEAST_PUBLISHERS:
        return Ground("measured")
    way = f"{algorithm} {'with' if dpx else 'without'} DPX on {device.id}"
    return Ground("near" if len(like) else "far", (f"{ALONE if len(like) else NONE} of {way}",))
