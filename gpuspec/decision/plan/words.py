"""The decision in sentences, in English and from the gettext catalogue."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from gpuspec.decision.plan import Decision
from gpuspec.decision.plan.nearest import Amount
from gpuspec.decision.plan.plans import BOUGHT, MIX, ONE, RENTED, SPLIT, Policy
from gpuspec.decision.plan.reasons import binding
from gpuspec.views.language import ENGLISH, Words, reason_in, translator

PAID = {
    "on-demand": "on demand",
    "reserved-1yr": "reserved for 1 year",
    "reserved-3yr": "reserved for 3 years",
    "spot": "spot",
    "own": "bought",
    "owned": "owned already",
}
GOALS = {
    "cost": "the cheapest",
    "time": "the fastest",
    "energy": "the most economical with energy",
}
POLICIES = {
    MIX: "best mix",
    ONE: "{gpu} for all",
    RENTED: "all rented",
    BOUGHT: "all bought",
    SPLIT: "jobs on {jobs}, services on {services}",
}


def short_gpu(name: str) -> str:
    """Return what a buyer calls a GPU of the table.

    >>> short_gpu("h100-sxm-80"), short_gpu("h100-pcie-80"), short_gpu("a100-sxm-40")
    ('H100', 'H100 PCIe', 'A100 40GB')
    """
    family, form, memory = [*name.rsplit("-", 2), "", ""][:3]
    kind = {"pcie": " PCIe", "nvl": " NVL"}.get(form, "")
    kind = "" if family in ("l40s", "rtx-pro-6000") else kind
    smaller = f" {memory}GB" if (family, memory) in (("a100", "40"), ("gh200", "144")) else ""
    return family.upper() + kind + smaller


def money(value: float, decision: Decision, language: str = "en") -> str:
    """Write an amount in the currency of the scenario, as buyers of the language do."""
    prices = decision.scenario.prices
    amount = value * prices.per_usd
    if language == "zh":
        unit = "元" if prices.currency == "CNY" else "美元"
        wide = abs(amount) >= 1e4
        return (f"{amount / 1e4:,.4g} 万" if wide else f"{amount:,.0f} ") + unit
    if abs(amount) >= 1e6:
        return f"{float(f'{amount / 1e6:.3g}'):,g} million {prices.currency}"
    return f"{float(f'{amount:.3g}'):,.0f} {prices.currency}"


def amount_words(amount: Amount | str | None, say: Words = ENGLISH) -> str:
    """Write an amount with its unit; nothing where there is none."""
    if isinstance(amount, Amount):
        return amount.words(say)
    return say(amount) if amount else ""


def percent(share: float, sign: bool = False) -> str:
    """Write a share as a whole percentage, with its sign if asked."""
    return f"{share * 100:{'+' if sign else ''}.0f} %"


def listed_in(words: list[str], say: Words) -> str:
    """Join words as a sentence of the language does."""
    if len(words) < 2:
        return "".join(words)
    return say(", ").join(words[:-1]) + say(" and ") + words[-1]


def count_words(row: Mapping[Any, Any], text: str, say: Words) -> str:
    """Write the GPUs of an option into `text`, and how many may be needed where that is more."""
    many = say(text, count=f"{row['gpus']:,.0f}", gpu=short_gpu(row["gpu"]))
    if row["gpus_high"] > row["gpus"]:
        many += say(" (up to {most})", most=f"{row['gpus_high']:,.0f}")
    return many


def plan_sentence(decision: Decision, plan: pd.Series, language: str = "en") -> str:
    """Return the GPUs of a plan: how many of each, and how they are paid for."""
    say = translator(language)
    members, pools = decision.members(plan), decision.pools(plan)
    parts = []
    for gpu, mode in dict.fromkeys(zip(members["gpu"], members["mode"], strict=True)):
        count, paid = f"{pools[gpu, mode]:,.0f}", say(PAID[mode])
        parts.append(say("{count} x {gpu} ({mode})", count=count, gpu=short_gpu(gpu), mode=paid))
    return listed_in(parts, say)


def gpus_of(decision: Decision, plan: pd.Series) -> str:
    """Return the GPUs of a plan as a short label of a picture."""
    pools = decision.pools(plan)
    counts = {
        name: sum(n for (g, _), n in pools.items() if g == name)
        for name in decision.members(plan)["gpu"].unique()
    }
    return " + ".join(f"{n:,.0f} {short_gpu(g)}" for g, n in counts.items())


def plan_labels(decision: Decision, language: str = "en") -> list[str]:
    """Return what each plan is and its GPUs, short enough for a picture."""
    say = translator(language)
    return [
        f"{policy_words(row['policies'][0], say)}{say(': ')}{gpus_of(decision, row)}"
        for _, row in decision.policies.iterrows()
    ]


def policy_words(
    policy: Policy, say: Words = ENGLISH, name: Callable[[str], str] = short_gpu
) -> str:
    """Return what a plan is, with GPUs as buyers call them unless another `name` is asked."""
    first, second = [*map(name, policy.gpus), "", ""][:2]
    return say(POLICIES[policy.kind], gpu=first, jobs=first, services=second)


def paid_words(label: str, say: Words = ENGLISH) -> str:
    """Return how an offer is paid for, with its provider where it is a special one.

    >>> paid_words("reserved-3yr"), paid_words("own, reseller")
    ('reserved for 3 years', 'bought, reseller')
    """
    mode, comma, provider = label.partition(", ")
    return say(PAID.get(mode, mode)) + comma + provider


def months_words(count: int, say: Words) -> str:
    """Return a number of months in words."""
    return say("1 month") if count == 1 else say("{count} months", count=count)


def decision_finding(decision: Decision, language: str = "en") -> str:
    """Return the answer in one sentence, or that there is none."""
    say = translator(language)
    if not decision.feasible:
        return say("Nothing that is allowed does all of this within the limits")
    return say("Take {plan}", plan=plan_sentence(decision, decision.best, language))


def cost_sentence(decision: Decision, language: str = "en") -> str:
    """Return the cost of the recommended plan with its interval, month and capital."""
    say, best = translator(language), decision.best
    months, keep_usd = decision.scenario.horizon_months, decision.plans.draws.keep_usd
    names = ("expected_usd", "low", "high", "upfront_usd")
    cost, low, high, capital = (money(float(best[n]), decision, language) for n in names)
    text = say(
        "{cost} over {months} (80 % interval {low} to {high}), {month} a month on average."
        if low != high
        else "{cost} over {months}, {month} a month on average.",
        cost=cost,
        months=months_words(months, say),
        low=low,
        high=high,
        month=money(float(best["expected_usd"]) / months, decision, language),
    )
    if best["upfront_usd"] > best["expected_usd"]:
        start = " {capital} is paid at the start; what is left of its worth comes off."
        text += say(start, capital=capital)
    elif best["upfront_usd"] > 0:
        text += say(" Of it {capital} is paid at the start.", capital=capital)
    places = decision.members(best)["offer"].astype(int)
    term = float(decision.offers["months_paid"].iloc[places].max())
    if term > months:
        text += say(" The reservation is paid for all of its {term} months.", term=f"{term:.0f}")
    if keep_usd:
        text += say(
            " {keep} a month of it keeps the GPUs that are owned already, whatever is decided; "
            "whether to sell them is the question of gpuspec upgrade.",
            keep=money(keep_usd, decision, language),
        )
    return text


def confidence_sentence(decision: Decision, language: str = "en") -> str:
    """Return how sure the recommendation is: over all plans, and against the runner-up."""
    say = translator(language)
    if not decision.feasible:
        return say("No plan keeps all limits.")
    best = decision.best
    text = say(
        "Of {plans} plans it is {goal} in {share} of {draws} draws of speeds and prices, and at "
        "most 5 % behind the best one in {near}.",
        plans=len(decision.policies),
        goal=say(GOALS[decision.scenario.objective]),
        share=percent(best["probability"]),
        draws=f"{decision.plans.draws.samples:,}",
        near=percent(best["near"]),
    )
    if best["sure"] < 0.995:
        text += say(" It keeps all limits in {share}.", share=percent(best["sure"]))
    if decision.runner_up is not None:
        beats = float((best["sampled"] <= decision.runner_up["sampled"]).mean())
        text += say(" It beats the runner-up in {share}.", share=percent(beats))
    return text


def runner_up_sentence(decision: Decision, language: str = "en") -> str:
    """Return the runner-up and what it costs more."""
    say, other = translator(language), decision.runner_up
    if other is None:
        return say("No other plan keeps all limits.")
    more = other["expected_usd"] / decision.best["expected_usd"] - 1
    return say(
        "{plan}: {cost}, {more} against the recommendation.",
        plan=plan_sentence(decision, other, language),
        cost=money(float(other["expected_usd"]), decision, language),
        more=percent(more, True),
    )


def costliest(decision: Decision) -> int:
    """Return the place of the workload that costs most."""
    if not decision.feasible:
        return 0
    return int(decision.members(decision.best)["expected_usd"].to_numpy().argmax())


def reasons(decision: Decision, language: str = "en") -> list[str]:
    """Return three reasons for the recommendation, each with its numbers."""
    say, place = translator(language), costliest(decision)
    members = decision.members(decision.best)
    chief = members.iloc[place]
    limit = reason_in(binding(chief), say)
    texts = [
        _owned_reason(members, say),
        _need_reason(decision, place, say, language),
        _kinds_reason(decision, say),
        _payment_reason(decision, place, chief, say, language),
        say("What limits {name} is {limit}.", name=chief["workload"], limit=limit),
    ]
    return [text for text in texts if text][:3]


def _owned_reason(members: pd.DataFrame, say: Words) -> str:
    owned = members[members["mode"] == "owned"]
    if owned.empty:
        return ""
    gpus = listed_in([short_gpu(g) for g in owned["gpu"].unique()], say)
    work = listed_in([str(n) for n in owned["workload"]], say)
    text = "The {gpus} that are there serve {work}: no capital, only energy."
    return say(text, gpus=gpus, work=work)


def _need_reason(decision: Decision, place: int, say: Words, language: str) -> str:
    """Say how many of each GPU the costliest workload takes, and what they cost."""
    table = decision.candidates[place]
    able = table[table["feasible"]].drop_duplicates("gpu")
    if len(able) < 2:
        return ""
    values, months = [], months_words(decision.scenario.horizon_months, say)
    for row in able.head(4).to_dict("records"):
        usd = money(row["expected_usd"], decision, language)
        values.append(f"{count_words(row, '{count} x {gpu}', say)} {usd}")
    none = [short_gpu(g) for g in decision.scenario.allow.gpus if g not in set(able["gpu"])]
    if none:
        values.append(say("no option on {gpus}", gpus=say(", ").join(none)))
    text = "{name}, the costliest work, takes over {months} on each GPU: {values}."
    name = decision.scenario.workloads[place].name
    return say(text, name=name, months=months, values=say(", ").join(values))


def _kinds_reason(decision: Decision, say: Words) -> str:
    best = decision.best
    if any(policy.kind == ONE for policy in best["policies"]):
        name = short_gpu(str(decision.members(best)["gpu"].iloc[0]))
        return say("One kind for all, {gpu}, is at the same time the best mix.", gpu=name)
    values = []
    for row in decision.policies.to_dict("records"):
        for policy in [p for p in row["policies"] if p.kind == ONE][:1]:
            more = row["expected_usd"] / float(best["expected_usd"]) - 1
            values.append(f"{short_gpu(policy.gpus[0])} {percent(more, True)}")
    text = "One kind for all would cost more: {values}."
    return say(text, values=say(", ").join(values[:4])) if values else ""


def _payment_reason(
    decision: Decision, place: int, chief: pd.Series, say: Words, language: str
) -> str:
    table = decision.candidates[place]
    ways = table[(table["gpu"] == chief["gpu"]) & table["feasible"]].drop_duplicates("mode")
    if len(ways) < 2:
        return ""
    values = say(", ").join(
        f"{say(PAID[r['mode']])} {money(r['expected_usd'], decision, language)}"
        for r in ways.head(4).to_dict("records")
    )
    text = "Ways to pay for {gpu} for {name}: {values}."
    return say(text, gpu=short_gpu(chief["gpu"]), name=chief["workload"], values=values)
