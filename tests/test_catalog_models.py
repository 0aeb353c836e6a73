"""The table of models: counts follow from dimensions, and the laws that they obey."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.catalog.models import (
    NO_WINDOW,
    Model,
    active_parameter_parts,
    model,
    models,
    parameter_parts,
)

TABLE = models().reset_index()
LLMS = TABLE.loc[TABLE["kind"] == "llm", "id"].tolist()
# Benchmark models, cut-down or only loosely named after their size, have no published count.
UNCOUNTED = {"mcore-gpt-1.7b", "nemotron-3-8b", "nemotron-3-22b"}
UNCOUNTED |= {f"grok-1-proxy-{layers}" for layers in (2, 4, 8, 16, 32)}
COUNTED = [name for name in LLMS if name not in UNCOUNTED]
IMAGES = TABLE.loc[TABLE["kind"] == "diffusion", "id"].tolist()
EXACT = TABLE.loc[(TABLE["kind"] == "llm") & (TABLE["params_precision"] == "exact"), "id"].tolist()
ACTIVE = TABLE.loc[TABLE["params_active_published"].notna(), "id"].tolist()
WITH_VISION = {"llama-4-scout", "llama-4-maverick"}  # published count includes the image encoder
WITHOUT_EMBEDDING = {"deepseek", "gpt-oss"}  # publishers who leave the table out of the active

DENSE = {
    "id": "made-up",
    "name": "Made up",
    "layers": 4,
    "hidden": 256,
    "heads": 8,
    "kv_heads": 2,
    "head_dim": 32,
    "ffn": 512,
    "vocab": 1000,
}
MOE = {"experts": 8, "active_experts": 2, "expert_ffn": 128}


def half_of_last_digit(value: int) -> float:
    digits = str(value)
    return 0.5 * 10 ** (len(digits) - len(digits.rstrip("0")))


def test_table_is_large_and_sourced():
    assert len(TABLE) >= 100
    assert TABLE["sources"].str.startswith("http").all()
    assert TABLE["source_seen"].str.fullmatch(r"\d{4}-\d\d-\d\d").all()


@pytest.mark.parametrize("name", COUNTED)
def test_computed_parameters_are_the_published_ones(name):
    m = model(name)
    allowed = max(0.01 * m.params_total, half_of_last_digit(m.params_total))
    assert abs(m.params - m.params_total) <= allowed


@pytest.mark.parametrize("name", sorted(set(EXACT) - WITH_VISION))
def test_exact_counts_are_met_exactly(name):
    assert model(name).params == model(name).params_total


@pytest.mark.parametrize("name", ACTIVE)
def test_active_parameters_are_the_published_ones(name):
    m = model(name)
    counted = m.params_active - (m.family in WITHOUT_EMBEDDING) * m.vocab * m.hidden
    assert counted == pytest.approx(m.params_active_published, rel=0.03)


@pytest.mark.parametrize("name", LLMS)
def test_parts_add_up_and_active_is_at_most_the_total(name):
    m = model(name)
    parts, active = parameter_parts(m), active_parameter_parts(m)
    assert sum(parts.values()) == m.params
    assert min(parts.values()) >= 0
    assert all(active[part] <= parts[part] for part in parts)
    assert (m.params_active < m.params) == (m.moe_layers > 0)
    looked_up = 2 * m.vocab * m.hidden + m.extra_lookup_params
    assert m.matmul_params_active >= m.params_active - looked_up - parts["norms"]


@pytest.mark.parametrize("name", TABLE["id"])
def test_every_name_of_a_row_finds_it(name):
    row = TABLE.loc[TABLE["id"] == name].iloc[0]
    for typed in (row["name"], *filter(None, row["aliases"].split("|"))):
        assert model(typed).id == name
        assert model(typed.upper()).id == name


@pytest.mark.parametrize(
    ("name", "kind", "elements"),
    [
        ("llama-2-7b", "mha", 2 * 32 * 128),
        ("llama-3.1-70b", "gqa", 2 * 8 * 128),
        ("falcon-7b", "mqa", 2 * 64),
        ("gemma-3-27b", "gqa", 2 * 16 * 128),
        ("deepseek-v3", "mla", 512 + 64),
    ],
)
def test_what_a_token_leaves_in_the_cache(name, kind, elements):
    assert model(name).attention == kind
    assert model(name).kv_elements_per_token_per_layer == elements


@pytest.mark.parametrize(
    ("name", "local", "window"),
    [
        ("llama-3.1-8b", 0, None),
        ("mistral-7b-v0.1", 32, 4096),
        ("gemma-2-9b", 21, 4096),
        ("gemma-3-4b", 29, 1024),
        ("gpt-oss-120b", 18, 128),
        ("llama-4-scout", 36, 8192),
        ("gemma-4-31b", 50, 1024),
        ("mimo-v2-flash", 39, 128),
        ("step-3.7-flash", 33, 512),
        ("exaone-4.0-32b", 48, 4096),
        ("olmo-3.1-32b", 48, 4096),
        ("command-a-111b", 48, 4096),
        ("ministral-8b-2410", 27, 32768),
        ("cwm-32b", 48, 8192),
    ],
)
def test_layer_windows(name, local, window):
    windows = model(name).layer_windows()
    assert windows.shape == (model(name).layers,)
    assert (windows < NO_WINDOW).sum() == local
    assert window is None or windows.min() == window
    assert np.minimum(100, windows).max() == 100


LONG_CACHE = """
qwen3.5-27b 65536
qwen3.5-35b-a3b 20480
qwen3.5-122b-a10b 24576
qwen3.5-397b-a17b 30720
qwen3-next-80b-a3b 24576
qwen3-coder-480b-a35b 253952
qwen3-vl-8b 147456
qwen3-vl-32b 262144
qwen3-vl-235b-a22b 192512
deepseek-v3.2 85888
kimi-k2 70272
kimi-k2.5 70272
kimi-k3 27648
glm-4.5 376832
glm-5 109824
glm-5.2 95232
minimax-m2.7 253952
minimax-m3 137472
gemma-4-31b 81920
gemma-4-26b-a4b 20480
nemotron-3-nano-30b-a3b 6144
nemotron-3-super-120b-a12b 8192
nemotron-3-ultra-550b-a55b 12288
llama-3.3-nemotron-super-49b 200704
mimo-v2-flash 23040
devstral-2-123b 360448
devstral-small-2-24b 163840
exaone-4.0-32b 65536
olmo-3.1-32b 65536
llama-3.2-90b-vision 327680
command-a-111b 65536
hy3-295b 327680
longcat-flash 64512
kimi-linear-48b-a3b 6912
ling-3.0-flash 8064
solar-open-100b 196608
a.x-k1 70272
"""
"""Bytes that a token far back keeps in a 16-bit cache: of layers that see everything."""


@pytest.mark.parametrize("line", LONG_CACHE.split("\n")[1:-1])
def test_what_a_token_keeps_in_a_long_cache(line):
    name, kept = line.split()
    m = model(name)
    each = m.by_layer(lambda block: block.kv_elements_per_token_per_layer + block.index_head_dim)
    assert 2 * each[m.layer_windows() == NO_WINDOW].sum() == int(kept)


def test_layer_windows_start_local():
    assert model("gemma-3-4b").layer_windows()[5] == NO_WINDOW
    assert model("gpt-oss-20b").layer_windows()[0] == 128


@pytest.mark.parametrize(
    ("name", "layers"),
    [("llama-3.1-8b", 0), ("mixtral-8x7b", 32), ("llama-4-maverick", 24), ("deepseek-v3", 58)],
)
def test_moe_layers(name, layers):
    assert model(name).moe_layers == layers


@pytest.mark.parametrize("name", IMAGES)
def test_image_models_have_parameters_but_no_cache(name):
    m = model(name)
    assert m.params == m.params_active == m.params_total > 0
    for ask in ("attention", "kv_elements_per_token_per_layer", "matmul_params_active"):
        with pytest.raises(InputError, match="language models only"):
            getattr(m, ask)
    with pytest.raises(InputError, match="language models only"):
        m.layer_windows()


@given(
    layers=st.integers(1, 200),
    groups=st.integers(1, 16),
    kv_heads=st.integers(1, 16),
    gated=st.booleans(),
    tied=st.booleans(),
    bias=st.sampled_from(["none", "qkv", "all"]),
    moe=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_laws_of_counting(layers, groups, kv_heads, gated, tied, bias, moe):
    fields = DENSE | {
        "layers": layers,
        "heads": groups * kv_heads,
        "kv_heads": kv_heads,
        "gated_mlp": gated,
        "tied_embeddings": tied,
        "attention_bias": bias,
        **(MOE if moe else {}),
    }
    m, taller = Model(**fields), Model(**fields | {"layers": layers + 1})
    assert taller.params > m.params
    assert sum(parameter_parts(m).values()) == m.params >= m.params_active
    assert Model(**fields | {"tied_embeddings": True}).params <= m.params
    assert Model(**fields | {"heads": 2 * m.heads}).params > m.params
    assert m.moe_layers == layers * moe


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kv_heads": 3}, "kv_heads"),
        ({"layers": 0}, "layers"),
        ({"layers": -1}, "layers"),
        ({"layers": 10_001}, "layers"),
        ({"hidden": 2_000_000}, "hidden"),
        ({"vocab": 10**8}, "vocab"),
        ({"heads": True}, "heads"),
        ({"heads": "many"}, "heads"),
        ({"ffn": 0}, "ffn"),
        ({"norm": "batchnorm"}, "norm"),
        ({"position": "learned"}, "learned_positions"),
        ({"wheels": 4}, "wheels"),
        ({"id": ""}, "id"),
        ({"experts": 4, "expert_ffn": 8}, "active_experts"),
        (MOE | {"active_experts": 9}, "active_experts"),
        (MOE | {"expert_ffn": 0}, "expert_ffn"),
        (MOE | {"dense_layers": 5}, "dense_layers"),
        (MOE | {"moe_every": 0}, "moe_every"),
        ({"kv_lora_rank": 64}, "qk_nope_head_dim"),
        (
            {"kv_lora_rank": 64, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8},
            "head_dim",
        ),
        ({"global_layers": (4,)}, "global_layers"),
        ({"kind": "diffusion"}, "params_total"),
    ],
)
def test_a_model_that_cannot_be_is_refused_by_field(change, field):
    with pytest.raises(InputError) as error:
        Model(**DENSE | change)
    assert error.value.field == field


def test_records_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Model(**DENSE).layers = 5


ROW = """id,name,layers,hidden,heads,kv_heads,head_dim,ffn,vocab
acme-1b,Acme-1B,16,2048,16,4,128,8192,32000
"""


def test_a_model_of_your_own(tmp_path, monkeypatch):
    (tmp_path / "models.csv").write_text(ROW)
    assert model("Acme 1B", data=tmp_path).kv_heads == 4
    assert len(models(tmp_path)) == len(TABLE) + 1
    with pytest.raises(UnknownNameError):
        model("acme-1b")
    monkeypatch.setenv("GPUSPEC_DATA", str(tmp_path))
    assert (
        model("acme-1b").params
        == 2 * 32000 * 2048
        + 16 * (2048 * (16 + 4 + 4 + 16) * 128 + 3 * 2048 * 8192 + 2 * 2048)
        + 2048
    )


def test_a_model_of_your_own_that_cannot_be(tmp_path):
    (tmp_path / "models.csv").write_text(ROW.replace(",16,4,128", ",16,5,128"))
    with pytest.raises(InputError, match="must divide the 16 heads"):
        model("acme-1b", data=tmp_path)


def test_unknown_and_ambiguous_names():
    with pytest.raises(UnknownNameError, match=r"llama-3\.1-70b"):
        model("llama-3.1-70bb")
    with pytest.raises(InputError, match="say which"):
        model("Llama 70B")
    for name in ("", "\0", "x" * 5000, "../etc"):
        with pytest.raises(InputError):
            model(name)
