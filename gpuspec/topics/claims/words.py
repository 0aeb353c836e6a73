"""Sentences that read the audit of claims, true for whatever was asked."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gpuspec.catalog import load_table
from gpuspec.topics.claims import ClaimMap, ClaimsQuestion, Finding, verdict_text
from gpuspec.topics.claims.audit import evidence_text, range_text
from gpuspec.topics.claims.settings import SETTINGS, Setting
from gpuspec.topics.claims.training import WEEK_DAYS
from gpuspec.topics.claims.verdict import FALSE, MISLEADING, TRUE, WHEN
from gpuspec.views.language import say, spoken
from gpuspec.views.markdown import Markdown
from gpuspec.views.words import listed
from gpuspec.views.words import rows as rows_of

SAID = {TRUE: "true", WHEN: "true under a condition", MISLEADING: "misleading", FALSE: "false"}
"""What each verdict is called in a sentence."""


def claim_sentence(finding: Finding) -> str:
    """Say of one claim what the guide says, the verdict, and the evidence of each part."""
    f = finding
    verdict = verdict_text(f.verdict, spoken())
    said = Markdown(say("**{}: {}.** Verdict: **{}**.")).format(
        f.claim.id, f.claim.statement(spoken()), verdict
    )
    for check, part in zip(f.checks, f.parts, strict=True):
        held = say(
            "in range ({check}) in {share:.0%} of {grid} settings",
            check=range_text(check),
            share=part.share,
            grid=len(check.grid),
        )
        said += f" {evidence_text(check)}" + ("." if check.unit == "yes" else f"; {held}.")
    return said


def footnote_sentence(finding: Finding) -> str:
    """Say what the vendor's own footnote adds; empty where there is none."""
    c = finding.claim
    if not c.vendor_footnote:
        return say("The vendor has no footnote on this.")
    settings = (
        say(" Settings: {vendor_settings}.", vendor_settings=c.vendor_settings)
        if c.vendor_settings
        else ""
    )
    return Markdown(say("**The vendor's footnote.** ")) + f"{say(c.vendor_footnote)}.{settings}"


def price_sentence(question: ClaimsQuestion) -> str:
    """Say which price ratios were tried."""
    q = question
    levels = [
        say(
            "an hour of {id} as {prices} hours of {id_2}",
            id=new.id,
            prices=listed([f"{p:g}" for p in prices]),
            id_2=old.id,
        )
        for new, old, prices in (
            (q.h100_gpu, q.a100_gpu, q.h100_ratios),
            (q.h200_gpu, q.h100_gpu, q.h200_ratios),
        )
    ]
    return say("Price ratios tried: {levels}.", levels=say("; ").join(levels))


def map_finding(finding: Finding, shown: ClaimMap) -> str:
    """Say in what share of a map's cells a claim holds, and between which values."""
    values = shown.cells.to_numpy(float)
    finite = values[np.isfinite(values)]
    if not len(finite):
        return say("{id}: the older GPU serves none of these settings", id=finding.claim.id)
    span = say(
        "{min} to {max} {unit}",
        min=_short(finite.min()),
        max=_short(finite.max()),
        unit=shown.check.unit,
    ).strip()
    held, cells = int((shown.holds.to_numpy() & ~np.isnan(values)).sum()), (~np.isnan(values)).sum()
    where = {0: "in no cell", cells: "in every cell"}.get(
        held, say("in {held} of {cells} cells", held=held, cells=cells)
    )
    label = f"{finding.claim.id}, {say(shown.check.label)}"
    return say(
        "{label}: {span}; in range ({check}) {where}",
        label=label,
        span=span,
        check=range_text(shown.check),
        where=where,
    )


def map_caption(shown: ClaimMap) -> str:
    """Say what a map shows and how its other settings are fixed."""
    fixed = []
    for name, value in shown.fixed.items():
        setting = SETTINGS.get(name, Setting(f"{name} {{}}"))
        written = f"{value:,}" if isinstance(value, int) else value
        fixed.append(say(setting.fixed or setting.condition).format(written))
    others = say(" Fixed: {fixed}.", fixed=say(", ").join(fixed)) if fixed else ""
    seen = bool(np.isfinite(shown.published.to_numpy(float)).any())
    also = say(" meas.: median of published cases of the same settings.") if seen else ""
    what = say(shown.check.what)
    what = what[0].upper() + what[1:]
    return say(
        "{what}; median over the settings not shown. The line rings the cells where the "
        "statement holds ({check}).{others}{also}",
        what=what,
        check=range_text(shown.check),
        others=others,
        also=also,
    )


def said_rows(findings: Sequence[Finding]) -> pd.DataFrame:
    """Return the claims that give a number of times, for `gpuspec.views.plots.said_and_found`."""
    rows, by_id = [], {f.claim.id: f for f in findings}
    table = load_table("claim-checks")
    numbers = table[table["said"].notna() & table["claim"].isin(by_id)]
    for stated in rows_of(numbers):
        check = by_id[stated.claim].checks[stated.check - 1]
        grid = check.grid[np.isfinite(check.grid["value"])]
        seen = check.measured["value"].to_numpy(float)
        ends = [grid["value"].min(), grid["value"].max(), grid["low"].min(), grid["high"].max()]
        if check.unit == "days":
            ends = [WEEK_DAYS / ends[i] for i in (1, 0, 3, 2)]
            seen = WEEK_DAYS / seen
        rows.append((f"{stated.claim} {stated.said_label}", stated.said, *ends, seen))
    columns = ["label", "said", "least", "most", "low", "high", "published"]
    return pd.DataFrame(rows, columns=columns)


def numbers_finding(rows: pd.DataFrame) -> str:
    """Say which of the guide's numbers no estimate reaches."""
    short = [f"{r.label.split()[0]}" for r in rows_of(rows) if r.said > r.high]
    if not short:
        return say("Each number of the guide is reached by some estimate")
    return say("No estimate reaches the guide's number in {short}", short=listed(short))


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 20 or value == round(value) else f"{value:.2f}"
