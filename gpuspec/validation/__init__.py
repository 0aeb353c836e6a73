"""Hold the model against anybody's measurements: inference, training, collectives, HPC."""

from pathlib import Path
from typing import Any

import pandas as pd

from gpuspec.errors import UnknownNameError
from gpuspec.validation import collectives, hpc, inference, training
from gpuspec.validation.collectives import held_out_collectives, validate_collectives
from gpuspec.validation.common import (
    PLACES,
    Validation,
    error_table,
    ratio_summary,
    read_table,
    worst,
)
from gpuspec.validation.hpc import held_out_hpc, validate_hpc
from gpuspec.validation.inference import (
    compared,
    held_out_inference,
    ratio_table,
    validate_inference,
)
from gpuspec.validation.training import held_out_training, validate_training

_VALIDATE = {
    "inference": validate_inference,
    "training": validate_training,
    "collectives": validate_collectives,
    "hpc": validate_hpc,
}
_HELD_OUT = {
    "inference": held_out_inference,
    "training": held_out_training,
    "collectives": held_out_collectives,
    "hpc": held_out_hpc,
}
_COLUMNS = {
    "inference": inference.COLUMNS,
    "training": training.COLUMNS,
    "collectives": collectives.COLUMNS,
    "hpc": hpc.COLUMNS,
}
KINDS = tuple(_VALIDATE)
"""What may have been measured."""


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
    return _VALIDATE[kind](path)


def held_out(kind: str = "inference") -> Validation:
    """Return the shipped measurements beside predictions by fits that left out their source."""
    _known(kind)
    return _HELD_OUT[kind]()


def read_measurements(
    path: str | Path, kind: str = "inference"
) -> "tuple[pd.DataFrame, pd.Series[Any]]":
    """Read a table of measurements; return its rows and what is wrong with each, or "".

    Raises
    ------
    InputError
        When the kind is unknown, the file cannot be read or lacks a column.
    """
    _known(kind)
    return read_table(path, _COLUMNS[kind])


def _known(kind: str) -> None:
    if kind not in KINDS:
        raise UnknownNameError("kind", kind, KINDS)


__all__ = [
    "KINDS",
    "PLACES",
    "Validation",
    "compared",
    "error_table",
    "held_out",
    "ratio_summary",
    "ratio_table",
    "read_measurements",
    "validate",
    "worst",
]
