"""Of what kind each layer of a config.json is: what mixes its tokens, what follows on it.

A file says so in one of many ways: a list of words, of numbers, a text of letters, a period. All
that it states are read; two that contradict are refused.
"""

from collections.abc import Callable, Sequence

from gpuspec.catalog.models.reading import MAX_LAYERS, Config

WORDS = {
    "full": "full full_attention attention global global_attention latent_attention dense hybrid "
    "full_sparse_attention minimax_m3_sparse indexed_attention deepseek_sparse_attention "
    "full_attention_nope",
    "window": "window sliding_attention sliding_window sliding_window_attention local swa "
    "local_attention hybrid_sliding",
    "chunk": "chunk chunked_attention",
    "linear": "linear linear_attention mamba mamba2 recurrent kda lightning conv gated_delta_net "
    "linear_delta linear_gated_delta gated_deltanet",
    "cross": "cross cross_attention",
    "mlp": "mlp",
    "moe": "moe",
}
_KIND_OF = {word: kind for kind, words in WORDS.items() for word in words.split()}
_LETTERS = {"M": "linear", "*": "full", "-": "mlp", "E": "moe", "L": "window", "G": "full"}

Source = Callable[[Config, str, int], list[str]]


def _words(config: Config, key: str, layers: int) -> list[str]:
    words = config.items(key, str, layers)
    for word in words:
        if word not in _KIND_OF:
            raise config.error(key, word, f"layers of this kind are not read; read are {_known()}")
    return [_KIND_OF[word] for word in words]


def _known() -> str:
    return ", ".join(words.split()[-1] for words in WORDS.values())


def _letters(config: Config, key: str, layers: int) -> list[str]:
    letters = config.text(key)
    if len(letters) != layers or set(letters) - _LETTERS.keys():
        raise config.error(key, letters, f"{layers} letters of {' '.join(_LETTERS)} are needed")
    return [_LETTERS[letter] for letter in letters]


def _numbers(*kinds: str) -> Source:
    def read(config: Config, key: str, layers: int) -> list[str]:
        numbers = config.items(key, int, layers)
        if set(numbers) - set(range(len(kinds))):
            raise config.error(key, numbers, f"numbers below {len(kinds)} are read")
        return [kinds[number] for number in numbers]

    return read


def _every(last: str, others: str) -> Source:
    """Read a period: the last of every so many layers is of a kind, the others of another."""

    def read(config: Config, key: str, layers: int) -> list[str]:
        value, _ = config.found((key,))
        if isinstance(value, str):
            if not value or set(value) - {"L", "G"}:
                raise config.error(key, value, "a number, or letters L and G, are read")
            return [_LETTERS[value[layer % len(value)]] for layer in range(layers)]
        every = config.count(key, most=MAX_LAYERS)
        return [others if (layer + 1) % every else last for layer in range(layers)]

    return read


def _listed(named: str, others: str, first: int = 0) -> Source:
    def read(config: Config, key: str, layers: int) -> list[str]:
        numbers = set(config.items(key, int))
        return [named if layer + first in numbers else others for layer in range(layers)]

    return read


def _jamba(config: Config, key: str, layers: int) -> list[str]:
    period, offset = config.count(key, most=MAX_LAYERS), config.many("attn_layer_offset")
    return ["full" if layer % period == offset else "linear" for layer in range(layers)]


def _first_of(config: Config, key: str, layers: int) -> list[str]:
    every = config.count(key, most=MAX_LAYERS)
    return ["window" if layer % every else "full" for layer in range(layers)]


def _kimi(config: Config, key: str, layers: int) -> list[str]:
    section = config.section(key)
    full = set(section.items("full_attn_layers", int))
    return ["full" if layer + 1 in full else "linear" for layer in range(layers)]


def _qwen(config: Config, key: str, layers: int) -> list[str]:
    """Qwen2: the first so many layers see everything, the others a window, if a flag says so."""
    full = config.many(key, most=MAX_LAYERS)
    if not config.flag("use_sliding_window") or not config.tokens("window"):
        return []
    return ["full" if layer < full else "window" for layer in range(layers)]


def _neo(config: Config, key: str, layers: int) -> list[str]:
    """GPT-Neo: ``[[["global", "local"], 12]]``."""
    value, _ = config.found((key,))
    try:
        kinds = [kind for part, times in value for kind in part * min(int(times), layers)]
        return [_KIND_OF[kinds[layer]] for layer in range(layers)]
    except (TypeError, ValueError, LookupError, OverflowError):
        raise config.error(key, value, "lists of kinds with how often they repeat") from None


def _blocks_cycle(config: Config, key: str, layers: int) -> list[str]:
    words = config.items(key, str)
    unknown = [word for word in words if word not in _KIND_OF]
    if unknown:
        raise config.error(key, unknown[0], f"layers of this kind are not read: {_known()} are")
    return [_KIND_OF[words[layer % len(words)]] for layer in range(layers)] if words else []


SOURCES: dict[str, Source] = {
    "layer_types": _words,
    "layers_block_type": _words,
    "block_types": _blocks_cycle,
    "hybrid_override_pattern": _letters,
    "attn_type_list": _numbers("linear", "full"),
    "hybrid_layer_pattern": _numbers("full", "window"),
    "no_rope_layers": _numbers("full", "chunk"),
    "linear_attn_config": _kimi,
    "attention_types": _neo,
    "cross_attention_layers": _listed("cross", "full"),
    "attn_layer_indices": _listed("full", "linear"),
    "full_attn_idxs": _listed("full", "linear"),
    "local_layer_ids": _listed("window", "full"),
    "attn_layer_period": _jamba,
    "max_window_layers": _qwen,
    "full_attention_interval": _every("full", "linear"),
    "layer_group_size": _every("full", "linear"),
    "sliding_window_pattern": _every("full", "window"),
    "_sliding_window_pattern": _every("full", "window"),
    "global_attn_every_n_layers": _first_of,
}
"""Keys that say what mixes the tokens of each layer; those that say it by layer stand first."""


def token_kinds(
    config: Config, layers: int, pattern: Sequence[str], unused: Sequence[str]
) -> list[str]:
    """Return what mixes the tokens of every layer, one of the keys of `WORDS` each.

    Parameters
    ----------
    pattern : sequence of str
        What the family's code takes where the file says nothing, repeated.
    unused : sequence of str
        Keys that say something else in this family.
    """
    sources = {key: read for key, read in SOURCES.items() if key not in unused}
    stated = {key: read(config, key, layers) for key, read in sources.items() if key in config}
    stated = {key: kinds for key, kinds in stated.items() if kinds}
    if not stated:
        fallen = [key for key in sources if key in config.defaults]
        stated = {key: sources[key](config, key, layers) for key in fallen[:1]}
        stated = {key: kinds for key, kinds in stated.items() if kinds}
    if not stated:
        return [pattern[layer % len(pattern)] for layer in range(layers)]
    (first, kinds), *others = stated.items()
    for key, other in others:
        if _coarse(other) != _coarse(kinds):
            raise config.error(key, other, f"it contradicts {first}")
    return kinds


def _coarse(kinds: list[str]) -> list[str]:
    return ["local" if kind in ("window", "chunk") else kind for kind in kinds]


def expert_layers(config: Config, layers: int, unused: Sequence[str]) -> list[bool]:
    """Return which layers have experts: those that every rule in the file lets have them."""
    rules = {key: read for key, read in EXPERT_RULES.items() if key not in unused}
    stated = {key: rules[key](config, key, layers) for key in rules if key in config}
    stated = {key: have for key, have in stated.items() if have}
    lists = ("mlp_layer_types", "moe_layers", "moe_layers_enum")
    if not any(key in stated for key in lists):
        fallen = [key for key in rules if key in config.defaults and key not in stated]
        stated |= {key: rules[key](config, key, layers) for key in fallen}
    have = [all(rule[layer] for rule in stated.values()) for layer in range(layers)]
    for key in lists:
        if key in stated and stated[key] != have:
            other = next(name for name in stated if name != key)
            raise config.error(key, config.values.get(key), f"it contradicts {other}")
    return have


def _sparse_words(config: Config, key: str, layers: int) -> list[bool]:
    words = config.items(key, str, layers)
    if set(words) - {"dense", "sparse", "moe"}:
        raise config.error(key, words, "layers of this kind are not read; dense and sparse are")
    return [word != "dense" for word in words] or [True] * layers


def _moe_numbers(config: Config, key: str, layers: int) -> list[bool]:
    numbers = set(config.items(key, int))
    return [layer in numbers for layer in range(layers)]


def _moe_text(config: Config, key: str, layers: int) -> list[bool]:
    parts = config.text(key).split(",")
    numbers = {int(part) for part in parts if part.strip().isdecimal() and len(part) < 6}
    return [layer in numbers for layer in range(layers)]


def _moe_freq(config: Config, key: str, layers: int) -> list[bool]:
    value, _ = config.found((key,))
    if isinstance(value, list):
        numbers = config.items(key, int, layers)
        return [number != 0 for number in numbers]
    every = config.count(key, most=MAX_LAYERS)
    return [layer % every == 0 for layer in range(layers)]


def _after(config: Config, key: str, layers: int) -> list[bool]:
    dense = config.many(key, most=MAX_LAYERS)
    return [layer >= dense for layer in range(layers)]


def _between(config: Config, key: str, layers: int) -> list[bool]:
    """ERNIE 4.5: every so many layers from a first to a last one."""
    start, every = _one(config, key), config.count("moe_layer_interval", default=1)
    last = _one(config, "moe_layer_end_index", layers - 1)
    last = layers - 1 if last == -1 else last
    return [start <= layer <= last and (layer + 1) % every == 0 for layer in range(layers)]


def _one(config: Config, key: str, default: int = 0) -> int:
    """Return a number that files for text and images state twice, once for each."""
    value, _ = config.found((key,), default)
    if isinstance(value, list) and value and value.count(value[0]) == len(value):
        value = value[0]
    if type(value) is not int or not -1 <= value <= MAX_LAYERS:
        raise config.error(key, value, "the number of a layer is needed")
    return value


def _step(config: Config, key: str, layers: int) -> list[bool]:
    every = config.many(key, most=MAX_LAYERS)
    return [every > 0 and (layer + 1) % every == 0 for layer in range(layers)]


def _not_these(config: Config, key: str, layers: int) -> list[bool]:
    dense = set(config.items(key, int))
    return [layer not in dense for layer in range(layers)]


def _expert_period(config: Config, key: str, layers: int) -> list[bool]:
    period, offset = config.count(key, most=MAX_LAYERS), config.many("expert_layer_offset")
    return [layer % period == offset for layer in range(layers)]


EXPERT_RULES: dict[str, Callable[[Config, str, int], list[bool]]] = {
    "mlp_layer_types": _sparse_words,
    "moe_layers": _moe_numbers,
    "moe_layers_enum": _moe_text,
    "moe_layer_freq": _moe_freq,
    "first_k_dense_replace": _after,
    "num_dense_layers": _after,
    "dense_mlp_idx": _after,
    "moe_layer_start_index": _between,
    "interleave_moe_layer_step": _step,
    "decoder_sparse_step": _step,
    "mlp_only_layers": _not_these,
    "expert_layer_period": _expert_period,
}
"""Keys that say which layers have experts."""
