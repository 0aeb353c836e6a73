"""What was measured of settings like those that a question of training asks for."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.base.units import NODE_GPUS
from gpuspec.catalog import Gpu, gpu
from gpuspec.constants.collectives import joined_ground
from gpuspec.constants.fabrics import BOARD_GPUS, link_key
from gpuspec.constants.ground import (
    ALONE,
    KNOWN,
    NONE,
    Ground,
    Reason,
    framework_on,
    framework_reach,
    ground_codes,
    ground_of,
    joined,
    model_kind,
)
from gpuspec.constants.training import framework, framework_known
from gpuspec.topics.training.ask import TrainingQuestion

SIZES = ("tp", "pp", "cp", "ep")
IN_HOST_MEMORY = "of the time of steps that keep states or activations in host memory"
HELD_BY_HOST = Ground("far", (Reason.of(NONE, what=IN_HOST_MEMORY),))
OF_POWER_LIMITS = "of power limits"
HELD_BY_POWER = Ground("near", (Reason.of(ALONE, what=OF_POWER_LIMITS),))
OF_NODES = "with nodes of other than 8 GPUs"
OTHER_NODES = Ground("far", (Reason.of(NONE, what=OF_NODES),))
ONE_PROCESSOR = (
    "all PCIe cards of a node are taken to be on one processor: the notebook networks tells what "
    "two cost (pcie_sockets)"
)
NVSWITCH = "NVSwitch is taken to join the GPUs of a node: boards of four without it are slower"


def setting(
    question: TrainingQuestion, device: Gpu, count: int, layout: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what layouts (sizes, or arrays of them) say of their setting, as ground takes it."""
    q, split = question, {name: np.asarray(layout[name]) for name in SIZES}
    name, nodes = framework(q.framework)[0], NODE_GPUS / q.gpus_per_node
    tuning = levels(q, device, count)["tuning"]
    return {
        "framework": name,
        "known_on": framework_on(name, device.architecture, tuning),
        "gpu": device.id,
        "generation": device.architecture,
        "precision": levels(q, device, count)["precision"],
        "tuning": tuning,
        "kind": model_kind(q.network),
        "tensor_reach": framework_reach(name, split["tp"] * nodes),
        "pipeline_reach": framework_reach(name, np.where(split["pp"] > 1, count * nodes, 1)),
        "params_b": q.network.params / 1e9,
        "gpus": count,
        "seq_len": q.seq_len,
        **split,
    }


def levels(question: TrainingQuestion, device: Gpu, count: int) -> dict[str, str]:
    """Return what decides the width of the interval of a step."""
    q = question
    return {
        "known": framework_known(q.framework),
        "precision": "fp8" if q.computes_in(device) == "fp8" else "16 bit",
        "tuning": "all weights" if q.tuning == "full" else "adapters",
        "kind": model_kind(q.network),
        "generation": device.architecture,
        "reach": "between nodes" if count > q.gpus_per_node else "in a node",
    }


def layouts_ground(
    question: TrainingQuestion, device: Gpu, count: int, grid: pd.DataFrame
) -> np.ndarray:
    """Return the ground, as codes, of every layout of a grid."""
    split = {name: grid[name].to_numpy(int) for name in SIZES}
    codes = ground_codes("training", setting(question, device, count, split))
    codes = np.maximum(codes, network_ground(question, device, count).code)
    codes = np.where(grid["offload"] != "", np.maximum(codes, HELD_BY_HOST.code), codes)
    return np.broadcast_to(codes, (len(grid),))


def network_ground(question: TrainingQuestion, device: Gpu, count: int) -> Ground:
    """Return the ground of what joins the GPUs, and of their power limit."""
    q = question
    known = [joined_ground(device, count, q.network_kind, q.network_gb_s(device))]
    if q.gpus_per_node != NODE_GPUS and count > min(q.gpus_per_node, NODE_GPUS):
        known.append(OTHER_NODES)
    known.append(wiring_ground(device, count, q.gpus_per_node))
    if q.as_limited(device).tdp_w < device.tdp_w:
        known.append(HELD_BY_POWER)
    return joined(known)


def wiring_ground(device: Gpu, count: int, gpus_per_node: int) -> Ground:
    """Return the ground of wirings that a question of training cannot ask for, with what is taken.

    Several PCIe cards may be on two processors; nodes of up to four SXM modules are mostly boards
    whose NVLinks join each pair.
    """
    inside = min(count, gpus_per_node)
    if inside > 2 and link_key(device).startswith("pcie"):
        return Ground("far", (Reason.of(ONE_PROCESSOR),))
    if device.form_factor == "sxm" and inside > 1 and gpus_per_node <= BOARD_GPUS:
        return Ground("far" if count > inside else "near", (Reason.of(NVSWITCH),))
    return KNOWN


def layout_ground(question: TrainingQuestion, row: Mapping[str, Any]) -> Ground:
    """Return the ground of one layout, a row with ``gpu``, ``gpus`` and its sizes."""
    device, count = gpu(str(row["gpu"])), int(row["gpus"])
    known = ground_of("training", setting(question, device, count, row))
    kept = [HELD_BY_HOST] if row.get("offload") else []
    return joined([known, network_ground(question, device, count), *kept])
