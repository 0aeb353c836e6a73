"""Errors of inference with prompts and answers on separate GPUs, and what they say of an answer.

No constant is fitted to these measurements, all of one publisher: the errors are those of the model
as it stands. ``disaggregated.csv`` is written by ``tools/write_disaggregated.py``.
"""

from functools import cache
from pathlib import Path

from gpuspec.base.rows import csv_rows

TABLE = Path(__file__).with_suffix(".csv")


@cache
def separate_errors() -> dict[str, dict[str, float]]:
    """Return by kind, ``ttft`` and ``tpot``: ``rows``, ``median``, ``p90``, ``low``, ``high``.

    The first two errors are |predicted / measured - 1|; 80 % of the measurements lie between
    ``low`` and ``high`` times the prediction.
    """
    _, rows = csv_rows("disaggregated", TABLE.read_text("utf-8"), str(TABLE))
    names = ("rows", "median", "p90", "low", "high")
    return {row.cells["kind"]: {n: float(row.cells[n]) for n in names} for row in rows}


def separate_interval(value: float, kind: str) -> tuple[float, float]:
    """Return the 80 % interval of an estimated time."""
    errors = separate_errors()[kind]
    return value * errors["low"], value * errors["high"]
