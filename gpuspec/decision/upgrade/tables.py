"""A plan in words and rows: orders, what runs where, what is there."""

import numpy as np
import pandas as pd

from gpuspec.catalog.models.formats import format_title
from gpuspec.decision.upgrade.ask import UpgradeQuestion
from gpuspec.decision.upgrade.derived import HOURLY, SPOT
from gpuspec.decision.upgrade.problem import SITES, FleetProblem
from gpuspec.decision.upgrade.solve import Plan

HELD = ("owned", "committed", "by the hour", "spot")
"""How GPUs are there, in the order in which pictures stack them."""
COMMITTED = {4: "for a year", 12: "for three years"}


def short(gpu_id: str) -> str:
    """Return the family of a GPU as people say it.

    >>> short("h200-sxm-141")
    'H200'
    """
    return gpu_id.split("-")[0].upper()


def quarter_names(quarters: int) -> list[str]:
    """Return Q1, Q2... as pictures and tables call the quarters from now on."""
    return [f"Q{t + 1}" for t in range(quarters)]


def gpus_table(problem: FleetProblem, plan: Plan) -> pd.DataFrame:
    """Return GPUs there by ``gpu``, ``held`` and ``quarter``; by the hour: the quarter's mean."""
    work, kinds = problem.work, problem.kinds
    rows = []
    for k, name in enumerate(kinds.names):
        mine = work.kind == k
        hours = work.gpu_quarters[mine] * work.hours_share[mine, None]
        held = {
            "owned": plan.owned[k] * kinds.node_gpus,
            "committed": plan.reserved[k] * kinds.node_gpus,
            "by the hour": (plan.units[mine, HOURLY] * hours).sum(0),
            "spot": (plan.units[mine, SPOT] * hours).sum(0),
        }
        for how, values in held.items():
            rows += [(name, how, t, float(v)) for t, v in enumerate(values)]
    return pd.DataFrame(rows, columns=["gpu", "held", "quarter", "gpus"])


def orders_table(problem: FleetProblem, plan: Plan) -> pd.DataFrame:
    """Return what is decided when: ``quarter``, ``gpu``, ``what``, ``nodes``, ``usd`` paid.

    USD of a commitment is its whole term; of a sale what comes in, below 0.
    """
    kinds = problem.kinds
    orders = {"buy": (plan.bought, kinds.capital)}
    for c, length in enumerate(kinds.terms):
        what = f"rent {COMMITTED.get(length, f'for {length} quarters')}"
        orders[what] = plan.committed[c], kinds.committed[c] * kinds.node_gpus * length
    orders["sell"] = plan.retired, -kinds.resale[:, :-1]
    rows = [
        (t, name, what, count[k, t], count[k, t] * usd[k, t])
        for t in range(problem.shape[1])
        for k, name in enumerate(kinds.names)
        for what, (count, usd) in orders.items()
        if count[k, t]
    ]
    return pd.DataFrame(rows, columns=["quarter", "gpu", "what", "nodes", "usd"])


def runs_table(question: UpgradeQuestion, plan: Plan) -> pd.DataFrame:
    """Return what runs where: one row a workload, way, site and quarter with any units.

    Columns: ``workload``, ``gpu``, ``precision``, ``split``, ``site``, ``quarter``, ``units``,
    ``gpus`` (at once, of all units of a service; of one job), ``share`` (of the demand), ``job``,
    ``ground`` (level and reasons).
    """
    work, rows = question.problem.work, []
    ways = question.ways
    for o, site, t in np.argwhere(plan.units > 0):
        way, w = ways[o], int(work.workload[o])
        units = float(plan.units[o, site, t])
        share = min(units * work.output[o] / max(work.demand[w, t], 1e-12), 1.0)
        gpus = way.gpus * (1.0 if work.is_job[w] else units)
        place = work.names[w], way.gpu, way.precision, way.split, SITES[site]
        ground = way.ground.told()
        rows.append((*place, int(t), units, gpus, share, bool(work.is_job[w]), ground))
    columns = ["workload", "gpu", "precision", "split", "site", "quarter", "units", "gpus"]
    return pd.DataFrame(rows, columns=[*columns, "share", "job", "ground"])


def moves_table(question: UpgradeQuestion, plan: Plan) -> pd.DataFrame:
    """Return where each workload ends up and what has to be done for it: one row a workload.

    ``workload``, ``first`` and ``last`` (GPUs and precision in the first quarter and the last
    one with work), ``effort_usd`` (one-off, without that of new kinds), ``hunger_gb``.
    """
    runs, rows = runs_table(question, plan), []
    used = (plan.units.sum((1, 2)) > 0) * question.problem.work.move_usd
    for w, demand in enumerate(question.demands):
        mine = runs[runs["workload"] == demand.name]
        effort = float(used[question.problem.work.workload == w].sum())
        ends = [_where(mine, q) for q in (mine["quarter"].min(), mine["quarter"].max())]
        rows.append((demand.name, *ends, effort, demand.hunger_bytes / 1e9))
    return pd.DataFrame(rows, columns=["workload", "first", "last", "effort_usd", "hunger_gb"])


def _where(runs: pd.DataFrame, quarter: float) -> str:
    """Say on what a workload runs in a quarter, the largest share first."""
    now = runs[runs["quarter"] == quarter].groupby(["gpu", "precision"], as_index=False)
    table = now.agg({"share": "sum"}).sort_values("share", ascending=False, kind="stable")
    parts = zip(
        table["gpu"], table["precision"], table["share"] / table["share"].sum(), strict=True
    )
    places = [
        f"{short(gpu)} {format_title(form)}" + (f" {part:.0%}" if part < 0.995 else "")
        for gpu, form, part in parts
    ]
    return ", ".join(places) or "nowhere"


def capacity_table(question: UpgradeQuestion) -> pd.DataFrame:
    """Return the ways that the programme chooses among, one row each.

    ``workload``, ``gpu``, ``precision``, ``gpus``, ``split``, ``does`` (in words), ``move_usd``.
    """
    rows, work = [], question.problem.work
    for way, workload, effort in zip(question.ways, work.workload, work.move_usd, strict=True):
        demand, known = question.demands[workload], way.days[way.days > 0]
        unit = f"{known[0]:,.1f} days a job" if len(known) else f"{way.output:,.3g} {demand.unit}"
        rows.append((demand.name, way.gpu, way.precision, way.gpus, way.split, unit, effort))
    columns = ["workload", "gpu", "precision", "gpus", "split", "does", "move_usd"]
    return pd.DataFrame(rows, columns=columns)
