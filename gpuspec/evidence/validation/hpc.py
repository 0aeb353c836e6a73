"""Hold the model of scientific computing against anybody's measurements."""

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.catalog.workloads import workload as _any_workload
from gpuspec.catalog.workloads import workloads
from gpuspec.constants.hpc import hpc_interval, hpc_terms
from gpuspec.constants.stored import stored_interval
from gpuspec.evidence.measurements.described import row_levels
from gpuspec.evidence.measurements.hpc import (
    Rows,
    predictable,
    prepared_hpc,
    unusable,
)
from gpuspec.evidence.measurements.pairs import matched_speeds
from gpuspec.evidence.measurements.rows import Row, numbers
from gpuspec.evidence.validation.common import NO_RATIOS, Kind, judged, ratios
from gpuspec.evidence.validation.reading import Columns, known_gpu, remembered
from gpuspec.formulas.hpc.devices import machine

_workload = remembered(_any_workload)
COLUMNS = Columns(
    kind="hpc",
    needed=("gpu", "n_gpus", "workload", "metric", "value"),
    numbers={"n_gpus": True, "value": True},
    least={"n_gpus": 1},
    truths=("higher_is_better",),
    names={"gpu": known_gpu, "workload": _workload},
)
LOWER = ("s", "ms", "us", "ns", "min", "h", "seconds", "hours", "minutes")
"""Metrics that are times: smaller is better where the row does not say."""
NO_PARTNER = (
    "only the ratio of two GPUs can be predicted of it: give a row of another GPU with the same "
    "source_id and pair"
)


def _with_ids(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with the canonical ids, and whether larger values are better."""
    better = rows.get("higher_is_better", pd.Series("", rows.index)).str.strip().str.lower()
    times = rows["metric"].str.strip().str.lower().isin(LOWER)
    return rows.assign(
        gpu=[known_gpu(name).id for name in rows["gpu"]],
        workload=[_workload(name).id for name in rows["workload"]],
        metric=rows["metric"].str.strip().str.lower(),
        higher_is_better=np.where(better == "", ~times, better == "true"),
    )


def _check(row: Row) -> None:
    """Raise what is wrong with a row."""
    _workload(row["workload"])
    machine(known_gpu(row["gpu"]))
    better = str(row.get("higher_is_better", "")).strip().lower()
    if better not in ("", "true", "false"):
        raise UnknownNameError("higher_is_better", better, ("true", "false"))
    if not str(row["metric"]).strip():
        raise InputError("metric", "", "name the unit of the value, such as gflops or ns_day")


def _predicted(rows: pd.DataFrame) -> np.ndarray:
    values, good = np.full(len(rows), np.nan), predictable(rows)
    if good.any():
        terms = {name: hpc_terms(name) for name in rows["workload"].unique()}
        values[good] = Rows(rows[good]).everything(terms)
    return values


def _compared(rows: pd.DataFrame) -> pd.DataFrame:
    """Return prepared rows that have ``predicted`` with their error, interval and labels.

    ``measured`` and ``predicted`` are speeds of one GPU in the unit of the metric; rows that
    can only be compared with a partner share the measured level of their pair.
    """
    rows = rows.assign(
        measured=rows["speed"],
        how=np.where(rows["absolute"], "figure itself", "level from its pair"),
    )
    value, ground = rows["predicted"], rows["ground"]
    levels = row_levels("hpc", rows)
    alone, pair = (
        hpc_interval(value, ground, levels),
        stored_interval(value, "hpc", "ratio", levels, ground=ground),
    )
    low, high = (np.where(rows["absolute"], a, b) for a, b in zip(alone, pair, strict=True))
    return judged(rows.assign(low=low, high=high))


def _ratios(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the ratio of speeds of each matched pair of GPUs."""
    pairs = matched_speeds(rows)
    if pairs.empty:
        return NO_RATIOS.assign(kind=None, workload=None)
    newer = rows.iloc[pairs["new"].to_numpy(int)]
    pairs = pairs.assign(pair=[_families(name) for name in pairs["pair"]])
    table = ratios(rows, pairs, *numbers(rows, "measured", "predicted"))
    return table.assign(**{name: newer[name].to_numpy() for name in ("kind", "workload")})


def _families(pair: str) -> str:
    """Return a pair as families of GPUs: there are too many cards to read one by one."""
    new, old = (name.split("-")[0] for name in pair.split(" / "))
    return f"{new} / {old}" if new != old else f"two {new}s"


def _skipped(rows: pd.DataFrame) -> "pd.Series[str]":
    known = set(workloads().index)
    reasons = [unusable(row, known) for row in rows.to_dict("records")]
    return pd.Series(reasons, rows.index, dtype=object)


HPC = Kind(
    columns=COLUMNS,
    check=_check,
    named=_with_ids,
    skipped=_skipped,
    prepared=prepared_hpc,
    predicted=_predicted,
    compared=_compared,
    ratios=_ratios,
    silent=lambda rows: [NO_PARTNER] * len(rows),
    unstored=NO_PARTNER,
)
