"""The fabric of a job: links and network of the catalogue with their fitted constants."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from gpuspec.catalog import Gpu
from gpuspec.inference.kernels import nvlink_island
from gpuspec.interconnect import Fabric, LinkTerms, NetworkTerms
from gpuspec.paths import DATA
from gpuspec.units import GB

STORED = Path("calibration") / "collectives.json"
NETWORKS = ("infiniband", "roce", "efa", "tcp")
"""Kinds of network whose constants differ."""
FALLBACK_NODE_GB_S = {"Ampere": 200.0, "Volta": 50.0, "Ada": 50.0}
"""Network of a node in one direction where nothing is said: the vendor's reference design."""
REFERENCE_NODE_GB_S = 400.0


@cache
def stored() -> dict[str, Any]:
    """Return everything that the calibration of collectives stored."""
    found: dict[str, Any] = json.loads((DATA / STORED).read_text("utf-8"))
    return found


def link_key(gpu: Gpu, island: int) -> str:
    """Return which links join the GPUs of a node, as the calibration names them."""
    if gpu.nvlink_bytes_s and island > 1:
        return f"nvlink-{gpu.nvlink_generation}"
    return f"pcie-{gpu.pcie_generation or 5}"


def reference_node_gb_s(gpu: Gpu) -> float:
    """Return the network of the reference node of a GPU, GB/s in one direction."""
    return FALLBACK_NODE_GB_S.get(gpu.architecture, REFERENCE_NODE_GB_S)


def fabric(
    gpu: Gpu,
    node_gb_s: float | None = None,
    kind: str = "infiniband",
    gpus_per_node: int = 8,
    switch_adds: bool | None = None,
) -> Fabric:
    """Return the fabric that joins GPUs of a kind in nodes of `gpus_per_node`.

    Parameters
    ----------
    node_gb_s : float, optional
        Network of a node in one direction, all adapters together; blank: the vendor's
        reference design (200 GB/s with A100, 400 with H100 and later), 0: none.
    kind : str
        ``infiniband``, ``roce``, ``efa`` or ``tcp``.
    switch_adds : bool, optional
        Whether NVLink SHARP is used; blank: where the generation has it.
    """
    found = stored()
    island = nvlink_island(gpu.id, gpu.form_factor)
    over_nvlink = bool(gpu.nvlink_bytes_s) and island > 1
    key = link_key(gpu, island)
    links = found["links"]
    own = links.get(key) or links["nvlink-4" if over_nvlink else "pcie-4"]
    rate = gpu.nvlink_bytes_s if over_nvlink else (gpu.pcie_bytes_s or 64e9)
    if node_gb_s is None:
        node_gb_s = reference_node_gb_s(gpu)
    adds = over_nvlink and (gpu.nvlink_generation or 0) >= 4
    return Fabric(
        link_bytes_s=rate,
        island=max(gpus_per_node, island if island > 8 else 1),
        node_bytes_s=node_gb_s * GB,
        switch_adds=adds if switch_adds is None else switch_adds and adds,
        link=LinkTerms(**own["terms"]),
        network=NetworkTerms(**found["networks"][kind]["terms"]),
    )
