"""Tables of bandwidth: against the message, the number of GPUs, and as measured."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from gpuspec.base.units import GB
from gpuspec.catalog import Gpu
from gpuspec.constants.collectives import (
    collective_interval,
    interval_levels,
    size_of,
    span_of,
)
from gpuspec.constants.fabrics import fabric, link_key
from gpuspec.constants.links import Fabric
from gpuspec.constants.stored import own_factor
from gpuspec.evidence.measurements.collectives import (
    measured_seconds,
    prepared_collectives,
)
from gpuspec.evidence.measurements.rows import measurements
from gpuspec.formulas.networks import bus_bandwidth, collective_seconds
from gpuspec.topics.networks.ask import NetworksQuestion
from gpuspec.topics.networks.ground import group_ground
from gpuspec.topics.networks.wiring import family_names, wirings

MESSAGES = {"64 KiB": 2**16, "1 MiB": 2**20, "64 MiB": 2**26, "16 GiB": 2**34}
"""A token step's vectors, a small layer, a training layer's hidden states, all gradients."""
IN_NODE = (2, 4, 8)
ACROSS = (2, 4, 8, 16, 32, 64)
TEN_GBE = 1.25


def bandwidth_table(question: NetworksQuestion) -> pd.DataFrame:
    """Return the bus bandwidth of the asked operation in one node, for each way to join its GPUs.

    Columns: ``wiring``, ``gpu``, ``gpus``, ``message_bytes``, ``seconds``, ``bus_gb_s`` with
    ``bus_gb_s_low`` and ``bus_gb_s_high`` (80 % interval), ``link``, ``ground`` (0 measured,
    1 near, 2 far), ``link_gb_s`` (physical rate).
    """
    return _bandwidth(question, question.message_bytes)


def message_table(question: NetworksQuestion) -> pd.DataFrame:
    """Return the seconds of messages of `MESSAGES` in one node, for each way to join its GPUs.

    Columns: ``wiring``, ``message``, ``seconds`` with ``seconds_low`` and ``seconds_high``.
    """
    table = _bandwidth(question, np.array(list(MESSAGES.values()), float))
    of = (table["message_bytes"], 1, table["link"], table["ground"])
    low, high = collective_interval(table["seconds"], *of, members=table["gpus"])
    names = np.tile(list(MESSAGES), len(table) // len(MESSAGES))
    return table[["wiring", "seconds"]].assign(message=names, seconds_low=low, seconds_high=high)


def _bandwidth(q: NetworksQuestion, size: np.ndarray) -> pd.DataFrame:
    parts = []
    for wiring in wirings(q.devices, q.gpus_per_node, q.pcie_sockets):
        joined = wiring.fabric
        part = _with_interval(
            q, wiring.name, wiring.gpu, joined, size, q.gpus_per_node, 1, wiring.key
        )
        parts.append(part.assign(link_gb_s=joined.link_bytes_s / GB))
    return pd.concat(parts, ignore_index=True)


def _with_interval(
    q: NetworksQuestion,
    name: str,
    device: Gpu,
    joined: Fabric,
    size: ArrayLike,
    members: ArrayLike,
    nodes: ArrayLike,
    link: str,
    network: str = "",
) -> pd.DataFrame:
    """Return the bus bandwidth of collectives over `members` of each node, with its interval."""
    seconds = collective_seconds(q.operation, size, joined, members, nodes)
    gpus = np.asarray(members) * np.asarray(nodes)
    size, count, seconds = np.broadcast_arrays(np.asarray(size, float), gpus, seconds)
    over = (network, joined.node_bytes_s / GB)
    ground = group_ground(q.operation, device, link, over, size, (members, nodes))
    said: dict[str, Any] = {"operation": q.operation, "gpu": device.id, "link": link}
    said |= interval_levels(size, nodes, link, ground, network, members)
    said |= {"message_bytes": size, "nodes": nodes, "members": members}
    said |= {"size": size_of(size), "span": span_of(nodes)}
    seconds = np.asarray(seconds * own_factor("collectives", said, ground))
    rate = bus_bandwidth(q.operation, size, count, seconds) / GB
    of = (nodes, link, ground, network, members, said)
    quick, slow = collective_interval(np.ones(size.shape), size, *of)
    return pd.DataFrame(
        {
            "wiring": name,
            "gpu": device.id,
            "gpus": count,
            "message_bytes": size,
            "seconds": seconds,
            "bus_gb_s": rate,
            "bus_gb_s_low": rate / slow,
            "bus_gb_s_high": rate / quick,
            "link": link,
            "ground": ground,
        }
    )


def scale_table(question: NetworksQuestion) -> pd.DataFrame:
    """Return the bus bandwidth of the largest message against the number of GPUs.

    For each GPU over the asked network (those with equal links and networks once), and for the
    first of them over 10 GbE. Columns: those of `bandwidth_table` without ``link_gb_s``, and
    ``nodes``, ``network_gb_s``.
    """
    q = question
    kin: dict[tuple[str, float, float], list[Gpu]] = {}
    for g in q.devices:
        kin.setdefault((link_key(g), fabric(g).link_bytes_s, q.network_gb_s(g)), []).append(g)
    parts = [
        _scaled(q, group[0], f"{family_names(group)}, {rate:g} GB/s a node", rate, q.network_kind)
        for (_, _, rate), group in kin.items()
    ]
    first = q.devices[0]
    name = f"{family_names([first])}, 10 GbE"
    return pd.concat([*parts, _scaled(q, first, name, TEN_GBE, "tcp")], ignore_index=True)


def _scaled(q: NetworksQuestion, device: Gpu, name: str, rate: float, kind: str) -> pd.DataFrame:
    inside = [n for n in IN_NODE if n <= q.gpus_per_node]
    members = np.array(inside + [q.gpus_per_node] * len(ACROSS), float)
    nodes = np.array([1] * len(inside) + list(ACROSS), float)
    joined = fabric(device, rate, kind)
    link = link_key(device)
    found = _with_interval(q, name, device, joined, q.largest_bytes, members, nodes, link, kind)
    return found.assign(nodes=nodes, network_gb_s=rate, network=kind)


def measured_table(question: NetworksQuestion) -> pd.DataFrame:
    """Return the published bandwidths of the asked operation, for the lines of the pictures.

    The median of all sources for each way to join the GPUs, message size and number of GPUs;
    columns ``wiring``, ``message_bytes``, ``gpus``, ``nodes``, ``network_gb_s``, ``gpu``,
    ``bus_gb_s``, ``sources``.
    """
    q = question
    rows = prepared_collectives(measurements("collectives"))
    rows = rows[rows["operation"] == q.operation].reset_index(drop=True)
    count = (rows["nodes"] * rows["gpus_per_node"]).to_numpy(float)
    rate = bus_bandwidth(q.operation, rows["message_bytes"], count, measured_seconds(rows)) / GB
    rows = rows.assign(bus_gb_s=rate, gpus=count, network_gb_s=rows["node_network_gb_s"])
    rows["wiring"] = _named(q, rows)
    keys = ["wiring", "gpu", "message_bytes", "gpus", "nodes", "network_gb_s"]
    groups = rows[rows["wiring"] != ""].groupby(keys)
    return groups.agg(
        bus_gb_s=("bus_gb_s", "median"), sources=("source_id", "nunique")
    ).reset_index()


def _named(q: NetworksQuestion, rows: pd.DataFrame) -> np.ndarray:
    """Return the name of the wiring that each row measured; empty where none is asked for."""
    names = np.full(len(rows), "", dtype=object)
    for w in wirings(q.devices, q.gpus_per_node, q.pcie_sockets):
        same = (rows["link"] == w.key) & (rows["adds"] == w.fabric.switch_adds)
        names[same.to_numpy()] = w.name
    return names
