"""Columns of tables, each declared once: heading, unit and format of what a page shows."""

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from gpuspec.base.units import GIB, MICRO


class Column(NamedTuple):
    """How a column is shown: its heading, and its values over `unit` in `format`."""

    heading: str
    format: str = ""
    unit: float = 1.0


MS = 1e3 * MICRO
COLUMNS: Mapping[str, Column] = {
    "gpu": Column("GPU"),
    "gpus": Column("GPUs", ",.0f"),
    "precision": Column("Format"),
    "weight": Column("Format"),
    "split": Column("Split"),
    "tp": Column("TP"),
    "pp": Column("PP"),
    "unit_gpus": Column("GPUs of a replica", ",.0f"),
    "replicas": Column("Replicas", ",.0f"),
    "most": Column("Requests in memory", ",.0f"),
    "within": Column("Requests within limits", ",.0f"),
    "ttft_s": Column("TTFT, s", ".2f"),
    "tpot_s": Column("TPOT, ms", ".1f", MS),
    "output_tokens_s": Column("Tokens/s", ",.0f"),
    "days": Column("Days", ",.1f"),
    "bound": Column("Bound by"),
    "reason": Column("Why not"),
    "weights": Column("Weights", ".1f", GIB),
    "kv_cache": Column("KV cache", ".1f", GIB),
    "activations": Column("Activations", ".1f", GIB),
    "runtime": Column("Runtime", ".1f", GIB),
    "free": Column("Free", ".1f", GIB),
    "total": Column("Estimate", ".1f", GIB),
    "low": Column("Low", ".1f", GIB),
    "high": Column("High", ".1f", GIB),
    "max_sequences": Column("Requests that fit", ",.0f"),
    "max_context": Column("Longest context", ",.0f"),
    "verdict": Column("Verdict"),
    "utilization": Column("Share of memory", ".0%"),
    "policy": Column("Way to train"),
}
"""By name, as tables of the topics call them."""


def readable(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table for a page: values in the units of their headings, columns under these.

    `gpuspec.views.display.table` writes them in the formats that are declared here.

    >>> list(readable(pd.DataFrame({"gpu": ["H100"], "tpot_s": [0.02]})).iloc[0])
    ['H100', 20.0]
    """
    known = {name: COLUMNS[str(name)] for name in frame.columns if str(name) in COLUMNS}
    scaled = {str(n): frame[n] / c.unit for n, c in known.items() if c.unit != 1.0}
    shown = frame.assign(**scaled).rename(columns={n: c.heading for n, c in known.items()})
    shown.attrs["formats"] = {c.heading: c.format for c in known.values() if c.format}
    return shown
