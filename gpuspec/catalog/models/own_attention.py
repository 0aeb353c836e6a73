"""Attention that is a family's own: sparse, compressed, shared, gated, wider in some layers.

Each function corrects what the common reader found, in place, as `own` says.
"""

from gpuspec.catalog.models.mixers import Fields, grouped_query, head_dim, set_all
from gpuspec.catalog.models.reading import Config


def shared_indexers(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """GLM 5: some layers take the choice of tokens from an earlier layer's indexer."""
    for layer, kind in zip(layers, _indexer_kinds(config, len(layers)), strict=True):
        if kind not in ("full", "shared"):
            raise config.error("indexer_types", kind, "full and shared are read")
        if kind == "shared":
            layer.update(index_heads=0, index_head_dim=0, index_params=0)


def _indexer_kinds(config: Config, layers: int) -> list[str]:
    """Return ``full`` or ``shared`` for every layer: listed, in letters F and S, or by a period."""
    stated = config.items("indexer_types", str, layers)
    value, _ = config.found(("index_topk_pattern",), "")
    if not stated and isinstance(value, str) and len(value) == layers:
        stated = [{"F": "full", "S": "shared"}.get(letter, letter) for letter in value]
    elif not stated and value:
        stated = config.items("index_topk_pattern", str, layers)
    every = config.many("index_topk_freq", default=1) or 1
    first = config.many("index_skip_topk_offset", default=2)
    period = ["shared" if max(i - first + 1, 0) % every else "full" for i in range(layers)]
    return stated or period


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
    set_all(layers, other_params=2 * hidden * rank + 2 * hidden * narrow + 2 * hidden + altup)
    _share(config, layers)
    _tables(config, whole, len(layers), narrow)
    whole["extra_params"] += 2 * (inputs - 1) * hidden * hidden


def _share(config: Config, layers: list[Fields]) -> None:
    """Let the last layers read the cache of the last layer of their kind that keeps one."""
    shared = config.many("num_kv_shared_layers", most=len(layers))
    set_all(layers[len(layers) - shared :], cache="shared")


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
    stated = _heads_by_layer(config, len(layers))
    for number, layer in enumerate(layers):
        if not layer.get("sliding_window"):
            layer.update(head_dim=wide, v_head_dim=wide, values_are_keys=k_eq_v)
            if k_eq_v:
                layer["kv_heads"] = kv_heads
        layer.update(stated.get(number, {}))
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
    mixing = hyper_connections(streams, hidden)
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


def hyper_connections(streams: int, hidden: int) -> int:
    """Parameters with which both halves of a layer mix so many streams of residuals."""
    return 2 * ((2 + streams) * streams * (streams * hidden + 1) + 3)


def _heads_by_layer(config: Config, layers: int) -> dict[int, Fields]:
    """Return the heads of every layer where a file of Gemma 4 states those that differ."""
    section = config.section("per_layer_config")
    if not section.values:
        return {}
    plain = grouped_query(config)
    heads = {number: dict(plain) for number in range(layers)}
    for key in section.values:
        if not (key.isdecimal() and len(key) < 6 and int(key) < layers):
            raise config.error("per_layer_config", key, f"numbers below {layers} are read")
        part = section.section(key)
        dim = part.count("head_dim", default=plain["head_dim"])
        kv_heads = part.count("num_key_value_heads", default=plain["kv_heads"])
        heads[int(key)] |= {"head_dim": dim, "v_head_dim": dim, "kv_heads": kv_heads}
        for name in part.values.keys() - part.read:
            raise part.error(name, part.values[name], "only heads are read by layer")
    return heads


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
        layer["attention_gate"] = layer["heads"] * each


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
