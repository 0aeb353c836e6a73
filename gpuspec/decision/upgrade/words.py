"""Sentences about a plan over time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

from gpuspec.constants.ground import Ground
from gpuspec.decision.decide import MIX, Decision
from gpuspec.decision.ground import warning
from gpuspec.decision.plan.words import PAID, sharing, voice_of
from gpuspec.decision.plan.words_ground import measured_sentence, unread_sentence
from gpuspec.decision.plans import Plan
from gpuspec.decision.scenario import Scenario
from gpuspec.decision.upgrade.ask import UpgradeQuestion
from gpuspec.decision.upgrade.tables import orders_table, strategy_table
from gpuspec.views.amounts import money
from gpuspec.views.language import say, spoken, translator
from gpuspec.views.words import gpu_name, listed, rows

NAMES = {
    "mix": "the best plan",
    "stay": "staying with what is there",
    "grow": "keeping all and adding newer kinds",
    "replace": "newer kinds alone",
    "rented": "buying nothing",
    "bought": "signing no contract",
    "wait": "waiting with purchases",
    "api": "buying services by API",
    "gpus": "buying nothing by API",
}
"""What strategies are called in a sentence."""
VERBS = {"own": "buy {n:,.0f} {gpu} {when}", "sell": "sell {n:,.0f} {gpu} {when}"}


def when(month: float) -> str:
    """Say when something is ordered: now, or the month after which it is."""
    return say("now") if not month else say("after {month:.0f} months", month=month)


def upgrade_finding(decision: Decision) -> str:
    """Say what the best plan orders, signs and sells, and when."""
    if not decision.feasible:
        return say("Nothing that is allowed does all of this within the limits")
    said = [
        say(
            VERBS.get(row.what, "sign for {n:,.0f} {gpu} {how} {when}"),
            n=row.gpus,
            gpu=gpu_name(row.gpu),
            how=PAID.get(row.what, row.what),
            when=when(row.month),
        )
        for row in rows(orders_table(decision.best))
    ]
    text = listed(said) if said else say("keep what is there and sign nothing")
    return text[0].upper() + text[1:]


def rented_sentence(plan: Plan) -> str:
    """Say what is rented by the hour and on spot; '' where nothing is."""
    said = []
    for row in rows(plan.rented):
        how = {"on-demand": "by the hour", "spot": "on spot"}.get(row.mode, "missing")
        most = say(
            "{gpus:,.1f} {gpu} {how} on average", gpus=row.gpus, gpu=gpu_name(row.gpu), how=how
        )
        most += (
            say(", up to {gpus_high:,.0f}", gpus_high=row.gpus_high)
            if row.gpus_high > row.gpus + 0.5
            else ""
        )
        said.append(say("{most}, for {cost_usd}", most=most, cost_usd=money(row.cost_usd)))
    return say("Rented while needed: {said}.", said=listed(said)) if said else ""


def cost_sentence(decision: Decision) -> str:
    """Say what the best plan costs, how sure that is, and what comes next."""
    best, (low, high) = decision.best, decision.best.interval_usd
    months = decision.scenario.horizon_months
    text = say(
        "It costs {expected_usd} over {months} months (80 % interval {low} to {high}): what "
        "is owned enters at its worth of today, what is left at the end is taken off.",
        expected_usd=money(best.expected_usd),
        months=months,
        low=money(low),
        high=money(high),
    )
    there = len(best.signed) or best.problem.kinds.owned.any()
    if there:
        text += say(" In {mean:.0%} of the draws what is there is enough", mean=best.enough.mean())
        short = best.shortfall_usd
        text += (
            say("; what is short costs {short} on average.", short=money(short))
            if short > 0.5
            else "."
        )
    other = decision.runner_up
    if other is not None:
        more = other.expected_usd - best.expected_usd
        text += say(
            " The runner-up, {other}, costs {more} more on average; the first is the cheaper one "
            "in {other_2:.0%} of the draws.",
            other=names_of(other),
            more=money(more),
            other_2=decision.beats(other),
        )
    return text


def names_of(plan: Plan) -> str:
    """Say what a plan is: its strategies, or the GPUs that it is made of."""
    known = [say(NAMES[p.kind]) for p in plan.policies if p.kind in NAMES and p.kind != MIX]
    kinds = [
        say("{gpus} for all", gpus=gpu_name(p.gpus[0])) for p in plan.policies if p.kind == "one"
    ]
    split = [
        say(
            "jobs on {gpus}, services on {gpus_2}",
            gpus=gpu_name(p.gpus[0]),
            gpus_2=gpu_name(p.gpus[1]),
        )
        for p in plan.policies
        if p.kind == "split"
    ]
    return listed([*known, *kinds, *split][:2]) or say(NAMES[MIX])


def sharing_sentence(decision: Decision) -> str:
    """Say which share of each work that is split each kind of GPU carries; '' without any."""
    return " ".join(sharing(decision.best, voice_of(decision, spoken())))


def moves_sentence(decision: Decision) -> str:
    """Say which work changes its kind of GPU over time; '' where none does."""
    said = []
    for name, mine in decision.best.runs.groupby("workload", sort=False):
        kinds = [(month, [*rows_["gpu"]]) for month, rows_ in mine.groupby("from_month")]
        for (_, before), (month, after) in pairwise(kinds):
            if set(before) != set(after):
                where = listed([gpu_name(str(gpu)) for gpu in after])
                said.append(
                    say(
                        "{name} moves to {where} after {month:.0f} months",
                        name=name,
                        where=where,
                        month=month,
                    )
                )
    text = listed(said)
    return f"{text[0].upper()}{text[1:]}." if said else ""


def strategies_finding(decision: Decision) -> str:
    """Say how far the owner's other strategies are from the best plan."""
    table = strategy_table(decision)
    if table.empty:
        return say("No strategy does all the work within the limits")
    best = float(table["expected_usd"].iloc[0])
    others = table[table["expected_usd"] > best * 1.001].sort_values("expected_usd")
    if others.empty:
        return say("All strategies come to the same plan")
    said = [
        say(
            "{strategy} costs {expected_usd} more",
            strategy=NAMES[r.strategy],
            expected_usd=money(r.expected_usd - best),
        )
        for r in rows(others.drop_duplicates("strategy"))
    ]
    text = listed(said)
    return text[0].upper() + text[1:]


def drift_finding(table: pd.DataFrame) -> str:
    """Say what each drift of prices changes about what is bought."""
    said = []
    for row in rows(table):
        if np.isnan(row.expected_usd):
            said.append(say("prices {drift}: no plan keeps the limits", drift=row.drift))
        elif not row.bought:
            said.append(say("prices {drift}: nothing is bought", drift=row.drift))
        else:
            first = say(
                "{bought:,.0f} GPUs bought, the first {first_month}",
                bought=row.bought,
                first_month=when(row.first_month),
            )
            said.append(say("prices {drift}: {first}", drift=row.drift, first=first))
    text = say("; ").join(said)
    return text[0].upper() + text[1:]


def effort_finding(decision: Decision) -> str:
    """Say what change costs in the best plan, and what another one would save of it."""
    best = decision.best
    least = min(decision.plans, key=lambda plan: plan.effort_usd)
    saved = best.effort_usd - least.effort_usd
    if saved <= 0:
        return say(
            "Change costs {effort_usd}; no other plan needs less",
            effort_usd=money(best.effort_usd),
        )
    times = 1 + (least.expected_usd - best.expected_usd) / saved
    other = say(
        "at {times:.1f} times that, {least} is as cheap", times=times, least=names_of(least)
    )
    return say("Change costs {effort_usd}; {other}", effort_usd=money(best.effort_usd), other=other)


def ground_sentence(decision: Decision) -> str:
    """Say what is known of settings like those of the best plan, and of the runner-up."""
    first, other = decision.best, decision.runner_up
    return warning(
        _by_place(first), None if other is None else _by_place(other), translator(spoken())
    )


def measured_words(decision: Decision) -> str:
    """Name the speeds that were measured, and those that are not used; '' without any."""
    voice = voice_of(decision, spoken())
    told = measured_sentence(decision, voice)
    return " ".join(
        filter(
            None,
            [
                say("Measured by you: {told}", told=told) if told else "",
                unread_sentence(decision, voice),
            ],
        )
    )


def _by_place(plan: Plan) -> dict[str, Ground]:
    form = "{work}, {gpu}"
    places = [say(form, work=say(r.workload), gpu=gpu_name(r.gpu)) for r in rows(plan.runs)]
    return dict(zip(places, plan.grounds, strict=True))


def limits_sentence(decision: Decision) -> str:
    """Name the limits that are asked."""
    limits = decision.problem.limits
    said = {
        "capital {}": (limits.capital, money),
        "{} a month": (limits.monthly, money),
        "{} over the horizon": (limits.total, money),
        "power of {} kW": (limits.power, "{:,.0f}".format),
        "{} GPUs": (limits.gpus, "{:,.0f}".format),
    }
    found = [say(text).format(form(v)) for text, (v, form) in said.items() if np.isfinite(v)]
    return listed(found) if found else say("none")


def fleet_caption(decision: Decision) -> str:
    """Say what the picture of the GPUs over time shows, and within which limits."""
    text = "GPUs that are there in each part of the horizon; of those by the hour and on spot the "
    text += "mean. The limits that were asked: {limits}."
    return say(text, limits=limits_sentence(decision))


def orders_shown(plan: Plan) -> pd.DataFrame:
    """Return what is decided when, in words."""
    table = orders_table(plan)
    names = PAID | {"sell": "sold"}
    shown = table.assign(what=[say(names.get(what, what)) for what in table["what"]])
    return shown.rename(columns={"month": "order_month"})


def effort_caption(s: Scenario) -> str:
    """Say what change is taken to cost."""
    e = s.effort
    return say(
        "At 1, change costs {kind_usd_year} for a year of each kind beyond the first, "
        "{workload_usd} for a workload that moves, {precision_usd} for a change of number format "
        "and {contract_usd} for a contract.",
        kind_usd_year=money(e.kind_usd_year),
        workload_usd=money(e.workload_usd),
        precision_usd=money(e.precision_usd),
        contract_usd=money(e.contract_usd),
    )


def answer_text(question: UpgradeQuestion) -> str:
    """Return the answer in sentences, or that there is none and what must give."""
    decision = question.decision
    said = [upgrade_finding(decision) + "."]
    if decision.feasible:
        said += [rented_sentence(decision.best), sharing_sentence(decision)]
        said += [cost_sentence(decision), moves_sentence(decision)]
        said += [ground_sentence(decision), measured_words(decision)]
    return " ".join(line for line in [*said, question.stated.doubts] if line)
