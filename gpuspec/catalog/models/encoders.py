"""Encoders, and encoders with a decoder: what lies outside their layers, as `own` corrections.

The head that a file's architecture has counts: of a masked language model a transformation and
a bias beside the embedding, of a plain model the pooler.
"""

from gpuspec.catalog.models.mixers import Fields, head_dim
from gpuspec.catalog.models.reading import MAX_LAYERS, Config


def _class(config: Config) -> str:
    names = config.items("architectures", str)
    return names[0] if names else "ForMaskedLM"


def bert(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """BERT and RoBERTa: types of segments; a masked head (dense, norm, bias) or a pooler."""
    hidden = whole["hidden"]
    offset = config.many("_position_offset")
    whole["max_context"] = max(whole["max_context"] - offset, 0)
    types = config.many("type_vocab_size") * hidden
    whole["extra_lookup_params"] = types
    whole["extra_params"] = types + _head(_class(config), hidden, whole["vocab"])


def _head(name: str, hidden: int, vocab: int) -> int:
    dense = hidden * hidden + hidden
    if name.endswith(("ForMaskedLM", "LMHeadModel", "ForCausalLM", "ForPreTraining")):
        return dense + 2 * hidden + vocab
    return dense


def distilbert(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """DistilBERT: no types, and no pooler."""
    hidden, masked = whole["hidden"], _class(config).endswith("ForMaskedLM")
    whole["extra_params"] = _head("ForMaskedLM", hidden, whole["vocab"]) if masked else 0


def mpnet(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """MPNet: RoBERTa without types, with biases of relative positions."""
    bert(config, whole, layers)
    types = whole.pop("extra_lookup_params")
    buckets = config.count("relative_attention_num_buckets", default=32)
    whole["extra_params"] += buckets * config.count("heads") - types


def electra(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """ELECTRA: read where its embedding is as wide as its layers."""
    narrow = config.count("embedding_size", default=128)
    if narrow != whole["hidden"]:
        valid = f"an embedding narrower than the layers ({whole['hidden']}) is not read"
        raise config.error("embedding_size", narrow, valid)
    bert(config, whole, layers)


def modernbert(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """ModernBERT: the first layer lacks a norm; the head has a dense layer and a norm."""
    hidden, named = whole["hidden"], _class(config)
    config.read.update(("classifier_pooling", "classifier_bias", "decoder_bias"))
    for key in ("norm_bias", "attention_bias", "mlp_bias"):
        if config.flag(key):
            raise config.error(key, True, "only false is read")
    layers[0]["norms_per_layer"] = 1
    for layer in layers:
        if layer.get("sliding_window"):
            layer["sliding_window"] = layer["sliding_window"] // 2 + 1
    masked = named.endswith("ForMaskedLM")
    whole["extra_params"] = (hidden * hidden + hidden + whole["vocab"]) if masked else 0


def eurobert(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """EuroBERT: a decoder's layers that see both ways; a plain model has no output projection."""
    if not _class(config).endswith("ForMaskedLM"):
        whole["tied_embeddings"] = True


def nomic(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """Nomic BERT: rotary positions, gated MLPs, types; its masked head as BERT's."""
    hidden = whole["hidden"]
    types = config.many("type_vocab_size") * hidden
    masked = _class(config).endswith(("ForMaskedLM", "ForPreTraining"))
    whole["extra_lookup_params"] = types
    whole["extra_params"] = types + (_head("ForMaskedLM", hidden, whole["vocab"]) if masked else 0)


def _encoder_layer(hidden: int, ffn: int) -> int:
    return 4 * hidden * hidden + 4 * hidden + 2 * hidden * ffn + ffn + hidden + 4 * hidden


def bart(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """BART: an encoder outside the layers, which are the decoder's; attention to it in each."""
    hidden = whole["hidden"]
    count = config.count("encoder_layers", most=MAX_LAYERS)
    config.read.update(("encoder_attention_heads", "is_encoder_decoder"))
    each = _encoder_layer(hidden, config.count("encoder_ffn_dim"))
    rows = whole["max_context"] + 2
    whole["learned_positions"] = rows
    final = 4 * hidden if config.flag("_final_norm") else 0
    whole["extra_params"] = count * each + rows * hidden + 2 * hidden + final
    for layer in layers:
        layer["other_params"] = 4 * hidden * hidden + 4 * hidden


def whisper(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """Whisper: a tower of convolutions over sound and an encoder; the layers are the decoder's.

    Keys have no bias. A layer keeps keys and values of the whole sound, as a state of fixed size.
    """
    hidden, sound = whole["hidden"], config.count("max_source_positions", default=1500)
    count = config.count("encoder_layers", most=MAX_LAYERS)
    config.read.update(("encoder_attention_heads", "is_encoder_decoder"))
    each = _encoder_layer(hidden, config.count("encoder_ffn_dim")) - hidden
    mels = config.count("num_mel_bins", default=80)
    conv = 3 * hidden * (mels + hidden) + 2 * hidden
    whole["tower"] = "audio"
    whole["tower_params"] = count * each + conv + sound * hidden + 2 * hidden
    config.read.update(("classifier_proj_size", "median_filter_width"))
    for layer in layers:
        layer["other_params"] = 4 * hidden * hidden + 2 * hidden
        layer["state_elements"] = 2 * sound * hidden


def t5(config: Config, whole: Fields, layers: list[Fields]) -> None:
    """T5: an encoder outside the layers of the decoder; relative positions as biases."""
    hidden, inner = whole["hidden"], config.count("heads") * head_dim(config)
    gated = config.text("feed_forward_proj", "relu").startswith("gated")
    gated = config.flag("is_gated_act", gated)
    config.read.update(("dense_act_fn", "is_encoder_decoder", "relative_attention_max_distance"))
    count = config.count("num_layers", default=len(layers), most=MAX_LAYERS)
    attention = 4 * hidden * inner
    each = attention + (2 + gated) * hidden * config.count("ffn") + 2 * hidden
    bias = config.count("relative_attention_num_buckets") * config.count("heads")
    often = count + len(layers) if config.flag("_bias_every_layer") else 2
    whole["extra_params"] = count * each + often * bias + hidden
    for layer in layers:
        layer.update(other_params=attention, gated_mlp=gated)
