"""Checks of claims on value for money: speed over price, both relative."""

from functools import lru_cache

import numpy as np
import pandas as pd

from gpuspec.catalog import Gpu
from gpuspec.topics.claims.ask import LARGE_B, SMALL_B, ClaimsQuestion
from gpuspec.topics.claims.inference import (
    advantage,
    named,
    over_a100,
    over_h100,
    published_over_a100,
)
from gpuspec.topics.claims.machines import exact
from gpuspec.topics.claims.published import published_serving, published_training
from gpuspec.topics.claims.speeds import training_grid
from gpuspec.topics.claims.training import training_pairs
from gpuspec.topics.claims.verdict import Check

HUNDRED_BILLION = 100.0
TWICE = 2.0
SMALL_NAMES = r"-(?:[1-9]|1\d|2\d|3[0-3])b"
"""Names of models of up to 33B, as sources write them."""
RATES = ("fp64", "fp32", "tf32", "bf16", "fp8")


def per_money(grid: pd.DataFrame, prices: tuple[float, ...]) -> pd.DataFrame:
    """Return work for the same money: each speed ratio over each price ratio.

    Adds the column ``price``: hours of the older GPU that an hour of the newer one costs.
    """
    finite = grid[np.isfinite(grid["value"])]
    parts = [
        finite.assign(price=price, **{c: finite[c] / price for c in ("value", "low", "high")})
        for price in prices
    ]
    return pd.concat(parts, ignore_index=True)


def upto(grid: pd.DataFrame, size: float) -> pd.DataFrame:
    """Return the rows of models of at most `size` (1e9 parameters)."""
    return grid[grid["params_b"] <= size].reset_index(drop=True)


def from_size(grid: pd.DataFrame, size: float) -> pd.DataFrame:
    """Return the rows of models of at least `size` (1e9 parameters)."""
    return grid[grid["params_b"] >= size].reset_index(drop=True)


@lru_cache(8)
def trained_for_money(q: ClaimsQuestion) -> pd.DataFrame:
    """Return training work for the same money, H100 over A100."""
    return per_money(training_pairs(q), q.h100_ratios)


def c09(q: ClaimsQuestion) -> list[Check]:
    """Training per money: H100 ahead from 70B, A100 ahead up to 33B."""
    grid = trained_for_money(q)
    return [
        Check(
            label="H100 above 70B",
            what="training of 70B and more for the same money, H100 over A100",
            grid=from_size(grid, LARGE_B),
            least=1.0,
            measured=published_for_money(q, "70b|175b"),
        ),
        Check(
            label="A100 up to 30B",
            what="training up to 33B for the same money, H100 over A100",
            grid=upto(grid, SMALL_B),
            most=1.0,
            measured=published_for_money(q, SMALL_NAMES),
        ),
    ]


def c10(q: ClaimsQuestion) -> list[Check]:
    """Train on H100, serve on A100, each per money."""
    return [
        Check(
            label="training on H100",
            what="training for the same money, H100 over A100",
            grid=trained_for_money(q),
            least=1.0,
            measured=published_for_money(q),
        ),
        Check(
            label="serving on A100",
            what="tokens served for the same money, H100 over A100",
            grid=per_money(over_a100(q), q.h100_ratios),
            most=1.0,
            measured=cheaper(published_over_a100(q), q.h100_ratios),
        ),
    ]


def c20(q: ClaimsQuestion) -> list[Check]:
    """A100 up to 33B: training and serving per money."""
    return [
        Check(
            label="training up to 30B",
            what="training up to 33B for the same money, H100 over A100",
            grid=upto(trained_for_money(q), SMALL_B),
            most=1.0,
            measured=published_for_money(q, SMALL_NAMES),
        ),
        Check(
            label="serving up to 30B",
            what="tokens served up to 33B for the same money, H100 over A100",
            grid=upto(per_money(over_a100(q), q.h100_ratios), SMALL_B),
            most=1.0,
            measured=cheaper(named(published_over_a100(q), SMALL_NAMES), q.h100_ratios),
        ),
    ]


def c21(q: ClaimsQuestion) -> list[Check]:
    """H100 at a hundred billion and more: well above A100, and not behind H200 per money."""
    return [
        Check(
            label="twice A100 or more",
            what="training speed of H100 over A100, 100B and more",
            grid=from_size(training_pairs(q), HUNDRED_BILLION),
            least=TWICE,
        ),
        Check(
            label="not behind H200 for its price",
            what="training of 100B and more for the same money, H200 over H100",
            grid=from_size(per_money(_newest(q), q.h200_ratios), HUNDRED_BILLION),
            most=1.0,
            measured=cheaper(published_training(q.h200_gpu.id, q.h100_gpu.id), q.h200_ratios),
        ),
    ]


def c23(q: ClaimsQuestion) -> list[Check]:
    """What gains most on new nodes: serving large models with long contexts, or training."""
    rows = []
    for new in ("h100", "h200"):
        hungry = from_size(over_a100(q, new), LARGE_B)
        hungry = hungry[np.isfinite(hungry["value"])]
        trained = training_pairs(q, new)
        for kind in sorted(set(hungry["weights"]) & set(trained["precision"])):
            typical = float(trained.loc[trained["precision"] == kind, "value"].median())
            part = hungry[hungry["weights"] == kind]
            figures = {c: part[c] / typical for c in ("value", "low", "high")}
            rows.append(part.assign(new=getattr(q, new), **figures))
    return [
        Check(
            label="the hungriest work gains most",
            what="gain of serving 70B and more on the new node over the gain of training there",
            grid=pd.concat(rows, ignore_index=True),
            least=1.0,
        )
    ]


def c24(q: ClaimsQuestion) -> list[Check]:
    """Up to 33B H200 is not worth its price; at 70B and more it gains more."""
    return [
        Check(
            label="no need of H200 up to 30B",
            what="tokens served up to 33B for the same money, H200 over H100",
            grid=upto(per_money(over_h100(q), q.h200_ratios), SMALL_B),
            most=1.0,
            measured=cheaper(
                named(published_serving(q.h200_gpu.id, q.h100_gpu.id), SMALL_NAMES), q.h200_ratios
            ),
        ),
        advantage(q),
    ]


def c26(q: ClaimsQuestion) -> list[Check]:
    """The same rates, and not worse for the money."""
    return [
        Check(
            label="the same rates",
            what="rates of H200 over H100 in each precision",
            grid=exact(
                [
                    (kind, _rate(q.h200_gpu, kind) / _rate(q.h100_gpu, kind))
                    for kind in RATES
                    if _rate(q.h100_gpu, kind)
                ],
                ["format"],
            ),
            least=1.0,
            most=1.0,
        ),
        Check(
            label="worth buying to serve",
            what="tokens served for the same money, H200 over H100",
            grid=per_money(over_h100(q), q.h200_ratios),
            most=1.0,
            measured=cheaper(published_serving(q.h200_gpu.id, q.h100_gpu.id), q.h200_ratios),
        ),
        Check(
            label="worth buying to train",
            what="training for the same money, H200 over H100",
            grid=per_money(_newest(q), q.h200_ratios),
            most=1.0,
            measured=cheaper(published_training(q.h200_gpu.id, q.h100_gpu.id), q.h200_ratios),
        ),
    ]


def _newest(q: ClaimsQuestion) -> pd.DataFrame:
    return training_grid(q, (((q.h200_gpu.id, "bf16"), (q.h100_gpu.id, "bf16")),))


def middle(prices: tuple[float, ...]) -> float:
    """Return the price ratio in the middle of the levels, the higher of two."""
    return sorted(prices)[len(prices) // 2]


def cheaper(seen: pd.DataFrame, prices: tuple[float, ...]) -> pd.DataFrame:
    """Return published speed ratios over the middle price ratio."""
    return seen.assign(value=seen["value"] / middle(prices))


def published_for_money(q: ClaimsQuestion, names: str = "") -> pd.DataFrame:
    """Return published training of H100 over A100 for the same money, of models so named."""
    seen = published_training(q.h100_gpu.id, q.a100_gpu.id)
    return cheaper(named(seen, names) if names else seen, q.h100_ratios)


def _rate(device: Gpu, kind: str) -> float:
    return device.peak_flops(kind) if kind in device.precisions else 0.0
