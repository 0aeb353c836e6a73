"""Ask aiconfigurator for the times and the throughput of each case (runs in its own environment).

A batch in a closed loop is its aggregated mode, a batch together its static mode, the largest load
its search. A dense model that it does not list is given by its dimensions.
"""

import json
import logging
import tempfile
from pathlib import Path

from aiconfigurator.cli.api import cli_estimate
from told import tell

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
    "gpt-oss-120b": "openai/gpt-oss-120b",
    "gpt-oss-20b": "openai/gpt-oss-20b",
    "kimi-k2.5": "moonshotai/Kimi-K2.5",
    "llama-4-maverick-17b-128e": "meta-llama/Llama-4-Maverick-17B-128E-Instruct",
    "llama-4-scout-17b-16e": "meta-llama/Llama-4-Scout-17B-16E-Instruct",
    "mixtral-8x22b": "mistralai/Mixtral-8x22B-v0.1",
    "mixtral-8x7b": "mistralai/Mixtral-8x7B-v0.1",
    "qwen3-235b-a22b": "Qwen/Qwen3-235B-A22B",
    "qwen3.5-397b-a17b": "Qwen/Qwen3.5-397B-A17B",
}
OWN_FORMAT = ("deepseek", "gpt-oss", "kimi")
"""Models whose published weights say the format of each part."""
LARGEST = [2**n for n in range(13)]
"""Batches that are tried for the largest load."""
FOLDER = Path(tempfile.mkdtemp())


def path_of(case):
    """Return the model's name, or a folder with a config of a Llama of its dimensions."""
    if case["model"] in LISTED:
        return LISTED[case["model"]]
    size = case["sizes"]
    if size["experts"] or not size["plain"]:
        raise ValueError(f"not listed: {case['model']}")
    folder = FOLDER / case["model"]
    folder.mkdir(exist_ok=True)
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
    batch = max(round(case["batch"] / groups), 1)
    if case["kind"] == "together":
        found = cli_estimate(*place, mode="static", batch_size=batch, **about)
        return figures(found)
    if case["kind"] == "loop":
        return figures(cli_estimate(*place, batch_size=batch, **about))
    tried = []
    for batch in LARGEST:
        try:
            found = cli_estimate(*place, batch_size=batch, **about)
        except RuntimeError:
            break
        if found.kv_cache_warning:
            break
        tried.append(figures(found))
    return max(tried, key=lambda one: one["output_tokens_s"])


def figures(found):
    return {
        "ttft_s": float(found.ttft) / 1e3,
        "tpot_s": float(found.tpot) / 1e3,
        "output_tokens_s": float(found.raw["tokens/s"]),
    }


logging.disable(logging.WARNING)
tell(answer)
