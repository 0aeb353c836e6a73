"""Calibrate inference: operators, engines, and the errors on sources that no fit has seen.

``python -m gpuspec.evidence.fits`` (``make calibrate``) writes
``data/calibration/inference.json``; the same tables give the same file.
"""

import json
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError
from gpuspec.base.files import write_atomically
from gpuspec.base.paths import DATA
from gpuspec.constants.kernels import STORED, stored
from gpuspec.evidence.fits.engines import (
    engine_fit,
    era_of,
    fit_engines,
    held_out_predictions,
    quantity,
)
from gpuspec.evidence.fits.errors import summary
from gpuspec.evidence.fits.images import fit_images, held_out_images
from gpuspec.evidence.fits.memory import memory_terms
from gpuspec.evidence.measurements.images import image_measurements
from gpuspec.evidence.measurements.inference import inference_measurements, prepared, skip_reasons
from gpuspec.evidence.measurements.pairs import matched_pairs, ratio_errors

PAIR_SOURCES = 3
"""Sources that must have measured both GPUs of a pair before it gets an interval of its own."""
WIDER = 1.5
"""Factor on the log width of an interval for a GPU that inherits its kernels."""


def inference_errors() -> pd.DataFrame:
    """Return the held-out error of each quantity, one row a quantity.

    Columns: ``rows``, ``sources``, ``median_error``, ``p90_error`` (absolute log errors: 0.1 is
    10 %), ``low`` and ``high`` (80 % of measurements lie between these multiples of the
    estimate, every source counting the same) and ``coverage`` (share of a source's rows inside
    the interval that the other sources gave).
    """
    return pd.DataFrame(stored()["errors"]).T.rename_axis("quantity")


def inference_interval(value: Any, quantity: str, inherited: bool = False) -> tuple[Any, Any]:
    """Return the 80 % interval of an estimate: ``throughput``, ``ttft``, ``tpot``, ``ratio``...

    References
    ----------
    Lei et al. 2018, arXiv:1604.04173 (split-conformal prediction), on log errors and with
    whole sources held out.
    """
    error, power = stored()["errors"][quantity], WIDER if inherited else 1.0
    low, high = error["low"] ** power, error["high"] ** power
    return np.asarray(value) * low, np.asarray(value) * high


def ratio_interval(value: Any, new: str, old: str) -> tuple[Any, Any]:
    """Return the 80 % interval of a ratio of two GPUs, given by id, to the same software.

    From the errors of that pair where three sources measured both, else of all pairs.
    """
    known = stored()["errors"]
    forward, backward = f"ratio {new} / {old}", f"ratio {old} / {new}"
    if backward in known and forward not in known:
        low, high = (1 / known[backward][end] for end in ("high", "low"))
        return np.asarray(value) * low, np.asarray(value) * high
    return inference_interval(value, forward if forward in known else "ratio")


def held_out_values() -> dict[str, float]:
    """Return the prediction of each case of the shipped table by a fit without its source."""
    found: dict[str, float] = stored()["held_out"]
    return found


def calibrate(operators: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return everything that is stored; `operators` are kept as they are where not given."""
    rows = prepared(inference_measurements())
    rows = rows[skip_reasons(rows) == ""].reset_index(drop=True)
    fit = engine_fit(rows, memory_terms())
    fitted = fit_engines(fit)
    predicted = held_out_predictions(fit)
    kinds, eras, fits = quantity(rows), era_of(rows), predicted > 0
    error = np.log(rows["value"].to_numpy(float) / np.where(fits, predicted, np.nan))
    errors = {
        kind: summary(error[chosen], rows.loc[chosen, "source_id"])
        for kind, chosen in ((k, fits & (kinds == k)) for k in sorted(kinds.unique()))
    }
    pairs = matched_pairs(rows)
    pairs = pairs[fits[pairs["old"].to_numpy(int)] & fits[pairs["new"].to_numpy(int)]]
    pairs = pairs.reset_index(drop=True)
    of_pairs = rows["source_id"].to_numpy()[pairs["new"].to_numpy(int)]
    of_ratios = ratio_errors(rows, predicted, pairs)
    errors["ratio"] = summary(of_ratios, of_pairs)
    for name in sorted(pairs["pair"].unique()):
        own = (pairs["pair"] == name).to_numpy()
        if len(set(of_pairs[own])) >= PAIR_SOURCES:
            errors[f"ratio {name}"] = summary(of_ratios[own], of_pairs[own])
    images = image_measurements()
    of_images = np.log(images["seconds_per_image"].to_numpy(float) / held_out_images(images))
    errors["images"] = summary(of_images, images["source_id"])
    return {
        "operators": operators or stored()["operators"],
        "images": fit_images(images).model_dump(),
        "engines": {
            era: {
                "terms": terms.model_dump(),
                "rows": int((eras == era).sum()),
                "sources": sorted(rows.loc[eras == era, "source_id"].unique()),
            }
            for era, terms in fitted.items()
        },
        "errors": errors,
        "held_out": {
            case: float(f"{value:.4g}")
            for case, value in zip(rows["case_id"], predicted, strict=True)
        },
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


def main() -> None:
    """Fit, hold out, and store."""
    from gpuspec.evidence.fits.operators import fit_operators

    try:
        operators = fit_operators()
    except InputError as error:
        print(f"{error}\nthe stored constants of single operations are kept")
        operators = None
    if operators:  # engines are fitted on top of these
        partial = {**stored(), "operators": operators}
        write_atomically(DATA / STORED, (json.dumps(partial, indent=1) + "\n").encode())
        stored.cache_clear()
    found = calibrate(operators)
    write_atomically(DATA / STORED, (json.dumps(found, indent=1) + "\n").encode())
    stored.cache_clear()
    print(inference_errors().to_string())
