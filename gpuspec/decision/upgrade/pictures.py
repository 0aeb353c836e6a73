"""Pictures of upgrade plans: what is there, what runs where, what strategies cost."""

from collections.abc import Mapping
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from gpuspec.decision.upgrade import HELD, PARTS, quarter_names, short
from gpuspec.views import charts

_HATCH = {"owned": "", "committed": "//", "by the hour": "..", "spot": "xx"}
_PART_SHADES = {
    "owned today": ("#ffffff", "----", "#777777"),
    "nodes bought": ("#0072B2", "", "white"),
    "space and upkeep": ("#56B4E9", "//", "white"),
    "energy": ("#F0E442", "", "white"),
    "commitments": ("#009E73", "\\\\", "white"),
    "by the hour": ("#E69F00", "..", "white"),
    "spot": ("#CC79A7", "xx", "white"),
    "migration": ("#D55E00", "++", "white"),
    "resale and residual": ("#bbbbbb", "", "white"),
}
_LINES = ("-", "--", ":", "-.", (0, (1, 3)))
_MILLIONS = FuncFormatter(lambda value, _: f"{value / 1e6:,.3g}")


def fleet_timeline(gpus: pd.DataFrame, title: str) -> Figure:
    """Draw the GPUs that are there in each quarter, stacked by kind and by how they are held."""
    figure, axes = charts.blank_axes(7.0, 3.6)
    colors, quarters = charts.gpu_colors(gpus["gpu"].unique()), int(gpus["quarter"].max()) + 1
    bottom, handles = np.zeros(quarters), []
    for name, color in colors.items():
        for how in HELD:
            held = gpus[(gpus["gpu"] == name) & (gpus["held"] == how)]
            values = held.sort_values("quarter", kind="stable")["gpus"].to_numpy(float)
            if not values.any():
                continue
            style: Any = {"facecolor": color, "hatch": _HATCH[how], "edgecolor": "white"}
            axes.bar(range(quarters), values, 0.85, bottom, linewidth=0.4, **style)
            handles.append(Patch(label=f"{short(name)} {how}", **style))
            bottom += values
    axes.set_xticks(range(quarters), quarter_names(quarters), fontsize=8)
    axes.set_ylabel("GPUs (by the hour: mean)")
    axes.set_ylim(0, max(bottom.max() * 1.25, 1))
    axes.legend(handles=handles, fontsize=7.5, frameon=False, ncols=3, loc="upper left")
    charts.headline(axes, title)
    return figure


def runs_matrix(runs: pd.DataFrame, workloads: list[str], quarters: int, title: str) -> Figure:
    """Draw what runs where: a row a workload, a column a quarter, shares by kind side by side."""
    figure, axes = charts.blank_axes(7.0, 1.3 + 0.68 * len(workloads), grid="")
    colors = charts.gpu_colors(sorted(runs["gpu"].unique()))
    edge: Any = {"edgecolor": "white", "linewidth": 0.5}
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.8}
    for row, workload in enumerate(workloads):
        for quarter in range(quarters):
            mine = runs[(runs["workload"] == workload) & (runs["quarter"] == quarter)]
            shares = mine.groupby("gpu")["share"].sum()
            left = quarter - 0.46
            for name, share in shares.items():
                width = 0.92 * float(share) / max(float(shares.sum()), 1e-9)
                axes.barh(row, width, 0.8, left, color=colors[str(name)], **edge)
                left += width
            if len(mine):
                text = "\n".join(_cell(mine))
                axes.text(quarter, row, text, ha="center", va="center", fontsize=6, bbox=box)
    charts.row_names(axes, workloads, below=0.45)
    axes.set_xticks(range(quarters), quarter_names(quarters), fontsize=8)
    axes.set_xlim(-0.5, quarters - 0.5)
    axes.tick_params(length=0)
    axes.spines[["left", "bottom"]].set_visible(False)
    handles = [Patch(color=color, label=short(name)) for name, color in colors.items()]
    charts.legend_below(axes, 4, 7.5, handles)
    charts.headline(axes, title)
    return figure


def _cell(runs: pd.DataFrame) -> list[str]:
    """Return a line a kind: how many GPUs, or how many jobs."""
    lines = []
    for name, group in runs.groupby("gpu"):
        job = bool(group["job"].any())
        count = group["units"].sum() if job else group["gpus"].sum()
        lines.append(f"{short(str(name))}\n{count:.0f} {'jobs' if job else 'GPUs'}")
    return lines


def strategy_costs(
    parts: Mapping[str, Mapping[str, float]], spans: pd.DataFrame, undone: list[str], title: str
) -> Figure:
    """Draw the cost of each strategy by part, what comes back below zero, and its interval."""
    figure, axes = charts.blank_axes(7.0, 1.5 + 0.5 * len(parts), grid="x")
    names = list(parts)
    costs = {part: np.array([parts[name][part] for name in names]) for part in PARTS}
    looks = {
        part: {"color": color, "hatch": hatch, "edgecolor": edge, "linewidth": 0.4}
        for part, (color, hatch, edge) in _PART_SHADES.items()
    }
    charts.stacked_rows(axes, {part: usd for part, usd in costs.items() if usd.any()}, looks)
    net = np.array([sum(parts[name].values()) for name in names])
    ends = spans.set_index("strategy").loc[names]
    spread = np.abs(np.array([net - ends["cost_usd_low"], ends["cost_usd_high"] - net]))
    mark: Any = {"fmt": "D", "color": "black", "markersize": 5, "capsize": 3}
    axes.errorbar(net, range(len(names)), xerr=spread, label="net, with 80 % interval", **mark)
    labels = [f"{n}\n(work undone)" if n in undone else n for n in names]
    axes.set_yticks(range(len(names)), labels, fontsize=8)
    axes.invert_yaxis()
    axes.axvline(0, color="black", linewidth=0.8)
    axes.xaxis.set_major_formatter(_MILLIONS)
    axes.set_xlabel("discounted cost, million USD")
    charts.titled(axes, fill(title, 88), 5)
    return figure


def wait_or_buy(table: pd.DataFrame, title: str) -> Figure:
    """Draw the cost of buying now and of waiting, grouped by drift, with what is bought."""
    figure, axes = charts.blank_axes(7.0, 3.1)
    drifts = list(dict.fromkeys(table["drift"]))
    waits = sorted(table["first_buy"].unique())
    width, shades = 0.8 / len(waits), (("#0072B2", ""), ("#E69F00", "//"), ("#999999", ".."))
    top = float(table["cost_usd"].max())
    for i, wait in enumerate(waits):
        values = table[table["first_buy"] == wait].set_index("drift").loc[drifts]
        place = np.arange(len(drifts)) + (i - (len(waits) - 1) / 2) * width
        label = "free to buy now" if wait == 0 else f"nothing bought before Q{wait + 1}"
        color, hatch = shades[i % len(shades)]
        style: Any = {"facecolor": color, "hatch": hatch, "edgecolor": "white"}
        axes.bar(place, values["cost_usd"], width * 0.94, label=label, **style)
        for x, (_, row) in zip(place, values.iterrows(), strict=True):
            count = int(row["nodes"])
            text = f"{count} node{'s' if count != 1 else ''} from Q{int(row['first_order']) + 1}"
            text = text if count else "none bought"
            axes.text(x, row["cost_usd"] + 0.02 * top, text, ha="center", va="bottom", fontsize=7)
    axes.set_xticks(range(len(drifts)), [f"prices {d}" for d in drifts], fontsize=8)
    axes.yaxis.set_major_formatter(_MILLIONS)
    axes.set_ylabel("discounted cost, million USD")
    axes.set_ylim(0, 1.3 * top)
    axes.legend(fontsize=8, frameon=False, loc="upper left", ncols=2)
    charts.headline(axes, title)
    return figure


def effort_lines(table: pd.DataFrame, title: str) -> Figure:
    """Draw the cost of each plan against the multiple of the effort of moving."""
    figure, axes = charts.blank_axes(7.0, 3.1)
    styles = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7")
    for i, name in enumerate(table.columns):
        look: Any = {"color": styles[i % len(styles)], "linestyle": _LINES[i % len(_LINES)]}
        look |= {"marker": charts.MARKERS[i % len(charts.MARKERS)], "markersize": 4}
        axes.plot(table.index, table[name], label=name, **look)
    axes.set(xlabel="effort of moving, multiples of what is assumed")
    axes.set_ylabel("discounted cost, million USD")
    axes.yaxis.set_major_formatter(_MILLIONS)
    axes.set_ylim(0, 1.15 * float(table.to_numpy().max()))
    axes.legend(fontsize=8, frameon=False, ncols=2, loc="lower right")
    charts.headline(axes, title)
    return figure
