"""What training or fine-tuning a network takes of each GPU."""

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.errors import InputError
from gpuspec.base.units import Floats
from gpuspec.catalog.models import Model
from gpuspec.catalog.precision import TrainingRecipe
from gpuspec.constants.memory import MemoryTerms
from gpuspec.formulas.job import TrainingJob
from gpuspec.formulas.memory.activations import (
    LayerWidths,
    collective_bytes,
    layer_activation_bytes,
    logits_bytes,
    microbatches_in_flight,
    norm_saved_bytes,
    scan_workspace_bytes,
)
from gpuspec.formulas.memory.adapters import Adapter, adapter_inputs
from gpuspec.formulas.memory.stages import Stages
from gpuspec.formulas.memory.states import Parts, StageParameters, held_states, stage_states
from gpuspec.formulas.recompute import repeats
from gpuspec.formulas.transformer import layer_halves, mlp_width


def state_parts(
    model: Model, recipe: TrainingRecipe, job: TrainingJob, *, adapter: Adapter | None = None
) -> Parts:
    """Bytes of ``weights``, ``gradients`` and ``optimizer`` on a GPU of the stage with the most.

    All that is known of an encoder with a decoder: what its layers keep for the backward pass
    is not in its description.
    """
    model.need_layers("training memory by layer")
    stages = Stages.of(model, job.parallel, job.shape)
    held = StageParameters.of(model, stages, job.parallel, adapter)
    states = held_states(stage_states(held, recipe, job, adapter), stages)
    return _fullest(states, np.zeros((), bool))


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

    Of a language model or an encoder, without towers and layers that predict further tokens.
    The first pipeline stage (embedding, most micro-batches in flight), the last (output head,
    logits; an encoder has none) and every other mixture of layers are computed, and the fullest
    of them is returned.

    Parameters
    ----------
    job : TrainingJob
        Batch, parallelism and software; all fields broadcast.
    stage : array_like of str
        ``fullest`` of the pipeline, or the ``first`` (what a log of rank 0 shows).
    capacity_bytes : array_like
        Memory of the GPU, where known: at its limit, what the allocator holds in reserve and
        freed tensors that still wait give way.
    adapter : Adapter, optional
        Fine-tune low-rank adapters on a frozen base instead of all weights.

    Returns
    -------
    dict of arrays
        ``weights``, ``gradients``, ``optimizer``, ``activations``, ``logits``, ``workspace``
        (gathered ZeRO-3 layers, one recomputed layer, tensors of the collectives, states between
        chunks of a recurrent layer, copies of an optimizer step beyond what activations leave),
        ``runtime``.

    Raises
    ------
    InputError
        For an encoder with a decoder and a diffusion model.

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
    need_layer_order(model, "training memory by layer")
    terms = terms or MemoryTerms()
    parallel, software, tp = job.parallel, job.software, job.parallel.tp
    shape = np.broadcast_shapes(job.shape, np.shape(stage), np.shape(capacity_bytes))
    stages = Stages.of(model, parallel, shape)
    held = StageParameters.of(model, stages, parallel, adapter)
    kept, lent = _stage_activations(model, job, adapter, stages, terms)
    states = held_states(stage_states(held, recipe, job, adapter), stages)
    here = np.where(parallel.offload_optimizer, 0.0, 1.0)
    logits = logits_bytes(job.tokens, _logits(model), tp, software.bytes_per_logit)
    needed = {
        **states,
        "optimizer": states["optimizer"] * here,
        "activations": np.where(software.offload_activations, lent, kept),
        "logits": np.where(stages.last, logits, 0.0),
    }
    halves = stages.sum([np.asarray(layer_halves(block)) for block in model.blocks])
    batches = job.batch.microbatches
    gathered, waiting = collective_bytes(job.tokens, model.hidden, halves, tp, parallel.pp, batches)
    workspace = gathered + _layer_workspace(model, job, adapter, stages, terms)
    prefetched = _gathered_layers(recipe, held, adapter)
    workspace = workspace + np.where(np.asarray(parallel.zero_stage) >= 3, prefetched, 0.0)
    process = terms.context_bytes + np.where(np.asarray(tp) > 1, terms.communicator_bytes, 0.0)
    parts = _at_peak(needed, workspace, recipe, software.persistent_gradients)
    room = np.asarray(capacity_bytes) - process
    if recipe.paged:
        parts = _paged(parts, room)
    parts = _with_what_gives_way(parts, waiting, process, room, terms)
    return _fullest(parts, np.equal(stage, "first"))


def training_peak(
    model: Model,
    recipe: TrainingRecipe,
    job: TrainingJob,
    capacity_bytes: ArrayLike,
    *,
    adapter: Adapter | None = None,
    terms: MemoryTerms | None = None,
) -> Floats:
    """Bytes of a training step's peak on the fullest GPU of each job: it fits up to the capacity.

    The one function by which every answer decides whether training fits: `training_parts` on a GPU
    of `capacity_bytes`, where what can give way has given way.
    """
    parts = training_parts(
        model, recipe, job, capacity_bytes=capacity_bytes, adapter=adapter, terms=terms
    )
    return np.asarray(sum(parts.values()))


def host_bytes(
    model: Model, recipe: TrainingRecipe, job: TrainingJob, adapter: Adapter | None = None
) -> Parts:
    """Bytes that each GPU's share of the host holds: ``optimizer`` and ``activations`` kept there.

    The states that the GPU would hold, with FP32 master weights and moments where the recipe keeps
    none (ZeRO-Offload); activations as they are kept for the backward pass.

    References
    ----------
    Ren et al. 2021, arXiv:2101.06840 (ZeRO-Offload).
    """
    stages = Stages.of(model, job.parallel, job.shape)
    held = StageParameters.of(model, stages, job.parallel, adapter)
    whole = recipe.model_copy(update={"optimizer_bytes": recipe.optimizer_bytes or 12.0})
    states = held_states(stage_states(held, whole, job, adapter), stages)["optimizer"]
    kept, lent = _stage_activations(model, job, adapter, stages, MemoryTerms())
    moved = np.where(job.software.offload_activations, np.maximum(kept - lent, 0.0), 0.0)
    optimizer = np.where(job.parallel.offload_optimizer, states, 0.0)
    shape = np.broadcast(optimizer, moved).shape
    both = (np.broadcast_to(part, shape).max(axis=0) for part in (optimizer, moved))
    return dict(zip(("optimizer", "activations"), both, strict=True))


def paged_bytes(
    model: Model,
    recipe: TrainingRecipe,
    job: TrainingJob,
    capacity_bytes: float,
    adapter: Adapter | None = None,
    terms: MemoryTerms | None = None,
) -> Floats:
    """Bytes of a paged optimizer's states that a GPU of `capacity_bytes` has no room for.

    They lie in host memory (unified memory), and come back for each update.

    References
    ----------
    Dettmers et al. 2023, arXiv:2305.14314, section 3 (paged optimizers).
    """
    bare = recipe.model_copy(update={"paged": False})
    both = [
        training_parts(
            model, kept, job, capacity_bytes=capacity_bytes, adapter=adapter, terms=terms
        )
        for kept in (bare, recipe)
    ]
    whole, held = (parts["optimizer"] for parts in both)
    return np.where(job.parallel.offload_optimizer, 0.0, np.maximum(whole - held, 0.0))


def _stage_activations(
    model: Model,
    job: TrainingJob,
    adapter: Adapter | None,
    stages: Stages,
    terms: MemoryTerms,
) -> tuple[Floats, Floats]:
    """Bytes that the layers of each stage keep, and what is left where they go to the host.

    Of those that go to the host one layer's are being written and one's being read.
    """
    parallel = job.parallel
    in_flight = microbatches_in_flight(
        parallel.pp, job.batch.microbatches, parallel.interleave, stages.place
    )
    kept = [_kept_activations(block, job, adapter, terms) for block in model.blocks]
    whole = stages.sum(kept) * in_flight
    return whole, np.minimum(whole, 2 * stages.largest(kept))


def need_layer_order(model: Model, what: str) -> None:
    """Raise unless tokens pass all layers of a network one after the other."""
    if model.kind == "encoder-decoder":
        valid = (
            f"{what} is not modelled for an encoder with a decoder: its two halves read "
            "sequences of different lengths"
        )
        raise InputError("model", model.id, valid)
    model.need_layers(what)


def _logits(model: Model) -> int:
    """Logits of a token: an encoder's output is its last hidden vector."""
    return 0 if model.kind == "encoder" else model.vocab


def _fullest(parts: Parts, first: ArrayLike) -> Parts:
    """Return the parts of the stage that needs most, or of the `first`."""
    columns = np.broadcast_arrays(*parts.values())
    place = np.where(first, 0, np.argmax(sum(columns), axis=0))[None]
    return {
        name: np.take_along_axis(column, place, axis=0)[0]
        for name, column in zip(parts, columns, strict=True)
    }


def _kept_activations(
    block: Model, job: TrainingJob, adapter: Adapter | None, terms: MemoryTerms
) -> Floats:
    """Average bytes of activations that a layer of a block keeps, with what it recomputes."""
    software, factor = job.software, terms.training_activation_factor
    share = np.asarray(software.recompute_share, float)
    whole = _layer_activations(block, job, adapter, "none") * factor
    # What recomputation keeps, it keeps once and as it is.
    as_is = np.isin(software.recompute, ("operations", "full"))
    less = _layer_activations(block, job, adapter, software.recompute)
    return share * less * np.where(as_is, 1.0, factor) + (1 - share) * whole


def _layer_activations(
    block: Model, job: TrainingJob, adapter: Adapter | None, recompute: ArrayLike
) -> Floats:
    """Average bytes of activations of one layer of a block."""
    software, frozen = job.software, adapter is not None
    scores = block.heads * job.tokens * job.batch.seq_len * np.equal(software.attention, "eager")
    parts = layer_activation_bytes(
        job.tokens,
        _saved_widths(block, job, adapter),
        score_elements=scores if block.attention != "none" else 0.0,
        dropout=software.dropout if adapter is None else False,
        tp=job.parallel.tp,
        sequence_parallel=job.parallel.sequence_parallel,
        recompute=recompute,
        norm_bytes=norm_saved_bytes(software.fused_norms, block.norm == "rmsnorm", frozen),
    )
    return np.asarray(sum(parts.values())) + _dropped_inputs(block, job, adapter, recompute)


def _dropped_inputs(
    block: Model, job: TrainingJob, adapter: Adapter | None, recompute: ArrayLike
) -> Floats:
    """Bytes of the inputs of adapters behind their dropout: 16 bits and a mask an element."""
    if adapter is None:
        return np.zeros(())
    kept = np.where(np.isin(recompute, ("operations", "full")), 0.0, 3.0 * job.tokens)
    kept = np.where(job.software.dropout, kept, 0.0)
    return np.asarray(kept * adapter_inputs(block, adapter) / np.asarray(job.parallel.tp))


def _saved_widths(block: Model, job: TrainingJob, adapter: Adapter | None) -> LayerWidths:
    """Widths of what a layer of a block keeps for its backward pass.

    A recurrent mixer keeps what its projections give, before and after the convolution, its
    output and that behind its norm (fused kernels of Mamba-2 keep less).
    """
    software = job.software
    matrices = np.where(software.fused_glu, 3.0, 4.0) if block.gated_mlp else np.asarray(2.0)
    # A frozen 16-bit product needs no input for its backward; bitsandbytes keeps it all the same
    # (`MatMul4Bit` saves A), as does a product that is trained.
    if adapter is not None and not adapter.base.quantized:
        matrices = matrices - 1.0
    attends, recurs = block.attention != "none", block.mixer in ("linear", "both")
    head = (block.head_dim + block.v_head_dim) / 2
    own = attends and block.cache != "shared"
    places = np.minimum(block.index_topk, job.batch.seq_len) * 2.0  # 32 bits each
    index = (block.index_heads + 1) * block.index_head_dim + places
    moe = block.moe_layers / block.layers
    return LayerWidths(
        hidden=block.hidden,
        query=block.heads * head if attends else 0.0,
        kv=block.kv_heads * head if own else 0.0,
        mlp_saved=matrices * mlp_width(block),
        mixer_saved=2.0 * block.attention_gate * attends
        + 2.0 * (block.linear_in + block.linear_out) * recurs,
        whole=index * attends + 2.0 * moe * block.expert_latent,
        mixers=float(block.mixer != "none"),
        mlps=float(bool(block.ffn or block.moe_layers)),
        mlp_products=(2.0 if block.gated_mlp else 1.0) * mlp_width(block),
        experts=1 - (1 - moe) * block.ffn / max(mlp_width(block), 1.0),
    )


def _layer_workspace(
    model: Model, job: TrainingJob, adapter: Adapter | None, stages: Stages, terms: MemoryTerms
) -> Floats:
    """Bytes that the backward pass of the largest layer takes beside what is kept."""
    software, factor = job.software, terms.training_activation_factor
    whole = np.isin(software.recompute, ("operations", "full"))
    norm, act, moe = (repeats(software.recompute, name) for name in ("norm", "act", "moe"))
    some = np.where(np.asarray(software.recompute_share) > 0, factor, 0.0)

    def again(block: Model) -> Floats:
        every = _layer_activations(block, job, adapter, "none")
        kept = _layer_activations(block, job, adapter, software.recompute)
        return some * np.where(whole, every, np.where(norm | act | moe, every - kept, 0.0))

    each = [
        again(block) + scan_workspace_bytes(job.tokens, block.state_elements, job.parallel.tp)
        for block in model.blocks
    ]
    return stages.largest(each)


def _gathered_layers(
    recipe: TrainingRecipe, stage: StageParameters, adapter: Adapter | None
) -> Floats:
    """Bytes that FSDP and ZeRO-3 gather: the layer at work and the next, or the embedding."""
    each = adapter.base.bytes_per_weight if adapter else recipe.gathered_bytes
    kept_each = adapter.base.kept_bytes_per_weight if adapter else recipe.gathered_bytes
    unit = stage.unit * each
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


def _paged(parts: Parts, room: Floats) -> Parts:
    """Leave of the optimizer's states what the rest leaves room for."""
    rest = sum(parts.values()) - parts["optimizer"]
    return {**parts, "optimizer": np.clip(room - rest, 0.0, parts["optimizer"])}


def _with_what_gives_way(
    parts: Parts, waiting: Floats, process: Floats, room: Floats, terms: MemoryTerms
) -> Parts:
    """Add freed tensors that wait and the allocator's reserve, as far as memory is left."""
    needed = sum(parts.values())
    free = room - (1 + terms.fragmentation) * needed
    parts = {**parts, "workspace": parts["workspace"] + np.clip(free, 0.0, waiting)}
    used = sum(parts.values())
    reserve = np.clip(room - used, 0.0, terms.fragmentation * used)
    return {**parts, "runtime": process + reserve}
