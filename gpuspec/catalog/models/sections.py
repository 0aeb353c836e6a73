"""What a quantisation section says: a format for the layers, exceptions from it, the cache."""

from collections.abc import Iterator, Mapping

from gpuspec.catalog.models.quantizers import METHODS, algorithm
from gpuspec.catalog.models.schemes import Keys, Rule, Scheme, Section, Unknown

KEPT = (
    "ignore", "ignored_layers", "modules_to_not_convert", "exclude_modules", "exclude",
    "llm_int8_skip_modules", "skip_modules", "ignored_modules", "modules_to_not_quantize",
)  # fmt: skip
"""Keys of modules that stay in 16 bits."""


def scheme(section: Section, config: Section, source: str) -> Scheme:
    """Return what a quantisation section says.

    Raises
    ------
    Unknown
        When the method or the format is not known.
    InputError
        When a value has the wrong type.
    """
    keys = Keys(section, source)
    method = keys.text("quant_method").lower().replace("_", "-")
    named = keys.text("quant_algo")
    if not method:
        groups = section.get("config_groups")
        bits = section.get("bits") or section.get("w_bit")
        method = "modelopt" if named else "compressed-tensors" if groups else ""
        method = "bitsandbytes" if {"load_in_4bit", "load_in_8bit"} & section.keys() else method
        mlx = isinstance(config.get("quantization"), Mapping) or "mode" in section
        method = method or ("" if not bits else "mlx" if mlx else "gptq")
    read = METHODS.get(method.removesuffix("-marlin"))
    if read is None and method:
        raise Unknown(f"{source} states quant_method {method[:60]!r}, which is not read")
    if read is None:
        raise Unknown(f"{source} states a quantisation without quant_method, quant_algo or bits")
    found = read(keys)
    rules = (*found.rules, *_expert_format(config))
    experts = keys.text("moe_quant_algo")
    if experts:  # the rest is what the method says, and `ignore` speaks of the experts' format
        return Scheme(
            found.default,
            (*rules, Rule(algorithm(experts, keys), part="experts")),
            kv=_cache(keys),
        )
    kept = tuple(name for key in KEPT for name in keys.names(key))
    rules += (Rule("bf16", kept),) if kept else ()
    notes = (*found.notes, *_sparsity(keys), *_activations(keys, found))
    return Scheme(found.default, rules, found.head, _cache(keys), notes)


def _expert_format(config: Section) -> tuple[Rule, ...]:
    """Experts in FP4 beside a section that speaks of FP8 (``expert_dtype``)."""
    text = config.get("text_config")
    for holder in (config, text if isinstance(text, Mapping) else {}):
        if isinstance(stated := holder.get("expert_dtype"), str) and "fp4" in stated.lower():
            return (Rule("mxfp4", part="experts"),)
    return ()


def _cache(keys: Keys) -> str:
    """Return the format of the key-value cache that the files prescribe."""
    stated: object = keys.values.get("kv_cache_scheme") or keys.values.get("kv_cache_quant_algo")
    if not stated and (quark := keys.values.get("kv_cache_quant_config")):
        stated = "fp8" if "fp8" in str(quark)[:2000] else quark
    if isinstance(stated, Mapping):
        inner = Keys(stated, f"{keys.source} kv_cache_scheme")
        bits, kind = inner.number("num_bits", default=8), inner.text("type").lower() or "float"
        stated = f"{'fp' if kind == 'float' else 'int'}{bits:g}"
    name = stated.lower() if isinstance(stated, str) else ""
    return {"fp8": "fp8", "int8": "int8", "fp8_e4m3": "fp8", "fp8_e5m2": "fp8"}.get(name, "")


def _activations(keys: Keys, found: Scheme) -> Iterator[str]:
    """Say that products of INT8 with INT8 are not timed."""
    groups = [group for _, group in keys.sections("config_groups")]
    stated = [group.values.get("input_activations") for group in groups]
    stated.append(keys.section("global_quant_config").values.get("input_tensors"))
    if found.default == "int8" and (any(stated) or "W8A8" in keys.text("quant_algo").upper()):
        yield (
            f"{keys.source}: activations are in INT8 too (W8A8); no timing of that is in the fit, "
            "so it counts as weights only: prefill may be faster"
        )


def _sparsity(keys: Keys) -> Iterator[str]:
    found = keys.section("sparsity_config").text("format")
    if found and found != "dense":
        yield f"{keys.source}: sparsity {found[:60]!r} makes the file smaller, which is not counted"
