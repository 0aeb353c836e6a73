"""Scenarios of where prices go: an assumption that a person chooses, never an extrapolation."""

import math

from gpuspec.base.errors import InputError

DRIFTS = {"down": -0.25, "flat": 0.0, "up": 0.25}
"""Change of rents in a year. Scenarios, no forecasts: rents fell until October 2025 and have
risen since; hardware price-performance in the long run would be about -28 % (Epoch AI)."""


def drift_year(drift: object) -> float:
    """Return the change in a year that a scenario, or a number of one's own, stands for.

    Raises
    ------
    InputError
        For another word, or a number that is not above -1 and at most 3.

    >>> drift_year("up"), drift_year("-0.1")
    (0.25, -0.1)
    """
    if isinstance(drift, str) and drift.strip() in DRIFTS:
        return DRIFTS[drift.strip()]
    valid = f"choose from {', '.join(DRIFTS)}, or give a change per year such as -0.25"
    try:
        rate = float(str(drift))
    except ValueError:
        rate = math.nan
    if not -1 < rate <= 3:
        raise InputError("drift", drift, valid)
    return rate
