"""The modules of a layer by part, with the names that repositories give them and their sizes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gpuspec.catalog.models.params import attention_parameters, linear_parameters
from gpuspec.catalog.models.record import Model


def _ends(holders: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{holder}.{name}" for holder in holders.split("|") for name in names)


_ATTENTION = "self_attn|attn|attention|self_attention|mixer"
_QKV = ("qkv_proj", "query_key_value", "wqkv", "Wqkv", "c_attn")
_MLP = "mlp|feed_forward|ffn|mixer|moe"
_EXPERTS = (
    "mlp.experts|block_sparse_moe.experts|feed_forward.experts|ffn.experts|mixer.experts|"
    "moe.experts|experts"
)
_SHARED = (
    "mlp.shared_experts|mlp.shared_expert|feed_forward.shared_expert|mixer.shared_experts|"
    "block_sparse_moe.shared_experts|ffn.shared_experts"
)
_LINEAR = "linear_attn|mixer|mamba|self_attn|linear_attention"
_GATE = ("gate_proj", "w1", "gate_up_proj", "gate_and_up_proj")
_UP = ("up_proj", "w3", "gate_up_proj", "c_fc", "fc1", "dense_h_to_4h")
_DOWN = ("down_proj", "w2", "c_proj", "fc2", "dense_4h_to_h")


def _of_experts(holders: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return _ends(holders, *names, *(f"0.{name}" for name in names))


NAMES = {
    ("attention", "q"): _ends(_ATTENTION, "q_proj", "wq", *_QKV),
    ("attention", "k"): _ends(_ATTENTION, "k_proj", "wk", *_QKV),
    ("attention", "v"): _ends(_ATTENTION, "v_proj", "wv", *_QKV),
    ("attention", "o"): _ends(_ATTENTION, "o_proj", "wo", "dense", "c_proj", "out_proj"),
    ("attention", "q_a"): _ends(_ATTENTION, "q_a_proj", "fused_qkv_a_proj"),
    ("attention", "q_b"): _ends(_ATTENTION, "q_b_proj", "q_proj"),
    ("attention", "kv_a"): _ends(_ATTENTION, "kv_a_proj_with_mqa", "kv_a_proj", "fused_qkv_a_proj"),
    ("attention", "kv_b"): _ends(_ATTENTION, "kv_b_proj"),
    ("linear", "in"): _ends(
        _LINEAR, "in_proj_qkv", "in_proj_qkvz", "in_proj", "q_proj", "qkv_proj"
    ),
    ("linear", "z"): _ends(_LINEAR, "in_proj_z", "in_proj_qkvz", "in_proj", "g_proj"),
    ("linear", "out"): _ends(_LINEAR, "out_proj", "o_proj"),
    ("mlp", "gate"): _ends(_MLP, *_GATE),
    ("mlp", "up"): _ends(_MLP, *_UP),
    ("mlp", "down"): _ends(_MLP, *_DOWN),
    ("experts", "gate"): _of_experts(_EXPERTS, _GATE),
    ("experts", "up"): _of_experts(_EXPERTS, _UP),
    ("experts", "down"): _of_experts(_EXPERTS, _DOWN),
    ("shared_experts", "gate"): _ends(_SHARED, *_GATE),
    ("shared_experts", "up"): _ends(_SHARED, *_UP),
    ("shared_experts", "down"): _ends(_SHARED, *_DOWN),
}
"""Names of a module after ``layers.N.``, by the part of the model that it belongs to."""

BESIDE = {
    ("experts", name): _of_experts("experts|moe.experts|moe", kinds)
    for name, kinds in (("gate", _GATE), ("up", _UP), ("down", _DOWN))
}
"""Names of experts that stand beside the layer's MLP instead of in it (Gemma 4)."""
SHARED_MLP = {
    ("shared_experts", name): _ends("shared_mlp|mlp.shared_mlp", *kinds)
    for name, kinds in (("gate", _GATE), ("up", _UP), ("down", _DOWN))
}
"""Names of shared experts that are an MLP (Granite, Hunyuan)."""


@dataclass(frozen=True)
class Module:
    """One matrix of one layer."""

    part: str
    layer: int
    names: tuple[str, ...]
    size: float
    """Its parameters, as far as the model's dimensions tell them."""


def modules(model: Model) -> Iterator[Module]:
    """Yield the matrices of every layer that a format below 16 bits may take."""
    names = NAMES | (BESIDE if model.family.startswith("gemma4") else {})
    names |= SHARED_MLP if model.family.startswith(("granite", "hunyuan", "hy_")) else {}
    places = [np.array(group.layers, int) for group in model.groups]
    rest = np.setdiff1d(np.arange(model.layers), np.concatenate([[], *places]))
    for block, layers in zip(model.blocks, [*places, rest] if rest.size else places, strict=True):
        mask = block.moe_mask()
        for place, layer in enumerate(layers):
            for (part, name), size in _sizes(block, bool(mask[place])).items():
                yield Module(part, int(layer), names[part, name], size)


def any_modules(layers: int) -> Iterator[Module]:
    """Yield every matrix that a layer may have, in every layer, all of one size."""
    for layer in range(layers):
        for (part, _), names in NAMES.items():
            yield Module(part, layer, names, 1.0)


def _sizes(block: Model, has_experts: bool) -> dict[tuple[str, str], float]:
    sizes: dict[tuple[str, str], float] = {}
    if block.mixer in ("attention", "both"):
        shares = _latent(block) if block.kv_lora_rank else _projections(block)
        whole = attention_parameters(block) / sum(shares.values())
        sizes |= {("attention", name): share * whole for name, share in shares.items()}
    if block.mixer in ("linear", "both"):
        z = min(block.linear_out, block.linear_in / 2)
        shares = {"in": block.linear_in - z, "z": z, "out": block.linear_out}
        whole = linear_parameters(block) / sum(shares.values())
        sizes |= {("linear", name): share * whole for name, share in shares.items()}
    names = ("gate", "up", "down") if block.gated_mlp else ("up", "down")
    if has_experts:
        sizes |= {("experts", name): block.experts * block.expert_ffn for name in names}
        if block.shared_experts:
            shared = block.shared_experts * block.shared_expert_ffn
            sizes |= {("shared_experts", name): shared for name in names}
    elif block.ffn:
        sizes |= {("mlp", name): block.ffn for name in names}
    return sizes


def _projections(block: Model) -> dict[str, float]:
    query, output = block.heads * block.head_dim, block.heads * block.v_head_dim
    value = 0 if block.values_are_keys else block.kv_heads * block.v_head_dim
    return {"q": query, "k": block.kv_heads * block.head_dim, "v": value, "o": output}


def _latent(block: Model) -> dict[str, float]:
    query, rank = block.heads * block.head_dim, block.q_lora_rank
    wide = block.heads * (block.qk_nope_head_dim + block.v_head_dim)
    down = (block.kv_lora_rank + block.qk_rope_head_dim) * (block.cache == "own")
    return {
        "q_a": block.hidden * rank,
        "q_b": (rank or block.hidden) * query,
        "kv_a": block.hidden * down,
        "kv_b": block.kv_lora_rank * wide,
        "o": block.heads * block.v_head_dim * block.hidden,
    }
