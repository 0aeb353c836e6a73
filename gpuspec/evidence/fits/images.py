"""Fit the constants of image generation to published times, and their errors.

``python -m gpuspec.evidence.fits images`` writes ``data/calibration/images.json``.
"""

import numpy as np
import pandas as pd

from gpuspec.constants.images import ImageTerms
from gpuspec.constants.stored import Stored
from gpuspec.evidence.fits.errors import Errors, row_weights
from gpuspec.evidence.fits.store import case_values, provenance, rounded
from gpuspec.evidence.measurements.described import FACTORS, described
from gpuspec.evidence.measurements.images import predicted_images
from gpuspec.evidence.measurements.known import ground_record_of
from gpuspec.evidence.measurements.rows import measurements

WIDTH = 0.5
"""How far a constant may leave its start, in log space, before it costs as much as a misfit of
`NOISE`: what no publisher tells stays where physics puts it."""
NOISE = 0.1
NAMES = list(ImageTerms.model_fields)


def calibrate() -> Stored:
    """Fit, hold out, and return everything that is stored."""
    rows = measurements("images")
    held = held_out_images(rows)
    error = np.log(rows["seconds_per_image"].to_numpy(float) / held)
    said = described("images", rows)
    of = Errors(error, rows, said[FACTORS["images"]], "images", said)
    return {
        "terms": fit_images(rows).model_dump(),
        "errors": {
            "images": of.of(),
            **of.by(said["bits"]),
            **of.by(said["stack"]),
            **of.by_ground(),
        },
        "each_publisher": of.each_publisher(),
        "intervals": {"seconds": of.interval},
        "ground": {"images": ground_record_of("images", said, of.publishers)},
        "held_out": case_values(rows, held),
        "provenance": provenance(
            "images", rows, "least squares in log space with priors, whole publishers held out"
        ),
    }


def fit_images(rows: pd.DataFrame) -> ImageTerms:
    """Return the constants that fit the rows, in log space, near their starting values."""
    from scipy.optimize import least_squares

    centre = np.log([getattr(ImageTerms(), name) for name in NAMES])
    limits = np.log([ImageTerms.bounds()[name][1:] for name in NAMES])
    measured = np.log(rows["seconds_per_image"].to_numpy(float))
    weight = row_weights(rows["publisher"], 0.25)

    def residuals(x: np.ndarray) -> np.ndarray:
        error = np.log(predicted_images(rows, _terms(x))) - measured
        return np.concatenate([weight * error / NOISE, (x - centre) / WIDTH])

    solution = least_squares(residuals, centre, bounds=(limits[:, 0] - 1e-9, limits[:, 1] + 1e-9))
    return rounded(_terms(solution.x))


def _terms(x: np.ndarray) -> ImageTerms:
    bounds = ImageTerms.bounds()
    values = {n: float(np.clip(np.exp(v), *bounds[n][1:])) for n, v in zip(NAMES, x, strict=True)}
    return ImageTerms(**values)


def held_out_images(rows: pd.DataFrame) -> np.ndarray:
    """Return the prediction of each row by a fit that saw no row of its publisher."""
    predicted = np.full(len(rows), np.nan)
    for publisher in sorted(rows["publisher"].unique()):
        own = (rows["publisher"] == publisher).to_numpy()
        predicted[own] = predicted_images(rows[own], fit_images(rows[~own]))
    return predicted
