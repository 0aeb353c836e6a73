"""What a buyer asks: a scenario, and what is laid over it."""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated

from pydantic import Field

from gpuspec.base.ask import Ask, Short
from gpuspec.base.errors import InputError
from gpuspec.catalog.fields import Currency, Days, GpuNames, Language, ModelName, Requests, Usd
from gpuspec.decision.scenario.reading import scenario
from gpuspec.decision.scenario.records import Objective, Scenario

OTHER_LOADS = ("request_rate", "users", "requests_per_hour", "think_s")
"""Fields of a service that state its load where `concurrency` does not."""


class Changes(Ask):
    """What is laid over a scenario; what is None stays as it is there."""

    model: ModelName | None = Field(None, description="Model of the first workload")
    concurrency: Requests | None = Field(
        None, description="Requests always in flight of the first service"
    )
    deadline_days: Days | None = Field(
        None, description="Time that the first training job may take"
    )
    capital_usd: Usd | None = Field(None, description="Capital that may be spent; 0: none")
    monthly_usd: Usd | None = Field(None, description="Money a month that may be spent; 0: none")
    owned: str | None = Field(
        None, description="GPUs that are there already, such as 16 x A100, or none"
    )
    objective: Objective | None = Field(
        None, description="What is as small as possible: cost, time or energy"
    )
    gpus: GpuNames | None = Field(None, description="GPUs to choose from, commas between")
    quotes: str | None = Field(
        None, description="Prices of your own, such as h100-sxm-80:on-demand=2.10, or a file"
    )
    currency: Currency | None = Field(None, description="Currency of the first page: USD or CNY")


class DecisionQuestion(Changes):
    """What to buy or rent for this scenario."""

    scenario: str = Field(
        "article-b",
        description="A name (article-a, article-b, article-c, small-team, a100-owner) or the path "
        "of a YAML or JSON file; what is None below is as it says",
    )
    language: Annotated[Language, Short("lang")] = Field(
        "en", description="Language of the first page: en or zh"
    )

    @cached_property
    def stated(self) -> Scenario:
        """The scenario with the inputs of the buyer laid over it."""
        return self.over({})

    def over(self, changes: Mapping[str, object]) -> Scenario:
        """Return the scenario with values by path, then the inputs of the buyer, laid over it."""
        return changed_scenario(scenario(self.scenario, changes), self)


def asked_scenario(base: Scenario, **names: object) -> Scenario:
    """Return the scenario with the fields of `Changes` that are named laid over it."""
    return changed_scenario(base, Changes.ask(**names))


def changed_scenario(base: Scenario, changes: Changes) -> Scenario:
    """Return the scenario with the inputs of a buyer laid over it.

    The first service takes the concurrency, the first job the deadline, the first of either the
    model.
    """
    c = changes
    services = [i for i, w in enumerate(base.workloads) if w.kind == "inference"]
    jobs = [i for i, w in enumerate(base.workloads) if w.kind == "training"]
    first = (services or jobs or [0])[0]
    values: dict[str, object] = {f"workloads[{first}].model": c.model}
    for field, places, kind in (
        ("concurrency", services, "inference"),
        ("deadline_days", jobs, "training"),
    ):
        value = getattr(c, field)
        if value is not None and not places:
            valid = f"the scenario has no workload of the kind {kind}; leave it blank"
            raise InputError(field, value, valid)
        if value is not None:
            values[f"workloads[{places[0]}].{field}"] = value
    if c.owned is not None:
        values["owned"] = [] if c.owned.strip().lower() == "none" else owned_list(c.owned)
    values |= {f"budget.{name}": getattr(c, name) for name in ("capital_usd", "monthly_usd")}
    values |= {"objective": c.objective, "allow.gpus": c.gpus}
    values |= {"prices.quotes": c.quotes, "prices.currency": c.currency}
    values = {path: value for path, value in values.items() if value is not None}
    if c.concurrency is not None:
        values |= {f"workloads[{services[0]}].{n}": "" for n in OTHER_LOADS}
    # What was left blank stays blank, so that page 1 can tell it as a default.
    return scenario(base.model_dump(exclude_unset=True), values) if values else base


def owned_list(text: str) -> list[dict[str, str | int]]:
    """Read ``"16 x A100, 8 x H100"``.

    >>> owned_list("16 x A100, 8 H100 PCIe")
    [{'gpu': 'A100', 'count': 16}, {'gpu': 'H100 PCIe', 'count': 8}]
    """
    owned: list[dict[str, str | int]] = []
    for part in re.split(r"[,;，；、]", text):
        match = re.fullmatch(r"(\d{1,9})\s*[x×*]?\s*(\S.*)", part.strip(), re.ASCII)
        if not match:
            raise InputError("owned", text, "write it as 16 x A100, 8 x H100")
        owned.append({"gpu": match[2], "count": int(match[1])})
    return owned
