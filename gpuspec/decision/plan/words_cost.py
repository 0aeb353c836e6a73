"""What a plan costs, in sentences: its parts, its money a month, and how firm its prices are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gpuspec.base.lazy import pd
from gpuspec.catalog.regions import region_title
from gpuspec.decision.decide import Decision
from gpuspec.decision.plan.limits import runs_in
from gpuspec.decision.plan.words import HIDDEN, PAID, Voice, percent, short_high, there
from gpuspec.decision.plans import ENOUGH, Plan
from gpuspec.topics.cost.prices import priced_elsewhere
from gpuspec.views.amounts import plain, three_digits
from gpuspec.views.words import gpu_name

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
    names = [priced_words(row, voice) for row in worst]
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


def priced_words(row: Mapping[Any, Any], voice: Voice) -> str:
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
    beside = plan.expected_usd - float(plan.work_usd.sum())
    once &= abs(beside) <= LITTLE * plan.expected_usd
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
        found.append(capital_words(plan, voice))
    found += [_over_sentence(plan, voice), parts_sentence(plan, voice)]
    return voice.joined([*found, services_sentence(plan, voice)])


def capital_words(plan: Plan, voice: Voice) -> str:
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
