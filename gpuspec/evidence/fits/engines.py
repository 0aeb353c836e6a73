"""Fit the constants of inference engines to published throughput and latency.

What belongs to a GPU's generation is fitted jointly with what belongs to an engine's era. Whole
publishers are held out together: the error that is stated for a publisher is that of a fit which
saw none of its rows.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.catalog import gpu, table_rows
from gpuspec.constants.engine import EngineTerms, version_number
from gpuspec.constants.kernels import generation_of
from gpuspec.constants.memory import MemoryTerms
from gpuspec.constants.stored import Stored
from gpuspec.constants.terms import GenerationTerms, Terms
from gpuspec.evidence.fits.hierarchy import (
    Constants,
    Crossed,
    Fit,
    Hierarchy,
    fitted_both,
    held_out,
)
from gpuspec.evidence.fits.proportional import fitting
from gpuspec.evidence.measurements.inference import (
    METRICS,
    TUNED,
    Call,
    calls,
    era_of,
    generations_of,
    predicted_call,
    predicted_inference,
)
from gpuspec.evidence.measurements.rows import known_model

PRIOR_WIDTH = {
    "iteration_us": 1.0,
    "sequence_us": 1.5,
    "layer_us": 0.3,
    "expert_layer_us": 1.0,
    "eager_layer_us": 0.4,
    "eager_expert_us": 0.7,
    "attention_factor": 0.08,
    "grouped_factor": 0.12,
    "fp8_cache_factor": 0.08,
    "expert_factor": 0.08,
    "expert_small_factor": 0.08,
    "collective_start_factor": 0.3,
    "collective_factor": 0.2,
    "pcie_factor": 0.4,
    "pcie_far_factor": 0.4,
    "request_ms": 0.7,
    "prompt_us": 0.7,
    "stream_us": 0.5,
    "logit_bytes": 0.5,
    "occupancy": 0.08,
    "reserve_gb": 0.6,
}
"""How far, as a factor in log space, a constant may leave its family's before it costs as much
as one publisher's misfit: few measurements move the constants little."""
ERA_WIDTH = 0.7
"""The same between the eras of one family, as a share: they differ less than two families."""
CENTRE_WIDTH = 0.15
"""The same of the centre of all engines, from where the constants start: what one engine's host
takes says little of another's, and kernels are timed."""
TUNED_WIDTH = 1.5
"""The same of kernels of experts, which an era tunes that another left as they were."""
GENERATION_WIDTH = {
    "matmul_factor": 0.08,
    "attention_factor": 0.08,
    "expert_factor": 0.05,
    "host_factor": 0.3,
}
"""The same of the constants of a generation of GPUs, from 1."""
LESS_TRUST = 0.3
"""How much a time to first token under load counts, which also holds the queue that the pattern of
arrivals makes; and the largest throughput of a mixture of experts whose layout is not said, which
is read as the best of several."""
ALIKE = 6
"""Rows of one publisher, engine, GPU, model, format and figure that a fit learns from."""
NOISE = 0.15
"""Log error that published measurements have between themselves (same case, two publishers)."""


def _seconds(rows: pd.DataFrame, value: np.ndarray) -> np.ndarray:
    """Return figures as times: a throughput as the seconds of one token."""
    with np.errstate(divide="ignore"):
        return np.where(quantity(rows) == "throughput", 1 / value, value)


class _Runs:
    """Rows of inference with the memory that their engines plan with; figures as times."""

    def __init__(self, rows: pd.DataFrame, memory: MemoryTerms | None) -> None:
        self.rows, self.memory, self.calls = rows, memory, calls(rows)

    def everything(
        self, terms: Mapping[str, EngineTerms], crossed: Mapping[str, Terms] | None = None
    ) -> np.ndarray:
        """Return the predicted seconds of each row."""
        silicon = {n: one for n, one in (crossed or {}).items() if isinstance(one, GenerationTerms)}
        return _seconds(
            self.rows, predicted_inference(self.rows, terms, self.memory, silicon, self.calls)
        )

    def part(self, chosen: np.ndarray) -> Callable[[EngineTerms], np.ndarray]:
        """Return the seconds of the `chosen` rows as a function of one engine's constants."""
        part = _Runs(self.rows[chosen], self.memory)
        eras = set(era_of(part.rows))
        return lambda terms: part.everything(dict.fromkeys(eras, terms))


class Together:
    """Rows of inference that are predicted with several sets of constants in one go.

    A call of the formulas costs about the same for one row as for a hundred, so each row stands
    there once for each set, with its constants beside it.
    """

    def __init__(self, memory: MemoryTerms | None) -> None:
        self.memory = memory
        self.planned: list[tuple[Call, str]] = []
        self.rows = pd.DataFrame()

    def __call__(self, rows: pd.DataFrame, several: Sequence[Constants]) -> np.ndarray:
        """Return the predicted seconds of each row for each set of constants."""
        if rows is not self.rows:
            self.rows = rows
            self.planned = [(call, generation_of(call.ways[0].gpu)) for call in calls(rows)]
        found = np.zeros((len(several), len(rows)))
        for call, generation in self.planned:
            size = len(call.places)
            engines = EngineTerms.model_construct(
                **_columns([eras[call.era.id] for eras, _ in several], size)
            )
            silicon = GenerationTerms.model_construct(
                **_columns([groups[generation] for _, groups in several], size)
            )
            tiled = call.rows.iloc[np.tile(np.arange(size), len(several))]
            predicted = predicted_call(call._replace(rows=tiled), engines, silicon, self.memory)
            seconds = _seconds(tiled, predicted)
            found[:, call.places] = seconds.reshape(len(several), size)
        return found


def _columns(several: Sequence[Terms], size: int) -> dict[str, Any]:
    """Return the constants of several records; those that differ repeated for `size` rows each."""
    found: dict[str, Any] = {}
    for name in type(several[0]).model_fields:
        values = [getattr(one, name) for one in several]
        same = len(set(values)) == 1
        found[name] = values[0] if same else np.repeat(np.array(values), size)
    return found


@cache
def _families() -> dict[str, str]:
    """Return the family of each era: the engine, or a rewrite of it."""
    return {row["id"]: row["family"] for row in table_rows("engines")}


def _trust(rows: pd.DataFrame) -> np.ndarray:
    """Return how much rows count: less where a queue, or an unknown layout, is part of them.

    And on GPUs of another maker, whose kernels are not those that were timed.
    """
    queued = (quantity(rows) == "ttft") & (rows["scenario"] == "serving")
    guessed = (rows["ep"] == TUNED) & (rows["tp"] > 1) & (rows["model"].map(_experts) > 0)
    guessed &= rows["scenario"] == "inflight_max"
    other = rows["gpu"].map(lambda name: gpu(name).vendor != "NVIDIA")
    return np.where(queued | guessed | other, LESS_TRUST, 1.0)


@cache
def _experts(name: str) -> int:
    return known_model(name).experts


def thinned(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that a fit learns from: at most `ALIKE` of those that differ in load alone.

    They are spread evenly over the loads. Arrivals at random are left out: each takes a simulation,
    and what it adds to a load that is always in flight is the queue.
    """
    apart = rows["request_rate"].notna() | (rows["scenario"] == "disaggregated")
    load = rows[~apart].sort_values(
        ["isl", "osl", "batch_size", "concurrency", "tp"], kind="stable"
    )
    kinds = [era_of(load), quantity(load), load["publisher"]]
    kinds += [load[name] for name in ("gpu", "model", "weight_precision", "scenario")]
    place = load.groupby(kinds).cumcount()
    size = place.groupby(kinds).transform("size")
    kept = np.minimum(size, ALIKE)
    chosen = (place * kept // size) != ((place - 1) * kept // size)
    return rows.loc[load.index[chosen].sort_values()].reset_index(drop=True)


def engine_fit(rows: pd.DataFrame, memory: MemoryTerms | None = None) -> Fit[EngineTerms]:
    """Return a fit of the constants of eras and of generations of GPUs to prepared rows."""
    return fitting(
        Hierarchy(
            terms=EngineTerms,
            widths=PRIOR_WIDTH,
            predictor=lambda rows: _Runs(rows, memory),
            measured=lambda rows: _seconds(rows, rows["value"].to_numpy(float)),
            member=era_of,
            family=_families().__getitem__,
            noise=NOISE,
            member_width=np.array(
                [TUNED_WIDTH if "expert_" in n else ERA_WIDTH for n in PRIOR_WIDTH]
            ),
            centre_width=CENTRE_WIDTH,
            proportional=True,
            many=Together(memory),
            crossed=Crossed(GenerationTerms, GENERATION_WIDTH, generations_of),
            trust=_trust,
        ),
        thinned(rows),
    )


def fit_engines(
    fit: Fit[EngineTerms],
) -> tuple[dict[str, EngineTerms], dict[str, GenerationTerms]]:
    """Return the constants of each era and of each generation of GPUs from all rows."""
    eras, generations = fitted_both(fit, _families())
    return eras, {n: one for n, one in generations.items() if isinstance(one, GenerationTerms)}


def held_out_predictions(fit: Fit[EngineTerms], rows: pd.DataFrame | None = None) -> np.ndarray:
    """Return the prediction of each of `rows` by a fit that saw no row of its publisher.

    A publisher whose era nobody else measured is predicted with the centre of the engine's other
    eras, or of all. The shares of the constants around which the fits are made come from all rows;
    the fits do not.
    """
    rows = fit.rows if rows is None else rows
    return _seconds(rows, held_out(fit, rows=rows))


def with_versions(entries: Stored, rows: pd.DataFrame) -> Stored:
    """Return the stored entries of eras, each with the newest version that was measured of it."""
    found = pd.DataFrame({"era": era_of(rows), "version": rows["engine_version"]})
    newest: dict[str, str] = {}
    for era, version in found.drop_duplicates().itertuples(index=False):
        if version_number(version) > version_number(newest.get(era, "")):
            newest[era] = version
    return {era: {**one, "newest_version": newest.get(era, "")} for era, one in entries.items()}


def quantity(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return what each row measures: throughput, ttft, tpot or latency."""
    return rows["metric"].map(METRICS)
