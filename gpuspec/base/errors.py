"""What gpuspec says when an input cannot be used."""

from collections.abc import Iterable
from datetime import date
from numbers import Number
from pathlib import Path
from typing import Any

MOST_SHOWN = 580
"""Characters of a message; every part of it that a person typed may be as long as a file."""


class InputError(ValueError):
    """An input that cannot be used; the message names the field, the value and what is valid."""

    def __init__(self, field: str, value: object, valid: str) -> None:
        self.field, self.value, self.valid = field, value, valid
        said = f"{_line(field, 200)}: {brief(value)} is not valid; "
        super().__init__(said + _line(valid, MOST_SHOWN - len(said), whole_start=True))

    def __reduce__(self) -> tuple[object, ...]:
        """Let the error pass from one process to another."""
        return InputError, (self.field, self.value, self.valid)


class UnknownNameError(InputError):
    """A name that no table holds; ``close`` lists what the person may have meant."""

    def __init__(self, field: str, value: object, known: Iterable[str]) -> None:
        names = list(known)
        self.close = close_matches(value, names) if isinstance(value, str) else []
        meant = f"did you mean {_listed(self.close)}?" if self.close else f"known: {_listed(names)}"
        super().__init__(field, value, meant)


def renamed(error: InputError, field: str) -> InputError:
    """Return the same error of a field called `field`."""
    found = type(error).__new__(type(error))
    found.__dict__.update(error.__dict__)
    InputError.__init__(found, field, error.value, error.valid)
    return found


def close_matches(name: str, known: Iterable[str]) -> list[str]:
    """Return the three known names most like `name`, best first; empty when none is close."""
    from rapidfuzz import fuzz, process  # loaded where a name is unknown

    how: Any = {"scorer": fuzz.WRatio, "processor": str.lower, "score_cutoff": 60}
    return [match for match, _, _ in process.extract(name[:200], list(known), limit=3, **how)]


def brief(value: object) -> str:
    """Write any value on one line of at most 80 characters, without walking through it.

    >>> brief("A100"), brief([[1, 2], [3]]), brief(10**400)
    ("'A100'", 'a list of 2', 'a number of 1,329 bits')
    """
    if isinstance(value, str | Path):
        text = str(value)
        shown = repr(text[:80])
        return shown if len(text) <= 80 and len(shown) <= 80 else f"{shown[:76]}...{shown[0]}"
    if isinstance(value, int) and value.bit_length() > 200:
        return f"a number of {value.bit_length():,} bits"
    if isinstance(value, Number | None):
        return repr(value)[:80]
    if isinstance(value, dict | list | tuple | set):
        return f"a {type(value).__name__} of {len(value):,}"
    return value.isoformat() if isinstance(value, date) else f"a {type(value).__name__}"


def _line(text: str, most: int, whole_start: bool = False) -> str:
    """Return a text on one line; too long, it loses its middle, or its end."""
    if len(text) > most:
        start = most - 3 if whole_start else most // 3
        text = text[:start] + "..." + text[start + 3 + len(text) - most :]
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text)


def _listed(names: list[str], limit: int = 12) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
