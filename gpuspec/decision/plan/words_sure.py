"""How sure a plan is, in sentences: against which others, why, and what would change it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gpuspec.base.lazy import pd
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
from gpuspec.decision.plan.words import PAID, Voice, percent, plan_words, policy_words, voice_of
from gpuspec.decision.plan.words_cost import LITTLE, MANY
from gpuspec.decision.plans import Plan
from gpuspec.views.amounts import plain, three_digits
from gpuspec.views.words import gpu_name

EVEN = 0.6
"""Share of the draws below which a plan that is cheaper on average is not told apart."""
LOADS = {
    "Traffic of the services": "traffic of the services at {factor} times what was asked",
    "Length of the prompts": "length of the prompts at {factor} times what was asked",
    "Hours of the services": "hours of the services at {factor} times what was asked",
    "Tokens of the training jobs": "tokens of the training jobs at {factor} times what was asked",
}
"""What a load does that makes the runner-up win, by its name among the changes of a question."""
RULE = ("fewer kinds of GPU", "fewer contracts", "a shorter commitment", "a smaller worst case")
"""What decides between equal plans, in this order."""


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
