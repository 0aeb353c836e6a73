"""Page 1 of the decision report, and the same answer for programs."""

import numpy as np
import pandas as pd

from gpuspec.catalog.models.formats import format_title
from gpuspec.constants.ground import Ground, joined
from gpuspec.decision.ground import warning
from gpuspec.decision.plan import Decision, nearest, words
from gpuspec.decision.scenario.questions import scenario_quotes
from gpuspec.topics.cost.prices import age_warnings
from gpuspec.views.columns import headings
from gpuspec.views.language import translator
from gpuspec.views.markdown import Markdown

LOADS = {
    "Traffic of the services": "traffic of the services at {factor} times what was asked",
    "Length of the prompts": "length of the prompts at {factor} times what was asked",
    "Hours of the services": "hours of the services at {factor} times what was asked",
    "Tokens of the training jobs": "tokens of the training jobs at {factor} times what was asked",
}
"""What a load does that makes the runner-up win, by its name among the changes of a question."""


def changes(decision: Decision, evens: pd.DataFrame, language: str = "en") -> list[str]:
    """Return what would make the runner-up the better plan: the three nearest values."""
    say, prices, texts = translator(language), decision.scenario.prices, []
    for row in evens[np.isfinite(evens["far"])].head(3).to_dict("records"):
        what = row["what"]
        if row["kind"] == "load":
            texts.append(say(LOADS[what], factor=f"{row['at']:.2g}"))
            continue
        above = row["at"] > row["value"]
        unit, digits = ("{c} a GPU", ",.0f") if what == "own" else ("{c} an hour", ",.2f")
        text = say(
            "{gpu} ({mode}) above {at} {unit}, {now} today"
            if above
            else "{gpu} ({mode}) below {at} {unit}, {now} today",
            gpu=words.short_gpu(row["gpu"]),
            mode=say(words.PAID[what]),
            at=format(row["at"] * prices.per_usd, digits),
            now=format(row["value"] * prices.per_usd, digits),
            unit=say(unit, c=say(prices.currency)),
        )
        texts.append(text)
    return texts or [say("Nothing within the ranges that were tried")]


def answer_page(decision: Decision, evens: pd.DataFrame | None, language: str = "en") -> Markdown:
    """Return the text of page 1: answer, cost, confidence, reasons, what changes it."""
    say = translator(language)
    if not decision.feasible:
        finding = words.decision_finding(decision, language) + say(".")
        notes = [currency_sentence(decision, language), unused_sentence(decision, language)]
        notes.append(decision.scenario.doubts)
        answer = Markdown("**{}** {}").format(finding, nearest_sentences(decision, language))
        return Markdown("\n\n").join(filter(None, [answer, *notes]))
    headed = Markdown("**{}**" + say(": ") + "{}")
    three = words.reasons(decision, language)
    lines: list[str] = [
        Markdown("**{}**").format(words.decision_finding(decision, language) + say(".")),
        headed.format(say("Cost"), words.cost_sentence(decision, language)),
        headed.format(say("Runner-up"), words.runner_up_sentence(decision, language)),
        headed.format(say("How sure"), words.confidence_sentence(decision, language)),
        headed.format(say("Ground"), ground_warning(decision, language)),
        Markdown("**{}**").format(say("Three reasons")),
        Markdown("\n").join(Markdown("{}. {}").format(i, t) for i, t in enumerate(three, 1)),
    ]
    if evens is not None and decision.runner_up is not None:
        flips = say("; ").join(changes(decision, evens, language)) + say(".")
        lines.append(headed.format(say("The runner-up wins with"), flips))
    lines += [prices_sentence(decision, language), currency_sentence(decision, language)]
    lines += [unused_sentence(decision, language), apart_sentence(decision, language)]
    lines += [decision.scenario.doubts]
    return Markdown("\n\n").join(line for line in lines if line)


def ground_warning(decision: Decision, language: str = "en") -> str:
    """Return what is known of settings like those of the recommendation."""
    first, second = (
        None if plan is None else _by_place(decision, plan)
        for plan in (decision.best, decision.runner_up)
    )
    return warning(first or {}, second, translator(language))


def _by_place(decision: Decision, plan: pd.Series) -> dict[str, Ground]:
    """Return the ground of a plan by what runs where."""
    rows = decision.members(plan)[["workload", "gpu"]].to_numpy(str)
    places = [f"{workload}, {words.short_gpu(gpu)}" for workload, gpu in rows]
    return dict(zip(places, decision.grounds(plan), strict=True))


def prices_sentence(decision: Decision, language: str = "en") -> str:
    """Return the warning about old prices of the plan, empty where all are fresh."""
    say = translator(language)
    members = decision.members(decision.best)
    rows = decision.offers.iloc[sorted(set(members["offer"].astype(int)))]
    old = rows[rows["stale"]]
    if old.empty:
        return ""
    names = [
        say("{gpu} ({mode})", gpu=words.short_gpu(gpu), mode=say(words.PAID[mode]))
        for gpu, mode in zip(old["gpu"], old["mode"], strict=True)
    ]
    days = int(old["age_days"].max())
    text = say(
        "**Before you sign**: ask for quotes; the prices of {names} are up to {days} days old."
    )
    return Markdown(text).format(names=words.listed_in(names, say), days=days)


def currency_sentence(decision: Decision, language: str = "en") -> str:
    """Return the rate at which amounts of page 1 were changed; empty where they are in USD."""
    prices = decision.scenario.prices
    if prices.currency == "USD":
        return ""
    return translator(language)(
        "1 USD = {rate} {currency}; what must give and the tables of the later pages are in USD.",
        rate=f"{prices.cny_per_usd:g}",
        currency=prices.currency,
    )


def unused_sentence(decision: Decision, language: str = "en") -> str:
    """Name the quotes that the answer does not use because their GPU may not be chosen."""
    say, scenario = translator(language), decision.scenario
    may = {*scenario.allow.gpus, *(o.gpu for o in scenario.owned)}
    names = dict.fromkeys(q.gpu for q in scenario_quotes(scenario.prices) if q.gpu not in may)
    if not names:
        return ""
    gpus = words.listed_in([words.short_gpu(n) for n in names], say)
    return say("Not used: your quotes of {gpus}, which allow.gpus does not list.", gpus=gpus)


def apart_sentence(decision: Decision, language: str = "en") -> str:
    """Say that services were not tried with prompts on GPUs of their own; empty without any."""
    if not any(w.kind == "inference" for w in decision.scenario.workloads):
        return ""
    return translator(language)(
        "Not tried: prompts read on GPUs of their own; gpuspec estimate says where they take fewer."
    )


def nearest_sentences(decision: Decision, language: str = "en") -> str:
    """Return what must give where nothing is feasible, in sentences."""
    say, texts = translator(language), []
    table = nearest(decision.scenario, decision.options, decision.plans)
    for row in table.to_dict("records"):
        text = "{name}: {what}: {needed}."
        if row["asked"]:
            text = "{name}: with {what} at {needed} instead of {asked}{amount}, {option}."
        sentence = say(
            text,
            name=say(row["workload"]),
            what=say(row["what"]),
            needed=words.amount_words(row["needed"], say),
            asked=words.amount_words(row["asked"], say),
            amount=f" {words.percent(row['far'], True)})" if row["far"] < 10 else "",
            option=row["option"],
        )
        texts.append(sentence)
    return " ".join(texts)


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
            asked=[words.amount_words(w, say) for w in table["asked"]],
            needed=[words.amount_words(w, say) for w in table["needed"]],
        ).drop(columns="far")
        heads = headings("workload", "limit", "asked", "needed", "with_option")
        table.columns = [say(c) for c in heads]
        return table.set_index(table.columns[0])
    months = decision.scenario.horizon_months
    rows: list[tuple[str, ...]] = []
    for row in decision.members(decision.best).to_dict("records"):
        form = say(format_title(row["precision"])) if row["precision"] else ""
        run = say(", ").join(filter(None, (form, say(row["split"]))))
        usd = words.money(row["expected_usd"] / months, decision, language)
        many = words.count_words(row, "{count}", say)
        gpu, paid = words.short_gpu(row["gpu"]), say(words.PAID[row["mode"]])
        rows.append((row["workload"], gpu, many, run, paid, usd))
    held = decision.offers[decision.offers["mode"] == "owned"]
    for row in held.to_dict("records"):  # their keep, so that rows add up
        usd = words.money(row["keep_usd_month"] * row["available"], decision, language)
        gpu, many = words.short_gpu(str(row["gpu"])), f"{row['available']:,.0f}"
        rows.append((say("keep of what is there"), gpu, many, "", say(words.PAID["owned"]), usd))
    names = ("workload", "gpu", "gpus", "run_as", "mode", "month_cost")
    table = pd.DataFrame(rows, columns=[say(h) for h in headings(*names)])
    return table.set_index(table.columns[0])


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
    gpus = ", ".join(words.short_gpu(g) for g in table["gpu"].unique())
    return (
        f"{name}: {len(table)} options that no other beats, {high / low:,.1f} times apart; {gpus}"
    )


def answer_record(decision: Decision, evens: pd.DataFrame | None) -> dict[str, object]:
    """Return the answer as plain values, for programs; ``far`` may be infinite."""
    s = decision.scenario
    record: dict[str, object] = {"scenario": s.name, "objective": s.objective}
    record["feasible"] = decision.feasible
    if not decision.feasible:
        table = nearest(s, decision.options, decision.plans)
        for name in ("asked", "needed"):
            table[name] = [words.amount_words(amount) for amount in table[name]]
        return record | {"what_must_give": table.to_dict("records")}
    record["owned_keep_usd_month"] = decision.plans.draws.keep_usd
    record["recommendation"] = _plan_record(decision, decision.best)
    other = decision.runner_up
    record["runner_up"] = None if other is None else _plan_record(decision, other)
    record["reasons"] = words.reasons(decision)
    if evens is not None:
        record["runner_up_wins_with"] = changes(decision, evens)
    record["plans"] = [_plan_record(decision, p) for _, p in decision.policies.iterrows()]
    return record


def _plan_record(decision: Decision, plan: pd.Series) -> dict[str, object]:
    names = ("expected_usd", "low", "high", "upfront_usd", "cash_month_usd", "power_kw")
    works = decision.members(plan)
    columns = ["workload", "gpu", "mode", "precision", "split", "gpus", "gpus_high", "binding"]
    return {
        "plan": words.plan_sentence(decision, plan),
        "policy": "; ".join(words.policy_words(p, name=str) for p in plan["policies"]),
        **{n: float(plan[n]) for n in (*names, "probability", "near")},
        "works": [
            {**row, "ground": ground.told()}
            for row, ground in zip(
                works[columns].to_dict("records"), decision.grounds(plan), strict=True
            )
        ],
        "ground": joined(decision.grounds(plan)).told(),
    }
