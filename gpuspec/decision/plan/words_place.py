"""What holds where the buyer is: prices of the region, and rules of export."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gpuspec.base.days import run_date
from gpuspec.base.lazy import pd
from gpuspec.catalog import gpu
from gpuspec.catalog.exports import FREE, GUIDANCE, last_seen, rules_all, standing
from gpuspec.catalog.regions import region_title
from gpuspec.decision.plan.words import PAID, Voice
from gpuspec.decision.scenario import Scenario
from gpuspec.topics.cost.prices.sources import of_regions
from gpuspec.views.words import gpu_name

Row = dict[str, Any]
READERS = {"zh": "China"}
"""Whose rules are told to the reader of a language who names no region."""
RULES = {
    "denial": "To deliver {gpus} to {region} takes a licence of the US, which is refused as a rule "
    "(since {since}).",
    "case-by-case": "To deliver {gpus} to {region} takes a licence of the US; each request is "
    "examined, under conditions (since {since}).",
    "licence": "To deliver {gpus} to {region} takes a licence of the US (since {since}).",
    "guidance": "{gpus}: by guidance of the US (since {since}) such chips are presumed to break "
    "its rules, and so may whoever uses or pays for them without its leave, in {region} as well.",
    "none": "No rule of the table is of {gpus} in {region}.",
}
CLASS = "By their parts these fall under {classes} there: {gpus}."
NO_CLASS = "By their parts these fall under no class there: {gpus}."
PARTS = "{gpu} (total processing performance {tpp}, {density} a mm², memory {memory} GB/s)"
PARTS_ALONE = "{gpu} (total processing performance {tpp}, memory {memory} GB/s)"
UNSURE = "Whether {gpu} falls under {classes} depends on the area of its chip, which is not known."
RULES_ALONE = (
    "Rules and parts disagree on {gpus} in {region}: a rule asks for a licence, no class does."
)
CLASS_ALONE = (
    "Rules and parts disagree on {gpus} in {region}: the class asks for a licence, no rule of the "
    "table does. Take it that one is needed."
)


def place_sentences(s: Scenario, taken: pd.DataFrame, voice: Voice) -> list[str]:
    """Return what is to say of the regions of a scenario; `taken` are the offers of the plan."""
    return [*_prices(s, taken, voice), *_rules(s, taken, voice)]


def _prices(s: Scenario, taken: pd.DataFrame, voice: Voice) -> list[str]:
    """Name the offers of a plan of which no price in the regions is known."""
    rows = taken[~of_regions(taken, s.allow.regions) & (taken["mode"] != "owned")]
    if not s.allow.regions or rows.empty:
        return []
    names = [
        voice.say("{gpu} ({mode})", gpu=gpu_name(g), mode=voice.say(PAID[str(m)]))
        for g, m in zip(rows["gpu"], rows["mode"], strict=True)
    ]
    text = "No price in {regions} is known for {offers}: prices of other regions stand for it. "
    text += "Ask there for quotes."
    regions = voice.listed(voice.say(region_title(name)) for name in s.allow.regions)
    return [voice.say(text, regions=regions, offers=voice.listed(dict.fromkeys(names)))]


def export_rows(
    s: Scenario, offers: pd.DataFrame, regions: Iterable[str] | None = None
) -> list[Row]:
    """Return what the rules and the parts of each GPU that is not there yet say, region by region;
    nothing for regions without rules.
    """
    day = s.today or run_date()
    found: list[Row] = []
    for name in s.allow.regions if regions is None else regions:
        for kind in dict.fromkeys(offers.loc[offers["mode"] != "owned", "gpu"]):
            status, parts, agree = standing(gpu(kind), name, day)
            if rules_all(name, day) or status.status != FREE or parts.licence is not False:
                given = {"region": name, "gpu": kind, "status": status.status}
                found.append(given | {"since": status.since, **parts._asdict(), "agree": agree})
    return found


def _rules(s: Scenario, taken: pd.DataFrame, voice: Voice) -> list[str]:
    read = (READERS[voice.language],) if voice.language in READERS else ()
    rows = export_rows(s, taken, s.allow.regions or read)
    found = []
    for name, here in _by(rows, "region"):
        said = {"region": voice.say(region_title(name))}
        for (rule, since), same in _by(here, "status", "since"):
            day = since.isoformat() if since else ""
            found.append(voice.say(RULES[rule], gpus=_named(same, voice), since=day, **said))
        found += _parts(here, voice, said)
    text = "The table of export rules ends at {last}: ask before you sign."
    return [*found, voice.say(text, last=last_seen().isoformat())] if found else []


def _by(rows: Sequence[Row], *names: str) -> list[tuple[Any, list[Row]]]:
    """Return rows by what they have in some fields, in the order of their first."""
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    return [(key if len(names) > 1 else key[0], group) for key, group in groups.items()]


def _named(rows: Sequence[Row], voice: Voice) -> str:
    return voice.listed(gpu_name(row["gpu"]) for row in rows)


def _parts(rows: Sequence[Row], voice: Voice, said: Mapping[str, str]) -> list[str]:
    """Say the classes of GPUs by their parts, and where they and the rules differ."""
    here, found = [row for row in rows if row["status"] != GUIDANCE], []
    for classes, same in _by(here, "classes"):
        gpus = voice.listed(_part(row, voice) for row in same)
        text = CLASS if classes else NO_CLASS
        listed = voice.listed(map(voice.say, classes)) if classes else ""
        found.append(voice.say(text, gpus=gpus, classes=listed, **said))
    for row in here:
        if row["unsure"]:
            names = voice.listed(map(voice.say, row["unsure"]))
            found.append(voice.say(UNSURE, gpu=gpu_name(row["gpu"]), classes=names))
    differ = [row for row in here if row["agree"] is False]
    for ruled, text in ((True, RULES_ALONE), (False, CLASS_ALONE)):
        if of := [row for row in differ if (row["status"] != FREE) == ruled]:
            found.append(voice.say(text, gpus=_named(of, voice), **said))
    return found


def _part(row: Row, voice: Voice) -> str:
    known = row["density"] == row["density"]
    return voice.say(
        PARTS if known else PARTS_ALONE,
        gpu=gpu_name(row["gpu"]),
        tpp=f"{row['tpp']:,.0f}",
        density=f"{row['density']:.3g}",
        memory=f"{gpu(row['gpu']).memory_bandwidth_gb_s:,.0f}",
    )
