"""Sentences about predictions beside measurements."""

import pandas as pd

from gpuspec.evidence.validation import Validation, error_table
from gpuspec.views.columns import readable
from gpuspec.views.language import say

WHAT = {
    "inference": "figures of inference",
    "training": "training runs",
    "posttraining": "steps of reinforcement learning",
    "collectives": "collectives",
    "hpc": "results of scientific computing",
    "memory": "figures of memory",
    "mig": "slices beside their whole GPU",
    "images": "times of an image",
}

MOST_REASONS = 8
"""Reasons of rows left out that a sentence names."""


def validation_finding(found: Validation) -> str:
    """Say how far off half of the predictions are, and how many intervals hold."""
    figures = found.figures()
    if not figures["rows"]:
        return say("No {what} to compare", what=WHAT[found.kind])
    return say(
        "{rows:,} {what}: half of them within {median_absolute_error:.0%}, "
        "{interval_coverage:.0%} inside the 80 % interval",
        rows=figures["rows"],
        what=WHAT[found.kind],
        median_absolute_error=figures["median_absolute_error"],
        interval_coverage=figures["interval_coverage"],
    )


def left_out_sentence(found: Validation) -> str:
    """Say how many rows were not predicted, and why."""
    counts = found.skipped["reason"].value_counts()
    counts.index = counts.index.str.replace("; known: .*", "", regex=True)
    reasons = say("; ").join(
        f"{say(str(reason))} ({count})" for reason, count in counts[:MOST_REASONS].items()
    )
    more = len(counts) - MOST_REASONS
    reasons += say("; {more} further reasons", more=more) if more > 0 else ""
    said = say("{skipped} rows were not predicted", skipped=len(found.skipped))
    return f"{said}: {reasons}." if reasons else f"{said}."


_CALLED = {"era": "engine and version", "posttraining": "reinforcement learning"}


def called(name: str) -> str:
    """Return what a caption calls a kind of measurement, or a column that errors are split by.

    >>> called("gpu"), called("era"), called("framework")
    ('GPU', 'engine and version', 'framework')
    """
    return name.upper() if name in ("gpu", "hpc") else _CALLED.get(name, name)


def errors_shown(found: Validation, column: str) -> pd.DataFrame:
    """Return the errors split by a column for a page: works of HPC are classes of computations."""
    table = error_table(found, column)
    return readable(table.rename_axis(index={"workload": "hpc_class"}))
