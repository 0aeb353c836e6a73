"""What the comparisons of all kinds share: reading a table, error figures, tables to read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError
from gpuspec.base.files import MOST_TABLE_BYTES, read_text
from gpuspec.base.rows import csv_rows
from gpuspec.catalog import gpu
from gpuspec.evidence.measurements.pairs import ratio_errors
from gpuspec.evidence.measurements.rows import Row

LEAST_NUMBER, MOST_NUMBER = 1e-15, 1e18
"""Between which every measured number lies; beyond them its logarithm or square is none."""
T = TypeVar("T")
Ends = tuple[np.ndarray, np.ndarray]
"""The low and the high end of intervals."""
Figures = dict[str, float | None]
BY = {
    "inference": ("gpu", "engine", "model", "scenario", "quantity"),
    "training": ("gpu", "framework", "model", "precision"),
    "collectives": ("gpu", "operation", "link", "size", "reach"),
    "hpc": ("gpu", "workload", "kind", "how"),
}
"""Columns by which the figures of each kind of measurement are split."""
NO_RATIOS = pd.DataFrame(columns=["pair", "case_id", "measured", "predicted", "error"])
CASE = ("case_id", "source_id", "gpu")
"""Columns that every table of measurements has."""


@dataclass(frozen=True)
class Columns:
    """Columns of a table of measurements: those it must have, and those that hold numbers."""

    needed: tuple[str, ...]
    numbers: Mapping[str, bool]
    """Whether a row must have the number."""
    least: Mapping[str, int]
    """Smallest whole number; columns that are not here hold numbers above 0."""
    endless: tuple[str, ...] = ()
    """Columns that may say ``inf``."""
    one_of: tuple[str, ...] = ()
    """Columns of which each row needs one."""
    blank_zero: tuple[str, ...] = ()
    """Columns in which 0 says nothing: tools print 0.00 where a rate has too few digits."""
    lowered: tuple[str, ...] = ()
    """Columns of texts in which capitals mean nothing."""


def nothing(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return for each row why it cannot be predicted: nothing speaks against it."""
    return pd.Series("", rows.index, dtype=object)


@dataclass(frozen=True)
class Kind:
    """What is particular to the measurements of a kind."""

    columns: Columns
    check: Callable[[Row], None]
    """Raises what is wrong with a row of a person's table."""
    named: Callable[[pd.DataFrame], pd.DataFrame]
    """Rows of such a table with the ids of what they name."""
    prepared: Callable[[pd.DataFrame], pd.DataFrame]
    """Rows with every column that a prediction reads."""
    predicted: Callable[[pd.DataFrame], np.ndarray]
    """What the model says of prepared rows; not above 0 where it says nothing."""
    compared: Callable[[pd.DataFrame], pd.DataFrame]
    """Prepared rows that have ``predicted`` with their error, interval and labels."""
    ratios: Callable[[pd.DataFrame], pd.DataFrame]
    """The ratio of two figures of compared rows, for each matched pair."""
    skipped: Callable[[pd.DataFrame], "pd.Series[str]"] = nothing
    """Why each row, not yet prepared, cannot be predicted; empty where it can."""
    silent: str = "the model says nothing of it"
    """Why a prepared row is left out of which the model says nothing."""
    unstored: str = "no held-out value is stored"
    """The same of a shipped row."""


@dataclass(frozen=True)
class Validation:
    """What came of a comparison: a row for each prediction, and the rows left out."""

    rows: pd.DataFrame
    """The measurements with ``predicted``, ``error`` (log of predicted over measured), ``low``
    and ``high`` (80 % interval) and ``inside``. Inference adds ``quantity`` and ``era``;
    training and collectives add ``measured``, in seconds like their prediction; HPC adds it as
    a speed in the unit of the row's metric."""
    skipped: pd.DataFrame
    """``line``, ``case_id`` and ``reason`` of each row that was not predicted."""
    ratios: pd.DataFrame
    """``pair``, ``measured``, ``predicted`` and ``error`` of each matched pair."""
    kind: str = "inference"
    """What was measured."""

    def figures(self) -> dict[str, Any]:
        """Return the summary as plain numbers; errors are fractions (0.1 is 10 %)."""
        rows = self.rows
        summary = {
            "rows": len(rows),
            "skipped": [
                {"line": int(line), "case_id": str(case), "reason": str(reason)}
                for line, case, reason in self.skipped.to_numpy()
            ],
            **_figures(rows),
            **{f"by_{name}": by(rows, name) for name in BY[self.kind]},
        }
        if self.kind == "collectives":
            return summary
        ratios = self.ratios
        summary["ratio_pairs"] = len(ratios)
        summary["ratio_median_absolute_error"] = fraction(ratios["error"], 0.5)
        summary["ratio_by_pair"] = by(ratios, "pair", False)
        return summary


def _figures(rows: pd.DataFrame, interval: bool = True) -> Figures:
    figures = {
        "median_absolute_error": fraction(rows["error"], 0.5),
        "p90_absolute_error": fraction(rows["error"], 0.9),
    }
    if interval:
        inside = rows["inside"]
        figures["interval_coverage"] = round(float(inside.mean()), 4) if len(rows) else None
    return figures


def fraction(error: "pd.Series[float]", share: float) -> float | None:
    """Return a quantile of |predicted / measured - 1|; None without rows."""
    if not len(error):
        return None
    return round(float(np.quantile(np.abs(np.expm1(error)), share)), 4)


def by(rows: pd.DataFrame, column: str, interval: bool = True) -> dict[str, Figures]:
    """Return the error figures of each value of a column."""
    return {
        str(name): {"rows": len(group), **_figures(group, interval)}
        for name, group in rows.groupby(column, sort=True)
    }


def read_table(path: str | Path, columns: Columns) -> "tuple[pd.DataFrame, pd.Series[str]]":
    """Read a CSV file; return its rows with numbers as numbers, and what is wrong with each.

    Raises
    ------
    InputError
        When the file cannot be read or lacks a column; names it.
    """
    text = read_text("file", path, MOST_TABLE_BYTES)
    names, found = csv_rows("file", text, str(path), columns.needed)
    if columns.one_of and not set(columns.one_of) & set(names):
        valid = f"its first line lacks {' or '.join(columns.one_of)}"
        raise InputError("file", str(path), valid)
    rows = pd.DataFrame([row.cells for row in found], columns=names, dtype=str)
    rows.insert(0, "line", np.array([row.line for row in found], int))
    reasons = pd.Series([row.problem for row in found], rows.index, dtype=object)
    for column in columns.numbers:
        if column in rows:
            _numbers(rows, reasons, column, columns)
    given = [c for c in columns.one_of if c in rows]
    if given:
        none = rows[given].isna().all(axis=1) & (reasons == "")
        reasons[none] = f"{' or '.join(columns.one_of)} is needed, and the row has none"
    return rows, reasons


def _numbers(rows: pd.DataFrame, reasons: "pd.Series[str]", column: str, columns: Columns) -> None:
    """Turn a column into numbers, and note which rows hold none."""
    text = rows[column]
    number: Any = pd.to_numeric(text, errors="coerce").astype(float)
    if column in columns.blank_zero:
        text, number = text.mask(number == 0, ""), number.mask(number == 0)
    least = columns.least.get(column)
    if least is None:
        good, what = number >= LEAST_NUMBER, "a number above 0"
    else:
        good, what = number >= least, f"a whole number of at least {least}"
        good &= number == np.floor(number)
    good &= number <= MOST_NUMBER
    if column in columns.endless:
        good |= text.str.lower() == "inf"
    bad = ~good & ((text != "") | columns.numbers[column]) & (reasons == "")
    what = f"{what}, at most {MOST_NUMBER:g}"
    told = [str(InputError(column, value, f"give {what}")) for value in text[bad]]
    reasons[bad] = np.array(told, object)
    rows[column] = number


def remembered(find: Callable[[str], T]) -> Callable[[str], T]:
    """Return a look-up that remembers what it found, and what it did not find."""

    @lru_cache(1024)
    def tried(name: str) -> T | InputError:
        try:
            return find(name)
        except InputError as error:
            return error

    def found(name: str) -> T:
        result = tried(name)
        if isinstance(result, InputError):
            raise result
        return result

    return found


def checked(path: str | Path, kind: Kind) -> "tuple[pd.DataFrame, pd.Series[str]]":
    """Read a table as `read_table` does, and note what the check of its kind raises."""
    raw, reasons = read_table(path, kind.columns)
    for column in set(kind.columns.lowered) & set(raw):
        raw[column] = raw[column].str.strip().str.lower()
    readable = raw[reasons == ""]
    for index, row in zip(readable.index, readable.to_dict("records"), strict=True):
        try:
            kind.check(row)
        except InputError as error:
            reasons[index] = str(error)
    return raw, reasons


known_gpu = remembered(gpu)


def left_out(raw: pd.DataFrame, reasons: "pd.Series[str]") -> pd.DataFrame:
    """Return ``line``, ``case_id`` and ``reason`` of the rows that have a reason."""
    left = reasons != ""
    return raw[left][["line", "case_id"]].assign(reason=reasons[left]).reset_index(drop=True)


def judged(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows that have ``measured``, ``predicted``, ``low`` and ``high`` with their error."""
    error = np.log(rows["predicted"] / rows["measured"])
    return rows.assign(error=error, inside=rows["measured"].between(rows["low"], rows["high"]))


def with_interval(
    rows: pd.DataFrame,
    labels: "pd.Series[str]",
    interval: Callable[["pd.Series[float]", str], Ends],
) -> pd.DataFrame:
    """Return rows that have ``predicted`` with ``low`` and ``high``, by the label of each."""
    rows = rows.assign(low=np.nan, high=np.nan)
    for label in labels.unique():
        own = labels == label
        rows.loc[own, "low"], rows.loc[own, "high"] = interval(rows.loc[own, "predicted"], label)
    return rows


def ratios(
    rows: pd.DataFrame, pairs: pd.DataFrame, measured: np.ndarray, predicted: np.ndarray
) -> pd.DataFrame:
    """Return the ratio, new over old, of two figures of the rows for each pair of them."""
    old, new = pairs["old"].to_numpy(int), pairs["new"].to_numpy(int)
    return pd.DataFrame(
        {
            "pair": pairs["pair"],
            "case_id": rows["case_id"].to_numpy()[new],
            "measured": measured[new] / measured[old],
            "predicted": predicted[new] / predicted[old],
            "error": ratio_errors(np.log(predicted / measured), pairs),
        }
    )


def error_table(found: Validation, column: str) -> pd.DataFrame:
    """Return error figures of a comparison by one of its columns, most rows first."""
    return _error_table(by(found.rows, column), column)


def _error_table(figures: dict[str, Figures], name: str) -> pd.DataFrame:
    table = pd.DataFrame(figures).T.rename_axis(name)
    return table.sort_values("rows", ascending=False, kind="stable").astype(float)


def part_of(comparison: Validation, gpu: str = "", missed_by: float = 0.0) -> Validation:
    """Return the comparison of one GPU alone (blank: all), and of rows missed by that share.

    Raises
    ------
    InputError
        When no row is left.
    """
    rows = comparison.rows
    chosen = rows[np.abs(np.expm1(rows["error"])) >= missed_by]
    chosen = chosen[chosen["gpu"] == gpu] if gpu else chosen
    if chosen.empty:
        raise InputError("missed_by", missed_by, f"no row of {gpu or 'any GPU'} is missed by that")
    return replace(comparison, rows=chosen)


def ratio_summary(found: Validation) -> pd.DataFrame:
    """Return the error of the ratio of two sides by pair, most pairs first."""
    return _error_table(by(found.ratios, "pair", False), "pair")


def worst(rows: pd.DataFrame, count: int = 10) -> pd.DataFrame:
    """Return the rows that the model misses most, with what each measured."""
    order = rows["error"].abs().sort_values(ascending=False, kind="stable").index[:count]
    chosen = rows.loc[order]
    about = {
        "case_id": chosen["case_id"],
        "fleet": [f"{n} x {g}" for n, g in zip(_gpus(chosen), chosen["gpu"], strict=True)],
        **_about(chosen),
        "predicted_over_measured": np.exp(chosen["error"]),
    }
    return pd.DataFrame(about)


def _gpus(rows: pd.DataFrame) -> "pd.Series[int]":
    if "n_gpus" in rows:
        return rows["n_gpus"].astype(int)
    return (rows["nodes"] * rows["gpus_per_node"]).astype(int)


def _about(rows: pd.DataFrame) -> "dict[str, pd.Series | list[str]]":
    """Return the columns that say what a row measured."""
    if "isl" in rows:
        lengths = [f"{i:,.0f} / {o:,.0f}" for i, o in zip(rows["isl"], rows["osl"], strict=True)]
        return {"model": rows["model"], "lengths": lengths, "metric": rows["metric"]}
    if "workload" in rows:
        return {"hpc_class": rows["workload"], "case": rows["case"], "metric": rows["metric"]}
    training, collectives = (
        ("model", "framework", "precision"),
        ("operation", "link", "message_bytes"),
    )
    return {name: rows[name] for name in (training if "framework" in rows else collectives)}
