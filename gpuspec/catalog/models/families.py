"""What each family's config.json means: one small function a family, from keys to fields.

A function takes a `Config` and returns fields of `Model`. Defaults are those that the family's
own code falls back to when a key is absent, so they differ between families.
"""

from collections.abc import Callable
from typing import Any

from gpuspec.catalog.models.reading import MAX_LAYERS, MAX_TOKENS, MAX_WIDTH, Config

Fields = dict[str, Any]
FAMILIES: dict[str, Callable[[Config], Fields]] = {}
NESTED = ("gemma3", "llama4", "mistral3")
"""Model types whose language model is described under ``text_config``."""


def _family(*names: str) -> Callable[[Callable[[Config], Fields]], Callable[[Config], Fields]]:
    def register(function: Callable[[Config], Fields]) -> Callable[[Config], Fields]:
        FAMILIES.update(dict.fromkeys(names, function))
        return function

    return register


@_family("llama")
def _llama(config: Config) -> Fields:
    heads = config.count("num_attention_heads")
    return {
        "layers": config.layers(),
        "hidden": config.count("hidden_size"),
        "heads": heads,
        "kv_heads": config.count("num_key_value_heads", default=heads),
        "head_dim": _head_dim(config, config.count("hidden_size"), heads),
        "ffn": config.count("intermediate_size"),
        "vocab": config.count("vocab_size"),
        "tied_embeddings": config.flag("tie_word_embeddings"),
        "max_context": config.tokens("max_position_embeddings"),
        "attention_bias": "all" if config.flag("attention_bias") else "none",
        "mlp_bias": config.flag("mlp_bias"),
    }


def _head_dim(config: Config, hidden: int, heads: int) -> int:
    if "head_dim" not in config and hidden % heads:
        valid = f"without head_dim they must divide the hidden size, {hidden:,}"
        raise config.error("num_attention_heads", heads, valid)
    return config.count("head_dim", default=hidden // heads)


@_family("mistral", "ministral")
def _mistral(config: Config) -> Fields:
    return _llama(config) | {"sliding_window": config.tokens("sliding_window")}


@_family("mixtral")
def _mixtral(config: Config) -> Fields:
    moe = _experts(config, "num_local_experts", config.count("intermediate_size"))
    return _mistral(config) | moe | {"ffn": 0}


def _experts(config: Config, key: str, width: int) -> Fields:
    experts = config.count(key)
    active = config.count("num_experts_per_tok", "experts_per_token", most=experts)
    return {"experts": experts, "active_experts": active, "expert_ffn": width}


@_family("qwen2")
def _qwen2(config: Config) -> Fields:
    fields = _llama(config) | {"attention_bias": "qkv"}
    if config.flag("use_sliding_window"):
        full = config.count("max_window_layers", default=MAX_LAYERS, most=MAX_LAYERS, least=0)
        fields["sliding_window"] = config.tokens("sliding_window")
        fields["global_layers"] = tuple(range(min(full, fields["layers"])))
    return fields


@_family("qwen2_moe")
def _qwen2_moe(config: Config) -> Fields:
    shared = config.count("shared_expert_intermediate_size", default=0, least=0)
    gate = {"shared_experts": min(shared, 1), "shared_expert_gate": shared > 0}
    return _qwen2(config) | _qwen_experts(config) | gate | {"shared_expert_ffn": shared}


@_family("qwen3")
def _qwen3(config: Config) -> Fields:
    head_dim = config.count("head_dim", default=128)
    bias = {"attention_bias": "all" if config.flag("attention_bias") else "none"}
    values = Config(config.values | {"head_dim": head_dim}, config.label)
    return _qwen2(values) | bias | {"qk_norm": "head"}


@_family("qwen3_moe")
def _qwen3_moe(config: Config) -> Fields:
    return _qwen3(config) | _qwen_experts(config)


def _qwen_experts(config: Config) -> Fields:
    dense = config.items("mlp_only_layers", int)
    if sorted(dense) != list(range(len(dense))):
        raise config.error("mlp_only_layers", dense, "only the first layers may be without experts")
    moe = _experts(config, "num_experts", config.count("moe_intermediate_size"))
    every = config.count("decoder_sparse_step", default=1, most=MAX_LAYERS)
    return moe | {"dense_layers": len(dense), "moe_every": every}


@_family("deepseek_v2", "deepseek_v3")
def _deepseek(config: Config) -> Fields:
    rope, nope = config.count("qk_rope_head_dim"), config.count("qk_nope_head_dim")
    latent = {
        "kv_heads": config.count("num_attention_heads"),
        "head_dim": rope + nope,
        "v_head_dim": config.count("v_head_dim"),
        "q_lora_rank": config.count("q_lora_rank", default=0, least=0),
        "kv_lora_rank": config.count("kv_lora_rank"),
        "qk_rope_head_dim": rope,
        "qk_nope_head_dim": nope,
    }
    whole = Config(config.values | {"head_dim": rope + nope}, config.label)
    return _llama(whole) | latent | _deepseek_experts(config)


def _deepseek_experts(config: Config) -> Fields:
    if "n_routed_experts" not in config:
        return {}
    config.count("moe_layer_freq", default=1, most=1)
    width = config.count("moe_intermediate_size")
    bias = config.text("topk_method", "") == "noaux_tc" or config.text("model_type") != (
        "deepseek_v2"
    )
    return _experts(config, "n_routed_experts", width) | {
        "shared_experts": config.count("n_shared_experts", default=0, least=0),
        "shared_expert_ffn": width,
        "router_bias": bias,
        "dense_layers": config.count("first_k_dense_replace", default=0, least=0, most=MAX_LAYERS),
    }


@_family("gemma")
def _gemma(config: Config) -> Fields:
    defaults = {"head_dim": 256, "tie_word_embeddings": True}
    return _llama(Config(_filled(config, defaults), config.label))


@_family("gemma2")
def _gemma2(config: Config) -> Fields:
    windows = _windows(config, config.layers(), config.tokens("sliding_window", default=4096), 2)
    return _gemma(config) | windows | {"norms_per_layer": 4}


@_family("gemma3_text")
def _gemma3(config: Config) -> Fields:
    defaults = {
        "vocab_size": 262_208,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "max_position_embeddings": 131_072,
    }
    full = Config(_filled(config, defaults), config.label)
    every = config.count("sliding_window_pattern", default=6, most=MAX_LAYERS)
    window = config.tokens("sliding_window", default=4096)
    norms = {"norms_per_layer": 4, "qk_norm": "head"}
    return _gemma(full) | _windows(config, config.layers(), window, every) | norms


def _filled(config: Config, defaults: Fields) -> Fields:
    return defaults | {key: value for key, value in config.values.items() if value is not None}


def _windows(config: Config, layers: int, window: int, every: int) -> Fields:
    """Which layers see everything: by the list of layer types, or else every so many."""
    types = config.items("layer_types", str, layers)
    full = tuple(layer for layer, kind in enumerate(types) if kind == "full_attention")
    if not types or full == tuple(range(every - 1, layers, every)):
        return {"sliding_window": window, "global_every": every}
    return {"sliding_window": window, "global_layers": full}


@_family("phi3")
def _phi3(config: Config) -> Fields:
    return _mistral(config)


@_family("phi")
def _phi(config: Config) -> Fields:
    return (
        _llama(config)
        | _LAYERNORM
        | {
            "lm_head_bias": True,
            "norms_per_layer": 1,
            "parallel_block": True,
            "qk_norm": "head" if config.flag("qk_layernorm") else "none",
        }
    )


_LAYERNORM: Fields = {
    "gated_mlp": False,
    "norm": "layernorm",
    "norm_bias": True,
    "attention_bias": "all",
    "mlp_bias": True,
}


@_family("falcon", "RefinedWeb", "RefinedWebModel")
def _falcon(config: Config) -> Fields:
    hidden = config.count("hidden_size")
    heads = config.count("num_attention_heads", "n_head")
    grouped = config.flag("new_decoder_architecture", config.text("model_type") == "RefinedWeb")
    parallel = config.flag("parallel_attn", True)
    bias = config.flag("bias")
    return _LAYERNORM | {
        "layers": config.layers("num_hidden_layers", "n_layer"),
        "hidden": hidden,
        "heads": heads,
        "kv_heads": _falcon_kv_heads(config, heads, grouped),
        "head_dim": _head_dim(config, hidden, heads),
        "ffn": config.count("ffn_hidden_size", default=4 * hidden, most=4 * MAX_WIDTH),
        "vocab": config.count("vocab_size"),
        "tied_embeddings": config.flag("tie_word_embeddings", True),
        "max_context": config.tokens("max_position_embeddings", default=2048),
        "position": "alibi" if config.flag("alibi") else "rope",
        "attention_bias": "all" if bias else "none",
        "mlp_bias": bias,
        "norms_per_layer": 1 if parallel and not grouped else 2,
        "parallel_block": parallel,
    }


def _falcon_kv_heads(config: Config, heads: int, grouped: bool) -> int:
    if grouped:
        return config.count("num_kv_heads", "n_head_kv", default=heads)
    return 1 if config.flag("multi_query", True) else heads


@_family("gpt_neox")
def _gpt_neox(config: Config) -> Fields:
    parallel = {"parallel_block": config.flag("use_parallel_residual", True)}
    bias = {"attention_bias": "all" if config.flag("attention_bias", True) else "none"}
    return _llama(config) | _LAYERNORM | parallel | bias


@_family("gpt2")
def _gpt2(config: Config) -> Fields:
    hidden, heads = config.count("n_embd"), config.count("n_head")
    positions = config.count("n_positions", "n_ctx", default=1024)
    return _LAYERNORM | {
        "layers": config.layers("n_layer"),
        "hidden": hidden,
        "heads": heads,
        "kv_heads": heads,
        "head_dim": _head_dim(config, hidden, heads),
        "ffn": config.count("n_inner", default=4 * hidden, most=4 * MAX_WIDTH),
        "vocab": config.count("vocab_size"),
        "tied_embeddings": config.flag("tie_word_embeddings", True),
        "position": "learned",
        "learned_positions": positions,
        "max_context": positions,
    }


@_family("gptj")
def _gptj(config: Config) -> Fields:
    return _gpt2(config) | {
        "tied_embeddings": config.flag("tie_word_embeddings"),
        "position": "rope",
        "learned_positions": 0,
        "attention_bias": "none",
        "lm_head_bias": True,
        "norms_per_layer": 1,
        "parallel_block": True,
    }


@_family("bloom")
def _bloom(config: Config) -> Fields:
    hidden, heads = config.count("hidden_size", "n_embed"), config.count("n_head")
    return _LAYERNORM | {
        "layers": config.layers("n_layer"),
        "hidden": hidden,
        "heads": heads,
        "kv_heads": heads,
        "head_dim": _head_dim(config, hidden, heads),
        "ffn": 4 * hidden,
        "vocab": config.count("vocab_size"),
        "tied_embeddings": config.flag("tie_word_embeddings", True),
        "position": "alibi",
        "embedding_norm": True,
        "max_context": config.tokens("seq_length", default=2048),
    }


@_family("mpt")
def _mpt(config: Config) -> Fields:
    attention = config.section("attn_config")
    hidden, heads = config.count("d_model"), config.count("n_heads")
    bias = not config.flag("no_bias")
    return _LAYERNORM | {
        "layers": config.layers("n_layers"),
        "hidden": hidden,
        "heads": heads,
        "kv_heads": _mpt_kv_heads(attention, heads),
        "head_dim": _head_dim(config, hidden, heads),
        "ffn": hidden * config.count("expansion_ratio", default=4, most=100),
        "vocab": config.count("vocab_size"),
        "tied_embeddings": config.flag("tie_word_embeddings", True),
        "max_context": config.tokens("max_seq_len", default=2048),
        "norm_bias": bias,
        "attention_bias": "all" if bias else "none",
        "mlp_bias": bias,
        "qk_norm": "full" if attention.flag("qk_ln") else "none",
        **_mpt_positions(config, attention),
    }


def _mpt_kv_heads(attention: Config, heads: int) -> int:
    kind = attention.text("attn_type", "multihead_attention")
    if kind == "multiquery_attention":
        return 1
    grouped = kind == "grouped_query_attention"
    return attention.count("kv_n_heads") if grouped else heads


def _mpt_positions(config: Config, attention: Config) -> Fields:
    for position in ("alibi", "rope"):
        if attention.flag(position):
            return {"position": position}
    if not config.flag("learned_pos_emb", True):
        return {"position": "none"}
    return {"position": "learned", "learned_positions": config.count("max_seq_len", default=2048)}


@_family("gpt_oss")
def _gpt_oss(config: Config) -> Fields:
    fields = _llama(config)
    bias = "all" if config.flag("attention_bias", True) else "none"
    moe = _experts(config, "num_local_experts", fields["ffn"])
    extras = {"attention_bias": bias, "attention_sinks": True, "mlp_bias": True}
    windows = _windows(config, fields["layers"], config.tokens("sliding_window", default=128), 2)
    return fields | moe | windows | extras | {"ffn": 0, "router_bias": True}


@_family("llama4_text")
def _llama4(config: Config) -> Fields:
    fields = _llama(config)
    every = config.count("interleave_moe_layer_step", default=1, most=MAX_LAYERS)
    width = fields["ffn"]
    moe = _experts(config, "num_local_experts", width)
    shared = {"shared_experts": 1, "shared_expert_ffn": width, "moe_every": every}
    dense = {"ffn": config.count("intermediate_size_mlp", default=2 * width, most=2 * MAX_WIDTH)}
    return fields | moe | shared | dense | _llama4_windows(config, fields["layers"])


def _llama4_windows(config: Config, layers: int) -> Fields:
    """Layers without rotary positions see everything; the others see their own chunk."""
    chunk = config.count("attention_chunk_size", default=8192, most=MAX_TOKENS)
    rotary = config.items("no_rope_layers", int, layers)
    full = tuple(layer for layer, uses_rope in enumerate(rotary) if not uses_rope)
    if not rotary or full == tuple(range(3, layers, 4)):
        return {"sliding_window": chunk, "global_every": 4}
    return {"sliding_window": chunk, "global_layers": full}
