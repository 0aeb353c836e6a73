"""What a question took for granted, in sentences: values that nobody stated."""

from __future__ import annotations

from typing import Any

from gpuspec.catalog.models import model
from gpuspec.decision.decide import Decision
from gpuspec.decision.plan.words import Voice, voice_of
from gpuspec.decision.plan.words_asked import token_words
from gpuspec.decision.scenario import Scenario
from gpuspec.views.amounts import plain, three_digits
from gpuspec.views.markdown import Markdown
from gpuspec.views.words import gpu_name

SAID = {
    "model": "{said} is taken as {value}, a typical model of that size (of {works}).",
    "tokens": "{works}: {value} tokens a run, which take {said} of the hours on {gpu}.",
    "budget": "{said} names no currency and is taken in USD: 元 after it for yuan.",
}
"""What is said of a field that stands for something less exact."""
NOT_STATED = {
    "model": "{works}: {value}, as no model is named.",
    "concurrency": "{works}: {value} requests are in flight.",
    "use_case": "{works}: requests, limits and habits of the users are those of the use {value}.",
    "tokens": "{works}: {value} tokens.",
    "document_tokens": "{works}: {value} tokens a document.",
    "deadline_days": "{works}: {value} for a run.",
    "global_batch": "{works}: {value} sequences a step.",
    "workload": "{works}: the class of work is {value}.",
    "gpu_hours": "{works}: {value} GPU-hours of {gpu} a run.",
}
"""What is said of a field that nobody stated."""
OTHER = "{works}: {field} is {value}."


def assumed_sentences(s: Scenario, voice: Voice) -> list[str]:
    """Return a sentence for each value of a scenario that nobody stated."""
    works: dict[tuple[str, str, str], list[str]] = {}
    for row in s.assumed:
        part, name = s.at(row.field)
        work: Any = part
        told = name, _value(name, getattr(work, name), voice), row.said or ""
        works.setdefault(told, []).append(work.name)
    found = []
    for (name, value, said), names in works.items():
        text = SAID[name] if said and name in SAID else NOT_STATED.get(name, OTHER)
        values = {"works": voice.listed(names), "value": value, "said": said, "field": name}
        found.append(voice.say(text, **values, gpu=gpu_name("a100-sxm-80")))
    return found


def assumed_text(s: Scenario, decision: Decision, language: str | None = None) -> Markdown | None:
    """Return `assumed_sentences` as a paragraph; None without any."""
    voice = voice_of(decision, language)
    text = voice.joined(assumed_sentences(s, voice))
    if not text:
        return None
    head = voice.say("Taken, as nothing was named")
    return Markdown("**{}**{}{}").format(head, voice.say(": "), text)


def _value(name: str, value: Any, voice: Voice) -> str:
    if name == "model":
        return model(value).name
    if name == "deadline_days":
        return voice.days(value)
    if name in ("tokens", "document_tokens"):
        return token_words(value, voice)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return plain(three_digits(value)) if number else str(value)
