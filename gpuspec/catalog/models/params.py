"""Parameter counts from dimensions, in parts that add up to the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpuspec.catalog.models.record import Model


def parameter_parts(model: Model) -> dict[str, int]:
    """Parameters of a model by part; the parts add up to ``model.params``.

    A diffusion model has one part, ``network``, its published count: its blocks are not
    described by the dimensions in the table.

    >>> from gpuspec.catalog.models import model
    >>> parameter_parts(model("llama-3.1-8b"))["embedding"]   # 128,256 × 4,096
    525336576
    """
    return _parts(model, model.experts)


def active_parameter_parts(model: Model) -> dict[str, int]:
    """Parameters that one token uses, by part: of the routed experts only those it is sent to."""
    return _parts(model, model.active_experts)


def _parts(model: Model, experts: int) -> dict[str, int]:
    if model.kind == "diffusion":
        return {"network": model.params_total}
    moe, dense = model.moe_layers, model.layers - model.moe_layers
    return {
        "embedding": model.vocab * model.hidden,
        "positions": model.learned_positions * model.hidden,
        "attention": model.layers * attention_parameters(model),
        "mlp": dense * mlp_parameters(model, model.ffn),
        "experts": moe * expert_parameters(model, experts),
        "router": moe * router_parameters(model),
        "norms": norm_parameters(model),
        "lm_head": head_parameters(model),
    }


def attention_parameters(model: Model) -> int:
    """Parameters of the attention block of one layer, without the norm in front of it."""
    projections = _latent(model) if model.kv_lora_rank else _projections(model)
    return projections + _qk_norm(model) + model.attention_sinks * model.heads


def _projections(model: Model) -> int:
    query, key = model.heads * model.head_dim, model.kv_heads * model.head_dim
    value, output = model.kv_heads * model.v_head_dim, model.heads * model.v_head_dim
    bias = (model.attention_bias != "none") * (query + key + value)
    bias += (model.attention_bias == "all") * model.hidden
    return model.hidden * (query + key + value + output) + bias


def _latent(model: Model) -> int:
    """Multi-head latent attention: low-rank query and key-value paths (DeepSeek-V2, 2.1)."""
    query_width = model.heads * model.head_dim
    if model.q_lora_rank:
        query = model.q_lora_rank * (model.hidden + 1 + query_width)
    else:
        query = model.hidden * query_width
    down = model.hidden * (model.kv_lora_rank + model.qk_rope_head_dim) + model.kv_lora_rank
    up = model.kv_lora_rank * model.heads * (model.qk_nope_head_dim + model.v_head_dim)
    return query + down + up + model.heads * model.v_head_dim * model.hidden


def _qk_norm(model: Model) -> int:
    if model.qk_norm == "none":
        return 0
    query_heads, key_heads = (1, 1) if model.qk_norm == "head" else (model.heads, model.kv_heads)
    return (1 + model.norm_bias) * (query_heads + key_heads) * model.head_dim


def mlp_parameters(model: Model, width: int) -> int:
    """Parameters of one feed-forward block of a given width: three matrices if gated, else two."""
    matrices = 3 if model.gated_mlp else 2
    return matrices * model.hidden * width + model.mlp_bias * (
        (matrices - 1) * width + model.hidden
    )


def expert_parameters(model: Model, experts: int) -> int:
    """Parameters of `experts` routed experts and of all shared experts of one layer."""
    routed = experts * mlp_parameters(model, model.expert_ffn)
    shared = model.shared_experts * mlp_parameters(model, model.shared_expert_ffn)
    return routed + shared + model.shared_expert_gate * model.hidden


def router_parameters(model: Model) -> int:
    """Parameters that choose the experts of a token in one layer."""
    return model.experts * (model.hidden + model.router_bias)


def norm_parameters(model: Model) -> int:
    """Parameters of all norms of width ``hidden``: in every layer, the last, the embedding's."""
    norms = model.layers * model.norms_per_layer + 1 + model.embedding_norm
    return norms * model.hidden * (1 + model.norm_bias)


def head_parameters(model: Model) -> int:
    """Parameters of the output projection that the embedding does not already hold."""
    weight = 0 if model.tied_embeddings else model.vocab * model.hidden
    return weight + model.lm_head_bias * model.vocab
