"""Pictures: every function returns a `Figure`, and none shows it."""

from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from gpuspec.catalog import Gpu
from gpuspec.fit import MemoryQuestion, training_table
from gpuspec.units import GIB

# Okabe and Ito's palette: distinct to colour-blind readers; hatches and markers repeat the
# distinction for grey print. One colour a GPU family throughout the suite.
_FAMILY = {"a100": "#0072B2", "a800": "#56B4E9", "h100": "#E69F00", "h800": "#F0E442"}
_FAMILY |= {"h200": "#009E73", "h20": "#999999", "b200": "#CC79A7", "b300": "#D55E00"}
_SPARE = ("#56B4E9", "#CC79A7", "#D55E00", "#999999", "#F0E442", "#000000")
_MARKERS = "osD^vP*X"
_PARTS = {
    "weights": ("Weights", "#0072B2", ""),
    "kv_cache": ("KV cache", "#E69F00", "///"),
    "gradients": ("Gradients", "#56B4E9", "\\\\\\"),
    "optimizer": ("Optimizer", "#CC79A7", "..."),
    "activations": ("Activations", "#009E73", "xx"),
    "logits": ("Logits", "#F0E442", "++"),
    "workspace": ("Workspace", "#D55E00", "--"),
    "runtime": ("Runtime", "#999999", "oo"),
}


def gpu_colors(ids: Any) -> dict[str, str]:
    """Return one colour a GPU, the same in every picture; kin of one family get a spare one."""
    colors: dict[str, str] = {}
    spare = iter(_SPARE * 4)
    for name in ids:
        color = _FAMILY.get(name.split("-")[0])
        used = colors.values()
        colors[name] = (
            color if color and color not in used else next(c for c in spare if c not in used)
        )
    return colors


def _axes(width: float = 7.0, height: float = 3.6, fixed: bool = False) -> tuple[Figure, Axes]:
    """Return an empty picture; `fixed` margins draw faster, for a picture that follows a slider."""
    figure = Figure(figsize=(width, height), layout=None if fixed else "constrained")
    axes = figure.subplots()
    if fixed:
        figure.subplots_adjust(left=0.1, right=0.98, top=0.86, bottom=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def rates_by_precision(gpus: list[Gpu], precisions: list[str], title: str) -> Figure:
    """Draw dense peak rates as grouped bars on a log axis, with the figure on each bar."""
    figure, axes = _axes(7.2, 3.8)
    colors = gpu_colors(g.id for g in gpus)
    width = 0.8 / len(gpus)
    for i, g in enumerate(gpus):
        rates = [g.peak_flops(p) / 1e12 if p in g.precisions else np.nan for p in precisions]
        place = np.arange(len(precisions)) + (i - (len(gpus) - 1) / 2) * width
        hatch = ("", "//", "..", "xx", "\\\\")[i % 5]
        bars = axes.bar(
            place, rates, width, label=g.name, color=colors[g.id], hatch=hatch, edgecolor="white"
        )
        labels = ["none" if np.isnan(r) else f"{r:,.0f}" for r in rates]
        axes.bar_label(bars, labels, fontsize=6.5, padding=1)
        for x, rate in zip(place, rates, strict=True):
            if np.isnan(rate):
                axes.text(x, 1.15, "none", fontsize=6.5, ha="center", rotation=90, color="#555555")
    axes.set_yscale("log")
    axes.set_ylim(1, 6000)
    axes.set_xticks(range(len(precisions)), [p.replace("_", "\n").upper() for p in precisions])
    axes.set_ylabel("Dense peak, TFLOP/s (log scale)")
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    axes.legend(fontsize=7, ncols=len(gpus), loc="upper left", frameon=False)
    return figure


def dense_against_sparse(gpus: list[Gpu], title: str) -> Figure:
    """Draw the BF16 rate of each GPU twice: dense, and with 2:4 sparsity."""
    figure, axes = _axes(7.0, 2.9)
    shown = [g for g in gpus if g.bf16_dense_tflops and g.sparsity_factor]
    colors = gpu_colors(g.id for g in shown)
    for i, g in enumerate(shown):
        dense = (
            (g.bf16_dense_tflops or 0.0),
            (g.bf16_dense_tflops or 0.0) * (g.sparsity_factor or 1),
        )
        for j, (rate, hatch) in enumerate(zip(dense, ("", "//"), strict=True)):
            bar = axes.bar(
                i + 0.4 * j, rate, 0.38, color=colors[g.id], hatch=hatch, edgecolor="white"
            )
            axes.bar_label(bar, [f"{rate:,.0f}"], fontsize=8)
            axes.text(
                i + 0.4 * j, 25, ("dense", "sparse")[j], ha="center", fontsize=7, color="white"
            )
    axes.set_xticks(np.arange(len(shown)) + 0.2, [g.name for g in shown], fontsize=8)
    axes.set_ylabel("BF16, TFLOP/s")
    axes.margins(y=0.15)
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    return figure


def roofline(gpus: list[Gpu], precision: str, title: str) -> Figure:
    """Draw attainable rate against arithmetic intensity, with each GPU's ridge point."""
    figure, axes = _axes()
    colors = gpu_colors(g.id for g in gpus)
    intensity = np.logspace(0, 4, 200)
    for i, g in enumerate(gpus):
        peak, bandwidth = g.peak_flops(precision), g.bandwidth_bytes_s
        rate = np.minimum(peak, bandwidth * intensity) / 1e12
        style = ("-", "--", "-.", ":")[i % 4]
        axes.loglog(intensity, rate, style, color=colors[g.id], label=g.name, linewidth=2)
        ridge = peak / bandwidth
        axes.plot(ridge, peak / 1e12, _MARKERS[i % 8], color=colors[g.id], markersize=7)
        axes.annotate(
            f"{ridge:.0f} FLOP/B",
            (ridge, peak / 1e12),
            textcoords="offset points",
            xytext=(0, 7 if i != 1 else -14),
            fontsize=7,
            ha="center",
        )
    axes.set_xlabel("Arithmetic intensity, FLOP per byte of HBM traffic")
    axes.set_ylabel(f"Attainable {precision.upper()}, TFLOP/s")
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    axes.legend(fontsize=7.5, frameon=False, loc="lower right")
    return figure


def serving_memory(question: MemoryQuestion, table: pd.DataFrame, title: str) -> Figure:
    """Draw what each layout puts on one GPU, stacked, beside what the engine may use."""
    figure, axes = _axes(7.0, 1.0 + 0.27 * len(table))
    axes.grid(axis="y", visible=False)
    _stack(axes, table, ["weights", "kv_cache", "activations", "runtime"])
    place = np.arange(len(table))
    low = (table["budget"] - table["free_low"]).clip(lower=0) / GIB
    for y, budget, capacity in zip(place, table["budget"], table["capacity"], strict=True):
        axes.plot([budget / GIB] * 2, [y - 0.42, y + 0.42], color="black", linewidth=2)
        axes.plot([capacity / GIB] * 2, [y - 0.42, y + 0.42], color="black", linewidth=1, ls=":")
    used = (table["budget"] - table["free"]) / GIB
    axes.errorbar(
        used, place, xerr=np.array([np.zeros(len(used)), low - used]), fmt="none", color="black"
    )
    for line, verdict in enumerate(table["verdict"]):
        axes.text(
            1.01, line, verdict, transform=axes.get_yaxis_transform(), fontsize=7, va="center"
        )
    labels = [f"{n} x {g}" for n, g in zip(table["gpus"], table["gpu"], strict=True)]
    axes.set_yticks(place, labels, fontsize=7.5)
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.set_xlabel(
        f"GiB on one GPU (solid line: {question.gpu_memory_utilization:.0%} of its memory; "
        "dotted: all of it)"
    )
    _titled(axes, title, 4)
    return figure


def training_memory(question: MemoryQuestion, title: str) -> Figure:
    """Draw what each way to train puts on one GPU, with the capacity of the GPUs asked for."""
    table = training_table(question)
    figure, axes = _axes(7.0, 3.9)
    axes.grid(axis="y", visible=False)
    parts = ["weights", "gradients", "optimizer", "activations", "logits", "workspace", "runtime"]
    _stack(axes, table, parts)
    place = np.arange(len(table))
    spread: Any = [(table["total"] - table["low"]) / GIB, (table["high"] - table["total"]) / GIB]
    axes.errorbar(table["total"] / GIB, place, xerr=spread, fmt="none", color="black", capsize=2)
    widest = 4.5 * max(g.memory_bytes for g in question.gpus) / GIB
    axes.set_xlim(0, widest)
    for i, (names, color, capacity) in enumerate(_capacities(question)):
        axes.axvline(capacity, color=color, linestyle="--", linewidth=1.5)
        axes.annotate(
            names,
            (capacity, -0.6),
            xytext=(2, 3 + 8 * i),
            textcoords="offset points",
            fontsize=6.5,
            color="#333333",
        )
    for y, row in enumerate(table.to_dict("records")):
        text = f"{row['total'] / GIB:,.0f} ({row['low'] / GIB:,.0f} to {row['high'] / GIB:,.0f})"
        axes.text(1.01, y, text, transform=axes.get_yaxis_transform(), fontsize=7, va="center")
    axes.set_yticks(place, table["policy"], fontsize=7.5)
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.set_xlabel(f"GiB on one of {question.training_gpus} GPUs; right: total and 80 % interval")
    _titled(axes, title, 7)
    return figure


def _capacities(question: MemoryQuestion) -> list[tuple[str, str, float]]:
    """GPUs of nearly the same capacity share one line: names, colour, GiB."""
    colors = gpu_colors(g.id for g in question.gpus)
    lines: list[tuple[str, str, float]] = []
    for g in sorted(question.gpus, key=lambda g: g.memory_bytes):
        capacity = g.memory_bytes / GIB
        if lines and capacity < 1.05 * lines[-1][2]:
            names, color, known = lines[-1]
            lines[-1] = (f"{names}, {g.id}", color, known)
        else:
            lines.append((g.id, colors[g.id], capacity))
    return lines


def _stack(axes: Axes, table: pd.DataFrame, parts: list[str]) -> None:
    left = np.zeros(len(table))
    for part in parts:
        label, color, hatch = _PARTS[part]
        width = table[part].to_numpy(float) / GIB
        axes.barh(
            np.arange(len(table)),
            width,
            0.7,
            left,
            label=label,
            color=color,
            hatch=hatch,
            edgecolor="white",
            linewidth=0.4,
        )
        left = left + width


def _titled(axes: Axes, title: str, columns: int) -> None:
    figure = axes.get_figure()
    assert figure is not None
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
    figure.legend(
        *axes.get_legend_handles_labels(),
        fontsize=7,
        ncols=columns,
        frameon=False,
        loc="outside lower left",
    )


def kv_against_context(question: MemoryQuestion, contexts: Any, sizes: Any, title: str) -> Figure:
    """Draw the cache of one request against its length, beside what each GPU has in all."""
    figure, axes = _axes()
    axes.loglog(contexts, np.asarray(sizes) / GIB, "-", color="black", linewidth=2.2)
    for names, color, capacity in _capacities(question):
        axes.axhline(capacity, color=color, linestyle="--", linewidth=1.5)
        axes.annotate(
            f"all of {names}",
            (contexts[0], capacity),
            xytext=(0, 3),
            textcoords="offset points",
            fontsize=7,
            color="#333333",
        )
    axes.set_ylim(top=2.5 * max(g.memory_bytes for g in question.gpus) / GIB)
    _context_axis(axes, contexts)
    axes.set_ylabel("KV cache of one request, GiB")
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    return figure


def sequences_against_context(table: pd.DataFrame, title: str) -> Figure:
    """Draw how many requests fit at once against their length, a line for each option."""
    figure, axes = _axes()
    colors = gpu_colors(str(c).split(" x ")[1] for c in table.columns)
    for i, name in enumerate(table.columns):
        shown = table[name].where(table[name] >= 1)
        axes.loglog(
            table.index,
            shown,
            marker=_MARKERS[i % 8],
            markersize=5,
            label=name,
            color=colors[str(name).split(" x ")[1]],
            linewidth=1.8,
        )
    _context_axis(axes, table.index.to_numpy())
    axes.set_ylabel("Requests held at once")
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    axes.legend(fontsize=8, frameon=False)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    return figure


def _context_axis(axes: Axes, contexts: Any) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(contexts, [f"{c / 1024:g}K" for c in contexts], fontsize=8)
    axes.minorticks_off()
    axes.set_xlabel("Tokens of one request, input and output")


def validation_scatter(rows: pd.DataFrame, title: str) -> Figure:
    """Draw predicted against measured on log axes, one colour a GPU, with lines at 20 %."""
    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    quantities = [
        q for q in ("throughput", "ttft", "tpot", "latency") if (rows["quantity"] == q).any()
    ]
    axes = np.atleast_1d(figure.subplots(1, max(len(quantities), 1)))
    units = {"throughput": "tokens/s", "ttft": "ms", "tpot": "ms", "latency": "s"}
    colors = gpu_colors(sorted(rows["gpu"].unique()))
    for panel, quantity in zip(axes, quantities, strict=False):
        part = rows[rows["quantity"] == quantity]
        for i, (name, group) in enumerate(part.groupby("gpu")):
            style = {"marker": _MARKERS[i % len(_MARKERS)], "s": 9, "linewidth": 0, "alpha": 0.6}
            panel.scatter(
                group["value"], group["predicted"], color=colors[str(name)], label=name, **style
            )
        ends = np.array(
            [part[["value", "predicted"]].min().min(), part[["value", "predicted"]].max().max()]
        )
        for factor, line in ((1.0, "-"), (1.2, ":"), (1 / 1.2, ":")):
            panel.plot(ends, ends * factor, color="#555555", linewidth=0.7, linestyle=line)
        panel.set(xscale="log", yscale="log", xlabel=f"measured, {units[quantity]}")
        panel.set_title(f"{quantity} ({len(part)})", fontsize=8)
        panel.tick_params(labelsize=7)
    axes[0].set_ylabel("predicted")
    handles = [
        Line2D([], [], color=c, marker="o", linewidth=0, markersize=4, label=n)
        for n, c in colors.items()
    ]
    figure.legend(handles=handles, fontsize=6.5, ncols=5, loc="outside lower center", frameon=False)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
    return figure


def latency_throughput(frontier: pd.DataFrame, title: str) -> Figure:
    """Draw tokens a second of one user against those of a GPU, one line a GPU."""
    figure, axes = _axes(7.0, 3.6, fixed=True)
    colors = gpu_colors(frontier["gpu"].unique())
    for i, (name, group) in enumerate(frontier.groupby("gpu", sort=False)):
        axes.plot(
            group["user_tokens_s"],
            group["gpu_tokens_s"],
            color=colors[str(name)],
            marker=_MARKERS[i % len(_MARKERS)],
            markersize=3,
            label=name,
        )
    axes.set(
        yscale="log", xlabel="tokens/s of one user (1 / TPOT)", ylabel="tokens/s of a GPU (log)"
    )
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.minorticks_off()
    axes.set_title(fill(title, 78), loc="left", fontsize=10, fontweight="bold")
    axes.legend(fontsize=8, frameon=False)
    return figure


def latency_by_rate(seen: pd.DataFrame, title: str) -> Figure:
    """Draw the TTFT of the median and of the slowest 5 % against the rate, one color a GPU."""
    figure, axes = _axes(7.0, 3.6)
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
    axes.set_title(fill(title, 78), loc="left", fontsize=10, fontweight="bold")
    axes.legend(fontsize=8, frameon=False, ncols=2, loc="upper left")
    return figure


def throughput_by_context(table: pd.DataFrame, title: str) -> Figure:
    """Draw the largest throughput against the length of the prompt, one line a GPU."""
    figure, axes = _axes(7.0, 3.4)
    colors = gpu_colors(table.columns)
    for i, name in enumerate(table.columns):
        rate = table[name].where(table[name] > 0)
        axes.plot(
            table.index, rate, color=colors[name], marker=_MARKERS[i], markersize=4, label=name
        )
        lost = table.index[table[name] <= 0]
        if len(lost):
            axes.axvline(lost[0], color=colors[name], linewidth=0.8, linestyle=":")
    axes.set_xscale("log", base=2)
    axes.set(yscale="log", ylabel="output tokens/s (log)", xlabel="tokens of the prompt")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_xticks(list(table.index), [f"{c // 1024}K" for c in table.index])
    axes.set_title(fill(title, 78), loc="left", fontsize=10, fontweight="bold")
    axes.legend(fontsize=8, frameon=False)
    return figure


def grouped_bars(table: pd.DataFrame, label: str, title: str) -> Figure:
    """Draw a table as groups of bars: one group a row, one colour a column."""
    figure, axes = _axes(7.0, 3.2)
    width = 0.8 / len(table.columns)
    for i, name in enumerate(table.columns):
        place = np.arange(len(table)) + (i - (len(table.columns) - 1) / 2) * width
        color, hatch = _SPARE[i % len(_SPARE)], ("", "//", "..", "xx")[i % 4]
        values = table[name].to_numpy(float)
        bars = axes.bar(place, values, width, label=str(name), color=color, hatch=hatch)
        axes.bar_label(bars, [_shown(v) for v in values], fontsize=6.5)
    axes.set_xticks(range(len(table)), [str(i) for i in table.index])
    axes.set_ylabel(label)
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


def save(figure: Figure, path: str) -> None:
    """Write a picture; the suffix of `path` says in which format."""
    import io
    from pathlib import Path

    from gpuspec.errors import InputError
    from gpuspec.files import write_atomically

    kind = Path(path).suffix.lstrip(".").lower()
    if kind not in ("png", "pdf", "svg"):
        raise InputError("--picture", path, "end it in .png, .pdf or .svg")
    content = io.BytesIO()
    figure.savefig(content, format=kind, dpi=150)
    write_atomically(Path(path), content.getvalue())
