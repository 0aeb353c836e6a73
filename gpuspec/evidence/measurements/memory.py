"""Published measurements, and what the formulas predict for each of them."""

import math
import re
from functools import lru_cache

import numpy as np
import pandas as pd

from gpuspec.base.errors import UnknownNameError
from gpuspec.base.units import GIB, Floats
from gpuspec.catalog import gpu
from gpuspec.catalog.models import Model
from gpuspec.catalog.precision import KV_PRECISIONS, TrainingRecipe
from gpuspec.catalog.precision import precision as _precision
from gpuspec.catalog.precision import training_recipe as _recipe
from gpuspec.constants.memory import MemoryTerms
from gpuspec.evidence.measurements.rows import Row, groups, known_model, weights_of
from gpuspec.formulas.memory import (
    Adapter,
    TrainingJob,
    sequence_kv_bytes,
    serving_activation_bytes,
    stage_weights_bytes,
    training_parts,
)
from gpuspec.formulas.recompute import recompute_of

# What an engine plans for where its log does not say (vLLM's defaults on a data-centre GPU).
DEFAULT_BATCHED_TOKENS, DEFAULT_SEQUENCES = 8192, 256
ONE_CALL = ["part", "model_id", "recipe", "base_precision", "lora_rank", "lora_targets"]
ONE_CALL += ["weight_precision", "kv_precision", "measure"]
"""What rows that are predicted in one call have in common."""

# A fit predicts the same rows hundreds of times: look each name up once.
precision, training_recipe = lru_cache(64)(_precision), lru_cache(64)(_recipe)


def predicted_memory(rows: pd.DataFrame, terms: MemoryTerms | None = None) -> np.ndarray:
    """Return what the formulas say for each row, in bytes, shape ``(len(rows),)``."""
    terms = terms or MemoryTerms()
    result = np.full(len(rows), np.nan)
    for about, index in groups(rows, ONE_CALL):
        result[index] = _PREDICTORS[about["part"]](about, rows.iloc[index], terms)
    return result


def _training(about: Row, rows: pd.DataFrame, terms: MemoryTerms) -> Floats:
    if about["part"] == "activations":  # the paper's own formula: nothing beyond it
        terms = terms.model_copy(update={"training_activation_factor": 1.0})
    capacity = rows["gpu"].map(capacity_bytes).to_numpy(float)
    network, recipe, job, adapter = asked_of(about, rows)
    parts = training_parts(
        network,
        recipe,
        job,
        stage=rows["stage"].to_numpy(dtype=object),
        capacity_bytes=capacity,
        adapter=adapter,
        terms=terms,
    )
    if about["part"] == "activations":
        return parts["activations"]
    used = np.asarray(sum(part for name, part in parts.items() if name != "runtime"))
    if about["measure"] == "allocated":
        return used
    reserved = np.clip(used * (1 + terms.fragmentation), None, np.maximum(capacity, used))
    return reserved if about["measure"] == "reserved" else used + parts["runtime"]


def asked_of(
    about: Row, rows: pd.DataFrame
) -> tuple[Model, TrainingRecipe, TrainingJob, Adapter | None]:
    """Return the model, recipe, jobs and adapters of training rows of one group."""
    adapter = None
    if about["base_precision"]:
        targets = tuple(about["lora_targets"].split("|"))
        base = precision(about["base_precision"])
        adapter = Adapter(base=base, rank=int(about["lora_rank"]), targets=targets)
    columns = ["seq_len", "micro_batch", "microbatches", "tp", "pp", "cp", "dp", "interleave"]
    columns += ["zero_stage", "attention", "bytes_per_logit"]
    columns += ["sequence_parallel", "persistent_gradients", "dropout", "balanced_stages"]
    columns += ["fused_norms", "fused_glu"]
    network = known_model(about["model_id"])
    layers = network.layers / rows["pp"].to_numpy(float)
    kinds, shares = zip(*map(recompute_of, rows["recompute"], layers), strict=True)
    lent = (rows["offload"] if "offload" in rows else pd.Series("", rows.index)).fillna("")
    job = TrainingJob.of(
        **{c: rows[c].to_numpy(dtype=_kind(rows[c])) for c in columns},
        offload_optimizer=lent.isin(("optimizer", "both")).to_numpy(),
        offload_activations=lent.isin(("activations", "both")).to_numpy(),
        recompute=np.array(kinds),
        recompute_share=np.array(shares),
    )
    return network, training_recipe(about["recipe"]), job, adapter


@lru_cache(64)
def capacity_bytes(name: str) -> float:
    """Memory of a GPU; of one that no table has by the GB in its name, where it has any."""
    try:
        return gpu(name).memory_bytes
    except UnknownNameError:
        size = re.search(r"-(\d+)(gb)?$", name)
        return int(size[1]) * GIB if size else math.inf


def _kind(column: pd.Series) -> type:
    if pd.api.types.is_bool_dtype(column):
        return bool
    return float if pd.api.types.is_numeric_dtype(column) else object


def _weights(about: Row, rows: pd.DataFrame, terms: MemoryTerms) -> Floats:
    form = weights_of(about["model_id"], about["weight_precision"])
    return stage_weights_bytes(known_model(about["model_id"]), form, rows["tp"], rows["pp"])


def _kv_per_token(about: Row, rows: pd.DataFrame, terms: MemoryTerms) -> Floats:
    each = KV_PRECISIONS[about["kv_precision"]]
    network = known_model(about["model_id"])
    tokens = 16.0  # one block
    return sequence_kv_bytes(network, tokens, each, rows["tp"], rows["pp"]) / tokens


def _serving_activations(about: Row, rows: pd.DataFrame, terms: MemoryTerms) -> Floats:
    return serving_activation_bytes(
        known_model(about["model_id"]),
        rows["batched_tokens"].fillna(DEFAULT_BATCHED_TOKENS),
        rows["max_num_seqs"].fillna(DEFAULT_SEQUENCES),
        rows["tp"],
        terms.serving_activation_factor,
        terms.serving_logit_bytes,
    )


def _activations(about: Row, rows: pd.DataFrame, terms: MemoryTerms) -> Floats:
    analytic = about["measure"] == "analytic"
    return (_training if analytic else _serving_activations)(about, rows, terms)


def _runtime(about: Row, rows: pd.DataFrame, terms: MemoryTerms) -> Floats:
    return terms.context_bytes + np.where(rows["tp"] > 1, terms.communicator_bytes, 0.0)


def _states(about: Row, rows: pd.DataFrame, terms: MemoryTerms) -> Floats:
    """Bytes of all GPUs together by a rule of thumb: states times parameters, nothing else."""
    if about["recipe"]:
        each = training_recipe(about["recipe"]).bytes_per_param
    else:
        each = precision(about["base_precision"]).bytes_per_weight
    return rows["params_billion"].to_numpy(float) * 1e9 * each


_PREDICTORS = {
    "peak": _training,
    "activations": _activations,
    "weights": _weights,
    "kv_per_token": _kv_per_token,
    "runtime": _runtime,
    "states": _states,
}
