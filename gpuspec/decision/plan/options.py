"""One table of options for a workload: every way to run it times every way to get the GPUs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gpuspec.decision.money import kept_usd_month
from gpuspec.decision.plan.limits import limits_of, with_uses
from gpuspec.decision.scenario import Scenario
from gpuspec.formulas.cost import spot_useful_share
from gpuspec.topics.ways import Ways


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
    priced = table.assign(gpus=gpus, paid_gpus=paid)
    for end in ("", "_low", "_high"):
        fixed = of_offer(f"fixed_usd{end}") * paid
        priced[f"cost_usd{end}"] = fixed + of_offer(f"hour_cost{end}") * gpus * hours * months
    priced["month_usd"] = priced["cost_usd"] / months
    priced["upfront_usd"] = of_offer("upfront_usd") * paid
    cash = of_offer("running_usd_month") * paid + of_offer("hour_cost") * gpus * hours
    priced["cash_month_usd"] = cash + kept_usd_month(offers)
    priced["time_s"] = of_tech("speed_s") / np.where(np.isnan(of_tech("days")), 1.0, useful)
    priced["days"] = of_tech("days") / useful
    watts = of_offer("power_w_gpu")
    priced["kwh_month"] = gpus * hours * watts * s.prices.power_share / 1e3
    priced["power_kw"] = np.where(offers["housed"].to_numpy()[o], paid * watts / 1e3, 0.0)
    priced["ttft_s"], priced["tpot_s"] = of_tech("ttft_s"), of_tech("tpot_s")
    withdrawn = (offers["mode"] == "spot").to_numpy()[o]
    interruptible = getattr(s.workloads[place], "interruptible", True)
    return with_uses(
        priced.assign(works=True),
        limits_of(s, s.workloads[place]),
        spot=np.where(withdrawn & (not interruptible), np.inf, 0.0),
        available=gpus / of_offer("available"),
    )


OBJECTIVES = {"cost": "cost_usd", "time": "time_s", "energy": "kwh_month"}
GOALS = tuple(OBJECTIVES.values())


def pareto(table: pd.DataFrame, columns: Sequence[str] = GOALS) -> np.ndarray:
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
