"""Limits in sentences: what is kept of each, which were left open, and what must give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gpuspec.base.lazy import pd
from gpuspec.decision.decide import Decision
from gpuspec.decision.gives import USD, what_gives
from gpuspec.decision.plan.limits import Use, heavy, uses
from gpuspec.decision.plan.words import Voice, percent, plan_words, whole
from gpuspec.decision.plan.words_cost import MANY, capital_words
from gpuspec.decision.plans import Plan
from gpuspec.topics.cost.prices import open_rows
from gpuspec.views.amounts import plain, three_digits

LIMITS = {
    "capital_usd": "Capital: {used} of {asked}, {left} are left.",
    "monthly_usd": "Money a month, at the dearest: {used} of {asked}, {left} are left.",
    "total_usd": "Money over the horizon: {used} of {asked}, {left} are left.",
    "power_kw": "Power of your own rooms: {used} of {asked}, {left} are left.",
    "gpus": "GPUs at once: {used} of {asked}, {left} are left.",
    "deadline_days": "{work}, a run: {used} of {asked}, {left} are left; kept in {sure} of the "
    "draws.",
    "ttft_limit_s": "{work}, the first token: {used} of {asked}; kept in {sure} of the draws.",
    "tpot_limit_s": "{work}, each further token: {used} of {asked}; kept in {sure} of the draws.",
}
BROKEN = "{limit} This limit is not kept."
OPEN = {
    "capital_usd": "You named no capital: this takes {used} at once.",
    "monthly_usd": "You named no money a month: this takes up to {used}.",
    "power_kw": "You named no power of your rooms: this takes {used}.",
    "gpus": "You named no number of GPUs: {used} have to be had at once.",
}
GIVES = {
    "capital": "With {needed} of capital instead of {asked}{more}: {then}",
    "monthly": "With {needed} a month instead of {asked}{more}: {then}",
    "total": "With {needed} over the horizon instead of {asked}{more}: {then}",
    "power": "With {needed} kW instead of {asked} kW{more}: {then}",
    "gpus": "With {needed} GPUs instead of {asked}{more}: {then}",
    "deadline": "With {needed} for a run of {work} instead of {asked}{more}: {then}",
    "latency": "With limits on the times to tokens of {work} that are {needed} times as long: "
    "{then}",
}


def limits_sentence(decision: Decision, voice: Voice) -> str:
    """Return a sentence for each limit that was stated, and for each that was left open and is
    used heavily; of many works alone those of which a limit is missed in some draws.
    """
    plan = decision.best
    every = uses(decision, plan)
    told = [use for use in every if not use.workload or use.stated]
    if len(plan.runs) > 3:
        told = [u for u in told if not u.workload or u.sure < 0.995]
    found = [limit_words(use, voice) for use in told]
    if any(use.workload for use in every) and not any(use.workload for use in told):
        text = "All deadlines and times to tokens are kept in {share} of the draws."
        found.append(voice.say(text, share=percent(float(plan.kept.mean()))))
    found += [voice.say(OPEN[u.limit], used=_amount(u.limit, u.used, voice)) for u in heavy(plan)]
    return voice.joined(found)


def limit_words(use: Use, voice: Voice) -> str:
    """Return what a plan makes of a limit, in a sentence."""
    amounts = {n: _amount(use.limit, getattr(use, n), voice) for n in ("used", "asked", "left")}
    text = voice.say(LIMITS[use.limit], **amounts, work=use.workload, sure=percent(use.sure))
    return text if use.kept else voice.say(BROKEN, limit=text)


def _amount(limit: str, value: float, voice: Voice) -> str:
    """Write a value of a limit with its unit."""
    if limit.endswith("_usd"):
        return voice.money(value)
    if limit == "deadline_days":
        return voice.days(value)
    if limit.endswith("_s"):
        return voice.seconds(value)
    unit = "{count} kW" if limit == "power_kw" else "{count} GPUs"
    count = plain(three_digits(value)) if limit == "power_kw" else whole(value)
    return voice.say(unit, count=count)


def open_sentence(decision: Decision, voice: Voice) -> str:
    """Say how many rows of a request for quotes have no price; empty where there are none."""
    prices = decision.scenario.prices
    stated = prices.quotes if isinstance(prices.quotes, str) else ""
    count = open_rows(prices.file) + open_rows(stated)
    text = "{count} quotes are asked for that have no price yet; the tables' prices count there."
    return voice.say(text, count=count) if count else ""


def give_sentences(decision: Decision, voice: Voice) -> list[str]:
    """Return what would have to change, one change at a time, with what it then costs."""
    return [_give(row, voice) for row in gives_of(decision).to_dict("records")] or [
        voice.say("No single change that was tried helps.")
    ]


def gives_of(decision: Decision) -> pd.DataFrame:
    """Return `what_gives` of a decision, computed once."""
    if "gives" not in vars(decision):
        vars(decision)["gives"] = what_gives(decision)
    found: pd.DataFrame = vars(decision)["gives"]
    return found


def _give(row: Mapping[Any, Any], voice: Voice) -> str:
    say, what = voice.say, str(row["what"])
    if what == "ways":
        return say("{work} cannot run: {reason}.", work=row["workload"], reason=row["reason"])
    asked, needed = (_given(what, float(row[n]), voice) for n in ("asked", "needed"))
    values = {"asked": asked, "needed": needed, "work": row["workload"], "more": ""}
    if np.isfinite(far := float(row["far"])):
        times = plain(three_digits(far + 1))
        text = " ({share} more)" if far < MANY else " ({times} times as much)"
        values["more"] = say(text, share=percent(far), times=times)
    plan: Plan | None = row["plan"]
    if plan is None:
        return say(GIVES[what], **values, then=say("another limit must give as well."))
    if row["reason"]:
        cost = voice.money(float(row["cost_usd"]))
        then = say("together with the other changes here it costs {cost}.", cost=cost)
        return say(GIVES[what], **values, then=then)
    months = voice.months(float(plan.problem.calendar.edges[-1]))
    cost = voice.money(float(row["cost_usd"]))
    then = say(
        "it costs {cost} over {months}. {plan}",
        cost=cost,
        months=months,
        plan=plan_words(plan, voice),
    )
    return voice.joined([say(GIVES[what], **values, then=then), capital_words(plan, voice)])


def _given(what: str, value: float, voice: Voice) -> str:
    if what in USD:
        return voice.money(value)
    return voice.days(value) if what == "deadline" else plain(three_digits(value))
