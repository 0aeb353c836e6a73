"""One question about a fleet, checked once: from a scenario to the programme's arrays."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass
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
from gpuspec.decision.upgrade.capacity import DAYS, PLANNED, Demand, Way
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
        return Effort(*(self.effort * usd for usd in astuple(Effort())))

    @cached_property
    def held(self) -> tuple[dict[str, int], dict[str, float]]:
        """Nodes that are owned, and their mean age, by GPU; whole nodes only."""
        today, counts, ages = self.stated.today or data_as_of(), Counter[str](), {}
        for part in self.stated.owned:
            counts[part.gpu] += part.count
            age = (today - part.bought).days / YEAR_DAYS if part.bought else DEFAULT_AGE_YEARS
            ages[part.gpu] = max(age, 0.0)
        for name, count in counts.items():
            if count % NODE_GPUS:
                raise InputError("owned", count, f"give whole nodes of {NODE_GPUS} {name}")
        nodes = {name: count // NODE_GPUS for name, count in counts.items()}
        if self.owned_nodes is not None:
            first = next(iter(nodes), gpu("A100").id)
            nodes[first] = self.owned_nodes
            ages.setdefault(first, DEFAULT_AGE_YEARS)
        return nodes, ages

    @property
    def owned(self) -> dict[str, int]:
        """Nodes by GPU."""
        return self.held[0]

    @cached_property
    def planned(self) -> tuple[tuple[Demand, ...], dict[str, str]]:
        """`demands` and `left_out`."""
        demands, left_out = [], {}
        for workload in self.stated.workloads:
            if workload.kind not in PLANNED:
                left_out[workload.name] = f"work of the kind {workload.kind} is not planned here"
                continue
            if workload.from_quarter > self.horizon:
                left_out[workload.name] = f"it begins after the {self.horizon} quarters"
                continue
            weights = self.stated.allow.weights
            demand = PLANNED[workload.kind](workload, self.gpus, weights, self.horizon)
            if demand.ways:
                demands.append(demand)
            else:
                reason = "; ".join(f"{n}: {why}" for n, why in demand.reasons.items())
                left_out[workload.name] = f"no GPU does it: {reason}"
        if not demands:
            why = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
            valid = f"give at least one that can be planned ({why})"
            raise InputError("workloads", self.stated.name, valid)
        return tuple(demands), left_out

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
        """Today's offers; owned kinds keep their purchase row, which holds their upkeep."""
        s, months = self.stated, self.horizon * MONTHS
        table = offered(s, self.gpus, MODES, months, "flat")
        wanted = table["mode"].isin(s.allow.modes) & table["gpu"].isin(s.allow.gpus)
        return table[wanted | (table["mode"] == "own")].reset_index(drop=True)

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
    q, allow = question, question.stated.allow
    prices = (q.prices_drift if drift is None else drift, q.moving.kind_usd)
    can_buy = tuple(allow.gpus) if "own" in allow.modes else ()
    power_share = q.stated.prices.power_share
    kinds = kinds_of(q.offers, *q.held, q.horizon, *prices, can_buy, power_share)
    rules = (operating().cost_of_capital, q.lead_quarters, q.order_every)
    return check(FleetProblem(kinds, _work(q, kinds.names), limits, *rules))


def _work(q: UpgradeQuestion, names: Sequence[str]) -> Work:
    """Return the workloads and their ways as arrays."""
    every = [(row, way) for row, demand in enumerate(q.demands) for way in demand.ways]
    every = [(row, way) for row, way in every if way.gpu in names]  # others have no price
    row, ways = np.array([r for r, _ in every], int), [way for _, way in every]
    first = {r: way.precision for r, way in reversed(every)}
    is_job = np.array([d.is_job for d in q.demands])
    gpus = np.array([way.gpus for way in ways], float)
    days = np.array([way.days for way in ways])
    move = [
        q.moving.workload_usd * (not q.owned.get(way.gpu))
        + q.moving.fp8_usd * (way.precision != first[r])
        for r, way in every
    ]
    return Work(
        names=tuple(d.name for d in q.demands),
        demand=np.array([d.demand for d in q.demands]),
        is_job=is_job,
        interruptible=np.array([d.interruptible for d in q.demands]),
        hunger=np.array([d.hunger_bytes for d in q.demands]),
        workload=row,
        kind=np.array([list(names).index(way.gpu) for way in ways], int),
        gpus=gpus,
        gpu_quarters=gpus[:, None] * np.where(is_job[row][:, None], days / DAYS, 1.0),
        output=np.array([way.output for way in ways]),
        allowed=np.array([way.allowed for way in ways]),
        hours_share=np.array([d.hours_share for d in q.demands])[row],
        move_usd=np.array(move, float),
    )
