"""Pictures of training: days, parts of a step, layouts, scaling, sizes."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from gpuspec.views.charts import MARKERS, blank_axes, gpu_colors, headline, titled
from gpuspec.views.columns import duration, unit_of_days

_SHADES = {  # part of a step, of reinforcement learning too: colour, hatch
    "products": ("#0072B2", ""),
    "attention": ("#56B4E9", "//"),
    "small kernels": ("#009E73", ".."),
    "recomputation": ("#D55E00", "\\\\"),
    "output head": ("#F0E442", ""),
    "host": ("#999999", "++"),
    "TP links": ("#CC79A7", "xx"),
    "CP links": ("#CC79A7", "oo"),
    "EP links": ("#CC79A7", "**"),
    "PP links": ("#CC79A7", "--"),
    "DP network": ("#E69F00", "//"),
    "pipeline bubble": ("#000000", ""),
    "optimizer": ("#bbbbbb", "||"),
    "fixed time": ("#dddddd", ""),
    "answers": ("#0072B2", ""),
    "rewards and tools": ("#dddddd", ""),
    "log-probabilities": ("#56B4E9", "//"),
    "reference": ("#009E73", ".."),
    "critic": ("#F0E442", ""),
    "update": ("#D55E00", "\\\\"),
    "hand-over of weights": ("#999999", "++"),
}
_LEAST_SHARE = 0.005
_PAIRS = ("#0072B2", "#D55E00", "#009E73", "#000000")


def days_by_gpus(runs: pd.DataFrame, deadline_days: float, title: str) -> Figure:
    """Draw how long a run takes against the number of GPUs, one line a GPU with its interval."""
    figure, axes = blank_axes(7.0, 3.7)
    works = runs[runs["works"]]
    unit, factor = unit_of_days(float(works["days"].median()) if len(works) else deadline_days)
    colors = gpu_colors(runs["gpu"].unique())
    for i, (name, group) in enumerate(works.groupby("gpu", sort=False)):
        color = colors[str(name)]
        low, middle, high = (group[f"days{end}"] * factor for end in ("_low", "", "_high"))
        axes.fill_between(group["gpus"], low, high, color=color, alpha=0.18, lw=0)
        marker = MARKERS[i % len(MARKERS)]
        axes.plot(group["gpus"], middle, color=color, marker=marker, markersize=5, label=name)
    axes.axhline(deadline_days * factor, color="black", linewidth=1, linestyle="--")
    axes.annotate(
        f"deadline: {duration(deadline_days)}",
        (0.0, deadline_days * factor),
        xycoords=("axes fraction", "data"),
        xytext=(4, -9),
        textcoords="offset points",
        ha="left",
        fontsize=7.5,
    )
    counts = sorted(runs["gpus"].unique())
    axes.set(xscale="log", yscale="log", xlabel="GPUs", ylabel=f"{unit} of wall clock")
    axes.set_xticks(counts, [f"{c:,}" for c in counts], fontsize=8)
    axes.minorticks_off()
    axes.yaxis.set_major_formatter("{x:,g}")
    headline(axes, title)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, frameon=False)
    return figure


def step_shares(parts: pd.DataFrame, title: str) -> Figure:
    """Draw what a step consists of, one stacked bar a row; parts below half a percent join."""
    figure, axes = blank_axes(7.0, 1.5 + 0.42 * len(parts))
    axes.grid(axis="y", visible=False)
    if parts.empty:
        return _nothing(figure, axes, title)
    left = np.zeros(len(parts))
    for name in parts.columns:
        width = parts[name].to_numpy(float)
        if not (width > _LEAST_SHARE).any():
            continue
        color, hatch = _SHADES.get(str(name), ("#eeeeee", ""))
        axes.barh(
            np.arange(len(parts)),
            width,
            0.7,
            left,
            label=str(name),
            color=color,
            hatch=hatch,
            edgecolor="white",
            linewidth=0.4,
        )
        for y, (start, share) in enumerate(zip(left, width, strict=True)):
            if share >= 0.06:
                axes.text(
                    start + share / 2,
                    y,
                    f"{share:.0%}",
                    ha="center",
                    va="center",
                    fontsize=7,
                    bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1},
                )
        left = left + width
    axes.set_yticks(range(len(parts)), [str(i) for i in parts.index], fontsize=8)
    axes.set_ylim(len(parts) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("share of an optimizer step")
    titled(axes, title, 5)
    return figure


def _nothing(figure: Figure, axes: Axes, title: str) -> Figure:
    axes.set_axis_off()
    axes.text(0.0, 0.5, "no layout works", transform=axes.transAxes, fontsize=9)
    headline(axes, title)
    return figure


def mfu_by_layout(table: pd.DataFrame, title: str) -> Figure:
    """Draw the best MFU of each tensor and pipeline size as a grid of shaded cells."""
    table = table.dropna(how="all").dropna(how="all", axis="columns")
    figure, axes = blank_axes(7.0, 0.9 + 0.42 * max(len(table), 1))
    axes.grid(visible=False)
    values = table.to_numpy(float)
    if not values.size:
        return _nothing(figure, axes, title)
    highest = np.nanmax(values)
    axes.imshow(values, cmap="Blues", vmin=0, vmax=1.3 * highest, aspect="auto")
    for y, x in np.ndindex(*values.shape):
        value = values[y, x]
        known = np.isfinite(value)
        best = known and value == highest
        axes.text(
            x,
            y,
            f"{value:.0%}" if known else "none",
            ha="center",
            va="center",
            fontsize=8,
            color="black" if known else "#888888",
            fontweight="bold" if best else "normal",
        )
    axes.set_xticks(range(len(table.columns)), [f"PP {p}" for p in table.columns], fontsize=8)
    axes.set_yticks(range(len(table)), [f"TP {t}" for t in table.index], fontsize=8)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(length=0)
    headline(axes, title)
    return figure


def scaling_efficiency(table: pd.DataFrame, title: str) -> Figure:
    """Draw the speed of a GPU over that in the smallest job, as jobs grow: strong and weak."""
    figure, axes = blank_axes(7.0, 3.4)
    colors = gpu_colors(table["gpu"].unique())
    styles: dict[str, Literal["-", ":"]] = {"strong": "-", "weak": ":"}
    for (name, kind), group in table.groupby(["gpu", "kind"], sort=False):
        place = list(colors).index(str(name))
        axes.plot(
            group["gpus"],
            group["efficiency"],
            styles[str(kind)],
            color=colors[str(name)],
            marker=MARKERS[place % len(MARKERS)],
            markersize=5,
        )
    counts = sorted(table["gpus"].unique())
    axes.set(xscale="log", xlabel="GPUs", ylabel="speed of a GPU, smallest job = 100 %")
    axes.set_xticks(counts, [f"{c:,}" for c in counts], fontsize=8)
    axes.minorticks_off()
    axes.set_ylim(0, max(1.15, 1.08 * table["efficiency"].max()) if len(table) else 1.15)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    handles = [
        Line2D([], [], color=c, marker=MARKERS[i % len(MARKERS)], label=n, markersize=5)
        for i, (n, c) in enumerate(colors.items())
    ]
    handles += [
        Line2D([], [], color="#444444", linestyle=s, label=f"{k} scaling")
        for k, s in styles.items()
    ]
    axes.legend(handles=handles, fontsize=7.5, frameon=False, ncols=2, loc="lower left")
    headline(axes, title)
    return figure


def ratio_by_size(tables: Mapping[str, pd.DataFrame], title: str) -> Figure:
    """Draw speed ratios against model size with their intervals, one line a comparison."""
    figure, axes = blank_axes(7.0, 3.6)
    for i, (name, table) in enumerate(tables.items()):
        known = table.dropna(subset=["ratio"])
        ends = known[["ratio_low", "ratio_high"]].to_numpy().T
        place = known["params_b"] * 1.03 ** (i - (len(tables) - 1) / 2)
        axes.errorbar(
            place,
            known["ratio"],
            yerr=np.abs(ends - known["ratio"].to_numpy()),
            color=_PAIRS[i % len(_PAIRS)],
            marker=MARKERS[i % len(MARKERS)],
            linestyle=("-", "--", ":", "-.")[i % 4],
            markersize=5,
            capsize=2,
            linewidth=1.4,
            label=name,
        )
    axes.axhline(1.0, color="black", linewidth=0.8)
    axes.set(xscale="log", xlabel="parameters, billions", ylabel="times as fast")
    sizes = sorted({float(p) for t in tables.values() for p in t["params_b"]})
    axes.set_xticks(sizes, [f"{s:.3g}" for s in sizes], fontsize=8)
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=7.5, frameon=False, loc="lower right")
    headline(axes, title)
    return figure
