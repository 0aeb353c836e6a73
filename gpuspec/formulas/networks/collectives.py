"""Seconds of NCCL's collectives over the links of a node and the network between nodes."""

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.errors import UnknownNameError
from gpuspec.base.units import GB, MICRO, Floats
from gpuspec.constants.links import SWITCH_GPUS, Fabric

OPERATIONS = (
    "all_reduce",
    "all_gather",
    "reduce_scatter",
    "all_to_all",
    "broadcast",
    "point_to_point",
)
MIDDLE_HOP, MIDDLE_RING_HOP = 1.7, 1.48
"""Hops between nodes of the protocol in between, over those of the low-latency protocol, in a tree
and in a ring: 8.5 over 5 us and 4 over 2.7 us in NCCL's tuner (src/graph/tuning.cc)."""
# fmt: off
TREE_SHARES = (
    (1, 1, 1, 1, 0.9, 0.8, 0.7, 0.7, 0.7, 0.7, 0.6,
     0.5, 0.4, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1, 1, 1, 1),
    (1, 1, 1, 1, 1, 0.9, 0.8, 0.8, 0.8, 0.7, 0.6,
     0.6, 0.6, 0.6, 0.6, 0.6, 0.8, 0.9, 0.9, 0.9, 0.9, 1, 1, 1),
    (0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.8, 0.7, 0.6, 0.6,
     0.5, 0.5, 0.5, 0.5, 0.6, 0.7, 0.8, 0.7, 0.7, 0.8, 0.9, 0.9, 1),
)
# fmt: on
"""Share of their bandwidth that trees reach with messages of 64 bytes and each doubling, in the
low-latency protocol, the one in between and bulk: NCCL's tuner (src/graph/tuning.cc)."""
LL128_SHARE = 120 / 128
"""Share of its lines that the protocol in between carries data in."""


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
    if fabric.bridge is not None:
        apart = fabric.model_copy(update={"bridge": None})
        joined, others = (
            collective_seconds(operation, size, over, g, n_nodes, groups_per_node)
            for over in (fabric.bridge, apart)
        )
        return np.asarray(np.where(g <= fabric.bridge.island, joined, others))
    seconds = _inside(operation, size, g, fabric)
    if np.any(n_nodes > 1):
        share = np.asarray(groups_per_node, float)
        across = np.asarray(np.inf)
        if np.any(fabric.node_bytes_s):
            across = _across(operation, size, g, np.maximum(n_nodes, 2.0), share, fabric)
        seconds = np.where(n_nodes > 1, across, seconds)
    return np.asarray(np.where(g * n_nodes > 1, seconds, 0.0))


Ways = list[tuple[Floats, Floats]]
"""Microseconds until the first bytes have arrived, and seconds that all bytes take, of each way."""


def _inside(operation: str, size: Floats, gpus: Floats, fabric: Fabric) -> Floats:
    """Seconds over the links of one node; 0 for one GPU."""
    ways = _ways_inside(operation, size, np.maximum(gpus, 1.0), fabric)
    return np.asarray(np.where(gpus > 1, _fastest(ways), 0.0))


def _fastest(ways: Ways) -> Floats:
    best = np.asarray(np.inf)
    for start_us, moved in ways:
        best = np.minimum(best, start_us * MICRO + moved)
    return np.asarray(best)


def _ways_inside(operation: str, size: Floats, n: Floats, fabric: Fabric) -> Ways:
    """Return the ways to send among `n` GPUs of a node, half of them at each of its processors."""
    ways = _ways_over_links(operation, size, n, fabric)
    if not np.any(fabric.socket_bytes_s):
        return ways
    # A ring crosses once each way; in an all-to-all n/2 GPUs send half of what they have across.
    crossing = n * size / 4 if operation == "all_to_all" else wire_factor(operation, n) * size
    least = crossing / fabric.socket_bytes_s
    return [(start, np.maximum(moved, least)) for start, moved in ways]


def _ways_over_links(operation: str, size: Floats, n: Floats, fabric: Fabric) -> Ways:
    """Return the ways to send among `n` GPUs over the link of each."""
    t = fabric.link
    link = _link_rate(operation, n, fabric) / (1 + t.crowd_loss * np.maximum(n - 2, 0))
    moved = wire_factor(operation, n) * size / link
    if operation == "point_to_point":
        return [(np.asarray(t.pair_start_us), moved / t.pair_share)]
    if operation == "all_to_all":
        small = t.exchange_start_us + t.exchange_step_us * np.maximum(n - 2, 0)
        full = t.exchange_share * (1 - t.one_way_loss / n)
        bulk = np.asarray(t.exchange_bulk_us)
        return [(small, moved / t.exchange_small_share), (bulk, moved / full)]
    loss = 1 - (t.few_loss if operation == "all_reduce" else t.one_way_loss) / n
    steps = _steps(operation, n)
    ways = [
        (t.start_us + t.step_us * steps, moved / t.small_share),
        (t.middle_start_us + t.middle_step_us * steps, moved / (t.middle_share * loss)),
        (t.bulk_start_us + t.bulk_step_us * steps, moved / (t.share * loss)),
    ]
    if fabric.switch_adds and operation == "all_reduce":
        added = np.where(n >= SWITCH_GPUS, moved / t.switch_share, np.inf)
        ways.append((np.asarray(t.switch_start_us), added))
    return ways


def _link_rate(operation: str, gpus: Floats, fabric: Fabric) -> Floats:
    """Bytes/s of a GPU to the others of its group.

    Without a switch each pair of a board has its own links: a group uses those among its members.
    """
    if not fabric.mesh:
        return np.asarray(fabric.link_bytes_s)
    peers = 1.0 if operation == "point_to_point" else np.clip(gpus - 1, 1, fabric.mesh - 1)
    return np.asarray(fabric.link_bytes_s * peers / (fabric.mesh - 1))


def _steps(operation: str, gpus: Floats) -> Floats:
    """Ring steps after the first message has left."""
    ring = gpus - 1
    return np.asarray(2 * ring if operation == "all_reduce" else ring)


def tree_factor(nodes: ArrayLike) -> Floats:
    """Return the bytes that the busiest node of a double tree sends for each byte of an all-reduce.

    Each of two trees carries half of the message up and down again; a node in the middle of one
    has a parent and two children there, and is a leaf of the other. Two nodes are each the root of
    one tree and the leaf of the other.

    References
    ----------
    Sanders, Speck, Traff 2009, doi:10.1016/j.parco.2009.09.001 (two trees); NCCL,
    src/graph/trees.cc and tuning.cc (algorithm bandwidth is half of what the links carry).

    >>> tree_factor([2, 3, 4, 64]).tolist()
    [1.0, 1.5, 2.0, 2.0]
    """
    return np.asarray(np.clip(np.asarray(nodes, float) / 2, 1.0, 2.0))


def _across(
    operation: str, size: Floats, g: Floats, nodes: Floats, groups: Floats, fabric: Fabric
) -> Floats:
    """Seconds of a group with `g` members in each of `nodes` nodes."""
    t = fabric.network
    # A GPU reaches the adapters beside it alone, and the groups of a node share all of them.
    rate = np.minimum(fabric.node_bytes_s / groups, g * fabric.reach_bytes_s) * t.share
    if operation == "point_to_point":
        one = np.minimum(rate, fabric.reach_bytes_s * t.share)
        return np.asarray(t.start_us * MICRO + size / (one * t.pair_share))
    rate = rate / (1 + t.scale_loss * np.maximum(np.log2(nodes) - 1, 0))
    inside = _ways_inside(operation, size, np.maximum(g, 1.0), fabric)
    if operation == "all_to_all":
        others = g * (nodes - 1)
        moved = g * size * wire_factor(operation, nodes) / (rate * t.exchange_share)
        start = (t.start_us + t.exchange_hop_us * others) * MICRO
        return np.asarray(start + np.maximum(np.where(g > 1, _fastest(inside), 0.0), moved))
    trees, rings = _between(operation, size, g, nodes, rate, fabric)
    if fabric.bulk_only:
        trees, rings = trees[-1:], rings[-1:]
    ways = trees + rings
    if operation != "all_reduce" or fabric.algorithm == "ring":
        ways = rings
    elif fabric.algorithm == "tree":
        ways = trees
    # Inside and between nodes different chunks move at once: the slower level rules.
    bulk = np.minimum.reduce(np.broadcast_arrays(*(moved for _, moved in inside)))
    return _fastest([(start, np.maximum(bulk, moved)) for start, moved in ways])


def _tree_share(size: Floats, protocol: int) -> Floats:
    """Return the share of their bandwidth that trees reach with messages of `size`."""
    shares = TREE_SHARES[protocol]
    return np.asarray(np.interp(np.log2(np.maximum(size, 1.0)), 6 + np.arange(len(shares)), shares))


def _between(
    operation: str, size: Floats, g: Floats, nodes: Floats, rate: Floats, fabric: Fabric
) -> tuple[Ways, Ways]:
    """Return the ways to send between nodes over two trees of them, and over a ring of all GPUs.

    A tree adds up inside the nodes first, so that each sends what all of its GPUs hold together; a
    ring carries every byte through the network of each node.
    """
    t, link = fabric.network, fabric.link
    rounds = 2 if operation == "all_reduce" else 1
    by_tree, by_ring = tree_factor(nodes) * size, wire_factor(operation, g * nodes) * size
    levels, members = np.ceil(np.log2(nodes)), g - 1
    # The protocols of small messages send flags along, and no more than their buffers take.
    small = np.minimum(rate / 2, t.small_gb_s * GB)
    middle = np.minimum(rate * LL128_SHARE, t.middle_gb_s * GB)
    bulk_hop = t.bulk_hop_us
    trees: Ways = []
    rings: Ways = []
    for start, step, tree_hop, ring_hop, over_trees, over_ring in (
        (t.start_us, link.step_us, t.hop_us, t.ring_hop_us, small, small),
        (
            t.middle_start_us,
            link.middle_step_us,
            MIDDLE_HOP * t.hop_us,
            MIDDLE_RING_HOP * t.ring_hop_us,
            middle,
            middle,
        ),
        (t.bulk_start_us, link.bulk_step_us, bulk_hop, bulk_hop, rate * t.tree_share, rate),
    ):
        down = start + rounds * (levels * tree_hop + members * step)
        around = start + rounds * ((nodes - 1) * ring_hop + nodes * members * step)
        trees.append((down, by_tree / (over_trees * _tree_share(size, len(trees)))))
        rings.append((around, by_ring / over_ring))
    return trees, rings


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
