"""Hold the model against anybody's measurements: inference, training, collectives, HPC."""

from pathlib import Path
from typing import Any

import pandas as pd

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.constants.stored import stored_errors
from gpuspec.evidence.validation import collectives, hpc, inference, training
from gpuspec.evidence.validation.collectives import held_out_collectives, validate_collectives
from gpuspec.evidence.validation.common import (
    Validation,
    error_table,
    part_of,
    ratio_summary,
    read_table,
    worst,
)
from gpuspec.evidence.validation.hpc import held_out_hpc, validate_hpc
from gpuspec.evidence.validation.inference import (
    compared,
    held_out_inference,
    ratio_table,
    validate_inference,
)
from gpuspec.evidence.validation.training import held_out_training, validate_training

_KINDS = {
    "inference": (inference.COLUMNS, validate_inference, held_out_inference),
    "training": (training.COLUMNS, validate_training, held_out_training),
    "collectives": (collectives.COLUMNS, validate_collectives, held_out_collectives),
    "hpc": (hpc.COLUMNS, validate_hpc, held_out_hpc),
}
"""Columns of a table of each kind, what compares one, and what compares the shipped one."""
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
    try:
        return _KINDS[kind][1](path)
    except InputError as error:
        other = _kind_of(path)
        if other in (None, kind):
            raise
        raise InputError("kind", kind, f"{path} has the columns of {other}") from error


def _kind_of(path: str | Path) -> str | None:
    """Return the kind whose columns a file has, if any."""
    for kind, (columns, *_) in _KINDS.items():
        try:
            read_table(path, columns)
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
    return _KINDS[kind][2]()


def _known(kind: str) -> None:
    if kind not in KINDS:
        raise UnknownNameError("kind", kind, KINDS)
