"""What each quantiser's own keys say: a format for the layers and exceptions from it."""

import re
from collections.abc import Callable, Iterator, Mapping

from gpuspec.base.errors import InputError
from gpuspec.catalog.models.schemes import Keys, Rule, Scheme, Unknown, whole_numbers


def _fp8(keys: Keys) -> Scheme:
    block = keys.values.get("weight_block_size")
    if block is None:
        return Scheme("fp8-tensor")
    sides = isinstance(block, list) and len(block) == 2
    if not sides or not all(isinstance(n, int) and 1 <= n <= 100_000 for n in block):
        raise InputError(f"{keys.source} weight_block_size", block, "two whole numbers")
    if block == [1, 32]:
        return Scheme("mxfp8")
    each = 32 / (block[0] * block[1])
    return Scheme("fp8" if each < 0.08 else f"{8 + each:.6g}bit")


def _groups(keys: Keys) -> Scheme:
    """compressed-tensors and ModelOpt: groups of targets, each with the format of its weights.

    A group without weights quantises activations or a cache. Of two groups that name a module the
    first counts, and a name counts before a class.
    """
    default, head, rules = "bf16", "", []
    for _, group in keys.sections("config_groups"):
        if not group.section("weights").values:
            continue
        form = _group_form(group, keys)
        for target in group.names("targets") or ("Linear",):
            if target == "Linear":
                default = head = form
            elif target.endswith("Experts") and target.isidentifier():
                rules.append(Rule(form, part="experts"))
            elif not re.fullmatch(r"[A-Z]\w{0,80}", target):
                rules.append(Rule(form, (target,)))
            elif target in ("Embedding", "VocabParallelEmbedding"):
                rules.append(Rule(form, ("embed_tokens",)))
            else:
                raise Unknown(f"{group.source} quantises modules of class {target}, not read yet")
    if default == "bf16" and not rules:
        raise Unknown(f"{keys.source} has no config_groups that say how weights are stored")
    return Scheme(default, tuple(reversed(rules)), head)


def _group_form(group: Keys, keys: Keys) -> str:
    weights = group.section("weights")
    kind, bits = weights.text("type").lower() or "int", weights.number("num_bits", default=8)
    size, strategy = weights.number("group_size"), weights.text("strategy").lower()
    packed = (group.text("format") or keys.text("format")).lower()
    a16 = "" if group.values.get("input_activations") else "-a16"
    if kind == "int":
        return whole_numbers(bits, size, not weights.flag("symmetric", True), weights.source)
    if kind == "float" and bits == 8:
        if "mxfp8" in packed or size == 32:
            return "mxfp8"
        scales = {"channel": "fp8-channel", "block": "fp8"}.get(strategy, "fp8-tensor")
        return "fp8-a16" if a16 else scales
    if kind == "float" and bits == 4:
        return ("mxfp4" if "mxfp4" in packed or size == 32 else "nvfp4") + a16
    raise Unknown(f"{weights.source} has weights of {bits:g} bits of type {kind[:40]!r}")


ALGORITHMS = {
    "FP8": "fp8-tensor", "FP8_PER_CHANNEL_PER_TOKEN": "fp8-channel", "FP8_PB_WO": "fp8",
    "FP8_PB_REAL": "fp8", "FP8_BLOCK_SCALES": "fp8", "NVFP4": "nvfp4", "NVFP4_AWQ": "nvfp4",
    "W4A4_NVFP4": "nvfp4", "W4A8_NVFP4_FP8": "nvfp4-a16", "W4A16_NVFP4": "nvfp4-a16",
    "MXFP4": "mxfp4-a16", "W4A8_MXFP4_FP8": "mxfp4-a16", "MXFP8": "mxfp8",
    "W8A8_SQ_PER_CHANNEL": "int8", "W8A8_SQ_PER_TENSOR_PLUGIN": "int8", "INT8": "int8",
    "W8A16": "int8", "INT8_SQ": "int8",
}  # fmt: skip
"""ModelOpt's names of formats whose groups have one size."""
_GROUPED = {
    "W4A16": (4, False), "W4A16_AWQ": (4, False), "INT4_AWQ": (4, False), "W4A8_AWQ": (4, False),
    "W8A16_GPTQ": (8, True), "W4A16_GPTQ": (4, True), "W4A8_QSERVE_PER_GROUP": (4, True),
}  # fmt: skip


def algorithm(name: str, keys: Keys) -> str:
    """Return the format that a name of ModelOpt's means, such as ``"NVFP4"``."""
    name = name.upper()
    if name in ("", "NONE", "NO_QUANT"):
        return "bf16"
    if name in _GROUPED:
        bits, zero = _GROUPED[name]
        return whole_numbers(bits, keys.number("group_size", default=128), zero, keys.source)
    if name not in ALGORITHMS:
        raise Unknown(f"{keys.source} states quant_algo {name[:60]!r}, which is not read")
    return ALGORITHMS[name]


def _modelopt(keys: Keys) -> Scheme:
    name = keys.text("quant_algo").upper()
    if name == "MIXED_PRECISION":
        rules = _groups(keys).rules if keys.section("config_groups").values else ()
        by_form: dict[str, list[str]] = {}
        for module, inner in keys.sections("quantized_layers"):
            by_form.setdefault(algorithm(inner.text("quant_algo"), inner), []).append(module)
        rules += tuple(_rules(by_form))
        if not rules:
            raise Unknown(f"{keys.source} says MIXED_PRECISION without quantized_layers")
        return Scheme("bf16", rules)
    if not name and keys.section("config_groups").values:
        return _groups(keys)
    if not name:
        raise Unknown(f"{keys.source} names no quant_algo")
    return Scheme(algorithm(name, keys))


def _integers(zero_points: bool) -> Callable[[Keys], Scheme]:
    """GPTQ, AWQ, AutoRound: whole numbers in groups; `zero_points` where the file is silent."""

    def read(keys: Keys) -> Scheme:
        bits = keys.number("bits", "w_bit", "wbits", default=4)
        group = keys.number("group_size", "q_group_size", default=128)
        zero = keys.flag("zero_point", zero_points)
        form = _autoround_form(keys, bits, group, zero)
        head = form if keys.values.get("lm_head") is True else ""
        rules = [*_blocks(keys, form), *_overrides(keys, bits, group, zero)]
        return Scheme("bf16" if rules and rules[0].form == form else form, tuple(rules), head)

    return read


def _autoround_form(keys: Keys, bits: float, group: float, zero: bool) -> str:
    """AutoRound's ``data_type``: whole numbers unless it says otherwise."""
    kind = keys.text("data_type").lower()
    if "fp" not in kind or bits >= 16:
        return whole_numbers(bits, group, zero, keys.source)
    a16 = "-a16" if keys.number("act_bits", default=16) >= 16 else ""
    known = {"mx_fp": {4: f"mxfp4{a16}", 8: "mxfp8"}, "nv_fp": {4: f"nvfp4{a16}"}}
    found = known.get(kind[:5], {8: "fp8-a16" if a16 else "fp8-channel"}).get(int(bits))
    if found is None:
        raise Unknown(f"{keys.source} data_type {kind[:40]!r} at {bits:g} bits is not read")
    return found


def _blocks(keys: Keys, form: str) -> Iterator[Rule]:
    """GPTQ may list the modules of a block that it quantises; the others stay."""
    listed = keys.values.get("modules_in_block_to_quantize")
    if not listed:
        return
    if not isinstance(listed, list) or len(listed) > 1000:
        raise InputError(f"{keys.source} modules_in_block_to_quantize", listed, "a list of lists")
    names = [name for row in listed for name in (row if isinstance(row, list) else [row])]
    yield Rule(form, Keys({"names": names}, keys.source).names("names"))


def _overrides(keys: Keys, bits: float, group: float, zero: bool) -> Iterator[Rule]:
    """GPTQModel's ``dynamic`` and AutoRound's ``extra_config``: modules with bits of their own.

    Of several patterns of ``dynamic`` that mean a module the first counts.
    """
    for key in ("extra_config", "dynamic"):
        found = list(keys.sections(key))
        by_form: dict[str, list[str]] = {}
        for name, inner in reversed(found) if key == "dynamic" else found:
            own = inner.number("bits", default=bits)
            sizes = inner.number("group_size", default=group)
            kind = Keys({**keys.values, **inner.values}, inner.source)
            form = "bf16" if name.startswith("-:") else _autoround_form(kind, own, sizes, zero)
            if key == "dynamic":
                yield Rule(form, (f"re:{name.removeprefix('-:').removeprefix('+:')}",))
            else:
                by_form.setdefault(form, []).append(name)
        yield from _rules(by_form)


def _rules(by_form: Mapping[str, list[str]]) -> Iterator[Rule]:
    """One rule a format: a file may name every module of every layer."""
    return (Rule(form, tuple(names)) for form, names in by_form.items())


def _mlx(keys: Keys) -> Scheme:
    """MLX: embedding and head too; modules under their names have numbers of their own."""
    form = _mlx_form(keys, keys)
    by_form: dict[str, list[str]] = {form: ["embed_tokens"]}
    for name, stated in keys.values.items():
        if isinstance(stated, Mapping):
            by_form.setdefault(_mlx_form(keys.section(name), keys), []).append(name)
        elif stated is False:
            by_form.setdefault("bf16", []).append(name)
    said = "MLX's own format, which engines for these GPUs do not load: its size counts"
    return Scheme(form, tuple(_rules(by_form)), form, notes=(said,))


def _mlx_form(own: Keys, whole: Keys) -> str:
    mode = own.text("mode").lower() or "affine"
    if mode in ("mxfp4", "mxfp8", "nvfp4"):
        return mode
    if mode != "affine":
        raise Unknown(f"{own.source} mode {mode[:40]!r} is not read")
    bits = own.number("bits", default=whole.number("bits", default=4))
    group = own.number("group_size", default=whole.number("group_size", default=64))
    if not 1 <= bits <= 8 or group < 16:
        raise InputError(f"{own.source} bits", bits, "1 to 8 bits, in groups of 16 and more")
    return f"{bits + 32 / group:.6g}bit"


def _bitsandbytes(keys: Keys) -> Scheme:
    if keys.flag("load_in_4bit") or keys.flag("_load_in_4bit"):
        kind, twice = keys.text("bnb_4bit_quant_type"), keys.flag("bnb_4bit_use_double_quant")
        return Scheme("nf4-dq" if twice else "nf4" if kind == "nf4" else "fp4-bnb")
    if keys.flag("load_in_8bit") or keys.flag("_load_in_8bit"):
        return Scheme("int8")
    raise Unknown(f"{keys.source} says neither load_in_4bit nor load_in_8bit")


def _hqq(keys: Keys) -> Scheme:
    inner = keys.section("quant_config")
    said = (
        "HQQ keeps an FP16 scale and an FP16 zero point a group, which counts: 4.5 bits a weight "
        "at 4 bits and groups of 64",
    )
    if "weight_quant_params" in inner.values or not inner.values:
        return Scheme(_hqq_form(inner if inner.values else keys), notes=said)
    tags = [(name, _hqq_form(part)) for name, part in inner.sections("weight_quant_params")] or [
        (name, _hqq_form(part)) for name, part in keys.sections("quant_config")
    ]
    return Scheme("bf16", tuple(Rule(form, (name,)) for name, form in tags), notes=said)


def _hqq_form(keys: Keys) -> str:
    weights = keys.section("weight_quant_params")
    weights = weights if weights.values else keys
    bits = weights.number("nbits", "bits", default=4)
    group = weights.number("group_size", default=64)
    if not 1 <= bits <= 8 or group < 1:
        raise Unknown(f"{weights.source} has {bits:g} bits in groups of {group:g}")
    scales = (8 if keys.values.get("scale_quant_params") else 16) + (
        8 if keys.values.get("zero_quant_params") else 16
    )
    return f"{bits + scales / group:.6g}bit"


def _exl(keys: Keys) -> Scheme:
    """ExLlama: a mean number of bits with all its scales; the head has its own."""
    bits, head = keys.number("bits"), keys.number("head_bits", default=6)
    if not 1 <= bits <= 16 or not 1 <= head <= 16:
        raise InputError(f"{keys.source} bits", bits, "a number from 1 to 16")
    return Scheme(f"{bits:.6g}bit", head=f"{head:.6g}bit" if head < 16 else "")


_TORCHAO = (
    ("int4", "int4-g128"), ("intx", ""), ("nvfp4", "nvfp4"), ("mxfp4", "mxfp4-a16"),
    ("mx", "mxfp8"), ("float8weightonly", "fp8-a16"), ("fp8weightonly", "fp8-a16"),
    ("float8", "fp8-channel"), ("fp8", "fp8-channel"), ("int8", "int8"), ("fpx", ""),
)  # fmt: skip


def _torchao(keys: Keys) -> Scheme:
    stated = keys.values.get("quant_type")
    if isinstance(stated, str):
        return Scheme(_torchao_form(stated, keys))
    inner = keys.section("quant_type")
    default = inner.section("default") if "default" in inner.values else inner
    modules = default.section("_data").section("module_fqn_to_config")
    if not modules.values:
        return Scheme(_torchao_form(default.text("_type"), default))
    rules, form = [], "bf16"
    for name in modules.values:
        own = modules.section(name)
        found = _torchao_form(own.text("_type"), own) if own.values else "bf16"
        if name == "_default":
            form = found
        else:
            rules.append(Rule(found, (str(name),)))
    return Scheme(form, tuple(rules))


def _torchao_form(kind: str, keys: Keys) -> str:
    plain = kind.lower().replace("_", "")
    form = next((form for start, form in _TORCHAO if start in plain), "")
    if not form:
        raise Unknown(f"{keys.source} torchao type {kind[:60]!r} is not read")
    if form != "int4-g128":
        return form
    group = keys.section("_data").number("group_size", default=128)
    group = keys.section("quant_type_kwargs").number("group_size", default=group)
    return whole_numbers(4, group, True, keys.source)


def _quark(keys: Keys) -> Scheme:
    found = _quark_form(keys.section("global_quant_config"))
    rules = [
        Rule(_quark_form(inner), (name,)) for name, inner in keys.sections("layer_quant_config")
    ]
    return Scheme(found, tuple(rules))


def _quark_form(keys: Keys) -> str:
    stated = keys.values.get("weight")
    stated = stated[0] if isinstance(stated, list) and stated else stated
    if stated is None:
        return "bf16"
    weight = Keys(stated, f"{keys.source} weight")
    kind, scheme = weight.text("dtype").lower(), weight.text("qscheme").lower()
    group = weight.number("group_size", default=32 if "mx" in kind or "fp4" in kind else -1)
    if kind.startswith(("fp8", "float8")):
        return {"per_channel": "fp8-channel", "per_group": "fp8"}.get(scheme, "fp8-tensor")
    if kind.startswith(("fp4", "mxfp4", "mx_fp4")):
        a16 = "" if keys.values.get("input_tensors") else "-a16"
        return ("nvfp4" if group == 16 else "mxfp4") + a16
    if kind.startswith(("fp6", "mxfp6")):
        return "6.25bit"
    if kind == "mxfp8":
        return kind
    if bits := re.fullmatch(r"u?int(\d{1,2})", kind):
        zero = not weight.flag("symmetric", True)
        return whole_numbers(
            float(bits[1]), group if scheme == "per_group" else -1, zero, weight.source
        )
    raise Unknown(f"{weight.source} dtype {kind[:40]!r} is not read")


def _named(names: Mapping[str, str], *keys: str) -> Callable[[Keys], Scheme]:
    """A method whose one text says the format."""

    def read(section: Keys) -> Scheme:
        stated = section.text(*keys).lower()
        if stated not in names:
            known = ", ".join(filter(None, names))
            raise Unknown(f"{section.source} {keys[0]} {stated[:40]!r}: {known} are read")
        return Scheme(names[stated])

    return read


def _aqlm(keys: Keys) -> Scheme:
    books, bits = (
        keys.number("num_codebooks", default=1),
        keys.number("nbits_per_codebook", default=16),
    )
    group = max(
        keys.number("in_group_size", default=8) * keys.number("out_group_size", default=1), 1
    )
    return Scheme(f"{max(books * bits / group, 1):.6g}bit")


QUANTO = {"int8": "int8", "float8": "fp8-channel", "int4": "int4-awq", "int2": "int2"}
METHODS: dict[str, Callable[[Keys], Scheme]] = {
    "fp8": _fp8,
    "fbgemm-fp8": lambda keys: Scheme("fp8-channel"),
    "ptpc-fp8": lambda keys: Scheme("fp8-channel"),
    "mxfp4": lambda keys: Scheme("bf16", (Rule("mxfp4", part="experts"),)),
    "mxfp8": lambda keys: Scheme("mxfp8"),
    "gptq": _integers(True),
    "gptqmodel": _integers(True),
    "awq": _integers(True),
    "auto-round": _integers(True),
    "autoround": _integers(True),
    "intel/auto-round": _integers(True),
    "inc": _integers(True),
    "bitsandbytes": _bitsandbytes,
    "bnb": _bitsandbytes,
    "hqq": _hqq,
    "mlx": _mlx,
    "exl2": _exl,
    "exl3": _exl,
    "eetq": lambda keys: Scheme("int8"),
    "experts-int8": lambda keys: Scheme("bf16", (Rule("int8", part="experts"),)),
    "quanto": _named(QUANTO, "weights"),
    "torchao": _torchao,
    "quark": _quark,
    "compressed-tensors": _groups,
    "modelopt": _modelopt,
    "modelopt-fp4": _modelopt,
    "modelopt-mixed": _modelopt,
    "aqlm": _aqlm,
    "bitnet": lambda keys: Scheme("2bit"),
}  # fmt: skip
"""How each ``quant_method`` is read."""
