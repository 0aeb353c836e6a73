"""Sentences on scientific computing and dynamic programming."""

import numpy as np
import pandas as pd

from gpuspec.catalog import Gpu
from gpuspec.topics.hpc import HpcQuestion
from gpuspec.topics.hpc.answer import BOUND
from gpuspec.topics.hpc.names import short_name
from gpuspec.views.markdown import Markdown
from gpuspec.views.words import grounds_sentence, listed, rows, time_with_interval

SAME = 1.05
"""Speed-up up to which two GPUs are called equally fast."""


def roofline_finding(table: pd.DataFrame) -> str:
    """Say how many classes memory bounds, and where the ridge lies."""
    last = table["gpu"].iloc[-1]
    part = table[table["gpu"] == last]
    slope = part["rate"] < 0.5 * part["peak"]
    return (
        f"Memory bandwidth, not FP64, limits {slope.sum()} of {len(part)} classes on {last}: they "
        "stay below half of the peak of their units"
    )


def class_finding(table: pd.DataFrame) -> str:
    """Say between which speed-ups each GPU lies."""
    said = []
    for name, group in table.groupby("gpu", sort=False):
        if name == table["gpu"].iloc[0]:
            continue
        order = group.sort_values("speed", kind="stable")
        least, most = order.iloc[0], order.iloc[-1]
        said.append(
            f"{name} {_times(least['speed'])} ({_name(least)}) to {_times(most['speed'])} "
            f"({_name(most)})"
        )
    if not said:
        return f"Only {table['gpu'].iloc[0]} was asked for: nothing to compare with"
    return f"In speeds of {table['gpu'].iloc[0]}: {listed(said)}"


def _times(speed: float) -> str:
    return f"{speed:.1f}" if speed >= 0.1 else f"{speed:.2g}"


def _name(row: pd.Series) -> str:
    return str(row["name"]).split(" (")[0]


def step_finding(table: pd.DataFrame, published: pd.DataFrame) -> str:
    """Say for which classes the newer of two GPUs is faster, and for which it is not."""
    old, new = table["gpu"].iloc[0], table["gpu"].iloc[-1]
    if old == new:
        return f"Only {new} was asked for: nothing to compare with"
    part = table[table["gpu"] == new]
    same = part[part["speed"] <= SAME]
    best = part.loc[part["speed"].idxmax()]
    equal = (
        f"{len(same)} of {len(part)} classes run no faster" if len(same) else "every class gains"
    )
    text = f"{new} over {old}: up to {best['speed']:.2f} times ({_name(best)}); {equal}"
    return text


def step_sentences(table: pd.DataFrame, published: pd.DataFrame) -> str:
    """Name the classes that gain and those that do not, with what was published of them."""
    old, new = table["gpu"].iloc[0], table["gpu"].iloc[-1]
    if old == new:
        return f"Only {new} was asked for."
    part = table[table["gpu"] == new].sort_values("speed", ascending=False, kind="stable")
    gain = [_name(r) for _, r in part[part["speed"] > 1.2].iterrows()]
    none = [_name(r) for _, r in part[part["speed"] <= SAME].iterrows()]
    seen = published[(published["new"] == new) & (published["old"] == old)]
    said: list[str] = []
    if gain:
        said.append(Markdown("**{} is clearly faster for** {}.").format(new, listed(gain)))
    if none:
        said.append(Markdown("**It is no faster for** {}.").format(listed(none)))
    if len(seen):
        groups = seen.groupby("workload", sort=False)["ratio"].median()
        words = [f"{short_name(str(name))} {ratio:.2f}" for name, ratio in groups.items()]
        said.append(f"Published, median of the sources: {listed(words)}.")
    return Markdown(" ").join(said)


def speed_finding(question: HpcQuestion, table: pd.DataFrame) -> str:
    """Say how much faster the application runs on each GPU, and what bounds it."""
    q, first = question, table["gpu"].iloc[0]
    said = [
        f"{r.gpu} {r.speed:.2f} ({r.speed_low:.2f} to {r.speed_high:.2f})"
        for r in list(rows(table))[1:]
    ]
    bounds = list(dict.fromkeys(table["bound"]))
    text = f"{q.workload.name} in speeds of {first}: {listed(said)}" if said else q.workload.name
    return f"{text}; bound by {listed(bounds)}"


def answer_sentences(question: HpcQuestion, table: pd.DataFrame) -> str:
    """Say how much faster the application runs on each GPU, and how well that is known."""
    return f"{speed_finding(question, table)}. {_grounds(table)}"


def speed_sentences(question: HpcQuestion, table: pd.DataFrame) -> str:
    """Give the time of a step on each GPU, its parts, and what does not fit."""
    said = []
    for r in rows(table):
        share = r.host_s / r.seconds
        said.append(f"{r.gpu}: {_time(r.seconds)} a step, {share:.0%} of it host and launches.")
    if question.workload.host_bytes_per_unit:
        said += _transfer_sentences(question, table)
    said.append(
        "The times follow from the counts; what was held against measurements is their ratio."
    )
    said.append(_grounds(table))
    short = [str(r.gpu) for r in rows(table) if not r.fits]
    if short:
        need = question.memory_bytes / 1e9
        said.append(f"The work needs {need:,.0f} GB on a GPU: it does not fit {listed(short)}.")
    return Markdown(" ").join(said)


def _transfer_sentences(question: HpcQuestion, table: pd.DataFrame) -> list[str]:
    """Say what moving bytes to and from the host costs, and where it decides."""
    moved = question.workload.host_bytes_per_unit * question.units / 1e9
    said = []
    for r in rows(table):
        share = r.transfer_s / r.seconds
        rest = f"{share:.0%} of the step waits for it" if share >= 0.005 else "hidden"
        said.append(f"{r.gpu} {_time(r.transfer)} over {r.link} ({rest})")
    text = f"Moving {moved:,.3g} GB to and from the host takes {listed(said)}."
    where = [str(r.gpu) for r in rows(table) if r.bound == BOUND["transfer"]]
    if not where:
        return [text]
    known = table["link"].str.startswith("NVLink").any()
    other = "." if known else ", or a faster link (NVLink-C2C of GH200)."
    return [
        text,
        Markdown(
            "**On {} the link to the host decides:** more bandwidth or FLOP/s on the GPU "
            "bring little there; data that stays on the GPU does{}"
        ).format(listed(where), other),
    ]


def _time(seconds: float) -> str:
    return time_with_interval(seconds, seconds, seconds).split(" (")[0]


def amdahl_finding(question: HpcQuestion, table: pd.DataFrame) -> str:
    """Say what a fifth of host time leaves of the speed-up of the last GPU."""
    last = table[table["gpu"] == table["gpu"].iloc[-1]]
    none, some = last.iloc[0], last[last["host_share"] >= 0.2].iloc[0]
    return (
        f"{last['gpu'].iloc[0]} runs {none['speed']:.2f} times as fast without a serial part, and "
        f"{some['speed']:.2f} times where that is {some['host_share']:.0%} of the time"
    )


def nodes_finding(question: HpcQuestion, table: pd.DataFrame) -> str:
    """Say what weak and strong scaling keep on the largest number of nodes."""
    most = table[table["nodes"] == table["nodes"].max()]
    said = []
    for way, group in most.groupby("scaling", sort=False):
        spread = np.sort(group["efficiency"].to_numpy())
        ends = list(dict.fromkeys(f"{share:.0%}" for share in (spread[0], spread[-1])))
        words = " to ".join(ends)
        said.append(f"{words} ({way} scaling)")
    count = int(most["nodes"].iloc[0])
    nodes = f"{count} nodes keep" if count > 1 else "1 node keeps"
    return f"{nodes} {listed(said)} of the speed of {question.workload.name}"


def nodes_sentences(question: HpcQuestion, table: pd.DataFrame) -> str:
    """Say for each GPU how far strong scaling is worth it."""
    said = []
    for name, group in table[table["scaling"] == "strong"].groupby("gpu", sort=False):
        worth = group[group["efficiency"] >= 0.5]
        last = worth.iloc[-1]
        said.append(
            f"{name}: strong scaling keeps half of its efficiency up to {last['gpus']} GPUs, where "
            f"a step takes {_time(last['seconds'])}."
        )
    most = table[table["nodes"] == table["nodes"].max()].drop_duplicates("gpu")
    said.append(_grounds(most))
    return " ".join(said)


def _grounds(table: pd.DataFrame) -> str:
    """Say the ground of each GPU of a table."""
    told = {r.gpu: (r.ground["level"], r.ground["reasons"]) for r in rows(table)}
    return grounds_sentence(told)


def energy_finding(table: pd.DataFrame) -> str:
    """Say what a step costs in energy on each GPU, in that of the first."""
    said = [
        f"{r.gpu} {r.energy:.2f} ({r.energy_low:.2f} to {r.energy_high:.2f})"
        for r in list(rows(table))[1:]
    ]
    first = table["gpu"].iloc[0]
    if not said:
        return f"Energy to solution on {first} alone: nothing to compare with"
    return f"Energy to solution, in that of {first}: {listed(said)}"


def energy_sentences(question: HpcQuestion, table: pd.DataFrame) -> str:
    """Give the finding, and say whose power limit is more than the GPU's."""
    modules = [g for g in question.devices if g.form_factor == "superchip"]
    text = f"{energy_finding(table)}. {_grounds(table)}"
    if not modules:
        return text
    said = [f"{g.id} {g.tdp_w:,.0f} W" for g in modules]
    return Markdown(
        "{} **Too high for {}:** the limit in the table ({}) is that of the whole module, with "
        "the processor and its memory, which the {:g} W of the host count once more. Take it as "
        "an upper end: HPL runs of GH200 are published at 0.6 of that energy (docs/hpc.md)."
    ).format(text, listed([g.id for g in modules]), listed(said), question.host_w_per_gpu)


def dynamic_finding(table: pd.DataFrame) -> str:
    """Say what DPX brings Smith-Waterman on the GPUs that have it."""
    part = table[table["algorithm"] == "smith-waterman"]
    said = []
    for name, group in part.groupby("gpu", sort=False):
        if group["emulated"].any():
            continue
        fused = group[group["cell"] == "int16x2"]["gcups"].max()
        half = group[group["cell"] == "half2"]["gcups"].max()
        said.append(f"{fused / half:.1f} times on {name}")
    if not said:
        return "None of these GPUs has DPX: its functions are emulated, and slower than without"
    return f"Over the best code without it, DPX brings Smith-Waterman {listed(said)}"


def seven_times_sentences(table: pd.DataFrame, published: pd.DataFrame, new: Gpu, old: Gpu) -> str:
    """Say what "up to 7 times" compares, and what users of a program saw."""
    if not new.dpx or old.dpx:
        return f"The claim is about a GPU with DPX against one without: not {new.id} and {old.id}."
    emulated, plain, fused, half, same, _ = table["ratio"].to_numpy()
    said: list[str] = [
        Markdown("**Compared with what?** The claim is H100 over A100 on Smith-Waterman. ")
        + f"{new.id} has, by "
        f"SMs and clock alone, {same:.1f} times the speed of {old.id} with the same plain code, "
        f"{fused:.1f} times with 32-bit DPX, {plain:.1f} times with two 16-bit cells to an "
        f"instruction against plain 32-bit integers, and {emulated:.1f} times where both run the "
        "16-bit DPX functions, which "
        f"{old.id} emulates."
    ]
    if plain < 7 < emulated:
        said.append(
            "Seven lies between the last two: it takes a baseline that does not use the older "
            "GPU's own packed arithmetic."
        )
    both = _program_ratios(published, new.id, old.id)
    if both:
        said.append(
            Markdown("**What does a user see?** Programs that are tuned for both: ")
            + f"{listed(both)}. At the "
            f"instruction limit it would be {half:.1f}: half precision reaches less of its limit."
        )
    return Markdown(" ").join(said)


def _program_ratios(published: pd.DataFrame, new: str, old: str) -> list[str]:
    """Return the published ratio of two GPUs for each program and source."""
    found = []
    for (program, _), group in published.groupby(["program", "source_id"], sort=False):
        best = group.groupby("gpu")["gcups"].max()
        if new in best and old in best:
            found.append(f"{program} {best[new] / best[old]:.1f} times")
    return found


def claim_sentences(table: pd.DataFrame) -> str:
    """Say what the claim that HPC leaves no other choice is worth, from the speed-ups."""
    first = table["gpu"].iloc[0]
    said = []
    for name, group in table.groupby("gpu", sort=False):
        if name != first:
            low, middle, high = np.quantile(group["speed"], [0.1, 0.5, 0.9])
            said.append(f"{name} {middle:.1f} (most between {low:.1f} and {high:.1f})")
    if not said:
        return f"Only {first} was asked for."
    return f"Over all classes, in speeds of {first}: {listed(said)}."
