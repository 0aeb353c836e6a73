"""One table of options for a workload: every way to run it times every way to get the GPUs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.decision.money import kept_usd_month
from gpuspec.decision.scenario import Scenario
from gpuspec.formulas.cost import spot_useful_share
from gpuspec.topics.ways import Ways

LIMITS = ("spot", "deadline", "ttft", "tpot", "gpus", "available", "power", "capital", "monthly")
"""Constraints in the order in which a rejection is told."""


@dataclass(frozen=True)
class Options:
    """Options of one workload: numbers in `table`, words through `ways` and `offers`.

    Columns of ``table``: ``tech`` and ``offer`` (places in the two others), ``gpus``,
    ``paid_gpus``, ``cost_usd`` (over the horizon), ``cost_usd_low``, ``cost_usd_high`` (range of
    the price), ``month_usd``, ``upfront_usd``, ``cash_month_usd``, ``time_s``, ``kwh_month``,
    ``power_kw``, then for each constraint the share of it that is used (``use_deadline``...; 0
    without the constraint, above 1 it is broken), ``works`` and ``feasible``.
    """

    place: int
    ways: Ways
    offers: pd.DataFrame
    table: pd.DataFrame


def priced_options(scenario: Scenario, place: int, ways: Ways, offers: pd.DataFrame) -> Options:
    """Cross the ways to run with the ways to pay, in one vectorised pass."""
    tech = ways.table
    pairs = [
        (np.flatnonzero((tech["gpu"] == g).to_numpy() & tech["works"].to_numpy()), rows)
        for g, rows in offers.groupby("gpu", sort=False).indices.items()
    ]
    first = np.concatenate([np.repeat(t, len(o)) for t, o in pairs] or [np.empty(0, int)])
    second = np.concatenate([np.tile(o, len(t)) for t, o in pairs] or [np.empty(0, int)])
    table = pd.DataFrame({"tech": first.astype(np.int32), "offer": second.astype(np.int32)})
    return Options(place, ways, offers, _evaluated(scenario, place, tech, offers, table))


def _evaluated(
    s: Scenario, place: int, tech: pd.DataFrame, offers: pd.DataFrame, table: pd.DataFrame
) -> pd.DataFrame:
    t, o = table["tech"].to_numpy(), table["offer"].to_numpy()

    def of_tech(name: str) -> np.ndarray:
        return tech[name].to_numpy(float)[t]

    def of_offer(name: str) -> np.ndarray:
        return offers[name].to_numpy(float)[o]

    gpus, months = of_tech("gpus"), float(s.horizon_months)
    useful = spot_useful_share(of_offer("interruptions_per_gpu_hour"), of_tech("unit_gpus"))
    hours = of_tech("hours_month") / useful
    paid = np.ceil(gpus / of_offer("step")) * of_offer("step")
    found = table.assign(gpus=gpus, paid_gpus=paid)
    for end in ("", "_low", "_high"):
        fixed = of_offer(f"fixed_usd{end}") * paid
        found[f"cost_usd{end}"] = fixed + of_offer(f"hour_cost{end}") * gpus * hours * months
    found["month_usd"] = found["cost_usd"] / months
    found["upfront_usd"] = of_offer("upfront_usd") * paid
    cash = of_offer("running_usd_month") * paid + of_offer("hour_cost") * gpus * hours
    found["cash_month_usd"] = cash + kept_usd_month(offers)
    found["time_s"] = of_tech("speed_s") / np.where(np.isnan(of_tech("days")), 1.0, useful)
    found["days"] = of_tech("days") / useful
    watts = of_offer("power_w_gpu")
    found["kwh_month"] = gpus * hours * watts * s.prices.power_share / 1e3
    found["power_kw"] = np.where(offers["housed"].to_numpy()[o], paid * watts / 1e3, 0.0)
    _uses(s, place, found, offers, of_tech, of_offer)
    uses = found[[f"use_{n}" for n in LIMITS]].to_numpy()
    found["works"] = True
    feasible: Any = (uses <= 1 + 1e-9).all(axis=1)
    found["feasible"] = feasible
    return found


def _uses(
    s: Scenario,
    place: int,
    found: pd.DataFrame,
    offers: pd.DataFrame,
    of_tech: Any,
    of_offer: Any,
) -> None:
    """Add the share of each constraint that an option uses."""
    w: Any = s.workloads[place]
    zero = np.zeros(len(found))

    def share(value: Any, limit: float | None) -> np.ndarray:
        if limit is None or limit == np.inf:
            return zero
        value = np.nan_to_num(np.asarray(value, float), nan=0.0)
        return value / limit if limit > 0 else np.where(value > 0, 1 + value, 0.0)

    spot = (offers["mode"] == "spot").to_numpy()[found["offer"].to_numpy()]
    found["use_spot"] = np.where(spot & (not getattr(w, "interruptible", True)), np.inf, 0.0)
    found["use_deadline"] = share(found["days"], getattr(w, "deadline_days", None))
    found["use_ttft"] = share(of_tech("ttft_s"), getattr(w, "ttft_limit_s", 0.0) or None)
    found["use_tpot"] = share(of_tech("tpot_s"), getattr(w, "tpot_limit_s", 0.0) or None)
    found["use_gpus"] = share(found["gpus"], s.limits.gpus or None)
    found["use_available"] = found["gpus"] / of_offer("available")
    found["use_power"] = share(found["power_kw"], s.limits.total_kw)
    found["use_capital"] = share(found["upfront_usd"], s.budget.capital_usd)
    found["use_monthly"] = share(found["cash_month_usd"], s.budget.monthly_usd)


OBJECTIVES = {"cost": "cost_usd", "time": "time_s", "energy": "kwh_month"}
GOALS = tuple(OBJECTIVES.values())


def pareto(table: pd.DataFrame, columns: Any = GOALS) -> np.ndarray:
    """Return which rows no other row equals or beats in all `columns` and beats in one.

    Sorted by the first column, a row is on the front unless an earlier one is at least as good in
    the others; blocks of the table are compared with the front found so far.
    """
    values = np.ascontiguousarray(table[list(columns)].to_numpy(float))
    unique, back = np.unique(values, axis=0, return_inverse=True)
    front: np.ndarray = np.empty((0, values.shape[1]))
    keep = np.zeros(len(unique), bool)
    for start in range(0, len(unique), 512):
        block = unique[start : start + 512]
        alive = ~_beaten(block, front)
        places = np.flatnonzero(alive)
        inner = block[places]
        good = ~_beaten(inner, inner)
        keep[start + places[good]] = True
        front = np.concatenate([front, inner[good]])
    return np.asarray(keep[back.ravel()])


def _beaten(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return which rows some other row beats; the rows are distinct."""
    if not len(others) or not len(rows):
        return np.zeros(len(rows), bool)
    no_worse = np.ones((len(rows), len(others)), bool)
    better = np.zeros((len(rows), len(others)), bool)
    for column in range(rows.shape[1]):
        no_worse &= others[None, :, column] <= rows[:, None, column]
        better |= others[None, :, column] < rows[:, None, column]
    return np.asarray((no_worse & better).any(axis=1))
