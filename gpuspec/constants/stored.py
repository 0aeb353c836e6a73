"""What the last calibration stored: the one reader of ``data/calibration``, and its error tables.

Errors are those of publishers that no fit had seen; how intervals follow from them is told where
they are made, in `evidence.fits.errors`.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.paths import DATA
from gpuspec.base.units import Floats
from gpuspec.constants.learnt import TOPICS, learnt

if TYPE_CHECKING:
    import pandas as pd

Stored = dict[str, Any]
"""What a JSON file holds: constants, ``errors``, ``intervals``, ``ground``, ``held_out``,
``provenance``."""
Interval = tuple[Floats, Floats]
"""Low and high end, each of the shape of the estimate."""
Z80 = 1.2815515655446004
"""Standard normal quantile of 0.9: an 80 % interval reaches so many standard deviations."""
MOST_FACTOR = 20.0
"""By more no own row moves an estimate: its unit is another one."""
GROUND_SHARES = (0.0, 0.5, 1.0)
"""How much of the spread between publishers is added on measured, near and far ground."""


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

    Columns: ``rows``, ``publishers``, ``sources``, ``median_error`` and ``p90_error`` (of
    ``|predicted / measured - 1|``; the whole publisher was left out of the fit), ``low`` and
    ``high`` (80 % of a new publisher's measurements lie between these multiples of the estimate)
    and ``coverage`` (share of the rows inside the interval that all other publishers gave).
    """
    import pandas as pd

    return pd.DataFrame(stored(topic)["errors"]).T.rename_axis(index)


def held_out(topic: str) -> dict[str, float]:
    """Return the prediction of each case of the shipped table by a fit without its publisher."""
    values: dict[str, float] = stored(topic)["held_out"]
    return values


def log_ends(interval: Stored, levels: Mapping[str, ArrayLike]) -> Interval:
    """Return the ends of an interval, log(measured / estimate), at `levels` of its factors.

    Parameters
    ----------
    interval : dict
        As the calibration stores it: ``centre + scale * width * (low, high)``, the width being the
        product of those of the levels.
    levels : mapping
        Factor -> level, or an array of levels. A factor that is not named, or a level that no
        publisher measured, has the width of all.
    """
    width: Floats = np.asarray(float(interval["scale"]))
    for factor, found in interval["groups"].items():
        if factor not in levels:
            continue
        names, place = np.unique(np.asarray(levels[factor], str), return_inverse=True)
        known = [found[n]["width"] if n in found else 1.0 for n in names]
        width = width * np.asarray(known)[place.reshape(np.shape(levels[factor]))]
    low, high = (interval["centre"] + interval[end] * width for end in ("low", "high"))
    return np.asarray(low), np.asarray(high)


def widened(low: ArrayLike, high: ArrayLike, between: ArrayLike, share: ArrayLike) -> Interval:
    """Return ends of a log interval to which the spread between publishers is added again.

    Once more for `share` 1, in quadrature: what a publisher beyond known ground may add.
    """
    middle = (np.asarray(low) + np.asarray(high)) / 2
    half = np.hypot(np.asarray(high) - middle, Z80 * np.asarray(between) * np.asarray(share))
    return middle - half, middle + half


def ground_ends(interval: Stored, levels: Mapping[str, ArrayLike], ground: ArrayLike) -> Interval:
    """Return the ends of an interval at `levels` of its factors, on a ground.

    Near adds half of the spread between publishers and far all of it (`GROUND_SHARES`). An interval
    with a ``spread`` says it in widths, for known ground and for far: what decides the error of a
    row then decides how far publishers are from each other as well.
    """
    low, high = log_ends(interval, levels)
    ground = np.asarray(ground, int)
    if not np.any(ground):
        return low, high
    between: Floats = np.asarray(interval["between"])
    if of := interval.get("spread"):
        width = (high - low) / (interval["high"] - interval["low"])
        between = width * np.where(ground == len(GROUND_SHARES) - 1, of["far"], of["known"])
    return widened(low, high, between, np.asarray(GROUND_SHARES)[ground])


def stored_interval(
    value: ArrayLike,
    topic: str,
    figure: str,
    levels: Mapping[str, ArrayLike] | None = None,
    *,
    ground: ArrayLike = 0,
    power: float = 1.0,
    inverse: ArrayLike = False,
) -> Interval:
    """Return the 80 % interval of an estimate.

    Parameters
    ----------
    topic, figure : str
        What was calibrated, and which of its intervals.
    levels : mapping, optional
        What decides the width: see `log_ends`.
    ground : array_like
        0 measured, 1 near, 2 far (`constants.ground`): near adds half of the spread between
        publishers, far adds all of it.
    power : float
        Factor on the log width.
    inverse : array_like of bool
        Whether the value is a rate while the stored errors are of seconds.
    """
    ends = ground_ends(stored(topic)["intervals"][figure], levels or {}, ground)
    if own := learnt(topic, figure):
        narrower = own.predicted(levels or {})[1]
        ends = ends[0] * narrower, ends[1] * narrower
    low, high = np.where(inverse, -ends[1], ends[0]), np.where(inverse, -ends[0], ends[1])
    estimate = np.asarray(value)
    return estimate * np.exp(low * power), estimate * np.exp(high * power)


def own_factor(topic: str, levels: Mapping[str, ArrayLike], ground: ArrayLike = 0) -> Floats:
    """Return the factor that one's own rows put on the estimated seconds (of HPC on the speed).

    `levels` as of `stored_interval`, with what else settings are alike by: see `constants.learnt`.
    """
    own = learnt(topic)
    if own is None:
        return np.ones(())
    low, high = ground_ends(stored(topic)["intervals"][TOPICS[topic].figure], levels, ground)
    factor = np.exp(own.predicted(levels)[0] * (high - low) / 2 / Z80)
    return np.asarray(np.clip(factor, 1 / MOST_FACTOR, MOST_FACTOR))


def stored_ratio_interval(value: ArrayLike, topic: str, new: str, old: str) -> Interval:
    """Return the 80 % interval of a ratio of two GPUs, given by id.

    From the errors of that pair where publishers measured both, else of all pairs.
    """
    known = stored(topic)["intervals"]["ratio"]["groups"].get("pair", {})
    forward, backward = f"{new} / {old}", f"{old} / {new}"
    if backward in known and forward not in known:
        return stored_interval(value, topic, "ratio", {"pair": backward}, inverse=True)
    return stored_interval(value, topic, "ratio", {"pair": forward})
