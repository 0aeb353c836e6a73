"""Pictures of links, networks and what they cost a job."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, PercentFormatter

from gpuspec.base.units import format_bytes
from gpuspec.views.charts import (
    MARKERS,
    blank_axes,
    doubling_axis,
    gpu_colors,
    headed,
    headline,
    interval_bars,
    interval_line,
    legend_below,
    row_of_panels,
)

PART_NAMES = {
    "tp": "tensor parallelism",
    "cp": "context parallelism",
    "ep": "expert parallelism",
    "pp": "pipeline hand-offs",
    "dp": "data parallelism",
    "bubble": "pipeline bubble",
}
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "++")
NETWORK_COLORS = ("#D55E00", "#CC79A7", "#E69F00", "#56B4E9", "#0072B2", "#999999")


def bus_bandwidth(table: pd.DataFrame, measured: pd.DataFrame, title: str) -> Figure:
    """Draw bus bandwidth against the size of a message, one line a way to join the GPUs.

    Hollow points are published measurements of as many GPUs; shades are 80 % intervals. Links
    of SXM modules are on the left, PCIe cards on the right.
    """
    figure, panels = row_of_panels(2, 3.9)
    count = table["gpus"].iloc[0]
    inside = measured[(measured["nodes"] == 1) & (measured["gpus"] == count)]
    pcie = table["wiring"].str.startswith("PCIe")
    for axes, part, name in zip(
        panels, (table[~pcie], table[pcie]), ("NVLink", "PCIe"), strict=True
    ):
        _bandwidth_lines(axes, part, inside)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_title(name, fontsize=9)
        _byte_ticks(axes, table["message_bytes"])
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.minorticks_off()
        axes.set_xlabel("size of the message", fontsize=8)
        if len(part):
            axes.legend(fontsize=7, frameon=False, loc="lower right")
    panels[0].set_ylabel("bus bandwidth, GB/s (log)", fontsize=8)
    headed(figure, title)
    return figure


def _bandwidth_lines(axes: Axes, part: pd.DataFrame, measured: pd.DataFrame) -> None:
    colors = gpu_colors(part["gpu"].unique())
    for i, (name, group) in enumerate(part.groupby("wiring", sort=False)):
        color, second = (
            colors[group["gpu"].iloc[0]],
            str(name).endswith("ring") or "through the host" in str(name),
        )
        x = group["message_bytes"]
        axes.fill_between(
            x, group["bus_gb_s_low"], group["bus_gb_s_high"], color=color, alpha=0.1, linewidth=0
        )
        axes.plot(x, group["bus_gb_s"], "--" if second else "-", color=color, linewidth=1.4)
        seen = measured[
            (measured["wiring"] == name) & measured["message_bytes"].between(x.min(), x.max())
        ]
        marker = MARKERS[i % len(MARKERS)]
        style = {"s": 14, "facecolors": "none", "edgecolors": color, "linewidths": 0.8}
        axes.scatter(seen["message_bytes"], seen["bus_gb_s"], marker=marker, **style)  # type: ignore[arg-type]
        shape = None if seen.empty else marker
        look = {"marker": shape, "markersize": 4, "markerfacecolor": "none"}
        axes.plot([], [], "--" if second else "-", color=color, label=str(name), **look)  # type: ignore[arg-type]


def _byte_ticks(axes: Axes, sizes: pd.Series) -> None:
    powers = np.arange(np.ceil(np.log2(sizes.min())), np.log2(sizes.max()) + 0.01)
    chosen = 2 ** powers[:: max(int(np.ceil(len(powers) / 6)), 1)]
    axes.set_xticks(
        chosen, [format_bytes(v).replace(".00", "").replace(".0 ", " ") for v in chosen]
    )
    axes.tick_params(axis="x", labelsize=7)


def bandwidth_by_gpus(table: pd.DataFrame, measured: pd.DataFrame, title: str) -> Figure:
    """Draw the bus bandwidth of a large message against the number of GPUs, over nodes."""
    figure, axes = blank_axes(7.2, 3.8)
    colors = gpu_colors(table["gpu"].unique())
    for i, (name, group) in enumerate(table.groupby("wiring", sort=False)):
        color, slow = colors[group["gpu"].iloc[0]], str(name).endswith("10 GbE")
        axes.fill_between(
            group["gpus"], group["bus_gb_s_low"], group["bus_gb_s_high"], color=color, alpha=0.1
        )
        style = {"marker": MARKERS[i % len(MARKERS)], "markersize": 4, "color": color}
        axes.plot(group["gpus"], group["bus_gb_s"], ":" if slow else "-", label=str(name), **style)  # type: ignore[arg-type]
    seen = _largest(measured, table)
    axes.scatter(
        seen["gpus"], seen["bus_gb_s"], marker="x", color="black", s=22, label="published", zorder=3
    )
    edge = table.loc[table["nodes"] == 1, "gpus"].max() * 1.4
    axes.axvline(edge, color="#777777", linewidth=0.8, linestyle="--")
    low = axes.get_xaxis_transform()  # from the foot of the axes, whatever their range
    axes.text(edge * 1.03, 0.03, "several nodes", fontsize=7, color="#555555", transform=low)
    axes.set(yscale="log", xlabel="GPUs", ylabel="bus bandwidth, GB/s (log)")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    doubling_axis(axes, table["gpus"].unique())
    axes.legend(fontsize=7, frameon=False, loc="center right")
    headed(figure, title)
    return figure


def _largest(measured: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Return what was published of messages near the drawn one, over the drawn networks."""
    size = table["message_bytes"].iloc[0]
    near = measured["message_bytes"].between(size / 4, size * 4)
    same = measured["gpu"].isin(table["gpu"]) & measured["gpus"].isin(table["gpus"])
    rates = measured["network_gb_s"].isin([0.0, *table["network_gb_s"]])
    nvlink = measured["wiring"].str.startswith("NVLink") & ~measured["wiring"].str.endswith("ring")
    return measured[near & same & rates & nvlink]


def tensor_shares(table: pd.DataFrame, title: str) -> Figure:
    """Draw the exposed share of tensor parallelism: a panel a model, bars by link, with errors."""
    figure, panels = row_of_panels(2, 3.9, sharey=True)
    names = list(table["wiring"].unique())
    width = 0.84 / len(names)
    for axes, (label, group) in zip(panels, table.groupby("model", sort=False), strict=False):
        sizes = sorted(group["tp"].unique())
        for i, name in enumerate(names):
            one = group[group["wiring"] == name]
            x = np.searchsorted(sizes, one["tp"]) + (i - (len(names) - 1) / 2) * width
            axes.bar(
                x,
                one["share"],
                width,
                yerr=interval_bars(one, "share"),
                label=name,
                color=NETWORK_COLORS[i % len(NETWORK_COLORS)],
                hatch=HATCHES[i % len(HATCHES)],
                edgecolor="white",
                error_kw={"linewidth": 0.8, "capsize": 1.5},
            )
        axes.set_xticks(range(len(sizes)), [f"TP {n}" for n in sizes])
        axes.set_title(str(label), fontsize=9)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, 0))
    panels[0].set_ylabel("share of a step, exposed", fontsize=8)
    legend_below(panels[0], 3)
    headed(figure, title)
    return figure


def network_scaling(table: pd.DataFrame, title: str) -> Figure:
    """Draw one node's efficiency over several against their number, one line a network."""
    figure, axes = blank_axes(7.2, 3.7, fixed=True)
    figure.subplots_adjust(right=0.8, top=0.84)
    for i, (name, group) in enumerate(table.groupby("network", sort=False)):
        look = {
            "color": NETWORK_COLORS[i % len(NETWORK_COLORS)],
            "marker": MARKERS[i % len(MARKERS)],
            "label": str(name),
        }
        interval_line(axes, group["nodes"], group, "efficiency", **look)
    counts = np.sort(table["nodes"].unique())
    axes.plot(
        counts, 1 / counts, ":", color="#555555", linewidth=1, label="one node alone\nis as fast"
    )
    doubling_axis(axes, counts)
    axes.set(ylim=(0, 1.03), xlabel="nodes", ylabel="efficiency (1 = no loss)")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, 0))
    axes.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    headline(axes, title, 88)
    return figure


def waiting_bars(table: pd.DataFrame, title: str) -> Figure:
    """Draw what share of a step each parallelism waits: a stacked bar a job and GPU."""
    jobs, kinds = list(table["job"].unique()), list(table["gpu"].unique())
    figure, axes = blank_axes(7.2, 1.15 + 0.135 * len(table) + 0.14 * len(jobs), grid="x")
    gap = len(kinds) + 1.1
    y = np.array([jobs.index(r.job) * gap + kinds.index(r.gpu) for r in table.itertuples()])
    left = np.zeros(len(table))
    for i, (part, name) in enumerate(PART_NAMES.items()):
        width = table[part].to_numpy(float)
        color, hatch = NETWORK_COLORS[i % len(NETWORK_COLORS)], HATCHES[i % len(HATCHES)]
        axes.barh(y, width, 0.85, left, color=color, hatch=hatch, edgecolor="white", label=name)
        left = left + width
    ends = interval_bars(table, "share")
    axes.errorbar(left, y, xerr=ends, fmt="none", color="black", linewidth=0.8, capsize=2)
    for row, place in zip(table.itertuples(), y, strict=True):
        words = str(row.reason) or f"{float(str(row.share)):.0%}"
        axes.text(float(str(row.share_high)) + 0.006, place, words, va="center", fontsize=7)
    axes.set_yticks(y, [str(g) for g in table["gpu"]], fontsize=7)
    for i, job in enumerate(jobs):
        axes.text(0.004, i * gap - 1.02, job, fontsize=8, fontweight="bold", va="center")
    axes.set_ylim((len(jobs) - 1) * gap + len(kinds) - 0.3, -1.6)
    axes.set_xlim(0, max(float(table["share_high"].max()) * 1.15, 0.05))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, 0))
    axes.set_xlabel("share of a step spent waiting", fontsize=8.5)
    figure.legend(fontsize=9, ncols=3, frameon=False, loc="outside lower left")
    headed(figure, title)
    return figure


def form_ratios(table: pd.DataFrame, title: str) -> Figure:
    """Draw the speed of eight PCIe cards over SXM modules against the size of the model."""
    figure, panels = row_of_panels(2, 3.8, sharey=True)
    looks = {
        ("all weights", "peer"): ("#0072B2", "-", "o"),
        ("LoRA", "peer"): ("#009E73", "-", "s"),
        ("all weights", "host"): ("#D55E00", "--", "D"),
        ("LoRA", "host"): ("#E69F00", "--", "^"),
    }
    words = {"peer": "peer to peer", "host": "through the host"}
    good = table[table["reason"] == ""]
    for axes, (pair, group) in zip(panels, table.groupby("pair", sort=False), strict=False):
        for (tuning, path), (color, line, marker) in looks.items():
            one = good[(good["pair"] == pair) & (good["tuning"] == tuning) & (good["path"] == path)]
            look = {"color": color, "linestyle": line, "marker": marker}
            label = f"{tuning}, {words[path]}"
            interval_line(axes, one["params"], one, "ratio", label=label, **look)
        whole = good[(good["pair"] == pair) & (good["path"] == "peer") & (good["tuning"] == "LoRA")]
        axes.plot(
            whole["params"], whole["card"], ":", color="black", label="if NVLink joined the cards"
        )
        axes.set_xscale("log")
        sizes = sorted(group["params"].unique())
        axes.set_xticks(sizes, [f"{s:.0f}B" for s in sizes])
        axes.minorticks_off()
        axes.set(ylim=(0, 1.1), title="")
        axes.set_title(str(pair), fontsize=9)
        axes.set_xlabel("parameters of the model", fontsize=8)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, 0))
    panels[0].set_ylabel("training speed, PCIe over SXM", fontsize=8)
    legend_below(panels[0], 3)
    headed(figure, title)
    return figure
