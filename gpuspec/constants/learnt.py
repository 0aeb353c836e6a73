"""What one's own measurements taught: factors on estimates, and narrower intervals.

The error of an estimate, log(measured / estimated) of its seconds over the spread of its interval,
is normal with variance 1. Two errors of one machine are correlated by what their settings share:

    correlation = sum of w_c over the components c whose columns agree in both
                + sum of w_c' exp(-distance / `REACH`) over some of them

where the distance is the sum of |log2| of the ratios of loads, lengths and sizes. The weights are
those of published errors (`evidence.fits.learning`); what is left of 1 is a row's own. From own
rows with errors z and correlations R, another setting, by its correlations r with them, has an
error of

    mean = r R^-1 z      variance = 1 - r R^-1 r

(the best linear prediction of mixed models, or of a Gaussian process). Few rows move little, many
rows alike move all; a setting that shares nothing with them keeps its estimate and its interval.
What is a row's own has heavier tails than a normal number (the kurtosis of published errors is 10
to 21 where there are many): it follows a t distribution, so that a row far from all others counts
less (`scales`).

References
----------
Henderson 1975, doi:10.2307/2529430; Robinson 1991, doi:10.1214/ss/1177011926 (best linear unbiased
prediction); Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, equations 2.25,
2.26 and 5.12; Lange, Little and Taylor 1989, doi:10.1080/01621459.1989.10478852 (t distributed
errors, by repeated weighting, and 4 degrees of freedom where data cannot tell them).
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.errors import InputError
from gpuspec.base.files import MOST_CONFIG_BYTES, path_of, read_text, refusing

VARIABLE = "GPUSPEC_CALIBRATION"
FILE = "calibration.json"
VERSION = 2
"""Of what that file holds; 1 had no `scales`."""
REACH = 3.0
"""Doublings over which settings stay alike."""
MOST_ROWS = 3000
"""Figures that are learnt from: their correlations are a matrix."""
FREEDOM = 4.0
"""Degrees of freedom of the t distribution of what is a row's own."""
MOST_STEPS, SETTLED = 40, 1e-3
"""Steps in which these weights settle, and the change that counts as none."""
LEAST_OWN = 0.02
"""Share of the variance that a row has for itself at least."""


class Similar(NamedTuple):
    """By what settings of a topic are alike."""

    figure: str
    """Which of the topic's intervals is of one measurement."""
    same: Mapping[str, tuple[str, ...]]
    """Component -> columns that must agree."""
    near: tuple[str, ...]
    """Columns of numbers whose ratio counts."""
    close: tuple[str, ...] = ("machine", "settings")
    """Components that count once more, by how near those numbers are."""

    @property
    def names(self) -> list[str]:
        """Return the names of all components."""
        return [*self.same, *(f"{name}, near" for name in self.close)]


_MODEL = ("params_b", "kind")
MOST_Z = 1e3
"""Spreads of an interval by which an error is stored at most."""
TOPICS = {
    "inference": Similar(
        "seconds",
        {
            "machine": (),
            "figure": ("part",),
            "engine": ("part", "engine"),
            "gpu": ("part", "gpu"),
            "model": ("part", *_MODEL),
            "settings": ("part", "gpu", "engine", *_MODEL, "tp", "pp", "weights"),
        },
        ("load", "isl", "osl"),
        ("figure", "settings"),
    ),
    "training": Similar(
        "step time",
        {
            "machine": (),
            "framework": ("framework",),
            "gpu": ("gpu", "framework"),
            "model": _MODEL,
            "settings": ("framework", "gpu", *_MODEL, "precision", "tuning"),
        },
        ("gpus", "seq_len", "tp", "pp"),
    ),
    "posttraining": Similar(
        "step",
        {"machine": (), "gpu": ("gpu",), "settings": ("gpu", *_MODEL)},
        ("gpus", "isl", "osl"),
    ),
    "collectives": Similar(
        "seconds",
        {
            "machine": (),
            "operation": ("operation",),
            "link": ("link",),
            "size": ("size",),
            "span": ("span", "network"),
            "settings": ("operation", "gpu", "link", "network"),
        },
        ("message_bytes", "nodes", "members"),
    ),
    "hpc": Similar(
        "speed",
        {"machine": (), "gpu": ("gpu",), "class": ("workload",), "settings": ("gpu", "workload")},
        ("gpus",),
    ),
}
"""Topics whose estimates can be learnt."""


Said = Mapping[str, ArrayLike]
"""What rows or answers say of their setting, by the names of `constants.ground`."""


def columns_of(topic: str) -> tuple[list[str], tuple[str, ...]]:
    """Return the columns of names, and those of numbers, that decide what is alike."""
    of = TOPICS[topic]
    return sorted({name for names in of.same.values() for name in names}), of.near


def settings(topic: str, said: Said, rows: int) -> dict[str, np.ndarray]:
    """Return what `said` says in the columns that count, each of `rows` values.

    A name that is not said is blank, a number NaN: alike with nothing. ``params_b`` counts to two
    digits; ``part`` of inference is the first token or all that follow it; a load that is not said
    of a row, or below one, is one.
    """
    names, numbers = columns_of(topic)
    found = {}
    for name in names:
        values = said.get(name, "")
        if name == "part" and "quantity" in said:
            values = np.where(np.asarray(said["quantity"]) == "ttft", "first", "rest")
        values = np.asarray(values)
        if values.dtype.kind in "fiu":
            values = np.char.mod("%.2f", values.astype(float))
        found[name] = np.broadcast_to(values.astype(str), (rows,))
    for name in numbers:
        values = np.asarray(said.get(name, np.nan), float)
        if name in said:
            values = np.maximum(np.nan_to_num(values, nan=1.0), 1.0)
        found[name] = np.broadcast_to(values, (rows,))
    return found


def components(
    topic: str, one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return by component what settings have in common, each (len(one), len(other)), 0 to 1."""
    of = TOPICS[topic]
    names, _ = columns_of(topic)
    shape = tuple(len(next(iter(side.values()))) for side in (one, other))
    equal = {n: (one[n][:, None] == other[n]) & (one[n][:, None] != "") for n in names}
    found = {}
    for component, columns in of.same.items():
        alike = np.ones(shape, bool)
        for name in columns:
            alike &= equal[name]
        found[component] = alike.astype(float)
    far = np.zeros(shape)
    for name in of.near:
        far += np.abs(np.log2(one[name])[:, None] - np.log2(other[name]))
    close = np.exp(-np.nan_to_num(far, nan=np.inf) / REACH)
    for component in of.close:
        found[f"{component}, near"] = found[component] * close
    return found


def correlation(
    topic: str,
    weights: Mapping[str, float],
    one: Mapping[str, np.ndarray],
    other: Mapping[str, np.ndarray],
) -> np.ndarray:
    """Return the correlation of the errors of settings, (len(one), len(other))."""
    parts = components(topic, one, other)
    return np.asarray(sum(float(weights.get(name, 0.0)) * parts[name] for name in parts))


def own_share(weights: Mapping[str, float]) -> float:
    """Return the share of the variance that is a row's own."""
    return max(1 - sum(weights.values()), LEAST_OWN)


def scales(
    topic: str, weights: Mapping[str, float], said: Mapping[str, np.ndarray], z: np.ndarray
) -> np.ndarray:
    """Return the weight of each row's own part, by how far the row lies from what others say.

    The expectation of the weight of a t distributed error, given the last estimate, in turn with
    the estimate given the weights (Lange, Little and Taylor 1989, section 3); about 1 where errors
    are as large as they should be, little of a row that is far off.

    Parameters
    ----------
    said, z
        As `Learnt` takes them; `said` as `settings` returns it.
    """
    own = own_share(weights)
    shared, found = correlation(topic, weights, said, said), np.ones(len(z))
    for _ in range(MOST_STEPS):
        gain = shared @ np.linalg.inv(shared + np.diag(own / found))
        left = np.diag(shared) - np.einsum("ij,ij->i", gain, shared)
        last, far = found, ((z - gain @ z) ** 2 + left) / own
        found = (FREEDOM + 1) / (FREEDOM + far)
        if np.abs(found - last).max() < SETTLED:
            break
    return found


class Learnt:
    """What own rows of a topic say of its other settings.

    Parameters
    ----------
    topic : str
        One of `TOPICS`.
    weights : mapping
        Component -> its share of the variance; they add up to less than 1.
    said : mapping
        Settings of the rows, as `settings` returns them.
    z : array, shape (n,)
        log(measured / estimated) of the seconds of each row, over the spread of its interval.
    scale : array, shape (n,), optional
        What `scales` says of the rows; computed unless given.
    """

    def __init__(
        self,
        topic: str,
        weights: Mapping[str, float],
        said: Mapping[str, ArrayLike],
        z: ArrayLike,
        scale: ArrayLike | None = None,
    ) -> None:
        self.topic, self.weights = topic, weights
        self.z = np.asarray(z, float)
        self.said = settings(topic, said, len(self.z))
        found = scales(topic, weights, self.said, self.z) if scale is None else scale
        self.scale = np.asarray(found, float)
        self._own = own_share(weights)

    @cached_property
    def _inverse(self) -> np.ndarray:
        matrix = correlation(self.topic, self.weights, self.said, self.said)
        return np.asarray(np.linalg.inv(matrix + np.diag(self._own / self.scale)))

    def predicted(self, said: Said) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of the error at settings, in spreads of an interval.

        Both have the common shape of what is `said`.
        """
        shape = np.broadcast_shapes(*(np.shape(values) for values in said.values()))
        flat = {n: np.broadcast_to(np.asarray(v), shape).ravel() for n, v in said.items()}
        asked = settings(self.topic, flat, int(np.prod(shape)))
        r = correlation(self.topic, self.weights, asked, self.said)
        mean = r @ (self._inverse @ self.z)
        variance = 1 - np.einsum("ij,jk,ik->i", r, self._inverse, r, optimize=True)
        return mean.reshape(shape), np.sqrt(np.maximum(variance, 0.01)).reshape(shape)

    def left_out(self, runs: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
        """Return what `predicted` says of each row from the rows of the other `runs` alone, each as
        heavy as in `scale`."""
        mean, spread = np.zeros(len(self.z)), np.ones(len(self.z))
        solved = self._inverse @ self.z
        _, place = np.unique(np.asarray(runs, str), return_inverse=True)
        for run in range(place.max(initial=-1) + 1):
            own = np.flatnonzero(place == run)
            block = np.linalg.inv(self._inverse[np.ix_(own, own)])
            mean[own] = self.z[own] - block @ solved[own]
            free = np.diag(block) + self._own * (1 - 1 / self.scale[own])
            spread[own] = np.sqrt(np.maximum(free, 0.01))
        return mean, spread


class Calibration(NamedTuple):
    """Own rows by topic, as ``gpuspec learn`` stored them."""

    folder: str
    topics: Mapping[str, Learnt]


_OFF: ContextVar[bool] = ContextVar("calibration off", default=False)
_USED: set[str] = set()


@contextmanager
def uncalibrated() -> Iterator[None]:
    """Leave own rows out of what is computed inside."""
    token = _OFF.set(True)
    try:
        yield
    finally:
        _OFF.reset(token)


def learnt(topic: str, figure: str = "") -> Learnt | None:
    """Return what own rows say of a topic, or of one of its figures; None where nothing does."""
    folder = os.environ.get(VARIABLE, "")
    if not folder or _OFF.get() or topic not in TOPICS:
        return None
    if figure and figure != TOPICS[topic].figure:
        return None
    found = opened(folder).topics.get(topic)
    if found:
        _USED.add(topic)
    return found


def used_rows() -> int:
    """Return how many own figures stand behind what was computed since `forget_use`."""
    if not _USED:
        return 0
    topics = opened(os.environ[VARIABLE]).topics
    return sum(len(topics[topic].z) for topic in _USED)


def counted_use() -> dict[str, int]:
    """Return `used_rows` as answers for programs name it; nothing where none was used."""
    return {"calibrated_with": used_rows()} if used_rows() else {}


def own_rows() -> int:
    """Return how many own figures the calibration in use holds; 0 without one."""
    folder = os.environ.get(VARIABLE, "")
    return sum(len(own.z) for own in opened(folder).topics.values()) if folder else 0


def forget_use() -> None:
    """Count anew whether own rows were used."""
    _USED.clear()


@cache
def opened(folder: str) -> Calibration:
    """Read a folder of ``gpuspec learn``.

    Raises
    ------
    InputError
        When there is no such folder, or it was not written by this command.
    """
    path = path_of(VARIABLE, folder) / FILE
    if not path.is_file():
        raise InputError(VARIABLE, folder, f"give a folder that gpuspec learn wrote ({FILE})")
    with refusing(VARIABLE, folder, f"{FILE} is not as gpuspec learn wrote it"):
        stored = json.loads(read_text(VARIABLE, path, 4 * MOST_CONFIG_BYTES))
        try:
            if stored["version"] != VERSION:
                raise ValueError("its version is another one")
            topics = {topic: _learnt(topic, of) for topic, of in stored["topics"].items()}
        except (TypeError, KeyError, AttributeError):
            raise ValueError("a part is missing") from None
    return Calibration(folder, topics)


def _learnt(topic: str, of: Mapping[str, Any]) -> Learnt:
    names, numbers = columns_of(topic)
    weights = {str(name): float(share) for name, share in of["weights"].items()}
    z = np.asarray(of["z"], float)
    said = {n: np.asarray(of["said"][n], str if n in names else float) for n in (*names, *numbers)}
    scale = np.asarray(of["scale"], float)
    sizes = {len(values) for values in said.values()} | {len(z), len(scale)}
    good = (np.abs(z) < MOST_Z).all() and len(sizes) == 1 and 0 < len(z) <= MOST_ROWS
    good = good and bool(((scale > 0) & (scale <= 1 + 1 / FREEDOM)).all())
    if not good or not 0 <= sum(weights.values()) < 1 or min(weights.values()) < 0:
        raise ValueError("its figures do not fit each other")
    return Learnt(topic, weights, said, z, scale)


def stored_settings(topic: str, said: Mapping[str, np.ndarray]) -> dict[str, list[Any]]:
    """Return settings as `opened` reads them; a number that is not said is null."""
    return {
        name: [None if value != value else value for value in column.tolist()]
        for name, column in said.items()
    }
