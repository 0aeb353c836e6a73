"""Published speeds of MIG slices beside those of the whole GPU, paired."""

from functools import cache

import numpy as np
import pandas as pd

from gpuspec.catalog import gpu, mig_profile
from gpuspec.evidence.measurements.rows import Row, measurements
from gpuspec.formulas.mig.delivery import slice_seconds
from gpuspec.formulas.mig.slices import compute_share, memory_share

FULL_LOAD = 0.9
"""Share of its best rate from which on the whole GPU counts as full."""

PAIR = ["source_id", "publisher", "series", "gpu", "profile", "kind", "batch", "share", "measured"]
PAIR += ["predicted", "full"]


def published_slices() -> pd.DataFrame:
    """Return the published slices paired with their whole GPU; columns as in `slice_pairs`."""
    return slice_pairs(measurements("mig")).reset_index(drop=True)


def is_whole(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Return which rows are of a whole GPU: without MIG, or its 7g instance."""
    return (rows["profile"] == "") | rows["profile"].str.startswith("7g")


def slice_pairs(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each slice that was measured with a batch that the whole GPU ran too.

    The whole GPU is one without MIG (profile "") or, where the source has none, the 7g instance.

    Returns
    -------
    DataFrame
        Indexed as the slices' own rows: ``source_id``, ``publisher``, ``series``, ``gpu``,
        ``profile``, ``batch``, ``share`` (of SMs, relative to what the source calls whole),
        ``measured`` and ``predicted`` (slice over whole GPU) and ``full`` (whether that batch
        fills the whole GPU).
    """
    pairs: dict[object, Row] = {}
    for _, group in rows.groupby("series", sort=False):
        whole = group[is_whole(group)]
        if whole.empty:
            continue
        rates = dict(zip(whole["batch"].fillna(1.0), whole["rate"], strict=True))
        best = max(rates.values())
        floor = min(b / r for b, r in rates.items()) if len(rates) > 1 else 0.0
        for place, row in group.drop(index=whole.index).to_dict("index").items():
            batch = 1.0 if np.isnan(row["batch"]) else float(row["batch"])
            if batch not in rates:
                continue
            share = _share(row, str(whole["profile"].iloc[0]))
            predicted = batch / float(slice_seconds(batch, best, floor, share)) / rates[batch]
            pair = {c: row.get(c, "") for c in PAIR[:6]}
            pair |= {"batch": batch, "share": share, "measured": row["rate"] / rates[batch]}
            full = rates[batch] >= FULL_LOAD * best
            pairs[place] = {**pair, "predicted": predicted, "full": full}
    return pd.DataFrame.from_dict(pairs, orient="index", columns=PAIR)


def _share(row: Row, whole_profile: str) -> float:
    """Return the share of SMs, or of bandwidth where only that counts."""
    bandwidth = row["bound"] == "bandwidth"
    part = _part(row["gpu"], row["profile"], bandwidth)
    return part / _part(row["gpu"], whole_profile, bandwidth)


@cache
def _part(gpu_id: str, profile: str, bandwidth: bool) -> float:
    if not profile:
        return 1.0
    known = mig_profile(gpu_id, profile)
    return memory_share(known) if bandwidth else compute_share(gpu(gpu_id), known)
