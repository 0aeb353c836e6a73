"""Pictures of inference, of errors, and bars."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from gpuspec.views.charts import MARKERS, SPARE, blank_axes, context_label, gpu_colors
from gpuspec.views.language import say
from gpuspec.views.punctuation import wrapped
from gpuspec.views.spellings import spelt


def validation_scatter(rows: pd.DataFrame, title: str) -> Figure:
    """Draw predicted against measured on log axes, one colour a GPU, with lines at 20 %."""
    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    quantities = [
        q for q in ("throughput", "ttft", "tpot", "latency") if (rows["quantity"] == q).any()
    ]
    axes = np.atleast_1d(figure.subplots(1, max(len(quantities), 1)))
    units = {"throughput": "tokens/s", "ttft": "ms", "tpot": "ms", "latency": "s"}
    colors = gpu_colors(sorted(rows["gpu"].unique()))
    marks = {name: MARKERS[i % len(MARKERS)] for i, name in enumerate(colors)}
    for panel, quantity in zip(axes, quantities, strict=False):
        part = rows[rows["quantity"] == quantity]
        for name, group in part.groupby("gpu"):
            look = {"color": colors[str(name)], "marker": marks[str(name)]}
            style = {"s": 9, "linewidth": 0, "alpha": 0.6}
            panel.scatter(group["value"], group["predicted"], **look, **style)
        ends = np.array(
            [part[["value", "predicted"]].min().min(), part[["value", "predicted"]].max().max()]
        )
        for factor, line in ((1.0, "-"), (1.2, ":"), (1 / 1.2, ":")):
            panel.plot(ends, ends * factor, color="#555555", linewidth=0.7, linestyle=line)
        panel.set(xscale="log", yscale="log", xlabel=f"measured, {units[quantity]}")
        panel.set_title(f"{spelt(quantity)} ({len(part):,})", fontsize=8)
        panel.tick_params(labelsize=7)
    axes[0].set_ylabel("predicted")
    handles = [
        Line2D([], [], color=c, marker=marks[n], linewidth=0, markersize=4, label=n)
        for n, c in colors.items()
    ]
    figure.legend(handles=handles, fontsize=6.5, ncols=5, loc="outside lower center", frameon=False)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
    return figure


def latency_throughput(frontier: pd.DataFrame, title: str) -> Figure:
    """Draw tokens a second of one user against those of a GPU, one line a GPU."""
    figure, axes = blank_axes(7.0, 3.6, fixed=True)
    colors = gpu_colors(frontier["gpu"].unique())
    for i, (name, group) in enumerate(frontier.groupby("gpu", sort=False)):
        axes.plot(
            group["user_tokens_s"],
            group["gpu_tokens_s"],
            color=colors[str(name)],
            marker=MARKERS[i % len(MARKERS)],
            markersize=3,
            label=name,
        )
    axes.set(
        yscale="log", xlabel="tokens/s of one user (1 / TPOT)", ylabel="tokens/s of a GPU (log)"
    )
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.minorticks_off()
    axes.set_title(wrapped(say(title), 78), loc="left", fontsize=10, fontweight="bold")
    if len(frontier):
        axes.legend(fontsize=8, frameon=False)
    return figure


def latency_by_rate(seen: pd.DataFrame, title: str) -> Figure:
    """Draw the TTFT of the median and of the slowest 5 % against the rate, one color a GPU."""
    figure, axes = blank_axes(7.0, 3.6)
    colors = gpu_colors(seen["gpu"].unique())
    for name, group in seen.groupby("gpu", sort=False):
        for column, style, share in (("ttft_p50_s", ":", "median"), ("ttft_p95_s", "-", "95 %")):
            axes.plot(
                group["requests_s"],
                group[column],
                style,
                color=colors[str(name)],
                label=f"{name}, {share}",
            )
    axes.set(yscale="log", xlabel="requests/s of the whole fleet", ylabel="TTFT in s (log)")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.set_title(wrapped(say(title), 78), loc="left", fontsize=10, fontweight="bold")
    axes.legend(fontsize=8, frameon=False, ncols=2, loc="upper left")
    return figure


def throughput_by_context(table: pd.DataFrame, title: str) -> Figure:
    """Draw the largest throughput against the length of the prompt, one line a GPU."""
    figure, axes = blank_axes(7.0, 3.4)
    colors = gpu_colors(table.columns)
    for i, name in enumerate(table.columns):
        rate = table[name].where(table[name] > 0)
        axes.plot(
            table.index, rate, color=colors[name], marker=MARKERS[i], markersize=4, label=name
        )
        lost = table.index[table[name] <= 0]
        if len(lost):
            axes.axvline(lost[0], color=colors[name], linewidth=0.8, linestyle=":")
    axes.set_xscale("log", base=2)
    axes.set(yscale="log", ylabel="tokens/s (log)", xlabel="tokens of the prompt")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks(list(table.index), [context_label(c) for c in table.index])
    axes.set_title(wrapped(say(title), 78), loc="left", fontsize=10, fontweight="bold")
    axes.legend(fontsize=8, frameon=False)
    return figure


def grouped_bars(table: pd.DataFrame, label: str, title: str, across: str = "") -> Figure:
    """Draw a table as groups of bars: one group a row, one colour a column; `across` names rows."""
    figure, axes = blank_axes(7.0, 3.2)
    width = 0.8 / len(table.columns)
    for i, name in enumerate(table.columns):
        place = np.arange(len(table)) + (i - (len(table.columns) - 1) / 2) * width
        color, hatch = SPARE[i % len(SPARE)], ("", "//", "..", "xx")[i % 4]
        values = table[name].to_numpy(float)
        bars = axes.bar(place, values, width, label=str(name), color=color, hatch=hatch)
        axes.bar_label(bars, [_shown(v) for v in values], fontsize=6.5)
    axes.set_xticks(range(len(table)), [str(i) for i in table.index])
    axes.set(ylabel=label, xlabel=across)
    axes.yaxis.set_major_formatter("{x:,.10g}")
    axes.set_ylim(top=axes.get_ylim()[1] * 1.15)  # room for the legend
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    axes.legend(fontsize=7, frameon=False, ncols=len(table.columns), loc="upper left")
    return figure


def _shown(value: float) -> str:
    if not np.isfinite(value):
        return "∞"
    if value <= 0:
        return "none"
    return f"{value:,.0f}" if value >= 10 else f"{value:.2f}"
