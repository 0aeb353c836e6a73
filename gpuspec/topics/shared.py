"""Parts of questions that several topics ask: a model and its requests, GPUs, nodes."""

from functools import cached_property
from typing import Annotated

from pydantic import Field

from gpuspec.base.ask import Ask, Short, Was, typed
from gpuspec.catalog import Gpu, gpu
from gpuspec.catalog.fields import (
    THREE,
    GpuNames,
    KvFormat,
    ModelName,
    NetworkGbS,
    NetworkKind,
    Requests,
    Tokens,
    WeightsGb,
)
from gpuspec.catalog.models import Model, model
from gpuspec.catalog.models.formats import kv_format
from gpuspec.constants.fabrics import reference_node_gb_s

LORA_TARGETS = ("q", "k", "v", "o", "gate", "up", "down")
MODEL_HELP = "Model: a name of the table (gpuspec list models) or the path of a config.json"


class Traffic(Ask):
    """A language model that is asked requests of a length."""

    model: Annotated[ModelName, Was("model_name")] = Field("Llama-3.1-70B", description=MODEL_HELP)
    kv: Annotated[KvFormat, Was("kv_precision")] = Field(
        "stored",
        description="Number format of the key-value cache: bf16, fp16, fp8, int8; stored: as the "
        "model's publisher prescribes, else bf16",
    )
    weights_gb: WeightsGb | None = Field(
        None,
        description="Size of the weights as loaded, all GPUs together; outranks what their (first) "
        "format gives; None: by the format",
    )
    isl: Tokens = Field(2048, description="Input sequence length of a request")
    osl: Tokens = Field(512, description="Output sequence length of a request")
    concurrency: Requests = Field(64, description="Requests always in flight, over all replicas")

    @property
    def context(self) -> int:
        """Tokens of one request at its end: input and output."""
        return self.isl + self.osl

    @cached_property
    def network(self) -> Model:
        """The model's record."""
        return model(self.model)

    @property
    def kv_format(self) -> str:
        """The format of the cache."""
        return kv_format(self.network, self.kv)


class Compared(Ask):
    """GPUs that are compared."""

    gpus: Annotated[GpuNames, Short("gpu")] = Field(
        typed(THREE),
        description="GPUs to compare, commas between; the first is the measure of the others",
    )

    @cached_property
    def devices(self) -> tuple[Gpu, ...]:
        """The GPUs' records."""
        return tuple(gpu(name) for name in self.gpus)


class Networked(Ask):
    """What joins nodes of GPUs."""

    node_network_gb_s: Annotated[NetworkGbS | None, Short("network")] = Field(
        None,
        description="Network of a node in one direction; 0: none; None: the reference design",
    )
    network_kind: NetworkKind = Field(
        "infiniband", description="Kind of network: infiniband, roce, efa or tcp"
    )

    def network_gb_s(self, device: Gpu) -> float:
        """Return the network of a node with this GPU, GB/s in one direction."""
        given = self.node_network_gb_s
        return reference_node_gb_s(device) if given is None else given
