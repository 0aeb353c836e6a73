"""Parameter counts from dimensions, in parts that add up to the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpuspec.catalog.models.record import Model


LAYER_PARTS = (
    "attention", "linear", "mlp", "experts", "shared_experts", "router", "norms", "other"
)  # fmt: skip
"""Parts of a model that its layers hold."""


def parameter_parts(model: Model) -> dict[str, int]:
    """Parameters of a model by part; the parts add up to ``model.params``.

    A diffusion model has one part, ``network``, its published count: its blocks are not
    described by the dimensions in the table.

    >>> from gpuspec.catalog.models import model
    >>> parameter_parts(model("llama-3.1-8b"))["embedding"]   # 128,256 × 4,096
    525336576
    """
    return _parts(model, active=False)


def active_parameter_parts(model: Model) -> dict[str, int]:
    """Parameters that one token uses, by part: of the routed experts only those it is sent to."""
    return _parts(model, active=True)


def _parts(model: Model, active: bool) -> dict[str, int]:
    if model.kind == "diffusion":
        return {"network": model.params_total}
    layers = [layer_parts(block, active) for block in model.blocks]
    parts = {name: sum(each[name] for each in layers) for name in LAYER_PARTS}
    last = model.hidden * (1 + model.norm_bias) * (1 + model.embedding_norm)
    return {
        "embedding": model.vocab * model.hidden,
        "positions": model.learned_positions * model.hidden,
        **parts,
        "norms": parts["norms"] + last,
        "lm_head": head_parameters(model),
        "extra": model.extra_params,
    }


def layer_parts(block: Model, active: bool = False) -> dict[str, int]:
    """Parameters of the layers of one of ``model.blocks``, by part."""
    moe, dense = block.moe_layers, block.layers - block.moe_layers
    attends, recurs = block.mixer in ("attention", "both"), block.mixer in ("linear", "both")
    experts = block.active_experts if active else block.experts
    return {
        "attention": block.layers * attention_parameters(block) if attends else 0,
        "linear": block.layers * linear_parameters(block) if recurs else 0,
        "mlp": dense * mlp_parameters(block, block.ffn) if block.ffn else 0,
        "experts": moe * expert_parameters(block, experts),
        "shared_experts": moe * shared_parameters(block),
        "router": moe * router_parameters(block),
        "norms": block.layers * block.norms_per_layer * block.hidden * (1 + block.norm_bias),
        "other": block.layers * block.other_params,
    }


def attention_parameters(model: Model) -> int:
    """Parameters of the attention block of one layer, without the norm in front of it."""
    projections = _latent(model) if model.kv_lora_rank else _projections(model)
    gate = model.hidden * model.attention_gate
    sinks = model.attention_sinks * model.heads
    return projections + _qk_norm(model) + sinks + gate + model.index_params


def linear_parameters(model: Model) -> int:
    """Parameters of the recurrent mixer of one layer."""
    return model.hidden * (model.linear_in + model.linear_out) + model.linear_params


def _projections(model: Model) -> int:
    """Queries, keys, values and the output, of which the first and last may have a low rank."""
    query, key = model.heads * model.head_dim, model.kv_heads * model.head_dim
    value, output = model.kv_heads * model.v_head_dim, model.heads * model.v_head_dim
    if model.cache == "shared":
        key = value = 0
    value = 0 if model.values_are_keys else value
    bias = (model.attention_bias != "none") * (query + key + value)
    bias += (model.attention_bias == "all") * model.hidden
    into, rank = model.hidden * query, model.output_rank
    if model.q_lora_rank:
        into = model.q_lora_rank * (model.hidden + 1 + query)
    out = model.hidden * output
    if rank:
        out = rank * (output + model.output_groups * model.hidden)
    return into + model.hidden * (key + value) + out + bias


def _latent(model: Model) -> int:
    """Multi-head latent attention: low-rank query and key-value paths (DeepSeek-V2, 2.1)."""
    query_width = model.heads * model.head_dim
    if model.q_lora_rank:
        query = model.q_lora_rank * (model.hidden + 1 + query_width)
    else:
        query = model.hidden * query_width
    down = model.hidden * (model.kv_lora_rank + model.qk_rope_head_dim) + model.kv_lora_rank
    down = 0 if model.cache == "shared" else down
    up = model.kv_lora_rank * model.heads * (model.qk_nope_head_dim + model.v_head_dim)
    return query + down + up + model.heads * model.v_head_dim * model.hidden


def _qk_norm(model: Model) -> int:
    if model.qk_norm == "none":
        return 0
    query_heads, key_heads = (1, 1) if model.qk_norm == "head" else (model.heads, model.kv_heads)
    key_heads = 0 if model.cache == "shared" else key_heads
    return (1 + model.norm_bias) * (query_heads + key_heads) * model.head_dim


def mlp_parameters(model: Model, width: int, hidden: int = 0) -> int:
    """Parameters of one feed-forward block of a given width: three matrices if gated, else two.

    `hidden` is the width of its input where it is not the residual stream's.
    """
    matrices, hidden = (3 if model.gated_mlp else 2), hidden or model.hidden
    return matrices * hidden * width + model.mlp_bias * ((matrices - 1) * width + hidden)


def expert_parameters(model: Model, experts: int) -> int:
    """Parameters of `experts` routed experts of one layer, and of a projection around them."""
    latent = model.expert_latent
    each = mlp_parameters(model, model.expert_ffn, latent or model.hidden)
    return experts * each + 2 * latent * model.hidden


def shared_parameters(model: Model) -> int:
    """Parameters of the shared experts of one layer, which every token uses."""
    shared = model.shared_experts * mlp_parameters(model, model.shared_expert_ffn)
    return shared + model.shared_expert_gate * model.hidden


def router_parameters(model: Model) -> int:
    """Parameters that choose the experts of a token in one layer."""
    return model.experts * (model.hidden + model.router_bias)


def head_parameters(model: Model) -> int:
    """Parameters of the output projection that the embedding does not already hold."""
    weight = 0 if model.tied_embeddings else (model.head_vocab or model.vocab) * model.hidden
    return weight + model.lm_head_bias * model.vocab
