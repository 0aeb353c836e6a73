"""Ask GenZ for the times and the throughput of each case (runs in its own environment).

It gets the dimensions of the model and an efficiency of 1, its default. It has no notion of a
largest load: each case brings the one that memory allows. A closed loop of n requests gives each
token of each of them n - 1 prompts of others over the answer's length.
"""

from GenZ import decode_moddeling, prefill_moddeling
from GenZ.Models.default_models import ModelConfig
from Systems.system_configs import system_configs
from told import tell

H100 = system_configs["H100_GPU"]
system_configs["H200_GPU"] = {**H100, "Memory_size": 141, "Memory_BW": 4800}
SYSTEMS = {
    "a100-sxm-40": "A100_40GB_GPU",
    "a100-sxm-80": "A100_80GB_GPU",
    "h100-sxm-80": "H100_GPU",
    "h200-sxm-141": "H200_GPU",
}
BITS = {"fp8": "int8", "int8": "int8", "int4": "int4", "bf16": "bf16", "fp16": "bf16"}


def network(case):
    size = case["sizes"]
    if size["kv_lora_rank"]:
        raise NotImplementedError("latent attention")
    experts = {}
    if size["experts"]:
        experts = {
            "num_experts": size["experts"],
            "expert_top_k": size["active_experts"],
            "moe_intermediate_size": size["expert_ffn"],
            "n_shared_experts": size["shared_experts"],
            "shared_expert_intermediate_size": size["shared_expert_ffn"],
        }
    return ModelConfig(
        model=case["model"],
        vocab_size=size["vocab"],
        hidden_size=size["hidden"],
        intermediate_size=size["ffn"] or size["expert_ffn"],
        num_ffi=2,
        num_decoder_layers=size["layers"],
        num_attention_heads=size["heads"],
        num_key_value_heads=size["kv_heads"],
        head_dim=size["head_dim"],
        **experts,
    )


def answer(case):
    batch, isl, osl = max(round(case["batch"]), 1), case["isl"], case["osl"]
    tp, ep, pp = case["tp"] // case["ep"], case["ep"], case["pp"]
    shared = {
        "model": network(case),
        "system_name": SYSTEMS[case["gpu"]],
        "bits": BITS[case["weights"]],
        "tensor_parallel": tp,
        "expert_parallel": ep,
        "pipeline_parallel": pp,
        "parallelism_heirarchy": f"TP{{{tp}}}_EP{{{ep}}}_PP{{{pp}}}",
        "model_offload": False,
    }
    together = case["kind"] == "together"
    at_once = batch if together else 1
    first = prefill_moddeling(batch_size=at_once, input_tokens=isl, **shared)["Latency"] / 1e3
    middle = {"input_tokens": isl, "output_tokens": osl // 2, "Bb": 1}
    step = decode_moddeling(batch_size=batch, **middle, **shared)["Latency"] / 1e3
    tpot = step if together else step + (batch - 1) * first / osl
    rate = batch * osl / (first + tpot * (osl - 1))
    return {"ttft_s": first, "tpot_s": tpot, "output_tokens_s": rate}


tell(answer)
