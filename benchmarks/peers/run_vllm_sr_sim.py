"""Ask vllm-sr-sim for the times and the throughput of each case (runs in its own environment).

Its profiles are computed from the GPU and the dimensions of the model; it has no notion of a
largest load (each case brings the one that memory allows) and counts a mixture of experts that its
table lacks as dense in the experts that a token uses. A closed loop of n requests gives each token
of each of them n - 1 prompts of others over the answer's length.
"""

import math

from fleet_sim.gpu_profiles import ProfileBuilder, ServingConfig
from fleet_sim.hardware import A100_SXM, B200_SXM, H100_SXM, H200_SXM, L40S
from fleet_sim.models import ModelSpec
from told import tell

GPUS = {
    "a100-sxm-80": A100_SXM,
    "h100-sxm-80": H100_SXM,
    "h200-sxm-141": H200_SXM,
    "b200-sxm-180": B200_SXM,
    "l40s-pcie-48": L40S,
}
BYTES = {"fp16": 2.0, "bf16": 2.0, "fp8": 1.0, "int8": 1.0, "int4": 0.5, "nvfp4": 0.5, "mxfp4": 0.5}


def answer(case):
    size = case["sizes"]
    network = ModelSpec(
        name=case["model"],
        n_layers=size["layers"],
        n_heads=size["heads"],
        n_kv_heads=size["kv_heads"],
        hidden_size=size["hidden"],
        intermediate_size=size["shared_expert_ffn"] or size["ffn"],
        vocab_size=size["vocab"],
        max_position=131072,
        moe_intermediate_size=size["expert_ffn"],
        n_experts=size["experts"],
        n_experts_topk=size["active_experts"],
        n_shared_experts=size["shared_experts"],
    )
    isl, osl = case["isl"], case["osl"]
    middle = isl + osl // 2
    served = ServingConfig(
        tp=case["tp"], ep=case["ep"], dtype_bytes=BYTES[case["weights"]], mean_ctx_tokens=middle
    )
    profile = ProfileBuilder().build(GPUS[case["gpu"]], network, served)
    batch = max(round(case["batch"]), 1)
    together = case["kind"] == "together"
    chunk = min(isl, profile.chunk)
    active = batch if together else 1
    one = math.ceil(isl / chunk) * profile.prefill_iter_latency(chunk, isl / 2, active, middle)
    step = profile.iter_latency(batch, middle)
    ttft = one * batch if together else one
    tpot = step if together else step + (batch - 1) * one / osl
    seconds = ttft + tpot * (osl - 1)
    return {"ttft_s": ttft, "tpot_s": tpot, "output_tokens_s": batch * osl / seconds}


tell(answer)
