"""The decision in sentences, in English and from the gettext catalogue."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.language import translator
from gpuspec.planner import Decision, nearest
from gpuspec.prices import age_warnings

MODES = {
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
    amount = value * (prices.usd_cny if prices.currency == "CNY" else 1.0)
    if language == "zh":
        unit = "元" if prices.currency == "CNY" else "美元"
        wide = abs(amount) >= 1e4
        return (f"{amount / 1e4:,.4g} 万" if wide else f"{amount:,.0f} ") + unit
    if abs(amount) >= 1e6:
        return f"{amount / 1e6:,.3g} million {prices.currency}"
    return f"{float(f'{amount:.3g}'):,.0f} {prices.currency}"


def _percent(share: float, sign: bool = False) -> str:
    return f"{share * 100:{'+' if sign else ''}.0f} %"


def _listed(words: list[str], say: Words) -> str:
    if len(words) < 2:
        return "".join(words)
    return say(", ").join(words[:-1]) + say(" and ") + words[-1]


def plan_sentence(decision: Decision, plan: Any, language: str = "en") -> str:
    """Return the GPUs of a plan: how many of each, and how they are paid for."""
    say = translator(language)
    members = decision.plans.members(plan["choice"])
    bought = decision.pools(plan)
    said = []
    for (name, mode), group in members.groupby(["gpu", "mode"], sort=False):
        count = bought.get((str(name), str(mode)), group["gpus"].sum())
        text = say("{count} x {gpu} ({mode})")
        said.append(
            text.format(count=f"{count:,.0f}", gpu=short_gpu(str(name)), mode=say(MODES[str(mode)]))
        )
    return _listed(said, say)


def gpus_of(decision: Decision, plan: Any) -> str:
    """Return the GPUs of a plan as a short label of a picture."""
    members = decision.plans.members(plan["choice"])
    counts = members.groupby("gpu", sort=False)["gpus"].sum()
    return " + ".join(f"{n:,.0f} {short_gpu(str(g))}" for g, n in counts.items())


def plan_labels(decision: Decision, language: str = "en") -> list[str]:
    """Return what each plan is and its GPUs, short enough for a picture."""
    say = translator(language)
    return [
        f"{policy_words(row['policy'].split('; ')[0], say)}{say(': ')}{gpus_of(decision, row)}"
        for row in decision.policies.to_dict("records")
    ]


def policy_words(policy: str, say: Words) -> str:
    """Return what a plan is, with GPUs as buyers call them."""
    if policy.endswith(" for all"):
        return say("{gpu} for all").format(gpu=short_gpu(policy.removesuffix(" for all")))
    match = re.fullmatch(r"jobs on (\S+), services on (\S+)", policy)
    if match:
        text = say("jobs on {jobs}, services on {services}")
        return text.format(jobs=short_gpu(match[1]), services=short_gpu(match[2]))
    return say(policy)


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
    amounts = {k: money(float(best[k]), decision, language) for k in ("low", "high", "upfront_usd")}
    text = say(
        "{cost} over {months} months (80 % interval {low} to {high}), {month} a month on average."
    ).format(
        cost=money(float(best["expected_usd"]), decision, language),
        month=money(float(best["expected_usd"]) / months, decision, language),
        months=months,
        low=amounts["low"],
        high=amounts["high"],
    )
    if best["upfront_usd"] > 0:
        text += say(" Of it {capital} is paid at the start.").format(capital=amounts["upfront_usd"])
    return text


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
        share=_percent(best["probability"]),
        draws=f"{decision.plans.draws.samples:,}",
        near=_percent(best["near"]),
    )
    if decision.runner_up is not None:
        beats = float((best["sampled"] <= decision.runner_up["sampled"]).mean())
        text += say(" It beats the runner-up in {share}.").format(share=_percent(beats))
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
        more=_percent(more, True),
    )


def reasons(decision: Decision, language: str = "en") -> list[str]:
    """Return three reasons for the recommendation, each with its numbers."""
    say = translator(language)
    members = decision.members(decision.best)
    chief = int(members["expected_usd"].to_numpy().argmax())
    found = [
        _owned_reason(members, say),
        _speed_reason(decision, chief, say),
        _kinds_reason(decision, say),
        _payment_reason(decision, members, chief, say, language),
        _limit_reason(members, chief, say),
    ]
    return [text for text in found if text][:3]


def _owned_reason(members: pd.DataFrame, say: Words) -> str:
    mine = members[members["mode"] == "owned"]
    if mine.empty:
        return ""
    text = say("The {gpus} that are there serve {work}: no capital, only energy.")
    gpus = _listed([short_gpu(g) for g in mine["gpu"].unique()], say)
    return text.format(gpus=gpus, work=_listed([str(n) for n in mine["workload"]], say))


def _speed_reason(decision: Decision, place: int, say: Words) -> str:
    """Say what one GPU of each kind does for the costliest workload."""
    table = decision.candidates[place]
    able = table[table["feasible"]].drop_duplicates("gpu").head(4)
    work = decision.scenario.workloads[place]
    load = getattr(work, "concurrency", 0) or getattr(work, "request_rate", 0)
    load = load or getattr(work, "images_per_s", 0)
    said = []
    for row in able.to_dict("records"):
        if load:
            said.append(f"{short_gpu(row['gpu'])} {load / row['gpus']:,.3g}")
        else:
            said.append(f"{row['gpus']:,.0f} x {short_gpu(row['gpu'])} {row['days']:,.3g}")
    if len(said) < 2:
        return ""
    unit = {"inference": "requests in flight", "images": "images/s"}.get(work.kind, "days")
    unit = "requests/s" if getattr(work, "request_rate", 0) else unit
    text = "{name}, the costliest work, within its limits ({unit} of one GPU): {values}."
    text = text if load else "{name}, the costliest work, takes ({unit}): {values}."
    return say(text).format(name=work.name, unit=say(unit), values=say(", ").join(said))


def _kinds_reason(decision: Decision, say: Words) -> str:
    best = float(decision.best["expected_usd"])
    if " for all" in decision.best["policy"]:
        members = decision.members(decision.best)
        text = say("One kind for all, {gpu}, is at the same time the best mix.")
        return text.format(gpu=short_gpu(str(members["gpu"].iloc[0])))
    said = []
    for row in decision.policies.to_dict("records"):
        kinds = [p for p in row["policy"].split("; ") if p.endswith(" for all")]
        if kinds:
            name = short_gpu(kinds[0].removesuffix(" for all"))
            said.append(f"{name} {_percent(row['expected_usd'] / best - 1, True)}")
    if not said:
        return ""
    return say("One kind for all would cost more: {values}.").format(
        values=say(", ").join(said[:4])
    )


def _payment_reason(
    decision: Decision, members: pd.DataFrame, place: int, say: Words, language: str
) -> str:
    name = members["gpu"].iloc[place]
    table = decision.candidates[place]
    ways = table[(table["gpu"] == name) & table["feasible"]].drop_duplicates("mode")
    if len(ways) < 2:
        return ""
    said = [
        f"{say(MODES[r['mode']])} {money(r['expected_usd'], decision, language)}"
        for r in ways.head(4).to_dict("records")
    ]
    text = say("Ways to pay for {gpu} for {name}: {values}.")
    return text.format(
        gpu=short_gpu(str(name)), name=members["workload"].iloc[place], values=say(", ").join(said)
    )


def _limit_reason(members: pd.DataFrame, place: int, say: Words) -> str:
    text = say("What limits {name} is {limit}.")
    return text.format(name=members["workload"].iloc[place], limit=members["binding"].iloc[place])


def _small(words: str) -> str:
    return words[:1].lower() + words[1:]


def changes(decision: Decision, evens: pd.DataFrame, language: str = "en") -> list[str]:
    """Return what would make the runner-up the better plan: the three nearest values."""
    say, said = translator(language), []
    prices = decision.scenario.prices
    rate = prices.usd_cny if prices.currency == "CNY" else 1.0
    for row in evens[np.isfinite(evens["far"])].head(3).to_dict("records"):
        if row["kind"] == "load":
            text = say("{what} at {factor} times what was asked")
            said.append(text.format(what=say(_small(row["what"])), factor=f"{row['at']:.2g}"))
            continue
        above = row["at"] > row["value"]
        unit = "{c} a GPU" if row["what"] == "own" else "{c} an hour"
        digits = ",.0f" if row["what"] == "own" else ",.2f"
        text = say(
            "{gpu} ({mode}) above {at} {unit}, {now} today"
            if above
            else "{gpu} ({mode}) below {at} {unit}, {now} today"
        )
        said.append(
            text.format(
                gpu=short_gpu(row["gpu"]),
                mode=say(MODES[row["what"]]),
                at=format(row["at"] * rate, digits),
                now=format(row["value"] * rate, digits),
                unit=say(unit).format(c=say(prices.currency)),
            )
        )
    return said or [say("Nothing within the ranges that were tried")]


def answer_page(decision: Decision, evens: pd.DataFrame | None, language: str = "en") -> str:
    """Return the text of page 1 as Markdown: answer, cost, confidence, reasons, what changes it."""
    say = translator(language)
    if not decision.feasible:
        finding = decision_finding(decision, language) + say(".")
        return f"**{finding}** {nearest_sentences(decision, language)}"
    stop = say(".")
    flips = say("; ").join(changes(decision, evens, language)) if evens is not None else ""
    lines = [
        f"**{decision_finding(decision, language)}{stop}**",
        f"**{say('Cost')}**{say(': ')}{cost_sentence(decision, language)}",
        f"**{say('Runner-up')}**{say(': ')}{runner_up_sentence(decision, language)}",
        f"**{say('How sure')}**{say(': ')}{confidence_sentence(decision, language)}",
        f"**{say('Three reasons')}**",
        "\n".join(f"{i}. {text}" for i, text in enumerate(reasons(decision, language), 1)),
    ]
    if flips:
        lines.append(f"**{say('The runner-up wins with')}**{say(': ')}{flips}{stop}")
    lines.append(prices_sentence(decision, language))
    return "\n\n".join(line for line in lines if line)


def prices_sentence(decision: Decision, language: str = "en") -> str:
    """Return the warning about old prices of the plan, empty where all are fresh."""
    say = translator(language)
    members = decision.members(decision.best)
    rows = decision.offers.iloc[sorted(set(members["offer"].astype(int)))]
    old = rows[rows["stale"]]
    if old.empty:
        return ""
    names = [f"{short_gpu(str(r.gpu))} ({say(MODES[str(r.mode)])})" for r in old.itertuples()]
    days = int(old["age_days"].max())
    text = say(
        "**Before you sign**: ask for quotes; the prices of {names} are up to {days} days old."
    )
    return text.format(names=_listed(names, say), days=days)


def nearest_sentences(decision: Decision, language: str = "en") -> str:
    """Return what must give where nothing is feasible, in sentences."""
    say, said = translator(language), []
    table = nearest(decision.scenario, decision.options, decision.plans)
    for row in table.to_dict("records"):
        amount = f" ({_percent(row['far'], True)})" if np.isfinite(row["far"]) else ""
        if row["asked"]:
            text = say("{name}: with {what} at {needed} instead of {asked}{amount}, {option}.")
        else:
            text = say("{name}: {what}: {needed}.")
        said.append(
            text.format(
                name=say(row["workload"]),
                what=say(row["what"]),
                needed=_unit(row["needed"], say),
                asked=_unit(row["asked"], say),
                amount=amount,
                option=row["option"],
            )
        )
    return " ".join(said)


def _unit(amount: str, say: Words) -> str:
    number, space, unit = amount.partition(" ")
    return number + space + say(unit)


def members_table(decision: Decision, language: str = "en") -> pd.DataFrame:
    """Return who runs what in the recommended plan, headings in the language.

    Where nothing is feasible: what would have to give.
    """
    say = translator(language)
    if not decision.feasible:
        table = nearest(decision.scenario, decision.options, decision.plans)
        table = table.assign(
            what=[say(w) for w in table["what"]],
            workload=[say(w) for w in table["workload"]],
            asked=[_unit(w, say) for w in table["asked"]],
            needed=[_unit(w, say) for w in table["needed"]],
        ).drop(columns="far")
        table.columns = [say(c) for c in ("Work", "Limit", "Asked", "Needed", "With")]
        return table.set_index(say("Work"))
    months = decision.scenario.horizon_months
    rows = []
    for row in decision.members(decision.best).to_dict("records"):
        many = f"{row['gpus']:,.0f}"
        if row["gpus_high"] > row["gpus"]:
            many += say(" (up to {most})").format(most=f"{row['gpus_high']:,.0f}")
        rows.append(
            (
                row["workload"],
                short_gpu(row["gpu"]),
                many,
                f"{row['precision'].upper()}, {say(row['split'])}",
                say(MODES[row["mode"]]),
                money(row["expected_usd"] / months, decision, language),
            )
        )
    heads = ["Work", "GPU", "GPUs", "Run as", "Paid for", "A month"]
    return pd.DataFrame(rows, columns=[say(h) for h in heads]).set_index(say("Work"))


def price_warnings(decision: Decision) -> str:
    """Return every warning about the age of prices."""
    return " ".join(age_warnings(decision.offers)) or "No price is older than its limit."


def flips_finding(decision: Decision, table: pd.DataFrame) -> str:
    """Say how many of the inputs flip the choice within their range."""
    flips = table[table["flips"]]
    if flips.empty:
        return "None of these inputs flips the choice within its range"
    widest = table["input"].iloc[0]
    return f"{len(flips)} of {len(table)} inputs flip the choice; the widest is: {widest}"


def front_finding(name: str, table: pd.DataFrame) -> str:
    """Say how many options of a workload no other beats, and between which costs."""
    if table.empty:
        return f"{name}: no option keeps all limits"
    low, high = table["cost_usd"].min(), table["cost_usd"].max()
    gpus = ", ".join(short_gpu(g) for g in table["gpu"].unique())
    return (
        f"{name}: {len(table)} options that no other beats, {high / low:,.1f} times apart; {gpus}"
    )


def answer_record(decision: Decision, evens: pd.DataFrame | None) -> dict[str, Any]:
    """Return the answer as plain values, for programs; nothing in it is NaN."""
    s = decision.scenario
    found: dict[str, Any] = {"scenario": s.name, "objective": s.objective}
    found["feasible"] = decision.feasible
    if not decision.feasible:
        table = nearest(s, decision.options, decision.plans)
        table["far"] = table["far"].where(np.isfinite(table["far"]), None)
        return found | {"what_must_give": table.to_dict("records")}
    found["recommendation"] = _plan_record(decision, decision.best)
    other = decision.runner_up
    found["runner_up"] = None if other is None else _plan_record(decision, other)
    found["reasons"] = reasons(decision)
    if evens is not None:
        found["runner_up_wins_with"] = changes(decision, evens)
    found["plans"] = [_plan_record(decision, p) for p in decision.policies.to_dict("records")]
    return found


def _plan_record(decision: Decision, plan: Any) -> dict[str, Any]:
    names = ("expected_usd", "low", "high", "upfront_usd", "cash_month_usd", "power_kw")
    works = decision.members(plan)
    columns = ["workload", "gpu", "mode", "precision", "split", "gpus", "gpus_high", "binding"]
    return {
        "plan": plan_sentence(decision, plan),
        "policy": plan["policy"],
        **{n: float(plan[n]) for n in (*names, "probability", "near")},
        "works": works[columns].to_dict("records"),
    }
