"""Fit the few memory constants to published measurements, and state the error on held-out ones.

``python -m gpuspec.evidence.fits`` (``make calibrate``) writes
``data/calibration/memory.json``;
the same tables give the same file. Whole sources are held out together: the errors stated are
those of each source when the constants were fitted to all the others.
"""

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.base.files import write_atomically
from gpuspec.base.paths import DATA
from gpuspec.base.units import GIB
from gpuspec.constants.memory import MemoryTerms
from gpuspec.evidence.measurements import memory_measurements, predicted_memory

STORED = Path("calibration") / "memory.json"
COVERAGE = 0.8
KINDS = {  # how a reader calls each kind of figure
    "activations": "activations, the paper's own formula",
    "full": "training all weights, peak",
    "lora": "LoRA, peak",
    "qlora": "QLoRA, peak",
    "rule of thumb": "rule of thumb of a fine-tuning tool",
    "serving activations": "serving: activations",
    "serving kv cache": "serving: cache of a token",
    "serving runtime": "serving: runtime",
    "serving weights": "serving: weights",
}
FITTED = {  # name: (start, low, high)
    "context_bytes": (0.25 * GIB, 0.05 * GIB, 1.0 * GIB),
    "communicator_bytes": (1.0 * GIB, 0.1 * GIB, 4.0 * GIB),
    "serving_activation_factor": (1.0, 0.2, 4.0),
    "serving_logit_bytes": (12.0, 4.0, 60.0),
    "training_activation_factor": (1.2, 1.0, 3.0),
    "fragmentation": (0.1, 0.0, 0.2),
}
FIT_KINDS = ("full", "lora", "qlora", "serving activations", "serving runtime")


def memory_terms() -> MemoryTerms:
    """Return the constants that the last calibration stored."""
    return MemoryTerms(**_stored()["terms"])


def memory_errors() -> pd.DataFrame:
    """Return the held-out error of each kind of memory figure, one row a kind.

    Columns: ``rows``, ``sources``, ``median_error`` and ``p90_error`` (absolute log errors:
    0.1 is 10 %), ``low`` and ``high`` (80 % of measurements lie between these multiples of
    the estimate, every source counting the same).
    """
    return pd.DataFrame(_stored()["errors"]).T.rename_axis("kind")


def interval(value: Any, kind: str) -> tuple[Any, Any]:
    """Return the 80 % interval around an estimate of the given kind.

    References
    ----------
    Lei et al. 2018, arXiv:1604.04173 (split-conformal prediction), on log errors and with
    whole sources held out.
    """
    error = _stored()["errors"][kind]
    return np.asarray(value) * error["low"], np.asarray(value) * error["high"]


@cache
def _stored() -> dict[str, Any]:
    stored: dict[str, Any] = json.loads((DATA / STORED).read_text("utf-8"))
    return stored


def fit_memory_terms(rows: pd.DataFrame) -> MemoryTerms:
    """Fit the constants of `MemoryTerms` to measured rows, in log space.

    Every source weighs the same whatever its number of rows, and a soft L1 loss keeps one odd
    source from bending the rest. Constants without a row that shows them keep their start.
    """
    from scipy.optimize import least_squares

    start, low, high = (np.array(column) for column in zip(*FITTED.values(), strict=True))
    weight = 1 / np.sqrt(rows.groupby("source_id")["case_id"].transform("size").to_numpy())
    measured = rows["value_bytes"].to_numpy()

    def residuals(scaled: Any) -> Any:
        terms = MemoryTerms(**dict(zip(FITTED, scaled * start, strict=True)))
        return weight * np.log(predicted_memory(rows, terms) / measured)

    fit = least_squares(
        residuals, np.ones(len(start)), bounds=(low / start, high / start), loss="soft_l1"
    )
    rounded = (float(f"{value:.3g}") for value in fit.x * start)
    return MemoryTerms(**dict(zip(FITTED, rounded, strict=True)))


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
        error = errors.loc[group.index].to_numpy()
        weight = 1 / group.groupby("source_id")["case_id"].transform("size").to_numpy()
        tail = (1 - COVERAGE) / 2
        table[str(kind)] = {
            "rows": len(group),
            "sources": int(group["source_id"].nunique()),
            "median_error": _rounded(np.median(np.abs(error))),
            "p90_error": _rounded(np.quantile(np.abs(error), 0.9)),
            "low": _rounded(math.exp(_quantile(error, weight, tail))),
            "high": _rounded(math.exp(_quantile(error, weight, 1 - tail))),
        }
    return table


def _quantile(values: Any, weights: Any, share: float) -> float:
    return float(np.quantile(values, share, weights=weights, method="inverted_cdf"))


def _rounded(value: float) -> float:
    return round(float(value), 4)


def main() -> None:
    """Fit, hold out, and store."""

    rows = memory_measurements()
    terms = fit_memory_terms(rows[rows["kind"].isin(FIT_KINDS)])
    used = {
        "table": "measurements/memory.csv",
        "rows": len(rows),
        "sources": sorted(rows["source_id"].unique()),
        "method": "least squares in log space, soft L1 loss, sources weighted equally; "
        "errors with the whole source held out",
    }
    errors = summary(rows, held_out_errors(rows))
    stored = {"terms": terms.model_dump(), "errors": errors, "provenance": used}
    text = json.dumps(stored, indent=2) + "\n"
    write_atomically(DATA / STORED, text.encode())
    print(memory_errors().to_string())
