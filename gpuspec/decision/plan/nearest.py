"""What must give where nothing keeps all limits: the smallest change of each, one at a time."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from gpuspec.decision.plan.limits import CONSTRAINTS, NOTHING_OVER, TOTALS, limits_of
from gpuspec.decision.plan.options import Options
from gpuspec.decision.plan.plans import Plans, gpus_words
from gpuspec.decision.scenario import Scenario
from gpuspec.views.language import ENGLISH, Words


class Amount(NamedTuple):
    """A value of a limit; words come last."""

    value: float
    limit: str

    def words(self, say: Words = ENGLISH) -> str:
        """Write the value with its unit."""
        told = CONSTRAINTS[self.limit]
        return f"{self.value:{told.form}} {say(told.unit)}"


class Change(NamedTuple):
    """The smallest change of one limit that makes an option feasible."""

    workload: str
    what: str
    asked: Amount | None
    needed: Amount | str
    far: float
    option: str


def nearest(scenario: Scenario, options: list[Options], plans: Plans) -> pd.DataFrame:
    """Return the nearest feasible requests: for each limit alone, what it would have to be.

    Columns: ``workload`` ("all together" for totals), ``what``, ``asked`` and ``needed`` (an
    `Amount`, or words where there is none), ``far`` (needed over asked minus 1) and ``option``
    (with which it then works). Where no single limit is enough, the limits that the nearest
    option breaks together.
    """
    rows: list[Change] = []
    for o in options:
        if not o.table["feasible"].any():
            rows += _of_workload(scenario, o)
    if not rows and len(plans.table):
        rows += _of_plans(scenario, plans)
    return pd.DataFrame(rows, columns=Change._fields)


def _of_workload(s: Scenario, options: Options) -> list[Change]:
    w, table = s.workloads[options.place], options.table
    if table.empty:
        ways = options.ways.table
        reasons = list(dict.fromkeys(ways.loc[~ways["works"], "reason"]))[:3]
        reasons = reasons or ["no price for any of the GPUs"]
        return [Change(w.name, "memory or layout", None, why, np.inf, "") for why in reasons]
    rows = []
    for names, index in _smallest(table, tuple(CONSTRAINTS)):
        row = table.iloc[index]
        tech = options.ways.table.iloc[int(row["tech"])]
        offer = options.offers.iloc[int(row["offer"])]
        option = f"{row['gpus']:,.0f} x {tech['gpu']}, {tech['precision']}, {offer['label']}"
        limits = limits_of(s, w) | {"available": float(offer["available"])}
        rows += [_change(w.name, name, limits, row, option) for name in names]
    return rows


def _smallest(table: pd.DataFrame, names: tuple[str, ...]) -> list[tuple[list[str], int]]:
    """Return for each limit that alone is broken somewhere the row that breaks it least.

    Where every row breaks several, the row that breaks the fewest, and those least.
    """
    uses = table[[f"use_{n}" for n in names]].to_numpy()
    broken = uses > NOTHING_OVER
    alone = []
    for column, name in enumerate(names):
        only = broken[:, column] & (broken.sum(axis=1) == 1) & np.isfinite(uses[:, column])
        if only.any():
            places = np.flatnonzero(only)
            alone.append(([name], int(places[uses[places, column].argmin()])))
    if alone:
        return alone
    over = np.where(broken, np.minimum(uses, 1e9) - 1, 0)
    order = np.lexsort((over.sum(axis=1), broken.sum(axis=1)))
    first = int(order[0])
    return [([names[i] for i in np.flatnonzero(broken[first])], first)]


def _of_plans(s: Scenario, plans: Plans) -> list[Change]:
    rows = []
    for names, index in _smallest(plans.table, TOTALS):
        row = plans.table.iloc[index]
        option = gpus_words(plans.members(row["choice"]))
        rows += [_change("all together", name, limits_of(s), row, option) for name in names]
    return rows


def _change(
    workload: str, name: str, limits: dict[str, float], row: pd.Series, option: str
) -> Change:
    """Return what was asked of a limit, what is needed, and how much more that is."""
    told, share = CONSTRAINTS[name], float(row[f"use_{name}"])
    asked = limits.get(name, np.inf) * told.scale
    if not (np.isfinite(asked) and np.isfinite(share)):
        way = "another way to get GPUs" if name == "spot" else "more"
        return Change(workload, told.name, None, way, np.inf, option)
    # Of a budget of 0 the share used is 1 + the amount: there is nothing to divide by.
    needed = Amount(_rounded_up(asked * share if asked else share - 1), name)
    far = share - 1 if asked else np.inf
    return Change(workload, told.name, Amount(asked, name), needed, far, option)


def _rounded_up(value: float) -> float:
    """Round up to three digits, so that what is said to be enough is enough."""
    step = 10.0 ** (np.floor(np.log10(value)) - 2)
    return float(f"{np.ceil(value / step - 1e-9) * step:.12g}")
