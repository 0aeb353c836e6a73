"""Page 1 of a decision in sentences, in English and from the catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gpuspec.base.lazy import pd
from gpuspec.catalog import gpu as device_of
from gpuspec.catalog.engines import engine_for
from gpuspec.catalog.models.formats import format_title
from gpuspec.catalog.regions import region_title
from gpuspec.constants.engine import engine
from gpuspec.constants.ground import FAR, Ground, called
from gpuspec.decision.decide import (
    API,
    BOUGHT,
    GROW,
    ONE,
    OWN,
    RENTED,
    REPLACE,
    STAY,
    TIE,
    Decision,
)
from gpuspec.decision.errors import SURE
from gpuspec.decision.gives import USD, what_gives
from gpuspec.decision.ground import warning
from gpuspec.decision.measured import figure
from gpuspec.decision.plan.limits import Use, heavy, runs_in, uses
from gpuspec.decision.plan.words import (
    HIDDEN,
    PAID,
    Voice,
    percent,
    plan_words,
    policy_words,
    short_high,
    there,
    voice_of,
    whole,
)
from gpuspec.decision.plan.words_asked import asked_sentences, default_sentences
from gpuspec.decision.plan.words_line import assumed_sentences
from gpuspec.decision.plan.words_outside import api_first, api_sentence, owned_sentence
from gpuspec.decision.plan.words_place import place_sentences
from gpuspec.decision.plan.words_spot import spot_sentences
from gpuspec.decision.plans import ENOUGH, Plan
from gpuspec.decision.scenario import Inference
from gpuspec.topics.cost.prices import open_rows, priced_elsewhere
from gpuspec.views.amounts import plain, three_digits
from gpuspec.views.front import headed
from gpuspec.views.markdown import Markdown, marked
from gpuspec.views.words import gpu_name

NOTHING = "Nothing that is allowed does all of this within the limits."
EVEN = 0.6
"""Share of the draws below which a plan that is cheaper on average is not told apart."""
LITTLE = 0.005
"""Share of the cost below which a part, or a difference, is not told."""
MOST_JOBS = 4
MANY = 2.0
"""Share more from which a difference is told as a multiple."""
GRADES = ("firm", "indicative", "guess")
"""How firm prices are, the firmest first."""
GRADED = {
    "firm": "Its prices are firm: they are your own quotes.",
    "indicative": "Its prices are indicative: what providers print. Ask for quotes before you "
    "sign.",
    "guess": "Its prices are in part a guess: {names}. Ask for quotes before you sign.",
}
PARTS = {
    "purchases": "{usd} for what is bought (less what is left of its worth)",
    "contracts": "{usd} for contracts",
    "upkeep": "{usd} for the keep of GPUs of your own",
    "by the hour": "{usd} by the hour",
    "spot": "{usd} on spot",
    "by API": "{usd} by API",
    "energy": "{usd} of energy of hours in use",
    "owned today": "{usd} that GPUs which are owned lose of their worth",
    "effort": "{usd} of effort",
    "undone": "{usd} counted for work that stays undone",
}
SERVICES = {
    "licences": "{usd} of software licences",
    "support": "{usd} for a support plan on rents",
    "lines": "{usd} for line and traffic",
}
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
LOADS = {
    "Traffic of the services": "traffic of the services at {factor} times what was asked",
    "Length of the prompts": "length of the prompts at {factor} times what was asked",
    "Hours of the services": "hours of the services at {factor} times what was asked",
    "Tokens of the training jobs": "tokens of the training jobs at {factor} times what was asked",
}
"""What a load does that makes the runner-up win, by its name among the changes of a question."""
RULE = ("fewer kinds of GPU", "fewer contracts", "a shorter commitment", "a smaller worst case")
"""What decides between equal plans, in this order."""
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


def answer_page(decision: Decision, language: str | None = None) -> Markdown:
    """Return the first part of page 1: what was asked, the answer, its cost and limits, how sure
    it is; where nothing keeps all limits, what must give.
    """
    voice = voice_of(decision, language)
    asked = headed("You asked", voice.joined(asked_sentences(decision.scenario, voice)), voice.say)
    told = _answer(decision, voice) if decision.feasible else _infeasible(decision, voice)
    return Markdown("\n\n").join([asked, *told])


def full_page(decision: Decision, language: str | None = None) -> Markdown:
    """Return what a report tells after its own page 1: the answer's parts but the plan, its limits
    and what was asked; where nothing keeps all limits, what must give.
    """
    voice = voice_of(decision, language)
    if not decision.feasible:
        return Markdown("\n\n").join(list(_infeasible(decision, voice))[1:])
    plan, limits = plan_words(decision.best, voice), limits_sentence(decision, voice)
    told = [text for text in _answer(decision, voice) if not text.startswith(f"**{marked(plan)}")]
    limits_text = headed("Limits", limits, voice.say)
    return Markdown("\n\n").join(text for text in told if text != limits_text)


def nothing_page(decision: Decision, language: str | None = None) -> Markdown:
    """Return what was asked and that nothing keeps all limits, without what must give: at once."""
    voice = voice_of(decision, language)
    asked = headed("You asked", voice.joined(asked_sentences(decision.scenario, voice)), voice.say)
    return Markdown("\n\n").join([asked, Markdown("**{}**").format(voice.say(NOTHING))])


def rest_page(
    decision: Decision, evens: pd.DataFrame | None = None, language: str | None = None
) -> Markdown:
    """Return the second part of page 1: the runner-up, why it is not taken, what the answer rests
    on, and what it does not use.
    """
    voice = voice_of(decision, language)
    return Markdown("\n\n").join(_rest(decision, evens, voice))


def decision_finding(decision: Decision, language: str | None = None) -> str:
    """Return the answer in a line, or that there is none."""
    voice = voice_of(decision, language)
    return plan_words(decision.best, voice) if decision.feasible else voice.say(NOTHING)


def _answer(decision: Decision, voice: Voice) -> Iterator[Markdown]:
    say, best = voice.say, decision.best
    sure = float(best.kept.mean())
    if sure < SURE:
        text = "All deadlines and limits are kept in {share} of the draws alone."
        yield Markdown("**{}**").format(say(text, share=percent(sure)))
    told = grade_sentence(decision, voice), far_sentence(best, voice), api_first(decision, voice)
    beside = voice.joined(told)
    yield Markdown("**{}** {}").format(plan_words(best, voice), beside)
    taken = decision.offers.iloc[best.offers_used]
    if where := voice.joined(place_sentences(decision.scenario, taken, voice)):
        yield headed("Where", where, voice.say)
    if enough := enough_sentence(best, voice):
        yield headed("Enough", enough, voice.say)
    yield headed("Cost", cost_sentence(best, voice), voice.say)
    if outside := api_sentence(decision, voice):
        yield headed("By API", outside, voice.say)
    if owned := owned_sentence(decision, voice):
        yield headed("Doing nothing", owned, voice.say)
    if limits := limits_sentence(decision, voice):
        yield headed("Limits", limits, voice.say)
    yield headed("How sure", sure_sentence(decision, voice), voice.say)


def _rest(decision: Decision, evens: pd.DataFrame | None, voice: Voice) -> Iterator[Markdown]:
    say, plan = voice.say, decision.best if decision.feasible else None
    if plan and decision.runner_up is not None:
        yield headed("Runner-up", runner_up_sentence(decision, voice), voice.say)
        if why := reasons(decision, voice.language):
            yield headed("Why", voice.joined(why), voice.say)
        if evens is not None:
            flips = say("; ").join(changes(decision, evens, voice.language)) + say(".")
            yield headed("The runner-up wins with", flips, voice.say)
    if impossible := impossible_sentence(decision, voice):
        yield headed("Not possible", impossible, voice.say)
    if plan:
        yield headed("Ground", ground_warning(decision, voice), voice.say)
        if known := measured_sentence(decision, voice):
            yield headed("Measured by you", known, voice.say)
        checks = [spot_sentences(plan, voice), quality_sentence(decision, voice)]
        if told := voice.joined(checks):
            yield headed("Check first", told, voice.say)
    defaults = assumed_sentences(decision.scenario, voice)
    defaults += default_sentences(decision.scenario, voice, plan)
    yield headed("Taken, as nothing was named", voice.joined(defaults), voice.say)
    notes = [currency_sentence(voice), unpriced_sentence(decision, voice)]
    notes += [left_out_sentence(decision, voice), open_sentence(decision, voice)]
    notes += engine_sentences(decision, voice)
    notes += [unused_sentence(decision, voice), unread_sentence(decision, voice)]
    doubts = decision.scenario.doubts
    notes += [apart_sentence(decision, voice), doubts and voice.say(doubts)]
    if told := voice.joined(notes):
        yield headed("Notes", told, voice.say)


# --- what is signed, and whether it is enough -----------------------------------------------------


def grades(offers: pd.DataFrame) -> pd.Series:
    """Return how firm each price is: its own grade, else by age, derivation and who said it."""
    if "grade" in offers:
        return offers["grade"]
    weak = (offers["stale"] | offers["derived"]).to_numpy(bool)
    firm = offers["quoted"].to_numpy(bool) & ~offers["stale"].to_numpy(bool)
    return pd.Series(np.select([firm, weak], ["firm", "guess"], "indicative"), offers.index)


def grade_of(decision: Decision, plan: Plan) -> str:
    """Return the grade of the worst price of a plan; firm where it pays none."""
    found = [*grades(decision.offers.iloc[plan.offers_used])]
    found += [row["grade"] for row in token_prices(plan)]
    return max(found, key=GRADES.index, default="firm")


def grade_sentence(decision: Decision, voice: Voice) -> str:
    """Say how firm the worst price of the recommendation is; empty where it pays none."""
    rows = decision.offers.iloc[decision.best.offers_used]
    tokens = token_prices(decision.best)
    grade = grade_of(decision, decision.best)
    if rows.empty and not tokens:
        return ""
    worst = rows[grades(rows) == grade].to_dict("records")
    names = [_priced(row, voice) for row in worst]
    names += [_tokens_priced(row, voice) for row in tokens if row["grade"] == grade]
    return voice.say(GRADED[grade], names=voice.listed(dict.fromkeys(names)))


def token_prices(plan: Plan) -> list[dict[Any, Any]]:
    """Return the offers of the services that a plan buys by API."""
    p = plan.problem
    works = dict.fromkeys(p.choices.workload[plan.bought].tolist())
    return [dict(p.options[w].api.offers.iloc[0]) for w in works]


def _tokens_priced(row: Mapping[Any, Any], voice: Voice) -> str:
    values = {"product": row["product"], "provider": voice.say(row["provider"])}
    text = "{product} by API at {provider}, {days} days old"
    return voice.say(text, **values, days=f"{row['age_days']:,.0f}")


def _priced(row: Mapping[Any, Any], voice: Voice) -> str:
    """Name an offer, with the age of its price."""
    values = {"gpu": gpu_name(str(row["gpu"])), "mode": voice.say(PAID[str(row["mode"])])}
    if row["derived"]:
        return voice.say("{gpu} ({mode}, derived from another GPU)", **values)
    if np.isfinite(row["age_days"]):
        text = "{gpu} ({mode}, {days} days old)"
        return voice.say(text, **values, days=f"{row['age_days']:,.0f}")
    return voice.say("{gpu} ({mode})", **values)


def enough_sentence(plan: Plan, voice: Voice) -> str:
    """Say how many GPUs are there, in which share of the draws they are enough, and what is
    rented where they are not, at which cost.
    """
    say, held = voice.say, there(plan)
    months = voice.months(float(plan.problem.calendar.edges[-1]))
    used = {name: n for name, n in held.items() if name in short_high(plan)}
    if not used:
        return ""
    values = {"gpus": voice.counted(used), "draws": f"{plan.problem.draws.samples:,}"}
    values["share"] = percent(float(plan.enough.mean()))
    first, last = _enough_at(plan)
    wait = ""
    if plan.waiting_usd > HIDDEN:
        undone = (plan.rented["mode"] == "missing") & plan.rented["gpu"].isin(list(used))
        text = "Until what is ordered is there, its work runs on GPUs by the hour, for {usd}."
        if undone.any():
            text = "Until what is ordered is there, its work stays undone, counted at {usd}."
        wait = say(text, usd=voice.money(plan.waiting_usd))
    if plan.enough.all():
        all_ = say("The {gpus} are enough in all of {draws} draws.", **values)
        return voice.joined([all_, wait])
    found = [say("The {gpus} are enough in {share} of {draws} draws of speeds.", **values)]
    if first > last:
        text = "That is so at the start in {first}, and at the end in {last}."
        found = [
            say(
                "The {gpus} are enough all the time in {share} of {draws} draws of speeds.",
                **values,
            ),
            say(text, first=percent(first), last=percent(last)),
        ]
    high = {name: n for name, n in short_high(plan).items() if name in used and n > 0}
    lost = plan.rented[(plan.rented["mode"] == "missing") & plan.rented["gpu"].isin(used)]
    if len(lost):
        text = "What is short cannot be rented, and is counted at {usd} over {months} on average."
    elif high:
        text = (
            "Else up to {more} more are rented by the hour, in nine of ten draws at most so many."
        )
        found.append(say(text, more=voice.counted(high)))
        text = "That costs {usd} over {months} on average."
    else:
        text = "What is then short is rented by the hour, for {usd} over {months} on average."
    found.append(say(text, usd=voice.money(plan.shortfall_usd), months=months))
    return voice.joined([*found, wait])


def _enough_at(plan: Plan) -> tuple[float, float]:
    """Return the share of the draws in which what is there is enough at the start and the end."""
    here = [place for place, arrived in plan.arrived.items() if arrived]
    ends = []
    for of in (min, max):
        last = {k: of(q for kind, q in here if kind == k) for k, _ in here}
        short = [plan.short[place][0] <= ENOUGH for place in last.items()]
        ends.append(float(np.all(short, axis=0).mean()) if short else 1.0)
    return ends[0], ends[1]


# --- cost and limits ------------------------------------------------------------------------------


RARE = 0.99
"""Share of the draws beyond which a cost is rare."""


def cost_sentence(plan: Plan, voice: Voice) -> str:
    """Return the cost with its interval, of a month, at once, and by its parts; of jobs alone
    that of a run and its time.
    """
    say, months = voice.say, float(plan.problem.calendar.edges[-1])
    runs = [r for r in plan.runs.to_dict("records") if np.isfinite(r["days"])]
    jobs = not len(plan.signed) and len(runs) == len(plan.runs) and not plan.keep_usd
    jobs &= not len(plan.bought)
    found = [_run_cost(plan, run, voice) for run in runs[:MOST_JOBS]] if jobs else []
    low, high = plan.interval_usd
    values = {"cost": voice.money(plan.expected_usd), "months": voice.months(months)}
    values |= {"span": voice.span(low, high)}
    once = jobs and len(runs) == 1 and round(runs_in(plan, runs[0]["place"]), 6) == 1
    if not once:
        sure = "It costs {cost} over {months}." if low == high else ""
        text = sure or "It costs {cost} over {months} (80 % interval {span})."
        found.append(say(text, **values))
    elif low != high:
        found.append(say("The 80 % interval is {span}.", **values))
    if plan.expected_usd > high:
        rare = float(np.quantile(plan.costs, RARE))
        text = (
            "A few draws cost far more, {most} or more in one of a hundred: the average is beyond "
        )
        text += "the interval."
        found.append(say(text, most=voice.money(rare)))
    if not jobs:
        length = plan.problem.calendar.months
        mean = float(plan.monthly_usd @ length / length.sum())
        most = float(plan.monthly_usd.max())
        text = "A month takes {mean} on average, and {most} at the dearest."
        text = "A month takes {mean}." if most <= mean * 1.005 else text
        found.append(say(text, mean=voice.money(mean), most=voice.money(most)))
        found.append(_capital(plan, voice))
    found += [_over_sentence(plan, voice), parts_sentence(plan, voice)]
    return voice.joined([*found, services_sentence(plan, voice)])


def _capital(plan: Plan, voice: Voice) -> str:
    """Say what is paid for what is bought, and how much of it now."""
    bought = plan.signed[plan.signed["mode"] == "own"]
    if bought.empty:
        return ""
    now = float(bought.loc[bought["order_month"] == 0, "upfront_usd"].sum())
    values = {"capital": voice.money(plan.upfront_usd), "now": voice.money(now)}
    text = "{capital} is paid at once for what is bought."
    if now < plan.upfront_usd:
        text = "{capital} is paid for what is bought, {now} of it at once."
        text = text if now else "{capital} is paid for what is bought, none of it at once."
    return voice.say(text, **values)


def _run_cost(plan: Plan, run: Mapping[Any, Any], voice: Voice) -> str:
    """Say what a run of a job costs, and how long it takes."""
    count = max(runs_in(plan, run["place"]), 1e-9)
    usd = float(plan.work_usd[run["workload"]]) / count
    values = {"name": run["workload"], "usd": voice.money(usd), "time": voice.days(run["days"])}
    if round(count, 6) == 1:
        return voice.say("{name} costs {usd} once and takes {time}.", **values)
    text = "{name} costs {usd} a run and takes {time}; {count} runs are wanted."
    return voice.say(text, **values, count=plain(three_digits(count)))


def _over_sentence(plan: Plan, voice: Voice) -> str:
    """Say that contracts are paid beyond the horizon, where they are."""
    end = float(plan.problem.calendar.edges[-1])
    rows = plan.signed[plan.signed["mode"] != "own"]
    over = rows["from_month"] + rows["paid_months"] - end
    if not len(rows) or over.max() <= 0.5:
        return ""
    text = "Of it contracts are paid for {months} beyond the horizon."
    return voice.say(text, months=voice.months(float(over.max())))


def parts_sentence(plan: Plan, voice: Voice) -> str:
    """Say what the cost consists of, the largest part first; empty where it is one thing."""
    means = {name: float(part.mean()) for name, part in plan.parts.items()}
    least = LITTLE * plan.expected_usd
    told = {n: usd for n, usd in means.items() if abs(usd) > max(least, HIDDEN)}
    if len(told) < 2:
        return ""
    order = sorted(told, key=lambda n: -told[n])
    values = voice.listed(voice.say(PARTS[n], usd=voice.money(told[n])) for n in order)
    return voice.say("Of it: {parts}.", parts=values)


def services_sentence(plan: Plan, voice: Voice) -> str:
    """Say what of the cost licences, support and lines take, of those that were set."""
    told = {name: usd for name, usd in plan.services_usd.items() if usd > HIDDEN}
    parts = [voice.say(SERVICES[name], usd=voice.money(usd)) for name, usd in told.items()]
    return voice.say("It holds {parts}.", parts=voice.listed(parts)) if parts else ""


def left_out_sentence(decision: Decision, voice: Voice) -> str:
    """Name which of licences, support and lines the cost leaves out; empty for none."""
    services = decision.scenario.operating.services
    names = voice.listed(voice.say(name) for name, value in services.items() if not value)
    text = "The costs leave out {names}: set them in prices.operating."
    return voice.say(text, names=names) if names else ""


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


# --- how sure, and against what -------------------------------------------------------------------


def sure_sentence(decision: Decision, voice: Voice) -> str:
    """Return how sure the recommendation is: over all plans, against the next, and what decided."""
    say, table, best = voice.say, decision.table, decision.best
    first = table.iloc[0]
    if decision.scenario.objective != "cost":
        return _other_goal(decision, voice)
    if decision.runner_up is None:
        return say("No other plan keeps all limits.")
    values = {"plans": len(table), "draws": f"{best.problem.draws.samples:,}"}
    values |= {"share": percent(first["probability"]), "near": percent(first["near"])}
    text = (
        "Of {plans} plans it is the cheapest in {share} of {draws} draws of speeds and prices, and "
    )
    text += "in {near} it costs at most 5 % more than the cheapest."
    found = [say(text, **values)]
    most = int(table["probability"].to_numpy().argmax())
    if most:
        text = "Another plan ({plan}) is the cheapest more often, in {share}; on average it costs "
        text += "{more}."
        found.append(_against(decision, most, text, voice))
    found.append(decided_sentence(decision, voice))
    sure = float(best.kept.mean())
    if SURE <= sure < 0.995:
        text = "All deadlines and limits are kept in {share} of the draws."
        found.append(say(text, share=percent(sure)))
    return voice.joined(found)


def _against(decision: Decision, place: int, text: str, voice: Voice) -> str:
    row = decision.table.iloc[place]
    say, plan = voice.say, decision.plans[place]
    return say(
        text,
        share=percent(row["probability"]),
        plan=policy_words(plan.policies[0], say),
        more=more_words(decision, plan, voice),
        beats=percent(decision.beats(plan)),
    )


def more_words(decision: Decision, plan: Plan, voice: Voice) -> str:
    """Write what a plan costs against the recommendation: more, less or the same."""
    more = plan.expected_usd / decision.best.expected_usd - 1
    if abs(more) <= TIE:
        return voice.say("the same")
    if more >= MANY:
        return voice.say("{times} times as much", times=plain(three_digits(more + 1)))
    return voice.say("{share} more" if more > 0 else "{share} less", share=percent(abs(more)))


def equal_plans(decision: Decision) -> list[Plan]:
    """Return the plans that cost as much as the recommendation, which the rule puts behind it."""
    least = min(plan.expected_usd for plan in decision.plans)
    return [p for p in decision.plans[1:] if p.expected_usd - least <= TIE * abs(least)]


def decided_sentence(decision: Decision, voice: Voice) -> str:
    """Say which plans are equal and what decided, or how often the runner-up is dearer."""
    say, best = voice.say, decision.best
    if equal := equal_plans(decision):
        names = voice.listed(policy_words(p.policies[0], say) for p in equal)
        mine, other = best.simplicity, equal[0].simplicity
        place = next((i for i, (a, b) in enumerate(zip(mine, other, strict=True)) if a < b), None)
        if place is None:
            return say("Equal to it, within the error: {plans}.", plans=names)
        text = "Equal to it, within the error: {plans}. What decided is {rule}."
        return say(text, plans=names, rule=say(RULE[place]))
    other_plan = decision.plans[1]
    beats = decision.beats(other_plan)
    text = "It is cheaper than the runner-up in {beats}."
    if beats < EVEN:
        text = "The draws do not tell it apart from the runner-up: it is cheaper in {beats}. What "
        text += (
            "decided is the lower cost on average, in which each kind and contract has its price."
        )
    return say(text, beats=percent(beats))


def _other_goal(decision: Decision, voice: Voice) -> str:
    goal = {
        "time": "It is the fastest of what keeps all limits.",
        "energy": "It takes the least energy of what keeps all limits.",
        "regret": "Of the plans that were compared it loses the least against the best of a draw, "
        "in 95 % of the draws.",
    }
    text = voice.say(goal[decision.scenario.objective])
    cheaper = [p for p in decision.plans[1:] if p.expected_usd < decision.best.expected_usd]
    if not cheaper:
        return text
    plan = min(cheaper, key=lambda p: p.expected_usd)
    less = "The cheapest plan, {plan}, costs {less}."
    values = {"plan": policy_words(plan.policies[0], voice.say)}
    return voice.joined([text, voice.say(less, **values, less=more_words(decision, plan, voice))])


def runner_up_sentence(decision: Decision, voice: Voice) -> str:
    """Return the runner-up, what it costs, and what it would be signed as; empty without one."""
    plan = decision.runner_up
    if plan is None:
        return ""
    text = "{policy}, for {cost}, which is {more}: {plan}"
    return voice.say(
        text,
        policy=policy_words(plan.policies[0], voice.say),
        cost=voice.money(plan.expected_usd),
        more=more_words(decision, plan, voice),
        plan=plan_words(plan, voice),
    )


def reasons(decision: Decision, language: str | None = None) -> list[str]:
    """Return up to three reasons for the recommendation, each with its numbers."""
    voice = voice_of(decision, language)
    found = [*_dearer(decision, voice), _chief(decision, voice)]
    return [text for text in found if text][:3]


def _dearer(decision: Decision, voice: Voice) -> Iterator[str]:
    """Say what other kinds of plan would cost more; those that cost the same are no reason."""
    say, best = voice.say, decision.best
    texts = {
        OWN: "Running all of it on GPUs, nothing by API, costs {values}.",
        API: "Buying by API all services that may be costs {values}.",
        ONE: "One kind of GPU for all costs more: {values}.",
        RENTED: "Renting all of it costs {values}.",
        BOUGHT: "Buying all of it costs {values}.",
        STAY: "Staying with the kinds that are owned, and buying nothing, costs {values}.",
        GROW: "Keeping all that is owned, and adding newer kinds, costs {values}.",
        REPLACE: "Running all of it on newer kinds alone costs {values}.",
    }
    mine = {policy.kind for policy in best.policies}
    for kind, text in texts.items():
        values = [
            say(
                "{gpu} {more}",
                gpu=gpu_name(policy.gpus[0]),
                more=more_words(decision, plan, voice),
            )
            if kind == ONE
            else more_words(decision, plan, voice)
            for plan in decision.plans[1:]
            for policy in plan.policies
            if policy.kind == kind and plan.expected_usd > best.expected_usd * (1 + LITTLE)
        ]
        if values and kind not in mine:
            yield say(text, values=voice.listed(values[:4]))


def impossible_sentence(decision: Decision, voice: Voice) -> str:
    """Name the kinds of GPU of which there is no plan for all work, each with the reason; empty
    without any.
    """
    say, limits = voice.say, decision.problem.limits
    why: dict[str, list[str]] = {}
    shared = np.isfinite([limits.capital, limits.monthly, limits.power, limits.gpus, limits.total])
    for gpu, works in decision.impossible:
        text = "no plan was found in the time of the solver"
        text = "the limits that all work shares" if shared.any() else text
        told = say("{works} cannot keep its limits there", works=voice.listed(works))
        if len(works) > 1:
            told = say("{works} cannot keep their limits there", works=voice.listed(works))
        why.setdefault(told if works else say(text), []).append(gpu_name(gpu))
    if not why:
        return ""
    parts = [
        say("{gpus} ({why})", gpus=voice.listed(gpus), why=reason) for reason, gpus in why.items()
    ]
    text = "Of these kinds alone there is no plan for all work: {kinds}."
    return say(text, kinds=say("; ").join(parts))


def _chief(decision: Decision, voice: Voice) -> str:
    """Name the work that costs most, its share, and what bounds its speed."""
    usd = decision.best.work_usd
    if len(usd) < 2 or not usd.sum() > 0:
        return ""
    name = str(usd.idxmax())
    run = decision.best.runs.query("workload == @name")
    values = {"name": name, "share": percent(float(usd.max() / usd.sum()))}
    if run.empty or not run["bound"].iloc[0]:
        return voice.say("{name} takes {share} of the cost of the works.", **values)
    text = "{name} takes {share} of the cost of the works; most of its time goes into {bound}."
    return voice.say(text, **values, bound=voice.say(run["bound"].iloc[0]))


def changes(decision: Decision, evens: pd.DataFrame, language: str | None = None) -> list[str]:
    """Return what would make the runner-up the better plan: the three nearest values."""
    voice = voice_of(decision, language)
    say, texts = voice.say, []
    for row in evens[np.isfinite(evens["far"])].head(3).to_dict("records"):
        what = row["what"]
        if row["kind"] == "load":
            texts.append(say(LOADS[what], factor=f"{row['at']:.2g}"))
            continue
        names = {"gpu": gpu_name(row["gpu"]), "mode": say(PAID[what])}
        amounts = {"at": voice.price(row["at"], what), "now": voice.price(row["value"], what)}
        text = "{gpu} ({mode}) below {at}, {now} today"
        text = "{gpu} ({mode}) above {at}, {now} today" if row["at"] > row["value"] else text
        if amounts["at"] == amounts["now"]:  # apart by less than is written
            text = "{gpu} ({mode}) a little below {now}, the price of today"
            if row["at"] > row["value"]:
                text = "{gpu} ({mode}) a little above {now}, the price of today"
        text = say(text, **names, **amounts)
        texts.append(text)
    return texts or [say("Nothing within the ranges that were tried")]


def far_sentence(plan: Plan, voice: Voice) -> str:
    """Say in the headline which works run far from all that was measured; empty where none does."""
    runs = zip(plan.runs["workload"], plan.grounds, strict=True)
    if far := dict.fromkeys(str(work) for work, ground in runs if ground.code == FAR):
        text = "Nothing like the settings of {works} was measured: try them before you sign."
        return voice.say(text, works=voice.listed(far))
    return ""


def ground_warning(decision: Decision, voice: Voice) -> str:
    """Return what is known of settings like those of the recommendation."""
    first, second = (
        None if plan is None else _by_place(plan, voice)
        for plan in (decision.best, decision.runner_up)
    )
    return warning(first or {}, second, voice.say)


def _by_place(plan: Plan, voice: Voice) -> dict[str, Ground]:
    """Return the ground of a plan by what runs where."""
    rows = plan.runs[["workload", "gpu"]].to_numpy(str)
    places = [voice.say("{work}, {gpu}", work=work, gpu=gpu_name(gpu)) for work, gpu in rows]
    return dict(zip(places, plan.grounds, strict=True))


def quality_sentence(decision: Decision, voice: Voice) -> str:
    """Say which works run in another number format, and what checking them is counted at."""
    plan = decision.best
    found: dict[tuple[str, str], list[str]] = {}
    for run in plan.runs.to_dict("records"):
        options = plan.problem.options[run["place"]]
        if options.changes_format(run["way"]):
            key = format_title(run["precision"]), voice.say(format_title(options.usual))
            found.setdefault(key, []).append(run["workload"])
    text = (
        "{works} would run in {new} instead of {old}: check the quality of the answers before you "
    )
    text += "sign; {usd} each is counted for that."
    usd = voice.money(decision.scenario.effort.precision_usd)
    return voice.joined(
        voice.say(text, works=voice.listed(dict.fromkeys(works)), new=new, old=old, usd=usd)
        for (new, old), works in found.items()
    )


# --- notes ----------------------------------------------------------------------------------------


def currency_sentence(voice: Voice) -> str:
    """Return the rate at which amounts of page 1 were changed; empty where they are in USD."""
    prices = voice.prices
    if prices.currency == "USD":
        return ""
    text = "1 USD = {rate} {currency}; prices in the tables of the later pages are in USD."
    return voice.say(text, rate=f"{prices.cny_per_usd:g}", currency=voice.say("CNY"))


def unpriced_sentence(decision: Decision, voice: Voice) -> str:
    """Name the GPUs that may be chosen and have no price."""
    priced = set(decision.offers["gpu"])
    lacking = [g for g in decision.scenario.allow.gpus if g not in priced]
    if not lacking:
        return ""
    text = (
        "Not considered, as no price is known that may be taken: {gpus}. Give a quote of your own."
    )
    said = [voice.say(text, gpus=voice.listed(map(gpu_name, lacking)))]
    text = "Prices of {gpus} are known in {region}: name it as the region, or give a quote."
    said += [
        voice.say(
            text, gpus=voice.listed(map(gpu_name, gpus)), region=voice.say(region_title(place))
        )
        for place, gpus in priced_elsewhere(lacking, decision.scenario.allow.regions).items()
    ]
    return voice.joined(said)


def open_sentence(decision: Decision, voice: Voice) -> str:
    """Say how many rows of a request for quotes have no price; empty where there are none."""
    prices = decision.scenario.prices
    stated = prices.quotes if isinstance(prices.quotes, str) else ""
    count = open_rows(prices.file) + open_rows(stated)
    text = "{count} quotes are asked for that have no price yet; the tables' prices count there."
    return voice.say(text, count=count) if count else ""


def engine_sentences(decision: Decision, voice: Voice) -> list[str]:
    """Name the services that the plan runs with another engine, as theirs does not run there."""
    found = dict[tuple[str, str, str], list[str]]()
    works = {w.name: w for w in decision.scenario.workloads}
    for run in decision.best.runs.to_dict("records") if decision.feasible else ():
        work = works[run["workload"]]
        if isinstance(work, Inference):
            other = engine_for(device_of(run["gpu"]).vendor, work.engine)
            key = (engine(work.engine).engine, engine(other).engine, run["gpu"])
            found.setdefault(key, []).append(work.name)
    text = "On {gpu} {engine} runs {works}, since {first} does not run there."
    return [
        voice.say(
            text,
            gpu=gpu_name(name),
            works=voice.listed(dict.fromkeys(of)),
            first=called(first),
            engine=called(other),
        )
        for (first, other, name), of in found.items()
        if first != other
    ]


def unused_sentence(decision: Decision, voice: Voice) -> str:
    """Name the quotes that the answer does not use because their GPU may not be chosen."""
    scenario = decision.scenario
    may = {*scenario.allow.gpus, *(o.gpu for o in scenario.owned)}
    names = dict.fromkeys(q.gpu for q in scenario.prices.own if q.gpu not in may)
    if not names:
        return ""
    text = "Not used: your quotes of {gpus}, which allow.gpus does not list."
    return voice.say(text, gpus=voice.listed(gpu_name(n) for n in names))


FIGURES = {
    "requests_per_s": "{work} on {gpu} ({value} requests a second on {count} GPUs)",
    "tokens_per_s": "{work} on {gpu} ({value} tokens a second on {count} GPUs)",
    "images_per_s": "{work} on {gpu} ({value} images a second on {count} GPUs)",
    "gpu_hours": "{work} on {gpu} ({value} GPU-hours)",
}
"""What was measured, by the name of its figure."""


def measured_sentence(decision: Decision, voice: Voice) -> str:
    """Name the speeds that were measured, and what counts for all others; empty without any."""
    told = []
    for w in decision.problem.scenario.workloads:
        for row in getattr(w, "measured_speeds", ()):
            name, value = figure(row)
            values = {"gpu": gpu_name(row.gpu), "value": plain(three_digits(value))}
            count = whole(getattr(row, "gpus", 1))
            told.append(voice.say(FIGURES[name], work=w.name, count=count, **values))
    if not told:
        return ""
    text = "{names}. These speeds replace the estimates and have no error but the one that you "
    text += "state; the others follow them as far as their errors are alike, and keep their own."
    return voice.say(text, names=voice.listed(told))


def _unmeasured(decision: Decision, voice: Voice) -> list[str]:
    """Name the measured speeds that no estimate stands beside."""
    found = []
    for w, used in zip(
        decision.scenario.workloads, decision.problem.scenario.workloads, strict=True
    ):
        known = {(row.gpu, figure(row)) for row in getattr(used, "measured_speeds", ())}
        for i, row in enumerate(getattr(w, "measured_speeds", ())):
            if (row.gpu, figure(row)) not in known:
                values = {"place": f"{w.name}: measured_speeds[{i}]", "gpu": gpu_name(row.gpu)}
                found.append(voice.say("{place} (nothing is estimated for {gpu} there)", **values))
    return found


OF_USERS = ("active_share", "requests_per_hour", "think_s")
"""Fields of a service that say something beside a number of users alone."""


def unread_sentence(decision: Decision, voice: Voice) -> str:
    """Name the fields of the file that the answer does not depend on."""
    s, found = decision.scenario, []
    found += ["owned.book_usd"] if any(o.book_usd for o in s.owned) else []
    half = (s.limits.racks is None) != (s.limits.rack_kw is None)
    found += ["limits.racks" if s.limits.racks else "limits.rack_kw"] if half else []
    if s.allow.vendors and decision.feasible:
        taken = decision.offers.iloc[decision.best.offers_used]
        other = ~taken["provider"].isin(s.allow.vendors) & ~taken["mode"].isin(("own", "owned"))
        text = "allow.vendors ({names}: no price of these providers is known)"
        found += _elsewhere(taken[other], text, voice)
    for w in s.workloads:
        if w.kind == "inference" and w.users is None:
            given = [n for n in OF_USERS if n in w.model_fields_set and getattr(w, n) is not None]
            found += [f"{w.name}: {name}" for name in given if name not in w.filled]
    found += _unmeasured(decision, voice)
    if not found:
        return ""
    return voice.say("Fields that are not used: {names}.", names=voice.listed(found))


def _elsewhere(rows: pd.DataFrame, text: str, voice: Voice) -> list[str]:
    """Name the offers that are not where a scenario wants them, into a text; none without any."""
    names = voice.listed(_priced(row, voice) for row in rows.to_dict("records"))
    return [voice.say(text, names=names)] if len(rows) else []


def apart_sentence(decision: Decision, voice: Voice) -> str:
    """Say that services were not tried with prompts on GPUs of their own; empty without any."""
    services = [w for w in decision.scenario.workloads if w.kind == "inference"]
    if all(w.prefill_apart for w in services):
        return ""
    text = "Not tried: prompts read on GPUs of their own; gpuspec estimate says where they take "
    return voice.say(text + "fewer.")


# --- where nothing is feasible --------------------------------------------------------------------


def _infeasible(decision: Decision, voice: Voice) -> Iterator[Markdown]:
    say, found = voice.say, give_sentences(decision, voice)
    yield Markdown("**{}**").format(say(NOTHING))
    yield Markdown("**{}**").format(say("What must give, the cheapest first"))
    yield Markdown("\n").join(Markdown("{}. {}").format(i, t) for i, t in enumerate(found, 1))


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
    return voice.joined([say(GIVES[what], **values, then=then), _capital(plan, voice)])


def _given(what: str, value: float, voice: Voice) -> str:
    if what in USD:
        return voice.money(value)
    return voice.days(value) if what == "deadline" else plain(three_digits(value))
