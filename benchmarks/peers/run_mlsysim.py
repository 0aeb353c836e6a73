"""Ask mlsysim for the step time of each training case (runs in its own environment).

Reads a JSON list of cases from standard input, writes a list of seconds a step (null where it
has no answer) and of seconds that each answer took. It gets the dimensions and parameters of
the model, the layout, the micro-batches and a fabric of the GPUs' generation (HDR with A100,
NDR with H100); everything else stays at its default, the efficiency of 0.5 included. ``overlap``
says whether gradients may travel during the backward pass. It counts 2 FLOP a parameter and
token, without attention, and has no context parallelism, so those cases get no answer.
"""

import warnings

from mlsysim import Systems
from mlsysim.core.units import ureg
from mlsysim.engine.solvers.distributed import DistributedModel
from mlsysim.models.types import TransformerWorkload
from mlsysim.systems.types import Fleet
from told import tell

NODES = {"a100-sxm-80": Systems.Nodes.DGX_A100, "h100-sxm-80": Systems.Nodes.DGX_H100}
FABRICS = {
    "a100-sxm-80": Systems.Fabrics.InfiniBand_HDR,
    "h100-sxm-80": Systems.Fabrics.InfiniBand_NDR,
}


def fleet(case):
    node, count = NODES[case["gpu"]], case["n_gpus"]
    in_node = min(count, node.accelerators_per_node)
    if count % in_node:
        raise ValueError("GPUs that do not fill their nodes")
    node = node.model_copy(update={"accelerators_per_node": in_node})
    return Fleet(name="case", node=node, count=count // in_node, fabric=FABRICS[case["gpu"]])


def answer(case):
    if case["cp"] > 1:
        raise NotImplementedError("context parallelism")
    network = TransformerWorkload(
        name=case["case_id"],
        architecture="Transformer",
        parameters=case["params"] * ureg.count,
        layers=case["layers"],
        hidden_dim=case["hidden"],
        heads=case["heads"],
        kv_heads=case["kv_heads"],
        vocab_size=case["vocab"],
    )
    pieces = max(case["global_batch"] // (case["dp"] * case["micro_batch"]), 1)
    piped = case["pp"] > 1
    found = DistributedModel().solve(
        network,
        fleet(case),
        batch_size=case["global_batch"],
        tp_size=case["tp"],
        pp_size=case["pp"],
        v_stages=case["interleave"],
        microbatch_count=pieces if piped else 1,
        gradient_accumulation_steps=1 if piped else pieces,
        zero_stage=case["zero_stage"],
        activation_recomputation=case["recompute"] == "full",
        overlap_comm=case["overlap"],
        seq_len=case["seq_len"],
    )
    return float(found.step_latency_total.m_as("s"))


warnings.simplefilter("ignore")
tell(answer)
