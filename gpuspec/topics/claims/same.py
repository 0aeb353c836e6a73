"""Which published figures are of the same settings as an estimate."""

from functools import lru_cache

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError
from gpuspec.catalog.models import model

SIZE, LENGTH = 1.25, 1.5
"""Factor within which a model, and a number of tokens, count as the same."""
NEAR = {"params_b": SIZE, "context": LENGTH, "answer": LENGTH, "seq_len": LENGTH}
EQUAL = (
    "weights",
    "precision",
    "framework",
    "gpus",
    "gpu",
    "name",
    "algorithm",
    "cells",
    "compared",
    "rival",
)
KNOWN = (
    "params_b",
    "weights",
    "precision",
    "framework",
    "name",
    "rival",
    "algorithm",
    "cells",
    "compared",
)
"""Settings that a figure must name where a grid has them; others only count where it does."""


def of_same_settings(grid: pd.DataFrame, seen: pd.DataFrame) -> pd.DataFrame:
    """Return the published figures whose settings are those of some row of a grid.

    Words and counts are equal, sizes and lengths near. `seen` names its models; a figure that does
    not say a setting of `KNOWN` is left out. Adds ``there``: the median of the grid's
    estimates of these settings, where it has any.
    """
    if seen.empty:
        return seen
    if "model" in seen and "params_b" in grid:
        seen = seen.assign(params_b=[_billions(str(name)) for name in seen["model"]])
    asked = [c for c in (*NEAR, *EQUAL) if c in grid and (c in seen or c in KNOWN)]
    if not asked or any(c not in seen for c in asked):
        return seen.iloc[:0]
    rows = grid[asked]
    like: np.ndarray = np.ones((len(seen), len(rows)), bool)
    for column in asked:
        known, setting = seen[column].to_numpy(), rows[column].to_numpy()
        if column in NEAR:
            gap = np.log(known.astype(float)[:, None] / setting.astype(float)[None, :])
            like &= ~(np.abs(gap) > np.log(NEAR[column]) + 1e-9)  # a length may be unknown
            like &= ~np.isnan(gap) if column in KNOWN else True
        else:
            like &= known[:, None] == setting[None, :]
    kept = np.flatnonzero(like.any(axis=1))
    seen = seen.iloc[kept].reset_index(drop=True)
    if "value" not in grid:
        return seen
    estimates = grid["value"].to_numpy(float)
    return seen.assign(there=[float(np.median(estimates[like[place]])) for place in kept])


@lru_cache(512)
def _billions(name: str) -> float:
    try:
        return model(name).params / 1e9
    except InputError:
        return float("nan")
