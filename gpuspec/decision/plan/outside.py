"""What stands outside of a plan: the same services by API, and doing nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuspec.base.lazy import pd
from gpuspec.decision.options import JOBS
from gpuspec.decision.plan.limits import delivered
from gpuspec.decision.plans import Plan
from gpuspec.decision.scenario import Inference
from gpuspec.formulas.cost import even_requests
from gpuspec.topics.cost.api import requests_month
from gpuspec.topics.ways import capacity


@dataclass(frozen=True)
class Outside:
    """A service of a plan beside the same service by API."""

    place: int
    requests_month: float
    """On average over the months in which it runs."""
    plan_month_usd: float
    """What it costs under the plan in such a month."""
    offers: pd.DataFrame
    """As `gpuspec.topics.cost.api.api_table`."""

    @property
    def month_usd(self) -> float:
        """Cost of a month at one's own price, else at the cheapest provider."""
        return float(self.offers["month_usd"].iloc[0])

    @property
    def median_usd(self) -> float:
        """Cost of a month at the median of the providers."""
        return float(self.offers["month_usd"].median())

    @property
    def cheaper(self) -> bool:
        """Whether the API costs less than the plan."""
        return self.month_usd < self.plan_month_usd

    @property
    def even_times(self) -> float:
        """Times the load from which what the plan pays for this service today costs less."""
        each = self.month_usd / self.requests_month
        return float(even_requests(self.plan_month_usd, each)) / self.requests_month


def by_api(plan: Plan) -> list[Outside]:
    """Return the services on the GPUs of a plan whose model has an API price, in their order."""
    found = []
    on_gpus = set(plan.problem.choices.workload[plan.columns].tolist())
    for mine in plan.problem.options:
        if mine.api is None or mine.place not in on_gpus:
            continue
        work: Any = plan.problem.scenario.workloads[mine.place]
        months, count = served(plan, mine.place, work)
        name = work.name
        if not count:
            continue
        offers = mine.api.offers.assign(month_usd=mine.api.offers["request_usd"] * count)
        found.append(Outside(mine.place, count, float(plan.work_usd[name]) / months, offers))
    return found


def served(plan: Plan, place: int, work: Inference) -> tuple[float, float]:
    """Return the months in which a service runs, and its requests in the mean one of them."""
    mine, calendar = plan.problem.options[place], plan.problem.calendar
    on = mine.size_of >= 0
    months = float(calendar.months[on].sum())
    if not months:
        return 0.0, 0.0
    mean = float((mine.sizes[mine.size_of[on]] * calendar.months[on]).sum()) / months
    rate = _busiest(plan, place, work) * mean
    return months, requests_month(rate, work.peak_factor, work.hours_per_month)


def _busiest(plan: Plan, place: int, work: Inference) -> float:
    """Return the requests a second in the busiest hour: as stated, or those in flight over the
    seconds that the plan's first way takes for one.
    """
    if work.arriving:
        return float(work.arriving)
    runs = plan.runs
    for run in runs[runs["place"] == place].to_dict("records"):
        given = delivered(plan, run)
        if given:
            each = given["ttft_limit_s"] + given["tpot_limit_s"] * (work.osl - 1)
            return work.in_flight / each
    return 0.0


def nothing_done(plan: Plan) -> dict[str, float]:
    """Return what the owned GPUs carry of each work as they are, had it all of them to itself.

    By name the share of the load of its largest month (services), or of the time that its deadline
    leaves over what a run takes (jobs); without works that no owned GPU can do at all, 0. Empty
    where nothing is owned.
    """
    p = plan.problem
    kinds, found = p.kinds, {}
    owned = {n: float(c) for n, c in zip(kinds.names, kinds.owned, strict=True) if c > 0}
    for options in p.options if owned else ():
        work: Any = p.scenario.workloads[options.place]
        shares = [0.0]
        for row in options.ways.table.to_dict("records"):
            units = owned.get(str(row["gpu"]), 0.0) // row["unit_gpus"]
            if not row["works"] or not units:
                continue
            if work.kind in JOBS:
                shares.append(work.deadline_days / row["days"])
            elif row["curve"] >= 0:
                curve = options.ways.curves[int(row["curve"])]
                kept = float(curve["excess"][0] <= 1)  # else even the least load breaks a limit
                most = kept * float(capacity(curve["batch"], curve["excess"]))
                loaded = float(curve["load"][0]) * float(np.max(options.sizes))
                shares.append(units * most / loaded)
        found[work.name] = max(shares)
    return found
