"""Parts of questions that several topics ask: a model and its requests, GPUs, nodes."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Self

from pydantic import Field, model_validator

from gpuspec.base.ask import BLANK, Ask, Blank, Short, Was, typed
from gpuspec.base.errors import InputError
from gpuspec.catalog import Gpu, gpu
from gpuspec.catalog.fields import (
    THREE,
    GpuNames,
    Images,
    KvFormat,
    ModelName,
    NetworkGbS,
    NetworkKind,
    Requests,
    Tokens,
    UseCaseName,
    WeightsGb,
)
from gpuspec.catalog.models import Model, model
from gpuspec.catalog.models.formats import kv_format
from gpuspec.catalog.use_cases import UseCase, use_case
from gpuspec.constants.fabrics import reference_node_gb_s

MODEL_HELP = "Model: a name of the table (gpuspec list models) or the path of a config.json"


OF_USE_CASE = (
    *("isl", "isl_cv", "osl", "osl_cv", "ttft_limit_s", "tpot_limit_s"),
    *("active_share", "peak_factor"),
)
"""Fields that the use case fills in where they are left blank."""


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
    use_case: UseCaseName = Field(
        "general",
        description="What fields that are left blank are taken from: general, chat, "
        "code-completion, rag, summarising, batch (gpuspec list use-cases)",
    )
    isl: Annotated[Tokens, Blank()] = Field(
        BLANK, description="Input sequence length of a request, the mean; None: of the use case"
    )
    osl: Annotated[Tokens, Blank()] = Field(
        BLANK, description="Output sequence length of a request, the mean; None: of the use case"
    )
    images_per_request: Annotated[Images, Short("images")] = Field(
        0, description="Images in a prompt, beside its isl tokens of text"
    )
    concurrency: Requests = Field(64, description="Requests always in flight, over all replicas")

    @cached_property
    def usual(self) -> UseCase:
        """What the use case says of a load."""
        return use_case(self.use_case)

    @model_validator(mode="after")
    def _blank_as_the_use_case(self) -> Self:
        names = type(self).model_fields
        usual = {name: getattr(self.usual, name) for name in OF_USE_CASE if name in names}
        self._fill({**usual, **self.measured})
        return self

    @property
    def measured(self) -> Mapping[str, object]:
        """What outranks the use case where a field is left blank."""
        return {}

    @property
    def image_tokens(self) -> int:
        """Tokens of the images of one request."""
        return self.images_per_request * self.network.image_tokens

    def powers_of_two(self, longest: int) -> tuple[int, ...]:
        """Return powers of two of tokens up to `longest`, or to where the model ends before."""
        most = min(self.network.max_context or longest, longest)
        last = most.bit_length() - 1
        first = max(min(11, last - 4), 0)  # from 2,048, for short models from a sixteenth
        return tuple(2**power for power in range(first, last + 1))

    @property
    def prompt_tokens(self) -> int:
        """Tokens of one prompt, its images included where they are part of it."""
        crossed = any(block.cache == "image" for block in self.network.blocks)
        return self.isl + (0 if crossed else self.image_tokens)

    @property
    def context(self) -> int:
        """Tokens of one request at its end: input and output; an encoder writes none."""
        return self.prompt_tokens + (0 if self.network.kind == "encoder" else self.osl)

    @cached_property
    def network(self) -> Model:
        """The model's record."""
        return model(self.model)

    @model_validator(mode="after")
    def _images_are_seen(self) -> Self:
        found = self.network
        if self.images_per_request and not (found.tower_params and found.image_tokens):
            valid = f"0: {found.name} has no vision tower whose tokens an image is known to take"
            raise InputError("images_per_request", self.images_per_request, valid)
        return self

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


SOCKETS_SPANNED = "Processors whose PCIe cards a group spans: 1, under one switch or processor; 2"


class Networked(Ask):
    """What joins nodes of GPUs."""

    node_network_gb_s: Annotated[NetworkGbS | None, Short("network")] = Field(
        None,
        description="Network of a node in one direction; 0: none; None: the reference design",
    )
    network_kind: NetworkKind = Field(
        "infiniband",
        description="Kind of network: infiniband, roce, efa, efa-shared, slingshot or tcp",
    )

    def network_gb_s(self, device: Gpu) -> float:
        """Return the network of a node with this GPU, GB/s in one direction."""
        given = self.node_network_gb_s
        return reference_node_gb_s(device) if given is None else given
