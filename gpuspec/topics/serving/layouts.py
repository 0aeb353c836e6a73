"""The replicas that a question tries, and what a GPU does with a format."""

from collections.abc import Iterator

from gpuspec.base.units import GIB, NODE_GPUS
from gpuspec.catalog import Gpu
from gpuspec.catalog.precision import WeightFormat
from gpuspec.formulas.serving import Deployment, Layout, cache_bytes, request_bytes
from gpuspec.formulas.splits import Split, impossible, splits, uneven
from gpuspec.topics.serving.ask import ServingQuestion
from gpuspec.topics.serving.settings import engine_cannot


def replicas(
    question: ServingQuestion, device: Gpu, weight: WeightFormat
) -> Iterator[tuple[Split, Deployment, str]]:
    """Yield (split, replica, why it does not work) of every split that is tried.

    Once a node holds the model and a request, no replica takes a second one; nor does one that
    needs several take more of them than it must.
    """
    q, enough = question, 0
    for split in splits(q.network, q.max_gpus):
        if enough and split.gpus > max(NODE_GPUS, enough):
            return
        replica = q.replica(device, weight, *split)
        shared = replica.layout.attention_tp
        why = impossible(q.network, shared, split.pp) or engine_cannot(
            q.runtime.engine, replica.layout
        )
        why = why or shortfall(replica, q.held_context)
        enough = enough or (0 if why else split.gpus)
        yield split, replica, why


def unworkable(engine: str, layout: Layout) -> str:
    """Return why a layout that was asked for cannot run, memory aside; empty where it can.

    Groups may reach over nodes that a network joins.
    """
    network = layout.network
    found = uneven(network, layout.tp, layout.ep, layout.attention_dp)
    found = found or impossible(network, layout.attention_tp, layout.pp, layout.gpus)
    if not found and layout.nodes > 1 and not layout.fabric.node_bytes_s:
        found = f"no network joins the {layout.nodes} nodes of {layout.gpus} GPUs"
    return found or engine_cannot(engine, layout)


def shortfall(replica: Deployment, context: int) -> str:
    """Return why one request of `context` tokens does not fit a replica; empty where it does."""
    free, one = float(cache_bytes(replica, context)), float(request_bytes(replica, context))
    if free <= 0:
        return f"weights and workspace are {-free / GIB:.1f} GiB a GPU too large"
    if free < one:
        return f"the cache of one request is {(one - free) / GIB:.1f} GiB a GPU too large"
    return ""


def precision_note(device: Gpu, weight: WeightFormat) -> str:
    """Say what a GPU does with a format in which it cannot compute; empty where it can."""
    form = weight.main
    if not form.computes or form.native(device) == form.computes:
        return ""
    units = (form.units or form.computes).upper()
    return f"{device.name} has no {units} units: weights only, it computes in 16 bit"
