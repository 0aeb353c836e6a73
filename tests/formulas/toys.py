"""Small models, GPUs and constants with round numbers, so that a person can redo the arithmetic.

Joins are sums here (a sharpness of 1), shares are 1 and starts are 1 us, unless a test says
otherwise. `FAST` computes at once, so that only bytes take time; `WIDE` moves bytes at once, so
that only operations do.
"""

from gpuspec.catalog import gpu
from gpuspec.catalog.models import Model
from gpuspec.catalog.precision import Precision, TrainingRecipe
from gpuspec.constants.engine import EngineLimits, EngineTerms
from gpuspec.constants.kernels import Kernels
from gpuspec.constants.terms import GenerationTerms
from gpuspec.formulas.memory import MemoryTerms
from gpuspec.formulas.serving import Deployment, Layout

BF16 = Precision(id="bf16", name="BF16", bits=16)
INT4 = Precision(
    id="int4", name="INT4", bits=4, group_size=32, group_overhead_bits=32, quantized=True,
    quantizes="attention|mlp|experts",
)  # fmt: skip
"""5 bits a weight: 0.625 bytes."""
ADAMW = TrainingRecipe(
    id="toy", name="Toy", weight_bytes=2, grad_bytes=4, optimizer_bytes=12, step_bytes=3,
    reduced_bytes=4,
)  # fmt: skip

SIZES = {
    "layers": 4,
    "hidden": 100,
    "heads": 10,
    "kv_heads": 2,
    "head_dim": 10,
    "ffn": 300,
    "vocab": 1000,
    "max_context": 4096,
}
DENSE = Model(id="dense", name="Dense", **SIZES)
"""Attention 4 x 24,000, MLP 4 x 90,000, norms 900, embedding and head 100,000 each: 656,900."""
MHA = Model(id="mha", name="MHA", **{**SIZES, "kv_heads": 10})
MOE = Model(
    id="moe", name="MoE", **SIZES, experts=8, active_experts=2, expert_ffn=50, shared_experts=1,
    shared_expert_ffn=50, dense_layers=1,
)  # fmt: skip
"""One dense layer and three of 8 experts of 15,000 parameters, a shared one beside them."""
MLA = Model(
    id="mla", name="MLA", **{**SIZES, "kv_heads": 10}, v_head_dim=6, kv_lora_rank=30,
    q_lora_rank=40, qk_rope_head_dim=2, qk_nope_head_dim=8,
)  # fmt: skip
WINDOWED = Model(id="windowed", name="Windowed", **SIZES, sliding_window=64, global_every=2)
"""Two layers see 64 tokens, two see all."""

_GPU = gpu("H100").model_copy(
    update={
        "id": "toy",
        "memory_reported_mib": 1024,
        "l2_cache_mb": 1.0,
        "sm_count": 1,
        "nvlink_gb_s": 20.0,  # 1e10 bytes/s in one direction
        "pcie_gb_s": 2.0,  # 1e9 bytes/s in one direction
        "tdp_w": 100.0,
    }
)
FAST = _GPU.model_copy(
    update={"bf16_dense_tflops": 1e18, "fp8_dense_tflops": 1e18, "memory_bandwidth_gb_s": 1.0}
)
"""1e9 bytes/s, operations for nothing."""
WIDE = _GPU.model_copy(
    update={"bf16_dense_tflops": 1.0, "fp8_dense_tflops": 2.0, "memory_bandwidth_gb_s": 1e18}
)
"""1e12 operations/s (2e12 in FP8), bytes for nothing, one SM."""

ONE_US = 1e-6
MATMUL = {
    "peak_share": 1.0, "bandwidth_share": 1.0, "launch_us": 1.0, "sharpness": 1.0,
    "prologue_k": 0.0,
    "tile_overhead": 0.0, "split_us": 30.0, "depth_us": 0.0, "quantize_passes": 0.0,
}  # fmt: skip
DECODE = {
    "bandwidth_share": 1.0, "peak_share": 1.0, "launch_us": 1.0, "sharpness": 1.0, "split_us": 0.0,
    "head_passes": 0.0, "cache_gain": 0.0, "padded_queries": 0.0,
}  # fmt: skip
PREFILL = {
    "peak_share": 1.0,
    "bandwidth_share": 1.0,
    "launch_us": 1.0,
    "sharpness": 1.0,
    "short_tokens": 0.0,
}
EXPERTS = {
    "peak_share": 1.0,
    "bandwidth_share": 1.0,
    "launch_us": 1.0,
    "sharpness": 1.0,
    "row_tile": 1.0,
    "passes": 0.0,
}
COLLECTIVES = {
    "start_us": 1.0, "per_doubling_us": 0.0, "one_shot_share": 0.005, "ring_start_us": 2.0,
    "share_2": 1.0, "share_4": 1.0, "share_8": 1.0,
}  # fmt: skip


def kernels(device, matmul=None):
    """Kernels with the constants above; `matmul` holds those of other kinds."""
    kinds = {"bf16": MATMUL, "fp8": MATMUL, "int4-awq": MATMUL, "int8": MATMUL, **(matmul or {})}
    tables = {
        "matmul": kinds,
        "decode_attention": {
            f"{c}/{h}": DECODE for c in ("bf16", "fp8") for h in ("gqa", "mha", "mla")
        },
        "prefill_attention": {"bf16": PREFILL, "fp8": PREFILL},
        "experts": {"bf16": EXPERTS, "fp8": EXPERTS},
        "all_reduce": {"bf16": COLLECTIVES},
    }
    stored = {o: {k: {"terms": t} for k, t in table.items()} for o, table in tables.items()}
    return Kernels(
        gpu=device, library="tensorrt-llm", measured_on="toy", tables={"tensorrt-llm": stored}
    )


def layout(network, device, matmul=None, **split):
    """A replica's layout on a toy GPU."""
    made = Layout(network=network, gpu=device, **{"weight": BF16, **split})
    made.__dict__["kernels"] = kernels(device, matmul)
    return made


QUIET = {
    "iteration_us": 0.0, "sequence_us": 0.0, "layer_us": 0.0, "logit_bytes": 0.0, "reserve_gb": 0.0,
    "stream_us": 0.0, "expert_layer_us": 0.0,
    "eager_layer_us": 0.0, "eager_expert_us": 0.0, "request_ms": 0.0, "prompt_us": 0.0,
    "occupancy": 1.0, "collective_start_factor": 1.0, "collective_factor": 1.0,
}  # fmt: skip
"""An engine that adds nothing to its kernels."""


def replica(network, device, limits=None, memory=None, engine=None, silicon=None, **split):
    """A replica under an engine that adds only what `engine` says, on a GPU as `silicon` says."""
    return Deployment(
        layout=layout(network, device, **split),
        engine=EngineTerms(**{**QUIET, **(engine or {})}),
        limits=EngineLimits(**(limits or {})),
        memory=memory or MemoryTerms(context_bytes=0, communicator_bytes=0),
        silicon=GenerationTerms(**(silicon or {})),
    )
