"""What settings that nobody named cost, in sentences, in English and from the catalogue."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuspec.decision.decide import Decision
from gpuspec.decision.plan.words import Voice, percent, voice_of
from gpuspec.decision.settings import settings_table
from gpuspec.views.markdown import Markdown

CHANGED = {
    "spare replicas": "without the spare replica of {works}",
    "key-value cache": "with a key-value cache in FP8 for {works}, whose quality must be checked",
    "first token": "with {other} to the first token of {works} instead of {taken}",
    "each further token": "with {other} for each further token of {works} instead of {taken}",
    "number formats": "with weights in {other} alone",
}
SAME = 0.005
"""Shares of the cost below which a setting changes nothing to speak of."""


def settings_text(
    decision: Decision, language: str | None = None, only: tuple[str, ...] = ()
) -> Markdown:
    """Return a paragraph on the settings that nobody named, or those of `only`; empty if none
    changes the cost.
    """
    voice = voice_of(decision, language)
    said = [_said(row, voice) for row in settings_table(decision, only).to_dict("records")]
    text = voice.joined(filter(None, said))
    if not text:
        return Markdown("")
    head = voice.say("Settings that you did not name")
    return Markdown("**{}**{}{}").format(head, voice.say(": "), text)


def _said(row: dict[Any, Any], voice: Voice) -> str:
    """Say what one other setting would do; '' where that is little."""
    how = voice.say(
        CHANGED[row["setting"]],
        works=voice.listed(row["works"]),
        other=row["other"],
        taken=row["taken"],
    )
    if np.isnan(row["more"]):
        return voice.say("Nothing fits {how}.", how=how)
    if abs(row["more"]) < SAME:
        return ""
    share, usd = percent(abs(row["more"])), voice.money(row["cost_usd"])
    less = row["more"] < 0
    if row["flips"]:
        text = "It costs {share} less {how}, {usd}, on other kinds of GPU."
        text = text if less else "It costs {share} more {how}, {usd}, on other kinds of GPU."
    else:
        text = (
            "It costs {share} less {how}, {usd}." if less else "It costs {share} more {how}, {usd}."
        )
    return voice.say(text, how=how, share=share, usd=usd)
