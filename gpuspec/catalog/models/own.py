"""Families with arithmetic of their own: each function corrects what the common reader found.

It takes the `Config`, the fields outside the layers and those of every layer, and changes them
in place: they were made for this one reading.
"""

from collections.abc import Callable

from gpuspec.catalog.models import encoders
from gpuspec.catalog.models import own_attention as sparse
from gpuspec.catalog.models import own_mixed as mixed
from gpuspec.catalog.models.mixers import Fields, head_dim, set_all
from gpuspec.catalog.models.reading import MAX_WIDTH, Config

Own = Callable[[Config, Fields, list[Fields]], None]


def multi_query(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """GPT-BigCode: one key and value head unless the file says otherwise."""
    heads = config.count("heads")
    set_all(layers, kv_heads=1 if config.flag("multi_query") else heads)


def mpt(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """MPT: attention in a section of its own, biases everywhere or nowhere."""
    attention, heads = config.section("attn_config"), config.count("heads")
    kind = attention.text("attn_type", "multihead_attention")
    kv_heads = {"multiquery_attention": 1, "grouped_query_attention": 0}.get(kind, heads)
    biased = not config.flag("no_bias")
    ratio = config.count("expansion_ratio", default=4, most=100)
    set_all(
        layers,
        kv_heads=kv_heads or attention.count("kv_n_heads"),
        attention_bias="all" if biased else "none",
        mlp_bias=biased,
        qk_norm="full" if attention.flag("qk_ln") else "none",
        ffn=ratio * config.count("hidden"),
    )
    whole["norm_bias"] = biased
    named = [name for name in ("alibi", "rope") if attention.flag(name)]
    learned = not named and config.flag("learned_pos_emb", True)
    whole["position"] = named[0] if named else "learned" if learned else "none"
    if learned:
        whole["learned_positions"] = whole["max_context"]


def falcon(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """Falcon: one KV head, or groups in the newer form; one norm where both halves share it."""
    newer, heads = config.flag("new_decoder_architecture"), config.count("heads")
    several = heads if not config.flag("multi_query", True) else 1
    parallel, biased = config.flag("parallel_attn", True), config.flag("bias")
    norms = config.many("num_ln_in_parallel_attn") if newer else 0
    whole["position"] = "alibi" if config.flag("alibi") else "rope"
    config.read.update(config.names["kv_heads"])
    set_all(
        layers,
        kv_heads=config.count("kv_heads", default=heads) if newer else several,
        attention_bias="all" if biased else "none",
        mlp_bias=biased,
        parallel_block=parallel,
        norms_per_layer=norms or (1 if parallel and not newer else 2),
    )


def opt(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """OPT: two rows more of positions; the smallest widens its embedding in front of the layers."""
    hidden, narrow = whole["hidden"], config.count("word_embed_proj_dim", default=whole["hidden"])
    whole["learned_positions"] = whole["max_context"] + 2
    if not config.flag("do_layer_norm_before", True):
        raise config.error("do_layer_norm_before", False, "only true is read")
    if narrow != hidden:
        raise config.error("word_embed_proj_dim", narrow, f"only {hidden}, the width, is read")


def baichuan(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """Baichuan: the 13B form has ALiBi in place of rotary positions."""
    whole["position"] = "alibi" if config.count("hidden") >= 5120 else "rope"


def chatglm(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """ChatGLM 2 and 3: groups of KV heads where the flag says so."""
    groups = config.many("multi_query_group_num", default=1)
    if config.flag("multi_query_attention"):
        set_all(layers, kv_heads=groups)
    config.read.update(("original_rope", "rmsnorm", "post_layer_norm"))
    for key in ("rmsnorm", "post_layer_norm"):
        if not config.flag(key, True):
            raise config.error(key, False, "only true is read")


def stablelm(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """StableLM: norms of queries and keys have one weight for each head."""
    if config.flag("qk_layernorm"):
        each = config.count("heads") + config.count("kv_heads", default=config.count("heads"))
        set_all(layers, other_params=each * head_dim(config))


def nas(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """Nemotron-NAS: every layer states its own heads and width, or does without a half."""
    blocks = config.items("block_configs", dict, len(layers))
    if not blocks:
        raise config.error("block_configs", None, "a block for every layer is needed")
    heads, hidden, dim = config.count("heads"), whole["hidden"], head_dim(config)
    for number, (layer, values) in enumerate(zip(layers, blocks, strict=True)):
        block = Config(values, f"{config.label} block_configs {number}")
        attention, ffn = block.section("attention"), block.section("ffn")
        norms = 2
        if attention.flag("no_op") or attention.flag("replace_with_linear"):
            norms -= attention.flag("no_op")
            linear = hidden * hidden if not attention.flag("no_op") else 0
            layer.clear()
            layer.update(mixer="none", other_params=linear)
        else:
            group = attention.count("n_heads_in_group", most=heads)
            layer.update(heads=heads, kv_heads=heads // group, head_dim=dim, v_head_dim=dim)
            layer["sliding_window"] = attention.tokens("window_length")
        if ffn.flag("no_op") or ffn.flag("replace_with_linear"):
            norms -= ffn.flag("no_op")
            layer["ffn"] = 0
            if not ffn.flag("no_op"):
                layer["other_params"] = layer.get("other_params", 0) + hidden * hidden
        else:
            width = int(2 * ffn.number("ffn_mult", 1.0) * hidden / 3)
            layer["ffn"] = -(-width // 256) * 256
        layer["norms_per_layer"] = norms
    whole["layers"] = len(layers)


def nemotron_h(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """Nemotron-H: each layer is one thing, a mixer or a feed-forward block, with one norm."""
    for layer in layers:
        if layer["mixer"] != "none":
            for name in ("ffn", "experts", "active_experts", "expert_ffn", "expert_latent"):
                layer.pop(name, None)
        elif layer.get("experts"):
            layer["ffn"] = 0
    if not config.flag("mamba_rms_norm", True):
        raise config.error("mamba_rms_norm", False, "only true is read")


def no_positions(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """Jamba: the recurrent layers keep the order, attention has no positions."""
    whole["position"] = "none"


def granite_hybrid(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """Granite 4: a shared block in every layer, experts beside it only where there are some."""
    shared = config.count("shared_ffn", default=1024)
    for layer in layers:
        if layer.get("experts"):
            layer.update(shared_experts=1, shared_expert_ffn=shared)
        else:
            layer["ffn"] = shared
    kind = config.text("position_embedding_type", "rope")
    whole["position"] = "none" if kind == "nope" else "rope"


def pure_mamba(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """Mamba: no feed-forward block, one norm."""
    whole["position"] = "none"
    set_all(layers, norms_per_layer=1, ffn=0)


def lfm2(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """LFM2: the width of its MLP is two thirds of what the file states, rounded up."""
    if config.flag("block_auto_adjust_ff_dim", True) and not config.many("experts"):
        multiple = config.count("block_multiple_of", default=256)
        factor = config.number("block_ffn_dim_multiplier", 1.0)
        for layer in layers:
            width = int(factor * int(2 * layer["ffn"] / 3))
            layer["ffn"] = min(-(-width // multiple) * multiple, MAX_WIDTH)


def axk1(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """A.X-K1: one norm more where a layer has experts."""
    for layer in layers:
        layer["norms_per_layer"] = 3 if layer.get("experts") else 2


def bailing_hybrid(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """Ling hybrid: a gate for each head on the output of latent attention."""
    for layer in layers:
        if layer["mixer"] == "attention":
            layer["attention_gate"] = config.count("heads")


def qwen1(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """Qwen 1: the file states twice the width of the MLP; only queries, keys, values are biased."""
    for layer in layers:
        layer.update(ffn=layer["ffn"] // 2, kv_heads=layer["heads"])


def gpt_neo(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """GPT-Neo: only the output projection of attention has a bias."""
    set_all(layers, other_params=whole["hidden"])


def dbrx(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """DBRX: attention and experts in sections of their own."""
    attention, ffn = config.section("attn_config"), config.section("ffn_config")
    experts = ffn.count("moe_num_experts", default=4)
    set_all(
        layers,
        kv_heads=attention.count("kv_n_heads", default=1),
        ffn=0,
        experts=experts,
        active_experts=ffn.count("moe_top_k", default=1, most=experts),
        expert_ffn=ffn.count("ffn_hidden_size", default=3584),
    )


def longer_norms(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """HyperCLOVA X: a norm after each half of a layer too, where a flag says so."""
    if config.flag("use_post_norm"):
        set_all(layers, norms_per_layer=4)


def bailing(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """Ling: biases of queries, keys and values, norms of heads, a bias in the router by flags."""
    if config.flag("use_qk_norm"):
        set_all(layers, qk_norm="head")
    if config.flag("moe_router_enable_expert_bias"):
        for layer in layers:
            layer["router_bias"] = layer.get("experts", 0) > 0


def hunyuan(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """Hunyuan: norms of heads by a flag."""
    set_all(layers, qk_norm="head" if config.flag("use_qk_norm", True) else "none")


_HERE = (
    multi_query, mpt, falcon, opt, baichuan, chatglm, stablelm, nas, nemotron_h, no_positions,
    granite_hybrid, pure_mamba, lfm2, axk1, bailing_hybrid, qwen1, gpt_neo, dbrx, longer_norms,
    bailing, hunyuan,
)  # fmt: skip
_ATTENTION = (
    sparse.mllama, sparse.minimax_m3, sparse.deepseek_v4, sparse.kimi_linear,
    sparse.shared_indexers, sparse.longcat, sparse.gemma3n, sparse.gemma4, sparse.mimo_v2,
    sparse.laguna, sparse.step3p5,
)  # fmt: skip
_MIXED = (
    mixed.mistral_large4, mixed.glm5_next, mixed.muse_spark, mixed.hy_v4, mixed.lfm3,
    mixed.axk2, mixed.beam, mixed.inkling, mixed.inkling2,
)  # fmt: skip
_ENCODERS = (
    encoders.bert, encoders.distilbert, encoders.mpnet, encoders.electra, encoders.modernbert,
    encoders.nomic, encoders.eurobert, encoders.bart, encoders.whisper, encoders.t5,
)  # fmt: skip
OWN: dict[str, Own] = {each.__name__: each for each in (*_HERE, *_ATTENTION, *_MIXED, *_ENCODERS)}
"""The functions by name, as the table of families states them."""
