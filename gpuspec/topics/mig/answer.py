"""Tables for the notebook: profiles, fleets, headroom, who blocks."""

import numpy as np
import pandas as pd

from gpuspec.catalog import load_table
from gpuspec.constants.hpc import hpc_ratio_interval
from gpuspec.constants.inference import inference_interval
from gpuspec.constants.mig import slice_interval
from gpuspec.formulas.mig import counts, create_commands, geometry, slice_gpu
from gpuspec.topics.mig.ask import MigQuestion
from gpuspec.topics.mig.ground import option_ground, profile_slices
from gpuspec.topics.mig.options import WHOLE_GPU, useful_options
from gpuspec.topics.mig.packing import Packing, layouts_of, pack
from gpuspec.topics.mig.reading import tenant_base
from gpuspec.views.words import rows

NAMED = ("profile", "profile_id")
COUNTED = ("copy_engines", "nvdec", "nvjpeg", "max_instances")
"""Columns that the table of profiles has from the catalogue, before and after its sizes."""


def profiles_table(gpu_ids: list[str]) -> pd.DataFrame:
    """Return the profiles of GPUs: slices, memory, SMs, engines, how many, where they start.

    Those with ``+me`` are left out: they are the 1g with all the media engines.
    """
    rows = []
    for gpu_id in gpu_ids:
        for profile in geometry(gpu_id).profiles.values():
            if profile.media_engine:
                continue
            it, known = slice_gpu(gpu_id, profile.profile), profile.sm_count is not None
            size = {
                "slices": f"{profile.compute_slices} + {profile.memory_slices}",
                "memory_gib": it.memory_reported_mib / 1024,
                "sm": f"{it.sm_count}" if known else f"about {it.sm_count}",
                "memory_gb_s": it.memory_bandwidth_gb_s,
            }
            starts = ", ".join(map(str, profile.placement_starts))
            stated = {name: getattr(profile, name) for name in (*NAMED, *COUNTED)}
            rows.append({"gpu": gpu_id, **stated, **size, "placement_starts": starts})
    sizes = ("slices", "memory_gib", "sm", "memory_gb_s")
    return pd.DataFrame(rows, columns=["gpu", *NAMED, *sizes, *COUNTED, "placement_starts"])


def counts_table(gpu_ids: list[str]) -> pd.DataFrame:
    """Return how many layouts each GPU has, by what is counted."""
    found = pd.DataFrame({g: counts(g) for g in gpu_ids}).T.rename_axis("gpu")
    return found[["figure", "full", "positions", "mixes", "useful"]]


def fleets_table(question: MigQuestion, options: pd.DataFrame) -> pd.DataFrame:
    """Return the GPUs and the price of the same tenants on each kind alone, and on all kinds.

    Columns: ``fleet``, ``gpus``, ``usd_per_hour``, ``gap``, ``unplaced`` (tenants without a place)
    and ``without`` (GPUs if every tenant had whole GPUs of its own).
    """
    fleets = {name: options[options["gpu"] == name] for name in question.gpus}
    if len(fleets) > 1:
        fleets["any of them"] = options
    rows = []
    for name, part in fleets.items():
        packed, alone = pack(question, part), _alone(question, part)
        size, unplaced = sum(packed.gpus.values()), len(packed.unplaced)
        rows.append((name, size, packed.usd_per_hour, packed.gap, unplaced, alone))
    columns = ["fleet", "gpus", "usd_per_hour", "gap", "unplaced", "without"]
    return pd.DataFrame(rows, columns=columns)


def _alone(question: MigQuestion, options: pd.DataFrame) -> int:
    """Return the GPUs if nobody shared: one where a slice does, else the whole ones."""
    working = options[options["works"]]
    working = working[(working["profile"] == WHOLE_GPU) | (working["instances"] == 1)]
    price = working["instances"] * [question.weight(str(g)) for g in working["gpu"]]
    cheapest = working.assign(price=price).sort_values("price", kind="stable")
    return int(cheapest.groupby("tenant")["instances"].first().sum())


def headroom_table(packing: Packing, options: pd.DataFrame) -> pd.DataFrame:
    """Return what each placed tenant got and how far it is from its limits.

    Columns: ``tenant``, ``place`` (such as ``2 x 3g.40gb of a100-sxm-80``), ``load`` (share of what
    the place bears that is used) with ``load_low`` and ``load_high`` (80 % interval; other work
    than language models has none but its share's), ``memory_free`` (share), ``ttft_s``, ``tpot_s``,
    ``usd`` (its share of the bill), ``ground`` and ``ground_reasons``, in the order of the tenants'
    table.
    """
    held = packing.placements[packing.placements["tenant"] != ""]
    if held.empty:
        return pd.DataFrame()
    sizes = held.value_counts(["tenant", "gpu", "profile"], sort=False).rename("count")
    table = options.merge(sizes.reset_index(), on=["tenant", "gpu", "profile"])
    total = sum(packing.shares.values()) or 1.0
    place = [f"{r.count} x {r.profile} of {r.gpu}" for r in rows(table)]
    loads = pd.DataFrame([_load(row) for _, row in table.iterrows()], index=table.index)
    usd = packing.usd_per_hour * table["tenant"].map(packing.shares) / total
    grounds = [option_ground(row) for row in table.to_dict("records")]
    table["ground"] = [ground.level for ground in grounds]
    table["ground_reasons"] = ["; ".join(ground.reasons) for ground in grounds]
    shown = pd.concat([table.assign(place=place, usd=usd), loads], axis=1)
    columns = ["tenant", "place", "load", "load_low", "load_high"]
    return shown[[*columns, "memory_free", "ttft_s", "tpot_s", "usd", "ground", "ground_reasons"]]


def _load(option: pd.Series) -> dict[str, float]:
    """Return what part of its place a tenant uses, and the interval of that."""
    used = 1 / option["capacity"]
    if np.isnan(option["output_tokens_s"]):
        slow, fast = 1.0, 1.0
        if option["profile"] != WHOLE_GPU:
            ground = option_ground(option.to_dict()).code
            ends = slice_interval(1.0, profile_slices(option["profile"]), ground=ground)
            slow, fast = (float(end) for end in ends)
        if option["work_kind"]:  # its speed rests on the ratio of two GPUs
            least, most = hpc_ratio_interval(1.0, option["work_kind"])
            slow, fast = min(slow, float(least)), max(fast, float(most))
    else:
        ends = inference_interval(1.0, "throughput", option["profile"] != WHOLE_GPU)
        slow, fast = (float(end) for end in ends)
    return {"load": used, "load_low": used / float(fast), "load_high": used / float(slow)}


def grouped(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with equal copies of a tenant (``name-1``, ``name-2``...) as one row.

    Adds ``count``; rows count as equal when everything but the name is.
    """
    alike = [c for c in table if c not in ("tenant", "usd")]
    named = table.assign(base=table["tenant"].map(tenant_base), count=1)
    sums = {"count": "sum"} | ({"usd": "sum"} if "usd" in table else {})
    groups = named.groupby(["base", *alike], sort=False, dropna=False)
    found = groups.agg({"tenant": "first", **sums}).reset_index()
    found["tenant"] = found["tenant"].where(found["count"] == 1, found["base"])
    return found[[*table.columns, "count"]]


def blocking_table(question: MigQuestion, options: pd.DataFrame) -> pd.DataFrame:
    """Return the tenants that no single slice of a kind holds, and what stands in the way.

    Columns: ``tenant``, ``gpu``, ``needs`` (the option with the fewest GPUs, or "no way") and
    ``reason`` (why the largest slice, or else the whole GPU, does not do).
    """
    rows = []
    useful = useful_options(options)
    for (tenant, kind), group in options.groupby(["tenant", "gpu"], sort=False):
        mine = useful[(useful["tenant"] == tenant) & (useful["gpu"] == kind)]
        if (mine["instances"] == 1).any() and (mine["profile"] != WHOLE_GPU).any():
            continue
        slices = group[group["profile"] != WHOLE_GPU]
        reason = str(slices.iloc[-1]["reason"]) if len(slices) else ""
        if reason == "":
            bears = slices.iloc[-1]["capacity"] / slices.iloc[-1]["instances"]
            reason = f"one slice bears {bears:.0%} of the load"
        if mine.empty:
            whole = group[group["profile"] == WHOLE_GPU]["reason"]
            reason = str(whole.iloc[0]) if len(whole) and whole.iloc[0] else reason
        ways = [f"{r.instances} x {r.profile}" for r in mine.itertuples()]
        rows.append((tenant, kind, " or ".join(ways) or "no way", reason))
    return pd.DataFrame(rows, columns=["tenant", "gpu", "needs", "reason"])


def commands(packing: Packing) -> list[str]:
    """Return the commands for every shared GPU; numbers count within a kind, from 0.

    Free instances are not created: their slices stay open for whatever comes.
    """
    lines = []
    for (kind, number), layout in layouts_of(packing, free=False).items():
        lines.append(f"# {kind}, GPU {number}")
        lines += create_commands(kind, layout, number)
    return lines


def sharing_table() -> pd.DataFrame:
    """Return MIG beside the other ways to share a GPU: isolation, limits, when to choose."""
    return load_table("sharing").add_prefix("sharing_")


def generations_table(question: MigQuestion) -> pd.DataFrame:
    """Return what an instance is in each generation of the asked GPUs."""
    rows = []
    for whole in question.devices:
        profiles = geometry(whole.id).profiles
        smallest, of_all = next(iter(profiles)), f"of {whole.sm_count}"
        one = slice_gpu(whole.id, smallest)
        three = next(p.profile for p in profiles.values() if p.compute_slices == 3)
        rows.append(
            {
                "gpu": whole.id,
                "mig_max_instances": whole.mig_max_instances or 0,
                "smallest": smallest,
                "its_gib": one.memory_reported_mib / 1024,
                "its_bf16_tflops": one.bf16_dense_tflops or 0.0,
                "its_gb_s": one.memory_bandwidth_gb_s,
                "its_nvdec": one.nvdec or 0,
                "sm_in_7": f"{(one.sm_count or 0) * 7} {of_all}",
                "sm_in_2_3g": f"{2 * (slice_gpu(whole.id, three).sm_count or 0)} {of_all}",
                "confidential": bool(whole.confidential_computing),
            }
        )
    return pd.DataFrame(rows)
