"""What a column of a table is: the type, unit, range and meaning that a record's field declares.

The record of a table is the only declaration of its columns; ``tools/write_datapackage.py`` writes
the schema in ``data/datapackage.json`` from it.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model
from pydantic_core import CoreSchema, core_schema

from gpuspec.base.ask import Asked, Range
from gpuspec.base.errors import InputError, renamed

MOST_NUMBER = 10**15
"""The largest number of a table: no quantity of any of them comes near it."""


@dataclass(frozen=True)
class Figure(Range):
    """The range and the unit of a number of a table, which may be written as text."""

    least: float = 0
    most: float = MOST_NUMBER

    def read(self, value: Any, whole: bool) -> float:
        """Return the number, or say what is valid."""
        try:
            number = int(value) if whole and isinstance(value, str) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        broken = whole and isinstance(number, float) and not number.is_integer()
        if isinstance(value, bool) or broken or number != number:
            raise InputError("", value, f"write a plain {'integer' if whole else 'number'}")
        if not self.holds(number):
            open_ended = number < self.least and self.most == MOST_NUMBER
            start = "above" if self.above else "from"
            ends = f"{start} {self.least} to {self.most}"
            ends = f"at least {self.least}" if open_ended else ends
            raise InputError("", value, f"it must be {ends}")
        return int(number) if whole else number


@dataclass(frozen=True)
class Matching:
    """The pattern that the whole of a text has."""

    pattern: str

    def read(self, value: str) -> str:
        """Return the text, or say what is valid."""
        if not re.fullmatch(self.pattern, value):
            raise InputError("", value, f"it must match {self.pattern}")
        return value

    def __get_pydantic_core_schema__(
        self, source: object, handler: Callable[[object], CoreSchema]
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.read, handler(source))


def _split(value: object) -> object:
    return (
        tuple(filter(None, map(str.strip, value.split("|")))) if isinstance(value, str) else value
    )


def _flag(value: object) -> object:
    known = {"true": True, "false": False}
    if not isinstance(value, bool) and str(value).lower() not in known:
        raise InputError("", value, "write true or false")
    return known[str(value).lower()]


def _day(value: object) -> object:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise InputError("", value, "write a date such as 2026-11-23") from None


Flag = Annotated[bool, BeforeValidator(_flag)]
Day = Annotated[date, BeforeValidator(_day)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_split)]
Integers = Annotated[tuple[int, ...], BeforeValidator(_split)]
Confidence = Literal["high", "medium", "low"]
Count = Annotated[int, Figure()]
Positive = Annotated[int, Figure(1)]
Amount = Annotated[float, Figure()]
Share = Annotated[float, Figure(0, 1)]
Gigabytes = Annotated[float, Figure(unit="GB")]
GbS = Annotated[float, Figure(unit="GB/s")]


def column(
    meaning: str, default: object = ..., *, unique: bool = False, stated: bool = False
) -> Any:
    """Declare a column by what it means.

    Parameters
    ----------
    default : object, optional
        The value of a blank cell; without one every row must state the column.
    unique : bool
        Whether no two rows share a value.
    stated : bool
        Whether rows must state it, though a record made elsewhere may leave it out.
    """
    return Field(
        default,
        description=meaning,
        json_schema_extra={"unique": unique, "stated": stated},
    )


class Record(BaseModel):
    """A row of a table: where it comes from and what to know about it."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    sources: Texts = column(
        "Where the row comes from: addresses or named documents, separated by |", (), stated=True
    )
    source_seen: Day | None = column("Day on which the sources were last read", None, stated=True)
    notes: str = column(
        "What a reader must know: choices between sources, ranges, what was derived", ""
    )


class Named(Record):
    """A row with a name and others that people type."""

    id: str = column("Canonical id")
    name: str = column("Full name")
    aliases: Texts = column("Other names that people and drivers use, separated by |", ())


R = TypeVar("R", bound=Record)


def record_from(kind: type[R], row: Mapping[Any, object]) -> R:
    """Make a record of a table row; a blank or unknown cell has the field's default."""
    return kind(**{str(c): v for c, v in row.items() if v == v and v is not None and v != ""})


@cache
def columns_of(record: type[BaseModel]) -> dict[str, Asked]:
    """Return what a record declares of each column."""
    return {name: Asked(name, field) for name, field in record.model_fields.items()}


_KINDS: dict[str, Any] = {
    "string": str, "integer": int, "number": float, "boolean": Flag, "date": Day
}  # fmt: skip


def record_of(name: str, schema: Sequence[Mapping[str, Any]]) -> type[BaseModel]:
    """Return a record with the columns that a schema declares, for tables that have no other."""
    fields: dict[str, Any] = {}
    for field in schema:
        rules = field.get("constraints", {})
        kind = _KINDS[field["type"]]
        if kind in (int, float):
            ends = rules.get("minimum", -MOST_NUMBER), rules.get("maximum", MOST_NUMBER)
            kind = Annotated[kind, Figure(*ends)]
        elif "enum" in rules:
            kind = Literal[tuple(rules["enum"])]
        elif "pattern" in rules:
            kind = Annotated[kind, Matching(rules["pattern"])]
        blank = None if not rules.get("required") else ...
        fields[field["name"]] = (kind if rules.get("required") else kind | None, blank)
    return create_model(name, **fields)


def check_row(record: type[BaseModel], row: Mapping[str, str], where: str) -> None:
    """Say what is wrong with the first wrong cell of a row; `where` names the file and the row."""
    for name, field in columns_of(record).items():
        if field.stated and not row.get(name):
            raise InputError(f"{where} {name}", "", "a new row must state it")
    try:
        record.model_validate({c: text for c, text in row.items() if text})
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = " ".join([where, *map(str, problem["loc"][:1])])
        context = problem.get("ctx", {})
        cause = context.get("error")
        if isinstance(cause, InputError):
            raise renamed(cause, f"{place} {cause.field}".strip()) from None
        known = re.findall(r"'([^']*)'", context.get("expected", ""))
        valid = f"choose from {', '.join(known)}" if known else problem["msg"]
        raise InputError(place, problem["input"], valid) from None
