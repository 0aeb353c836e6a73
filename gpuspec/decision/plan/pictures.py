"""Pictures of the decision: plans with their spread, the front of options, a tornado."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from gpuspec.views import charts
from gpuspec.views.language import say, spoken
from gpuspec.views.punctuation import label, wrapped
from gpuspec.views.words import gpu_name

BEST, OTHER = "#0072B2", "#bbbbbb"
LOW, HIGH = "#56B4E9", "#E69F00"
MOST_PLANS = 6
ROOM = 44
"""Columns of a line that names a row of a picture."""


def plan_costs(
    plans: pd.DataFrame, labels: Sequence[str], unit: str, factor: float = 1.0, title: str = ""
) -> Figure:
    """Draw the cost of each plan with its 80 % interval and its probability of being the best.

    `labels` name the plans in the order of the table; `unit` names the axis and `factor` turns
    USD into it. The first plan is the recommended one.
    """
    shown = plans.head(MOST_PLANS)
    names = [wrapped(label, ROOM) for label in labels[: len(shown)]]
    pitch = 0.08 + 0.09 * max(1 + name.count("\n") for name in names)
    figure, axes = charts.blank_axes(7.0, 0.5 + pitch * len(shown), grid="x")
    cost, low, high = (shown[["expected_usd", "low", "high"]].to_numpy(float) * factor).T
    place = np.arange(len(shown))
    colors = [BEST, *[OTHER] * (len(shown) - 1)]
    axes.barh(place, cost, 0.62, color=colors, edgecolor="black", linewidth=0.4)
    spread = np.abs([cost - low, high - cost])
    axes.errorbar(cost, place, xerr=spread, fmt="none", ecolor="black", capsize=3, lw=1)
    for y, share in enumerate(shown["probability"]):
        axes.text(high.max() * 1.02, y, f"{share * 100:.0f} %", va="center", fontsize=8)
    _finished(figure, axes, names, title)
    axes.get_yticklabels()[0].set_fontweight("bold")
    axes.set_xlim(0, high.max() * 1.13)
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.set_xlabel(unit, fontsize=8)
    return figure


def _finished(
    figure: Figure, axes: Axes, rows: Sequence[str], title: str, fontsize: float = 8
) -> None:
    """Name the rows of a picture of bars, and put a finding above the whole picture."""
    charts.row_names(axes, rows, fontsize, 0.45)
    axes.tick_params(axis="x", labelsize=8)
    if title:
        figure.suptitle(wrapped(say(title), 92), x=0.01, ha="left", fontsize=9, fontweight="bold")


def _nothing(figure: Figure, axes: Axes, words: str) -> Figure:
    axes.set_axis_off()
    axes.text(0.0, 0.5, words, transform=axes.transAxes, fontsize=9)
    return figure


def option_front(
    options: pd.DataFrame,
    front: pd.DataFrame,
    chosen: pd.Series,
    names: tuple[str, str],
    factor: float,
    title: str,
) -> Figure:
    """Draw every option by cost and time, those that no other beats joined by a line.

    `options` has ``gpu``, ``cost_usd`` and ``time_s``; `front` is a part of it; `chosen` is the
    row of the recommended plan; `names` are those of the axes of time and cost, and `factor` turns
    USD into the latter.
    """
    figure, axes = charts.blank_axes(7.0, 3.5)
    colors = charts.gpu_colors(options["gpu"].unique())
    dots: Any = {"s": 14, "alpha": 0.5, "linewidth": 0, "rasterized": True}
    for i, (name, group) in enumerate(options.groupby("gpu", sort=False)):
        look: Any = {"color": colors[str(name)], "marker": charts.MARKERS[i % len(charts.MARKERS)]}
        axes.scatter(
            group["time_s"], group["cost_usd"] * factor, label=gpu_name(str(name)), **look, **dots
        )
    line = front.sort_values("time_s", kind="stable")
    best = line[line["cost_usd"] <= np.minimum.accumulate(line["cost_usd"].to_numpy())]
    steps: Any = {"color": "black", "linewidth": 1, "drawstyle": "steps-post"}
    axes.plot(best["time_s"], best["cost_usd"] * factor, **steps)
    ring: Any = {"s": 110, "facecolor": "none", "edgecolor": "black", "linewidth": 1.6, "zorder": 3}
    axes.scatter([chosen["time_s"]], [chosen["cost_usd"] * factor], label="recommended", **ring)
    axes.set(xscale="log", yscale="log", xlabel=names[0], ylabel=names[1])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter("{x:,g}")
    axes.tick_params(which="both", labelsize=7)
    charts.headline(axes, title)
    axes.legend(fontsize=7.5, frameon=False, ncols=2)
    return figure


def tornado_bars(table: pd.DataFrame, now: float, title: str, most: int = 9) -> Figure:
    """Draw how each input moves the gap between the runner-up and the recommended plan."""
    shown = table.head(most)
    figure, axes = charts.blank_axes(7.2, 0.8 + 0.28 * max(len(shown), 1), grid="x")
    if shown.empty:
        return _nothing(figure, axes, "no input moves the gap")
    ends = {"low": {"color": LOW, "hatch": ""}, "high": {"color": HIGH, "hatch": "//"}}
    for y, row in enumerate(shown.to_dict("records")):
        for name, look in ends.items():
            if np.isnan(row[name]):
                continue
            style: Any = {**look, "edgecolor": "white", "linewidth": 0.4}
            label = f"{name} end" if y == 0 else None
            axes.barh(y, (row[name] - now) * 100, 0.62, left=now * 100, label=label, **style)
    names = [f"{r['input']}: {r['from_']} to {r['to']}" for r in shown.to_dict("records")]
    room = 54 if spoken() == "zh" else 62
    _finished(figure, axes, [wrapped(say(n), room) for n in names], title, fontsize=7)
    axes.axvline(0, color="black", linewidth=1.2)
    axes.axvline(now * 100, color="#666666", linewidth=0.8, linestyle=":")
    unit = "runner-up costs so many % more than the recommendation (left of 0: it wins)"
    axes.set_xlabel(unit, fontsize=8)
    axes.legend(fontsize=7.5, frameon=False, loc="lower right")
    return figure


def probability_bars(tables: Sequence[tuple[str, pd.DataFrame]], title: str) -> Figure:
    """Draw for each workload which GPU is the best, in which share of the samples."""
    names = list(dict.fromkeys(g for _, t in tables for g in t["gpu"]))
    colors = charts.gpu_colors(names)
    figure, axes = charts.blank_axes(7.0, 0.9 + 0.42 * max(len(tables), 1), grid="")
    hatches = ("", "//", "..", "xx", "\\\\", "++", "oo")
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
    for y, (_, table) in enumerate(tables):
        left = 0.0
        for i, name in enumerate(names):
            share = float(table.loc[table["gpu"] == name, "probability"].sum())
            style: Any = {"hatch": hatches[i % len(hatches)], "edgecolor": "white"}
            style |= {
                "color": colors[name],
                "linewidth": 0.5,
                "label": gpu_name(name) if y == 0 else None,
            }
            axes.barh(y, share, 0.66, left, **style)
            if share >= 0.08:
                middle: Any = {"ha": "center", "va": "center", "fontsize": 8, "bbox": box}
                axes.text(left + share / 2, y, f"{share * 100:.0f} %", **middle)
            left += share
    _finished(figure, axes, [label(name) for name, _ in tables], title)
    axes.set_xlim(0, 1)
    axes.set_xticks([])
    axes.spines[["bottom", "left"]].set_visible(False)
    charts.legend_below(axes, 4, 7.5)
    return figure
