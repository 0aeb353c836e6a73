"""The fabric of a job: links and network of the catalogue with their fitted constants."""

from gpuspec.base.errors import UnknownNameError
from gpuspec.base.units import GB, NODE_GPUS
from gpuspec.catalog import Gpu
from gpuspec.constants.kernels import nvlink_island
from gpuspec.constants.links import Fabric, LinkTerms, NetworkTerms
from gpuspec.constants.stored import stored

NETWORKS = ("infiniband", "roce", "efa", "efa-shared", "slingshot", "tcp")
"""Kinds of network whose constants differ; ``efa-shared`` is EFA on a busy cluster, as its users
measured it, the others are mostly of idle machines."""
OLDER = ("Ampere", "Volta", "Ada")
FALLBACK_NODE_GB_S = {"Ampere": 200.0, "Volta": 50.0, "Ada": 50.0}
"""Network of a node in one direction where nothing is said: the vendor's reference design."""
REFERENCE_NODE_GB_S = 400.0
OLDER_ADAPTER_GB_S = 25.0
ADAPTER_GB_S = 50.0
"""Line rate of an adapter of the vendor's reference design, with Ampere and before, and since."""
PCIE_PATHS = ("host", "peer")
"""How PCIe cards reach each other: through the memory of the host, or directly."""
SOCKETS = "-sockets"
"""What the names of links end with whose groups span two processors."""
SOCKET_GB_S = {3: 10.0, 4: 20.0, 5: 28.0}
"""Between two processors in one direction, by the PCIe generation of their time: NCCL takes 10 for
Skylake, 16 and 24 for Zen 2 and 3, 22 and 40 for Xeons of PCIe 5 (src/graph/topo.h); eight cards
reached 20.6 over two processors of AMD with PCIe 4, and 28 over two Sapphire Rapids."""
BOARD_GPUS = 4
"""GPUs of the boards whose NVLinks join each pair directly, without NVSwitch."""


def reference_node_gb_s(gpu: Gpu) -> float:
    """Return the network of the reference node of a GPU, GB/s in one direction.

    A rack whose GPUs all share one NVLink domain has an adapter for each of them.
    """
    domain = max(nvlink_island(gpu.id, gpu.form_factor), NODE_GPUS)
    rate = FALLBACK_NODE_GB_S.get(gpu.architecture, REFERENCE_NODE_GB_S)
    return rate * domain / NODE_GPUS


def bulk_only(gpu: Gpu, kind: str) -> bool:
    """Return whether even small messages take the bulk protocol: EFA of the A100 nodes of AWS.

    Its adapters do not keep 128 bytes in order, so that the plug-in has NCCL leave the other
    protocols out (aws-ofi-nccl, src/platform-aws.c).
    """
    return kind == "efa" and gpu.architecture == "Ampere"


def fabric(
    gpu: Gpu,
    node_gb_s: float | None = None,
    kind: str = "infiniband",
    gpus_per_node: int = 8,
    switch_adds: bool | None = None,
    bridge_gpus: int | None = None,
    pcie_path: str = "host",
    pcie_sockets: int = 1,
) -> Fabric:
    """Return the fabric that joins GPUs of a kind in nodes of `gpus_per_node`.

    A GPU reaches one adapter of the reference design, or its share of the node's network where
    that is more: of eight adapters of 50 GB/s one GPU uses 50, of one adapter of 50 all of it.

    Parameters
    ----------
    node_gb_s : float, optional
        Network of a node in one direction, all adapters together; blank: the vendor's
        reference design (200 GB/s with A100, 400 with H100 and later), 0: none.
    kind : str
        One of `NETWORKS`.
    switch_adds : bool, optional
        Whether NVLink SHARP is used; blank: where the generation has it.
    bridge_gpus : int, optional
        GPUs that an NVLink bridge joins; blank: as the form is sold (NVL cards in pairs, PCIe
        cards without).
    pcie_path : str
        One of `PCIE_PATHS`: ``peer`` where PCIe cards reach each other directly, through a switch
        or over the host's bridges; ``host`` where all bytes cross the memory of the host.
    pcie_sockets : int
        Processors whose PCIe cards a group spans: 1 or 2.

    Raises
    ------
    UnknownNameError
        For another kind of network or path; lists the valid ones.
    """
    if pcie_path not in PCIE_PATHS:
        raise UnknownNameError("pcie_path", pcie_path, PCIE_PATHS)
    if kind not in NETWORKS:
        raise UnknownNameError("network_kind", kind, NETWORKS)
    joined = nvlink_island(gpu.id, gpu.form_factor) if bridge_gpus is None else bridge_gpus
    joined = joined if gpu.nvlink_bytes_s else 1
    if node_gb_s is None:
        node_gb_s = reference_node_gb_s(gpu)
    adds = (gpu.nvlink_generation or 0) >= 4
    island = max(gpus_per_node, joined) if joined >= min(gpus_per_node, 8) else joined
    adapter = OLDER_ADAPTER_GB_S if gpu.architecture in OLDER else ADAPTER_GB_S
    over_nvlink = Fabric(
        link_bytes_s=gpu.nvlink_bytes_s or 1.0,
        island=island,
        node_bytes_s=node_gb_s * GB,
        reach_bytes_s=max(node_gb_s / max(island, gpus_per_node), min(node_gb_s, adapter)) * GB,
        bulk_only=bulk_only(gpu, kind),
        switch_adds=adds if switch_adds is None else switch_adds and adds,
        link=_link_terms(f"nvlink-{gpu.nvlink_generation}", "nvlink-4"),
        network=NetworkTerms(**stored("collectives")["networks"][kind]["terms"]),
    )
    if joined >= min(gpus_per_node, 8):
        return over_nvlink
    if on_board(gpu, gpus_per_node):
        return over_nvlink.model_copy(update=_pairwise(gpus_per_node))
    return over_nvlink.model_copy(
        update={
            "link_bytes_s": gpu.pcie_bytes_s or 64e9,
            "island": gpus_per_node,
            "switch_adds": False,
            "link": _link_terms("pcie-4-peer" if pcie_path == "peer" else "pcie-4", "pcie-4"),
            "socket_bytes_s": socket_bytes_s(link_key(gpu, pcie_path, pcie_sockets)),
            "bridge": over_nvlink if joined > 1 else None,
        }
    )


def board_fabric(gpu: Gpu) -> Fabric:
    """Return the fabric of a board of `BOARD_GPUS` whose NVLinks join each pair directly."""
    return fabric(gpu).model_copy(update=_pairwise(BOARD_GPUS))


def _pairwise(island: int) -> dict[str, object]:
    """Return what of a fabric differs where NVLinks join each pair of a board."""
    link = _link_terms("nvlink-mesh", "nvlink-4")
    return {"mesh": BOARD_GPUS, "island": island, "switch_adds": False, "link": link}


def on_board(gpu: Gpu, gpus_per_node: int) -> bool:
    """Return whether nodes of a superchip are boards whose NVLinks join each pair of four GPUs.

    So are those of two to four GH200 (Isambard-AI, docs.isambard.ac.uk; JUPITER).
    """
    alone = nvlink_island(gpu.id, gpu.form_factor) == 1
    return gpu.form_factor == "superchip" and alone and 1 < gpus_per_node <= BOARD_GPUS


def link_key(
    gpu: Gpu, pcie_path: str = "host", pcie_sockets: int = 1, gpus_per_node: int = NODE_GPUS
) -> str:
    """Return which links join all GPUs of a node, as the table of measurements names them.

    >>> from gpuspec.catalog import gpu
    >>> link_key(gpu("H100")), link_key(gpu("A100 PCIe 80GB"))
    ('nvlink-4', 'pcie-4')
    >>> link_key(gpu("L40S"), "peer", 2)
    'pcie-4-peer-sockets'
    >>> link_key(gpu("GH200"), gpus_per_node=4)
    'nvlink-4-mesh'
    """
    if on_board(gpu, gpus_per_node):
        return f"nvlink-{gpu.nvlink_generation}-mesh"
    joined = nvlink_island(gpu.id, gpu.form_factor)
    if gpu.nvlink_bytes_s and joined >= 8:
        return f"nvlink-{gpu.nvlink_generation}"
    path = "-peer" if pcie_path == "peer" else ""
    return f"pcie-{gpu.pcie_generation or 5}{path}{SOCKETS if pcie_sockets > 1 else ''}"


def socket_bytes_s(link: str) -> float:
    """Return the bytes/s between the two processors that a link spans; 0 for other links.

    >>> socket_bytes_s("pcie-5-sockets"), socket_bytes_s("pcie-5"), socket_bytes_s("nvlink-4")
    (28000000000.0, 0.0, 0.0)
    """
    return SOCKET_GB_S[int(link.split("-")[1])] * GB if link.endswith(SOCKETS) else 0.0


def _link_terms(key: str, otherwise: str) -> LinkTerms:
    """Return the fitted constants of a link, or those of its nearest kin."""
    links = stored("collectives")["links"]
    return LinkTerms(**(links.get(key) or links[otherwise])["terms"])
