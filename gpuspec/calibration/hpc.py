"""Fit the constants of scientific computing to published results, and hold sources out."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.calibration.errors import summary
from gpuspec.calibration.hierarchy import Hierarchy, fitted, held_out
from gpuspec.catalog import gpu, load_table
from gpuspec.files import write_atomically
from gpuspec.hpc import DynamicTerms, HpcTerms, cell_updates_s
from gpuspec.measurements.hpc import (
    Rows,
    hpc_measurements,
    matched_speeds,
    predictable,
    prepared_hpc,
    unusable,
)
from gpuspec.paths import DATA
from gpuspec.workloads import chip, workloads

STORED = Path("calibration") / "hpc.json"
KINDS = {"kernel": "kernels", "application": "applications"}
PAIR_SOURCES = 3
"""Sources that must have measured both sides of a pair before it gets an interval of its own."""


def _family(name: str) -> str:
    return str(workloads()["family"].get(name, "mixed"))


HPC = Hierarchy(
    terms=HpcTerms,
    widths={
        "compute_share": 0.4,
        "bandwidth_share": 0.2,
        "cache_share": 0.4,
        "host_factor": 0.5,
        "power_exponent": 0.3,
        "scale_loss": 0.5,
    },
    predictor=Rows,
    measured=lambda rows: rows["speed"].to_numpy(float),
    member=lambda rows: rows["workload"],
    family=_family,
    noise=0.08,
)


@cache
def stored_hpc() -> dict[str, Any]:
    """Return everything that the calibration of scientific computing stored."""
    found: dict[str, Any] = json.loads((DATA / STORED).read_text("utf-8"))
    return found


def hpc_terms(name: str = "") -> HpcTerms:
    """Return the fitted constants of a class; those of its family where it has none of its own."""
    classes = stored_hpc()["classes"]
    return HpcTerms(**classes[name if name in classes else "other"]["terms"])


def dynamic_terms() -> DynamicTerms:
    """Return the fitted constants of dynamic programming."""
    return DynamicTerms(**stored_hpc()["dynamic"]["terms"])


def dynamic_interval(value: Any) -> tuple[Any, Any]:
    """Return the interval of cell updates: the spread of published programs about the model."""
    error = stored_hpc()["dynamic"]
    return np.asarray(value) * error["low"], np.asarray(value) * error["high"]


def hpc_errors() -> pd.DataFrame:
    """Return the held-out error of each figure: columns of `gpuspec.calibration.errors`."""
    return pd.DataFrame(stored_hpc()["errors"]).T.rename_axis("quantity")


def hpc_interval(value: Any, kind: str = "kernel") -> tuple[Any, Any]:
    """Return the 80 % interval of the speed of a class: ``kernel`` or ``application``.

    References
    ----------
    Lei et al. 2018, arXiv:1604.04173 (split-conformal prediction), on log errors and with
    whole sources held out.
    """
    error = stored_hpc()["errors"][f"speed, {KINDS['kernel']}"]
    if kind == "application":  # the level of a program is not known: twice the kernels' width
        error = {end: error[end] ** 2 for end in ("low", "high")}
    return np.asarray(value) * error["low"], np.asarray(value) * error["high"]


def hpc_ratio_interval(value: Any, kind: str, new: str = "", old: str = "") -> tuple[Any, Any]:
    """Return the 80 % interval of a ratio of speeds of two GPUs, given by id."""
    errors = stored_hpc()["errors"]
    label = f"ratio, {KINDS[kind]}"
    forward, backward = f"{label}, {new} / {old}", f"{label}, {old} / {new}"
    if new == old:
        return np.asarray(value), np.asarray(value)
    if forward in errors:
        label = forward
    elif backward in errors:
        low, high = (1 / errors[backward][end] for end in ("high", "low"))
        return np.asarray(value) * low, np.asarray(value) * high
    return np.asarray(value) * errors[label]["low"], np.asarray(value) * errors[label]["high"]


def held_out_speeds() -> dict[str, float]:
    """Return the speed of each case of the shipped table by a fit without its source."""
    found: dict[str, float] = stored_hpc()["held_out"]
    return found


def prepared_rows() -> pd.DataFrame:
    """Return the shipped measurements that can be predicted."""
    raw, known = hpc_measurements(), set(workloads().index)
    good = [not unusable(row, known) for row in raw.to_dict("records")]
    rows = prepared_hpc(raw[good].reset_index(drop=True))
    return rows[predictable(rows)].reset_index(drop=True)


def speed_ratio_errors(rows: pd.DataFrame, predicted: Any, pairs: pd.DataFrame) -> np.ndarray:
    """Return log(measured / predicted) of the ratio of speeds of each pair."""
    error = np.log(rows["speed"].to_numpy(float) / np.asarray(predicted, float))
    old, new = pairs["old"].to_numpy(int), pairs["new"].to_numpy(int)
    return np.asarray(error[new] - error[old])


def _errors(rows: pd.DataFrame, predicted: np.ndarray, strict: np.ndarray) -> dict[str, Any]:
    """Return the error figures of held-out predictions."""
    speed, alone = rows["speed"].to_numpy(float), rows["absolute"].to_numpy(bool)
    error, whole = np.log(speed / predicted), np.log(speed / strict)
    sources, held = rows["source_id"].to_numpy(), rows["held_with"].to_numpy()
    errors = {
        "speed, kernels": summary(error[alone], held[alone]),
        "speed, kernels, class never seen": summary(whole[alone], sources[alone]),
    }
    pairs = matched_speeds(rows)
    place = pairs["new"].to_numpy(int)
    ratio, of = speed_ratio_errors(rows, predicted, pairs), sources[place]
    kinds = rows["kind"].to_numpy()[place]
    for kind, label in KINDS.items():
        own = kinds == kind
        errors[f"ratio, {label}"] = summary(ratio[own], of[own])
        for name in sorted(pairs["pair"].unique()):
            one = own & (pairs["pair"] == name).to_numpy()
            if len(set(of[one])) >= PAIR_SOURCES:
                errors[f"ratio, {label}, {name}"] = summary(ratio[one], of[one])
    names = rows["workload"].to_numpy()[place]
    for name in sorted(set(names)):
        own = names == name
        errors[f"ratio, {name}"] = summary(ratio[own], of[own])
    return errors


def fit_dynamic() -> dict[str, Any]:
    """Fit what programs reach of the instruction limit: medians of sources."""
    rows = load_table("measurements-dpx")
    chosen = rows["used"].astype(bool) & (rows["metric"] == "gcups")
    rows = rows[chosen & (rows["kind"] == "program") & (rows["algorithm"] == "smith-waterman")]
    rows = rows[rows["gpu"] != ""].reset_index(drop=True)
    whole = DynamicTerms(issue_share=1.0, dpx_share=1.0)
    fused = (rows["dpx"] == "hardware").to_numpy()
    limit = np.array(
        [
            cell_updates_s(
                "smith-waterman",
                "int16x2" if f else "half2",
                chip([gpu(name)]),
                whole,
                bool(f),
            )[0]
            for name, f in zip(rows["gpu"], fused, strict=True)
        ]
    )
    share = rows["value"].to_numpy(float) * 1e9 / limit / rows["n_gpus"].to_numpy(float)
    terms = DynamicTerms(
        issue_share=float(f"{np.median(share[~fused]):.3g}"),
        dpx_share=float(f"{np.median(share[fused]):.3g}"),
    )
    spread = share / np.where(fused, terms.dpx_share, terms.issue_share)
    low, high = np.quantile(spread, [0.1, 0.9])
    return {
        "terms": terms.model_dump(),
        "rows": len(rows),
        "sources": sorted(rows["source_id"].unique()),
        "low": round(min(float(low), 0.9), 4),
        "high": round(max(float(high), 1.1), 4),
    }


def calibrate() -> dict[str, Any]:
    """Fit, hold out, and return everything that is stored."""
    rows = prepared_rows()
    names = rows["workload"]
    found = fitted(HPC, rows, [*workloads().index, "other"])
    predicted = held_out(HPC, rows, "held_with")
    strict = held_out(HPC, rows)
    return {
        "classes": {
            name: {
                "terms": terms.model_dump(),
                "rows": int((names == name).sum()),
                "sources": sorted(rows.loc[names == name, "source_id"].unique()),
            }
            for name, terms in sorted(found.items())
        },
        "dynamic": fit_dynamic(),
        "errors": _errors(rows, predicted, strict),
        "held_out": {
            case: float(f"{value:.4g}")
            for case, value in zip(rows["case_id"], predicted, strict=True)
        },
        "provenance": {
            "table": "measurements/hpc.csv",
            "rows": len(rows),
            "sources": sorted(rows["source_id"].unique()),
            "method": "hierarchical robust least squares in log space (all, family, class); rows "
            "of a pair share a free level; whole sources held out; intervals split-conformal by "
            "source",
        },
    }


def main() -> None:
    """Fit, hold out, and store."""
    found = calibrate()
    write_atomically(DATA / STORED, (json.dumps(found, indent=1) + "\n").encode())
    stored_hpc.cache_clear()
    print(hpc_errors().to_string())
