"""Ask GenZ for the throughput of each case at the batch that is given (own environment).

Reads a JSON list of cases from standard input, writes a list of output tokens a second (null
where it has no answer) and of seconds that each answer took. GenZ has no notion of a largest
batch: each case brings the one that memory allows.
"""

from GenZ import decode_moddeling, prefill_moddeling
from Systems.system_configs import system_configs
from told import tell

H100 = system_configs["H100_GPU"]
system_configs["H200_GPU"] = {**H100, "Memory_size": 141, "Memory_BW": 4800}
SYSTEMS = {"a100-sxm-80": "A100_80GB_GPU", "h100-sxm-80": "H100_GPU", "h200-sxm-141": "H200_GPU"}


def answer(case):
    batch, osl = int(case["batch"]), case["osl"]
    shared = {
        "model": case["hf_id"],
        "system_name": SYSTEMS[case["gpu"]],
        "bits": "int8" if case["weight_precision"] == "fp8" else "bf16",
        "tensor_parallel": case["tp"],
        "parallelism_heirarchy": f"TP{{{case['tp']}}}_EP{{1}}_PP{{1}}",
        "model_offload": True,
    }
    prefill = prefill_moddeling(batch_size=1, input_tokens=case["isl"], **shared)["Latency"]
    middle = {"input_tokens": case["isl"], "output_tokens": osl // 2, "Bb": 1}
    step = decode_moddeling(batch_size=batch, **middle, **shared)["Latency"]
    return batch * osl / ((batch * prefill + osl * step) / 1e3)


tell(answer)
