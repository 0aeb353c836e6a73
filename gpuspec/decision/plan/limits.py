"""What a plan makes of each limit: asked, used, left, kept or not."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gpuspec.base.lazy import pd
from gpuspec.base.units import HOURS_MONTH
from gpuspec.decision.decide import Decision
from gpuspec.decision.errors import SURE
from gpuspec.decision.plans import Plan
from gpuspec.decision.tokens import times_at

HEAVY_KW, HEAVY_GPUS = 20.0, 64.0
"""Power in one's own rooms, and GPUs at once, from which a limit that was left open is named."""
YEAR = 12.0
"""Months of cost from which capital that nobody limited is named."""


class Use(NamedTuple):
    """A limit and what the plan makes of it, in the unit that the name of the limit says."""

    limit: str
    """``capital_usd``, ``monthly_usd``, ``total_usd``, ``power_kw``, ``gpus``, ``deadline_days``,
    ``ttft_limit_s`` or ``tpot_limit_s``."""
    workload: str
    """Whose limit it is; empty where all work shares it."""
    asked: float
    """Infinite where it was left open."""
    used: float
    kept: bool
    sure: float
    """Share of the draws in which it is kept; 1 of what is checked on the average."""
    stated: bool
    """False for a default."""

    @property
    def left(self) -> float:
        """What is left of it."""
        return self.asked - self.used


def uses(decision: Decision, plan: Plan) -> list[Use]:
    """Return every limit that is there, those that all work shares first."""
    limits = plan.problem.limits
    pairs = {
        "capital_usd": (limits.capital, plan.upfront_usd),
        "monthly_usd": (limits.monthly, float(plan.monthly_usd.max())),
        "total_usd": (limits.total, plan.spent_usd),
        "power_kw": (limits.power, plan.power_kw),
        "gpus": (limits.gpus, float(plan.gpus_atonce.max())),
    }
    found = [
        Use(name, "", asked, used, used <= asked * (1 + 1e-3), 1.0, True)
        for name, (asked, used) in pairs.items()
        if np.isfinite(asked)
    ]
    return found + [
        use for run in plan.runs.to_dict("records") for use in _of_work(decision, plan, run)
    ]


def heavy(plan: Plan) -> list[Use]:
    """Return limits that were left open and are used heavily: capital beyond a year of the cost,
    or beside a stated limit of the month, and the other way round; much power; many GPUs.
    """
    limits, months = plan.problem.limits, float(plan.problem.calendar.edges[-1])
    capital, monthly = plan.upfront_usd, float(plan.monthly_usd.max())
    year = plan.expected_usd / months * min(YEAR, months)
    named = np.isfinite(limits.total)
    asked = {
        "capital_usd": (
            limits.capital,
            capital,
            np.isfinite(limits.monthly) or (capital > year and not named),
        ),
        "monthly_usd": (limits.monthly, monthly, np.isfinite(limits.capital) and not named),
        "power_kw": (limits.power, plan.power_kw, plan.power_kw > HEAVY_KW),
        "gpus": (limits.gpus, most := float(plan.gpus_atonce.max()), most > HEAVY_GPUS),
    }
    return [
        Use(name, "", limit, used, True, 1.0, False)
        for name, (limit, used, much) in asked.items()
        if np.isinf(limit) and used > 0 and much
    ]


def _of_work(decision: Decision, plan: Plan, run: dict[Any, Any]) -> list[Use]:
    w: Any = decision.scenario.workloads[run["place"]]
    used = delivered(plan, run)
    return [
        Use(name, w.name, float(limit), used[name], run["sure"] >= SURE, run["sure"], stated)
        for name in ("deadline_days", "ttft_limit_s", "tpot_limit_s")
        if (limit := getattr(w, name, None)) and np.isfinite(used.get(name, np.nan))
        for stated in [name not in w.filled]
    ]


def delivered(plan: Plan, run: dict[Any, Any]) -> dict[str, float]:
    """Return what a work gets, by the name of its limit: days of a run, seconds of the first token
    and of each further one, under the load that a replica carries at the central estimate.
    """
    if np.isfinite(run["days"]):
        return {"deadline_days": float(run["days"])}
    mine = plan.problem.options[run["place"]]
    way, share = dict(mine.table.iloc[run["way"]]), run["share_to"] - run["share_from"]
    given = times_at(mine, way, run["gpus"], share)
    return {name.replace("_s", "_limit_s"): seconds for name, seconds in given.items()}


def hours_month(run: dict[Any, Any]) -> float:
    """Return the hours of a month in which the GPUs of a work run."""
    if np.isfinite(run["days"]):
        return min(float(run["gpu_hours_month"]) / float(run["gpus"]), HOURS_MONTH)
    return float(run["hours_month"])


def runs_in(plan: Plan, place: int) -> float:
    """Return how often a job runs over the horizon; 0 for what is no job."""
    w: Any = plan.problem.scenario.workloads[place]
    here = plan.problem.options[place].size_of >= 0
    months = float(plan.problem.calendar.months[here].sum())
    return float(getattr(w, "runs_per_year", 0.0)) * months / 12


def uses_table(decision: Decision, plan: Plan) -> pd.DataFrame:
    """Return `uses` as a table, with what is ``left``."""
    rows = [(*use, use.left) for use in uses(decision, plan)]
    return pd.DataFrame(rows, columns=[*Use._fields, "left"])
