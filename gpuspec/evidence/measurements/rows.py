"""Rows of measurements: how they are grouped into calls, and how their columns are read."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError
from gpuspec.base.units import Floats
from gpuspec.catalog import load_table
from gpuspec.catalog.models import Model, model
from gpuspec.catalog.models.formats import STORED, weight_format
from gpuspec.catalog.precision import WeightFormat, precision

Row = Mapping[Any, Any]
"""A row of a table of measurements, or what a group of rows shares: column -> value."""


def measurements(kind: str) -> pd.DataFrame:
    """Return the published measurements of a kind that can be used: ``memory``, ``inference``...

    Rows that are listed but cannot be used (``used`` false, with the reason beside it) are left
    out.
    """
    table = load_table(f"measurements-{kind}")
    return table[table["used"].astype(bool)].reset_index(drop=True)


def publisher_of(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return who measured each row; a table that does not say has one publisher a source."""
    return rows["publisher"] if "publisher" in rows else rows["source_id"]


def completed(
    rows: pd.DataFrame, numbers: Mapping[str, float], texts: Mapping[str, str]
) -> pd.DataFrame:
    """Return rows with columns of numbers and of texts that say something in every row.

    Both mappings give what a cell means that is blank, or whose column is missing; a number stays
    whole where what blank means is.
    """
    rows = rows.copy()
    for column, blank in numbers.items():
        number = pd.to_numeric(rows[column]) if column in rows else pd.Series(np.nan, rows.index)
        kind = int if isinstance(blank, int) else float
        rows[column] = number.fillna(blank).astype(kind)
    for column, text in texts.items():
        rows[column] = rows[column].fillna("").replace("", text) if column in rows else text
    return rows


def groups(rows: pd.DataFrame, columns: list[str]) -> Iterator[tuple[Row, np.ndarray]]:
    """Yield what each group of rows shares in `columns`, and the places of its rows."""
    grouped = rows.groupby(columns, dropna=False, sort=False).indices
    for key, index in grouped.items():
        values = list(key) if isinstance(key, tuple) else [key]
        yield dict(zip(columns, values, strict=True)), np.asarray(index)


def numbers(rows: pd.DataFrame, *columns: str) -> list[Floats]:
    """Return columns as arrays of numbers; blanks are NaN."""
    return [rows[column].to_numpy(float) for column in columns]


@lru_cache(512)
def known_model(name: str) -> Model:
    """Return a model; each is looked up once."""
    return model(name)


@lru_cache(4096)
def weights_of(name: str, form: str) -> WeightFormat:
    """Return a format of weights; `STORED`: each part as the publisher of the model stores it."""
    if form == STORED:
        return weight_format(known_model(name))
    return WeightFormat.of(precision(form))


@lru_cache(512)
def model_id(name: str) -> str:
    """Return the id of a model; what no table holds stays as it is: names, paths of configs."""
    try:
        found = known_model(name)
    except InputError:
        return name
    return name if found.sources == (name,) else found.id
