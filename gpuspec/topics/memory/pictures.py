"""Pictures of memory: what serving and training put on a GPU."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from gpuspec.base.units import GIB
from gpuspec.topics.memory import MemoryQuestion, training_table
from gpuspec.views.charts import MARKERS, blank_axes, context_label, gpu_colors, titled
from gpuspec.views.columns import COLUMNS, amount

_PARTS = {
    "weights": ("#0072B2", ""),
    "kv_cache": ("#E69F00", "///"),
    "gradients": ("#56B4E9", "\\\\\\"),
    "optimizer": ("#CC79A7", "..."),
    "activations": ("#009E73", "xx"),
    "logits": ("#F0E442", "++"),
    "workspace": ("#D55E00", "--"),
    "runtime": ("#999999", "oo"),
}


def serving_memory(question: MemoryQuestion, table: pd.DataFrame, title: str) -> Figure:
    """Draw what each layout puts on one GPU, stacked, beside what the engine may use."""
    figure, axes = blank_axes(7.0, 1.0 + 0.27 * len(table))
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
    titled(axes, title, 4)
    return figure


def training_memory(question: MemoryQuestion, title: str) -> Figure:
    """Draw what each way to train puts on one GPU, with the capacity of the GPUs asked for."""
    table = training_table(question)
    figure, axes = blank_axes(7.0, 3.9)
    axes.grid(axis="y", visible=False)
    parts = ["weights", "gradients", "optimizer", "activations", "logits", "workspace", "runtime"]
    _stack(axes, table, parts)
    place = np.arange(len(table))
    bounds = table[["total_low", "total_high"]].to_numpy().T
    ends = np.abs(bounds - table["total"].to_numpy()) / GIB
    axes.errorbar(table["total"] / GIB, place, xerr=ends, fmt="none", color="black", capsize=2)
    largest = max(g.memory_bytes for g in question.devices)
    axes.set_xlim(0, 1.15 * min(max(table["total_high"].max(), largest), 4 * largest) / GIB)
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
        low, total, high = (row[f"total{end}"] / GIB for end in ("_low", "", "_high"))
        text = f"{amount(total)} ({amount(low)} to {amount(high)})"
        axes.text(1.01, y, text, transform=axes.get_yaxis_transform(), fontsize=7, va="center")
    axes.set_yticks(place, table["policy"], fontsize=7.5)
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.set_xlabel(f"GiB on one of {question.training_gpus} GPUs; right: total and 80 % interval")
    titled(axes, title, 7)
    return figure


def _capacities(question: MemoryQuestion) -> list[tuple[str, str, float]]:
    """GPUs of nearly the same capacity share one line: names, colour, GiB."""
    colors = gpu_colors(g.id for g in question.devices)
    lines: list[tuple[str, str, float]] = []
    for g in sorted(question.devices, key=lambda g: g.memory_bytes):
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
        color, hatch = _PARTS[part]
        width = table[part].to_numpy(float) / GIB
        axes.barh(
            np.arange(len(table)),
            width,
            0.7,
            left,
            label=COLUMNS[part].heading,
            color=color,
            hatch=hatch,
            edgecolor="white",
            linewidth=0.4,
        )
        left = left + width


def kv_against_context(
    question: MemoryQuestion, contexts: np.ndarray, sizes: ArrayLike, title: str
) -> Figure:
    """Draw the cache of one request against its length, beside what each GPU has in all."""
    figure, axes = blank_axes()
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
    axes.set_ylim(top=2.5 * max(g.memory_bytes for g in question.devices) / GIB)
    _context_axis(axes, contexts)
    axes.set_ylabel("KV cache of one request, GiB")
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    return figure


def sequences_against_context(table: pd.DataFrame, title: str) -> Figure:
    """Draw how many requests fit at once against their length, a line for each option."""
    figure, axes = blank_axes()
    colors = gpu_colors(str(c).split(" x ")[1] for c in table.columns)
    for i, name in enumerate(table.columns):
        shown = table[name].where(table[name] >= 1)
        axes.loglog(
            table.index,
            shown,
            marker=MARKERS[i % 8],
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


def _context_axis(axes: Axes, contexts: np.ndarray) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(contexts, [context_label(c) for c in contexts], fontsize=8)
    axes.minorticks_off()
    axes.set_xlabel("Tokens of one request, input and output")
