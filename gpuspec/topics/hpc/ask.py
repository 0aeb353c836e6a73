"""One question about a simulation, checked once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from gpuspec.base.checks import is_number, whole_numbers
from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.base.units import GB
from gpuspec.catalog import Gpu, gpu, gpu_ids
from gpuspec.catalog.workloads import UNITS, Workload, workload, workloads
from gpuspec.constants.fabrics import NETWORKS, reference_node_gb_s
from gpuspec.constants.hpc import hpc_terms
from gpuspec.formulas.hpc import (
    HpcTerms,
    Machine,
    exposed_seconds,
    gpu_parts,
    joined,
    surface_units,
    transfer_seconds,
)
from gpuspec.formulas.hpc.devices import machine

OWN = "own"
CELLS = 1e9
"""Parts into which a user's own step is cut, so that its surface can shrink with its volume."""
LIMITS = {  # name: (least, most)
    "own_flop": (1.0, 1e24),
    "own_bytes": (1.0, 1e24),
    "own_halo_bytes": (0.0, 1e15),
    "own_memory_gb": (0.0, 1e6),
    "host_bytes": (0.0, 1e15),
    "overlap": (0.0, 1.0),
    "host_w_per_gpu": (0.0, 5000.0),
    "pue": (1.0, 3.0),
}
SIZE = (1e-3, 1e3)
MOST_CPU = 0.95
MOST_NODES = 4096


class SimulationQuestion(BaseModel):
    """A checked question: how fast does this application run on these GPUs."""

    model_config = ConfigDict(frozen=True)

    workload: Workload
    gpus: tuple[Gpu, ...]
    """The first is what the others are compared with."""
    units: float
    """Units of work on one GPU."""
    host_share: float
    """Share of the time on the first GPU that no GPU changes."""
    terms: HpcTerms
    gpus_per_node: int
    nodes: tuple[int, ...]
    node_network_gb_s: float
    """Of a node in one direction; below 0: the reference design of each GPU."""
    network_kind: str
    overlap: float
    host_w_per_gpu: float
    pue: float

    @property
    def kind(self) -> str:
        """Whether errors of kernels or of applications apply."""
        return self.workload.kind

    @property
    def memory_bytes(self) -> float:
        """Device memory that the work on one GPU needs."""
        return self.units * self.workload.memory_bytes_per_unit

    def node_gb_s(self, device: Gpu) -> float:
        """Return the network of a node with this GPU, GB/s in one direction."""
        asked = self.node_network_gb_s
        return reference_node_gb_s(device) if asked < 0 else asked


def simulation_question(
    application: str = "hpcg",
    gpus: str | Sequence[str] = "A100,H100,H200",
    size: float = 1.0,
    cpu_share: float = -1.0,
    own_flop: float = 1e13,
    own_bytes: float = 2e13,
    own_precision: str = "fp64",
    own_halo_bytes: float = 1e8,
    own_memory_gb: float = 40.0,
    own_like: str = "stencil7",
    gpus_per_node: int = 8,
    nodes: str | int | Sequence[int] = "1,2,4,8,16",
    node_network_gb_s: float = -1.0,
    network_kind: str = "infiniband",
    host_bytes: float = 0.0,
    overlap: float = 0.5,
    host_w_per_gpu: float = 250.0,
    pue: float = 1.3,
    data: str | Path | None = None,
) -> SimulationQuestion:
    """Check every input once, and return the question that the tables answer.

    Parameters
    ----------
    application : str
        A class of ``data/workloads.csv`` by id, name or alias (``"HPCG"``, ``"GROMACS"``), or
        ``"own"``: then the ``own_...`` parameters describe it.
    gpus : str or sequence of str
        Names separated by commas; the first is what the others are compared with.
    size : float
        Work on one GPU, as a multiple of the class's typical size.
    cpu_share : float
        Share of the time on the first GPU that no GPU changes: host code, launches, files.
        Below 0: what was fitted for the class (0.1 of an own application).
    own_flop, own_bytes : float
        Operations of one step, and bytes that it moves in device memory, on one GPU.
    own_precision : str
        Units that do the operations: ``fp64``, ``fp64_tensor``, ``fp32``, ``tf32``, ``fp16``
        (Tensor Cores) or ``int32``.
    own_halo_bytes, own_memory_gb : float
        Bytes that a GPU hands to its neighbours each step; device memory that it uses.
    own_like : str
        Class whose fitted efficiencies are used for an own application.
    gpus_per_node, nodes : int, str
        GPUs of a node; numbers of nodes to compare, separated by commas.
    node_network_gb_s, network_kind : float, str
        Network of a node in one direction (below 0: the vendor's reference design), and
        ``infiniband``, ``roce``, ``efa`` or ``tcp``.
    host_bytes : float
        Bytes that a step moves between one GPU and its host, to and from together: PCIe, or
        NVLink-C2C of a superchip.
    overlap : float
        Share of the GPU's time behind which communication and transfers can hide.
    host_w_per_gpu, pue : float
        Watts of host, memory, adapters and fans for each GPU; power of the building over that
        of the servers.

    Raises
    ------
    InputError
        Names the field, the value and what is valid.
    """
    numbers = dict(
        zip(
            LIMITS,
            (
                own_flop,
                own_bytes,
                own_halo_bytes,
                own_memory_gb,
                host_bytes,
                overlap,
                host_w_per_gpu,
                pue,
            ),
            strict=True,
        )
    )
    for field, value in numbers.items():
        _check_number(field, value, *LIMITS[field])
    _check_number("size", size, *SIZE)
    if not is_number(cpu_share) or cpu_share > MOST_CPU:
        valid = f"give a share from 0 to {MOST_CPU} (below 0: the class's own)"
        raise InputError("cpu_share", cpu_share, valid)
    if network_kind not in NETWORKS:
        raise UnknownNameError("network_kind", network_kind, NETWORKS)
    if not is_number(node_network_gb_s) or node_network_gb_s == 0:
        valid = "give GB/s of a node in one direction (below 0: the reference design)"
        raise InputError("node_network_gb_s", node_network_gb_s, valid)
    if isinstance(gpus_per_node, bool) or gpus_per_node not in (1, 2, 4, 8):
        raise InputError("gpus_per_node", gpus_per_node, "give 1, 2, 4 or 8")
    own = application.strip().lower() == OWN
    like = _class(own_like, "own_like", data) if own else _class(application, "application", data)
    asked = _own(like, numbers, own_precision) if own else like
    terms = hpc_terms(like.id)
    devices = tuple(gpu(name, data) for name in gpu_ids(gpus, data))
    every = machine(devices)  # says which GPU cannot be predicted
    units = asked.typical_units * float(size)
    asked = asked.model_copy(update={"host_bytes_per_unit": host_bytes / units})
    _, busy, exposed = device_seconds(asked, units, every, terms, overlap)
    fitted = host_share(asked, terms, own, 1 + float(exposed[0] / busy[0]))
    return SimulationQuestion(
        workload=asked,
        gpus=devices,
        units=units,
        host_share=float(cpu_share) if cpu_share >= 0 else fitted,
        terms=terms,
        gpus_per_node=gpus_per_node,
        nodes=_nodes(nodes),
        node_network_gb_s=float(node_network_gb_s),
        network_kind=network_kind,
        overlap=float(overlap),
        host_w_per_gpu=float(host_w_per_gpu),
        pue=float(pue),
    )


def _class(name: str, field: str, data: Any) -> Workload:
    try:
        return workload(name, data)
    except InputError as error:
        known = [*workloads(data).index, *workloads(data)["name"], OWN]
        if isinstance(error, UnknownNameError):
            raise UnknownNameError(field, name, known) from None
        raise InputError(field, name, str(error).split("; ", 1)[-1]) from None


def _own(like: Workload, numbers: dict[str, float], precision: str) -> Workload:
    """Return a class for the user's own step, cut into `CELLS` parts."""
    if precision not in UNITS:
        raise UnknownNameError("own_precision", precision, UNITS)
    shares = {f"share_{unit}": float(unit == precision) for unit in UNITS}
    surface = float(surface_units(CELLS, 3))
    return like.model_copy(
        update={
            "id": OWN,
            "name": "Your application",
            "kind": "application",
            "unit": "part of a step",
            "flops_per_unit": numbers["own_flop"] / CELLS,
            "bytes_per_unit": numbers["own_bytes"] / CELLS,
            "memory_bytes_per_unit": numbers["own_memory_gb"] * GB / CELLS,
            "l2_reuse": 0.0,
            "dimensions": 3,
            "halo_bytes": numbers["own_halo_bytes"] / surface,
            "transpose_bytes": 0.0,
            "reduces": 0,
            "cpu_share": 0.1,
            "typical_units": CELLS,
            "precision": precision,
            **shares,
        }
    )


def device_seconds(
    asked: Workload, units: Any, every: Machine, terms: HpcTerms, overlap: float
) -> tuple[dict[str, Any], Any, Any]:
    """Return what each resource alone would take, the GPU's seconds, and exposed transfers.

    Transfers to and from the host hide behind `overlap` of the GPU's seconds.
    """
    parts = gpu_parts(units, asked.work, every, terms)
    busy = joined(parts)
    moved = transfer_seconds(units, asked.work, every)
    return {**parts, "transfer": moved}, busy, exposed_seconds(moved, busy, overlap)


def host_share(asked: Workload, terms: HpcTerms, own: bool = False, longer: float = 1.0) -> float:
    """Return the share of the time on the reference GPU that no GPU changes, as fitted.

    `longer`: by which factor transfers lengthen the rest of a step; the fit knows none.
    """
    factor = 1.0 if own else terms.host_factor
    odds = asked.cpu_share / (1 - asked.cpu_share) * factor / longer
    return odds / (1 + odds)


def _check_number(field: str, value: Any, least: float, most: float) -> None:
    if not is_number(value) or not least <= value <= most:
        raise InputError(field, value, f"give a number from {least:g} to {most:g}")


def _nodes(nodes: str | int | Sequence[int]) -> tuple[int, ...]:
    found = whole_numbers("nodes", nodes, 1, MOST_NODES, "1,2,4,8")
    return tuple(sorted({1, *found}))
