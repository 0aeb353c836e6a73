"""Sentences about MIG slices and the tenants on them."""

import numpy as np
import pandas as pd

from gpuspec.constants.mig import least_of_share, slice_errors
from gpuspec.formulas.mig import Placements, counts
from gpuspec.topics.mig import CLASSES, MODEL_WORK, WHOLE_GPU, MigQuestion, Packing
from gpuspec.topics.mig.answer import grouped
from gpuspec.topics.mig.reading import tenant_base
from gpuspec.views.words import ground_sentence, listed, rows


def layouts_finding(gpu_id: str, layouts: tuple[Placements, ...]) -> str:
    """Say how many full layouts a GPU has, and how many there are with all its profiles."""
    found = counts(gpu_id)
    return (
        f"{gpu_id} can be divided in {len(layouts)} full ways with its five sizes; with the 1g of "
        f"double memory and partly filled there are {found['positions']:,}"
    )


def delivery_finding(table: pd.DataFrame) -> str:
    """Say what the smallest slices and two 3g give simulations and language models."""
    works = [*CLASSES, *MODEL_WORK]
    small = table.groupby("gpu", sort=False)[works].first().to_numpy(float)
    three = table[table["profile"].str.startswith("3g")].iloc[-1]
    return (
        f"A 1g slice gives {np.nanmin(small):.0%} to {np.nanmax(small):.0%} of its whole GPU, "
        f"simulations and language models alike; two 3g together give {2 * three['stream']:.0%} "
        f"in STREAM and {2 * three['dgemm']:.0%} in DGEMM on {three['gpu']}"
    )


def published_finding() -> str:
    """Say how close published slices are to their share of the SMs."""
    errors = slice_errors()
    full, light = errors.loc["full load"], errors.loc["light load"]
    typical, worst, small = full["median_error"], full["p90_error"], light["median_error"]
    return (
        f"Under full load slices give their share of the SMs: median error {typical:.1%} on "
        f"{full['rows']:.0f} pairs of {full['publishers']:.0f} publishers, 90 % below {worst:.0%}; "
        f"small batches are {small:.1%} off"
    )


def published_sentences() -> str:
    """Say what the published slices mean for a plan."""
    return (
        f"In the whole table no slice gave less than {least_of_share():.0%} of its share, and "
        "small batches give up to all of the whole GPU's speed, because they never filled it. The "
        "smallest slices are the least sure: what does not grow with the batch, such as reading "
        "the weights, takes longer on their part of the bandwidth."
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def packing_finding(question: MigQuestion, packing: Packing) -> str:
    """Say how many GPUs the tenants need, at which price, and how sure the answer is."""
    kinds = [f"{n} x {kind}" for kind, n in packing.gpus.items() if n]
    placed = len(question.everyone) - len(packing.unplaced)
    if not kinds:
        whose = _count(len(question.everyone), "tenant")
        return f"None of {whose} fits the asked GPUs"
    best = "and nothing cheaper exists" if question.objective == "cost" else "and no fewer do"
    proof = best if packing.gap < 1e-6 else f"at most {packing.gap:.1%} above the best possible"
    left = f"; {_count(len(packing.unplaced), 'tenant')} find no place" if packing.unplaced else ""
    fit = "fits" if placed == 1 else "fit"
    return (
        f"{_count(placed, 'tenant')} {fit} on {listed(kinds)} for USD "
        f"{packing.usd_per_hour:,.2f} an hour, {proof}{left}"
    )


def answer_sentences(question: MigQuestion, packing: Packing) -> str:
    """Say what the tenants need, and what was asked that is doubtful."""
    return f"{packing_finding(question, packing)}. {question.doubts}".strip()


def fleets_finding(table: pd.DataFrame) -> str:
    """Say which fleet is cheapest for the same tenants, and what sharing saves."""
    whole = table[(table["unplaced"] == table["unplaced"].min()) & (table["gpus"] > 0)]
    if whole.empty:
        return "No fleet holds any of the tenants"
    best = whole.sort_values(["usd_per_hour", "gpus"], kind="stable").iloc[0]
    others = [
        f"{r.fleet} USD {r.usd_per_hour:,.2f}"
        for r in whole.itertuples()
        if r.fleet != best["fleet"]
    ]
    beside = f" against {listed(others)}" if others else ""
    return (
        f"Cheapest: {best['fleet']}, {_count(int(best['gpus']), 'GPU')} for "
        f"USD {best['usd_per_hour']:,.2f} an hour{beside}; without sharing it would be "
        f"{_count(int(best['without']), 'GPU')}"
    )


def blocking_sentences(table: pd.DataFrame, packing: Packing) -> str:
    """Say which tenants keep GPUs to themselves, where that happens, and who pays most."""
    held = packing.placements
    alone = held[held["profile"] == WHOLE_GPU].groupby(["tenant", "gpu"], sort=False)
    whole = alone.size().rename("gpus").reset_index()
    said = []
    if len(whole):
        keep = [f"{r.tenant} ({r.gpus} x {r.gpu})" for r in whole.itertuples()]
        said.append(f"Whole GPUs go to {listed(keep)}: slices do not hold them, or cost more.")
    no_way = table[table["needs"] == "no way"]
    if len(no_way):
        pairs = [f"{t} on {g}" for t, g in zip(no_way["tenant"], no_way["gpu"], strict=True)]
        shown = pairs[:6] + ([f"{len(pairs) - 6} more"] if len(pairs) > 6 else [])
        said.append(f"No way at all: {listed(shown)}.")
    if packing.shares:
        top = max(packing.shares, key=lambda t: packing.shares[t])
        share = packing.shares[top] / (sum(packing.shares.values()) or 1.0)
        said.append(
            f"The tenant that adds most to the bill is {top}, with {share:.0%} of it (prices of "
            "the relaxed problem)."
        )
    free = int((held["tenant"] == "").sum())
    stay = "stays" if free == 1 else "stay"
    said.append(f"{_count(free, 'instance')} on the shared GPUs {stay} free for others.")
    return " ".join(said)


def headroom_finding(table: pd.DataFrame) -> str:
    """Say which tenants are closest to what their place bears."""
    if table.empty:
        return "Nobody is placed."
    tight = grouped(table).sort_values("load", ascending=False, kind="stable").iloc[:3]
    said = [f"{r.tenant} ({r.load:.0%})" for r in tight.itertuples()]
    risky = int((table["load_high"] > 1).sum())
    more = f" {_count(risky, 'tenant')} may be past it within the interval." if risky else ""
    return f"Closest to the limit of their place: {listed(said)}.{more} {places_ground(table)}"


def places_ground(table: pd.DataFrame) -> str:
    """Say what is known of places like those that the tenants got: each reason once, with whose."""
    whose: dict[tuple[str, str], list[str]] = {}
    for row in rows(table):
        for reason in filter(None, row.ground_reasons.split("; ")) if row.ground_reasons else [""]:
            names = whose.setdefault((row.ground, reason), [])
            names += [tenant_base(row.tenant)] if tenant_base(row.tenant) not in names else []
    alike: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (level, reason), names in whose.items():
        alike.setdefault((level, tuple(names)), []).append(reason)
    every = tuple(dict.fromkeys(tenant_base(str(t)) for t in table["tenant"]))
    return " ".join(
        ground_sentence(
            level, [r for r in reasons if r], "" if names == every else listed(list(names))
        )
        for (level, names), reasons in alike.items()
    )
