"""Pictures of scientific computing: roofline, speed-ups, scaling, dynamic programming."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from gpuspec.catalog import Gpu
from gpuspec.topics.hpc.names import short_name
from gpuspec.views.charts import (
    MARKERS,
    blank_axes,
    doubling_axis,
    gpu_colors,
    headed,
    interval_bars,
    interval_line,
    legend_below,
    row_of_panels,
)
from gpuspec.views.language import say
from gpuspec.views.punctuation import wrapped

HATCHES = ("", "///", "...", "xxx")


def hpc_roofline(table: pd.DataFrame, gpus: Sequence[Gpu], title: str) -> Figure:
    """Draw FP64 roofs of each GPU with the classes of computations on them.

    Solid: Tensor Cores; dashed: vector units. Points: what the fitted model gives.
    """
    figure, axes = blank_axes(7.2, 3.4)
    colors = gpu_colors([g.id for g in gpus])
    x = np.geomspace(0.03, 400, 200)
    for i, g in enumerate(gpus):
        slope = x * g.bandwidth_bytes_s / 1e12
        vector, tensor = g.fp64_tflops or 0.0, g.fp64_tensor_tflops or 0.0
        width = 2.4 - 0.7 * min(i, 2)  # equal roofs stay visible below each other
        axes.plot(x, np.minimum(slope, max(vector, tensor)), color=colors[g.id], linewidth=width)
        axes.plot(x, np.minimum(slope, vector), "--", color=colors[g.id], linewidth=width * 0.6)
        part = table[table["gpu"] == g.id]
        axes.scatter(
            part["intensity"],
            part["rate"] / 1e12,
            s=22,
            color=colors[g.id],
            marker=MARKERS[i % len(MARKERS)],
            label=g.id,
            zorder=3,
        )
    _class_names(axes, table)
    axes.set(xscale="log", yscale="log", xlim=(0.01, 600), ylim=(0.015, 130))
    axes.set_xlabel("intensity: operations for each byte of device memory", fontsize=8)
    axes.set_ylabel("TFLOP/s (log)", fontsize=8)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.tick_params(labelsize=8)
    axes.legend(fontsize=7, frameon=False, loc="upper left")
    headed(figure, title, 86)
    return figure


def _class_names(axes: Axes, table: pd.DataFrame) -> None:
    """Write the classes alternately under their lowest and above their highest point.

    What is above ends there, since roofs rise to the right of it.
    """
    groups = table.groupby("workload")
    ends = groups.agg(x=("intensity", "first"), low=("rate", "min"), high=("rate", "max"))
    for place, (name, row) in enumerate(ends.sort_values("x", kind="stable").iterrows()):
        above = place % 2 == 1
        y = row["high" if above else "low"] / 1e12
        axes.annotate(
            short_name(str(name)),
            (row["x"], y),
            (row["x"], y * (2.0 if above else 0.5)),
            fontsize=7,
            ha="right" if above else "center",
            va="bottom" if above else "top",
            arrowprops={
                "arrowstyle": "-",
                "linewidth": 0.4,
                "color": "#777777",
                "relpos": (1, 0) if above else (0.5, 1),
            },
        )


def class_speeds(table: pd.DataFrame, published: pd.DataFrame, title: str) -> Figure:
    """Draw the speed of each GPU over the first, a row a class, with published ratios.

    Kernels left, applications right. Bars are 80 % intervals, points predictions, hollow ones far
    from what was measured, crosses published ratios (one a source).
    """
    ids = list(table["gpu"].unique())
    kinds = [part for _, part in table.groupby("kind", sort=False)]
    rows = max(part["workload"].nunique() for part in kinds)
    height = 1.1 + max(0.2, 0.1 + 0.055 * (len(ids) - 1)) * rows
    figure, panels = row_of_panels(len(kinds), height, "x")
    for axes, part in zip(panels, kinds, strict=True):
        _speed_rows(axes, part, published, ids)
        axes.set_title(f"{part['kind'].iloc[0]}s", fontsize=9)
        axes.set_xlabel(f"speed, in that of {ids[0]}", fontsize=8)
        axes.set_ylim(rows - 0.4, -0.6)
    legend_below(panels[0], 3)
    headed(figure, title, 86)
    return figure


def _speed_rows(
    axes: Axes, table: pd.DataFrame, published: pd.DataFrame, ids: Sequence[str]
) -> None:
    names, others = list(table["workload"].unique()), list(ids)[1:]
    colors, gap = gpu_colors(ids), 0.7 / max(len(others), 1)
    for i, name in enumerate(others):
        part = table[table["gpu"] == name]
        far = part["ground"].map(lambda ground: ground["level"] == "far").to_numpy(bool)
        shift = (i - (len(others) - 1) / 2) * gap
        axes.errorbar(
            part["speed"],
            np.array([names.index(w) for w in part["workload"]]) + shift,
            xerr=interval_bars(part, "speed"),
            fmt=MARKERS[i % len(MARKERS)],
            color=colors[name],
            markersize=4,
            linewidth=2.5,
            alpha=0.75,
            label=f"{name}, predicted",
        )
        blank = np.array([names.index(w) for w in part["workload"]])[far] + shift
        look: Any = {"s": 14, "facecolor": "white", "edgecolor": colors[name], "zorder": 3}
        axes.scatter(part["speed"][far], blank, marker=MARKERS[i % len(MARKERS)], **look)
        seen = published[(published["new"] == name) & published["workload"].isin(names)]
        places = np.array([names.index(w) for w in seen["workload"]]) + shift
        axes.scatter(seen["ratio"], places, marker="x", s=24, color="black", linewidth=1, zorder=4)
    axes.scatter([], [], marker="x", color="black", label="published, each source")
    axes.scatter(
        [], [], facecolor="white", edgecolor="black", s=14, label="hollow: class not measured"
    )
    axes.axvline(1.0, color="#777777", linewidth=0.8)
    axes.set_yticks(range(len(names)), [short_name(w) for w in names], fontsize=7)


def speed_bars(table: pd.DataFrame, title: str) -> Figure:
    """Draw the time of a step: the GPU's part, transfers, host and launches; with the interval."""
    above = 0.2 + 0.17 * len(wrapped(say(title), 86).splitlines())
    height = above + 0.55 + 0.4 * len(table)
    figure, axes = blank_axes(7.2, height, fixed=True, grid="x")
    figure.subplots_adjust(left=0.18, right=0.98, top=1 - above / height, bottom=0.45 / height)
    unit = table["seconds"].iloc[0]
    parts = ("gpu_s", "transfer_s", "host_s")
    busy, moved, host = (table[c].to_numpy(float) / unit for c in parts)
    y, colors = np.arange(len(table)), gpu_colors(table["gpu"])
    shades = [colors[name] for name in table["gpu"]]
    axes.barh(y, busy, 0.6, color=shades)
    axes.barh(y, moved, 0.6, busy, color="#777777", hatch="...", edgecolor="white")
    axes.barh(y, host, 0.6, busy + moved, color="#bbbbbb", hatch="///", edgecolor="white")
    ends = [1 / table["speed_high"].to_numpy(float), 1 / table["speed_low"].to_numpy(float)]
    total = busy + moved + host
    axes.errorbar(
        total,
        y,
        xerr=[np.maximum(total - ends[0], 0), np.maximum(ends[1] - total, 0)],
        fmt="none",
        color="black",
        linewidth=0.9,
        capsize=2,
    )
    for place, row in zip(y, table.itertuples(), strict=True):
        words = f"{float(str(row.speed)):.2f} x, {row.bound}"
        words += "" if row.fits else ", does not fit"
        axes.text(
            max(total[place], ends[1][place]) + 0.015, float(place), words, fontsize=7, va="center"
        )
    axes.set_yticks(y, table["gpu"], fontsize=7)
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.set_xlim(0, float(max(total.max(), ends[1].max())) * (1.4 if table["fits"].all() else 1.6))
    gray = "dots: waiting for the link to the host; grey" if moved.any() else "grey"
    words = (
        f"time of a step, in that of {table['gpu'].iloc[0]} ({gray}, hatched: host and launches)"
    )
    axes.set_xlabel(words, fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    headed(figure, title, 86)
    return figure


def amdahl_lines(table: pd.DataFrame, title: str) -> Figure:
    """Draw the speed-up of each GPU against the share of the time that more SMs do not shorten."""
    figure, axes = blank_axes(7.2, 2.9)
    colors = gpu_colors(table["gpu"].unique())
    for i, (name, group) in enumerate(table.groupby("gpu", sort=False)):
        low, high = group["speed_low"], group["speed_high"]
        axes.fill_between(group["host_share"], low, high, color=colors[str(name)], alpha=0.12)
        axes.plot(
            group["host_share"],
            group["speed"],
            color=colors[str(name)],
            marker=MARKERS[i % len(MARKERS)],
            markersize=4,
            label=str(name),
        )
    first = table["gpu"].iloc[0]
    axes.set_ylim(0, float(table["speed_high"].max()) * 1.05)
    axes.set_xlabel(f"share of the time on {first} that more SMs do not shorten", fontsize=8)
    axes.set_ylabel(f"speed, in that of {first}", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, 0))
    figure.legend(fontsize=7, ncols=4, frameon=False, loc="outside lower left")
    headed(figure, title, 86)
    return figure


def hpc_scaling(table: pd.DataFrame, title: str) -> Figure:
    """Draw the efficiency of weak and of strong scaling over nodes, one line a GPU."""
    figure, panels = row_of_panels(2, 3.4, sharey=True)
    colors = gpu_colors(table["gpu"].unique())
    words = {"weak": "weak: more work on more nodes", "strong": "strong: the same work, spread"}
    for axes, (way, part) in zip(panels, table.groupby("scaling", sort=False), strict=True):
        for i, (name, group) in enumerate(part.groupby("gpu", sort=False)):
            look = {"color": colors[str(name)], "marker": MARKERS[i % len(MARKERS)]}
            x = group["nodes"] * 1.03**i
            interval_line(axes, x, group, "efficiency", label=str(name), **look)
        doubling_axis(axes, part["nodes"].unique())
        axes.set_title(words[str(way)], fontsize=9)
        axes.set_xlabel("nodes", fontsize=8)
        axes.set_ylim(0, 1.05)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, 0))
    panels[0].set_ylabel("efficiency (1 = no loss)", fontsize=8)
    panels[0].legend(fontsize=7, frameon=False, loc="lower left")
    headed(figure, title, 86)
    return figure


def dynamic_bars(table: pd.DataFrame, published: pd.DataFrame, title: str) -> Figure:
    """Draw cell updates of Smith-Waterman by the way it is written, with published programs."""
    algorithm = "smith-waterman"
    part = table[table["algorithm"] == algorithm]
    ways, ids = list(part["way"].unique()), list(part["gpu"].unique())
    figure, axes = blank_axes(7.2, 3.3)
    colors, width = gpu_colors(ids), 0.8 / len(ids)
    for i, name in enumerate(ids):
        one = part[part["gpu"] == name]
        x = np.arange(len(ways)) + (i - (len(ids) - 1) / 2) * width
        axes.bar(
            x,
            one["gcups"],
            width * 0.92,
            yerr=interval_bars(one, "gcups"),
            color=colors[name],
            hatch=HATCHES[i % len(HATCHES)],
            edgecolor="white",
            error_kw={"linewidth": 0.8, "capsize": 1.5},
            label=name,
        )
        for place, row in zip(x, one.itertuples(), strict=True):
            if row.emulated:
                axes.text(place, float(str(row.gcups_high)) * 1.04, "emulated", **_TALL)
        seen = published[(published["gpu"] == name) & (published["algorithm"] == algorithm)]
        _published(axes, seen, ways, i, len(ids), width)
    axes.set_xticks(range(len(ways)), ways, fontsize=8)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_ylabel("billion cell updates a second", fontsize=8)
    handles, labels = axes.get_legend_handles_labels()
    cross = Line2D([], [], marker="x", color="black", linewidth=0, label="published programs")
    axes.legend([*handles, cross], [*labels, "published programs"], fontsize=7, frameon=False)
    headed(figure, title, 86)
    return figure


_TALL: Any = {"rotation": 90, "fontsize": 6, "ha": "center", "va": "bottom", "color": "#555555"}


def _published(
    axes: Axes, rows: pd.DataFrame, ways: list[str], place: int, count: int, width: float
) -> None:
    """Mark what programs reached: with DPX over its bar, without it over half precision."""
    fused = rows["dpx"] == "hardware"
    for chosen, word in ((rows[fused], "16-bit"), (rows[~fused], "half")):
        at = next(i for i, way in enumerate(ways) if word in way)
        x = at + (place - (count - 1) / 2) * width
        axes.scatter([x] * len(chosen), chosen["gcups"], marker="x", color="black", s=24, zorder=4)
