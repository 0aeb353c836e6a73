"""What a training step has to do: seconds at the rates of kernel tables and fabric.

The constants of a framework come on top, in `step`; a fit of them computes
this part once.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats
from gpuspec.catalog.models import Model, parameter_parts
from gpuspec.catalog.precision import TrainingRecipe
from gpuspec.constants.kernels import Kernels
from gpuspec.constants.links import Fabric
from gpuspec.formulas.memory import Adapter, adapter_params
from gpuspec.formulas.training.communication import Ranks
from gpuspec.formulas.training.layers import (
    DIRECTIONS,
    cast_seconds,
    dense_products,
    elementwise_seconds,
    flash_seconds,
    product_seconds,
    routed_products,
    score_elements,
    unfused_product_seconds,
    unpack_seconds,
)

Work = dict[str, Any]
HOST_STATE_BYTES = 12.0
"""FP32 master weight and both moments of a parameter, where they lie in host memory."""
PCIE_SHARE = 0.8
"""Share of the PCIe rate that gradients and weights reach on their way to the host and back."""


def step_work(
    model: Model,
    recipe: TrainingRecipe,
    kernels: Kernels,
    fabric: Fabric,
    *,
    seq_len: ArrayLike,
    micro_batch: ArrayLike = 1,
    microbatches: ArrayLike = 1,
    tp: ArrayLike = 1,
    pp: ArrayLike = 1,
    dp: ArrayLike = 1,
    cp: ArrayLike = 1,
    ep: ArrayLike = 1,
    interleave: ArrayLike = 1,
    zero_stage: ArrayLike = 0,
    shard_gpus: ArrayLike = 0,
    recompute: ArrayLike = "none",
    sequence_parallel: ArrayLike = True,
    attention: ArrayLike = "flash",
    balanced_stages: ArrayLike = False,
    offload_optimizer: ArrayLike = False,
    document_tokens: ArrayLike = 0,
    fp8: bool = False,
    adapter: Adapter | None = None,
) -> Work:
    """Return the times and settings from which `assembled` makes a step.

    Parameters are those of `gpuspec.formulas.training.step_parts`.
    """
    model.need_llm("training step by layer")
    if fp8:
        kernels.gpu.peak_flops("fp8")  # raises where there are no such units
    tp, pp, dp, cp, ep = (np.asarray(x, float) for x in (tp, pp, dp, cp, ep))
    seq, batch = np.asarray(seq_len, float), np.asarray(micro_batch, float)
    tokens = batch * seq / cp
    full = np.equal(recompute, "full")
    found: Work = {}
    for direction in DIRECTIONS:
        found[f"dense_{direction}"] = dense_products(model, tokens, tp, kernels, fp8, direction)
        routed = routed_products(model, tokens, tp, ep, kernels, fp8, direction)
        found[f"routed_{direction}"] = routed
        head: list[tuple[Any, Any]] = [(np.ceil(model.vocab / tp), float(model.hidden))]
        found[f"head_{direction}"] = product_seconds(tokens, head, kernels, False, direction)
    document = np.asarray(document_tokens, float)
    seen = np.where(document > 0, np.minimum(document, seq), seq)
    pieces = batch * seq / seen
    scores = score_elements(model, pieces, seen, tp, cp)
    bandwidth = kernels.gpu.bandwidth_bytes_s
    ranks = Ranks(fabric=fabric, tp=tp, pp=pp, dp=dp, cp=cp, ep=ep)
    found |= {
        "flash": flash_seconds(model, pieces, seen, tp, cp, kernels),
        "score_products": unfused_product_seconds(model, scores, kernels),
        "score_pass": scores * 2 / bandwidth,
        "elementwise": elementwise_seconds(model, tokens, tp, sequence_parallel, kernels),
        "casts": cast_seconds(model, tokens, tp, kernels) * fp8,
        "unpack": unpack_seconds(model, tp, ep, kernels, adapter),
        "logit_pass": tokens * np.ceil(model.vocab / tp) * 4 / bandwidth,
        "tp": ranks.tensor(model, tokens, sequence_parallel, full, fp8),
        "cp": ranks.context(model, batch, seq),
        "ep": ranks.experts(model, tokens),
        "pp": ranks.pipeline(model, tokens, sequence_parallel),
        **_states(model, recipe, adapter, ranks, kernels, zero_stage, shard_gpus),
    }
    layers = model.layers / pp
    return {
        **found,
        "layers": np.where(balanced_stages, layers, np.ceil(layers)),
        "moe": model.moe_layers / model.layers,
        "stages": pp,
        "chunks": np.asarray(interleave, float),
        "microbatches": np.asarray(microbatches, float),
        "zero_stage": np.asarray(zero_stage),
        "members": dp * cp,
        "gpus": tp * pp * dp * cp,
        "balanced": np.asarray(balanced_stages),
        "full": full,
        "selective": np.equal(recompute, "selective"),
        "eager": np.equal(attention, "eager"),
        "offload": np.asarray(offload_optimizer),
        "trained": adapter is None,
        "fp8": fp8,
        "hopper": kernels.gpu.architecture == "Hopper",
        "old_flash": np.equal(attention, "flash2") & (kernels.gpu.architecture == "Hopper"),
    }


def _states(
    model: Model,
    recipe: TrainingRecipe,
    adapter: Adapter | None,
    ranks: Ranks,
    kernels: Kernels,
    zero_stage: ArrayLike,
    shard_gpus: ArrayLike,
) -> Work:
    """Seconds of moving and updating the states that a GPU holds."""
    parts = parameter_parts(model)
    held: Floats = (sum(parts.values()) - parts["experts"] * (1 - 1 / ranks.ep)) / (
        ranks.tp * ranks.pp
    )
    trained = held
    if adapter is not None:
        trained = adapter_params(model, adapter) / (ranks.tp * ranks.pp) + 0 * held
    members = ranks.dp * ranks.cp
    shards = np.asarray(shard_gpus, float)
    shards = np.where(shards > 0, np.minimum(shards, members), members)
    grad_bytes = min(recipe.grad_bytes, 4.0)
    data = ranks.data(trained * grad_bytes, held * 2.0, shards)
    own = trained / np.where(np.asarray(zero_stage) >= 1, shards, 1.0)
    # Update the shard (states are read and written); clipping reads every gradient once.
    moved = own * (grad_bytes + 2 * recipe.optimizer_bytes + 2) + trained * grad_bytes
    link = (kernels.gpu.pcie_bytes_s or 64e9) * PCIE_SHARE
    beside = np.minimum(members, ranks.fabric.island)
    return {
        **data,
        "update": moved / kernels.gpu.bandwidth_bytes_s,
        "host_link": own * (grad_bytes + 2) / link,
        "host_bytes": own * beside * (grad_bytes + 2 * HOST_STATE_BYTES),
    }
