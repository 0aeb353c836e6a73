"""Names of checkpoints that are no names of the table."""

import pytest

from gpuspec import model
from gpuspec.base.errors import InputError
from gpuspec.catalog.models.names import checkpoint, words_of


@pytest.mark.parametrize(
    ("name", "key", "stored"),
    [
        ("Qwen/Qwen2.5-72B-Instruct", "qwen2.5-72b", ""),
        ("Qwen/Qwen2.5-Coder-32B-Instruct", "qwen2.5-32b", ""),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507-FP8", "qwen3-30b-a3b", "fp8"),
        ("nvidia/Llama-3.1-70B-Instruct-FP8", "llama-3.1-70b", "fp8"),
        ("somebody/Meta-Llama-3.1-8B-Instruct-quantized.w8a8", "llama-3.1-8b", "int8"),
        ("somebody/Mixtral-8x7B-Instruct-v0.1-GPTQ", "mixtral-8x7b", "int4-awq"),
        ("somebody/dolphin-2.9-llama3-8b", "llama-3-8b", ""),
        ("nvidia/DeepSeek-V3-0324-NVFP4", "deepseek-v3", "nvfp4"),
        ("somebody/gemma-3-12b-it-FP8-dynamic", "gemma-3-12b", "fp8"),
    ],
)
def test_a_checkpoint_has_the_dimensions_of_its_model(name, key, stored):
    base, copy = model(key), model(name)
    assert (copy.id, copy.params, copy.stored) == (key, base.params, stored or base.stored)
    assert copy.name == name.split("/")[-1]
    assert base.name in copy.notes


def test_who_tuned_it_is_named():
    assert "hermes3" in model("NousResearch/Hermes-3-Llama-3.1-70B").notes


@pytest.mark.parametrize(
    "name",
    [
        "Qwen/Qwen3-8B-VL-Omni",  # another network
        "Llama-3.1-13B",  # another size
        "Qwen/Qwen3-8B-Embedding",
        "meta-llama/Llama-3.2-7B-Vision",
        "mistralai/Mistral-7B-Instruct-v0.2",  # another version
        "8b",
        "instruct",
        "x" * 100_000,
    ],
)
def test_another_network_is_not_taken_for_one_of_the_table(name):
    with pytest.raises(InputError):
        model(name)


def test_the_most_words_win_and_a_tie_is_nothing():
    labels = {"a": ["Fam-1-7B"], "b": ["Fam-1-7B-Long"], "c": ["Fam-1-7B-Wide"]}
    assert checkpoint("Fam-1-7B-Long-Chat", labels).id == "b"
    assert checkpoint("Fam-1-7B-Long-Wide", labels) is None
    assert words_of("org/Fam-1-7B") == ("fam1", "7b")
