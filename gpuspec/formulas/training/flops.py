"""Floating-point operations of training, and the utilisation that they stand for."""

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats
from gpuspec.catalog.models import NO_WINDOW, Model
from gpuspec.formulas.memory import need_layer_order
from gpuspec.formulas.recompute import repeats
from gpuspec.formulas.transformer import Span, attention_spans, windows_of

CONVENTIONS = ("causal", "full", "parameters")
"""How attention is counted: half of the score matrix, all of it, or not at all (6N)."""
SCAN_FLOPS = 7.0
"""FLOP of a recurrent mixer for each element of its state, a token, forward: decay, outer product
and sum, and the reading of the output."""


def model_flops_per_token(
    model: Model, seq_len: ArrayLike, convention: str = "causal", trained: bool = True
) -> Floats:
    """FLOP of one token, forward and backward: 6 a parameter, and attention.

    ``causal`` counts the half of the score matrix that is needed, ``full`` all of it as most
    papers do (12 L h s), ``parameters`` only 6 for each parameter that multiplies the token. An
    encoder needs all of it. Weights that are not `trained`, but carry adapters, count 4: they have
    no gradients (the adapters' own FLOP are left out). Sparse attention scores the tokens that it
    chose, its indexer all; recurrent mixers count `SCAN_FLOPS` an element of their state. Towers,
    keys of images and layers that predict further tokens (MTP) are not in it.

    References
    ----------
    Kaplan et al. 2020, arXiv:2001.08361 (6N); Chowdhery et al. 2022, arXiv:2204.02311,
    appendix B (MFU, attention in full); Dao 2023, arXiv:2307.08691 (causal half); DeepSeek-AI
    2025, DeepSeek-V3.2, arXiv:2512.02556, section 2.1 (sparse attention); Megatron-LM,
    ``training.py``, ``mamba_layer_flops`` (recurrent mixers).

    >>> from gpuspec.catalog.models import model
    >>> float(round(model_flops_per_token(model("llama-2-7b"), 4096, "full") / 1e9, 1))
    46.1
    >>> float(model_flops_per_token(model("llama-2-7b"), 4096, "parameters", trained=False) / 4)
    6607077376.0
    """
    need_layer_order(model, "training FLOP")
    seq = np.asarray(seq_len, float)
    gemm = (6.0 if trained else 4.0) * model.matmul_params_active
    if convention == "parameters":
        return np.asarray(gemm + 0 * seq)
    causal = convention == "causal" and model.kind != "encoder"
    return np.asarray(gemm + attention_flops(model, seq, causal) + scan_flops(model))


def attention_flops(model: Model, seq: Floats, causal: bool) -> Floats:
    """FLOP of a token in scores and in the values that they weigh, forward and backward."""
    total = np.zeros_like(seq)
    for block in model.blocks:
        if block.attention == "none" or block.cache == "image":
            continue
        width = block.heads * (block.head_dim + block.v_head_dim)
        for window, layers in windows_of(block):
            read = sum(_entries(span, seq, causal) for span in attention_spans(block, window))
            total = total + 6.0 * layers * width * read
        every = _entries(Span(float(NO_WINDOW), float(block.compress)), seq, causal)
        total = total + 6.0 * block.layers * block.index_heads * block.index_head_dim * every
    return np.asarray(total)


def _entries(span: Span, seq: Floats, causal: bool) -> Floats:
    """Mean entries that a query reads: a band under the diagonal, or half of the square."""
    reach = np.minimum(seq, span.tokens)
    return np.asarray((reach - reach**2 / 2 / seq if causal else reach) / span.each)


def scan_flops(model: Model) -> float:
    """FLOP of a token in the states of recurrent mixers, forward and backward."""
    return 3 * SCAN_FLOPS * sum(block.layers * block.state_elements for block in model.blocks)


def hardware_flops_per_token(
    model: Model,
    seq_len: ArrayLike,
    recompute: ArrayLike = "none",
    convention: str = "causal",
    share: ArrayLike = 1.0,
) -> Floats:
    """FLOP that the GPUs execute for a token, with what a `share` of the layers computes again.

    Full recomputation repeats the forward pass, ``selective`` the scores, ``operations`` every
    second product, ``moe`` the products of experts.
    """
    counted = model_flops_per_token(model, seq_len, convention)
    head = 6.0 * model.vocab * model.hidden * (model.kind == "llm")
    again = np.where(np.equal(recompute, "full"), (counted - head) / 3, 0.0)
    rest = model_flops_per_token(model, seq_len, "parameters")
    scores = counted - rest - scan_flops(model) * (convention != "parameters")
    again = again + np.where(repeats(recompute, "selective"), scores / 3, 0.0)
    again = again + np.where(repeats(recompute, "moe"), 2.0 * _experts_active(model), 0.0)
    products = (rest - head) / 3 / 2
    again = again + np.where(np.equal(recompute, "operations"), products, 0.0)
    return np.asarray(counted + again * np.asarray(share, float))


def _experts_active(model: Model) -> float:
    """Parameters of mixtures of experts that multiply a token."""
    each = 3 if model.gated_mlp else 2
    return sum(
        block.moe_layers
        * each
        * (
            (block.expert_latent or block.hidden) * block.active_experts * block.expert_ffn
            + block.hidden * block.shared_experts * block.shared_expert_ffn
        )
        for block in model.blocks
    )


def utilisation(flops_s_per_gpu: ArrayLike, peak_flops: ArrayLike) -> Floats:
    """Share of the dense peak: MFU for model FLOP, HFU for hardware FLOP."""
    return np.asarray(np.asarray(flops_s_per_gpu, float) / np.asarray(peak_flops, float))
