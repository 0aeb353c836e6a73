"""What is read from a tool's output: rows of one kind, what had to be assumed, what it says."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gpuspec.base.errors import InputError

Cells = dict[str, object]
"""A row in the columns that ``gpuspec validate`` reads; ``None`` and NaN are blank."""
Content = Sequence[Any] | str
"""What a file holds: the documents of a JSON or JSON lines file, or a text."""


SOME = ".{0,300}"
"""What lies between two parts of a line: bounded, or a long line takes the square of its length."""


@dataclass(frozen=True)
class Found:
    """What one file says."""

    tool: str
    """Whose output it is, in words."""
    kind: str = ""
    """What was measured, as ``validate`` calls it; empty where it says what ran only."""
    rows: tuple[Cells, ...] = ()
    says: Cells = field(default_factory=dict)
    """What it says of machine and settings, for rows of other files that leave it open."""
    assumed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reader:
    """How the output of a tool is known and read."""

    knows: Callable[[Content], bool]
    reads: Callable[[Any], Found]


def text_with(*patterns: str) -> Callable[[Content], bool]:
    """Return what knows a text by all of some patterns."""
    return lambda content: (
        isinstance(content, str) and all(re.search(p, content, re.MULTILINE) for p in patterns)
    )


def documents_with(*keys: str) -> Callable[[Content], bool]:
    """Return what knows JSON by keys that its first document has."""
    return lambda content: (
        not isinstance(content, str)
        and isinstance(content[0], Mapping)
        and all(key in content[0] for key in keys)
    )


def number(value: object, endless: bool = False) -> float:
    """Return a cell of a tool as a number above 0, or `endless`; NaN where it is none."""
    try:
        found = float(str(value).replace(",", ""))
    except ValueError:
        return np.nan
    return found if 0 < found < np.inf or (endless and found == np.inf) else np.nan


def at(document: Any, *keys: str) -> Any:
    """Return what lies under nested keys; None where nothing does."""
    for key in keys:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


def first(text: str, *patterns: str) -> str | None:
    """Return the first group of the first pattern that a text has."""
    for pattern in patterns:
        found = re.search(pattern, text, re.MULTILINE)
        if found:
            return _whole(found).strip()
    return None


def numbers(pattern: re.Pattern[str], text: str) -> list[float]:
    """Return the first group of each match as a number."""
    return [float(_whole(found)) for found in pattern.finditer(text)]


def _whole(found: re.Match[str]) -> str:
    """Return the first group of a match; a number that goes on after a comma is refused."""
    if re.match(r",\d", found.string[found.end(1) : found.end(1) + 2]):
        raise InputError("file", found[0], f"write numbers with a point: it has {found[1]},...")
    return found[1]


def settled(seconds: Iterable[float]) -> tuple[float, int]:
    """Return the median of the steps after the first tenth (two at least), and how many they are.

    Raises
    ------
    InputError
        Where fewer than three steps were logged: the first ones compile and warm up.
    """
    steps = [s for s in seconds if s > 0]
    kept = steps[max(len(steps) // 10, 2) :]
    if not kept:
        raise InputError("file", f"{len(steps)} steps", "a log needs three steps or more")
    return float(np.median(kept)), len(kept)
