"""On which slices, and on how many whole GPUs, each tenant runs; and why not on the others."""

from typing import Any

import numpy as np
import pandas as pd

from gpuspec.base.units import GIB
from gpuspec.catalog import Gpu
from gpuspec.formulas.mig import Geometry, geometry, slice_gpu
from gpuspec.formulas.serving import Engine
from gpuspec.topics.hpc import class_seconds
from gpuspec.topics.mig.ask import MigQuestion
from gpuspec.topics.mig.reading import Tenant
from gpuspec.topics.serving import ServingQuestion, best_options
from gpuspec.topics.serving import options_table as serving_options

WHOLE_GPU = "whole"
"""Stands for GPUs without MIG in the column of profiles."""
MOST_INSTANCES = 7
"""Instances over which one tenant is spread at most."""
SLICE_TOKENS = 2048
SLICE_SEQUENCES = 256
"""Settings of an engine on a slice: ``--max-num-batched-tokens``, ``--max-num-seqs``."""
COLUMNS = [
    "tenant",
    "gpu",
    "profile",
    "instances",
    "works",
    "reason",
    "capacity",
    "memory_free",
    "ttft_s",
    "tpot_s",
    "output_tokens_s",
    "work_kind",
]


def ordered_profiles(rules: Geometry) -> list[str]:
    """Return the profiles for tenants, smallest first; wherever one lies, all before it would.

    The 7g profile is left out: it takes the whole GPU, which does at least as much without MIG.
    """
    plain = [p for p in rules.profiles.values() if not p.media_engine and p.compute_slices < 7]
    return [p.profile for p in sorted(plain, key=lambda p: (p.compute_slices, p.memory_slices))]


def slice_engine(engine: Engine) -> Engine:
    """Return an engine as it is started on a slice: smaller batches, and smaller buffers for them.

    What an engine keeps beside weights and cache was fitted on whole GPUs with its default
    budget of tokens; it is taken to shrink with the budget.
    """
    tokens = min(engine.limits.max_tokens, SLICE_TOKENS)
    sequences = min(engine.limits.max_sequences, SLICE_SEQUENCES)
    limits = engine.limits.model_copy(update={"max_tokens": tokens, "max_sequences": sequences})
    reserve = engine.terms.reserve_gb * tokens / engine.limits.max_tokens
    terms = engine.terms.model_copy(update={"reserve_gb": reserve})
    return engine.model_copy(update={"limits": limits, "terms": terms})


def tenant_options(question: MigQuestion) -> pd.DataFrame:
    """Return one row for each tenant, kind of GPU and profile (``whole``: without MIG).

    Returns
    -------
    DataFrame
        ``tenant``, ``gpu``, ``profile``, ``instances`` (slices, or whole GPUs), ``works``,
        ``reason`` (why not), ``capacity`` (multiple of the load, without reserve, that it bears),
        ``work_kind`` (``kernel`` or ``application`` of a class of computations),
        ``memory_free`` (share that stays free: of the cache beside a language model's
        requests, else of all memory), ``ttft_s``, ``tpot_s``, ``output_tokens_s`` of language
        models. Whole GPUs are tried where no single slice of the kind does.
    """
    known: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    rows = []
    for tenant in question.everyone:
        key = _key(tenant)
        if key not in known:
            known[key] = _tenant_rows(question, tenant)
        rows += [{**row, "tenant": tenant.name} for row in known[key]]
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.assign(capacity=table["capacity"] * (1 + question.reserve))


def _key(tenant: Tenant) -> tuple[Any, ...]:
    """Return what tells tenants apart; equal ones are computed once."""
    q = tenant.load
    size = (tenant.memory_gib, tenant.gpu_share, tenant.bandwidth_share, tenant.media)
    if q is None:
        return (*size, tenant.workload and tenant.workload.id)
    loads = (q.isl, q.osl, q.concurrency, q.request_rate, q.ttft_limit_s, q.tpot_limit_s)
    return (*size, q.model, q.weights, q.kv, *loads)


def _tenant_rows(question: MigQuestion, tenant: Tenant) -> list[dict[str, Any]]:
    rows = []
    for kind in question.devices:
        rules = geometry(kind.id)
        slices = {name: slice_gpu(kind.id, name) for name in _allowed(rules, tenant)}
        if tenant.load is None:
            found = [_plain(question, tenant, kind, n, s) for n, s in slices.items()]
            whole = [_plain(question, tenant, kind, WHOLE_GPU, kind)]
        else:
            found = _serving(question, tenant.load, kind, slices)
            alone = any(r["works"] and r["instances"] == 1 for r in found)
            whole = [] if alone else [_whole(question, tenant.load, kind)]
        rows += found + whole
    return rows


def _allowed(rules: Geometry, tenant: Tenant) -> list[str]:
    """Return the profiles with the engines that a tenant needs."""
    names = ordered_profiles(rules)
    if not tenant.media:
        return names
    enough = [n for n in names if rules.profiles[n].nvdec]
    extra = [
        n
        for n, p in rules.profiles.items()
        if p.media_engine and n.removesuffix("+me") not in enough
    ]
    return extra + enough


def _row(kind: Gpu, profile: str, **more: Any) -> dict[str, Any]:
    blank = dict.fromkeys(("ttft_s", "tpot_s", "output_tokens_s"), np.nan)
    sizes = {"instances": 1, "capacity": 0.0, "memory_free": 0.0, "work_kind": ""}
    start = {"gpu": kind.id, "profile": profile, "works": False, "reason": ""}
    return {**start, **blank, **sizes, **more}


def _plain(
    question: MigQuestion, tenant: Tenant, kind: Gpu, profile: str, device: Gpu
) -> dict[str, Any]:
    """Hold a tenant that is given by its size against a slice or a GPU."""
    memory = device.memory_bytes / GIB
    wants = [
        ("GiB of memory", tenant.memory_gib, memory, ".1f"),
        *_work_wants(question.reference_gpu, tenant, device),
    ]
    missing = [
        f"{has:{how}} {what} against {need:{how}}"
        for what, need, has, how in wants
        if need > has * (1 + 1e-9)
    ]
    capacity = min((has / need for _, need, has, _ in wants if need), default=np.inf)
    return _row(
        kind,
        profile,
        works=not missing,
        reason="; ".join(missing),
        capacity=capacity,
        memory_free=max(1 - tenant.memory_gib / memory, 0.0),
        work_kind=tenant.workload.kind if tenant.workload else "",
    )


def _work_wants(reference: Gpu, tenant: Tenant, device: Gpu) -> list[tuple[str, float, float, str]]:
    """Return what, how much is needed, how much the device has, and how both are written."""
    if tenant.workload:
        name = tenant.workload.id
        seconds = class_seconds([reference, device], name)
        speed = float(seconds[0] / seconds[1])
        return [(f"of the reference GPU's speed in {name}", tenant.gpu_share, speed, ".0%")]
    compute = device.peak_flops("fp16") / reference.peak_flops("fp16")
    bandwidth = device.bandwidth_bytes_s / reference.bandwidth_bytes_s
    return [
        ("of the reference GPU's compute", tenant.gpu_share, compute, ".0%"),
        ("of its bandwidth", tenant.bandwidth_share, bandwidth, ".0%"),
    ]


def _serving(
    question: MigQuestion, load: ServingQuestion, kind: Gpu, slices: dict[str, Gpu]
) -> list[dict[str, Any]]:
    """Hold a language model against slices, each with a replica of its own."""
    asked = load.on(tuple(slices.values()), slice_engine(question.runtime), max_gpus=1)
    found = serving_options(asked).to_dict("records")
    return [_served(kind, p, row, load) for p, row in zip(slices, found, strict=True)]


def _served(
    kind: Gpu,
    profile: str,
    found: dict[Any, Any],
    load: ServingQuestion,
) -> dict[str, Any]:
    """Turn a row of the serving options into one of a tenant's."""
    works, reason = bool(found["works"]), str(found["reason"])
    replicas = max(int(found["replicas"]), 1)
    if works and profile != WHOLE_GPU and replicas > MOST_INSTANCES:
        works, reason = False, f"{replicas} instances would be needed"
    bears, need = found["within"], float(load.concurrency)
    in_flight = need / replicas
    if load.request_rate:
        bears, need = found["rate_within"], load.request_rate
        in_flight = need / replicas * (found["ttft_s"] + found["tpot_s"] * load.osl)
    return _row(
        kind,
        profile,
        instances=max(int(found["gpus"]), 1) if profile == WHOLE_GPU else replicas,
        works=works,
        reason=reason,
        capacity=bears * replicas / need,
        memory_free=max(1 - in_flight / found["most"], 0.0) if works else 0.0,
        **{name: float(found[name]) for name in ("ttft_s", "tpot_s", "output_tokens_s")},
    )


def _whole(question: MigQuestion, load: ServingQuestion, kind: Gpu) -> dict[str, Any]:
    asked = load.on((kind,), question.runtime, question.max_gpus)
    found = best_options(serving_options(asked)).to_dict("records")[0]
    return _served(kind, WHOLE_GPU, found, load)


def useful_options(options: pd.DataFrame) -> pd.DataFrame:
    """Return the working options that no other of the same tenant and kind makes needless.

    A slice is needless where a smaller one does with as few instances: wherever the larger one
    can lie, so can the smaller (``+me`` aside, of which a GPU has one). Whole GPUs are needless
    where one slice does.
    """
    kept = []
    for (_, gpu_id), group in options[options["works"]].groupby(["tenant", "gpu"], sort=False):
        least = np.inf
        order = {p: i for i, p in enumerate(ordered_profiles(geometry(str(gpu_id))))}
        rows = sorted(group.itertuples(), key=lambda r: order.get(str(r.profile), -1))
        for row in rows:
            profile, instances = str(row.profile), int(str(row.instances))
            if profile in order and instances < least:
                least = instances
                kept.append(row.Index)
            elif profile.endswith("+me"):
                kept.append(row.Index)
        whole = group[group["profile"] == WHOLE_GPU]
        kept += [] if least == 1 else list(whole.index)
    return options.loc[kept].reset_index(drop=True)
