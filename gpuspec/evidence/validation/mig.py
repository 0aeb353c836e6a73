"""Hold the model of MIG slices against anybody's measurements."""

import numpy as np
import pandas as pd

from gpuspec.base.errors import UnknownNameError
from gpuspec.catalog import mig_profile as _any_profile
from gpuspec.constants.stored import stored_interval
from gpuspec.evidence.measurements.described import row_levels
from gpuspec.evidence.measurements.mig import is_whole, slice_pairs
from gpuspec.evidence.measurements.rows import Row, completed
from gpuspec.evidence.validation.common import NO_RATIOS, Kind, judged
from gpuspec.evidence.validation.reading import Columns, known_gpu

BOUNDS = ("compute", "bandwidth", "host", "mixed")
COLUMNS = Columns(
    kind="mig",
    needed=("series", "gpu", "profile", "rate"),
    numbers={"rate": True, "batch": False, "sequence": False},
    least={"batch": 1, "sequence": 1},
    lowered=("bound", "profile", "kind"),
    names={"gpu": known_gpu},
)
WHOLE = "it is the whole GPU with which the slices of its series are compared"
NO_WHOLE = (
    "its series has no row of the whole GPU (profile blank, or 7g) with the same gpu and batch: "
    "give one"
)


def _check(row: Row) -> None:
    """Raise what is wrong with a row."""
    device = known_gpu(row["gpu"])
    if row["profile"]:
        _any_profile(device.id, row["profile"])
    if row.get("bound", "") not in ("", *BOUNDS):
        raise UnknownNameError("bound", row["bound"], BOUNDS)


def _named(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with ``measured`` and ``predicted``, slice over whole GPU, where there is one."""
    rows = completed(rows, {"batch": np.nan}, {"bound": "compute", "kind": ""})
    rows["gpu"] = [known_gpu(name).id for name in rows["gpu"]]
    pairs = slice_pairs(_together(rows))
    rows["load"] = pairs["full"].map({True: "full load", False: "light load"})
    return rows.assign(measured=pairs["measured"], slice=pairs["predicted"])


def _together(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows whose series are of one GPU; without a series the rows of a source are one."""
    series = rows["series"].where(rows["series"] != "", rows["source_id"])
    return rows.assign(series=series + "|" + rows["gpu"])


def _skipped(rows: pd.DataFrame) -> "pd.Series[str]":
    whole = np.where(is_whole(_together(rows)), WHOLE, NO_WHOLE)
    return pd.Series(np.where(rows["measured"] > 0, "", whole), rows.index, dtype=object)


def _compared(rows: pd.DataFrame) -> pd.DataFrame:
    levels = row_levels("mig", rows)
    low, high = stored_interval(rows["predicted"], "mig", "slice", levels, ground=rows["ground"])
    return judged(rows.assign(low=low, high=high))


MIG = Kind(
    columns=COLUMNS,
    check=_check,
    named=_named,
    skipped=_skipped,
    prepared=lambda rows: rows,
    predicted=lambda rows: rows["slice"].to_numpy(float),
    compared=_compared,
    ratios=lambda rows: NO_RATIOS,
)
