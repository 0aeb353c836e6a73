"""Fit the constants of training frameworks to published speeds, and hold publishers out."""

import numpy as np
import pandas as pd

from gpuspec.constants.stored import Stored
from gpuspec.evidence.fits.errors import Errors
from gpuspec.evidence.fits.frameworks import FRAMEWORKS, families
from gpuspec.evidence.fits.hierarchy import Fit, fitted, held_out
from gpuspec.evidence.fits.store import case_values, fitted_entries, provenance
from gpuspec.evidence.measurements.described import FACTORS, described
from gpuspec.evidence.measurements.known import ground_record_of
from gpuspec.evidence.measurements.pairs import matched_steps, ratio_errors
from gpuspec.evidence.measurements.training import measured_step_seconds, prepared_rows

EVERY_PUBLISHER = 1.0
"""Every publisher counts the same in an interval of a step: a sweep of one decides no other's."""


def _ratios(error: np.ndarray, rows: pd.DataFrame, other: str) -> tuple[Errors, pd.DataFrame]:
    """Return the errors of ratios of speeds between rows that differ in `other` alone."""
    pairs = matched_steps(rows, other)
    pairs = pairs[~pairs["pair"].str.contains("fp16")].reset_index(drop=True)
    of = rows.iloc[pairs["new"].to_numpy(int)].reset_index(drop=True)
    ratio = ratio_errors(-error, pairs)  # of speeds: the inverse of seconds
    return Errors(ratio, of, pairs[["pair"]]), pairs


def calibrate() -> Stored:
    """Fit, hold out, and return everything that is stored."""
    rows = prepared_rows()
    fit = Fit(FRAMEWORKS, rows)
    constants = fitted(fit, ["other"])
    predicted = held_out(fit)
    error, said = np.log(measured_step_seconds(rows) / predicted), described("training", rows)
    factors = said[FACTORS["training"]]
    of = Errors(error, rows, factors, "training", said, power=EVERY_PUBLISHER)
    gpus, pairs = _ratios(error, rows, "gpu")
    formats, _ = _ratios(error, rows, "precision")
    errors = {
        "step time": of.of(),
        **of.by(said["known"], "step time, "),
        "step time, fp8": of.of(rows["precision"] == "fp8"),
        "step time, mixtures of experts": of.of(said["kind"] == "mixtures of experts"),
        "step time, fine-tuning by adapters": of.of(rows["tuning"] != "full"),
        **of.by(said["generation"], "step time, "),
        **of.by(said["reach"], "step time, "),
        **of.by(rows["framework"].map(families()), "step time, family "),
        **of.by_ground("step time, "),
        "ratio": gpus.of(),
        **gpus.by(pairs["pair"], "ratio "),
        "fp8 ratio": formats.of(),
    }
    return {
        "frameworks": fitted_entries(dict(sorted(constants.items())), rows, rows["framework"]),
        "errors": errors,
        "each_publisher": of.each_publisher(),
        "intervals": {
            "step time": of.interval,
            "ratio": gpus.interval,
            "fp8 ratio": formats.interval,
        },
        "ground": {"training": ground_record_of("training", said, of.publishers)},
        "held_out": case_values(rows, predicted),
        "provenance": provenance(
            "training",
            rows,
            "hierarchical robust least squares in log space (all, family, framework); whole "
            "publishers held out",
        ),
    }
