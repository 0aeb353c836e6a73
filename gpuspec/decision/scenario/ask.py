"""What a buyer asks: a scenario, and what is laid over it."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field

from gpuspec.base.ask import Names
from gpuspec.base.errors import InputError
from gpuspec.decision.scenario.line import Line, question_of, values_of
from gpuspec.decision.scenario.reading import changed, scenario
from gpuspec.decision.scenario.records import Scenario
from gpuspec.views.language import say, spoken
from gpuspec.views.spoken import Spoken

NOTHING = "name a scenario or a file, or say what is wanted: --model 70B --users 2000"


class DecisionQuestion(Line, Spoken):
    """What to buy or rent for this scenario."""

    scenario: Annotated[str | None, Names("scenarios")] = Field(
        "article-b",
        description="A name (article-a, article-b, article-c, small-team, a100-owner) or the path "
        "of a YAML or JSON file; what is None below is as it says; None: of what is stated below",
    )

    @cached_property
    def stated(self) -> Scenario:
        """The scenario with the inputs of the buyer laid over it."""
        return self.over({})

    def over(self, changes: Mapping[str, object]) -> Scenario:
        """Return the scenario with values by path, then the inputs of the buyer, laid over it."""
        return scenario_of(self.scenario, self, changes, self.language)

    @property
    def doubts(self) -> str:
        """Which values of the file give way to those that are stated; empty for none."""
        if self.scenario is None:
            return ""
        return " ".join(given_way(scenario(self.scenario), self.stated))


def scenario_of(
    given: str | Scenario | None,
    line: Line,
    changes: Mapping[str, object] | None = None,
    language: str | None = None,
) -> Scenario:
    """Return a scenario with values by path, then what a line states, laid over it; without one,
    that of what the line states. Amounts of a Chinese answer about China are in CNY, unless another
    currency is asked for.
    """
    if given is not None:
        base = given if isinstance(given, Scenario) else scenario(given, changes)
        return _local(changed_scenario(base, line), language)
    if not line.states(*Line.model_fields):
        raise InputError("scenario", None, NOTHING)
    content: Any = question_of(line, language)
    for path, value in values_of(line, content, built=True).items():
        content = changed(content, path, value)
    kept = [row for row in content["assumed"] if row["field"] not in (changes or {})]
    return _local(scenario(content | {"assumed": kept}, changes), language)


LOCAL = {"zh": ({"China"}, "CNY")}
"""The regions and the currency of the readers of a language."""


def _local(asked: Scenario, language: str | None) -> Scenario:
    """Put amounts into the currency of readers who ask about their own region alone."""
    regions, currency = LOCAL.get(language or spoken(), (set(), ""))
    if not regions or set(asked.allow.regions) != regions:
        return asked
    if "currency" in asked.prices.model_fields_set:
        return asked
    content: Any = asked.model_dump(exclude_unset=True)
    return scenario(content, {"prices.currency": currency})


def asked_scenario(base: Scenario, **names: object) -> Scenario:
    """Return the scenario with the fields of `Line` that are named laid over it."""
    return changed_scenario(base, Line.ask(**names))


def changed_scenario(base: Scenario, line: Line) -> Scenario:
    """Return the scenario with what a line states laid over it."""
    # What was left blank stays blank, so that page 1 can tell it as a default.
    content: Any = base.model_dump(exclude_unset=True)
    values = values_of(line, content, built=False)
    if not values:
        return base
    if "assumed" in content:
        kept = [row for row in content["assumed"] if row["field"] not in values]
        content["assumed"] = kept
    return scenario(content, values)


def given_way(base: Scenario, asked: Scenario) -> list[str]:
    """Say which values that a file states give way to others."""
    old, new = (dict(_leaves(s.model_dump(exclude_unset=True))) for s in (base, asked))

    def told(value: Any) -> str:
        return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)

    text = "{path}: {new} stands instead of {old} of the file."
    return [
        say(text, path=path, old=told(value), new=told(new.get(path, say("nothing"))))
        for path, value in old.items()
        if not path.startswith("assumed") and value != new.get(path)
    ]


def _leaves(part: object, path: str = "") -> list[tuple[str, object]]:
    """Return the values of nested mappings and lists by their path."""
    if isinstance(part, Mapping):
        items = [(f"{path}.{k}" if path else str(k), v) for k, v in part.items()]
    elif isinstance(part, list | tuple) and any(isinstance(v, Mapping) for v in part):
        items = [(f"{path}[{i}]", v) for i, v in enumerate(part)]
    else:
        return [] if part in (None, "") else [(path, part)]
    return [leaf for at, value in items for leaf in _leaves(value, at)]
