"""A question is a record: each field once, with its type, unit, range, default and help.

Everything that a person sees of a question is read off its record: the cell of parameters and the
table of the documentation here, the options of a command in `gpuspec.cli`, the controls of a panel
in `gpuspec.views.panel`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any, Literal, Self, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from gpuspec.base.errors import InputError, UnknownNameError, renamed

FIRST = ("scenario", "application", "model", "tenants", "claims", "gpus", "weights", "kv")
"""Fields with which a cell of parameters begins."""
BRANCHES = ("str", "int", "float")
"""What pydantic puts into the place of an error in a field that takes one of several types."""
NUMBER = re.compile(r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,3})?", re.ASCII)


@dataclass(frozen=True)
class Range:
    """The unit of a number and what lies within its range; part of the type of a field.

    A number may be written as text (``"2e12"``); True is none, nor are NaN and infinity, and
    ``2048.0`` is a whole number as good as ``2048``.
    """

    least: float
    most: float
    unit: str = ""
    above: bool = False
    """Whether `least` itself is out."""
    below: bool = False
    """Whether `most` itself is out."""

    def valid(self, whole: bool) -> str:
        """Say what is valid."""
        ends = [f"{end:,}" if 1e-4 < abs(end) < 1e9 else f"{end:g}" for end in self._ends(whole)]
        start = f"above {ends[0]}" if self.above else f"from {ends[0]}"
        end = f"to less than {ends[1]}" if self.below else f"to {ends[1]}"
        kind = "a whole number" if whole else "a number"
        return f"give {kind} {start} {end}" + (f" ({self.unit})" if self.unit else "")

    def _ends(self, whole: bool) -> tuple[float, float]:
        ends = (self.least, self.most)
        return (int(ends[0]), int(ends[1])) if whole or all(e == int(e) for e in ends) else ends

    def holds(self, value: Any) -> bool:
        """Return whether a number lies within."""
        start = value > self.least if self.above else value >= self.least
        return bool(start and (value < self.most if self.below else value <= self.most))

    def read(self, value: Any, whole: bool) -> float:
        """Return the number, or say what is valid."""
        number = value
        if isinstance(value, str) and NUMBER.fullmatch(value.strip()):
            number = float(value) if not value.strip().isdecimal() else int(value)
        good = isinstance(number, Real) and not isinstance(number, bool) and self.holds(number)
        if not good or (whole and number != int(number)):
            raise InputError("", value, self.valid(whole))
        return int(number) if whole else float(number)

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(
            lambda value: self.read(value, source is int), handler(source)
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, object]:
        low = "exclusiveMinimum" if self.above else "minimum"
        high = "exclusiveMaximum" if self.below else "maximum"
        found = {**handler(schema), low: self.least, high: self.most}
        return {**found, "unit": self.unit} if self.unit else found


class Was(tuple[str, ...]):
    """Names that a field had before: they are understood for one release, and not shown."""

    def __new__(cls, *names: str) -> Self:
        """Keep the names."""
        return super().__new__(cls, names)


class Names(str):
    """The table, or other list, whose names a field takes; part of its type."""


class Short(Was):
    """Earlier names that options of a command had, and no other door."""


class Blank:
    """A field that may be left blank; the record then fills it in, so that its value is none."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.nullable_schema(handler(source))


BLANK: Any = None
"""The default of such a field."""


def typed(text: str) -> Any:
    """Return a default as a person types it; it is read like what a person gives."""
    return text


class Asked:
    """What a record says about one of its fields."""

    def __init__(self, name: str, field: FieldInfo) -> None:
        self.name, self.help = name, field.description or ""
        self.default = field.get_default(call_default_factory=True)
        self.required = field.is_required()
        extra = field.json_schema_extra
        self.extra = extra if isinstance(extra, dict) else {}
        """What else the record says of it."""
        self.parts = list(_parts(field.annotation, field.metadata))
        """Its type taken apart: origins, arguments and annotations."""
        names = [(type(p), name) for p in self.parts if isinstance(p, Was) for name in p]
        self.was = tuple(name for kind, name in names if kind is Was)
        """Earlier names."""
        self.options = (name, *(name for _, name in names))
        """Names that a command understands, today's first."""
        self.blank = type(None) in self.parts or any(isinstance(p, Blank) for p in self.parts)
        """Whether the field may be left blank."""

    @property
    def shown(self) -> str:
        """The default as text; empty where it is blank or must be given."""
        blank = self.required or self.default is None
        return "" if blank else _written(self.default).strip('"')

    @property
    def range(self) -> Range | None:
        """Range of the number, or of each number of a list."""
        return next((p for p in self.parts if isinstance(p, Range)), None)

    @property
    def stated(self) -> bool:
        """Whether a row of a table must state it."""
        return self.required or bool(self.extra.get("stated"))

    @property
    def unit(self) -> str:
        """Unit of the number."""
        return self.range.unit if self.range else ""

    @property
    def choices(self) -> tuple[str, ...]:
        """Values of a field that takes one of a few."""
        literal = next((p for p in self.parts if get_origin(p) is Literal), None)
        return get_args(literal) if literal else ()

    @property
    def table(self) -> str:
        """The list whose names the field takes; empty for none."""
        return next((str(p) for p in self.parts if isinstance(p, Names)), "")

    @property
    def whole(self) -> bool:
        """Whether the number, or each of the list, is a whole one."""
        return int in self.parts

    @property
    def many(self) -> bool:
        """Whether the field is a list."""
        return any(get_origin(p) is tuple for p in self.parts)

    @property
    def kind(self) -> str:
        """Type in words."""
        if self.choices:
            each = ", ".join(f"`{c}`" for c in self.choices)
            return f"some of {each}" if self.many else each
        each = "text"
        for kind, word in ((bool, "true or false"), (float, "number"), (int, "whole number")):
            each = word if kind in self.parts else each
        return f"{each}s, commas between" if self.many else each

    @property
    def valid(self) -> str:
        """Range in words, without "give"."""
        if self.range is None:
            return ""
        words = self.range.valid(self.whole).removeprefix("give ").split(" (")[0]
        return words.removeprefix("a whole number ").removeprefix("a number ")


def _parts(annotation: object, metadata: Iterable[object] = ()) -> Iterable[Any]:
    """Walk through a type: its origins, arguments and annotations."""
    yield from metadata
    yield annotation
    if get_origin(annotation) is Literal:
        return
    for inner in (*get_args(annotation), *getattr(annotation, "__metadata__", ())):
        if inner is not Ellipsis:
            yield from _parts(inner)


class Ask(BaseModel):
    """What is asked: plain frozen data, hashable, given by name at every door.

    Blank is ``None``, and text that is empty; 0 is 0.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, defer_build=True)

    @classmethod
    def of(cls, names: Mapping[str, object]) -> Self:
        """Return the question that these names state; names that it does not know are left aside.

        Raises
        ------
        InputError
            Names the field, the value and what is valid.
        """
        given = {name: names[name] for name in known_names(cls) if name in names}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            found = said(error)
            blank = [f.name for f in asked(cls) if f.blank]
            if found.field in blank and type(found) is InputError:
                found = InputError(found.field, found.value, f"{found.valid}, or leave it blank")
            raise found from None

    @classmethod
    def ask(cls, **names: object) -> Self:
        """Return the question that these names state, each of which must be one of its own."""
        known = known_names(cls)
        for name in names:
            if name not in known:
                raise UnknownNameError(name, name, cls.model_fields)
        return cls.of(names)

    def but(self, **names: object) -> Self:
        """Return the same question with some fields asked otherwise."""
        stated = {n: v for n, v in self._fields().items() if n not in self.filled}
        return type(self).ask(**{**stated, **names})

    @property
    def filled(self) -> frozenset[str]:
        """Names of the fields that were left blank and that the record filled in."""
        return frozenset(self.__dict__.get("filled in", ()))

    def _fill(self, values: Mapping[str, object]) -> None:
        """Put values into the fields that were left blank."""
        self._put({n: v for n, v in values.items() if getattr(self, n) is None and v is not None})

    def _put(self, values: Mapping[str, object]) -> None:
        """Put values into fields as filled in: `but` asks for them anew."""
        self.__dict__.update(values, **{"filled in": frozenset(values) | self.filled})

    def model_copy(self, *, update: Mapping[str, object] | None = None, deep: bool = False) -> Self:
        """Return a copy, unchecked, that forgets what was looked up for the original."""
        build: Any = type(self).model_construct
        copied: Self = build(**{**self._fields(), **(update or {})})
        return copied

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash((type(self), *self._fields().values()))

    def _fields(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in type(self).model_fields}

    @model_validator(mode="before")
    @classmethod
    def _by_todays_names(cls, names: object) -> object:
        """Let earlier names stand for today's, and read empty text as blank."""
        if not isinstance(names, Mapping):
            return names
        found = dict(names)
        for field in asked(cls):
            for old in field.was:
                if old in found:
                    found[field.name] = found.pop(old)
            value = found.get(field.name)
            if isinstance(value, Path):
                found[field.name] = str(value)
            if isinstance(value, str) and not value.strip() and field.blank:
                found[field.name] = None
        return found


_KNOWN: dict[type[BaseModel], list[Asked]] = {}


def asked(*records: type[BaseModel]) -> list[Asked]:
    """Return the fields of records in their order, each name once."""
    for record in records:
        if record not in _KNOWN and record.__pydantic_fields_complete__:
            _KNOWN[record] = [Asked(name, f) for name, f in record.model_fields.items()]
    found: dict[str, Asked] = {}
    for record in records:
        for field in _KNOWN.get(record, []):
            found.setdefault(field.name, field)
    return list(found.values())


def known_names(record: type[BaseModel]) -> list[str]:
    """Return the names of a record's fields, earlier ones included."""
    return [name for field in asked(record) for name in (field.name, *field.was)]


def said(
    error: ValidationError, branches: Iterable[str] = BRANCHES, items: bool = False
) -> InputError:
    """Return the first problem that pydantic found as one sentence, with the path of its field.

    `branches` are the names of alternatives of a union, which are no part of the path; `items`
    says whether an item of a list is named, not the list.
    """
    problem: Any = error.errors(include_url=False)[0]
    path, places = "", list(problem["loc"])
    while not items and places and isinstance(places[-1], int):
        places.pop()  # of a list of names or numbers the list is named, and its value shown
    for place in places:
        if isinstance(place, int):
            path += f"[{place}]"
        elif place not in branches and "[" not in place:
            path += f".{place}" if path else place
    inner = (problem.get("ctx") or {}).get("error")
    if isinstance(inner, InputError):
        between = ": " if " " in inner.field else "."
        return renamed(inner, between.join(filter(None, (path, inner.field))))
    if problem["type"] == "missing":
        return InputError(path, None, "it must be given")
    if problem["type"] == "literal_error":
        known = re.findall(r"'([^']*)'", problem["ctx"]["expected"])
        return UnknownNameError(path, problem["input"], known)
    words = {"too_short": "give at least one", "string_type": "give a text"}
    words |= {"tuple_type": "give a list", "list_type": "give a list"}
    words |= dict.fromkeys(("bool_parsing", "bool_type"), "give true or false")
    words |= dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "give a mapping")
    if problem["type"] == "too_long":
        words["too_long"] = f"give at most {problem['ctx']['max_length']:,}"
    if problem["type"] == "string_too_long":
        words["string_too_long"] = f"give at most {problem['ctx']['max_length']:,} characters"
    if problem["type"] == "string_too_short":
        words["string_too_short"] = "give a text"
    message = str(problem["msg"]).replace("Input should be", "it must be")
    return InputError(path, problem["input"], words.get(problem["type"], message))


def parameters_cell(*records: type[BaseModel]) -> str:
    """Return the cell of a notebook that gives each field its default, help behind it."""
    fields = sorted(asked(*records), key=lambda f: [*FIRST, f.name].index(f.name))
    return "\n".join(f"{f.name} = {_written(f.default)}  # {_meaning(f)}" for f in fields)


def _written(value: object) -> str:
    value = "" if value == () else value
    if isinstance(value, float) and abs(value) >= 1e6:
        return f"{value:g}".replace("e+", "e")
    return f'"{value}"' if isinstance(value, str) and '"' not in value else repr(value)


def _meaning(field: Asked) -> str:
    return field.help + (f" [{field.unit}]" if field.unit else "")


def parameters_table(*records: type[BaseModel]) -> str:
    """Return the fields as a Markdown table: name, meaning, valid, default."""
    lines = ["| Name | Meaning | Valid | Default |", "|---|---|---|---|"]
    for f in asked(*records):
        default = "must be given" if f.required else f"`{f.shown}`" if f.shown else ""
        valid = ", ".join(filter(None, (f.kind, f.valid, f.unit)))
        lines.append(f"| `{f.name}` | {f.help} | {valid} | {default} |")
    return "\n".join(lines)
