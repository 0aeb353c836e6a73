"""Published speeds of MIG slices beside those of the whole GPU, paired."""

from functools import cache

import pandas as pd

from gpuspec.catalog import gpu, mig_profile
from gpuspec.evidence.measurements.rows import Row, measurements
from gpuspec.formulas.mig.delivery import slice_seconds
from gpuspec.formulas.mig.slices import compute_share, memory_share

FULL_LOAD = 0.9
"""Share of its best rate from which on the whole GPU counts as full."""

SAID = ["source_id", "publisher", "series", "gpu", "profile", "kind", "unit"]
PAIR = [*SAID, "batch", "share", "measured", "predicted", "full"]


def published_slices() -> pd.DataFrame:
    """Return the published slices paired with their whole GPU; columns as in `slice_pairs`."""
    return slice_pairs(measurements("mig")).reset_index(drop=True)


def is_whole(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Return which rows are of the whole GPU of their series: without MIG, else its 7g instance."""
    alone = rows["profile"] == ""
    return alone | rows["profile"].str.startswith("7g") & ~alone.groupby(rows["series"]).transform(
        "any"
    )


def slice_pairs(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each slice that was measured with a batch that the whole GPU ran too.

    Returns
    -------
    DataFrame
        Indexed as the slices' own rows: ``source_id``, ``publisher``, ``series``, ``gpu``,
        ``profile``, ``batch``, ``share`` (of SMs, relative to what the source calls whole),
        ``measured`` and ``predicted`` (slice over whole GPU) and ``full`` (whether that batch
        fills the whole GPU).
    """
    pairs: dict[object, Row] = {}
    rows = rows.assign(batch=rows["batch"].fillna(1.0), whole=is_whole(rows))
    for _, group in rows.groupby("series", sort=False):
        whole = group[group["whole"]].groupby("batch")["rate"].mean()
        if whole.empty:
            continue
        profile = str(group.loc[group["whole"], "profile"].iloc[0])
        batches, rates = whole.index.to_numpy(float), whole.to_numpy(float)
        for place, row in group[~group["whole"]].to_dict("index").items():
            if row["batch"] not in whole.index:
                continue
            rate, share = float(whole[row["batch"]]), _share(row, profile)
            seconds = float(slice_seconds(row["batch"], share, batches, batches / rates))
            pair = {c: row.get(c, "") for c in SAID}
            pair |= {"batch": row["batch"], "share": share, "measured": row["rate"] / rate}
            pair |= {"predicted": row["batch"] / seconds / rate}
            pairs[place] = {**pair, "full": rate >= FULL_LOAD * rates.max()}
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
