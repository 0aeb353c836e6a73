"""Hold the model against anybody's measurements: inference, training, collectives, HPC."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.constants.stored import held_out as stored_predictions
from gpuspec.constants.stored import stored_errors
from gpuspec.evidence.measurements.rows import measurements
from gpuspec.evidence.validation.collectives import COLLECTIVES
from gpuspec.evidence.validation.common import (
    Validation,
    checked,
    error_table,
    left_out,
    nothing,
    part_of,
    ratio_summary,
    read_table,
    worst,
)
from gpuspec.evidence.validation.hpc import HPC
from gpuspec.evidence.validation.inference import INFERENCE
from gpuspec.evidence.validation.training import TRAINING

_KINDS = {"inference": INFERENCE, "training": TRAINING, "collectives": COLLECTIVES, "hpc": HPC}
KINDS = tuple(_KINDS)
"""What may have been measured."""
SPLITS = {
    "inference": ("quantity", "gpu", "era", "model"),
    "training": ("framework", "gpu", "model", "precision"),
    "collectives": ("operation", "link", "size", "reach"),
    "hpc": ("workload", "gpu", "kind", "how"),
}
"""Columns by which a reader sees the errors of each kind, the most telling first."""


def validate(path: str | Path, kind: str = "inference") -> Validation:
    """Compare predictions with the measurements in a CSV file.

    Parameters
    ----------
    path : str or Path
        A table with the columns that ``docs/validation.md`` lists for the kind.
    kind : str
        ``inference``, ``training``, ``collectives`` or ``hpc``.

    Raises
    ------
    InputError
        When the kind is unknown, the file cannot be read or lacks a column. Rows that cannot
        be used are listed in ``skipped`` with their line.
    """
    _known(kind)
    of = _KINDS[kind]
    try:
        raw, reasons = checked(path, of)
    except InputError as error:
        other = _kind_of(path)
        if other in (None, kind):
            raise
        raise InputError("kind", kind, f"{path} has the columns of {other}") from error
    rows = of.named(raw[reasons == ""])
    return _comparison(kind, raw, reasons, rows, of.predicted, of.silent)


def _comparison(
    kind: str,
    raw: pd.DataFrame,
    reasons: "pd.Series[str]",
    rows: pd.DataFrame,
    predict: Callable[[pd.DataFrame], Any],
    silent: str,
) -> Validation:
    """Compare those of `rows` that can be predicted; the others of `raw` have their reason."""
    of = _KINDS[kind]
    reasons[rows.index] = of.skipped(rows)
    rows = of.prepared(rows[reasons[rows.index] == ""].reset_index(drop=True))
    rows["predicted"] = predict(rows) if len(rows) else 0.0
    good = rows["predicted"] > 0
    reasons[raw["line"].isin(rows.loc[~good, "line"])] = silent
    rows = of.compared(rows[good].reset_index(drop=True))
    return Validation(rows, left_out(raw, reasons), of.ratios(rows), kind)


def _kind_of(path: str | Path) -> str | None:
    """Return the kind whose columns a file has, if any."""
    for kind, of in _KINDS.items():
        try:
            read_table(path, of.columns)
        except InputError:
            continue
        return kind
    return None


def validation_of(measurements: str | Path = "", kind: str = "inference") -> Validation:
    """Return `validate` of a file, or `held_out` where no file is given.

    Raises
    ------
    InputError
        As `validate`; also when no row of the file can be used, with the first reason.
    """
    if not str(measurements):
        return held_out(kind)
    comparison = validate(measurements, kind)
    if comparison.rows.empty:
        first = comparison.skipped[["line", "reason"]].head(1).to_records(index=False).tolist()
        why = "".join(f"; line {line}: {reason}" for line, reason in first)
        raise InputError("measurements", str(measurements), f"none of its rows can be used{why}")
    return comparison


def stated_errors(kind: str = "inference") -> pd.DataFrame:
    """Return the held-out errors behind the intervals of a kind."""
    _known(kind)
    names = ["rows", "sources", "median_error", "p90_error", "low", "high", "coverage"]
    return stored_errors(kind)[names]


def held_out(kind: str = "inference") -> Validation:
    """Return the shipped measurements beside predictions by fits that left out their source."""
    _known(kind)
    raw, predictions = measurements(kind), stored_predictions(kind)
    raw.insert(0, "line", np.arange(len(raw)) + 2)

    def predict(rows: pd.DataFrame) -> Any:
        return rows["case_id"].map(predictions)

    return _comparison(kind, raw, nothing(raw), raw, predict, _KINDS[kind].unstored)


def _known(kind: str) -> None:
    if kind not in KINDS:
        raise UnknownNameError("kind", kind, KINDS)
