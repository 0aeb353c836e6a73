"""Every way to run a training job: each GPU, format and number of GPUs, in its best layouts."""

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.base.spread import Kept
from gpuspec.base.units import GIB, HOURS_YEAR
from gpuspec.catalog import Gpu
from gpuspec.catalog.frameworks import framework_record
from gpuspec.catalog.models.formats import STORED
from gpuspec.constants.ground import Ground
from gpuspec.formulas.training import parallel_sizes
from gpuspec.topics.training.answer import DAY, run_days
from gpuspec.topics.training.ask import TrainingQuestion
from gpuspec.topics.training.elsewhere import unfit_reason
from gpuspec.topics.training.ground import layout_ground
from gpuspec.topics.training.layouts import beside_sizes, fastest_layouts
from gpuspec.topics.ways import Row, Ways, filled

COUNTS = sorted([2**i for i in range(13)] + [24 * 2**i for i in range(8)])
"""Numbers of GPUs on which a job is tried: parts of a node, then whole nodes, two an octave."""
WIDER, WIDEST = 4, 64
"""A job is tried on so many times the fewest GPUs that hold it, and on as many as its deadline
needs; in powers of two on up to `WIDEST` times as many, since room for states and activations may
save more than networks cost: a looser deadline is not answered by a dearer number. Beyond, more
GPUs cost more and are not asked for."""
HALF = 2
"""A deadline that is met in the half of its time is met surely."""
MOST_SIZED = 256
"""Jobs on a GPU and format whose rows are kept."""
MOST_FASTEST = 2048
"""Jobs of any length on numbers of a GPU whose fastest layouts are kept."""
_BARE = {"tokens": 1.0, "deadline_days": 1.0}
"""A layout does not depend on how much is trained: the same table for every deadline."""


def training_formats(precisions: Sequence[str], device: Gpu) -> list[str]:
    """Return the allowed formats in which a GPU can train; whatever is stored trains in BF16."""
    has, allowed = device.precisions, ["bf16" if n == STORED else n for n in precisions]
    names = [n for n in allowed if n == "bf16" or (n == "fp8" and "fp8" in has)]
    return list(dict.fromkeys(names)) or ["bf16"]


def training_ways(
    question: TrainingQuestion,
    precisions: Sequence[str],
    runs_per_year: float = 1.0,
    most_gpus: int = 0,
    fastest: bool = False,
) -> Ways:
    """Return the best layout of each GPU, format and number of GPUs.

    `most_gpus` is how many there are at most (0: any number); `fastest`: more GPUs are of use also
    where the deadline is met.
    """
    rows: list[Row] = []
    sized: list[TrainingQuestion] = []
    for device in question.devices:
        for compute in training_formats(precisions, device):
            has = framework_record(question.framework)
            lacks = f"{device.name} has no {compute.upper()} units"
            why = "" if compute in device.precisions else lacks
            if compute == "fp8" and not has.fp8:
                why = f"{has.name} does not train in FP8"
            if why:
                out = {"gpu": device.id, "precision": compute, "split": "", "unit_gpus": 1}
                rows.append({**out, "works": False, "reason": why})
                continue
            of = {"gpus": (device.id,), "counts": (8,), "precision": compute}
            sized.append(question.model_copy(update=of))
    for found in _each_sized([(q, most_gpus, runs_per_year, fastest) for q in sized]):
        rows += found
    table = filled(pd.DataFrame(rows))
    return Ways(table, explain=partial(_way_ground, question), why=partial(_way_reason, question))


def _way_ground(question: TrainingQuestion, row: Mapping[str, Any]) -> Ground:
    """Return the ground of a row of the table of ways."""
    asked = question.model_copy(update={"precision": row["precision"]})
    return layout_ground(asked, {"cp": 1, "ep": 1, **row})


def _way_reason(question: TrainingQuestion, row: Mapping[str, Any]) -> str:
    """Return why a row of the table of ways does not work, with what else would hold the job."""
    device = next(g for g in question.devices if g.id == row["gpu"])
    of = {"gpus": (device.id,), "counts": (8,), "precision": row["precision"]}
    bare = question.model_copy(update={**_BARE, **of})
    return unfit_reason(bare, device, int(row["unit_gpus"]), str(row["reason"]))


def _sized(asked: tuple[TrainingQuestion, int, float, bool]) -> list[Row]:
    """Return the rows of a GPU and format on rising numbers of GPUs.

    The numbers follow from memory first: from the fewest that hold the job to `WIDER` and
    `WIDEST` times as many, whatever the deadline; then on, until it is met in the half of its time.
    What all of them take is computed at once.
    """
    q, most, runs_per_year, fastest = asked
    counts = [n for n in COUNTS if n <= (most or COUNTS[-1])]
    rows: list[Row] = []
    fewest, enough = 0, False
    known: dict[int, Row] = {}
    for count in counts:
        if enough and (count > WIDEST * fewest or count.bit_count() > 1):
            continue
        if count not in known:
            far = [n for n in counts if n <= (WIDEST if n.bit_count() == 1 else WIDER) * fewest]
            known |= _job_rows(q, (count, *(n for n in far if n > count)), runs_per_year)
        rows.append(row := known[count])
        if not row["works"]:
            continue
        fewest = fewest or count
        soon = row["days"] <= q.deadline_days / HALF
        enough |= soon and count >= WIDER * fewest and not fastest
    return rows


_each_sized = Kept(_sized, MOST_SIZED)
_fastest = lru_cache(MOST_FASTEST)(fastest_layouts)


def _job_rows(q: TrainingQuestion, counts: tuple[int, ...], runs_per_year: float) -> dict[int, Row]:
    """Return the row of each number of GPUs."""
    device, rows = q.devices[0], {}
    for count, best in _fastest(q.model_copy(update=_BARE), device, counts).items():
        row = {"gpu": device.id, "precision": q.precision, "unit_gpus": count, "gpus": float(count)}
        if not best["works"]:
            split = f"{count:,} GPUs"
            rows[count] = {**row, "split": split, "works": False, "reason": best["reason"]}
            continue
        days = float(run_days(q, count, best["step_s"]))
        rows[count] = {
            **row,
            "split": " ".join([*parallel_sizes(best), *beside_sizes(best)]) or "one GPU",
            **{name: best[name] for name in ("tp", "pp", "cp", "ep", "offload")},
            "batch": float(q.global_batch),
            "units": 1.0,
            **job_times(days, runs_per_year),
            "memory_gib": best["memory_bytes"] / GIB,
            "works": True,
            "reason": "",
            **{name: best[name] for name in ("bound", "ground")},
        }
    return rows


def job_times(days: np.ndarray | float, runs_per_year: float) -> Row:
    """Return the columns that follow from the days of a run: hours a month, share of the year."""
    hours = days * 24 * runs_per_year
    busy = np.minimum(hours / HOURS_YEAR, 10.0)
    return {"days": days, "speed_s": days * DAY, "hours_month": hours / 12, "busy": busy}
