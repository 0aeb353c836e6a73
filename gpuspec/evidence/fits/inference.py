"""Calibrate inference: operators, engines, and the errors on publishers that no fit has seen.

``python -m gpuspec.evidence.fits`` (``make calibrate``) writes
``data/calibration/inference.json``; the same tables give the same file.
"""

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError
from gpuspec.constants.memory import memory_terms
from gpuspec.constants.stored import Stored, stored
from gpuspec.evidence.fits.engines import (
    engine_fit,
    fit_engines,
    held_out_predictions,
    with_versions,
)
from gpuspec.evidence.fits.errors import Errors
from gpuspec.evidence.fits.store import case_values, fitted_entries, provenance, write
from gpuspec.evidence.measurements.described import FACTORS, described
from gpuspec.evidence.measurements.inference import era_of, generations_of, prepared, skip_reasons
from gpuspec.evidence.measurements.known import ground_record_of
from gpuspec.evidence.measurements.pairs import matched_pairs, ratio_errors
from gpuspec.evidence.measurements.rows import measurements

PAIR_PUBLISHERS = 2
"""Publishers that must have measured both GPUs of a pair before its error is listed."""
FORMS = ("quantity", "engine", "kind", "generation", "scenario")
"""By what the errors of inference are listed; every figure of an engine is one line."""


def calibrate() -> Stored:
    """Fit, hold out, and return everything that is stored."""
    operators = _operators()
    rows = prepared(measurements("inference"))
    rows = rows[skip_reasons(rows) == ""].reset_index(drop=True)
    fit = engine_fit(rows, memory_terms())
    eras, generations = fit_engines(fit)
    predicted = held_out_predictions(fit, rows)
    return {
        "operators": operators,
        "engines": with_versions(fitted_entries(eras, rows, era_of(rows)), rows),
        "generations": fitted_entries(generations, rows, generations_of(rows)),
        **judged(rows, predicted),
        "held_out": case_values(rows, predicted),
        "provenance": {
            "operators": "aiconfigurator-core 0.12.0 (Apache-2.0), "
            "https://github.com/ai-dynamo/aiconfigurator",
            "said_not_to_fit": int((predicted <= 0).sum()),
            **provenance(
                "inference",
                rows,
                "operators: least squares in log space, half of the shapes held out; engines: "
                "least squares in log space with priors, whole publishers held out",
            ),
        },
    }


def judged(rows: pd.DataFrame, predicted: np.ndarray) -> Stored:
    """Return errors, intervals and ground of prepared rows that were held out.

    `predicted` is 0 where the model is said not to fit: such a row has no error.
    """
    fits = predicted > 0
    rows, predicted = rows[fits].reset_index(drop=True), predicted[fits]
    said = described("inference", rows)
    error = np.log(rows["value"].to_numpy(float) / predicted)
    rate = said["quantity"].to_numpy() == "throughput"
    error = np.where(rate, -error, error)  # as seconds
    of = Errors(error, rows, said[FACTORS["inference"]], "inference", said, rate)
    pairs = matched_pairs(rows)
    newer = rows.iloc[pairs["new"].to_numpy(int)].reset_index(drop=True)
    inverse = ~rate[pairs["new"].to_numpy(int)]
    ratios = Errors(ratio_errors(-error, pairs), newer, pairs[["pair"]], rate=inverse)
    figures = {
        **{n: e for form in FORMS for n, e in of.by(said[form]).items()},
        **of.by(said["engine"] + ", " + said["quantity"]),
        "all figures": of.of(),
        **of.by_ground(),
        "ratio": ratios.of(),
        **ratios.by(pairs["pair"], "ratio ", PAIR_PUBLISHERS),
    }
    return {
        "errors": figures,
        "intervals": {
            "seconds": of.interval,
            "ratio": ratios.interval,
        },
        "ground": {
            "inference": ground_record_of("inference", said, of.publishers),
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
