"""What was measured of links and networks like those that a question asks for."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from gpuspec.catalog import Gpu
from gpuspec.constants.collectives import where
from gpuspec.constants.ground import Ground, ground_codes, ground_of


def group_ground(
    operation: str,
    device: Gpu,
    link: str,
    network: str,
    message_bytes: ArrayLike,
    nodes: ArrayLike,
) -> np.ndarray:
    """Return the ground, as codes, of collectives; messages and nodes broadcast."""
    size, across = np.broadcast_arrays(np.asarray(message_bytes, float), np.asarray(nodes, float))
    said: dict[str, Any] = {"operation": operation, "gpu": device.id, "link": link}
    said["reach"] = where(across)
    said |= {"message_bytes": size, "nodes": across}
    codes = ground_codes("collectives", said)
    if not (across > 1).any():
        return codes
    over = np.where(across > 1, ground_codes("collectives", {"network": network}), 0)
    return np.maximum(codes, over)


def largest_ground(
    operation: str, gpu_id: str, link: str, network: str, message_bytes: float, nodes: float
) -> Ground:
    """Return the ground of one group with its reasons."""
    said: dict[str, Any] = {"operation": operation, "gpu": gpu_id, "link": link}
    said |= {"network": network} if nodes > 1 else {}
    said |= {"reach": str(where(nodes)), "message_bytes": message_bytes, "nodes": nodes}
    return ground_of("collectives", said)


def table_ground(
    rows: Iterable[pd.Series], operation: str
) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return the ground of the last row of each way to join GPUs, by its name."""
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for row in rows:
        size, nodes = float(row["message_bytes"]), float(row.get("nodes", 1.0))
        of = (row["gpu"], row["link"], row.get("network", ""), size, nodes)
        ground = largest_ground(operation, *of)
        found[str(row["wiring"])] = (ground.level, ground.reasons)
    return found
