"""A file of requests that a person brings: tokens in, tokens out, and when each arrived."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np

from gpuspec.base.ask import NUMBER
from gpuspec.base.errors import InputError, brief
from gpuspec.base.files import MOST_TABLE_BYTES, path_of, read_text
from gpuspec.base.rows import MOST_CELL, Row, csv_rows
from gpuspec.base.units import Floats
from gpuspec.formulas.serving.lengths import Day, busiest_hour

FIELD = "lengths"
MOST_REQUESTS = 500_000
MOST_TOKENS = 10_000_000
MOST_SECONDS = 1e14
"""Of a time, which may be milliseconds since 1970."""
MOST_SPREAD, MOST_FACTOR = 10.0, 1000.0
SHOWN = 3
"""Rows that are left out and told one by one."""
INPUTS = (
    *("isl", "input", "input_tokens", "input_length", "input_len", "prompt_tokens"),
    *("prompt_len", "context_tokens", "request_tokens", "num_prefill_tokens"),
)
OUTPUTS = (
    *("osl", "output", "output_tokens", "output_length", "output_len", "completion_tokens"),
    *("generated_tokens", "response_tokens", "num_decode_tokens"),
)
TIMES = ("time", "time_s", "timestamp", "timestamp_ms", "time_ms", "arrived_at", "arrival_time")
RUN_TOGETHER = {"contexttokens": "context_tokens", "generatedtokens": "generated_tokens"}


@dataclass(frozen=True)
class Requests:
    """Requests of a file that can be used, and what is wrong with the others."""

    isl: Floats
    osl: Floats
    times_s: Floats
    """When they arrived, in seconds from any start; empty where the file does not say."""
    skipped: tuple[tuple[int, str], ...]
    """Line and reason of each row that was left out."""

    @property
    def fields(self) -> dict[str, object]:
        """Means and spreads as the fields of a load."""
        found: dict[str, object] = {}
        for name, tokens in (("isl", self.isl), ("osl", self.osl)):
            found[name] = max(round(float(tokens.mean())), 1)
            found[f"{name}_cv"] = min(float(tokens.std() / tokens.mean()), MOST_SPREAD)
        day = self.day
        return found | ({"peak_factor": min(day.factor, MOST_FACTOR)} if day else {})

    @property
    def day(self) -> Day | None:
        """Mean and peak of the rate; None where the file does not say when requests arrived."""
        if len(self.times_s) < 2 or np.ptp(self.times_s) <= 0:
            return None
        return busiest_hour(self.times_s)

    @property
    def told(self) -> str:
        """How many requests the file holds, and which rows were left out."""
        said = f"{len(self.isl):,} requests"
        if not self.skipped:
            return said
        shown = "; ".join(f"line {line}: {reason}" for line, reason in self.skipped[:SHOWN])
        more = len(self.skipped) - SHOWN
        shown += f"; and {more:,} more" if more > 0 else ""
        return f"{said}, {len(self.skipped):,} rows left out ({shown})"


def read_requests(given: str | Path) -> Requests:
    """Return the requests of a CSV file, or of a file of JSON lines (``.jsonl``).

    Columns as the public traces call them: ``ContextTokens, GeneratedTokens, TIMESTAMP`` (Azure),
    ``Request tokens, Response tokens, Timestamp`` (BurstGPT), ``input_length, output_length,
    timestamp`` in milliseconds (Mooncake), or ``isl, osl, time`` in seconds or as dates.

    Raises
    ------
    InputError
        When the file, its columns or all of its rows cannot be used. A bad row is left out.
    """
    path = path_of(FIELD, given)
    stamp = path.stat().st_mtime_ns if path.is_file() else 0
    return _kept(str(path), stamp)


@lru_cache(16)
def _kept(path: str, stamp: int) -> Requests:
    text = read_text(FIELD, path, MOST_TABLE_BYTES)
    if Path(path).suffix.lower() in (".jsonl", ".ndjson"):
        rows = list(_json_rows(text, path))
        columns = list(dict.fromkeys(name for row in rows for name in row.cells))
    else:
        columns, rows = csv_rows(FIELD, text, path, most=MOST_REQUESTS)
    names = {_plain(column): column for column in reversed(columns)}
    isl, osl = _column(names, INPUTS, path), _column(names, OUTPUTS, path)
    time = next((names[n] for n in TIMES if n in names), "")
    scale = _scale(time, isl)
    return _checked(rows, isl, osl, time, scale, path)


def _json_rows(text: str, path: str) -> Iterator[Row]:
    """Yield each line that holds one JSON object, as a row of texts."""
    for line, part in enumerate(text.splitlines(), 1):
        if line > MOST_REQUESTS:
            raise InputError(FIELD, path, f"give at most {MOST_REQUESTS:,} rows")
        if not part.strip():
            continue
        cells: dict[str, str] = {}
        problem = ""
        try:
            found = json.loads(part)
            if isinstance(found, dict):
                flat = {k: v for k, v in found.items() if isinstance(v, str | int | float)}
                cells = {name: str(value)[:MOST_CELL] for name, value in flat.items()}
            else:
                problem = "it must be a JSON object"
        except (ValueError, RecursionError):
            problem = "it must be a JSON object"
        yield Row(line, cells, problem)


def _plain(column: str) -> str:
    name = "_".join(column.lower().replace("-", " ").replace("_", " ").split())
    return RUN_TOGETHER.get(name, name)


def _column(names: dict[str, str], known: tuple[str, ...], path: str) -> str:
    for name in known:
        if name in names:
            return names[name]
    valid = (
        f"it needs a column of tokens for each request, called {known[0]}, {known[1]} or {known[2]}"
    )
    raise InputError(FIELD, path, f"{valid}; see docs/serving.md")


def _scale(time: str, isl: str) -> float:
    """Return the seconds of a number of the column of times: Mooncake's are milliseconds."""
    plain = _plain(time)
    milli = plain.endswith("_ms") or (plain == "timestamp" and _plain(isl) == "input_length")
    return 1e-3 if milli else 1.0


def _checked(rows: list[Row], isl: str, osl: str, time: str, scale: float, path: str) -> Requests:
    kept: list[tuple[float, float, float]] = []
    skipped: list[tuple[int, str]] = []
    for row in rows:
        try:
            if row.problem:
                raise ValueError(row.problem)
            read, written = (_read(row, name, _tokens) for name in (isl, osl))
            when = _read(row, time, _seconds) if time and row.cells.get(time) else np.nan
            number = np.nan if np.isnan(when) else when * (scale if _is_number(row, time) else 1)
            kept.append((read, written, number))
        except ValueError as error:
            skipped.append((row.line, str(error)))
    if not kept:
        first = f"; line {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
        raise InputError(FIELD, path, f"it has no row that can be used{first}")
    found = np.array(kept, float)
    known = found[:, 2][np.isfinite(found[:, 2])]
    return Requests(found[:, 0], found[:, 1], known, tuple(skipped))


def _read(row: Row, column: str, how: Callable[[str], float]) -> float:
    text = row.cells.get(column, "")
    try:
        return how(text)
    except (ValueError, OverflowError):
        raise ValueError(f"{column} {brief(text)} is not valid") from None


def _tokens(text: str) -> float:
    number = float(text) if NUMBER.fullmatch(text) else 0.0
    if not 1 <= number <= MOST_TOKENS or number != int(number):
        raise ValueError
    return number


def _is_number(row: Row, column: str) -> bool:
    return bool(NUMBER.fullmatch(row.cells[column]))


def _seconds(text: str) -> float:
    """Return a number as it is, or a date as seconds."""
    if NUMBER.fullmatch(text):
        if abs(float(text)) > MOST_SECONDS:
            raise ValueError
        return float(text)
    when = datetime.fromisoformat(text)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
