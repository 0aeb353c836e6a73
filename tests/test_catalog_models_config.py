"""config.json files: each family reproduces its row, and anything else gets one clear answer."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuspec.base.errors import InputError
from gpuspec.catalog.models import NO_WINDOW, model, model_from_config, models
from gpuspec.catalog.models.families import family, known
from gpuspec.catalog.models.groups import grouped

FIXTURES = Path(__file__).parent / "fixtures" / "configs"
FILES = {path.stem: path for path in sorted(FIXTURES.glob("*.json"))}
CONFIGS = {name: json.loads(path.read_text()) for name, path in FILES.items()}
LLAMA = CONFIGS["llama-3.1-8b"]
EXACT = [json.loads(line) for line in (FIXTURES / "exact_counts.jsonl").read_text().splitlines()]
OTHERS = {  # files that share a row's name, not its network
    "whisper-large-v2",  # cut to one layer
    "mixtral-8x22b",  # the base model's vocabulary
    "mpt-7b",  # as released, not as trained
    "olmo-2-7b",  # another vocabulary
}
STATED_ELSEWHERE = {
    "id", "name", "aliases", "family", "hf_id", "params_total", "params_precision",
    "params_active_published", "sources", "source_seen", "confidence", "notes", "tower", "warnings",
    "stored_in",    "tower_params", "mtp_params", "image_tokens",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(FILES) & set(models().index)))
def test_config_reproduces_the_row(name):
    read = model_from_config(FILES[name]).model_dump(exclude=STATED_ELSEWHERE)
    assert read == model(name).model_dump(exclude=STATED_ELSEWHERE)


SAME = [row for row in EXACT if row["name"] in models().index and row["name"] not in OTHERS]


@pytest.mark.parametrize("row", SAME, ids=[row["name"] for row in SAME])
def test_a_row_of_the_table_is_what_its_config_says(row):
    """The files hold the keys that matter for dimensions: not those of formats and contexts."""
    apart = STATED_ELSEWHERE | {"stored", "stored_kv", "weights_gb", "max_context"}
    read = model_from_config(row["config"])
    assert read.model_dump(exclude=apart) == model(row["name"]).model_dump(exclude=apart)


def test_released_mpt_has_alibi_and_no_biases():
    m = model_from_config(FILES["mpt-7b-released"])
    assert (m.position, m.params) == ("alibi", 6_649_286_656)


@pytest.mark.parametrize("row", EXACT, ids=[row["name"] for row in EXACT])
def test_counts_are_exact(row):
    """Against counts of the modules that the family's own code makes, and of its cache.

    ``buffers`` are weights that code does not call parameters: one bias an expert in a router.
    """
    m = model_from_config(row["config"])
    assert m.params == row["params"] + row["buffers"]
    assert m.tower_params == row.get("tower_params", m.tower_params)
    if "kv_bytes" in row:
        assert 2 * m.kv_elements_per_token == row["kv_bytes"]
    if "state" in row:
        states = (b.layers * (b.state_elements + b.conv_elements) for b in m.blocks)
        assert sum(states) == row["state"]
    if "cache_gib_128k" in row:
        assert _cache_bytes(m, 131_072) / 2**30 == pytest.approx(row["cache_gib_128k"], abs=6e-4)


def _cache_bytes(m, context):
    """Bytes of the cache of a context in 16 bits, by layer."""
    each = m.by_layer(lambda block: block.kv_elements_per_token_per_layer)
    index = m.by_layer(lambda block: block.index_head_dim)
    seen = np.minimum(context, m.layer_windows())
    return 2 * float((each * seen + index * context).sum())


@pytest.mark.parametrize("row", EXACT, ids=[row["name"] for row in EXACT])
def test_buffers_are_the_biases_of_routers(row):
    m = model_from_config(row["config"])
    biases = sum(b.moe_layers * b.experts * b.router_bias for b in m.blocks)
    assert row["buffers"] in (0, biases) or m.family in (
        "gemma4_text",
        "gemma4_unified_text",
        "olmo",
    )


def test_every_family_is_compared_or_says_that_it_is_not():
    compared = {row["config"]["model_type"] for row in EXACT}
    compared |= {
        c.get("text_config", c).get("model_type", c["model_type"]) for c in CONFIGS.values()
    }
    for name in sorted(set(known()) - compared):
        assert family(name).warning or _as_a_compared_one(name, compared), name


def _as_a_compared_one(name, compared):
    """A name for what is read exactly like a family that is compared."""
    mine = family(name)
    return any(
        replace(family(other), name="", like=(), classes=(), tower="", text="", warning="")
        == replace(mine, name="", like=(), classes=(), tower="", text="", warning="")
        for other in compared
        if other in known()
    )


def test_model_takes_a_path_and_names_it(tmp_path):
    folder = tmp_path / "Acme-8B"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(LLAMA))
    plain = tmp_path / "acme"
    plain.write_text(json.dumps(LLAMA))
    assert model(str(folder / "config.json")).id == "acme-8b"
    assert model(folder / "config.json").params == 8_030_261_248
    assert model(str(plain)).layers == 32
    assert model_from_config(LLAMA, name="My Model").id == "my-model"


def test_windows_of_a_config():
    qwen = CONFIGS["qwen2.5-7b"] | {"use_sliding_window": True, "max_window_layers": 20}
    assert (model_from_config(qwen).layer_windows() == NO_WINDOW).sum() == 20
    oss = CONFIGS["gpt-oss-20b"] | {"layer_types": ["full_attention"] + ["sliding_attention"] * 23}
    windows = model_from_config(oss).layer_windows()
    assert windows[0] == NO_WINDOW
    assert (windows[1:] == 128).all()


def test_code_in_a_config_is_not_run(tmp_path):
    trap = {"auto_map": {"AutoConfig": "os.system"}, "trust_remote_code": True, "extra": "rm -rf"}
    assert model_from_config(LLAMA | trap).params == 8_030_261_248


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_hidden_layers": None}, "num_hidden_layers: None .* missing"),
        ({"num_hidden_layers": "32"}, "num_hidden_layers: '32'"),
        ({"num_hidden_layers": True}, "num_hidden_layers: True"),
        ({"num_hidden_layers": 32.5}, "num_hidden_layers: 32.5"),
        ({"num_hidden_layers": -1}, "num_hidden_layers: -1"),
        ({"num_hidden_layers": 10_001}, "from 1 to 10,000"),
        ({"num_hidden_layers": [[]]}, "a list of 1"),
        ({"hidden_size": 2_000_000}, "hidden"),
        ({"hidden_size": 10**5000}, "bits"),
        ({"hidden_size": float("nan")}, "hidden_size: nan"),
        ({"vocab_size": 10_000_001}, "vocab_size: 10000001"),
        ({"num_key_value_heads": 7}, "kv_heads: 7"),
        ({"num_attention_heads": 7, "num_key_value_heads": 7}, "num_attention_heads: 7"),
        ({"tie_word_embeddings": 1}, "true or false"),
        ({"tie_word_embeddings": "false"}, "true or false"),
        ({"model_type": None}, "model_type: None"),
        ({"model_type": 3}, "model_type: 3"),
        ({"quantization_config": 4}, "quantization_config: 4"),
        ({"_name_or_path": 5}, "_name_or_path: 5"),
    ],
)
def test_a_bad_value_is_named(change, message):
    with pytest.raises(InputError, match=message):
        model_from_config(LLAMA | change)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("qwen3_moee", "did you mean qwen3_moe"),
        ("lama", "did you mean llama"),
        ("mistral9", "not read"),
        ("phi4", "not read"),
        ("zzzz", "not read"),
        ("zamba2", "shared by several layers, with adapters"),
        ("rwkv", "recurrent layers are not read"),
    ],
)
def test_a_refusal_suggests_a_slip_and_never_another_architecture(kind, message):
    with pytest.raises(InputError, match=message) as refusal:
        model_from_config(LLAMA | {"model_type": kind, "architectures": None})
    assert ("did you mean" in str(refusal.value)) == ("did you mean" in message)


@pytest.mark.parametrize(
    ("kind", "architecture"),
    [("gpt2", "GPT2LMHeadCustomModel"), ("llama", "LlamoeForCausalLM"), ("llama", "MistralModel")],
)
def test_architectures_that_contradict_are_refused(kind, architecture):
    config = CONFIGS["gpt2-124m"] if kind == "gpt2" else LLAMA
    with pytest.raises(InputError, match="architectures"):
        model_from_config(config | {"architectures": [architecture]})


def test_code_that_contradicts_is_refused_without_architectures():
    mapped = {"AutoModelForCausalLM": "modeling_gpt2_mq.GPT2LMHeadCustomModel"}
    with pytest.raises(InputError, match="GPT2LMHeadCustomModel"):
        model_from_config(CONFIGS["gpt2-124m"] | {"architectures": None, "auto_map": mapped})


def test_an_unknown_wrapper_of_a_known_language_model_is_read_and_said():
    inner = {"text_config": CONFIGS["qwen3-8b"], "vision_config": {"a": 1}}
    wrapped = inner | {"model_type": "fancy_vl"}
    m = model_from_config(wrapped)
    assert (m.params, m.tower, m.tower_params) == (8_190_735_360, "vision", 0)
    assert any("fancy_vl is not known" in said for said in m.warnings)
    assert any("vision tower are not counted" in said for said in m.warnings)


def test_a_section_that_leaves_out_sizes_has_those_of_its_class():
    text = {"model_type": "llama", "vocab_size": 32_064, "max_position_embeddings": 4096}
    m = model_from_config({"model_type": "llava", "text_config": text})
    assert m.params == 6_738_415_616 + 2 * 64 * 4096
    with pytest.raises(InputError, match="num_hidden_layers"):
        model_from_config(text)


def test_a_decoder_for_embeddings_has_no_output_projection():
    m = model_from_config(LLAMA | {"architectures": ["LlamaModel"]})
    assert (m.kind, m.params) == ("encoder", 8_030_261_248 - 128_256 * 4096)
    ranks = LLAMA | {"architectures": ["LlamaForSequenceClassification"], "id2label": {"0": "x"}}
    assert model_from_config(ranks).params == m.params + 4096


def test_an_unknown_name_of_a_known_architecture_is_read_and_said():
    config = CONFIGS["deepseek-v3"] | {
        "model_type": "kimi_k9",
        "architectures": ["DeepseekV3ForCausalLM"],
    }
    m = model_from_config(config)
    assert m.params == model_from_config(CONFIGS["deepseek-v3"]).params
    assert "read as deepseek_v3" in m.warnings[0]
    long = model_from_config(config | {"model_type": "H100," * 900})
    assert len(long.warnings[0]) < 300


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_local_experts": 8, "num_experts_per_tok": 2}, "num_local_experts: 8"),
        ({"mystery_per_layer": list(range(32))}, "mystery_per_layer"),
        ({"layer_types": ["full_attention"] * 31 + ["retention"]}, "'retention'.* not read"),
        ({"layer_types": ["mamba"] * 32}, "recurrent layers of llama"),
        ({"n_head": 16}, "n_head: 16 .* num_attention_heads says 32"),
    ],
)
def test_a_structural_key_is_never_skipped(change, message):
    with pytest.raises(InputError, match=message):
        model_from_config(LLAMA | change)


def test_a_doubtful_key_is_named():
    said = model_from_config(LLAMA | {"my_extra_attention": 3}).warnings
    assert [sentence for sentence in said if "my_extra_attention" in sentence]
    assert not model_from_config(LLAMA).warnings


YARN = {"rope_type": "yarn"}
BEFORE = "original_max_position_embeddings"


@pytest.mark.parametrize(
    ("limit", "scaling", "context"),
    [
        (32_768, {"type": "yarn", "factor": 4.0, BEFORE: 32_768}, 131_072),
        (65_536, {"type": "yarn", "factor": 16, BEFORE: 4096}, 65_536),
        (40_960, YARN | {"factor": 4, BEFORE: 32_768}, 131_072),
        (32_768, YARN | {"factor": 2}, 65_536),
        (131_072, {"rope_type": "llama3", "factor": 8, BEFORE: 8192}, 131_072),
        (131_072, {"type": "longrope", "factor": 32, BEFORE: 4096}, 131_072),
        (4096, {"type": "linear", "factor": 2.0}, 8192),
        (131_072, {"rope_type": "linear", "factor": 8.0}, 131_072),
        (32_768, {"type": "mrope", "mrope_section": [1, 2]}, 32_768),
        (8192, None, 8192),
    ],
)
def test_the_context_is_scaled_once(limit, scaling, context):
    config = LLAMA | {"max_position_embeddings": limit, "rope_scaling": scaling}
    assert model_from_config(config).max_context == context
    config["rope_parameters"] = config.pop("rope_scaling")
    assert model_from_config(config).max_context == context


WORDS = ("full_attention", "sliding_attention")


@given(
    st.lists(st.sampled_from(WORDS), min_size=2, max_size=24),
    st.integers(0, 6),
    st.integers(1, 8),
    st.integers(1, 10**6),
)
@settings(max_examples=100, deadline=None)
def test_layers_add_up_and_a_longer_context_needs_no_less(kinds, dense, experts, context):
    """Random lists of layers: parts of the groups are those of the whole."""
    config = CONFIGS["qwen3-30b-a3b"] | {
        "num_hidden_layers": len(kinds), "layer_types": kinds, "sliding_window": 1000,
        "num_experts": 2 * experts, "num_experts_per_tok": experts,
        "mlp_only_layers": list(range(min(dense, len(kinds) - 1))),
    }  # fmt: skip
    m = model_from_config(config)
    dense = config["mlp_only_layers"]
    one = {"num_hidden_layers": 1}
    layers = [
        model_from_config(
            config | one | {"layer_types": [kind], "mlp_only_layers": [0] * (n in dense)}
        )
        for n, kind in enumerate(kinds)
    ]
    outside = m.hidden + 2 * m.vocab * m.hidden
    assert m.params - outside == sum(one.params - outside for one in layers)
    assert _cache_bytes(m, context) == sum(_cache_bytes(one, context) for one in layers)
    assert _cache_bytes(m, context) <= _cache_bytes(m, context + 1)


@given(st.lists(st.sampled_from([{"ffn": 1}, {"ffn": 2}, {"ffn": 3}]), min_size=1, max_size=20))
def test_groups_hold_every_layer_once(layers):
    most, groups = grouped(layers)
    found = [most] * len(layers)
    for group in groups:
        for layer in group.layers:
            found[layer] = most | dict(group.fields)
    assert found == layers


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "readable JSON"),
        (b"{", "readable JSON"),
        (b"\x80\x81\x00PK", "not in UTF-8"),
        (b"[1, 2]", "JSON object"),
        (b"null", "JSON object"),
        (b"[" * 100_000, "too deeply|readable JSON"),
        (b'{"model_type": "llama", "num_hidden_layers": ' + b"9" * 6000 + b"}", "6,000 digits"),
        (b" " * 2**24 + b"{}", "at most 16,777,216 bytes"),
    ],
)
def test_a_file_that_is_no_config(tmp_path, content, message):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        model_from_config(path)


def test_no_file_at_all(tmp_path):
    folder = tmp_path / "folder.json"
    folder.mkdir()
    for source in (tmp_path / "none.json", folder, "/dev/zero", "", "a\0b.json", 7, None, ["x"]):
        with pytest.raises(InputError):
            model_from_config(source)
    with pytest.raises(InputError, match="folder"):
        model(str(folder))


def test_odd_but_valid_json(tmp_path):
    path = tmp_path / "config.json"
    text = json.dumps(LLAMA | {"initializer_range": float("nan"), "deep": [[[[{}]]]]})
    path.write_text("\ufeff" + text, encoding="utf-8")
    assert model_from_config(path).vocab == 128_256


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.integers(0, 64)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["full_attention", "multiquery_attention", *known()]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_nothing_but_input_errors(data):
    """Start from a real file; drop or replace a few keys; read a model or complain."""
    config = json.loads(json.dumps(CONFIGS[data.draw(st.sampled_from(sorted(CONFIGS)))]))
    for _ in range(data.draw(st.integers(1, 4))):
        section = config.get("text_config") if data.draw(st.booleans()) else config
        section = section if isinstance(section, dict) and section else config
        key = data.draw(st.sampled_from(sorted(section) or ["model_type"]))
        if data.draw(st.booleans()):
            section.pop(key, None)
        else:
            section[key] = data.draw(JSON)
    _reads_or_complains(config)


@given(st.dictionaries(st.text(max_size=8) | st.sampled_from(sorted(LLAMA)), JSON, max_size=6))
@settings(max_examples=100, deadline=None)
def test_nothing_but_input_errors_from_scratch(config):
    _reads_or_complains(config)


def _reads_or_complains(config):
    try:
        m = model_from_config(config)
    except InputError as error:
        complaint = error
    else:
        assert m.params > 0
        assert m.layer_windows().shape == (m.layers,)
        return
    assert len(str(complaint)) < 2000


@pytest.mark.parametrize("key", ["visual", "vision_config", "audio_config"])
def test_a_tower_of_a_family_that_has_none_is_named(key):
    m = model_from_config(LLAMA | {key: {"layers": 48, "width": 1664}})
    assert m.warnings == (f"parameters of what {key} describes are not counted: add their memory",)


def test_another_architectures_name_is_no_slip_of_the_pen():
    odd = LLAMA | {"model_type": "molmo", "architectures": ["MolmoForCausalLM"]}
    with pytest.raises(InputError, match="'molmo' is not valid; this architecture is not read"):
        model_from_config(odd)
    with pytest.raises(InputError, match="did you mean olmo"):
        model_from_config(odd | {"architectures": []})
