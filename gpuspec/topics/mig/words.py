"""Sentences about MIG slices and the tenants on them."""

import numpy as np
import pandas as pd

from gpuspec.constants.mig import least_of_share, slice_errors
from gpuspec.formulas.mig import Placements, counts
from gpuspec.topics.mig import CLASSES, MODEL_WORK, WHOLE_GPU, MigQuestion, Packing
from gpuspec.topics.mig.answer import grouped
from gpuspec.topics.mig.reading import tenant_base
from gpuspec.views.amounts import money
from gpuspec.views.language import say
from gpuspec.views.words import counted, ground_sentence, listed, rows


def layouts_finding(gpu_id: str, layouts: tuple[Placements, ...]) -> str:
    """Say how many full layouts a GPU has, and how many there are with all its profiles."""
    found = counts(gpu_id)
    return say(
        "{gpu_id} can be divided in {layouts} full ways with its five sizes; with the 1g of "
        "double memory and partly filled there are {positions:,}",
        gpu_id=gpu_id,
        layouts=len(layouts),
        positions=found["positions"],
    )


def delivery_finding(table: pd.DataFrame) -> str:
    """Say what the smallest slices and two 3g give simulations and language models."""
    works = [*CLASSES, *MODEL_WORK]
    small = table.groupby("gpu", sort=False)[works].first().to_numpy(float)
    three = table[table["profile"].str.startswith("3g")].iloc[-1]
    return say(
        "A 1g slice gives {small:.0%} to {small_2:.0%} of its whole GPU, simulations and "
        "language models alike; two 3g together give {stream:.0%} in STREAM and {dgemm:.0%} "
        "in DGEMM on {gpu}",
        small=np.nanmin(small),
        small_2=np.nanmax(small),
        stream=2 * three["stream"],
        dgemm=2 * three["dgemm"],
        gpu=three["gpu"],
    )


def published_finding() -> str:
    """Say how close published slices are to their share of the SMs."""
    errors = slice_errors()
    full, light = errors.loc["full load"], errors.loc["light load"]
    typical, worst, small = full["median_error"], full["p90_error"], light["median_error"]
    return say(
        "Under full load slices give their share of the SMs: median error {typical:.1%} on "
        "{rows:.0f} pairs of {publishers:.0f} publishers, 90 % below {worst:.0%}; small "
        "batches are {small:.1%} off",
        typical=typical,
        rows=full["rows"],
        publishers=full["publishers"],
        worst=worst,
        small=small,
    )


def published_sentences() -> str:
    """Say what the published slices mean for a plan."""
    return say(
        "In the whole table no slice gave less than {least_of_share:.0%} of its share, and "
        "small batches give up to all of the whole GPU's speed, because they never filled "
        "it. The smallest slices are the least sure: what does not grow with the batch, such "
        "as reading the weights, takes longer on their part of the bandwidth.",
        least_of_share=least_of_share(),
    )


def packing_finding(question: MigQuestion, packing: Packing) -> str:
    """Say how many GPUs the tenants need, at which price, and how sure the answer is."""
    kinds = [f"{n} x {kind}" for kind, n in packing.gpus.items() if n]
    placed = len(question.everyone) - len(packing.unplaced)
    if not kinds:
        whose = counted(len(question.everyone), "tenant")
        return say("None of {whose} fits the asked GPUs", whose=whose)
    best = (
        say("and nothing cheaper exists")
        if question.objective == "cost"
        else say("and no fewer do")
    )
    proof = (
        best
        if packing.gap < 1e-6
        else say("at most {gap:.1%} above the best possible", gap=packing.gap)
    )
    left = (
        say("; {unplaced} find no place", unplaced=counted(len(packing.unplaced), "tenant"))
        if packing.unplaced
        else ""
    )
    fit = "fits" if placed == 1 else "fit"
    return say(
        "{placed} {fit} on {kinds} for {usd} an hour, {proof}{left}",
        placed=counted(placed, "tenant"),
        fit=fit,
        kinds=listed(kinds),
        usd=money(packing.usd_per_hour),
        proof=proof,
        left=left,
    )


def fleets_finding(table: pd.DataFrame) -> str:
    """Say which fleet is cheapest for the same tenants, and what sharing saves."""
    whole = table[(table["unplaced"] == table["unplaced"].min()) & (table["gpus"] > 0)]
    if whole.empty:
        return say("No fleet holds any of the tenants")
    best = whole.sort_values(["usd_per_hour", "gpus"], kind="stable").iloc[0]
    others = [
        say("{fleet} for {usd}", fleet=r.fleet, usd=money(r.usd_per_hour))
        for r in whole.itertuples()
        if r.fleet != best["fleet"]
    ]
    beside = say(" against {others}", others=listed(others)) if others else ""
    return say(
        "Cheapest: {fleet}, {gpus} for {usd} an hour{beside}; without "
        "sharing it would be {without}",
        fleet=best["fleet"],
        gpus=counted(int(best["gpus"]), "GPU"),
        usd=money(best["usd_per_hour"]),
        beside=beside,
        without=counted(int(best["without"]), "GPU"),
    )


def blocking_sentences(table: pd.DataFrame, packing: Packing) -> str:
    """Say which tenants keep GPUs to themselves, where that happens, and who pays most."""
    held = packing.placements
    alone = held[held["profile"] == WHOLE_GPU].groupby(["tenant", "gpu"], sort=False)
    whole = alone.size().rename("gpus").reset_index()
    said = []
    if len(whole):
        keep = [f"{r.tenant} ({r.gpus} x {r.gpu})" for r in whole.itertuples()]
        said.append(
            say(
                "Whole GPUs go to {keep}: slices do not hold them, or cost more.", keep=listed(keep)
            )
        )
    no_way = table[table["needs"] == "no way"]
    if len(no_way):
        pairs = [
            say("{t} on {g}", t=t, g=g)
            for t, g in zip(no_way["tenant"], no_way["gpu"], strict=True)
        ]
        shown = pairs[:6] + ([say("{pairs} more", pairs=len(pairs) - 6)] if len(pairs) > 6 else [])
        said.append(say("No way at all: {shown}.", shown=listed(shown)))
    if packing.shares:
        top = max(packing.shares, key=lambda t: packing.shares[t])
        share = packing.shares[top] / (sum(packing.shares.values()) or 1.0)
        said.append(
            say(
                "The tenant that adds most to the bill is {top}, with {share:.0%} of it (prices of "
                "the relaxed problem).",
                top=top,
                share=share,
            )
        )
    free = int((held["tenant"] == "").sum())
    one = "1 instance on the shared GPUs stays free for others."
    many = "{free:,} instances on the shared GPUs stay free for others."
    said.append(say(one if free == 1 else many, free=free))
    return " ".join(said)


def headroom_finding(table: pd.DataFrame) -> str:
    """Say which tenants are closest to what their place bears."""
    if table.empty:
        return say("Nobody is placed.")
    tight = grouped(table).sort_values("load", ascending=False, kind="stable").iloc[:3]
    said = [f"{r.tenant} ({r.load:.0%})" for r in tight.itertuples()]
    risky = int((table["load_high"] > 1).sum())
    more = (
        say(" {risky} may be past it within the interval.", risky=counted(risky, "tenant"))
        if risky
        else ""
    )
    return say(
        "Closest to the limit of their place: {said}.{more} {table}",
        said=listed(said),
        more=more,
        table=places_ground(table),
    )


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
