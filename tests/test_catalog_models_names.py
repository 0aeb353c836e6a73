"""Names of checkpoints that are no names of the table."""

import pytest

from gpuspec import model
from gpuspec.base.errors import InputError
from gpuspec.catalog.models.names import checkpoint, words_of


@pytest.mark.parametrize(
    ("name", "key", "stored"),
    [
        ("Qwen/Qwen3-32B-FP8", "qwen3-32b", "fp8"),
        ("zai-org/GLM-4.6-FP8", "glm-4.6", "fp8"),
        ("somebody/DeepSeek-V3.2-AWQ", "deepseek-v3.2", "int4-awq"),
        ("MiniMaxAI/MiniMax-M3-MXFP8", "minimax-m3", "mxfp8"),
        ("somebody/Qwen2.5-72B-Instruct-SFT", "qwen2.5-72b", ""),
        ("Qwen/Qwen2.5-Coder-32B-Instruct", "qwen2.5-32b", ""),
        ("Qwen/Qwen3-30B-A3B-FP8", "qwen3-30b-a3b", "fp8"),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507-FP8", "qwen3-30b-a3b-2507", "fp8"),
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


VENDORS = """
deepseek-ai/DeepSeek-V3.1 deepseek-v3
deepseek-ai/DeepSeek-V3.2-Exp deepseek-v3.2
deepseek-ai/DeepSeek-V4-Pro deepseek-v4-pro
deepseek-ai/DeepSeek-R1-0528 deepseek-r1
deepseek-ai/DeepSeek-R1-Distill-Llama-70B llama-3.3-70b
deepseek-ai/DeepSeek-R1-Distill-Llama-8B llama-3.1-8b
deepseek-ai/DeepSeek-R1-Distill-Qwen-32B qwen2.5-32b
Qwen/Qwen2.5-72B-Instruct qwen2.5-72b
Qwen/Qwen2-7B-Instruct qwen2.5-7b
Qwen/Qwen2.5-VL-72B-Instruct qwen2.5-vl-72b
Qwen/Qwen3-4B-Thinking-2507 qwen3-4b-2507
Qwen/Qwen3-Coder-30B-A3B-Instruct qwen3-30b-a3b-2507
Qwen/Qwen3-VL-235B-A22B-Thinking qwen3-vl-235b-a22b
Qwen/Qwen3.6-35B-A3B qwen3.5-35b-a3b
Qwen/Qwen3-Embedding-8B qwen3-embedding-8b
meta-llama/Meta-Llama-3.1-405B-Instruct llama-3.1-405b
meta-llama/Llama-3.2-11B-Vision-Instruct llama-3.2-11b-vision
mistralai/Mistral-Small-3.2-24B-Instruct-2506 mistral-small-3.1-24b
mistralai/Magistral-Small-2506 devstral-small-24b
mistralai/Mistral-Large-3-675B-Instruct-2512 mistral-large-3-675b
mistralai/Ministral-3-14B-Reasoning-2512 ministral-3-14b
zai-org/GLM-4.7 glm-4.6
zai-org/GLM-5.1 glm-5
moonshotai/Kimi-K2.6 kimi-k2.5
moonshotai/Kimi-K2-Thinking kimi-k2-thinking
nvidia/Llama-3.1-Nemotron-70B-Instruct-HF llama-3.1-70b
nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-BF16 nemotron-3-super-120b-a12b
nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-NVFP4 nemotron-3-super-120b-a12b-nvfp4
nvidia/Qwen3.5-397B-A17B-NVFP4 qwen3.5-397b-a17b-nvfp4
google/gemma-4-26B-A4B-it gemma-4-26b-a4b
google/gemma-3n-E4B-it gemma-3n-e4b
MiniMaxAI/MiniMax-M2.1 minimax-m2.5
XiaomiMiMo/MiMo-V2-Flash mimo-v2-flash
ibm-granite/granite-4.0-h-small granite-4.0-h-small
CohereLabs/c4ai-command-a-03-2025 command-a-111b
allenai/Olmo-3-32B-Think olmo-3.1-32b
tencent/Hunyuan-A13B-Instruct hunyuan-a13b
baidu/ERNIE-4.5-300B-A47B-PT ernie-4.5-300b-a47b
ByteDance-Seed/Seed-OSS-36B-Instruct seed-oss-36b
BAAI/bge-m3 bge-m3
intfloat/e5-mistral-7b-instruct e5-mistral-7b
openai/whisper-large-v3 whisper-large-v3
"""
"""Names of repositories, each with the id of its row."""


@pytest.mark.parametrize("line", VENDORS.split("\n")[1:-1])
def test_a_repository_is_the_row_of_its_model(line):
    name, key = line.split()
    assert model(name).id == model(name.split("/")[1]).id == model(name.lower()).id == key


# Rows that came later have some of the same words.
@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Mistral Small", "mistral-small-24b"),
        ("mistralai Mistral Large", "mistral-large-123b"),
        ("Phi mini", "phi-3-mini"),
        ("Microsoft Phi 4", "phi-4"),
        ("Llama 3.3", "llama-3.3-70b"),
        ("GLM", "glm-130b"),
        ("Qwen 72B", "qwen2.5-72b"),
        ("Qwen3 30B", "qwen3-30b-a3b"),
        ("30B Qwen3", "qwen3-30b-a3b"),
        ("Qwen3 235B-A22B", "qwen3-235b-a22b"),
        ("DeepSeek 0528", "deepseek-r1"),
    ],
)
def test_a_short_name_keeps_its_meaning(name, key):
    assert model(name).id == key


def test_who_tuned_it_is_named():
    assert "hermes3" in model("NousResearch/Hermes-3-Llama-3.1-70B").notes


@pytest.mark.parametrize(
    "name",
    [
        "Qwen/Qwen3-8B-VL-Omni",  # another network
        "Llama-3.1-13B",  # another size
        "Qwen/Qwen3-14B-Embedding",
        "meta-llama/Llama-3.2-7B-Vision",
        "mistralai/Mistral-7B-Instruct-v0.2",  # another version
        "microsoft/Phi-4-multimodal-instruct",
        "zai-org/GLM-4.6V-Flash",
        "Qwen/Qwen3-Omni-30B-A3B-Instruct",
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
