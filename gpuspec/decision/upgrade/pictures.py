"""Pictures of plans over time: what is there, what runs where, what strategies cost."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from gpuspec.decision.plans import PARTS
from gpuspec.decision.upgrade.tables import HELD
from gpuspec.views import charts
from gpuspec.views.language import say
from gpuspec.views.punctuation import label, wrapped
from gpuspec.views.words import gpu_name

_HATCH = {"owned": "", "bought": "\\\\", "contract": "//", "by the hour": "..", "spot": "xx"}
_PART_SHADES = {
    "purchases": ("#0072B2", "", "white"),
    "contracts": ("#009E73", "\\\\", "white"),
    "upkeep": ("#56B4E9", "//", "white"),
    "by the hour": ("#E69F00", "..", "white"),
    "spot": ("#CC79A7", "xx", "white"),
    "energy": ("#F0E442", "", "white"),
    "owned today": ("#bbbbbb", "", "white"),
    "effort": ("#D55E00", "++", "white"),
    "undone": ("#ffffff", "--", "black"),
}
_LINES = ("-", "--", ":", "-.", (0, (1, 3)))
_MILLIONS = FuncFormatter(lambda value, _: f"{value / 1e6:,.3g}")


def fleet_timeline(gpus: pd.DataFrame, periods: list[str], title: str) -> Figure:
    """Draw the GPUs that are there in each period, stacked by kind and by how they are held."""
    figure, axes = charts.blank_axes(7.0, 3.6)
    there = gpus[gpus["gpus"] > 0.005]
    colors, bottom, handles = charts.gpu_colors(there["gpu"].unique()), np.zeros(len(periods)), []
    for name, color in colors.items():
        for how in HELD:
            held = gpus[(gpus["gpu"] == name) & (gpus["held"] == how)]
            values = held.sort_values("period", kind="stable")["gpus"].to_numpy(float)
            if not (values > 0.005).any():
                continue
            style: Any = {"facecolor": color, "hatch": _HATCH[how], "edgecolor": "white"}
            axes.bar(range(len(periods)), values, 0.85, bottom, linewidth=0.4, **style)
            held_so = say("{gpu} {held}", gpu=gpu_name(name), held=how)
            handles.append(Patch(label=held_so, **style))
            bottom += values
    axes.set_xticks(range(len(periods)), periods, fontsize=8)
    axes.set_ylabel("GPUs (by the hour: mean)")
    axes.set_xlabel("from month", fontsize=8)
    axes.set_ylim(0, max(bottom.max(initial=0.0) * 1.25, 1))
    axes.legend(handles=handles, fontsize=7.5, frameon=False, ncols=3, loc="upper left")
    charts.headline(axes, title)
    return figure


def runs_matrix(runs: pd.DataFrame, periods: list[str], title: str) -> Figure:
    """Draw what runs where: a row a workload, a column a period; parts of a work lie side by side,
    as wide as their shares.
    """
    works = list(dict.fromkeys(runs["workload"]))
    figure, axes = charts.blank_axes(7.0, 1.3 + 0.6 * max(len(works), 1), grid="")
    colors = charts.gpu_colors(sorted(runs["gpu"].unique()))
    edge: Any = {"edgecolor": "white", "linewidth": 0.5}
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.8}
    before = runs.groupby(["workload", "period"])["share"].cumsum() - runs["share"]
    for r in runs.assign(before=before).to_dict("records"):
        y, width = works.index(r["workload"]), 0.92 * r["share"]
        left = r["period"] - 0.46 + 0.92 * r["before"]
        hatch = {"by the hour": "..", "spot": "xx"}.get(r["venue"], "")
        axes.barh(y, width, 0.8, left, color=colors[r["gpu"]], hatch=hatch, **edge)
        text = f"{r['gpus']:.0f}"
        axes.text(left + width / 2, y, text, ha="center", va="center", fontsize=7, bbox=box)
    charts.row_names(axes, [label(name) for name in works], below=0.45)
    axes.set_xticks(range(len(periods)), periods, fontsize=8)
    axes.set_xlabel("from month", fontsize=8)
    axes.set_xlim(-0.5, len(periods) - 0.5)
    axes.tick_params(length=0)
    axes.spines[["left", "bottom"]].set_visible(False)
    handles = [Patch(color=color, label=gpu_name(name)) for name, color in colors.items()]
    charts.legend_below(axes, 4, 7.5, handles)
    charts.headline(axes, title)
    return figure


def strategy_costs(table: pd.DataFrame, names: list[str], title: str) -> Figure:
    """Draw the cost of each strategy by part with its 80 % interval; `names` are its rows."""
    figure, axes = charts.blank_axes(7.0, 1.5 + 0.5 * max(len(table), 1), grid="x")
    looks = {
        part: {"color": color, "hatch": hatch, "edgecolor": edge, "linewidth": 0.4}
        for part, (color, hatch, edge) in _PART_SHADES.items()
    }
    costs = {part: table[part].to_numpy(float) for part in PARTS}
    charts.stacked_rows(axes, {part: usd for part, usd in costs.items() if usd.any()}, looks)
    net = table["expected_usd"].to_numpy(float)
    spread = np.abs(np.array([net - table["low"], table["high"] - net]))
    mark: Any = {"fmt": "D", "color": "black", "markersize": 5, "capsize": 3}
    axes.errorbar(net, range(len(net)), xerr=spread, label="in all, with 80 % interval", **mark)
    axes.set_yticks(range(len(names)), [wrapped(say(n), 26) for n in names], fontsize=8)
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(_MILLIONS)
    axes.set_xlabel("cost over the horizon, million USD")
    charts.titled(axes, wrapped(say(title), 88), 5)
    return figure


def effort_lines(table: pd.DataFrame, names: list[str], title: str) -> Figure:
    """Draw the cost of each strategy against the multiple of the effort of change."""
    figure, axes = charts.blank_axes(7.0, 3.1)
    styles = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
    for i, (column, name) in enumerate(zip(table.columns, names, strict=True)):
        look: Any = {"color": styles[i % len(styles)], "linestyle": _LINES[i % len(_LINES)]}
        look |= {"marker": charts.MARKERS[i % len(charts.MARKERS)], "markersize": 4}
        axes.plot(table.index, table[column], label=name, **look)
    axes.set(xlabel="effort of change, multiples of what is assumed")
    axes.set_ylabel("cost over the horizon, million USD")
    axes.yaxis.set_major_formatter(_MILLIONS)
    axes.set_ylim(0, 1.15 * float(table.to_numpy().max(initial=1.0)))
    axes.legend(fontsize=8, frameon=False, ncols=2, loc="lower right")
    charts.headline(axes, title)
    return figure
