"""Seconds of a layer in training, at the rates of the kernel tables.

Of a mean layer of one of ``model.blocks``: what a kind of layer does not have takes no time.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats, Number
from gpuspec.catalog.models import NO_WINDOW, Model
from gpuspec.catalog.models.groups import LayerGroup
from gpuspec.catalog.models.params import layer_parts
from gpuspec.constants.kernels import Kernels
from gpuspec.formulas.memory import SCAN_CHUNK, Adapter, layer_adapters
from gpuspec.formulas.recompute import repeats
from gpuspec.formulas.roofline import matmul_seconds, prefill_attention_seconds
from gpuspec.formulas.training.flops import SCAN_FLOPS
from gpuspec.formulas.transformer import (
    Gemm,
    Span,
    attention_spans,
    mlp_width,
    token_gemms,
    windows_of,
)


class Directions(NamedTuple):
    """Seconds of products by direction: same FLOP, other shapes."""

    forward: Number
    inputs: Number
    """Gradients of activations."""
    weights: Number
    """Gradients of weights."""


DIRECTIONS = Directions._fields
QUEUED_LAUNCH_US = 0.1
"""A training step queues its kernels ahead: what a launch costs alone is hidden."""
UNFUSED_SHARE = 0.5
"""Share of the dense peak of the two products of unfused attention."""
SCAN_SHARE = 0.25
"""Share of the dense peak of the products in the chunks of a recurrent mixer; not measured."""
ADAPTER_PASSES = 3.5
"""Passes over input and output of a matrix that its low-rank adapter makes in a pass."""
STREAM_SHARE = 0.8
"""Share of the memory bandwidth of kernels that only move bytes."""


def by_kind(model: Model) -> Model:
    """Return a network whose dense layers are a group of their own, where some have experts.

    Networks that say it by layer already, or whose windows follow a pattern, stay as they are.
    """
    mixed = 0 < model.moe_layers < model.layers
    if model.groups or not mixed or model.global_every or model.global_layers:
        return model
    dense = tuple(int(layer) for layer in np.flatnonzero(~model.moe_mask()))
    none = tuple((name, 0) for name in ("experts", "active_experts", "shared_experts"))
    groups = (LayerGroup(dense, none),)
    return model.model_copy(update={"groups": groups, "dense_layers": 0, "moe_every": 1})


def gemm_seconds(
    tokens: Floats, matrices: list[Gemm], kernels: Kernels, fp8: bool, direction: str
) -> Floats:
    """Seconds of the products of `tokens` with weight matrices, in one of `DIRECTIONS`."""
    kind = "fp8" if fp8 else "bf16"
    terms = kernels.matmul(kind).model_copy(update={"launch_us": QUEUED_LAUNCH_US})
    rates, size = kernels.hardware(kind), 1.0 if fp8 else 2.0
    seconds = np.zeros_like(tokens)
    for n, k in matrices:
        order = {"forward": (tokens, n, k), "inputs": (tokens, k, n), "weights": (n, k, tokens)}
        seconds = seconds + matmul_seconds(*order[direction], rates, terms, size, size)
    return np.asarray(seconds)


def dense_gemm_seconds(
    block: Model,
    tokens: Floats,
    tp: Floats,
    kernels: Kernels,
    fp8: bool,
    direction: str,
    parts: tuple[str, ...] = (),
) -> Floats:
    """Seconds of a layer's products, routed experts aside; of some `parts` of it alone."""
    seconds = np.zeros_like(tokens)
    for part in token_gemms(block, tp, tp):
        if parts and part.part not in parts:
            continue
        share = part.layers / block.layers
        seconds = seconds + share * gemm_seconds(tokens, part.matrices, kernels, fp8, direction)
    return np.asarray(seconds)


def routed_gemm_seconds(
    block: Model,
    tokens: Floats,
    tp: Floats,
    ep: Floats,
    kernels: Kernels,
    fp8: bool,
    direction: str,
) -> Floats:
    """Seconds of a layer's routed experts on one GPU, evenly loaded; 0 if dense."""
    if not block.moe_layers:
        return np.zeros_like(tokens)
    held = np.maximum(block.experts / ep, 1.0)
    rows = np.maximum(tokens * block.active_experts / held, 1.0)
    width, inside = block.expert_ffn / tp, routed_width(block)
    one: list[Gemm] = [((2 if block.gated_mlp else 1) * width, inside), (inside, width)]
    each = gemm_seconds(rows, one, kernels, fp8, direction)
    return np.asarray(block.moe_layers / block.layers * held * each)


def routed_width(block: Model) -> float:
    """Elements of a token on its way to routed experts and back."""
    return float(block.expert_latent or block.hidden)


def flash_seconds(
    block: Model, sequences: Floats, seq: Floats, tp: Floats, cp: Floats, kernels: Kernels
) -> Floats:
    """Seconds of a layer's fused attention, forward; 0 where it attends to nothing of the text.

    Windows count, and of sparse attention the chosen tokens, beside its indexer's scores of all
    (whole on every GPU of a tensor-parallel group). Context parallelism balances the causal
    triangle over its GPUs.
    """
    if block.attention == "none" or block.cache == "image":
        return np.zeros_like(sequences)
    heads, kv_heads = block.heads / tp, np.maximum(block.kv_heads / tp, 1.0)
    width = (block.head_dim + block.v_head_dim) / 2

    def seconds(span: Span, heads: Floats, kv_heads: Floats, width: float) -> Floats:
        rates, constants = kernels.hardware("bf16"), kernels.prefill_attention("bf16")
        constants = constants.model_copy(update={"launch_us": QUEUED_LAUNCH_US})
        seen = np.minimum(seq, span.tokens)  # beyond the window a band: nearly twice the triangle
        one = prefill_attention_seconds(
            sequences * seq / seen, seen, heads, kv_heads, width, rates, constants
        )
        both_sides = (seq > span.tokens) | (block.kind == "encoder")
        return np.asarray(one * np.where(both_sides, 2.0, 1.0) / span.each)

    total = np.zeros_like(sequences)
    for window, layers in windows_of(block):
        for span in attention_spans(block, window):
            total = total + layers / block.layers * seconds(span, heads, kv_heads, width)
    if block.index_heads:
        every, one = Span(float(NO_WINDOW), float(block.compress)), np.ones_like(tp)
        index = block.index_heads * one
        total = total + seconds(every, index, one, block.index_head_dim / 2)
    return np.asarray(total / cp)


def scan_seconds(block: Model, tokens: Floats, tp: Floats, kernels: Kernels) -> Floats:
    """Seconds of a layer's recurrent mixer between its projections, forward; 0 without one.

    Products within chunks, or the states between chunks, written and read in 16 bits.
    """
    state = tokens * block.state_elements / tp
    compute = state * SCAN_FLOPS / (kernels.hardware("bf16").peak_flops * SCAN_SHARE)
    return np.asarray(np.maximum(compute, state / SCAN_CHUNK * 2 * 2 / _stream(kernels)))


def score_elements(block: Model, sequences: Floats, seq: Floats, tp: Floats, cp: Floats) -> Floats:
    """Elements of a layer's score matrix on one GPU, where attention is not fused."""
    heads = 0 if block.attention == "none" else block.heads
    return np.asarray(sequences * heads / tp * seq**2 / cp)


def unfused_gemm_seconds(block: Model, scores: Floats, kernels: Kernels) -> Floats:
    """Seconds of the two products of unfused attention, forward."""
    width = (block.head_dim + block.v_head_dim) / 2
    return np.asarray(scores * 4 * width / (kernels.hardware("bf16").peak_flops * UNFUSED_SHARE))


def inputs(block: Model) -> int:
    """Return how often a layer reads the residual stream: once for what mixes, once for its MLP."""
    return (block.mixer != "none") + bool(block.ffn or block.moe_layers)


def elementwise_seconds(
    block: Model, tokens: Floats, tp: Floats, sequence_parallel: ArrayLike, kernels: Kernels
) -> Floats:
    """Seconds of a layer's forward passes over hidden vectors, by fused kernels.

    Each input's norm with residual sum (5 reads and writes of the residual stream), rotary (2 of
    the queries and keys), a gate on attention (3), a recurrent mixer's convolution (2 of what is
    projected) and gated norm (3 of its output), activation (2 or 3 of the feed-forward width); a
    routed token's vector is copied to its experts and back.
    """
    outside = np.where(sequence_parallel, tp, 1.0)
    moe = block.moe_layers / block.layers
    passes = 5 * inputs(block) * block.hidden / outside
    if block.attention != "none":
        heads = (block.heads + block.kv_heads) * block.head_dim
        passes = passes + (2 * heads + 3 * block.attention_gate) / tp
    if block.mixer in ("linear", "both"):
        passes = passes + (2 * block.linear_in + 3 * block.linear_out) / tp
    passes = passes + (3 if block.gated_mlp else 2) * mlp_width(block) / tp
    passes = passes + 4 * moe * block.active_experts * routed_width(block) / outside
    return np.asarray(tokens * passes * 2 / _stream(kernels))


def repeated_seconds(
    block: Model,
    tokens: Floats,
    tp: Floats,
    sequence_parallel: ArrayLike,
    recompute: ArrayLike,
    kernels: Kernels,
) -> Floats:
    """Seconds of the passes over vectors that modules of a layer repeat, by fused kernels.

    ``norm``: each norm reads its input and writes its output again (2 of the residual stream);
    ``act``: the activation (2 or 3 of the feed-forward width); ``moe``: that of the experts, and a
    routed token's copies to them and back.
    """
    outside, moe = np.where(sequence_parallel, tp, 1.0), block.moe_layers / block.layers
    act = (3 if block.gated_mlp else 2) * mlp_width(block)
    experts = act - (3 if block.gated_mlp else 2) * (1 - moe) * block.ffn
    passes = repeats(recompute, "norm") * 2 * inputs(block) * block.hidden / outside
    mixture, alone = repeats(recompute, "moe"), repeats(recompute, "act")
    passes = passes + np.where(alone, act, np.where(mixture, experts, 0.0)) / tp
    copied = 4 * moe * block.active_experts * routed_width(block) / outside
    return np.asarray(tokens * (passes + mixture * copied) * 2 / _stream(kernels))


def cast_seconds(
    block: Model, tokens: Floats, tp: Floats, kernels: Kernels, trained: bool = True
) -> Floats:
    """Seconds of casting each product's input to FP8 once, with its transpose (4 bytes).

    Weights that are not `trained` have no gradients, which alone need the transpose (3 bytes:
    ``backward_needs_input`` of Transformer Engine's ``Linear``).
    """
    attended = block.heads * block.v_head_dim if block.attention != "none" else 0
    scanned = block.linear_out if block.mixer in ("linear", "both") else 0
    read = inputs(block) * block.hidden + (attended + scanned + mlp_width(block)) / tp
    return np.asarray(tokens * read * (4 if trained else 3) / _stream(kernels))


def unpack_seconds(
    block: Model, tp: Floats, ep: Floats, kernels: Kernels, adapter: Adapter | None
) -> Floats:
    """Seconds of unpacking a layer's quantized base to 16 bit, a pass; 0 otherwise.

    The packed weights are read, the unpacked ones written and read again by the product.
    """
    if adapter is None or not adapter.base.quantized:
        return np.zeros_like(tp)
    parts, packed = layer_parts(block), adapter.base.quantizes.split("|")
    split = {"experts": ep}
    weights = sum(parts[name] / split.get(name, 1.0) for name in parts if name in packed)
    each = weights / block.layers / tp
    return np.asarray(each * (adapter.base.bytes_per_weight + 2.0) / _stream(kernels))


def adapter_seconds(
    block: Model, tokens: Floats, tp: Floats, kernels: Kernels, adapter: Adapter | None
) -> Floats:
    """Seconds of a layer's low-rank adapters beside its frozen weights, a pass; 0 without them.

    Their products are bound by memory: dropout reads and writes the input and the first product
    reads it (3), the second writes an output that a sum reads with the frozen one and writes (4),
    on average 3.5 passes over input and output; gradients move as much. Of each matrix tensor
    parallelism splits the input or the output. Fused projections read their input once.
    """
    if adapter is None:
        return np.zeros_like(tokens)
    dense, routed = layer_adapters(block, adapter)
    used = dense + routed * block.active_experts / max(block.experts, 1)
    passes = ADAPTER_PASSES * used / adapter.rank * (1 + 1 / tp) / 2
    return np.asarray(tokens * passes * 2 / _stream(kernels))


def _stream(kernels: Kernels) -> float:
    return kernels.gpu.bandwidth_bytes_s * STREAM_SHARE
