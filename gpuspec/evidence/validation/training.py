"""Hold the model of training against anybody's measurements."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.catalog.models import Model, model
from gpuspec.catalog.precision import training_recipe as _any_recipe
from gpuspec.constants.fabrics import NETWORKS
from gpuspec.constants.memory import memory_terms
from gpuspec.constants.stored import stored
from gpuspec.constants.training import framework, training_interval
from gpuspec.evidence.measurements.described import row_levels
from gpuspec.evidence.measurements.pairs import matched_steps
from gpuspec.evidence.measurements.rows import Row, numbers
from gpuspec.evidence.measurements.training import (
    METRICS,
    PRECISIONS,
    filled,
    known_framework,
    measured_step_seconds,
    predicted_step_seconds,
    prepared_training,
    step_tokens,
)
from gpuspec.evidence.validation.common import NO_RATIOS, Kind, judged, ratios
from gpuspec.evidence.validation.reading import (
    Columns,
    known_gpu,
    named_model,
    need_said,
    remembered,
)
from gpuspec.formulas.memory import need_layer_order
from gpuspec.formulas.recompute import recompute_of
from gpuspec.formulas.training import expert_counts
from gpuspec.formulas.training.flops import CONVENTIONS, model_flops_per_token

_ACTIVATIONS = {"part": "activations", "measure": "analytic"}
MEMORY: dict[str, tuple[str, dict[str, str]]] = {
    "peak_memory_gb": ("value_gb", {"part": "peak"}),
    "peak_memory_gib": ("value_gib", {"part": "peak"}),
    "activation_memory_gb": ("value_gb", _ACTIVATIONS),
    "activation_memory_gb_per_gpu": ("value_gb", _ACTIVATIONS),
}
"""Metrics that are memory: the column of their value in a table of it, and what others say."""
CHOICES = {
    "metric": METRICS,
    "precision": PRECISIONS,
    "attention": ("", "flash", "flash2", "flash3", "eager"),
    "tuning": ("", "full", "lora", "qlora"),
    "offload": ("", "none", "optimizer"),
    "flops_convention": ("", *CONVENTIONS),
    "network_kind": ("", *NETWORKS),
    "sequence_parallel": ("", "true", "false"),
    "tp_overlap": ("", "true", "false"),
    "fp8_recipe": ("", "tensor", "row", "block"),
    "expert_dispatch": ("", "expert", "node"),
}
"""What a column may say; blanks are filled as `prepared_training` documents."""
_recipe = remembered(_any_recipe)
framework_id = remembered(lambda name: framework(name)[0])


def ordered_model(what: str) -> Callable[[str], Model]:
    """Return the look-up of models whose order of layers is known, as `what` needs it."""

    def found(name: str) -> Model:
        network = model(name)
        need_layer_order(network, what)
        return network

    return remembered(found)


_model = ordered_model("training speed")
COLUMNS = Columns(
    kind="training",
    needed=("gpu", "n_gpus", "model", "seq_len"),
    numbers={
        "n_gpus": True,
        "seq_len": True,
        "value": True,
        **dict.fromkeys(("global_batch", "micro_batch", "tp", "pp", "cp", "ep", "dp"), False),
        **dict.fromkeys(("interleave", "zero_stage", "shard_gpus", "document_tokens"), False),
        **dict.fromkeys(("node_network_gb_s", "mfu_peak_tflops"), False),
        **dict.fromkeys(("gpus_per_node", "power_limit_w"), False),
    },
    least={
        **dict.fromkeys(("n_gpus", "seq_len", "global_batch", "micro_batch", "document_tokens"), 1),
        **dict.fromkeys(("tp", "pp", "cp", "ep", "dp", "interleave", "shard_gpus"), 1),
        "zero_stage": 0,
        "gpus_per_node": 1,
    },
    one_of=("global_batch", "micro_batch"),
    lowered=(*CHOICES, "recompute"),
    truths=("sequence_parallel", "tp_overlap"),
    deciding={
        "offload": "what lies in host memory has to be moved: give none or optimizer (weights "
        "there are not predicted)",
        "recipe": "an optimizer that updates within the backward pass is not predicted",
    },
    assumed={
        "recompute": (
            "none",
            "its source does not say, and the fit takes such runs so; a pass repeated in full adds "
            "up to a third",
        )
    },
    sized=True,
    metrics=(*METRICS, *MEMORY),
    names={"gpu": known_gpu, "model": _model, "framework": framework_id},
)
MOST_USED = 1.0
"""Share of a GPU's dense peak beyond which a figure is no measurement."""
SHORTER = 3.0
"""Longest sample of fine-tuning over the mean: by so much may a micro-batch still seem too fast."""
PERCENT = (100, "in percent: divide it by 100")
"""By what an impossible share is divided to be likely, and what it then is in."""


def _with_ids(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with the canonical ids, and whether the fit had seen their framework."""
    fitted = stored("training")["frameworks"]
    ids = [framework_id(name) for name in rows["framework"]]
    rows = rows.assign(
        gpu=[known_gpu(name).id for name in rows["gpu"]],
        framework=ids,
        known=[bool(fitted.get(name, {}).get("rows")) for name in ids],
    )
    if "base_precision" in rows:  # adapters beside weights in 4 bit
        four = (rows["base_precision"] != "") & (rows["tuning"] == "lora")
        rows["tuning"] = rows["tuning"].mask(four, "qlora")
    if "recipe" in rows:
        rows["recipe"] = [_recipe(r).id if r else "" for r in rows["recipe"]]
    return rows


def _check(row: Row) -> None:
    """Raise what is wrong with a row."""
    named_model(row)
    device, network = known_gpu(row["gpu"]), _model(row["model"])
    need_said(row, COLUMNS)
    for column, allowed in CHOICES.items():
        if row.get(column, "") not in allowed:
            raise UnknownNameError(column, row[column], filter(None, allowed))
    recompute_of(row.get("recompute") or "none", network.layers)
    framework_id(row["framework"])
    if row.get("recipe"):
        _recipe(row["recipe"])
    if row["precision"] not in device.precisions:
        has = ", ".join(p for p in PRECISIONS if p in device.precisions)
        raise InputError("precision", row["precision"], f"{device.id} has {has}")
    check_split(row, network)
    _check_batch(row)
    _check_possible(row, network)


def _size(row: Row, column: str, blank: float = 1) -> int:
    value = row.get(column, blank)
    return int(blank if value != value else value)


def check_split(row: Row, network: Model) -> None:
    """Raise where the GPUs cannot be split as a row says."""
    tp, pp, cp, ep = (_size(row, c) for c in ("tp", "pp", "cp", "ep"))
    gpus, seq_len = int(row["n_gpus"]), int(row["seq_len"])
    dp = _size(row, "dp", max(gpus // (tp * pp * cp), 1))
    if tp * pp * cp * dp != gpus:
        valid = f"tp x pp x cp x dp = {tp} x {pp} x {cp} x {dp} must give the number of GPUs"
        if gpus % (tp * pp * cp) == 0:
            valid += f"; where dp is {gpus // (tp * pp * cp)}, leave it blank"
        elif tp * pp * cp > gpus:
            valid += f"; tp, pp and cp alone take {tp * pp * cp}"
        raise InputError("n_gpus", gpus, valid)
    for heads in {block.heads for block in network.blocks if block.attention != "none"}:
        if heads % tp:
            raise InputError("tp", tp, f"it must divide the {heads} heads")
    if pp > network.layers:
        raise InputError("pp", pp, f"the model has {network.layers} layers")
    chunks, parts = _size(row, "interleave"), network.layers + 2  # embedding and head may be one
    if pp * max(chunks, 1) > parts:
        raise InputError("interleave", chunks, f"{pp} stages can hold {parts // pp} chunks each")
    if seq_len % cp:
        raise InputError("cp", cp, f"it must divide the sequence of {seq_len:,} tokens")
    experts = expert_counts(network)
    if ep > 1 and not experts:
        raise InputError("ep", ep, "the model has no experts")
    if any(count % ep for count in experts):
        raise InputError("ep", ep, f"it must divide the {max(experts)} experts")
    if _size(row, "zero_stage", 0) > 3:
        raise InputError("zero_stage", row["zero_stage"], "give 0, 1, 2 or 3")


def _check_batch(row: Row) -> None:
    """Raise where the global batch is not whole micro-batches on every rank."""
    split = [_size(row, c) for c in ("tp", "pp", "cp")]
    dp = int(row["n_gpus"]) // int(np.prod(split))
    batch = _size(row, "global_batch", 0)
    micro = _size(row, "micro_batch", 1)
    if batch % (dp * micro):
        valid = f"it must be a multiple of dp x micro_batch = {dp} x {micro}"
        raise InputError("global_batch", batch, valid)


def _check_possible(row: Row, network: Model) -> None:
    """Raise where a GPU would have done more than its peak, with the unit that is likely.

    Counted as 6 FLOP a parameter and token (4 with adapters, whose base has no gradients): no run
    does less.
    """
    metric, value, gpus = row["metric"], row["value"], row["n_gpus"]
    seq_len, peak = row["seq_len"], known_gpu(row["gpu"]).peak_flops(row["precision"])
    token = float(model_flops_per_token(network, seq_len, "parameters"))
    token *= 2 / 3 if row.get("tuning") in ("lora", "qlora") else 1
    batch = _size(row, "global_batch", 0) or _size(row, "micro_batch", 1)
    used = {
        "step_time_s": batch * seq_len / value / gpus * token / peak,
        "tokens_per_s_per_gpu": value * token / peak,
        "samples_per_s": value * seq_len / gpus * token / peak,
        "mfu": value,
        "hfu": value,
    }.get(metric, value * 1e12 / peak)
    if used <= MOST_USED:
        return
    ranks = gpus / np.prod([_size(row, c) for c in ("tp", "pp", "cp")])
    micro = batch / ranks / _size(row, "micro_batch", 1)
    likely = {
        "step_time_s": (
            (micro * SHORTER * (micro > 1), f"of one micro-batch: multiply it by {micro:g}"),
            (60, "in minutes: multiply it by 60"),
        ),
        "samples_per_s": ((seq_len, "in tokens/s: divide it by the tokens of a sequence"),),
        "mfu": (PERCENT,),
        "hfu": (PERCENT,),
    }.get(metric, ((gpus, f"that of all {gpus:g} GPUs together"),))
    units = [unit for scale, unit in likely if scale > 1 and used / scale <= MOST_USED]
    hint = f"likely it is {' or '.join(units)}" if units else "check its unit"
    valid = f"that is {used:,.3g} times the peak of {row['gpu']} in {row['precision']}; {hint}"
    raise InputError(metric, value, valid)


def _prepared(rows: pd.DataFrame) -> pd.DataFrame:
    return filled(prepared_training(rows), memory_terms())


def _predicted(rows: pd.DataFrame) -> np.ndarray:
    terms = {name: framework(name)[1] for name in rows["framework"].unique()}
    return predicted_step_seconds(rows, terms)


def _compared(rows: pd.DataFrame) -> pd.DataFrame:
    """Return prepared rows that have ``predicted`` with their error, interval and rates.

    ``measured`` and ``predicted`` are seconds of a step; ``measured_tflops`` and
    ``predicted_tflops`` are model TFLOP/s of a GPU, attention counted in full.
    """
    rows = rows.assign(measured=measured_step_seconds(rows))
    if "known" not in rows:
        rows["known"] = known_framework(rows)
    levels, ground = row_levels("training", rows), rows["ground"]
    ends = training_interval(rows["predicted"], levels=levels, ground=ground)
    rows["low"], rows["high"] = ends
    flops = np.zeros(len(rows))
    for network, index in rows.groupby("model").indices.items():
        lengths = rows["seq_len"].to_numpy(float)[index]
        flops[index] = model_flops_per_token(_model(str(network)), lengths, "full")
    work = flops * step_tokens(rows) / rows["n_gpus"].to_numpy(float) / 1e12
    rates = {f"{side}_tflops": work / rows[side] for side in ("measured", "predicted")}
    return judged(rows.assign(**rates))


def _ratios(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the ratio of speeds of each matched pair of GPUs or precisions."""
    if rows.empty:
        return NO_RATIOS
    pairs = pd.concat([matched_steps(rows, "gpu"), matched_steps(rows, "precision")])
    pairs = pairs[~pairs["pair"].astype(str).str.contains("fp16")].reset_index(drop=True)
    speed = step_tokens(rows) / rows["n_gpus"].to_numpy(float)
    measured, predicted = (speed / seconds for seconds in numbers(rows, "measured", "predicted"))
    return ratios(rows, pairs, measured, predicted)


TRAINING = Kind(
    columns=COLUMNS,
    check=_check,
    named=_with_ids,
    prepared=_prepared,
    predicted=_predicted,
    compared=_compared,
    ratios=_ratios,
)
