"""What all pictures share: colours of GPUs, axes, titles, saving."""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import font_source_sans_pro
import matplotlib
import noto_cjk_sans_otc
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, FuncFormatter, LogFormatter
from numpy.typing import ArrayLike

from gpuspec.base.aligned import columns_of
from gpuspec.base.errors import InputError
from gpuspec.base.files import check_writable, path_of, write_atomically
from gpuspec.views.faces import BOLD, CHINESE
from gpuspec.views.language import say, spoken
from gpuspec.views.punctuation import wrapped
from gpuspec.views.words import told

# Okabe and Ito's palette: distinct to colour-blind readers; hatches and markers repeat the
# distinction for grey print. One colour a GPU family throughout the suite.
_FAMILY = {"a100": "#0072B2", "a800": "#56B4E9", "h100": "#E69F00", "h800": "#F0E442"}
_FAMILY |= {"h200": "#009E73", "h20": "#999999", "b200": "#CC79A7", "b300": "#D55E00"}
SPARE = ("#56B4E9", "#CC79A7", "#D55E00", "#999999", "#F0E442", "#000000")
MARKERS = "osD^vP*X"


def gpu_colors(ids: Iterable[str]) -> dict[str, str]:
    """Return one colour a GPU, the same in every picture; kin of one family get a spare one.

    Beyond the spare ones colours repeat, with other markers.
    """
    colors: dict[str, str] = {}
    for name in ids:
        color = _FAMILY.get(name.split("-")[0])
        used = colors.values()
        spare = next((c for c in SPARE if c not in used), SPARE[len(colors) % len(SPARE)])
        colors[name] = color if color and color not in used else spare
    return colors


def context_label(tokens: int) -> str:
    """Write a length of a context as people call it.

    >>> context_label(131072), context_label(512)
    ('128K', '512')
    """
    return f"{tokens / 1024:g}K" if tokens >= 1024 else f"{tokens:g}"


def _register() -> None:
    """Let Matplotlib find the faces that the reports are set in, Chinese characters included."""
    sans = Path(font_source_sans_pro.font_directory)
    for face in ("Regular", "It", "Semibold", "Bold"):
        fontManager.addfont(sans / f"SourceSansPro-{face}.otf")
    fontManager.addfont(noto_cjk_sans_otc.FONT_PATH)
    fontManager.addfont(BOLD)
    known = [f for f in fontManager.ttflist if f.name == CHINESE and f.weight != BOLD_WEIGHT]
    fontManager.ttflist += [
        replace(face, name=_RARE, weight=weight) for face in known for weight in (400, BOLD_WEIGHT)
    ]


_RARE, BOLD_WEIGHT = f"{CHINESE} Regular", 700
"""The Chinese face for characters that the bold one lacks, and the weight of the latter."""
FACES: Any = {
    "font.family": ["Source Sans Pro", CHINESE, _RARE, "sans-serif"],
    "mathtext.default": "regular",
}
"""Settings with which every picture is drawn."""
LEAST_POINTS = 8.0
"""Size of the smallest text of a picture; a page shows it at seven eighths or larger."""
_register()


def blank_axes(
    width: float = 7.0, height: float = 3.6, fixed: bool = False, grid: str = "y"
) -> tuple[Figure, Axes]:
    """Return an empty picture with a `grid` of ``x``, ``y`` or neither (``""``).

    `fixed` margins draw faster, for a picture that follows a slider.
    """
    figure = Figure(figsize=(width, height), layout=None if fixed else "constrained")
    axes = figure.subplots()
    if fixed:
        figure.subplots_adjust(left=0.12, right=0.98, top=0.86, bottom=0.15)
    ruled(axes, grid)
    return figure, axes


def ruled(axes: Axes, grid: str = "y") -> None:
    """Draw axes without top and right sides, over light lines across `grid`, where there is one."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(axis=grid, color="#dddddd", linewidth=0.6)  # type: ignore[arg-type]


def row_of_panels(
    count: int, height: float, grid: str = "y", **shared: Any
) -> tuple[Figure, list[Axes]]:
    """Return an empty picture of `count` panels beside each other."""
    figure = Figure(figsize=(7.2, height), layout="constrained")
    panels = list(np.atleast_1d(figure.subplots(1, count, **shared)))
    for axes in panels:
        ruled(axes, grid)
        axes.tick_params(labelsize=8)
    return figure, panels


def headed(figure: Figure, title: str, width: int = 92) -> None:
    """Put the finding above a picture of several panels, in as many lines as it needs."""
    lines = wrapped(say(title), width, hyphens=False)
    figure.suptitle(lines, x=0.01, ha="left", fontsize=10, fontweight="bold")


def titled(axes: Axes, title: str, columns: int) -> None:
    """Put a title above and a legend of `columns` below the whole picture."""
    lines = wrapped(say(title), 92) if spoken() == "zh" else title
    axes.figure.suptitle(lines, x=0.01, ha="left", fontsize=10, fontweight="bold")
    legend_below(axes, columns)


def legend_below(axes: Axes, columns: int, fontsize: float = 7, handles: Any = None) -> None:
    """Put a legend below the whole picture: of `axes`, unless its `handles` are given."""
    drawn, labels = axes.get_legend_handles_labels() if handles is None else (handles, None)
    style: Any = {"ncols": columns, "frameon": False, "loc": "outside lower left"}
    axes.figure.legend(handles=drawn, labels=labels, fontsize=fontsize, **style)


def row_names(axes: Axes, names: Sequence[str], fontsize: float = 8, below: float = 0.4) -> None:
    """Name the rows of a picture, the first at the top, with so much room below the last."""
    axes.set_yticks(range(len(names)), list(names), fontsize=fontsize)
    axes.set_ylim(len(names) - below, below - 1)


def stacked_rows(axes: Axes, parts: Mapping[str, np.ndarray], looks: Mapping[str, Any]) -> Any:
    """Draw parts of rows beside each other, what is below zero from there; return their ends."""
    ends: Any = 0.0
    for name, widths in parts.items():
        start = np.where(widths < 0, 0.0, ends)
        axes.barh(range(len(widths)), widths, 0.62, start, label=name, **looks[name])
        ends = ends + np.maximum(widths, 0.0)
    return ends


def headline(axes: Axes, title: str, width: int = 84) -> None:
    """Put the finding above a picture, in as many lines as it needs."""
    axes.set_title(wrapped(say(title), width), loc="left", fontsize=10, fontweight="bold")


def interval_bars(table: pd.DataFrame, column: str) -> np.ndarray:
    """Return how far ``column_low`` and ``column_high`` lie from a column, for error bars."""
    ends = table[[f"{column}_low", f"{column}_high"]].to_numpy().T
    return np.asarray(np.abs(ends - table[column].to_numpy()))


def interval_line(axes: Axes, x: ArrayLike, table: pd.DataFrame, column: str, **look: Any) -> None:
    """Draw a column with its intervals over `x` as a line with small marks."""
    bars = interval_bars(table, column)
    axes.errorbar(x, table[column], bars, markersize=4, linewidth=1.3, capsize=2, **look)


def doubling_axis(axes: Axes, counts: Iterable[float]) -> None:
    """Let the x axis be logarithmic, with ticks at the counts alone."""
    axes.set_xscale("log", base=2)
    shown = sorted(counts)
    axes.set_xticks(shown, [f"{n:.0f}" for n in shown])
    axes.minorticks_off()


def _families(text: str) -> list[str]:
    """Return the faces of a text: beside Chinese, letters are of the same face, since what draws a
    page takes one face for a line, and lines are laid out by their widths.
    """
    families: list[str] = FACES["font.family"]
    chinese = columns_of(text) > len(text)
    return sorted(families, key=lambda name: CHINESE not in name) if chinese else families


def settled(figure: Figure) -> None:
    """Let all text of a picture be read: GPUs by name, no size too small, no unasked mathematics.

    Powers along a log axis stay mathematics.
    """
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if not isinstance(axis.get_major_formatter(), (FixedFormatter, FuncFormatter)):
                continue
            labels = [label.get_text() for label in axis.get_majorticklabels()]
            names = [told(label) for label in labels]
            if names != labels:
                axis.set_ticks(axis.get_majorticklocs(), names)
    for text in figure.findobj(Text):
        text.set_parse_math(False)
        whole = told(text.get_text())
        lines = whole.split("\n") if whole == text.get_text() else [whole]
        text.set_text("\n".join(map(told, lines)) if len(lines) > 1 else whole)
        text.set_fontfamily(_families(text.get_text()))
        text.set_fontsize(max(text.get_fontsize(), LEAST_POINTS))
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            for formatter, ticks in (
                (axis.get_major_formatter(), axis.get_majorticklabels()),
                (axis.get_minor_formatter(), axis.get_minorticklabels()),
            ):
                for label in ticks:
                    label.set_parse_math(isinstance(formatter, LogFormatter))


def check_picture(path: str) -> Path:
    """Return where a picture is to be written; refuse what could not be, before it is drawn."""
    found = path_of("--picture", path)
    if found.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise InputError("--picture", path, "end it in .png, .pdf or .svg")
    check_writable("--picture", found)
    return found


def save(figure: Figure, path: str) -> None:
    """Write a picture; the suffix of `path` says in which format."""
    found = check_picture(path)
    settled(figure)
    content = io.BytesIO()
    with matplotlib.rc_context(FACES):
        figure.savefig(content, format=found.suffix.lstrip(".").lower(), dpi=150)
    write_atomically(found, content.getvalue())
