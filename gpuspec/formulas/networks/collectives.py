"""Seconds of NCCL's collectives over the links of a node and the network between nodes."""

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.errors import UnknownNameError
from gpuspec.base.units import MICRO, Floats
from gpuspec.constants.links import SWITCH_GPUS, Fabric

OPERATIONS = (
    "all_reduce",
    "all_gather",
    "reduce_scatter",
    "all_to_all",
    "broadcast",
    "point_to_point",
)

LOSS_NODES = 8
"""Nodes from which more of them cost no more bandwidth: 128 nodes were measured at full rate."""


def wire_factor(operation: str, gpus: ArrayLike) -> Floats:
    """Bytes that cross the link of a GPU for each byte of the message.

    References
    ----------
    nccl-tests, doc/PERFORMANCE.md: bus bandwidth is algorithm bandwidth times this factor.

    >>> wire_factor("all_reduce", [2, 8]).tolist()
    [1.0, 1.75]
    """
    n = np.maximum(np.asarray(gpus, float), 1.0)
    if operation == "all_reduce":
        return np.asarray(2 * (n - 1) / n)
    if operation in ("all_gather", "reduce_scatter", "all_to_all"):
        return np.asarray((n - 1) / n)
    if operation in ("broadcast", "point_to_point"):
        return np.asarray(np.where(n > 1, 1.0, 0.0))
    raise UnknownNameError("operation", operation, OPERATIONS)


def collective_seconds(
    operation: str,
    message_bytes: ArrayLike,
    fabric: Fabric,
    gpus_per_node: ArrayLike = 8,
    nodes: ArrayLike = 1,
    groups_per_node: ArrayLike = 1,
) -> Floats:
    """Seconds of a collective; 0 where one GPU is alone.

    Parameters
    ----------
    operation : str
        ``all_reduce``, ``all_gather``, ``reduce_scatter``, ``all_to_all``, ``broadcast`` or
        ``point_to_point`` (the neighbour; across nodes where `nodes` > 1).
    message_bytes : array_like
        As nccl-tests counts its size: the whole vector; for all-gather and reduce-scatter that
        of all ranks together, for all-to-all what one GPU sends, its own part included.
    fabric : Fabric
        Links, network and their fitted constants.
    gpus_per_node, nodes : array_like
        Members of the group in each node, and nodes.
    groups_per_node : array_like
        Groups that use the node's network at the same time, each with its share.

    Raises
    ------
    UnknownNameError
        For another operation; lists the valid ones.

    References
    ----------
    Thakur et al. 2005, doi:10.1177/1094342005051521 (costs of collectives); NCCL's tuner,
    src/graph/tuning.cc (protocols, steps); Rabenseifner 2004 (reduce-scatter inside, exchange
    outside, gather inside).
    """
    size = np.asarray(message_bytes, float)
    g, n_nodes = np.asarray(gpus_per_node, float), np.asarray(nodes, float)
    gpus = g * n_nodes
    inside = _inside(operation, size, g, fabric)
    if fabric.node_bytes_s:
        share = np.asarray(groups_per_node, float)
        across = _across(operation, size, g, np.maximum(n_nodes, 2.0), share, fabric)
        seconds = np.where(n_nodes > 1, across, inside)
    else:
        seconds = np.where(n_nodes > 1, np.inf, inside)
    return np.asarray(np.where(gpus > 1, seconds, 0.0))


def _inside(operation: str, size: Floats, gpus: Floats, fabric: Fabric) -> Floats:
    """Seconds over the links of one node; 0 for one GPU."""
    if fabric.bridge is not None:
        whole = fabric.model_copy(update={"bridge": None})
        bridged = _inside(operation, size, gpus, fabric.bridge)
        joined = gpus <= fabric.bridge.island
        return np.asarray(np.where(joined, bridged, _inside(operation, size, gpus, whole)))
    n, t, link = np.maximum(gpus, 1.0), fabric.link, fabric.link_bytes_s
    crowd = 1 + t.crowd_loss * np.maximum(n - 2, 0)
    moved = wire_factor(operation, n) * size * crowd / link
    if operation == "point_to_point":
        pair = t.pair_start_us * MICRO + size * crowd / (link * t.pair_share)
        return np.asarray(np.where(n > 1, pair, 0.0))
    if operation == "all_to_all":
        start = t.exchange_start_us + t.exchange_step_us * np.maximum(n - 2, 0)
        small = start * MICRO + moved / t.exchange_small_share
        full = t.exchange_share * (1 - t.one_way_loss / n)
        large = t.exchange_bulk_us * MICRO + moved / full
        return np.asarray(np.where(n > 1, np.minimum(small, large), 0.0))
    steps = _steps(operation, n)
    loss = t.few_loss if operation == "all_reduce" else t.one_way_loss
    ways = (
        (t.start_us, t.step_us, t.small_share),
        (t.middle_start_us, t.middle_step_us, t.middle_share * (1 - loss / n)),
        (t.bulk_start_us, t.bulk_step_us, t.share * (1 - loss / n)),
    )
    best = np.asarray(np.inf)
    for start_us, step_us, part in ways:
        best = np.minimum(best, (start_us + step_us * steps) * MICRO + moved / part)
    if fabric.switch_adds and operation == "all_reduce":
        added = t.switch_start_us * MICRO + moved / t.switch_share
        best = np.where(n >= SWITCH_GPUS, np.minimum(best, added), best)
    return np.asarray(np.where(n > 1, best, 0.0))


def _steps(operation: str, gpus: Floats) -> Floats:
    """Ring steps after the first message has left."""
    ring = gpus - 1
    return np.asarray(2 * ring if operation == "all_reduce" else ring)


def _across(
    operation: str, size: Floats, g: Floats, nodes: Floats, groups: Floats, fabric: Fabric
) -> Floats:
    """Seconds of a group with `g` members in each of `nodes` nodes."""
    t = fabric.network
    doublings = np.log2(np.clip(nodes, 2, LOSS_NODES)) - 1
    rate = fabric.node_bytes_s / groups * (1 - t.scale_loss * doublings)
    inside = _inside(operation, size, g, fabric)
    if operation == "point_to_point":
        one = fabric.node_bytes_s / np.maximum(groups, fabric.adapters)
        return np.asarray(t.start_us * MICRO + size / (one * t.pair_share))
    # An all-reduce reduces inside the node first; a ring of the other two carries every byte
    # through each node's network.
    factor = wire_factor(operation, nodes)
    if operation == "all_to_all":
        others = g * (nodes - 1)
        start = (t.start_us + t.exchange_hop_us * others) * MICRO
        return np.asarray(start + np.maximum(inside, g * size * factor / (rate * t.exchange_share)))
    hops = np.ceil(np.log2(nodes)) * t.hop_us * (2 if operation == "all_reduce" else 1)
    if operation in ("all_gather", "reduce_scatter"):
        hops, factor = (nodes - 1) * t.ring_hop_us, wire_factor(operation, g * nodes)
    link = fabric.link
    loss = link.few_loss if operation == "all_reduce" else link.one_way_loss
    full = link.share * (1 - loss / np.maximum(g, 2.0))
    if fabric.switch_adds and operation == "all_reduce":
        full = np.where(g >= SWITCH_GPUS, np.maximum(full, link.switch_share), full)
    inside_bulk = wire_factor(operation, g) * size / (fabric.link_bytes_s * full)
    moved = factor * size / rate
    best = np.asarray(np.inf)
    for start_us, share in (
        (t.start_us, t.small_share),
        (t.middle_start_us, t.middle_share),
        (t.bulk_start_us, t.share),
    ):
        # Inside and between nodes different chunks move at once: the slower level rules.
        one = (start_us + hops) * MICRO + np.maximum(inside_bulk, moved / share)
        best = np.minimum(best, one)
    return np.asarray(best)


def algorithm_bandwidth(message_bytes: ArrayLike, seconds: ArrayLike) -> Floats:
    """Bytes of the message for each second, as nccl-tests prints it (algbw)."""
    return np.asarray(np.asarray(message_bytes, float) / np.asarray(seconds, float))


def bus_bandwidth(
    operation: str, message_bytes: ArrayLike, gpus: ArrayLike, seconds: ArrayLike
) -> Floats:
    """Bytes that cross the link of each GPU for each second, as nccl-tests defines it (busbw).

    >>> float(bus_bandwidth("all_reduce", 1e9, 8, 0.01))
    175000000000.0
    """
    return wire_factor(operation, gpus) * algorithm_bandwidth(message_bytes, seconds)
