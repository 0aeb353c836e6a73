"""Shapes of a transformer's layers on one GPU, the same for serving and for training."""

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats
from gpuspec.catalog.models import Model

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
    arXiv:2405.04434, section 2.1).

    >>> from gpuspec.catalog.models import model
    >>> [(float(n), float(k)) for n, k in attention_gemms(model("llama-3.1-8b"), 8)]
    [(768.0, 4096.0), (4096.0, 512.0)]
    """
    hidden, heads = float(model.hidden), model.heads / np.asarray(tp, float)
    if not model.kv_lora_rank:
        kv = kv_heads_per_gpu(model.kv_heads, tp)
        qkv = heads * model.head_dim + kv * (model.head_dim + model.v_head_dim)
        return [(qkv, hidden), (hidden, heads * model.v_head_dim)]
    latent = float(model.kv_lora_rank)
    down = latent + model.qk_rope_head_dim + (model.q_lora_rank or 0)
    query = heads * model.head_dim, float(model.q_lora_rank or hidden)
    absorbed = heads * (model.qk_nope_head_dim + model.v_head_dim)
    return [(down, hidden), query, (absorbed, latent), (hidden, heads * model.v_head_dim)]


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
