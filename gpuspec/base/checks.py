"""Checks of numbers that a person typed."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuspec.base.errors import InputError


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
