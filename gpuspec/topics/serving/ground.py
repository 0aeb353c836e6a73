"""What was measured of settings like those that a question of serving asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gpuspec.base.lazy import pd
from gpuspec.base.units import GB, NODE_GPUS
from gpuspec.catalog import Gpu
from gpuspec.constants.collectives import joined_ground
from gpuspec.constants.ground import (
    FAR,
    KNOWN,
    Ground,
    Reason,
    format_name,
    ground_codes,
    ground_of,
    joined,
    model_kind,
    reach_of,
)
from gpuspec.constants.images import image_bits
from gpuspec.formulas.images import ImageJob
from gpuspec.formulas.serving import Layout
from gpuspec.formulas.serving.disaggregated import Disaggregated
from gpuspec.formulas.splits import Split
from gpuspec.topics.serving.ask import Replicas

APART = "{reason}, where prompts are read on GPUs of their own"
ALONE_APART = "one publisher's measurements alone of prompts read on GPUs of their own"


def setting(question: Replicas, layout: Layout, load: float) -> dict[str, Any]:
    """Return what a replica at a load says of its setting, as ground takes it."""
    q = question
    return {
        **_common(q),
        "gpu": layout.gpu.id.partition("/")[0],  # what a slice is, its own measurements say
        "generation": layout.gpu.architecture,
        "weights": format_name(layout.weight.main),
        "attention_dp": "data-parallel" if layout.attention_dp > 1 else "split",
        "tensor_reach": reach_of(layout.tp),
        "tp": layout.tp,
        "pp": layout.pp,
        "ep": layout.ep,
        "load": load,
    }


def _common(q: Replicas) -> dict[str, Any]:
    lengths = {"isl": q.prompt_tokens}
    if q.network.kind != "encoder":
        lengths["osl"] = q.osl
    return {
        "engine": q.runtime.engine,
        "kind": model_kind(q.network),
        "cache": format_name(q.kv_format),
        "params_b": q.network.params / 1e9,
        **lengths,
    }


def levels(question: Replicas, architecture: str) -> dict[str, str]:
    """Return what decides the width of the intervals of a replica under load."""
    return {
        "engine": question.runtime.engine,
        "kind": model_kind(question.network),
        "generation": architecture,
        "scenario": "serving",
    }


def replica_ground(question: Replicas, layout: Layout, load: float) -> Ground:
    """Return the ground of a replica at a load."""
    known = ground_of("inference", setting(question, layout, load))
    return joined([known, network_ground(layout)])


def network_ground(layout: Layout) -> Ground:
    """Return the ground of what joins the nodes of a replica; inside one, engines were measured."""
    if layout.nodes < 2:
        return KNOWN
    rate = layout.fabric.node_bytes_s / GB
    return joined_ground(layout.gpu, layout.gpus, layout.network_kind, rate)


def separate_ground(question: Replicas, pair: Disaggregated, load: float) -> Ground:
    """Return the ground of prompts that are read on GPUs of their own; not above that of a side."""
    q, device = question, pair.decode.layout.gpu
    each = load / (pair.prefill_workers + pair.decode_workers)
    sides = [replica_ground(q, side.layout, each) for side in (pair.prefill, pair.decode)]
    said = _common(q) | {"gpu": device.id, "generation": device.architecture}
    apart = ground_of("disaggregated", said | {"gpus": pair.gpus, "load": load})
    reasons = [Reason.of(APART, reason=reason) for reason in apart.reasons]
    if apart.code < FAR:  # all of it is of one publisher
        reasons = [Reason.of(ALONE_APART)]
    return joined([*sides, Ground(apart.level, tuple(reasons))])


def ways_ground(question: Replicas, table: pd.DataFrame) -> np.ndarray:
    """Return the ground, as codes, of every way of a table: ``gpu``, ``precision``, ``tp``..."""
    devices = {device.id: device for device in question.devices}
    place, names = pd.factorize(table["gpu"])
    forms, called = pd.factorize(table["precision"])
    tp, groups = (table[name].to_numpy(int) for name in ("tp", "attention_dp"))
    main = np.array([format_name(question.format_of(str(name)).main) for name in called])
    said = {
        **_common(question),
        "gpu": np.asarray(names, str)[place],
        "generation": np.array([devices[name].architecture for name in names])[place],
        "weights": main[forms],
        "attention_dp": np.where(groups > 1, "data-parallel", "split"),
        "tensor_reach": reach_of(tp),
        "tp": tp,
        "pp": table["pp"].to_numpy(int),
        "ep": table["ep"].to_numpy(int),
        "load": table["batch"].to_numpy(float),
    }
    codes = ground_codes("inference", said)
    for i in np.flatnonzero(tp * said["pp"] > NODE_GPUS):
        replica = question.replica(*_way(question, dict(table.iloc[i])))
        codes[i] = max(codes[i], network_ground(replica.layout).code)
    return codes


def way_ground(question: Replicas, row: Mapping[str, Any]) -> Ground:
    """Return the ground of one way, a row of the table of ways, with its reasons."""
    replica = question.replica(*_way(question, row))
    return replica_ground(question, replica.layout, float(row["batch"]))


def _way(question: Replicas, row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return GPU, format and split of a way."""
    device = next(g for g in question.devices if g.id == row["gpu"])
    split = (int(row[name]) for name in Split._fields)
    return device, question.format_of(str(row["precision"])), *split


def images_ground(device: Gpu, model: str, job: ImageJob) -> Ground:
    """Return the ground of images on a GPU."""
    said = {"gpu": device.id, "generation": device.architecture, "model": model}
    pixels = np.asarray(job.width) * np.asarray(job.height)
    asked = {"stack": job.stack, "bits": image_bits(job.precision), "steps": job.steps}
    return ground_of("images", {**said, **asked, "pixels": pixels})
