"""Pictures of what GPUs cost: rented, owned, and for work."""

from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.dates import DateFormatter, MonthLocator
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator, PercentFormatter

from gpuspec.views.charts import (
    MARKERS,
    SPARE,
    blank_axes,
    gpu_colors,
    headed,
    headline,
    row_of_panels,
)

PART_COLORS = ("#0072B2", "#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#999999", "#D55E00")
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "++", "oo")
WAY_LINES: dict[str, Any] = {
    "own": "-",
    "on-demand": "--",
    "reserved-1yr": ":",
    "reserved-3yr": "-.",
    "spot": (0, (1, 3)),
}
"""Ways in the order of pictures, and their lines."""
SHARES = ("utilisation", "residual value", "cost of capital", "maintenance", "network share")
"""Inputs of an owned hour that are written in per cent."""


def _plain_log(axis: Axis) -> None:
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())


def cost_ranges(table: pd.DataFrame, unit: str, title: str, central: str = "central") -> Figure:
    """Draw low, central and high of each way: a panel a GPU, one row a way.

    Prices older than their limit are hollow, those scaled by us have a square, quotes of the
    user's own a star.
    """
    shown = table[table[central].notna()]
    gpus, ways = list(shown["gpu"].unique()), _ordered(shown)
    figure, panels = row_of_panels(
        max(len(gpus), 1), 1.35 + 0.21 * len(ways), sharey=True, sharex=True
    )
    colors = gpu_colors(gpus)
    for axes, name in zip(panels, gpus, strict=False):
        axes.grid(visible=False)
        axes.grid(axis="x", color="#dddddd", linewidth=0.6)
        for _, row in shown[shown["gpu"] == name].iterrows():
            _range(axes, ways.index(row["way"]), row, row[central], colors[name])
        axes.set_title(name, fontsize=9)
        axes.set_xscale("log")
    low, high = shown["low"].min(), shown["high"].max()
    panels[0].set_xlim(low * 0.8, high * 1.25 * (high / low) ** 0.22)
    few = np.log10(high / low) > 0.9
    panels[0].xaxis.set_major_locator(LogLocator(subs=(1,) if few and high / low > 30 else (1, 3)))
    panels[0].xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}" if x >= 1 else f"{x:g}")
    panels[0].xaxis.set_minor_locator(NullLocator())
    panels[0].set_yticks(range(len(ways)), ways, fontsize=8)
    panels[0].set_ylim(len(ways) - 0.4, -0.6)
    figure.supxlabel(f"{unit} (log)", fontsize=8)
    headed(figure, title)
    return figure


def _ordered(table: pd.DataFrame) -> list[str]:
    """Return the ways in the order of their modes, lists of hyperscalers after the others."""
    modes = {mode: i for i, mode in enumerate(WAY_LINES)}
    first = table.drop_duplicates("way")
    order = first["mode"].map(modes) + first["way"].str.contains("hyperscaler") * 10.0
    return list(first.assign(order=order).sort_values("order", kind="stable")["way"])


def _range(axes: Axes, place: int, row: pd.Series, value: float, color: str) -> None:
    axes.plot([row["low"], row["high"]], [place, place], color=color, linewidth=2.2, alpha=0.5)
    mark = "*" if row.get("quoted") else "s" if row.get("derived") else "o"
    size, inside = 9 if mark == "*" else 5, "white" if row.get("stale") else color
    axes.plot(value, place, mark, markersize=size, color=color, markerfacecolor=inside)
    text = f"{value:,.0f}" if value >= 1000 else f"{value:,.3g}"
    style = {"textcoords": "offset points", "va": "center", "fontsize": 7.5}
    axes.annotate(text, (row["high"], place), (4, 0), **style)  # type: ignore[arg-type]


def owned_parts(parts: pd.DataFrame, currency: str, title: str) -> Figure:
    """Draw the parts of an owned GPU-hour that is used, one stacked bar a GPU."""
    figure, axes = blank_axes(7.2, 1.15 + 0.32 * len(parts))
    axes.grid(visible=False)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    left = np.zeros(len(parts))
    for i, name in enumerate(parts.columns):
        width = parts[name].to_numpy(float)
        axes.barh(
            range(len(parts)),
            width,
            0.62,
            left,
            color=PART_COLORS[i],
            hatch=HATCHES[i],
            edgecolor="white",
            label=str(name),
        )
        left = left + width
    for place, total in enumerate(left):
        axes.text(total * 1.01, place, f"{total:,.2f}", va="center", fontsize=8)
    axes.set_yticks(range(len(parts)), list(parts.index), fontsize=8)
    axes.set_ylim(len(parts) - 0.5, -0.5)
    axes.margins(x=0.08)
    axes.set_xlabel(f"{currency} for a GPU-hour in use", fontsize=8)
    figure.legend(fontsize=7, ncols=7, frameon=False, loc="outside lower left")
    headed(figure, title)
    return figure


def cost_by_used_hours(curves: pd.DataFrame, currency: str, used: float, title: str) -> Figure:
    """Draw the cost of a used GPU-hour by share of hours in use: a panel a GPU, a line a way."""
    gpus = list(curves["gpu"].unique())
    figure, panels = row_of_panels(len(gpus), 3.5, sharey=True)
    colors = gpu_colors(gpus)
    for axes, name in zip(panels, gpus, strict=True):
        for way, line in curves[curves["gpu"] == name].groupby("way", sort=False):
            mode = str(line["mode"].iloc[0])
            own = mode == "own"
            axes.plot(
                line["share"],
                line["cost"],
                linestyle=WAY_LINES[mode],
                color=colors[name] if own else "black",
                linewidth=2.2 if own else 1.1,
                label=str(way),
            )
        axes.axvline(used, color="#999999", linewidth=0.8)
        axes.set_title(name, fontsize=9)
        axes.set_yscale("log")
        _plain_log(axes.yaxis)
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, 0))
        axes.set_xlabel("hours in use", fontsize=8)
        axes.tick_params(axis="x", labelsize=7)
    cheap, dear = curves["cost"].min(), curves.loc[curves["share"] >= 0.15, "cost"].max()
    panels[0].set_ylim(cheap * 0.8, dear * 1.1)
    panels[0].set_ylabel(f"{currency} for a used GPU-hour (log)", fontsize=8)
    lines = [
        Line2D([], [], color="black", linestyle=WAY_LINES[mode], label=way, linewidth=width)
        for way, mode in curves.drop_duplicates("way")[["way", "mode"]].to_numpy()
        for width in [2.2 if mode == "own" else 1.1]
    ]
    figure.legend(handles=lines, fontsize=7, ncols=5, frameon=False, loc="outside lower left")
    headed(figure, title)
    return figure


def paid_by_month(curves: pd.DataFrame, gpu: str, currency: str, title: str) -> Figure:
    """Draw what has been paid for one GPU by each month, a line a way."""
    figure, axes = blank_axes(7.2, 3.5, fixed=True)
    figure.subplots_adjust(right=0.68)
    own_color = gpu_colors([gpu])[gpu]
    spare = iter(("black", "#555555", "#999999", *SPARE))
    for i, (way, line) in enumerate(curves.groupby("way", sort=False)):
        own = way == "own"
        axes.plot(
            line["month"],
            line["paid"] / 1e3,
            color=own_color if own else next(spare),
            linewidth=2.4 if own else 1.1,
            marker=MARKERS[i % len(MARKERS)],
            markevery=12,
            markersize=4,
            label=str(way),
        )
    axes.set_ylim(0)
    axes.set(xlabel="month", ylabel=f"paid for one GPU, thousand {currency}")
    axes.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    headline(axes, title, 88)
    return figure


def drift_bars(table: pd.DataFrame, currency: str, title: str) -> Figure:
    """Draw the discounted cost of a used hour by way, in each scenario of rents."""
    gpus = list(table["gpu"].unique())
    figure, panels = row_of_panels(len(gpus), 3.4, sharey=True)
    marks = {"down": ("v", "#0072B2"), "flat": ("o", "#000000"), "up": ("^", "#D55E00")}
    for axes, name in zip(panels, gpus, strict=True):
        one = table[table["gpu"] == name]
        ways = list(one["way"].unique())
        for drift, (marker, color) in marks.items():
            line = one[one["drift"] == drift]
            x = [ways.index(way) for way in line["way"]]
            axes.plot(x, line["hour"], marker, color=color, markersize=5, label=f"rents {drift}")
        for way in ways:
            ends = one.loc[one["way"] == way, "hour"]
            axes.plot([ways.index(way)] * 2, [ends.min(), ends.max()], color="#999999", zorder=0)
        labels = [way.replace("rent, ", "") for way in ways]
        axes.set_xticks(range(len(ways)), labels, rotation=40, ha="right", fontsize=7)
        axes.set_xlim(-0.5, len(ways) - 0.5)
        axes.set_title(name, fontsize=9)
    panels[0].set_ylim(0, table["hour"].max() * 1.08)
    panels[0].set_ylabel(f"{currency} for a used GPU-hour", fontsize=8)
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, fontsize=7, ncols=3, frameon=False, loc="outside lower left")
    headed(figure, title)
    return figure


def price_trend(table: pd.DataFrame, title: str) -> Figure:
    """Draw published prices of the same product over time, one line a series."""
    figure, axes = blank_axes(7.2, 3.8, fixed=True)
    figure.subplots_adjust(right=0.68)
    colors = gpu_colors(["a100-sxm-80", "h100-sxm-80", "h200-sxm-141"])
    for i, (name, line) in enumerate(table.groupby("series", sort=False)):
        axes.plot(
            line["date"],
            line["price_gpu_hour"],
            color=colors.get(line["gpu_id"].iloc[0], "black"),
            linestyle="--" if str(name).startswith("AWS") else "-",
            marker=MARKERS[i % len(MARKERS)],
            markersize=4,
            linewidth=1.2,
            label=fill(str(name).replace(" survey index", ""), 28),
        )
    axes.set_yscale("log")
    _plain_log(axes.yaxis)
    axes.set_ylabel("USD for a GPU-hour (log)")
    axes.xaxis.set_major_locator(MonthLocator(bymonth=(1, 7)))
    axes.xaxis.set_major_formatter(DateFormatter("%Y-%m"))
    axes.tick_params(axis="x", labelsize=8)
    axes.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    headline(axes, title, 88)
    return figure


def spot_prices(table: pd.DataFrame, currency: str, title: str) -> Figure:
    """Draw the price of a useful spot hour against the size of a job, with its band."""
    gpus = list(table["gpu"].unique())
    figure, panels = row_of_panels(len(gpus), 3.2, sharey=True)
    colors = gpu_colors(gpus)
    for axes, name in zip(panels, gpus, strict=True):
        line = table[table["gpu"] == name]
        low, high = (line["price"] / line[f"useful_{end}"] for end in ("high", "low"))
        axes.fill_between(line["gpus"], low, high, color=colors[name], alpha=0.2, linewidth=0)
        look = {"color": colors[name], "marker": "o", "markersize": 4}
        axes.plot(line["gpus"], line["effective"], **look, label="spot, useful hour")  # type: ignore[arg-type]
        axes.plot(line["gpus"], line["price"], ":", color="black", label="spot, paid hour")
        axes.plot(line["gpus"], line["on_demand"], "--", color="black", label="on demand")
        axes.set_xscale("log", base=2)
        axes.set_xticks(list(line["gpus"]), [str(n) for n in line["gpus"]])
        axes.minorticks_off()
        axes.set_title(name, fontsize=9)
        axes.set_xlabel("GPUs of the job", fontsize=8)
    top = np.nanmax(table[["on_demand", "effective"]].to_numpy())
    panels[0].set_ylim(0, top * 1.35)
    panels[0].set_ylabel(f"{currency} for a GPU-hour", fontsize=8)
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, fontsize=7, ncols=3, frameon=False, loc="outside lower left")
    headed(figure, title)
    return figure


def tornado(table: pd.DataFrame, gpu: str, currency: str, title: str) -> Figure:
    """Draw the cost of an owned, used hour at both ends of each input, largest swing on top."""
    figure, axes = blank_axes(7.2, 1.0 + 0.18 * len(table))
    axes.grid(visible=False)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    color, central = gpu_colors([gpu])[gpu], table["central"].iloc[0]
    for place, row in enumerate(table.to_dict("records")):
        left, right = row["cost_low"], row["cost_high"]
        axes.barh(place, right - left, 0.62, left, color=color, edgecolor="black", linewidth=0.5)
        axes.text(left, place, f"{left:,.2f} ", ha="right", va="center", fontsize=6.5)
        axes.text(right, place, f" {right:,.2f}", va="center", fontsize=6.5)
    labels = [
        f"{name}  ({_written(name, low)} to {_written(name, high)})"
        for name, low, high in zip(table["driver"], table["low"], table["high"], strict=True)
    ]
    axes.set_yticks(range(len(table)), labels, fontsize=7)
    axes.axvline(central, color="black", linewidth=1)
    axes.set_ylim(len(table) - 0.4, -0.6)
    span = table["cost_high"].max() - table["cost_low"].min()
    axes.set_xlim(table["cost_low"].min() - 0.12 * span, table["cost_high"].max() + 0.12 * span)
    axes.set_xlabel(f"{currency} for an owned GPU-hour in use", fontsize=8)
    headed(figure, title)
    return figure


def _written(driver: str, value: float) -> str:
    if driver == "power drawn":
        return f"{value:,.0f} W"
    if value >= 1e4:
        return f"{value / 1e3:,.0f}k"
    return f"{value:.0%}" if driver in SHARES else f"{value:,.4g}"
