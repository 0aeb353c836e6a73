"""What is asked about serving."""

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Annotated, Self

from pydantic import Field, model_validator

from gpuspec.base.ask import Range, Short, Was, typed
from gpuspec.base.errors import InputError
from gpuspec.catalog import Gpu
from gpuspec.catalog.fields import (
    EngineName,
    Formats,
    ImageSize,
    ImageStack,
    ImageSteps,
    RequestRate,
    Seconds,
    Share,
)
from gpuspec.catalog.images import ImageModel, image_model
from gpuspec.catalog.models import Model
from gpuspec.catalog.models.formats import weight_format, with_stored
from gpuspec.catalog.precision import WeightFormat
from gpuspec.constants.memory import MemoryTerms, memory_terms
from gpuspec.formulas.serving import Deployment, Engine, Layout, engine
from gpuspec.formulas.splits import Split, expert_split
from gpuspec.topics.serving.separate import Separate
from gpuspec.topics.serving.settings import CURRENT, Settings
from gpuspec.topics.shared import Compared, Networked, Traffic


class Load(Settings, Traffic):
    """A service: its model, its requests, its limits. The workload of a scenario is one, too."""

    request_rate: Annotated[RequestRate | None, Short("rate")] = Field(
        None,
        description="Requests that arrive at random, over all replicas; given, 95 % of them keep "
        "the limits, and concurrency does not count",
    )
    ttft_limit_s: Annotated[Seconds | None, Was("ttft_s")] = Field(
        2.0, description="Longest time to the first token; None: no limit"
    )
    tpot_limit_s: Annotated[Seconds | None, Was("tpot_s")] = Field(
        0.05, description="Longest time between tokens; None: no limit"
    )
    engine: Annotated[EngineName, Was("engine_name")] = Field(
        "tensorrt-llm", description="Inference engine: tensorrt-llm, vllm, sglang"
    )
    cached_share: Share = Field(0.0, description="Share of the prompt found in the prefix cache")

    @property
    def arriving(self) -> float:
        """Requests a second; 0 where `concurrency` of them are in flight instead."""
        return self.request_rate or 0.0

    @model_validator(mode="after")
    def _fits_the_model(self) -> Self:
        network, most = self.network, self.network.max_context
        self.whole_prompts_fit(self.prompt_tokens)
        network.need_layers("tokens per second")
        if network.kind == "encoder-decoder":
            valid = (
                "the speed of encoder-decoder models is not modelled: every token that the decoder "
                "writes reads what the encoder left; gpuspec report memory says what they need"
            )
            raise InputError("model", network.id, valid)
        if most and self.context > most:
            told = "isl" if network.kind == "encoder" else "isl + osl"
            told += " with images" if self.images_per_request else ""
            valid = f"{network.name} ends at {most:,} tokens; {told} is {self.context:,}"
            raise InputError("isl", self.isl, valid)
        if network.kind == "encoder" and self.request_rate:
            valid = "None: an encoder's arrivals are not modelled, give its concurrency"
            raise InputError("request_rate", self.request_rate, valid)
        return self


class Replicas(Load, Compared, Networked):
    """What a replica is: the load, the GPUs, the formats of weights, speculation."""

    weights: Annotated[Formats, Was("weight_precision", "precisions")] = Field(
        typed("stored,fp8"),
        description="Number formats of the weights to try: bf16, fp8, int8, int4, mxfp4, ...; "
        "stored: as the model's publisher stores them, and beside it only smaller ones",
    )
    draft_tokens: Annotated[int, Range(0, 32, "tokens")] = Field(
        0, description="Speculative decoding: tokens proposed in a step; 0: off"
    )
    acceptance: Share = Field(
        0.7, description="Speculative decoding: probability that a proposed token is right"
    )

    @model_validator(mode="after")
    def _queues_know_no_speculation(self) -> Self:
        if self.request_rate and self.draft_tokens:
            valid = "0 with a request rate: queues are not modelled with speculation"
            raise InputError("draft_tokens", self.draft_tokens, valid)
        if self.draft_tokens and self.network.kind == "encoder":
            raise InputError("draft_tokens", self.draft_tokens, "0: an encoder writes no tokens")
        _ = self.formats  # says what is wrong with them
        return self

    @cached_property
    def formats(self) -> tuple[WeightFormat, ...]:
        """The formats of weights, each with what every part of the model takes in it."""
        return tuple(with_stored(self.network, self.weights, self.weights_gb))

    def format_of(self, called: str) -> WeightFormat:
        """Return the format of weights that tables of ways call so."""
        for form in self.formats:
            if form.id == called:
                return form
        return weight_format(self.network, called)

    @cached_property
    def runtime(self) -> Engine:
        """The engine's record, with its fitted constants."""
        return engine(self.engine, "" if self.engine_version == CURRENT else self.engine_version)

    @cached_property
    def memory(self) -> MemoryTerms:
        """Fitted constants of memory."""
        return memory_terms()

    def replica(
        self,
        device: Gpu,
        weight: WeightFormat,
        tp: int,
        pp: int = 1,
        ep: int | None = None,
        attention_dp: int | None = None,
    ) -> Deployment:
        """Return one replica of the model on GPUs that are split so; see `Split`.

        Without `ep` whole experts are spread over all of `tp` where their number divides.
        """
        ep = expert_split(self.network, tp) if ep is None else ep
        library, split = self.runtime.library, Split(tp, pp, ep, attention_dp or 1)
        images = float(self.image_tokens), self.images_per_request / self.prompt_tokens
        return Deployment(
            layout=_layout(
                self.network,
                device,
                weight,
                self.kv_format,
                split,
                library,
                *images,
                self.node_network_gb_s,
                self.network_kind,
            ),
            engine=self.runtime.terms,
            limits=self.set_limits(self.runtime.limits, self.prompt_tokens),
            memory=self.memory,
            chunked=self.chunked_prefill,
        )


class ServingQuestion(Replicas):
    """Which GPUs serve this load, how many, split how."""

    max_gpus: Annotated[int, Range(1, 64, "GPUs")] = Field(
        16, description="Most GPUs of one replica"
    )

    def on(self, devices: Sequence[Gpu], runtime: Engine, max_gpus: int) -> Self:
        """Return the question asked of GPUs that no table lists, such as slices of one."""
        found = self.model_copy(
            update={"gpus": tuple(device.id for device in devices), "max_gpus": max_gpus}
        )
        found.__dict__.update(devices=tuple(devices), runtime=runtime)
        return found


class EstimateQuestion(Separate, Replicas):
    """How fast is one replica."""

    tp: Annotated[int, Range(1, 1024, "GPUs")] = Field(1, description="Tensor-parallel size")
    pp: Annotated[int, Range(1, 1024, "stages")] = Field(1, description="Pipeline stages")

    def replica(
        self,
        device: Gpu,
        weight: WeightFormat,
        tp: int,
        pp: int = 1,
        ep: int | None = None,
        attention_dp: int | None = None,
    ) -> Deployment:
        """Return one replica, whose experts and attention are split as asked unless given."""
        ep, groups = ep or self.ep, attention_dp or self.attention_dp
        return super().replica(device, weight, tp, pp, ep, groups)


class ImagesQuestion(Compared):
    """How fast do GPUs generate images."""

    image_model: str = Field(
        "SDXL",
        description="Diffusion model of the section on images: SDXL, FLUX.1-dev, FLUX.1-schnell",
    )
    image_steps: Annotated[ImageSteps, Short("steps")] = Field(
        30, description="Denoising steps of an image"
    )
    image_size: Annotated[ImageSize, Short("size")] = Field(
        1024, description="Pixels of its width and height"
    )
    image_stack: Annotated[ImageStack, Short("stack")] = Field(
        "tensorrt", description="Software that generates the images"
    )

    @cached_property
    def network(self) -> ImageModel:
        """The model's record."""
        return image_model(self.image_model)

    @model_validator(mode="after")
    def _has_a_model(self) -> Self:
        _ = self.network
        return self


@lru_cache(2048)
def _layout(
    network: Model,
    device: Gpu,
    weight: WeightFormat,
    kv: str,
    split: Split,
    library: str,
    image_tokens: float,
    images_per_token: float,
    node_gb_s: float | None,
    network_kind: str,
) -> Layout:
    """Return a layout, the same one for the same question: it keeps what it has computed."""
    return Layout(
        network=network,
        gpu=device,
        weight=weight,
        kv_precision=kv,
        **split._asdict(),
        library=library,
        image_tokens=image_tokens,
        images_per_token=images_per_token,
        node_gb_s=node_gb_s,
        network_kind=network_kind,
    )
