"""In what format a repository stores its weights and wants its cache: read from its files."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gpuspec.base.documents import from_json
from gpuspec.base.errors import InputError
from gpuspec.base.files import MOST_CONFIG_BYTES, read_text
from gpuspec.catalog.models.modules import Module, any_modules, modules
from gpuspec.catalog.models.patterns import Patterns, TooLong
from gpuspec.catalog.models.reading import MAX_LAYERS
from gpuspec.catalog.models.record import Model
from gpuspec.catalog.models.schemes import Rule, Scheme, Unknown
from gpuspec.catalog.models.sections import scheme
from gpuspec.catalog.precision import precision

SIDECAR = "hf_quant_config.json"
SECTIONS = ("quantization_config", "compression_config", "quantization")
OUTSIDE = {
    "lm_head": ("lm_head", "output", "embed_out", "language_model.lm_head"),
    "embedding": (
        "model.embed_tokens", "embed_tokens", "language_model.model.embed_tokens",
        "model.language_model.embed_tokens",
    ),
}  # fmt: skip
UNKNOWN = "?"
"""First sign of ``Stored.weights`` where the format is not known; the reason follows."""


@dataclass(frozen=True)
class Stored:
    """What the files say of the formats, in the words of a model's columns."""

    weights: str = ""
    """``Model.stored``; empty: 16 bits; from `UNKNOWN` on why it is not known."""
    kv: str = ""
    """``Model.stored_kv``; empty: as the model computes, in 16 bits."""
    source: str = ""
    """The file that says so; empty where none does."""
    notes: tuple[str, ...] = ()
    """What a reader must know: whole sentences."""


def stored_format(
    config: Mapping[str, Any], folder: Path | None = None, model: Model | None = None
) -> Stored:
    """Return the formats that a config.json, or the file beside it, states.

    Parameters
    ----------
    config : mapping
        The content of a config.json.
    folder : Path, optional
        Where it lies, or the file itself: ``hf_quant_config.json`` beside it is read where the
        config says nothing. ``NAME_config.json`` has its own, ``NAME_hf_quant_config.json``.
    model : Model, optional
        Its dimensions: they tell which layers have which modules and how large those are. Without
        it all matrices of a part count alike.

    Raises
    ------
    InputError
        When a value has the wrong type. A quantisation that is not known, or whose names take too
        long to follow, is no error here but ``Stored.weights`` that starts with `UNKNOWN`.
    """
    section, source = _section(config, folder)
    notes = _computed(config)
    if not section:
        return Stored(notes=notes)
    try:
        found = scheme(section, config, source)
    except Unknown as error:
        return Stored(f"{UNKNOWN}{error}", "", source, notes)
    try:
        weights, more = _weights(found, config, model, source)
    except TooLong as error:
        return Stored(f"{UNKNOWN}{source} states {error}", found.kv, source, notes)
    return Stored(weights, found.kv, source, (*notes, *found.notes, *more))


def _section(config: Mapping[str, Any], folder: Path | None) -> tuple[Mapping[str, Any], str]:
    """Return the object that states the quantisation and the file that holds it."""
    for holder in (config, config.get("text_config")):
        for key in SECTIONS if isinstance(holder, Mapping) else ():
            found = holder.get(key) if holder else None
            if found is None or (key == "quantization" and not isinstance(found, Mapping)):
                continue
            if not isinstance(found, Mapping):
                raise InputError(f"config.json {key}", found, "an object of keys and values")
            if found:
                return _with_cache(found, folder), "config.json"
    return _sidecar(folder), SIDECAR


def _with_cache(found: Mapping[str, Any], folder: Path | None) -> Mapping[str, Any]:
    """Add the cache that only the file beside the config states."""
    keys = ("kv_cache_scheme", "kv_cache_quant_algo")
    if any(key in found for key in keys):
        return found
    beside = _sidecar(folder)
    return {**found, **{key: beside[key] for key in keys if beside.get(key)}}


def _sidecar(folder: Path | None) -> Mapping[str, Any]:
    """Return what ``hf_quant_config.json`` states, empty where there is none."""
    if folder is None:
        return {}
    path = Path(folder) / SIDECAR
    if Path(folder).suffix == ".json":
        name = Path(folder).name
        own = f"{name.removesuffix('config.json')}{SIDECAR}" if name.endswith("config.json") else ""
        path = Path(folder).with_name(own or SIDECAR)
    try:
        if not path.is_file():
            return {}
    except (OSError, ValueError):
        return {}
    content = from_json(SIDECAR, read_text(SIDECAR, path, MOST_CONFIG_BYTES), str(path))
    if not isinstance(content, Mapping):
        raise InputError(SIDECAR, content, "it must be a JSON object")
    inner = content.get("quantization", content)
    if not isinstance(inner, Mapping):
        raise InputError(f"{SIDECAR} quantization", inner, "an object of keys and values")
    return inner


def _computed(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Say that weights stored in 32 bits are loaded in 16."""
    text = config.get("text_config")
    for holder in (config, text if isinstance(text, Mapping) else {}):
        stated = holder.get("torch_dtype") or holder.get("dtype")
        if isinstance(stated, str):
            said = "the weights are stored in FP32; engines load them in 16 bits, which is counted"
            return (said,) if stated.removeprefix("torch.") == "float32" else ()
    return ()


def _layers(config: Mapping[str, Any]) -> int:
    """Return the number of layers as far as the config says it plainly."""
    text = config.get("text_config")
    for holder in (config, text if isinstance(text, Mapping) else {}):
        for key in ("num_hidden_layers", "n_layer", "num_layers", "n_layers"):
            if isinstance(count := holder.get(key), int) and 1 <= count <= MAX_LAYERS:
                return count
    return 1


def _weights(
    found: Scheme, config: Mapping[str, Any], model: Model | None, source: str
) -> tuple[str, tuple[str, ...]]:
    """Return the text of ``Model.stored`` and what is to be known of it."""
    steps = [0]
    rules = [replace(rule, patterns=Patterns(rule.names, steps)) for rule in found.rules]
    outside = {"lm_head": found.head or "bf16", "embedding": "bf16"}
    if model and model.tied_embeddings:
        del outside["lm_head"]
    for rule in rules:
        for part, names in OUTSIDE.items():
            if part in outside and rule.patterns.meets_name(*names):
                outside[part] = rule.form
    matrices = modules(model) if model else any_modules(_layers(config))
    parts = _layer_parts(found, rules, matrices, model is not None)
    notes = [*_not_understood(rules, source), *_few_layers(found, rules, model, source)]
    return _text(parts, outside), tuple(notes)


def _layer_parts(
    found: Scheme, rules: list[Rule], matrices: Iterator[Module], known: bool
) -> dict[str, dict[str, float]]:
    """Return the parameters of each part by format.

    Where the layers' modules are not `known`, those that a list of quantised modules leaves out
    are taken as not there.
    """
    parts: dict[str, dict[str, float]] = {}
    for module in matrices:
        form, named = found.default, found.default != "bf16"
        for rule in rules:
            if rule.part == module.part or (
                rule.patterns and rule.patterns.meets(module.layer, module.names)
            ):
                form, named = rule.form, True
        if named or known:
            sizes = parts.setdefault(module.part, {})
            sizes[form] = sizes.get(form, 0.0) + module.size
    return parts


def _not_understood(rules: list[Rule], source: str) -> list[str]:
    odd = [name for rule in rules for name in rule.patterns.unknown]
    if not odd:
        return []
    others = f" nor {len(odd) - 1:,} more" if odd[1:] else ""
    return [
        f"{source}: the pattern {odd[0][:80]!a} of module names is not understood{others}; "
        "what it names counts as if it were not there"
    ]


def _few_layers(found: Scheme, rules: list[Rule], model: Model | None, source: str) -> list[str]:
    """Say so where the quantised modules are listed and the list reaches only some layers."""
    named = {layer for rule in rules if rule.form != "bf16" for layer in rule.patterns.ends}
    if found.default != "bf16" or not model or not named or len(named) > model.layers / 2:
        return []
    return [
        f"{source} names quantised modules of {len(named)} of {model.layers} layers only; all "
        "others count 16 bits"
    ]


def _text(parts: dict[str, dict[str, float]], outside: dict[str, str]) -> str:
    """Write the parts as ``Model.stored`` does: one format where it says all."""
    mixes = {part: _mix(sizes) for part, sizes in parts.items()} | outside
    forms = {form for form in mixes.values() if form != "bf16"}
    if not forms:
        return ""
    if len(forms) == 1 and "*" not in (only := next(iter(forms))) and not only.endswith("bit"):
        takes = precision(only).quantizes.split("|")
        if all((form == only) == (part in takes) for part, form in mixes.items()):
            return only
    return "|".join(
        [*(f"{part}={form}" for part, form in mixes.items() if form != "bf16"), "rest=bf16"]
    )


def _mix(sizes: dict[str, float]) -> str:
    """Write the formats of a part with their shares."""
    whole = sum(sizes.values())
    if len(sizes) == 1 or not whole:
        return next(iter(sizes))
    return "+".join(f"{size / whole:.6f}*{form}" for form, size in sizes.items())
