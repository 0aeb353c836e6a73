"""Hold the model against anybody's measurements."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.calibration import held_out_values, inference_interval, memory_terms
from gpuspec.calibration.engines import era_of
from gpuspec.errors import InputError, UnknownNameError
from gpuspec.measurements import inference_measurements, predicted_inference
from gpuspec.measurements.inference import METRICS, prepared, skip_reasons
from gpuspec.measurements.pairs import matched_pairs, ratio_errors

KINDS = ("inference",)
NEEDED = (
    "case_id",
    "source_id",
    "gpu",
    "n_gpus",
    "tp",
    "model",
    "weight_precision",
    "engine",
    "isl",
    "osl",
    "scenario",
    "metric",
    "value",
)
NUMBERS = {  # column: whether a row must have it
    "n_gpus": True,
    "tp": True,
    "pp": False,
    "ep": False,
    "isl": False,
    "osl": False,
    "batch_size": False,
    "concurrency": False,
    "request_rate": False,
    "value": True,
}
WHOLE = ("n_gpus", "tp", "pp", "ep")


@dataclass(frozen=True)
class Validation:
    """What came of a comparison: a row for each prediction, and the rows left out."""

    rows: pd.DataFrame
    """The measurements with ``predicted``, ``error`` (log of predicted over measured), ``low``
    and ``high`` (80 % interval), ``inside``, ``quantity``, ``era``."""
    skipped: pd.DataFrame
    """``line``, ``case_id`` and ``reason`` of each row that was not predicted."""
    ratios: pd.DataFrame
    """``pair``, ``measured``, ``predicted`` and ``error`` of each matched pair of GPUs."""

    def figures(self) -> dict[str, Any]:
        """Return the summary as plain numbers; errors are fractions (0.1 is 10 %)."""
        rows = self.rows
        return {
            "rows": len(rows),
            "skipped": [
                {"line": int(line), "case_id": str(case), "reason": str(reason)}
                for line, case, reason in self.skipped.to_numpy()
            ],
            **_figures(rows),
            **{f"by_{name}": _by(rows, name) for name in ("gpu", "engine", "model", "scenario")},
            "by_quantity": _by(rows, "quantity"),
            "ratio_pairs": len(self.ratios),
            "ratio_median_absolute_error": _fraction(self.ratios["error"], 0.5),
            "ratio_by_pair": _by(self.ratios, "pair", False),
        }


def _figures(rows: pd.DataFrame, interval: bool = True) -> dict[str, Any]:
    found: dict[str, Any] = {
        "median_absolute_error": _fraction(rows["error"], 0.5),
        "p90_absolute_error": _fraction(rows["error"], 0.9),
    }
    if interval:
        inside = rows["inside"]
        found["interval_coverage"] = round(float(inside.mean()), 4) if len(rows) else None
    return found


def _fraction(error: "pd.Series[float]", share: float) -> float | None:
    """Return a quantile of |predicted / measured - 1|; None without rows."""
    if not len(error):
        return None
    return round(float(np.quantile(np.abs(np.expm1(error)), share)), 4)


def _by(rows: pd.DataFrame, column: str, interval: bool = True) -> dict[str, dict[str, Any]]:
    return {
        str(name): {"rows": len(group), **_figures(group, interval)}
        for name, group in rows.groupby(column, sort=True)
    }


def read_measurements(
    path: str | Path, kind: str = "inference"
) -> "tuple[pd.DataFrame, pd.Series[Any]]":
    """Read a table of measurements; return the usable rows and what is wrong with the others.

    Raises
    ------
    InputError
        When the file cannot be read or lacks a column; names it.
    """
    if kind not in KINDS:
        raise UnknownNameError("kind", kind, KINDS)
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False, skip_blank_lines=False)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        valid = f"give a CSV file in UTF-8: {str(error).splitlines()[0]}"
        raise InputError("file", str(path), valid) from None
    missing = [column for column in NEEDED if column not in rows]
    if missing:
        valid = f"its first line lacks {', '.join(missing)}"
        raise InputError("file", str(path), valid)
    rows.insert(0, "line", np.arange(len(rows)) + 2)
    reasons: Any = pd.Series("", rows.index, dtype=object)
    for column, needed in NUMBERS.items():
        if column not in rows:
            continue
        text = rows[column].str.strip()
        number: Any = pd.to_numeric(text, errors="coerce")
        least = 1 if column in WHOLE else 0
        good = np.isfinite(number) & ((number >= least) if column in WHOLE else (number > 0))
        if column in WHOLE:
            good &= number == np.floor(number)
        if column == "request_rate":
            good |= text.str.lower() == "inf"
        bad = ~good & ((text != "") | needed) & (reasons == "")
        what = "a whole number of at least 1" if column in WHOLE else "a number above 0"
        reasons[bad] = [f"{column}: {value!r} is not valid; give {what}" for value in text[bad]]
        rows[column] = number
    return rows, reasons


def validate(path: str | Path, kind: str = "inference") -> Validation:
    """Compare predictions with the measurements in a CSV file.

    Parameters
    ----------
    path : str or Path
        A table with the columns of ``data/measurements/inference.csv``; ``pp``, ``ep``,
        ``kv_precision``, ``engine_version``, ``batch_size``, ``concurrency``,
        ``request_rate`` and ``notes`` may be left out.

    Raises
    ------
    InputError
        When the file cannot be read or lacks a column. Rows that cannot be used are listed in
        ``skipped`` with their line.
    """
    raw, reasons = read_measurements(path, kind)
    usable = prepared(raw[reasons == ""].assign(**_blank(raw)))
    reasons = reasons.copy()
    reasons.loc[usable.index] = skip_reasons(usable)
    rows = usable[reasons.loc[usable.index] == ""].reset_index(drop=True)
    predicted = predicted_inference(rows, memory=memory_terms()) if len(rows) else np.zeros(0)
    fits = predicted > 0
    unfit = rows.loc[~fits, "line"]
    reasons[raw["line"].isin(unfit)] = "by our reckoning the model does not fit these GPUs"
    left = reasons != ""
    skipped = raw[left][["line", "case_id"]].assign(reason=reasons[left])
    rows = compared(rows[fits].reset_index(drop=True), predicted[fits])
    return Validation(rows, skipped.reset_index(drop=True), ratio_table(rows))


def _blank(raw: pd.DataFrame) -> dict[str, Any]:
    return {c: "" for c in ("kv_precision", "engine_version", "notes") if c not in raw}


def compared(rows: pd.DataFrame, predicted: np.ndarray) -> pd.DataFrame:
    """Return prepared rows with their prediction, its log error and its interval."""
    quantity = rows["metric"].map(METRICS)
    rows = rows.assign(predicted=predicted, quantity=quantity, low=np.nan, high=np.nan)
    rows["era"] = era_of(rows) if len(rows) else pd.Series(dtype=object)
    for kind in quantity.unique():
        chosen = quantity == kind
        low, high = inference_interval(predicted[chosen], kind)
        rows.loc[chosen, "low"], rows.loc[chosen, "high"] = low, high
    rows["error"] = np.log(rows["predicted"] / rows["value"])
    rows["inside"] = rows["value"].between(rows["low"], rows["high"])
    return rows


def ratio_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the ratio between GPUs of each matched pair, measured and predicted."""
    pairs = matched_pairs(rows)
    old, new = pairs["old"].to_numpy(int), pairs["new"].to_numpy(int)
    value, guess = rows["value"].to_numpy(float), rows["predicted"].to_numpy(float)
    error = -ratio_errors(rows, guess, pairs) if len(pairs) else np.zeros(0)
    return pd.DataFrame(
        {
            "pair": pairs["pair"],
            "case_id": rows["case_id"].to_numpy()[new],
            "measured": value[new] / value[old],
            "predicted": guess[new] / guess[old],
            "error": error,
        }
    )


PLACES = {"Rows": ",.0f", "Median error": ".1%", "90 % below": ".1%", "Inside": ".0%"}
"""How the columns of the error tables are written."""
COLUMNS = {
    "rows": "Rows",
    "median_absolute_error": "Median error",
    "p90_absolute_error": "90 % below",
    "interval_coverage": "Inside",
}


def held_out() -> Validation:
    """Return the shipped measurements beside predictions by fits that left out their source."""
    rows = prepared(inference_measurements())
    reasons = skip_reasons(rows)
    stored = held_out_values()
    predicted = rows["case_id"].map(stored)
    reasons[(reasons == "") & ~(predicted > 0)] = "by our reckoning the model does not fit"
    left = reasons != ""
    rows.insert(0, "line", np.arange(len(rows)) + 2)
    skipped = rows[left][["line", "case_id"]].assign(reason=reasons[left])
    kept = rows[~left].reset_index(drop=True)
    compared_rows = compared(kept, predicted[~left].to_numpy(float))
    return Validation(compared_rows, skipped.reset_index(drop=True), ratio_table(compared_rows))


def error_table(found: Validation, column: str) -> pd.DataFrame:
    """Return error figures of a comparison by one of its columns, most rows first."""
    table = pd.DataFrame(_by(found.rows, column)).T.rename(columns=COLUMNS)
    table.index.name = column
    return table.sort_values("Rows", ascending=False, kind="stable").astype(float)


def ratio_summary(found: Validation) -> pd.DataFrame:
    """Return the error of the ratio of two GPUs by pair, most pairs first."""
    table = pd.DataFrame(_by(found.ratios, "pair", False)).T
    names = {**COLUMNS, "rows": "Pairs"}
    table = table.rename(columns=names).sort_values("Pairs", ascending=False, kind="stable")
    table.index.name = "New / old"
    return table.astype(float)


def worst(rows: pd.DataFrame, count: int = 10) -> pd.DataFrame:
    """Return the rows that the model misses most, as a table to read."""
    order = rows["error"].abs().sort_values(ascending=False, kind="stable").index[:count]
    chosen = rows.loc[order]
    lengths = [f"{i:,.0f} / {o:,.0f}" for i, o in zip(chosen["isl"], chosen["osl"], strict=True)]
    return pd.DataFrame(
        {
            "Case": chosen["case_id"],
            "GPUs": [f"{n} x {g}" for n, g in zip(chosen["n_gpus"], chosen["gpu"], strict=True)],
            "Model": chosen["model"],
            "ISL / OSL": lengths,
            "Metric": chosen["metric"],
            "Predicted over measured": np.exp(chosen["error"]),
        }
    ).set_index("Case")
