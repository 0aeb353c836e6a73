"""Seconds of the layers of a transformer in training, at the rates of the kernel tables."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats, Number
from gpuspec.catalog.models import Model, parameter_parts
from gpuspec.constants.kernels import Kernels
from gpuspec.formulas.memory import Adapter
from gpuspec.formulas.roofline import matmul_seconds, prefill_attention_seconds
from gpuspec.formulas.transformer import (
    Gemm,
    attention_gemms,
    every_token_mlps,
    mlp_gemms,
    mlp_width,
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
STREAM_SHARE = 0.8
"""Share of the memory bandwidth of kernels that only move bytes."""


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
    model: Model, tokens: Floats, tp: Floats, kernels: Kernels, fp8: bool, direction: str
) -> Floats:
    """Seconds of an average layer's products, routed experts aside."""
    seconds = gemm_seconds(tokens, attention_gemms(model, tp), kernels, fp8, direction)
    for share, width in every_token_mlps(model):
        matrices = mlp_gemms(model, width, tp)
        seconds = seconds + share * gemm_seconds(tokens, matrices, kernels, fp8, direction)
    return seconds


def routed_gemm_seconds(
    model: Model,
    tokens: Floats,
    tp: Floats,
    ep: Floats,
    kernels: Kernels,
    fp8: bool,
    direction: str,
) -> Floats:
    """Seconds of an average layer's routed experts on one GPU, evenly loaded; 0 if dense."""
    if not model.moe_layers:
        return np.zeros_like(tokens)
    held = np.maximum(model.experts / ep, 1.0)
    rows = np.maximum(tokens * model.active_experts / held, 1.0)
    one = mlp_gemms(model, model.expert_ffn, tp)
    each = gemm_seconds(rows, one, kernels, fp8, direction)
    return np.asarray(model.moe_layers / model.layers * held * each)


def flash_seconds(
    model: Model, sequences: Floats, seq: Floats, tp: Floats, cp: Floats, kernels: Kernels
) -> Floats:
    """Seconds of an average layer's fused attention, forward.

    Sliding windows count; context parallelism balances the causal triangle over its GPUs.
    """
    heads, kv_heads = model.heads / tp, np.maximum(model.kv_heads / tp, 1.0)
    width = (model.head_dim + model.v_head_dim) / 2
    rates = kernels.hardware("bf16")
    constants = kernels.prefill_attention("bf16")
    constants = constants.model_copy(update={"launch_us": QUEUED_LAUNCH_US})
    total = np.zeros_like(sequences)
    windows, counts = np.unique(model.layer_windows(), return_counts=True)
    for window, layers in zip(windows.astype(float), counts / model.layers, strict=True):
        seen = np.minimum(seq, window)  # beyond the window a band: nearly twice the triangle
        one = prefill_attention_seconds(
            sequences * seq / seen, seen, heads, kv_heads, width, rates, constants
        )
        total = total + layers * one * np.where(seq > window, 2.0, 1.0)
    return np.asarray(total / cp)


def score_elements(model: Model, sequences: Floats, seq: Floats, tp: Floats, cp: Floats) -> Floats:
    """Elements of a layer's score matrix on one GPU, where attention is not fused."""
    return np.asarray(sequences * model.heads / tp * seq**2 / cp)


def unfused_gemm_seconds(model: Model, scores: Floats, kernels: Kernels) -> Floats:
    """Seconds of the two products of unfused attention, forward."""
    width = (model.head_dim + model.v_head_dim) / 2
    return np.asarray(scores * 4 * width / (kernels.hardware("bf16").peak_flops * UNFUSED_SHARE))


def elementwise_seconds(
    model: Model, tokens: Floats, tp: Floats, sequence_parallel: ArrayLike, kernels: Kernels
) -> Floats:
    """Seconds of an average layer's forward passes over hidden vectors, by fused kernels.

    Two norms with residual sums (10 reads and writes of the residual stream), rotary (2 of the
    queries and keys), activation (2 or 3 of the feed-forward width); a routed token's vector is
    copied to its experts and back.
    """
    outside = np.where(sequence_parallel, tp, 1.0)
    moe = model.moe_layers / model.layers
    heads = (model.heads + model.kv_heads) * model.head_dim
    passes = 10 * model.hidden / outside + 2 * heads / tp
    passes = passes + (3 if model.gated_mlp else 2) * mlp_width(model) / tp
    passes = passes + 4 * moe * model.active_experts * model.hidden / outside
    return np.asarray(tokens * passes * 2 / _stream(kernels))


def cast_seconds(model: Model, tokens: Floats, tp: Floats, kernels: Kernels) -> Floats:
    """Seconds of casting each product's input to FP8 once, with its transpose (4 bytes)."""
    inputs = 2 * model.hidden + (model.heads * model.v_head_dim + mlp_width(model)) / tp
    return np.asarray(tokens * inputs * 4 / _stream(kernels))


def unpack_seconds(
    model: Model, tp: Floats, ep: Floats, kernels: Kernels, adapter: Adapter | None
) -> Floats:
    """Seconds of unpacking an average layer's quantized base to 16 bit, a pass; 0 otherwise.

    The packed weights are read, the unpacked ones written and read again by the product.
    """
    if adapter is None or not adapter.base.quantized:
        return np.zeros_like(tp)
    parts = parameter_parts(model)
    weights = (parts["attention"] + parts["mlp"] + parts["experts"] / ep) / model.layers / tp
    return np.asarray(weights * (adapter.base.bytes_per_weight + 2.0) / _stream(kernels))


def _stream(kernels: Kernels) -> float:
    return kernels.gpu.bandwidth_bytes_s * STREAM_SHARE
