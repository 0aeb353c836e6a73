"""Hold the model of reinforcement learning against anybody's measured steps."""

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.constants.engine import engine as _any_engine
from gpuspec.constants.posttraining import posttraining_interval, posttraining_terms
from gpuspec.evidence.measurements.described import row_levels
from gpuspec.evidence.measurements.posttraining import METRICS, predicted_posttraining, prepared
from gpuspec.evidence.measurements.rows import Row, weights_of
from gpuspec.evidence.validation.common import NO_RATIOS, Kind, judged
from gpuspec.evidence.validation.reading import Columns, known_gpu, named_model, remembered
from gpuspec.evidence.validation.training import check_split, framework_id, ordered_model
from gpuspec.formulas.recompute import recompute_of

ALGORITHMS = ("grpo", "ppo")
CHOICES = {
    "algorithm": ALGORITHMS,
    "metric": METRICS,
    "precision": ("", "bf16", "fp8"),
    "fp8_recipe": ("", "tensor", "row", "block"),
    "offload": ("", "optimizer"),
    "reference": ("", "true", "false"),
}
"""What a column may say."""
BLANKS = {
    "engine": "vllm",
    "framework": "megatron-core",
    "weight_precision": "bf16",
    "precision": "bf16",
    "reference": "true",
}
"""What a blank text means."""
WHOLE = ("n_gpus", "prompts", "generations")
_engine = remembered(lambda name: _any_engine(name, "").engine)
_model = ordered_model("reinforcement learning")
COLUMNS = Columns(
    kind="posttraining",
    needed=("algorithm", "gpu", "n_gpus", "model", "prompts", "generations", "answer_tokens"),
    numbers={
        **dict.fromkeys((*WHOLE, "prompt_tokens", "answer_tokens", "value"), True),
        **dict.fromkeys(("max_answer_tokens", "train_batch", "generation_gpus"), False),
        **dict.fromkeys(("off_policy_steps", "generation_tp", "generation_pp"), False),
        **dict.fromkeys(("tp", "pp", "cp", "ep", "memory_share"), False),
    },
    least={
        **dict.fromkeys((*WHOLE, "train_batch", "generation_tp", "generation_pp"), 1),
        **dict.fromkeys(("tp", "pp", "cp", "ep"), 1),
        **dict.fromkeys(("generation_gpus", "off_policy_steps"), 0),
    },
    lowered=(*CHOICES, "recompute"),
    truths=("reference",),
    metrics=METRICS,
    names={"gpu": known_gpu, "model": _model, "framework": framework_id, "engine": _engine},
)


def _check(row: Row) -> None:
    """Raise what is wrong with a row."""
    named_model(row)
    device, network = known_gpu(row["gpu"]), _model(row["model"])
    for column, allowed in CHOICES.items():
        if row.get(column, "") not in allowed:
            raise UnknownNameError(column, row[column], filter(None, allowed))
    framework_id(row.get("framework") or BLANKS["framework"])
    _any_engine(row.get("engine") or BLANKS["engine"], row.get("engine_version", ""))
    weights_of(row["model"], row.get("weight_precision") or BLANKS["weight_precision"])
    recompute_of(row.get("recompute") or "none", network.layers)
    if (row.get("precision") or "bf16") not in device.precisions:
        raise InputError("precision", row["precision"], f"{device.id} has no units for it")
    gpus, apart = int(row["n_gpus"]), row.get("generation_gpus", 0)
    writing = int(apart) if apart == apart else 0
    if writing >= gpus:
        raise InputError("generation_gpus", writing, f"give fewer than the {gpus} GPUs of the run")
    packed = _size(row, "cp")  # sequences are packed to whole ranks
    check_split({**row, "n_gpus": gpus - writing, "seq_len": packed}, network)
    replica = _size(row, "generation_tp") * _size(row, "generation_pp")
    if replica > (writing or gpus):
        raise InputError("generation_tp", row["generation_tp"], "a replica has more than its GPUs")
    longest = row.get("max_answer_tokens", np.nan)
    if longest < row["answer_tokens"]:
        valid = f"give at least the mean of {row['answer_tokens']:g} answer tokens"
        raise InputError("max_answer_tokens", f"{longest:g}", valid)


def _size(row: Row, column: str) -> int:
    value = row.get(column, 1)
    return 1 if value != value else int(value)


def _named(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with canonical ids, blanks filled as documented.

    Blank: answers may be twice their mean long, a step has one update, a replica one GPU.
    """
    for name, blank in BLANKS.items():
        given = rows[name] if name in rows else pd.Series("", rows.index)
        rows = rows.assign(**{name: given.where(given != "", blank)})

    def numbers(name: str, blank: "pd.Series[float] | float") -> "pd.Series[float]":
        given = rows[name] if name in rows else pd.Series(np.nan, rows.index)
        return given.astype(float).fillna(blank)

    return rows.assign(
        gpu=[known_gpu(name).id for name in rows["gpu"]],
        framework=[framework_id(name) for name in rows["framework"]],
        engine_version=rows.get("engine_version", ""),
        reference=rows["reference"] == "true",
        max_answer_tokens=numbers("max_answer_tokens", 2 * rows["answer_tokens"]),
        train_batch=numbers("train_batch", rows["prompts"] * rows["generations"]),
        generation_tp=numbers("generation_tp", 1),
    )


def _predicted(rows: pd.DataFrame) -> np.ndarray:
    return np.asarray(predicted_posttraining(rows, posttraining_terms()))


def _compared(rows: pd.DataFrame) -> pd.DataFrame:
    levels = row_levels("posttraining", rows)
    low, high = posttraining_interval(rows["predicted"], levels, rows["ground"])
    return judged(rows.assign(measured=rows["value"], low=low, high=high))


POSTTRAINING = Kind(
    columns=COLUMNS,
    check=_check,
    named=_named,
    prepared=prepared,
    predicted=_predicted,
    compared=_compared,
    ratios=lambda rows: NO_RATIOS,
)
