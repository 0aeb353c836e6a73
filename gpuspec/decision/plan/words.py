"""The decision in sentences, in English and from the gettext catalogue."""

from collections.abc import Callable

import pandas as pd

from gpuspec.decision.plan import Decision
from gpuspec.decision.plan.nearest import Amount
from gpuspec.decision.plan.plans import BOUGHT, MIX, ONE, RENTED, SPLIT, Policy
from gpuspec.views.language import translator

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
Words = Callable[[str], str]


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


def amount_words(amount: Amount | str | None, say: Words = str) -> str:
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


def plan_sentence(decision: Decision, plan: pd.Series, language: str = "en") -> str:
    """Return the GPUs of a plan: how many of each, and how they are paid for."""
    say = translator(language)
    members, pools = decision.members(plan), decision.pools(plan)
    pairs = dict.fromkeys(zip(members["gpu"], members["mode"], strict=True))
    text = say("{count} x {gpu} ({mode})")
    parts = [
        text.format(count=f"{pools[gpu, mode]:,.0f}", gpu=short_gpu(gpu), mode=say(PAID[mode]))
        for gpu, mode in pairs
    ]
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


def policy_words(policy: Policy, say: Words, name: Words = short_gpu) -> str:
    """Return what a plan is, with GPUs as buyers call them unless another `name` is asked."""
    first, second = [*map(name, policy.gpus), "", ""][:2]
    return say(POLICIES[policy.kind]).format(gpu=first, jobs=first, services=second)


def months_words(count: int, say: Words) -> str:
    """Return a number of months in words."""
    return say("1 month") if count == 1 else say("{count} months").format(count=count)


def decision_finding(decision: Decision, language: str = "en") -> str:
    """Return the answer in one sentence, or that there is none."""
    say = translator(language)
    if not decision.feasible:
        return say("Nothing that is allowed does all of this within the limits")
    return say("Take {plan}").format(plan=plan_sentence(decision, decision.best, language))


def cost_sentence(decision: Decision, language: str = "en") -> str:
    """Return the cost of the recommended plan with its interval, month and capital."""
    say, best = translator(language), decision.best
    months = decision.scenario.horizon_months
    names = ("expected_usd", "low", "high", "upfront_usd")
    cost, low, high, capital = (money(float(best[n]), decision, language) for n in names)
    month = money(float(best["expected_usd"]) / months, decision, language)
    text = say(
        "{cost} over {months} (80 % interval {low} to {high}), {month} a month on average."
    ).format(cost=cost, month=month, months=months_words(months, say), low=low, high=high)
    if best["upfront_usd"] > best["expected_usd"]:
        start = say(" {capital} is paid at the start; what is left of its worth comes off.")
        text += start.format(capital=capital)
    elif best["upfront_usd"] > 0:
        text += say(" Of it {capital} is paid at the start.").format(capital=capital)
    return text + _term_sentence(decision, say) + _keep_sentence(decision, say, language)


def _term_sentence(decision: Decision, say: Words) -> str:
    """Say that a reservation runs on after the horizon, where it does."""
    places = decision.members(decision.best)["offer"].astype(int)
    term = float(decision.offers["months_paid"].iloc[places].max())
    if term <= decision.scenario.horizon_months:
        return ""
    return say(" The reservation is paid for all of its {term} months.").format(term=f"{term:.0f}")


def _keep_sentence(decision: Decision, say: Words, language: str) -> str:
    """Say what the keep of GPUs that are there already is in the cost."""
    keep_usd = decision.plans.draws.keep_usd
    if not keep_usd:
        return ""
    return say(
        " {keep} a month of it keeps the GPUs that are owned already, whatever is decided; "
        "whether to sell them is the question of gpuspec upgrade."
    ).format(keep=money(keep_usd, decision, language))


def confidence_sentence(decision: Decision, language: str = "en") -> str:
    """Return how sure the recommendation is: over all plans, and against the runner-up."""
    say = translator(language)
    if not decision.feasible:
        return say("No plan keeps all limits.")
    best = decision.best
    goal = say(GOALS[decision.scenario.objective])
    text = say(
        "Of {plans} plans it is {goal} in {share} of {draws} draws of speeds and prices, and at "
        "most 5 % behind the best one in {near}."
    ).format(
        plans=len(decision.policies),
        goal=goal,
        share=percent(best["probability"]),
        draws=f"{decision.plans.draws.samples:,}",
        near=percent(best["near"]),
    )
    if best["sure"] < 0.995:
        text += say(" It keeps all limits in {share}.").format(share=percent(best["sure"]))
    if decision.runner_up is not None:
        beats = float((best["sampled"] <= decision.runner_up["sampled"]).mean())
        text += say(" It beats the runner-up in {share}.").format(share=percent(beats))
    return text


def runner_up_sentence(decision: Decision, language: str = "en") -> str:
    """Return the runner-up and what it costs more."""
    say, other = translator(language), decision.runner_up
    if other is None:
        return say("No other plan keeps all limits.")
    more = other["expected_usd"] / decision.best["expected_usd"] - 1
    return say("{plan}: {cost}, {more} against the recommendation.").format(
        plan=plan_sentence(decision, other, language),
        cost=money(float(other["expected_usd"]), decision, language),
        more=percent(more, True),
    )


def reasons(decision: Decision, language: str = "en") -> list[str]:
    """Return three reasons for the recommendation, each with its numbers."""
    say = translator(language)
    members = decision.members(decision.best)
    chief = int(members["expected_usd"].to_numpy().argmax())
    texts = [
        _owned_reason(members, say),
        _need_reason(decision, chief, say, language),
        _kinds_reason(decision, say),
        _payment_reason(decision, members, chief, say, language),
        _limit_reason(members, chief, say),
    ]
    return [text for text in texts if text][:3]


def _owned_reason(members: pd.DataFrame, say: Words) -> str:
    owned = members[members["mode"] == "owned"]
    if owned.empty:
        return ""
    text = say("The {gpus} that are there serve {work}: no capital, only energy.")
    gpus = listed_in([short_gpu(g) for g in owned["gpu"].unique()], say)
    return text.format(gpus=gpus, work=listed_in([str(n) for n in owned["workload"]], say))


def _need_reason(decision: Decision, place: int, say: Words, language: str) -> str:
    """Say how many of each GPU the costliest workload takes, and what they cost."""
    table = decision.candidates[place]
    able = table[table["feasible"]].drop_duplicates("gpu").head(4)
    if len(able) < 2:
        return ""
    values = []
    for row in able.to_dict("records"):
        many = say("{count} x {gpu}").format(count=f"{row['gpus']:,.0f}", gpu=short_gpu(row["gpu"]))
        if row["gpus_high"] > row["gpus"]:
            many += say(" (up to {most})").format(most=f"{row['gpus_high']:,.0f}")
        values.append(f"{many} {money(row['expected_usd'], decision, language)}")
    within = set(table["gpu"][table["feasible"]])
    none = [short_gpu(g) for g in decision.scenario.allow.gpus if g not in within]
    if none:
        values.append(say("no option on {gpus}").format(gpus=say(", ").join(none)))
    text = say("{name}, the costliest work, takes on each GPU: {values}.")
    name = decision.scenario.workloads[place].name
    return text.format(name=name, values=say(", ").join(values))


def _kinds_reason(decision: Decision, say: Words) -> str:
    best = float(decision.best["expected_usd"])
    if any(policy.kind == ONE for policy in decision.best["policies"]):
        members = decision.members(decision.best)
        text = say("One kind for all, {gpu}, is at the same time the best mix.")
        return text.format(gpu=short_gpu(str(members["gpu"].iloc[0])))
    values = []
    for row in decision.policies.to_dict("records"):
        for policy in [p for p in row["policies"] if p.kind == ONE][:1]:
            name = short_gpu(policy.gpus[0])
            values.append(f"{name} {percent(row['expected_usd'] / best - 1, True)}")
    text = say("One kind for all would cost more: {values}.")
    return text.format(values=say(", ").join(values[:4])) if values else ""


def _payment_reason(
    decision: Decision, members: pd.DataFrame, place: int, say: Words, language: str
) -> str:
    name = members["gpu"].iloc[place]
    table = decision.candidates[place]
    ways = table[(table["gpu"] == name) & table["feasible"]].drop_duplicates("mode")
    if len(ways) < 2:
        return ""
    values = [
        f"{say(PAID[r['mode']])} {money(r['expected_usd'], decision, language)}"
        for r in ways.head(4).to_dict("records")
    ]
    text = say("Ways to pay for {gpu} for {name}: {values}.")
    workload = members["workload"].iloc[place]
    return text.format(gpu=short_gpu(name), name=workload, values=say(", ").join(values))


def _limit_reason(members: pd.DataFrame, place: int, say: Words) -> str:
    text = say("What limits {name} is {limit}.")
    return text.format(name=members["workload"].iloc[place], limit=members["binding"].iloc[place])
