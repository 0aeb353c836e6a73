"""The answer of a decision as plain values, for programs."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuspec.base.lazy import pd
from gpuspec.constants.ground import joined
from gpuspec.decision.decide import Decision
from gpuspec.decision.plan.limits import delivered, hours_month, runs_in, uses_table
from gpuspec.decision.plan.outside import by_api, nothing_done
from gpuspec.decision.plan.words import modes_of, plan_words, policy_words, voice_of
from gpuspec.decision.plan.words_cost import grade_of
from gpuspec.decision.plan.words_limits import gives_of
from gpuspec.decision.plan.words_place import export_rows
from gpuspec.decision.plan.words_sure import changes, reasons
from gpuspec.decision.plans import Plan

UNITS = {
    "capital": "USD",
    "monthly": "USD a month",
    "total": "USD over the horizon",
    "power": "kW",
    "gpus": "GPUs",
    "deadline": "days",
    "latency": "times the limits",
    "ways": "",
}
SIGNED = ["gpu", "mode", "label", "gpus", "order_month", "from_month", "until_month", "paid_months"]
SIGNED += ["upfront_usd", "month_usd", "cost_usd"]


def answer_record(decision: Decision, evens: pd.DataFrame | None = None) -> dict[str, object]:
    """Return the answer as plain values; ``far`` may be infinite."""
    s = decision.scenario
    record: dict[str, object] = {"scenario": s.name, "objective": s.objective}
    record["feasible"] = decision.feasible
    record["assumed"] = [{**row.model_dump(), "value": s.value_at(row.field)} for row in s.assumed]
    if not decision.feasible:
        return record | {"what_must_give": _gives(decision)}
    best, other = decision.best, decision.runner_up
    record["owned_keep_usd_month"] = best.keep_usd / s.horizon_months
    plans = [_plan(decision, place) for place in range(len(decision.plans))]
    record["recommendation"] = plans[0] | {
        "signed": best.signed[SIGNED].to_dict("records"),
        "rented": best.rented.to_dict("records"),
        "sold": best.sold.to_dict("records"),
        "parts": {name: float(part.mean()) for name, part in best.parts.items()},
        "services_usd": best.services_usd,
        "limits": uses_table(decision, best).to_dict("records"),
        "price_grade": grade_of(decision, best),
        "export": export_rows(s, decision.offers.iloc[best.offers_used]),
    }
    record["runner_up"] = None if other is None else plans[1]
    record["reasons"] = reasons(decision)
    if evens is not None:
        record["runner_up_wins_with"] = changes(decision, evens)
    record["plans"] = plans
    return record


def outside_record(decision: Decision) -> dict[str, object]:
    """Return what stands beside the answer: its services by API, and doing nothing."""
    s, best = decision.scenario, decision.best
    offered = [
        {
            "workload": s.workloads[one.place].name,
            "requests_month": one.requests_month,
            "plan_month_usd": one.plan_month_usd,
            "month_usd": one.month_usd,
            "median_usd": one.median_usd,
            "even_times": one.even_times,
            "offers": one.offers.to_dict("records"),
        }
        for one in by_api(best)
    ]
    return {"by_api": offered, "doing_nothing": nothing_done(best)}


def plan_record(decision: Decision) -> dict[str, object]:
    """Return what ``gpuspec plan --json`` prints of a decision."""
    from gpuspec.decision.plan.breakeven import break_evens
    from gpuspec.decision.plan.words_worth import worth_record

    if not decision.feasible:
        return answer_record(decision)
    told = answer_record(decision, break_evens(decision))
    return told | outside_record(decision) | worth_record(decision)


def _gives(decision: Decision) -> list[dict[str, Any]]:
    voice = voice_of(decision)
    return [
        {
            **{n: row[n] for n in ("what", "workload", "asked", "needed")},
            "unit": UNITS[row["what"]],
            **{n: row[n] for n in ("far", "cost_usd", "reason")},
            "option": "" if row["plan"] is None else plan_words(row["plan"], voice),
        }
        for row in gives_of(decision).to_dict("records")
    ]


def _plan(decision: Decision, place: int) -> dict[str, Any]:
    plan, row = decision.plans[place], decision.table.iloc[place]
    return {
        "plan": plan_words(plan, voice_of(decision)),
        "policy": "; ".join(policy_words(p, name=str) for p in plan.policies),
        **{n: float(row[n]) for n in ("expected_usd", "low", "high", "upfront_usd")},
        "cash_month_usd": float(row["month_usd"]),
        "spent_usd": plan.spent_usd,
        **{n: float(row[n]) for n in ("power_kw", "gpus", "probability", "near")},
        **{n: float(row[n]) for n in ("enough", "sure", "gap")},
        "shortfall_usd": plan.shortfall_usd,
        "waiting_usd": plan.waiting_usd,
        "works": _works(plan),
        "by_api": _tokens(plan),
        "ground": joined(plan.grounds).told(),
    }


def _works(plan: Plan) -> list[dict[str, Any]]:
    names = ["workload", "gpu", "precision", "split", "gpus", "gpus_high", "from_month", "sure"]
    names.append("share")
    found = []
    for run, ground in zip(plan.runs.to_dict("records"), plan.grounds, strict=True):
        given = delivered(plan, run)
        runs = runs_in(plan, run["place"])
        usd = float(plan.work_usd[run["workload"]])
        found.append(
            {
                **{n: run[n] for n in names},
                "mode": " + ".join(modes_of(plan, run)),
                "days": given.get("deadline_days", np.nan),
                "ttft_s": given.get("ttft_limit_s", np.nan),
                "tpot_s": given.get("tpot_limit_s", np.nan),
                "hours_month": hours_month(run),
                "cost_usd": usd,
                "run_usd": usd / runs if runs else np.nan,
                "binding": run["bound"],
                "ground": ground.told(),
            }
        )
    return found


def _tokens(plan: Plan) -> list[dict[str, Any]]:
    """Return what a plan buys by API."""
    p, found = plan.problem, []
    for c in plan.bought:
        mine, at = p.options[p.choices.workload[c]], p.calendar.round_of == p.choices.round[c]
        offer, months = dict(mine.api.offers.iloc[0]), p.calendar.months
        names = ("provider", "product", "input_mtok", "output_mtok", "as_of", "grade")
        here = at & (mine.size_of >= 0)
        found.append(
            {
                "workload": p.scenario.workloads[mine.place].name,
                **{n: offer[n] for n in names},
                "from_month": float(p.calendar.starts[p.choices.round[c]]),
                "requests_month": float((mine.api.requests_month * months)[here].sum())
                / float(months[here].sum()),
                "cost_usd": float(plan.api_usd(int(c)).mean()),
            }
        )
    return found
