"""Published speed ratios of two GPUs, from the tables of measurements and from submissions."""

from functools import lru_cache

import numpy as np
import pandas as pd

from gpuspec.catalog import load_table
from gpuspec.constants.memory import memory_terms
from gpuspec.evidence.measurements.pairs import SAME, matched_steps
from gpuspec.evidence.measurements.rows import measurements
from gpuspec.evidence.measurements.training import (
    filled,
    measured_step_seconds,
    prepared_training,
    step_tokens,
)

SIXTEEN_BIT = ("bf16", "fp16")
ENGINE = "tensorrt-llm"
"""Engine whose estimates the grids of serving hold."""
RATES = ("output_tokens_per_s_total", "output_tokens_per_s_per_gpu")


@lru_cache(64)
def published_serving(
    new: str, old: str, new_weights: str = "", old_weights: str = ""
) -> pd.DataFrame:
    """Return measured throughput of a GPU over another at the largest load, by matched case.

    The two cases differ in the GPU alone and, where formats of weights are given (``16 bit`` or
    a name), in the format. Of the engine that estimates take. Columns: ``value``, ``model``,
    ``context``, ``answer``, ``gpus``, ``weights`` (of the newer side), ``source``.
    """
    rows = measurements("inference")
    rows = rows[rows["metric"].isin(RATES) & (rows["scenario"] == "inflight_max")]
    rows = rows[rows["engine"] == ENGINE]
    keys = [c for c in SAME if c not in ("weight_precision", "kv_precision") or not new_weights]
    sides = []
    for name, weights in ((new, new_weights), (old, old_weights)):
        allowed = SIXTEEN_BIT if weights == "16 bit" else (weights,)
        part = rows[
            (rows["gpu"] == name) & (rows["weight_precision"].isin(allowed) | (weights == ""))
        ]
        keyed = part[keys].astype(object).where(part[keys].notna(), "").astype(str)
        keyed = keyed.assign(value=part["value"], form=part["weight_precision"])
        sides.append(keyed.groupby(keys)[["value", "form"]].max())
    both = pd.concat(sides, axis=1, keys=["new", "old"], join="inner").reset_index()
    return pd.DataFrame(
        {
            "value": both[("new", "value")] / both[("old", "value")],
            "model": both["model"],
            "context": pd.to_numeric(both["isl"]),
            "answer": pd.to_numeric(both["osl"]),
            "gpus": pd.to_numeric(both["n_gpus"]),
            "weights": both[("new", "form")].str.upper().replace({"FP16": "BF16"}),
            "source": both["source_id"],
        }
    )


@lru_cache(64)
def published_training(new: str, old: str) -> pd.DataFrame:
    """Return measured training speed of a GPU over another: same software, model and sequence.

    Matched runs of the table of measurements, then MLPerf Training submissions of one company in
    one round. Columns: ``value``, ``model``, ``seq_len`` (NaN for submissions), ``precision``
    and ``framework`` (blank for submissions), ``gpu`` (the newer), ``source``.
    """
    runs = _runs("gpu")
    runs = runs[runs["pair"] == f"{new} / {old}"]
    table = load_table("measurements-speedups")
    sent = table[(table["gpu_new"] == new) & (table["gpu_old"] == old) & table["used"].astype(bool)]
    sent = pd.DataFrame(
        {"value": sent["ratio"], "model": sent["model"], "source": sent["source_id"]}
    )
    sent = sent.assign(precision="", gpu=new, framework="")
    return pd.concat([runs.drop(columns="pair"), sent], ignore_index=True)


@lru_cache(8)
def published_fp8(gpu: str) -> pd.DataFrame:
    """Return measured training speed in FP8 over BF16 on a GPU; columns as `published_training`."""
    runs = _runs("precision")
    runs = runs[(runs["gpu"] == gpu) & (runs["precision"] == "FP8")]
    return runs.drop(columns="pair").reset_index(drop=True)


@lru_cache(1)
def _rows() -> pd.DataFrame:
    """Return the training runs of sources that measured two GPUs or two precisions.

    Of all weights, as estimates are; layouts as each side chose them.
    """
    rows = measurements("training")
    rows = rows[rows["tuning"] == "full"]
    kinds = rows.groupby("source_id")[["gpu", "precision"]].transform("nunique").max(axis=1)
    return filled(prepared_training(rows[kinds > 1].reset_index(drop=True)), memory_terms())


@lru_cache(2)
def _runs(other: str) -> pd.DataFrame:
    rows = _rows()
    speed = step_tokens(rows) / measured_step_seconds(rows) / rows["n_gpus"].to_numpy(float)
    pairs = matched_steps(rows, other)
    new, old = pairs["new"].to_numpy(int), pairs["old"].to_numpy(int)
    return pd.DataFrame(
        {
            "pair": pairs["pair"],
            "value": np.asarray(speed)[new] / np.asarray(speed)[old],
            "model": rows["model"].to_numpy()[new],
            "seq_len": rows["seq_len"].to_numpy(float)[new],
            "precision": rows["precision"].str.upper().to_numpy()[new],
            "gpu": rows["gpu"].to_numpy()[new],
            "framework": rows["framework"].to_numpy()[new],
            "source": rows["source_id"].to_numpy()[new],
        }
    )
