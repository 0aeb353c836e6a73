"""Learn from one's own rows: their errors beside the estimates, stored for every answer to use."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError
from gpuspec.base.files import check_writable, path_of, read_text, write_atomically
from gpuspec.base.units import MIB
from gpuspec.constants.learnt import (
    FILE,
    MOST_ROWS,
    TOPICS,
    VERSION,
    Learnt,
    settings,
    stored_settings,
    uncalibrated,
)
from gpuspec.constants.stored import Z80, stored
from gpuspec.evidence.measurements.described import described
from gpuspec.evidence.validation import Validation, kind_of, validate

MOST_BYTES = 64 * MIB
MOST_FACTOR = 300.0
"""Between measured and estimated: published rows are up to 109 apart, ms taken for s 1,000."""


class Errors(NamedTuple):
    """The errors of rows, in spreads of their intervals."""

    said: dict[str, np.ndarray]
    """Their settings, as `constants.learnt.settings` returns them."""
    z: np.ndarray
    """log(measured / estimated) of the seconds (of HPC the speed) over `spread`."""
    spread: np.ndarray
    """Standard deviation that their interval states."""
    rows: pd.DataFrame


def errors_of(found: Validation) -> Errors:
    """Return the errors of compared rows; of HPC those whose figures stand alone."""
    rows, kind = found.rows, found.kind
    if kind == "hpc":
        rows = rows[rows["absolute"].astype(bool)].reset_index(drop=True)
    spread = np.log((rows["high"] / rows["low"]).to_numpy(float)) / 2 / Z80
    error = -rows["error"].to_numpy(float)
    if kind == "inference":
        error = np.where(rows["quantity"] == "throughput", -error, error)
    table = described(kind, rows)
    said = {str(name): table[name].to_numpy() for name in table}
    return Errors(settings(kind, said, len(rows)), error / spread, spread, rows)


class Lesson(NamedTuple):
    """What was learnt of a topic."""

    topic: str
    files: tuple[str, ...]
    rows: int
    """Figures that count."""
    skipped: int
    before: float
    """Median of |predicted / measured - 1| of the estimates as they were."""
    after: float
    """The same of each row, predicted from the rows of the other lines."""
    inside: float
    """Share of those in their narrowed 80 % interval."""
    width: float
    """Median half width of the interval at one's own settings over that without own rows."""


def learn(paths: Sequence[str], output: str, add: bool = False) -> list[Lesson]:
    """Learn from tables of `validate` and store it in a folder, beside copies of the tables.

    Parameters
    ----------
    paths : sequence of str
        CSV files; each is of the kind whose columns it has.
    output : str
        Folder; with `add` one that has been learnt already, whose tables count as well.

    Raises
    ------
    InputError
        When a file cannot be used, is of a kind that has no speed, or has no row that can be used.
    """
    folder = path_of("output", output)
    before = sorted(folder.glob("own-*.csv"))
    if (folder / FILE).exists() and not add:
        raise InputError(
            "output", str(folder), "it holds a calibration: name another, or say --add"
        )
    check_writable("output", folder / FILE)
    names = list(dict.fromkeys([*map(str, before), *paths]))
    texts: dict[str, str] = {}
    for name in names:
        text = read_text("file", name, MOST_BYTES)
        if twin := next((other for other, of in texts.items() if of == text), None):
            raise InputError("file", name, f"it holds the same as {twin}; each row counts once")
        texts[name] = text
    with uncalibrated():
        found = {name: _compared(name) for name in names}
    topics: dict[str, list[str]] = {}
    for name, one in found.items():
        topics.setdefault(one.kind, []).append(name)
    made, lessons = {}, []
    for topic, files in topics.items():
        content, lesson = _topic(topic, files, [found[name] for name in files])
        made[topic] = content
        lessons.append(lesson)
    for i, name in enumerate(names[len(before) :], len(before) + 1):
        write_atomically(folder / f"own-{i}-{found[name].kind}.csv", texts[name].encode())
    content = {"version": VERSION, "topics": made}
    write_atomically(folder / FILE, (json.dumps(content, indent=1) + "\n").encode())
    return lessons


def _compared(name: str) -> Validation:
    kind = kind_of(name)
    if kind not in TOPICS:
        known = ", ".join(TOPICS)
        what = f"has the columns of {kind}" if kind else "has the columns of no kind"
        raise InputError("file", name, f"it {what}; what can be learnt: {known}")
    found = validate(name, kind)
    if found.rows.empty:
        reasons = found.skipped["reason"].head(1).tolist()
        why = f"; line {found.skipped['line'].iloc[0]}: {reasons[0]}" if reasons else ""
        raise InputError("file", name, f"none of its rows can be used{why}")
    far = found.rows.loc[found.rows["error"].abs() > np.log(MOST_FACTOR)].head(1)
    for row in far.to_dict("records"):
        times = np.exp(abs(row["error"]))
        said = f"what it measured and the estimate are {times:,.0f} times apart; check the unit"
        valid = f"line {row['line']}: {said}"
        raise InputError("file", name, valid)
    return found


def _topic(
    topic: str, files: Sequence[str], found: Sequence[Validation]
) -> tuple[dict[str, Any], Lesson]:
    """Return what is stored of a topic, and what is told of it."""
    parts = [errors_of(one) for one in found]
    z, spread = (np.concatenate([getattr(p, n) for p in parts]) for n in ("z", "spread"))
    if not len(z):
        raise InputError("file", files[0], "none of its figures stands alone: each needs a partner")
    if len(z) > MOST_ROWS:
        raise InputError("file", ", ".join(files), f"give at most {MOST_ROWS:,} figures of a kind")
    said = {n: np.concatenate([p.said[n] for p in parts]) for n in parts[0].said}
    runs = [f"{i} {line}" for i, p in enumerate(parts) for line in p.rows["line"]]
    weights = topic_weights(topic)
    own = Learnt(topic, weights, said, z)
    mean, share = own.left_out(runs)
    lesson = Lesson(
        topic,
        tuple(files),
        len(z),
        sum(len(one.skipped) for one in found),
        _median(z * spread),
        _median((z - mean) * spread),
        float(np.mean(np.abs(z - mean) <= Z80 * share)),
        float(np.median(own.predicted(said)[1])),
    )
    content = {"weights": weights, "said": stored_settings(topic, own.said)}
    for name, values in (("z", z), ("scale", own.scale)):
        content[name] = [float(f"{value:.4g}") for value in values]
    return content, lesson


def _median(error: np.ndarray) -> float:
    return float(np.median(np.abs(np.expm1(-error))))


def topic_weights(topic: str) -> dict[str, float]:
    """Return the share of each component in the variance of published errors of a topic."""
    found: Mapping[str, float] = stored("learning")["weights"][topic]
    return dict(found)
