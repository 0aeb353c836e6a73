"""Hold the model against anybody's measurements of any kind."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.constants.ground import LEVELS
from gpuspec.constants.learnt import learnt, uncalibrated
from gpuspec.constants.stored import held_out as stored_predictions
from gpuspec.constants.stored import own_factor, stored_errors
from gpuspec.evidence.measurements.described import ground_of_rows, row_levels
from gpuspec.evidence.measurements.rows import measurements
from gpuspec.evidence.validation.collectives import COLLECTIVES
from gpuspec.evidence.validation.common import (
    NO_ENDS,
    Kind,
    Validation,
    checked,
    error_table,
    grouped,
    left_out,
    nothing,
    part_of,
    ratio_summary,
    worst,
)
from gpuspec.evidence.validation.hpc import HPC
from gpuspec.evidence.validation.images import IMAGES
from gpuspec.evidence.validation.inference import INFERENCE
from gpuspec.evidence.validation.memory import MEMORY
from gpuspec.evidence.validation.mig import MIG
from gpuspec.evidence.validation.posttraining import POSTTRAINING
from gpuspec.evidence.validation.reading import Table, opened, understood, unknown
from gpuspec.evidence.validation.training import MEMORY as TRAINING_MEMORY
from gpuspec.evidence.validation.training import TRAINING

_KINDS = {
    "inference": INFERENCE,
    "training": TRAINING,
    "posttraining": POSTTRAINING,
    "collectives": COLLECTIVES,
    "hpc": HPC,
    "memory": MEMORY,
    "mig": MIG,
    "images": IMAGES,
}
KINDS = ("inference", "training", "posttraining", "collectives", "hpc")
"""What may have been measured and has predictions by fits that left its publisher out."""
SPLITS = {
    "inference": ("quantity", "gpu", "era", "model", "ground", "publisher"),
    "training": ("framework", "gpu", "model", "precision", "ground", "publisher"),
    "posttraining": ("algorithm", "gpu", "model", "ground", "publisher"),
    "collectives": ("operation", "link", "size", "reach", "ground", "publisher"),
    "hpc": ("workload", "gpu", "kind", "how", "ground", "publisher"),
    "memory": ("kind", "gpu", "model", "ground", "publisher"),
    "mig": ("load", "profile", "gpu", "kind", "ground", "publisher"),
    "images": ("gpu", "model", "stack", "precision", "ground", "publisher"),
}
"""Columns by which a reader sees the errors of each kind, the most telling first."""


def validate(path: str | Path, kind: str = "inference") -> Validation:
    """Compare predictions with the measurements in a CSV file.

    Parameters
    ----------
    path : str or Path
        A table with the columns that ``docs/validation.md`` lists for the kind.
    kind : str
        ``inference``, ``training``, ``posttraining``, ``memory``, ``collectives``, ``hpc``, ``mig``
        or ``images``; rows of memory in a table of training are compared as such.

    Raises
    ------
    InputError
        When the kind is unknown, the file cannot be read or lacks a column. Rows that cannot
        be used are listed in ``skipped`` with their line.
    """
    _known(kind, _KINDS)
    of = _KINDS[kind]
    try:
        table = opened(path, of.columns)
    except InputError as error:
        other = kind_of(path)
        if other in (None, kind):
            raise
        raise InputError("kind", kind, f"{path} has the columns of {other}") from error
    if kind != "training":
        return _validated(kind, table)
    metric = table.rows["metric"].str.strip().str.lower()
    memory = metric.isin(TRAINING_MEMORY)
    found = _validated(kind, table.part(~memory))
    if not memory.any():
        return found
    for name, (column, others) in TRAINING_MEMORY.items():
        own = metric == name
        for target in (column, *others):
            value = others.get(target, table.rows["value"])
            blank = table.rows.get(target, pd.Series("", table.rows.index))
            table.rows[target] = blank.mask(own, value)
    return replace(found, memory=_validated("memory", table.part(memory)))


def _validated(kind: str, table: Table) -> Validation:
    of = _KINDS[kind]
    raw, reasons, notes = checked(understood(table, of.columns), of)
    rows = of.named(raw[reasons == ""])
    between = NO_ENDS
    for column, words in of.columns.ends.items():
        open_ = rows[column].map(unknown).astype(bool)
        if open_.any():
            between = _between_ends(of, rows[open_], column, words, reasons)
        rows = rows[~open_]
    found = _comparison(kind, raw, reasons, rows, of.predicted, of.silent)
    told = raw[(notes != "") & (reasons == "")][["line", "case_id"]]
    told = told.assign(note=notes[told.index].str.split("\n")).explode("note", ignore_index=True)
    return replace(found, notes=told, between=between)


def _between_ends(
    of: Kind, rows: pd.DataFrame, column: str, words: tuple[str, str], reasons: "pd.Series[str]"
) -> pd.DataFrame:
    """Return rows of which a column is not known between what it may say at least and at most."""
    ends = []
    for word in words:
        said = of.prepared(rows.assign(**{column: word}).rename_axis("place").reset_index())
        said, refused = _predicted(said, of.predicted)
        reasons.update(pd.Series(refused, dtype=object))
        ends.append(of.compared(said.assign(ground=0)).set_index("place"))
    least, most = ends
    told = least[["line", "case_id", "measured", "low"]].assign(high=most["high"])
    return told.reset_index(drop=True)


def _comparison(
    kind: str,
    raw: pd.DataFrame,
    reasons: "pd.Series[str]",
    rows: pd.DataFrame,
    predict: Callable[[pd.DataFrame], Any],
    silent: Callable[[pd.DataFrame], list[str]],
    others: bool = False,
) -> Validation:
    """Compare those of `rows` that can be predicted; the others of `raw` have their reason.

    ``ground`` of a row (measured, near, far) is judged beside all that was measured, or beside
    what the `others` than its own publisher measured.
    """
    of = _KINDS[kind]
    reasons[rows.index] = of.skipped(rows)
    rows = of.prepared(rows[reasons[rows.index] == ""].rename_axis("place").reset_index())
    rows, refused = _predicted(rows, predict)
    reasons.update(pd.Series(refused, dtype=object))
    good = rows["predicted"] > 0
    if not good.all():
        reasons.update(pd.Series(silent(rows[~good]), rows.loc[~good, "place"], dtype=object))
    rows = rows[good].drop(columns="place").reset_index(drop=True)
    rows = rows.assign(ground=ground_of_rows(kind, rows, others))
    rows = of.compared(rows if others else _learnt(kind, rows))
    rows["ground"] = np.asarray(LEVELS)[rows["ground"].to_numpy(int)]
    return Validation(rows, left_out(raw, reasons), of.ratios(rows), kind)


def needed_columns(kind: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the columns that a table of a kind must have, and those of which it needs one."""
    return _KINDS[kind].columns.needed, _KINDS[kind].columns.one_of


def known_columns(kind: str) -> set[str]:
    """Return the columns of a table of a kind that are read, or told of a row."""
    of = _KINDS[kind].columns
    table = list(measurements(kind).columns) if kind in KINDS else [*of.needed, "part", "measure"]
    more = (*of.numbers, *of.lowered, *of.truths, *of.metrics, *of.names)
    return {*table, *more, "weight_precision", "kv_precision", "tuning", "framework"}


def unusable(path: str | Path, kind: str) -> list[dict[str, Any]]:
    """Return why rows of a table cannot be compared, as `Validation.figures` groups reasons.

    What must be there and is blank comes first, all of a row in one sentence.
    """
    of = _KINDS[kind]
    table = opened(path, of.columns)
    blank = table.rows[list(of.columns.needed)] == ""
    lacking = [
        ", ".join(str(n) for n, none in zip(blank, row, strict=True) if none)
        for row in blank.to_numpy()
    ]
    told = [f"{names} to be filled in" if names else "" for names in lacking]
    reasons = table.reasons.mask(table.reasons == "", pd.Series(told, table.reasons.index))
    raw, reasons, _ = checked(understood(table._replace(reasons=reasons), of.columns), of)
    return grouped(left_out(raw, reasons), "reason")


def _learnt(kind: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows whose predictions follow what was learnt from one's own measurements, if any."""
    if learnt(kind) is None or rows.empty:
        return rows
    said = row_levels(kind, rows)
    factor = own_factor(kind, said, rows["ground"].to_numpy(int))
    if kind == "inference":
        factor = np.where(said["quantity"] == "throughput", 1 / factor, factor)
    if kind == "hpc":
        factor = np.where(rows["absolute"].astype(bool), factor, 1.0)
    return rows.assign(predicted=rows["predicted"] * factor)


def _predicted(
    rows: pd.DataFrame, predict: Callable[[pd.DataFrame], Any]
) -> tuple[pd.DataFrame, dict[int, str]]:
    """Return rows with ``predicted``, and why the formulas refuse others, by place."""
    refused: dict[int, str] = {}
    if rows.empty:
        return rows.assign(predicted=0.0), refused
    try:
        return rows.assign(predicted=predict(rows)), refused
    except InputError:
        for i, place in enumerate(rows["place"]):
            try:
                predict(rows.iloc[[i]].reset_index(drop=True))
            except InputError as error:
                refused[int(place)] = str(error)
        if not refused:
            raise
    return _predicted(rows[~rows["place"].isin(refused)].reset_index(drop=True), predict)[
        0
    ], refused


def kind_of(path: str | Path) -> str | None:
    """Return the kind whose columns a file has, if any."""
    for kind, of in _KINDS.items():
        try:
            opened(path, of.columns)
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
    _known(kind, _KINDS)
    names = [
        "rows",
        "publishers",
        "sources",
        "median_error",
        "p90_error",
        "low",
        "high",
        "coverage",
    ]
    return stored_errors(kind).reindex(columns=names)


UNCALIBRATED = "the last calibration did not know its model (make calibrate)"


def held_out(kind: str = "inference") -> Validation:
    """Return the shipped measurements beside predictions by fits that left out their publisher."""
    _known(kind)
    raw, predictions = measurements(kind), stored_predictions(kind)
    raw.insert(0, "line", np.arange(len(raw)) + 2)

    def predict(rows: pd.DataFrame) -> Any:
        return rows["case_id"].map(predictions)

    def silent(rows: pd.DataFrame) -> list[str]:
        known = rows["case_id"].isin(predictions.keys())
        return [_KINDS[kind].unstored if one else UNCALIBRATED for one in known]

    with uncalibrated():
        return _comparison(kind, raw, nothing(raw), raw, predict, silent, others=True)


def _known(kind: str, kinds: Iterable[str] = KINDS) -> None:
    if kind in kinds:
        return
    if kind in _KINDS:
        valid = f"a file is needed: held-out predictions are stored of {', '.join(KINDS)}"
        raise InputError("measurements", None, valid)
    raise UnknownNameError("kind", kind, kinds)
