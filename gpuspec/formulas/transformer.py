"""Shapes of a transformer's layers on one GPU, the same for serving and for training.

What is said of the layers of a `Model` here is said of one of its ``blocks``, in which all layers
are of one kind; a network is the sum over them.
"""

from collections import Counter
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gpuspec.base.units import Floats
from gpuspec.catalog.models import Model
from gpuspec.catalog.models.record import NO_WINDOW

Gemm = tuple[float | Floats, float | Floats]
"""Width n and depth k of a weight matrix: a product of m tokens with it takes 2 m n k FLOP."""


def kv_heads_per_gpu(kv_heads: ArrayLike, tp: ArrayLike) -> Floats:
    """KV heads that each GPU of a tensor-parallel group holds.

    Heads are split while there are enough of them and replicated beyond that, which is why
    more tensor parallelism stops saving cache memory at ``tp > kv_heads``.

    References
    ----------
    Pope et al. 2022, arXiv:2211.05102, section 3.3.

    >>> kv_heads_per_gpu(8, [1, 8, 16]).tolist()
    [8.0, 1.0, 1.0]
    """
    return np.asarray(np.maximum(np.ceil(np.asarray(kv_heads) / np.asarray(tp)), 1.0))


def attention_gemms(model: Model, tp: ArrayLike) -> list[Gemm]:
    """Return the weight matrices of one attention block on one GPU, `tp` of which share it.

    Latent attention multiplies by the absorbed up-projections (DeepSeek-AI 2024,
    arXiv:2405.04434, section 2.1). A gate is projected with the queries; layers that read the
    keys and values of an earlier layer or of an image project none of a text token; where keys
    serve as values there is no value projection. The indexer of sparse attention is whole on
    every GPU (DeepSeek-AI 2025, DeepSeek-V3.2-Exp, section 2.1).

    >>> from gpuspec.catalog.models import model
    >>> [(float(n), float(k)) for n, k in attention_gemms(model("llama-3.1-8b"), 8)]
    [(768.0, 4096.0), (4096.0, 512.0)]
    """
    hidden, heads = float(model.hidden), model.heads / np.asarray(tp, float)
    if not model.kv_lora_rank:
        kv = kv_heads_per_gpu(model.kv_heads, tp) * (model.cache == "own")
        each = model.head_dim + (0 if model.values_are_keys else model.v_head_dim)
        gate = model.attention_gate / np.asarray(tp, float)
        qkv = heads * model.head_dim + kv * each + gate
        return [(qkv, hidden), (hidden, heads * model.v_head_dim), *_indexer_gemms(model)]
    latent = float(model.kv_lora_rank)
    gate = model.attention_gate / np.asarray(tp, float)
    made = (latent + model.qk_rope_head_dim) * (model.cache == "own")
    down = made + (model.q_lora_rank or 0) + gate
    query = heads * model.head_dim, float(model.q_lora_rank or hidden)
    absorbed = heads * (model.qk_nope_head_dim + model.v_head_dim)
    output = hidden, heads * model.v_head_dim
    into = [(down, hidden)] if np.any(down) else []
    return [*into, query, (absorbed, latent), output, *_indexer_gemms(model)]


def _indexer_gemms(model: Model) -> list[Gemm]:
    """Return the matrices that give a token its index queries, its index key and their weights."""
    if not model.index_head_dim:
        return []
    queries = model.index_heads * model.index_head_dim
    asked = float(queries), float(model.q_lora_rank or model.hidden)
    return [asked, (float(model.index_head_dim + model.index_heads), float(model.hidden))]


def recurrent_gemms(model: Model, tp: ArrayLike) -> list[Gemm]:
    """Return the two projections of one recurrent mixer on one GPU, `tp` of which share it."""
    split, hidden = np.asarray(tp, float), float(model.hidden)
    return [(model.linear_in / split, hidden), (hidden, model.linear_out / split)]


def mlp_gemms(model: Model, width: float, tp: ArrayLike) -> list[Gemm]:
    """Return the weight matrices of one feed-forward block of a width on one GPU.

    >>> from gpuspec.catalog.models import model
    >>> [(float(n), float(k)) for n, k in mlp_gemms(model("llama-3.1-8b"), 14336, 8)]
    [(3584.0, 4096.0), (4096.0, 1792.0)]
    """
    each, hidden = width / np.asarray(tp, float), float(model.hidden)
    return [((2 if model.gated_mlp else 1) * each, hidden), (hidden, each)]


def head_gemms(model: Model, tp: ArrayLike) -> list[Gemm]:
    """Return the matrix of the output projection on one GPU."""
    return [(np.ceil(model.vocab / np.asarray(tp, float)), float(model.hidden))]


def every_token_mlps(model: Model) -> list[tuple[float, float]]:
    """Return (share of the layers, width) of the feed-forward blocks that see every token.

    Dense layers, and the shared experts of the others; routed experts are not here.

    >>> from gpuspec.catalog.models import model
    >>> every_token_mlps(model("llama-3.1-8b"))
    [(1.0, 14336.0)]
    """
    moe = model.moe_layers / model.layers
    shared = model.shared_experts * (model.shared_expert_ffn or model.expert_ffn)
    blocks = [(1 - moe, float(model.ffn)), (moe, float(shared))]
    return [(share, width) for share, width in blocks if share and width]


def mlp_width(model: Model) -> float:
    """Return the mean feed-forward width that a token passes through, routed experts included."""
    moe = model.moe_layers / model.layers
    routed = model.active_experts * model.expert_ffn
    return (1 - moe) * model.ffn + moe * (routed + model.shared_experts * model.shared_expert_ffn)


class TokenGemms(NamedTuple):
    """Matrices that every token passes in some layers of a block."""

    part: str
    """Part of the model that they belong to; see `gpuspec.catalog.models.params`."""
    layers: float
    matrices: list[Gemm]


def token_gemms(block: Model, tp: ArrayLike, attention_tp: ArrayLike) -> list[TokenGemms]:
    """Return the matrices that every token passes in the layers of a block; no routed experts.

    `attention_tp` GPUs share attention and recurrence, `tp` what feeds forward. Parameters that
    no column describes count as one matrix, whole on every GPU.
    """
    layers, moe = float(block.layers), float(block.moe_layers)
    shared = block.shared_experts * (block.shared_expert_ffn or block.expert_ffn)
    latent, hidden = float(block.expert_latent), float(block.hidden)
    found = [
        (block.mixer in ("attention", "both"), "attention", layers, attention_gemms, attention_tp),
        (block.mixer in ("linear", "both"), "linear", layers, recurrent_gemms, attention_tp),
    ]
    gemms = [TokenGemms(part, n, make(block, of)) for there, part, n, make, of in found if there]
    if block.ffn and moe < layers:
        gemms.append(TokenGemms("mlp", layers - moe, mlp_gemms(block, float(block.ffn), tp)))
    if moe and shared:
        gemms.append(TokenGemms("shared_experts", moe, mlp_gemms(block, float(shared), tp)))
    if moe and latent:
        gemms.append(TokenGemms("experts", moe, [(latent, hidden), (hidden, latent)]))
    if block.other_params >= block.hidden:
        gemms.append(TokenGemms("other", layers, [(block.other_params / hidden, hidden)]))
    return gemms


class Span(NamedTuple):
    """Cache entries that a query of a layer reads."""

    tokens: float
    """Most tokens of the past that they stand for."""
    each: float
    """Tokens that one entry stands for."""


def attention_spans(block: Model, window: float = NO_WINDOW) -> list[Span]:
    """Return what a query of a layer of a block reads of the cache; added up, its entries.

    Sparse attention reads the entries that its indexer chooses; compressed attention a whole
    window and beside it entries that each stand for several tokens.

    >>> from gpuspec.catalog.models import model
    >>> attention_spans(model("llama-3.1-8b"), 4096)
    [Span(tokens=4096.0, each=1.0)]
    """
    chosen = float(block.index_topk or NO_WINDOW)
    if block.compress == 1:
        return [Span(min(float(window), chosen), 1.0)]
    beside = Span(min(chosen * block.compress, float(NO_WINDOW)), float(block.compress))
    return [Span(float(window), 1.0), beside] if window < NO_WINDOW else [beside]


@lru_cache(4096)
def windows_of(block: Model) -> tuple[tuple[float, int], ...]:
    """Return (window in tokens, layers that have it) of a block."""
    return tuple((float(w), n) for w, n in sorted(Counter(block.layer_windows()).items()))


def layer_halves(block: Model) -> float:
    """Return how much of a usual layer one of a block is: half for its mixer, half for its MLP.

    Two mixers side by side are two halves; a layer may have no mixer, or nothing but one.
    """
    mixers = {"attention": 1, "linear": 1, "both": 2, "none": 0}[block.mixer]
    return (mixers + bool(block.ffn or block.experts)) / 2


def stage_counts(model: Model, pp: int) -> NDArray[np.float64]:
    """Return the layers of each of ``model.blocks`` on each of `pp` stages, ``(pp, blocks)``.

    Stages are contiguous and differ by one layer at most, the longer ones first.
    """
    places = {id(block): place for place, block in enumerate(model.blocks)}
    kinds = model.by_layer(lambda block: places[id(block)])
    stages = np.array_split(kinds, pp)
    return np.array([[np.sum(s == k) for k in range(len(places))] for s in stages], float)
