"""Columns of tables, each declared once in ``columns.csv``: heading, unit and format on a page.

A column has one meaning wherever it is shown; what means something else has another name.
"""

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gpuspec.base.units import GIB, MICRO
from gpuspec.catalog.models.formats import format_title

if TYPE_CHECKING:
    import pandas as pd

Format = str | Callable[[Any], str]


class Column(NamedTuple):
    """How a column is shown: its heading, and its numbers over `unit` in `format`."""

    heading: str
    format: Format = ""
    unit: float = 1.0


def amount(value: float) -> str:
    """Write an amount so that it can be read: whole thousands, else three digits.

    >>> amount(95836.6), amount(0.2053)
    ('95,837', '0.205')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.3g}"


_WRITERS: Mapping[str, Callable[[Any], str]] = {"amount": amount, "number format": format_title}
_UNITS = {"": 1.0, "ms": 1e3 * MICRO, "GiB": GIB}


def _declared() -> dict[str, Column]:
    text = Path(__file__).with_name("columns.csv").read_text("utf-8")
    return {
        row["name"]: Column(
            row["heading"],
            _WRITERS.get(row["format"], row["format"]),
            _UNITS[row["unit"]],
        )
        for row in csv.DictReader(text.splitlines())
    }


COLUMNS: Mapping[str, Column] = _declared()
"""``columns.csv`` by name, as tables of the topics call them; ``{}`` in a name stands for a GPU.

``x_low`` and ``x_high`` are the ends of the interval of ``x``, and need no entry of their own.
"""


def column(name: object) -> Column | None:
    """Return how a column is shown; None where it is named after data, such as a GPU.

    >>> column("days_low")
    Column(heading='low', format=',.1f', unit=1.0)
    """
    text = str(name)
    if text in COLUMNS:
        return COLUMNS[text]
    base, _, end = text.rpartition("_")
    if end in ("low", "high"):
        return COLUMNS.get(base, Column(end))._replace(heading=end)
    first, _, rest = text.partition(" ")
    family = COLUMNS.get(f"{first} {{}}")
    return family and family._replace(heading=family.heading.format(rest))


def headings(*names: str) -> list[str]:
    """Return the headings of columns by their names."""
    return [shown.heading if (shown := column(name)) else name for name in names]


def readable(frame: "pd.DataFrame", formats: Mapping[str, Format] | None = None) -> "pd.DataFrame":
    """Return a table for a page: numbers in the units of their headings, columns under these.

    `gpuspec.views.display.table` writes them in the formats that are declared here, or in
    `formats`, by the columns' names, where these depend on what was asked. An index with a name
    becomes the first columns.

    >>> import pandas as pd
    >>> readable(pd.DataFrame({"gpu": ["H100"], "tpot_s": [0.02]})).to_dict("records")
    [{'GPU': 'H100', 'TPOT, ms': 20.0}]
    """
    named = any(name is not None for name in frame.index.names)
    shown = frame.reset_index() if named else frame
    known = {name: about for name in shown.columns if (about := column(name))}
    numeric = shown.select_dtypes("number").columns
    scaled = {n: shown[n] / c.unit for n, c in known.items() if c.unit != 1.0 and n in numeric}
    text = [n for n, c in known.items() if c.format is format_title]
    written = {n: c.format for n, c in known.items() if c.format and n in {*numeric, *text}}
    written |= formats or {}
    shown = shown.assign(**scaled).rename(columns={n: c.heading for n, c in known.items()})
    shown.attrs["formats"] = {known[n].heading: form for n, form in written.items()}
    return shown
