"""Maps of the settings where a claim holds: two settings across, the others fixed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.topics.claims.audit import Finding
from gpuspec.topics.claims.same import of_same_settings
from gpuspec.topics.claims.verdict import Check, within

AXES: dict[str, tuple[int, str, str, Mapping[str, object]]] = {
    "C01": (0, "model", "seq_len", {"precision": "FP8", "framework": "megatron-core"}),
    "C02": (1, "model", "limit_s", {}),
    "C08": (0, "model", "seq_len", {"precision": "BF16", "framework": "fsdp-compiled"}),
    "C09": (
        *(1, "model", "price"),
        {"precision": "BF16", "seq_len": 4096, "framework": "fsdp-compiled"},
    ),
    "C10": (1, "model", "price", {"weights": "BF16", "context": 2048}),
    "C11": (1, "model", "context", {"weights": "FP8", "gpus": 4}),
    "C12": (0, "model", "context", {"weights": "FP8", "gpus": 1, "answer": 1024}),
    "C06": (0, "algorithm", "compared", {"cells": "16 bit"}),
    "C13": (1, "name", "rival", {}),
    "C15": (0, "model", "context", {"weights": "BF16", "gpus": 4}),
    "C16": (0, "link", "params_b", {}),
    "C18": (0, "context", "requests", {"weights": "FP8"}),
    "C19": (0, "work", "price", {}),
    "C20": (1, "model", "price", {"weights": "BF16", "context": 2048}),
    "C22": (0, "rival", "context", {"gpus": 8, "weights": "FP8"}),
    "C23": (0, "model", "context", {"weights": "BF16", "gpus": 8}),
    "C24": (0, "model", "price", {"weights": "BF16", "gpus": 1}),
    "C25": (0, "model", "context", {"weights": "BF16", "gpus": 1}),
    "C26": (1, "model", "price", {"weights": "BF16", "gpus": 8}),
    "C27": (1, "model", "tp", {"pair": "h100-pcie-80 / h100-sxm-80"}),
}
"""For each claim with a map: the check, down, across, and how the other settings are fixed."""


@dataclass(frozen=True)
class ClaimMap:
    """The estimates of one check over two settings."""

    check: Check
    down: str
    across: str
    fixed: dict[str, object]
    cells: pd.DataFrame
    """Median estimate over the settings that are not fixed; NaN where there is none."""
    holds: pd.DataFrame
    """Where it lies in the range."""
    published: pd.DataFrame
    """Median of the published figures of the same settings; NaN where there are none."""

    @property
    def share(self) -> float:
        """Return the share of the cells in which the statement holds."""
        known = ~np.isnan(self.cells.to_numpy(float))
        return float(self.holds.to_numpy()[known].mean()) if known.any() else float("nan")


def claim_map(finding: Finding, fixed: Mapping[str, object] | None = None) -> ClaimMap:
    """Return the map of a claim.

    `fixed` are settings by column of the grid, over those of `AXES`; a value that the grid lacks
    is replaced by the nearest (numbers) or dropped (words).

    Raises
    ------
    UnknownNameError
        The claim has no map.
    InputError
        No setting of the grid is left.
    """
    name = finding.claim.id
    if name not in AXES:
        raise UnknownNameError("claim", name, AXES)
    place, down, across, usual = AXES[name]
    check = finding.checks[place]
    grid, kept = check.grid, {}
    for column, value in {**usual, **(fixed or {})}.items():
        if column in grid and column not in (down, across):
            grid, kept[column] = _fixed(grid, column, value)
    if grid.empty:
        raise InputError("claim", name, "no setting of its grid is left")
    if down == "model" and "params_b" in grid:
        grid = grid.sort_values("params_b", kind="stable")
    rows = list(dict.fromkeys(grid[down]))
    values = grid.pivot_table("value", down, across, aggfunc=_middle, sort=False)
    values = values.reindex(index=rows, columns=sorted(values.columns))
    holds = values.map(lambda v: bool(within(v, check.least, check.most)))
    published = _published(check, grid, values, across)
    return ClaimMap(check, down, across, kept, values, holds, published)


def _middle(values: "pd.Series[float]") -> float:
    """Return the median; of an even number of values the lower one, so that none is made up."""
    ordered = np.sort(values.to_numpy(float))
    return float(ordered[(len(ordered) - 1) // 2])


def _fixed(grid: pd.DataFrame, column: str, value: object) -> tuple[pd.DataFrame, object]:
    levels = list(dict.fromkeys(grid[column]))
    if value not in levels:
        if not isinstance(value, int | float):
            return grid, "any"
        value = min(levels, key=lambda v: abs(np.log(v / value)))
    return grid[grid[column] == value], value


def _published(check: Check, grid: pd.DataFrame, values: pd.DataFrame, across: str) -> pd.DataFrame:
    """Return the median of the published figures of each cell's own settings."""
    blank = pd.DataFrame(np.nan, index=values.index, columns=values.columns)
    if across not in check.measured:
        return blank
    for cell, part in grid.groupby([values.index.name, across], sort=False):
        seen = of_same_settings(part, check.measured)
        if len(seen):
            blank.loc[cell] = float(seen["value"].median())
    return blank
