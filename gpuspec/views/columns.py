"""Columns of tables, each declared once in ``columns.csv``: heading, unit and format on a page.

A column has one meaning wherever it is shown; what means something else has another name.
"""

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gpuspec.base.units import GIB, MICRO
from gpuspec.catalog.models.formats import format_title
from gpuspec.views.amounts import plain, three_digits
from gpuspec.views.language import Words, say
from gpuspec.views.spellings import SPELT

if TYPE_CHECKING:
    import pandas as pd

Format = str | Callable[[Any], str]


class Column(NamedTuple):
    """How a column is shown: its heading, and its numbers over `unit` in `format`."""

    heading: str
    format: Format = ""
    unit: float = 1.0


def amount(value: float) -> str:
    """Write an amount with three digits.

    >>> amount(95836.6), amount(0.2053)
    ('95,800', '0.205')
    """
    return plain(three_digits(value))


def unit_of_days(days: float) -> tuple[str, float]:
    """Return the unit that suits a time, and how many of it a day has.

    >>> unit_of_days(21.4), unit_of_days(0.2), unit_of_days(0.05)
    (('days', 1.0), ('hours', 24.0), ('minutes', 1440.0))
    """
    units = (("days", 2.0, 1.0), ("hours", 1 / 12, 24.0), ("minutes", 0.0, 1440.0))
    return next((unit, each) for unit, least, each in units if days >= least or not least)


def duration(days: float) -> str:
    """Write how long a job takes, in days, hours or minutes.

    >>> duration(21.4), duration(0.2), duration(0.005)
    ('21.4 days', '4.8 hours', '7.2 minutes')
    """
    unit, each = unit_of_days(days)
    return say(f"{{count}} {unit}", count=f"{days * each:,.1f}")


_WRITERS: Mapping[str, Callable[[Any], str]] = {
    "amount": amount,
    "duration": duration,
    "number format": format_title,
}
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

_FAMILIES = [c.heading[:-2] for c in COLUMNS.values() if c.heading.endswith("{}")]


def column(name: object) -> Column | None:
    """Return how a column is shown; None where it is named after data, such as a GPU.

    >>> column("days_low")  # doctest: +ELLIPSIS
    Column(heading='low', format=<function duration at ...>, unit=1.0)
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


def heading_in(heading: str, words: Words) -> str:
    """Put the heading of a column into a language; a family of columns by what names it."""
    said = words(heading)
    if said == heading:
        for family in (f"{head}{{}}" for head in _FAMILIES if heading.startswith(head)):
            return words(family).format(heading[len(family) - 2 :])
    return said


def headings(*names: str) -> list[str]:
    """Return the headings of columns by their names."""
    return [shown.heading if (shown := column(name)) else name for name in names]


def _spelt(spell: Callable[[str], str]) -> Callable[[Any], Any]:
    return lambda value: spell(value) if isinstance(value, str) else value


def readable(frame: "pd.DataFrame", formats: Mapping[str, Format] | None = None) -> "pd.DataFrame":
    """Return a table for a page: numbers in the units of their headings, columns under these.

    `gpuspec.views.display.table` writes them in the formats that are declared here, or in
    `formats`, by the columns' names, where these depend on what was asked. An index with a name
    becomes the first columns. Names of data are spelt as people write them.

    >>> import pandas as pd
    >>> readable(pd.DataFrame({"gpu": ["H100"], "tpot_s": [0.02]})).to_dict("records")
    [{'GPU': 'H100', 'TPOT, ms': 20.0}]
    """
    named = any(name is not None for name in frame.index.names)
    shown = frame.reset_index() if named else frame
    known = {name: about for name in shown.columns if (about := column(name))}
    numeric = shown.select_dtypes("number").columns
    scaled = {n: shown[n] / c.unit for n, c in known.items() if c.unit != 1.0 and n in numeric}
    scaled |= {n: shown[n].map(_spelt(SPELT[n])) for n in known if n in SPELT}
    text = [n for n, c in known.items() if c.format is format_title]
    written = {n: c.format for n, c in known.items() if c.format and n in {*numeric, *text}}
    written |= formats or {}
    shown = shown.assign(**scaled).rename(columns={n: c.heading for n, c in known.items()})
    shown.attrs["formats"] = {known[n].heading: form for n, form in written.items()}
    return shown
