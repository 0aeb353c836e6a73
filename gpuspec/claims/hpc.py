"""Checks of claims on scientific computing and on sharing a GPU."""

import numpy as np
import pandas as pd

from gpuspec.catalog import Gpu, gpus, mig_profiles
from gpuspec.claims.inference import MORE, over_a100
from gpuspec.claims.machines import exact
from gpuspec.claims.question import ClaimsQuestion
from gpuspec.claims.training import training_pairs
from gpuspec.claims.verdict import Check

INTENSITIES = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
"""FLOP in FP64 for each byte of memory traffic: from sparse solvers to dense products."""
NO_CHOICE = 2.0
"""Speed over A100 from which we read "no other choice"."""


def fp64_rate(device: Gpu, intensity: np.ndarray) -> np.ndarray:
    """Return the FP64 rate that memory and units allow, TFLOP/s, by FLOP for each byte.

    References
    ----------
    Williams, Waterman, Patterson 2009, doi:10.1145/1498765.1498785 (roofline).
    """
    peak = max(device.fp64_tflops or 0.0, device.fp64_tensor_tflops or 0.0)
    return np.minimum(peak, intensity * device.memory_bandwidth_gb_s / 1e3)


def fp64_grid(q: ClaimsQuestion) -> pd.DataFrame:
    """Return FP64 speed of H100 and H200 over A100 by intensity: ``gpu``, ``intensity``..."""
    steps = np.array(INTENSITIES)
    base = fp64_rate(q.a100, steps)
    rows = [
        (new.id, float(step), float(ratio))
        for new in (q.h100, q.h200)
        for step, ratio in zip(steps, fp64_rate(new, steps) / base, strict=True)
    ]
    return exact(list(rows), ["gpu", "intensity"])


def c05(q: ClaimsQuestion) -> list[Check]:
    """More instances, larger ones, better isolated ones."""
    counts, sizes, engines = [], [], []
    smallest = {g.id: _smallest(g) for g in (q.a100, q.h100, q.h200)}
    old = smallest[q.a100.id]
    for new in (q.h100, q.h200):
        part = smallest[new.id]
        counts.append((new.id, part["max_instances"] / old["max_instances"]))
        sizes.append((new.id, "SMs", part["sm_count"] / old["sm_count"]))
        sizes.append(
            (new.id, "bandwidth", new.memory_bandwidth_gb_s / q.a100.memory_bandwidth_gb_s)
        )
        engines.append((new.id, "decoders of an instance", float(part["nvdec"] >= 1)))
        engines.append((new.id, "confidential computing", float(bool(new.confidential_computing))))
    return [
        Check(
            label="more instances",
            what="independent instances of one GPU over those of A100",
            grid=exact(list(counts), ["gpu"]),
            least=MORE,
        ),
        Check(
            label="larger instances",
            what="what the smallest instance has over that of A100",
            grid=exact(list(sizes), ["gpu", "resource"]),
            least=MORE,
        ),
        Check(
            label="better isolated instances",
            what="own decoders and confidential computing, which A100 lacks",
            grid=exact(list(engines), ["gpu", "resource"]),
            least=1.0,
            unit="yes",
        ),
    ]


def _smallest(device: Gpu) -> "pd.Series[float]":
    table = mig_profiles()
    return table[table.index.get_level_values("gpu_id") == device.id].iloc[0]


def c13(q: ClaimsQuestion) -> list[Check]:
    """FP64 speed over A100, and whether another GPU of the catalogue is as fast."""
    return [
        Check(
            label="far ahead of A100",
            what="FP64 speed of H100 and H200 over A100, by FLOP for each byte of memory",
            grid=fp64_grid(q),
            least=NO_CHOICE,
        ),
        Check(
            label="no rival",
            what="FP64 units of H200 over those of the other GPUs of the catalogue",
            grid=_rivals(q),
            least=1.0,
        ),
    ]


def _rivals(q: ClaimsQuestion) -> pd.DataFrame:
    table = gpus()
    table = table[table["fp64_tensor_tflops"] > 0]
    own = q.h200.fp64_tensor_tflops or 0.0
    best = table[["fp64_tflops", "fp64_tensor_tflops"]].max(axis=1)
    rows = [
        (str(name), vendor, own / rate)
        for name, vendor, rate in zip(table.index, table["vendor"], best, strict=True)
    ]
    return exact(list(rows), ["rival", "vendor"])


def c19(q: ClaimsQuestion) -> list[Check]:
    """Gain over A100 for the same money in every kind of work: training, serving, FP64."""
    parts = []
    for new, price in (("h100", 1.0), ("h200", float(np.median(q.h200_prices)))):
        device: Gpu = getattr(q, new)
        scientific = fp64_grid(q)
        scientific = scientific[scientific["gpu"] == device.id]
        for kind, grid in (
            ("training", training_pairs(q, new)),
            ("serving", over_a100(q, new)),
            ("scientific work bound by memory", scientific[scientific["intensity"] <= 4]),
            ("scientific work bound by FP64", scientific[scientific["intensity"] > 4]),
        ):
            grid = grid[np.isfinite(grid["value"])]
            for level in q.h100_prices:
                middle = grid[["value", "low", "high"]].median() / (level * price)
                parts.append((device.id, kind, level, *middle))
    columns = ["gpu", "work", "price", "value", "low", "high"]
    return [
        Check(
            label="ahead in every kind of work",
            what="work for the same money, H100 and H200 over A100, in each kind of work",
            grid=pd.DataFrame(parts, columns=columns),
            least=1.0,
        )
    ]
