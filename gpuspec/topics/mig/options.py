"""On which slices, and on how many whole GPUs, each tenant runs; and why not on the others."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError
from gpuspec.base.units import GIB
from gpuspec.catalog import Gpu
from gpuspec.constants.ground import KNOWN, Ground
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


class Option(NamedTuple):
    """How a tenant could run: on slices of a profile, or on whole GPUs of a kind."""

    gpu: str
    profile: str
    instances: int
    works: bool
    reason: str
    capacity: float
    memory_free: float
    ttft_s: float = np.nan
    tpot_s: float = np.nan
    output_tokens_s: float = np.nan
    work_kind: str = ""
    whole_ground: Ground = KNOWN
    """Of whole GPUs: what is known of a language model on them."""


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

    Columns: ``tenant``, ``gpu``, ``profile``, ``instances`` (slices, or whole GPUs), ``works``,
    ``reason`` (why not), ``capacity`` (multiple of the load, without reserve, that it bears),
    ``work_kind`` (``kernel`` or ``application`` of a class of computations), ``memory_free`` (share
    that stays free: of the cache beside a language model's requests, else of all memory),
    ``ttft_s``, ``tpot_s``, ``output_tokens_s`` of language models, ``whole_ground``. Whole GPUs are
    tried where no single slice of the kind does.
    """
    known: dict[Tenant, list[Option]] = {}
    rows = []
    for tenant in question.everyone:
        alike = replace(tenant, name="")
        if alike not in known:
            known[alike] = _options(question, alike)
        rows += [(tenant.name, *option) for option in known[alike]]
    table = pd.DataFrame(rows, columns=["tenant", *Option._fields])
    return table.assign(capacity=table["capacity"] * (1 + question.reserve))


def _options(question: MigQuestion, tenant: Tenant) -> list[Option]:
    options = []
    for kind in question.devices:
        rules = geometry(kind.id)
        slices = {name: slice_gpu(kind.id, name) for name in _allowed(rules, tenant)}
        if tenant.load is None:
            places = {**slices, WHOLE_GPU: kind}
            options += [_plain(question, tenant, kind, n, d) for n, d in places.items()]
            continue
        asked = tenant.load.on(tuple(slices.values()), slice_engine(question.runtime), max_gpus=1)
        table = serving_options(asked)  # a replica on each slice
        on_slices = [
            _served(kind, profile, row, tenant.load)
            for profile, (_, row) in zip(slices, table.iterrows(), strict=True)
        ]
        options += on_slices
        if not any(o.works and o.instances == 1 for o in on_slices):
            whole = tenant.load.on((kind,), question.runtime, question.max_gpus)
            best = best_options(serving_options(whole)).iloc[0]
            options.append(_served(kind, WHOLE_GPU, best, tenant.load))
    return options


def _allowed(rules: Geometry, tenant: Tenant) -> list[str]:
    """Return the profiles with the engines that a tenant needs."""
    names = ordered_profiles(rules)
    if not tenant.media:
        return names
    enough = [n for n in names if rules.profiles[n].nvdec]
    extra = [n for n, p in rules.profiles.items() if p.media_engine]
    return [n for n in extra if n.removesuffix("+me") not in enough] + enough


def _plain(question: MigQuestion, tenant: Tenant, kind: Gpu, profile: str, device: Gpu) -> Option:
    """Hold a tenant that is given by its size against a slice or a GPU."""
    memory = device.memory_bytes / GIB
    kept = " with the reserve" if question.reserve else ""
    wants = [(f"GiB of memory{kept}", tenant.memory_gib, memory, ".1f")]
    try:
        wants += _work_wants(question.reference_gpu, tenant, device)
    except InputError as error:  # the table lacks what its class of work needs
        return Option(kind.id, profile, 1, False, error.valid, 0.0, 0.0)
    missing = [
        f"{has:{how}} {what} against {need:{how}}"
        for what, need, has, how in wants
        if need > has * (1 + 1e-9)
    ]
    return Option(
        kind.id,
        profile,
        instances=1,
        works=not missing,
        reason="; ".join(missing),
        capacity=min((has / need for _, need, has, _ in wants if need), default=np.inf),
        memory_free=max(1 - tenant.memory_gib / (1 + question.reserve) / memory, 0.0),
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


def _served(kind: Gpu, profile: str, row: pd.Series, load: ServingQuestion) -> Option:
    """Turn a row of the serving options into one of a tenant's."""
    works, reason = bool(row["works"]), str(row["reason"])
    replicas = max(int(row["replicas"]), 1)
    if works and profile != WHOLE_GPU and replicas > MOST_INSTANCES:
        works, reason = False, f"{replicas} instances would be needed"
    bears, need = row["within"], float(load.in_flight)
    in_flight = need / replicas
    if load.arriving:
        bears, need = row["rate_within"], load.arriving
        in_flight = need / replicas * (row["ttft_s"] + row["tpot_s"] * load.osl)
    return Option(
        kind.id,
        profile,
        instances=max(int(row["gpus"]), 1) if profile == WHOLE_GPU else replicas,
        works=works,
        reason=reason,
        capacity=bears * replicas / need,
        memory_free=max(1 - in_flight / row["most"], 0.0) if works else 0.0,
        ttft_s=float(row["ttft_s"]),
        tpot_s=float(row["tpot_s"]),
        output_tokens_s=float(row["output_tokens_s"]),
        whole_ground=Ground(
            row["ground"] or "measured", tuple(filter(None, [row["ground_reasons"]]))
        ),
    )


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
        rows = zip(group.index, group["profile"], group["instances"], strict=True)
        for place, profile, instances in sorted(rows, key=lambda row: order.get(row[1], -1)):
            if profile in order and instances < least:
                least = instances
                kept.append(place)
            elif profile.endswith("+me"):
                kept.append(place)
        whole = group[group["profile"] == WHOLE_GPU]
        kept += [] if least == 1 else list(whole.index)
    return options.loc[kept].reset_index(drop=True)
