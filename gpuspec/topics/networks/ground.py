"""What was measured of links and networks like those that a question asks for."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from gpuspec.catalog import Gpu
from gpuspec.constants.collectives import path_of, where
from gpuspec.constants.ground import Ground, ground_codes, ground_of

Grounds = dict[str, tuple[str, tuple[str, ...]]]
"""The ground of several options by name: its level, and the reasons."""


def group_ground(
    operation: str,
    device: Gpu,
    link: str,
    network: tuple[str, float],
    message_bytes: ArrayLike,
    group: tuple[ArrayLike, ArrayLike],
) -> np.ndarray:
    """Return the ground, as codes, of collectives; messages and groups broadcast.

    `network`: kind and GB/s of a node; `group`: members in each node and nodes.
    """
    size, members, across = np.broadcast_arrays(
        *(np.asarray(number, float) for number in (message_bytes, *group))
    )
    said: dict[str, Any] = {"operation": operation, "gpu": device.id, "link": link}
    said |= {"reach": where(across), "members": members}
    said["path"] = path_of(link, members, np.where(across > 1, network[0], ""))
    said |= {"message_bytes": size, "nodes": across}
    codes = ground_codes("collectives", said)
    if not (across > 1).any():
        return codes
    between = {"network": network[0], "network_gb_s": network[1]}
    return np.maximum(codes, np.where(across > 1, ground_codes("collectives", between), 0))


def largest_ground(operation: str, row: "pd.Series[Any]") -> Ground:
    """Return the ground of one group, a row of a table of bandwidths, with its reasons."""
    nodes = float(row.get("nodes", 1.0))
    said: dict[str, Any] = {"operation": operation, "gpu": row["gpu"], "link": row["link"]}
    said |= {"reach": str(where(nodes)), "message_bytes": float(row["message_bytes"])}
    members = float(row["gpus"]) / nodes
    across = row["network"] if nodes > 1 else ""
    path = str(path_of(row["link"], members, across))
    said |= {"nodes": nodes, "members": members, "path": path}
    if nodes > 1:
        said |= {"network": row["network"], "network_gb_s": float(row["network_gb_s"])}
    return ground_of("collectives", said)


def inside_ground(device: Gpu, link: str, message_bytes: float, gpus: int) -> Ground:
    """Return the ground of all-reduces of a size between `gpus` of one node over a link."""
    said: dict[str, Any] = {"operation": "all_reduce", "gpu": device.id, "link": link}
    said |= {"reach": str(where(1)), "members": gpus, "message_bytes": message_bytes, "nodes": 1}
    said["path"] = str(path_of(link, gpus))
    return ground_of("collectives", said)


def said_ground(grounds: Sequence[Ground]) -> dict[str, list[str]]:
    """Return the columns ``ground`` and ``ground_reasons`` of a table."""
    return {
        "ground": [ground.level for ground in grounds],
        "ground_reasons": ["; ".join(ground.reasons) for ground in grounds],
    }


def column_ground(table: pd.DataFrame, by: Sequence[str]) -> Grounds:
    """Return the ground that a table of `said_ground` states last of each kind, by its name."""
    found = {}
    for name, group in table.groupby(list(by), sort=False):
        level, reasons = group.iloc[-1][["ground", "ground_reasons"]]
        found[", ".join(map(str, name))] = (level, tuple(filter(None, reasons.split("; "))))
    return found


def table_ground(rows: Iterable[pd.Series], operation: str) -> Grounds:
    """Return the ground of the last row of each way to join GPUs, by its name."""
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for row in rows:
        ground = largest_ground(operation, row)
        found[str(row["wiring"])] = (ground.level, ground.reasons)
    return found
