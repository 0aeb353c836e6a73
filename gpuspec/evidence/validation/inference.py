"""Hold the model of inference against anybody's measurements."""

from pathlib import Path

import numpy as np
import pandas as pd

from gpuspec.constants.inference import inference_interval
from gpuspec.constants.memory import memory_terms
from gpuspec.constants.stored import held_out
from gpuspec.evidence.measurements.inference import (
    METRICS,
    era_of,
    predicted_inference,
    prepared,
    skip_reasons,
)
from gpuspec.evidence.measurements.pairs import matched_pairs
from gpuspec.evidence.measurements.rows import measurements, numbers
from gpuspec.evidence.validation.common import (
    CASE,
    Columns,
    Validation,
    left_out,
    ratios,
    read_table,
    with_interval,
)

COLUMNS = Columns(
    needed=(
        *CASE,
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
    ),
    numbers={
        **dict.fromkeys(("n_gpus", "tp", "value"), True),
        **dict.fromkeys(("pp", "ep", "isl", "osl", "batch_size"), False),
        **dict.fromkeys(("concurrency", "request_rate", "requests"), False),
        **dict.fromkeys(("max_sequences", "max_tokens"), False),
    },
    least=dict.fromkeys(("n_gpus", "tp", "pp", "ep"), 1),
    endless=("request_rate",),
)


def validate_inference(path: str | Path) -> Validation:
    """Compare predictions with a table of the columns of ``data/measurements/inference.csv``.

    ``pp``, ``ep``, ``kv_precision``, ``engine_version``, ``batch_size``, ``concurrency``,
    ``request_rate`` and ``notes`` may be left out.
    """
    raw, reasons = read_table(path, COLUMNS)
    usable = prepared(raw[reasons == ""].assign(**_blank(raw)))
    reasons = reasons.copy()
    reasons.loc[usable.index] = skip_reasons(usable)
    rows = usable[reasons.loc[usable.index] == ""].reset_index(drop=True)
    predicted = predicted_inference(rows, memory=memory_terms()) if len(rows) else np.zeros(0)
    fits = predicted > 0
    unfit = rows.loc[~fits, "line"]
    reasons[raw["line"].isin(unfit)] = "by our reckoning the model does not fit these GPUs"
    rows = compared(rows[fits].reset_index(drop=True), predicted[fits])
    return Validation(rows, left_out(raw, reasons), ratio_table(rows))


def _blank(raw: pd.DataFrame) -> dict[str, str]:
    return {c: "" for c in ("kv_precision", "engine_version", "notes") if c not in raw}


def compared(rows: pd.DataFrame, predicted: np.ndarray) -> pd.DataFrame:
    """Return prepared rows with their prediction, its log error and its interval."""
    quantity = rows["metric"].map(METRICS)
    rows = rows.assign(predicted=predicted, quantity=quantity)
    rows["era"] = era_of(rows) if len(rows) else pd.Series(dtype=object)
    rows = with_interval(rows, quantity, inference_interval)
    rows["error"] = np.log(rows["predicted"] / rows["value"])
    rows["inside"] = rows["value"].between(rows["low"], rows["high"])
    return rows


def ratio_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the ratio between GPUs of each matched pair, measured and predicted."""
    return ratios(rows, matched_pairs(rows), *numbers(rows, "value", "predicted"))


def held_out_inference() -> Validation:
    """Return the shipped measurements beside predictions by fits that left out their source."""
    rows = prepared(measurements("inference"))
    reasons = skip_reasons(rows)
    predicted = rows["case_id"].map(held_out("inference"))
    reasons[(reasons == "") & ~(predicted > 0)] = "by our reckoning the model does not fit"
    rows.insert(0, "line", np.arange(len(rows)) + 2)
    usable = reasons == ""
    rated = compared(rows[usable].reset_index(drop=True), predicted[usable].to_numpy(float))
    return Validation(rated, left_out(rows, reasons), ratio_table(rated))
