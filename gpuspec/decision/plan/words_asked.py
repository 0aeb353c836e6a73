"""What a scenario asks, as a table: the report says its own question."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from gpuspec.constants.engine import engine
from gpuspec.decision.scenario import Scenario

LATER = ("kind", "name", "from_quarter", "to_quarter", "growth")
"""Fields of a workload that are its heading, or that the decision does not read."""
BLANK: tuple[object, ...] = (None, "", 0, (), [], False)


def asked_table(scenario: Scenario) -> pd.DataFrame:
    """Return what was asked, defaults included, by the names of the fields; blank ones left out.

    >>> from gpuspec.decision.scenario import scenario
    >>> asked_table(scenario("small-team")).loc["budget", "value"]
    'capital_usd 50,000; monthly_usd 10,000'
    """
    asked = scenario.model_dump()
    rows = [
        (w["name"], f"kind {w['kind']}; " + _fields(w | _engine(w), (*LATER, *_usual(w))))
        for w in asked["workloads"]
    ]
    rows += [(part, _fields(asked[part])) for part in ("budget", "limits")]
    rows += [("owned", "; ".join(f"{o.count:,} x {o.gpu}" for o in scenario.owned))]
    rows += [("allow", _fields(asked["allow"])), ("prices", _fields(asked["prices"]))]
    rows += [("goal", f"objective {scenario.objective}; horizon_months {scenario.horizon_months}")]
    shown = [(name, text or "none") for name, text in rows]
    return pd.DataFrame(shown, columns=["asked", "value"]).set_index("asked")


def _engine(workload: Mapping[str, Any]) -> dict[str, str]:
    """Return the engine that a workload asks, with the versions that it stands for."""
    return {"engine": engine(workload["engine"]).name} if "engine" in workload else {}


def _usual(workload: Mapping[str, Any]) -> list[str]:
    """Return fields that say nothing: of users who are not there, an even day, one replica."""
    usual = {"use_case": "general", "peak_factor": 1.0, "replicas_min": 1}
    usual |= {} if workload.get("users") else {"active_share": workload.get("active_share")}
    return [name for name, value in usual.items() if workload.get(name) == value]


def _fields(part: Mapping[str, object], without: tuple[str, ...] = ()) -> str:
    """Write the fields of a record: a list by its items, a table by its number of rows."""
    stated = {k: v for k, v in part.items() if k not in without and v not in BLANK}
    if part.get("capital_usd") == 0 or part.get("monthly_usd") == 0:  # 0 is an amount here
        stated = {k: v for k, v in part.items() if v is not None}
    return "; ".join(f"{name} {_value(value)}" for name, value in stated.items())


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        plain = all(isinstance(v, str) for v in value)
        numbers = all(isinstance(v, int | float) for v in value)
        return ", ".join(map(_value, value)) if plain or numbers else f"of {len(value):,} rows"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,.15g}" if abs(value) < 1e9 else f"{value:.6g}"
    return "yes" if value is True else str(value)
