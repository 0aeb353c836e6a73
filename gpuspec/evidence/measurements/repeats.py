"""How far apart published speeds of one setting lie: no estimate can be nearer than that.

Three kinds of repeats: several publishers ran the same settings; one publisher printed the same
settings on several pages, versions or dates; runs of a sweep, *twins*, differ in ZeRO's stage 0 or
1 alone, which send the same bytes.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from gpuspec.base.units import NODE_GPUS
from gpuspec.catalog import load_table
from gpuspec.evidence.measurements.rows import groups
from gpuspec.evidence.measurements.training import (
    measured_step_seconds,
    prepared_rows,
    prepared_training,
    step_tokens,
)

JOB = ["framework", "model", "gpu", "seq_len", "precision", "tuning"]
"""What is asked; a layout is left to choose."""
SETTINGS = [*JOB, "n_gpus", "global_batch", "micro_batch", "tp", "pp", "cp", "ep", "recompute"]
SETTINGS += ["fp8_recipe", "tp_overlap", "power_limit_w"]
SWEEP = "nanotron-sweep"
_LAYOUT = ["model", "n_gpus", "tp", "pp", "dp", "micro_batch", "zero_stage"]
BATCHES = "the source's batch arithmetic does not come out, or it gives two values"
MANY = 512
REPEATABLE = 1.5
"""A class of runs is used where nine of ten twins agree within this factor."""
HALF = 0.5
"""A micro-batch that adds less than this share of the memory that it adds in other runs contradicts
them."""
CONTRADICTS = (
    "its printed peak of memory has less than half of what its micro-batch adds by the source's "
    "other runs of that split"
)
CLASSES = (
    "in a node",
    "between nodes",
    f"on {MANY} GPUs, no pipeline",
    "pipelines between nodes",
)


def factors(rows: pd.DataFrame, same: Sequence[str], other: str) -> np.ndarray:
    """Return how many times faster the faster is of each two that agree in `same`, not in `other`.

    Rows with the same value of `other` count as their median.
    """
    speed = step_tokens(rows) / measured_step_seconds(rows) / rows["n_gpus"].to_numpy(float)
    found: list[float] = []
    for _, index in groups(rows, list(same)):
        each = pd.Series(speed[index]).groupby(rows[other].to_numpy()[index]).median()
        found += [max(a, b) / min(a, b) for a, b in combinations(each, 2)]
    return np.array(found)


def sweep() -> pd.DataFrame:
    """Return all runs of the sweep whose batches come out, used or not, with their ``class``."""
    table = load_table("measurements-training")
    rows = table[(table["source_id"] == SWEEP) & (table["not_used_because"] != BATCHES)]
    rows = prepared_training(rows.reset_index(drop=True))
    many, stages = rows["n_gpus"] > NODE_GPUS, rows["pp"] > 1
    kinds = [~many, many & stages, rows["n_gpus"] == MANY]
    return rows.assign(**{"class": np.select(kinds, [CLASSES[0], *CLASSES[:1:-1]], CLASSES[1])})


def contradicting(runs: pd.DataFrame) -> np.ndarray:
    """Return which runs of the sweep print less memory than their micro-batch must take.

    Kept activations grow with the micro-batch, and nothing is recomputed: a run adds
    ``(peak - peak of a micro-batch of one) / (micro-batch - 1)`` a sequence, the latter of the same
    split and ZeRO stage on the nearest number of ranks. The most of a split is what a sequence
    takes; a run that shows less than `HALF` of it did not run as printed.
    """
    table = load_table("measurements-memory")
    own = table[(table["source_id"] == SWEEP) & (table["part"] == "peak")]
    own = own.rename(columns={"model_id": "model"}).drop_duplicates(_LAYOUT)
    peaks = runs[_LAYOUT].merge(own[[*_LAYOUT, "value_bytes"]], "left", _LAYOUT)
    peak, size = peaks["value_bytes"].to_numpy(float), peaks["micro_batch"].to_numpy(float)
    ranks, added = np.log(peaks["dp"].to_numpy(float)), np.full(len(runs), np.nan)
    for _, index in groups(peaks, ["model", "tp", "pp", "zero_stage"]):
        single = index[(size[index] == 1) & np.isfinite(peak[index])]
        larger = index[size[index] > 1]
        if len(single):
            nearest = single[np.abs(ranks[larger, None] - ranks[single]).argmin(axis=1)]
            added[larger] = (peak[larger] - peak[nearest]) / (size[larger] - 1)
    most = pd.Series(added).groupby([peaks[n] for n in ("model", "tp", "pp")]).transform("max")
    return np.asarray(added < HALF * most)


def twins(runs: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the factors between runs that differ in ZeRO's stage alone, by class."""
    same = [*SETTINGS, "dp"]
    return {name: factors(runs[runs["class"] == name], same, "zero_stage") for name in CLASSES}


def repeats_table() -> pd.DataFrame:
    """Return pairs, median and 90th percentile of the difference, one row a kind of repeat."""
    rows = prepared_rows()
    found = {
        "same settings, other publisher": factors(rows, SETTINGS, "publisher"),
        "same settings, other page or version": factors(
            rows, [*SETTINGS, "publisher"], "source_id"
        ),
        "same job and framework, other publisher and layout": factors(rows, JOB, "publisher"),
    }
    found |= {f"nanotron's twins, {name}": own for name, own in twins(sweep()).items()}
    return pd.DataFrame(
        {
            name: [len(own), np.median(own) - 1, np.quantile(own, 0.9) - 1]
            for name, own in found.items()
        },
        index=["pairs", "median", "p90"],
    ).T
