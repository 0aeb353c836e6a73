"""What must give where nothing keeps all limits: one change at a time, the cheapest first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from gpuspec.base.lazy import pd
from gpuspec.decision.decide import Decision, decide, in_parts, problem_of
from gpuspec.decision.options import Options
from gpuspec.decision.plans import Plan
from gpuspec.decision.programme import Model, solve
from gpuspec.decision.scenario import Scenario
from gpuspec.topics.ways import records

FIELDS = {
    "capital": "budget.capital_usd",
    "monthly": "budget.monthly_usd",
    "power": "limits.power_kw",
    "gpus": "limits.gpus",
    "total": "budget.total_usd",
}
"""Limits that all work shares, and the fields that state them."""
USD = ("capital", "monthly", "total")
DIGITS = 3
SLOWER = (2.0, 4.0)
"""Multiples of all latency limits that are tried where shared limits stand in the way."""
MORE = (1.0, 1.25, 1.6, 2.0, 3.0, 5.0)
"""Multiples of the least time that are tried until all other limits are kept as well."""
TIME_LIMIT_S = 10.0


class Change(NamedTuple):
    """The smallest change of one limit that makes an answer possible."""

    what: str
    """``capital``, ``monthly``, ``total``, ``power``, ``gpus``, ``deadline``, ``latency`` or
    ``ways``."""
    workload: str
    """Whose limit it is; empty where all work shares it."""
    asked: float
    needed: float
    """In the limit's unit: USD, kW, GPUs, days; of latency, multiples of the limits; NaN where no
    change of this kind helps."""
    cost_usd: float
    """What the answer then costs over the horizon; NaN where other limits must give too."""
    plan: Plan | None
    reason: str
    """Why nothing helps, or with what; empty where this change alone is enough."""

    @property
    def far(self) -> float:
        """How much more is needed, as a share; infinite where nothing was allowed."""
        return self.needed / self.asked - 1 if self.asked else np.inf


def what_gives(decision: Decision) -> pd.DataFrame:
    """Return what would have to change, one limit at a time, the cheapest answer first.

    Columns are the fields of `Change` and ``far``. Limits that help only together with others come
    last, without a cost.
    """
    s, rows = decision.scenario, list(_of_works(decision))
    rows += [change for name in FIELDS if (change := _of_limit(s, name))]
    rows += _together(s) if not rows else []
    if not any(row.what in ("latency", "deadline") for row in rows):
        rows += _slower(s)
    table = pd.DataFrame(rows, columns=Change._fields)
    table["far"] = [row.far for row in rows]
    return table.sort_values("cost_usd", kind="stable", na_position="last", ignore_index=True)


def _of_limit(s: Scenario, name: str) -> Change | None:
    """Return how far one shared limit must go, with the others as they are."""
    asked = asked_limit(s, name)
    if not np.isfinite(asked):
        return None
    problem = problem_of(without(s, name))
    if not problem.able:
        return None
    problem = in_parts(problem) or problem
    model = Model(problem, spared=name)
    found = solve(model, time_limit_s=TIME_LIMIT_S)
    if found is None:
        return None
    plan = Plan(problem, found.chosen, ())
    used = _used(plan, name)
    if used <= asked * (1 + 1e-9):
        return None
    needed = rounded_up(used)
    if (problem.kinds.hour_offer < 0).any():  # what is missing there may have to count more
        then = decide(limited_to(s, name, needed), quick=True)
        if not then.feasible:
            return None
        plan = then.best
    return Change(name, "", asked, needed, plan.expected_usd, plan, "")


def _limits(w: Any) -> dict[str, float]:
    limits = {n: getattr(w, n, None) for n in ("ttft_limit_s", "tpot_limit_s")}
    return {n: limit for n, limit in limits.items() if limit}


def limited(s: Scenario) -> list[str]:
    """Return the names of the works with limits on their times to tokens."""
    return [w.name for w in s.workloads if _limits(w)]


def slower(s: Scenario, times: float) -> Scenario:
    """Return a scenario whose limits on times to tokens are so many times as long."""
    works = tuple(
        w.model_copy(update={n: limit * times for n, limit in _limits(w).items()})
        for w in s.workloads
    )
    return s.model_copy(update={"workloads": works})


def due(s: Scenario) -> list[str]:
    """Return the names of the jobs that must be done by a day."""
    return [w.name for w in s.workloads if getattr(w, "deadline_days", None)]


def later(s: Scenario, times: float) -> Scenario:
    """Return a scenario whose jobs may take so many times as long."""
    works = tuple(
        w.model_copy(update={"deadline_days": days * times})
        if (days := getattr(w, "deadline_days", None))
        else w
        for w in s.workloads
    )
    return s.model_copy(update={"workloads": works})


def _slower(s: Scenario) -> list[Change]:
    """Return the answer where all services may be so many times as slow, if there is one."""
    for times in SLOWER if limited(s) else ():
        then = decide(slower(s, times), quick=True)
        if then.feasible:
            names = ", ".join(limited(s))
            return [Change("latency", names, 1.0, times, then.best.expected_usd, then.best, "")]
    return []


def _together(s: Scenario) -> list[Change]:
    """Return what all shared limits would have to be where no single one is enough."""
    free = s
    for name in FIELDS:
        free = without(free, name)
    then = decide(free, quick=True)
    if not then.feasible:
        return []
    found = []
    for name in FIELDS:
        asked, used = asked_limit(s, name), _used(then.best, name)
        if used > asked * (1 + 1e-9):
            reason = "together with the others"
            cost, plan = then.best.expected_usd, then.best
            found.append(Change(name, "", asked, rounded_up(used), cost, plan, reason))
    return found


def _used(plan: Plan, name: str) -> float:
    """Return how much of a shared limit a plan uses."""
    return {
        "capital": plan.upfront_usd,
        "monthly": float(plan.monthly_usd.max()),
        "power": plan.power_kw,
        "gpus": float(plan.gpus_atonce.max()),
        "total": plan.spent_usd,
    }[name]


def asked_limit(s: Scenario, name: str) -> float:
    """Return a limit of `FIELDS`; infinite where it was left open."""
    values = (s.budget.capital_usd, s.budget.monthly_usd, s.limits.total_kw, s.limits.gpus)
    value = dict(zip(FIELDS, (*values, s.budget.total_usd), strict=True))[name]
    return np.inf if value is None else float(value)


def without(s: Scenario, name: str) -> Scenario:
    """Return a scenario with a limit of `FIELDS` left open."""
    return limited_to(s, name, None)


def limited_to(s: Scenario, name: str, value: float | None) -> Scenario:
    """Return a scenario with another limit of `FIELDS`."""
    part, field = FIELDS[name].split(".")
    gone: dict[str, Any] = {field: value}
    gone |= {"racks": None} if name == "power" else {}
    return s.model_copy(update={part: getattr(s, part).model_copy(update=gone)})


def _of_works(decision: Decision) -> Iterator[Change]:
    """Yield what each work that cannot be done would need."""
    s = decision.scenario
    for options in decision.options:
        if len(options.needs) or not (options.size_of >= 0).any():
            continue
        w: Any = s.workloads[options.place]
        if options.missed is None:
            for reason in _reasons(options, decision):
                yield Change("ways", w.name, np.nan, np.nan, np.nan, None, reason)
            continue
        yield _of_time(s, w, options.missed.times)


def _of_time(s: Scenario, w: Any, times: float) -> Change:
    """Return how much more time a work needs for an answer within all other limits."""
    job, limits = hasattr(w, "deadline_days"), _limits(w)
    for more in MORE:
        factor = rounded_up(times * more)
        changed = {n: limit * factor for n, limit in limits.items()}
        if job:
            factor = rounded_up(w.deadline_days * times * more)
            changed = {"deadline_days": factor}
        works = tuple(x.model_copy(update=changed) if x is w else x for x in s.workloads)
        then = decide(s.model_copy(update={"workloads": works}), quick=True)
        if then.feasible:
            break
    plan = then.best if then.feasible else None
    asked = float(w.deadline_days) if job else 1.0
    needed = factor if plan else rounded_up(asked * times)
    cost = plan.expected_usd if plan else np.nan
    return Change("deadline" if job else "latency", w.name, asked, needed, cost, plan, "")


def _reasons(options: Options, decision: Decision) -> list[str]:
    ways = options.ways
    out = records(ways.table[~ways.table["works"]])
    priced = set(decision.problem.kinds.names)
    reasons = list(dict.fromkeys(f"{row['gpu']}: {ways.reason(row)}" for row in out))
    unpriced = sorted({*decision.scenario.allow.gpus} - priced)
    reasons += [f"{name}: no price in the tables and no quote of yours" for name in unpriced]
    return reasons[:4] or ["no GPU that is allowed has a price"]


def rounded_up(value: float) -> float:
    """Round up to three digits, so that what is said to be enough is enough.

    >>> rounded_up(12341.0)
    12400.0
    """
    if not value > 0:
        return 0.0
    step = 10.0 ** (np.floor(np.log10(value)) - DIGITS + 1)
    return float(f"{np.ceil(value / step - 1e-9) * step:.12g}")
