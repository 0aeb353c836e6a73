"""Every way to run a training job: each GPU, format and number of GPUs, in its best layouts."""

from collections.abc import Mapping, Sequence
from functools import partial
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
from gpuspec.topics.training.answer import DAY, layouts, nearest_layout, run_figures
from gpuspec.topics.training.ask import TrainingQuestion
from gpuspec.topics.training.elsewhere import unfit_reason
from gpuspec.topics.training.ground import layout_ground
from gpuspec.topics.training.layouts import beside_sizes
from gpuspec.topics.ways import Row, Ways, filled

COUNTS = sorted([2**i for i in range(13)] + [24 * 2**i for i in range(8)])
"""Numbers of GPUs on which a job is tried: parts of a node, then whole nodes, two an octave."""
WIDER = 4
"""A job is tried on so many times the fewest GPUs that hold it, and on as many as its deadline
needs: beyond both, more GPUs cost more and are not asked for."""
HALF = 2
"""A deadline that is met in the half of its time is met surely."""
MOST_SIZED = 256
"""Jobs on a GPU and format whose rows are kept."""
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
    every: bool = False,
    fastest: bool = False,
) -> Ways:
    """Return the best layout (or `every` one) of each GPU, format and number of GPUs.

    `most_gpus` is how many there are at most (0: any number); `fastest`: more GPUs are of use also
    where the deadline is met.
    """
    parts: list[pd.DataFrame] = []
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
                parts.append(pd.DataFrame([{**out, "works": False, "reason": why}]))
                continue
            of = {"gpus": (device.id,), "counts": (8,), "precision": compute}
            sized.append(question.model_copy(update=of))
    tried = _each_sized([(q, most_gpus, runs_per_year, every, fastest) for q in sized])
    parts += [rows for one in tried for rows in one]
    table = filled(pd.concat(parts, ignore_index=True))
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


def _sized(asked: tuple[TrainingQuestion, int, float, bool, bool]) -> list[pd.DataFrame]:
    """Return the rows of a GPU and format on rising numbers of GPUs.

    The numbers follow from memory first: from the fewest that hold the job to `WIDER` times as
    many, whatever the deadline; then on, until the deadline is met in the half of its time.
    """
    q, most, runs_per_year, every, fastest = asked
    parts: list[pd.DataFrame] = []
    fewest = 0
    for count in [n for n in COUNTS if n <= (most or COUNTS[-1])]:
        rows = _job_rows(q, count, runs_per_year, every)
        parts.append(rows)
        if not rows["works"].any():
            continue
        fewest = fewest or count
        soon = float(rows["days"].min()) <= q.deadline_days / HALF
        if soon and count >= WIDER * fewest and not fastest:
            break
    return parts


_each_sized = Kept(_sized, MOST_SIZED)


def _job_rows(q: TrainingQuestion, count: int, runs_per_year: float, every: bool) -> pd.DataFrame:
    bare = q.model_copy(update=_BARE)
    device, table = q.devices[0], layouts(bare, q.devices[0], count)
    row = {"gpu": device.id, "precision": q.precision, "unit_gpus": count, "gpus": float(count)}
    if not table["works"].any():
        reason = str(nearest_layout(table)["reason"])
        return pd.DataFrame([{**row, "split": f"{count:,} GPUs", "works": False, "reason": reason}])
    best = table[table["works"]]
    best = best if every else best.iloc[:1]
    days = run_figures(q, device, count, best["step_s"].to_numpy(float))["days"]
    return pd.DataFrame(
        {
            **row,
            "split": _layout_words(best),
            "tp": best["tp"].to_numpy(),
            "pp": best["pp"].to_numpy(),
            "batch": float(q.global_batch),
            "units": 1.0,
            **job_times(days, runs_per_year),
            "memory_gib": best["memory_bytes"].to_numpy(float) / GIB,
            "works": True,
            "reason": "",
            "bound": best["bound"].to_numpy(object),
            "ground": best["ground"].to_numpy(int),
            "cp": best["cp"].to_numpy(int),
            "ep": best["ep"].to_numpy(int),
            "offload": best["offload"].to_numpy(object),
        }
    )


def job_times(days: np.ndarray | float, runs_per_year: float) -> Row:
    """Return the columns that follow from the days of a run: hours a month, share of the year."""
    hours = days * 24 * runs_per_year
    busy = np.minimum(hours / HOURS_YEAR, 10.0)
    return {"days": days, "speed_s": days * DAY, "hours_month": hours / 12, "busy": busy}


def _layout_words(rows: pd.DataFrame) -> list[str]:
    said = [[*parallel_sizes(r), *beside_sizes(r)] for r in rows.to_dict("records")]
    return [" ".join(words) or "one GPU" for words in said]
