"""One question about a fleet: a scenario, and what is laid over it."""

from functools import cached_property
from typing import Annotated, Self

from pydantic import Field, model_validator

from gpuspec.base.ask import Names, Range
from gpuspec.base.errors import InputError
from gpuspec.base.units import NODE_GPUS
from gpuspec.catalog.fields import Kilowatts
from gpuspec.decision.calendar import QUARTER, ROUND
from gpuspec.decision.decide import TIME_LIMIT_S, Decision, decide
from gpuspec.decision.scenario import Line, Owned, Scenario, scenario_of
from gpuspec.topics.cost.prices import Drift
from gpuspec.views.spoken import Spoken

MOST_QUARTERS = 40
ORDERED_GPU = "a100-sxm-80"
"""What is owned where only a number of nodes is given."""


class UpgradeQuestion(Line, Spoken):
    """What to add to a fleet, and when."""

    scenario: Annotated[str | Scenario | None, Names("scenarios")] = Field(
        "a100-owner",
        description="A shipped scenario, or the path of a YAML or JSON file with owned GPUs and "
        "workloads; what is None below is as it says; None: of what is stated below",
    )
    owned_nodes: Annotated[int, Range(0, 1000, "nodes")] | None = Field(
        None, description="Nodes of eight that are owned"
    )
    quarters: Annotated[int, Range(1, MOST_QUARTERS, "quarters")] | None = Field(
        None, description="Horizon"
    )
    power_kw: Kilowatts | None = Field(None, description="Power of all owned nodes")
    drift: Drift | None = Field(
        None, description="Where prices go: down, flat, up, or a change a year such as -0.1"
    )
    effort: Annotated[float, Range(0, 1000)] = Field(
        1.0, description="Effort of change, multiples of what the scenario states"
    )
    lead_quarters: Annotated[int, Range(0, 8, "quarters")] | None = Field(
        None, description="From the order of a node to its use; None: as the offers state"
    )
    order_every: Annotated[int, Range(1, 8, "quarters")] = Field(
        round(ROUND / QUARTER), description="Between rounds of ordering and of signing contracts"
    )
    time_limit_s: Annotated[float, Range(0, 3600, "s", above=True)] = Field(
        TIME_LIMIT_S, description="Processor time that the solver may take for one programme"
    )
    gap: Annotated[float, Range(0, 1, above=True, below=True)] | None = Field(
        None, description="Share of the cost at which the solver stops; None: as for a plan"
    )

    @model_validator(mode="after")
    def _one_fleet_and_horizon(self) -> Self:
        for name, other in (("quarters", "horizon_months"), ("owned_nodes", "owned")):
            if getattr(self, name) is not None and getattr(self, other) is not None:
                raise InputError(name, getattr(self, name), f"give it or {other}, not both")
        return self

    @cached_property
    def stated(self) -> Scenario:
        """The scenario with the inputs of the question laid over it."""
        s = scenario_of(self.scenario, self, language=self.language)
        changed: dict[str, object] = {}
        if self.power_kw is not None:
            changed["limits"] = s.limits.model_copy(update={"power_kw": self.power_kw})
        if self.drift is not None:
            changed["prices"] = s.prices.model_copy(update={"drift": self.drift})
        if self.quarters is not None:
            changed["horizon_months"] = round(self.quarters * QUARTER)
        costs = {n: usd * self.effort for n, usd in s.effort.model_dump().items()}
        changed["effort"] = s.effort.model_copy(update=costs)
        if self.owned_nodes is not None:
            changed["owned"] = _owned(s, self.owned_nodes)
        return s.model_copy(update=changed)

    @cached_property
    def decision(self) -> Decision:
        """The plan, and those that it is held against."""
        lead = None if self.lead_quarters is None else self.lead_quarters * QUARTER
        return decide(
            self.stated,
            gap=self.gap,
            time_limit_s=self.time_limit_s,
            round_months=self.order_every * QUARTER,
            lead_months=lead,
        )


def _owned(s: Scenario, nodes: int) -> tuple[Owned, ...]:
    """Return what is owned with another number of nodes of its first kind."""
    first = s.owned[0] if s.owned else Owned(gpu=ORDERED_GPU, count=NODE_GPUS)
    rest = tuple(o for o in s.owned if o.gpu != first.gpu)
    mine = (first.model_copy(update={"count": nodes * NODE_GPUS}),) if nodes else ()
    return (*mine, *rest)
