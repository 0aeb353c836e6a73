"""How a plan is run: the commands of every work on what the plan gives it."""

from __future__ import annotations

from typing import Any

from gpuspec.catalog import gpu
from gpuspec.decision.plans import Plan
from gpuspec.decision.scenario import Inference, Tenants, Training
from gpuspec.decision.scenario.questions import job_question, service_question
from gpuspec.topics.commands import Command, Run
from gpuspec.topics.mig import MigQuestion, pack, tenant_options
from gpuspec.topics.mig.answer import commands
from gpuspec.topics.serving.running import service_run
from gpuspec.topics.training.answer import best_layout
from gpuspec.topics.training.running import training_run


def plan_runs(plan: Plan) -> list[Run]:
    """Return how each work of a plan is run, in the order of `Plan.runs`."""
    found = []
    for run in plan.runs.to_dict("records"):
        made = _run(plan, run)
        months = f" from month {run['from_month']:g}" if run["from_month"] else ""
        found.append(made._replace(of=f"{run['workload']}{months}: {made.of}"))
    return found


def _run(plan: Plan, run: dict[Any, Any]) -> Run:
    s, mine = plan.problem.scenario, plan.problem.options[run["place"]]
    work, row = s.workloads[run["place"]], dict(mine.table.iloc[run["way"]])
    if isinstance(work, Inference):
        q = service_question(work, [run["gpu"]], list(s.allow.weights))
        copies = max(run["gpus"] / float(row["unit_gpus"]), 1.0)
        load = (q.arriving or float(q.in_flight)) * float(mine.sizes.max()) / copies
        return service_run(q, row, load, copies)
    if isinstance(work, Training):
        count, device = int(row["unit_gpus"]), gpu(run["gpu"])
        job = job_question(work, [run["gpu"]], count, run["precision"])
        return training_run(job, {**dict(best_layout(job, device, count)), "gpu": device.id})
    name = gpu(run["gpu"]).name
    if isinstance(work, Tenants):
        goal = {"objective": "gpus", "prices": f"{run['gpu']}=1", "reserve": 0.0}
        asked = MigQuestion.ask(tenants=work.table, gpus=[run["gpu"]], **goal)
        lines = "\n".join(commands(pack(asked, tenant_options(asked))))
        return Run(f"slices of {name}", (Command("Create the instances", lines),), ())
    what = "images" if work.kind == "images" else "simulations"
    why = f"No commands are written here for {what}."
    return Run(f"{run['gpus']:g} x {name}", (), (why,))
