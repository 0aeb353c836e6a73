"""Matched pairs: the same case measured on two GPUs, or in two precisions, all else equal.

Pairs are tables with ``old`` and ``new``, positions in the rows that they are made of, and
``pair``, such as ``"h200-sxm-141 / h100-sxm-80"``.
"""

from collections.abc import Sequence
from itertools import combinations

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
    "attention_dp",
    "isl",
    "osl",
    "batch_size",
    "concurrency",
    "request_rate",
    "scenario",
    "metric",
]
"""What two rows of inference must share to count as the same case."""
SAME_JOB = ["source_id", "publisher", "model", "seq_len", "recompute", "tuning", "framework"]
SAME_JOB += ["fp8_recipe", "tp_overlap"]
"""What two rows of training must share to count as the same job."""
ORDER = ("v100", "a100", "a800", "l40s", "h800", "h100", "h20", "gh200", "h200", "b200", "b300")
"""Families of GPUs, the oldest first."""
SERVING_ORDER = tuple(family for family in ORDER if family != "l40s")
"""The same for inference, whose stored errors put L40S last."""


def age(name: str, order: Sequence[str] = ORDER) -> tuple[int, str]:
    """Return a key that sorts GPUs from old to new; unknown ones come last."""
    family = name.split("-")[0]
    return (order.index(family) if family in order else len(order)), name


def _table(pairs: list[tuple[int, int, str]]) -> pd.DataFrame:
    return pd.DataFrame(pairs, columns=["old", "new", "pair"])


def matched_pairs(rows: pd.DataFrame) -> pd.DataFrame:
    """Return pairs of rows of inference that differ in nothing but the GPU."""
    keyed = rows[SAME].astype(object).where(rows[SAME].notna(), "")
    names = [str(name) for name in rows["gpu"]]
    pairs = []
    for index in keyed.groupby(SAME, sort=True).indices.values():
        if len({names[i] for i in index}) < len(index) or len(index) < 2:
            continue
        ordered = sorted(index, key=lambda i: age(names[i], SERVING_ORDER))
        pairs += [(a, b, f"{names[b]} / {names[a]}") for a, b in combinations(ordered, 2)]
    return _table(pairs)


def matched_steps(rows: pd.DataFrame, other: str = "gpu") -> pd.DataFrame:
    """Return pairs of rows of training that differ in `other` alone: ``gpu`` or ``precision``.

    Each row of the newer side is paired with the row of the older one that is nearest in GPUs
    and micro-batch.
    """
    same = [*SAME_JOB, "precision" if other == "gpu" else "gpu"]
    place = rows[same].assign(place=np.arange(len(rows)))
    place = place[rows.groupby(same, sort=False)[other].transform("nunique") > 1]
    kinds = rows[other].to_numpy(object)
    gpus, micro = (rows[c].to_numpy(float) for c in ("n_gpus", "micro_batch"))
    pairs = []
    for _, group in place.groupby(same, sort=False)["place"]:
        places = group.to_numpy()
        sides = sorted(set(kinds[places]), key=age)
        for old, new in combinations(sides, 2):
            before = places[kinds[places] == old]
            for row in places[kinds[places] == new]:
                gap = np.abs(np.log(gpus[before] / gpus[row]))
                gap = gap + 0.1 * np.abs(np.log(micro[before] / micro[row]))
                if gap.min() < np.log(2):
                    pairs.append((before[int(gap.argmin())], row, f"{new} / {old}"))
    return _table(pairs)


def matched_speeds(rows: pd.DataFrame) -> pd.DataFrame:
    """Return pairs of prepared rows of scientific computing that differ in nothing but the GPU."""
    place = rows.assign(place=np.arange(len(rows)))
    place = place[place["pair"] != ""]
    pairs = []
    for _, group in place.groupby(["source_id", "pair"], sort=False):
        first = group.drop_duplicates("gpu")
        sides = sorted(zip(first["place"], first["gpu"], strict=True), key=lambda s: age(s[1]))
        pairs += [(old, new, f"{b} / {a}") for (old, a), (new, b) in combinations(sides, 2)]
    return _table(pairs)


def ratio_errors(error: np.ndarray, pairs: pd.DataFrame) -> np.ndarray:
    """Return log(measured / predicted) of the ratio, new over old, of each pair.

    `error` is that of each row: log(measured / predicted).
    """
    old, new = pairs["old"].to_numpy(int), pairs["new"].to_numpy(int)
    return np.asarray(error[new] - error[old])
