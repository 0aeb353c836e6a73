"""What mixes tokens in one layer: attention over a cache, a recurrent state; seconds on a GPU."""

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats
from gpuspec.catalog.models import NO_WINDOW, Model
from gpuspec.constants.kernels import Kernels
from gpuspec.formulas.memory.kv import CONV_BYTES, INDEX_KEY_BYTES, STATE_BYTES, state_split
from gpuspec.formulas.roofline import (
    decode_attention_seconds,
    prefill_attention_seconds,
    recurrent_decode_seconds,
    recurrent_prefill_seconds,
)
from gpuspec.formulas.transformer import Span, attention_spans, kv_heads_per_gpu, windows_of


def attends(block: Model) -> bool:
    """Whether the layers of a block attend."""
    return block.mixer in ("attention", "both")


def recurs(block: Model) -> bool:
    """Whether the layers of a block keep a recurrent state."""
    return block.mixer in ("linear", "both")


def grouped(block: Model) -> bool:
    """Whether several queries share a key on each GPU."""
    return attends(block) and (block.attention == "mla" or block.heads > block.kv_heads)


def decode_attention(
    block: Model,
    kernels: Kernels,
    tp: int,
    sequences: Floats,
    context: ArrayLike,
    tokens_each: ArrayLike,
    kv_bytes: float,
    image_tokens: float = 0.0,
) -> Floats:
    """Seconds of attention in all layers of a block when each sequence adds `tokens_each` tokens.

    `tp` GPUs share the heads. Sparse attention reads the entries that its indexer chose, and the
    index keys of all; where an earlier layer chose, only the former.
    """
    heads, kv_heads = block.heads / tp, float(kv_heads_per_gpu(block.kv_heads, tp))
    width = (block.head_dim + block.v_head_dim) / 2
    if block.attention == "mla":  # one latent vector serves as key and value of every head
        latent, rope = block.kv_lora_rank, block.qk_rope_head_dim
        width, kv_heads = (latent + rope) / 2, 1.0
        heads = heads * (2 * latent + rope) / (latent + rope)
    kv = "fp8" if kv_bytes == 1 else "bf16"
    sharing = "mla" if block.attention == "mla" else "gqa" if grouped(block) else "mha"
    terms = kernels.decode_attention(kv, sharing)
    rates, total = kernels.hardware("bf16"), np.zeros(())
    queries, past = np.asarray(tokens_each, float), np.asarray(context, float)
    for window, layers in windows_of(block):
        spans = attention_spans(block, window)
        seen = sum(np.minimum(past, span.tokens) / span.each for span in spans)
        seen = np.asarray(image_tokens) if block.cache == "image" else seen
        total = total + layers * decode_attention_seconds(
            sequences, seen, heads * queries, kv_heads, width, rates, terms, kv_bytes
        )
    if block.index_head_dim:  # keys without values: half of a width
        terms, half = kernels.decode_attention("fp8", "gqa"), block.index_head_dim / 2
        keys, asked = past / block.compress, block.index_heads * queries
        total = total + block.layers * decode_attention_seconds(
            sequences, keys, asked, 1.0, half, rates, terms, INDEX_KEY_BYTES
        )
    return np.asarray(total)


def prefill_attention(
    block: Model,
    kernels: Kernels,
    tp: int,
    sequences: Floats,
    new_tokens: ArrayLike,
    past_tokens: ArrayLike,
    kv_bytes: float,
    compute: str,
    image_tokens: float = 0.0,
) -> Floats:
    """Seconds of attention in all layers of a block over `new_tokens` of each sequence."""
    heads, kv_heads = block.heads / tp, float(kv_heads_per_gpu(block.kv_heads, tp))
    width = (block.head_dim + block.v_head_dim) / 2
    new, past = np.asarray(new_tokens, float), np.asarray(past_tokens, float)
    if block.kind == "encoder":  # sees what follows, too: a square, not a triangle
        past = past + new / 2
    if block.attention == "mla" and block.index_topk:  # chosen latents are not made into keys
        width, kv_heads = block.kv_lora_rank + block.qk_rope_head_dim / 2, 1.0
    rates, terms = kernels.hardware(compute), kernels.prefill_attention(compute)

    def seconds(span: Span, heads: float, kv_heads: float, width: float, kv: float) -> Floats:
        each, tokens, before = sequences, new, past
        if span.tokens < NO_WINDOW:  # a token sees at most the span: a band, not a triangle
            tokens = np.minimum(new, span.tokens)
            each = sequences * new / tokens
            before = np.where(new > span.tokens, span.tokens / 2, np.minimum(past, span.tokens))
        few = heads / span.each
        return prefill_attention_seconds(
            each, tokens, few, kv_heads, width, rates, terms, before, kv
        )

    total = np.zeros(())
    if block.cache == "image":  # every token sees all of the image: a square
        past = image_tokens - new / 2
        square = Span(float(NO_WINDOW), 1.0)
        return np.asarray(block.layers * seconds(square, heads, kv_heads, width, kv_bytes))
    for window, layers in windows_of(block):
        for span in attention_spans(block, window):
            total = total + layers * seconds(span, heads, kv_heads, width, kv_bytes)
    if block.index_head_dim:  # keys without values: half of a width
        whole, half = Span(float(NO_WINDOW), float(block.compress)), block.index_head_dim / 2
        keys = seconds(whole, float(block.index_heads), 1.0, half, INDEX_KEY_BYTES)
        total = total + block.layers * keys
    return np.asarray(total)


def state_bytes(block: Model, tp: int) -> float:
    """Bytes of recurrent state of one sequence in one layer on one GPU."""
    size = block.state_elements * STATE_BYTES + block.conv_elements * CONV_BYTES
    return float(size / state_split(block, tp))


def decode_recurrence(block: Model, kernels: Kernels, tp: int, sequences: Floats) -> Floats:
    """Seconds of recurrence in all layers of a block when each sequence adds a token."""
    terms, rates = kernels.decode_attention("bf16", "gqa"), kernels.hardware("bf16")
    each = recurrent_decode_seconds(sequences, state_bytes(block, tp), rates, terms)
    return np.asarray(block.layers * each)


def prefill_recurrence(block: Model, kernels: Kernels, tp: int, tokens: Floats) -> Floats:
    """Seconds of recurrence in all layers of a block over `tokens` of prompts."""
    split = float(state_split(block, tp))
    vectors, size = (block.linear_in + block.linear_out) / split, block.state_elements / split
    terms, rates = kernels.prefill_attention("bf16"), kernels.hardware("bf16")
    return np.asarray(block.layers * recurrent_prefill_seconds(tokens, vectors, size, rates, terms))
