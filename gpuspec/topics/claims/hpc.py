"""Checks of claims on scientific computing, dynamic programming, and sharing a GPU."""

from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError
from gpuspec.catalog import Gpu, gpu, gpus, mig_profile, mig_profiles
from gpuspec.constants.hpc import dynamic_interval
from gpuspec.formulas.mig import slice_sms
from gpuspec.topics.claims.ask import ClaimsQuestion
from gpuspec.topics.claims.inference import MORE, over_a100
from gpuspec.topics.claims.machines import exact
from gpuspec.topics.claims.purchase import middle
from gpuspec.topics.claims.training import ABOUT, training_pairs
from gpuspec.topics.claims.verdict import FIGURES, Check
from gpuspec.topics.hpc import class_table, dynamic_table, published_dynamic, published_ratios

NO_CHOICE = 2.0
"""Speed over A100 from which we read "no other choice"."""
PLAIN, EMULATED, BEST = "32-bit integers on A100", "DPX emulated on A100", "A100's best way"
"""What the instructions of H100 are compared with."""


@lru_cache(8)
def science(q: ClaimsQuestion) -> pd.DataFrame:
    """Return the speed of H100 and H200 over A100 in every class of scientific computing.

    Columns: ``workload``, ``name``, ``kind``, ``gpu``, ``bound``, ``value``, ``low``, ``high``.
    """
    table = class_table([q.a100_gpu, q.h100_gpu, q.h200_gpu])
    table = table[table["gpu"] != q.a100_gpu.id].reset_index(drop=True)
    names = {"speed": "value", "speed_low": "low", "speed_high": "high"}
    return table.rename(columns=names)


@lru_cache(8)
def published_science(q: ClaimsQuestion) -> pd.DataFrame:
    """Return published speed of H100 and H200 over A100, a source and class a row."""
    found = published_ratios([q.a100_gpu, q.h100_gpu, q.h200_gpu])
    found = found[found["old"] == q.a100_gpu.id]
    return pd.DataFrame(
        {"value": found["ratio"], "workload": found["workload"], "source": found["source_id"]}
    ).reset_index(drop=True)


@lru_cache(8)
def dynamic_grid(q: ClaimsQuestion) -> pd.DataFrame:
    """Return DPX on H100 over A100 by recurrence, width of the cells and what A100 does.

    Columns: ``algorithm``, ``cells``, ``compared``, ``value``, ``low``, ``high``.
    """
    table = dynamic_table([q.a100_gpu, q.h100_gpu])
    new, old = (table[table["gpu"] == g.id] for g in (q.h100_gpu, q.a100_gpu))
    rows = []
    for name, group in new[new["dpx"]].groupby("algorithm", sort=False):
        mine = old[old["algorithm"] == name]
        plain = mine[mine["cell"].eq("int32") & ~mine["dpx"]]["gcups"].iloc[0]
        best = mine[~mine["dpx"]]["gcups"].max()
        for cell, rate in zip(group["cell"], group["gcups"], strict=True):
            width = "16 bit" if cell == "int16x2" else "32 bit"
            same = mine[mine["cell"].eq(cell) & mine["dpx"]]["gcups"].iloc[0]
            rows += [
                (name, width, PLAIN, rate / plain),
                (name, width, EMULATED, rate / same),
                (name, width, BEST, rate / best),
            ]
    grid = pd.DataFrame(rows, columns=["algorithm", "cells", "compared", "value"])
    low, high = (np.exp(np.sqrt(2) * np.log(float(end))) for end in dynamic_interval(1.0))
    return grid.assign(low=grid["value"] * low, high=grid["value"] * high)


def published_alignment(q: ClaimsQuestion) -> pd.DataFrame:
    """Return published Smith-Waterman speed of H100 over A100 by the same program."""
    table = published_dynamic()
    keys = ["program", "case", "source_id"]
    sides = [
        table[table["gpu"] == g.id].set_index(keys)["gcups"].rename(side)
        for g, side in ((q.h100_gpu, "new"), (q.a100_gpu, "old"))
    ]
    both = pd.concat(sides, axis=1, join="inner").reset_index()
    return pd.DataFrame({"value": both["new"] / both["old"], "source": both["source_id"]})


def c05(q: ClaimsQuestion) -> list[Check]:
    """More instances, more ways to split, larger instances, better isolated ones."""
    old, table = _profiles(q.a100_gpu), []
    for new in (q.h100_gpu, q.h200_gpu):
        now = _profiles(new)
        first, before = now.iloc[0], old.iloc[0]
        bandwidth = new.memory_bandwidth_gb_s / q.a100_gpu.memory_bandwidth_gb_s
        table += [
            ("more", new.id, "instances", first["max_instances"] / before["max_instances"]),
            ("more", new.id, "profiles", len(now) / len(old)),
            ("larger", new.id, "SMs", _sms(first) / _sms(before)),
            ("larger", new.id, "bandwidth", bandwidth),
            ("isolated", new.id, "own decoder", float(first["nvdec"] >= 1)),
            ("isolated", new.id, "confidential", float(bool(new.confidential_computing))),
        ]
    every = exact(list(table), ["part", "gpu", "resource"])

    def part(name: str) -> pd.DataFrame:
        return every[every["part"] == name].drop(columns="part").reset_index(drop=True)

    return [
        Check(
            label="more instances or ways to split",
            what="instances of one GPU, and profiles to choose from, over those of A100",
            grid=part("more"),
            least=MORE,
        ),
        Check(
            label="larger instances",
            what="SMs and bandwidth of the smallest instance over that of A100",
            grid=part("larger"),
            least=MORE,
        ),
        Check(
            label="better isolated instances",
            what="own decoder in each instance, and confidential computing, which A100 lacks",
            grid=part("isolated"),
            least=1.0,
            unit="yes",
        ),
    ]


def _sms(profile: "pd.Series[Any]") -> float:
    return float(slice_sms(gpu(profile["gpu_id"]), mig_profile(*profile[["gpu_id", "profile"]])))


def _profiles(device: Gpu) -> pd.DataFrame:
    """Return the MIG profiles of a GPU, or of one with the same chip.

    Raises
    ------
    InputError
        The GPU has no MIG.
    """
    table = mig_profiles().reset_index()
    chips = gpus()["chip"]
    kin = [device.id, *chips.index[chips == device.chip][::-1]]
    known = [name for name in kin if (table["gpu_id"] == name).any()]
    if not device.mig_max_instances or not known:
        raise InputError("claims", "C05", f"{device.id} has no MIG: leave this claim out")
    return table[table["gpu_id"] == known[0]]


def c06(q: ClaimsQuestion) -> list[Check]:
    """Seven times in dynamic programming: over what, in which recurrence."""
    return [
        Check(
            label="7 times",
            what="dynamic programming with DPX on H100 over A100",
            grid=dynamic_grid(q),
            least=7 * ABOUT,
            any_will_do=True,
            measured=published_alignment(q),
        )
    ]


def c13(q: ClaimsQuestion) -> list[Check]:
    """Twice A100 in every class, and no GPU with faster FP64 units."""
    return [
        Check(
            label="far ahead of A100",
            what="speed of H100 and H200 over A100 in each class of scientific computing",
            grid=science(q).drop(columns=["workload"]),
            least=NO_CHOICE,
            measured=published_science(q),
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
    own = max(q.h200_gpu.fp64_tflops or 0.0, q.h200_gpu.fp64_tensor_tflops or 0.0)
    best = table[["fp64_tflops", "fp64_tensor_tflops"]].max(axis=1)
    rows = [
        (str(name), vendor, own / rate)
        for name, vendor, rate in zip(table.index, table["vendor"], best, strict=True)
    ]
    return exact(list(rows), ["rival", "vendor"])


def c19(q: ClaimsQuestion) -> list[Check]:
    """Gain over A100 for the same money in every kind of work: training, serving, science."""
    parts = []
    for new, price in (("h100", 1.0), ("h200", middle(q.h200_ratios))):
        device: Gpu = getattr(q, f"{new}_gpu")
        classes = science(q)[science(q)["gpu"] == device.id]
        units = classes["bound"] == "compute units"
        for kind, grid in (
            ("training", training_pairs(q, new)),
            ("serving", over_a100(q, new)),
            ("science bound by memory", classes[~units]),
            ("science bound by units", classes[units]),
        ):
            finite = grid[np.isfinite(grid["value"])]
            for level in q.h100_ratios:
                typical = finite[list(FIGURES)].median() / (level * price)
                parts.append((device.id, kind, level, *typical))
    columns = ["gpu", "work", "price", *FIGURES]
    return [
        Check(
            label="ahead in every kind of work",
            what="work for the same money, H100 and H200 over A100, median of each kind of work",
            grid=pd.DataFrame(parts, columns=columns).dropna(),
            least=1.0,
        )
    ]
