"""Grids of scientific computing and dynamic programming, with what was published."""

from functools import lru_cache

import numpy as np
import pandas as pd

from gpuspec.catalog import Gpu, gpu, gpus
from gpuspec.catalog.workloads import workloads
from gpuspec.constants.hpc import dynamic_interval
from gpuspec.formulas.hpc import ALGORITHMS
from gpuspec.topics.claims.ask import ClaimsQuestion
from gpuspec.topics.claims.machines import exact
from gpuspec.topics.hpc import class_table, dynamic_table, published_dynamic, published_ratios

PLAIN, BEST = "32-bit integers on A100", "A100's best way"
"""What the instructions of H100 are compared with. Emulated DPX, which makes A100 slower than
either, is nobody's program."""


@lru_cache(8)
def science(q: ClaimsQuestion) -> pd.DataFrame:
    """Return the speed of H100 and H200 over A100 in every class of scientific computing.

    Columns: ``name``, ``kind``, ``gpu``, ``bound``, ``value``, ``low``, ``high``.
    """
    table = class_table([q.a100_gpu, q.h100_gpu, q.h200_gpu]).drop(columns="workload")
    table = table[table["gpu"] != q.a100_gpu.id].reset_index(drop=True)
    return table.rename(columns={"speed": "value", "speed_low": "low", "speed_high": "high"})


@lru_cache(8)
def published_science(q: ClaimsQuestion) -> pd.DataFrame:
    """Return published speed of H100 and H200 over A100, a source and class a row."""
    seen = published_ratios([q.a100_gpu, q.h100_gpu, q.h200_gpu])
    seen = seen[seen["old"] == q.a100_gpu.id].reset_index(drop=True)
    return _named(seen).assign(gpu=seen["new"])


def _named(seen: pd.DataFrame) -> pd.DataFrame:
    """Call the columns of published ratios as grids do."""
    names = seen["workload"].map(workloads()["name"])
    return seen.assign(name=names).rename(columns={"ratio": "value", "source_id": "source"})


@lru_cache(8)
def dynamic_grid(q: ClaimsQuestion) -> pd.DataFrame:
    """Return DPX on H100 over A100 by recurrence, width of the cells and what A100 does.

    Columns: ``algorithm``, ``cells``, ``compared``, ``value``, ``low``, ``high``.
    """
    table = dynamic_table([q.a100_gpu, q.h100_gpu])
    new = table[(table["gpu"] == q.h100_gpu.id) & table["dpx"]]
    rows = []
    for name, old in table[table["gpu"] == q.a100_gpu.id].groupby("algorithm", sort=False):
        called = ALGORITHMS[str(name)].name
        plain = old[~old["dpx"]].set_index("cell")["gcups"]
        for _, cell, rate in new.loc[new["algorithm"] == name, ["cell", "gcups"]].itertuples():
            width = "16 bit" if cell == "int16x2" else "32 bit"
            rows += [
                (called, width, PLAIN, rate / plain["int32"]),
                (called, width, BEST, rate / plain.max()),
            ]
    grid = pd.DataFrame(rows, columns=["algorithm", "cells", "compared", "value"])
    low, high = (np.exp(np.sqrt(2) * np.log(float(end))) for end in dynamic_interval(1.0))
    return grid.assign(low=grid["value"] * low, high=grid["value"] * high)


def published_alignment(q: ClaimsQuestion) -> pd.DataFrame:
    """Return published Smith-Waterman speed of H100 over A100 by the same program."""
    keys = ["program", "case", "source_id"]
    rates = published_dynamic().pivot_table(index=keys, columns="gpu", values="gcups", sort=False)
    rates = rates.reindex(columns=[q.h100_gpu.id, q.a100_gpu.id])
    ratio = (rates[q.h100_gpu.id] / rates[q.a100_gpu.id]).dropna().rename("value")
    name = ALGORITHMS["smith-waterman"].name
    said = {"algorithm": name, "cells": "16 bit", "compared": BEST}
    return ratio.reset_index().rename(columns={"source_id": "source"}).assign(**said)


def other_chips(q: ClaimsQuestion) -> list[Gpu]:
    """Return NVIDIA's GPUs of other chips than those asked for, one of each."""
    own = {g.chip for g in (q.a100_gpu, q.h100_gpu, q.h200_gpu)}
    table = gpus()
    table = table[(table["vendor"] == "NVIDIA") & ~table["chip"].isin(own)]
    return [gpu(str(name)) for name in table.index[~table["chip"].duplicated()]]


@lru_cache(8)
def over_rivals(q: ClaimsQuestion) -> pd.DataFrame:
    """Return the speed of H200 over that of each other chip in every class of computations.

    Columns: ``name``, ``kind``, ``rival``, ``bound`` (of H200), ``value``, ``low``, ``high``.
    """
    parts = []
    for rival in other_chips(q):
        table = class_table([rival, q.h200_gpu])
        parts.append(table[table["gpu"] == q.h200_gpu.id].assign(rival=rival.id))
    table = pd.concat(parts, ignore_index=True).drop(columns=["workload", "gpu"])
    return table.rename(columns={"speed": "value", "speed_low": "low", "speed_high": "high"})


@lru_cache(8)
def published_over_rivals(q: ClaimsQuestion) -> pd.DataFrame:
    """Return published speed of H200 over other chips, a source and class a row."""
    parts = [published_ratios([rival, q.h200_gpu]) for rival in other_chips(q)]
    seen = pd.concat(parts, ignore_index=True)
    return _named(seen).assign(rival=seen["old"])


def rivals(q: ClaimsQuestion) -> pd.DataFrame:
    """Return the FP64 units of H200 over those of the other GPUs of the catalogue."""
    table = gpus()
    table = table[table["fp64_tensor_tflops"] > 0]
    own = max(q.h200_gpu.fp64_tflops or 0.0, q.h200_gpu.fp64_tensor_tflops or 0.0)
    best = own / table[["fp64_tflops", "fp64_tensor_tflops"]].max(axis=1)
    return exact(list(zip(table.index, table["vendor"], best, strict=True)), "rival", "vendor")
