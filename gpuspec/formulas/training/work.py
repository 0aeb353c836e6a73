"""What a training step has to do: seconds at the rates of kernel tables and fabric.

The constants of a framework come on top, in `step`; a fit of them computes
this part once. Where layers differ, the pipeline's slowest stage sets the pace: its mean layer is
what the record holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuspec.base.units import Flags, Floats, Number
from gpuspec.catalog.models import Model
from gpuspec.catalog.models.params import LAYER_PARTS, layer_parts
from gpuspec.catalog.precision import TrainingRecipe
from gpuspec.constants.kernels import Kernels
from gpuspec.constants.links import Fabric
from gpuspec.formulas.job import Software, TrainingJob
from gpuspec.formulas.memory import Adapter, Stages, layer_adapters, need_layer_order
from gpuspec.formulas.recompute import repeats
from gpuspec.formulas.training.communication import DataSeconds, Ranks
from gpuspec.formulas.training.layers import (
    DIRECTIONS,
    STREAM_SHARE,
    Directions,
    adapter_seconds,
    by_kind,
    cast_seconds,
    dense_gemm_seconds,
    elementwise_seconds,
    flash_seconds,
    gemm_seconds,
    repeated_seconds,
    routed_gemm_seconds,
    scan_seconds,
    score_elements,
    unfused_gemm_seconds,
    unpack_seconds,
)
from gpuspec.formulas.transformer import head_gemms, layer_halves

HOST_STATE_BYTES = 12.0
"""FP32 master weight and both moments of a parameter, where they lie in host memory."""
PCIE_SHARE = 0.8
"""Share of the PCIe rate that gradients and weights reach on their way to the host and back."""
BUCKET_PARAMETERS = 40e6
"""Parameters whose gradients, or updated weights, a collective of ZeRO-0 to 2 moves: the bucket of
Megatron-Core, where it does not grow with the ranks (``bucket_per_rank``;
``megatron/core/distributed/distributed_data_parallel.py``). Those of PyTorch are smaller, those of
DeepSpeed larger."""
SHARED = ("shared_experts", "experts")
"""Products of a mixture of experts that every token passes."""
IN_PLACE_BYTES = 2.0
"""Most that a loss keeps of a logit where the gradient replaces it."""


@dataclass(frozen=True)
class StepWork:
    """A step before a framework's constants: seconds of one micro-batch, and settings.

    Numbers, or arrays of one value a step.
    """

    dense: Directions
    """Products of a mean layer, routed experts aside."""
    routed: Directions
    """Products of its routed experts."""
    head: Directions
    """Product of the output head."""
    flash: Floats
    """Fused attention of a layer, forward."""
    scan: Floats
    """Recurrent mixers of a layer between their projections, forward."""
    score_gemm: Floats
    """Products of unfused attention, forward."""
    score_pass: Floats
    """Reading or writing its scores once."""
    elementwise: Floats
    """Passes of a layer over hidden vectors, forward, by fused kernels."""
    casts: Floats
    """Casting the inputs of a layer's products to FP8; 0 without FP8."""
    unpack: Floats
    """Unpacking a layer's quantized base and the passes of its adapters, a pass."""
    logit_pass: Floats
    """Reading or writing the logits once, in FP32."""
    in_place: Flags
    """Whether the loss reads 16-bit logits once and writes their gradient over them."""
    tp: Floats
    """Tensor-parallel communication of a layer, both passes."""
    tp_overlap: Flags
    """Whether it runs beside the layer's products."""
    tp_between: Flags
    """Whether it leaves the node."""
    cp: Floats
    """Passing keys and values around the ring, a layer and pass."""
    ep: Floats
    """Sending tokens to their experts and back, a layer and pass."""
    pp: Floats
    """Handing a micro-batch to the next stage."""
    data: DataSeconds
    """Collectives of data parallelism."""
    ahead: Flags
    """Whether sharded weights are gathered beside other work."""
    accumulate: Floats
    """Adding a micro-batch's gradients to those of the step."""
    update: Floats
    """Reading and writing the optimizer's states once."""
    host_link: Floats
    """Gradients and weights over the link to the host, where states are offloaded."""
    host_bytes: Floats
    """Bytes that the host's update then moves, a node."""
    layers: Floats
    """Layers of a stage."""
    spare: Floats
    """Layers that the last stage, which has the output head, holds fewer."""
    moe: Number
    """Share of the layers that are mixtures of experts."""
    halves: Number
    """1 where layers mix tokens and have an MLP, a half where they do one of both."""
    stages: Floats
    chunks: Floats
    """Model chunks of a stage."""
    microbatches: Floats
    zero_stage: NDArray[np.int_]
    members: Floats
    """Data- and context-parallel ranks."""
    gpus: Floats
    balanced: Flags
    full: Floats
    """Share of the layers of which everything is recomputed."""
    selective: Floats
    """Of which the attention core is."""
    operations: Floats
    """Of which every second product and the passes over vectors are."""
    experts: Floats
    """Of which mixtures of experts are, with their dispatch."""
    shared: Floats
    """Products that these repeat beside routed experts, a layer."""
    repeated: Floats
    """Passes over vectors that modules repeat, a layer."""
    eager: Flags
    """Whether attention is not fused."""
    offload: Flags
    trained: Flags
    """Whether the weights themselves are trained, and not adapters beside them."""
    fp8: Flags
    row: Flags
    """Whether FP8 has a scale a row."""
    block: Flags
    """Whether it has one a block."""
    graphs: Flags
    """Whether layers are launched as recorded graphs."""
    separate: Flags
    """Whether they run as separate operations, neither fused nor compiled."""
    hopper: Flags
    ampere: Flags
    old_flash: Flags
    """Whether FlashAttention 2 or older runs on Hopper."""
    new_flash: Flags
    """Whether FlashAttention 3 or later runs on Hopper or Blackwell."""

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
    need_layer_order(model, "training speed")
    model = by_kind(model)
    if fp8:
        kernels.gpu.peak_flops("fp8")  # raises where there are no such units
    batch, parallel, software = job.batch, job.parallel, job.software
    ranks = Ranks.of(fabric, parallel)
    tp, pp, tokens = ranks.tp, ranks.pp, job.tokens
    layers = [_layer_work(b, kernels, ranks, job, fp8, adapter) for b in model.blocks]
    shares, count, spare = _slowest_stage(model, layers, job)
    mean = {name: _mean(shares, [layer[name] for layer in layers]) for name in layers[0]}
    head = head_gemms(model, tp) if model.kind == "llm" else []
    bandwidth, built = kernels.gpu.bandwidth_bytes_s, kernels.gpu.architecture
    hopper = built == "Hopper"
    states = _states(model, shares, count, recipe, adapter, ranks, kernels, job)
    return StepWork(
        **mean,
        head=Directions(*(gemm_seconds(tokens, head, kernels, False, d) for d in DIRECTIONS)),
        logit_pass=tokens * sum(n for n, _ in head) * 4 / bandwidth,
        in_place=np.asarray(software.bytes_per_logit, float) <= IN_PLACE_BYTES,
        tp_overlap=np.asarray(parallel.tp_overlap),
        tp_between=tp > fabric.island,
        pp=ranks.pipeline(model, tokens, parallel.sequence_parallel),
        data=states.data,
        ahead=np.asarray(parallel.gathers_ahead, bool),
        accumulate=states.accumulate,
        update=states.update,
        host_link=states.host_link,
        host_bytes=states.host_bytes,
        layers=count,
        spare=spare,
        stages=pp,
        chunks=np.asarray(parallel.interleave, float),
        microbatches=np.asarray(batch.microbatches, float),
        zero_stage=np.asarray(parallel.zero_stage),
        members=ranks.dp * ranks.cp,
        gpus=tp * pp * ranks.dp * ranks.cp,
        balanced=np.asarray(parallel.balanced_stages),
        full=_again(software, "full"),
        selective=_module(software, "selective"),
        operations=_again(software, "operations"),
        experts=_module(software, "moe"),
        eager=np.equal(software.attention, "eager"),
        offload=np.asarray(parallel.offload_optimizer),
        trained=adapter is None,
        fp8=fp8,
        row=np.equal(software.fp8_recipe, "row"),
        block=np.equal(software.fp8_recipe, "block"),
        graphs=np.asarray(software.cuda_graphs),
        separate=~np.asarray(software.fused_glu, bool),
        hopper=hopper,
        ampere=built == "Ampere",
        old_flash=np.equal(software.attention, "flash2") & hopper,
        new_flash=np.equal(software.attention, "flash3") & (hopper or built == "Blackwell"),
    )


def _again(software: Software, kind: str) -> Floats:
    """Return the share of the layers that recompute in a way."""
    return np.where(np.equal(software.recompute, kind), software.recompute_share, 0.0)


def _module(software: Software, name: str) -> Floats:
    """Return the share of the layers that repeat a module."""
    return np.where(repeats(software.recompute, name), software.recompute_share, 0.0)


def _layer_work(
    block: Model,
    kernels: Kernels,
    ranks: Ranks,
    job: TrainingJob,
    fp8: bool,
    adapter: Adapter | None,
) -> dict[str, Any]:
    """Return the fields of `StepWork` that a mean layer of a block decides."""
    tp, cp, ep, tokens = ranks.tp, ranks.cp, ranks.ep, job.tokens
    seq, sequences = np.asarray(job.batch.seq_len, float), np.asarray(job.batch.micro_batch, float)
    document = np.asarray(job.batch.document_tokens, float)
    seen = np.where(document > 0, np.minimum(document, seq), seq)
    pieces = sequences * seq / seen
    scores = score_elements(block, pieces, seen, tp, cp)
    software, spread = job.software, job.parallel.sequence_parallel
    full = _again(software, "full")
    return {
        "dense": Directions(
            *(dense_gemm_seconds(block, tokens, tp, kernels, fp8, d) for d in DIRECTIONS)
        ),
        "routed": Directions(
            *(routed_gemm_seconds(block, tokens, tp, ep, kernels, fp8, d) for d in DIRECTIONS)
        ),
        "flash": flash_seconds(block, pieces, seen, tp, cp, kernels),
        "scan": scan_seconds(block, tokens, tp, kernels),
        "score_gemm": unfused_gemm_seconds(block, scores, kernels),
        "score_pass": scores * 2 / kernels.gpu.bandwidth_bytes_s,
        "elementwise": elementwise_seconds(block, tokens, tp, spread, kernels),
        "repeated": np.asarray(software.recompute_share, float)
        * repeated_seconds(block, tokens, tp, spread, software.recompute, kernels),
        "shared": _module(software, "moe")
        * dense_gemm_seconds(block, tokens, tp, kernels, fp8, "forward", SHARED),
        "casts": cast_seconds(block, tokens, tp, kernels, adapter is None) * fp8,
        "unpack": unpack_seconds(block, tp, ep, kernels, adapter)
        + adapter_seconds(block, tokens, tp, kernels, adapter),
        "tp": ranks.tensor(block, tokens, spread, full, fp8),
        "cp": ranks.context(block, sequences, seq),
        "ep": ranks.experts(block, tokens, job.parallel.node_dispatch),
        "moe": block.moe_layers / block.layers,
        "halves": layer_halves(block),
    }


def _slowest_stage(
    model: Model, layers: list[dict[str, Any]], job: TrainingJob
) -> tuple[list[Floats], Floats, Floats]:
    """Return the share of each block in the layers of the slowest stage, and their number.

    And how many fewer the last stage has. Stages balanced by cost take as long as the mean of all.
    """
    balanced = np.asarray(job.parallel.balanced_stages)
    stages = Stages.of(model, job.parallel, job.shape)
    parts = ("flash", "scan", "elementwise", "tp", "ep")
    passes = [
        sum(layer["dense"]) + sum(layer["routed"]) + sum(3 * layer[name] for name in parts)
        for layer in layers
    ]
    place = np.argmax(stages.sum(passes), axis=0)[None]
    held = [np.take_along_axis(n, place, axis=0)[0] for n in stages.layers]
    number = np.asarray(sum(held))
    ends = np.max(np.where(stages.last, stages.layers.sum(axis=0), 0.0), axis=0)
    shares = [
        np.where(balanced, block.layers / model.layers, n / number)
        for block, n in zip(model.blocks, held, strict=True)
    ]
    even = model.layers / np.asarray(job.parallel.pp, float)
    return shares, np.where(balanced, even, number), np.where(balanced, 0.0, number - ends)


def _mean(shares: list[Floats], values: list[Any]) -> Any:
    """Return the mean layer of a column, or of a group of columns."""
    if isinstance(values[0], tuple):
        return type(values[0])(*(_mean(shares, list(one)) for one in zip(*values, strict=True)))
    return sum(share * value for share, value in zip(shares, values, strict=True))


@dataclass(frozen=True)
class _States:
    data: DataSeconds
    accumulate: Floats
    update: Floats
    host_link: Floats
    host_bytes: Floats


def _states(
    model: Model,
    shares: list[Floats],
    count: Floats,
    recipe: TrainingRecipe,
    adapter: Adapter | None,
    ranks: Ranks,
    kernels: Kernels,
    job: TrainingJob,
) -> _States:
    """Seconds of moving and updating the states that a GPU holds of the slowest stage's layers."""
    blocks, layers = model.blocks, model.layers
    counted = [(layer_parts(block), block.layers) for block in blocks]
    inside = sum(parts[name] for parts, _ in counted for name in LAYER_PARTS)
    each = [
        (sum(parts.values()) - parts["experts"] * (1 - 1 / ranks.ep)) / n for parts, n in counted
    ]
    split = ranks.tp * ranks.pp
    held = (layers * _mean(shares, each) + model.params - inside) / split
    trained = held
    if adapter is not None:
        tuned = [layer_adapters(block, adapter) for block in blocks]
        own = [dense + routed / ranks.ep for dense, routed in tuned]
        trained = layers * _mean(shares, own) / split
    members = ranks.dp * ranks.cp
    shards = np.asarray(job.parallel.shard_gpus, float)
    shards = np.where(shards > 0, np.minimum(shards, members), members)
    grad_bytes = min(recipe.grad_bytes, 4.0)
    own = trained / np.where(np.asarray(job.parallel.zero_stage) >= 1, shards, 1.0)
    # Update the shard (states are read and written); clipping reads every gradient once.
    moved = own * (grad_bytes + 2 * recipe.optimizer_bytes + 2) + trained * grad_bytes
    link = (kernels.gpu.pcie_bytes_s or 64e9) * PCIE_SHARE
    beside = np.minimum(members, ranks.fabric.island)
    sharded = np.asarray(job.parallel.by_layer) | (np.asarray(job.parallel.zero_stage) >= 3)
    each = count * np.asarray(job.parallel.layer_gathers)
    grown = members * np.asarray(job.parallel.bucket_per_rank)
    bucket = np.maximum(BUCKET_PARAMETERS, grown)
    scatters = np.where(sharded, count, np.maximum(trained / bucket, 1.0))
    gathers = np.where(sharded, each, np.maximum(held / bucket, 1.0))
    return _States(
        data=ranks.data(trained * recipe.reduced_bytes, held * 2.0, shards, scatters, gathers),
        accumulate=trained * 2 * grad_bytes / (kernels.gpu.bandwidth_bytes_s * STREAM_SHARE),
        update=moved / kernels.gpu.bandwidth_bytes_s,
        host_link=own * (grad_bytes + 2) / link,
        host_bytes=own * beside * (grad_bytes + 2 * HOST_STATE_BYTES),
    )
