"""What a training step has to do: seconds at the rates of kernel tables and fabric.

The constants of a framework come on top, in `step`; a fit of them computes
this part once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuspec.base.units import Flags, Floats, Number
from gpuspec.catalog.models import Model, parameter_parts
from gpuspec.catalog.precision import TrainingRecipe
from gpuspec.constants.kernels import Kernels
from gpuspec.constants.links import Fabric
from gpuspec.formulas.job import TrainingJob
from gpuspec.formulas.memory import Adapter, adapter_params
from gpuspec.formulas.training.communication import DataSeconds, Ranks
from gpuspec.formulas.training.layers import (
    DIRECTIONS,
    Directions,
    cast_seconds,
    dense_gemm_seconds,
    elementwise_seconds,
    flash_seconds,
    gemm_seconds,
    routed_gemm_seconds,
    score_elements,
    unfused_gemm_seconds,
    unpack_seconds,
)
from gpuspec.formulas.transformer import head_gemms

HOST_STATE_BYTES = 12.0
"""FP32 master weight and both moments of a parameter, where they lie in host memory."""
PCIE_SHARE = 0.8
"""Share of the PCIe rate that gradients and weights reach on their way to the host and back."""


@dataclass(frozen=True)
class StepWork:
    """A step before a framework's constants: seconds of one micro-batch, and settings.

    Numbers, or arrays of one value a step.
    """

    dense: Directions
    """Products of an average layer, routed experts aside."""
    routed: Directions
    """Products of its routed experts."""
    head: Directions
    """Product of the output head."""
    flash: Floats
    """Fused attention of a layer, forward."""
    score_gemm: Floats
    """Products of unfused attention, forward."""
    score_pass: Floats
    """Reading or writing its scores once."""
    elementwise: Floats
    """Passes of a layer over hidden vectors, forward, by fused kernels."""
    casts: Floats
    """Casting the inputs of a layer's products to FP8; 0 without FP8."""
    unpack: Floats
    """Unpacking a layer's quantized base, a pass."""
    logit_pass: Floats
    """Reading or writing the logits once, in FP32."""
    tp: Floats
    """Tensor-parallel communication of a layer, both passes."""
    cp: Floats
    """Passing keys and values around the ring, a layer and pass."""
    ep: Floats
    """Sending tokens to their experts and back, a layer and pass."""
    pp: Floats
    """Handing a micro-batch to the next stage."""
    data: DataSeconds
    """Collectives of data parallelism."""
    update: Floats
    """Reading and writing the optimizer's states once."""
    host_link: Floats
    """Gradients and weights over the link to the host, where states are offloaded."""
    host_bytes: Floats
    """Bytes that the host's update then moves, a node."""
    layers: Floats
    """Layers of a stage."""
    moe: Number
    """Share of the layers that are mixtures of experts."""
    stages: Floats
    chunks: Floats
    """Model chunks of a stage."""
    microbatches: Floats
    zero_stage: NDArray[np.int_]
    members: Floats
    """Data- and context-parallel ranks."""
    gpus: Floats
    balanced: Flags
    full: Flags
    """Whether everything is recomputed."""
    selective: Flags
    """Whether the attention core is."""
    eager: Flags
    """Whether attention is not fused."""
    offload: Flags
    trained: Flags
    """Whether the weights themselves are trained, and not adapters beside them."""
    fp8: Flags
    hopper: Flags
    old_flash: Flags
    """Whether FlashAttention 2 or older runs on Hopper."""

    def rows(self, chosen: NDArray[np.bool_]) -> "StepWork":
        """Return the `chosen` steps."""
        return StepWork(**{f.name: _rows(getattr(self, f.name), chosen) for f in fields(self)})

    @classmethod
    def joined(cls, size: int, parts: "Sequence[tuple[NDArray[np.intp], StepWork]]") -> "StepWork":
        """Return one record of `size` steps from records and the places of their steps."""
        places = [index for index, _ in parts]
        columns = {f.name: [getattr(work, f.name) for _, work in parts] for f in fields(cls)}
        return cls(**{name: _column(values, places, size) for name, values in columns.items()})


def _rows(value: Any, chosen: NDArray[np.bool_]) -> Any:
    """Return some rows of a column, or of a group of columns."""
    if isinstance(value, tuple):
        return type(value)(*(_rows(one, chosen) for one in value))
    return value[chosen]


def _column(values: Sequence[Any], places: Sequence[NDArray[np.intp]], size: int) -> Any:
    """Return a column, or a group of columns, whose values come in parts."""
    if isinstance(values[0], tuple):
        groups = zip(*values, strict=True)
        return type(values[0])(*(_column(group, places, size) for group in groups))
    column = np.zeros(size, np.asarray(values[0]).dtype)
    for place, value in zip(places, values, strict=True):
        column[place] = value
    return column


def step_work(
    model: Model,
    recipe: TrainingRecipe,
    kernels: Kernels,
    fabric: Fabric,
    job: TrainingJob,
    *,
    fp8: bool = False,
    adapter: Adapter | None = None,
) -> StepWork:
    """Return the times and settings from which `assembled` makes a step.

    Parameters are those of `gpuspec.formulas.training.step_parts`.
    """
    model.need_llm("training step by layer")
    if fp8:
        kernels.gpu.peak_flops("fp8")  # raises where there are no such units
    batch, parallel, software = job.batch, job.parallel, job.software
    ranks = Ranks.of(fabric, parallel)
    tp, pp, cp, ep = ranks.tp, ranks.pp, ranks.cp, ranks.ep
    seq, sequences = np.asarray(batch.seq_len, float), np.asarray(batch.micro_batch, float)
    tokens = job.tokens
    document = np.asarray(batch.document_tokens, float)
    seen = np.where(document > 0, np.minimum(document, seq), seq)
    pieces = sequences * seq / seen
    scores = score_elements(model, pieces, seen, tp, cp)
    head = head_gemms(model, tp)
    full, spread = np.equal(software.recompute, "full"), parallel.sequence_parallel
    bandwidth, hopper = kernels.gpu.bandwidth_bytes_s, kernels.gpu.architecture == "Hopper"
    layers = model.layers / pp
    states = _states(model, recipe, adapter, ranks, kernels, job)
    return StepWork(
        dense=Directions(
            *(dense_gemm_seconds(model, tokens, tp, kernels, fp8, d) for d in DIRECTIONS)
        ),
        routed=Directions(
            *(routed_gemm_seconds(model, tokens, tp, ep, kernels, fp8, d) for d in DIRECTIONS)
        ),
        head=Directions(*(gemm_seconds(tokens, head, kernels, False, d) for d in DIRECTIONS)),
        flash=flash_seconds(model, pieces, seen, tp, cp, kernels),
        score_gemm=unfused_gemm_seconds(model, scores, kernels),
        score_pass=scores * 2 / bandwidth,
        elementwise=elementwise_seconds(model, tokens, tp, spread, kernels),
        casts=cast_seconds(model, tokens, tp, kernels) * fp8,
        unpack=unpack_seconds(model, tp, ep, kernels, adapter),
        logit_pass=tokens * head[0][0] * 4 / bandwidth,
        tp=ranks.tensor(model, tokens, spread, full, fp8),
        cp=ranks.context(model, sequences, seq),
        ep=ranks.experts(model, tokens),
        pp=ranks.pipeline(model, tokens, spread),
        data=states.data,
        update=states.update,
        host_link=states.host_link,
        host_bytes=states.host_bytes,
        layers=np.where(parallel.balanced_stages, layers, np.ceil(layers)),
        moe=model.moe_layers / model.layers,
        stages=pp,
        chunks=np.asarray(parallel.interleave, float),
        microbatches=np.asarray(batch.microbatches, float),
        zero_stage=np.asarray(parallel.zero_stage),
        members=ranks.dp * cp,
        gpus=tp * pp * ranks.dp * cp,
        balanced=np.asarray(parallel.balanced_stages),
        full=full,
        selective=np.equal(software.recompute, "selective"),
        eager=np.equal(software.attention, "eager"),
        offload=np.asarray(parallel.offload_optimizer),
        trained=adapter is None,
        fp8=fp8,
        hopper=hopper,
        old_flash=np.equal(software.attention, "flash2") & hopper,
    )


@dataclass(frozen=True)
class _States:
    data: DataSeconds
    update: Floats
    host_link: Floats
    host_bytes: Floats


def _states(
    model: Model,
    recipe: TrainingRecipe,
    adapter: Adapter | None,
    ranks: Ranks,
    kernels: Kernels,
    job: TrainingJob,
) -> _States:
    """Seconds of moving and updating the states that a GPU holds."""
    parts = parameter_parts(model)
    split = ranks.tp * ranks.pp
    held: Floats = (sum(parts.values()) - parts["experts"] * (1 - 1 / ranks.ep)) / split
    trained = held
    if adapter is not None:
        trained = adapter_params(model, adapter) / split + 0 * held
    members = ranks.dp * ranks.cp
    shards = np.asarray(job.parallel.shard_gpus, float)
    shards = np.where(shards > 0, np.minimum(shards, members), members)
    grad_bytes = min(recipe.grad_bytes, 4.0)
    own = trained / np.where(np.asarray(job.parallel.zero_stage) >= 1, shards, 1.0)
    # Update the shard (states are read and written); clipping reads every gradient once.
    moved = own * (grad_bytes + 2 * recipe.optimizer_bytes + 2) + trained * grad_bytes
    link = (kernels.gpu.pcie_bytes_s or 64e9) * PCIE_SHARE
    beside = np.minimum(members, ranks.fabric.island)
    return _States(
        data=ranks.data(trained * grad_bytes, held * 2.0, shards),
        update=moved / kernels.gpu.bandwidth_bytes_s,
        host_link=own * (grad_bytes + 2) / link,
        host_bytes=own * beside * (grad_bytes + 2 * HOST_STATE_BYTES),
    )
