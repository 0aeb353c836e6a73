"""Pictures of predictions against measurements of every kind."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from gpuspec.base.units import GIB
from gpuspec.evidence.validation import Validation
from gpuspec.topics.serving.pictures import validation_scatter
from gpuspec.views.charts import MARKERS, gpu_colors, headed
from gpuspec.views.spellings import spelt

PLAIN = {
    "posttraining": ("algorithm", "s", 1.0),
    "memory": ("kind", "GiB of a GPU", GIB),
    "mig": ("load", "slice over whole GPU", 1.0),
    "images": ("stack", "s an image", 1.0),
}
"""Kinds that are drawn as they are: by which column, the unit, and what it counts."""


def scatter(found: Validation, title: str) -> Figure:
    """Draw predicted against measured of any kind, one colour a GPU, with lines at 20 %."""
    if found.kind in PLAIN:
        return _plain(found.rows, *PLAIN[found.kind], title)
    draw = {
        "inference": validation_scatter,
        "training": training_scatter,
        "collectives": collectives_scatter,
        "hpc": hpc_scatter,
    }[found.kind]
    return draw(found.rows, title)


def _plain(rows: pd.DataFrame, split: str, unit: str, scale: float, title: str) -> Figure:
    scaled = rows.assign(measured=rows["measured"] / scale, predicted=rows["predicted"] / scale)
    parts = {str(name): part for name, part in scaled.groupby(split)}
    return _panels(parts, ("measured", "predicted"), unit, title)


def training_scatter(rows: pd.DataFrame, title: str) -> Figure:
    """Draw model TFLOP/s of a GPU: frameworks that the fit had seen beside those it had not."""
    parts = {
        "framework known": rows[rows["known"].astype(bool)],
        "framework never seen": rows[~rows["known"].astype(bool)],
    }
    columns = ("measured_tflops", "predicted_tflops")
    return _panels(parts, columns, "model TFLOP/s of a GPU", title)


def collectives_scatter(rows: pd.DataFrame, title: str) -> Figure:
    """Draw milliseconds of a collective: in a node beside between nodes."""
    scaled = rows.assign(measured=rows["measured"] * 1e3, predicted=rows["predicted"] * 1e3)
    parts = {name: scaled[scaled["reach"] == name] for name in ("in a node", "between nodes")}
    return _panels(parts, ("measured", "predicted"), "ms", title)


def hpc_scatter(rows: pd.DataFrame, title: str) -> Figure:
    """Draw speeds of a GPU over the median of what they can be compared with.

    Figures that stand alone (over the median of their class) beside those of one pair (over
    the median of the pair).
    """
    alone = rows["absolute"].astype(bool)
    mates = np.where(
        alone, rows["workload"] + rows["metric"], rows["source_id"] + "|" + rows["group"]
    )
    middle = rows["measured"].groupby(mates).transform("median")
    scaled = rows.assign(
        measured=rows["measured"] / middle,
        predicted=rows["predicted"] / middle,
        gpu=rows["gpu"].str.split("-").str[0],  # families: there are more GPUs than colours
    )
    parts = {"figures that stand alone": scaled[alone], "figures with a partner": scaled[~alone]}
    drawn = _panels(parts, ("measured", "predicted"), "over the median of its kind", title)
    for panel in drawn.axes:
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_major_locator(LogLocator(2, numticks=20))
            axis.set_minor_formatter(NullFormatter())
    return drawn


def _panels(
    parts: dict[str, pd.DataFrame], columns: tuple[str, str], unit: str, title: str
) -> Figure:
    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    parts = {name: part for name, part in parts.items() if len(part)}
    axes = np.atleast_1d(figure.subplots(1, max(len(parts), 1)))
    every = pd.concat(parts.values()) if parts else pd.DataFrame({"gpu": []})
    looks = gpu_colors(sorted(every["gpu"].unique()))
    markers = {name: MARKERS[i % len(MARKERS)] for i, name in enumerate(looks)}
    for panel, (name, part) in zip(axes, parts.items(), strict=False):
        for gpu, group in part.groupby("gpu"):
            panel.scatter(
                group[columns[0]],
                group[columns[1]],
                s=9,
                linewidth=0,
                alpha=0.6,
                color=looks[str(gpu)],
                marker=markers[str(gpu)],
            )
        _equal(panel, part[list(columns)])
        panel.set(xscale="log", yscale="log", xlabel=f"measured, {unit}")
        panel.set_title(f"{spelt(name)} ({len(part):,})", fontsize=8)
        panel.tick_params(labelsize=7)
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_major_formatter("{x:g}")
    axes[0].set_ylabel(f"predicted, {unit}")
    handles = [
        Line2D(
            [], [], color=color, marker=markers[name], label=spelt(name), linewidth=0, markersize=4
        )
        for name, color in looks.items()
    ]
    figure.legend(handles=handles, fontsize=6.5, ncols=5, loc="outside lower center", frameon=False)
    headed(figure, title, 84)
    return figure


def _equal(panel: Axes, values: pd.DataFrame) -> None:
    """Draw where predicted equals measured, and 20 % to either side."""
    ends = np.array([values.min().min(), values.max().max()])
    for factor, line in ((1.0, "-"), (1.2, ":"), (1 / 1.2, ":")):
        panel.plot(ends, ends * factor, color="#555555", linewidth=0.7, linestyle=line)
