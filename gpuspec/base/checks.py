"""Checks of numbers that a person typed."""

import math
import re

from gpuspec.base.errors import InputError


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
