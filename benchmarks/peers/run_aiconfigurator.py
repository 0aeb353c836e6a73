"""Ask aiconfigurator for the times and the throughput of each case (runs in its own environment).

A batch in a closed loop is its aggregated mode, a batch together its static mode, the largest load
the largest batch that it says fits. A dense model that it does not list is given by its dimensions.
Its tables' headers are read once: it parses them again for every estimate, which takes seconds.
"""

import json
import logging
import shutil
import tempfile
from functools import cache
from pathlib import Path

import aiconfigurator_core
import yaml
from aiconfigurator.cli.api import cli_estimate
from aiconfigurator_core.sdk import perf_database
from told import tell

yaml.SafeLoader = yaml.CSafeLoader
perf_database._load_collection_meta_yaml = cache(perf_database._load_collection_meta_yaml)

SYSTEMS = {
    "a100-sxm-80": "a100_sxm",
    "h100-sxm-80": "h100_sxm",
    "h200-sxm-141": "h200_sxm",
    "b200-sxm-180": "b200_sxm",
    "b300-sxm-288": "b300_sxm",
    "gb200-superchip-186": "gb200",
    "l40s-pcie-48": "l40s",
}
ENGINES = {"tensorrt-llm": "trtllm", "vllm": "vllm", "sglang": "sglang"}
LISTED = {
    "deepseek-r1": "deepseek-ai/DeepSeek-R1",
    "deepseek-v3": "deepseek-ai/DeepSeek-V3",
    "deepseek-v3.2": "deepseek-ai/DeepSeek-V3.2",
    "deepseek-v4-flash": "deepseek-ai/DeepSeek-V4-Flash",
    "glm-5": "zai-org/GLM-5",
    "gpt-oss-120b": "openai/gpt-oss-120b",
    "gpt-oss-20b": "openai/gpt-oss-20b",
    "kimi-k2": "moonshotai/Kimi-K2-Instruct",
    "kimi-k2.5": "moonshotai/Kimi-K2.5",
    "llama-4-maverick-17b-128e": "meta-llama/Llama-4-Maverick-17B-128E-Instruct",
    "llama-4-scout-17b-16e": "meta-llama/Llama-4-Scout-17B-16E-Instruct",
    "mixtral-8x22b": "mistralai/Mixtral-8x22B-v0.1",
    "mixtral-8x7b": "mistralai/Mixtral-8x7B-v0.1",
    "minimax-m2.5": "MiniMaxAI/MiniMax-M2.5",
    "minimax-m2.7": "MiniMaxAI/MiniMax-M2.7",
    "qwen3-30b-a3b": "Qwen/Qwen3-30B-A3B",
    "qwen3-235b-a22b": "Qwen/Qwen3-235B-A22B",
    "qwen3.5-397b-a17b": "Qwen/Qwen3.5-397B-A17B",
}
OWN_FORMAT = ("deepseek", "gpt-oss", "kimi", "glm", "minimax")
"""Models whose published weights say the format of each part."""
LARGEST = [2**n for n in range(12, -1, -1)]
"""Batches that are tried for the largest load."""
CONFIGS = Path(aiconfigurator_core.__file__).parent / "model_configs"
FOLDER = Path(tempfile.mkdtemp())


def path_of(case):
    """Return the model's name, or a folder with a config of a Llama of its dimensions."""
    folder, size, name = FOLDER / case["model"], case["sizes"], LISTED.get(case["model"])
    folder.mkdir(exist_ok=True)
    if name and "Mixtral" in name:  # ships with it, but is looked up on the net
        shutil.copy(CONFIGS / f"{name.replace('/', '--')}_config.json", folder / "config.json")
        return str(folder)
    if name:
        return name
    if size["experts"] or not size["plain"]:
        raise ValueError(f"not listed: {case['model']}")
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "num_hidden_layers": size["layers"],
        "hidden_size": size["hidden"],
        "num_attention_heads": size["heads"],
        "num_key_value_heads": size["kv_heads"],
        "head_dim": size["head_dim"],
        "intermediate_size": size["ffn"],
        "vocab_size": size["vocab"],
        "max_position_embeddings": 131072,
        "torch_dtype": "bfloat16",
    }
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


def formats(case):
    if case["model"].startswith(OWN_FORMAT):
        return {}
    weights = {"fp8": "fp8", "bf16": "bfloat16", "fp16": "bfloat16"}[case["weights"]]
    cache = "fp8" if case["kv"] == "fp8" else "bfloat16"
    return {"gemm_quant_mode": weights, "moe_quant_mode": weights, "kvcache_quant_mode": cache}


def answer(case):
    groups = case["attention_dp"]
    shape = {
        "tp_size": case["tp"] // groups,
        "attention_dp_size": groups,
        "pp_size": case["pp"],
    }
    if case["sizes"]["experts"]:
        shape |= {"moe_ep_size": case["ep"], "moe_tp_size": case["tp"] // case["ep"]}
    about = {"backend_name": ENGINES[case["engine"]], "isl": case["isl"], "osl": case["osl"]}
    about |= shape | formats(case)
    place = path_of(case), SYSTEMS[case["gpu"]]
    about["backend_version"] = newest(place[1], about["backend_name"])
    batch = max(round(case["batch"] / groups), 1)
    if case["kind"] == "together":
        found = cli_estimate(*place, mode="static", batch_size=batch, **about)
        return figures(found)
    if case["kind"] == "loop":
        return figures(cli_estimate(*place, batch_size=batch, **about))
    for batch in LARGEST:
        try:
            found = cli_estimate(*place, batch_size=batch, **about)
        except RuntimeError:  # out of memory
            continue
        if not found.kv_cache_warning:
            return figures(found)
    raise ValueError("no batch fits")


@cache
def newest(system, engine):
    """Return the newest version that it has tables of; looking it up reads every table's header."""
    return perf_database.get_latest_database_version(system=system, backend=engine)


def figures(found):
    return {
        "ttft_s": float(found.ttft) / 1e3,
        "tpot_s": float(found.tpot) / 1e3,
        "output_tokens_s": float(found.raw["tokens/s"]),
    }


logging.disable(logging.WARNING)
tell(answer)
