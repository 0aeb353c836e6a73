"""What serving a language model takes of each GPU, and what fits."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gpuspec.base.units import Floats
from gpuspec.catalog.models import Model
from gpuspec.catalog.precision import Precision, WeightFormat
from gpuspec.constants.memory import MemoryTerms
from gpuspec.formulas.memory.kv import sequence_bytes
from gpuspec.formulas.memory.loaded import stage_weights_bytes


def serving_activation_bytes(
    model: Model,
    batched_tokens: ArrayLike,
    sequences: ArrayLike,
    tp: ArrayLike = 1,
    factor: ArrayLike = 1.0,
    logit_bytes: ArrayLike = 4.0,
) -> Floats:
    """Bytes of the widest moment of a forward pass over `batched_tokens` tokens.

    Residual stream and its normed copy, the widest pair of intermediate tensors (QKV, or the
    MLP's with its output), and the logits of the `sequences` that sample a token (gathered, so
    not split over `tp`). Nothing is kept for a backward pass, so depth does not matter, but the
    widest kind of layer does.
    """
    tokens, split = np.asarray(batched_tokens, float), np.asarray(tp, float)
    widest = max(_widest(block) for block in model.blocks)
    live = 2.0 * tokens * (2 * model.hidden + widest / split) * np.asarray(factor, float)
    sampled = 0 if model.kind == "encoder" else model.vocab
    logits = np.asarray(sequences, float) * sampled * np.asarray(logit_bytes, float)
    return np.asarray(live + logits)


def _widest(block: Model) -> int:
    """Elements of the widest tensors of a token that live together in a layer of a block."""
    query = block.heads * block.head_dim
    qkv = query + block.kv_heads * (block.head_dim + block.v_head_dim) + query
    mixed = {
        "attention": qkv + block.attention_gate,
        "linear": block.linear_in + block.linear_out,
        "both": qkv + block.attention_gate + block.linear_in + block.linear_out,
        "none": 0,
    }
    dense = (2 + block.gated_mlp) * block.ffn * (block.moe_layers < block.layers)
    width = block.expert_latent or block.hidden
    routed = block.active_experts * ((2 + block.gated_mlp) * block.expert_ffn + width)
    shared = block.shared_experts * (2 + block.gated_mlp) * block.shared_expert_ffn
    return max(mixed[block.mixer], dense, routed + shared)


def serving_parts(
    model: Model,
    precision: WeightFormat | Precision,
    *,
    context: ArrayLike,
    sequences: ArrayLike,
    kv_bytes_each: ArrayLike = 2.0,
    tp: ArrayLike = 1,
    pp: ArrayLike = 1,
    attention_dp: ArrayLike = 1,
    batched_tokens: ArrayLike = 8192,
    block_tokens: ArrayLike = 16,
    image_tokens: ArrayLike = 0,
    terms: MemoryTerms | None = None,
) -> dict[str, Floats]:
    """Bytes that serving takes on one GPU of the fullest stage, in parts that add up.

    Parameters
    ----------
    context, sequences : array_like
        Tokens of each sequence (input and output), and sequences held at once.
    batched_tokens : array_like
        Tokens that the engine processes in one iteration (vLLM: ``max_num_batched_tokens``).
    attention_dp : array_like
        Groups of the `tp` GPUs with requests of their own; `sequences` are those of one group.
    image_tokens : array_like
        Tokens of a sequence's images, for layers that cross-attend to them.

    Returns
    -------
    dict of arrays
        ``weights``, ``kv_cache`` (with recurrent states), ``activations``, ``runtime`` (CUDA
        context, libraries, communication buffers).
    """
    model.need_layers("serving by layer")
    terms = terms or MemoryTerms()
    shared = np.asarray(tp) / np.asarray(attention_dp)
    split = shared, pp, block_tokens, image_tokens
    per_sequence = sequence_bytes(model, context, kv_bytes_each, *split)
    # An engine sizes its workspace for its token budget, or for less if less is ever asked.
    tokens = np.minimum(batched_tokens, np.asarray(context) * np.asarray(sequences))
    shape = np.broadcast(
        *map(np.asarray, (context, sequences, kv_bytes_each, shared, pp, tokens))
    ).shape
    parts = {
        "weights": stage_weights_bytes(model, precision, tp, pp, attention_dp),
        "kv_cache": per_sequence * np.asarray(sequences),
        "activations": serving_activation_bytes(
            model,
            tokens,
            sequences,
            tp,
            terms.serving_activation_factor,
            terms.serving_logit_bytes,
        ),
        "runtime": terms.context_bytes
        + np.where(np.asarray(tp) > 1, terms.communicator_bytes, 0.0),
    }
    return {name: np.broadcast_to(part, shape).astype(float) for name, part in parts.items()}


def budget_bytes(memory_bytes: ArrayLike, utilization: ArrayLike) -> Floats:
    """Bytes that an engine may use: the driver's total times the share it is given.

    vLLM's ``gpu_memory_utilization`` (0.9 unless set) covers all of the above: weights, cache,
    activations and runtime.
    """
    return np.asarray(np.asarray(memory_bytes, float) * utilization)


def max_sequences(
    model: Model,
    precision: WeightFormat | Precision,
    memory_bytes: ArrayLike,
    *,
    context: ArrayLike,
    utilization: ArrayLike = 0.9,
    **options: Any,
) -> Floats:
    """Return the most sequences of `context` tokens that fit at once; 0 when none does.

    `options` are those of `serving_parts`. Activations depend on the number of sequences
    (logits), so the answer of a first pass is reduced by the logits it needs.
    """
    context = np.asarray(context, float)
    one = serving_parts(model, precision, context=context, sequences=1, **options)
    # Workspace for the full token budget: with many sequences the engine fills it.
    many = serving_parts(model, precision, context=context, sequences=1e9, **options)
    terms = options.get("terms") or MemoryTerms()
    logits = np.asarray(model.vocab * terms.serving_logit_bytes, float)
    workspace = np.where(many["activations"] > 0, many["activations"] - logits * 1e9, 0.0)
    budget = budget_bytes(memory_bytes, utilization)
    free = budget - one["weights"] - one["runtime"]
    with np.errstate(divide="ignore"):  # an encoder keeps nothing of a sequence
        most = np.floor((free - workspace) / (one["kv_cache"] + logits * (model.kind != "encoder")))
    alone = sum(one.values()) <= budget
    return np.asarray(np.where(most >= 1, most, np.where(alone, 1.0, 0.0)))


def max_context(
    model: Model,
    precision: WeightFormat | Precision,
    memory_bytes: ArrayLike,
    *,
    sequences: ArrayLike = 1,
    utilization: ArrayLike = 0.9,
    **options: Any,
) -> Floats:
    """Return the longest context that `sequences` can have at once; 0 when not one token fits.

    Found by bisection on all elements at once, since sliding windows bend the line. The
    model's own maximum is not applied: compare with ``model.max_context``.
    """
    budget = budget_bytes(memory_bytes, utilization)
    arrays = [budget, sequences, *(options.get(k, 1) for k in ("tp", "pp", "kv_bytes_each"))]
    shape = np.broadcast(*map(np.asarray, arrays)).shape

    def fits(context: Floats) -> NDArray[np.bool_]:
        parts = serving_parts(model, precision, context=context, sequences=sequences, **options)
        return np.asarray(sum(parts.values()) <= budget)

    low, high = np.zeros(shape), np.full(shape, 2.0**32)
    while np.max(high - low) > 1:
        middle = np.floor((low + high) / 2)
        inside = fits(middle)
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return low
