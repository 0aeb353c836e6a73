"""The ways to split a model over GPUs, and why some of them do not work."""

from gpuspec.base.units import GIB
from gpuspec.catalog import Gpu
from gpuspec.catalog.fields import NODE_GPUS
from gpuspec.catalog.models import Model
from gpuspec.catalog.precision import Precision
from gpuspec.formulas.memory import sequence_kv_bytes
from gpuspec.formulas.serving import Deployment, cache_bytes

SIZES = (1, 2, 4, 8)


def layouts(network: Model, max_gpus: int) -> list[tuple[int, int]]:
    """Return (tp, pp) worth trying: tensor parallelism inside a node, pipeline stages beyond.

    A tensor-parallel size that does not divide the heads is left in: `impossible` says why it
    does not work.
    """
    found = [(tp, pp) for tp in SIZES for pp in (1, 2, 4, 8) if tp * pp <= max_gpus]
    return [(tp, pp) for tp, pp in found if pp == 1 or tp == NODE_GPUS or tp * pp <= NODE_GPUS]


def expert_split(network: Model, tp: int) -> int:
    """Return the GPUs over which whole experts are spread: all of `tp`, where they divide."""
    return tp if network.experts and network.experts % tp == 0 else 1


def impossible(network: Model, tp: int, pp: int, node_gpus: int = NODE_GPUS) -> str:
    """Return why a split does not work at all; empty where it does."""
    if network.heads % tp:
        return f"TP {tp} does not divide the {network.heads} attention heads"
    if tp > node_gpus:
        return f"TP {tp} crosses the {node_gpus} GPUs of a node"
    if pp > network.layers:
        return f"PP {pp} is more than the {network.layers} layers"
    if network.kv_heads % tp and tp % network.kv_heads:
        return f"TP {tp} neither divides the {network.kv_heads} KV heads nor is a multiple of them"
    return ""


def shortfall(replica: Deployment, context: int) -> str:
    """Return why one request of `context` tokens does not fit a replica; empty where it does."""
    layout = replica.layout
    free = float(cache_bytes(replica, context))
    network, shape = layout.network, (layout.tp, layout.pp)
    one = float(sequence_kv_bytes(network, context, layout.kv_bytes, *shape))
    if free <= 0:
        return f"weights and workspace are {-free / GIB:.1f} GiB a GPU too large"
    if free < one:
        return f"the cache of one request is {(one - free) / GIB:.1f} GiB a GPU too large"
    return ""


def precision_note(device: Gpu, weight: Precision) -> str:
    """Say what a GPU does with a precision in which it cannot compute; empty where it can."""
    if weight.id == "fp8" and "fp8" not in device.precisions:
        return f"{device.name} has no FP8 units: weights only, it computes in 16 bit"
    if weight.id == "mxfp4" and "fp4" not in device.precisions:
        return f"{device.name} has no FP4 units: weights only, it computes in 16 bit"
    return ""
