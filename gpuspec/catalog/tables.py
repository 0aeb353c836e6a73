"""Read the shipped tables with the user's rows over them; find a row by the name a person types.

Every table is a CSV file of ``data/datapackage.json`` (keys, sources, columns); the columns of the
tables that have a record are declared there (`RECORDS`), and the package is written from it.
The user's own rows come from a folder with files of the same names: argument ``data``, or else
the environment variable ``GPUSPEC_DATA``. A row with a known key overrides the shipped one cell
by cell (a column left out or an empty cell stays as shipped); a new key adds a row.
"""

import json
import os
import re
import unicodedata
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import date
from functools import cache, lru_cache, wraps
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

from pydantic import BaseModel

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.base.files import MOST_TABLE_BYTES, path_of, read_text
from gpuspec.base.paths import DATA
from gpuspec.base.rows import MOST_ROWS, sure_rows
from gpuspec.base.units import GB, MIB
from gpuspec.catalog.columns import check_row, record_of

if TYPE_CHECKING:
    import pandas as pd

A = TypeVarTuple("A")
T = TypeVar("T")
_Row = dict[str, str]
Cells = dict[str, Any]
"""A row by column: texts, numbers, flags, and None for a number or flag that is not known."""
_Json = dict[str, Any]
RECORDS = {
    "gpus": "gpuspec.catalog.records:Gpu",
    "servers": "gpuspec.catalog.records:Server",
    "links": "gpuspec.catalog.records:Link",
    "mig_profiles": "gpuspec.catalog.records:MigProfile",
    "models": "gpuspec.catalog.models.record:Model",
    "precisions": "gpuspec.catalog.precision:Precision",
    "training_recipes": "gpuspec.catalog.precision:TrainingRecipe",
    "engines": "gpuspec.catalog.engines:Era",
    "frameworks": "gpuspec.catalog.frameworks:Framework",
    "image-models": "gpuspec.catalog.images:ImageModel",
    "workloads": "gpuspec.catalog.workloads:Workload",
    "use-cases": "gpuspec.catalog.use_cases:UseCase",
    "load-profiles": "gpuspec.catalog.load_profiles:LoadProfile",
    "engine-arguments": "gpuspec.catalog.arguments:Argument",
    "prices-api": "gpuspec.catalog.api_prices:ApiPrice",
}
"""The record that declares the columns of a table; looked up when a row is checked. Tables that
are not named here are declared by their schema in the package alone."""
_SEPARATORS = re.compile(r"[\s_\-‐‑–—/(),:]+")


def load_table(name: str, data: str | Path | None = None) -> "pd.DataFrame":
    """Read the shipped table `name` with the user's rows merged in.

    Parameters
    ----------
    name : str
        A resource of ``data/datapackage.json``, such as ``"gpus"``.
    data : str or Path, optional
        A folder with the user's own files; `GPUSPEC_DATA` when not given.

    Returns
    -------
    pandas.DataFrame
        One row an entity, the key an ordinary column. Unknown texts are "", unknown numbers NaN,
        unknown yes-or-no cells None.

    Raises
    ------
    InputError
        When the folder or a file in it cannot be used; the message names file, row and field.
    """
    return _frame(name, *edition(data)).copy()


def table_rows(name: str, data: str | Path | None = None) -> list[Cells]:
    """Return the rows of `load_table` as they are, without pandas, which takes long to import."""
    return _load(name, *edition(data))


def edition(data: str | Path | None = None) -> tuple[Path | None, tuple[tuple[str, int], ...]]:
    """Return what tells one state of the tables from another: the user's folder and its files.

    A result that depends on nothing but tables can be kept under it.
    """
    folder = _user_folder(data)
    files = sorted([*folder.glob("*.csv"), *folder.glob("*/*.csv")]) if folder else []
    return folder, tuple((p.name, p.stat().st_mtime_ns) for p in files)


def kept(function: Callable[[*A], T]) -> Callable[[*A], T]:
    """Keep what a function of tables and of hashable arguments returns, for each `edition`."""

    @lru_cache(256)
    def found(_: Hashable, *args: *A) -> T:
        return function(*args)

    @wraps(function)
    def of(*args: *A) -> T:
        return found(edition(), *args)

    return of


@lru_cache(maxsize=4096)
def resolved(table: str, name: str, field: str, folder: Path | None, stamp: object) -> str:
    """Return `resolve` of a name in a table, kept for one `edition` of it."""
    return _resolve(name, _texts(table, folder, stamp).values(), field)


def resolve(table: str, name: str, field: str, data: str | Path | None = None) -> str:
    """Find the id of the row of a table that a person means by `name`.

    Case, spaces, hyphens and underscores do not matter. An exact id wins, then an exact name or
    alias, then one of the same words in another order, then the only row that has all the words of
    `name` in its id, its name or an alias.

    Parameters
    ----------
    table : str
        One with columns ``id``, ``name`` and, if it has any, ``aliases``.
    name : str
        As a person types it, such as ``"A100 40GB"``.
    field : str
        What to call the input in an error message.

    Returns
    -------
    str
        The canonical id.

    Raises
    ------
    UnknownNameError
        When nothing has that name; lists close matches.
    InputError
        When several rows have it; lists them.
    """
    return resolved(table, name, field, *edition(data))


def table_row(name: str, key: str, data: str | Path | None = None) -> Cells:
    """Return the row of a table with that id; of the others no cell is read."""
    texts = _texts(name, *edition(data))
    return _cells(texts[(key,)], _fields(name))


def labels_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the id, the name and the aliases of each row, by its id."""
    return {
        row["id"]: [row["id"], row["name"], *filter(None, row.get("aliases", "").split("|"))]
        for row in rows
    }


def _resolve(name: str, rows: Iterable[_Row], field: str) -> str:
    labels = labels_of(rows)
    ids = list(labels)
    wanted, words = _plain(name), _words(name)
    is_name = any(not word.isdigit() for word in words)  # "80" alone names nothing
    for found in (
        [i for i in ids if _plain(i) == wanted],
        [i for i in ids if wanted in map(_plain, labels[i])],
        [i for i in ids if words in map(_words, labels[i])],
        [i for i in ids if is_name and any(words <= _words(label) for label in labels[i])],
    ):
        if len(found) == 1:
            return found[0]
        if found:
            more = f" and {len(found) - 8} more" if len(found) > 8 else ""
            raise InputError(field, name, f"it may mean {', '.join(found[:8])}{more}: say which")
    raise UnknownNameError(field, name, ids)


def data_as_of() -> date:
    """Return the day on which the shipped tables were last checked against their sources."""
    return date.fromisoformat(_package()["created"][:10])


@lru_cache(maxsize=8192)
def _plain(name: str) -> str:
    return _SEPARATORS.sub("", unicodedata.normalize("NFKC", str(name)).casefold())


@lru_cache(maxsize=8192)
def _words(name: str) -> frozenset[str]:
    words = _SEPARATORS.split(unicodedata.normalize("NFKC", str(name)).casefold())
    return frozenset(re.sub(r"^(\d+)gb?$", r"\1", word) for word in words if word)


# --- shipped and user's files ------------------------------------------------------------------


@cache
def _package() -> _Json:
    package: _Json = json.loads((DATA / "datapackage.json").read_text("utf-8"))
    return package


def _resource(name: str) -> _Json:
    resources: dict[str, _Json] = {r["name"]: r for r in _package()["resources"]}
    if name not in resources:
        raise UnknownNameError("table", name, resources)
    return resources[name]


@cache
def record(name: str) -> type[BaseModel]:
    """Return the record of a table; one made from its schema, where it has no other."""
    if name in RECORDS:
        declared: type[BaseModel] = resolve_name(RECORDS[name])
        return declared
    return record_of(name, _resource(name)["schema"]["fields"])


def _user_folder(data: str | Path | None) -> Path | None:
    field, given = ("data", data) if data else ("GPUSPEC_DATA", os.environ.get("GPUSPEC_DATA"))
    if not given:
        return None
    folder = path_of(field, given).resolve()
    known = [r["path"] for r in _package()["resources"]]
    if not folder.is_dir() or not any((folder / path).is_file() for path in known):
        raise InputError(field, str(given), f"give a folder that holds any of {', '.join(known)}")
    return folder


def _fields(name: str) -> dict[str, _Json]:
    return {field["name"]: field for field in _resource(name)["schema"]["fields"]}


@lru_cache(maxsize=64)
def _load(name: str, folder: Path | None, stamp: object) -> list[Cells]:
    fields = _fields(name)
    return [_cells(row, fields) for row in _texts(name, folder, stamp).values()]


@lru_cache(maxsize=64)
def _texts(name: str, folder: Path | None, stamp: object) -> dict[tuple[str, ...], _Row]:
    """Return the rows of a table by key, their cells as they are written."""
    resource = _resource(name)
    schema, path = resource["schema"], resource["path"]
    fields, key = _fields(name), schema["primaryKey"]
    rows = _read(DATA / path, key, fields)
    if folder and (folder / path).is_file():
        for row_key, own in _read(folder / path, key, fields).items():
            where = f"{folder / path} row {'/'.join(row_key)}"
            row = _merged(rows.get(row_key, {}), own, name, folder / path)
            check_row(record(name), row, where)
            for link in schema.get("foreignKeys", []):
                column = link["fields"][0]
                known = _texts(link["reference"]["resource"], folder, stamp)
                row[column] = _resolve(row[column], known.values(), f"{where} {column}")
            rows[row_key] = row
    return rows


@lru_cache(maxsize=64)
def _frame(name: str, folder: Path | None, stamp: object) -> "pd.DataFrame":
    import pandas as pd

    fields, rows = _resource(name)["schema"]["fields"], _load(name, folder, stamp)
    series = {f["name"]: [row[f["name"]] for row in rows] for f in fields}
    kinds = {f["name"]: _dtype(series[f["name"]], f) for f in fields}
    return pd.DataFrame({name: pd.Series(v, dtype=kinds[name]) for name, v in series.items()})


def _read(path: Path, key: list[str], fields: dict[str, _Json]) -> dict[tuple[str, ...], _Row]:
    """Read a CSV file into {key: {column: text}}, or say what is wrong with it and where."""
    text = read_text("data", path, MOST_TABLE_BYTES)
    rows: dict[tuple[str, ...], _Row] = {}
    for row in sure_rows("data", text, str(path), key, fields, MOST_ROWS, True):
        row_key = tuple(row.cells[column] for column in key)
        if not all(row_key) or row_key in rows:
            valid = f"each row has its own {' and '.join(key)}"
            raise InputError(f"{path} line {row.line}", ",".join(row_key), valid)
        rows[row_key] = row.cells
    return rows


def _merged(shipped: _Row, own: _Row, name: str, path: Path) -> _Row:
    """Lay the user's cells over the shipped ones; fill in what the user need not say."""
    own = {column: text for column, text in own.items() if text}
    table = f"user table {path.name}"
    sources = "|".join(filter(None, (shipped.get("sources"), table)))
    seen = date.fromtimestamp(path.stat().st_mtime).isoformat()
    row = {"source_seen": seen, "confidence": "low"} | shipped | {"sources": sources} | own
    if name == "gpus":
        if "memory_reported_mib" in own:
            row["memory_basis"] = own.get("memory_basis", "reported")
        elif "memory_label_gb" in own and own["memory_label_gb"] != shipped.get("memory_label_gb"):
            row["memory_reported_mib"] = _label_mib(own["memory_label_gb"])
            row["memory_basis"] = "assumed"
    return row


def _label_mib(label_gb: str) -> str:
    try:
        return str(int(float(label_gb) * GB / MIB))
    except (ValueError, OverflowError):
        return label_gb  # not a number: the check of the label's own cell says so


# --- cells -------------------------------------------------------------------------------------


def _cells(row: _Row, fields: dict[str, _Json]) -> Cells:
    return {column: _cell(row.get(column, ""), field) for column, field in fields.items()}


def _cell(text: str, field: _Json) -> str | float | None:
    kind = field["type"]
    if not text:
        return None if kind in ("boolean", "integer", "number") else ""
    if kind == "boolean":
        return {"true": True, "false": False}[text.lower()]
    if kind == "date":
        return date.fromisoformat(text).isoformat()
    return int(text) if kind == "integer" else float(text) if kind == "number" else text


def _dtype(values: Sequence[object], field: _Json) -> str:
    whole = None not in values
    kinds = {
        "number": "float64",
        "integer": "int64" if whole else "float64",
        "boolean": "bool" if whole else "object",
    }
    return kinds.get(field["type"], "str")
