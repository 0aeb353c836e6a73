"""Fit the constants of inference engines to published throughput and latency.

Whole sources are held out together: the error that is stated for a source is that of a fit
which saw none of its rows.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.inference import EngineTerms, engine
from gpuspec.measurements.inference import METRICS, predicted_inference, prepared
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

STEP = 0.02
Points = dict[str, np.ndarray]
NAMES = list(PRIOR_WIDTH)
WIDTH = np.array(list(PRIOR_WIDTH.values()))
LIMITS = EngineTerms.bounds()
_FLOOR = {n: max(LIMITS[n][1], LIMITS[n][2] * 1e-4) for n in NAMES}
LOW = np.log([_FLOOR[n] for n in NAMES]) - 1e-9
HIGH = np.log([LIMITS[n][2] for n in NAMES]) + 1e-9


def era_of(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return the engine era of each prepared row."""
    pairs = rows[["engine", "engine_version"]].drop_duplicates()
    ids = {tuple(p): engine(*p).id for p in pairs.itertuples(index=False)}
    keys = zip(rows["engine"], rows["engine_version"], strict=True)
    return pd.Series([ids[k] for k in keys], rows.index)


class _Linear:
    """Log errors of rows as linear functions of the log constants around a point.

    A fit of the constants looks at the same rows thousands of times: their derivatives are
    taken once, so that leaving out each source in turn costs no more predictions.
    """

    def __init__(
        self, rows: pd.DataFrame, points: Mapping[str, np.ndarray], memory: MemoryTerms | None
    ) -> None:
        eras = era_of(rows).to_numpy()
        measured = np.log(rows["value"].to_numpy(float))

        def error(step: int | None) -> np.ndarray:
            moved = {e: x + (STEP * (np.arange(len(x)) == step)) for e, x in points.items()}
            terms = {e: _terms(x) for e, x in moved.items()}
            predicted = predicted_inference(rows, terms, memory)
            return np.asarray(np.log(np.maximum(predicted, 1e-9)) - measured)

        self.eras, self.points = eras, np.array([points[e] for e in eras])
        self.start = error(None)
        self.usable = np.abs(self.start) < 8  # a row that does not fit memory teaches nothing
        columns = [(error(n) - self.start) / STEP for n in range(len(NAMES))]
        self.slope = np.column_stack(columns)
        self.weight = _weights(rows)

    def fit(self, chosen: np.ndarray, centre: np.ndarray, width: float = 1.0) -> np.ndarray:
        """Return the log constants that fit the `chosen` rows, near `centre`."""
        from scipy.optimize import least_squares

        use = chosen & self.usable
        start, slope, points = self.start[use], self.slope[use], self.points[use]
        weight = self.weight[use]

        def residuals(x: np.ndarray) -> np.ndarray:
            error = start + np.einsum("ij,ij->i", slope, x - points)
            return np.concatenate([weight * _soft(error / NOISE), (x - centre) / (WIDTH * width)])

        begin = np.clip(centre, LOW + 1e-6, HIGH - 1e-6)
        return np.asarray(least_squares(residuals, begin, bounds=(LOW, HIGH)).x)


def _terms(x: np.ndarray) -> EngineTerms:
    values = (float(np.clip(np.exp(v), *LIMITS[n][1:])) for n, v in zip(NAMES, x, strict=True))
    return EngineTerms(**dict(zip(NAMES, values, strict=True)))


def _logs(terms: EngineTerms) -> np.ndarray:
    return np.clip(np.log([max(getattr(terms, n), 1e-9) for n in NAMES]), LOW, HIGH)


def _engine(era: str) -> str:
    """Return the engine of an era: ``tensorrt-llm-0.5`` and ``tensorrt-llm-1`` are one."""
    return era.rsplit("-", 1)[0] if era[-1].isdigit() else era


def _fitted(linear: _Linear, chosen: np.ndarray, eras: set[str], start: np.ndarray) -> Points:
    """Return the constants of `eras` from the `chosen` rows: all, then the engine's, then its own.

    Each level is drawn to the one above it, so that few rows move it little.
    """
    centre = linear.fit(chosen, start)
    engines = np.array([_engine(e) for e in linear.eras])
    found = {}
    for era in sorted(eras):
        family, own = chosen & (engines == _engine(era)), chosen & (linear.eras == era)
        middle = linear.fit(family, centre) if family.any() else centre
        found[era] = linear.fit(own, middle, ERA_WIDTH) if own.any() else middle
    return found


def _linearized(rows: pd.DataFrame, memory: MemoryTerms | None) -> tuple[_Linear, Points]:
    """Return the rows around their eras' constants, and those constants."""
    names = sorted(set(era_of(rows)))
    centre = _logs(EngineTerms())
    everything = np.ones(len(rows), bool)
    first = _Linear(rows, dict.fromkeys(names, centre), memory)
    centre = first.fit(everything, centre)
    second = _Linear(rows, dict.fromkeys(names, centre), memory)
    points = _fitted(second, everything, set(names), centre)
    return _Linear(rows, points, memory), points


def fit_engines(rows: pd.DataFrame, memory: MemoryTerms | None = None) -> dict[str, EngineTerms]:
    """Fit the constants of each era to prepared rows, in log space (a hierarchical model)."""
    linear, points = _linearized(rows, memory)
    everything = np.ones(len(rows), bool)
    fitted = _fitted(linear, everything, set(points), _logs(EngineTerms()))
    return {e: _rounded(_terms(x)) for e, x in fitted.items()}


def _rounded(terms: EngineTerms) -> EngineTerms:
    return EngineTerms(**{n: float(f"{v:.3g}") for n, v in terms.model_dump().items()})


def _soft(error: Any) -> Any:
    """Damp outliers: quadratic up to 1, then linear (pseudo-Huber as a residual)."""
    return np.sign(error) * np.sqrt(2 * (np.sqrt(1 + error**2) - 1))


def _weights(rows: pd.DataFrame) -> Any:
    """Weigh sources as the square root of their rows: none rules, none is lost."""
    size = rows.groupby("source_id")["value"].transform("size").to_numpy(float)
    return size**-0.25


def held_out_predictions(rows: pd.DataFrame, memory: MemoryTerms | None = None) -> np.ndarray:
    """Return the prediction of each row by a fit that saw no row of its source.

    A source whose era has no other source is predicted with the centre of all eras. The
    derivatives around which the fits are made come from all rows; the fits do not.
    """
    linear, _ = _linearized(rows, memory)
    sources = rows["source_id"].to_numpy()
    predicted = np.full(len(rows), np.nan)
    for source in sorted(set(sources)):
        own = sources == source
        found = _fitted(linear, ~own, set(linear.eras[own]), _logs(EngineTerms()))
        terms = {era: _terms(x) for era, x in found.items()}
        predicted[own] = predicted_inference(rows[own], terms, memory)
    return predicted


def quantity(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return what each row measures: throughput, ttft, tpot or latency."""
    return rows["metric"].map(METRICS)


__all__ = [
    "Mapping",
    "era_of",
    "fit_engines",
    "held_out_predictions",
    "prepared",
    "quantity",
]
