"""What `gpuspec model` understands of a model."""

import json

import pytest
from click.testing import CliRunner

from gpuspec.catalog.models.record import Model
from gpuspec.cli import main
from gpuspec.topics.memory.model import ModelQuestion, description, layer_kinds


def described(name, **asked):
    return description(ModelQuestion.ask(model=name, **asked))


def test_a_mixture_stored_in_four_bits():
    # Experts 114,711,330,816 weights at 4.25 bits, the rest in 16; 36 layers of 8 heads of 64,
    # half of which see 128 tokens.
    found = described("openai/gpt-oss-120b", context=131_072)
    assert found["params_text"] == found["params_total"] == 116_829_156_672
    assert found["weights_bytes"] == pytest.approx(65.2e9, rel=2e-3)
    assert found["kv_bytes_per_token"] == 18 * 2 * 8 * 64 * 2
    assert found["cache_bytes_at_context"] == 18 * 2048 * (131_072 + 128)
    assert sum(found["layers"].values()) == 36
    assert found["format"].startswith("experts MXFP4, rest BF16, as stored")


def test_a_hybrid_keeps_a_state_beside_its_cache():
    found = described("Qwen3.5-27B", context=131_072)
    assert found["kv_bytes_per_token"] == 65_536
    assert found["cache_bytes_at_context"] == 8 * 2**30
    assert found["state_bytes_per_sequence"] == 48 * (786_432 * 4 + 40_960 * 2)
    assert found["params_towers"] > 0
    assert found["params_mtp"] > 0
    assert found["layers"] == {"full attention": 16, "recurrent state": 48}


def test_what_is_asked_outranks_what_is_stored():
    found = described("openai/gpt-oss-120b", weights="bf16", kv="fp8")
    assert found["weights_bytes"] == 2 * 116_829_156_672
    assert found["kv_bytes_per_token"] == 18 * 2 * 8 * 64
    assert described("Qwen3-8B", weights_gb=12)["weights_bytes"] == pytest.approx(12e9)


def test_an_encoder_keeps_nothing():
    found = described("bert-base")
    assert found["cache_bytes_at_context"] == found["kv_bytes_per_token"] == 0


def test_a_context_beyond_the_models_own_is_said():
    assert "ends at" in described("bert-base", context=10_000)["warnings"][-1]


def test_layers_without_a_mixer_or_a_feed_forward_part_are_named():
    sizes = {"layers": 4, "hidden": 64, "heads": 4, "kv_heads": 2, "head_dim": 16, "vocab": 100}
    groups = json.dumps(
        [
            {"layers": "0", "mixer": "none", "norms_per_layer": 1},
            {"layers": "1", "ffn": 0, "norms_per_layer": 1},
            {"layers": "2", "index_topk": 8, "cache": "shared"},
        ]
    )
    network = Model(id="toy", name="Toy", ffn=128, groups=groups, **sizes)
    assert layer_kinds(network) == {
        "feed-forward only": 1,
        "full attention": 1,
        "full attention and 8 tokens chosen and an earlier layer's cache": 1,
        "full attention, no feed-forward": 1,
    }


def test_the_command_says_it_in_words():
    done = CliRunner().invoke(main, ["model", "Qwen3.5-27B"])
    assert done.exit_code == 0
    for words in (
        "16 of full attention",
        "48 of recurrent state",
        "65,536 bytes a token",
        "262,144",
    ):
        assert words in done.stdout
