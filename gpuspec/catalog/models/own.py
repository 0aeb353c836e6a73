"""Families with arithmetic of their own: each function corrects what the common reader found.

It takes the `Config`, the fields outside the layers and those of every layer, and changes them
in place: they were made for this one reading.
"""

from collections.abc import Callable

from gpuspec.catalog.models import encoders
from gpuspec.catalog.models.mixers import Fields, grouped_query, head_dim
from gpuspec.catalog.models.reading import MAX_WIDTH, Config

Own = Callable[[Config, Fields, list[Fields]], None]


def _every(layers: list[Fields], **fields: object) -> None:
    for layer in layers:
        layer.update(fields)


def multi_query(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """GPT-BigCode: one key and value head unless the file says otherwise."""
    heads = config.count("heads")
    _every(layers, kv_heads=1 if config.flag("multi_query") else heads)


def mpt(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """MPT: attention in a section of its own, biases everywhere or nowhere."""
    attention, heads = config.section("attn_config"), config.count("heads")
    kind = attention.text("attn_type", "multihead_attention")
    kv_heads = {"multiquery_attention": 1, "grouped_query_attention": 0}.get(kind, heads)
    biased = not config.flag("no_bias")
    ratio = config.count("expansion_ratio", default=4, most=100)
    _every(
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
    _every(
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
        _every(layers, kv_heads=groups)
    config.read.update(("original_rope", "rmsnorm", "post_layer_norm"))
    for key in ("rmsnorm", "post_layer_norm"):
        if not config.flag(key, True):
            raise config.error(key, False, "only true is read")


def stablelm(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """StableLM: norms of queries and keys have one weight for each head."""
    if config.flag("qk_layernorm"):
        each = config.count("heads") + config.count("kv_heads", default=config.count("heads"))
        _every(layers, other_params=each * head_dim(config))


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
    _every(layers, norms_per_layer=1, ffn=0)


def lfm2(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """LFM2: the width of its MLP is two thirds of what the file states, rounded up."""
    if config.flag("block_auto_adjust_ff_dim", True) and not config.many("experts"):
        multiple = config.count("block_multiple_of", default=256)
        factor = config.number("block_ffn_dim_multiplier", 1.0)
        for layer in layers:
            width = int(factor * int(2 * layer["ffn"] / 3))
            layer["ffn"] = min(-(-width // multiple) * multiple, MAX_WIDTH)


def shared_indexers(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """GLM 5: some layers take the choice of tokens from an earlier layer's indexer."""
    kinds = config.items("indexer_types", str, len(layers))
    for layer, kind in zip(layers, kinds or ["full"] * len(layers), strict=True):
        if kind not in ("full", "shared"):
            raise config.error("indexer_types", kind, "full and shared are read")
        if kind == "shared":
            layer.update(index_heads=0, index_head_dim=0, index_params=0)


def axk1(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """A.X-K1: one norm more where a layer has experts."""
    for layer in layers:
        layer["norms_per_layer"] = 3 if layer.get("experts") else 2


def bailing_hybrid(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """Ling hybrid: a gate for each head on the output of latent attention."""
    for layer in layers:
        if layer["mixer"] == "attention":
            layer["attention_gate"] = config.count("heads")


def longcat(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """LongCat: a layer is two of attention and two MLPs, with experts beside the first.

    Its identity experts have a row in the router and a bias, and no weights.
    """
    idle = config.many("zero_expert_num")
    experts = ("experts", "active_experts", "expert_ffn", "shared_experts", "expert_latent")
    halves = []
    for layer in layers:
        plain = {name: value for name, value in layer.items() if name not in experts}
        layer.update(shared_experts=1, shared_expert_ffn=layer["ffn"])
        layer["other_params"] = idle * (whole["hidden"] + 1)
        halves += [layer, plain | {"other_params": 0}]
    layers[:] = halves
    whole["layers"] = len(layers)


def mimo_v2(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """MiMo V2: windowed layers have heads of their own, and sinks."""
    full = grouped_query(config)
    local = {
        "heads": config.count("swa_num_attention_heads", default=full["heads"]),
        "kv_heads": config.count("swa_num_key_value_heads", default=full["kv_heads"]),
        "head_dim": config.count("swa_head_dim", default=full["head_dim"]),
        "v_head_dim": config.count("swa_v_head_dim", default=full["v_head_dim"]),
        "attention_sinks": config.flag("add_swa_attention_sink_bias"),
    }
    sinks = config.flag("add_full_attention_sink_bias")
    for layer in layers:
        windowed = layer.get("sliding_window", 0)
        layer.update(local if windowed else full | {"attention_sinks": sinks})


def gemma3n(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """Gemma 3n: alternating updates (AltUp), low-rank residuals, a table of inputs per layer."""
    hidden, narrow = whole["hidden"], config.count("hidden_size_per_layer_input")
    rank, inputs = config.count("laurel_rank"), config.count("altup_num_inputs", most=100)
    altup = inputs * inputs * (1 + inputs) + hidden * inputs + 2 * hidden
    _every(layers, other_params=2 * hidden * rank + 2 * hidden * narrow + 2 * hidden + altup)
    _share(config, layers)
    _tables(config, whole, len(layers), narrow)
    whole["extra_params"] += 2 * (inputs - 1) * hidden * hidden


def _share(config: Config, layers: list[Fields]) -> None:
    """Let the last layers read the cache of the last layer of their kind that keeps one."""
    shared = config.many("num_kv_shared_layers", most=len(layers))
    _every(layers[len(layers) - shared :], cache="shared")


def _tables(config: Config, whole: Fields, layers: int, narrow: int) -> None:
    """A second embedding with a row of `narrow` elements for every layer, and its projection."""
    rows = config.count("vocab_size_per_layer_input") * layers * narrow
    whole["extra_lookup_params"] = rows
    whole["extra_params"] = rows + whole["hidden"] * layers * narrow + narrow


def gemma4(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """Gemma 4: global layers with wider heads, perhaps keys as values; experts beside the MLP."""
    narrow, hidden = config.many("hidden_size_per_layer_input"), whole["hidden"]
    k_eq_v, moe = config.flag("attention_k_eq_v"), config.flag("enable_moe_block")
    wide = config.count("global_head_dim", default=head_dim(config))
    kv_heads = config.count("num_global_key_value_heads", default=layers[0]["kv_heads"])
    for layer in layers:
        if not layer.get("sliding_window"):
            layer.update(head_dim=wide, v_head_dim=wide, values_are_keys=k_eq_v)
            if k_eq_v:
                layer["kv_heads"] = kv_heads
        layer["other_params"] = 1 + (2 * hidden * narrow + hidden if narrow else 0)
        if moe:
            width, experts = layer["ffn"], layer.get("experts", 0)
            layer.update(shared_experts=1, shared_expert_ffn=width, norms_per_layer=7)
            layer["other_params"] += hidden + experts
    _share(config, layers)
    if config.flag("use_double_wide_mlp"):
        for layer in layers:
            layer["ffn"] *= 2 if layer.get("cache") == "shared" else 1
    if narrow:
        _tables(config, whole, len(layers), narrow)


def deepseek_v4(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """DeepSeek V4: a window beside a compressed past, chosen from by an indexer or read whole.

    One vector a token serves as key and value. Residuals are several streams that each half of a
    layer mixes (hyper-connections).
    """
    hidden, dim, rank = whole["hidden"], head_dim(config), config.count("q_lora_rank")
    streams = config.count("hc_mult", default=4, most=1000)
    mixing = 2 * ((2 + streams) * streams * (streams * hidden + 1) + 3)
    ratios = _compression(config, len(layers))
    hashed = config.many("num_hash_layers", default=3)
    config.read.update(("qk_rope_head_dim", "compress_rope_theta", "expert_dtype"))
    for number, (layer, ratio) in enumerate(zip(layers, ratios, strict=True)):
        layer.update(
            values_are_keys=True,
            cached_once=True,
            attention_sinks=True,
            sliding_window=config.tokens("window", default=128),
            compress=max(ratio, 1),
            q_lora_rank=rank,
            output_rank=config.count("o_lora_rank"),
            output_groups=config.count("o_groups"),
            other_params=mixing + dim + _compressor(hidden, dim, ratio),
            router_bias=number >= hashed,
        )
        if ratio and ratio < _WHOLE_FROM:
            layer.update(_v4_indexer(config, hidden, rank, ratio))
    whole["extra_params"] = streams * (streams * hidden + 1) + 1


_WHOLE_FROM = 32
"""DeepSeek V4 reads a past that is compressed this much whole, without choosing from it."""


def _compression(config: Config, layers: int) -> list[int]:
    """Return how many tokens an entry of each layer's past stands for; 0: a window alone."""
    ratios = config.items("compress_ratios", int)[:layers]
    if len(ratios) == layers and all(0 <= ratio <= 65_536 for ratio in ratios):
        return ratios
    kinds = config.items("layer_types", str, layers)
    rates = config.section("compress_rates")
    short = rates.count("compressed_sparse_attention", default=4)
    long = rates.count("heavily_compressed_attention", default=128)
    words = {
        "sliding_attention": 0,
        "compressed_sparse_attention": short,
        "heavily_compressed_attention": long,
    }
    if not kinds or set(kinds) - words.keys():
        raise config.error("compress_ratios", ratios or None, f"one for each of {layers} layers")
    return [words[kind] for kind in kinds]


def _compressor(hidden: int, dim: int, ratio: int) -> int:
    """Parameters that make one entry of so many tokens: two overlapping rows where they are few."""
    if not ratio:
        return 0
    width = dim if ratio >= _WHOLE_FROM else 2 * dim
    return 2 * hidden * width + ratio * width + dim


def _v4_indexer(config: Config, hidden: int, rank: int, ratio: int) -> Fields:
    heads, dim = config.count("index_n_heads"), config.count("index_head_dim")
    return {
        "index_heads": heads,
        "index_head_dim": dim,
        "index_topk": config.count("index_topk"),
        "index_params": _compressor(hidden, dim, ratio) + heads * (rank * dim + hidden),
    }


def kimi_linear(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """Kimi Linear, and K3: perhaps a gate on latent attention and a norm on latent experts."""
    gated, normed = config.flag("mla_use_output_gate"), config.flag("latent_moe_use_norm")
    for layer in layers:
        if layer["mixer"] == "attention" and gated:
            layer["attention_gate"] = layer["heads"] * layer["v_head_dim"]
        if normed and layer.get("expert_latent"):
            layer["other_params"] = layer["expert_latent"]
    if "attn_res_block_size" in config:
        config.read.add("attn_res_block_size")
        whole["warnings"] = ["weights of attention residuals, a vector a layer, are not counted"]


def laguna(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """Laguna: heads by layer, a gate for each head or each element on the output of attention."""
    counts = config.items("num_attention_heads_per_layer", int, len(layers))
    value, _ = config.found(("gating",), True)
    for number, layer in enumerate(layers):
        layer["heads"] = counts[number] if counts else layer["heads"]
        each = 1 if value in (True, "per-head") else layer["head_dim"]
        layer["attention_gate"] = layer["heads"] * each if value else 0


def step3p5(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """Step 3.5: windowed layers have heads of their own; a gate for each head."""
    other = config.section("attention_other_setting")
    local = config.count("num_sliding_attention_heads", default=config.count("heads"))
    local = other.count("num_attention_heads", default=local)
    groups = other.many("num_attention_groups")
    for layer in layers:
        if layer.get("sliding_window"):
            layer["heads"] = local
            layer["kv_heads"] = groups or layer["kv_heads"]
        layer["attention_gate"] = layer["heads"]


def qwen1(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """Qwen 1: the file states twice the width of the MLP; only queries, keys, values are biased."""
    for layer in layers:
        layer.update(ffn=layer["ffn"] // 2, kv_heads=layer["heads"])


def gpt_neo(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """GPT-Neo: only the output projection of attention has a bias."""
    _every(layers, other_params=whole["hidden"])


def dbrx(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """DBRX: attention and experts in sections of their own."""
    attention, ffn = config.section("attn_config"), config.section("ffn_config")
    experts = ffn.count("moe_num_experts", default=4)
    _every(
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
        _every(layers, norms_per_layer=4)


def bailing(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """Ling: biases of queries, keys and values, norms of heads, a bias in the router by flags."""
    if config.flag("use_qk_norm"):
        _every(layers, qk_norm="head")
    if config.flag("moe_router_enable_expert_bias"):
        for layer in layers:
            layer["router_bias"] = layer.get("experts", 0) > 0


def hunyuan(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """Hunyuan: norms of heads by a flag."""
    _every(layers, qk_norm="head" if config.flag("use_qk_norm", True) else "none")


def mllama(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """Llama 3.2 Vision: layers that attend to the image have normed heads and two gates."""
    for layer in layers:
        if layer.get("cache") == "image":
            layer.update(qk_norm="head", other_params=2)
    whole["extra_params"] = whole["extra_lookup_params"] = 8 * whole["hidden"]


def minimax_m3(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """MiniMax M3: an indexer chooses blocks of keys in most layers."""
    sparse = config.section("sparse_attention_config")
    given = sparse if sparse.values else config
    chosen = given.items("sparse_attention_freq", int, len(layers))
    kinds = config.items("layer_types", str, len(layers))
    chosen = chosen or [int(kind != "full_attention") for kind in kinds]
    if not chosen or not sparse.flag("use_sparse_attention", True):
        return
    heads = given.count("sparse_num_index_heads", "index_n_heads", default=4)
    dim = given.count("sparse_index_dim", "index_head_dim", default=128)
    blocks = given.count("sparse_topk_blocks", "index_topk_blocks", default=16)
    block = given.count("sparse_block_size", "index_block_size", default=128)
    for layer, is_sparse in zip(layers, chosen, strict=True):
        if is_sparse:
            layer.update(index_heads=heads, index_head_dim=dim, index_topk=blocks * block)
            layer["index_params"] = whole["hidden"] * dim * (heads + 1) + 2 * dim


OWN: dict[str, Own] = {
    "bert": encoders.bert, "distilbert": encoders.distilbert, "mpnet": encoders.mpnet,
    "electra": encoders.electra, "modernbert": encoders.modernbert, "nomic": encoders.nomic,
    "eurobert": encoders.eurobert, "bart": encoders.bart, "whisper": encoders.whisper,
    "t5": encoders.t5,
    "deepseek_v4": deepseek_v4, "kimi_linear": kimi_linear, "laguna": laguna, "step3p5": step3p5,
    "qwen1": qwen1, "gpt_neo": gpt_neo, "dbrx": dbrx, "longer_norms": longer_norms,
    "bailing": bailing, "hunyuan": hunyuan, "mllama": mllama, "minimax_m3": minimax_m3,
    "multi_query": multi_query, "mpt": mpt, "falcon": falcon, "opt": opt, "baichuan": baichuan,
    "chatglm": chatglm, "stablelm": stablelm, "nas": nas, "nemotron_h": nemotron_h,
    "no_positions": no_positions, "granite_hybrid": granite_hybrid, "pure_mamba": pure_mamba,
    "lfm2": lfm2, "shared_indexers": shared_indexers, "bailing_hybrid": bailing_hybrid,
    "axk1": axk1, "longcat": longcat, "mimo_v2": mimo_v2, "gemma3n": gemma3n, "gemma4": gemma4,
}  # fmt: skip
