"""The options of one workload ranked: the best of each GPU and way to pay, with probabilities."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.decision.errors import SURE
from gpuspec.decision.plan.draws import LATE, Chosen, PlanDraws, best_shares, cost_of
from gpuspec.decision.plan.options import OBJECTIVES, Options
from gpuspec.decision.plan.reasons import binding, reason
from gpuspec.decision.scenario import Scenario

CandidateRow = dict[str, Any]
TECHNICAL = ["gpu", "precision", "split", "bound", "unit_gpus", "batch"]
TECHNICAL += ["units", "hours_month", "busy"]
TRIED = 6
"""Splits of an offer, the cheapest at the central estimate, that are compared over the samples."""


def candidates(scenario: Scenario, options: Options, draws: PlanDraws) -> pd.DataFrame:
    """Return the best option of each offer, best first, and the offers for which there is none.

    Columns: ``gpu``, ``mode``, ``label``, ``offer``, ``row`` (place in the options table), the
    figures of that row, ``precision``, ``split``, ``bound``, ``sure`` (share of the samples in
    which the limits are kept), ``probability`` (of being the best of these), ``low`` and ``high``
    (80 % interval of the cost), ``binding``, ``feasible`` and ``reason``.
    """
    groups = options.table.groupby("offer", sort=True).indices.values()
    chosen = pd.DataFrame(
        [_of_offer(scenario, options, draws, np.asarray(rows)) for rows in groups]
    )
    if chosen.empty:
        return chosen
    return _with_probabilities(scenario, options, draws, chosen)


def _of_offer(s: Scenario, options: Options, draws: PlanDraws, rows: np.ndarray) -> CandidateRow:
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
    s: Scenario, options: Options, draws: PlanDraws, good: pd.DataFrame
) -> CandidateRow:
    curve = options.ways.table["curve"].to_numpy()[good["tech"].to_numpy()]
    tried = good[(curve < 0) | ~pd.Series(curve, index=good.index).duplicated()].head(TRIED)
    ranks = []
    for row, offer in zip(tried["place"], tried["offer"], strict=True):
        need = draws.need(options, int(row))
        cost = cost_of(draws, [(int(offer), need)], draws.prices, keep=False)["cost_usd"]
        score = cost if s.objective == "cost" else float(tried.loc[row, OBJECTIVES[s.objective]])
        within = need.excess <= 1e-9
        sure = float(within.mean())
        scores = np.where(np.asarray(cost) < LATE / 10, score, np.nan)[within]
        # Ways that cost the same but for rounding are taken in the order of the table.
        mean = float(f"{np.mean(scores):.9g}") if sure else np.inf
        ranks.append((sure < SURE, -sure if sure < SURE else 0.0, mean, int(row), sure))
    best = min(ranks)
    return {**_figures(options, best[3]), "sure": best[4]}


def _figures(options: Options, row: int) -> CandidateRow:
    figures = options.table.iloc[row]
    tech = options.ways.table.iloc[int(figures["tech"])]
    offer = options.offers.iloc[int(figures["offer"])]
    return {**figures, **tech[TECHNICAL], **offer[["mode", "label"]], "row": row}


def _with_probabilities(
    s: Scenario, options: Options, draws: PlanDraws, chosen: pd.DataFrame
) -> pd.DataFrame:
    table = chosen.assign(
        probability=0.0, expected_usd=np.nan, low=np.nan, high=np.nan, gpus_high=chosen["gpus"],
        score=np.inf, offer=chosen["offer"].astype(int),
    )  # fmt: skip
    able = table.index[table["feasible"]]
    if len(able):
        needs = [draws.need(options, int(row)) for row in table.loc[able, "row"]]
        plans = [[(o, n)] for o, n in zip(table.loc[able, "offer"].tolist(), needs, strict=True)]
        costs = sampled_costs(draws, plans, keep=False)
        scores = objective_scores(s, draws, plans, costs)
        columns = ["probability", "expected_usd", "low", "high", "gpus_high", "score"]
        gpus_high = np.array([np.quantile(n.gpus, 0.9) for n in needs])
        figures = (best_shares(scores), *spread(costs), gpus_high, spread(scores)[0])
        for name, values in zip(columns, figures, strict=True):
            table[name] = table[name].astype(float)
            table.loc[able, name] = values
    rows = [row for _, row in table.iterrows()]
    table["binding"] = [binding(r) for r in rows]
    table["reason"] = ["" if r["feasible"] else reason(s, options, r) for r in rows]
    table["doubtful"] = table["feasible"] & (table["sure"] < SURE)
    order = ["feasible", "doubtful", "score", "cost_usd"]
    ascending = [False, True, True, True]
    return table.sort_values(order, ascending=ascending, kind="stable", ignore_index=True)


def sampled_costs(
    draws: PlanDraws,
    plans: Sequence[Chosen],
    keep: bool = True,
    prices: np.ndarray | None = None,
) -> np.ndarray:
    """Return the cost of each plan in each sample, shape (plans, samples)."""
    prices = draws.prices if prices is None else prices
    costs = [cost_of(draws, p, prices, keep)["cost_usd"] for p in plans]
    return np.array([np.broadcast_to(c, (draws.samples,)) for c in costs])


def spread(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean and 80 % interval of each row over the samples that keep the limits."""
    within = np.where(values < LATE / 10, values, np.nan)
    never = np.isnan(within).all(axis=1)
    within[never] = values[never]
    low, high = np.nanquantile(within, (0.1, 0.9), axis=1)
    return np.nanmean(within, axis=1), low, high


def objective_scores(
    s: Scenario, draws: PlanDraws, plans: Sequence[Chosen], costs: np.ndarray
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
