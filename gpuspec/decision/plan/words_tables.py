"""Tables of the decision, ready to be shown: few columns, words that a buyer uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gpuspec.base.lazy import pd
from gpuspec.catalog.models.formats import format_title
from gpuspec.constants.images import image_errors
from gpuspec.constants.inference import inference_errors
from gpuspec.constants.training import training_errors
from gpuspec.decision.alone import Alone
from gpuspec.decision.decide import Decision
from gpuspec.decision.errors import SURE
from gpuspec.decision.plan.limits import delivered, hours_month, runs_in
from gpuspec.decision.plan.sensitivity import price_column
from gpuspec.decision.plan.words import (
    HIDDEN,
    PAID,
    PARTS_OF,
    Voice,
    fleet_label,
    modes_of,
    paid_words,
    percent,
    policy_words,
    voice_of,
    whole,
)
from gpuspec.decision.plans import Plan
from gpuspec.decision.scenario import Images
from gpuspec.topics.training.layouts import HOST
from gpuspec.topics.ways import records
from gpuspec.views.amounts import plain, three_digits
from gpuspec.views.columns import duration, headings, readable
from gpuspec.views.language import Words, say, spoken
from gpuspec.views.words import gpu_name

DAY_S = 86400.0
MOST_ROWS = 10
POINTS = 1500
"""Options that a picture shows at most."""
HOPELESS = 4.0
"""Plans that cost so many times what the recommendation does are left out of the picture."""


AMOUNTS = ("expected", "expected_low", "expected_high", "upfront", "month_cost")


def _headed(rows: Sequence[tuple[Any, ...]], names: Sequence[str]) -> pd.DataFrame:
    """Return rows under the headings of their columns; amounts with three digits."""
    formats = dict.fromkeys((n for n in names if n in AMOUNTS), _three)
    return readable(pd.DataFrame(rows, columns=list(names)), formats)


def _three(value: float) -> str:
    return plain(three_digits(value))


# --- page 1 ---------------------------------------------------------------------------------------


def works_table(decision: Decision, language: str | None = None) -> pd.DataFrame:
    """Return what runs where in the recommended plan, what it delivers, when its GPUs run, and what
    it costs over the horizon; headings in the language. The last row adds up.
    """
    voice = voice_of(decision, language)
    names = ("workload", "run_on", "delivers", "hours_month", "expected", "each")
    heads = [voice.say(h) for h in headings(*names)]
    rows = _works(decision, decision.best, voice) if decision.feasible else []
    return pd.DataFrame(rows, columns=heads).set_index(heads[0])


def _works(decision: Decision, plan: Plan, voice: Voice) -> list[tuple[str, ...]]:
    say, seen = voice.say, set()
    rows: list[tuple[str, ...]] = []
    for run in plan.runs.to_dict("records"):
        name, cost = run["workload"], ("", "")
        if name not in seen:
            cost = _cost(plan, run, voice)
        seen.add(name)
        if run["share"] < 1:
            kind = decision.scenario.workloads[run["place"]].kind
            text = PARTS_OF.get(kind, "{work}, {share} of the runs")
            name = say(text, work=name, share=percent(run["share"]))
        if run["from_month"]:
            text = "{work}, after {months}"
            name = say(text, work=name, months=voice.months(run["from_month"]))
        hours = plain(three_digits(hours_month(run)))
        if round(runs_in(plan, run["place"]), 6) == 1:
            all_hours = hours_month(run) * float(plan.problem.calendar.edges[-1])
            hours = voice.say("{hours} in all", hours=plain(three_digits(all_hours)))
        where, gets = runs_on(plan, run, voice), _delivers(decision, plan, run, voice)
        rows.append((name, where, gets, hours, *cost))
    rows += [_by_api(decision, plan, place, voice) for place in sorted(bought_by_api(plan))]
    rest = {"keep of what is owned": plan.keep_usd, "effort": plan.effort_usd}
    for text, usd in rest.items():
        if abs(usd) > HIDDEN:
            rows.append((say(text), "", "", "", voice.money(usd), ""))
    if len(rows) > 1:
        rows.append((say("all together"), "", "", "", voice.money(plan.expected_usd), ""))
    return rows


def bought_by_api(plan: Plan) -> set[int]:
    """Return the places of the works of which at least some is bought by API."""
    return set(plan.problem.choices.workload[plan.bought].tolist())


def _by_api(decision: Decision, plan: Plan, place: int, voice: Voice) -> tuple[str, ...]:
    """Return the row of a service by API: no times are promised."""
    say, p = voice.say, plan.problem
    mine, months = p.options[place], p.calendar.months
    usd = sum(
        float(plan.api_usd(int(c)).mean()) for c in plan.bought if p.choices.workload[c] == place
    )
    count = float(mine.api.requests_month @ months / months[mine.size_of >= 0].sum())
    where = say("API, {provider}", provider=say(mine.api.provider))
    gets = say("{count} requests a month, no times promised", count=plain(three_digits(count)))
    each = say("{usd} a month", usd=voice.money(usd / float(p.calendar.edges[-1])))
    return decision.scenario.workloads[place].name, where, gets, "", voice.money(usd), each


def runs_on(plan: Plan, run: Mapping[Any, Any], voice: Voice) -> str:
    """Return the GPUs of a work, how many may be needed where that is more, how they are paid for,
    and in which format and split the work runs.
    """
    say, values = voice.say, {"count": whole(run["gpus"]), "gpu": gpu_name(run["gpu"])}
    text = "{count} x {gpu}"
    if run["gpus_high"] > run["gpus"]:
        text = "{count} x {gpu} (up to {most})"
        values["most"] = whole(run["gpus_high"])
    paid = say(" + ").join(say(PAID[mode]) for mode in modes_of(plan, run))
    form = say(format_title(run["precision"])) if run["precision"] else ""
    return say(", ").join(
        filter(None, (say(text, **values), paid, form, _split(run["split"], say)))
    )


def _split(words: str, say: Words) -> str:
    """Put how a work is split into the language: the names of axes stay."""
    for told in sorted(HOST.values(), key=len, reverse=True):  # one holds another
        words = words.replace(told, say(told))
    return say(words)


def _delivers(decision: Decision, plan: Plan, run: dict[Any, Any], voice: Voice) -> str:
    """Return what a work gets, of what it may take at most, and how surely."""
    say, w = voice.say, decision.scenario.workloads[run["place"]]
    given = delivered(plan, run)
    if isinstance(w, Images):
        return say("{rate} images a second", rate=plain(w.images_per_s))
    if not given:
        return say("each on its slice")
    if "deadline_days" in given:
        text = "{used} of {asked}, in {share} of the draws"
        values = {"used": voice.days(given["deadline_days"])}
        values["asked"] = voice.days(float(getattr(w, "deadline_days", 0.0)))
        return say(text, **values, share=percent(run["sure"]))
    first, each = (voice.seconds(given[n]) for n in ("ttft_limit_s", "tpot_limit_s"))
    limits = [getattr(w, n) for n in ("ttft_limit_s", "tpot_limit_s")]
    if not all(limits):
        return say("first token after {first}, {each} each", first=first, each=each)
    text = "first token after {first} of {most}, {each} of {least} each, in {share} of the draws"
    most, least = (voice.seconds(limit) for limit in limits)
    return say(text, first=first, most=most, each=each, least=least, share=percent(run["sure"]))


def _cost(plan: Plan, run: Mapping[Any, Any], voice: Voice) -> tuple[str, str]:
    """Return what a work costs over the horizon, and a run of it or a month."""
    usd, runs = float(plan.work_usd[run["workload"]]), runs_in(plan, run["place"])
    if not runs:
        months = float(plan.problem.calendar.edges[-1])
        return voice.money(usd), voice.say("{usd} a month", usd=voice.money(usd / months))
    if round(runs, 6) == 1:
        return voice.money(usd), voice.say("once")
    return voice.money(usd), voice.say("{usd} a run", usd=voice.money(usd / runs))


def works_caption(decision: Decision, language: str | None = None) -> str:
    """Return what the table of works shows."""
    voice = voice_of(decision, language)
    text = (
        "What runs where, what it delivers, in how many hours of a month, and what it costs over "
    )
    text += "{months}. In brackets: GPUs that are enough in nine of ten draws."
    return voice.say(text, months=voice.months(decision.scenario.horizon_months))


# --- the plans ------------------------------------------------------------------------------------


def shown_plans(decision: Decision) -> list[int]:
    """Return the places of the plans that a picture shows: without hopeless ones."""
    most = HOPELESS * abs(decision.best.expected_usd) if decision.plans else 0.0
    return [i for i, p in enumerate(decision.plans) if not i or p.expected_usd <= most]


def money_axis(
    decision: Decision, most_usd: float, language: str | None = None
) -> tuple[str, float]:
    """Return the name of an axis of costs up to `most_usd`, and the factor that takes USD there."""
    prices, say = decision.scenario.prices, voice_of(decision, language).say
    most = most_usd * prices.per_usd
    sizes = (
        ((1e5, "10,000 {currency}"),)
        if (language or spoken()) == "zh"
        else (
            (2e6, "million {currency}"),
            (2e4, "1,000 {currency}"),
        )
    )
    unit = {"million {currency}": 1e6, "1,000 {currency}": 1e3, "10,000 {currency}": 1e4}
    name = next((text for least, text in sizes if most >= least), "{currency}")
    return say(name, currency=say(prices.currency)), prices.per_usd / unit.get(name, 1.0)


def plans_caption(decision: Decision, language: str | None = None) -> str:
    """Return what the picture of the plans shows."""
    voice = voice_of(decision, language)
    text = (
        "Cost of each plan over {months}, with its 80 % interval; at the right: share of the draws "
    )
    text += "in which it is the cheapest. The first one is recommended."
    found = [voice.say(text, months=voice.months(decision.scenario.horizon_months))]
    if left := len(decision.plans) - len(shown_plans(decision)):
        text = "Left out: plans that cost more than {times} times as much ({count})."
        found.append(voice.say(text, times=plain(HOPELESS), count=left))
    return voice.joined(found)


def plans_table(decision: Decision, language: str | None = None) -> pd.DataFrame:
    """Return the plans, best first; amounts in the unit of `cost_unit`."""
    voice = voice_of(decision, language)
    factor = cost_unit(decision, language)[1]
    amounts = ("expected_usd", "low", "high", "upfront_usd", "month_usd")
    rows = [
        (
            fleet_label(row["plan"]),
            voice.say("; ").join(policy_words(p, voice.say) for p in row["policies"][:2]),
            *(row[n] * factor for n in amounts),
            *(percent(row[n]) for n in ("enough", "probability", "near")),
        )
        for _, row in decision.table.head(MOST_ROWS).iterrows()
    ]
    names = ("fleet", "policies", "expected", "expected_low", "expected_high", "upfront")
    return _headed(rows, (*names, "month_cost", "enough", "probability", "near"))


def cost_unit(decision: Decision, language: str | None = None) -> tuple[str, float]:
    """Return the unit of costs that suits the recommendation, and the factor of USD there."""
    most = decision.best.interval_usd[1] if decision.feasible else 0.0
    return money_axis(decision, most, language)


# --- each work on its own -------------------------------------------------------------------------


def costliest(decision: Decision) -> int:
    """Return the place of the workload that costs most."""
    return int(decision.best.work_usd.to_numpy().argmax()) if decision.feasible else 0


def kinds_finding(decision: Decision, alones: Sequence[Alone]) -> str:
    """Say for each workload on which GPU it is most often the cheapest, had it no company."""
    texts = []
    for work, mine in zip(decision.scenario.workloads, alones, strict=True):
        shares = mine.table.groupby("gpu", sort=False)["probability"].sum()
        name = str(shares.idxmax())
        share = percent(float(shares.max()))
        texts.append(say("{work}: {gpu} {share}", work=work.name, gpu=gpu_name(name), share=share))
    return say("; ").join(texts)


def alone_table(decision: Decision, mine: Alone, language: str | None = None) -> pd.DataFrame:
    """Return the best way to run a workload on each GPU and way to pay, had it no company; amounts
    in the unit of `cost_unit`.
    """
    voice, factor = voice_of(decision, language), cost_unit(decision, language)[1]
    shares = mine.table.groupby(["gpu", "mode"])["probability"].sum()
    rows = [
        (
            gpu_name(row["gpu"]),
            paid_words(row["label"], voice.say),
            ", ".join(filter(None, (format_title(row["precision"]), row["split"]))),
            row["gpus"],
            row["signed"],
            *(row[n] * factor for n in ("expected_usd", "low", "high")),
            duration(row["days"]) if np.isfinite(row["days"]) else voice.seconds(row["time_s"]),
            percent(float(shares[row["gpu"], row["mode"]])),
        )
        for row in mine.best_of_each("gpu", "mode").head(MOST_ROWS).to_dict("records")
    ]
    names = (
        "gpu",
        "label",
        "run_as",
        "gpus",
        "signed",
        "expected",
        "expected_low",
        "expected_high",
    )
    return _headed(rows, (*names, "pace", "probability"))


def front_points(decision: Decision, mine: Alone, place: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the ways to run and pay for a workload as points, and those that no cheaper one
    outruns: ``gpu``, ``cost_usd`` and ``time_s`` (days, of a job).
    """
    scale = DAY_S if np.isfinite(mine.table["days"]).any() else 1.0
    points = mine.table.rename(columns={"expected_usd": "cost_usd"})
    points = points.assign(time_s=points["time_s"] / scale)
    points = points.sort_values(["cost_usd", "time_s"], kind="stable")
    faster = points["time_s"].cummin().shift(fill_value=np.inf)
    front = points[points["time_s"] < faster * (1 - 1e-9)]
    return points.iloc[:: len(points) // POINTS + 1], front.reset_index(drop=True)


def chosen_point(decision: Decision, front: pd.DataFrame, mine: Alone, place: int) -> pd.Series:
    """Return the way that the recommended plan runs a workload, in the units of `front_points`."""
    runs = decision.best.runs.query("place == @place")
    if runs.empty:  # it is bought by API
        return front.iloc[0]
    run = runs.iloc[0]
    modes = modes_of(decision.best, dict(run))
    rows = mine.table[(mine.table["way"] == run["way"]) & mine.table["mode"].isin(modes)]
    if rows.empty:
        return front.iloc[0]
    row = rows.iloc[0]
    scale = DAY_S if np.isfinite(row["days"]) else 1.0
    return pd.Series({"cost_usd": row["expected_usd"], "time_s": row["time_s"] / scale})


def front_finding(name: str, front: pd.DataFrame) -> str:
    """Say how many ways of a workload no other beats, and between which costs."""
    low, high = front["cost_usd"].min(), front["cost_usd"].max()
    gpus = say(", ").join(gpu_name(g) for g in front["gpu"].unique())
    count = (
        f"{len(front)} ways that no other beats" if len(front) > 1 else "one way beats all others"
    )
    return f"{name}: {count}, {high / low:,.1f} times apart; {gpus}"


def time_name(decision: Decision, place: int) -> str:
    """Return the name of the axis of speed of a workload."""
    kind = decision.scenario.workloads[place].kind
    names = {"inference": "seconds a token", "images": "seconds an image"}
    return names.get(kind, "days of the run")


# --- what is out, prices, errors ------------------------------------------------------------------


def rejected_table(decision: Decision) -> pd.DataFrame:
    """Return what cannot run, with the reason in words; the same reason once."""
    rows = []
    priced = set(decision.problem.kinds.names)
    for work, options in zip(decision.scenario.workloads, decision.options, strict=True):
        ways = options.ways.table
        for row in records(ways[~ways["works"]]):
            form = ", ".join(filter(None, (format_title(row["precision"]), row["split"])))
            rows.append((work.name, gpu_name(row["gpu"]), form, options.ways.reason(row)))
        able = set(ways.loc[ways["works"], "gpu"]) & priced
        late = f"no way keeps the limits in {percent(SURE)} of the draws"
        names = [g for g in decision.scenario.allow.gpus if g in able - set(options.table["gpu"])]
        rows += [(work.name, gpu_name(g), "all", late) for g in names]
    why = "no price for it in the tables: give a quote of your own"
    none = [g for g in decision.scenario.allow.gpus if g not in priced]
    rows += [("all", gpu_name(g), "all", why) for g in none]
    names = ["workload", "gpu", "option", "reason"]
    table = pd.DataFrame(rows, columns=names)
    for column, separator in (("option", "; "), ("gpu", ", ")):
        same = [name for name in names if name != column]
        once = table.drop_duplicates().groupby(same, sort=False, as_index=False)
        table = once[[column]].agg(separator.join)
    return readable(table[names].head(2 * MOST_ROWS))


def offers_table(decision: Decision) -> pd.DataFrame:
    """Return the prices of the GPUs that the best plans take, with date, grade and age."""
    used = {name for plan in decision.plans[:2] for name in plan.kinds_used}
    offers = decision.offers[decision.offers["gpu"].isin(used)]
    rows = []
    for row in offers[offers["mode"] != "owned"].to_dict("records"):
        digits = ",.0f" if row["mode"] == "own" else ",.2f"
        prices = [format(row[price_column(row) + end], digits) for end in ("_low", "", "_high")]
        age, grade = "stale" * row["stale"], row["confidence"] + ", derived" * row["derived"]
        rows.append(
            (gpu_name(row["gpu"]), paid_words(row["label"]), *prices, row["as_of"], age, grade)
        )
    names = ("gpu", "label", "low", "central", "high", "as_of", "age", "confidence")
    return _headed(rows, names)


def flips_finding(table: pd.DataFrame) -> str:
    """Say how many of the inputs flip the choice within their range."""
    flips = table[table["flips"]]
    if flips.empty:
        return "None of these inputs flips the choice within its range"
    widest = table["input"].iloc[0]
    return f"{len(flips)} of {len(table)} inputs flip the choice; the widest is: {widest}"


def error_table(decision: Decision) -> pd.DataFrame:
    """Return the held-out errors of the kinds of work in the scenario."""
    kinds = {w.kind for w in decision.scenario.workloads}
    gpus = set(decision.offers["gpu"])
    rows = []
    first = {
        "inference": (inference_errors(), "tpot"),
        "images": (image_errors(), "images"),
        "training": (training_errors(), "step time, framework known"),
    }
    for of, (errors, name) in first.items():
        if of not in kinds:
            continue
        names = [name]
        names += ["ratio", *[n for n in errors.index if n.startswith("ratio ")]]
        for name in [*names, *(["fp8 ratio"] if of == "training" else [])]:
            pair = name.removeprefix("ratio ").split(" / ")
            if name not in errors.index or (len(pair) == 2 and not set(pair) <= gpus):
                continue
            row = errors.loc[name]
            figures = (row["rows"], row["sources"], row["low"], row["high"], row["coverage"])
            rows.append((f"{of}: {name}", *figures))
    names = ["error_of", "rows", "sources", "low", "high", "coverage"]
    table = pd.DataFrame(rows, columns=names).astype({"rows": int, "sources": int})
    return table.set_axis(headings(*names), axis=1)
