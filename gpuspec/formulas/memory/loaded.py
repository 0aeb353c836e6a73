"""Bytes of weights that one GPU of a tensor- and pipeline-parallel replica holds."""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats
from gpuspec.catalog.models import Model, parameter_parts
from gpuspec.catalog.models.params import layer_parts
from gpuspec.catalog.precision import Precision, WeightFormat
from gpuspec.formulas.transformer import kv_heads_per_gpu


def stage_weights_bytes(
    model: Model,
    weights: WeightFormat | Precision,
    tp: ArrayLike = 1,
    pp: ArrayLike = 1,
    attention_dp: ArrayLike = 1,
) -> Floats:
    """Bytes of weights on one GPU of the fullest pipeline stage.

    Matrices are split over `tp`; norms, routers, key and value projections beyond the number of
    their heads, and the down-projections of latent attention are replicated. Layers are split
    over `pp` in whole numbers, and the fullest stage has the heaviest run of so many layers that
    there is. The embedding and towers lie on the first stage and the output head on the last (a
    tied head becomes a copy of its own there). MTP layers are not loaded. Each of `attention_dp`
    groups of the `tp` GPUs holds what mixes tokens whole, split over its own GPUs.
    """
    form = WeightFormat.of(weights)
    given = (np.asarray(size, float) for size in (tp, pp, attention_dp))
    ranks, stages, groups = np.broadcast_arrays(*given)
    if not ranks.ndim:
        return np.asarray(_stage_bytes(model, form, float(ranks), float(stages), float(groups)))
    rows = np.stack([ranks.ravel(), stages.ravel(), groups.ravel()])
    splits, places = np.unique(rows, axis=1, return_inverse=True)
    sizes = [_stage_bytes(model, form, *map(float, split)) for split in splits.T]
    return np.asarray(np.array(sizes)[places.ravel()].reshape(ranks.shape))


@lru_cache(4096)
def _stage_bytes(model: Model, form: WeightFormat, tp: float, pp: float, groups: float) -> float:
    each, parts = form.bytes_each, parameter_parts(model)
    if model.kind == "diffusion":
        return parts["network"] * each("network") / tp
    layers = model.by_layer(lambda block: _layer_bytes(block, form, tp, tp / groups))
    run = int(np.ceil(model.layers / pp))
    sums = np.concatenate([[0.0], np.cumsum(layers)])
    fullest = float(np.max(sums[run:] - sums[:-run]))
    embedding = parts["embedding"] * each("embedding")
    first = embedding + parts["positions"] * each("positions") + parts["extra"] * each("extra")
    first += model.tower_params * each("towers")
    norms = parts["norms"] - sum(layer_parts(block)["norms"] for block in model.blocks)
    last, norm = parts["lm_head"] * each("lm_head") / tp, norms * each("norms")
    if pp == 1:
        return fullest + first / tp + last + norm
    copied = last + embedding / tp if model.tied_embeddings else last
    return fullest + max(first / tp, copied + norm)


def _layer_bytes(block: Model, form: WeightFormat, tp: float, mixing_tp: float) -> Floats:
    """Bytes on one of `tp` GPUs of each layer of a block, shape ``(layers,)``.

    `mixing_tp` of them share what mixes tokens.
    """
    parts, mask = layer_parts(block), block.moe_mask()
    held = {name: count / tp for name, count in parts.items()}
    held |= {name: float(parts[name]) for name in ("norms", "router")}
    whole = parts["attention"] / block.layers if parts["attention"] else 0.0
    held["attention"] = block.layers * _attention(block, whole, mixing_tp)
    held["linear"] = parts["linear"] / mixing_tp
    sizes = {name: count * form.bytes_each(name) for name, count in held.items()}
    routed = sizes["experts"] + sizes["shared_experts"] + sizes["router"]
    common = sizes["attention"] + sizes["linear"] + sizes["norms"] + sizes["other"]
    sparse = int(mask.sum())
    dense = block.layers - sparse
    mlp = np.where(mask, routed / max(sparse, 1), sizes["mlp"] / max(dense, 1))
    return np.asarray(common / block.layers + mlp)


def _attention(block: Model, whole: float, tp: float) -> float:
    """Parameters of one layer's attention on one of `tp` GPUs."""
    if not whole:
        return 0.0
    if block.kv_lora_rank:
        made = (block.kv_lora_rank + block.qk_rope_head_dim) * (block.cache == "own")
        down = made + block.q_lora_rank
        replicated = float(block.hidden * down) + block.index_params
        return replicated + (whole - replicated) / tp
    width = block.head_dim + (0 if block.values_are_keys else block.v_head_dim)
    pairs = block.hidden * block.kv_heads * width
    kept = float(kv_heads_per_gpu(block.kv_heads, tp)) / block.kv_heads
    replicated = float(block.index_params)
    return replicated + pairs * kept + (whole - pairs - replicated) / tp
