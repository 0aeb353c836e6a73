"""A table of text in aligned columns, as a terminal shows it."""

import unicodedata
from collections.abc import Sequence
from itertools import zip_longest

_WIDE = ("W", "F")
_NONE = ("Mn", "Me", "Cf")
_SIDES = {"left": "<", "right": ">", "center": "^"}


def columns_of(text: str) -> int:
    """Return how many columns of a terminal a text takes.

    >>> columns_of("GPU"), columns_of("显卡")
    (3, 4)
    """
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(c) in _WIDE for c in text)
    return len(text) + wide - sum(unicodedata.category(c) in _NONE for c in text)


def aligned(
    headers: Sequence[str], rows: Sequence[Sequence[str]], sides: Sequence[str] | None = None
) -> str:
    """Return a table as lines of text; a cell of several lines takes as many.

    Parameters
    ----------
    sides : sequence of {"left", "right", "center"}, optional
        Of each column; left unless given.

    >>> print(aligned(["GPU", "GB"], [["H200", "141"], ["A100", "80"]], ["left", "right"]))
    GPU      GB
    -----  ----
    H200    141
    A100     80
    """
    sides = sides or ["left"] * len(headers)
    lines = [line for row in rows for line in _lines(row)]
    widths = [
        max([columns_of(head) + 2, *(columns_of(line[i]) for line in lines)])
        for i, head in enumerate(headers)
    ]
    rule = ["-" * width for width in widths]
    return "\n".join(_joined(line, widths, sides) for line in (headers, rule, *lines))


def _lines(row: Sequence[str]) -> list[tuple[str, ...]]:
    parts = [[part.strip() for part in cell.splitlines()] or [""] for cell in row]
    return list(zip_longest(*parts, fillvalue=""))


def _joined(line: Sequence[str], widths: Sequence[int], sides: Sequence[str]) -> str:
    padded = (
        f"{text:{_SIDES[side]}{width - columns_of(text) + len(text)}}"
        for text, width, side in zip(line, widths, sides, strict=True)
    )
    return "  ".join(padded).rstrip()
