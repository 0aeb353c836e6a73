"""Seconds of one operation on one GPU: a roofline with few fitted constants.

Every function is pure and broadcasts over arrays. Constants come in small records of which
`gpuspec.constants.kernels` keeps one a GPU, library, operation and precision; each has a name, a
physical meaning and bounds. Compute and memory time combine as a p-norm, because the two
overlap but not perfectly.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import MICRO, Floats
from gpuspec.constants.terms import (
    DecodeAttentionTerms,
    ExpertTerms,
    Hardware,
    MatmulTerms,
    PrefillAttentionTerms,
)

TILES = ((256, 128), (128, 256), (128, 128), (64, 128), (64, 64))
SPLITS = (1, 2, 4, 8)
ROW_STEP = 16
"""Rows by which a matrix unit takes few tokens."""
QUERY_TILE = 128
SCAN_CHUNK = 64
"""Tokens of a chunk in which a recurrent mixer reads a prompt (flash-linear-attention)."""
SCAN_FLOP = 8.0
"""FLOP a token and element of the state: 4 for adding to it and reading from it, and about as many
within a chunk (2 x 64 tokens x (128 + 128) of a head over its state of 128 x 128, and solving for
the delta rule)."""


def matmul_seconds(
    m: ArrayLike,
    n: ArrayLike,
    k: ArrayLike,
    hardware: Hardware,
    terms: MatmulTerms,
    weight_bytes: ArrayLike = 2.0,
    activation_bytes: ArrayLike = 2.0,
) -> Floats:
    """Seconds of an (m x k) by (k x n) product; m is the tokens, n x k the weights.

    The best of a few tile shapes and depth splits is taken, as the library's heuristic does,
    with whole waves of tiles over the SMs. Few tokens are padded to `ROW_STEP`, not to a whole
    tile: kernels then swap the sides of the product.

    References
    ----------
    Williams et al. 2009, doi:10.1145/1498765.1498785 (roofline); NVIDIA, "Matrix
    multiplication background" (tile and wave quantization).
    """
    m, n, k = np.asarray(m, float), np.asarray(n, float), np.asarray(k, float)
    t = terms
    compute, fewest = np.asarray(np.inf), np.ceil(m / ROW_STEP) * ROW_STEP
    for rows, columns in TILES:
        area = rows * columns
        efficiency = area / (area + t.tile_overhead * 128**2) * (1 + t.tile_overhead)
        area = np.minimum(rows, fewest) * columns
        rate = hardware.peak_flops * t.peak_share * efficiency / hardware.sm_count
        tiles = np.ceil(m / rows) * np.ceil(n / columns)
        for split in SPLITS:
            waves = np.ceil(tiles * split / hardware.sm_count)
            one = waves * (2.0 * area) * (k / split + t.prologue_k) / rate
            compute = np.minimum(compute, one + (split > 1) * t.split_us * MICRO)
    moved = np.asarray(weight_bytes) * n * k + np.asarray(activation_bytes) * m * k + 2.0 * m * n
    memory = moved / (hardware.bandwidth_bytes_s * t.bandwidth_share)
    quantize = t.quantize_passes * m * k / hardware.bandwidth_bytes_s
    fixed = (t.launch_us + t.depth_us * k / 8192) * MICRO
    return np.asarray(fixed + p_norm(t.sharpness, compute, memory) + quantize)


def decode_attention_seconds(
    sequences: ArrayLike,
    context: ArrayLike,
    heads: ArrayLike,
    kv_heads: ArrayLike,
    head_dim: ArrayLike,
    hardware: Hardware,
    terms: DecodeAttentionTerms,
    kv_bytes: ArrayLike = 2.0,
    cached: bool = False,
) -> Floats:
    """Seconds of attention when each of `sequences` adds one token to `context` cached ones.

    Heads are those of one GPU. `cached` repeats a benchmark that reads the same cache again
    and again, partly from L2; in a model's forward pass the weights displace it.

    References
    ----------
    Pope et al. 2022, arXiv:2211.05102 (memory-bound decoding); Dao et al. 2023,
    "Flash-Decoding for long-context inference" (splitting the context).
    """
    b, s, h, g, d = (np.asarray(x, float) for x in (sequences, context, heads, kv_heads, head_dim))
    t, rate = terms, hardware.bandwidth_bytes_s
    moved = b * s * 2 * g * d * np.asarray(kv_bytes, float)
    gain = 1.0 + (t.cache_gain / (1 + (moved / hardware.l2_bytes) ** 4) if cached else 0.0)
    memory = moved / (rate * t.bandwidth_share * gain)
    flops = 4 * b * s * (h / g + t.padded_queries) * g * d
    compute = flops / (hardware.peak_flops * t.peak_share)
    vectors = t.head_passes * b * (h + 2 * g) * d * 2 / rate
    fixed = (t.launch_us + t.split_us * np.log2(1 + s / 256)) * MICRO
    return np.asarray(fixed + p_norm(t.sharpness, compute, memory) + vectors)


def prefill_attention_seconds(
    sequences: ArrayLike,
    new_tokens: ArrayLike,
    heads: ArrayLike,
    kv_heads: ArrayLike,
    head_dim: ArrayLike,
    hardware: Hardware,
    terms: PrefillAttentionTerms,
    past_tokens: ArrayLike = 0,
    kv_bytes: ArrayLike = 2.0,
) -> Floats:
    """Seconds of causal attention of `new_tokens` a sequence after `past_tokens` cached ones.

    References
    ----------
    Dao 2023, arXiv:2307.08691 (FlashAttention-2): 4 s^2 d FLOP a head, halved by causality.
    """
    b, s, h, g, d, past = (
        np.asarray(x, float)
        for x in (sequences, new_tokens, heads, kv_heads, head_dim, past_tokens)
    )
    t = terms
    tiles = np.ceil(s / QUERY_TILE)
    padded = tiles * QUERY_TILE
    flops = 4 * b * h * d * padded * (past + (padded + QUERY_TILE) / 2)
    busy = b * h * tiles / hardware.sm_count
    waves = np.ceil(busy) / np.maximum(busy, 1e-30)
    rate = hardware.peak_flops * t.peak_share
    compute = flops / rate * waves * (1 + t.short_tokens / np.maximum(s + past, 1))
    moved = b * (s * (2 * h + 2 * g) * 2 + past * 2 * g * np.asarray(kv_bytes)) * d
    memory = moved / (hardware.bandwidth_bytes_s * t.bandwidth_share)
    return np.asarray(t.launch_us * MICRO + p_norm(t.sharpness, compute, memory))


def recurrent_decode_seconds(
    sequences: ArrayLike, state_bytes: ArrayLike, hardware: Hardware, terms: DecodeAttentionTerms
) -> Floats:
    """Seconds of a recurrent mixer when each of `sequences` adds one token to its state.

    The state is read and written, `state_bytes` each way; its few operations an element are
    hidden behind that. No timing is in the fit: launch and share of the bandwidth are those at
    which attention reads its cache.
    """
    moved = 2.0 * np.asarray(sequences, float) * np.asarray(state_bytes, float)
    rate = hardware.bandwidth_bytes_s * terms.bandwidth_share
    return np.asarray(terms.launch_us * MICRO + moved / rate)


def recurrent_prefill_seconds(
    tokens: ArrayLike,
    vectors: ArrayLike,
    state_elements: ArrayLike,
    hardware: Hardware,
    terms: PrefillAttentionTerms,
) -> Floats:
    """Seconds of a recurrent mixer over `tokens` of prompts, in chunks of `SCAN_CHUNK`.

    `vectors` are the elements that it reads and writes of a token, `state_elements` those of its
    state, which each chunk writes and reads once in 16 bits. No timing is in the fit: launch and
    shares are those of prefill attention.

    References
    ----------
    Dao, Gu 2024, arXiv:2405.21060, section 6 (chunks as matrix products); Yang et al. 2024,
    arXiv:2412.06464.
    """
    n, size = np.asarray(tokens, float), np.asarray(state_elements, float)
    compute = SCAN_FLOP * size * n / (hardware.peak_flops * terms.peak_share)
    moved = n * (2.0 * np.asarray(vectors, float) + 4.0 * size / SCAN_CHUNK)
    memory = moved / (hardware.bandwidth_bytes_s * terms.bandwidth_share)
    return np.asarray(terms.launch_us * MICRO + p_norm(terms.sharpness, compute, memory))


def experts_touched(tokens: ArrayLike, experts: ArrayLike, active: ArrayLike) -> Floats:
    """Return the expected number of distinct experts that a batch of tokens uses.

    Each token picks `active` of `experts` independently: E (1 - (1 - k/E)^T).

    >>> experts_touched([1, 1_000_000], 128, 8).round(3).tolist()
    [8.0, 128.0]
    """
    e, k = np.asarray(experts, float), np.asarray(active, float)
    share = np.minimum(k / e, 1.0)
    with np.errstate(divide="ignore"):
        left = np.exp(np.asarray(tokens, float) * np.log1p(-share))
    return np.asarray(e * (1 - left))


@dataclass(frozen=True)
class ExpertShape:
    """The routed experts of a layer."""

    hidden: ArrayLike
    ffn: ArrayLike
    """Width of one expert."""
    experts: ArrayLike
    active: ArrayLike
    """Experts that each token uses."""
    matrices: int = 3
    """Weight matrices of an expert: 3 where its MLP is gated, else 2."""


def experts_seconds(
    tokens: ArrayLike,
    shape: ExpertShape,
    hardware: Hardware,
    terms: ExpertTerms,
    tp: ArrayLike = 1,
    ep: ArrayLike = 1,
    weight_bytes: ArrayLike = 2.0,
) -> Floats:
    """Seconds of the routed experts of one layer on one GPU.

    `tokens` are those of the whole group; a GPU holds 1/`ep` of the experts and 1/`tp` of each.
    """
    n, h, e = (np.asarray(x, float) for x in (tokens, shape.hidden, shape.experts))
    t, share = terms, 1.0 / np.asarray(ep, float)
    width = np.asarray(shape.ffn, float) / np.asarray(tp, float)
    touched = np.maximum(experts_touched(n, e, shape.active) * share, 1.0)
    rows = np.maximum(n * np.asarray(shape.active, float) * share / touched, 1.0)
    padded = np.ceil(rows / t.row_tile) * t.row_tile
    flops = 2 * touched * padded * shape.matrices * h * width
    compute = flops / (hardware.peak_flops * t.peak_share)
    weights = touched * shape.matrices * h * width * np.asarray(weight_bytes, float)
    rate = hardware.bandwidth_bytes_s
    memory = weights / (rate * t.bandwidth_share)
    moved = t.passes * touched * rows * h * 2 / rate
    return np.asarray(t.launch_us * MICRO + p_norm(t.sharpness, compute, memory) + moved)


def p_norm(exponent: float, first: ArrayLike, *others: ArrayLike) -> Floats:
    """Join times that overlap, but not perfectly: ``(a^p + b^p + ...)^(1/p)``.

    1 is one after the other, infinity a perfect overlap; never less than the longest.

    >>> p_norm(2.0, 3.0, [4.0, 0.0]).tolist()
    [5.0, 3.0]
    """
    joined = np.asarray(first, float)
    for other in others:
        high, low = np.maximum(joined, other), np.minimum(joined, other)
        part = low / np.maximum(high, 1e-300)
        joined = np.asarray(high * (1 + part**exponent) ** (1 / exponent))
    return joined
