"""Seconds of a training step, in parts that add up."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict

from gpuspec.base.units import GB, MICRO, Flags, Floats, Number
from gpuspec.catalog.models import Model
from gpuspec.catalog.precision import TrainingRecipe
from gpuspec.constants.kernels import Kernels
from gpuspec.constants.links import Fabric
from gpuspec.constants.training import TrainingTerms
from gpuspec.formulas.job import TrainingJob
from gpuspec.formulas.memory import Adapter
from gpuspec.formulas.roofline import p_norm
from gpuspec.formulas.training.communication import DataSeconds
from gpuspec.formulas.training.layers import Directions
from gpuspec.formulas.training.work import StepWork, step_work

PARTS = (
    "gemm",
    "attention",
    "elementwise",
    "recompute",
    "head",
    "launch_bound",
    "tp",
    "cp",
    "ep",
    "pp",
    "dp",
    "bubble",
    "optimizer",
    "fixed",
)
"""What a step consists of; ``tp`` to ``dp`` are the exposed seconds of communication."""
BACKWARD_ATTENTION = 3.0
"""Backward over forward of fused attention: 2.5 times the FLOP, at lower efficiency."""
HOST_SHARPNESS = 4
"""Exponent of the norm that joins the host's time of a layer with the GPU's."""
IN_PLACE_PASSES = 1.0
"""Passes over the logits, in FP32, of a loss that reads 16 bits of each and writes their gradient
in their place (llm.c, ``llmc/fused_classifier.cuh``)."""
HIDEABLE = 0.8
"""Share of the work beside it behind which communication can hide."""


class Cluster(BaseModel):
    """Where a step runs: kernels of a GPU, fabric between GPUs, constants of a framework."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    kernels: Kernels
    fabric: Fabric
    terms: TrainingTerms = TrainingTerms()


class Passes(NamedTuple):
    """Seconds of a layer's work in the forward pass and in the backward pass."""

    forward: Number
    backward: Number

    @property
    def both(self) -> Number:
        """Return the seconds of both."""
        return self.forward + self.backward


def step_parts(
    model: Model,
    recipe: TrainingRecipe,
    cluster: Cluster,
    job: TrainingJob,
    *,
    fp8: bool = False,
    adapter: Adapter | None = None,
) -> dict[str, Floats]:
    """Seconds of one optimizer step, in the parts of `PARTS`, which add up to the step.

    Parameters
    ----------
    job : TrainingJob
        Batch, parallelism and software; all fields broadcast.
    fp8 : bool
        Products in FP8 (attention, head and norms stay in BF16).
    adapter : Adapter, optional
        Fine-tune low-rank adapters: no gradients of the frozen weights.

    Returns
    -------
    dict of arrays
        Broadcast over all fields.

    Raises
    ------
    InputError
        For an encoder with a decoder and a diffusion model.

    References
    ----------
    Narayanan et al. 2021, arXiv:2104.04473 (1F1B, interleaving, bubble); Korthikanti et al.
    2022, arXiv:2205.05198 (sequence parallelism, selective recomputation); Rajbhandari et al.
    2020, arXiv:1910.02054 (ZeRO's communication); Liu et al. 2023, arXiv:2310.01889 (ring
    attention).
    """
    work = step_work(model, recipe, cluster.kernels, cluster.fabric, job, fp8=fp8, adapter=adapter)
    return assembled(work, cluster.terms)


def assembled(work: StepWork, terms: TrainingTerms) -> dict[str, Floats]:
    """Return the parts of a step from its work and the constants of a framework.

    The constants may be arrays too, one value for each step of `work`. Every part of a
    micro-batch's layer counts ``layers * microbatches`` times.
    """
    w, t = work, terms
    generation = np.where(w.hopper, t.hopper_factor, 1.0)
    scales = np.where(w.row, t.row_factor, np.where(w.block, t.block_factor, 1.0))
    factor = np.where(w.fp8, t.fp8_factor * scales, t.matmul_factor) * generation
    gemm = gemm_passes(w.dense, w.routed, w.trained, factor, t.expert_factor)
    kernel = np.where(w.new_flash, t.flash3_factor, np.where(w.ampere, t.flash_on_ampere, 1.0))
    kernel = np.where(w.old_flash, t.flash2_on_hopper, kernel)
    flash = w.flash * t.attention_factor * kernel
    unfused = w.score_gemm + w.score_pass * t.score_passes / 3
    attention = attention_passes(flash + w.scan, unfused + w.scan, w.eager)
    casts = w.casts * t.fp8_passes + w.unpack
    elementwise = elementwise_passes(w.elementwise * t.elementwise_factor, casts)
    again = recompute_seconds(
        gemm.forward, attention.forward, elementwise.forward, w.full, w.selective, w.operations
    )
    modules = (w.shared + w.experts * w.routed.forward * t.expert_factor) * factor
    again = again + modules + w.repeated * t.elementwise_factor
    passes = 2.0 + w.full
    beside_tp = exposed_seconds(w.tp, gemm.both, t.tp_overlapped)
    tp_s = np.where(w.tp_overlap, beside_tp, w.tp * t.tp_exposed)
    tp_s = np.where(w.tp_between, w.tp * t.tp_between, tp_s)
    ep_s = w.ep * (passes + w.experts) * t.ep_exposed
    cp_s = exposed_seconds(w.cp * (passes + 1) / 2, attention.both, t.cp_exposed)
    busy = gemm.both + attention.both + elementwise.both + again + tp_s + cp_s + ep_s
    launched = np.where(w.separate, t.separate_layer_us, t.layer_us) * ~np.asarray(w.graphs)
    host = launched * MICRO * w.halves * (1 + passes + w.operations)
    hop = w.pp * np.where(w.chunks > 1, t.pp_overlapped, t.pp_exposed)
    loss = np.where(w.in_place, IN_PLACE_PASSES, t.head_passes)
    head = head_seconds(w.head, w.logit_pass, w.trained, t.matmul_factor, loss)
    layer_s = busy + launch_bound_seconds(busy, host)
    last = np.where(w.balanced, head / w.stages, np.maximum(head - w.spare * layer_s, 0.0))
    micro: dict[str, Number] = {
        "gemm": w.layers * gemm.both,
        "attention": w.layers * attention.both,
        "elementwise": w.layers * elementwise.both,
        "recompute": w.layers * again,
        "head": last,
        "launch_bound": w.layers * launch_bound_seconds(busy, host),
        "tp": w.layers * tp_s,
        "cp": w.layers * cp_s,
        "ep": w.layers * ep_s,
        "pp": pipeline_seconds(hop + (w.stages > 1) * t.handoff_ms * 1e-3, w.chunks),
    }
    micro_s = np.asarray(sum(micro.values()))
    parts: dict[str, Number] = {name: s * w.microbatches for name, s in micro.items()}
    adds = (w.microbatches > 1) & (w.zero_stage < 3)
    parts["gemm"] = parts["gemm"] + np.where(adds, w.accumulate * w.microbatches, 0.0)
    # While the pipeline fills, every stage but the last works on its layers alone.
    filling = micro_s - last * np.where(w.balanced, 0.0, (w.stages - 1) / w.stages)
    parts["bubble"] = bubble_seconds(filling, w.stages, w.chunks) * t.bubble_factor
    group = chunk_group(w.stages, w.chunks, w.microbatches)
    beside = micro_s * np.where(w.zero_stage >= 3, w.microbatches, group)
    moved = data_parallel_seconds(w.data, w.zero_stage, w.microbatches)
    share = np.where(w.zero_stage >= 3, t.zero3_exposed, t.zero1_exposed)
    share = np.where(w.zero_stage == 0, t.dp_exposed, share)
    backward = beside * (passes / (1 + passes))
    shown = exposed_seconds(moved.gradients, backward, share) + np.where(
        w.ahead,
        exposed_seconds(moved.weights, beside - backward, share),
        moved.weights,
    )
    together = exposed_seconds(moved.gradients + moved.weights, beside, share)
    shown = np.where((w.zero_stage >= 3) & w.ahead, together, shown)
    parts["dp"] = np.where(w.members > 1, shown, 0.0)
    on_host = w.host_link + w.host_bytes / (t.offload_gb_s * GB)
    parts["optimizer"] = np.where(w.offload, on_host, w.update * t.optimizer_factor)
    parts["fixed"] = np.asarray(t.step_ms * 1e-3)
    slower = slowest_factor(w.gpus, t.jitter)
    shape = np.broadcast(*parts.values(), slower).shape
    return {name: np.broadcast_to(parts[name] * slower, shape) for name in PARTS}


def gemm_passes(
    dense: Directions,
    routed: Directions,
    trained: Flags,
    factor: Number,
    expert_factor: Number,
) -> Passes:
    """Seconds of a layer's products with weights: ``(dense + e routed) f`` in each direction.

    Parameters
    ----------
    dense, routed : Directions
        Seconds at the rates of the kernel tables.
    trained : array_like of bool
        Whether the weights have gradients: not where adapters are trained.

    >>> one, none = Directions(1.0, 1.0, 1.0), Directions(0.0, 0.0, 0.0)
    >>> gemm_passes(one, none, np.array([True, False]), 1.5, 1.0).backward.tolist()
    [3.0, 1.5]
    """
    forward, inputs, weights = (
        (own + other * expert_factor) * factor for own, other in zip(dense, routed, strict=True)
    )
    return Passes(forward, inputs + np.where(trained, weights, 0.0))


def attention_passes(flash: Floats, unfused: Floats, eager: Flags) -> Passes:
    """Seconds of a layer's attention core: forward ``t``, backward 3 t fused and 2 t unfused.

    >>> attention_passes(np.array(1.0), np.array(5.0), np.array([False, True])).backward.tolist()
    [3.0, 10.0]
    """
    forward = np.where(eager, unfused, flash)
    return Passes(forward, np.where(eager, 2 * unfused, BACKWARD_ATTENTION * flash))


def elementwise_passes(moved: Number, casts: Number) -> Passes:
    """Seconds of a layer's passes over hidden vectors: ``m + c`` forward, ``2 m + c`` backward.

    `casts` is what turning inputs to FP8, or unpacking a quantized base, adds to a pass.

    >>> elementwise_passes(1.0, 0.25)
    Passes(forward=1.25, backward=2.25)
    """
    return Passes(moved + casts, 2 * moved + casts)


def recompute_seconds(
    gemm: Number,
    core: Number,
    moved: Number,
    full: Number,
    selective: Number,
    operations: Number,
) -> Floats:
    """Seconds that a layer's backward pass repeats of its forward pass.

    ``f (g + c + m) + s c + o (g / 2 + m)`` for products g, attention core c and passes over vectors
    m, and the shares of layers that recompute everything, the core, and every second product with
    the passes.

    References
    ----------
    Korthikanti et al. 2022, arXiv:2205.05198, section 5 (the core); torchtitan,
    ``torchtitan/models/llama3/infra/parallelize.py``, ``_apply_ac_to_transformer_block`` (every
    second product).

    >>> float(recompute_seconds(6.0, 3.0, 1.0, 0.5, 0.0, 0.0))
    5.0
    >>> float(recompute_seconds(6.0, 3.0, 1.0, 0.0, 0.0, 1.0))
    4.0
    """
    whole = (gemm + core + moved) * np.asarray(full)
    return np.asarray(whole + core * np.asarray(selective) + (gemm / 2 + moved) * operations)


def head_seconds(
    head: Directions, logit_pass: Number, trained: Flags, factor: Number, passes: Number
) -> Floats:
    """Seconds of the output projection with its loss, both passes, in BF16: ``f h + p l``.

    >>> float(head_seconds(Directions(1.0, 1.0, 1.0), 0.5, True, 1.0, 6.0))
    6.0
    """
    gemm = head.forward + head.inputs + np.where(trained, head.weights, 0.0)
    return np.asarray(gemm * factor + logit_pass * passes)


def launch_bound_seconds(busy: Number, host: Number) -> Floats:
    """Return how much longer a layer takes because the host launches its kernels too slowly.

    Host and GPU work side by side: the slower one rules, with a soft corner,
    ``(busy^4 + host^4)^(1/4) - busy``.

    >>> launch_bound_seconds(np.array([1.0, 1.0]), np.array([0.0, 100.0])).round(3).tolist()
    [0.0, 99.0]
    """
    return p_norm(HOST_SHARPNESS, busy, host) - busy


def exposed_seconds(seconds: Number, beside: Number, share: Number) -> Floats:
    """Return what of `seconds` shows: a share always, the rest where no work lies beside it.

    ``s max(e, 1) - min(s (1 - min(e, 1)), 0.8 b)`` for a share e beside b seconds of work.

    >>> exposed_seconds(10.0, np.array([0.0, 5.0, 100.0]), 0.25).tolist()
    [10.0, 6.0, 2.5]
    """
    hidden = np.minimum(seconds * (1 - np.minimum(share, 1.0)), beside * HIDEABLE)
    return np.asarray(seconds * np.maximum(share, 1.0) - hidden)


def pipeline_seconds(hop: Number, chunks: Number) -> Number:
    """Seconds in which a micro-batch is handed on: ``2 v h``, each chunk forward and back.

    >>> pipeline_seconds(0.01, 4.0)
    0.08
    """
    return hop * 2 * chunks


def bubble_seconds(filling: Number, stages: Number, chunks: Number) -> Number:
    """Seconds in which a stage waits for the pipeline to fill and drain: ``(p - 1) / v t``.

    `filling` is the time t of a micro-batch on a stage.

    References
    ----------
    Narayanan et al. 2021, arXiv:2104.04473, section 2.2.

    >>> bubble_seconds(1.0, 8.0, np.array([1.0, 2.0])).tolist()
    [7.0, 3.5]
    """
    return (stages - 1) / chunks * filling


def chunk_group(stages: Number, chunks: Number, microbatches: Number) -> Floats:
    """Micro-batches whose work hides the gradients of a step: ``max(min(p, n) (1 - 1/v), 1)``.

    Under an interleaved schedule a stage meets its chunks one after the other, a group of as
    many micro-batches as there are stages each (Narayanan et al. 2021, arXiv:2104.04473,
    section 2.2): the collectives of all chunks but one have the work of the other chunks' group
    beside them. Otherwise the last micro-batch's backward and the first forward do.

    >>> chunk_group(8.0, np.array([1.0, 4.0]), 32.0).tolist()
    [1.0, 6.0]
    """
    return np.maximum(np.minimum(stages, microbatches) * (1 - 1 / chunks), 1.0)


class Moved(NamedTuple):
    """Seconds of a step's gradients and of its sharded weights, if nothing hid them."""

    gradients: Floats
    weights: Floats


def data_parallel_seconds(
    data: DataSeconds, zero_stage: ArrayLike, microbatches: ArrayLike
) -> Moved:
    """Seconds of gradients and sharded parameters in a step, if nothing hid them.

    ZeRO-0 reduces gradients once a step; ZeRO-1 and 2 scatter them and gather the weights once;
    ZeRO-3 gathers weights for each pass and scatters gradients of each micro-batch.

    >>> one = DataSeconds(reduce=2.0, scatter=1.0, gather=1.0, between=0.0)
    >>> sum(data_parallel_seconds(one, [0, 1, 3], 4)).tolist()
    [2.0, 2.0, 12.0]
    """
    stage, each = np.asarray(zero_stage), np.asarray(microbatches)
    scatter = data.scatter * np.where(stage >= 3, each, 1.0) + data.between
    gather = data.gather * np.where(stage >= 3, 2 * each, 1.0)
    return Moved(np.where(stage == 0, data.reduce, scatter), np.where(stage == 0, 0.0, gather))


def slowest_factor(gpus: ArrayLike, jitter: ArrayLike) -> Floats:
    """Return how much longer a step takes since the slowest GPU sets the pace: ``(1 + j)^log2 N``.

    >>> slowest_factor([1, 4], 0.1).round(2).tolist()
    [1.0, 1.21]
    """
    doublings = np.log2(np.maximum(np.asarray(gpus, float), 1.0))
    return np.asarray((1 + np.asarray(jitter)) ** doublings)
