"""Words that every topic uses."""

from __future__ import annotations

from typing import Any

from gpuspec.base.lazy import pd


def rows(table: pd.DataFrame) -> Any:
    """Return the rows of a table as named tuples."""
    return table.itertuples()


def listed(words: list[str]) -> str:
    """Join words as a sentence does.

    >>> listed(["A100", "H100", "H200"])
    'A100, H100 and H200'
    """
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def time_with_interval(seconds: float, low: float, high: float) -> str:
    """Write a time and its interval in the unit that suits it.

    >>> time_with_interval(0.00125, 0.001, 0.0015)
    '1.25 ms (1 to 1.5)'
    """
    unit, factor = next(
        (u, f) for u, f in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)) if seconds * f >= 1 or u == "µs"
    )
    value, least, most = (f"{v * factor:,.3g}" for v in (seconds, low, high))
    return f"{value} {unit} ({least} to {most})"
