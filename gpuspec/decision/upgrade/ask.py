"""One question about a fleet: a scenario, and what is laid over it."""

from functools import cached_property
from typing import Annotated

from pydantic import Field

from gpuspec.base.ask import Ask, Range, Short
from gpuspec.base.units import NODE_GPUS
from gpuspec.catalog.fields import Kilowatts, Language, Usd
from gpuspec.decision.calendar import QUARTER, ROUND
from gpuspec.decision.decide import TIME_LIMIT_S, Decision, decide
from gpuspec.decision.scenario import Owned, Scenario, scenario
from gpuspec.topics.cost.prices import Drift

MOST_QUARTERS = 40
ORDERED_GPU = "a100-sxm-80"
"""What is owned where only a number of nodes is given."""


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
    quarters: Annotated[int, Range(1, MOST_QUARTERS, "quarters")] | None = Field(
        None, description="Horizon"
    )
    capital_usd: Usd | None = Field(None, description="Capital over the horizon; 0: none")
    monthly_usd: Usd | None = Field(None, description="Rent and running costs of a month; 0: none")
    power_kw: Kilowatts | None = Field(None, description="Power of all owned nodes")
    drift: Drift | None = Field(
        None, description="Where prices go: down, flat, up, or a change a year such as -0.1"
    )
    quotes: str | None = Field(
        None, description="Prices of your own, such as h100-sxm-80:on-demand=2.10, or a file"
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
        TIME_LIMIT_S, description="Time that the solver may take for one programme"
    )
    gap: Annotated[float, Range(0, 1, above=True, below=True)] = Field(
        0.005, description="Share of the cost at which the solver stops"
    )
    language: Annotated[Language, Short("lang")] = Field(
        "en", description="Language of the answer: en or zh"
    )

    @cached_property
    def stated(self) -> Scenario:
        """The scenario with the inputs of the question laid over it."""
        s = self.scenario if isinstance(self.scenario, Scenario) else scenario(self.scenario)
        named = {"capital_usd": self.capital_usd, "monthly_usd": self.monthly_usd}
        budget = s.budget.model_copy(update={n: v for n, v in named.items() if v is not None})
        changed: dict[str, object] = {"budget": budget}
        if self.power_kw is not None:
            changed["limits"] = s.limits.model_copy(update={"power_kw": self.power_kw})
        priced = {"drift": self.drift, "quotes": self.quotes}
        priced = {name: value for name, value in priced.items() if value is not None}
        changed["prices"] = s.prices.model_copy(update=priced)
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
