"""What `plan` and `upgrade` answer for the shipped scenarios: the numbers that a reader acts on."""

import json
from pathlib import Path

import numpy as np

from gpuspec.decision import upgrade as fleet
from gpuspec.decision.decide import decide
from gpuspec.decision.plan.record import answer_record
from gpuspec.decision.plan.words_tables import rejected_table
from gpuspec.decision.scenario import scenario
from gpuspec.decision.upgrade import words

ROWS = ("works", "signed", "rented", "sold", "limits")
SCENARIOS = Path(__file__).resolve().parents[2] / "data/scenarios"
QUARTERS = 8
"""Horizon of the upgrades: long enough to buy, in half the time of the scenarios' own."""
PATIENCE_S = 300.0
"""Seconds for one programme: more than a slow machine needs, so that the gap alone stops it."""


def write(folder):
    """Write both answers for each scenario as JSON, a row of a table on a line of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for question in QUESTIONS:
        for name in names():
            path = folder / f"{question}-{name}.json"
            path.write_text(written(QUESTIONS[question](name)), "utf-8")


def names():
    """Return the shipped scenarios."""
    return sorted(path.stem for path in SCENARIOS.glob("*.yaml"))


def plan(name):
    """Return the recommended plan, what it was chosen from, and what is out with the reason."""
    decision = decide(scenario(name))
    found = answer_record(decision, None)
    chosen, shown = found.get("recommendation"), ("plan", "policy", "expected_usd", "low", "high")
    rows = {name: chosen.pop(name) for name in ROWS} if chosen else {}
    return {
        "feasible": found["feasible"],
        "what_must_give": found.get("what_must_give", []),
        "recommendation": chosen,
        **rows,
        "plans": [
            {key: one[key] for key in (*shown, "probability", "near")}
            for one in found.get("plans", [])
        ],
        "reasons": found.get("reasons", []),
        "rejected": rejected_table(decision).to_dict("records"),
    }


def upgrade(name):
    """Return the strategies with their cost, and orders and work of the best plan."""
    asked = {"scenario": name, "quarters": QUARTERS, "time_limit_s": PATIENCE_S}
    decision = fleet.UpgradeQuestion.ask(**asked).decision
    found = {"finding": words.upgrade_finding(decision)}
    if not decision.feasible:
        return found
    strategies = fleet.strategy_table(decision).drop(columns=["gap", "meaning"])
    return found | {
        "strategies": strategies.to_dict("records"),
        "orders": fleet.orders_table(decision.best).to_dict("records"),
        "gpus": _gpus(fleet.runs_table(decision.best)),
    }


def _gpus(runs):
    """Return for each way that work runs its GPUs, period by period."""
    keys = ["workload", "gpu", "precision", "split", "venue"]
    return [
        dict(zip(keys, key, strict=True))
        | {"gpus": " ".join(f"{r.period + 1}:{r.gpus:g}" for r in part.itertuples())}
        for key, part in runs.groupby(keys, sort=False)
    ]


QUESTIONS = {"plan": plan, "upgrade": upgrade}


def written(answer):
    """Return an answer as JSON with five digits a number and one line a row."""
    lines = [f' "{key}": {_value(value)}' for key, value in plain(answer).items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _value(value):
    if not isinstance(value, list) or not value:
        return json.dumps(value, ensure_ascii=False)
    rows = ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in value)
    return f"[\n  {rows}\n ]"


def plain(value):
    """Return records of plain values, numbers with five digits, none of them NaN."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (float, np.floating, int, np.integer)):
        return _five(float(value)) if np.isfinite(value) else None
    return value


def _five(value):
    rounded = float(f"{value:.5g}")
    return int(rounded) if rounded.is_integer() else rounded
