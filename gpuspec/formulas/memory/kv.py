"""Bytes of what a sequence leaves in memory: keys and values, index keys, recurrent states."""

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats
from gpuspec.catalog.models import NO_WINDOW, Model
from gpuspec.formulas.transformer import kv_heads_per_gpu, stage_counts, windows_of

INDEX_KEY_BYTES = 132 / 128
"""Bytes that engines keep of an element of an index key: FP8 whatever the cache's format, and an
FP32 scale for each 128 (vLLM, ``deepseek_v2.py``, ``DeepseekV32IndexerCache``)."""
STATE_BYTES = 4.0
"""Bytes of an element of a recurrent state: FP32, as the configurations of the hybrid models ask
(``mamba_ssm_dtype``, ``mamba_ssm_cache_dtype``) and as SGLang and vLLM then keep it."""
CONV_BYTES = 2.0
"""Bytes of an element of a convolution's past: the model's 16 bits (vLLM, ``mamba_utils.py``)."""


def kv_cache_bytes_per_token(
    layers: ArrayLike, kv_heads: ArrayLike, head_dim: ArrayLike, bytes_per_element: ArrayLike
) -> Floats:
    """Bytes that one token adds to the key-value cache of a whole model (MHA, GQA, MQA).

    Parameters are scalars or arrays that broadcast; the result has their common shape.

    References
    ----------
    Shazeer 2019, arXiv:1911.02150 (why fewer KV heads); factor 2 = one key and one value.

    >>> float(kv_cache_bytes_per_token(80, 8, 128, 2)) / 2**10   # Llama-3-70B in BF16: KiB
    320.0
    """
    elements = 2.0 * np.asarray(layers) * np.asarray(kv_heads) * np.asarray(head_dim)
    return np.asarray(elements * bytes_per_element)


def mla_cache_bytes_per_token(
    layers: ArrayLike, kv_lora_rank: ArrayLike, rope_head_dim: ArrayLike, bytes_each: ArrayLike
) -> Floats:
    """Bytes that one token adds to a multi-head latent attention cache.

    One compressed vector and one shared rotary key a layer, whatever the number of heads.

    References
    ----------
    DeepSeek-AI 2024, arXiv:2405.04434, section 2.1.4: (d_c + d_h^R) elements a layer.

    >>> float(mla_cache_bytes_per_token(61, 512, 64, 2))   # DeepSeek-V3 in BF16
    70272.0
    """
    elements = np.asarray(layers, float) * (np.asarray(kv_lora_rank) + np.asarray(rope_head_dim))
    return np.asarray(elements * bytes_each)


def cached_tokens(context: ArrayLike, window: ArrayLike, block_tokens: ArrayLike = 1) -> Floats:
    """Tokens that one sequence keeps in one layer's cache.

    A sliding-window layer keeps at most `window` tokens; a paged allocator hands out whole
    blocks, so the last block is on average half empty (at most ``block_tokens - 1`` wasted).

    References
    ----------
    Kwon et al. 2023, arXiv:2309.06180 (paged allocation); Beltagy et al. 2020,
    arXiv:2004.05150 (sliding windows).

    >>> cached_tokens([1000, 9000], 4096, 16).tolist()
    [1008.0, 4096.0]
    """
    tokens = np.minimum(np.asarray(context, float), np.asarray(window, float))
    return np.asarray(np.ceil(tokens / block_tokens) * block_tokens)


def sequence_kv_bytes(
    model: Model,
    context: ArrayLike,
    kv_bytes_each: ArrayLike = 2.0,
    tp: ArrayLike = 1,
    pp: ArrayLike = 1,
    block_tokens: ArrayLike = 16,
    *,
    index_bytes_each: ArrayLike | None = None,
    image_tokens: ArrayLike = 0,
) -> Floats:
    """Bytes of cache that one sequence of `context` tokens takes on one GPU.

    Arguments broadcast. Layers with a sliding window keep at most that window; a compressed cache
    its window whole and one entry for every ``compress`` tokens; layers without attention or with
    an earlier layer's cache nothing; cross-attention the keys and values of `image_tokens`. KV
    heads are split over `tp` while there are enough of them, latents and index keys replicated.
    Recurrent states do not grow and are apart: `sequence_state_bytes`.

    Parameters
    ----------
    kv_bytes_each, index_bytes_each : array_like
        Bytes of an element of keys and values, and of an index key; without the latter, the same.
    """
    index = kv_bytes_each if index_bytes_each is None else index_bytes_each
    held = [
        block_kv_bytes(block, context, kv_bytes_each, index, tp, block_tokens, image_tokens)
        for block in model.blocks
    ]
    return fullest_stage(model, held, pp)


def block_kv_bytes(
    block: Model,
    context: ArrayLike,
    kv_bytes_each: ArrayLike,
    index_bytes_each: ArrayLike,
    tp: ArrayLike = 1,
    block_tokens: ArrayLike = 16,
    image_tokens: ArrayLike = 0,
) -> Floats:
    """Bytes of cache that one sequence takes in all layers of a block; see `sequence_kv_bytes`."""
    loads = (context, kv_bytes_each, index_bytes_each, tp, block_tokens, image_tokens)
    total = np.zeros(np.broadcast(*map(np.asarray, loads)).shape)
    for window, layers in windows_of(block):
        tokens = _cached_entries(block, context, window, block_tokens, image_tokens)
        total = total + layers * tokens * _entry_bytes(block, kv_bytes_each, tp)
    if block.index_head_dim:
        keys = cached_tokens(context, NO_WINDOW, block_tokens) / block.compress
        each = block.layers * block.index_head_dim * np.asarray(index_bytes_each, float)
        total = total + keys * each
    return np.asarray(total)


def _entry_bytes(block: Model, kv_bytes_each: ArrayLike, tp: ArrayLike) -> Floats:
    """Bytes of one entry of a layer's cache on one GPU."""
    if block.attention == "none" or block.cache == "shared":
        return np.zeros(())
    if block.attention == "mla":
        latent, rope = block.kv_lora_rank, block.qk_rope_head_dim
        return mla_cache_bytes_per_token(1, latent, rope, kv_bytes_each)
    heads, width = kv_heads_per_gpu(block.kv_heads, tp), (block.head_dim + block.v_head_dim) / 2
    return kv_cache_bytes_per_token(1, heads, width, kv_bytes_each)


def _cached_entries(
    block: Model,
    context: ArrayLike,
    window: float,
    block_tokens: ArrayLike,
    image_tokens: ArrayLike,
) -> Floats:
    """Entries that one sequence keeps in a layer's cache."""
    if block.cache == "image":
        return cached_tokens(image_tokens, NO_WINDOW, block_tokens)
    if block.compress == 1:
        return cached_tokens(context, window, block_tokens)
    kept = cached_tokens(context, window if window < NO_WINDOW else 0, block_tokens)
    return kept + cached_tokens(context, NO_WINDOW, block_tokens) / block.compress


def sequence_state_bytes(
    model: Model,
    tp: ArrayLike = 1,
    pp: ArrayLike = 1,
    state_bytes_each: ArrayLike = STATE_BYTES,
    conv_bytes_each: ArrayLike = CONV_BYTES,
) -> Floats:
    """Bytes of recurrent state that one sequence takes on one GPU, however long it is.

    References
    ----------
    Dao, Gu 2024, arXiv:2405.21060 (state-space duality); Yang et al. 2024, arXiv:2412.06464
    (gated delta rule). vLLM ``mamba_utils.py``: states and convolutions are split by their heads.
    """
    held = [
        block_state_bytes(block, tp, state_bytes_each, conv_bytes_each) for block in model.blocks
    ]
    return fullest_stage(model, held, pp)


def block_state_bytes(
    block: Model,
    tp: ArrayLike = 1,
    state_bytes_each: ArrayLike = STATE_BYTES,
    conv_bytes_each: ArrayLike = CONV_BYTES,
) -> Floats:
    """Bytes of recurrent state of one sequence in all layers of a block, on one GPU."""
    state = block.state_elements * np.asarray(state_bytes_each, float)
    past = block.conv_elements * np.asarray(conv_bytes_each, float)
    return np.asarray(block.layers * (state + past) / state_split(block, tp))


def sequence_bytes(
    model: Model,
    context: ArrayLike,
    kv_bytes_each: ArrayLike = 2.0,
    tp: ArrayLike = 1,
    pp: ArrayLike = 1,
    block_tokens: ArrayLike = 16,
    image_tokens: ArrayLike = 0,
) -> Floats:
    """Bytes that one sequence of `context` tokens takes on one GPU as engines keep them.

    Keys and values in the cache's format, index keys in FP8, recurrent states in FP32; nothing in
    an encoder, whose sequences end with their prompt.
    """
    if model.kind == "encoder":
        return np.zeros(np.broadcast(*map(np.asarray, (context, kv_bytes_each, tp, pp))).shape)
    grows = (context, kv_bytes_each, INDEX_KEY_BYTES, tp, block_tokens, image_tokens)
    held = [block_kv_bytes(b, *grows) + block_state_bytes(b, tp) for b in model.blocks]
    return fullest_stage(model, held, pp)


def state_split(block: Model, tp: ArrayLike) -> Floats:
    """GPUs over which a recurrent state is split: all of `tp` where its width divides, else 1."""
    split = np.asarray(tp, float)
    return np.where(block.linear_out % split == 0, split, 1.0)


def fullest_stage(model: Model, blocks: list[Floats], pp: ArrayLike) -> Floats:
    """Return what the fullest of `pp` stages holds of something, given that of each whole block.

    Layers lie in order, so that stages of a network with layers of several kinds differ.
    """
    if not model.groups:
        share = np.ceil(model.layers / np.asarray(pp, float)) / model.layers
        return np.asarray(blocks[0] * share)
    stages = np.asarray(pp)
    each = [held / block.layers for held, block in zip(blocks, model.blocks, strict=True)]
    total = np.zeros(np.broadcast(stages, *each).shape)
    for count in np.unique(stages):
        counts = stage_counts(model, int(count))
        held = [sum(n * one for n, one in zip(s, each, strict=True)) for s in counts]
        fullest = np.maximum.reduce([np.broadcast_to(h, total.shape) for h in held])
        total = np.where(stages == count, fullest, total)
    return total
