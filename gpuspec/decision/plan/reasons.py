"""Why an option is out, and what limits one that is in: in words, with the amount."""

from typing import Any

import numpy as np

from gpuspec.decision.plan.options import LIMITS, Options
from gpuspec.decision.scenario import Scenario

NAMES = {
    "deadline": "the deadline",
    "ttft": "the limit of the first token",
    "tpot": "the limit of each token",
    "gpus": "the number of GPUs",
    "available": "the GPUs that are there",
    "power": "the power of the room",
    "capital": "the capital",
    "monthly": "the monthly budget",
    "spot": "interruptions",
}
"""What a reader calls each constraint."""


def binding(row: dict[str, Any]) -> str:
    """Return the constraint that is used most, with its share; memory or speed where none is."""
    uses = {n: float(row[f"use_{n}"]) for n in LIMITS if np.isfinite(row[f"use_{n}"])}
    name = max(uses, key=lambda n: uses[n])
    if uses[name] < 0.5:
        return f"speed ({row['bound']})" if row.get("bound") else "none"
    return f"{NAMES[name]} ({uses[name]:.0%})"


def reason(scenario: Scenario, options: Options, row: dict[str, Any]) -> str:
    """Return the first constraint that an option breaks, and by how much."""
    s, w = scenario, scenario.workloads[options.place]
    name = next((n for n in LIMITS if row[f"use_{n}"] > 1 + 1e-9), "")
    if not name:
        return ""
    return _SAID[name](s, w, row, options)


def _deadline(s: Any, w: Any, row: Any, options: Options) -> str:
    return f"misses the deadline by {row['days'] - w.deadline_days:,.1f} days"


def _ttft(s: Any, w: Any, row: Any, options: Options) -> str:
    late = row["ttft_s"] - w.ttft_limit_s
    return f"first token after {row['ttft_s']:,.2f} s, {late:,.2f} s too late"


def _tpot(s: Any, w: Any, row: Any, options: Options) -> str:
    over = (row["tpot_s"] - w.tpot_limit_s) * 1e3
    return f"{row['tpot_s'] * 1e3:,.1f} ms a token, {over:,.1f} ms above the limit"


def _gpus(s: Any, w: Any, row: Any, options: Options) -> str:
    tech = options.ways.table.iloc[int(row["tech"])]
    text = f"needs {row['gpus']:,.0f} GPUs, {row['gpus'] - s.limits.gpus:,.0f} more than allowed"
    replicas = s.limits.gpus // int(tech["unit_gpus"])
    load = getattr(w, "concurrency", 0)
    if replicas and load and tech["kv_gib"] == tech["kv_gib"]:
        short = (load / replicas - float(tech["most"])) * float(tech["kv_gib"])
        if short > 0:
            context = w.isl + w.osl
            return f"KV cache does not fit at {context:,} tokens x {load:,}: {short:,.0f} GiB short"
    return text


def _available(s: Any, w: Any, row: Any, options: Options) -> str:
    there = float(options.offers["available"].iloc[int(row["offer"])])
    return f"needs {row['gpus']:,.0f} GPUs, {there:,.0f} are there"


def _power(s: Any, w: Any, row: Any, options: Options) -> str:
    over = row["power_kw"] - s.limits.total_kw
    return f"draws {row['power_kw']:,.0f} kW, {over:,.0f} kW more than the room has"


def _capital(s: Any, w: Any, row: Any, options: Options) -> str:
    over = row["upfront_usd"] - s.budget.capital_usd
    return f"needs {_usd(row['upfront_usd'])} of capital, {_usd(over)} above the budget"


def _monthly(s: Any, w: Any, row: Any, options: Options) -> str:
    over = row["cash_month_usd"] - s.budget.monthly_usd
    return f"costs {_usd(row['cash_month_usd'])} a month, {_usd(over)} above the budget"


def _spot(s: Any, w: Any, row: Any, options: Options) -> str:
    return "spot GPUs can be withdrawn at any time, and this service must not stop"


def _usd(value: float) -> str:
    return f"{value / 1e6:,.2f} M USD" if value >= 1e6 else f"{value:,.0f} USD"


_SAID = {
    "spot": _spot,
    "deadline": _deadline,
    "ttft": _ttft,
    "tpot": _tpot,
    "gpus": _gpus,
    "available": _available,
    "power": _power,
    "capital": _capital,
    "monthly": _monthly,
}


def rejected(options: Options) -> list[dict[str, Any]]:
    """Return each GPU and split that cannot run at all, with the reason."""
    table = options.ways.table
    rows = table[~table["works"]]
    priced = set(options.offers["gpu"])
    found = [
        {"gpu": r.gpu, "precision": r.precision, "split": r.split, "reason": r.reason}
        for r in rows.itertuples()
    ]
    for name in dict.fromkeys(table["gpu"]):
        if name not in priced:
            why = "no price for it in the tables: give a quote of your own"
            found.append({"gpu": name, "precision": "", "split": "", "reason": why})
    return found
