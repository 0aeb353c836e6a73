"""Tables of the decision, ready to be shown: few columns, words that a buyer uses."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.catalog.models.formats import format_title
from gpuspec.constants.images import image_errors
from gpuspec.constants.inference import inference_errors
from gpuspec.constants.training import training_errors
from gpuspec.decision.plan import Decision, front, nearest, rejected
from gpuspec.decision.plan.limits import limits_of
from gpuspec.decision.plan.plans import JOBS
from gpuspec.decision.plan.sensitivity import price_column
from gpuspec.decision.plan.words import (
    amount_words,
    gpus_of,
    months_words,
    paid_words,
    policy_words,
    short_gpu,
)
from gpuspec.topics.ways import records
from gpuspec.views.columns import duration, headings, readable
from gpuspec.views.language import translator
from gpuspec.views.markdown import Markdown

DAY_S = 86400.0
MOST_ROWS = 10
POINTS = 1500
"""Options that a picture shows at most."""


def money_axis(decision: Decision, language: str = "en") -> tuple[str, float]:
    """Return the name of an axis of costs and the factor that takes USD there."""
    prices = decision.scenario.prices
    if language == "zh":
        return {"CNY": "万元", "USD": "万美元"}[prices.currency], prices.per_usd / 1e4
    most = (
        float(decision.policies["high"].max()) * prices.per_usd if len(decision.policies) else 0.0
    )
    if most >= 2e6:
        return f"million {prices.currency}", prices.per_usd / 1e6
    return f"1,000 {prices.currency}", prices.per_usd / 1e3


def plans_caption(decision: Decision, language: str = "en") -> str:
    """Return what the picture of the plans shows."""
    say = translator(language)
    if not decision.feasible:
        return say("Cost of the plans, with 80 % interval, if the limits on totals were lifted.")
    return say(
        "Cost of each plan over {months}, with its 80 % interval; at the right: share of "
        "the draws in which it is the best. The first one is recommended.",
        months=months_words(decision.scenario.horizon_months, say),
    )


def members_caption(decision: Decision, language: str = "en") -> str:
    """Return what the table of works shows."""
    say = translator(language)
    if not decision.feasible:
        return say("What would have to give: each line alone makes the request feasible.")
    return say(
        "Who runs what; in brackets: GPUs that are enough in nine of ten draws. "
        "Servers are shared and bought whole."
    )


def plans_table(decision: Decision) -> pd.DataFrame:
    """Return the plans, best first."""
    rows = [
        (
            gpus_of(decision, row),
            "; ".join(policy_words(p) for p in row["policies"][:2]),
            *(_thousands(row[n]) for n in ("expected_usd", "low", "high", "upfront_usd")),
            f"{row['power_kw']:,.0f}" if row["power_kw"] else "",
            f"{row['probability'] * 100:.0f} %",
            f"{row['near'] * 100:.0f} %",
        )
        for _, row in decision.policies.head(MOST_ROWS).iterrows()
    ]
    cost = ("expected", "expected_low", "expected_high", "upfront")
    return _headed(rows, "fleet", "policies", *cost, "power_kw", "probability", "near")


def _thousands(value: float) -> str:
    return f"{value / 1e3:,.0f}" if value >= 1e5 else f"{value / 1e3:,.3g}"


def _headed(rows: list[tuple[Any, ...]], *names: str) -> pd.DataFrame:
    """Return rows under the headings of their columns, the first as index."""
    heads = headings(*names)
    return pd.DataFrame(rows, columns=heads).set_index(heads[0])


def kinds_finding(decision: Decision) -> str:
    """Say for each workload on which GPU it is most probably best."""
    texts = []
    for work, table in zip(decision.scenario.workloads, decision.candidates, strict=True):
        shares = table.groupby("gpu", sort=False)["probability"].sum() if len(table) else None
        if shares is None or not shares.max() > 0:
            texts.append(f"{work.name}: none")
            continue
        name = str(shares.idxmax())
        texts.append(f"{work.name}: {short_gpu(name)} {shares.max() * 100:.0f} %")
    return "; ".join(texts)


def candidates_table(decision: Decision, place: int) -> pd.DataFrame:
    """Return the options of a workload that keep its limits, best first."""
    table = decision.candidates[place]
    months = decision.scenario.horizon_months
    rows = [
        (
            short_gpu(row["gpu"]),
            paid_words(row["label"]),
            _run_as(row),
            f"{row['gpus']:,.0f}",
            *(f"{row[n] / months:,.0f}" for n in ("expected_usd", "low", "high")),
            _pace(row),
            f"{row['probability'] * 100:.0f} %",
            row["binding"],
        )
        for row in records(table[table["feasible"]].head(MOST_ROWS))
    ]
    cost = ("month_cost_usd", "month_cost_usd_low", "month_cost_usd_high")
    names = ("gpu", "label", "run_as", "gpus", *cost, "pace", "probability", "bound")
    return _headed(rows, *names)


def _run_as(row: Mapping[str, str]) -> str:
    return ", ".join(filter(None, (format_title(row["precision"]), row["split"])))


def _pace(row: dict[str, float]) -> str:
    if not np.isnan(row["days"]):
        return duration(row["days"])
    if not np.isnan(row["tpot_s"]):
        return f"{row['tpot_s'] * 1e3:,.0f} ms a token"
    return f"{row['time_s']:,.2f} s an image"


def front_points(decision: Decision, place: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the options of a workload as points, and those that no other beats."""
    options = decision.options[place]
    table = options.table[options.table["feasible"]].sort_values("cost_usd", kind="stable")
    if len(table) > POINTS:
        table = table.iloc[:: len(table) // POINTS + 1]
    gpus = options.ways.table["gpu"].to_numpy()[table["tech"].to_numpy()]
    best, scale = front(options), _time_scale(decision, place)
    points = table.assign(gpu=gpus, time_s=table["time_s"] / scale)
    return points, best.assign(time_s=best["time_s"] / scale)


def _time_scale(decision: Decision, place: int) -> float:
    return DAY_S if decision.scenario.workloads[place].kind in JOBS else 1.0


def chosen_point(decision: Decision, place: int, best: pd.DataFrame) -> pd.Series:
    """Return the recommended option of a workload in the units of `front_points`."""
    if not decision.feasible:
        return best.iloc[0]
    member = decision.members(decision.best).iloc[place]
    return member[["cost_usd", "time_s"]] / [1.0, _time_scale(decision, place)]


def time_name(decision: Decision, place: int) -> str:
    """Return the name of the axis of speed of a workload."""
    kind = decision.scenario.workloads[place].kind
    names = {"inference": "seconds a token", "images": "seconds an image"}
    return names.get(kind, "days of the run")


def rejected_table(decision: Decision) -> pd.DataFrame:
    """Return the options that are out, with the reason in words; the same reason once."""
    rows = []
    for work, options, table in zip(
        decision.scenario.workloads, decision.options, decision.candidates, strict=True
    ):
        out = table[~table["feasible"]] if len(table) else table
        rows += [
            (work.name, short_gpu(r["gpu"]), paid_words(r["label"]), r["reason"])
            for r in out.to_dict("records")
        ]
        rows += [
            (work.name, short_gpu(r["gpu"]), _run_as(r), r["reason"]) for r in rejected(options)
        ]
    rows = rows or [("all", "all", "none", "every option that was tried keeps the limits")]
    names = ["workload", "gpu", "option", "reason"]
    table = pd.DataFrame(rows, columns=names)
    for column, separator in (("option", "; "), ("gpu", ", ")):
        same = [name for name in names if name != column]
        table = table.groupby(same, sort=False, as_index=False)[[column]].agg(separator.join)
    return readable(table[names].head(2 * MOST_ROWS))


def nearest_finding(decision: Decision) -> str:
    """Say what would have to give, or how much room is left where nothing has to."""
    if not decision.feasible:
        table = nearest(decision.scenario, decision.options, decision.plans)
        needs = [
            Markdown("**{workload}**: {what}: {needed}").format(
                workload=r["workload"], what=r["what"], needed=amount_words(r["needed"])
            )
            + (f" instead of {amount_words(r['asked'])}, {r['option']}." if r["asked"] else ".")
            for r in table.to_dict("records")
        ]
        return "Each line alone makes it feasible. " + Markdown(" ").join(needs)
    limits = limits_of(decision.scenario)
    uses = [
        f"{decision.best[column] / limits[limit] * 100:.0f} % of the {name}"
        for limit, name, column in (
            ("capital", "capital", "upfront_usd"),
            ("monthly", "monthly budget", "cash_month_usd"),
            ("power", "power", "power_kw"),
        )
        if limits[limit] and np.isfinite(limits[limit])
    ]
    words = ", ".join(uses) or "no limit of money or power was given"
    feasible = decision.plans.table["feasible"]
    return (
        f"Nothing has to give: {feasible.sum():,} of {len(feasible):,} "
        f"combinations keep all limits. The recommended one uses {words}."
    )


def offers_table(decision: Decision) -> pd.DataFrame:
    """Return the prices of the GPUs that the best plans take, with date, grade and age."""
    offers = decision.offers
    if len(decision.policies):
        members = [decision.members(plan) for _, plan in decision.policies.head(2).iterrows()]
        offers = offers[offers["gpu"].isin(pd.concat(members)["gpu"])]
    rows = []
    for row in offers[offers["mode"] != "owned"].to_dict("records"):
        digits = ",.0f" if row["mode"] == "own" else ",.2f"
        prices = [format(row[price_column(row) + end], digits) for end in ("_low", "", "_high")]
        age, grade = "stale" * row["stale"], row["confidence"] + ", derived" * row["derived"]
        paid = paid_words(row["label"])
        rows.append((short_gpu(row["gpu"]), paid, *prices, row["as_of"], age, grade))
    names = ("gpu", "label", "low", "central", "high", "as_of", "age", "confidence")
    return _headed(rows, *names)


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
