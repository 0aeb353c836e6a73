"""What is asked: scenarios in files and folders, and tables with a question a row."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpuspec.base.ask import asked
from gpuspec.base.documents import from_json, from_yaml
from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.base.files import MOST_SCENARIO_BYTES, MOST_TABLE_BYTES, bounded
from gpuspec.base.rows import csv_rows, plain_cell
from gpuspec.batch.store import Store, inside, is_address
from gpuspec.decision.scenario import DecisionQuestion, scenario_names
from gpuspec.decision.scenario.reading import SUFFIXES

MOST_QUESTIONS = 100_000
NAME = "name"
"""The column of a table that names its questions; each other one is a field of the question."""
_ASKED = "question"
_OF_WORKS = ("table", "lengths", "model")
_TABLES = (".csv", ".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Question:
    """A question with all that it needs: fields of `DecisionQuestion`, and the files they name."""

    name: str
    place: str
    """Its file, and its line in a table."""
    given: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, bytes], ...] = ()
    problem: str = ""
    """Why it cannot be read."""

    @property
    def asks(self) -> str:
        """What tells it from another: a hash of all but its name and place."""
        parts = [[n, v] for n, v in self.given]
        told = json.dumps([parts, [[n, _hash(content)] for n, content in self.files]])
        return _hash(told.encode())

    @contextmanager
    def placed(self) -> Iterator[dict[str, str]]:
        """Put its files into a folder for a while, and be there; give its fields."""
        with tempfile.TemporaryDirectory(prefix="gpuspec-") as folder, chdir(folder):
            for name, content in self.files:
                Path(name).parent.mkdir(parents=True, exist_ok=True)
                Path(name).write_bytes(content)
            yield dict(self.given)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def questions(scenarios: Sequence[str]) -> list[Question]:
    """Return the questions of files, of folders of them, and of shipped names, in that order.

    A file that cannot be read, or a row, is a question with a problem.

    Raises
    ------
    InputError, UnknownNameError
        Where there is no such place, or nothing is asked there, or a table has columns that no
        question has.
    """
    found: list[Question] = []
    for place in scenarios:
        of_place = list(_of_place(place))
        if not of_place:
            valid = f"it holds no file that ends in {', '.join((*SUFFIXES, '.csv'))}"
            raise InputError("scenarios", place, valid)
        found += of_place
        if len(found) > MOST_QUESTIONS:
            raise InputError("scenarios", place, f"ask at most {MOST_QUESTIONS:,} at a time")
    return found


def _of_place(place: str) -> Iterator[Question]:
    if place in scenario_names():
        yield Question(place, place, (("scenario", place),))
        return
    store = Store(place)
    if store.is_file:
        name = place.rstrip("/").replace(os.sep, "/").rpartition("/")[2]
        yield from _of_file(store.parent, name, place)
        return
    if store.here is not None and not store.here.is_dir():
        if not is_address(place) and "." not in place and "/" not in place:
            raise UnknownNameError("scenarios", place, scenario_names())
        raise InputError("scenarios", place, "there is no such file or folder")
    for name in store.names():
        if name.lower().endswith((*SUFFIXES, ".csv")):
            yield from _of_file(store, name, f"{place.rstrip('/')}/{name}")


def _of_file(store: Store, name: str, shown: str) -> Iterator[Question]:
    if name.lower().endswith(".csv"):
        yield from _of_table(store, name, shown)
        return
    try:
        if not name.lower().endswith(SUFFIXES):
            raise InputError("scenarios", shown, f"end it in {', '.join((*SUFFIXES, '.csv'))}")
        yield Question(name.rpartition(".")[0], shown, *_of_scenario(store, name))
    except InputError as error:
        yield Question(name.rpartition(".")[0] or name, shown, problem=str(error))


_Parts = tuple[tuple[tuple[str, str], ...], tuple[tuple[str, bytes], ...]]


def _of_scenario(store: Store, name: str) -> _Parts:
    """Return the fields and the files of a scenario's file."""
    content = store.read(inside(name), MOST_SCENARIO_BYTES)
    is_json = name.lower().endswith(".json")
    read = from_json if is_json else from_yaml
    document = bounded("scenario", read("scenario", content.decode("utf-8-sig"), name))
    own = f"{_ASKED}.json" if is_json else f"{_ASKED}.yaml"
    found = _beside(store, _named_in(document), own)
    return (("scenario", own),), ((own, content), *found)


def _named_in(content: Any) -> Iterator[str]:
    """Yield the files that a scenario names."""
    prices = content.get("prices") if isinstance(content, dict) else None
    if isinstance(prices, dict):
        if isinstance(prices.get("file"), str) and prices["file"]:
            yield prices["file"]
        yield from _tables(prices.get("quotes"))
    works = content.get("workloads") if isinstance(content, dict) else None
    for work in works if isinstance(works, list) else ():
        for field in _OF_WORKS if isinstance(work, dict) else ():
            value = work.get(field)
            if isinstance(value, str) and value and (field != "model" or _is_config(value)):
                yield value


def _is_config(model: str) -> bool:
    return model.lower().endswith(".json")


def _tables(quotes: object) -> Iterator[str]:
    if isinstance(quotes, str) and quotes.lower().endswith(_TABLES):
        yield quotes


def _beside(store: Store, names: Iterator[str], own: str) -> list[tuple[str, bytes]]:
    found: dict[str, bytes] = {}
    for name in names:
        if name == own:
            raise InputError("file", name, "call it otherwise")
        if name not in found:
            found[name] = store.read(inside(name), MOST_TABLE_BYTES)
    return sorted(found.items())


def _of_table(store: Store, name: str, shown: str) -> Iterator[Question]:
    """Yield the question of each row; the columns are the options of ``gpuspec plan``."""
    text = store.read(inside(name), MOST_TABLE_BYTES).decode("utf-8-sig")
    columns, rows = csv_rows("scenarios", text, shown, most=MOST_QUESTIONS)
    fields = {option: f.name for f in asked(DecisionQuestion) for option in f.options}
    known = {column: _field(column, fields, shown) for column in columns}
    taken = list(known.values())
    if twice := [column for column in known if taken.count(known[column]) > 1]:
        raise InputError(f"{shown} column", twice[-1], "it says the same as another column")
    cache: dict[str, bytes] = {}
    for number, row in enumerate(rows, 1):
        cells = {known[c]: plain_cell(cell) for c, cell in row.cells.items() if cell}
        called, place = cells.pop(NAME, f"{number}"), f"{shown} line {row.line}"
        try:
            if row.problem:
                raise InputError("row", ",".join(row.cells.values()), row.problem)
            yield Question(called, place, *_of_row(store, cells, cache))
        except InputError as error:
            yield Question(called, place, problem=str(error))


def _field(column: str, fields: Mapping[str, str], shown: str) -> str:
    plain = column.strip().lstrip("-").replace("-", "_").lower()
    if plain == NAME:
        return NAME
    if plain not in fields:
        raise UnknownNameError(f"{shown} column", column, [NAME, *fields])
    return fields[plain]


def _of_row(store: Store, cells: dict[str, str], cache: dict[str, bytes]) -> _Parts:
    files: dict[str, bytes] = {}
    scenario = cells.get("scenario")
    if scenario and scenario not in scenario_names():
        given, found = _of_scenario(store, scenario)
        cells, files = cells | dict(given), dict(found)
    names = list(_tables(cells.get("quotes")))
    names += [cells["model"]] if _is_config(cells.get("model", "")) else []
    for name in names:
        if name not in cache:
            cache[name] = store.read(inside(name), MOST_TABLE_BYTES)
        files[name] = cache[name]
    return tuple(sorted(cells.items())), tuple(sorted(files.items()))
