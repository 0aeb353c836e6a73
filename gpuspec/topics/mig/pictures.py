"""Pictures of MIG: layouts, what slices deliver, and tenants on GPUs."""

from itertools import cycle, product
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from gpuspec.formulas.mig import MEMORY_SLICES, Geometry, Placements, plain_profile
from gpuspec.topics.mig.reading import tenant_base
from gpuspec.views import charts

SIZES = {1: "#56B4E9", 2: "#009E73", 3: "#E69F00", 4: "#CC79A7", 7: "#999999"}
"""One colour a number of compute slices."""
DELIVERED = {
    "stream": ("STREAM", "#0072B2", ""),
    "lbm": ("lattice Boltzmann", "#56B4E9", "///"),
    "md": ("molecular dynamics", "#E69F00", "\\\\\\"),
    "dgemm": ("DGEMM (FP64)", "#D55E00", ""),
    "decode": ("LLM decoding", "#CC79A7", "xxx"),
    "prefill": ("LLM prompts", "#009E73", "..."),
}
"""Label, colour and hatch of each column of the table of delivery."""
DELIVERED_WIDTH = 0.15
TENANT_COLORS = "#56B4E9 #E69F00 #009E73 #F0E442 #CC79A7 #D55E00 #8DA0CB #A6D854 #E5C494 #66C2A5"
HATCHES = ("", "///", "...", "xxx", "\\\\\\")
MOST_BARS = 24
"""GPUs that one picture shows; the rest are counted below it."""


def _box(axes: Axes, x: float, y: float, width: float, color: str, hatch: str = "") -> None:
    style: Any = {"facecolor": color, "edgecolor": "white", "hatch": hatch, "linewidth": 1}
    axes.add_patch(Rectangle((x, y), width, 0.8, **style))


def layout_bars(rules: Geometry, layouts: tuple[Placements, ...], title: str) -> Figure:
    """Draw layouts as bars of eight memory slices, two columns of bars; grey is left over."""
    figure = Figure(figsize=(7.2, 0.7 + 0.15 * len(layouts)), layout="constrained")
    rows = -(-len(layouts) // 2)
    for column, axes in enumerate(figure.subplots(1, 2)):
        mine = layouts[column * rows : (column + 1) * rows]
        for y, layout in enumerate(mine):
            _box(axes, 0, y, MEMORY_SLICES, "#eeeeee")
            for one in layout:
                profile = rules.profiles[one.profile]
                size = len(rules.slices(one))
                _box(axes, one.start, y, size, SIZES[profile.compute_slices])
                label = one.profile if size > 1 else f"{profile.compute_slices}g"
                middle: Any = {"ha": "center", "va": "center", "fontsize": 7}
                axes.text(one.start + size / 2, y + 0.42, label, **middle)
        axes.set(xlim=(0, MEMORY_SLICES), ylim=(rows, -0.1), yticks=[])
        axes.set_xticks(np.arange(MEMORY_SLICES) + 0.5, [str(i) for i in range(MEMORY_SLICES)])
        axes.tick_params(labelsize=7, length=0)
        axes.set_xlabel("memory slice", fontsize=8)
        axes.spines[:].set_visible(False)
    charts.headed(figure, title)
    return figure


def slice_delivery(table: pd.DataFrame, title: str) -> Figure:
    """Draw what slices give of the whole GPU, a panel a GPU: simulations, then a language model.

    Lines across a group: share of the SMs (solid) and of the memory slices (dashed). The 7g is
    left out: it is the whole GPU.
    """
    table = table[~table["profile"].str.startswith("7g")]
    kinds = list(table["gpu"].unique())
    figure = Figure(figsize=(7.2, 1.0 + 0.8 * len(kinds)), layout="constrained")
    panels = np.atleast_1d(figure.subplots(len(kinds), 1))
    for axes, kind in zip(panels, kinds, strict=True):
        part = table[table["gpu"] == kind]
        x = np.arange(len(part))
        for i, (column, (label, color, hatch)) in enumerate(DELIVERED.items()):
            place = x + (i - (len(DELIVERED) - 1) / 2) * DELIVERED_WIDTH
            look: Any = {"color": color, "hatch": hatch, "edgecolor": "white", "label": label}
            axes.bar(place, part[column].fillna(0.0), DELIVERED_WIDTH, **look)
        for column, style, label in (("sms", "-", "SMs"), ("memory", "--", "memory slices")):
            lines = axes.hlines(part[column], x - 0.45, x + 0.45, "black", style, linewidth=0.9)
            lines.set_label(f"share of the {label}")
        axes.set_xticks(x, part["profile"], fontsize=7)
        axes.text(-0.45, 0.52, kind, fontsize=8, fontweight="bold")
        axes.set(ylim=(0, 0.66), xlim=(-0.55, len(part) - 0.45), yticks=(0, 0.25, 0.5))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, 0))
        charts.ruled(axes)
        axes.tick_params(labelsize=7)
    figure.supylabel("speed, of the whole GPU", fontsize=8)
    charts.legend_below(panels[0], 4)
    charts.headed(figure, title, 86)
    return figure


def published_slices(pairs: pd.DataFrame, title: str) -> Figure:
    """Draw predicted against published speed of slices over the whole GPU, a marker a source."""
    figure, panels = charts.row_of_panels(2, 3.6, "both", sharey=True)
    sources = list(pairs["source_id"].unique())
    colors = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7")
    dots: Any = {"s": 20, "facecolors": "none", "linewidths": 0.9}
    for axes, full in zip(panels, (True, False), strict=True):
        for i, source in enumerate(sources):
            one = pairs[(pairs["source_id"] == source) & (pairs["full"] == full)]
            look: Any = {
                "marker": charts.MARKERS[i % len(charts.MARKERS)],
                "edgecolors": colors[i % len(colors)],
            }
            axes.scatter(one["predicted"], one["measured"], label=source, **look, **dots)
        axes.plot([0.1, 1.2], [0.1, 1.2], color="black", linewidth=0.8)
        axes.set(xscale="log", yscale="log", xlim=(0.1, 1.25), ylim=(0.1, 1.25))
        ticks = [0.125, 0.25, 0.5, 1.0]
        axes.set_xticks(ticks, [f"{t:.3g}" for t in ticks], minor=False)
        axes.set_yticks(ticks, [f"{t:.3g}" for t in ticks], minor=False)
        axes.minorticks_off()
        axes.set_title("the batch fills the whole GPU" if full else "it does not", fontsize=9)
        axes.set_xlabel("predicted: slice over whole GPU", fontsize=8)
    panels[0].set_ylabel("published", fontsize=8)
    charts.legend_below(panels[0], 4)
    charts.headed(figure, title)
    return figure


def fleet_bars(
    placements: pd.DataFrame, rules: dict[str, Geometry], title: str, fixed: bool = False
) -> Figure:
    """Draw each GPU as a bar of eight memory slices, coloured and labelled by tenant.

    Hatches tell tenants with like colours apart; white is free; whole GPUs fill the bar.
    """
    bars = list(placements.groupby(["gpu", "number"], sort=False))
    shown = bars[:MOST_BARS]
    names = list(dict.fromkeys(map(tenant_base, placements["tenant"])))
    looks = dict(
        zip(filter(None, names), cycle(product(HATCHES, TENANT_COLORS.split())), strict=False)
    )
    height = 1.0 + 0.34 * len(shown)
    figure = Figure(figsize=(7.2, height), layout=None if fixed else "constrained")
    axes = figure.subplots()
    if fixed:
        figure.subplots_adjust(left=0.14, right=0.98, top=1 - 0.55 / height, bottom=0.42 / height)
    for y, (_, rows) in enumerate(shown):
        _fleet_bar(axes, y, rows, rules, looks)
    labels = [f"{gpu}, GPU {number}" for (gpu, number), _ in shown]
    axes.set_yticks(np.arange(len(shown)) + 0.4, labels)
    axes.set(xlim=(0, MEMORY_SLICES), ylim=(len(shown), -0.15))
    axes.set_xticks(range(MEMORY_SLICES + 1))
    more = f"; {len(bars) - len(shown)} more GPUs not drawn" if len(bars) > len(shown) else ""
    axes.set_xlabel(f"memory slices{more}", fontsize=8)
    axes.tick_params(labelsize=7, length=0)
    axes.spines[:].set_visible(False)
    charts.headed(figure, title)
    return figure


def _fleet_bar(
    axes: Axes, y: int, rows: pd.DataFrame, rules: dict[str, Geometry], looks: dict[Any, Any]
) -> None:
    axes.add_patch(Rectangle((0, y), MEMORY_SLICES, 0.8, facecolor="#f4f4f4", edgecolor="#cccccc"))
    for row in rows.to_dict("records"):
        whole = row["profile"] == "whole"
        profile = None if whole else rules[row["gpu"]].profiles[row["profile"]]
        width = MEMORY_SLICES if profile is None else (profile.placement_size or 1)
        tenant = str(row["tenant"])
        hatch, color = looks.get(tenant_base(tenant), ("", "white"))
        _box(axes, row["start"], y, width, color, hatch)
        size = plain_profile(str(row["profile"])).split(".")[0]
        room = int(width * 13)
        label = tenant if len(tenant) <= room else tenant_base(tenant)
        label = label if len(label) <= room else label[: max(room - 1, 3)] + "."
        words = f"{label or 'free'}\n{size}" if width == 1 else f"{label or 'free'} ({size})"
        box = {"facecolor": "white", "alpha": 0.75, "pad": 0.6, "linewidth": 0}
        style: Any = {"ha": "center", "va": "center", "linespacing": 0.95, "bbox": box}
        style |= {"fontsize": 5.4 if width == 1 else 6.2}
        axes.text(row["start"] + width / 2, y + 0.41, words, **style)


def fleet_costs(table: pd.DataFrame, title: str) -> Figure:
    """Draw GPUs and price of the same tenants on each kind of GPU, shared and unshared."""
    figure = Figure(figsize=(7.2, 2.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    colors = {**charts.gpu_colors(table["fleet"]), "any of them": "#555555"}
    y = np.arange(len(table))[::-1]
    tints = [colors[str(f)] for f in table["fleet"]]
    left.barh(y + 0.2, table["gpus"], 0.38, color=tints, label="slices where they pay")
    alone_look: Any = {"color": "white", "edgecolor": tints, "hatch": "///"}
    left.barh(y - 0.2, table["without"], 0.38, label="nobody shares", **alone_look)
    for bars in left.containers:
        left.bar_label(bars, padding=2, fontsize=7)
    labels = [
        f"{fleet}\n({missing} without a place)" if missing else str(fleet)
        for fleet, missing in zip(table["fleet"], table["unplaced"], strict=True)
    ]
    left.set_yticks(y, labels, fontsize=7)
    left.set_xlabel("GPUs (hatched: nobody shares)", fontsize=8)
    bars = right.barh(y, table["usd_per_hour"], 0.5, color=tints)
    right.bar_label(bars, fmt="{:,.2f}", padding=2, fontsize=7)
    right.set_yticks(y, [""] * len(table))
    right.set_xlabel("USD an hour", fontsize=8)
    for axes in (left, right):
        axes.margins(x=0.12)
        charts.ruled(axes, "")
        axes.tick_params(labelsize=7)
    charts.headed(figure, title)
    return figure
