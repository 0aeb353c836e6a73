"""What is asked about a simulation."""

from functools import cached_property
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BeforeValidator, Field, field_validator, model_validator

from gpuspec.base.ask import Range, typed
from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.base.units import GB
from gpuspec.catalog import gpu
from gpuspec.catalog.fields import NodeCounts, PciePath, PcieSockets, Pue, fold
from gpuspec.catalog.workloads import REFERENCE, UNITS, Workload, workload, workloads
from gpuspec.constants.hpc import hpc_terms
from gpuspec.formulas.hpc import (
    HpcTerms,
    Machine,
    exposed_seconds,
    fixed_seconds,
    gpu_parts,
    gpu_seconds,
    joined,
    serial_seconds,
    surface_units,
    transfer_seconds,
)
from gpuspec.formulas.hpc.devices import machine
from gpuspec.topics.shared import SOCKETS_SPANNED, Compared, Networked

OWN = "own"
CELLS = 1e9
"""Parts into which a user's own step is cut, so that its surface can shrink with its volume."""
Bytes = Annotated[float, Range(0, 1e15, "bytes")]
HpcUnits = Annotated[
    Literal["fp64", "fp64_tensor", "fp32", "tf32", "fp16", "int32"], BeforeValidator(fold)
]


class HpcQuestion(Compared, Networked):
    """How fast does this application run on these GPUs."""

    application: str = Field(
        "weather",
        description="A class of data/workloads.csv by id, name or alias (hpcg, GROMACS, FFT, "
        "weather...), or own",
    )
    size: Annotated[float, Range(1e-3, 1e3)] = Field(
        1.0, description="Work on one GPU, as a multiple of the typical size of the class"
    )
    cpu_share: Annotated[float, Range(0, 0.95)] | None = Field(
        None,
        description="Share of the time on the first GPU that more SMs do not shorten (host, "
        "launches); None: as fitted for the class",
    )
    own_flop: Annotated[float, Range(1, 1e24, "FLOP")] = Field(
        1e13, description='Application "own": operations of a step on one GPU'
    )
    own_bytes: Annotated[float, Range(1, 1e24, "bytes")] = Field(
        2e13, description='Application "own": a step moves across the bus of the device memory'
    )
    own_precision: HpcUnits = Field(
        "fp64", description='Application "own": fp64, fp64_tensor, fp32, tf32, fp16, int32'
    )
    own_halo_bytes: Bytes = Field(
        1e8, description='Application "own": a GPU hands to its neighbours each step'
    )
    own_memory_gb: Annotated[float, Range(0, 1e6, "GB")] = Field(
        40.0, description='Application "own": device memory that it uses'
    )
    own_like: str = Field(
        "stencil7", description='Application "own": class whose fitted efficiencies are used'
    )
    host_bytes: Bytes = Field(
        0.0,
        description="A step moves between one GPU and its host, to and from together (over PCIe, "
        "or NVLink-C2C of GH200)",
    )
    gpus_per_node: Annotated[int, Range(1, 8, "GPUs")] = Field(
        8, description="GPUs of a node: 1, 2, 4, 8"
    )
    pcie_path: PciePath = Field(
        "host",
        description="How PCIe cards of a node reach each other: host, through its memory, or peer, "
        "directly",
    )
    pcie_sockets: PcieSockets = Field(1, description=SOCKETS_SPANNED)
    nodes: NodeCounts = Field(
        typed("2,4,8,16,32"), description="Numbers of nodes to compare with one, commas between"
    )
    overlap: Annotated[float, Range(0, 1)] = Field(
        0.5,
        description="Share of the GPU's time behind which communication and transfers can hide",
    )
    host_w_per_gpu: Annotated[float, Range(0, 5000, "W")] = Field(
        250.0, description="Host, memory, adapters and fans for each GPU"
    )
    pue: Pue = Field(1.3, description="Power of the building over that of the servers")

    @field_validator("nodes")
    @classmethod
    def _with_one(cls, nodes: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted({1, *nodes}))

    @model_validator(mode="after")
    def _can_be_answered(self) -> Self:
        if self.gpus_per_node not in (1, 2, 4, 8):
            raise InputError("gpus_per_node", self.gpus_per_node, "give 1, 2, 4 or 8")
        if self.node_network_gb_s == 0:
            raise InputError("node_network_gb_s", 0, "nodes need a network: give GB/s above 0")
        _ = self.workload, self.every  # which class is unknown, which GPU cannot be predicted
        return self

    @property
    def own(self) -> bool:
        """Whether the ``own_...`` fields describe the work."""
        return self.application.strip().lower() == OWN

    @cached_property
    def every(self) -> Machine:
        """Rates of the GPUs."""
        return machine(self.devices)

    @cached_property
    def terms(self) -> HpcTerms:
        """Fitted constants of the class."""
        return hpc_terms(self.like.id)

    @cached_property
    def like(self) -> Workload:
        """The class whose fitted constants hold."""
        if self.own:
            return _class(self.own_like, "own_like")
        return _class(self.application, "application")

    @cached_property
    def workload(self) -> Workload:
        """The class of work, transfers to the host included."""
        found = _own(self.like, self) if self.own else self.like
        units = found.typical_units * self.size
        return found.model_copy(update={"host_bytes_per_unit": self.host_bytes / units})

    @property
    def units(self) -> float:
        """Units of work on one GPU."""
        return self.workload.typical_units * self.size

    @cached_property
    def host_share(self) -> float:
        """Share of the time on the first GPU that more SMs do not shorten."""
        if self.cpu_share is not None:
            return self.cpu_share
        own, serial = self.first_seconds, float(self.serial_seconds(self.every)[0])
        return serial / (serial + own)

    @cached_property
    def first_seconds(self) -> float:
        """Seconds of a step on the first GPU, exposed transfers included, without that share."""
        _, busy, exposed = self.seconds(self.units, self.every)
        return float(busy[0] + exposed[0])

    def serial_seconds(self, machines: Machine) -> np.ndarray:
        """Return what more SMs do not shorten: of `cpu_share` of the first GPU, or as fitted."""
        kind, size = self.workload, self.size
        if self.cpu_share is not None:
            fixed, beside = (
                fixed_seconds(self.first_seconds, self.cpu_share),
                self.every.clock_hz[0],
            )
            whole = serial_seconds(1.0, kind.chain_share, 1.0, size)
            fixed = fixed / whole
        else:
            reference = machine(gpu(REFERENCE))
            alone = gpu_seconds(kind.typical_units, kind.work, reference, self.terms)
            factor = 1.0 if self.own else self.terms.host_factor
            fixed, beside = factor * fixed_seconds(alone, kind.cpu_share), reference.clock_hz
        return serial_seconds(fixed, kind.chain_share, machines.clock_hz / beside, size)

    def seconds(
        self, units: ArrayLike, machines: Machine
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        """Return what each resource alone would take, the GPU's seconds, and exposed transfers.

        Transfers to and from the host hide behind `overlap` of the GPU's seconds.
        """
        parts = gpu_parts(units, self.workload.work, machines, self.terms)
        busy = joined(parts)
        moved = transfer_seconds(units, self.workload.work, machines)
        exposed = exposed_seconds(moved, busy, self.overlap)
        return {**parts, "transfer": moved}, busy, exposed

    @property
    def kind(self) -> str:
        """Whether errors of kernels or of applications apply."""
        return self.workload.kind

    @property
    def memory_bytes(self) -> float:
        """Device memory that the work on one GPU needs."""
        return self.units * self.workload.memory_bytes_per_unit


def _class(name: str, field: str) -> Workload:
    try:
        return workload(name)
    except InputError as error:
        known = [*workloads().index, *workloads()["name"], OWN]
        if isinstance(error, UnknownNameError):
            raise UnknownNameError(field, name, known) from None
        raise InputError(field, name, str(error).split("; ", 1)[-1]) from None


def _own(like: Workload, q: "HpcQuestion") -> Workload:
    """Return a class for the user's own step, cut into `CELLS` parts."""
    shares = {f"share_{unit}": float(unit == q.own_precision) for unit in UNITS}
    surface = float(surface_units(CELLS, 3))
    return like.model_copy(
        update={
            "id": OWN,
            "name": "Your application",
            "kind": "application",
            "unit": "part of a step",
            "flops_per_unit": q.own_flop / CELLS,
            "bytes_per_unit": q.own_bytes / CELLS,
            "memory_bytes_per_unit": q.own_memory_gb * GB / CELLS,
            "l2_reuse": 0.0,
            "dimensions": 3,
            "halo_bytes": q.own_halo_bytes / surface,
            "transpose_bytes": 0.0,
            "reduces": 0,
            "cpu_share": 0.1,
            "chain_share": 0.0,
            "typical_units": CELLS,
            "precision": q.own_precision,
            **shares,
        }
    )
