"""Floating-point operations of training, and the utilisation that they stand for."""

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats
from gpuspec.catalog.models import Model
from gpuspec.catalog.models.record import NO_WINDOW

CONVENTIONS = ("causal", "full", "parameters")
"""How attention is counted: half of the score matrix, all of it, or not at all (6N)."""


def model_flops_per_token(model: Model, seq_len: ArrayLike, convention: str = "causal") -> Floats:
    """FLOP of one token, forward and backward: 6 a parameter, and attention.

    ``causal`` counts the half of the score matrix that is needed, ``full`` all of it as most
    papers do (12 L h s), ``parameters`` only 6 for each parameter that multiplies the token.

    References
    ----------
    Kaplan et al. 2020, arXiv:2001.08361 (6N); Chowdhery et al. 2022, arXiv:2204.02311,
    appendix B (MFU, attention in full); Dao 2023, arXiv:2307.08691 (causal half).

    >>> from gpuspec.catalog.models import model
    >>> float(round(model_flops_per_token(model("llama-2-7b"), 4096, "full") / 1e9, 1))
    46.1
    """
    seq = np.asarray(seq_len, float)
    gemm = 6.0 * model.matmul_params_active
    if convention == "parameters":
        return np.asarray(gemm + 0 * seq)
    windows = model.layer_windows()[:, None].astype(float)
    reach = np.minimum(seq.reshape(1, -1), windows)
    if convention == "causal":  # a band of width w under the diagonal, or half of the square
        reach = np.where(windows < NO_WINDOW, reach - reach**2 / 2 / seq.reshape(1, -1), reach / 2)
    width = model.heads * (model.head_dim + model.v_head_dim)
    scores = (6.0 * width * reach).sum(axis=0).reshape(seq.shape)
    return np.asarray(gemm + scores)


def hardware_flops_per_token(
    model: Model, seq_len: ArrayLike, recompute: ArrayLike = "none", convention: str = "causal"
) -> Floats:
    """FLOP that the GPUs execute for a token: full recomputation repeats the forward pass."""
    counted = model_flops_per_token(model, seq_len, convention)
    head = 6.0 * model.vocab * model.hidden
    again = np.where(np.equal(recompute, "full"), (counted - head) / 3, 0.0)
    scores = counted - model_flops_per_token(model, seq_len, "parameters")
    again = again + np.where(np.equal(recompute, "selective"), scores / 3, 0.0)
    return np.asarray(counted + again)


def utilisation(flops_s_per_gpu: ArrayLike, peak_flops: ArrayLike) -> Floats:
    """Share of the dense peak: MFU for model FLOP, HFU for hardware FLOP."""
    return np.asarray(np.asarray(flops_s_per_gpu, float) / np.asarray(peak_flops, float))
