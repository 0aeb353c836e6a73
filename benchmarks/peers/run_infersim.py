"""Ask InferSim for the times and the throughput of each case (runs in its checkout).

It knows H20, H200 and H800; H100 is its H800 with the NVLink of an H100. It has no notion of a
largest load: each case brings the one that memory allows. Its time for a token counts no prompts: a
closed loop of n requests gives each token n - 1 prompts of others over the answer's length.
"""

import contextlib
import io
import json
import re
import sys
import tempfile
from argparse import Namespace
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))

from config.model_config import ModelConfig
from hardware.gpu import gpu_map
from models.model import Model
from told import tell

DEVICES = {"h20-sxm-96": "H20", "h100-sxm-80": "H800", "h200-sxm-141": "H200"}
gpu_map["H800"].nvlink_bw = gpu_map["H200"].nvlink_bw
CONFIG = Path(tempfile.mkdtemp()) / "config.json"


def config(case):
    size = case["sizes"]
    if not size["plain"] and not size["kv_lora_rank"]:
        raise NotImplementedError("layers that differ")
    found = {
        "model_type": "llama",
        "hidden_size": size["hidden"],
        "num_hidden_layers": size["layers"],
        "num_attention_heads": size["heads"],
        "num_key_value_heads": size["kv_heads"],
        "head_dim": size["head_dim"],
        "intermediate_size": size["ffn"],
    }
    if size["kv_lora_rank"]:
        ranks = ("kv_lora_rank", "q_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim")
        found |= {name: size[name] for name in (*ranks, "v_head_dim")}
    if size["experts"]:
        found |= {
            "num_experts": size["experts"],
            "num_experts_per_tok": size["active_experts"],
            "moe_intermediate_size": size["expert_ffn"],
            "num_shared_experts": size["shared_experts"],
        }
    CONFIG.write_text(json.dumps(found))
    return ModelConfig(str(CONFIG))


def said(text, name):
    return float(re.search(rf"{re.escape(name)}:\s+([\d.]+)", text)[1])


def run(case, batch, prompts):
    groups = case["attention_dp"]
    asked = Namespace(
        device_type=DEVICES[case["gpu"]],
        world_size=case["tp"],
        tp_size=case["tp"] // groups,
        num_nodes=1,
        max_prefill_tokens=case["isl"] * prompts,
        decode_bs=max(round(batch / groups), 1),
        target_tgs=1.0,
        target_tpot=1e9,
        target_isl=case["isl"],
        target_osl=case["osl"],
        use_fp8_gemm=case["weights"] == "fp8",
        use_fp8_kv=case["kv"] == "fp8",
        enable_deepep=False,
        enable_tbo=False,
        sm_ratio=1.0,
    )
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        model = Model(asked, config(case))
        for part in ("weights", "kvcache", "flops"):
            getattr(model, f"print_{part}_info")()
        model.prefill()
        model.decoding()
    text = printed.getvalue()
    return said(text, "TTFT (ms)") / 1e3, said(text, "TPOT (ms)") / 1e3


def answer(case):
    if case["weights"] not in ("fp8", "bf16", "fp16") or case["pp"] > 1:
        raise NotImplementedError("8 and 16 bit without pipelines")
    batch, osl = max(round(case["batch"]), 1), case["osl"]
    together = case["kind"] == "together"
    first, step = run(case, batch, batch if together else 1)
    tpot = step if together else step + (batch - 1) * first / osl
    return {
        "ttft_s": first,
        "tpot_s": tpot,
        "output_tokens_s": batch * osl / (first + tpot * (osl - 1)),
    }


tell(answer)
