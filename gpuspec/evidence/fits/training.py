"""Fit the constants of training frameworks to published speeds, and hold sources out."""

import numpy as np
import pandas as pd

from gpuspec.constants.stored import Stored
from gpuspec.evidence.fits.errors import summary
from gpuspec.evidence.fits.frameworks import FRAMEWORKS
from gpuspec.evidence.fits.hierarchy import Fit, fitted, held_out
from gpuspec.evidence.fits.store import (
    Errors,
    case_values,
    fitted_entries,
    pair_summaries,
    provenance,
)
from gpuspec.evidence.measurements.pairs import matched_steps, ratio_errors
from gpuspec.evidence.measurements.training import (
    known_framework,
    measured_step_seconds,
    prepared_rows,
)

PAIR_SOURCES = 2
"""Sources that must have measured both sides of a pair before it gets an interval of its own."""


def _errors(rows: pd.DataFrame, predicted: np.ndarray, strict: np.ndarray) -> Errors:
    """Return the error figures of held-out predictions."""
    measured, sources = measured_step_seconds(rows), rows["source_id"]
    error = np.log(measured / predicted)
    known = known_framework(rows)
    errors = {
        "step time": summary(error, sources),
        "step time, framework known": summary(error[known], sources[known]),
        "step time, framework never seen": summary(error[~known], sources[~known]),
        "step time, whole publisher left out": summary(
            np.log(measured / strict), rows["publisher"]
        ),
    }
    for name, chosen in (
        ("fp8", rows["precision"] == "fp8"),
        ("mixtures of experts", rows["ep"] > 1),
        ("fine-tuning by adapters", rows["tuning"] != "full"),
    ):
        errors[f"step time, {name}"] = summary(error[chosen], sources[chosen])
    for other, label in (("gpu", "ratio"), ("precision", "fp8 ratio")):
        pairs = matched_steps(rows, other)
        pairs = pairs[~pairs["pair"].str.contains("fp16")].reset_index(drop=True)
        of = sources.to_numpy()[pairs["new"].to_numpy(int)]
        ratio = ratio_errors(-error, pairs)  # of speeds: the inverse of seconds
        errors[label] = summary(ratio, of)
        if other == "gpu":
            errors |= pair_summaries(ratio, of, pairs, PAIR_SOURCES)
    return errors


def calibrate() -> Stored:
    """Fit, hold out, and return everything that is stored."""
    rows = prepared_rows()
    fit = Fit(FRAMEWORKS, rows)
    constants = fitted(fit, ["other"])
    predicted = held_out(fit)
    strict = held_out(fit, "publisher")
    return {
        "frameworks": fitted_entries(dict(sorted(constants.items())), rows, rows["framework"]),
        "errors": _errors(rows, predicted, strict),
        "held_out": case_values(rows, predicted),
        "provenance": provenance(
            "training",
            rows,
            "hierarchical robust least squares in log space (all, family, framework); "
            "whole sources held out; intervals split-conformal by source",
        ),
    }
