"""What training or fine-tuning a language model takes of each GPU."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field

from gpuspec.catalog.models import Model, parameter_parts
from gpuspec.catalog.precision import Precision, TrainingRecipe
from gpuspec.constants.memory import MemoryTerms
from gpuspec.formulas.memory.activations import (
    collective_bytes,
    layer_activation_bytes,
    layers_in_flight,
    logits_bytes,
    norm_saved_bytes,
)
from gpuspec.formulas.memory.weights import Floats, lora_params, training_state_bytes


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


def _stage_params(
    model: Model, layers: Floats, tp: ArrayLike, pp: ArrayLike, ep: ArrayLike
) -> dict[str, Floats]:
    """Parameters on one GPU: of a stage's layers and of the two ends of the pipeline."""
    parts = parameter_parts(model)
    share = layers / model.layers
    split, experts_split = np.asarray(tp, float), np.asarray(ep, float)
    embedding = parts["embedding"] + parts["positions"]
    head = parts["lm_head"] or np.where(np.asarray(pp) > 1, parts["embedding"], 0.0)
    dense = (parts["attention"] + parts["mlp"]) / split + parts["norms"] + parts["router"]
    return {
        "layers": share * dense,
        "experts": share * parts["experts"] / split / experts_split,
        "embedding": np.asarray(embedding / split),
        "head": np.asarray(head / split),
    }


def _layer_activations(model: Model, tokens: Floats, seq_len: ArrayLike, **o: Any) -> Any:
    """Average bytes of activations of one layer (dense and expert layers differ)."""
    matrices = np.where(o["fused_glu"], 3.0, 4.0) if model.gated_mlp else np.asarray(2.0)
    # A frozen 16-bit product needs no input for its backward; bitsandbytes keeps it all the same
    # (`MatMul4Bit` saves A), as does a product that is trained.
    matrices = matrices - (1.0 if o["frozen"] and not o["quantized"] else 0.0)
    moe = model.moe_layers / model.layers
    routed = model.active_experts * model.expert_ffn
    shared = model.shared_experts * model.shared_expert_ffn
    mlp_width = matrices * ((1 - moe) * model.ffn + moe * (routed + shared))
    scores = model.heads * np.asarray(tokens, float) * seq_len * np.equal(o["attention"], "eager")
    parts = layer_activation_bytes(
        tokens,
        model.hidden,
        model.heads * (model.head_dim + model.v_head_dim) / 2,
        model.kv_heads * (model.head_dim + model.v_head_dim) / 2,
        mlp_width,
        score_elements=scores,
        dropout=o["dropout"],
        tp=o["tp"],
        sequence_parallel=o["sequence_parallel"],
        recompute=o["recompute"],
        norm_bytes=norm_saved_bytes(o["fused_norms"], model.norm == "rmsnorm", o["frozen"]),
    )
    return sum(parts.values())


def training_parts(
    model: Model,
    recipe: TrainingRecipe,
    *,
    seq_len: ArrayLike,
    micro_batch: ArrayLike = 1,
    tp: ArrayLike = 1,
    pp: ArrayLike = 1,
    dp: ArrayLike = 1,
    cp: ArrayLike = 1,
    ep: ArrayLike = 1,
    zero_stage: ArrayLike = 0,
    microbatches: ArrayLike = 2**20,
    interleave: ArrayLike = 1,
    recompute: ArrayLike = "none",
    sequence_parallel: ArrayLike = True,
    attention: ArrayLike = "flash",
    dropout: ArrayLike = False,
    bytes_per_logit: ArrayLike = 4.0,
    persistent_gradients: ArrayLike = True,
    balanced_stages: ArrayLike = False,
    fused_norms: ArrayLike = True,
    fused_glu: ArrayLike = True,
    stage: ArrayLike = "fullest",
    capacity_bytes: ArrayLike = np.inf,
    adapter: Adapter | None = None,
    terms: MemoryTerms | None = None,
) -> dict[str, Floats]:
    """Bytes that a training step takes on one GPU at its peak, in parts that add up.

    The first pipeline stage (embedding, most micro-batches in flight) and the last (output
    head, logits) are both computed, and the fuller of the two is returned.

    Parameters
    ----------
    seq_len, micro_batch : array_like
        Tokens a sequence, and sequences that one data-parallel rank processes at once.
    tp, pp, dp, cp, ep : array_like
        Tensor, pipeline, data, context and expert parallelism. Context parallelism counts as
        part of the ranks that ZeRO shards over.
    microbatches : array_like
        Micro-batches a step (gradient accumulation); fewer than `pp` leave stages unfilled.
    recompute, attention : array_like of str
        ``none``, ``selective`` or ``full``; ``flash`` or ``eager`` (scores materialised).
    bytes_per_logit : array_like
        4 for a fused loss; about 10 where BF16 logits, an FP32 copy and its gradient coexist;
        0 for a chunked loss.
    persistent_gradients : array_like of bool or float
        Whether gradients keep their buffers during the forward pass (accumulation, Megatron,
        DeepSpeed), or are allocated while activations are freed (a plain PyTorch step); a
        number is the share of the gradients' bytes that stays.
    balanced_stages : array_like of bool
        Whether pipeline stages are balanced by cost instead of by layers: `stage_layers`.
    fused_norms, fused_glu : array_like of bool
        Whether RMSNorm, and the activation of a gated MLP with its product, are one kernel
        each (Megatron, Liger, torch.compile) or eager PyTorch, which keeps what lies between.
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
    """
    model.need_llm("training memory by layer")
    terms = terms or MemoryTerms()
    tokens = np.asarray(micro_batch, float) * seq_len / np.asarray(cp)
    options = {
        "tp": tp,
        "sequence_parallel": sequence_parallel,
        "attention": attention,
        "dropout": dropout,
        "frozen": adapter is not None,
        "quantized": adapter is not None and adapter.base.quantized,
        "fused_norms": fused_norms,
        "fused_glu": fused_glu,
    }
    kept = _layer_activations(model, tokens, seq_len, recompute=recompute, **options)
    whole = _layer_activations(model, tokens, seq_len, recompute="none", **options)
    factor = terms.training_activation_factor
    recomputed = np.equal(recompute, "full")
    kept = kept * np.where(recomputed, 1.0, factor)  # a layer's input is kept once, as it is
    first_layers, last_layers = stage_layers(model, pp, balanced_stages)
    ranks = np.asarray(dp) * cp
    params = _stage_params(model, first_layers, tp, pp, ep)
    states = _states(model, recipe, params, zero_stage, ranks, ep, adapter)
    at_end = _stage_params(model, last_layers, tp, pp, ep)
    end_states = _states(model, recipe, at_end, zero_stage, ranks, ep, adapter)
    # FSDP and ZeRO-3 hold the layer at work and prefetch the next, or the embedding's matrix.
    layer_each = adapter.base.bytes_per_weight if adapter else recipe.weight_bytes
    kept_each = adapter.base.kept_bytes_per_weight if adapter else recipe.weight_bytes
    unit = (params["layers"] + params["experts"]) / first_layers * layer_each
    units = unit + np.maximum(unit, params["embedding"] * kept_each)
    workspace = np.where(np.asarray(zero_stage) >= 3, units, 0.0)
    workspace = workspace + np.where(recomputed, whole * factor, 0.0)
    gathered, waiting = collective_bytes(tokens, model.hidden, first_layers, tp, pp)
    workspace = workspace + gathered
    step_share = recipe.step_bytes / recipe.optimizer_bytes if recipe.optimizer_bytes else 0.0
    persistent = np.asarray(persistent_gradients, float)
    process = terms.context_bytes + np.where(np.asarray(tp) > 1, terms.communicator_bytes, 0.0)
    single = np.equal(pp, 1)

    def parts_of(end: str, layers: Floats, with_logits: Any) -> dict[str, Any]:
        logits = np.where(with_logits, logits_bytes(tokens, model.vocab, tp, bytes_per_logit), 0.0)
        here = end_states if end == "head" else states
        parts = {name: here[name] + here[f"{end} {name}"] for name in STATES}
        parts["activations"] = kept * layers
        passing = parts["gradients"] * (1 - persistent)
        passing = np.maximum(passing - parts["activations"] - logits, 0.0)
        parts["gradients"] = parts["gradients"] * persistent + passing
        # The update comes when activations are gone: its own needs count where they are larger.
        step = parts["optimizer"] * step_share - parts["activations"] - logits
        parts |= {"logits": logits, "workspace": np.maximum(workspace, step)}
        return _with_what_gives_way(parts, waiting, process, np.asarray(capacity_bytes), terms)

    even = np.ceil(model.layers / np.asarray(pp, float))
    in_flight = layers_in_flight(model.layers, pp, microbatches, interleave) * first_layers / even
    first = parts_of("both" if np.all(single) else "embedding", in_flight, single)
    if not np.all(single):
        both = parts_of("both", in_flight, True)
        first = {k: np.where(single, both[k], first[k]) for k in first}
    last = parts_of("head", last_layers, True)
    fuller = single | np.equal(stage, "first") | (sum(first.values()) >= sum(last.values()))
    return {k: np.asarray(np.where(fuller, first[k], last[k])) for k in first}


def _with_what_gives_way(
    parts: dict[str, Any], waiting: Floats, process: Floats, capacity: Floats, terms: MemoryTerms
) -> dict[str, Any]:
    """Add freed tensors that wait and the allocator's reserve, as far as memory is left."""
    needed = sum(parts.values())
    free = capacity - process - (1 + terms.fragmentation) * needed
    parts = {**parts, "workspace": parts["workspace"] + np.clip(free, 0.0, waiting)}
    used = sum(parts.values())
    reserve = np.clip(capacity - process - used, 0.0, terms.fragmentation * used)
    return {**parts, "runtime": process + reserve}


STATES = ("weights", "gradients", "optimizer")


def _states(
    model: Model,
    recipe: TrainingRecipe,
    params: dict[str, Floats],
    zero_stage: ArrayLike,
    ranks: ArrayLike,
    ep: ArrayLike,
    adapter: Adapter | None,
) -> dict[str, Any]:
    """States of a stage's layers, and of what the embedding's and the head's stage add."""

    def trained(count: Any, over: Any) -> dict[str, Floats]:
        sizes = (recipe.weight_bytes, recipe.grad_bytes, recipe.optimizer_bytes)
        return training_state_bytes(count, *sizes, zero_stage, over)

    def frozen(count: Any, bytes_each: float) -> dict[str, Any]:
        shards = np.where(np.asarray(zero_stage) >= 3, np.asarray(ranks, float), 1.0)
        return {"weights": count * bytes_each / shards, "gradients": 0.0, "optimizer": 0.0}

    if adapter is None:
        dense = trained(params["layers"], ranks)
        expert = trained(params["experts"], np.maximum(np.asarray(ranks) / np.asarray(ep), 1))
        ends = {end: trained(params[end], ranks) for end in ("embedding", "head")}
    else:
        base = adapter.base
        dense = frozen(params["layers"] + params["experts"], base.bytes_per_weight)
        share = (params["layers"] + params["experts"]) / max(model.params, 1)
        expert = trained(adapter_params(model, adapter) * share, ranks)
        kept = base.kept_bytes_per_weight
        ends = {end: frozen(params[end], kept) for end in ("embedding", "head")}
    states: dict[str, Any] = {name: dense[name] + expert[name] for name in STATES}
    for name in STATES:
        states[f"embedding {name}"], states[f"head {name}"] = (
            ends["embedding"][name],
            ends["head"][name],
        )
        states[f"both {name}"] = ends["embedding"][name] + ends["head"][name]
    return states
