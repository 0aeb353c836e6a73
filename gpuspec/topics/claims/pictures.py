"""Pictures of claims: where they hold, and what was said beside what is estimated and measured."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from gpuspec.topics.claims import ClaimMap
from gpuspec.topics.claims.settings import SETTINGS
from gpuspec.views.charts import blank_axes, headed, row_names
from gpuspec.views.punctuation import wrapped
from gpuspec.views.words import told

_BOLD, _LIGHT = "#0072B2", "#e8e8e8"


def holding_map(shown: ClaimMap, title: str) -> Figure:
    """Draw the estimate of each setting as a cell; a thick line rings those where it holds.

    Cells are darker where the estimate is higher; a second number is a published median.
    """
    values, holds = shown.cells, shown.holds.to_numpy(bool)
    numbers, seen = values.to_numpy(float), shown.published.to_numpy(float)
    measured = bool(np.isfinite(seen).any())
    row = 0.34 if measured else 0.3 if len(values) < 9 else 0.2
    height = 1.2 + row * len(values)
    figure, axes = blank_axes(7.0, height, grid="")
    axes.imshow(_shades(values), cmap="Greys", vmin=0, vmax=2.2, aspect="auto")
    for y, x in np.ndindex(*values.shape):
        text = _cell(float(numbers[y, x]), float(seen[y, x]))
        weight = "bold" if holds[y, x] else "normal"
        axes.text(x, y, text, ha="center", va="center", fontsize=7.5, fontweight=weight)
    _ring(axes, holds)
    wide = max(70 // len(values.columns), 8)
    words = [wrapped(told(_label(c)), wide) for c in values.columns]
    axes.set_xticks(range(len(words)), words, fontsize=8)
    axes.set_yticks(range(len(values)), [_label(r) for r in values.index], fontsize=8)
    axes.set_xlabel(SETTINGS[shown.across].axis)
    axes.set_ylabel(SETTINGS[shown.down].axis if shown.down in SETTINGS else "")
    axes.tick_params(length=0)
    axes.spines[["left", "bottom"]].set_visible(False)
    headed(figure, title)
    return figure


def _shades(values: pd.DataFrame) -> np.ndarray:
    """Return how dark each cell is: the rank of its logarithm, from 0 to 1."""
    numbers = values.to_numpy(float)
    finite = np.isfinite(numbers) & (numbers > 0)
    shade = np.where(np.isinf(numbers), 1.0, np.nan)
    if finite.any():
        logs = np.log(numbers[finite])
        spread = max(float(np.ptp(logs)), 1e-9)
        shade[finite] = (logs - logs.min()) / spread
    return np.nan_to_num(shade, nan=0.0)


def _cell(value: float, published: float) -> str:
    if np.isnan(value):
        return "–"
    text = "only\nnew" if np.isinf(value) else _figure(value)
    return f"{text}\nmeas. {_figure(published)}" if np.isfinite(published) else text


def _figure(value: float) -> str:
    if value >= 20 or value == round(value):
        return f"{value:,.0f}"
    if value < 0.1:
        return f"{value:.2g}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _label(value: object) -> str:
    number = isinstance(value, int | float | np.integer | np.floating)
    return f"{value:,g}" if number else str(value)


def _ring(axes: Axes, holds: np.ndarray) -> None:
    """Draw a thick line between cells where the statement holds and cells where it does not."""
    rows, columns = holds.shape
    padded = np.pad(holds, 1)
    for y, x in np.ndindex(rows, columns):
        if not holds[y, x]:
            continue
        left, right, top, bottom = x - 0.5, x + 0.5, y - 0.5, y + 0.5
        for inside, ends in (
            (padded[y + 1, x], ((left, left), (top, bottom))),
            (padded[y + 1, x + 2], ((right, right), (top, bottom))),
            (padded[y, x + 1], ((left, right), (top, top))),
            (padded[y + 2, x + 1], ((left, right), (bottom, bottom))),
        ):
            if not inside:
                axes.plot(*ends, color=_BOLD, linewidth=2.6, clip_on=False, zorder=5)


def said_and_found(rows: pd.DataFrame, title: str) -> Figure:
    """Draw the guide's numbers beside the range of our estimates and the published figures.

    `rows`: ``label``, ``said``, ``least`` and ``most`` (of the estimates), ``low`` and ``high``
    (of their intervals), ``published`` (arrays).
    """
    figure, axes = blank_axes(7.0, 1.3 + 0.42 * len(rows), grid="x")
    diamond: dict[str, Any] = {"marker": "D", "color": "#D55E00", "markeredgecolor": "k"}
    for y, row in enumerate(rows.to_dict("records")):
        axes.plot([row["low"], row["high"]], [y, y], color="#555555", linewidth=1.2)
        width = row["least"] * (max(row["most"] / row["least"], 1.015) - 1)
        style: dict[str, Any] = {"facecolor": _BOLD, "edgecolor": "none", "alpha": 0.75}
        axes.add_patch(Rectangle((row["least"], y - 0.16), width, 0.32, **style))
        seen = np.asarray(row["published"], float)
        axes.plot(seen, np.full(len(seen), y + 0.27), "|", color="black", markersize=5, alpha=0.6)
        axes.plot(row["said"], y, markersize=7, **diamond)
    row_names(axes, list(rows["label"]))
    ticks = [1, 1.5, 2, 3, 5, 9, 15, 30, 50]
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks], fontsize=8)
    axes.minorticks_off()
    axes.set_xlabel("times as fast")
    handles = [
        Line2D([], [], linestyle="", label="the guide says", **diamond),
        Line2D([], [], color=_BOLD, linewidth=7, alpha=0.75, label="our estimates"),
        Line2D([], [], color="#555555", linewidth=1.2, label="80 % intervals of them"),
        Line2D([], [], marker="|", color="black", linestyle="", label="published"),
    ]
    axes.legend(handles=handles, fontsize=7.5, frameon=False, loc="lower right")
    headed(figure, title)
    return figure
