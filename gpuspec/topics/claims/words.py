"""Sentences that read the audit of claims, true for whatever was asked."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gpuspec.topics.claims import (
    FALSE,
    MISLEADING,
    TRUE,
    WHEN,
    ClaimMap,
    ClaimsQuestion,
    Finding,
    evidence_text,
    range_text,
    verdict_text,
)
from gpuspec.views.markdown import Markdown
from gpuspec.views.words import listed
from gpuspec.views.words import rows as rows_of

_SAID = {TRUE: "true", WHEN: "true under a condition", MISLEADING: "misleading", FALSE: "false"}
_FIXED = {
    "gpus": "{} GPU",
    "weights": "weights in {}",
    "answer": "answers of {} tokens",
    "context": "prompts of {} tokens",
    "precision": "products in {}",
    "seq_len": "sequences of {} tokens",
    "price": "price ratio {}",
    "pair": "{}",
    "gpu": "{}",
    "rival": "against {}",
    "new": "{}",
    "kind": "{}s",
    "cells": "cells of {}",
}


def audit_finding(findings: Sequence[Finding]) -> str:
    """Say how many claims got each verdict."""
    said = []
    for word in (TRUE, WHEN, MISLEADING, FALSE):
        names = [f.claim.id for f in findings if f.verdict.word == word]
        if names:
            said.append(f"{len(names)} {_SAID[word]}")
    return f"Of {len(findings)} statements {listed(said)}"


def audit_sentences(findings: Sequence[Finding]) -> str:
    """Name the claims of each verdict that a buyer should not act on."""
    said = []
    for word in (FALSE, MISLEADING):
        names = [f.claim.id for f in findings if f.verdict.word == word]
        if names:
            said.append(Markdown("**{}:** {}.").format(_SAID[word].capitalize(), listed(names)))
    return Markdown(" ").join(said) or "None of them is false or misleading."


def claim_sentence(finding: Finding) -> str:
    """Say of one claim what the guide says, the verdict, and the evidence of each part."""
    f = finding
    verdict = verdict_text(f.verdict)
    said = Markdown("**{}: {}.** Verdict: **{}**.").format(
        f.claim.id, f.claim.statement_en, verdict
    )
    for check, part in zip(f.checks, f.parts, strict=True):
        held = f"in range ({range_text(check)}) in {part.share:.0%} of {len(check.grid)} settings"
        said += f" {evidence_text(check)}" + ("." if check.unit == "yes" else f"; {held}.")
    return said


def footnote_sentence(finding: Finding) -> str:
    """Say what the vendor's own footnote adds; empty where there is none."""
    c = finding.claim
    if not c.vendor_footnote:
        return "The vendor has no footnote on this."
    settings = f" Settings: {c.vendor_settings}." if c.vendor_settings else ""
    return Markdown("**The vendor's footnote.** ") + f"{c.vendor_footnote}.{settings}"


def price_sentence(question: ClaimsQuestion) -> str:
    """Say which price ratios were tried."""
    q = question
    levels = [
        f"an hour of {new.id} as {listed([f'{p:g}' for p in prices])} hours of {old.id}"
        for new, old, prices in (
            (q.h100_gpu, q.a100_gpu, q.h100_ratios),
            (q.h200_gpu, q.h100_gpu, q.h200_ratios),
        )
    ]
    return f"Price ratios tried: {'; '.join(levels)}."


def map_finding(finding: Finding, shown: ClaimMap) -> str:
    """Say in what share of a map's cells a claim holds, and between which values."""
    values = shown.cells.to_numpy(float)
    finite = values[np.isfinite(values)]
    if not len(finite):
        return f"{finding.claim.id}: the older GPU serves none of these settings"
    span = f"{_short(finite.min())} to {_short(finite.max())} {shown.check.unit}".strip()
    held, cells = int((shown.holds.to_numpy() & ~np.isnan(values)).sum()), (~np.isnan(values)).sum()
    where = (
        "in no cell"
        if not held
        else "in every cell"
        if held == cells
        else f"in {held} of {cells} cells"
    )
    label = f"{finding.claim.id}, {shown.check.label}"
    return f"{label}: {span}; in range ({range_text(shown.check)}) {where}"


def map_caption(shown: ClaimMap) -> str:
    """Say what a map shows and how its other settings are fixed."""
    fixed = [
        _FIXED.get(k, k + " {}").format(f"{v:,}" if isinstance(v, int) else v)
        for k, v in shown.fixed.items()
    ]
    others = f" Fixed: {', '.join(fixed)}." if fixed else ""
    seen = bool(np.isfinite(shown.published.to_numpy(float)).any())
    also = " meas.: median of published cases with nearly these settings." if seen else ""
    what = shown.check.what[0].upper() + shown.check.what[1:]
    return (
        f"{what}; median over the settings not shown. The line rings the cells where the statement "
        f"holds ({range_text(shown.check)}).{others}{also}"
    )


def said_rows(findings: Sequence[Finding]) -> pd.DataFrame:
    """Return the claims that give a number of times, for `gpuspec.views.plots.said_and_found`."""
    number = {"C01": (0, 9.0), "C02": (0, 30.0), "C03": (1, 1979 / 312), "C06": (0, 7.0)}
    number |= {"C08": (0, 7 / 3), "C12": (0, 1.5)}
    names = {
        "C01": "training, H100 / A100",
        "C02": "serving at full load, H100 / A100",
        "C03": "FP16 peak, H100 / A100",
        "C06": "dynamic programming, H100 / A100",
        "C08": "a week in three days",
        "C12": "serving, H200 / H100",
    }
    rows = []
    for f in findings:
        if f.claim.id not in number:
            continue
        place, said = number[f.claim.id]
        check = f.checks[place]
        grid = check.grid[np.isfinite(check.grid["value"])]
        week = check.unit == "days"
        least, most, low, high = (
            grid["value"].min(),
            grid["value"].max(),
            grid["low"].min(),
            grid["high"].max(),
        )
        seen = check.measured["value"].to_numpy(float)
        if week:
            least, most, low, high, seen = 7 / most, 7 / least, 7 / high, 7 / low, 7 / seen
        label = f"{f.claim.id} {names[f.claim.id]}"
        rows.append((label, said, least, most, low, high, seen))
    columns = ["label", "said", "least", "most", "low", "high", "published"]
    return pd.DataFrame(rows, columns=columns)


def numbers_finding(rows: pd.DataFrame) -> str:
    """Say which of the guide's numbers no estimate reaches."""
    short = [f"{r.label.split()[0]}" for r in rows_of(rows) if r.said > r.high]
    if not short:
        return "Each number of the guide is reached by some estimate"
    return f"No estimate reaches the guide's number in {listed(short)}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 20 or value == round(value) else f"{value:.2f}"
