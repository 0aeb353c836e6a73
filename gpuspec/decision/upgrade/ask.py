"""One question about a fleet, checked once: from a scenario to the programme's arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from gpuspec.base.ask import Ask, Range
from gpuspec.base.errors import InputError
from gpuspec.base.units import NODE_GPUS
from gpuspec.catalog import data_as_of, gpu
from gpuspec.catalog.fields import Kilowatts, Usd
from gpuspec.decision.money import offered
from gpuspec.decision.scenario import Scenario, scenario
from gpuspec.decision.scenario.records import MODES
from gpuspec.decision.upgrade.capacity import DAYS, Demand, Way, covered, demand_of
from gpuspec.decision.upgrade.money import MONTHS, kinds_of
from gpuspec.decision.upgrade.problem import FleetProblem, Limits, Work, check
from gpuspec.topics.cost.prices import Drift, operating

YEAR_DAYS = 365.25
MOST_QUARTERS = 20
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


class UpgradeQuestion(Ask):
    """What to add to a fleet, and when."""

    scenario: str | Scenario = Field(
        "a100-owner",
        description="A shipped scenario, or the path of a YAML or JSON file with owned GPUs and "
        "workloads; what is None below is as it says",
    )
    owned_nodes: Annotated[int, Range(0, 1000, "nodes")] | None = Field(
        None, description="Nodes of eight that are owned"
    )
    quarters: Annotated[int, Range(2, MOST_QUARTERS, "quarters")] | None = Field(
        None, description="Horizon"
    )
    capital_usd: Usd | None = Field(None, description="Capital over the horizon; 0: none")
    monthly_usd: Usd | None = Field(None, description="Rent and running costs of a month; 0: none")
    power_kw: Kilowatts | None = Field(None, description="Rated power of all owned nodes")
    drift: Drift | None = Field(
        None, description="Where prices go: down, flat, up, or a change a year such as -0.1"
    )
    effort: Annotated[float, Range(0, 1000)] = Field(
        1.0, description="Effort of moving work, multiples of the assumed one"
    )
    lead_quarters: Annotated[int, Range(0, 8, "quarters")] = Field(
        1, description="From the order of a node to its use"
    )
    order_every: Annotated[int, Range(1, 8, "quarters")] = Field(
        4, description="Between rounds of ordering and of signing commitments"
    )
    time_limit_s: Annotated[float, Range(0, 3600, "s", above=True)] = Field(
        20.0, description="Time that the solver may take for one programme"
    )
    gap: Annotated[float, Range(0, 1, above=True, below=True)] = Field(
        0.02, description="Share of the cost at which the solver stops"
    )

    @model_validator(mode="after")
    def _can_be_planned(self) -> Self:
        if self.horizon > MOST_QUARTERS:
            valid = f"give 2 to {MOST_QUARTERS}: the scenario looks {self.horizon} quarters ahead"
            raise InputError("quarters", self.quarters, valid)
        _ = self.demands
        return self

    @cached_property
    def stated(self) -> Scenario:
        """The scenario's record."""
        return self.scenario if isinstance(self.scenario, Scenario) else scenario(self.scenario)

    @property
    def horizon(self) -> int:
        """Quarters that are planned."""
        return self.quarters or max(int(np.ceil(self.stated.horizon_months / MONTHS)), 2)

    @property
    def prices_drift(self) -> str | float:
        """Where prices go."""
        return self.stated.prices.drift if self.drift is None else self.drift

    @property
    def moving(self) -> Effort:
        """One-off cost of change."""
        return Effort().scaled(self.effort)

    @cached_property
    def owned(self) -> dict[str, int]:
        """Nodes by GPU."""
        return _owned(self.stated, self.owned_nodes)[0]

    @cached_property
    def ages_years(self) -> dict[str, float]:
        """Mean age of the owned nodes, by GPU."""
        return _owned(self.stated, self.owned_nodes)[1]

    @cached_property
    def planned(self) -> tuple[tuple[Demand, ...], dict[str, str]]:
        """`demands` and `left_out`."""
        return _demands(self.stated, self.owned, self.horizon)

    @property
    def demands(self) -> tuple[Demand, ...]:
        """Workloads that are planned, with the ways to run them."""
        return self.planned[0]

    @property
    def left_out(self) -> dict[str, str]:
        """Workloads that are not part of the plan, with the reason."""
        return self.planned[1]

    @cached_property
    def offers(self) -> pd.DataFrame:
        """Today's offers."""
        return _offers(self.stated, self.owned, self.horizon)

    @cached_property
    def problem(self) -> FleetProblem:
        """The programme's arrays."""
        return problem_of(self, self.limits)

    @property
    def limits(self) -> Limits:
        """What may be spent and drawn; infinite where nothing says."""
        s = self.stated
        return Limits(
            capital_usd=_chosen(self.capital_usd, s.budget.capital_usd),
            month_usd=_chosen(self.monthly_usd, s.budget.monthly_usd),
            power_kw=_chosen(self.power_kw, s.limits.total_kw),
            gpus=_chosen(None, s.limits.gpus),
        )

    @property
    def gpus(self) -> tuple[str, ...]:
        """Return the GPUs that are owned or may be had, with a price or without."""
        return tuple(dict.fromkeys([*self.owned, *self.stated.allow.gpus]))

    @property
    def names(self) -> list[str]:
        """Return the GPUs, in the order of the programme's kinds."""
        return list(self.problem.kinds.names)

    @property
    def ways(self) -> list[Way]:
        """Return the ways of all workloads, in the order of the programme's options."""
        every = [way for demand in self.demands for way in demand.ways]
        return [way for way in every if way.gpu in self.problem.kinds.names]


def _chosen(given: float | None, stated: float | None) -> float:
    value = stated if given is None else given
    return float("inf") if value is None else float(value)


def problem_of(
    question: UpgradeQuestion, limits: Limits, drift: str | float | None = None
) -> FleetProblem:
    """Return the programme's arrays, with another `drift` where it is given."""
    q = question
    allow = q.stated.allow
    rate = q.prices_drift if drift is None else drift
    kinds = kinds_of(
        q.offers,
        q.owned,
        q.ages_years,
        q.horizon,
        rate,
        q.moving.kind_usd,
        tuple(allow.gpus) if "own" in allow.modes else (),
        q.stated.prices.power_share,
    )
    return check(
        FleetProblem(
            kinds=kinds,
            work=work_of(q.demands, kinds.names, q.owned, q.moving),
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


def _owned(asked: Scenario, nodes: int | None) -> tuple[dict[str, int], dict[str, float]]:
    """Return nodes and mean age of each GPU that is owned; whole nodes only."""
    today = asked.today or data_as_of()
    counts: dict[str, int] = {}
    ages: dict[str, float] = {}
    for held in asked.owned:
        counts[held.gpu] = counts.get(held.gpu, 0) + held.count
        age = (today - held.bought).days / YEAR_DAYS if held.bought else DEFAULT_AGE_YEARS
        ages[held.gpu] = max(age, 0.0)
    for name, count in counts.items():
        if count % NODE_GPUS:
            raise InputError("owned", count, f"give whole nodes of {NODE_GPUS} {name}")
    found = {name: count // NODE_GPUS for name, count in counts.items()}
    if nodes is not None:
        first = next(iter(found), gpu("A100").id)
        found[first] = nodes
        ages.setdefault(first, DEFAULT_AGE_YEARS)
    return found, ages


def _demands(
    asked: Scenario, owned: dict[str, int], quarters: int
) -> tuple[tuple[Demand, ...], dict[str, str]]:
    names = tuple(dict.fromkeys([*owned, *asked.allow.gpus]))
    left_out, found = {}, []
    for workload in asked.workloads:
        if not covered(workload):
            left_out[workload.name] = f"work of the kind {workload.kind} is not planned here"
            continue
        if workload.from_quarter > quarters:
            left_out[workload.name] = f"it begins after the {quarters} quarters"
            continue
        demand = demand_of(workload, names, asked.allow.weights, quarters)
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
    table = offered(asked, names, MODES, quarters * MONTHS, "flat")
    wanted = table["mode"].isin(asked.allow.modes) & table["gpu"].isin(asked.allow.gpus)
    return table[wanted | (table["mode"] == "own")].reset_index(drop=True)
