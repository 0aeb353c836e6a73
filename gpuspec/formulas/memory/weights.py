"""Bytes of weights and of training states."""

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats


def weights_bytes(
    quantizable: ArrayLike,
    kept: ArrayLike = 0.0,
    bytes_each: ArrayLike = 2.0,
    kept_bytes_each: ArrayLike = 2.0,
) -> Floats:
    """Bytes of a model's weights.

    `quantizable` counts the weights of the layers' matrix products; `kept` counts what
    weight formats below 16 bits leave alone (embeddings, output head, norms, routers).

    >>> float(weights_bytes(1e9)) / 1e9       # one billion parameters in BF16: 2 GB
    2.0
    """
    each, kept_each = np.asarray(bytes_each, float), np.asarray(kept_bytes_each, float)
    return np.asarray(np.asarray(quantizable, float) * each + np.asarray(kept, float) * kept_each)


def training_state_bytes(
    params: ArrayLike,
    weight_bytes: ArrayLike,
    grad_bytes: ArrayLike,
    optimizer_bytes: ArrayLike,
    zero_stage: ArrayLike = 0,
    dp: ArrayLike = 1,
) -> dict[str, Floats]:
    """Bytes of weights, gradients and optimizer states on one GPU, under ZeRO.

    Parameters
    ----------
    params : array_like
        Parameters on this GPU before ZeRO (already divided by TP, PP and EP).
    weight_bytes, grad_bytes, optimizer_bytes : array_like
        Bytes a parameter of each state, as in ``training_recipes.csv``.
    zero_stage : array_like
        0: all replicated over `dp` ranks; 1: optimizer states are sharded; 2: gradients too;
        3: weights too (FSDP full shard).

    Returns
    -------
    dict of arrays
        ``weights``, ``gradients``, ``optimizer``; together they are the total.

    References
    ----------
    Rajbhandari et al. 2020, arXiv:1910.02054, figure 1: 16 bytes a parameter become
    4 + 12/d, 2 + 14/d and 16/d. Megatron-LM's distributed optimizer: 6 + 12/d.
    """
    params, stage, ranks = np.asarray(params, float), np.asarray(zero_stage), np.asarray(dp, float)

    def sharded_from(first_stage: int, bytes_each: ArrayLike) -> Floats:
        share = np.where(stage >= first_stage, 1 / ranks, 1.0)
        return np.asarray(params * np.asarray(bytes_each, float) * share)

    return {
        "weights": sharded_from(3, weight_bytes),
        "gradients": sharded_from(2, grad_bytes),
        "optimizer": sharded_from(1, optimizer_bytes),
    }


def lora_params(rank: ArrayLike, in_features: ArrayLike, out_features: ArrayLike) -> Floats:
    """Trainable parameters that LoRA adds to one matrix: ``rank * (in + out)``.

    References
    ----------
    Hu et al. 2021, arXiv:2106.09685, section 4.2.

    >>> float(lora_params(8, 4096, 4096))
    65536.0
    """
    return np.asarray(
        np.asarray(rank, float) * (np.asarray(in_features) + np.asarray(out_features))
    )
