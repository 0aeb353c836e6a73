"""Matched pairs: the same case measured on two GPUs with the same software."""

import numpy as np
import pandas as pd

SAME = [
    "source_id",
    "engine",
    "engine_version",
    "model",
    "weight_precision",
    "kv_precision",
    "n_gpus",
    "tp",
    "pp",
    "isl",
    "osl",
    "batch_size",
    "concurrency",
    "request_rate",
    "scenario",
    "metric",
]
ORDER = ("a100", "h100", "gh200", "h200", "b200")


def matched_pairs(rows: pd.DataFrame) -> pd.DataFrame:
    """Return pairs of rows that differ in nothing but the GPU.

    Returns
    -------
    DataFrame
        ``old`` and ``new``: positions in `rows` of the earlier and the later GPU; ``pair``, such
        as ``"h200-sxm-141 / h100-sxm-80"``.
    """
    keyed = rows[SAME].astype(object).where(rows[SAME].notna(), "")
    found = []
    for index in keyed.groupby(SAME, sort=True).indices.values():
        gpus = rows["gpu"].iloc[index]
        if gpus.nunique() < 2 or gpus.duplicated().any():
            continue
        ordered = sorted(index, key=lambda i: (_age(rows["gpu"].iloc[i]), rows["gpu"].iloc[i]))
        for place, old in enumerate(ordered):
            for new in ordered[place + 1 :]:
                names = f"{rows['gpu'].iloc[new]} / {rows['gpu'].iloc[old]}"
                found.append((old, new, names))
    return pd.DataFrame(found, columns=["old", "new", "pair"])


def ratio_errors(
    rows: pd.DataFrame, predicted: np.ndarray, pairs: pd.DataFrame | None = None
) -> np.ndarray:
    """Return log(measured ratio / predicted ratio) of each matched pair."""
    pairs = matched_pairs(rows) if pairs is None else pairs
    error = np.log(rows["value"].to_numpy(float) / predicted)
    return np.asarray(error[pairs["new"].to_numpy(int)] - error[pairs["old"].to_numpy(int)])


def _age(name: str) -> int:
    family = name.split("-")[0]
    return ORDER.index(family) if family in ORDER else len(ORDER)
