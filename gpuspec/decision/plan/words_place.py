"""What holds where the buyer is: prices of the region, and rules of export."""

from __future__ import annotations

from gpuspec.base.days import run_date
from gpuspec.base.lazy import pd
from gpuspec.catalog import gpu
from gpuspec.catalog.exports import export_status, last_seen, ruling
from gpuspec.catalog.regions import region_title
from gpuspec.decision.plan.words import PAID, Voice
from gpuspec.decision.scenario import Scenario
from gpuspec.topics.cost.prices.sources import of_regions
from gpuspec.views.words import gpu_name

READERS = {"zh": "China"}
"""Whose rules are told to the reader of a language who names no region."""
RULES = {
    "denial": "To deliver {gpus} to {region} takes a licence of the US, which is refused as a rule "
    "(since {since}).",
    "case-by-case": "To deliver {gpus} to {region} takes a licence of the US; each request is "
    "examined, under conditions (since {since}).",
    "licence": "To deliver {gpus} to {region} takes a licence of the US (since {since}).",
    "none": "No rule of the table is of {gpus} in {region}.",
}


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


def _rules(s: Scenario, taken: pd.DataFrame, voice: Voice) -> list[str]:
    day = s.today or run_date()
    names = s.allow.regions or ((READERS[voice.language],) if voice.language in READERS else ())
    fresh = taken[taken["mode"] != "owned"]
    found = []
    for name in names:
        if not ruling(name, day) or fresh.empty:
            continue
        groups: dict[tuple[str, str], list[str]] = {}
        for kind in dict.fromkeys(fresh["gpu"]):
            status = export_status(gpu(kind), name, day)
            since = status.since.isoformat() if status.since else ""
            groups.setdefault((status.status, since), []).append(gpu_name(kind))
        region = voice.say(region_title(name))
        for (rule, since), kinds in groups.items():
            told = {"gpus": voice.listed(kinds), "region": region, "since": since}
            found.append(voice.say(RULES[rule], **told))
    if found:
        text = "The table of export rules ends at {last}: ask before you sign."
        found.append(voice.say(text, last=last_seen().isoformat()))
    return found
