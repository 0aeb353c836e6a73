"""Published speed of training runs, and what the formulas predict for them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from gpuspec.base.errors import InputError
from gpuspec.base.units import NODE_GPUS
from gpuspec.catalog import gpu
from gpuspec.catalog.frameworks import framework_record
from gpuspec.catalog.precision import precision, training_recipe
from gpuspec.constants.fabrics import fabric
from gpuspec.constants.kernels import kernels
from gpuspec.constants.memory import MemoryTerms, memory_terms
from gpuspec.constants.training import TrainingTerms
from gpuspec.evidence.measurements.rows import (
    Row,
    completed,
    groups,
    known_model,
    measurements,
    model_id,
    publisher_of,
)
from gpuspec.formulas.memory import Adapter, training_peak
from gpuspec.formulas.power import limited
from gpuspec.formulas.recompute import recompute_of
from gpuspec.formulas.training import (
    StepWork,
    TrainingJob,
    assembled,
    hardware_flops_per_token,
    model_flops_per_token,
    step_work,
)

METRICS = (
    "step_time_s",
    "tokens_per_s_per_gpu",
    "samples_per_s",
    "model_tflops_per_gpu",
    "hardware_tflops_per_gpu",
    "mfu",
    "hfu",
)
"""What a source may print; each becomes the seconds of a step."""
PRECISIONS = ("bf16", "fp16", "fp8")
LORA_TARGETS = ("q", "k", "v", "o")
_ADAPTED = ["model", "recipe", "tuning", "lora_targets", "framework"]
_ONE_CALL = [*_ADAPTED, "gpu", "precision", "node_network_gb_s"]
_ONE_CALL += ["network_kind", "gpus_per_node", "power_limit_w"]
_NUMBERS = {
    **dict.fromkeys(("tp", "pp", "cp", "ep", "interleave"), 1),
    **dict.fromkeys(("document_tokens", "zero_stage", "shard_gpus"), 0),
    "gpus_per_node": NODE_GPUS,
    **dict.fromkeys(("dp", "micro_batch", "global_batch"), np.nan),
    **dict.fromkeys(("node_network_gb_s", "power_limit_w"), np.nan),
}
_TEXTS = {
    "recompute": "none",
    "attention": "flash",
    "tuning": "full",
    "lora_targets": "|".join(LORA_TARGETS),
    "offload": "",
    "network_kind": "infiniband",
    "recipe": "adamw-mixed",
    "flops_convention": "full",
    "sequence_parallel": "",
    "fp8_recipe": "tensor",
    "tp_overlap": "",
    "expert_dispatch": "expert",
}
"""Columns that may be blank, and what blank means."""


def prepared_training(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with every column that a prediction reads, blanks filled as documented.

    A blank micro-batch is the fastest power of two up to 8 that fits (`filled`); blank
    recomputation is none; a blank overlap of tensor parallelism is what the framework does; blank
    interleaving of a pipeline is as deep as Megatron-Core allows; a blank network is the vendor's
    reference design; a blank ``dp`` is what the other sizes leave of the GPUs.
    """
    stated = pd.to_numeric(rows["interleave"]).notna() if "interleave" in rows else False
    rows = completed(rows, _NUMBERS, _TEXTS)
    split = rows["tp"] * rows["pp"] * rows["cp"]
    rows["dp"] = rows["dp"].fillna(rows["n_gpus"] / split)
    parallel = rows["sequence_parallel"].astype(str).str.lower()
    modern = (rows["framework"] != "megatron-2021") & (rows["tp"] > 1)
    rows["sequence_parallel"] = np.where(parallel == "", modern, parallel == "true")
    pieces = rows["tp_overlap"].astype(str).str.lower()
    beside = (rows["framework"] == "megatron-core") & rows["sequence_parallel"]
    rows["tp_overlap"] = np.where(pieces == "", beside, pieces == "true")
    rows["model"] = rows["model"].map(model_id)
    tuned = ~np.asarray(stated) & (rows["framework"] == "megatron-core") & (rows["pp"] > 1)
    chunks = rows["model"].map(_layers).to_numpy(int) // rows["pp"].to_numpy(int)
    rows["interleave"] = np.where(tuned, np.maximum(chunks, 1), rows["interleave"])
    rows["global_batch"] = rows["global_batch"].fillna(rows["dp"] * rows["micro_batch"].fillna(1))
    return rows


def _layers(name: str) -> int:
    try:
        return known_model(name).layers
    except InputError:
        return 1


def step_tokens(rows: pd.DataFrame) -> np.ndarray:
    """Return the tokens of one step of each row."""
    return np.asarray(rows["global_batch"] * rows["seq_len"], float)


def measured_step_seconds(rows: pd.DataFrame) -> np.ndarray:
    """Return the seconds of a step that each row's metric stands for."""
    value, tokens = rows["value"].to_numpy(float), step_tokens(rows)
    gpus = rows["n_gpus"].to_numpy(float)
    result = np.full(len(rows), np.nan)
    for metric, index in rows.groupby("metric").indices.items():
        v, t, n = value[index], tokens[index], gpus[index]
        if metric == "step_time_s":
            result[index] = v
        elif metric == "tokens_per_s_per_gpu":
            result[index] = t / (v * n)
        elif metric == "samples_per_s":
            result[index] = rows["global_batch"].to_numpy(float)[index] / v
        else:
            rate = v * 1e12
            if metric in ("mfu", "hfu"):
                rate = rate * _peak_tflops(rows.iloc[index])
            flops = _flops(rows.iloc[index], metric in ("hardware_tflops_per_gpu", "hfu"))
            result[index] = t * flops / (rate * n)
    return result


def _peak_tflops(rows: pd.DataFrame) -> np.ndarray:
    """Return what a utilisation divides by: as the source says, else the GPU's dense peak."""
    stated = rows["mfu_peak_tflops"] if "mfu_peak_tflops" in rows else np.full(len(rows), np.nan)
    peaks = np.array(stated, float)
    for i in np.flatnonzero(np.isnan(peaks)):
        peaks[i] = gpu(rows["gpu"].iloc[i]).peak_flops(rows["precision"].iloc[i]) / 1e12
    return peaks


def _flops(rows: pd.DataFrame, hardware: bool) -> np.ndarray:
    """Return the FLOP of a token that each row's source counted."""
    result = np.zeros(len(rows))
    for about, index in groups(rows, ["model", "flops_convention", "recompute"]):
        network, convention = known_model(about["model"]), about["flops_convention"]
        seq = rows["seq_len"].to_numpy(float)[index]
        if hardware:
            kind, share = recompute_of(about["recompute"] or "full", network.layers)
            result[index] = hardware_flops_per_token(network, seq, kind, convention, share)
        else:
            result[index] = model_flops_per_token(network, seq, convention)
    return result


def filled(rows: pd.DataFrame, memory: MemoryTerms) -> pd.DataFrame:
    """Return prepared rows with blank micro-batches decided: the fastest of those that fit.

    Of 1, 2, 4 and 8 sequences: larger ones fill the GPU, more of them the pipeline. One where none
    fits.
    """
    blank = rows["micro_batch"].isna().to_numpy()
    if not blank.any():
        return rows
    part = rows[blank]
    room = np.array([gpu(name).memory_bytes for name in part["gpu"]], float)
    per_rank = (part["global_batch"] / part["dp"]).to_numpy(float)
    size, best = np.ones(len(part)), _unfitted_seconds(part.assign(micro_batch=1.0))
    for larger in (2.0, 4.0, 8.0):
        tried = part.assign(micro_batch=larger)
        fits = (peak_memory(tried, memory) <= room) & (per_rank % larger == 0)
        seconds = np.where(fits, _unfitted_seconds(tried), np.inf)
        size, best = np.where(seconds < best, larger, size), np.minimum(seconds, best)
    rows = rows.copy()
    rows.loc[blank, "micro_batch"] = size
    return rows


def _unfitted_seconds(rows: pd.DataFrame) -> np.ndarray:
    """Return the seconds of a step before any fit, by which micro-batches are compared."""
    return np.asarray(sum(assembled(training_work(rows), TrainingTerms()).values()))


def prepared_rows() -> pd.DataFrame:
    """Return the shipped measurements, ready to be predicted."""
    return filled(prepared_training(measurements("training")), memory_terms())


def known_framework(rows: pd.DataFrame) -> np.ndarray:
    """Return whether another publisher measured each row's framework too."""
    publishers = publisher_of(rows).groupby(rows["framework"]).transform("nunique")
    return np.asarray(publishers > 1)


def _adapter(about: Row) -> Adapter | None:
    """Return the adapters of rows that share `about`; None where all weights are trained."""
    if about["tuning"] == "full":
        return None
    base = precision("nf4" if about["tuning"] == "qlora" else "bf16")
    targets = tuple(about["lora_targets"].split("|"))
    fused = framework_record(about["framework"]).fused_adapters
    return Adapter(base=base, rank=16, targets=targets, fused=fused)


def _job(rows: pd.DataFrame) -> TrainingJob:
    """Return how prepared rows were run."""
    names = ("seq_len", "micro_batch", "document_tokens", "tp", "pp", "dp", "cp", "ep")
    split = ("interleave", "zero_stage", "shard_gpus")
    layers = rows["model"].map(_layers) / rows["pp"]
    said = zip(rows["recompute"], layers, strict=True)
    again = np.array([recompute_of(str(text), held) for text, held in said], dtype=object)
    has = [framework_record(str(name)) for name in rows["framework"]]
    microbatches = (rows["global_batch"] / rows["dp"] / rows["micro_batch"]).to_numpy(float)
    return TrainingJob.of(
        **{name: rows[name].to_numpy(float) for name in (*names, *split)},
        **{name: rows[name].to_numpy(str) for name in ("attention", "fp8_recipe")},
        recompute=again[:, 0].astype(str),
        recompute_share=again[:, 1].astype(float),
        tp_overlap=rows["tp_overlap"].to_numpy(bool),
        node_dispatch=(rows["expert_dispatch"] == "node").to_numpy(),
        microbatches=np.maximum(microbatches, 1.0),
        sequence_parallel=rows["sequence_parallel"].to_numpy(bool),
        balanced_stages=np.array([one.balanced_stages for one in has], bool),
        gathers_ahead=np.array(
            [one.ahead(stage) for one, stage in zip(has, rows["zero_stage"], strict=True)], bool
        ),
        layer_gathers=np.array([one.layer_gathers for one in has], float),
        by_layer=np.array([one.by_layer for one in has], bool),
        bucket_per_rank=np.array([one.bucket_per_rank for one in has]),
        offload_optimizer=(rows["offload"] == "optimizer").to_numpy(),
        fused_glu=np.array([one.fused_glu for one in has], bool),
        bytes_per_logit=np.array([one.bytes_per_logit for one in has]),
    )


def peak_memory(rows: pd.DataFrame, terms: MemoryTerms) -> np.ndarray:
    """Return the predicted peak memory of each prepared row, in bytes."""
    result = np.zeros(len(rows))
    room = np.array([gpu(name).memory_bytes for name in rows["gpu"]], float)
    for about, index in groups(rows, _ADAPTED):
        result[index] = training_peak(
            known_model(about["model"]),
            training_recipe(about["recipe"]),
            _job(rows.iloc[index]),
            room[index],
            adapter=_adapter(about),
            terms=terms,
        )
    return result


def training_work(rows: pd.DataFrame) -> StepWork:
    """Return the work of each filled row's step, one value a row in every array.

    It does not depend on the constants of a framework: compute it once for a fit.
    """
    parts = []
    for about, index in groups(rows, _ONE_CALL):
        device, network, watts = (about[n] for n in ("gpu", "node_network_gb_s", "power_limit_w"))
        device = gpu(device) if watts != watts else limited(gpu(device), float(watts))
        network = None if network != network else float(network)
        work = step_work(
            known_model(about["model"]),
            training_recipe(about["recipe"]),
            kernels(device),
            fabric(device, network, about["network_kind"], int(about["gpus_per_node"])),
            _job(rows.iloc[index]),
            fp8=about["precision"] == "fp8",
            adapter=_adapter(about),
        )
        parts.append((index, work))
    return StepWork.joined(len(rows), parts)


def row_terms(frameworks: ArrayLike, terms: Mapping[str, TrainingTerms]) -> TrainingTerms:
    """Return the constants of each row's framework: arrays in the place of numbers."""
    names, place = np.unique(np.asarray(frameworks, str), return_inverse=True)
    columns: dict[str, Any] = {
        field: np.array([getattr(terms[n], field) for n in names])[place]
        for field in TrainingTerms.model_fields
    }
    return TrainingTerms.model_construct(**columns)


def predicted_step_seconds(
    rows: pd.DataFrame, terms: Mapping[str, TrainingTerms], work: StepWork | None = None
) -> np.ndarray:
    """Return the predicted seconds of a step of each filled row.

    `terms` holds the constants of every framework in the rows.
    """
    parts = assembled(work or training_work(rows), row_terms(rows["framework"], terms))
    return np.asarray(sum(parts.values()))
