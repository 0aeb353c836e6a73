"""The options of one workload ranked: the best of each GPU and way to pay, with probabilities."""

from typing import Any

import numpy as np
import pandas as pd

from gpuspec.decision.errors import SURE
from gpuspec.decision.plan.draws import LATE, Draws, Need, best_shares, cost_of
from gpuspec.decision.plan.options import OBJECTIVES, Options
from gpuspec.decision.plan.reasons import binding, reason
from gpuspec.decision.scenario import Scenario
from gpuspec.topics.ways import records

TRIED = 6
"""Splits of an offer, the cheapest at the central estimate, that are compared over the samples."""


def candidates(scenario: Scenario, options: Options, draws: Draws) -> pd.DataFrame:
    """Return the best option of each offer, best first, and the offers for which there is none.

    Returns
    -------
    DataFrame
        ``gpu``, ``mode``, ``label``, ``offer``, ``row`` (place in the options table), the
        figures of that row, ``precision``, ``split``, ``bound``, ``sure`` (share of the samples
        in which the limits are kept), ``probability`` (of being the best of these), ``low`` and
        ``high`` (80 % interval of the cost), ``binding``, ``feasible`` and ``reason``.
    """
    groups: Any = options.table.groupby("offer", sort=True).indices
    chosen = [_of_offer(scenario, options, draws, p, rows) for p, rows in groups.items()]
    found = pd.DataFrame(chosen)
    if found.empty:
        return found
    return _with_probabilities(scenario, options, draws, found)


def _of_offer(
    s: Scenario, options: Options, draws: Draws, offer: Any, rows: np.ndarray
) -> dict[str, Any]:
    """Return the row to take from one offer: the best on average that keeps its limits."""
    table = options.table.iloc[rows].assign(place=rows)
    objective = OBJECTIVES[s.objective]
    good = table[table["feasible"]].sort_values([objective, "cost_usd", "time_s"], kind="stable")
    if len(good):
        return _best_on_average(s, options, draws, good)
    uses = table.filter(like="use_").to_numpy()
    broken = np.maximum(uses - 1, 0)
    nearest = np.lexsort((table[objective], broken.sum(axis=1), (broken > 1e-9).sum(axis=1)))
    return {**_figures(options, int(rows[nearest[0]])), "sure": np.nan}


def _best_on_average(
    s: Scenario, options: Options, draws: Draws, good: pd.DataFrame
) -> dict[str, Any]:
    curve = options.ways.table["curve"].to_numpy()[good["tech"].to_numpy()]
    tried = good[(curve < 0) | ~pd.Series(curve, index=good.index).duplicated()].head(TRIED)
    found = []
    for row, offer in zip(tried["place"], tried["offer"], strict=True):
        need = draws.need(options, int(row))
        cost: Any = cost_of(draws, [(int(offer), need)], draws.prices, keep=False)["cost_usd"]
        score = cost if s.objective == "cost" else float(tried.loc[row, OBJECTIVES[s.objective]])
        sure = float((need.excess <= 1e-9).mean())
        kept = (
            np.mean(np.where(cost < LATE / 10, score, np.nan)[need.excess <= 1e-9])
            if sure
            else np.inf
        )
        found.append((sure < SURE, -sure if sure < SURE else 0.0, float(kept), int(row), sure))
    best = min(found)
    return {**_figures(options, best[3]), "sure": best[4]}


def _figures(options: Options, row: int) -> dict[str, Any]:
    numbers: dict[str, Any] = dict(options.table.iloc[row])
    tech = options.ways.table.iloc[int(numbers["tech"])]
    offer = options.offers.iloc[int(numbers["offer"])]
    words = {n: tech[n] for n in ("gpu", "precision", "split", "bound", "unit_gpus", "batch")}
    words |= {n: tech[n] for n in ("units", "ttft_s", "tpot_s", "hours_month", "busy")}
    return {**numbers, **words, "mode": offer["mode"], "label": offer["label"], "row": row}


def _with_probabilities(
    s: Scenario, options: Options, draws: Draws, found: pd.DataFrame
) -> pd.DataFrame:
    blank: dict[str, Any] = {
        "probability": 0.0,
        "expected_usd": np.nan,
        "low": np.nan,
        "high": np.nan,
    }
    blank |= {"gpus_high": found["gpus"], "score": np.inf}
    found = found.assign(**blank, offer=found["offer"].astype(int))
    able = np.flatnonzero(found["feasible"].to_numpy())
    if len(able):
        needs = [draws.need(options, int(found["row"].iloc[i])) for i in able]
        places = found["offer"].iloc[able].tolist()
        plans = [[(o, n)] for o, n in zip(places, needs, strict=True)]
        costs = sampled_costs(draws, plans, keep=False)
        scores = objective_scores(s, draws, plans, costs)
        mean, low, high = spread(costs)
        columns = {
            "probability": best_shares(scores),
            "expected_usd": mean,
            "low": low,
            "high": high,
            "gpus_high": [float(np.quantile(n.gpus, 0.9)) for n in needs],
            "score": spread(scores)[0],
        }
        for name, values in columns.items():
            column = found[name].to_numpy(float, copy=True)
            column[able] = values
            found[name] = column
    rows = records(found)
    found["binding"] = [binding(r) for r in rows]
    found["reason"] = ["" if r["feasible"] else reason(s, options, r) for r in rows]
    found["doubtful"] = found["feasible"] & (found["sure"] < SURE)
    order = ["feasible", "doubtful", "score", "cost_usd"]
    ascending = [False, True, True, True]
    return found.sort_values(order, ascending=ascending, kind="stable", ignore_index=True)


def sampled_costs(
    draws: Draws, plans: list[list[tuple[int, Need]]], keep: bool = True
) -> np.ndarray:
    """Return the cost of each plan in each sample, shape (plans, samples)."""
    costs = [cost_of(draws, p, draws.prices, keep)["cost_usd"] for p in plans]
    return np.array([np.broadcast_to(c, (draws.samples,)) for c in costs])


def spread(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean and 80 % interval of each row over the samples that keep the limits."""
    kept = np.where(values < LATE / 10, values, np.nan)
    never = np.isnan(kept).all(axis=1)
    kept[never] = values[never]
    low, high = np.nanquantile(kept, (0.1, 0.9), axis=1)
    return np.nanmean(kept, axis=1), low, high


def objective_scores(
    s: Scenario, draws: Draws, plans: list[list[tuple[int, Need]]], costs: np.ndarray
) -> np.ndarray:
    """Return what is to be lowest: cost, or time or energy with the cost as tie-break."""
    if s.objective == "cost":
        return costs
    late = np.where(costs > LATE / 10, costs, 0.0)
    watts = draws.offers["power_w_gpu"].to_numpy(float)
    scores = []
    for plan in plans:
        if s.objective == "time":
            scores.append(np.exp(sum(np.log(n.time_s) for _, n in plan) / len(plan)))
        else:
            scores.append(sum(n.gpus * n.hours_month * watts[o] / 1e3 for o, n in plan))
    return np.array(scores) * (1 + 1e-12 * np.minimum(costs, LATE) ** 0.25) + late
