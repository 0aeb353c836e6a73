"""Fit the constants of scientific computing to published results, and hold sources out."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.base.files import write_atomically
from gpuspec.base.paths import DATA
from gpuspec.catalog import gpu, load_table
from gpuspec.catalog.workloads import workloads
from gpuspec.evidence.fits.errors import summary
from gpuspec.evidence.fits.hierarchy import Fit, Hierarchy, fitted, held_out
from gpuspec.evidence.measurements.hpc import (
    Rows,
    hpc_measurements,
    matched_speeds,
    predictable,
    prepared_hpc,
    unusable,
)
from gpuspec.formulas.hpc import DynamicTerms, HpcTerms, cell_updates_s
from gpuspec.formulas.hpc.devices import chip

STORED = Path("calibration") / "hpc.json"
KINDS = {"kernel": "kernels", "application": "applications"}
PROGRAMS = {"smith-waterman": "smith-waterman", "pairwise-alignment": "smith-waterman-linear"}
"""Recurrence of a program's algorithm."""
DYNAMIC_FACTOR = 1.3
"""Half width of the interval of cell updates: two sources are too few to measure one."""
PAIR_SOURCES = 3
"""Sources that must have measured both sides of a pair before its error is listed."""


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
    """Return an interval of cell updates: set at 30 %, since two sources measure none."""
    error = stored_hpc()["dynamic"]
    return np.asarray(value) * error["low"], np.asarray(value) * error["high"]


def hpc_errors() -> pd.DataFrame:
    """Return the held-out error of each figure: columns of `gpuspec.evidence.fits.errors`."""
    return pd.DataFrame(stored_hpc()["errors"]).T.rename_axis("quantity")


def hpc_interval(value: Any) -> tuple[Any, Any]:
    """Return the 80 % interval of the speed of a kernel whose figure stands alone.

    References
    ----------
    Lei et al. 2018, arXiv:1604.04173 (split-conformal prediction), on log errors and with
    whole sources held out.
    """
    error = stored_hpc()["errors"]["speed, kernels"]
    return np.asarray(value) * error["low"], np.asarray(value) * error["high"]


def hpc_ratio_interval(value: Any, kind: str, new: str = "", old: str = "") -> tuple[Any, Any]:
    """Return the 80 % interval of a ratio of speeds of two GPUs, given by id.

    The wider of that of all pairs and of those without the class that was measured most: what
    one often measured class gets right says little of the others.
    """
    if new and new == old:
        return np.asarray(value), np.asarray(value)
    label = f"ratio, {KINDS[kind]}"
    errors = stored_hpc()["errors"]
    ends = [e for name, e in errors.items() if name == label or name.startswith(f"{label} but ")]
    low, high = min(e["low"] for e in ends), max(e["high"] for e in ends)
    return np.asarray(value) * low, np.asarray(value) * high


def held_out_speeds() -> dict[str, float]:
    """Return the speed of each case of the shipped table by a fit without its source."""
    found: dict[str, float] = stored_hpc()["held_out"]
    return found


@cache
def prepared_rows() -> pd.DataFrame:
    """Return the shipped measurements that can be predicted; not to be changed in place."""
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
    kinds, names = rows["kind"].to_numpy()[place], rows["workload"].to_numpy(str)[place]
    for kind, label in KINDS.items():
        own = kinds == kind
        errors[f"ratio, {label}"] = summary(ratio[own], of[own])
        found, counts = np.unique(names[own], return_counts=True)
        most = str(found[counts.argmax()])  # one class that was measured often hides the others
        rest = own & (names != most)
        errors[f"ratio, {label} but {most}"] = summary(ratio[rest], of[rest])
        for name in sorted(pairs["pair"].unique()):
            one = own & (pairs["pair"] == name).to_numpy()
            if len(set(of[one])) >= PAIR_SOURCES:
                errors[f"ratio, {label}, {name}"] = summary(ratio[one], of[one])
    for name in sorted(set(names)):
        own = names == name
        errors[f"ratio, {name}"] = summary(ratio[own], of[own])
    return errors


def fit_dynamic() -> dict[str, Any]:
    """Fit what programs reach of the instruction limit: medians over published programs."""
    rows = dynamic_programs()
    fused = (rows["dpx"] == "hardware").to_numpy()
    share = rows["gcups"].to_numpy(float) * 1e9 / rows["limit"].to_numpy(float)
    terms = DynamicTerms(
        issue_share=float(f"{np.median(share[~fused]):.3g}"),
        dpx_share=float(f"{np.median(share[fused]):.3g}"),
    )
    error = np.log(share / np.where(fused, terms.dpx_share, terms.issue_share))
    return {
        "terms": terms.model_dump(),
        "rows": len(rows),
        "sources": sorted(rows["source_id"].unique()),
        "largest_error": round(float(np.abs(error).max()), 4),
        "low": 1 / DYNAMIC_FACTOR,
        "high": DYNAMIC_FACTOR,
    }


def dynamic_programs() -> pd.DataFrame:
    """Return published programs of one GPU with ``gcups`` and the instruction ``limit``.

    Programs without DPX use half precision; alignment whose gaps a source does not name is
    taken as linear.
    """
    rows = load_table("measurements-dpx")
    chosen = rows["used"].astype(bool) & (rows["metric"] == "gcups") & (rows["gpu"] != "")
    chosen &= (rows["kind"] == "program") & rows["dpx"].isin(["hardware", "none"])
    chosen &= rows["algorithm"].isin(list(PROGRAMS))
    rows = rows[chosen].reset_index(drop=True)
    whole, limits = DynamicTerms(issue_share=1.0, dpx_share=1.0), []
    for name, algorithm, dpx in rows[["gpu", "algorithm", "dpx"]].to_numpy():
        cell = "int16x2" if dpx == "hardware" else "half2"
        found = cell_updates_s(PROGRAMS[algorithm], cell, chip([gpu(name)]), whole, cell != "half2")
        limits.append(float(found[0]))
    return rows.assign(gcups=rows["value"] / rows["n_gpus"], limit=limits)


def calibrate() -> dict[str, Any]:
    """Fit, hold out, and return everything that is stored."""
    rows = prepared_rows()
    names = rows["workload"]
    fit = Fit(HPC, rows)
    found = fitted(fit, [*workloads().index, "other"])
    predicted, strict = held_out(fit, "held_with"), held_out(fit)
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
