"""Fit the constants of scientific computing to published results, and hold sources out."""

import numpy as np
import pandas as pd

from gpuspec.catalog.workloads import workloads
from gpuspec.constants.hpc import KINDS, DynamicTerms, HpcTerms
from gpuspec.constants.stored import Stored
from gpuspec.evidence.fits.errors import summary
from gpuspec.evidence.fits.hierarchy import Fit, Hierarchy, fitted, held_out
from gpuspec.evidence.fits.store import (
    Errors,
    case_values,
    fitted_entries,
    pair_summaries,
    provenance,
)
from gpuspec.evidence.measurements.hpc import Rows, dynamic_programs, prepared_rows
from gpuspec.evidence.measurements.pairs import matched_speeds, ratio_errors

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


def _errors(rows: pd.DataFrame, predicted: np.ndarray, strict: np.ndarray) -> Errors:
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
    ratio, of = ratio_errors(error, pairs), sources[place]
    kinds, names = rows["kind"].to_numpy()[place], rows["workload"].to_numpy(str)[place]
    for kind, label in KINDS.items():
        own = kinds == kind
        errors[f"ratio, {label}"] = summary(ratio[own], of[own])
        classes, counts = np.unique(names[own], return_counts=True)
        most = str(classes[counts.argmax()])  # one class that was measured often hides the others
        rest = own & (names != most)
        errors[f"ratio, {label} but {most}"] = summary(ratio[rest], of[rest])
        one = pairs[own].reset_index(drop=True)
        errors |= pair_summaries(ratio[own], of[own], one, PAIR_SOURCES, f"ratio, {label}, ")
    for name in sorted(set(names)):
        own = names == name
        errors[f"ratio, {name}"] = summary(ratio[own], of[own])
    return errors


def fit_dynamic() -> Stored:
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


def calibrate() -> Stored:
    """Fit, hold out, and return everything that is stored."""
    rows = prepared_rows()
    fit = Fit(HPC, rows)
    constants = fitted(fit, [*workloads().index, "other"])
    predicted, strict = held_out(fit, "held_with"), held_out(fit)
    return {
        "classes": fitted_entries(dict(sorted(constants.items())), rows, rows["workload"]),
        "dynamic": fit_dynamic(),
        "errors": _errors(rows, predicted, strict),
        "held_out": case_values(rows, predicted),
        "provenance": provenance(
            "hpc",
            rows,
            "hierarchical robust least squares in log space (all, family, class); rows of a pair "
            "share a free level; whole sources held out; intervals split-conformal by source",
        ),
    }
