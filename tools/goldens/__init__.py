"""What the tests keep of predictions, answers and notebooks, so that a change can be reviewed."""

import os

EPOCH = "1795478400"
"""Their day, 2026-11-24, in seconds since 1970: prices age, what is kept may not."""


def fix_day() -> None:
    """Let the run be of the day of what is kept, unless another day is asked for."""
    os.environ["SOURCE_DATE_EPOCH"] = os.environ.get("SOURCE_DATE_EPOCH") or EPOCH
