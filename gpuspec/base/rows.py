"""CSV that a person brings: a header and rows, each with its line and what is wrong with it."""

import csv
import io
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.base.files import check_text

MOST_ROWS = 20_000
MOST_COLUMNS = 500
MOST_CELL = 10_000
"""Characters of a cell."""


FORMULA = ("=", "+", "-", "@", "\t", "\r", "|", "%")
"""What a cell begins with that a spreadsheet would run."""


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[Any, object]]) -> str:
    """Return a table as CSV for a spreadsheet: a text that would be run there begins with '.

    >>> print(csv_text(["name", "usd"], [{"name": "=1+1", "usd": -2.5}]))
    name,usd
    '=1+1,-2.5
    <BLANKLINE>
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_safe(row[name]) for name in columns] for row in rows)
    return text.getvalue()


def _safe(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def plain_cell(cell: str) -> str:
    """Return a cell without what `csv_text` put before it.

    >>> plain_cell("'=1+1"), plain_cell("'t is"), plain_cell("H100")
    ('=1+1', "'t is", 'H100')
    """
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell


@dataclass(frozen=True)
class Row:
    """A row of a table: its line in the file, its cells by column, and what is wrong with it."""

    line: int
    cells: dict[str, str]
    problem: str = ""


def csv_rows(
    field: str,
    text: str,
    shown: str,
    needed: Sequence[str] = (),
    known: Collection[str] = (),
    most: int = MOST_ROWS,
    exact: bool = False,
) -> tuple[list[str], list[Row]]:
    """Return the columns and the rows of a CSV text.

    Parameters
    ----------
    field, shown : str
        What to call the input and its value in a message.
    needed, known : collections of str
        Columns that the first line must name, and those that it may name (any where empty).
    most : int
        Rows at most.
    exact : bool
        Whether a row must have a cell for each column; else those that it lacks are blank.

    Raises
    ------
    InputError, UnknownNameError
        When the header or the number of rows cannot be used. A bad row raises nothing: it has
        its `Row.problem`.
    """
    columns: list[str] = []
    found: list[Row] = []
    # The limit of the csv module is the process's, which other packages move: `_row` has its own.
    before = csv.field_size_limit(len(text))
    try:
        for line, cells, problem in _lines(text):
            if not columns:
                _check_header(field, cells, shown, needed, known, problem)
                columns = cells
                continue
            if len(cells) > len(columns) or (exact and len(cells) < len(columns)):
                problem = problem or f"a row has {len(columns)} cells, this one {len(cells)}"
            found.append(_row(line, cells, columns, problem))
            if len(found) > most:
                raise InputError(field, shown, f"give at most {most:,} rows")
    finally:
        csv.field_size_limit(before)
    if not columns:
        raise InputError(field, shown, "its first line names columns, then come rows")
    return columns, found


def _lines(text: str) -> Iterator[tuple[int, list[str], str]]:
    """Yield each row that is not blank: its line, its cells, and why it cannot be read."""
    reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
    while True:
        line, cells, problem = reader.line_num + 1, [""], ""
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            problem = f"the row cannot be read: {error}"
        if problem or any(cells):
            yield line, cells, problem


def sure_rows(
    field: str,
    text: str,
    shown: str,
    needed: Sequence[str],
    known: Collection[str],
    most: int,
    exact: bool = False,
) -> list[Row]:
    """Return the rows of `csv_rows` where one that cannot be read spoils the table.

    Raises
    ------
    InputError, UnknownNameError
        Name the line or the column, and what is valid.
    """
    rows = csv_rows(field, text, shown, needed, known, most, exact)[1]
    for row in rows:
        if row.problem:
            raise InputError(f"{shown} line {row.line}", ",".join(row.cells.values()), row.problem)
    return rows


def _check_header(
    field: str,
    cells: list[str],
    shown: str,
    needed: Sequence[str],
    known: Collection[str],
    problem: str,
) -> None:
    if problem:
        raise InputError(field, shown, problem)
    if len(cells) == 1 and any(mark in cells[0] for mark in ";\t"):
        raise InputError(field, shown, "save it with commas between the columns")
    for column in cells:
        if known and column not in known:
            raise UnknownNameError(f"{shown} column", column, known)
    missing = [column for column in needed if column not in cells]
    if missing:
        raise InputError(field, shown, f"its first line lacks {', '.join(missing)}")
    if len(set(cells)) < len(cells) or not all(cells) or len(cells) > MOST_COLUMNS:
        valid = f"its first line must name each column once, {MOST_COLUMNS} at most"
        raise InputError(field, shown, valid)


def _row(line: int, cells: list[str], columns: list[str], problem: str) -> Row:
    row = dict(zip(columns, cells + [""] * len(columns), strict=False))
    whole = "".join(cells)
    if len(whole) > MOST_CELL or not whole.isprintable():
        problem = problem or next(filter(None, map(_cell_problem, row, row.values())), "")
    return Row(line, row, problem)


def _cell_problem(column: str, cell: str) -> str:
    if len(cell) > MOST_CELL:
        return f"{column} has {len(cell):,} characters; give at most {MOST_CELL:,}"
    try:
        check_text(column, cell)
    except InputError as error:
        return str(error)
    return ""
