"""Pictures of what GPUs cost: rented, owned, and for work."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.dates import DateFormatter, MonthLocator
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator, PercentFormatter

from gpuspec.views import charts
from gpuspec.views.language import say
from gpuspec.views.punctuation import wrapped

PART_COLORS = (
    "#0072B2",
    "#56B4E9",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#999999",
    "#D55E00",
    "#F0E442",
)
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "++", "oo", "--")
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


def _title_alone(title: str) -> Figure:
    """Return what is shown where there is nothing to draw: the sentence that says so."""
    figure, axes = charts.blank_axes(7.2, 1.0)
    axes.set_axis_off()
    charts.headed(figure, title)
    return figure


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
    if shown.empty:
        return _title_alone(title)
    gpus, ways = list(shown["gpu"].unique()), _ordered(shown)
    height = 1.35 + 0.21 * len(ways)
    figure, panels = charts.row_of_panels(max(len(gpus), 1), height, "x", sharey=True, sharex=True)
    colors = charts.gpu_colors(gpus)
    for axes, name in zip(panels, gpus, strict=False):
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
    charts.row_names(panels[0], ways)
    figure.supxlabel(f"{unit} (log)", fontsize=8)
    charts.headed(figure, title)
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
    text = f"{value:,.0f}" if value >= 1000 else f"{value:#,.3g}".rstrip(".")
    style: Any = {"textcoords": "offset points", "va": "center", "fontsize": 7.5}
    axes.annotate(text, (row["high"], place), (4, 0), **style)


def owned_parts(parts: pd.DataFrame, currency: str, title: str) -> Figure:
    """Draw the parts of an owned GPU-hour that is used, one stacked bar a GPU."""
    if parts.empty:
        return _title_alone(title)
    figure, axes = charts.blank_axes(7.2, 1.15 + 0.32 * len(parts), grid="x")
    looks = {
        str(name): {"color": color, "hatch": hatch, "edgecolor": "white"}
        for name, color, hatch in zip(parts, PART_COLORS, HATCHES, strict=False)
    }
    costs = {str(name): parts[name].to_numpy(float) for name in parts}
    for place, total in enumerate(charts.stacked_rows(axes, costs, looks)):
        axes.text(total * 1.01, place, f"{total:,.2f}", va="center", fontsize=8)
    charts.row_names(axes, list(parts.index), below=0.5)
    axes.margins(x=0.08)
    axes.set_xlabel(f"{currency} for a GPU-hour in use", fontsize=8)
    charts.legend_below(axes, 7)
    charts.headed(figure, title)
    return figure


def cost_by_used_hours(curves: pd.DataFrame, currency: str, used: float, title: str) -> Figure:
    """Draw the cost of a used GPU-hour by share of hours in use: a panel a GPU, a line a way."""
    if curves.empty:
        return _title_alone(title)
    gpus = list(curves["gpu"].unique())
    figure, panels = charts.row_of_panels(len(gpus), 3.5, sharey=True)
    colors = charts.gpu_colors(gpus)
    for axes, name in zip(panels, gpus, strict=True):
        for way, line in curves[curves["gpu"] == name].groupby("way", sort=False):
            mode = str(line["mode"].iloc[0])
            look = _way_line(mode, colors[name] if mode == "own" else "black")
            axes.plot(line["share"], line["cost"], label=str(way), **look)
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
        Line2D([], [], label=way, **_way_line(mode, "black"))
        for way, mode in curves.drop_duplicates("way")[["way", "mode"]].to_numpy()
    ]
    charts.legend_below(panels[0], 5, handles=lines)
    charts.headed(figure, title)
    return figure


def _way_line(mode: str, color: str) -> dict[str, Any]:
    width = 2.2 if mode == "own" else 1.1
    return {"linestyle": WAY_LINES[mode], "linewidth": width, "color": color}


def paid_by_month(curves: pd.DataFrame, gpu: str, currency: str, title: str) -> Figure:
    """Draw what has been paid for one GPU by each month, a line a way."""
    if curves.empty:
        return _title_alone(title)
    figure, axes = charts.blank_axes(7.2, 3.5, fixed=True)
    figure.subplots_adjust(right=0.68)
    own_color = charts.gpu_colors([gpu])[gpu]
    spare = iter(("black", "#555555", "#999999", *charts.SPARE))
    for i, (way, line) in enumerate(curves.groupby("way", sort=False)):
        look: Any = {"color": own_color if way == "own" else next(spare)}
        look |= {
            "marker": charts.MARKERS[i % len(charts.MARKERS)],
            "markevery": 12,
            "markersize": 4,
        }
        width = 2.4 if way == "own" else 1.1
        axes.plot(line["month"], line["paid"] / 1e3, linewidth=width, label=str(way), **look)
    axes.set_ylim(0)
    axes.set(xlabel="month", ylabel=f"paid for one GPU, thousand {currency}")
    axes.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    charts.headline(axes, title, 88)
    return figure


def drift_bars(table: pd.DataFrame, currency: str, title: str) -> Figure:
    """Draw the discounted cost of a used hour by way, in each scenario of rents."""
    if table.empty:
        return _title_alone(title)
    gpus = list(table["gpu"].unique())
    figure, panels = charts.row_of_panels(len(gpus), 3.4, sharey=True)
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
    charts.legend_below(panels[0], 3)
    charts.headed(figure, title)
    return figure


def price_trend(table: pd.DataFrame, title: str) -> Figure:
    """Draw published prices of the same product over time, one line a series."""
    if table.empty:
        return _title_alone(title)
    figure, axes = charts.blank_axes(7.2, 3.8, fixed=True)
    figure.subplots_adjust(right=0.68)
    colors = charts.gpu_colors(["a100-sxm-80", "h100-sxm-80", "h200-sxm-141"])
    for i, (name, line) in enumerate(table.groupby("series", sort=False)):
        look: Any = {"linestyle": "--" if str(name).startswith("AWS") else "-", "linewidth": 1.2}
        look |= {"marker": charts.MARKERS[i % len(charts.MARKERS)], "markersize": 4}
        look |= {"label": wrapped(say(str(name).replace(" survey index", "")), 28)}
        color = colors.get(line["gpu_id"].iloc[0], "black")
        axes.plot(line["date"], line["price_gpu_hour"], color=color, **look)
    axes.set_yscale("log")
    _plain_log(axes.yaxis)
    axes.set_ylabel("USD for a GPU-hour (log)")
    axes.xaxis.set_major_locator(MonthLocator(bymonth=(1, 7)))
    axes.xaxis.set_major_formatter(DateFormatter("%Y-%m"))
    axes.tick_params(axis="x", labelsize=8)
    axes.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    charts.headline(axes, title, 88)
    return figure


def spot_prices(table: pd.DataFrame, currency: str, title: str) -> Figure:
    """Draw the price of a useful spot hour against the size of a job, with its band."""
    if table.empty:
        return _title_alone(title)
    gpus = list(table["gpu"].unique())
    figure, panels = charts.row_of_panels(len(gpus), 3.2, sharey=True)
    colors = charts.gpu_colors(gpus)
    for axes, name in zip(panels, gpus, strict=True):
        line = table[table["gpu"] == name]
        low, high = (line["price"] / line[f"useful_{end}"] for end in ("high", "low"))
        axes.fill_between(line["gpus"], low, high, color=colors[name], alpha=0.2, linewidth=0)
        look: Any = {"color": colors[name], "marker": "o", "markersize": 4}
        axes.plot(line["gpus"], line["effective"], **look, label="spot, useful hour")
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
    charts.legend_below(panels[0], 3)
    charts.headed(figure, title)
    return figure


def tornado(table: pd.DataFrame, gpu: str, currency: str, title: str) -> Figure:
    """Draw the cost of an owned, used hour at both ends of each input, largest swing on top."""
    if table.empty:
        return _title_alone(title)
    figure, axes = charts.blank_axes(7.2, 1.0 + 0.18 * len(table), grid="x")
    color, central = charts.gpu_colors([gpu])[gpu], table["central"].iloc[0]
    for place, row in enumerate(table.to_dict("records")):
        left, right = row["cost_low"], row["cost_high"]
        axes.barh(place, right - left, 0.62, left, color=color, edgecolor="black", linewidth=0.5)
        axes.text(left, place, f"{left:,.2f} ", ha="right", va="center", fontsize=6.5)
        style: Any = {"textcoords": "offset points", "va": "center", "fontsize": 6.5}
        axes.annotate(f"{right:,.2f}", (right, place), (3, 0), **style)
    labels = [
        f"{name}  ({_written(name, low)} to {_written(name, high)})"
        for name, low, high in zip(table["driver"], table["low"], table["high"], strict=True)
    ]
    charts.row_names(axes, labels, 7)
    axes.axvline(central, color="black", linewidth=1)
    span = table["cost_high"].max() - table["cost_low"].min()
    axes.set_xlim(table["cost_low"].min() - 0.12 * span, table["cost_high"].max() + 0.12 * span)
    axes.set_xlabel(f"{currency} for an owned GPU-hour in use", fontsize=8)
    charts.headed(figure, title)
    return figure


def _written(driver: str, value: float) -> str:
    if driver == "power drawn":
        return f"{value:,.0f} W"
    if value >= 1e4:
        return f"{value / 1e3:,.0f}k"
    return f"{value:.0%}" if driver in SHARES else f"{value:,.4g}"
