"""Figures and tables that look the same in JupyterLab, in a report and in a test.

Each call returns an object that Jupyter shows. Its caption and its alternative text travel in the
output's metadata under the key ``"gpuspec"``, where :mod:`gpuspec.report` finds them.
"""

import base64
import math
import os
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from html import escape
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gpuspec.base.aligned import aligned
from gpuspec.base.errors import UnknownNameError
from gpuspec.base.lazy import pd
from gpuspec.views import PICTURES_AS_PNG
from gpuspec.views.columns import heading_in
from gpuspec.views.language import say
from gpuspec.views.markdown import Markdown, marked, printable
from gpuspec.views.words import told

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Format = str | Callable[[Any], str]
Align = Literal["left", "right", "center"]
Bundle = tuple[dict[str, str], dict[str, object]]

MISSING = "–"

# A column of short texts stays on one line, a column of long ones gets room to wrap in.
_STAYS, _WRAPS = "white-space: nowrap", "min-width: 12em"


class ShownFigure:
    """A drawing with its caption and alternative text; made by :func:`figure`."""

    def __init__(self, svg: str, caption: str, alt: str, png: bytes = b"") -> None:
        self.svg, self.caption, self.alt, self.png = svg, caption, alt, png

    def __repr__(self) -> str:
        return f"Figure: {self.caption}\n  {self.alt}"

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        data = {"image/svg+xml": self.svg, "text/plain": repr(self)}
        about = {"kind": "figure", "caption": self.caption, "alt": self.alt}
        if self.png:
            data["image/png"] = base64.b64encode(self.png).decode()
        return data, {"image/svg+xml": {"needs_background": "light"}, "gpuspec": about}


class ShownTable:
    """A table of formatted text with its caption; made by :func:`table`."""

    def __init__(
        self, columns: list[str], rows: list[list[str]], align: list[Align], caption: str
    ) -> None:
        self.columns, self.rows, self.align, self.caption = columns, rows, align, caption

    @property
    def lines(self) -> list[list[str]]:
        """The rows as they are printed: a table without any says so."""
        return self.rows or [[say("none"), *[""] * (len(self.columns) - 1)]]

    def __repr__(self) -> str:
        return f"Table: {self.caption}\n\n{aligned(self.columns, self.lines, self.align)}"

    def _repr_html_(self) -> str:
        """Write well-formed HTML; inline styles, as JupyterLab aligns all cells to the right."""
        long = [any(len(row[i]) > 24 for row in self.rows) for i in range(len(self.columns))]
        style = [
            f"text-align: {side}; {_WRAPS if wide else _STAYS}"
            for side, wide in zip(self.align, long, strict=True)
        ]
        heads = [
            f'<th scope="col" style="{css.replace(_STAYS, "")}">{escape(text)}</th>'
            for css, text in zip(style, self.columns, strict=True)
        ]
        lines = [
            '<table class="gpuspec" style="font-variant-numeric: tabular-nums">',
            f'<caption style="text-align: left">{escape(self.caption)}</caption>',
            f"<thead><tr>{''.join(heads)}</tr></thead>",
            "<tbody>",
        ]
        for row in self.lines:
            cells = zip(style, row, strict=True)
            body = (f'<td style="{css}">{escape(text)}</td>' for css, text in cells)
            lines.append(f"<tr>{''.join(body)}</tr>")
        return "\n".join([*lines, "</tbody>", "</table>"])

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        data = {"text/html": self._repr_html_(), "text/plain": repr(self)}
        return data, {"gpuspec": {"kind": "table", "caption": self.caption}}


def figure(fig: "Figure", caption: str, alt: str, *, tight: bool = True) -> ShownFigure:
    """Turn a Matplotlib figure into what a notebook cell shows, and close it.

    Parameters
    ----------
    fig : Figure
        The drawing, from ``plt.subplots()`` or from ``Figure()`` alone.
    caption : str
        One sentence that says what is drawn; a report prints it under "Figure n".
    alt : str
        What a reader who cannot see the drawing should know: the finding and its main numbers.
    tight : bool
        Cut the margins to what is drawn; without it, it draws in two thirds of the time.

    Returns
    -------
    ShownFigure
        Shows as SVG. The same drawing gives the same bytes every time.
    """
    from gpuspec.views import charts, drawing  # bring Matplotlib, which tables do without

    charts.settled(fig)
    svg = drawing.drawn(fig, tight)
    png = drawing.as_png(fig, tight) if os.environ.get(PICTURES_AS_PNG) else b""
    drawing.close(fig)
    return ShownFigure(svg, told(_one_line(caption)), told(_one_line(alt)), png)


def table(
    frame: pd.DataFrame,
    caption: str,
    formats: Mapping[str, Format] | None = None,
    align: Mapping[str, Align] | None = None,
) -> ShownTable:
    """Turn a frame into a captioned table of text that fits a page.

    Parameters
    ----------
    frame : DataFrame
        One row a line. The index is shown as first column only where it has a name.
    caption : str
        One sentence that says what the table lists; a report prints it after "Table n".
    formats : mapping of str to str or callable, optional
        How to write the values of a column: ``",.1f"``, ``"{:.0f} GB"`` or a function of the
        value; by default as `gpuspec.views.columns.readable` says. Missing values are written
        as "–" before any format is asked.
    align : mapping of str to {"left", "right", "center"}, optional
        Alignment by column; numbers are on the right and text on the left unless named here.

    Returns
    -------
    ShownTable
        Without the columns that have nothing to say.

    >>> table(pd.DataFrame({"GPU": ["H100"], "TFLOP/s": [989.4]}), "Dense BF16 rates")
    Table: Dense BF16 rates
    <BLANKLINE>
    GPU      TFLOP/s
    -----  ---------
    H100         989
    """
    shown = frame.reset_index() if any(name is not None for name in frame.index.names) else frame
    columns = [printable(name) for name in shown.columns]
    brought: dict[str, Format] = frame.attrs.get("formats", {})  # by `columns.readable`
    brought = {name: form for name, form in brought.items() if name in frame.columns}
    formats, align = brought | dict(formats or {}), align or {}
    _check_columns(columns, formats, "formats")
    _check_columns(columns, align, "align")
    cells = [
        [printable(_written(value, formats.get(name))) for value in shown.iloc[:, i]]
        for i, name in enumerate(columns)
    ]
    cells = [[told(cell) for cell in column] for column in cells]
    says = [i for i, column in enumerate(cells) if not column or set(column) - {"", MISSING}]
    sides = [align.get(columns[i]) or _side(shown.iloc[:, i], cells[i]) for i in says]
    rows = [list(row) for row in zip(*(cells[i] for i in says), strict=True)]
    heads = [told(heading_in(columns[i], say)) for i in says]
    return ShownTable(heads, rows, sides, told(_one_line(caption)))


def _one_line(text: str) -> str:
    return " ".join(printable(text).split())


def _check_columns(columns: list[str], asked: Mapping[str, object], argument: str) -> None:
    for name in asked:
        if name not in columns:
            raise UnknownNameError(f"{argument} of table", name, columns)


_AMOUNT = re.compile(r"[-+−<>≤≥]?\d[\d.,]*( ?[%x°]|( [^\W\d]+(/[^\W\d]+)?){0,4})?")
"""A number, maybe with its unit in words."""


def _side(values: "pd.Series", cells: list[str]) -> Align:
    """Put numbers to the right, with their units too where all cells of a column are such."""
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    said = [cell for cell in cells if cell not in ("", MISSING)]
    return "right" if numeric or (said and all(map(_AMOUNT.fullmatch, said))) else "left"


def _written(value: object, how: Format | None) -> str:
    if _is_missing(value):
        return MISSING
    if callable(how):
        return str(how(value))
    if how is not None:
        return how.format(value) if "{" in how else format(value, how)
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return f"{value:,}"
    if isinstance(value, (float, np.floating)):
        return _number(float(value))
    if isinstance(value, datetime) and value.time() == datetime.min.time():
        return value.date().isoformat()
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    return str(value)


def _number(value: float) -> str:
    """Write `value` with three significant digits, and never in powers of ten below 1e15."""
    if not math.isfinite(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    digits = 2 - math.floor(math.log10(abs(value)))
    if digits > 6:
        return f"{value:.2e}"
    return f"{value:,.{max(digits, 0)}f}"


def _is_missing(value: Any) -> bool:
    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))


def note(text: str, title: str = "", answered: bool = True, part: str = "") -> None:
    """Show a paragraph, also in the middle of a cell; its marks count where it is `Markdown`.

    A report takes `title` for its own, and ends its command with the exit code of a question
    without an answer where it is not `answered`. `part` is what page 1 makes of it
    (`gpuspec.views.front`).
    """
    from IPython.display import display

    plain = text.text if isinstance(text, Markdown) else printable(text)
    data = {"text/markdown": told(str(marked(text))), "text/plain": told(plain)}
    about = {"kind": "note", "title": told(printable(title)), "answered": answered, "part": part}
    display(data, metadata={"gpuspec": about} if title or part else {}, raw=True)
