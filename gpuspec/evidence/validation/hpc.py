"""Hold the model of scientific computing against anybody's measurements."""

from pathlib import Path

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.catalog import gpu as _any_gpu
from gpuspec.catalog.workloads import workload as _any_workload
from gpuspec.catalog.workloads import workloads
from gpuspec.constants.hpc import hpc_interval, hpc_ratio_interval, hpc_terms
from gpuspec.constants.stored import held_out
from gpuspec.evidence.measurements.hpc import (
    Rows,
    predictable,
    prepared_hpc,
    prepared_rows,
    unusable,
)
from gpuspec.evidence.measurements.pairs import matched_speeds
from gpuspec.evidence.measurements.rows import Row, measurements, numbers
from gpuspec.evidence.validation.common import (
    CASE,
    Columns,
    Validation,
    checked,
    judged,
    left_out,
    ratios,
    remembered,
    with_interval,
)
from gpuspec.formulas.hpc.devices import machine

COLUMNS = Columns(
    needed=(*CASE, "n_gpus", "workload", "metric", "value"),
    numbers={"n_gpus": True, "value": True},
    least={"n_gpus": 1},
)
LOWER = ("s", "ms", "us", "ns", "min", "h", "seconds", "hours", "minutes")
"""Metrics that are times: smaller is better where the row does not say."""
NO_PARTNER = (
    "only the ratio of two GPUs can be predicted of it: give a row of another GPU with the same "
    "source_id and pair"
)
_gpu = remembered(_any_gpu)
_workload = remembered(_any_workload)


def validate_hpc(path: str | Path) -> Validation:
    """Compare predictions with a table of the columns of ``data/measurements/hpc.csv``."""
    raw, reasons = checked(path, COLUMNS, _check)
    index = np.flatnonzero(reasons == "")
    rows = raw.iloc[index].reset_index(drop=True)
    if len(rows):
        rows = prepared_hpc(_with_ids(rows))
        good = predictable(rows)
        reasons.iloc[index[~good]] = NO_PARTNER
        rows = rows[good].reset_index(drop=True)
    if len(rows):
        terms = {name: hpc_terms(name) for name in rows["workload"].unique()}
        rows["predicted"] = Rows(rows).everything(terms)
        return _validation(rows, left_out(raw, reasons))
    blank = dict.fromkeys(("predicted", "measured", "error", "low", "high"), 0.0)
    rows = rows.assign(**blank, inside=False, how="", kind="")
    return Validation(rows, left_out(raw, reasons), _ratios(rows), "hpc")


def _with_ids(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with the canonical ids, and whether larger values are better."""
    better = rows.get("higher_is_better", pd.Series("", rows.index)).str.strip().str.lower()
    times = rows["metric"].str.strip().str.lower().isin(LOWER)
    return rows.assign(
        gpu=[_gpu(name).id for name in rows["gpu"]],
        workload=[_workload(name).id for name in rows["workload"]],
        metric=rows["metric"].str.strip().str.lower(),
        higher_is_better=np.where(better == "", ~times, better == "true"),
    )


def _check(row: Row) -> None:
    """Raise what is wrong with a row."""
    _workload(row["workload"])
    machine(_gpu(row["gpu"]))
    better = str(row.get("higher_is_better", "")).strip().lower()
    if better not in ("", "true", "false"):
        raise UnknownNameError("higher_is_better", better, ("true", "false"))
    if not str(row["metric"]).strip():
        raise InputError("metric", "", "name the unit of the value, such as gflops or ns_day")


def _validation(rows: pd.DataFrame, skipped: pd.DataFrame) -> Validation:
    """Return prepared rows that have ``predicted`` with their error, interval and labels.

    ``measured`` and ``predicted`` are speeds of one GPU in the unit of the metric; rows that
    can only be compared with a partner share the measured level of their pair.
    """
    rows = rows.assign(
        measured=rows["speed"],
        how=np.where(rows["absolute"], "figure itself", "level from its pair"),
    )
    labels = rows["kind"].mask(rows["absolute"], "")
    rows = judged(
        with_interval(
            rows, labels, lambda v, kind: hpc_ratio_interval(v, kind) if kind else hpc_interval(v)
        )
    )
    return Validation(rows, skipped, _ratios(rows), "hpc")


def _ratios(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the ratio of speeds of each matched pair of GPUs."""
    columns = ["pair", "case_id", "measured", "predicted", "error", "kind", "workload"]
    pairs = matched_speeds(rows) if len(rows) else pd.DataFrame()
    if pairs.empty:
        return pd.DataFrame(columns=columns)
    newer = rows.iloc[pairs["new"].to_numpy(int)]
    pairs = pairs.assign(pair=[_families(name) for name in pairs["pair"]])
    table = ratios(rows, pairs, *numbers(rows, "measured", "predicted"))
    return table.assign(**{name: newer[name].to_numpy() for name in ("kind", "workload")})


def _families(pair: str) -> str:
    """Return a pair as families of GPUs: there are too many cards to read one by one."""
    new, old = (name.split("-")[0] for name in pair.split(" / "))
    return f"{new} / {old}" if new != old else f"two {new}s"


def held_out_hpc() -> Validation:
    """Return the shipped measurements beside predictions by fits that left out their source."""
    rows, raw = prepared_rows(), measurements("hpc")
    raw = raw.assign(line=np.arange(len(raw)) + 2)
    known = set(workloads().index)
    reasons = pd.Series([unusable(row, known) for row in raw.to_dict("records")], dtype=object)
    there = raw["case_id"].isin(rows["case_id"])
    reasons[~there & (reasons == "")] = NO_PARTNER
    rows = rows.assign(predicted=rows["case_id"].map(held_out("hpc")))
    rows = rows.merge(raw[["case_id", "line"]], on="case_id")
    return _validation(rows, left_out(raw, reasons))
