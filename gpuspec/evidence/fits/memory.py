"""Fit the few memory constants to published measurements, and state the error on held-out ones.

``python -m gpuspec.evidence.fits`` (``make calibrate``) writes
``data/calibration/memory.json``;
the same tables give the same file. Whole sources are held out together: the errors stated are
those of each source when the constants were fitted to all the others.
"""

import numpy as np
import pandas as pd

from gpuspec.base.units import GIB
from gpuspec.constants.memory import MemoryTerms
from gpuspec.constants.stored import Stored
from gpuspec.evidence.fits.errors import figures, row_weights
from gpuspec.evidence.fits.store import provenance, rounded
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

    Every source weighs the same whatever its number of rows, and a soft L1 loss keeps one odd
    source from bending the rest. Constants without a row that shows them keep their start.
    """
    from scipy.optimize import least_squares

    start, low, high = (np.array(column) for column in zip(*FITTED.values(), strict=True))
    weight = row_weights(rows["source_id"])
    measured = rows["value_bytes"].to_numpy()

    def residuals(scaled: np.ndarray) -> np.ndarray:
        terms = MemoryTerms(**dict(zip(FITTED, scaled * start, strict=True)))
        return np.asarray(weight * np.log(predicted_memory(rows, terms) / measured))

    fit = least_squares(
        residuals, np.ones(len(start)), bounds=(low / start, high / start), loss="soft_l1"
    )
    return rounded(MemoryTerms(**dict(zip(FITTED, fit.x * start, strict=True))))


def held_out_errors(rows: pd.DataFrame) -> pd.Series:
    """Return log(measured / predicted) of each row, its source left out of the fit."""
    errors = pd.Series(np.nan, index=rows.index)
    fitted = rows[rows["kind"].isin(FIT_KINDS)]
    everything = fit_memory_terms(fitted)
    for index in rows.groupby("source_id").groups.values():
        source = rows.loc[index]
        rest = fitted.drop(index=index, errors="ignore")
        terms = fit_memory_terms(rest) if len(rest) < len(fitted) else everything
        errors.loc[index] = np.log(source["value_bytes"] / predicted_memory(source, terms))
    return errors


def summary(rows: pd.DataFrame, errors: pd.Series) -> dict[str, dict[str, float]]:
    """Return error figures by kind, each source counting the same."""
    table = {}
    for kind, group in rows.groupby("kind", sort=True):
        sources = group["source_id"].to_numpy()
        error = errors.loc[group.index].to_numpy()
        table[str(kind)] = figures(error, sources, row_weights(sources, 1.0))
    return table


def calibrate() -> Stored:
    """Fit, hold out, and return everything that is stored."""
    rows = measurements("memory")
    terms = fit_memory_terms(rows[rows["kind"].isin(FIT_KINDS)])
    method = "least squares in log space, soft L1 loss, sources weighted equally; "
    method += "errors with the whole source held out"
    return {
        "terms": terms.model_dump(),
        "errors": summary(rows, held_out_errors(rows)),
        "provenance": provenance("memory", rows, method),
    }
