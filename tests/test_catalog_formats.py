"""In what a model is stored: every quantiser's words, what they leave alone, and what it takes."""

import json
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuspec.base.errors import InputError
from gpuspec.base.units import GB, GIB
from gpuspec.catalog import gpu, load_table
from gpuspec.catalog.models import Model, model, model_from_config, parameter_parts
from gpuspec.catalog.models.formats import kv_format, stored_bytes, weight_format, with_stored
from gpuspec.catalog.models.patterns import NotUnderstood, Patterns, _compiled
from gpuspec.catalog.models.stored import stored_format
from gpuspec.catalog.precision import QUANTIZABLE, WeightFormat, precision
from gpuspec.formulas.memory import stage_weights_bytes
from gpuspec.topics.memory import MemoryQuestion, weights_table
from gpuspec.topics.serving import ServingQuestion
from gpuspec.topics.serving.layouts import precision_note

FIXTURES = Path(__file__).parent / "fixtures" / "configs"
LLAMA = json.loads((FIXTURES / "llama-3.1-8b.json").read_text())
GPT_OSS = json.loads((FIXTURES / "gpt-oss-20b.json").read_text())
MATRICES = 6_979_321_856
"""Parameters of the matrices of Llama-3.1-8B's layers; 1,050,939,392 others stay in 16 bits."""
KEPT_BYTES = 2 * 1_050_939_392


def read(quantization, config=LLAMA, **more):
    return model_from_config(config | {"quantization_config": quantization} | more)


def compressed(weights, targets=("Linear",), ignore=("lm_head",), active=None, **more):
    group = {"targets": list(targets), "weights": weights, "input_activations": active}
    return {
        "quant_method": "compressed-tensors",
        "config_groups": {"group_0": group},
        "ignore": list(ignore),
        **more,
    }


FP8 = {"num_bits": 8, "type": "float"}
INT4 = {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 128, "symmetric": True}
FP4 = {"num_bits": 4, "type": "float", "group_size": 16}


@pytest.mark.parametrize(
    ("quantization", "stored", "bits"),
    [
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8", 8.002),
        ({"quant_method": "fp8", "weight_block_size": None}, "fp8-tensor", 8),
        ({"quant_method": "fp8", "weight_block_size": [1, 32]}, "mxfp8", 8.25),
        ({"quant_method": "fbgemm_fp8"}, "fp8-channel", 8.008),
        (compressed(FP8 | {"strategy": "channel"}, active={}), "fp8-a16", 8.008),
        (compressed(FP8 | {"strategy": "channel"}, active=FP8), "fp8-channel", 8.008),
        (compressed(FP8 | {"strategy": "tensor"}, active=FP8), "fp8-tensor", 8),
        (compressed(FP8 | {"strategy": "block"}, active=FP8), "fp8", 8.002),
        (compressed({"num_bits": 8, "type": "int", "strategy": "channel"}), "int8", 8.004),
        (compressed(INT4, format="pack-quantized"), "int4-sym", 4.125),
        (compressed(INT4 | {"symmetric": False}), "int4-awq", 4.156),
        (compressed(INT4 | {"group_size": 32}), "int4-g32-sym", 4.5),
        (compressed(FP4, format="nvfp4-pack-quantized"), "nvfp4-a16", 4.5),
        (compressed(FP4, active=FP4), "nvfp4", 4.5),
        (compressed(FP4 | {"group_size": 32}, format="mxfp4-pack-quantized"), "mxfp4-a16", 4.25),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True}, "int4-awq", 4.156),
        ({"quant_method": "gptq", "bits": 3, "group_size": 128}, "int3", 3.148),
        ({"quant_method": "gptq", "bits": 2, "group_size": 64}, "int2", 2.281),
        ({"quant_method": "gptq", "bits": 8, "group_size": -1}, "int8", 8.004),
        ({"bits": 4, "group_size": 32}, "int4-g32", 4.625),
        ({"quant_method": "awq", "bits": 4, "group_size": 64}, "int4-g64", 4.3125),
        ({"quant_method": "awq", "w_bit": 4, "q_group_size": 128}, "int4-awq", 4.156),
        ({"quant_method": "auto-round", "bits": 4, "group_size": 128}, "int4-awq", 4.156),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "int8", 8.004),
        ({"quant_method": "eetq", "weights": "int8"}, "int8", 8.004),
        ({"quant_method": "quanto", "weights": "int2"}, "int2", 2.281),
        ({"quant_method": "modelopt", "quant_algo": "FP8"}, "fp8-tensor", 8),
        ({"quant_algo": "NVFP4", "group_size": 16}, "nvfp4", 4.5),
        ({"quant_algo": "W4A16_AWQ", "group_size": 128}, "int4-sym", 4.125),
        ({"quant_algo": "MXFP8"}, "mxfp8", 8.25),
        ({"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "fp8_e4m3"}}},
         "fp8-tensor", 8),
        ({"quant_method": "quark", "global_quant_config": {
            "weight": {"dtype": "uint4", "qscheme": "per_group", "group_size": 128,
                       "symmetric": False}}}, "int4-awq", 4.156),
        ({"quant_method": "torchao", "quant_type": "int8_weight_only"}, "int8", 8.004),
        ({"quant_method": "torchao",
          "quant_type": {"default": {"_type": "Float8WeightOnlyConfig", "_data": {}}}},
         "fp8-a16", 8.008),
        ({"quant_method": "torchao", "quant_type": {"default": {
            "_type": "Int4WeightOnlyConfig", "_data": {"group_size": 32}}}}, "int4-g32", 4.625),
    ],
)  # fmt: skip
def test_every_quantiser_says_what_its_matrices_take(quantization, stored, bits):
    m = read(quantization)
    assert m.stored == stored
    exact = MATRICES * bits / 8 + KEPT_BYTES
    assert stored_bytes(m, weight_format(m)) == pytest.approx(exact, rel=5e-4)


@pytest.mark.parametrize(
    ("kind", "twice", "stored", "bits"),
    [("nf4", False, "nf4", 4.5), ("nf4", True, "nf4-dq", 4.127), ("fp4", False, "fp4-bnb", 4.5)],
)
def test_bitsandbytes_in_4_bits(kind, twice, stored, bits):
    four = {"load_in_4bit": True, "bnb_4bit_quant_type": kind, "bnb_4bit_use_double_quant": twice}
    m = read({"quant_method": "bitsandbytes"} | four)
    assert m.stored == stored
    assert stored_bytes(m, weight_format(m)) == pytest.approx(
        MATRICES * bits / 8 + KEPT_BYTES, rel=1e-4
    )


def test_exl2_has_fractions_of_bits_and_a_head_of_its_own():
    m = read({"quant_method": "exl2", "bits": 4.25, "head_bits": 6})
    head = 128_256 * 4096
    exact = MATRICES * 4.25 / 8 + KEPT_BYTES - head * 2 + head * 6 / 8
    assert stored_bytes(m, weight_format(m)) == pytest.approx(exact, rel=1e-9)


def test_hqq_keeps_a_scale_and_a_zero_point_in_16_bits_and_says_so():
    m = read({"quant_method": "hqq", "quant_config": {
        "weight_quant_params": {"nbits": 4, "group_size": 64}}})  # fmt: skip
    assert weight_format(m).bytes_each("mlp") * 8 == 4.5
    assert "HQQ" in m.warnings[0]


def test_keys_of_older_and_nested_files():
    older = compressed(FP8, active=FP8)
    assert model_from_config(LLAMA | {"compression_config": older}).stored == "fp8-tensor"
    nested = {"text_config": {"quantization_config": {"quant_method": "fp8"}}}
    assert stored_format(nested).weights == "fp8-tensor"
    assert stored_format({"quantization_config": None}) == stored_format({})


# --- what is left alone --------------------------------------------------------------------------


def test_experts_alone_are_quantised():
    m = read({"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn"]},
             GPT_OSS)  # fmt: skip
    form = weight_format(m)
    assert (m.stored, form.name) == ("mxfp4", "experts MXFP4, rest BF16")
    assert (form.bytes_each("experts"), form.bytes_each("attention")) == (0.53125, 2)
    assert form.words == "experts MXFP4, rest BF16, as stored (config.json)"


def test_405b_whose_attention_stays_in_16_bits_takes_what_the_engine_logs():
    # vLLM issue 6746: "57.75 GiB" a GPU at TP 8; that repository held 16 copies of KV heads.
    layers = range(126)
    kept = [f"model.layers.{i}.self_attn.{name}_proj" for i in layers for name in "qkvo"]
    kept += [f"model.layers.{i}.mlp.{n}_proj" for i in (0, 125) for n in ("gate", "up", "down")]
    config = LLAMA | {
        "hidden_size": 16384, "intermediate_size": 53248, "num_hidden_layers": 126,
        "num_attention_heads": 128, "num_key_value_heads": 16,
    }  # fmt: skip
    m = read({"quant_method": "fbgemm_fp8", "modules_to_not_convert": ["lm_head", *kept]}, config)
    assert m.stored == "mlp=0.015873*bf16+0.984127*fp8-channel|rest=bf16"
    size = float(stage_weights_bytes(m, weight_format(m), tp=8))
    assert size / GIB == pytest.approx(57.75, rel=1e-3)


@pytest.mark.parametrize(
    "kept",
    [
        ["model.layers.*.self_attn"],
        ["*self_attn*"],
        ["self_attn"],
        ["re:.*self_attn.*"],
        [r"re:model\.layers\.\d+\.self_attn\.(q|k|v|o)_proj$"],
        [r"re:^(?!.*mlp).*"],
        [f"model.layers.{i}.self_attn*" for i in range(32)],
        [f"model.language_model.layers.{i}.self_attn.{x}_proj" for i in range(32) for x in "qkvo"],
        [f"language_model.model.layers.{i}.self_attn.{x}" for i in range(32)
         for x in ("qkv_proj", "o_proj")],
    ],
)  # fmt: skip
def test_names_globs_and_regular_expressions_of_what_stays(kept):
    m = read({"quant_algo": "NVFP4", "exclude_modules": ["lm_head", *kept]})
    assert m.stored == "mlp=nvfp4|rest=bf16"
    assert m.warnings == ()


def test_shares_of_the_layers_that_stay():
    m = read({"quant_algo": "FP8", "ignore": [f"model.layers.{i}.mlp*" for i in range(8)]})
    assert m.stored == "attention=fp8-tensor|mlp=0.250000*bf16+0.750000*fp8-tensor|rest=bf16"
    layered = read({"quant_algo": "FP8", "ignore": [r"re:model\.layers\.([0-9]|1[0-5])\..*"]})
    assert weight_format(layered).formats("mlp")[0][0] == 0.5


def test_towers_and_predicting_layers_are_not_the_layers_of_the_same_number():
    others = [f"vision_model.model.layers.{i}.self_attn.q_proj" for i in range(32)]
    m = read({"quant_algo": "FP8", "ignore": [*others, "mtp.layers.0*", "model.visual*"]})
    assert m.stored == "fp8-tensor"


def test_mixed_formats_by_module():
    layers = {f"model.layers.{i}.self_attn.{x}_proj": {"quant_algo": "FP8"}
              for i in range(32) for x in "qkvo"}  # fmt: skip
    layers |= {f"model.layers.{i}.mlp.{x}_proj": {"quant_algo": "W4A16_NVFP4", "group_size": 16}
               for i in range(16) for x in ("gate", "up", "down")}  # fmt: skip
    m = read({"quant_algo": "MIXED_PRECISION", "quantized_layers": layers | {
        "lm_head": {"quant_algo": "W4A16_NVFP4"}}})  # fmt: skip
    assert m.stored == (
        "attention=fp8-tensor|mlp=0.500000*nvfp4-a16+0.500000*bf16|lm_head=nvfp4-a16|rest=bf16"
    )
    few = {n: form for n, form in layers.items() if ".0." in n}
    said = read({"quant_algo": "MIXED_PRECISION", "quantized_layers": few}).warnings
    assert said == (
        "config.json names quantised modules of 1 of 32 layers only; all others count 16 bits",
    )


def test_modules_with_bits_of_their_own():
    m = read({"quant_method": "gptq", "bits": 4, "group_size": 128,
              "dynamic": {r"-:.*self_attn.*": {}, r"+:.*down_proj": {"bits": 8}}})  # fmt: skip
    assert m.stored == "mlp=0.666667*int4-awq+0.333333*int8-g128|rest=bf16"
    own = read({"quant_method": "auto-round", "bits": 4, "group_size": 128,
                "extra_config": {"model.layers.0.mlp.up_proj": {"bits": 16}}})  # fmt: skip
    assert weight_format(own).formats("mlp")[1][0] == pytest.approx(1 / 96, abs=1e-6)


def test_experts_of_another_format_beside_fp8():
    fp8 = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    assert stored_format({"quantization_config": fp8, "expert_dtype": "fp4"}).weights == (
        "attention=fp8|linear=fp8|mlp=fp8|experts=mxfp4|shared_experts=fp8|rest=bf16"
    )
    more = {"moe_quant_algo": "NVFP4", "ignore": ["*.attn.*"]}
    assert "experts=nvfp4" in stored_format({"quantization_config": fp8 | more}).weights


# --- beside the config ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "beside"),
    [("config.json", "hf_quant_config.json"), ("x_config.json", "x_hf_quant_config.json")],
)
def test_the_file_beside_the_config(tmp_path, name, beside):
    (tmp_path / name).write_text(json.dumps(LLAMA))
    stated = {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8", "exclude_modules": ["lm_head"]}
    (tmp_path / beside).write_text(json.dumps({"quantization": stated}))
    m = model(tmp_path / name)
    assert (m.stored, m.stored_kv, m.stored_in) == ("fp8-tensor", "fp8", "hf_quant_config.json")
    assert kv_format(m) == "fp8"
    assert stored_format(LLAMA, tmp_path / name).weights == "fp8-tensor"


def test_a_hostile_file_beside_the_config_is_one_sentence(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    for text in ("[1]", "{", '{"quantization": 3}', '{"quantization": {"quant_algo": 3}}'):
        (tmp_path / "hf_quant_config.json").write_text(text)
        with pytest.raises(InputError, match=r"hf_quant_config|config"):
            model(tmp_path / "config.json")


@pytest.mark.parametrize(
    ("stated", "kv"),
    [
        ({"kv_cache_scheme": "FP8"}, "fp8"),
        ({"kv_cache_scheme": {"num_bits": 8, "type": "float"}}, "fp8"),
        ({"kv_cache_scheme": {"num_bits": 8, "type": "int"}}, "int8"),
        ({"kv_cache_quant_algo": "FP8"}, "fp8"),
        ({"kv_cache_scheme": None}, ""),
    ],
)
def test_the_cache_that_is_prescribed(stated, kv):
    m = read({"quant_algo": "FP8"} | stated)
    assert m.stored_kv == kv
    assert kv_format(m) == (kv or "bf16")
    assert kv_format(m, "int8") == "int8"


# --- what is not known ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "quantization",
    [
        {"quant_method": "something new", "bits": 3},
        {"quant_method": "modelopt", "quant_algo": "NEW9"},
        {"quant_method": "bitsandbytes"},
        {"quant_method": "torchao", "quant_type": "dreams"},
        {"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "x9"}}},
        {"mystery": 1},
        compressed({"num_bits": 6, "type": "float"}),
    ],
)
def test_an_unknown_quantisation_is_one_sentence_with_the_way_out(quantization):
    m = read(quantization)
    with pytest.raises(InputError, match="--weights") as told:
        weight_format(m)
    assert "\n" not in str(told.value)
    assert "config.json" in str(told.value)
    assert weight_format(m, "int4").bytes_each("mlp") < 0.6


@pytest.mark.parametrize(
    "quantization",
    [
        [],
        "fp8",
        {"quant_method": 3},
        {"quant_method": "fp8", "weight_block_size": [0, 128]},
        {"quant_method": "fp8", "weight_block_size": "big"},
        {"quant_method": "fp8", "modules_to_not_convert": [3]},
        {"quant_method": "gptq", "bits": True},
        {"quant_method": "gptq", "bits": -4},
        {"quant_method": "gptq", "bits": 4, "group_size": 1e30},
        {"quant_method": "exl2", "bits": 10**400},
        {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": 7},
        {"quant_method": "compressed-tensors", "config_groups": {"group_0": [1]}},
    ],
)
def test_wrong_types_are_one_sentence(quantization):
    if quantization == []:
        assert read(quantization or None).stored == ""
        return
    with pytest.raises(InputError) as told:
        read(quantization)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "pattern",
    ["re:" + "(a*)*" * 8 + "~", "re:((((((((((a+)+)+)+)+)+)+)+)+)+)+$", "re:(.*.*.*.*.*.*)*~",
     "re:[", "re:(?P<a>b)", r"re:(a)\1", "re:a{2}{3}{4}", "re:" + "a?" * 200 + "a" * 200],
)  # fmt: skip
def test_hostile_patterns_take_no_time(pattern):
    start = time.perf_counter()
    m = read({"quant_algo": "FP8", "ignore": [pattern]})
    assert time.perf_counter() - start < 5
    assert m.stored == "fp8-tensor"


def test_a_pattern_that_is_not_understood_is_named():
    m = read({"quant_algo": "FP8", "ignore": [r"re:(?<=x)y", "re:(z)\\1"]})
    assert "'re:(?<=x)y' of module names is not understood nor 1 more" in m.warnings[0]


ODD = [f"re:.*{i}.*[0-9]?~" for i in range(900)]


def test_too_many_names_are_refused():
    start = time.perf_counter()
    with pytest.raises(InputError, match="at most 1,000 patterns"):
        read({"quant_algo": "FP8", "ignore": [f"re:.*{i}" for i in range(20_000)]})
    with pytest.raises(InputError, match="steps to follow"):
        weight_format(read({"quant_algo": "FP8", "ignore": ODD}))
    assert weight_format(read({"quant_algo": "FP8", "ignore": ODD}), "int4").name == "INT4 AWQ"
    many = read({"quant_algo": "FP8", "ignore": [f"model.layers.0.odd{i}" for i in range(100_000)]})
    with pytest.raises(InputError, match="steps to follow"):
        weight_format(many)
    assert time.perf_counter() - start < 20


ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", r"\.", "(a|b)", "(?:ab)", "^", "$"])
SIGNS = st.sampled_from(["", "*", "+", "?", "{2}", "{0,1}", "{1,}"])


@given(
    st.lists(st.tuples(ATOMS, SIGNS), min_size=1, max_size=6),
    st.text(alphabet="ab.1", max_size=8),
)
def test_patterns_mean_what_regular_expressions_mean(pieces, text):
    pattern = "".join(a + ("" if a in "^$" else sign) for a, sign in pieces)
    try:
        node = _compiled(pattern)
    except NotUnderstood:
        return
    assert bool(node(text, {0}, [0])) == bool(re.match(pattern, text)), pattern


def test_a_name_is_no_part_of_a_longer_name():
    gate = Patterns(["gate", "model.layers.3.mlp.up_proj"], [0])
    assert not gate.meets(0, ("mlp.gate_proj",))
    assert gate.meets(3, ("mlp.up_proj", "mlp.w3"))
    assert not gate.meets(30, ("mlp.up_proj",))


def test_weights_in_fp32_are_loaded_in_16_bits_and_said_so():
    m = model_from_config(LLAMA | {"torch_dtype": "float32"})
    assert "FP32" in m.warnings[0]
    assert stored_bytes(m, weight_format(m)) == 2 * m.params


# --- formats as data -----------------------------------------------------------------------------

FORMATS = sorted(load_table("precisions")["id"])


def test_where_a_format_is_computed_and_where_it_is_only_stored():
    computes = {
        (name, device): precision(name).native(gpu(device))
        for name in ("fp8", "fp8-tensor", "nvfp4", "mxfp4", "mxfp8", "int4-awq", "fp8-a16")
        for device in ("A100", "L40S", "H100", "B200")
    }
    assert {pair for pair, kind in computes.items() if kind == "fp8"} == {
        ("fp8", "L40S"), ("fp8", "H100"), ("fp8", "B200"), ("mxfp8", "B200"),
        ("fp8-tensor", "L40S"), ("fp8-tensor", "H100"), ("fp8-tensor", "B200"),
    }  # fmt: skip
    assert {pair for pair, kind in computes.items() if kind == "fp4"} == {
        ("nvfp4", "B200"), ("mxfp4", "B200"),
    }  # fmt: skip
    assert precision("nvfp4").weight_only(gpu("H200"))
    note = precision_note(gpu("A100"), WeightFormat.of(precision("nvfp4")))
    assert "no FP4 units: weights only" in note


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_can_be_asked_for_and_takes_no_more_than_32_bits(name):
    form = weight_format(model("llama-3.1-8b"), name)
    assert form.bytes_each("attention") <= 4
    shares = [share for part in (*QUANTIZABLE, "norms") for share, _ in form.formats(part)]
    assert set(shares) == {1.0}


MIXES = st.lists(
    st.tuples(st.sampled_from([n for n in FORMATS if n != "mxfp4"]), st.integers(1, 9)),
    min_size=1,
    max_size=3,
    unique_by=lambda pair: pair[0],
)


@given(st.dictionaries(st.sampled_from(["attention", "mlp", "lm_head"]), MIXES, min_size=1))
@settings(max_examples=60)
def test_shares_add_up_and_a_smaller_format_never_takes_more(parts):
    texts = []
    for part, mix in parts.items():
        whole = sum(weight for _, weight in mix)
        texts.append(f"{part}=" + "+".join(f"{w / whole:.6f}*{name}" for name, w in mix))
    form = WeightFormat.read("|".join(texts))
    for part, mix in parts.items():
        assert sum(share for share, _ in form.formats(part)) == pytest.approx(1)
        each = [precision(name).bytes_per_weight for name, _ in mix]
        assert min(each) - 1e-9 <= form.bytes_each(part) <= max(each) + 1e-9
    llama = model("llama-3.1-8b")
    size = stored_bytes(llama, form)
    smaller = replace(form, parts=tuple((p, ((1.0, precision("int2")),)) for p, _ in form.parts))
    assert stored_bytes(llama, smaller) <= size + 1


@pytest.mark.parametrize(
    "text", ["nothing", "mlp=fp8|oven=fp8", "mlp=0.5*fp8+0.2*bf16", "mlp=x*fp8", "mlp=99bit", "="]
)
def test_texts_that_state_no_format(text):
    with pytest.raises(InputError):
        WeightFormat.read(text)


# --- stages, towers, stated sizes ----------------------------------------------------------------

SIZES = {"layers": 8, "hidden": 64, "heads": 8, "kv_heads": 2, "head_dim": 8, "vocab": 100}


def test_the_fullest_stage_is_the_heaviest_run_of_layers():
    groups = [{"layers": "4-5", "ffn": 1000}]
    m = Model(id="m", name="M", **SIZES, ffn=100, tied_embeddings=True, groups=groups)
    plain = Model(id="n", name="N", **SIZES, ffn=100, tied_embeddings=True)
    heavy = 2 * 2 * 3 * 64 * 900
    bf16 = precision("bf16")
    for stages, inside in ((1, heavy), (2, heavy), (4, heavy), (8, heavy / 2)):
        grown = stage_weights_bytes(m, bf16, pp=stages) - stage_weights_bytes(
            plain, bf16, pp=stages
        )
        assert float(grown) == inside
    late = Model(id="late", name="Late", **SIZES, ffn=100, dense_layers=6, experts=4,
                 active_experts=1, expert_ffn=100)  # fmt: skip
    last = stage_weights_bytes(late, bf16, pp=4) - stage_weights_bytes(plain, bf16, pp=4)
    assert float(last) >= 2 * 2 * 3 * 64 * 100 * 3


def test_keys_and_values_are_replicated_beyond_their_heads():
    m = Model(id="m", name="M", **SIZES, ffn=100)
    keys = 2 * 8 * 64 * 2 * 2 * 8  # two bytes, 8 layers, 64 x (2 heads x 2 x 8)
    two, eight = (float(stage_weights_bytes(m, precision("bf16"), tp=n)) for n in (2, 8))
    norms = 2 * 64 * 17
    assert eight == pytest.approx((two - norms - keys / 2) / 4 + norms + keys / 2)


def test_down_projections_of_latent_attention_are_on_every_gpu():
    m = model("deepseek-v3")
    each = precision("fp8").bytes_per_weight
    down = 61 * 7168 * (1536 + 512 + 64) * each
    one, eight = (float(stage_weights_bytes(m, weight_format(m), n)) for n in (1, 8))
    kept = 2 * (parameter_parts(m)["norms"] + parameter_parts(m)["router"])
    assert eight == pytest.approx((one - kept - down) / 8 + kept + down, rel=1e-4)


def test_towers_are_loaded_and_predicting_layers_are_not():
    m = model("llama-3.1-8b")
    more = m.model_copy(update={"tower_params": 10**9, "mtp_params": 10**9})
    grown = stage_weights_bytes(more, weight_format(more)) - stage_weights_bytes(
        m, weight_format(m)
    )
    assert float(grown) == 2e9


def test_a_stated_size_outranks_the_formats():
    m = model("llama-3.1-8b").model_copy(update={"weights_gb": 20.0})
    assert stored_bytes(m, weight_format(m)) == pytest.approx(20 * GB)
    assert stored_bytes(m, weight_format(m, "stored", 12.0)) == pytest.approx(12 * GB)
    assert stored_bytes(m, weight_format(m, "fp8")) == pytest.approx(9.08 * GB, rel=1e-3)
    ahead = m.model_copy(update={"mtp_params": m.params})  # half of the repository is not loaded
    assert stored_bytes(ahead, weight_format(ahead)) == pytest.approx(10 * GB, rel=1e-6)
    assert "at the stated size" in weight_format(m).words


# --- doors ---------------------------------------------------------------------------------------


def test_questions_run_what_is_stored_unless_told_otherwise():
    asked = ServingQuestion.ask(model="gpt-oss-120b")
    assert [form.id for form in asked.formats] == ["mxfp4"]
    assert [f.id for f in ServingQuestion.ask(model="gpt-oss-120b", weights="bf16").formats] == [
        "bf16"
    ]
    two = ServingQuestion.ask(model="gpt-oss-120b", weights="bf16,fp8")
    assert [form.id for form in two.formats] == ["mxfp4", "bf16", "fp8"]
    assert [f.id for f in ServingQuestion.ask(model="llama-3.1-8b").formats] == ["bf16", "fp8"]
    assert [f.id for f in ServingQuestion.ask(model="deepseek-r1").formats] == ["fp8"]
    assert MemoryQuestion.ask(model="gpt-oss-120b", kv="auto").kv == "stored"
    sized = MemoryQuestion.ask(model="llama-3.1-8b", weights="fp8", weights_gb=10)
    assert stored_bytes(sized.network, sized.weight) == pytest.approx(10 * GB)


def test_one_h100_holds_gpt_oss_and_eight_h200_hold_r1():
    for name, device, tp in (("gpt-oss-120b", "H100", 1), ("deepseek-r1", "H200", 8)):
        q = MemoryQuestion.ask(model=name, gpus=device)
        size = float(stage_weights_bytes(q.network, q.weight, tp))
        assert size < 0.85 * q.devices[0].memory_bytes


def test_the_table_of_formats_has_the_stored_one():
    table = weights_table(MemoryQuestion.ask(model="gpt-oss-120b"), ["bf16", "fp8"])
    assert table["weight"].tolist() == ["experts MXFP4, rest BF16", "BF16", "FP8 (E4M3)"]
    assert table["weights_gb"].iloc[0] == pytest.approx(65.2, rel=0.01)
    plain = with_stored(model("llama-3.1-8b"), ["fp8", "int4"])
    assert [form.id for form in plain] == ["fp8", "int4-awq"]


def test_a_file_whose_format_is_not_known_needs_one_named(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(LLAMA | {"quantization_config": {"quant_method": "new"}}))
    with pytest.raises(InputError, match="--weights"):
        MemoryQuestion.ask(model=str(path))
    assert MemoryQuestion.ask(model=str(path), weights="fp8").weight.id == "fp8"


def test_a_file_that_is_read_twice_is_the_same_model():
    one, two = (read({"quant_algo": "FP8"}) for _ in range(2))
    assert one.blocks == (one,)
    assert one == two
    assert hash(one) == hash(two)


def _bytes(network):
    return stored_bytes(network, weight_format(network))


def test_mlx_counts_its_embedding_its_head_and_modules_with_their_own_bits():
    section = {"group_size": 64, "bits": 4}
    config = {
        "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "vocab_size": 151_936,
        "hidden_size": 5120, "intermediate_size": 17_408, "num_hidden_layers": 40,
        "num_attention_heads": 40, "num_key_value_heads": 8, "head_dim": 128,
        "tie_word_embeddings": False, "quantization": section,
    }  # fmt: skip
    mine = read(section, config)
    assert "MLX" in mine.warnings[0]
    stored = 8_307_783_680  # total_size of Qwen3-14B-MLX-4bit's model.safetensors.index.json
    assert _bytes(mine) == pytest.approx(stored, rel=1e-5)
    own = {"bits": 8, "group_size": 64, "mode": "affine"}
    more = section | {"language_model.model.embed_tokens": own, "model.layers.0.mlp": False}
    larger = read(more, config | {"quantization": more})
    embedding, mlp = 151_936 * 5120, 3 * 5120 * 17_408
    grown = embedding * 4 / 8 + mlp * 11.5 / 8
    assert _bytes(larger) - _bytes(mine) == pytest.approx(grown, rel=1e-3)


def test_a_group_without_weights_changes_no_weights():
    plain = compressed(INT4)
    activations = {"targets": ["LlamaAttention"], "weights": None, "input_activations": FP8}
    groups = plain["config_groups"] | {"group_1": activations}
    assert read(plain | {"config_groups": groups}).stored == read(plain).stored == "int4-sym"


def test_classes_of_targets_are_told_apart():
    plain = compressed(INT4)
    embedding = {"targets": ["Embedding"], "weights": FP8 | {"strategy": "channel"}}
    groups = plain["config_groups"] | {"group_1": embedding}
    mine = read(plain | {"config_groups": groups})
    assert mine.stored == "attention=int4-sym|mlp=int4-sym|embedding=fp8-a16|rest=bf16"
    assert "lm_head=int4-sym" in read(compressed(INT4, ignore=())).stored
    odd = read(compressed(INT4, targets=["LlamaMLP"]))
    with pytest.raises(InputError, match="class LlamaMLP, not read yet"):
        weight_format(odd)


def test_the_first_of_several_patterns_counts():
    groups = {
        "a": {"targets": ["re:.*mlp.down_proj"], "weights": FP8 | {"strategy": "channel"}},
        "b": {"targets": ["re:.*mlp.*"], "weights": INT4},
    }
    section = {"quant_method": "compressed-tensors", "config_groups": groups}
    assert "mlp=0.666667*int4-sym+0.333333*fp8-a16" in read(section).stored
    gptq = {"quant_method": "gptq", "bits": 4, "group_size": 128}
    dynamic = {r"-:.*mlp\.down_proj": {}, r"+:.*mlp.*": {"bits": 8}}
    stored = read(gptq | {"dynamic": dynamic}).stored
    assert "mlp=0.666667*int8-g128+0.333333*bf16" in stored


@pytest.mark.parametrize(
    ("section", "stored"),
    [
        ({"data_type": "mx_fp", "bits": 8, "act_bits": 8}, "mxfp8"),
        ({"data_type": "mx_fp_rceil", "bits": 4, "act_bits": 4}, "attention=mxfp4|mlp=mxfp4|"),
        ({"data_type": "mx_fp", "bits": 4}, "mxfp4-a16"),
        ({"data_type": "nv_fp4_with_static_gs", "bits": 4, "act_bits": 4}, "nvfp4"),
        ({"data_type": "fp8", "bits": 8, "act_bits": 8}, "fp8-channel"),
    ],
)
def test_autorounds_floats_have_their_bits(section, stored):
    found = read({"quant_method": "auto-round", "group_size": 32, **section}).stored
    assert found.startswith(stored)


def test_patterns_with_numbers_of_layers_take_few_steps_in_a_large_model():
    config = json.loads((FIXTURES / "deepseek-v3.json").read_text())
    section = {"quant_algo": "FP8", "ignore": [r"re:.*layers\.([0-9]|1[0-7])\.self_attn.*"] * 3}
    start = time.process_time()
    assert "attention=0.295082*bf16+0.704918*fp8-tensor" in read(section, config).stored
    assert time.process_time() - start < 5


def test_a_router_is_no_matrix_of_shared_experts():
    config = json.loads((FIXTURES / "qwen2-57b-a14b.json").read_text())
    section = {
        "quant_method": "auto-round",
        "bits": 4,
        "extra_config": {".*mlp.gate.*": {"bits": 16}},
    }
    assert read(section, config).stored == "int4-awq"


def test_torchaos_whole_numbers_of_any_width_are_not_taken_for_int8():
    section = {"default": {"_type": "Int8DynamicActivationIntxWeightConfig", "_data": {}}}
    odd = read({"quant_method": "torchao", "quant_type": section})
    with pytest.raises(InputError, match="IntxWeightConfig' is not read"):
        weight_format(odd)
    assert read({"load_in_8bit": True}).stored == "int8"


@pytest.mark.parametrize(
    "section",
    [
        compressed({"num_bits": 8, "type": "int", "strategy": "channel"}, active={"num_bits": 8}),
        {"quant_algo": "W8A8_SQ_PER_CHANNEL"},
    ],
)
def test_int8_activations_count_as_weights_only_and_the_answer_says_it(section):
    mine = read(section)
    assert mine.stored == "int8"
    assert "(W8A8)" in mine.warnings[0]
    assert "(W8A8)" in mine.doubts
    alone = compressed({"num_bits": 8, "type": "int", "strategy": "channel"})
    assert not read(alone).warnings


@given(
    st.lists(st.tuples(ATOMS, SIGNS), min_size=1, max_size=6),
    st.text(alphabet="ab.", max_size=4),
    st.integers(0, 9),
)
def test_what_no_digit_meets_no_number_meets(pieces, text, digit):
    pattern = "".join(a + ("" if a in "^$" else sign) for a, sign in pieces)
    try:
        node, loose = _compiled(pattern), _compiled(pattern, any_digit=True)
    except NotUnderstood:
        return
    if "[^" not in pattern and node(f"{text}{digit}", {0}, [0]):
        assert loose(f"{text}5", {0}, [0])


def test_a_wrong_key_of_a_file_is_named_at_a_question(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(LLAMA | {"num_attention_heads": 33, "head_dim": None}), "utf-8")
    with pytest.raises(InputError, match=r"^model: config.json num_attention_heads: 33 is not"):
        ServingQuestion.of({"model": str(path)})
