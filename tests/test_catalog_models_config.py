"""config.json files: each family reproduces its row, and anything else gets one clear answer."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuspec.base.errors import InputError
from gpuspec.catalog.models import NO_WINDOW, model, model_from_config, models
from gpuspec.catalog.models.families import FAMILIES

FIXTURES = Path(__file__).parent / "fixtures" / "configs"
FILES = {path.stem: path for path in sorted(FIXTURES.glob("*.json"))}
CONFIGS = {name: json.loads(path.read_text()) for name, path in FILES.items()}
LLAMA = CONFIGS["llama-3.1-8b"]
STATED_ELSEWHERE = {
    "id", "name", "aliases", "family", "hf_id", "params_total", "params_precision",
    "params_active_published", "sources", "source_seen", "confidence", "notes", "stored_in",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(FILES) & set(models().index)))
def test_config_reproduces_the_row(name):
    read = model_from_config(FILES[name]).model_dump(exclude=STATED_ELSEWHERE)
    assert read == model(name).model_dump(exclude=STATED_ELSEWHERE)


def test_released_mpt_has_alibi_and_no_biases():
    m = model_from_config(FILES["mpt-7b-released"])
    assert (m.position, m.params) == ("alibi", 6_649_286_656)


def test_most_families_have_a_fixture():
    kinds = {c.get("text_config", c).get("model_type", c["model_type"]) for c in CONFIGS.values()}
    assert set(FAMILIES) - kinds == {"ministral", "RefinedWebModel"}


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


def test_unsupported_family_lists_what_is_close():
    with pytest.raises(InputError, match=r"did you mean qwen3_moe.*Supported: bloom"):
        model_from_config(LLAMA | {"model_type": "qwen3_moee"})
    with pytest.raises(
        InputError, match=r"'zzzz' is not valid; Supported: .*llama, .*RefinedWebModel"
    ):
        model_from_config(LLAMA | {"model_type": "zzzz"})


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
    | st.sampled_from(["full_attention", "multiquery_attention", *FAMILIES]),
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
