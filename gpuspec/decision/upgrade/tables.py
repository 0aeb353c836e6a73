"""A plan over time in rows: orders, what is there, what runs where, strategies side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpuspec.base.lazy import pd
from gpuspec.decision.calendar import Calendar
from gpuspec.decision.decide import (
    BOUGHT,
    GROW,
    MIX,
    RENTED,
    REPLACE,
    STAY,
    WAIT,
    Decision,
    decide,
)
from gpuspec.decision.plans import PARTS, Plan
from gpuspec.decision.programme import POOL, SPOT
from gpuspec.decision.scenario import Scenario

HELD = ("owned", "bought", "contract", "by the hour", "spot")
"""How GPUs are there, in the order in which pictures stack them."""
STRATEGIES = {
    MIX: "whatever is cheapest: buy, sign, rent, keep or sell any kind",
    STAY: "keep what is owned, buy nothing, rent more of the same kinds where it is not enough",
    GROW: "keep what is owned and add newer kinds",
    REPLACE: "work on newer kinds alone, sell what is owned",
    RENTED: "buy nothing; keep or sell what is owned",
    BOUGHT: "sign no contract; what is short is rented by the hour",
    WAIT: "buy nothing in the first round",
}
"""What a fleet may do; all are versions of one programme."""
DRIFTS = ("down", "flat", "up")


def period_names(calendar: Calendar) -> list[str]:
    """Return what pictures and tables call the segments: the months at which they begin."""
    return [f"{month:.3g}" for month in calendar.edges[:-1]]


def gpus_table(plan: Plan) -> pd.DataFrame:
    """Return GPUs there by ``gpu``, ``held`` (of `HELD`) and ``period``; by the hour and on spot
    the mean over the draws and the time of the period.
    """
    p, calendar, con, cho = (
        plan.problem,
        plan.problem.calendar,
        plan.problem.contracts,
        plan.problem.choices,
    )
    shape = len(HELD), len(p.kinds.names), len(calendar.months)
    found = np.zeros(shape)
    found[0] = p.kinds.owned[:, None] - np.cumsum(plan.chosen.sold, axis=1)[:, calendar.round_of]
    each = con.active * plan.chosen.signed[:, None]
    np.add.at(found[1], con.kind[con.housed], each[con.housed])
    np.add.at(found[2], con.kind[~con.housed], each[~con.housed])
    hour_usd = {place: p.hour_usd(*place) for place in plan.short}
    for place, (_, rent, _) in plan.short.items():
        found[3][place] += float((rent / hour_usd[place]).mean()) / 730.0
    for c in plan.columns:
        if cho.venue[c] == POOL:
            continue
        mine, k = p.options[cho.workload[c]], cho.kind[c]
        how = HELD.index("spot" if cho.venue[c] == SPOT else "by the hour")
        for q in np.flatnonzero((calendar.round_of == cho.round[c]) & (mine.size_of >= 0)):
            hours = mine.needs[cho.way[c]].mean_hours[mine.size_of[q]]
            found[how, k, q] += float(hours) / 730.0
    rows = [(p.kinds.names[k], HELD[h], q, float(n)) for (h, k, q), n in np.ndenumerate(found)]
    return pd.DataFrame(rows, columns=["gpu", "held", "period", "gpus"])


def orders_table(plan: Plan) -> pd.DataFrame:
    """Return what is decided when: ``month``, ``gpu``, ``what`` (mode, or sell), ``gpus``, ``usd``.

    USD of a contract is its whole term, of a purchase its price; of a sale what comes in, below 0.
    """
    signed, sold = plan.signed, plan.sold
    bought = signed["mode"] == "own"
    usd = np.where(bought, signed["upfront_usd"], signed["month_usd"] * signed["paid_months"])
    first = pd.DataFrame(
        {
            "month": signed["order_month"],
            "gpu": signed["gpu"],
            "what": signed["mode"],
            "gpus": signed["gpus"],
            "usd": usd,
        }
    )
    then = pd.DataFrame(
        {
            "month": sold["month"],
            "gpu": sold["gpu"],
            "what": "sell",
            "gpus": sold["gpus"],
            "usd": -sold["worth_usd"],
        }
    )
    table = pd.concat([t for t in (first, then) if len(t)] or [first], ignore_index=True)
    return table.sort_values(["month", "what"], kind="stable", ignore_index=True)


def runs_table(plan: Plan) -> pd.DataFrame:
    """Return what runs where: one row a workload (of one that is split, a part of it) and period:
    ``workload``, ``period``, ``gpu``, ``precision``, ``split``, ``venue``, ``gpus`` (at the central
    estimate), ``job``, ``share`` (of all that is served) and ``share_from`` (of the busiest hour).
    """
    p, calendar, cho = plan.problem, plan.problem.calendar, plan.problem.choices
    rows = []
    for c in plan.columns:
        mine = p.options[cho.workload[c]]
        way = mine.table.iloc[int(cho.way[c])]
        for q in np.flatnonzero((calendar.round_of == cho.round[c]) & (mine.size_of >= 0)):
            place = ("pool", "by the hour", "spot")[cho.venue[c]]
            name = p.scenario.workloads[cho.workload[c]].name
            of = way["gpu"], way["precision"], way["split"], place
            part = float(cho.share[c]), float(cho.share_from[c])
            rows.append((name, int(q), *of, float(cho.atonce[c, q]), mine.is_job, *part))
    names = ["workload", "period", "gpu", "precision", "split", "venue", "gpus", "job", "share"]
    return pd.DataFrame(rows, columns=[*names, "share_from"]).sort_values(
        ["workload", "period", "share_from"], kind="stable", ignore_index=True
    )


def ways_table(decision: Decision) -> pd.DataFrame:
    """Return the ways that the programme chooses among: ``workload``, ``gpu``, ``precision``,
    ``split``, ``need_gpus`` (for the largest load), ``days`` (of a job) and ``sure``.
    """
    parts = [
        o.table.iloc[: o.whole].assign(workload=decision.scenario.workloads[o.place].name)
        for o in decision.options
    ]
    names = ["workload", "gpu", "precision", "split", "need_gpus", "days", "sure"]
    return pd.concat(parts, ignore_index=True)[names]


def strategy_table(decision: Decision) -> pd.DataFrame:
    """Return one row a strategy that some plan is: ``strategy``, ``meaning``, ``expected_usd``,
    ``low``, ``high``, ``upfront_usd``, ``month_usd`` (the dearest), ``power_kw``, ``probability``,
    ``gap``, then its parts by `PARTS`; the recommendation first.
    """
    rows = []
    for row in decision.table.to_dict("records"):
        plan: Plan = row["plan"]
        parts = {name: float(usd.mean()) for name, usd in plan.parts.items()}
        rows += [
            {**row, "strategy": policy.kind, "meaning": STRATEGIES[policy.kind], **parts}
            for policy in row["policies"]
            if policy.kind in STRATEGIES
        ]
    names = ["strategy", "meaning", "expected_usd", "low", "high", "upfront_usd", "month_usd"]
    return pd.DataFrame(rows, columns=[*names, "power_kw", "probability", "gap", *PARTS])


def drift_table(decision: Decision, drifts: Sequence[str] = DRIFTS) -> pd.DataFrame:
    """Return the best plan under other drifts of prices: ``drift``, ``expected_usd``,
    ``bought`` (GPUs bought), ``first_month`` (of a purchase; NaN: none).
    """
    rows = []
    for drift in drifts:
        s = _drifting(decision.scenario, drift)
        found = decide(s, quick=True, gap=0.02)
        if not found.feasible:
            rows.append((drift, np.nan, np.nan, np.nan))
            continue
        bought = found.best.signed[found.best.signed["mode"] == "own"]
        first = float(bought["order_month"].min()) if len(bought) else np.nan
        rows.append((drift, found.best.expected_usd, float(bought["gpus"].sum()), first))
    return pd.DataFrame(rows, columns=["drift", "expected_usd", "bought", "first_month"])


def _drifting(s: Scenario, drift: str) -> Scenario:
    return s.model_copy(update={"prices": s.prices.model_copy(update={"drift": drift})})


def effort_table(decision: Decision, multiples: Sequence[float]) -> pd.DataFrame:
    """Return the cost of each strategy as the effort of change is multiplied.

    The plans stay as they are: index the multiple, one column a strategy.
    """
    multiple = np.asarray(multiples, float)
    table = strategy_table(decision).drop_duplicates("strategy")
    usd = {
        str(r["strategy"]): r["expected_usd"] + (multiple - 1) * r["effort"]
        for r in table.to_dict("records")
    }
    return pd.DataFrame(usd, index=pd.Index(multiple, name="effort"))
