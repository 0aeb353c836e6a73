"""Fit the constants of scientific computing to published results, and hold publishers out."""

import numpy as np
import pandas as pd

from gpuspec.catalog.workloads import workloads
from gpuspec.constants.hpc import KINDS, DynamicTerms, HpcTerms
from gpuspec.constants.stored import Stored, log_ends
from gpuspec.evidence.fits.errors import Errors, Lines
from gpuspec.evidence.fits.hierarchy import Fit, Hierarchy, fitted, held_out
from gpuspec.evidence.fits.store import case_values, fitted_entries, provenance
from gpuspec.evidence.measurements.described import FACTORS, described
from gpuspec.evidence.measurements.hpc import Rows, dynamic_programs, prepared_rows
from gpuspec.evidence.measurements.known import ground_record_of
from gpuspec.evidence.measurements.pairs import matched_speeds, ratio_errors

DYNAMIC_FACTOR = 1.3
"""Half width of the interval of cell updates: two sources are too few to measure one."""
ORDERED = ("a100", "h100", "l40s")
"""Families of GPUs whose order is held against the measurements."""
PAIR_PUBLISHERS = 3
"""Publishers that must have measured both sides of a pair before its error is listed."""


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


def _ratios(error: np.ndarray, rows: pd.DataFrame) -> tuple[Errors, pd.DataFrame]:
    """Return the errors of ratios of two GPUs, and the pairs with what they are of."""
    pairs = matched_speeds(rows)
    of = rows.iloc[pairs["new"].to_numpy(int)].reset_index(drop=True)
    pairs = pairs.assign(kind=of["kind"].map(KINDS), workload=of["workload"])
    return Errors(ratio_errors(error, pairs), of, of[FACTORS["hpc"]]), pairs


def _lines(of: Errors, pairs: pd.DataFrame) -> Lines:
    """Return the error figures of ratios by kind, by pair of GPUs and by class."""
    named = "ratio, " + pairs["kind"] + ", " + pairs["pair"]
    return {
        **of.by(pairs["kind"], "ratio, "),
        **of.by(named, "", PAIR_PUBLISHERS),
        **of.by(pairs["workload"], "ratio, "),
    }


def order_shares(of: Errors, pairs: pd.DataFrame, measured: np.ndarray) -> Stored:
    """Return how often two GPUs of `ORDERED` are put in the right order, by kind.

    Of the pairs whose `measured` ratio (its logarithm) lies outside the interval of a ratio around
    1: ``rows``, ``publishers`` and ``right``, the share whose held-out estimate lies on its side.
    """
    factors = {
        str(n): column
        for n, column in (pd.DataFrame() if of.factors is None else of.factors).items()
    }
    low, high = log_ends(of.interval, factors)
    families = pairs["pair"].str.split(" / ").map(lambda two: {name.split("-")[0] for name in two})
    chosen = families.map(lambda two: len(two) == 2 and two <= set(ORDERED)).to_numpy()
    chosen = chosen & ((measured > high) | (measured < low))
    right = np.sign(measured - of.error) == np.sign(measured)
    found = {}
    for kind in sorted(pairs["kind"].unique()):
        own = chosen & (pairs["kind"] == kind).to_numpy()
        found[str(kind)] = {
            "rows": int(own.sum()),
            "publishers": len(set(of.publishers[own])),
            "right": round(float(right[own].mean()), 4),
        }
    return found


def known_pairs(pairs: pd.DataFrame, rows: pd.DataFrame) -> Stored:
    """Return how many publishers measured two generations in one class: ``"Ada|Hopper" -> 2``."""
    sides = [rows["generation"].to_numpy(str)[pairs[side].to_numpy(int)] for side in ("old", "new")]
    both = ["|".join(sorted(two)) for two in zip(*sides, strict=True)]
    who = rows["publisher"].to_numpy()[pairs["new"].to_numpy(int)]
    counts = pairs.assign(both=both, who=who).groupby(["workload", "both"])["who"].nunique()
    return {
        str(name): {str(two): int(count) for two, count in part.droplevel(0).items()}
        for name, part in counts.groupby(level=0)
    }


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
    speed, alone = rows["speed"].to_numpy(float), rows["absolute"].to_numpy(bool)
    error, said = np.log(speed / predicted), described("hpc", rows)
    listed = rows.assign(publisher=rows["held_with"])[alone]
    kernels = Errors(error[alone], listed, None, "hpc", said[alone])
    never = Errors(np.log(speed / strict)[alone], rows[alone])
    ratios, pairs = _ratios(error, rows)
    old, new = (np.log(speed[pairs[side].to_numpy(int)]) for side in ("old", "new"))
    return {
        "classes": fitted_entries(dict(sorted(constants.items())), rows, rows["workload"]),
        "dynamic": fit_dynamic(),
        "errors": {
            "speed, kernels": kernels.of(),
            "speed, kernels, lists left out whole": never.of(),
            **kernels.by_ground("speed, kernels, "),
            **_lines(ratios, pairs),
        },
        "pairs": known_pairs(pairs, rows.assign(generation=said["generation"])),
        "order": order_shares(ratios, pairs, new - old),
        "intervals": {"speed": kernels.interval, "ratio": ratios.interval},
        "ground": {"hpc": ground_record_of("hpc", said, rows["held_with"].to_numpy(str))},
        "held_out": case_values(rows, predicted),
        "provenance": provenance(
            "hpc",
            rows,
            "hierarchical robust least squares in log space (all, family, class); rows of a pair "
            "share a free level; whole publishers held out, of lists one system at a time",
        ),
    }
