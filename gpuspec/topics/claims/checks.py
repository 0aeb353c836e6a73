"""What is tested of each claim: rows of ``data/claim-checks.csv`` over named tables."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.catalog import load_table
from gpuspec.topics.claims import links, machines, science, serving, training
from gpuspec.topics.claims.ask import LARGE_B, ClaimsQuestion
from gpuspec.topics.claims.published import published_fp8, published_serving, published_training
from gpuspec.topics.claims.same import of_same_settings
from gpuspec.topics.claims.verdict import FIGURES, SEEN, Check

Table = Callable[[ClaimsQuestion], pd.DataFrame]


def checks(q: ClaimsQuestion, claim: str) -> list[Check]:
    """Return the checks of a claim; none where the table has no row for it."""
    table = load_table("claim-checks")
    return [_check(q, row) for _, row in table[table["claim"] == claim].iterrows()]


def _check(q: ClaimsQuestion, row: "pd.Series[str]") -> Check:
    grid = _chosen(GRIDS[row["grid"]](q), row["where"])
    seen = pd.DataFrame(columns=SEEN, dtype=float)
    if row["published"]:
        seen = _chosen(PUBLISHED[row["published"]](q), row["published_where"])
    if row["published_models"]:
        named = seen["model"].str.contains(row["published_models"], case=False)
        seen = seen[named].reset_index(drop=True)
    seen = of_same_settings(grid, seen)
    if row["price_of"]:
        prices: tuple[float, ...] = getattr(q, f"{row['price_of']}_ratios")
        grid = per_money(grid, prices)
        usual = [name for name in ("value", "there") if name in seen]
        seen = seen.assign(**{name: seen[name] / middle(prices) for name in usual})
    stated: Any = {n: row[n] for n in ("label", "what", "unit")}
    stated |= {n: float(row[n]) for n in ("least", "most") if pd.notna(row[n])}
    return Check(grid=grid, measured=seen, any_will_do=bool(row["any_will_do"]), **stated)


def _chosen(table: pd.DataFrame, where: str) -> pd.DataFrame:
    return table.query(where, local_dict={"inf": np.inf}).reset_index(drop=True) if where else table


def per_money(grid: pd.DataFrame, prices: tuple[float, ...]) -> pd.DataFrame:
    """Return work for the same money: each speed ratio over each price ratio.

    Adds the column ``price``: hours of the older GPU that an hour of the newer one costs.
    """
    parts = [grid.assign(price=price, **{c: grid[c] / price for c in FIGURES}) for price in prices]
    return pd.concat(parts, ignore_index=True)


def middle(prices: tuple[float, ...]) -> float:
    """Return the price ratio in the middle of the levels, the higher of two."""
    return sorted(prices)[len(prices) // 2]


def kinds_of_work(q: ClaimsQuestion) -> pd.DataFrame:
    """Return the median gain over A100 for the same money: training, serving, science."""
    rows = []
    for new, price in (("h100", 1.0), ("h200", middle(q.h200_ratios))):
        name = getattr(q, f"{new}_gpu").id
        classes = science.science(q)[science.science(q)["gpu"] == name]
        units = classes["bound"] == "compute units"
        kinds = {
            "training": training.over_a100(q, new),
            "serving": serving.over_a100(q, new),
            "science bound by memory": classes[~units],
            "science bound by units": classes[units],
        }
        for kind, grid in kinds.items():
            typical = grid.loc[np.isfinite(grid["value"]), list(FIGURES)].median()
            rows += [(name, kind, p, *(typical / (p * price))) for p in q.h100_ratios]
    return pd.DataFrame(rows, columns=["gpu", "work", "price", *FIGURES]).dropna()


def serving_over_training(q: ClaimsQuestion) -> pd.DataFrame:
    """Return the gain of serving large models on a new node over the gain of training there."""
    parts = []
    for new in ("h100", "h200"):
        hungry = serving.over_a100(q, new)
        hungry = hungry[(hungry["params_b"] >= LARGE_B) & np.isfinite(hungry["value"])]
        typical = training.over_a100(q, new).groupby("precision")["value"].median()
        for kind in sorted(set(hungry["weights"]) & set(typical.index)):
            part = hungry[hungry["weights"] == kind]
            figures = {c: part[c] / float(typical[kind]) for c in FIGURES}
            parts.append(part.assign(new=getattr(q, new), **figures))
    return pd.concat(parts, ignore_index=True)


GRIDS: dict[str, Table] = {
    "training H100/A100": training.over_a100,
    "training H200/H100": training.over_h100,
    "training FP8/BF16": training.fp8_gain,
    "training and the vendor's job": training.with_the_vendors_job,
    "days of a week's training": training.days_of_a_week,
    "training on one node": training.on_one_node,
    "training on cards": lambda q: links.training_on_cards(),
    "serving H100/A100": serving.over_a100,
    "serving H200/H100": serving.over_h100,
    "serving H200 over rivals": serving.over_rivals,
    "requests H200/H100": lambda q: serving.over_h100(q, requests=True),
    "serving within a limit": serving.latency_grid,
    "serving on cards": lambda q: links.serving_on_cards(),
    "H200 for 70B": serving.large_needed,
    "GPUs for 8B": serving.small_needed,
    "gain of size": serving.gain_of_size,
    "gain of serving over training": serving_over_training,
    "kinds of work for money": kinds_of_work,
    "science": science.science,
    "dynamic programming": science.dynamic_grid,
    "FP64 units of rivals": science.rivals,
    "science over rivals": science.over_rivals,
    "slower links": lambda q: links.slower_links(),
    "MIG": machines.instances,
    "printed rates": machines.printed_rates,
    "printed cells": machines.printed_cells,
    "rates over A100": machines.rates_over_a100,
    "rates H200/H100": machines.rates_over_h100,
    "weights of 70B": machines.weights_of_70b,
    "context left on H200": machines.context_left,
    "host memory": machines.host_memory,
    "number formats": machines.number_formats,
    "power of nodes": machines.power_of_nodes,
}
"""Estimates by the name that a check gives them: settings, then ``value``, ``low``, ``high``."""


def _both_formats(q: ClaimsQuestion) -> pd.DataFrame:
    """Return measured throughput of H100 over A100: in one format, and FP8 over 16 bit."""
    formats = ((), ("fp8", "16 bit"))
    parts = [published_serving(q.h100_gpu.id, q.a100_gpu.id, *two) for two in formats]
    return pd.concat(parts, ignore_index=True)


def _days(q: ClaimsQuestion) -> pd.DataFrame:
    seen = published_training(q.h100_gpu.id, q.a100_gpu.id)
    return seen.assign(value=training.WEEK_DAYS / seen["value"])


PUBLISHED: dict[str, Table] = {
    "training H100/A100": lambda q: published_training(q.h100_gpu.id, q.a100_gpu.id),
    "training H200/H100": lambda q: published_training(q.h200_gpu.id, q.h100_gpu.id),
    "training FP8/BF16": lambda q: published_fp8(q.h100_gpu.id),
    "days of a week's training": _days,
    "serving H100/A100": _both_formats,
    "serving H200/H100": lambda q: published_serving(q.h200_gpu.id, q.h100_gpu.id),
    "science": science.published_science,
    "science over rivals": science.published_over_rivals,
    "dynamic programming": science.published_alignment,
}
"""Published figures by name: ``value``, ``source`` and what describes a case."""
