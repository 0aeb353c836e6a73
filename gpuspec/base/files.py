"""The one door for files that a person brings or asks for: names, texts, bounds; written whole.

Everything that goes wrong here is an `InputError` that names the field, the value and what is
valid, and nothing here runs, fetches or unpacks anything.
"""

import math
import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from gpuspec.base.errors import InputError
from gpuspec.base.paths import DATA, NOTEBOOKS
from gpuspec.base.units import MIB

T = TypeVar("T")

MOST_CONFIG_BYTES = 16 * MIB
MOST_SCENARIO_BYTES = 2 * MIB
MOST_TABLE_BYTES = 64 * MIB
MOST_DEPTH = 64
MOST_NODES = 200_000
CONFINED = "GPUSPEC_FILES"
"""Variable that names the one folder of which files are read; unset, any that is named."""
MOST_DIGITS = 40
"""Of a whole number: more is a mistake, and thousands take seconds to read."""
_OTHER_FORMS = {
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"\x1f\x8b": "compressed",
    b"PK": "compressed",
    b"BZh": "compressed",
    b"\xfd7zXZ": "compressed",
    b"\x28\xb5\x2f\xfd": "compressed",
}


@contextmanager
def refusing(field: str, value: object, valid: str) -> Iterator[None]:
    """Turn whatever goes wrong while something is read into an `InputError`."""
    try:
        yield
    except InputError:
        raise
    except RecursionError:
        raise InputError(field, value, f"{valid}: it is nested too deeply") from None
    except (ValueError, OverflowError, OSError) as error:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InputError(field, value, f"{valid}: {' '.join(said.split())[:200]}") from None


def path_of(field: str, given: str | Path) -> Path:
    """Return the path that a person means, ``~`` expanded; it need not exist.

    Raises
    ------
    InputError
        When no file can be called so: no text, a URL, a name too long, an unknown home folder.
    """
    text = str(given)
    if not text.strip():
        raise InputError(field, text, "give the name of a file")
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text):
        raise InputError(field, text, "give a file of this machine, no address")
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in text):
        raise InputError(field, text, "a file's name has no control characters and is UTF-8")
    with refusing(field, text, "give a file by its name"):
        try:
            path = Path(text).expanduser()
        except RuntimeError:
            raise InputError(field, text, "there is no such home folder") from None
        if len(bytes(path)) > 4000 or any(len(os.fsencode(part)) > 255 for part in path.parts):
            raise InputError(field, text, "the name is too long: 255 bytes a folder or file")
    return path


def within_reach(path: Path) -> bool:
    """Return whether a file may be read: where `CONFINED` is set, one of that folder, or shipped.

    Whoever may not read a file is not told whether it is there.
    """
    only = os.environ.get(CONFINED)
    if not only:
        return True
    real = Path(os.path.realpath(path))  # a circle of links stays one; Path.resolve fails
    return any(real.is_relative_to(place.resolve()) for place in (Path(only), DATA, NOTEBOOKS))


def read_text(field: str, given: str | Path, most_bytes: int) -> str:
    """Return the text of a regular file in UTF-8, with or without a byte order mark."""
    path = path_of(field, given)
    with refusing(field, str(path), "it cannot be read"):
        try:
            if not within_reach(path):
                raise FileNotFoundError
            kind = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            raise InputError(field, str(path), "there is no such file") from None
        if stat.S_ISDIR(kind):
            raise InputError(field, str(path), "that is a folder; give a file in it")
        if not stat.S_ISREG(kind):
            raise InputError(field, str(path), "it must be a file, not a device or a pipe")
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise InputError(field, str(path), f"it must be at most {most_bytes:,} bytes")
    for start, form in _OTHER_FORMS.items():
        if content.startswith(start):
            valid = f"it is {form}; save it as plain text in UTF-8"
            raise InputError(field, str(path), valid)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(field, str(path), f"line {line} is not in UTF-8; save it so") from None


def bounded(field: str, content: T) -> T:
    """Return nested dicts and lists as they are, when they are small, finite and printable.

    An alias counts as often as it stands for its content.

    Raises
    ------
    InputError
        When there are more than `MOST_NODES` values or they are nested deeper than `MOST_DEPTH`,
        when a number is not finite or too long, or a text has control characters; names the key.
    """
    waiting: list[tuple[object, str, int]] = [(content, "", 1)]
    seen = 0
    while waiting:
        value, place, depth = waiting.pop()
        where = place or field
        seen += 1
        if seen + len(waiting) > MOST_NODES or depth > MOST_DEPTH:
            valid = f"give at most {MOST_NODES:,} values, nested at most {MOST_DEPTH} deep"
            raise InputError(field, content, valid)
        if isinstance(value, dict):
            if len(value) > MOST_NODES:
                raise InputError(where, value, f"give at most {MOST_NODES:,} values")
            for key, inner in value.items():
                if not isinstance(key, str):
                    raise InputError(where, key, "a key must be a text; put it in quotes")
                waiting.append((inner, f"{place}.{key}" if place else key, depth + 1))
                check_text(f"{field} key", key, lines=False)
        elif isinstance(value, list | tuple):
            if len(value) > MOST_NODES:
                raise InputError(where, value, f"give at most {MOST_NODES:,} values")
            waiting += [(inner, f"{place}[{i}]", depth + 1) for i, inner in enumerate(value)]
        elif isinstance(value, str):
            check_text(where, value)
        elif isinstance(value, float) and not math.isfinite(value):
            raise InputError(where, value, "it must be a finite number")
        elif isinstance(value, int) and value.bit_length() > 3.3 * MOST_DIGITS:
            raise InputError(where, value, f"a whole number has at most {MOST_DIGITS} digits")
    return content


def check_text(field: str, text: str, lines: bool = True) -> str:
    """Return a text without control characters or halves of characters as it is.

    Line breaks and tabs pass where `lines` says so; a name has none.
    """
    allowed = "\n\r\t" if lines else ""
    if not text.isprintable():
        for c in text:
            if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") and c not in allowed:
                valid = f"it holds the control character U+{ord(c):04X}; leave that out"
                raise InputError(field, text, valid)
    return text


def check_writable(field: str, path: Path) -> None:
    """Refuse a file that could not be written, before the work is done.

    Raises
    ------
    InputError
        When it is a folder, lies under a file, or in a folder where nothing may be written.
    """
    with refusing(field, str(path), "it cannot be written"):
        if path.is_dir():
            raise InputError(field, str(path), "it is a folder; name a file in it")
        if path.exists() and not path.is_file():
            raise InputError(field, str(path), "it must be a file, not a device or a pipe")
        folder = path.parent
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        if not folder.is_dir():
            raise InputError(field, str(path), f"{folder} is a file, not a folder")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise InputError(field, str(path), f"the folder {folder} is not writable")


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path` in one step: readers see the old file or the new one whole.

    Raises
    ------
    InputError
        When it cannot be written; names the file.
    """
    part = path.with_name(f".{uuid4()}.part")  # other machines may share the folder
    with refusing("output", str(path), "it cannot be written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(content)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
