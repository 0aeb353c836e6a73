"""One reader for every decoder: from keys to the fields of each layer, and of what lies outside.

The table of families says what keys mean (`Family`); a family whose arithmetic is really its own
corrects the outcome in one small function of `own`.
"""

from collections.abc import Sequence

from gpuspec.catalog.models.context import longest_context
from gpuspec.catalog.models.families import Family
from gpuspec.catalog.models.groups import grouped
from gpuspec.catalog.models.kinds import EXPERT_RULES, expert_layers, token_kinds
from gpuspec.catalog.models.mixers import MIXERS, Fields
from gpuspec.catalog.models.own import OWN
from gpuspec.catalog.models.params import layer_parts
from gpuspec.catalog.models.reading import MAX_LAYERS, MAX_WIDTH, Config
from gpuspec.catalog.models.record import LayerColumns, Model
from gpuspec.catalog.models.unread import doubts

_LAYER = LayerColumns.model_fields
_EXPERTS = ("active_experts", "expert_ffn", "shared_experts", "shared_ffn", "expert_latent")


def decoder(config: Config, family: Family) -> tuple[Fields, list[str]]:
    """Return the fields of a model by its config.json, and what to say about them."""
    layers = _layer_count(config)
    shared = _family_fields(config, family)
    kinds = token_kinds(config, layers, family.pattern, tuple(family.unused))
    with_experts = _experts_where(config, family, kinds)
    widths = _widths(config, layers, any(with_experts))
    per_layer = [
        {name: value for name, value in shared.items() if name in _LAYER}
        | _mixer(config, family, kind)
        | _feed_forward(config, kind, moe, width)
        for kind, moe, width in zip(kinds, with_experts, widths, strict=True)
    ]
    config.read.update(n for key in ("window", "heads", "kv_heads") for n in config.names[key])
    config.read.update(config.names["head_dim"])
    context, said = longest_context(config)
    whole = {
        "layers": layers,
        "hidden": config.count("hidden"),
        "vocab": config.count("vocab"),
        "tied_embeddings": config.flag("tied"),
        "max_context": context,
        "kind": family.kind,
    } | {name: value for name, value in shared.items() if name not in _LAYER}
    if whole.get("position") == "learned":
        whole["learned_positions"] = context
    if family.own:
        OWN[family.own](config, whole, per_layer)
    said += [family.warning] if family.warning else []
    fields = whole | described(per_layer) | _mtp(config, whole, per_layer)
    return fields, said + doubts(config, family, layers)


def _layer_count(config: Config) -> int:
    """Return the number of layers, which the kinds of all layers say as well."""
    if "layers" in config or "layers" in config.defaults:
        return config.layers()
    if "num_layers" in config:
        return config.layers("num_layers")
    for key in ("layers_block_type", "hybrid_override_pattern", "layer_types"):
        value = config.values.get(key)
        if isinstance(value, list | str) and 1 <= len(value) <= MAX_LAYERS:
            return len(value)
    return config.layers()


def _family_fields(config: Config, family: Family) -> Fields:
    fields = dict(family.fields)
    for key, then in family.when.items():
        fields |= then if config.flag(key) else {}
    for key, then in family.unless.items():
        fields |= {} if config.flag(key) else then
    return fields


def _experts_where(config: Config, family: Family, kinds: Sequence[str]) -> list[bool]:
    if not family.moe:
        return [False] * len(kinds)
    have = [False] * len(kinds)
    if config.many("experts") > 1:
        listed = "moe" in kinds or "mlp" in kinds
        have = [kind == "moe" for kind in kinds] if listed else _by_rules(config, family, kinds)
    if not any(have):
        config.read.update((*EXPERT_RULES, *(n for key in _EXPERTS for n in config.names[key])))
    return have


def _by_rules(config: Config, family: Family, kinds: Sequence[str]) -> list[bool]:
    return expert_layers(config, len(kinds), tuple(family.unused))


def _widths(config: Config, layers: int, moe: bool) -> list[int]:
    names = config.names.get("ffn")
    if names == []:
        return [0] * layers
    ratio = config.many("_ffn_ratio") * config.count("hidden")
    default = any(name in config.defaults for name in config.names["ffn"])
    if not ratio and moe and "ffn" not in config and not default:
        return [0] * layers
    if ratio and "ffn" not in config:
        return [ratio] * layers
    return config.per_layer("ffn", layers)


def _mixer(config: Config, family: Family, kind: str) -> Fields:
    if kind in ("mlp", "moe"):
        return {"mixer": "none"}
    if kind == "linear":
        return {"mixer": "linear"} | _linear(config, family)
    fields: Fields = {"mixer": "attention"} | MIXERS[family.attention](config)
    if kind == "both":
        fields |= {"mixer": "both"} | _linear(config, family)
    if kind == "cross":
        fields["cache"] = "image"
    window = config.tokens("window")
    chunk = config.tokens("attention_chunk_size")
    if kind in ("window", "chunk"):
        fields["sliding_window"] = window if kind == "window" else chunk
    if "head_dim" in fields and config.flag("attn_output_gate"):
        gate = fields["heads"] * fields["v_head_dim"]
        biased = config.flag("attention_bias")
        fields |= {"attention_gate": gate, "other_params": gate if biased else 0}
    return fields


def _linear(config: Config, family: Family) -> Fields:
    if not family.linear:
        valid = f"recurrent layers of {family.name} are not read"
        raise config.error("layer_types", "linear_attention", valid)
    return MIXERS[family.linear](config)


def _feed_forward(config: Config, kind: str, moe: bool, width: int) -> Fields:
    fields: Fields = {"ffn": width}
    if not moe:
        return fields
    experts = config.count("experts")
    each = config.count("expert_ffn", most=MAX_WIDTH)
    fields |= {
        "experts": experts,
        "active_experts": config.count("active_experts", most=experts),
        "expert_ffn": each,
        "expert_latent": config.many("expert_latent"),
    }
    if config.values.get("topk_method") == "noaux_tc":
        fields["router_bias"] = True
    return fields | _shared_experts(config, each)


def _shared_experts(config: Config, each: int) -> Fields:
    """Experts that every token uses: so many of the routed width, or one of a width of its own."""
    width = config.many("shared_ffn")
    count = config.many("shared_experts", default=1 if width else 0)
    if not count or ("shared_ffn" in config and not width):
        return {"shared_expert_gate": False}
    return {"shared_experts": count, "shared_expert_ffn": width or each}


def described(layers: Sequence[Fields]) -> Fields:
    """Return the columns that describe layers: patterns where they suffice, else groups."""
    names = sorted({name for fields in layers for name in fields})
    whole = [{name: fields.get(name, _LAYER[name].default) for name in names} for fields in layers]
    most, groups = grouped(whole)
    return _patterns(whole) or most | {"groups": groups} if groups else most


_EXPERT_FIELDS = (
    "experts", "active_experts", "expert_ffn", "expert_latent", "shared_experts",
    "shared_expert_ffn", "shared_expert_gate", "router_bias",
)  # fmt: skip


def _patterns(layers: Sequence[Fields]) -> Fields:
    """Describe layers that differ in window and experts alone, in one regular way each."""
    windows = [fields.get("sliding_window", 0) for fields in layers]
    experts = [fields.get("experts", 0) > 0 for fields in layers]
    rest = [
        {n: v for n, v in fields.items() if n not in ("sliding_window", *_EXPERT_FIELDS)}
        for fields in layers
    ]
    moes = [
        {n: fields[n] for n in _EXPERT_FIELDS if n in fields}
        for fields, has in zip(layers, experts, strict=True)
        if has
    ]
    alike = all(fields == rest[0] for fields in rest) and all(moe == moes[0] for moe in moes)
    dense, every = _experts_pattern(experts)
    if not alike or len(set(windows) - {0}) > 1 or not every:
        return {}
    found = rest[0] | (moes[0] if moes else {}) | _window_pattern(windows)
    return found | ({"dense_layers": dense, "moe_every": every} if moes else {})


def _experts_pattern(experts: Sequence[bool]) -> tuple[int, int]:
    """Return how many leading layers are dense, and every how many one has experts; 0: neither."""
    if not any(experts):
        return 0, 1
    first = list(experts).index(True)
    if all(experts[first:]):
        return first, 1
    every = first + 1
    regular = [(layer + 1) % every == 0 for layer in range(len(experts))]
    return 0, every if regular == list(experts) else 0


def _window_pattern(windows: Sequence[int]) -> Fields:
    full = [layer for layer, window in enumerate(windows) if not window]
    found: Fields = {"sliding_window": max(windows)}
    if not full or len(full) == len(windows):
        return found
    every = full[0] + 1
    if full == list(range(every - 1, len(windows), every)) and every > 1:
        return found | {"global_every": every}
    return found | {"global_layers": tuple(full)}


def _mtp(config: Config, whole: Fields, layers: Sequence[Fields]) -> Fields:
    """Parameters of layers that predict further tokens: each is the last layer with attention once
    more (or what a pattern says), a projection of two inputs to one and three norms.
    """
    count = config.many("mtp", most=100)
    letters = config.text("mtp_hybrid_override_pattern", "")
    words = config.items("mtp_layers_block_type", str)
    letters = letters or "".join("*" if word == "full_attention" else "E" for word in words)
    if not count:
        return {}
    body = [_last(layers, "attention")]
    if letters:
        body = [_last(layers, "attention" if kind == "*" else "none") for kind in letters[:100]]
    outside = {name: whole[name] for name in ("hidden", "vocab", "norm_bias") if name in whole}
    model = Model(
        id="mtp", name="mtp", layers=len(body), confidence="medium", **outside, **described(body)
    )
    each = sum(sum(layer_parts(block).values()) for block in model.blocks)
    return {"mtp_params": count * (each + whole["hidden"] * (2 * whole["hidden"] + 3))}


def _last(layers: Sequence[Fields], mixer: str) -> Fields:
    """Return the last layer with a mixer; of those without one, the last with experts."""
    found = [layer for layer in layers if layer["mixer"] == mixer]
    return next((layer for layer in reversed(found) if layer.get("experts")), (found or layers)[-1])
