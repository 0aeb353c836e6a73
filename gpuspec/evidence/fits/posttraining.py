"""Fit what an RL step takes beyond engine and training framework, and the errors that are left.

``python -m gpuspec.evidence.fits posttraining`` writes ``data/calibration/posttraining.json``.
"""

import numpy as np
import pandas as pd

from gpuspec.constants.posttraining import PostTrainingTerms
from gpuspec.constants.stored import Stored
from gpuspec.evidence.fits.errors import Errors, row_weights
from gpuspec.evidence.fits.store import case_values, fitted_entry, provenance, rounded
from gpuspec.evidence.measurements.described import FACTORS, described
from gpuspec.evidence.measurements.known import ground_record_of
from gpuspec.evidence.measurements.posttraining import (
    Stages,
    bare_stages,
    predicted_posttraining,
    prepared,
)
from gpuspec.evidence.measurements.rows import measurements

WIDTH = 0.5
"""How far a constant may leave its start, in log space, before it costs as much as a misfit of
`NOISE`."""
NOISE = 0.2
NAMES = list(PostTrainingTerms.model_fields)


def calibrate() -> Stored:
    """Fit, hold out, and return everything that is stored."""
    rows = prepared(measurements("posttraining"))
    bare = bare_stages(rows)
    held = held_out_steps(rows, bare)
    error = np.log(rows["value"].to_numpy(float) / held)
    said = described("posttraining", rows)
    of = Errors(error, rows, said[FACTORS["posttraining"]], "posttraining", said)
    lines = {"step": of.of(), **of.by(said["placement"], "step, ")}
    lines |= of.by(rows["publisher"], "step, measured by ")
    return {
        **fitted_entry(fit_steps(rows, bare), rows),
        "errors": {name: _uncovered(line) for name, line in lines.items()},
        "intervals": {"step": of.interval},
        "ground": {"posttraining": ground_record_of("posttraining", said, of.publishers)},
        "held_out": case_values(rows, held),
        "provenance": provenance(
            "posttraining", rows, "least squares in log space with priors, publishers held out"
        ),
    }


def _uncovered(line: dict[str, float]) -> dict[str, float]:
    """Return a line without its coverage: with two publishers it rests on one of them."""
    return {name: value for name, value in line.items() if name != "coverage"}


def fit_steps(rows: pd.DataFrame, bare: list[Stages]) -> PostTrainingTerms:
    """Return the constants that fit prepared rows, in log space, near their starting values."""
    from scipy.optimize import least_squares

    bounds = PostTrainingTerms.bounds()
    centre = np.log([bounds[name][0] for name in NAMES])
    limits = np.log([bounds[name][1:] for name in NAMES])
    measured = np.log(rows["value"].to_numpy(float))
    weight = row_weights(rows["publisher"], 0.25)

    def residuals(x: np.ndarray) -> np.ndarray:
        error = np.log(predicted_posttraining(rows, _terms(x), bare)) - measured
        return np.concatenate([weight * error / NOISE, (x - centre) / WIDTH])

    found = least_squares(
        residuals, centre, bounds=(limits[:, 0], limits[:, 1]), loss="soft_l1", diff_step=1e-4
    )
    return rounded(_terms(found.x))


def _terms(x: np.ndarray) -> PostTrainingTerms:
    bounds = PostTrainingTerms.bounds()
    values = {n: float(np.clip(np.exp(v), *bounds[n][1:])) for n, v in zip(NAMES, x, strict=True)}
    return PostTrainingTerms(**values)


def held_out_steps(rows: pd.DataFrame, bare: list[Stages]) -> np.ndarray:
    """Return the prediction of each row by a fit that saw no row of its publisher."""
    predicted = np.full(len(rows), np.nan)
    for publisher in sorted(rows["publisher"].unique()):
        own = (rows["publisher"] == publisher).to_numpy()
        rest = fit_steps(rows[~own], [s for s, o in zip(bare, own, strict=True) if not o])
        mine = [s for s, o in zip(bare, own, strict=True) if o]
        predicted[own] = predicted_posttraining(rows[own], rest, mine)
    return predicted
