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
    "expert_factor": 0.4,
    "collective_factor": 0.5,
    "pcie_factor": 1.0,
    "logit_bytes": 1.0,
    "occupancy": 0.1,
    "first_token_ms": 1.0,
}
"""How far, as a factor in log space, a constant may leave its family's before it costs as much
as one source's misfit: few measurements move the constants little."""
MOST_ROWS = 60
"""Rows of one source that a fit looks at; the rest of a long table says the same."""
NOISE = 0.08
"""Log error that published measurements have between themselves (same case, two sources)."""


def era_of(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return the engine era of each prepared row."""
    pairs = rows[["engine", "engine_version"]].drop_duplicates()
    ids = {tuple(p): engine(*p).id for p in pairs.itertuples(index=False)}
    keys = zip(rows["engine"], rows["engine_version"], strict=True)
    return pd.Series([ids[k] for k in keys], rows.index)


def fit_engines(rows: pd.DataFrame, memory: MemoryTerms | None = None) -> dict[str, EngineTerms]:
    """Fit the constants of each era to prepared rows, in log space, near a common centre.

    The centre is fitted first to all rows together; each era then departs from it as far as
    its own rows ask, against a penalty (a hierarchical model by two steps).
    """
    eras = era_of(rows)
    centre = _fit(rows, eras, EngineTerms(), memory)
    return {
        era: _fit(rows.loc[index], eras.loc[index], centre, memory)
        for era, index in sorted(eras.groupby(eras).groups.items())
    }


def _fit(
    rows: pd.DataFrame, eras: "pd.Series[str]", centre: EngineTerms, memory: MemoryTerms | None
) -> EngineTerms:
    from scipy.optimize import least_squares

    rows = thinned(rows)
    eras = eras.loc[rows.index]
    names = list(PRIOR_WIDTH)
    limits = EngineTerms.bounds()
    floor = {n: max(limits[n][1], limits[n][2] * 1e-4) for n in names}
    start = np.log([np.clip(getattr(centre, n), floor[n], limits[n][2]) for n in names])
    low = np.log([floor[n] for n in names]) - 1e-9
    high = np.log([limits[n][2] for n in names]) + 1e-9
    width = np.array([PRIOR_WIDTH[n] for n in names])
    weight = _weights(rows) / NOISE
    measured = np.log(rows["value"].to_numpy(float))
    used = set(eras)

    def terms_of(x: Any) -> EngineTerms:
        values = {n: float(np.clip(np.exp(v), *limits[n][1:])) for n, v in zip(names, x, strict=True)}
        return EngineTerms(**values)

    def residuals(x: Any) -> Any:
        terms = terms_of(x)
        predicted = predicted_inference(rows, {era: terms for era in used}, memory)
        error = np.where(predicted > 0, np.log(np.maximum(predicted, 1e-9)) - measured, 0.0)
        return np.concatenate([_soft(weight * error), (x - start) / width])

    begin = np.clip(start, low + 1e-6, high - 1e-6)
    found = least_squares(residuals, begin, bounds=(low, high), diff_step=1e-3, max_nfev=8)
    values = terms_of(found.x)
    return EngineTerms(**{n: float(f"{v:.3g}") for n, v in values.model_dump().items()})


def thinned(rows: pd.DataFrame) -> pd.DataFrame:
    """Return at most `MOST_ROWS` rows of each source, evenly spread over its table."""
    order = rows.groupby("source_id").cumcount()
    size = rows.groupby("source_id")["value"].transform("size")
    every = np.maximum(np.ceil(size / MOST_ROWS), 1)
    return rows[order % every == 0]


def _soft(error: Any) -> Any:
    """Damp outliers: quadratic up to 2, then linear (pseudo-Huber as a residual)."""
    return np.sign(error) * 2 * np.sqrt(2 * (np.sqrt(1 + (error / 2) ** 2) - 1))


def _weights(rows: pd.DataFrame) -> Any:
    """Weight sources as the square root of their rows: none rules, none is lost."""
    size = rows.groupby("source_id")["value"].transform("size").to_numpy(float)
    return size**-0.25


def held_out_predictions(rows: pd.DataFrame, memory: MemoryTerms | None = None) -> np.ndarray:
    """Return the prediction of each row by a fit that saw no row of its source.

    A source whose era has no other source is predicted with the centre of all eras.
    """
    predicted = np.full(len(rows), np.nan)
    for _, index in rows.groupby("source_id", sort=True).indices.items():
        others = rows.drop(index=rows.index[index])
        wanted = rows.iloc[index]
        eras = set(era_of(wanted))
        rest = others[era_of(others).isin(eras)]
        centre = _fit(others, era_of(others), EngineTerms(), memory)
        terms = {}
        for era in eras:
            own = rest[era_of(rest) == era] if len(rest) else rest
            terms[era] = _fit(own, era_of(own), centre, memory) if len(own) else centre
        predicted[index] = predicted_inference(wanted, terms, memory)
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
