"""How long a context a config.json allows, with its scaling of rotary positions."""

from gpuspec.catalog.models.reading import Config

_KEPT = ("default", "llama3", "mrope", "longrope", "su", "proportional", "dynamic_ntk_by_parts")
_TRAINED_LONG = 8192
"""A limit above this already holds a linear scaling, as its makers write it (Gemma 3)."""


def longest_context(config: Config) -> tuple[int, list[str]]:
    """Return the longest context in tokens, 0 if none is stated, and what to say about it.

    YaRN multiplies the length of the model before it (``original_max_position_embeddings``), not
    the limit that the file states beside it. Llama 3's scaling and longrope leave that limit as
    it is. Linear and dynamic scaling multiply a short limit, and are in a long one already.
    """
    limit = _limit(config)
    scaling = _scaling(config)
    kind = scaling.text("rope_type", scaling.text("type", "default")).lower()
    factor = scaling.number("factor", 1.0)
    original = scaling.tokens("original_max_position_embeddings")
    if kind in ("yarn", "deepseek_yarn"):
        return round((original or limit) * factor) or limit, []
    if kind in ("linear", "dynamic", "ntk"):
        return _stretched(config, limit, original, factor)
    said = [] if kind in _KEPT else [f"rope type {kind} is not known; its context is as stated"]
    return limit, said


def _limit(config: Config) -> int:
    """Return the first limit that the file states, of the names that the family's code reads."""
    names = config.names.get("context", ())
    config.read.update(names)
    stated = [name for name in names if name in config.values] or list(names)
    return config.tokens(stated[0]) if stated[0] in config else config.tokens("context")


def _stretched(config: Config, limit: int, original: int, factor: float) -> tuple[int, list[str]]:
    stated = config.tokens("max_sequence_length")
    if stated > limit or factor == 1.0:
        return max(stated, limit), []
    if original:
        return round(original * factor), []
    longer = round(limit * factor)
    if limit > _TRAINED_LONG:
        return limit, [f"positions are scaled by {factor:g}: taken as held in the {limit:,} tokens"]
    return longer, [f"positions are scaled by {factor:g}: {limit:,} tokens become {longer:,}"]


def _scaling(config: Config) -> Config:
    """Return the scaling: under either of its names, of the layers that see everything."""
    config.read.update(("rope_scaling", "rope_parameters"))
    for key in ("rope_scaling", "rope_parameters"):
        if key in config:
            section = config.section(key)
            for inner in ("full_attention", "main", "global"):
                if inner in section:
                    return section.section(inner)
            return section
    return Config({}, config.label)
