"""Fit the constants of inference engines to published throughput and latency.

Whole sources are held out together: the error that is stated for a source is that of a fit
which saw none of its rows.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.calibration.hierarchy import Hierarchy, fitted, held_out
from gpuspec.inference import EngineTerms, engine
from gpuspec.measurements.inference import METRICS, predicted_inference
from gpuspec.memory import MemoryTerms

PRIOR_WIDTH = {
    "iteration_us": 1.0,
    "sequence_us": 1.0,
    "layer_us": 0.7,
    "matmul_factor": 0.05,
    "attention_factor": 0.25,
    "grouped_factor": 0.35,
    "fp8_cache_factor": 0.15,
    "expert_factor": 0.4,
    "expert_fp8_factor": 0.4,
    "collective_start_factor": 0.5,
    "collective_factor": 0.3,
    "pcie_factor": 0.7,
    "pcie_far_factor": 0.7,
    "logit_bytes": 1.0,
    "occupancy": 0.1,
    "reserve_gb": 1.0,
    "first_token_ms": 1.0,
    "burst": 0.7,
}
"""How far, as a factor in log space, a constant may leave its family's before it costs as much
as one source's misfit: few measurements move the constants little."""
ERA_WIDTH = 0.5
"""The same between the eras of one engine, as a share: they differ less than two engines."""
NOISE = 0.08
"""Log error that published measurements have between themselves (same case, two sources)."""


def era_of(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return the engine era of each prepared row."""
    pairs = rows[["engine", "engine_version"]].drop_duplicates()
    ids = {tuple(p): engine(*p).id for p in pairs.itertuples(index=False)}
    keys = zip(rows["engine"], rows["engine_version"], strict=True)
    return pd.Series([ids[k] for k in keys], rows.index)


class _Runs:
    """Rows of inference with the memory that their engines plan with."""

    def __init__(self, rows: pd.DataFrame, memory: MemoryTerms | None) -> None:
        self.rows, self.memory = rows, memory

    def everything(self, terms: Mapping[str, Any]) -> np.ndarray:
        """Return the predicted value of each row."""
        return predicted_inference(self.rows, terms, self.memory)

    def part(self, chosen: np.ndarray) -> Callable[[Any], np.ndarray]:
        """Return the values of the `chosen` rows as a function of one engine's constants."""
        rows = self.rows[chosen]
        eras = set(era_of(rows))
        return lambda terms: predicted_inference(rows, dict.fromkeys(eras, terms), self.memory)


def _family(era: str) -> str:
    """Return the engine of an era: ``tensorrt-llm-0.5`` and ``tensorrt-llm-1`` are one."""
    return era.rsplit("-", 1)[0] if era[-1].isdigit() else era


def _engines(memory: MemoryTerms | None) -> Hierarchy:
    return Hierarchy(
        terms=EngineTerms,
        widths=PRIOR_WIDTH,
        predictor=lambda rows: _Runs(rows, memory),
        measured=lambda rows: rows["value"].to_numpy(float),
        member=era_of,
        family=_family,
        noise=NOISE,
        member_width=ERA_WIDTH,
        linear=True,
    )


def fit_engines(rows: pd.DataFrame, memory: MemoryTerms | None = None) -> dict[str, EngineTerms]:
    """Fit the constants of each era to prepared rows, in log space (a hierarchical model)."""
    return fitted(_engines(memory), rows)


def held_out_predictions(rows: pd.DataFrame, memory: MemoryTerms | None = None) -> np.ndarray:
    """Return the prediction of each row by a fit that saw no row of its source.

    A source whose era has no other source is predicted with the centre of all eras. The
    derivatives around which the fits are made come from all rows; the fits do not.
    """
    return held_out(_engines(memory), rows)


def quantity(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return what each row measures: throughput, ttft, tpot or latency."""
    return rows["metric"].map(METRICS)
