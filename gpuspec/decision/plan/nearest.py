"""What must give where nothing keeps all limits: the smallest change of each, one at a time."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from gpuspec.decision.plan.options import LIMITS, Options
from gpuspec.decision.plan.plans import TOTALS, Plans
from gpuspec.decision.plan.reasons import NAMES
from gpuspec.decision.scenario import Scenario

UNITS = {
    "deadline": ("days", ",.4g"),
    "ttft": ("s", ",.4g"),
    "tpot": ("ms", ",.4g"),
    "gpus": ("GPUs", ",.0f"),
    "available": ("GPUs", ",.0f"),
    "power": ("kW", ",.0f"),
    "capital": ("USD", ",.0f"),
    "monthly": ("USD a month", ",.0f"),
}
"""Unit of each limit, and how its values are written."""


class Amount(NamedTuple):
    """A value of a limit; words come last."""

    value: float
    limit: str

    def words(self, say: Callable[[str], str] = str) -> str:
        """Write the value with its unit."""
        unit, form = UNITS[self.limit]
        return f"{self.value:{form}} {say(unit)}"


COLUMNS = ["workload", "what", "asked", "needed", "far", "option"]


def nearest(scenario: Scenario, options: list[Options], plans: Plans) -> pd.DataFrame:
    """Return the nearest feasible requests: for each limit alone, what it would have to be.

    Columns: ``workload`` ("all together" for totals), ``what``, ``asked`` and ``needed`` (an
    `Amount`, or words where there is none), ``far`` (needed over asked minus 1) and ``option``
    (with which it then works). Where no single limit is enough, the limits that the nearest
    option breaks together.
    """
    rows: list[tuple[Any, ...]] = []
    for o in options:
        if not o.table["feasible"].any():
            rows += _of_workload(scenario, o)
    if not rows and len(plans.table):
        rows += _of_plans(scenario, plans)
    return pd.DataFrame(rows, columns=COLUMNS)


def _of_workload(s: Scenario, options: Options) -> list[tuple[Any, ...]]:
    w, table = s.workloads[options.place], options.table
    if table.empty:
        return [(w.name, "memory or layout", None, why, np.inf, "") for why in _hopeless(options)]
    uses = table[[f"use_{n}" for n in LIMITS]].to_numpy()
    rows = []
    for names, index in _smallest(uses, LIMITS):
        row = table.iloc[index]
        tech = options.ways.table.iloc[int(row["tech"])]
        offer = options.offers.iloc[int(row["offer"])]
        option = f"{row['gpus']:,.0f} x {tech['gpu']}, {tech['precision']}, {offer['label']}"
        for name in names:
            asked, needed, far = _amounts(s, w, name, row, float(offer["available"]))
            rows.append((w.name, NAMES[name], asked, needed, far, option))
    return rows


def _hopeless(options: Options) -> list[str]:
    table = options.ways.table
    reasons = table.loc[~table["works"], "reason"]
    return list(dict.fromkeys(reasons))[:3] or ["no price for any of the GPUs"]


def _smallest(uses: np.ndarray, names: tuple[str, ...]) -> list[tuple[list[str], int]]:
    """Return for each limit that alone is broken somewhere the row that breaks it least.

    Where every row breaks several, the row that breaks the fewest, and those least.
    """
    broken = uses > 1 + 1e-9
    found = []
    for column, name in enumerate(names):
        only = broken[:, column] & (broken.sum(axis=1) == 1) & np.isfinite(uses[:, column])
        if only.any():
            places = np.flatnonzero(only)
            found.append(([name], int(places[uses[places, column].argmin()])))
    if found:
        return found
    over = np.where(broken, np.minimum(uses, 1e9) - 1, 0)
    order = np.lexsort((over.sum(axis=1), broken.sum(axis=1)))
    first = int(order[0])
    return [([names[i] for i in np.flatnonzero(broken[first])], first)]


def _of_plans(s: Scenario, plans: Plans) -> list[tuple[Any, ...]]:
    table = plans.table
    uses = table[[f"use_{n}" for n in TOTALS]].to_numpy()
    rows = []
    for names, index in _smallest(uses, TOTALS):
        row = table.iloc[index]
        members = plans.members(row["choice"])
        groups: Any = members.groupby(["gpu", "label"], sort=False)["gpus"].sum()
        option = ", ".join(f"{n:,.0f} x {g} ({label})" for (g, label), n in groups.items())
        for name in names:
            asked, needed, far = _amounts(s, None, name, row, np.inf)
            rows.append(("all together", NAMES[name], asked, needed, far, option))
    return rows


def _amounts(
    s: Scenario, w: Any, name: str, row: Any, available: float
) -> tuple[Amount | None, Amount | str, float]:
    """Return what was asked of a limit, what is needed, and how much more that is."""
    limits: dict[str, float | None] = {
        "deadline": getattr(w, "deadline_days", None),
        "ttft": getattr(w, "ttft_limit_s", None),
        "tpot": (getattr(w, "tpot_limit_s", None) or 0.0) * 1e3 or None,
        "gpus": s.limits.gpus or None,
        "available": available if np.isfinite(available) else None,
        "power": s.limits.total_kw,
        "capital": s.budget.capital_usd,
        "monthly": s.budget.monthly_usd,
    }
    asked, share = limits.get(name), float(row[f"use_{name}"])
    if asked is None or not np.isfinite(share):
        return None, "another way to get GPUs" if name == "spot" else "more", np.inf
    # Of a budget of 0 the share used is 1 + the amount: there is nothing to divide by.
    needed = asked * share if asked else share - 1
    far = share - 1 if asked else np.inf
    return Amount(asked, name), Amount(_rounded_up(needed), name), far


def _rounded_up(value: float) -> float:
    """Round up to three digits, so that what is said to be enough is enough."""
    step = 10.0 ** (np.floor(np.log10(value)) - 2)
    return float(f"{np.ceil(value / step - 1e-9) * step:.12g}")
