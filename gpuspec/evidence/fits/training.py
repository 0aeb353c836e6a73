"""Fit the constants of training frameworks to published speeds, and hold sources out."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.base.files import write_atomically
from gpuspec.base.paths import DATA
from gpuspec.catalog import load_table, resolve
from gpuspec.constants.training import TrainingTerms
from gpuspec.evidence.fits.errors import summary
from gpuspec.evidence.fits.frameworks import FRAMEWORKS
from gpuspec.evidence.fits.hierarchy import Fit, fitted, held_out
from gpuspec.evidence.fits.memory import memory_terms
from gpuspec.evidence.measurements.training import (
    filled,
    measured_step_seconds,
    prepared_training,
    training_measurements,
)

STORED = Path("calibration") / "training.json"
PAIR_SOURCES = 2
"""Sources that must have measured both sides of a pair before it gets an interval of its own."""
SETTING = ["source_id", "model", "seq_len", "recompute", "tuning", "framework"]
"""What two rows must share to count as the same job."""


@cache
def stored_training() -> dict[str, Any]:
    """Return everything that the calibration of training stored."""
    found: dict[str, Any] = json.loads((DATA / STORED).read_text("utf-8"))
    return found


def framework(name: str = "megatron-core") -> tuple[str, TrainingTerms]:
    """Return a framework's id and its fitted constants; the centre of all where unfitted.

    Raises
    ------
    UnknownNameError
        When no framework has that name; lists close matches.
    """
    key = resolve(name, load_table("frameworks").set_index("id", drop=False), "framework")
    found = stored_training()["frameworks"]
    entry = found.get(key) or found["other"]
    return key, TrainingTerms(**entry["terms"])


def training_errors() -> pd.DataFrame:
    """Return the held-out error of each figure: columns of `gpuspec.evidence.fits.errors`."""
    return pd.DataFrame(stored_training()["errors"]).T.rename_axis("quantity")


def training_interval(value: Any, quantity: str = "step time") -> tuple[Any, Any]:
    """Return the 80 % interval of an estimate: ``step time``, ``ratio``, ``fp8 ratio``...

    References
    ----------
    Lei et al. 2018, arXiv:1604.04173 (split-conformal prediction), on log errors and with
    whole sources held out.
    """
    error = stored_training()["errors"][quantity]
    return np.asarray(value) * error["low"], np.asarray(value) * error["high"]


def training_ratio_interval(value: Any, new: str, old: str) -> tuple[Any, Any]:
    """Return the 80 % interval of a ratio of speeds of two GPUs, given by id."""
    errors = stored_training()["errors"]
    forward, backward = f"ratio {new} / {old}", f"ratio {old} / {new}"
    if backward in errors and forward not in errors:
        low, high = (1 / errors[backward][end] for end in ("high", "low"))
        return np.asarray(value) * low, np.asarray(value) * high
    return training_interval(value, forward if forward in errors else "ratio")


def held_out_steps() -> dict[str, float]:
    """Return the seconds of each case of the shipped table by a fit without its source."""
    found: dict[str, float] = stored_training()["held_out"]
    return found


def prepared_rows() -> pd.DataFrame:
    """Return the shipped measurements, ready to be predicted."""
    return filled(prepared_training(training_measurements()), memory_terms())


def matched_steps(rows: pd.DataFrame, other: str = "gpu") -> pd.DataFrame:
    """Return pairs of rows that differ in `other` alone: ``gpu`` or ``precision``.

    Columns: ``old``, ``new`` (places in `rows`) and ``pair``. Each row of the newer side is
    paired with the row of the older one that is nearest in GPUs and micro-batch.
    """
    same = [*SETTING, "precision" if other == "gpu" else "gpu"]
    place = rows[same].assign(place=np.arange(len(rows)))
    place = place[rows.groupby(same, sort=False)[other].transform("nunique") > 1]
    kinds = rows[other].to_numpy(object)
    gpus, micro = (rows[c].to_numpy(float) for c in ("n_gpus", "micro_batch"))
    found = []
    for _, group in place.groupby(same, sort=False)["place"]:
        places = group.to_numpy()
        sides = sorted(set(kinds[places]), key=_age)
        for old, new in ((a, b) for i, a in enumerate(sides) for b in sides[i + 1 :]):
            before = places[kinds[places] == old]
            for row in places[kinds[places] == new]:
                gap = np.abs(np.log(gpus[before] / gpus[row]))
                gap = gap + 0.1 * np.abs(np.log(micro[before] / micro[row]))
                if gap.min() < np.log(2):
                    found.append((before[int(gap.argmin())], row, f"{new} / {old}"))
    return pd.DataFrame(found, columns=["old", "new", "pair"])


def _age(name: str) -> tuple[int, str]:
    order = ("v100", "a100", "a800", "h800", "h100", "h20", "h200", "gh200", "b200", "bf16", "fp8")
    return next((i for i, start in enumerate(order) if name.split("-")[0] == start), -1), name


def speed_ratio_errors(rows: pd.DataFrame, predicted: Any, pairs: pd.DataFrame) -> np.ndarray:
    """Return log(measured / predicted) of the ratio of tokens/s a GPU of each pair."""
    error = np.log(measured_step_seconds(rows) / np.asarray(predicted))
    old, new = pairs["old"].to_numpy(int), pairs["new"].to_numpy(int)
    return np.asarray(error[old] - error[new])  # speeds: the inverse of seconds


def known_framework(rows: pd.DataFrame) -> np.ndarray:
    """Return whether another source of each row's framework is in the table."""
    sources = rows.groupby("framework")["source_id"].transform("nunique")
    return (sources > 1).to_numpy()


def _errors(rows: pd.DataFrame, predicted: np.ndarray, strict: np.ndarray) -> dict[str, Any]:
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
        ratio = speed_ratio_errors(rows, predicted, pairs)
        errors[label] = summary(ratio, of)
        for name in sorted(pairs["pair"].unique()) if other == "gpu" else []:
            own = (pairs["pair"] == name).to_numpy()
            if len(set(of[own])) >= PAIR_SOURCES:
                errors[f"ratio {name}"] = summary(ratio[own], of[own])
    return errors


def calibrate() -> dict[str, Any]:
    """Fit, hold out, and return everything that is stored."""
    rows = prepared_rows()
    fit = Fit(FRAMEWORKS, rows)
    found = fitted(fit, ["other"])
    predicted = held_out(fit)
    strict = held_out(fit, "publisher")
    names = rows["framework"]
    return {
        "frameworks": {
            name: {
                "terms": terms.model_dump(),
                "rows": int((names == name).sum()),
                "sources": sorted(rows.loc[names == name, "source_id"].unique()),
            }
            for name, terms in sorted(found.items())
        },
        "errors": _errors(rows, predicted, strict),
        "held_out": {
            case: float(f"{value:.4g}")
            for case, value in zip(rows["case_id"], predicted, strict=True)
        },
        "provenance": {
            "table": "measurements/training.csv",
            "rows": len(rows),
            "sources": sorted(rows["source_id"].unique()),
            "method": "hierarchical robust least squares in log space (all, family, framework); "
            "whole sources held out; intervals split-conformal by source",
        },
    }


def main() -> None:
    """Fit, hold out, and store."""
    found = calibrate()
    write_atomically(DATA / STORED, (json.dumps(found, indent=1) + "\n").encode())
    stored_training.cache_clear()
    print(training_errors().to_string())
