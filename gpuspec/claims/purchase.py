"""Checks of claims on value for money: speed over price, both relative."""

from functools import lru_cache

import numpy as np
import pandas as pd

from gpuspec.catalog import Gpu
from gpuspec.claims.inference import advantage, over_a100, over_h100
from gpuspec.claims.machines import exact
from gpuspec.claims.question import LARGE_B, SMALL_B, ClaimsQuestion
from gpuspec.claims.speeds import training_grid
from gpuspec.claims.training import training_pairs
from gpuspec.claims.verdict import Check

HUNDRED_BILLION = 100.0
TWICE = 2.0
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
    return per_money(training_pairs(q), q.h100_prices)


def c09(q: ClaimsQuestion) -> list[Check]:
    """Training per money: H100 ahead from 70B, A100 ahead up to 33B."""
    grid = trained_for_money(q)
    return [
        Check(
            what="training of 70B and more for the same money, H100 over A100, above 1",
            grid=from_size(grid, LARGE_B),
            least=1.0,
        ),
        Check(
            what="training up to 33B for the same money, H100 over A100, below 1",
            grid=upto(grid, SMALL_B),
            most=1.0,
        ),
    ]


def c10(q: ClaimsQuestion) -> list[Check]:
    """Train on H100, serve on A100, each per money."""
    return [
        Check(
            what="training for the same money, H100 over A100, above 1",
            grid=trained_for_money(q),
            least=1.0,
        ),
        Check(
            what="tokens served for the same money, H100 over A100, below 1",
            grid=per_money(over_a100(q), q.h100_prices),
            most=1.0,
        ),
    ]


def c20(q: ClaimsQuestion) -> list[Check]:
    """A100 up to 33B: training and serving per money."""
    return [
        Check(
            what="training up to 33B for the same money, H100 over A100, below 1",
            grid=upto(trained_for_money(q), SMALL_B),
            most=1.0,
        ),
        Check(
            what="tokens served up to 33B for the same money, H100 over A100, below 1",
            grid=upto(per_money(over_a100(q), q.h100_prices), SMALL_B),
            most=1.0,
        ),
    ]


def c21(q: ClaimsQuestion) -> list[Check]:
    """H100 at a hundred billion and more: well above A100, and not behind H200 per money."""
    newest = training_grid(q, (((q.h200.id, "bf16"), (q.h100.id, "bf16")),))
    return [
        Check(
            what="training of 100B and more, H100 over A100, at least twice",
            grid=from_size(training_pairs(q), HUNDRED_BILLION),
            least=TWICE,
        ),
        Check(
            what="training of 100B and more for the same money, H200 over H100, below 1",
            grid=from_size(per_money(newest, q.h200_prices), HUNDRED_BILLION),
            most=1.0,
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
            rows.append(part.assign(new=getattr(q, new).id, **figures))
    return [
        Check(
            what="gain of serving 70B and more on the new node over the gain of training there",
            grid=pd.concat(rows, ignore_index=True),
            least=1.0,
        )
    ]


def c24(q: ClaimsQuestion) -> list[Check]:
    """Up to 33B H200 is not worth its price; at 70B and more it gains more."""
    return [
        Check(
            what="tokens served up to 33B for the same money, H200 over H100, below 1",
            grid=upto(per_money(over_h100(q), q.h200_prices), SMALL_B),
            most=1.0,
        ),
        advantage(q),
    ]


def c26(q: ClaimsQuestion) -> list[Check]:
    """The same rates, and not worse for the money."""
    return [
        Check(
            what="rates of H200 over H100 in each precision",
            grid=exact(
                [
                    (kind, _rate(q.h200, kind) / _rate(q.h100, kind))
                    for kind in RATES
                    if _rate(q.h100, kind)
                ],
                ["format"],
            ),
            least=1.0,
            most=1.0,
        ),
        Check(
            what="tokens served for the same money, H200 over H100, below 1",
            grid=per_money(over_h100(q), q.h200_prices),
            most=1.0,
        ),
    ]


def _rate(device: Gpu, kind: str) -> float:
    return device.peak_flops(kind) if kind in device.precisions else 0.0
