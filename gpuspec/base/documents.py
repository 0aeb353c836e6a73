"""YAML and JSON that a person brings: read strictly, in bounds, every complaint with its line."""

import json
import math
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from gpuspec.base.errors import InputError
from gpuspec.base.files import (
    MOST_DEPTH,
    MOST_DIGITS,
    MOST_NODES,
    bounded,
    path_of,
    read_text,
    refusing,
)

_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"(?P<key>\s*:)?|[\[\]{}]|\n', re.DOTALL)
_NUMBER = re.compile(r"[-+]?(\.\d[\d_]*|\d[\d_]*(\.[\d_]*)?)([eE][-+]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"[-+]?\d[\d_]*", re.ASCII)
_OTHER_BASE = re.compile(r"[-+]?(0[\d_]+|0[xob][\da-fA-F_]+)", re.ASCII)
_SEXAGESIMAL = re.compile(r"[-+]?\d[\d_]*(:[0-5]?\d)+(\.\d*)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}", re.ASCII)
_WORDS = {"": None, "~": None, "null": None, "true": True, "yes": True, "on": True} | {
    "false": False, "no": False, "off": False
}  # fmt: skip


def read_document(field: str, given: str | Path, most_bytes: int) -> Any:
    """Return the content of a YAML file, or of a JSON file by its suffix; checked as `bounded`."""
    text, path = read_text(field, given, most_bytes), path_of(field, given)
    read = from_json if path.suffix.lower() == ".json" else from_yaml
    return bounded(field, read(field, text, str(path)))


def from_json(
    field: str, text: str, shown: str, finite: bool = True, most: int = 5 * MOST_NODES
) -> Any:
    """Return the content of a JSON text whose keys differ; `shown` is how to call the text.

    With ``finite=False``, NaN and Infinity pass: some tools write them where nobody reads. `most`
    bounds how many values it holds.
    """
    if sum(map(text.count, ",[{")) > most:
        raise InputError(field, shown, "it holds more values than any such file needs")

    def constant(name: str) -> float:
        if finite:
            raise InputError(field, shown, f"it holds {name}, which is no number of JSON's")
        return float(name.replace("Infinity", "inf"))

    def whole(digits: str) -> int:
        if len(digits) > MOST_DIGITS:
            valid = f"it holds a whole number of {len(digits):,} digits; {MOST_DIGITS} are enough"
            raise InputError(field, shown, valid)
        return int(digits)

    repeated = False

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeated
        made = dict(pairs)
        repeated = repeated or len(made) < len(pairs)
        return made

    with refusing(field, shown, "it must be a readable JSON file"):
        found = json.loads(
            text, parse_constant=constant, parse_int=whole, object_pairs_hook=mapping
        )
        if repeated or _depth(found) > MOST_DEPTH:
            _check_json(field, text, shown)
    return found


def _depth(content: object) -> int:
    """Return how many lists and mappings of a JSON text lie in one another."""
    depth, level = 0, [content]
    while level := [part for part in level if isinstance(part, dict | list)]:
        depth += 1
        level = [
            inner for part in level for inner in (part.values() if isinstance(part, dict) else part)
        ]
    return depth


def _check_json(field: str, text: str, shown: str) -> None:
    """Refuse repeated keys and deep nesting in a valid JSON text; says in which line."""
    open_: list[set[str]] = []
    line = 1
    for token in _JSON_TOKEN.finditer(text):
        first = token[0][0]
        if first in "[{":
            open_.append(set())
        elif first in "]}":
            open_.pop()
        elif token["key"] is not None:
            key = json.loads(token[0][: token.start("key") - token.start()])
            if key in open_[-1]:
                raise InputError(field, shown, f"line {line} repeats the key {key[:80]!r}")
            open_[-1].add(key)
        line += token[0].count("\n")
        if len(open_) > MOST_DEPTH:
            raise InputError(field, shown, f"line {line} is nested too deeply ({MOST_DEPTH})")


def from_yaml(field: str, text: str, shown: str) -> Any:
    """Return the content of a YAML text: mappings, lists, texts, numbers, dates, true, false, null.

    Read from its events, so that nothing is made that is not counted, and every complaint has its
    line. Tags, other bases than ten and repeated keys are refused; ``<<`` is a key like any other.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _built(yaml.parse(text, loader), field, shown)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" in line {mark.line + 1}" if mark else ""
        raise InputError(field, shown, f"it is no YAML{where}: {error.problem}") from None
    except (yaml.YAMLError, RecursionError, MemoryError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(field, shown, f"it is no YAML: {str(error)[:200]}") from None


def _built(events: Iterator[Any], field: str, shown: str) -> Any:
    import yaml

    top: list[object] = []
    places: list[_Place] = [_Place(top)]
    anchors: dict[str, object] = {}
    for count, event in enumerate(events):
        line = event.start_mark.line + 1
        if count > MOST_NODES or len(places) > MOST_DEPTH:
            valid = f"give at most {MOST_NODES:,} values, nested at most {MOST_DEPTH} deep"
            raise InputError(field, shown, f"line {line}: {valid}")
        if isinstance(event, yaml.DocumentStartEvent) and top:
            raise InputError(field, shown, f"line {line} begins a second document; give one")
        if isinstance(event, yaml.CollectionEndEvent):
            places.pop()
            continue
        if not isinstance(event, yaml.NodeEvent):
            continue
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:
                raise InputError(field, shown, f"line {line}: no such anchor *{event.anchor}")
            value = anchors[event.anchor]
        elif event.tag not in (None, "!"):
            raise InputError(field, shown, f"line {line}: leave out the tag {event.tag}")
        elif isinstance(event, yaml.ScalarEvent):
            value = event.value
            if event.implicit[0]:
                value = scalar(field, shown, value, f"line {line}: ")
        else:
            value = {} if isinstance(event, yaml.MappingStartEvent) else []
        problem = places[-1].put(value)
        if problem:
            raise InputError(field, shown, f"line {line} {problem}")
        if isinstance(event, yaml.CollectionStartEvent):
            places.append(_Place(value))
        if event.anchor and not isinstance(event, yaml.AliasEvent):
            anchors[event.anchor] = value
    return top[0] if top else None


class _Place:
    """A mapping or list that is being filled."""

    def __init__(self, into: Any) -> None:
        self.into, self.key, self.waits = into, "", False

    def put(self, value: object) -> str:
        """Add the next value, or hold it as a key; return what is wrong with it."""
        if isinstance(self.into, list):
            self.into.append(value)
        elif self.waits:
            self.into[self.key], self.waits = value, False
        elif not isinstance(value, str):
            return "has a key that is no text; put it in quotes"
        elif value in self.into:
            return f"repeats the key {value[:80]!r}"
        else:
            self.key, self.waits = value, True
        return ""


def scalar(field: str, shown: object, text: str, place: str = "") -> Any:
    """Return what a plain word of YAML means: null, true, a number, a date, else the text itself.

    >>> scalar("x", "", "2e11"), scalar("x", "", "H100 PCIe")
    (200000000000.0, 'H100 PCIe')
    """
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if not (text[0].isdigit() or text[0] in "+-."):
        return text
    if _OTHER_BASE.fullmatch(text) or _SEXAGESIMAL.fullmatch(text):
        valid = f"{place}write {text[:40]} as a plain decimal number, or in quotes if it is a text"
        raise InputError(field, shown, valid)
    if _WHOLE.fullmatch(text):
        if len(text) > MOST_DIGITS:
            valid = f"{place}a whole number has at most {MOST_DIGITS} digits"
            raise InputError(field, shown, valid)
        return int(text)
    if _NUMBER.fullmatch(text) or text.lower().lstrip("+-") in (".inf", ".nan"):
        value = float(text.replace("_", "")) if _NUMBER.fullmatch(text) else math.inf
        if not math.isfinite(value):
            raise InputError(field, shown, f"{place}{text[:40]} is no finite number")
        return value
    return day_of(field, text, shown, place) if _DATE.fullmatch(text) else text


def day_of(field: str, text: object, shown: object = None, place: str = "") -> date:
    """Return the day that a text such as ``2026-11-24`` means."""
    shown = text if shown is None else shown
    if not isinstance(text, str) or not _DATE.fullmatch(text):
        raise InputError(field, shown, f"{place}write a day such as 2026-11-24")
    try:
        return date(*map(int, text.split("-")))
    except ValueError:
        raise InputError(field, shown, f"{place}{text} is no day of the calendar") from None
