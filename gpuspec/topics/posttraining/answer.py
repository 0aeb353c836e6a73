"""Tables behind the answer about reinforcement learning."""

from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
import pandas as pd

from gpuspec.base.units import GB, NODE_GPUS
from gpuspec.catalog import Gpu
from gpuspec.constants.posttraining import posttraining_interval
from gpuspec.constants.stored import own_factor
from gpuspec.formulas.cost import gpu_hour_usd
from gpuspec.formulas.memory import state_parts
from gpuspec.formulas.posttraining import (
    STAGES,
    refit_seconds,
    rollout_seconds,
    step_seconds,
    step_stages,
    streamed_seconds,
    with_terms,
)
from gpuspec.formulas.serving import Deployment, max_concurrency
from gpuspec.formulas.training.offload import PCIE_SHARE
from gpuspec.topics.cost.ask import CostQuestion
from gpuspec.topics.posttraining.ask import PostTrainingQuestion
from gpuspec.topics.posttraining.ground import levels, run_ground, setting
from gpuspec.topics.serving.layouts import replicas, shortfall, unworkable
from gpuspec.topics.training.answer import best_layout, run_figures
from gpuspec.topics.training.layouts import layout_job, layout_parts
from gpuspec.topics.ways import Row

HOST_LINK_BYTES_S = 64e9
"""Rate of a GPU's way to its host where the catalogue has none."""
SPLITS_TRIED = (0.25, 1 / 3, 0.5, 2 / 3, 0.75)
"""Shares of the GPUs that are tried for generation where it has a pool of its own."""
LEAST_TRAINED = 1
Written = tuple[Deployment, float, float]
"""A replica, how many of them there are, and the seconds of all answers of a step."""


def runs_table(question: PostTrainingQuestion) -> pd.DataFrame:
    """Return one row for each GPU and number of them: the fastest way to run a step, and the run.

    Columns: ``gpu``, ``gpus``, ``generation_gpus`` and ``training_gpus`` (both all of them where
    they take turns), ``generation_tp``, ``generation_pp``, ``replicas``, ``in_flight`` (answers
    that all replicas hold at once), the layout of training, ``step_s`` with ``step_s_low`` and
    ``step_s_high`` (80 % interval), the seconds of each of `formulas.posttraining.STAGES`,
    ``generation_share`` of them, ``days``, ``days_low``, ``days_high``, ``gpu_hours``, ``kwh``,
    ``memory_bytes`` (peak of training on a GPU), ``host_gb`` (of a node, for what takes turns),
    ``usd`` (at the central price on demand), ``answer_tokens_s``, ``ground``, ``works``,
    ``reason``, ``meets``, ``surely``.
    """
    return pd.DataFrame(
        [_run(question, device, count) for device in question.devices for count in question.counts]
    )


def _run(question: PostTrainingQuestion, device: Gpu, count: int) -> Row:
    """Return the fastest of the ways to split the GPUs; where none works, the last reason."""
    tried = [_placed(question, device, count, pool) for pool in pools(question, count)]
    if not tried:
        why = "generation apart needs at least two GPUs, and as many nodes as pools beyond one"
        return _failed(device, count, count, why)
    works = [row for row in tried if row["works"]]
    return min(works, key=lambda row: row["step_s"]) if works else tried[-1]


def pools(question: PostTrainingQuestion, count: int) -> list[int]:
    """Return the GPUs that generate, of `count`, in each split that is tried.

    All of them where they take turns. Apart, pools of more than a node are whole nodes.

    >>> pools(PostTrainingQuestion.ask(placement="apart", counts=32), 32)
    [8, 16, 24]
    """
    q = question
    if q.placement == "together":
        return [count]
    if q.generation_gpus:
        return [q.generation_gpus] if q.generation_gpus < count else []
    unit = q.gpus_per_node if count >= 2 * q.gpus_per_node else 1
    sizes = {max(round(count * share / unit), 1) * unit for share in SPLITS_TRIED}
    return sorted(size for size in sizes if size < count)


def _placed(question: PostTrainingQuestion, device: Gpu, count: int, pool: int) -> Row:
    """Return the row of one split of the GPUs."""
    q, apart = question, question.placement == "apart"
    trained = count - pool if apart else count
    update = q.update(trained) if _whole(q, trained) else None
    if update is None:
        why = f"training: beyond one node give multiples of its {q.gpus_per_node} GPUs"
        return _failed(device, count, pool, why)
    best = best_layout(update, device, trained)
    if not best["works"]:
        return _failed(device, count, pool, f"training: {best['reason']}", dict(best))
    written, why = writers(q, device, pool)
    if written is None:
        return _failed(device, count, pool, f"generation: {why}", dict(best))
    replica, copies, seconds = written
    grid = pd.DataFrame([best])
    parts = {name: float(part[0]) for name, part in layout_parts(update, device, grid).items()}
    held = _taking_turns(q, device, grid, trained)
    found = with_terms(
        step_stages(
            seconds,
            parts,
            best["zero_stage"],
            updates=q.updates,
            passes=q.passes,
            reference=q.reference_policy,
            critic=q.algorithm == "ppo",
            trained=q.tuning == "full",
            environment_s=q.environment_s,
            refit_s=refit_seconds(
                _weights_bytes(replica),
                held["policy"] * (not apart),
                q.refit_gb_s * GB,
                held["link"],
            ),
        ),
        q.terms,
    )
    swapped = {name: 2 * held[name] / held["link"] for name in ("reference", "critic")}
    stages = {name: float(s) + swapped.get(name, 0.0) for name, s in found.items()}
    step = float(step_seconds(stages, overlapped=q.late > 0))
    ground = run_ground(q, device, count, pool, dict(best), replica, q.answers / copies)
    said = setting(q, device, count) | levels(q)
    step *= float(own_factor("posttraining", said, ground.code))
    low, high = posttraining_interval(step, said, ground.code)
    row: Row = {
        **_start(device, count, pool, trained),
        "generation_tp": replica.layout.tp,
        "generation_pp": replica.layout.pp,
        "replicas": int(copies),
        "in_flight": min(q.answers / copies, _held(q, replica)) * copies,
        **{n: best[n] for n in LAYOUT},
        "memory_bytes": float(best["memory_bytes"]),
        "host_gb": sum(held[n] for n in ("kept", "reference", "critic"))
        * min(trained, q.gpus_per_node)
        / GB,
        "step_s": step,
        "step_s_low": float(low),
        "step_s_high": float(high),
        **{f"{name}_s": stages[name] for name in STAGES},
        "generation_share": stages["generation"] / sum(stages.values()),
        "answer_tokens_s": q.answers * q.osl / step,
        "ground": ground.told(),
        "works": True,
        "reason": "",
    }
    each = update.tokens_per_step / (q.updates * q.batch * (q.isl + q.osl))
    run = run_figures(update, device, count, step * each)
    row |= {n: float(run[n]) for n in ("days", "gpu_hours", "goodput", "kwh")}
    row |= {f"days_{end}": row["days"] * row[f"step_s_{end}"] / step for end in ("low", "high")}
    row["usd"] = row["gpu_hours"] * hour_usd(device)
    row["meets"] = row["days"] <= q.deadline_days
    row["surely"] = row["days_high"] <= q.deadline_days
    return row


LAYOUT = (
    *("tp", "pp", "cp", "ep", "dp", "micro_batch", "microbatches", "zero_stage"),
    *("recompute", "recompute_share", "offload"),
)
"""Columns of the layout of training."""


def _whole(question: PostTrainingQuestion, count: int) -> bool:
    return count <= question.gpus_per_node or count % question.gpus_per_node == 0


def _start(device: Gpu, count: int, pool: int, trained: int) -> Row:
    counts = {"gpus": count, "generation_gpus": pool, "training_gpus": trained}
    return {"gpu": device.id, **counts}


def _failed(device: Gpu, count: int, pool: int, why: str, best: Row | None = None) -> Row:
    """Return the row of a split that does not work, with the layout that comes nearest."""
    found = best or {}
    layout = {n: found.get(n, "" if n in ("recompute", "offload") else 0) for n in LAYOUT}
    blank = (
        "step_s",
        "days",
        "gpu_hours",
        "usd",
        "kwh",
        "generation_share",
        "answer_tokens_s",
        "host_gb",
    )
    figures = {name: float("inf") for name in ("step_s", "days")}
    figures |= {f"{name}_{end}": float("inf") for name in figures for end in ("low", "high")}
    figures |= {f"{name}_s": float("nan") for name in STAGES}
    figures |= {name: float("nan") for name in blank if name not in figures}
    counts = {"generation_tp": 0, "generation_pp": 0, "replicas": 0, "in_flight": 0.0}
    ends = {"works": False, "reason": why, "meets": False, "surely": False}
    known: Row = {"memory_bytes": float(found.get("memory_bytes", float("nan"))), "goodput": 0.0}
    trained = count - pool if pool < count else count
    known["ground"] = {"level": "", "reasons": []}
    start = _start(device, count, pool, trained)
    return {**start, **counts, **layout, **figures, **known, **ends}


@lru_cache(512)
def writers(question: PostTrainingQuestion, device: Gpu, pool: int) -> tuple[Written | None, str]:
    """Return the fastest replicas that write the answers of a step on `pool` GPUs, or why none."""
    q, why = question, ""
    best: Written | None = None
    for replica, reason in _replicas(q, device, pool):
        if reason:
            why = why or reason
            continue
        copies = pool // replica.gpus
        asked = replica, q.answers / copies, float(q.isl), q.lengths, float(q.generations)
        streams = q.late > 0 and q.in_flight_updates
        seconds = streamed_seconds(*asked, q.late) if streams else rollout_seconds(*asked)
        if np.isfinite(seconds) and (best is None or seconds < best[2]):
            best = (replica, float(copies), seconds)
    return best, why or "the cache of one answer does not fit"


def _replicas(q: PostTrainingQuestion, device: Gpu, pool: int) -> Iterator[tuple[Deployment, str]]:
    """Yield each replica that is tried, and why it does not work."""
    asked, limited = q.serving(device, pool), q.update(q.gpus_per_node).as_limited(device)
    form = asked.formats[0]
    tried: Iterable[tuple[Deployment, str]]
    if q.generation_tp is None:
        tried = ((replica, why) for _, replica, why in replicas(asked, limited, form))
    elif q.generation_tp > pool:
        valid = f"generation_tp {q.generation_tp} takes more than the {pool} GPUs that generate"
        tried = [(asked.replica(limited, form, 1), valid)]
    else:
        replica = asked.replica(limited, form, q.generation_tp)
        why = unworkable(asked.runtime.engine, replica.layout)
        tried = [(replica, why or shortfall(replica, asked.held_context))]
    for replica, why in tried:
        tp, node = replica.layout.tp, q.gpus_per_node
        crosses = node < NODE_GPUS and tp > node  # engines know nodes of eight
        yield replica, why or (f"TP {tp} crosses the {node} GPUs of a node" if crosses else "")


def _held(q: PostTrainingQuestion, replica: Deployment) -> float:
    """Return the answers that memory of a replica holds at once."""
    longer = min(q.lengths.biased, q.lengths.most)
    return float(max_concurrency(replica, q.isl, longer))


def _weights_bytes(replica: Deployment) -> float:
    """Return the bytes of all weights as the engine keeps them."""
    return replica.layout.network.params * replica.layout.weight.main.bytes_per_weight


def _taking_turns(
    q: PostTrainingQuestion, device: Gpu, grid: pd.DataFrame, trained: int
) -> dict[str, float]:
    """Return the bytes of a GPU that go to host memory and come back, and the link's rate.

    ``policy``: its states, which give way to the engine; ``kept``: those for which the host needs
    room; ``reference``: the weights of the reference; ``critic``: the states of the critic.
    """
    from gpuspec.catalog.frameworks import framework_record

    update = q.update(trained)
    job = layout_job(update.seq_len, grid, framework_record(q.framework))
    states = state_parts(q.network, update.recipe, job, adapter=update.adapter)
    policy = float(sum(np.ravel(part)[0] for part in states.values()))
    weights = float(np.ravel(states["weights"])[0])
    share = 2.0 / max(update.recipe.weight_bytes, 2.0) if update.adapter is None else 1.0
    link = (device.pcie_bytes_s or HOST_LINK_BYTES_S) * PCIE_SHARE
    # Adapters are switched off for the reference: it is the frozen base itself.
    reference = weights * share if q.reference_policy and update.adapter is None else 0.0
    return {
        "policy": policy,
        "kept": policy if q.placement == "together" else 0.0,
        "reference": reference,
        "critic": policy if q.algorithm == "ppo" else 0.0,
        "link": link,
    }


@lru_cache(256)
def hour_usd(device: Gpu) -> float:
    """Return what an hour of a GPU costs on demand at specialist clouds; NaN where nothing says."""
    asked = CostQuestion.ask(gpus=device.id, used_hours_share=1.0)
    found = asked.offers(("on-demand",))
    mine = found[(found["gpu"] == device.id) & (found["tier"] == "specialist")]
    return float(gpu_hour_usd(mine, 1.0)["central"].iloc[0]) if len(mine) else float("nan")


def deadline_table(question: PostTrainingQuestion, runs: pd.DataFrame) -> pd.DataFrame:
    """Return for each GPU the fewest of those tried that meet the deadline, else the fastest."""
    rows = []
    for _, group in runs.groupby("gpu", sort=False):
        met, works = group[group["meets"]], group[group["works"]]
        rows.append(
            met.iloc[0]
            if len(met)
            else works.sort_values("days").iloc[0]
            if len(works)
            else group.iloc[-1]
        )
    return pd.DataFrame(rows).reset_index(drop=True)


def stages_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the share that each stage takes, for rows that work; index GPUs, a column a stage."""
    works = runs[runs["works"]]
    seconds = works[[f"{name}_s" for name in STAGES]].rename(columns=lambda n: n.removesuffix("_s"))
    labels = [f"{r.gpus:,} x {r.gpu}" for r in works.itertuples()]
    return seconds.div(seconds.sum(axis=1), axis=0).set_axis(labels)
