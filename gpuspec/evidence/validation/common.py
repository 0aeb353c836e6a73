"""What the comparisons of all kinds share: reading a table, error figures, tables to read."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError
from gpuspec.evidence.measurements.pairs import ratio_errors
from gpuspec.evidence.measurements.rows import Row
from gpuspec.evidence.validation.reading import Columns, Table

Ends = tuple[np.ndarray, np.ndarray]
"""The low and the high end of intervals."""
Figures = dict[str, float | None]
BY = {
    "inference": ("gpu", "engine", "model", "scenario", "metric", "quantity"),
    "training": ("gpu", "framework", "model", "metric", "precision"),
    "posttraining": ("gpu", "algorithm", "model", "metric"),
    "collectives": ("gpu", "operation", "link", "size", "reach"),
    "hpc": ("gpu", "workload", "kind", "metric", "how"),
    "memory": ("gpu", "model", "kind"),
    "mig": ("gpu", "profile", "kind", "load"),
    "images": ("gpu", "model", "stack", "precision"),
}
"""Columns by which the figures of each kind of measurement are split, beside `BY_ALL`."""
BY_ALL = ("publisher", "ground")
ABOUT = (
    ("model", "algorithm", "metric"),
    ("model", "framework", "precision"),
    ("operation", "link", "message_bytes"),
    ("series", "profile", "batch"),
    ("model", "stack", "steps"),
    ("model", "part", "measure"),
)
"""Columns that say what a row measured: the first of these that a table has."""
WITHOUT_RATIOS = ("posttraining", "collectives", "memory", "mig", "images")
NO_NOTES = pd.DataFrame(columns=["line", "case_id", "note"])
NO_ENDS = pd.DataFrame(columns=["line", "case_id", "measured", "low", "high"])
NO_RATIOS = pd.DataFrame(columns=["pair", "case_id", "measured", "predicted", "error"])
SAID = re.compile(r"(.+?): (.*) is not valid; (.*)", re.DOTALL)
"""A column, a value and what is valid, in the sentence of an error."""
NO_TABLE = {
    "model": "no table has it: see gpuspec list models, give the path of its config.json, or its "
    "layers and hidden in columns of their own",
    "gpu": "no table has it: see gpuspec list gpus",
}
"""What is valid of names that are many."""
MOST_EXAMPLES = 3
"""Values and lines of a reason that are shown."""


def nothing(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return for each row why it cannot be predicted: nothing speaks against it."""
    return pd.Series("", rows.index, dtype=object)


SILENT = "the model says nothing of it"


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
    silent: Callable[[pd.DataFrame], "list[str]"] = lambda rows: [SILENT] * len(rows)
    """Why prepared rows are left out of which the model says nothing."""
    unstored: str = "no held-out value is stored"
    """The same of a shipped row."""


@dataclass(frozen=True)
class Validation:
    """What came of a comparison: a row for each prediction, and the rows left out."""

    rows: pd.DataFrame
    """The measurements with ``predicted``, ``error`` (log of predicted over measured), ``low``
    and ``high`` (80 % interval), ``inside``, ``publisher`` and ``ground``.
    Inference adds ``quantity`` and ``era``; training and collectives add ``measured``, in seconds
    like their prediction; HPC adds it as a speed in the unit of the row's metric."""
    skipped: pd.DataFrame
    """``line``, ``case_id`` and ``reason`` of each row that was not predicted."""
    ratios: pd.DataFrame
    """``pair``, ``measured``, ``predicted`` and ``error`` of each matched pair."""
    kind: str = "inference"
    """What was measured."""
    notes: pd.DataFrame = field(default_factory=NO_NOTES.copy)
    """``line``, ``case_id`` and ``note`` of compared rows, once for each thing assumed."""
    between: pd.DataFrame = field(default_factory=NO_ENDS.copy)
    """``line``, ``case_id``, ``measured``, ``low`` and ``high`` of each row whose figure hangs on a
    column that is not known: the ends of the intervals of what it may say at least and at most."""
    memory: "Validation | None" = None
    """The rows of memory in a table of training."""

    def figures(self) -> dict[str, Any]:
        """Return the summary as plain numbers; errors are fractions (0.1 is 10 %)."""
        rows = self.rows
        summary = {
            "rows": len(rows),
            "skipped": [
                {"line": int(line), "case_id": str(case), "reason": str(reason)}
                for line, case, reason in self.skipped.to_numpy()
            ],
            "skipped_by_reason": grouped(self.skipped, "reason"),
            "notes": grouped(self.notes, "note"),
            **_figures(rows),
            **{f"by_{n}": by(rows, n) for n in (*BY[self.kind], *BY_ALL) if n in rows},
        }
        if len(self.between):
            summary["between"] = _between(self.between)
        if self.memory:
            summary["memory"] = self.memory.figures()
        if self.kind in WITHOUT_RATIOS:
            return summary
        ratios = self.ratios
        summary["ratio_pairs"] = len(ratios)
        summary["ratio_median_absolute_error"] = fraction(ratios["error"], 0.5)
        summary["ratio_by_pair"] = by(ratios, "pair", False)
        return summary


def _between(rows: pd.DataFrame) -> dict[str, Any]:
    """Count the rows inside, below and above their ends, and list them."""
    measured = rows["measured"]
    sides = {"below": measured < rows["low"], "above": measured > rows["high"]}
    counts = {name: int(side.sum()) for name, side in sides.items()}
    inside = len(rows) - sum(counts.values())
    return {"rows": len(rows), "inside": inside, **counts, "each": rows.to_dict("records")}


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


def checked(table: Table, kind: Kind) -> Table:
    """Return an understood table with what the check of its kind raises."""
    readable = table.rows[table.reasons == ""]
    for index, row in zip(readable.index, readable.to_dict("records"), strict=True):
        try:
            kind.check(row)
        except InputError as error:
            table.reasons[index] = str(error)
    return table


def left_out(raw: pd.DataFrame, reasons: "pd.Series[str]") -> pd.DataFrame:
    """Return ``line``, ``case_id`` and ``reason`` of the rows that have a reason."""
    left = reasons != ""
    return raw[left][["line", "case_id"]].assign(reason=reasons[left]).reset_index(drop=True)


def grouped(table: pd.DataFrame, what: str) -> list[dict[str, Any]]:
    """Return what rows have in common, most rows first: ``rows``, ``reason`` and ``lines``.

    Reasons that differ in the value or in numbers alone are one; the first stands for them.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for line, said in table[["line", what]].to_numpy():
        seen = SAID.fullmatch(said)
        column, value, valid = seen.groups() if seen else ("", "", said)
        if column in NO_TABLE and valid.startswith(("did you mean", "known:")):
            valid = NO_TABLE[column]
        key = (column, re.sub(r"\d[\d.,]*", "#", valid) if what == "reason" else valid)
        one = found.setdefault(key, {"rows": 0, "values": {}, "lines": [], "valid": valid})
        one["rows"] += 1
        one["values"][value] = None
        if len(one["lines"]) < MOST_EXAMPLES:
            one["lines"].append(int(line))
    told = []
    for (column, _), one in sorted(found.items(), key=lambda item: -item[1]["rows"]):
        shown = list(one["values"])[:MOST_EXAMPLES]
        more = len(one["values"]) - len(shown)
        values = ", ".join(shown) + (f" and {more} more" if more else "")
        told_of = f"{column}: {values} is not valid; " if column else ""
        reason = told_of + one["valid"]
        told.append({"rows": one["rows"], what: reason, "lines": one["lines"]})
    return told


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
    if "nodes" not in rows:
        return pd.Series(1, rows.index)
    return (rows["nodes"] * rows["gpus_per_node"]).astype(int)


def _about(rows: pd.DataFrame) -> "dict[str, pd.Series | list[str]]":
    """Return the columns that say what a row measured."""
    if "isl" in rows:
        lengths = [f"{i:,.0f} / {o:,.0f}" for i, o in zip(rows["isl"], rows["osl"], strict=True)]
        return {"model": rows["model"], "lengths": lengths, "metric": rows["metric"]}
    if "workload" in rows:
        return {"hpc_class": rows["workload"], "case": rows["case"], "metric": rows["metric"]}
    for names in ABOUT:
        if set(names) <= set(rows):
            return {name: rows[name] for name in names}
    return {}
