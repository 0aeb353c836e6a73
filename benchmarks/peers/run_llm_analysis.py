"""Ask llm-analysis for the step time of each training case (runs in its own environment).

Reads a JSON list of cases from standard input, writes a list of seconds a step (null where it
has no answer) and of seconds that each answer took. Everything that a case does not name stays
at the tool's own default: 16-bit weights and activations and, where ``efficiency`` is null, a
FLOP efficiency of 1. The tool counts every MLP as two matrices of four times the width and no
pipeline bubble; it has no context parallelism, so those cases get no answer, and by its own
checks neither do tensor-parallel groups of more than a node.
"""

from llm_analysis.analysis import train
from llm_analysis.config import ModelConfig, model_configs
from told import tell

GPUS = {"a100-sxm-80": "a100-sxm-80gb", "h100-sxm-80": "h100-sxm-80gb"}
RECOMPUTE = {"none": 0, "selective": 1, "full": 2}


def answer(case):
    if case["cp"] > 1:
        raise NotImplementedError("context parallelism")
    name = case["case_id"]
    model_configs[name] = ModelConfig(
        name=name,
        num_layers=case["layers"],
        n_head=case["heads"],
        num_key_value_heads=case["kv_heads"],
        hidden_dim=case["hidden"],
        ffn_embed_dim=case["ffn"],
        expansion_ratio=case["ffn"] / case["hidden"],
        vocab_size=case["vocab"],
        max_seq_len=case["seq_len"],
    )
    found = train(
        model_name=name,
        gpu_name=GPUS[case["gpu"]],
        log_level="ERROR",
        batch_size_per_gpu=case["micro_batch"],
        global_batch_size=case["global_batch"],
        seq_len=case["seq_len"],
        activation_recomputation=RECOMPUTE[case["recompute"]],
        ds_zero=case["zero_stage"],
        total_num_gpus=case["n_gpus"],
        tp_size=case["tp"],
        pp_size=case["pp"],
        dp_size=case["dp"],
        sp_size=case["tp"] if case["sequence_parallel"] else 1,
        flash_attn=case["attention"] != "eager",
        mlp_gated_linear_units=case["gated_mlp"],
        flops_efficiency=case["efficiency"],
    )
    return float(found["latency_per_iter"])


tell(answer)
