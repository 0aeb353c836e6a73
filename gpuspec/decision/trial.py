"""Which one or two measurements change a decision most, where, for how long, and their commands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gpuspec.base.lazy import pd
from gpuspec.catalog import gpu
from gpuspec.catalog.engines import engine_for
from gpuspec.constants.engine import engine as known_engine
from gpuspec.decision.decide import Decision
from gpuspec.decision.running import run_of
from gpuspec.decision.scenario import Inference, Training
from gpuspec.decision.scenario.questions import service_question
from gpuspec.decision.worth import TRIAL
from gpuspec.topics.commands import RESULT, Command, Run, checkpoint, shell
from gpuspec.topics.serving.running import FEWEST, RATE_S, WAVES
from gpuspec.topics.serving.running import MOST as LARGEST
from gpuspec.views.amounts import money
from gpuspec.views.language import say

MOST = 2
SURELY = 2.0
"""Standard errors above nothing from which a trial is told to be worth its amount."""
START_H = 0.5
"""Hours to rent a node, fetch the weights and start."""
REPEATS = 3
"""Runs of a benchmark: the first warms up."""
LONGEST_H = 8.0
BENCH_S, STEPS = 600.0, 50
"""Seconds of a benchmark of a service, and steps of a job."""
TABLE, FOLDER = "mine.csv", "my-calibration"
PORTS = {"sglang": 30000}
"""Where an engine listens unless told; the others at 8000."""
AIPERF, GUIDELLM = "AIPerf 0.13.0", "GuideLLM 0.8.1"
DAY_S = 86_400.0
JOBS = ("training",)


class Trial(NamedTuple):
    """One measurement before signing."""

    work: str
    kind: str
    """Of the work: ``inference``, ``training``..."""
    gpu: str
    gpus: int
    """GPUs that it takes: one replica, or the job."""
    provider: str
    """Who rents them by the hour at the least; empty where nobody of the table does."""
    hours: float
    cost_usd: float
    """NaN where no hour has a price."""
    worth_usd: float
    error_usd: float
    """Standard error of the worth."""
    sure: bool
    """Whether it is surely worth more than it costs."""
    run: Run


def trials(decision: Decision, known: pd.DataFrame, scenario: str) -> list[Trial]:
    """Return the measurements that change a decision most, the most worth first.

    At most `MOST` that are surely worth more than they cost; where none is, the nearest one.

    Parameters
    ----------
    decision : Decision
        What was decided.
    known : DataFrame
        What `gpuspec.decision.worth.worth` says of it.
    scenario : str
        How the question is called on the command line.
    """
    single = known[(known["kind"] == TRIAL) & (known["gpus"].map(len) == 1)]
    made = [_trial(decision, row, scenario) for row in single.to_dict("records")]
    found = sorted(filter(None, made), key=lambda one: -one.worth_usd)
    surely = [one for one in found if one.sure]
    return surely[:MOST] or found[:1]


def _trial(decision: Decision, known: dict[Any, Any], scenario: str) -> Trial | None:
    work, name = known["works"][0], known["gpus"][0]
    place, way, gpus = _way(decision, work, name)
    if way < 0:
        return None
    s, mine = decision.problem.scenario, decision.problem.options[place]
    asked, row = s.workloads[place], dict(mine.table.iloc[way])
    count, hours = int(row["unit_gpus"]), _hours(asked, row)
    offers = decision.offers
    hourly = offers[(offers["gpu"] == name) & (offers["mode"] == "on-demand")]
    hourly = hourly.sort_values("hour_usd", kind="stable").head(1)
    provider = str(hourly["provider"].iloc[0]) if len(hourly) else ""
    hour = float(hourly["hour_usd"].iloc[0]) if len(hourly) else np.nan
    cost = count * hour * hours
    run = {"place": place, "way": way, "gpu": name, "gpus": max(gpus, count)}
    made = run_of(s, mine, {**run, "precision": str(row["precision"])})
    nvidia = gpu(name).vendor == "NVIDIA"  # whose tools what is looked at before belongs to
    commands = [*(_first(asked.kind, count) if nvidia else ()), *made.commands]
    if isinstance(asked, Inference) and made.commands:
        load = float(mine.sizes.max()) * float(row["unit_gpus"]) / run["gpus"]
        commands += _other_clients(asked, name, list(s.allow.weights), load)
    engine = ""
    if isinstance(asked, Inference):
        engine = known_engine(engine_for(gpu(name).vendor, asked.engine)).engine
    commands += _after(asked.kind, name, count, row, scenario, engine, getattr(asked, "model", ""))
    kept = ("Keep the output of the trainer in train.log.",) if asked.kind in JOBS else ()
    return Trial(
        work=work,
        kind=asked.kind,
        gpu=name,
        gpus=count,
        provider=provider,
        hours=hours,
        cost_usd=cost,
        worth_usd=float(known["usd"]),
        error_usd=float(known["error_usd"]),
        sure=_sure(known, cost),
        run=made._replace(commands=tuple(commands), notes=(*made.notes, *kept)),
    )


def _sure(known: dict[Any, Any], cost: float) -> bool:
    least = SURELY * np.nan_to_num(float(known["error_usd"]))
    return bool(known["usd"] > max(least, np.nan_to_num(cost)))


def _way(decision: Decision, work: str, name: str) -> tuple[int, int, float]:
    """Return the place of a work, its way on a GPU in the cheapest plan with it, and its GPUs."""
    scenario = decision.problem.scenario
    place = next(i for i, w in enumerate(scenario.workloads) if w.name == work)
    for plan in sorted(decision.plans, key=lambda one: one.expected_usd):
        for run in plan.runs.to_dict("records"):
            if run["workload"] == work and run["gpu"] == name:
                return place, int(run["way"]), float(run["gpus"])
    table = decision.problem.options[place].table
    own = table[table["works"] & (table["gpu"] == name)].sort_values("gpus", kind="stable")
    if own.empty:
        return place, -1, 0.0
    return place, int(own.index[0]), float(own["gpus"].iloc[0])


def _hours(work: Any, row: dict[Any, Any]) -> float:
    """Return the hours of a trial, to the next half: the start, then its runs."""
    seconds = REPEATS * BENCH_S
    if isinstance(work, Training) and work.tokens and row["days"] > 0:
        steps = float(work.tokens) / (work.global_batch * work.seq_len)
        seconds = STEPS * row["days"] * DAY_S / max(steps, 1.0)
    return min(math.ceil((START_H + seconds / 3600) * 2) / 2, LONGEST_H)


def _first(kind: str, gpus: int) -> tuple[Command, ...]:
    """Return what is looked at before: the machine; slices; kernels of simulations."""
    dump = Command("Note which GPUs these are", "nvidia-smi -q -x > smi.xml")
    if kind == "tenants":
        return (dump, Command("List the slices that it offers", "nvidia-smi mig -lgip"))
    if kind == "hpc":
        hpl = shell("mpirun", "-np", gpus, "./hpl.sh", "--dat", "HPL.dat")
        stream = "./cuda-stream -s 268435456"
        return (
            dump,
            Command("Linpack, of NVIDIA's HPC benchmarks", f"{hpl} | tee hpl.txt"),
            Command("Memory bandwidth: BabelStream", stream),
        )
    return (dump,)


def _other_clients(work: Inference, name: str, forms: list[str], share: float) -> list[Command]:
    """Return other clients that measure the `share` of the load that one replica has."""
    q = service_question(work, [name], forms)
    load = (q.arriving or float(q.in_flight)) * share
    count = math.ceil(load * (RATE_S if q.arriving else WAVES))
    requests, port = min(max(count, FEWEST), LARGEST), PORTS.get(q.runtime.engine, 8000)
    model, url = checkpoint(q.model, q.network), f"http://127.0.0.1:{port}"
    together = max(round(load), 1)
    each = ("--request-rate", f"{load:.4g}") if q.arriving else ("--concurrency", together)
    profile = f"kind=concurrent,streams={together}"
    profile = f"kind=poisson,rate={load:.4g}" if q.arriving else profile
    words = ("--model", model, "--url", url, "--endpoint-type", "completions", "--streaming")
    sizes = ("--isl", q.isl, "--osl", q.osl, *each, "--request-count", requests)
    lengths = f"kind=synthetic_text,prompt_tokens={q.isl},output_tokens={q.osl}"
    guide = ["--backend", f"kind=openai_http,target={url}", "--profile", profile]
    guide += ["--constraint", f"kind=max_requests,count={requests}", "--data", lengths]
    guide += ["--output", f"kind=json,path={RESULT}", "--disable-console"]
    return [
        Command("Or measure it with AIPerf", shell("aiperf", "profile", *words, *sizes), AIPERF),
        Command("Or with GuideLLM", shell("guidellm", "run", *guide), GUIDELLM),
    ]


def _after(
    kind: str, name: str, count: int, row: dict[Any, Any], scenario: str, engine: str, model: str
) -> list[Command]:
    """Return what is done with the output: read it, learn from it, decide again."""
    if kind not in ("inference", "training", "hpc"):
        return []
    files = {"inference": [RESULT], "training": ["train.log"], "hpc": ["hpl.txt"]}[kind]
    files += ["smi.xml"] if gpu(name).vendor == "NVIDIA" else []
    words: list[object] = ["gpuspec", "import", *files, "--gpus", name, "--count", count]
    if kind == "inference":
        words += ["--tp", int(row["tp"]), "--engine", engine, "--model", model]
        words += ["-p", "lengths=fixed", "-p", f"weight_precision={row['precision']}"]
    read = shell(*words, "-o", TABLE)
    learnt = shell("gpuspec", "learn", TABLE, "-o", FOLDER)
    again = shell("gpuspec", "plan", scenario, "--calibration", FOLDER)
    return [
        Command("Read what it wrote", read),
        Command("Let the estimates follow it", learnt),
        Command("Decide again", again),
    ]


def told(found: Sequence[Trial]) -> list[dict[str, Any]]:
    """Return trials as plain values."""
    return [{**one._asdict(), "gpu": gpu(one.gpu).id, "run": one.run.told()} for one in found]


def trial_text(found: Trial) -> str:
    """Say what is tried, where, for how long, at what cost, and what that is worth."""
    price = "" if np.isnan(found.cost_usd) else say(" for {cost}", cost=money(found.cost_usd))
    where = say(" rented from {provider}", provider=found.provider) if found.provider else ""
    text = say(
        "Try {work} on {gpus} x {gpu}{where}: {hours} h{price}, worth {worth} "
        "(standard error {error}).",
        work=found.work, gpus=found.gpus, gpu=gpu(found.gpu).name, where=where,
        hours=f"{found.hours:g}", price=price, worth=money(found.worth_usd),
        error=money(found.error_usd),
    )  # fmt: skip
    if not found.sure:
        text += say(" That is not surely more than it costs: the decision stands without it.")
    return text
