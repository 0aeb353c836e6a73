"""Sentences on scientific computing and dynamic programming."""

import numpy as np
import pandas as pd

from gpuspec.catalog import Gpu
from gpuspec.topics.hpc import HpcQuestion
from gpuspec.topics.hpc.answer import BOUND
from gpuspec.topics.hpc.names import short_name
from gpuspec.views.language import say
from gpuspec.views.markdown import Markdown
from gpuspec.views.words import grounds_sentence, listed, rows, time_with_interval

SAME = 1.05
"""Speed-up up to which two GPUs are called equally fast."""


def roofline_finding(table: pd.DataFrame) -> str:
    """Say how many classes memory bounds, and where the ridge lies."""
    last = table["gpu"].iloc[-1]
    part = table[table["gpu"] == last]
    slope = part["rate"] < 0.5 * part["peak"]
    return say(
        "Memory bandwidth, not FP64, limits {count} of {part} classes on {last}: they stay "
        "below half of the peak of their units",
        count=slope.sum(),
        part=len(part),
        last=last,
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
            say(
                "{name} {speed} ({least}) to {speed_2} ({most})",
                name=name,
                speed=_times(least["speed"]),
                least=_name(least),
                speed_2=_times(most["speed"]),
                most=_name(most),
            )
        )
    if not said:
        return say(
            "Only {first} was asked for: nothing to compare with", first=table["gpu"].iloc[0]
        )
    return say("In speeds of {first}: {said}", first=table["gpu"].iloc[0], said=listed(said))


def _times(speed: float) -> str:
    return f"{speed:.1f}" if speed >= 0.1 else f"{speed:.2g}"


def _name(row: pd.Series) -> str:
    return str(row["name"]).split(" (")[0]


def step_finding(table: pd.DataFrame, published: pd.DataFrame) -> str:
    """Say for which classes the newer of two GPUs is faster, and for which it is not."""
    old, new = table["gpu"].iloc[0], table["gpu"].iloc[-1]
    if old == new:
        return say("Only {new} was asked for: nothing to compare with", new=new)
    part = table[table["gpu"] == new]
    same = part[part["speed"] <= SAME]
    best = part.loc[part["speed"].idxmax()]
    equal = (
        say("{same} of {part} classes run no faster", same=len(same), part=len(part))
        if len(same)
        else say("every class gains")
    )
    text = say(
        "{new} over {old}: up to {speed:.2f} times ({best}); {equal}",
        new=new,
        old=old,
        speed=best["speed"],
        best=_name(best),
        equal=equal,
    )
    return text


def step_sentences(table: pd.DataFrame, published: pd.DataFrame) -> str:
    """Name the classes that gain and those that do not, with what was published of them."""
    old, new = table["gpu"].iloc[0], table["gpu"].iloc[-1]
    if old == new:
        return say("Only {new} was asked for.", new=new)
    part = table[table["gpu"] == new].sort_values("speed", ascending=False, kind="stable")
    gain = [_name(r) for _, r in part[part["speed"] > 1.2].iterrows()]
    none = [_name(r) for _, r in part[part["speed"] <= SAME].iterrows()]
    seen = published[(published["new"] == new) & (published["old"] == old)]
    said: list[str] = []
    if gain:
        said.append(Markdown(say("**{} is clearly faster for** {}.")).format(new, listed(gain)))
    if none:
        said.append(Markdown(say("**It is no faster for** {}.")).format(listed(none)))
    if len(seen):
        groups = seen.groupby("workload", sort=False)["ratio"].median()
        words = [f"{say(short_name(str(name)))} {ratio:.2f}" for name, ratio in groups.items()]
        said.append(say("Published, median of the sources: {words}.", words=listed(words)))
    return Markdown(" ").join(said)


def speed_finding(question: HpcQuestion, table: pd.DataFrame) -> str:
    """Say how much faster the application runs on each GPU, and what bounds it."""
    q, first = question, table["gpu"].iloc[0]
    said = [
        say(
            "{gpu} {speed:.2f} ({speed_low:.2f} to {speed_high:.2f})",
            gpu=r.gpu,
            speed=r.speed,
            speed_low=r.speed_low,
            speed_high=r.speed_high,
        )
        for r in list(rows(table))[1:]
    ]
    bounds = list(dict.fromkeys(table["bound"]))
    text = (
        say(
            "{name} in speeds of {first}: {said}",
            name=q.workload.name,
            first=first,
            said=listed(said),
        )
        if said
        else q.workload.name
    )
    return say("{what}; bound by {bounds}", what=text, bounds=listed(bounds))


def speed_sentences(question: HpcQuestion, table: pd.DataFrame) -> str:
    """Give the time of a step on each GPU, its parts, and what does not fit."""
    said = []
    for r in rows(table):
        share = r.host_s / r.seconds
        said.append(
            say(
                "{gpu}: {seconds} a step, {share:.0%} of it host and launches.",
                gpu=r.gpu,
                seconds=_time(r.seconds),
                share=share,
            )
        )
    if question.workload.host_bytes_per_unit:
        said += _transfer_sentences(question, table)
    said.append(
        say("The times follow from the counts; what was held against measurements is their ratio.")
    )
    said.append(_grounds(table))
    short = [str(r.gpu) for r in rows(table) if not r.fits]
    if short:
        need = question.memory_bytes / 1e9
        said.append(
            say(
                "The work needs {need:,.0f} GB on a GPU: it does not fit {short}.",
                need=need,
                short=listed(short),
            )
        )
    return Markdown(" ").join(said)


def _transfer_sentences(question: HpcQuestion, table: pd.DataFrame) -> list[str]:
    """Say what moving bytes to and from the host costs, and where it decides."""
    moved = question.workload.host_bytes_per_unit * question.units / 1e9
    said = []
    for r in rows(table):
        share = r.transfer_s / r.seconds
        rest = (
            say("{share:.0%} of the step waits for it", share=share)
            if share >= 0.005
            else say("hidden")
        )
        said.append(
            say(
                "{gpu} {transfer} over {link} ({rest})",
                gpu=r.gpu,
                transfer=_time(r.transfer),
                link=r.link,
                rest=rest,
            )
        )
    text = say(
        "Moving {moved:,.3g} GB to and from the host takes {said}.", moved=moved, said=listed(said)
    )
    where = [str(r.gpu) for r in rows(table) if r.bound == BOUND["transfer"]]
    if not where:
        return [text]
    known = table["link"].str.startswith("NVLink").any()
    other = "." if known else say(", or a faster link (NVLink-C2C of GH200).")
    return [
        text,
        Markdown(
            say(
                "**On {} the link to the host decides:** more bandwidth or FLOP/s on the GPU bring "
                "little there; data that stays on the GPU does{}"
            )
        ).format(listed(where), other),
    ]


def _time(seconds: float) -> str:
    return time_with_interval(seconds, seconds, seconds).split(" (")[0]


def amdahl_finding(question: HpcQuestion, table: pd.DataFrame) -> str:
    """Say what a fifth of host time leaves of the speed-up of the last GPU."""
    last = table[table["gpu"] == table["gpu"].iloc[-1]]
    none, some = last.iloc[0], last[last["host_share"] >= 0.2].iloc[0]
    return say(
        "{first} runs {speed:.2f} times as fast without a serial part, and {speed_2:.2f} "
        "times where that is {host_share:.0%} of the time",
        first=last["gpu"].iloc[0],
        speed=none["speed"],
        speed_2=some["speed"],
        host_share=some["host_share"],
    )


def nodes_finding(question: HpcQuestion, table: pd.DataFrame) -> str:
    """Say what weak and strong scaling keep on the largest number of nodes."""
    most = table[table["nodes"] == table["nodes"].max()]
    said = []
    for way, group in most.groupby("scaling", sort=False):
        spread = np.sort(group["efficiency"].to_numpy())
        ends = list(dict.fromkeys(f"{share:.0%}" for share in (spread[0], spread[-1])))
        words = say(" to ").join(ends)
        said.append(say("{words} ({way} scaling)", words=words, way=way))
    count = int(most["nodes"].iloc[0])
    nodes = say("{count} nodes keep", count=count) if count > 1 else say("1 node keeps")
    return say(
        "{nodes} {said} of the speed of {name}",
        nodes=nodes,
        said=listed(said),
        name=question.workload.name,
    )


def nodes_sentences(question: HpcQuestion, table: pd.DataFrame) -> str:
    """Say for each GPU how far strong scaling is worth it."""
    said = []
    for name, group in table[table["scaling"] == "strong"].groupby("gpu", sort=False):
        worth = group[group["efficiency"] >= 0.5]
        last = worth.iloc[-1]
        said.append(
            say(
                "{name}: strong scaling keeps half of its efficiency up to {gpus} GPUs, where a "
                "step takes {seconds}.",
                name=name,
                gpus=last["gpus"],
                seconds=_time(last["seconds"]),
            )
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
        say(
            "{gpu} {energy:.2f} ({energy_low:.2f} to {energy_high:.2f})",
            gpu=r.gpu,
            energy=r.energy,
            energy_low=r.energy_low,
            energy_high=r.energy_high,
        )
        for r in list(rows(table))[1:]
    ]
    first = table["gpu"].iloc[0]
    if not said:
        return say("Energy to solution on {first} alone: nothing to compare with", first=first)
    return say("Energy to solution, in that of {first}: {said}", first=first, said=listed(said))


def energy_sentences(question: HpcQuestion, table: pd.DataFrame) -> str:
    """Give the finding, and say whose power limit is more than the GPU's."""
    modules = [g for g in question.devices if g.form_factor == "superchip"]
    text = f"{energy_finding(table)}. {_grounds(table)}"
    if not modules:
        return text
    said = [f"{g.id} {g.tdp_w:,.0f} W" for g in modules]
    return Markdown(
        say(
            "{} **Too high for {}:** the limit in the table ({}) is that of the whole module, "
            "with the processor and its memory, which the {:g} W of the host count once more. "
            "Take it as an upper end: HPL runs of GH200 are published at 0.6 of that energy "
            "(docs/hpc.md)."
        )
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
        said.append(say("{fused:.1f} times on {name}", fused=fused / half, name=name))
    if not said:
        return say(
            "None of these GPUs has DPX: its functions are emulated, and slower than without"
        )
    return say("Over the best code without it, DPX brings Smith-Waterman {said}", said=listed(said))


def seven_times_sentences(table: pd.DataFrame, published: pd.DataFrame, new: Gpu, old: Gpu) -> str:
    """Say what "up to 7 times" compares, and what users of a program saw."""
    if not new.dpx or old.dpx:
        return say(
            "The claim is about a GPU with DPX against one without: not {id} and {id_2}.",
            id=new.id,
            id_2=old.id,
        )
    emulated, plain, fused, half, same, _ = table["ratio"].to_numpy()
    said: list[str] = [
        Markdown(say("**Compared with what?** The claim is H100 over A100 on Smith-Waterman. "))
        + say(
            "{id} has, by SMs and clock alone, {same:.1f} times the speed of {id_2} with the "
            "same plain code, {fused:.1f} times with 32-bit DPX, {plain:.1f} times with two "
            "16-bit cells to an instruction against plain 32-bit integers, and {emulated:.1f} "
            "times where both run the 16-bit DPX functions, which {id_2} emulates.",
            id=new.id,
            same=same,
            id_2=old.id,
            fused=fused,
            plain=plain,
            emulated=emulated,
        )
    ]
    if plain < 7 < emulated:
        said.append(
            say(
                "Seven lies between the last two: it takes a baseline that does not use the older "
                "GPU's own packed arithmetic."
            )
        )
    both = _program_ratios(published, new.id, old.id)
    if both:
        said.append(
            Markdown(say("**What does a user see?** Programs that are tuned for both: "))
            + say(
                "{both}. At the instruction limit it would be {half:.1f}: half precision reaches "
                "less of its limit.",
                both=listed(both),
                half=half,
            )
        )
    return Markdown(" ").join(said)


def _program_ratios(published: pd.DataFrame, new: str, old: str) -> list[str]:
    """Return the published ratio of two GPUs for each program and source."""
    found = []
    for (program, _), group in published.groupby(["program", "source_id"], sort=False):
        best = group.groupby("gpu")["gcups"].max()
        if new in best and old in best:
            found.append(
                say("{program} {best:.1f} times", program=program, best=best[new] / best[old])
            )
    return found


def claim_sentences(table: pd.DataFrame) -> str:
    """Say what the claim that HPC leaves no other choice is worth, from the speed-ups."""
    first = table["gpu"].iloc[0]
    said = []
    for name, group in table.groupby("gpu", sort=False):
        if name != first:
            low, middle, high = np.quantile(group["speed"], [0.1, 0.5, 0.9])
            said.append(
                say(
                    "{name} {middle:.1f} (most between {low:.1f} and {high:.1f})",
                    name=name,
                    middle=middle,
                    low=low,
                    high=high,
                )
            )
    if not said:
        return say("Only {first} was asked for.", first=first)
    return say("Over all classes, in speeds of {first}: {said}.", first=first, said=listed(said))
