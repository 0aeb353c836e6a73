"""Compare lines of text whose numbers may differ in the last digit between machines."""

import difflib
import math
import re

NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")
TOLERANCE = 1.1e-3
"""One in the last of four digits; texts round coarser than that and must then agree."""
MOST_LINES = 60


def differences(name, stored, now):
    """Return how two texts differ, as lines to read; empty where they say the same."""
    before, after = stored.splitlines(), now.splitlines()
    same = len(before) == len(after)
    if same and all(map(alike, before, after)):
        return ""
    if same:  # what is alike is no difference
        after = [b if alike(b, a) else a for b, a in zip(before, after, strict=True)]
    lines = [*difflib.unified_diff(before, after, f"stored {name}", f"now {name}", "", "", 1, "")]
    left = len(lines) - MOST_LINES
    return "\n".join(lines[:MOST_LINES] + ([f"... {left} more lines"] if left > 0 else []))


def alike(one, other):
    """Return whether two lines are the same but for the last digit of their numbers."""
    if one == other:
        return True
    if NUMBER.sub("0", one) != NUMBER.sub("0", other):
        return False
    pairs = zip(NUMBER.findall(one), NUMBER.findall(other), strict=True)
    return all(
        math.isclose(*(float(n.replace(",", "")) for n in pair), rel_tol=TOLERANCE)
        for pair in pairs
    )
