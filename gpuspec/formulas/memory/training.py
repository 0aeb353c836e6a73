"""What training or fine-tuning a language model takes of each GPU."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field

from gpuspec.base.units import Floats
from gpuspec.catalog.models import Model, parameter_parts
from gpuspec.catalog.precision import Precision, TrainingRecipe
from gpuspec.constants.memory import MemoryTerms
from gpuspec.formulas.job import TrainingJob
from gpuspec.formulas.memory.activations import (
    LayerWidths,
    collective_bytes,
    layer_activation_bytes,
    layers_in_flight,
    logits_bytes,
    norm_saved_bytes,
)
from gpuspec.formulas.memory.weights import lora_params, training_state_bytes
from gpuspec.formulas.transformer import mlp_width

STATES = ("weights", "gradients", "optimizer")
Parts = dict[str, Floats]
"""Bytes of one GPU by part."""


class Adapter(BaseModel):
    """Low-rank adapters on a frozen base (LoRA; QLoRA when `base` is a 4-bit format)."""

    model_config = ConfigDict(frozen=True)

    base: Precision
    rank: int = Field(8, ge=1)
    targets: tuple[str, ...] = ("q", "v")
    """Adapted matrices: any of q, k, v, o, gate, up, down."""


def adapter_params(model: Model, adapter: Adapter) -> float:
    """Trainable parameters of LoRA on the named matrices of every layer.

    References
    ----------
    Hu et al. 2021, arXiv:2106.09685: rank * (in + out) a matrix.
    """
    query, kv = model.heads * model.head_dim, model.kv_heads * model.head_dim
    hidden, ffn = model.hidden, model.ffn or model.expert_ffn
    shapes = {
        "q": (hidden, query),
        "k": (hidden, kv),
        "v": (hidden, model.kv_heads * model.v_head_dim),
        "o": (model.heads * model.v_head_dim, hidden),
        "gate": (hidden, ffn),
        "up": (hidden, ffn),
        "down": (ffn, hidden),
    }
    each = (lora_params(adapter.rank, *shapes[t]) for t in adapter.targets if t in shapes)
    return float(model.layers * sum(each))


def stage_layers(model: Model, pp: ArrayLike, balanced: ArrayLike = False) -> tuple[Floats, Floats]:
    """Layers on the first and on the last pipeline stage.

    An even split gives every stage the same number (Megatron-LM). A split balanced by cost
    counts the output head as layers of equal size, so that the last stage holds fewer and the
    others more (nanotron: ``get_block_compute_costs``).
    """
    parts, stages = parameter_parts(model), np.asarray(pp, float)
    layer = (parts["attention"] + parts["mlp"] + parts["experts"]) / model.layers
    head = model.vocab * model.hidden / layer
    even = np.ceil(model.layers / stages)
    first = np.where(balanced, np.ceil((model.layers + head) / stages), even)
    last = np.where(balanced, np.maximum(first - np.floor(head), 0), even)
    single = stages == 1
    return np.where(single, even, np.minimum(first, model.layers)), np.where(single, even, last)


@dataclass(frozen=True)
class _Stage:
    """Parameters on one GPU: of a stage's layers, and of the two ends of the pipeline."""

    layers: Floats
    experts: Floats
    embedding: Floats
    head: Floats

    @classmethod
    def of(cls, model: Model, layers: Floats, job: TrainingJob) -> "_Stage":
        """Return what a stage of so many layers holds."""
        parts, split = parameter_parts(model), np.asarray(job.parallel.tp, float)
        share = layers / model.layers
        tied = np.where(np.asarray(job.parallel.pp) > 1, parts["embedding"], 0.0)
        split_parts = ("attention", "linear", "mlp", "shared_experts")
        dense = sum(parts[name] for name in split_parts) / split + parts["norms"] + parts["router"]
        return cls(
            layers=share * dense,
            experts=share * parts["experts"] / split / np.asarray(job.parallel.ep, float),
            embedding=np.asarray((parts["embedding"] + parts["positions"]) / split),
            head=np.asarray((parts["lm_head"] or tied) / split),
        )


def training_parts(
    model: Model,
    recipe: TrainingRecipe,
    job: TrainingJob,
    *,
    stage: ArrayLike = "fullest",
    capacity_bytes: ArrayLike = np.inf,
    adapter: Adapter | None = None,
    terms: MemoryTerms | None = None,
) -> Parts:
    """Bytes that a training step takes on one GPU at its peak, in parts that add up.

    The first pipeline stage (embedding, most micro-batches in flight) and the last (output
    head, logits) are both computed, and the fuller of the two is returned.

    Parameters
    ----------
    job : TrainingJob
        Batch, parallelism and software; all fields broadcast.
    stage : array_like of str
        ``fullest`` of the pipeline's two ends, or the ``first`` (what a log of rank 0 shows).
    capacity_bytes : array_like
        Memory of the GPU, where known: at its limit, what the allocator holds in reserve and
        freed tensors that still wait give way.
    adapter : Adapter, optional
        Fine-tune low-rank adapters on a frozen base instead of all weights.

    Returns
    -------
    dict of arrays
        ``weights``, ``gradients``, ``optimizer``, ``activations``, ``logits``, ``workspace``
        (gathered ZeRO-3 layers, one recomputed layer, tensors of the collectives, copies of an
        optimizer step beyond what activations leave), ``runtime``.

    References
    ----------
    Rajbhandari et al. 2020, arXiv:1910.02054; Korthikanti et al. 2022, arXiv:2205.05198;
    Hu et al. 2021, arXiv:2106.09685; Dettmers et al. 2023, arXiv:2305.14314.

    >>> from gpuspec.catalog.models import model
    >>> from gpuspec.catalog.precision import training_recipe
    >>> job = TrainingJob.of(seq_len=4096, dp=8, zero_stage=3, recompute="full")
    >>> parts = training_parts(model("llama-3.1-8b"), training_recipe("adamw-mixed"), job)
    >>> round(float(parts["optimizer"]) / 1e9, 1)   # 8.03e9 parameters, 12 bytes each, over 8
    12.0
    """
    model.need_llm("training memory by layer")
    terms = terms or MemoryTerms()
    batch, parallel, software = job.batch, job.parallel, job.software
    tokens, tp, pp = job.tokens, parallel.tp, parallel.pp
    recomputed = np.equal(software.recompute, "full")
    factor = terms.training_activation_factor
    activations = _layer_activations(model, job, adapter, software.recompute)
    # A layer's input is kept once, as it is.
    activations = activations * np.where(recomputed, 1.0, factor)
    whole = _layer_activations(model, job, adapter, "none") * factor
    first_layers, last_layers = stage_layers(model, pp, parallel.balanced_stages)
    first, last = (_Stage.of(model, layers, job) for layers in (first_layers, last_layers))
    gathered, waiting = collective_bytes(tokens, model.hidden, first_layers, tp, pp)
    workspace = gathered + np.where(recomputed, whole, 0.0)
    sharded = np.asarray(parallel.zero_stage) >= 3
    prefetched = _gathered_layers(recipe, first, first_layers, adapter)
    workspace = workspace + np.where(sharded, prefetched, 0.0)
    logits = logits_bytes(tokens, model.vocab, tp, software.bytes_per_logit)
    process = terms.context_bytes + np.where(np.asarray(tp) > 1, terms.communicator_bytes, 0.0)

    def peak(held: Parts, layers: Floats, has_head: ArrayLike) -> Parts:
        own = {"activations": activations * layers, "logits": np.where(has_head, logits, 0.0)}
        parts = _at_peak({**held, **own}, workspace, recipe, software.persistent_gradients)
        return _with_what_gives_way(parts, waiting, process, np.asarray(capacity_bytes), terms)

    single = np.equal(pp, 1)
    even = np.ceil(model.layers / np.asarray(pp, float))
    in_flight = layers_in_flight(model.layers, pp, batch.microbatches, parallel.interleave)
    in_flight = in_flight * first_layers / even
    states = _states(model, recipe, first, job, adapter)
    here = peak(_held(states, "embedding"), in_flight, False)
    if np.any(single):
        both = peak(_held(states, "embedding", "head"), in_flight, True)
        here = {name: np.where(single, both[name], here[name]) for name in here}
    at_end = peak(_held(_states(model, recipe, last, job, adapter), "head"), last_layers, True)
    fuller = single | np.equal(stage, "first") | (sum(here.values()) >= sum(at_end.values()))
    return {name: np.asarray(np.where(fuller, here[name], at_end[name])) for name in here}


def _layer_activations(
    model: Model, job: TrainingJob, adapter: Adapter | None, recompute: ArrayLike
) -> Floats:
    """Average bytes of activations of one layer (dense and expert layers differ)."""
    software, frozen = job.software, adapter is not None
    matrices = np.where(software.fused_glu, 3.0, 4.0) if model.gated_mlp else np.asarray(2.0)
    # A frozen 16-bit product needs no input for its backward; bitsandbytes keeps it all the same
    # (`MatMul4Bit` saves A), as does a product that is trained.
    if adapter is not None and not adapter.base.quantized:
        matrices = matrices - 1.0
    materialised = np.equal(software.attention, "eager")
    parts = layer_activation_bytes(
        job.tokens,
        LayerWidths(
            hidden=model.hidden,
            query=model.heads * (model.head_dim + model.v_head_dim) / 2,
            kv=model.kv_heads * (model.head_dim + model.v_head_dim) / 2,
            mlp_saved=matrices * mlp_width(model),
        ),
        score_elements=model.heads * job.tokens * job.batch.seq_len * materialised,
        dropout=software.dropout,
        tp=job.parallel.tp,
        sequence_parallel=job.parallel.sequence_parallel,
        recompute=recompute,
        norm_bytes=norm_saved_bytes(software.fused_norms, model.norm == "rmsnorm", frozen),
    )
    return np.asarray(sum(parts.values()))


def _gathered_layers(
    recipe: TrainingRecipe, stage: _Stage, layers: Floats, adapter: Adapter | None
) -> Floats:
    """Bytes that FSDP and ZeRO-3 gather: the layer at work and the next, or the embedding."""
    each = adapter.base.bytes_per_weight if adapter else recipe.weight_bytes
    kept_each = adapter.base.kept_bytes_per_weight if adapter else recipe.weight_bytes
    unit = (stage.layers + stage.experts) / layers * each
    return unit + np.maximum(unit, stage.embedding * kept_each)


def _at_peak(
    parts: Parts, workspace: Floats, recipe: TrainingRecipe, persistent_gradients: ArrayLike
) -> Parts:
    """Add the workspace; count gradients and an optimizer step where activations leave no room."""
    persistent = np.asarray(persistent_gradients, float)
    step_share = recipe.step_bytes / recipe.optimizer_bytes if recipe.optimizer_bytes else 0.0
    passing = parts["gradients"] * (1 - persistent)
    passing = np.maximum(passing - parts["activations"] - parts["logits"], 0.0)
    # The update comes when activations are gone: its own needs count where they are larger.
    step = parts["optimizer"] * step_share - parts["activations"] - parts["logits"]
    gradients = parts["gradients"] * persistent + passing
    return {**parts, "gradients": gradients, "workspace": np.maximum(workspace, step)}


def _with_what_gives_way(
    parts: Parts, waiting: Floats, process: Floats, capacity: Floats, terms: MemoryTerms
) -> Parts:
    """Add freed tensors that wait and the allocator's reserve, as far as memory is left."""
    needed = sum(parts.values())
    free = capacity - process - (1 + terms.fragmentation) * needed
    parts = {**parts, "workspace": parts["workspace"] + np.clip(free, 0.0, waiting)}
    used = sum(parts.values())
    reserve = np.clip(capacity - process - used, 0.0, terms.fragmentation * used)
    return {**parts, "runtime": process + reserve}


def _held(states: dict[str, Parts], *ends: str) -> Parts:
    """Return the states of a stage's layers and of the ends of the pipeline that it has."""
    return {
        name: np.asarray(sum((states[end][name] for end in ends), states["layers"][name]))
        for name in STATES
    }


def _states(
    model: Model,
    recipe: TrainingRecipe,
    stage: _Stage,
    job: TrainingJob,
    adapter: Adapter | None,
) -> dict[str, Parts]:
    """States of a stage's layers, and of what the embedding's and the head's stage add."""
    zero = job.parallel.zero_stage
    ranks = np.asarray(job.parallel.dp) * np.asarray(job.parallel.cp)

    def trained(count: Floats, over: Floats) -> Parts:
        sizes = (recipe.weight_bytes, recipe.grad_bytes, recipe.optimizer_bytes)
        return training_state_bytes(count, *sizes, zero, over)

    def frozen(count: Floats, bytes_each: float) -> Parts:
        shards = np.where(np.asarray(zero) >= 3, np.asarray(ranks, float), 1.0)
        none = np.zeros(())
        return {"weights": count * bytes_each / shards, "gradients": none, "optimizer": none}

    if adapter is None:
        dense = trained(stage.layers, ranks)
        expert = trained(stage.experts, np.maximum(ranks / np.asarray(job.parallel.ep), 1))
        ends = {name: trained(getattr(stage, name), ranks) for name in ("embedding", "head")}
    else:
        base, count = adapter.base, stage.layers + stage.experts
        dense = frozen(count, base.bytes_per_weight)
        expert = trained(adapter_params(model, adapter) * (count / max(model.params, 1)), ranks)
        kept_bytes = base.kept_bytes_per_weight
        ends = {name: frozen(getattr(stage, name), kept_bytes) for name in ("embedding", "head")}
    return {"layers": {name: dense[name] + expert[name] for name in STATES}, **ends}
