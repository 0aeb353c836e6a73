"""What is asked about links and networks."""

from functools import cached_property
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field, field_validator, model_validator

from gpuspec.base.ask import Range, Was, typed
from gpuspec.base.errors import InputError
from gpuspec.base.units import GIB, KIB
from gpuspec.catalog.fields import (
    FrameworkName,
    ModelName,
    NodeCounts,
    PcieSockets,
    RunTokens,
    SequenceTokens,
    fold,
)
from gpuspec.catalog.models import Model, doubts_of, model
from gpuspec.constants.memory import MemoryTerms, memory_terms
from gpuspec.constants.training import TrainingTerms, framework
from gpuspec.formulas.memory import need_layer_order
from gpuspec.topics.shared import SOCKETS_SPANNED, Compared, Networked

Operation = Annotated[
    Literal[
        "all_reduce",
        "all_gather",
        "reduce_scatter",
        "all_to_all",
        "broadcast",
        "point_to_point",
    ],
    BeforeValidator(fold),
]


class NetworksQuestion(Compared, Networked):
    """What links and networks cost a job."""

    model: Annotated[ModelName, Was("model_name")] = Field(
        "Llama-3.1-8B",
        description="Model of the sections on networks: a name of the table (gpuspec list models) "
        "or the path of a config.json",
    )
    large_model: ModelName = Field(
        "Llama-3.1-70B", description="A second, larger model for the section on tensor parallelism"
    )
    operation: Operation = Field(
        "all_reduce",
        description="Collective: all_reduce, all_gather, reduce_scatter, all_to_all, broadcast, "
        "point_to_point",
    )
    smallest_message_kib: Annotated[float, Range(0, 1e12, "KiB", above=True)] = Field(
        16.0, description="Smallest message of the pictures"
    )
    largest_message_gib: Annotated[float, Range(0, 1e6, "GiB", above=True)] = Field(
        16.0, description="Largest message"
    )
    gpus_per_node: Annotated[int, Range(2, 8, "GPUs")] = Field(
        8, description="GPUs of a node that take part"
    )
    pcie_sockets: PcieSockets = Field(1, description=SOCKETS_SPANNED)
    nodes: NodeCounts = Field(
        typed("2,4,8,16,32"), description="Numbers of nodes to compare, commas between"
    )
    seq_len: SequenceTokens = Field(4096, description="Training: a sequence")
    sequences_per_gpu: Annotated[int, Range(1, 100_000, "sequences")] = Field(
        16, description="Training: sequences of an optimizer step for each GPU"
    )
    tokens: RunTokens = Field(1e12, description="Training: tokens of the whole run")
    framework: FrameworkName = Field(
        "megatron-core",
        description="Training framework whose fitted constants are used (data/frameworks.csv)",
    )

    @property
    def doubts(self) -> str:
        """What is not surely understood of the models; empty for none."""
        return doubts_of((self.model, self.large_model))

    @field_validator("nodes")
    @classmethod
    def _more_than_one(cls, nodes: tuple[int, ...]) -> tuple[int, ...]:
        if min(nodes) < 2:
            raise InputError("", min(nodes), "give numbers of nodes from 2")
        return tuple(sorted(set(nodes)))

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.largest_bytes < 2 * self.smallest_bytes:
            valid = f"give at least twice the smallest message, {2 * self.smallest_bytes:g} bytes"
            raise InputError("largest_message_gib", self.largest_message_gib, valid)
        if self.node_network_gb_s == 0:
            raise InputError("node_network_gb_s", 0, "nodes need a network: give GB/s above 0")
        need_layer_order(self.network, "training speed")
        most = self.network.max_context
        if most and self.seq_len > most:
            raise InputError(
                "seq_len", self.seq_len, f"{self.network.name} ends at {most:,} tokens"
            )
        return self

    @cached_property
    def network(self) -> Model:
        """The model's record."""
        return model(self.model)

    @cached_property
    def terms(self) -> TrainingTerms:
        """Fitted constants of the framework."""
        return framework(self.framework)[1]

    @cached_property
    def memory(self) -> MemoryTerms:
        """Fitted constants of memory."""
        return memory_terms()

    @property
    def smallest_bytes(self) -> float:
        """Smallest message."""
        return self.smallest_message_kib * KIB

    @property
    def largest_bytes(self) -> float:
        """Largest message."""
        return self.largest_message_gib * GIB

    @property
    def message_bytes(self) -> np.ndarray:
        """Message sizes between the smallest and the largest, two for each doubling."""
        doublings = np.log2(self.largest_bytes / self.smallest_bytes)
        return np.geomspace(self.smallest_bytes, self.largest_bytes, int(2 * doublings) + 2)
