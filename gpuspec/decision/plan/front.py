"""Page 1 of the decision report: the answer, the terms to sign, and what whoever signs assumes."""

from __future__ import annotations

from typing import Any

from gpuspec.base.lazy import pd
from gpuspec.catalog.models.formats import format_title
from gpuspec.decision.decide import Decision
from gpuspec.decision.plan.sensitivity import price_column
from gpuspec.decision.plan.words import Voice, paid_words, percent, plan_words, voice_of, whole
from gpuspec.decision.plan.words_asked import asked_sentences
from gpuspec.decision.plan.words_cost import grade_sentence, grades
from gpuspec.decision.plan.words_ground import ground_warning
from gpuspec.decision.plan.words_limits import give_sentences, limits_sentence
from gpuspec.decision.plan.words_outside import api_first
from gpuspec.decision.plan.words_page import NOTHING
from gpuspec.views.columns import headings
from gpuspec.views.display import Align
from gpuspec.views.front import QUOTES_DAYS, SIGN_DAYS, TRIAL_DAYS, Step, headed
from gpuspec.views.markdown import Markdown
from gpuspec.views.words import gpu_name

TERMS = headings("gpu", "gpus", "paid_as", "there", "price_today", "as_of", "grade")
"""Headings of the terms."""
SIDES: dict[str, Align] = dict.fromkeys(headings("gpus", "price_today"), "right")
"""Their columns of numbers."""
LINE = "_" * 42


def opening(decision: Decision, language: str | None = None) -> Markdown:
    """Return the answer in two sentences or three: what to sign, its cost, how sure that is,
    and what would take no GPUs at all."""
    voice = voice_of(decision, language)
    if not decision.feasible:
        first = voice.say(
            "The cheapest way out: {change}", change=give_sentences(decision, voice)[0]
        )
        return Markdown("**{}** {}").format(voice.say(NOTHING), first)
    best = decision.best
    low, high = best.interval_usd
    values = {"cost": voice.money(best.expected_usd), "span": voice.span(low, high)}
    values["months"] = voice.months(float(best.problem.calendar.edges[-1]))
    text = "It costs {cost} over {months} (80 % interval {span})."
    if decision.runner_up is not None and decision.scenario.objective == "cost":
        share = float(decision.table["probability"].iloc[0])
        text = (
            "It costs {cost} over {months} (80 % interval {span}), and is the cheapest of {plans} "
        )
        text += "plans in {share} of the draws."
        values |= {"plans": str(len(decision.table)), "share": percent(share)}
    told = voice.joined([voice.say(text, **values), api_first(decision, voice)])
    return Markdown("**{}** {}").format(plan_words(best, voice), told)


def asked(decision: Decision, language: str | None = None) -> Markdown:
    """Return what was asked, in sentences."""
    voice = voice_of(decision, language)
    told = headed("You asked", voice.joined(asked_sentences(decision.scenario, voice)), voice.say)
    limits = limits_sentence(decision, voice) if decision.feasible else ""
    return Markdown("\n\n").join([told, *([headed("Limits", limits, voice.say)] if limits else [])])


def terms_table(decision: Decision, language: str | None = None) -> pd.DataFrame:
    """Return the terms to sign: a row a contract or purchase, then what is rented by use."""
    voice, plans = voice_of(decision, language), decision.plans[:1]
    offers = decision.offers
    rows = []
    for row in (row for best in plans for row in best.signed.to_dict("records")):
        there = voice.say("now")
        if row["from_month"]:
            there = voice.say("after {months}", months=voice.months(row["from_month"]))
        rows.append(_term(offers.iloc[int(row["offer"])], whole(row["gpus"]), there, voice))
    for row in (row for best in plans for row in best.rented.to_dict("records")):
        of = offers[(offers["gpu"] == row["gpu"]) & (offers["mode"] == row["mode"])]
        if len(of):
            count = voice.say("up to {count}", count=whole(row["gpus_high"]))
            rows.append(_term(of.iloc[0], count, voice.say("when short"), voice))
    return pd.DataFrame(rows, columns=TERMS).set_index(TERMS[0])


def _term(offer: pd.Series[Any], count: str, there: str, voice: Voice) -> tuple[str, ...]:
    row = offer.to_dict()
    price, day = voice.price(float(row[price_column(row)]), str(row["mode"])), str(row["as_of"])
    grade = voice.say(str(grades(offer.to_frame().T).iloc[0]))
    return (
        gpu_name(row["gpu"]),
        count,
        paid_words(row["label"], voice.say),
        there,
        price,
        day,
        grade,
    )


def rests(decision: Decision, language: str | None = None) -> list[str]:
    """Say what the answer rests on: the ground of its speeds, and its prices."""
    voice = voice_of(decision, language)
    if not decision.feasible:
        return [voice.say("Each change was tried alone, and the cheapest plan was sought again.")]
    return [ground_warning(decision, voice), grade_sentence(decision, voice)]


def steps(decision: Decision, language: str | None = None) -> list[Step]:
    """Return what to do next."""
    voice = voice_of(decision, language)
    if not decision.feasible:
        text = "choose which of the limits gives, and ask again with it."
        return [Step("Whoever signs", QUOTES_DAYS, voice.say(text))]
    kinds = voice.listed(dict.fromkeys(gpu_name(g) for g in decision.best.kinds_used))
    found = []
    if kinds:
        text = "ask for quotes of {gpus}; the section on quotes says whom, and at which price the "
        text += "answer changes."
        found.append(Step("Purchasing", QUOTES_DAYS, voice.say(text, gpus=kinds)))
        text = "run the costliest work on one rented replica, with the commands of this report."
        found.append(Step("Engineering", TRIAL_DAYS, voice.say(text)))
    text = "sign, or decide again with the quotes (`gpuspec plan --quotes`)."
    return [*found, Step("Whoever signs", SIGN_DAYS, Markdown(voice.say(text)))]


def assumptions(decision: Decision, language: str | None = None) -> Markdown:
    """Return what whoever signs assumes, and a line for name and day; empty without a plan."""
    if not decision.feasible:
        return Markdown("")
    voice, best = voice_of(decision, language), decision.best
    said = [voice.say("the work is, and grows, as stated above")]
    formats: dict[str, list[str]] = {}
    for run in best.runs.to_dict("records"):
        options = best.problem.options[run["place"]]
        if options.changes_format(run["way"]):
            formats.setdefault(format_title(run["precision"]), []).append(run["workload"])
    for form, works in formats.items():
        names = voice.listed(dict.fromkeys(works))
        text = "answers in {form} are good enough for {works}"
        said.append(voice.say(text, form=form, works=names))
    if (best.rented["mode"] == "on-demand").any():
        said.append(voice.say("what is short can be rented by the hour when it is"))
    own = decision.offers.iloc[best.offers_used].query("mode == 'own'")
    if len(own):
        text = "what is bought is worth {share} of its price after {months}"
        month, share = float(own["term_months"].max()), float(own["residual_share"].max())
        said.append(voice.say(text, share=percent(share), months=voice.months(month)))
    assumed = voice.say("; ").join(said) + voice.say(".")
    head = headed("Assumed by whoever signs", assumed, voice.say)
    line = voice.say("Name and date: {line}", line=LINE)
    return Markdown("\n\n").join([head, line])
