"""Tables as a page shows them."""

from typing import Any

import pandas as pd

from gpuspec.base.units import GIB

BYTE_COLUMNS = {"weights", "kv_cache", "activations", "runtime", "free", "total", "low", "high"}
READABLE = {
    "gpu": "GPU",
    "gpus": "GPUs",
    "weights": "Weights",
    "kv_cache": "KV cache",
    "activations": "Activations",
    "runtime": "Runtime",
    "free": "Free",
    "max_sequences": "Requests that fit",
    "max_context": "Longest context",
    "verdict": "Verdict",
    "utilization": "Share of memory",
    "policy": "Way to train",
    "total": "Estimate",
    "low": "Low",
    "high": "High",
}


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table for a page: bytes in GiB, columns under names that a reader knows."""
    shown = table.copy()
    for column in BYTE_COLUMNS.intersection(table.columns):
        shown[column] = table[column] / GIB
    needs: dict[Any, str] = {
        c: str(c).replace("needs ", "GPUs: ") for c in table if str(c).startswith("needs ")
    }
    return shown.rename(columns={**READABLE, **needs})
