"""Families whose layers attend in several ways, or mix their residuals with weights of their own.

Each function corrects what the common reader found, in place, as `own` says.
"""

from gpuspec.catalog.models.mixers import Fields, set_all
from gpuspec.catalog.models.own_attention import hyper_connections, shared_indexers
from gpuspec.catalog.models.reading import Config


def mistral_large4(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """Mistral Large 4: latent attention with learned scales, some of it without positions.

    A layer may read the latents of an earlier one; the frequencies of positions are learned.
    """
    shared_indexers(config, whole, layers)
    rope, hidden = config.many("qk_rope_head_dim"), whole["hidden"]
    every = config.count("no_rope_layer_interval", default=4)
    numbers = range(len(layers))
    turned = config.items("no_rope_layers", int) or [int((i + 1) % every != 0) for i in numbers]
    sources = config.items("kv_source_layers", int, len(layers)) or list(numbers)
    if len(turned) < len(layers):
        raise config.error("no_rope_layers", turned, f"one for each of {len(layers)} layers")
    for number, layer in enumerate(layers):
        if not 0 <= sources[number] <= number or sources[sources[number]] != sources[number]:
            valid = "each layer reads its own cache, or that of an earlier layer which keeps one"
            raise config.error("kv_source_layers", sources[number], valid)
        if not turned[number]:
            layer.update(qk_rope_head_dim=0, qk_nope_head_dim=layer["head_dim"])
        made = layer["kv_lora_rank"] + layer["qk_rope_head_dim"]
        if sources[number] != number:
            layer["cache"], made = "shared", 0
        biases = made + hidden if config.flag("attention_bias") else 0
        layer["other_params"] = 2 * layer["heads"] + biases
        if layer.get("index_heads"):
            layer["index_params"] += 2 * hidden + 2 * layer["index_heads"]
    whole["extra_params"] = rope // 2


def glm5_next(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """GLM 5 next: Kimi Delta Attention beside latent attention, whose indexer pools its keys.

    Residuals are several streams that each half of a layer mixes (hyper-connections).
    """
    hidden, pool = whole["hidden"], config.count("index_kpool", default=16)
    shared_indexers(config, whole, layers)
    mixing = hyper_connections(config.count("hc_mult", default=4, most=1000), hidden)
    for layer in layers:
        layer["other_params"] = layer.get("other_params", 0) + mixing
        if layer.get("index_heads"):
            layer["index_params"] += (pool + hidden) * layer["index_head_dim"]
    if pool > 1:
        said = f"index keys are counted one a token; an engine may keep one for {pool} tokens"
        whole["warnings"] = [said]


def muse_spark(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """Muse Spark: gated attention, gated residuals, experts of a width of their own with norms.

    Where the file does not say so, every fourth layer counted from the last sees everything. Muse
    Glimmer has no experts, and a fourth norm in place of the gates.
    """
    experts = any(layer.get("experts") for layer in layers)
    gates = 2 * whole["hidden"] if experts else 0
    for number, layer in enumerate(layers):
        if "layer_types" not in config and (len(layers) - 1 - number) % 4 == 0:
            layer["sliding_window"] = 0
        layer["attention_gate"] = layer["heads"] * layer["v_head_dim"]
        layer["other_params"] = gates + 2 * layer.get("expert_latent", 0)
    set_all(layers, norms_per_layer=3 if experts else 4)


def hy_v4(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """Hunyuan 4: latent attention with a gate, sinks and indexers that layers share.

    Residuals are several streams, each read and written by itself (hyper-connections).
    """
    shared_indexers(config, whole, layers)
    streams = config.count("hc_mult", default=4, most=1000)
    row = streams * whole["hidden"] + 1
    for layer in layers:
        layer["attention_gate"] = layer["heads"] * layer["v_head_dim"]
        layer["other_params"] = layer.get("other_params", 0) + 2 * (2 * streams * row + 2)
    whole["extra_params"] = streams * row + 1


def axk2(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """A.X-K2: queries and a gate from two latents, gates of a low rank on norms."""
    rank = 2 * whole["hidden"] * config.count("gated_norm_rank", default=16)
    for layer in layers:
        heads, latent = layer["heads"], layer["q_lora_rank"]
        wider = latent * heads * (layer["head_dim"] + 2 * layer["v_head_dim"])
        gates = rank * (2 if layer.get("experts") else 1)
        layer["other_params"] = layer.get("other_params", 0) + wider + gates


def beam(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """Beam: a gate with a bias for each head; the last layer sees everything."""
    for layer in layers:
        layer["attention_gate"] = layer["heads"] * layer["v_head_dim"]
        layer["other_params"] = layer["heads"]
    if "layer_types" not in config:
        layers[-1]["sliding_window"] = 0


def lfm3(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """LFM3: a gate for each head, windows in some layers, norms after both halves by a flag."""
    if "layer_types" not in config:
        raise config.error("layer_types", None, "a kind for every layer is needed")
    for layer in layers:
        if layer["mixer"] == "attention" and config.flag("use_attention_gate", True):
            layer["attention_gate"] = layer["heads"]
    set_all(layers, norms_per_layer=4 if config.flag("use_sandwich_norm", True) else 2)


def inkling(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """Inkling: short convolutions on keys, values and both halves of a layer; learned biases of
    distance; a router that scores the shared experts too.
    """
    hidden, kernel = whole["hidden"], config.count("conv_kernel_size", default=4)
    rank, extent = config.count("d_rel", default=16), config.count("rel_extent", default=1024)
    dense = config.many("dense_intermediate_size")
    for layer in layers:
        window = layer.get("sliding_window", 0)
        if window:
            layer.update(_local_heads(config))
        if dense:
            narrow = {"expert_ffn": layer["ffn"], "shared_expert_ffn": layer["ffn"]}
            layer.update(narrow if layer.get("experts") else {}, ffn=dense)
        convolutions = 2 * kernel * (layer["kv_heads"] * layer["head_dim"] + hidden)
        distances = rank * (layer["heads"] * hidden + (window or extent))
        scored = 1 + layer.get("shared_experts", 0) * hidden
        layer.update(conv_elements=convolutions, other_params=distances + convolutions + scored)
    if config.many("num_mtp_layers"):
        whole["warnings"] = ["its layers that predict further tokens (MTP) are not counted"]


def inkling2(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """Inkling 2: short convolutions on keys, values and both halves of a layer; learned biases of
    distance; a sink from every token; each half of a layer reads a mixture of earlier ones.
    """
    hidden, kernel = whole["hidden"], config.count("conv_kernel_size", default=4)
    rank, extent = config.count("d_rel", default=16), config.count("rel_extent", default=1024)
    for number, layer in enumerate(layers):
        window = layer.get("sliding_window", 0)
        if window:
            layer.update(_local_heads(config))
        heads, kv_heads, dim = layer["heads"], layer["kv_heads"], layer["head_dim"]
        distances = heads * rank * (hidden + 1) + rank * (window or extent)
        sinks, scales = hidden * heads, heads * dim
        convolutions = 2 * kernel * (kv_heads * dim + hidden)
        from_input = 0 if window else 2 * hidden * kv_heads * kernel
        mixed = hidden * ((number > 0) * (1 if window else 3) + 1)
        layer.update(
            attention_gate=heads * dim,
            norms_per_layer=2 if window else 4,
            conv_elements=convolutions,
            other_params=distances + sinks + scales + convolutions + from_input + mixed,
        )
    whole["extra_params"] = hidden
    rows = config.count("unpadded_vocab_size", default=whole["vocab"])
    whole["head_vocab"] = rows if rows < whole["vocab"] else 0


def _local_heads(config: Config) -> Fields:
    """Heads of the windowed layers, as many and as wide as the others' where nothing is stated."""
    heads = config.count("heads")
    dim = config.count("swa_head_dim", default=config.count("head_dim", default=128))
    return {
        "heads": config.count("swa_num_attention_heads", default=heads),
        "kv_heads": config.count("swa_num_key_value_heads", default=config.count("kv_heads")),
        "head_dim": dim,
        "v_head_dim": dim,
    }
