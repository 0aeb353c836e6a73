"""Fit the constants of inference engines to published throughput and latency.

Whole sources are held out together: the error that is stated for a source is that of a fit
which saw none of its rows.
"""

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import pandas as pd

from gpuspec.catalog.models import model
from gpuspec.constants.engine import EngineTerms
from gpuspec.constants.memory import MemoryTerms
from gpuspec.evidence.fits.hierarchy import Fit, Hierarchy, fitted, held_out
from gpuspec.evidence.fits.proportional import fitting
from gpuspec.evidence.measurements.inference import (
    LAYOUT,
    METRICS,
    era_of,
    layout,
    predicted_inference,
)

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
}
"""How far, as a factor in log space, a constant may leave its family's before it costs as much
as one source's misfit: few measurements move the constants little."""
ERA_WIDTH = 0.5
"""The same between the eras of one engine, as a share: they differ less than two engines."""
NOISE = 0.08
"""Log error that published measurements have between themselves (same case, two sources)."""


def _seconds(rows: pd.DataFrame, value: np.ndarray) -> np.ndarray:
    """Return figures as times: a throughput as the seconds of one token."""
    with np.errstate(divide="ignore"):
        return np.where(quantity(rows) == "throughput", 1 / value, value)


def touched(rows: pd.DataFrame, name: str) -> np.ndarray:
    """Return which prepared rows a constant can move at all."""
    split = (rows["tp"] > 1) | (rows["pp"] > 1)
    only = {
        "fp8_cache_factor": lambda: rows["kv_precision"] != "bf16",
        "expert_factor": lambda: rows["model"].map(_experts) > 0,
        "expert_fp8_factor": lambda: rows["model"].map(_experts) > 0,
        "collective_start_factor": lambda: split & _over_nvlink(rows),
        "collective_factor": lambda: split & _over_nvlink(rows),
        "pcie_factor": lambda: split & ~_over_nvlink(rows),
        "pcie_far_factor": lambda: split & ~_over_nvlink(rows),
        "occupancy": lambda: rows["scenario"] == "inflight_max",
        "reserve_gb": lambda: rows["scenario"].isin(("inflight_max", "serving")),
    }
    moved = only[name]() if name in only else np.ones(len(rows), bool)
    return np.asarray(moved, bool)


@cache
def _experts(name: str) -> int:
    return model(name).experts


def _over_nvlink(rows: pd.DataFrame) -> "pd.Series[bool]":
    shapes = [layout(*row) for row in rows[LAYOUT].itertuples(index=False)]
    return pd.Series([s.kernels.over_nvlink(max(s.tp, 2)) for s in shapes], rows.index)


class _Runs:
    """Rows of inference with the memory that their engines plan with; figures as times."""

    def __init__(self, rows: pd.DataFrame, memory: MemoryTerms | None) -> None:
        self.rows, self.memory = rows, memory

    def everything(self, terms: Mapping[str, EngineTerms]) -> np.ndarray:
        """Return the predicted seconds of each row."""
        return _seconds(self.rows, predicted_inference(self.rows, terms, self.memory))

    def part(self, chosen: np.ndarray) -> Callable[[EngineTerms], np.ndarray]:
        """Return the seconds of the `chosen` rows as a function of one engine's constants."""
        part = _Runs(self.rows[chosen], self.memory)
        eras = set(era_of(part.rows))
        return lambda terms: part.everything(dict.fromkeys(eras, terms))


def _family(era: str) -> str:
    """Return the engine of an era: ``tensorrt-llm-0.5`` and ``tensorrt-llm-1`` are one."""
    return era.rsplit("-", 1)[0] if era[-1].isdigit() else era


def engine_fit(rows: pd.DataFrame, memory: MemoryTerms | None = None) -> Fit[EngineTerms]:
    """Return a fit of the constants of each era to prepared rows (a hierarchical model)."""
    return fitting(
        Hierarchy(
            terms=EngineTerms,
            widths=PRIOR_WIDTH,
            predictor=lambda rows: _Runs(rows, memory),
            measured=lambda rows: _seconds(rows, rows["value"].to_numpy(float)),
            member=era_of,
            family=_family,
            noise=NOISE,
            member_width=ERA_WIDTH,
            proportional=True,
            touched=touched,
        ),
        rows,
    )


def fit_engines(fit: Fit[EngineTerms]) -> dict[str, EngineTerms]:
    """Return the constants of each era from all rows."""
    return fitted(fit)


def held_out_predictions(fit: Fit[EngineTerms]) -> np.ndarray:
    """Return the prediction of each row by a fit that saw no row of its source.

    A source whose era has no other source is predicted with the centre of all eras. The
    shares of the constants around which the fits are made come from all rows; the fits do not.
    """
    return _seconds(fit.rows, held_out(fit))


def quantity(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return what each row measures: throughput, ttft, tpot or latency."""
    return rows["metric"].map(METRICS)
