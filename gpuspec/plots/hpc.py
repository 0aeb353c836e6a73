"""Pictures of scientific computing: roofline, speed-ups, scaling, dynamic programming."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from gpuspec.catalog import Gpu
from gpuspec.plots.common import MARKERS, blank_axes, gpu_colors, headline

HATCHES = ("", "///", "...", "xxx")


def _headed(figure: Figure, title: str) -> None:
    figure.suptitle(fill(title, 92), x=0.01, ha="left", fontsize=10, fontweight="bold")


def hpc_roofline(table: pd.DataFrame, gpus: Sequence[Gpu], title: str) -> Figure:
    """Draw FP64 roofs of each GPU with the classes of computations on them.

    Solid: Tensor Cores; dashed: vector units. Points: what the fitted model gives.
    """
    figure, axes = blank_axes(7.2, 4.4)
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
    axes.set(xscale="log", yscale="log", ylim=(0.03, 130))
    axes.set_xlabel("intensity: operations for each byte of device memory", fontsize=8)
    axes.set_ylabel("TFLOP/s (log)", fontsize=8)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.legend(fontsize=7, frameon=False, loc="upper left")
    _headed(figure, title)
    return figure


def _class_names(axes: Axes, table: pd.DataFrame) -> None:
    """Write the classes under their lowest point, apart from each other."""
    lowest = table.groupby("workload")[["intensity", "rate"]].min().sort_values("intensity")
    last = -np.inf
    for step, (name, row) in enumerate(lowest.iterrows()):
        near = np.log10(row["intensity"]) - last < 0.22
        drop = 0.36 if near and step % 2 else 0.7
        axes.annotate(
            str(name),
            (row["intensity"], row["rate"] / 1e12),
            (row["intensity"], row["rate"] / 1e12 * drop),
            fontsize=6.5,
            ha="center",
            va="top",
            arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": "#777777"},
        )
        last = np.log10(row["intensity"])


def class_speeds(table: pd.DataFrame, published: pd.DataFrame, title: str) -> Figure:
    """Draw the speed of each GPU over the first, a row a class, with published ratios.

    Bars are 80 % intervals, filled points predictions, crosses published ratios (one a source).
    """
    names = list(table["workload"].unique())
    ids = list(table["gpu"].unique())[1:]
    figure, axes = blank_axes(7.2, 1.5 + (0.2 + 0.11 * len(ids)) * len(names))
    axes.grid(visible=False)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    colors, gap = gpu_colors(table["gpu"].unique()), 0.7 / max(len(ids), 1)
    for i, name in enumerate(ids):
        part = table[table["gpu"] == name]
        y = np.array([names.index(w) for w in part["workload"]]) + (i - (len(ids) - 1) / 2) * gap
        ends = np.abs(part[["speed_low", "speed_high"]].to_numpy().T - part["speed"].to_numpy())
        axes.errorbar(
            part["speed"],
            y,
            xerr=ends,
            fmt=MARKERS[i % len(MARKERS)],
            color=colors[name],
            markersize=4.5,
            linewidth=3,
            alpha=0.75,
            label=f"{name}, predicted",
        )
        seen = published[(published["new"] == name) & published["workload"].isin(names)]
        places = np.array([names.index(w) for w in seen["workload"]])
        places = places + (i - (len(ids) - 1) / 2) * gap
        axes.scatter(seen["ratio"], places, marker="x", s=26, color="black", linewidth=1, zorder=4)
    axes.scatter([], [], marker="x", color="black", label="published, each source")
    axes.axvline(1.0, color="#777777", linewidth=0.8)
    axes.set_yticks(range(len(names)), [_short(table, w) for w in names], fontsize=7)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel(f"speed, in that of {table['gpu'].iloc[0]}", fontsize=8)
    axes.set_xlim(left=0)
    axes.tick_params(axis="x", labelsize=8)
    figure.legend(fontsize=7, ncols=3, frameon=False, loc="outside lower left")
    _headed(figure, title)
    return figure


def _short(table: pd.DataFrame, workload: str) -> str:
    name = str(table.loc[table["workload"] == workload, "name"].iloc[0])
    return name.split(" (")[0]


def speed_bars(table: pd.DataFrame, title: str) -> Figure:
    """Draw the time of a step on each GPU: its own part and the host's, with the interval."""
    figure, axes = blank_axes(7.0, 1.3 + 0.42 * len(table), fixed=True)
    figure.subplots_adjust(left=0.16, right=0.86, top=0.74, bottom=0.2)
    axes.grid(visible=False)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    unit = table["seconds"].iloc[0]
    busy, host = (table[c].to_numpy(float) / unit for c in ("gpu_s", "host_s"))
    y, colors = np.arange(len(table)), gpu_colors(table["gpu"])
    shades = [colors[name] for name in table["gpu"]]
    axes.barh(y, busy, 0.6, color=shades, label="GPU")
    axes.barh(y, host, 0.6, busy, color="#bbbbbb", hatch="///", edgecolor="white", label="host")
    ends = [1 / table["speed_high"].to_numpy(float), 1 / table["speed_low"].to_numpy(float)]
    total = busy + host
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
        axes.text(max(total[place], ends[1][place]) + 0.015, place, words, fontsize=7, va="center")
    axes.set_yticks(y, table["gpu"], fontsize=7)
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.set_xlim(0, float(max(total.max(), ends[1].max())) * 1.32)
    axes.set_xlabel(f"time of a step, in that of {table['gpu'].iloc[0]}", fontsize=8)
    axes.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    headline(axes, title, 86)
    return figure


def amdahl_lines(table: pd.DataFrame, title: str) -> Figure:
    """Draw the speed-up of each GPU against the share of the time that stays on the host."""
    figure, axes = blank_axes(7.0, 3.4)
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
    first = table[table["gpu"] == table["gpu"].iloc[0]]
    shares = np.linspace(0.05, 0.5, 60)
    top = float(table["speed_high"].max()) * 1.05
    axes.plot(shares, 1 / shares, ":", color="black", linewidth=1, label="no GPU can do more")
    axes.set_ylim(0, top)
    axes.set_xlabel(f"share of the time on {first['gpu'].iloc[0]} that stays on the host")
    axes.set_ylabel(f"speed, in that of {first['gpu'].iloc[0]}")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, 0))
    axes.legend(fontsize=7, frameon=False, loc="upper right")
    headline(axes, title)
    return figure


def hpc_scaling(table: pd.DataFrame, title: str) -> Figure:
    """Draw the efficiency of weak and of strong scaling over nodes, one line a GPU."""
    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    colors = gpu_colors(table["gpu"].unique())
    words = {"weak": "weak: more work on more nodes", "strong": "strong: the same work, spread"}
    for axes, (way, part) in zip(panels, table.groupby("scaling", sort=False), strict=True):
        for i, (name, group) in enumerate(part.groupby("gpu", sort=False)):
            ends = group[["efficiency_low", "efficiency_high"]].to_numpy().T
            axes.errorbar(
                group["nodes"] * 1.03**i,
                group["efficiency"],
                np.abs(ends - group["efficiency"].to_numpy()),
                color=colors[str(name)],
                marker=MARKERS[i % len(MARKERS)],
                markersize=4,
                linewidth=1.3,
                capsize=2,
                label=str(name),
            )
        axes.set_xscale("log", base=2)
        counts = sorted(part["nodes"].unique())
        axes.set_xticks(counts, [str(n) for n in counts])
        axes.minorticks_off()
        axes.set_title(words[str(way)], fontsize=9)
        axes.set_xlabel("nodes", fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        axes.tick_params(labelsize=8)
        axes.set_ylim(0, 1.05)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, 0))
    panels[0].set_ylabel("efficiency (1 = no loss)", fontsize=8)
    panels[0].legend(fontsize=7, frameon=False, loc="lower left")
    _headed(figure, title)
    return figure


def dynamic_bars(table: pd.DataFrame, published: pd.DataFrame, title: str) -> Figure:
    """Draw cell updates of Smith-Waterman by the way it is written, with published programs."""
    part = table[table["algorithm"] == "smith-waterman"]
    ways, ids = list(part["way"].unique()), list(part["gpu"].unique())
    figure, axes = blank_axes(7.2, 3.9)
    colors, width = gpu_colors(ids), 0.8 / len(ids)
    for i, name in enumerate(ids):
        one = part[part["gpu"] == name]
        x = np.arange(len(ways)) + (i - (len(ids) - 1) / 2) * width
        ends = np.abs(one[["gcups_low", "gcups_high"]].to_numpy().T - one["gcups"].to_numpy())
        axes.bar(
            x,
            one["gcups"],
            width * 0.92,
            yerr=ends,
            color=colors[name],
            hatch=HATCHES[i % len(HATCHES)],
            edgecolor="white",
            error_kw={"linewidth": 0.8, "capsize": 1.5},
            label=name,
        )
        for place, row in zip(x, one.itertuples(), strict=True):
            if row.emulated:
                axes.text(place, float(str(row.gcups_high)) * 1.04, "emulated", **_TALL)
        _published(axes, published[published["gpu"] == name], ways, i, len(ids), width)
    axes.set_xticks(range(len(ways)), ways, fontsize=8)
    axes.set_ylabel("billion cell updates a second", fontsize=8)
    handles, labels = axes.get_legend_handles_labels()
    cross = Line2D([], [], marker="x", color="black", linewidth=0, label="published programs")
    axes.legend([*handles, cross], [*labels, "published programs"], fontsize=7, frameon=False)
    _headed(figure, title)
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
