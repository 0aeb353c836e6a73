"""Pictures of the catalogue: rates, sparsity, rooflines."""

import numpy as np
from matplotlib.figure import Figure

from gpuspec.catalog import Gpu
from gpuspec.views.charts import MARKERS, blank_axes, gpu_colors


def rates_by_precision(gpus: list[Gpu], precisions: list[str], title: str) -> Figure:
    """Draw dense peak rates as grouped bars on a log axis, with the figure on each bar."""
    figure, axes = blank_axes(7.2, 3.8)
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
    figure, axes = blank_axes(7.0, 2.9)
    shown = [g for g in gpus if g.bf16_dense_tflops and g.sparsity_factor]
    colors = gpu_colors(g.id for g in shown)
    for i, g in enumerate(shown):
        dense = g.bf16_dense_tflops or 0.0
        sparse = dense * (g.sparsity_factor or 1)
        for x, rate, word, hatch in ((i, dense, "dense", ""), (i + 0.4, sparse, "sparse", "//")):
            bar = axes.bar(x, rate, 0.38, color=colors[g.id], hatch=hatch, edgecolor="white")
            axes.bar_label(bar, [f"{rate:,.0f}"], fontsize=8)
            axes.bar_label(bar, [word], fontsize=8, padding=11)
    axes.set_xticks(np.arange(len(shown)) + 0.2, [g.name for g in shown], fontsize=8)
    axes.set_ylabel("BF16, TFLOP/s")
    axes.margins(y=0.2)
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    return figure


def roofline(gpus: list[Gpu], precision: str, title: str, at: float | None = None) -> Figure:
    """Draw attainable rate against arithmetic intensity, with each GPU's ridge point.

    A vertical line marks the intensity `at`.
    """
    figure, axes = blank_axes()
    colors = gpu_colors(g.id for g in gpus)
    intensity = np.logspace(0, 4, 200)
    for i, g in enumerate(gpus):
        peak, bandwidth = g.peak_flops(precision), g.bandwidth_bytes_s
        rate = np.minimum(peak, bandwidth * intensity) / 1e12
        style = ("-", "--", "-.", ":")[i % 4]
        ridge, color = peak / bandwidth, colors[g.id]
        label = f"{g.name}: {ridge:.0f} FLOP per byte at the ridge"
        axes.loglog(intensity, rate, style, color=color, linewidth=2)
        marker = MARKERS[i % 8] + style
        axes.plot(ridge, peak / 1e12, marker, color=color, markersize=7, label=label)
    if at is not None:
        axes.axvline(at, color="0.4", linestyle=":", linewidth=1.2)
    axes.set_xlabel("Arithmetic intensity, FLOP per byte of HBM traffic")
    axes.set_ylabel(f"Attainable {precision.upper()}, TFLOP/s")
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    axes.legend(fontsize=7.5, frameon=False, loc="lower right")
    return figure
