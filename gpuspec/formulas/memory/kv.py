"""Bytes of the key-value cache."""

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats


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
