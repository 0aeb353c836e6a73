"""Calibrate inference: operators, engines, and the errors on sources that no fit has seen.

``python -m gpuspec.evidence.fits`` (``make calibrate``) writes
``data/calibration/inference.json``; the same tables give the same file.
"""

import numpy as np

from gpuspec.base.errors import InputError
from gpuspec.constants.memory import memory_terms
from gpuspec.constants.stored import Stored, stored
from gpuspec.evidence.fits.engines import (
    engine_fit,
    fit_engines,
    held_out_predictions,
    quantity,
    with_versions,
)
from gpuspec.evidence.fits.errors import summary
from gpuspec.evidence.fits.images import fit_images, held_out_images
from gpuspec.evidence.fits.store import case_values, fitted_entries, pair_summaries, write
from gpuspec.evidence.measurements.inference import (
    era_of,
    generations_of,
    prepared,
    skip_reasons,
)
from gpuspec.evidence.measurements.pairs import matched_pairs, ratio_errors
from gpuspec.evidence.measurements.rows import measurements

PAIR_SOURCES = 3
"""Sources that must have measured both GPUs of a pair before it gets an interval of its own."""


def calibrate() -> Stored:
    """Fit, hold out, and return everything that is stored."""
    operators = _operators()
    rows = prepared(measurements("inference"))
    rows = rows[skip_reasons(rows) == ""].reset_index(drop=True)
    fit = engine_fit(rows, memory_terms())
    eras, generations = fit_engines(fit)
    predicted = held_out_predictions(fit, rows)
    kinds, fits = quantity(rows), predicted > 0
    error = np.log(rows["value"].to_numpy(float) / np.where(fits, predicted, np.nan))
    errors = {
        kind: summary(error[chosen], rows.loc[chosen, "source_id"])
        for kind, chosen in ((k, fits & (kinds == k)) for k in sorted(kinds.unique()))
    }
    pairs = matched_pairs(rows)
    pairs = pairs[fits[pairs["old"].to_numpy(int)] & fits[pairs["new"].to_numpy(int)]]
    pairs = pairs.reset_index(drop=True)
    of_pairs = rows["source_id"].to_numpy()[pairs["new"].to_numpy(int)]
    of_ratios = ratio_errors(error, pairs)
    errors["ratio"] = summary(of_ratios, of_pairs)
    errors |= pair_summaries(of_ratios, of_pairs, pairs, PAIR_SOURCES)
    images = measurements("images")
    of_images = np.log(images["seconds_per_image"].to_numpy(float) / held_out_images(images))
    errors["images"] = summary(of_images, images["source_id"])
    return {
        "operators": operators,
        "images": fit_images(images).model_dump(),
        "engines": with_versions(fitted_entries(eras, rows, era_of(rows)), rows),
        "generations": fitted_entries(generations, rows, generations_of(rows)),
        "errors": errors,
        "held_out": case_values(rows, predicted),
        "provenance": {
            "operators": "aiconfigurator-core 0.12.0 (Apache-2.0), "
            "https://github.com/ai-dynamo/aiconfigurator",
            "table": "measurements/inference.csv",
            "rows": len(rows),
            "said_not_to_fit": int((~fits).sum()),
            "sources": sorted(rows["source_id"].unique()),
            "method": "operators: least squares in log space, half of the shapes held out; "
            "engines: least squares in log space with priors, whole sources held out; "
            "intervals: split-conformal by source",
        },
    }


def _operators() -> Stored:
    """Fit and store what engines are fitted on top of; without its timings, keep it as it is."""
    from gpuspec.evidence.fits.operators import fit_operators

    try:
        write("inference", {**stored("inference"), "operators": fit_operators()})
    except InputError as error:
        print(f"{error}\nthe stored constants of single operations are kept")
    operators: Stored = stored("inference")["operators"]
    return operators
