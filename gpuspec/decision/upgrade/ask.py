"""One question about a fleet, checked once: from a scenario to the programme's arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError
from gpuspec.catalog import gpu
from gpuspec.decision.scenario import Scenario, scenario
from gpuspec.decision.scenario.questions import scenario_quotes
from gpuspec.decision.scenario.records import MODES
from gpuspec.decision.upgrade.capacity import DAYS, covered, demand_of
from gpuspec.decision.upgrade.demand import Demand
from gpuspec.decision.upgrade.money import NODE, kinds_of
from gpuspec.decision.upgrade.problem import QUARTERS_A_YEAR, FleetProblem, Limits, Work, check
from gpuspec.topics.cost.prices import as_date, offers, operating

YEAR_DAYS = 365.25
DEFAULT_AGE_YEARS = 3.0
"""Age of owned nodes whose date of purchase is not given."""


@dataclass(frozen=True)
class Effort:
    """One-off cost of change, USD: inputs, not facts."""

    kind_usd: float = 25_000.0
    """Of a kind that is new here: driver, CUDA, images, monitoring, acceptance."""
    workload_usd: float = 10_000.0
    """Of a workload that moves to another kind: builds, tests, tuning."""
    fp8_usd: float = 20_000.0
    """Of a workload that changes its precision: validation of quality."""

    def scaled(self, factor: float) -> "Effort":
        """Return so many times the effort."""
        return Effort(*(factor * value for value in vars(self).values()))


@dataclass(frozen=True)
class UpgradeQuestion:
    """A checked question: what to add to a fleet, and when."""

    scenario: Scenario
    quarters: int
    owned: dict[str, int]
    """Nodes by GPU."""
    ages_years: dict[str, float]
    drift: str
    effort: Effort
    lead_quarters: int
    order_every: int
    offers: pd.DataFrame
    demands: tuple[Demand, ...]
    left_out: dict[str, str]
    """Workloads that are not part of the plan, with the reason."""
    time_limit_s: float
    gap: float
    problem: FleetProblem

    @property
    def effort_multiple(self) -> float:
        """Return the effort as a multiple of the standard one."""
        return self.effort.kind_usd / Effort().kind_usd

    @property
    def names(self) -> list[str]:
        """Return the GPUs, in the order of the programme's kinds."""
        return list(self.problem.kinds.names)

    @property
    def ways(self) -> list[Any]:
        """Return the ways of all workloads, in the order of the programme's options."""
        return [way for demand in self.demands for way in demand.ways]


def upgrade_question(
    given: str | Path | Scenario = "a100-owner",
    owned_nodes: int = -1,
    quarters: int = 0,
    capital_usd: float = -1.0,
    monthly_usd: float = -1.0,
    power_kw: float = -1.0,
    drift: str = "",
    effort: float = 1.0,
    lead_quarters: int = 1,
    order_every: int = 4,
    time_limit_s: float = 20.0,
    gap: float = 0.02,
) -> UpgradeQuestion:
    """Check every input once, and return the question that the programme answers.

    Parameters
    ----------
    given : str, Path or Scenario
        A shipped scenario, or a file of one's own.
    owned_nodes : int
        Nodes of eight of the first GPU that the scenario owns; below 0: as it says.
    quarters : int
        Horizon; 0: the scenario's.
    capital_usd, monthly_usd, power_kw : float
        Limits; below 0: the scenario's; 0: none.
    drift : str
        ``down``, ``flat`` or ``up``, or a change a year; blank: the scenario's.
    effort : float
        Multiple of the standard effort of a change (`Effort`).
    lead_quarters, order_every : int
        Quarters from order to use of a node, and between rounds of ordering.
    time_limit_s, gap : float
        Of the solver: seconds a programme, and share of the cost at which it stops.

    Raises
    ------
    InputError
        Names the field, the value and what is valid.
    """
    asked = given if isinstance(given, Scenario) else scenario(given)
    length = quarters or max(int(np.ceil(asked.horizon_months / 3)), 2)
    _whole("quarters", length, 2, 20)
    _whole("lead_quarters", lead_quarters, 0, 8)
    _whole("order_every", order_every, 1, 8)
    if not 0 <= effort <= 1000:
        raise InputError("effort", effort, "give a multiple from 0 to 1,000")
    if not 0 < gap < 1 or not time_limit_s > 0:
        raise InputError("gap", gap, "give a share such as 0.01, and a time limit above 0")
    owned, ages = _owned(asked, owned_nodes)
    demands, left_out = _demands(asked, owned, length)
    question = UpgradeQuestion(
        scenario=asked,
        quarters=length,
        owned=owned,
        ages_years=ages,
        drift=drift or asked.prices.drift,
        effort=Effort().scaled(effort),
        lead_quarters=lead_quarters,
        order_every=order_every,
        offers=_offers(asked, owned, length),
        demands=demands,
        left_out=left_out,
        time_limit_s=time_limit_s,
        gap=gap,
        problem=None,  # type: ignore[arg-type]
    )
    limits = _limits(asked, capital_usd, monthly_usd, power_kw)
    return replace(question, problem=problem_of(question, limits))


def problem_of(question: UpgradeQuestion, limits: Limits, **changes: Any) -> FleetProblem:
    """Return the programme's arrays, with another `drift` or `effort` where given."""
    q = replace(question, **changes)
    modes = q.scenario.allow.modes
    can_buy = tuple(g for g in q.scenario.allow.gpus if "own" in modes)
    kinds = kinds_of(
        q.offers, q.owned, q.ages_years, q.quarters, q.drift, q.effort.kind_usd, can_buy
    )
    return check(
        FleetProblem(
            kinds=kinds,
            work=work_of(q.demands, kinds.names, q.owned, q.effort),
            limits=limits,
            discount_year=operating().cost_of_capital,
            lead_quarters=q.lead_quarters,
            order_every=q.order_every,
        )
    )


def work_of(
    demands: Sequence[Demand], names: Sequence[str], owned: dict[str, int], effort: Effort
) -> Work:
    """Return the workloads and their ways as arrays."""
    every = [(row, way) for row, demand in enumerate(demands) for way in demand.ways]
    ways = [(row, way) for row, way in every if way.gpu in names]  # others have no price
    is_job = np.array([d.is_job for d in demands])
    row = np.array([r for r, _ in ways], int)
    first = {r: way.precision for r, way in reversed(ways)}
    gpus = np.array([way.gpus for _, way in ways], float)
    days = np.array([way.days for _, way in ways])
    move = [
        effort.workload_usd * (not owned.get(way.gpu))
        + effort.fp8_usd * (way.precision != first[r])
        for r, way in ways
    ]
    share = np.where(is_job[row][:, None], days / DAYS, 1.0)
    return Work(
        names=tuple(d.name for d in demands),
        demand=np.array([d.demand for d in demands]),
        is_job=is_job,
        interruptible=np.array([d.interruptible for d in demands]),
        hunger=np.array([d.hunger_bytes for d in demands]),
        workload=row,
        kind=np.array([list(names).index(way.gpu) for _, way in ways], int),
        gpus=gpus,
        gpu_quarters=gpus[:, None] * share,
        output=np.array([way.output for _, way in ways]),
        allowed=np.array([way.allowed for _, way in ways]),
        hours_share=np.array([demands[r].hours_share for r, _ in ways]),
        move_usd=np.array(move, float),
    )


def _whole(field: str, value: Any, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InputError(field, value, f"give a whole number from {least} to {most}")


def _owned(asked: Scenario, nodes: int) -> tuple[dict[str, int], dict[str, float]]:
    """Return nodes and mean age of each GPU that is owned; whole nodes only."""
    today = as_date(asked.today)
    counts: dict[str, int] = {}
    ages: dict[str, float] = {}
    for held in asked.owned:
        counts[held.gpu] = counts.get(held.gpu, 0) + held.count
        age = (today - held.bought).days / YEAR_DAYS if held.bought else DEFAULT_AGE_YEARS
        ages[held.gpu] = max(age, 0.0)
    for name, count in counts.items():
        if count % NODE:
            raise InputError("owned", count, f"give whole nodes of {NODE} {name}")
    found = {name: count // NODE for name, count in counts.items()}
    if nodes >= 0:
        _whole("owned_nodes", nodes, 0, 1000)
        first = next(iter(found), gpu("A100").id)
        found[first] = nodes
        ages.setdefault(first, DEFAULT_AGE_YEARS)
    return found, ages


def _demands(
    asked: Scenario, owned: dict[str, int], quarters: int
) -> tuple[tuple[Demand, ...], dict[str, str]]:
    devices = tuple(gpu(n) for n in dict.fromkeys([*owned, *asked.allow.gpus]))
    left_out, found = {}, []
    for workload in asked.workloads:
        if not covered(workload):
            left_out[workload.name] = f"work of the kind {workload.kind} is not planned here"
            continue
        demand = demand_of(workload, devices, tuple(asked.allow.weights), quarters)
        if not demand.ways:
            reason = "; ".join(f"{n}: {why}" for n, why in demand.reasons.items())
            left_out[workload.name] = f"no GPU does it: {reason}"
            continue
        found.append(demand)
    if not found:
        why = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise InputError("workloads", asked.name, f"give at least one that can be planned ({why})")
    return tuple(found), left_out


def _offers(asked: Scenario, owned: dict[str, int], quarters: int) -> pd.DataFrame:
    """Return today's offers; owned kinds keep their purchase row, which holds their upkeep."""
    names = list(dict.fromkeys([*owned, *asked.allow.gpus]))
    table = offers(
        names,
        MODES,
        asked.allow.regions or None,
        asked.allow.vendors or None,
        asked.today,
        quarters * 3,
        asked.prices.power_share,
        "flat",
        scenario_quotes(asked.prices),
        "USD",
        asked.prices.cny_per_usd,
    )
    wanted = table["mode"].isin(asked.allow.modes) & table["gpu"].isin(asked.allow.gpus)
    return table[wanted | (table["mode"] == "own")].reset_index(drop=True)


def _limits(asked: Scenario, capital: float, monthly: float, power: float) -> Limits:
    def chosen(given: float, stated: float | None) -> float:
        value = given if given >= 0 else (np.inf if stated is None else stated)
        return np.inf if given == 0 else float(value)

    return Limits(
        capital_usd=chosen(capital, asked.budget.capital_usd),
        month_usd=chosen(monthly, asked.budget.monthly_usd),
        power_kw=chosen(power, asked.limits.total_kw),
        gpus=float(asked.limits.gpus or np.inf),
    )


__all__ = ["QUARTERS_A_YEAR", "Effort", "UpgradeQuestion", "problem_of", "upgrade_question"]
