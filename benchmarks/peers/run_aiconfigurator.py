"""Ask aiconfigurator for the largest throughput of each case (runs in its own environment).

Reads a JSON list of cases from standard input, writes a list of output tokens a second (null
where it has no answer) and of seconds that each answer took.
"""

from aiconfigurator.sdk import config, models, perf_database
from aiconfigurator.sdk.backends.factory import get_backend
from aiconfigurator.sdk.inference_session import InferenceSession
from aiconfigurator_core.sdk import common
from told import tell

SYSTEMS = {"a100-sxm-80": "a100_sxm", "h100-sxm-80": "h100_sxm", "h200-sxm-141": "h200_sxm"}
VERSIONS = {"a100_sxm": "1.0.0", "h100_sxm": "1.3.0rc20", "h200_sxm": "1.3.0rc20"}


def answer(case):
    system = SYSTEMS[case["gpu"]]
    database = perf_database.get_database(system, "trtllm", VERSIONS[system])
    fp8 = case["weight_precision"] == "fp8"
    shape = config.ModelConfig(
        tp_size=case["tp"],
        gemm_quant_mode=common.GEMMQuantMode.fp8 if fp8 else common.GEMMQuantMode.bfloat16,
        kvcache_quant_mode=common.KVCacheQuantMode.fp8 if fp8 else common.KVCacheQuantMode.bfloat16,
        fmha_quant_mode=common.FMHAQuantMode.fp8 if fp8 else common.FMHAQuantMode.bfloat16,
    )
    network = models.get_model(case["hf_id"], shape, "trtllm")
    session = InferenceSession(network, database, get_backend("trtllm"))
    load = config.RuntimeConfig(isl=case["isl"], osl=case["osl"], ttft=1e9, tpot=1e9)
    found = session.find_best_agg_result_under_constraints(load, top_k=1, max_batch_size=4096)
    return float(found.get_summary_df()["tokens/s"].max())


tell(answer)
