"""Days: that of a run, and those that a person writes."""

import os
from datetime import UTC, date, datetime, timedelta

from gpuspec.base.documents import day_of
from gpuspec.base.errors import InputError

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def run_date() -> date:
    """Return the day of a run: that of `SOURCE_DATE_EPOCH` where it is set, else today."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if not epoch:
        return datetime.now().astimezone().date()
    try:
        return datetime.fromtimestamp(int(epoch), UTC).date()
    except (ValueError, OverflowError, OSError) as error:
        valid = "give seconds since 1970-01-01, or unset it"
        raise InputError("SOURCE_DATE_EPOCH", epoch, valid) from error


def coming_day(value: object) -> date:
    """Read a day to come: ``2026-12-18``, or a weekday (or its first three letters): the next.

    Raises
    ------
    InputError
        For what is no day, and for a day that is not after that of the run.
    """
    today = run_date()
    if isinstance(value, str):
        word = value.strip().lower()
        weekday = next((i for i, day in enumerate(WEEKDAYS) if word in (day, day[:3])), None)
        if weekday is not None:
            return today + timedelta((weekday - today.weekday() - 1) % 7 + 1)
        try:
            value = day_of("", word)
        except InputError as error:
            valid = f"{error.valid} or a weekday such as friday"
            raise InputError("", word, valid) from None
    if not isinstance(value, date):
        raise InputError("", value, "write a day such as 2026-11-24 or a weekday such as friday")
    if value <= today:
        raise InputError("", str(value), f"give a day after that of the run, {today}")
    return value
