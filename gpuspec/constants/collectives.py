"""Errors, intervals and ground of collectives."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import NODE_GPUS
from gpuspec.catalog import Gpu
from gpuspec.constants.fabrics import SOCKETS, link_key
from gpuspec.constants.ground import DISPUTED, FAR, KNOWN, Ground, ground_of
from gpuspec.constants.kernels import nvlink_island
from gpuspec.constants.stored import Interval, stored_errors, stored_interval

if TYPE_CHECKING:
    import pandas as pd

LARGE = 2**20
"""Message from which a row counts as large."""
FAR_NETWORKS = dict(zip(("slingshot", "efa-shared", "tcp"), DISPUTED[2:], strict=True))
"""Kinds of network of which too little is known, and how ground calls them."""


def collective_errors() -> "pd.DataFrame":
    """Return the held-out error of each kind of collective; columns as in `stored_errors`."""
    return stored_errors("collectives")


def collective_interval(
    value: ArrayLike,
    message_bytes: ArrayLike,
    nodes: ArrayLike = 1,
    link: ArrayLike = "",
    ground: ArrayLike = 0,
    network: ArrayLike | None = None,
    members: ArrayLike = NODE_GPUS,
    said: Mapping[str, ArrayLike] | None = None,
) -> Interval:
    """Return the 80 % interval of the seconds of a collective; arguments broadcast.

    Parameters
    ----------
    value : array_like
        Estimated seconds.
    message_bytes, nodes : array_like
        Size of the message and nodes of the group: the error differs by both.
    link : array_like
        What joins the GPUs of a node, as the table of measurements calls it: ``nvlink-4``...
    ground : array_like
        0 measured, 1 near, 2 far: see `constants.ground`.
    network : array_like, optional
        Kind of network between the nodes: ``infiniband``...; it does not count in one node.
    members : array_like
        GPUs of the group in each node: PCIe cards differ by it.
    said : mapping, optional
        What else one's own measurements are alike by: see `constants.learnt`.
    """
    levels = interval_levels(message_bytes, nodes, link, ground, network, members)
    levels = {**(said or {}), **levels}
    return stored_interval(value, "collectives", "seconds", levels, ground=ground)


def interval_levels(
    message_bytes: ArrayLike,
    nodes: ArrayLike,
    link: ArrayLike,
    ground: ArrayLike,
    network: ArrayLike | None,
    members: ArrayLike,
) -> dict[str, ArrayLike]:
    """Return what decides the width of intervals; arguments as in `collective_interval`."""
    across = np.where(np.asarray(nodes) > 1, "" if network is None else network, "")
    levels: dict[str, ArrayLike] = {
        "place": place_of(nodes, message_bytes),
        "wires": wires_of(link, members),
        "known": known_of(np.asarray(ground) == FAR),
        "dispute": dispute_of(path_of(link, members, across), message_bytes),
    }
    return levels if network is None else levels | {"network": across}


def place_of(nodes: ArrayLike, message_bytes: ArrayLike) -> np.ndarray:
    """Return how errors call the reach of a group and the size of its message.

    >>> place_of([1, 8], 2**30).tolist()
    ['in a node, from 1 MiB', '3 to 16 nodes, from 1 MiB']
    """
    return np.char.add(np.char.add(span_of(nodes), ", "), size_of(message_bytes))


def wires_of(link: ArrayLike, members: ArrayLike) -> np.ndarray:
    """Return how errors call the links of a group: servers of PCIe cards differ by their number.

    >>> wires_of(["nvlink-4", "pcie-5-peer", "pcie-4"], [8, 2, 8]).tolist()
    ['nvlink-4', 'PCIe, 2 cards', 'PCIe, more than 4 cards']
    """
    several = ["PCIe, 2 cards", "PCIe, 3 or 4 cards", "PCIe, more than 4 cards"]
    cards = np.array(several)[np.searchsorted([2, 4], np.asarray(members))]
    link = np.asarray(link, str)
    return np.where(np.char.startswith(link, "pcie"), cards, link)


def dispute_of(path: ArrayLike, message_bytes: ArrayLike) -> np.ndarray:
    """Return how errors call a path on which publishers disagree.

    Those of PCIe cards are one, by the size of the message: servers disagree on what the host
    carries for all cards at once, not on how soon it starts.

    >>> dispute_of([DISPUTED[1], "networks over TCP", ""], 2**30).tolist()
    ['PCIe cards, from 1 MiB', 'networks over TCP', '']
    """
    cards = np.char.add("PCIe cards, ", size_of(message_bytes))
    return np.where(np.isin(path, DISPUTED[:2]), cards, path)


def size_of(message_bytes: ArrayLike) -> np.ndarray:
    """Return how errors call the size of messages."""
    return np.where(np.asarray(message_bytes) >= LARGE, "from 1 MiB", "below 1 MiB")


def span_of(nodes: ArrayLike) -> np.ndarray:
    """Return how errors call the number of nodes of a group.

    >>> span_of([1, 2, 8, 64]).tolist()
    ['in a node', '2 nodes', '3 to 16 nodes', 'more nodes']
    """
    names = np.array(["in a node", "2 nodes", "3 to 16 nodes", "more nodes"])
    return names[np.searchsorted([1, 2, 16], np.asarray(nodes))]


def known_of(far: ArrayLike) -> np.ndarray:
    """Return how errors call whether a setting is known."""
    return np.where(far, "far", "known")


def path_of(link: ArrayLike, members: ArrayLike, network: ArrayLike = "") -> np.ndarray:
    """Return how ground calls the path of a group on which no two publishers agree; "" elsewhere.

    `network`: the kind between the nodes; "" in one node.

    >>> path_of(["pcie-4", "pcie-4", "pcie-4-peer"], [8, 2, 8]).tolist()
    ['more than two PCIe cards through the host', '', '']
    >>> str(path_of("nvlink-4-mesh", 4, "slingshot"))
    'Slingshot networks'
    """
    through_host = np.isin(link, ("pcie-4", "pcie-5")) & (np.asarray(members) > 2)
    found = np.where(through_host, DISPUTED[0], "")
    found = np.where(np.char.endswith(np.asarray(link, str), SOCKETS), DISPUTED[1], found)
    for kind, name in FAR_NETWORKS.items():
        found = np.where(np.asarray(network) == kind, name, found)
    return found


def where(nodes: ArrayLike) -> np.ndarray:
    """Return how errors call the reach of a group."""
    return np.where(np.asarray(nodes) > 1, "between nodes", "in a node")


def joined_ground(
    device: Gpu,
    gpus: int,
    network_kind: str,
    node_gb_s: float,
    pcie_path: str = "host",
    pcie_sockets: int = 1,
    gpus_per_node: int = NODE_GPUS,
) -> Ground:
    """Return the ground of what joins the GPUs of a job: the links of a node, the network.

    Messages differ within a job, so that neither their size nor the operation is judged.
    """
    if gpus < 2:
        return KNOWN
    node = max(gpus_per_node, nvlink_island(device.id, device.form_factor))
    link, members = link_key(device, pcie_path, pcie_sockets, gpus_per_node), min(gpus, node)
    across = network_kind if gpus > node else ""
    path = str(path_of(link, members, across))
    said: dict[str, Any] = {"link": link, "members": members, "path": path}
    if gpus > node:
        said |= {"network": network_kind, "network_gb_s": node_gb_s, "nodes": gpus / node}
    return ground_of("collectives", said)
