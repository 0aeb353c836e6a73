"""Recompute the shipped scenarios from the tables alone, beside what the planner says.

python tools/write_by_hand.py     writes the table into docs/decision.md

What runs where and how many GPUs it takes is the planner's; prices, terms, upkeep and the sums are
recomputed here with nothing but the CSV files of data/ and the four rules of arithmetic, at the
central estimates.
"""

import csv
from pathlib import Path

import numpy as np
from tabulate import tabulate

from gpuspec.decision.decide import decide
from gpuspec.decision.plan.sensitivity import central
from gpuspec.decision.scenario import scenario, scenario_names
from gpuspec.decision.upgrade import runs_table

ROOT = Path(__file__).resolve().parents[1]
HOURS = 730.0


def rows_of(name):
    with (ROOT / "data" / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


OPERATING = {
    r["key"]: float(r["central"])
    for r in rows_of("prices_operating.csv")
    if r["key"] and not r["gpu_id"] and r["central"]
}
NODE_KW = {
    r["gpu_id"]: float(r["central"])
    for r in rows_of("prices_operating.csv")
    if r["key"] == "node_kw" and r["gpu_id"]
}
DEFAULTS = {(r["gpu_id"], r["mode"]): r for r in reversed(rows_of("prices_defaults.csv"))}
RESIDUALS = [OPERATING[f"residual_{year}y"] for year in range(7)]


def left(months):
    """Share of the price that is left after some months."""
    return float(np.interp(months / 12, range(7), RESIDUALS))


def by_hand(name):
    """Return what the plan of a scenario costs: from the tables, and as the planner says."""
    plan = central(decide(scenario(name), quick=True).best)
    p = plan.problem
    offers, cal, names = p.offers, p.calendar, p.kinds.names

    def hour(gpu, mode):
        row = offers[(offers["gpu"] == gpu) & (offers["mode"] == mode)].iloc[0]
        return float(DEFAULTS[gpu, mode]["central"]) * float(row["carried"])

    total, there = 0.0, np.zeros((len(names), len(cal.months)))
    for row in plan.signed.to_dict("records"):
        inside = (cal.edges[:-1] >= row["from_month"] - 1e-9) & (
            cal.edges[:-1] < row["until_month"] - 1e-9
        )
        there[names.index(row["gpu"])] += inside * row["gpus"]
        if row["mode"] == "own":
            months, price = row["paid_months"], row["upfront_usd"]
            share = left(months)
            interest = (1 + share) / 2 * OPERATING["cost_of_capital"] * months / 12
            total += price * (1 - share + interest) + row["month_usd"] * months
        else:
            total += row["gpus"] * hour(row["gpu"], row["mode"]) * HOURS * row["paid_months"]
    runs = runs_table(plan)
    for k, gpu in enumerate(names):
        held = p.kinds.owned[k] - np.cumsum(plan.chosen.sold[k])[cal.round_of]
        for q, months in enumerate(cal.months):
            mine = runs[(runs["gpu"] == gpu) & (runs["period"] == q)]
            pool = mine[(mine["venue"] == "pool") & ~mine["job"]]
            if len(pool):
                names_ = dict(
                    zip((w.name for w in p.scenario.workloads), p.scenario.workloads, strict=True)
                )
                hours = [getattr(names_[w], "hours_per_month", HOURS) for w in pool["workload"]]
                need = sorted(zip(hours, pool["gpus"], strict=True), reverse=True)
                free, usd = there[k, q] + held[q], hour(gpu, "on-demand")
                for hours_month, gpus in need:
                    used = min(free, gpus)
                    free -= used
                    total += (gpus - used) * hours_month * usd * months
    total += sum(float(plan.parts[n].mean()) for n in ("spot", "energy", "owned today", "effort"))
    jobs = [c for c in plan.columns if p.choices.block[c] and p.choices.venue[c] == 1]
    for c in jobs:
        mine = p.options[p.choices.workload[c]]
        way = mine.table.iloc[int(p.choices.way[c])]
        w = p.scenario.workloads[mine.place]
        at = np.flatnonzero((cal.round_of == p.choices.round[c]) & (mine.size_of >= 0))
        for q in at:
            days = float(way["days"]) * mine.sizes[mine.size_of[q]]
            hours = float(way["gpus"]) * days * 24 * w.runs_per_year / 12
            total += hours * hour(str(way["gpu"]), "on-demand") * cal.months[q]
    kept = plan.chosen.sold.sum(axis=1) < p.kinds.owned
    total += float(
        (p.kinds.keep_usd * (p.kinds.owned - plan.chosen.sold.sum(axis=1)) * kept).sum()
    ) * float(cal.edges[-1])
    return total, plan.expected_usd


def table():
    rows = []
    for name in scenario_names():
        hand, planner = by_hand(name)
        rows.append((name, f"{hand:,.0f}", f"{planner:,.0f}", f"{hand / planner - 1:+.2%}"))
    heads = ["Scenario", "By hand, USD", "Planner, USD", "Difference"]
    sides = ("left", "right", "right", "right")
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True, colalign=sides)


def main():
    page = ROOT / "docs/decision.md"
    text = page.read_text("utf-8")
    begin, end = "<!-- by hand -->", "<!-- /by hand -->"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{begin}\n{table()}\n{end}{after}", "utf-8")


if __name__ == "__main__":
    main()
