"""What the last calibration stored: the one reader of ``data/calibration``, and its error tables.

Errors are those of sources that no fit had seen. Intervals are split-conformal, on log errors
and with whole sources held out (Lei et al. 2018, arXiv:1604.04173).
"""

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.paths import DATA
from gpuspec.base.units import Floats

if TYPE_CHECKING:
    import pandas as pd

Stored = dict[str, Any]
"""What a JSON file holds: constants, ``errors``, ``held_out``, ``provenance``."""
Interval = tuple[Floats, Floats]
"""Low and high end, each of the shape of the estimate."""


def stored_path(topic: str) -> Path:
    """Return the file of a topic: ``memory``, ``inference``, ``training``, ``collectives``..."""
    return DATA / "calibration" / f"{topic}.json"


@cache
def stored(topic: str) -> Stored:
    """Return everything that the calibration of a topic stored."""
    content: Stored = json.loads(stored_path(topic).read_text("utf-8"))
    return content


def stored_errors(topic: str, index: str = "quantity") -> "pd.DataFrame":
    """Return the held-out error of each figure of a topic, one row a figure.

    Columns: ``rows``, ``sources``, ``median_error`` and ``p90_error`` (absolute log errors:
    0.1 is 10 %), ``low`` and ``high`` (80 % of measurements lie between these multiples of
    the estimate, every source counting the same) and, but for memory, ``coverage`` (share of a
    source's rows inside the interval that the other sources gave).
    """
    import pandas as pd

    return pd.DataFrame(stored(topic)["errors"]).T.rename_axis(index)


def held_out(topic: str) -> dict[str, float]:
    """Return the prediction of each case of the shipped table by a fit without its source."""
    values: dict[str, float] = stored(topic)["held_out"]
    return values


def stored_interval(value: ArrayLike, topic: str, figure: str, power: float = 1.0) -> Interval:
    """Return the 80 % interval of an estimate of a figure, its log width times `power`."""
    error = stored(topic)["errors"][figure]
    estimate = np.asarray(value)
    return estimate * error["low"] ** power, estimate * error["high"] ** power


def stored_ratio_interval(value: ArrayLike, topic: str, new: str, old: str) -> Interval:
    """Return the 80 % interval of a ratio of two GPUs, given by id.

    From the errors of that pair where enough sources measured both, else of all pairs.
    """
    errors = stored(topic)["errors"]
    forward, backward = f"ratio {new} / {old}", f"ratio {old} / {new}"
    if backward in errors and forward not in errors:
        low, high = (1 / errors[backward][end] for end in ("high", "low"))
        return np.asarray(value) * low, np.asarray(value) * high
    return stored_interval(value, topic, forward if forward in errors else "ratio")
