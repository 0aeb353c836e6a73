"""The fields of a layer that say how it mixes tokens: one small function a kind of mixer.

Each takes a `Config` and returns fields of `LayerColumns`; ``MIXERS`` names them for the table of
families. Parameters beside the projections (convolutions, decays, norms) are ``linear_params``.
"""

from collections.abc import Callable
from typing import Any

from gpuspec.catalog.models.reading import Config

Fields = dict[str, Any]


def set_all(layers: list[Fields], **fields: object) -> None:
    """Set the same fields in every layer."""
    for layer in layers:
        layer.update(fields)


def head_dim(config: Config) -> int:
    """Return the elements of a head: stated, or the hidden size shared among the heads."""
    hidden, heads = config.count("hidden"), config.count("heads")
    if "head_dim" not in config and "head_dim" not in config.defaults and hidden % heads:
        valid = f"without head_dim they must divide the hidden size, {hidden:,}"
        raise config.error("num_attention_heads", heads, valid)
    return config.count("head_dim", default=hidden // heads)


def grouped_query(config: Config) -> Fields:
    """Attention with keys and values shared by groups of query heads (or by none, or all)."""
    heads, dim = config.count("heads"), head_dim(config)
    return {
        "heads": heads,
        "kv_heads": config.count("kv_heads", default=heads),
        "head_dim": dim,
        "v_head_dim": config.many("v_head_dim") or dim,
    }


def latent(config: Config) -> Fields:
    """Multi-head latent attention, with DeepSeek's indexer where the file has one."""
    heads, rope = config.count("heads"), config.many("qk_rope_head_dim", default=None)
    nope, rank = config.count("qk_nope_head_dim"), config.many("q_lora_rank")
    config.read.update(("num_key_value_heads", "head_dim", "qk_head_dim"))
    fields = {
        "heads": heads,
        "kv_heads": heads,
        "head_dim": rope + nope,
        "v_head_dim": config.count("v_head_dim"),
        "q_lora_rank": rank,
        "kv_lora_rank": config.count("kv_lora_rank"),
        "qk_rope_head_dim": rope,
        "qk_nope_head_dim": nope,
    }
    if config.flag("attention_bias"):
        fields["other_params"] = rank + fields["kv_lora_rank"] + rope + config.count("hidden")
    return fields | indexer(config, config.count("hidden"), rank)


def indexer(config: Config, hidden: int, rank: int) -> Fields:
    """DeepSeek Sparse Attention's choice of tokens: queries from the latent, one key a token.

    Without a latent (`rank` 0) the queries are made from the layer's input.
    """
    heads = config.many("index_n_heads")
    if not heads:
        return {}
    dim = config.count("index_head_dim")
    return {
        "index_heads": heads,
        "index_head_dim": dim,
        "index_topk": config.count("index_topk"),
        "index_params": (rank or hidden) * heads * dim + hidden * (dim + heads) + 2 * dim,
    }


def gated_delta(config: Config) -> Fields:
    """Gated delta rule (Qwen3-Next): a state of key width times value width in each head."""
    key = config.count("linear_num_key_heads") * config.count("linear_key_head_dim")
    heads, dim = config.count("linear_num_value_heads"), config.count("linear_value_head_dim")
    value, kernel = heads * dim, config.count("linear_conv_kernel_dim")
    return {
        "linear_in": 2 * key + 2 * value + 2 * heads,
        "linear_out": value,
        "linear_params": (2 * key + value) * kernel + 2 * heads + dim,
        "state_elements": value * config.count("linear_key_head_dim"),
        "conv_elements": (2 * key + value) * kernel,
    }


def kimi_delta(config: Config) -> Fields:
    """Kimi Delta Attention: a decay for every channel, from a low-rank path or a whole one."""
    section = config.section("linear_attn_config")
    given = section if section.values else config
    heads = given.count("num_heads", "linear_num_heads")
    dim = given.count("head_dim" if section.values else "linear_head_dim")
    kernel = given.count("short_conv_kernel_size", "linear_conv_kernel_dim", default=4)
    config.read.update(("short_conv_kernel_size", "linear_conv_kernel_dim"))
    width, hidden = heads * dim, config.count("hidden")
    whole = 2 if config.flag("_whole_gates") else 1 if section.flag("use_full_rank_gate") else 0
    rank = (2 - whole) * (hidden * dim + dim * width)
    return {
        "linear_in": (3 + whole) * width + heads,
        "linear_out": width,
        "linear_params": 3 * width * kernel + heads + width + dim + rank,
        "state_elements": width * dim,
        "conv_elements": 3 * width * kernel,
    }


def lightning(config: Config) -> Fields:
    """Lightning attention (MiniMax): queries, keys, values, a gate, and a norm over all heads."""
    width, dim = config.count("heads") * head_dim(config), head_dim(config)
    return {
        "linear_in": 4 * width,
        "linear_out": width,
        "linear_params": width,
        "state_elements": width * dim,
    }


def mamba2(config: Config) -> Fields:
    """State space of Mamba-2: heads of a width, groups of a state, one convolution."""
    heads, groups = config.count("mamba_heads"), config.count("mamba_groups", default=1)
    state, kernel = config.count("mamba_state"), config.count("mamba_conv", default=4)
    hidden = config.count("hidden")
    expand = config.count("mamba_expand", default=2) * hidden // heads
    auto = config.values.get("mamba_d_head") == "auto"
    config.read.update(config.names.get("mamba_head_dim", ()))
    inner = heads * (expand if auto else config.count("mamba_head_dim", default=expand))
    inner = config.count("mamba_d_ssm", default=inner)
    conv = inner + 2 * groups * state
    norm = inner if config.flag("mamba_rms_norm", True) else 0
    into = inner + conv + heads
    bias = (into + hidden) if config.flag("mamba_bias") else 0
    return {
        "linear_in": into,
        "linear_out": inner,
        "linear_params": conv * (kernel + config.flag("mamba_conv_bias", True))
        + 3 * heads
        + norm
        + bias,
        "state_elements": inner * state,
        "conv_elements": conv * kernel,
    }


def mamba1(config: Config) -> Fields:
    """State space of Mamba: a state in every channel, steps from a low-rank path."""
    hidden = config.count("hidden")
    inner = config.count("mamba_inner", default=config.count("mamba_expand", default=2) * hidden)
    state, kernel = config.count("mamba_state"), config.count("mamba_conv", default=4)
    value, _ = config.found(("mamba_rank",), -(-hidden // 16))
    rank = -(-hidden // 16) if value == "auto" else config.count("mamba_rank", default=value)
    norms = rank + 2 * state if config.flag("_mamba_norms") else 0
    bias = (2 * inner + hidden) if config.flag("mamba_bias") else 0
    steps = inner * (rank + 2 * state) + (rank + 1) * inner
    return {
        "linear_in": 2 * inner,
        "linear_out": inner,
        "linear_params": inner * (kernel + config.flag("mamba_conv_bias", True))
        + steps
        + inner * (state + 1)
        + norms
        + bias,
        "state_elements": inner * state,
        "conv_elements": inner * kernel,
    }


def short_convolution(config: Config) -> Fields:
    """Gated short convolution of LFM2: no state but the last inputs."""
    hidden, kernel = config.count("hidden"), config.count("conv_L_cache", default=3)
    bias = config.flag("conv_bias")
    return {
        "linear_in": 3 * hidden,
        "linear_out": hidden,
        "linear_params": hidden * kernel + bias * 5 * hidden,
        "conv_elements": hidden * kernel,
    }


MIXERS: dict[str, Callable[[Config], Fields]] = {
    "grouped_query": grouped_query,
    "latent": latent,
    "gated_delta": gated_delta,
    "kimi_delta": kimi_delta,
    "lightning": lightning,
    "mamba2": mamba2,
    "mamba1": mamba1,
    "short_convolution": short_convolution,
}
