"""Hold the formulas of memory against anybody's measurements."""

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.base.units import GB, GIB
from gpuspec.catalog.frameworks import framework_record
from gpuspec.catalog.models.formats import STORED
from gpuspec.catalog.precision import KV_PRECISIONS
from gpuspec.catalog.precision import precision as _any_precision
from gpuspec.catalog.precision import training_recipe as _any_recipe
from gpuspec.constants.memory import interval, memory_terms
from gpuspec.evidence.measurements.memory import predicted_memory
from gpuspec.evidence.measurements.rows import Row, completed, known_model, weights_of
from gpuspec.evidence.measurements.training import LORA_TARGETS
from gpuspec.evidence.validation.common import NO_RATIOS, Kind, judged, with_interval
from gpuspec.evidence.validation.reading import (
    Columns,
    known_gpu,
    named_model,
    need_said,
    remembered,
    unknown,
)
from gpuspec.evidence.validation.training import check_split
from gpuspec.formulas.memory import need_layer_order
from gpuspec.formulas.recompute import recompute_of

KIND_OF_PART = {
    "weights": "serving weights",
    "kv_per_token": "serving kv cache",
    "runtime": "serving runtime",
    "states": "rule of thumb",
}
"""Whose error the interval of a figure is; a peak has that of its tuning."""
PARTS = ("peak", "activations", *KIND_OF_PART)
CHOICES = {
    "part": PARTS,
    "measure": ("device", "reserved", "allocated", "analytic", "engine log", "all gpus"),
    "attention": ("flash", "flash2", "eager"),
    "tuning": ("full", "lora", "qlora"),
    "stage": ("fullest", "first"),
    "unit": ("gb", "gib"),
    "offload": ("none", "optimizer", "activations", "both"),
}
"""What a column may say beside nothing."""
SIZES = ("tp", "pp", "cp", "dp", "interleave", "micro_batch", "microbatches", "lora_rank")
TRUTHS = ("sequence_parallel", "balanced_stages", "dropout", "fused_norms", "fused_glu")
KEPT_BY_FRAMEWORK = (
    *("recipe", "bytes_per_logit", "persistent_gradients", "fused_norms", "fused_glu"),
    "balanced_stages",
)
"""Columns that a row's framework fills where they are blank."""
_ONE, _RANK = dict.fromkeys(("tp", "pp", "cp", "interleave"), 1), 16
_NUMBERS = {
    **_ONE,
    **dict.fromkeys(("zero_stage", "params_billion"), 0),
    **{"micro_batch": 1, "lora_rank": _RANK, "bytes_per_logit": 4.0, "persistent_gradients": 1.0},
    **dict.fromkeys(("seq_len", "batched_tokens", "max_num_seqs", "dp", "microbatches"), np.nan),
    **dict.fromkeys(("n_gpus", "global_batch", "value_bytes", "value_gb", "value_gib"), np.nan),
}
_TEXTS = {
    **{"gpu": "", "model": "", "part": "peak", "measure": "device", "recompute": "none"},
    **{"attention": "flash", "tuning": "", "stage": "fullest", "unit": "gb", "base_precision": ""},
    **{"recipe": "", "lora_targets": "|".join(LORA_TARGETS), "kv_precision": "bf16"},
    **{"weight_precision": "", "sequence_parallel": "true", "balanced_stages": "false", "kind": ""},
    **{"dropout": "false", "fused_norms": "true", "fused_glu": "true", "offload": ""},
}
"""Columns that may be blank, and what blank means."""
_PAPER = {"attention": "eager", "dropout": "true"}
"""What the paper's own figures of activations count."""


@remembered
def _model(name: str) -> object:
    network = known_model(name)
    network.need_llm("the memory of training and serving")
    return network


_recipe, _precision = remembered(_any_recipe), remembered(_any_precision)
COLUMNS = Columns(
    kind="memory",
    needed=("model",),
    numbers=dict.fromkeys(_NUMBERS, False),
    least={
        **dict.fromkeys((*SIZES, "seq_len", "n_gpus", "global_batch", "max_num_seqs"), 1),
        "zero_stage": 0,
    },
    from_zero=("bytes_per_logit", "persistent_gradients"),
    one_of=("value_bytes", "value_gb", "value_gib"),
    lowered=(*CHOICES, "base_precision", "recompute"),
    truths=TRUTHS,
    deciding={
        "offload": "what lies in host memory is not on the GPU: give none, optimizer, activations "
        "or both",
        "recipe": "an optimizer that updates within the backward pass is not predicted",
    },
    ends={"recompute": ("full", "none")},
    names={"gpu": known_gpu, "model": _model, "framework": framework_record},
)

_OPEN = {*COLUMNS.ends, *COLUMNS.deciding}
"""Columns in which a cell may say that its source does not tell."""


def _check(row: Row) -> None:
    """Raise what is wrong with a row."""
    part, measure = row.get("part") or "peak", row.get("measure") or "device"
    analytic = part == "activations" and measure == "analytic"
    if part == "peak" or analytic:
        need_said(row, COLUMNS)
    for column, allowed in CHOICES.items():
        said = row.get(column, "")
        if said not in ("", *allowed) and not (column in _OPEN and unknown(said)):
            raise UnknownNameError(column, said, allowed)
    for column in TRUTHS:
        if row.get(column, "") not in ("", "true", "false"):
            raise UnknownNameError(column, row[column], ("true", "false"))
    for column, find in (("recipe", _recipe), ("base_precision", _precision)):
        if row.get(column) and not unknown(row[column]):
            find(row[column])
    if part == "states":
        if not row.get("params_billion", 0) > 0:
            raise InputError("params_billion", "", "a rule of thumb needs the parameters")
        if not (row.get("recipe") or row.get("base_precision")):
            raise InputError("recipe", "", "a rule of thumb needs recipe or base_precision")
        return
    network = named_model(row)
    _model(row["model"])
    if not unknown(row.get("recompute", "")):
        recompute_of(row.get("recompute") or "none", network.layers)
    if row.get("framework"):
        framework_record(row["framework"])
    if part == "weights":
        weights_of(row["model"], row.get("weight_precision") or STORED)
    if part == "kv_per_token" and (row.get("kv_precision") or "bf16") not in KV_PRECISIONS:
        raise UnknownNameError("kv_precision", row["kv_precision"], KV_PRECISIONS)
    if part == "peak" or analytic:
        need_layer_order(network, "training memory")
        if not row.get("seq_len", 0) > 0:
            raise InputError("seq_len", "", "training needs the tokens of a sequence")
        sizes = {name: row.get(name, np.nan) for name in ("tp", "pp", "cp", "dp", "zero_stage")}
        one = {name: 1 if size != size else size for name, size in sizes.items()}
        gpus = one["tp"] * one["pp"] * one["cp"] * one["dp"]
        known = row.get("n_gpus", np.nan)
        given = gpus if known != known or sizes["dp"] != sizes["dp"] else known
        check_split({**row, **sizes, "n_gpus": given}, network)


def _named(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with every column that a prediction reads, blanks filled as documented."""
    rows = completed(_of_paper(_of_framework(rows)), _NUMBERS, _TEXTS)
    split = rows["tp"] * rows["pp"] * rows["cp"]
    rows["dp"] = rows["dp"].fillna((rows["n_gpus"] / split).round()).fillna(1).clip(lower=1)
    micro = rows["global_batch"] / rows["dp"] / rows["micro_batch"]
    rows["microbatches"] = rows["microbatches"].fillna(micro.round()).fillna(1).clip(lower=1)
    unit = rows["unit"].map({"gib": GIB, "gb": GB})
    bytes_ = rows["value_bytes"].fillna(rows["value_gb"] * unit)
    rows["value_bytes"] = bytes_.fillna(rows["value_gib"] * GIB)
    qlora, lora = rows["tuning"] == "qlora", rows["tuning"] == "lora"
    blank = rows["base_precision"] == ""
    rows.loc[blank & qlora, "base_precision"] = "nf4"
    rows.loc[blank & lora, "base_precision"] = "bf16"
    training = rows["part"].isin(("peak", "activations")) & (rows["recipe"] == "")
    rows.loc[training, "recipe"] = "adamw-mixed"
    rows["model_id"] = rows["model"]
    blank = (rows["weight_precision"] == "") & (rows["model"] != "")
    rows.loc[blank, "weight_precision"] = STORED
    for column in TRUTHS:
        rows[column] = rows[column] == "true"
    trained = rows["part"].isin(("peak", "activations"))
    rows["recompute"] = rows["recompute"].mask(
        ~trained & rows["recompute"].map(unknown).astype(bool), "none"
    )
    adapted = np.where(rows["base_precision"].isin(("", "bf16", "fp16")), "lora", "qlora")
    tuned = np.where(rows["base_precision"] == "", "full", adapted)
    analytic = np.where(rows["measure"] == "analytic", "activations", "serving activations")
    peak = np.where(rows["part"] == "peak", tuned, analytic)
    kinds = zip(rows["part"], peak, strict=True)
    rows["kind"] = [KIND_OF_PART.get(part, str(other)) for part, other in kinds]
    return rows


def _of_paper(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows whose analytic activations have what Korthikanti et al. 2022 count.

    Scores that are kept, and masks of dropout, unless the row says otherwise.
    """
    said = {name: rows.get(name, "") for name in ("part", "measure", *_PAPER)}
    rows = rows.assign(**{name: said[name] for name in _PAPER})
    analytic = (rows.assign(**said)[["part", "measure"]] == ["activations", "analytic"]).all(axis=1)
    for column, counted in _PAPER.items():
        blank = (rows[column] == "") | rows[column].isna()
        rows[column] = rows[column].astype(object).mask(blank & analytic, counted)
    return rows


def _of_framework(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows whose blanks are what their framework keeps, where they name it."""
    if "framework" not in rows:
        return rows
    named = rows["framework"] != ""
    records = [framework_record(name) for name in rows.loc[named, "framework"]]
    rows = rows.assign(**{name: "" for name in KEPT_BY_FRAMEWORK if name not in rows})
    adapted = rows["tuning"].isin(("lora", "qlora")) if "tuning" in rows else named & False
    for column in KEPT_BY_FRAMEWORK:
        kept = pd.Series([getattr(record, column) for record in records], rows.index[named])
        if column == "recipe":
            kept = kept.mask(adapted[named], "adamw-bf16")
        if column in TRUTHS:
            kept = kept.map({True: "true", False: "false"})
        blank = (rows[column] == "") | rows[column].isna()
        rows[column] = rows[column].astype(object).mask(blank & named, kept)
    return rows


def _compared(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows.assign(measured=rows["value_bytes"])
    return judged(with_interval(rows, rows["kind"], interval))


MEMORY = Kind(
    columns=COLUMNS,
    check=_check,
    named=_named,
    prepared=lambda rows: rows,
    predicted=lambda rows: predicted_memory(rows, memory_terms()),
    compared=_compared,
    ratios=lambda rows: NO_RATIOS,
)
