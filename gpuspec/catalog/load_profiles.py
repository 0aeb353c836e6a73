"""How the load of a service goes over the hours of a day."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator

from gpuspec.base.ask import Range
from gpuspec.base.errors import InputError
from gpuspec.catalog import find
from gpuspec.catalog.columns import Confidence, Named, column

HOURS = 24
_LOAD = Range(0, 1e12)


def hours_of_day(value: object) -> tuple[float, ...]:
    """Read 24 numbers as loads over the largest of them; their unit does not matter.

    Raises
    ------
    InputError
        When there are not 24 numbers from 0, one of them above it.

    >>> hours_of_day([1, 3] * 12)[:2]
    (0.3333333333333333, 1.0)
    """
    parts = value.split("|") if isinstance(value, str) else value
    if not isinstance(parts, Sequence) or len(parts) != HOURS:
        raise InputError("", value, f"give {HOURS} numbers, one for each hour of the day")
    loads = [_LOAD.read(part, False) for part in parts]
    if not max(loads):
        raise InputError("", value, "one of the hours must have a load above 0")
    return tuple(load / max(loads) for load in loads)


class LoadProfile(Named):
    """How a load goes over the day; columns as in ``data/load_profiles.csv``."""

    id: str = column("Identifier")
    name: str = column("As a reader calls it")
    day_loads: Annotated[tuple[float, ...], BeforeValidator(hours_of_day)] = column(
        "Load of each hour of the day over that of the busiest, separated by |"
    )
    confidence: Confidence = column("high: counted; medium: read off a picture; low: assumed")


def load_profile(name: str, data: str | Path | None = None) -> LoadProfile:
    """Find a profile by id, name or alias, such as ``"office"``.

    Raises
    ------
    UnknownNameError
        When no profile has that name; lists close matches.
    """
    return find("load-profiles", LoadProfile, name, data, "profile")
