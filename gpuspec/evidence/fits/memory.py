"""Fit the few memory constants to published measurements, and state the error on held-out ones.

``python -m gpuspec.evidence.fits`` (``make calibrate``) writes
``data/calibration/memory.json``;
the same tables give the same file. Whole publishers are held out together: the errors stated are
those of each publisher when the constants were fitted to all the others.
"""

import numpy as np
import pandas as pd

from gpuspec.base.units import GIB
from gpuspec.constants.memory import MemoryTerms
from gpuspec.constants.stored import Stored
from gpuspec.evidence.fits.errors import Errors, row_weights
from gpuspec.evidence.fits.store import provenance, rounded
from gpuspec.evidence.measurements.described import described
from gpuspec.evidence.measurements.known import ground_record_of
from gpuspec.evidence.measurements.memory import predicted_memory
from gpuspec.evidence.measurements.rows import measurements

FITTED = {  # name: (start, low, high)
    "context_bytes": (0.25 * GIB, 0.05 * GIB, 1.0 * GIB),
    "communicator_bytes": (1.0 * GIB, 0.1 * GIB, 4.0 * GIB),
    "serving_activation_factor": (1.0, 0.2, 4.0),
    "serving_logit_bytes": (12.0, 4.0, 60.0),
    "training_activation_factor": (1.2, 1.0, 3.0),
    "fragmentation": (0.1, 0.0, 0.2),
}
FIT_KINDS = ("full", "lora", "qlora", "serving activations", "serving runtime")


def fit_memory_terms(rows: pd.DataFrame) -> MemoryTerms:
    """Fit the constants of `MemoryTerms` to measured rows, in log space.

    Publishers weigh as the square root of their rows, and a soft L1 loss keeps one odd
    publisher from bending the rest. Constants without a row that shows them keep their start.
    """
    from scipy.optimize import least_squares

    start, low, high = (np.array(column) for column in zip(*FITTED.values(), strict=True))
    weight = row_weights(rows["publisher"])
    measured = rows["value_bytes"].to_numpy()

    def residuals(scaled: np.ndarray) -> np.ndarray:
        terms = MemoryTerms(**dict(zip(FITTED, scaled * start, strict=True)))
        return np.asarray(weight * np.log(predicted_memory(rows, terms) / measured))

    fit = least_squares(
        residuals, np.ones(len(start)), bounds=(low / start, high / start), loss="soft_l1"
    )
    return rounded(MemoryTerms(**dict(zip(FITTED, fit.x * start, strict=True))))


def held_out_errors(rows: pd.DataFrame) -> pd.Series:
    """Return log(measured / predicted) of each row, its publisher left out of the fit."""
    errors = pd.Series(np.nan, index=rows.index)
    fitted = rows[rows["kind"].isin(FIT_KINDS)]
    everything = fit_memory_terms(fitted)
    for index in rows.groupby("publisher").groups.values():
        own = rows.loc[index]
        rest = fitted.drop(index=index, errors="ignore")
        terms = fit_memory_terms(rest) if len(rest) < len(fitted) else everything
        errors.loc[index] = np.log(own["value_bytes"] / predicted_memory(own, terms))
    return errors


def calibrate() -> Stored:
    """Fit, hold out, and return everything that is stored."""
    rows = measurements("memory")
    terms = fit_memory_terms(rows[rows["kind"].isin(FIT_KINDS)])
    error, said = held_out_errors(rows), described("memory", rows)
    kinds = {str(kind): part.index for kind, part in rows.groupby("kind", sort=True)}
    of = {
        kind: Errors(error[index].to_numpy(), rows.loc[index], None, "memory", said.loc[index])
        for kind, index in kinds.items()
    }
    method = "least squares in log space, soft L1 loss, publishers weighted as the square root of "
    method += "their rows; errors with the whole publisher held out"
    return {
        "terms": terms.model_dump(),
        "errors": {kind: found.of() for kind, found in of.items()},
        "intervals": {kind: found.interval for kind, found in of.items()},
        "ground": {"memory": ground_record_of("memory", said, rows["publisher"].to_numpy(str))},
        "provenance": provenance("memory", rows, method),
    }
