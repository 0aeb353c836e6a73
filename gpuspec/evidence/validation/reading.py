"""How a person's table of measurements is read: columns, and what people write in them.

What a cell may say beside the documented words stands in ``aliases.csv``, in the order in which it
is tried: the kinds of measurement (``|`` between), a column, a pattern, the column that it sets
(``refused``: the row is left out), the value, and a note or the reason. Rows without a column
rename columns.
"""

import csv
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError, close_matches
from gpuspec.base.files import MOST_TABLE_BYTES, read_text
from gpuspec.base.rows import csv_rows
from gpuspec.catalog import gpu
from gpuspec.catalog.models import Model, models
from gpuspec.catalog.models.described import DIMENSIONS as DESCRIBED
from gpuspec.catalog.models.typical import typical_model
from gpuspec.evidence.measurements.rows import Row, known_model

LEAST_NUMBER, MOST_NUMBER = 1e-15, 1e18
"""Between which every measured number lies; beyond them its logarithm or square is none."""
REFUSED = "refused"
NOTES_IN_BRACKETS = re.compile(r" ?[(\[][^()\[\]]*[)\]]")
THOUSANDS = re.compile(r"[1-9]\d{0,2}(,\d{3})+(\.\d+)?")
UNKNOWN = re.compile(r"un(known|specified|stated)|not (stated|given|known)|see notes|\?+")
"""Cells that say that their source does not tell."""
UNSAID = re.compile(rf"({UNKNOWN.pattern}|n/?a|-+)")
"""Cells that say nothing."""
TRUTHS = {"y": "true", "yes": "true", "1": "true", "n": "false", "no": "false", "0": "false"}
DIMENSIONS = ("layers", "hidden", "vocab", "ffn", "heads", "kv_heads")
"""Columns that say which network was run where its name does not."""
PARAMETERS = ("params_b", "params_billion")
SAME_COUNT = 1.1
"""Parameters of a model made of its dimensions, over those that its row says, that agree."""
UNNAMED = "not named"
"""Publisher of rows that name neither publisher nor source."""
SIZE = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?) ?B(?!\w)", re.IGNORECASE)
"""Billions of parameters in the name of a model."""
EXPERTS = re.compile(r"\dx\d|a\d+(\.\d+)?b|moe|expert", re.IGNORECASE)
"""Names of mixtures of experts: their size alone says little of their speed."""
SAME_SIZE = 1.02
"""Parameters of two models, over each other, up to which they count as of one size."""
T = TypeVar("T")


def remembered(find: Callable[[str], T]) -> Callable[[str], T]:
    """Return a look-up that remembers what it found, and what it did not find."""

    @lru_cache(1024)
    def tried(name: str) -> T | InputError:
        try:
            return find(name)
        except InputError as error:
            return error

    def found(name: str) -> T:
        result = tried(name)
        if isinstance(result, InputError):
            raise result
        return result

    return found


known_gpu = remembered(gpu)


@dataclass(frozen=True)
class Columns:
    """Columns of a table of measurements: those it must have, and what the others hold."""

    kind: str
    """What was measured."""
    needed: tuple[str, ...]
    numbers: Mapping[str, bool]
    """Columns of numbers, and whether a row must have the number."""
    least: Mapping[str, int]
    """Smallest whole number; columns that are not here hold numbers above 0."""
    endless: tuple[str, ...] = ()
    """Columns that may say ``inf``."""
    from_zero: tuple[str, ...] = ()
    """Columns of numbers that may be 0 and need not be whole."""
    one_of: tuple[str, ...] = ()
    """Columns of which each row needs one."""
    blank_zero: tuple[str, ...] = ()
    """Columns in which 0 says nothing: tools print 0.00 where a rate has too few digits."""
    lowered: tuple[str, ...] = ()
    """Columns of texts in which capitals mean nothing."""
    truths: tuple[str, ...] = ()
    """Columns that say true or false."""
    deciding: Mapping[str, str] = field(default_factory=dict)
    """Columns in which `UNKNOWN` is no blank, since they decide the figure, and what to give."""
    assumed: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Columns in which `UNKNOWN` is taken as a word, and what a note then says."""
    ends: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Columns that `UNKNOWN` leaves open, and what they may say that gives the least and the most:
    such a row is held against both."""
    sized: bool = False
    """Whether an unknown model may stand for its size, where its name says one."""
    metrics: tuple[str, ...] = ()
    """What ``metric`` may say; a table may have a column for each instead."""
    names: Mapping[str, Callable[[str], object]] = field(default_factory=dict)
    """Columns of names, and how each is looked up."""


class Alias(NamedTuple):
    """What people write where a documented word is meant: a row of ``aliases.csv``."""

    said: re.Pattern[str]
    sets: str
    means: str
    note: str


class Table(NamedTuple):
    """Rows of a person's table, why each cannot be used, and how it was understood."""

    rows: pd.DataFrame
    reasons: "pd.Series[str]"
    """Empty where nothing speaks against the row."""
    notes: "pd.Series[str]"
    """What was assumed of the row, a line for each; empty where nothing was."""

    def part(self, chosen: "pd.Series[bool]") -> "Table":
        """Return some of the rows."""
        rows, reasons, notes = self.rows[chosen], self.reasons[chosen], self.notes[chosen]
        return Table(
            rows.reset_index(drop=True),
            reasons.reset_index(drop=True),
            notes.reset_index(drop=True),
        )


@cache
def aliases(kind: str) -> dict[str, list[Alias]]:
    """Return what is understood in each column of a kind; under "" what columns are called."""
    found: dict[str, list[Alias]] = {}
    with Path(__file__).with_name("aliases.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if kind in row["kinds"].split("|"):
                said = re.compile(row["said"], re.IGNORECASE)
                one = Alias(said, row["sets"], row["means"], row["note"])
                found.setdefault(row["column"], []).append(one)
    return found


def opened(path: str | Path, columns: Columns) -> Table:
    """Read a CSV file; return its rows, every cell a text, in the documented columns.

    A table with a column for each metric gets a row for each figure.

    Raises
    ------
    InputError
        When the file cannot be read or lacks a column; names it.
    """
    text = read_text("file", path, MOST_TABLE_BYTES)
    names, found = csv_rows("file", text, str(path))
    rows = pd.DataFrame([row.cells for row in found], columns=names, dtype=str)
    for pattern, column, _, _ in aliases(columns.kind).get("", []):
        called = [name for name in names if pattern.fullmatch(name)]
        if called and column not in rows:
            rows = rows.rename(columns={called[0]: column})
    wide = [name for name in columns.metrics if name in rows]
    needed = [*columns.needed, *(("metric", "value") if columns.metrics else ())]
    if wide and not {"metric", "value"} & set(rows):
        needed = list(columns.needed)
    missing = [name for name in needed if name not in rows]
    if columns.one_of and not set(columns.one_of) & set(rows):
        missing.append(" or ".join(columns.one_of))
    if missing:
        raise InputError("file", str(path), f"its first line lacks {', '.join(missing)}")
    rows = rows.drop(columns=["line"], errors="ignore")
    rows.insert(0, "line", np.array([row.line for row in found], int))
    reasons = pd.Series([row.problem for row in found], rows.index, dtype=object)
    for column, blank in (("case_id", "line " + rows["line"].astype(str)), ("source_id", "")):
        rows[column] = _said(rows, column, blank)
    rows["publisher"] = _said(rows, "publisher", _said(rows, "source_id", UNNAMED))
    if columns.metrics and "metric" not in rows:
        rows, reasons = _a_row_each(rows, reasons, wide)
    return Table(rows, reasons, pd.Series("", rows.index, dtype=object))


def _said(rows: pd.DataFrame, column: str, blank: "str | pd.Series[str]") -> "pd.Series[str]":
    """Return a column of texts, with what stands for a blank cell or a column that is missing."""
    said = rows[column] if column in rows else pd.Series("", rows.index)
    return said.where(said != "", blank)


def _a_row_each(
    rows: pd.DataFrame, reasons: "pd.Series[str]", metrics: list[str]
) -> "tuple[pd.DataFrame, pd.Series[str]]":
    """Give each figure of a row its own; a row without any keeps its place, with the reason."""
    none = (rows[metrics] == "").all(axis=1)
    reasons = reasons.mask(none & (reasons == ""), f"{' or '.join(metrics)} is needed")
    parts = [rows[none].assign(metric="", value="", why=reasons[none])]
    for metric in metrics:
        part = rows[rows[metric] != ""]
        name = part["case_id"] + (f" {metric}" if len(metrics) > 1 else "")
        value = part[metric].to_numpy()
        parts.append(part.assign(case_id=name, metric=metric, value=value, why=reasons[part.index]))
    long = pd.concat(parts).sort_values("line", kind="stable").reset_index(drop=True)
    return long.drop(columns="why"), long["why"]


def understood(table: Table, columns: Columns) -> Table:
    """Return opened rows in the documented words, with numbers as numbers."""
    rows, reasons, notes = table.rows.copy(), table.reasons.copy(), table.notes.copy()
    if "used" in rows:
        if "not_used_because" not in rows:
            rows["not_used_because"] = ""
        unused = rows["used"].str.lower().isin(("false", "n", "no", "0"))
        reasons = reasons.mask(
            unused & (reasons == ""), "used is false; " + rows["not_used_because"]
        )
    rules = aliases(columns.kind)
    for column, (word, why) in columns.assumed.items():
        if column in rows:
            open_ = rows[column].map(unknown).astype(bool)
            _note(notes, open_, f"{column} is taken as {word!r}: {why}")
            rows[column] = rows[column].mask(open_, word)
    written = {*rules, *columns.numbers, *columns.lowered, *columns.truths, *columns.names} - {""}
    for column in written.intersection(rows):
        said = rows[column].str.lower()
        kept = column in columns.deciding or column in columns.ends
        open_ = said.str.fullmatch(UNKNOWN) & kept
        rows[column] = rows[column].mask(said.str.fullmatch(UNSAID) & ~open_, "")
    for column in sorted(written):
        own = rules.get(column, [])
        if column not in rows:
            if not any(rule.said.search("") for rule in own):
                continue
            rows[column] = ""
        _translate(rows, reasons, notes, column, own, columns)
    if "model" in columns.names:
        _by_dimensions(rows, reasons, notes)
    if columns.sized:
        _by_size(rows, reasons, notes)
    if columns.metrics:
        _unknown(rows, reasons, "model", columns.names["model"])
    for column in columns.numbers:
        if column in rows:
            _numbers(rows, reasons, column, columns)
    given = [c for c in columns.one_of if c in rows]
    if given:
        none = rows[given].isna().all(axis=1) & (reasons == "")
        reasons[none] = f"{' or '.join(columns.one_of)} is needed, and the row has none"
    return Table(rows, reasons, notes)


def _translate(
    rows: pd.DataFrame,
    reasons: "pd.Series[str]",
    notes: "pd.Series[str]",
    column: str,
    rules: list[Alias],
    columns: Columns,
) -> None:
    """Write what a column means in place of what it says."""
    places, texts = pd.factorize(rows[column])
    now = np.array(texts, object)
    for place, text in enumerate(texts):
        means = _meaning(" ".join(text.split()), column, rules, columns)
        refused, note = means.pop(REFUSED, ""), means.pop("note", "")
        noted = means.pop("noted", column)
        now[place] = means.pop(column, text)
        if not (refused or note or means):
            continue
        own = places == place
        if refused:
            reasons[own & (reasons == "")] = str(InputError(column, text, refused))
        if note:
            said = f"{column} {text[:80]!r}" if noted == column else noted
            _note(notes, own, f"{said} is taken as {means.get(noted, now[place])!r}: {note}")
        for name, value in means.items():
            if name not in rows:
                rows[name] = ""
            rows.loc[own & (rows[name] == ""), name] = value
    rows[column] = now[places]


def _meaning(text: str, column: str, rules: list[Alias], columns: Columns) -> dict[str, str]:
    """Return what a cell sets: columns and their values, ``note``, ``refused``."""
    find = columns.names.get(column)
    means, now = {}, text
    for rule in rules:
        if rule.sets == column and now and find and _known(find, now):
            continue
        seen = rule.said.search(now if rule.sets in (column, REFUSED) else text)
        if not seen or rule.sets in means:
            continue
        if rule.sets == REFUSED:
            return {REFUSED: rule.note}
        value = seen.expand(rule.means)
        if rule.sets == column:
            now = value
        else:
            means[rule.sets] = value
        if rule.note:
            means |= {"note": rule.note, "noted": rule.sets}
    plain = NOTES_IN_BRACKETS.sub("", now).strip()
    free = column in columns.numbers or column in columns.lowered or find
    now = plain if free and plain and not (find and _known(find, now)) else now
    if column in columns.lowered or column in columns.truths:
        now = now.lower()
    if column in columns.truths:
        now = TRUTHS.get(now, now)
    return {column: now, **means}


def named_model(row: Row) -> Model:
    """Return the model of a row, by name or by the path of its config.json; a blank is refused."""
    if not row["model"]:
        raise InputError("model", "", "name the model, or give the path of its config.json")
    return known_model(row["model"])


def unknown(said: object) -> bool:
    """Return whether a cell says that its source does not tell."""
    return bool(UNKNOWN.fullmatch(str(said).lower()))


def need_said(row: Row, columns: Columns) -> None:
    """Raise where a row says that what decides its figure is not known."""
    for column, valid in columns.deciding.items():
        if unknown(row.get(column, "")):
            raise InputError(column, row[column], valid)


def _known(find: Callable[[str], object], name: str) -> bool:
    try:
        find(name)
    except InputError:
        return False
    return True


def _unknown(
    rows: pd.DataFrame, reasons: "pd.Series[str]", column: str, find: Callable[[str], object]
) -> None:
    """Note which rows name what nothing knows: no other cell of them matters."""
    for name in rows[column][reasons == ""].unique():
        try:
            find(name) if name else None
        except InputError as error:
            reasons[(rows[column] == name) & (reasons == "")] = str(error)


def _by_dimensions(rows: pd.DataFrame, reasons: "pd.Series[str]", notes: "pd.Series[str]") -> None:
    """Find the model that has the layers and the width of a row, where its name is not that one."""
    given = [name for name in DIMENSIONS if name in rows]
    if not {"layers", "hidden"} <= set(given):
        return
    sizes = pd.DataFrame({name: pd.to_numeric(rows[name], errors="coerce") for name in given})
    whole = (sizes["layers"] > 0) & (sizes["hidden"] > 0) & (reasons == "")
    keys = pd.concat([rows[["model"]], sizes], axis=1)[whole]
    for key, index in keys.groupby(["model", *given], dropna=False).groups.items():
        name, *numbers = key if isinstance(key, tuple) else (key,)
        size = dict(zip(given, map(float, numbers), strict=True))
        asked = f"{size['layers']:g} layers of width {size['hidden']:g}"
        shape = _shape(str(name))
        if shape == (size["layers"], size["hidden"]):
            continue
        like = _like(str(name), size)
        if like:
            rows.loc[index, "model"] = like
            told = f"model {str(name)[:80]!r} is taken as {like!r}: it has the {asked} of the row"
            _note(notes, rows.index.isin(index), told)
        elif not shape and (made := _made(size, rows.loc[index])):
            rows.loc[index, "model"] = made
            told = f"model {str(name)[:80]!r} is not in the table: made of the row's dimensions"
            _note(notes, rows.index.isin(index), told)
        elif shape:
            valid = f"the row says {asked}, and this model has {shape[0]} of {shape[1]}"
            reasons[index] = str(InputError("model", name, valid))


def _by_size(rows: pd.DataFrame, reasons: "pd.Series[str]", notes: "pd.Series[str]") -> None:
    """Take a typical dense model for a name that no table has and that says its size."""
    for name in rows["model"][reasons == ""].unique():
        sizes = set(SIZE.findall(name))
        if len(sizes) != 1 or EXPERTS.search(name) or _known(known_model, name):
            continue
        size = sizes.pop()
        own = (rows["model"] == name) & (reasons == "")
        said = _parameters(rows[own])
        try:
            like = typical_model(f"{size}B", dense=True)
        except InputError:
            continue
        if not all(1 / SAME_COUNT < count / float(size) < SAME_COUNT for count in said):
            continue
        rows.loc[own, "model"] = like
        told = f"model {name[:80]!r} is taken as {like!r}: a typical language model of its size"
        _note(notes, own, told)


def _note(notes: "pd.Series[str]", own: Any, told: str) -> None:
    """Add what was assumed to the notes of some rows."""
    notes[own] = notes[own].where(notes[own] == "", notes[own] + "\n") + told


def _shape(name: str) -> tuple[int, int] | None:
    try:
        found = known_model(name)
    except InputError:
        return None
    return found.layers, found.hidden


def _like(name: str, size: Mapping[str, float]) -> str:
    """Return the model of the table with these dimensions; blank where none or several have them.

    Of several, the one whose name is close, or any where all are of one size.
    """
    known = models()
    like = known[(known["layers"] == size["layers"]) & (known["hidden"] == size["hidden"])]
    for column in DIMENSIONS[2:]:
        narrower = like[like[column] == size.get(column)]
        like = narrower if len(narrower) else like
    sure = [not size.get("ffn", 0) > 0 or w != w or w == size["ffn"] for w in like["ffn"]]
    ids = [str(one) for one in like.index[sure]]
    close = close_matches(name, ids)
    params = [known_model(one).params for one in ids]
    same = bool(ids) and max(params) <= SAME_SIZE * min(params)
    return close[0] if close else ids[0] if same else ""


def _made(size: Mapping[str, float], rows: pd.DataFrame) -> str:
    """Return dimensions as the name of a dense model; blank where its rows say another size."""
    known = {name: value for name, value in size.items() if value > 0 and value == int(value)}
    name = ",".join(f"{key}={known[key]:.0f}" for key in DESCRIBED if key in known)
    try:
        params = known_model(name).params / 1e9
    except InputError:
        return ""
    agree = [1 / SAME_COUNT < count / params < SAME_COUNT for count in _parameters(rows)]
    return name if all(agree) else ""


def _parameters(rows: pd.DataFrame) -> list[float]:
    """Return the most billions of parameters that rows state in each column that says any."""
    said = [pd.to_numeric(rows[c], errors="coerce").max() for c in PARAMETERS if c in rows]
    return [count for count in said if count > 0]


def _numbers(rows: pd.DataFrame, reasons: "pd.Series[str]", column: str, columns: Columns) -> None:
    """Turn a column into numbers, and note which rows hold none."""
    text = rows[column]
    grouped = text.str.fullmatch(THOUSANDS)
    plain = text.where(~grouped, text.str.replace(",", ""))
    number: Any = pd.to_numeric(plain, errors="coerce").astype(float)
    if column in columns.blank_zero:
        text, number = text.mask(number == 0, ""), number.mask(number == 0)
    least = columns.least.get(column)
    if column in columns.from_zero:
        good, what = number >= 0, "a number of at least 0"
    elif least is None:
        good, what = number >= LEAST_NUMBER, "a number above 0"
    else:
        good, what = number >= least, f"a whole number of at least {least}"
        good &= number == np.floor(number)
    good &= number <= MOST_NUMBER
    if column in columns.endless:
        good |= text.str.lower() == "inf"
    bad = ~good & ((text != "") | columns.numbers[column]) & (reasons == "")
    what = f"{what}, at most {MOST_NUMBER:g}"
    told = [str(InputError(column, value, f"give {what}")) for value in text[bad]]
    reasons[bad] = np.array(told, object)
    rows[column] = number.where(good)
