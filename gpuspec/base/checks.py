"""Checks of numbers that a person typed."""

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuspec.base.errors import InputError

MOST_LISTED = 1000


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number; True and False are none."""
    good = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return good and bool(np.isfinite(value))


def whole_numbers(
    field: str, values: str | int | Sequence[int], least: int, most: int, example: str
) -> list[int]:
    """Read whole numbers, separated by commas where they are text, in the order given.

    Raises
    ------
    InputError
        When one of them is no whole number from `least` to `most`.
    """
    asked: Any = values.split(",") if isinstance(values, str) else np.atleast_1d(values)
    if len(asked) > MOST_LISTED:
        raise InputError(field, values, f"give at most {MOST_LISTED:,} numbers")
    counts = []
    for text in asked:
        try:
            count = int(str(text).strip())
        except ValueError:
            raise InputError(field, values, f"give whole numbers, such as {example}") from None
        if not least <= count <= most:
            raise InputError(field, count, f"give numbers from {least:,} to {most:,}")
        counts.append(count)
    return counts


def number_of(
    field: str, text: str, least: float, most: float, whole: bool = False, above: bool = False
) -> float:
    """Read a number that a person wrote: plain decimal digits, from `least` to `most`.

    With `above`, `least` itself is not valid; with `whole`, an int is returned.

    Raises
    ------
    InputError
        When the text is no such number.
    """
    pattern = r"[-+]?\d{1,40}" if whole else r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?"
    value = float(text) if re.fullmatch(pattern, text.strip(), re.ASCII) else math.nan
    if not least <= value <= most or (above and value == least):
        kind = "a whole number" if whole else "a number"
        ends = f"above {least:,g}, at most" if above else f"from {least:,g} to"
        raise InputError(field, text, f"give {kind} {ends} {most:,.15g}")
    return int(text) if whole else value
