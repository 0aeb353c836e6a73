"""What is asked about serving."""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Annotated, Self

from pydantic import Field, model_validator

from gpuspec.base.ask import BLANK, Blank, Names, Range, Short, Was, typed
from gpuspec.base.errors import InputError
from gpuspec.catalog import Gpu
from gpuspec.catalog.fields import (
    EngineName,
    Formats,
    HourlyRequests,
    ImagePrecision,
    ImageSize,
    ImageStack,
    ImageSteps,
    Limit,
    PeakFactor,
    RequestRate,
    Share,
    Spread,
    UsedShare,
    Users,
)
from gpuspec.catalog.fields import (
    Requests as InFlight,
)
from gpuspec.catalog.images import ImageModel, image_model
from gpuspec.catalog.models import Model
from gpuspec.catalog.models.formats import weight_format, with_stored
from gpuspec.catalog.precision import WeightFormat
from gpuspec.constants.memory import MemoryTerms, memory_terms
from gpuspec.formulas.images import ImageJob, check_fused, image_precision
from gpuspec.formulas.serving import Client, Deployment, Engine, Layout, engine
from gpuspec.formulas.serving.lengths import closed_in_flight, length_biased, open_rate
from gpuspec.formulas.splits import Split, expert_split
from gpuspec.topics.serving.settings import CURRENT, Separate, Settings
from gpuspec.topics.serving.traces import Requests, read_requests
from gpuspec.topics.shared import Compared, Networked, Traffic

IN_FLIGHT = 64
"""Requests in flight where nothing states the load."""


class Load(Settings, Traffic):
    """A service: its model, its requests, its limits. The workload of a scenario is one, too.

    The load is stated in one way: requests in flight, requests a second, users, or the times of a
    file of requests.
    """

    concurrency: InFlight | None = Field(  # type: ignore[assignment]
        None,
        description="Requests always in flight, over all replicas; None: 64, where no other "
        "field states the load",
    )
    request_rate: Annotated[RequestRate | None, Short("rate")] = Field(
        None,
        description="Requests that arrive at random in the busiest hour, over all replicas; "
        "95 % of them keep the limits",
    )
    users: Users | None = Field(
        None,
        description="People (or programs) who ask, the idle ones included; states the load "
        "with active_share and requests_per_hour or think_s",
    )
    active_share: Annotated[UsedShare, Blank()] = Field(
        BLANK,
        description="Share of the users who are active in the busiest hour; None: of the use case",
    )
    requests_per_hour: HourlyRequests | None = Field(
        None, description="Requests of an active user in an hour; None: of the use case"
    )
    think_s: Annotated[float, Range(0, 1e6, "s")] | None = Field(
        None,
        description="Instead of requests_per_hour: time between an answer and the next "
        "request of an active user, who waits for each answer",
    )
    peak_factor: Annotated[PeakFactor, Blank()] = Field(
        BLANK,
        description="Requests of the busiest hour over the mean of the day; None: of the "
        "file of lengths if it has times, else of the use case",
    )
    isl_cv: Annotated[Spread, Blank()] = Field(
        BLANK,
        description="Spread of the input lengths: standard deviation over mean (lognormal); "
        "0: all alike; None: of the use case",
    )
    osl_cv: Annotated[Spread, Blank()] = Field(
        BLANK, description="Spread of the output lengths; None: of the use case"
    )
    lengths: str | None = Field(
        None,
        description="A file of requests, CSV or JSON lines: tokens in, tokens out and, if "
        "known, the time of each; gives isl, osl, their spreads and the rate where these are blank",
    )
    ttft_limit_s: Annotated[Limit, Blank(), Was("ttft_s")] = Field(
        BLANK, description="Longest time to the first token; 0: no limit; None: of the use case"
    )
    tpot_limit_s: Annotated[Limit, Blank(), Was("tpot_s")] = Field(
        BLANK, description="Longest time between tokens; 0: no limit; None: of the use case"
    )
    engine: Annotated[EngineName, Was("engine_name")] = Field(
        "tensorrt-llm", description="Inference engine: tensorrt-llm, vllm, sglang"
    )
    cached_share: Share = Field(0.0, description="Share of the prompt found in the prefix cache")

    @cached_property
    def trace(self) -> Requests | None:
        """The requests of the file of lengths."""
        return read_requests(self.lengths) if self.lengths else None

    @property
    def measured(self) -> Mapping[str, object]:
        """What the file of requests says: it outranks the use case, and what is given it."""
        return self.trace.fields if self.trace else {}

    @property
    def pace(self) -> float | None:
        """Requests of an active user in an hour; None where the users think and wait instead."""
        if self.think_s is not None or self.users is None:
            return None
        return self.requests_per_hour or self.usual.requests_per_hour

    @property
    def arriving(self) -> float:
        """Requests a second in the busiest hour; 0 where so many are in flight instead."""
        if self.request_rate or self.concurrency:
            return self.request_rate or 0.0
        if self.users is not None:
            return float(open_rate(self.users, self.active_share, self.pace)) if self.pace else 0.0
        day = self.trace.day if self.trace else None
        return day.peak_s if day else 0.0

    @property
    def in_flight(self) -> int:
        """Requests in flight over all replicas; where they arrive at a rate, 1."""
        if self.concurrency:
            return self.concurrency
        if self.users is not None and self.think_s is not None:
            active = max(self.users * self.active_share, 1.0)
            slowest = (self.ttft_limit_s or 0.0) + (self.tpot_limit_s or 0.0) * (self.osl - 1)
            limited = self.ttft_limit_s and self.tpot_limit_s and self.think_s
            busy = closed_in_flight(active, self.think_s, slowest) if limited else active
            return max(math.ceil(float(busy)), 1)
        return 1 if self.arriving else IN_FLIGHT

    @property
    def client(self) -> Client:
        """Users of a service, whose requests vary as stated."""
        return Client(isl_spread=self.isl_cv, osl_spread=self.osl_cv)

    @property
    def held_osl(self) -> float:
        """Output tokens for which a request in flight needs memory: long ones stay longer."""
        return float(length_biased(self.osl, self.osl_cv))

    @property
    def held_context(self) -> int:
        """Tokens of cache that a request in flight needs at its end."""
        longer = 0.0 if self.network.kind == "encoder" else self.held_osl - self.osl
        return self.context + math.ceil(longer)

    def times(self, factor: float) -> Self:
        """Return the same service with `factor` times the traffic."""
        changes: dict[str, object] = {}
        if self.concurrency:
            changes = {"concurrency": max(round(self.concurrency * factor), 1)}
        elif self.request_rate:
            changes = {"request_rate": self.request_rate * factor}
        elif self.users is not None:
            changes = {"users": max(round(self.users * factor), 1)}
        elif self.arriving:
            changes = {"request_rate": self.arriving * factor}
        else:
            changes = {"concurrency": max(round(self.in_flight * factor), 1)}
        return self.model_copy(update=changes)

    @model_validator(mode="after")
    def _one_kind_of_load(self) -> Self:
        stated = [n for n in ("concurrency", "request_rate", "users") if getattr(self, n)]
        if len(stated) > 1:
            raise InputError(
                stated[1], getattr(self, stated[1]), f"give it or {stated[0]}, not both"
            )
        for name in ("requests_per_hour", "think_s"):
            if self.users is None and getattr(self, name) is not None:
                valid = "it is of users, and none are given"
                raise InputError(name, getattr(self, name), valid)
        if self.users is None:
            return self
        if self.think_s is not None and self.requests_per_hour is not None:
            valid = "give it or requests_per_hour, not both"
            raise InputError("think_s", self.think_s, valid)
        if self.think_s is None and not self.pace:
            valid = (
                "give use_case (such as chat), requests_per_hour or think_s beside it: "
                f"{self.usual.id} states neither"
            )
            raise InputError("users", self.users, valid)
        return self

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
        if network.kind == "encoder" and self.arriving:
            valid = "None: an encoder's arrivals are not modelled, give its concurrency"
            raise InputError(self.load_field, self.arriving, valid)
        return self

    @property
    def load_field(self) -> str:
        """The field that states the load."""
        stated = ("concurrency", "request_rate", "users")
        return next(
            (n for n in stated if getattr(self, n)), "lengths" if self.arriving else stated[0]
        )


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
        if self.arriving and self.draft_tokens:
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


class EstimateQuestion(Separate, ServingQuestion):
    """How fast is one replica."""

    tp: Annotated[int, Range(1, 1024, "GPUs")] | None = Field(
        None,
        description="Tensor-parallel size; None, and pp None, too: the layout and the "
        "replicas that serve the load with the fewest GPUs",
    )
    pp: Annotated[int, Range(1, 1024, "stages")] | None = Field(
        None, description="Pipeline stages; None: 1, or as tp says"
    )

    @model_validator(mode="after")
    def _splits_a_layout_that_is_given(self) -> Self:
        for name in ("ep", "attention_dp", "prefill_gpus"):
            if self.tp is None and getattr(self, name) not in (None, 0, 1):
                raise InputError(name, getattr(self, name), "give tp beside it")
        return self

    def replica(
        self,
        device: Gpu,
        weight: WeightFormat,
        tp: int | None,
        pp: int | None = None,
        ep: int | None = None,
        attention_dp: int | None = None,
    ) -> Deployment:
        """Return one replica, whose experts and attention are split as asked unless given."""
        ep, groups = ep or self.ep, attention_dp or self.attention_dp
        return super().replica(device, weight, tp or 1, pp or 1, ep, groups)


class ImagesQuestion(Compared):
    """How fast do GPUs generate images."""

    image_model: Annotated[str, Names("image-models")] = Field(
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
    image_precision: Annotated[ImagePrecision, Short("precision")] = Field(
        "bf16",
        description="Number format of the products: bf16 (or FP16), or 8bit: FP8 where a GPU has "
        "it, else INT8",
    )

    @cached_property
    def network(self) -> ImageModel:
        """The model's record."""
        return image_model(self.image_model)

    @model_validator(mode="after")
    def _has_a_model(self) -> Self:
        _ = self.network
        check_fused(self.image_stack, self.image_precision)
        return self

    def job(self, device: Gpu) -> ImageJob:
        """Return how a GPU generates an image."""
        size, form = self.image_size, image_precision(device, self.image_precision)
        return ImageJob(self.image_steps, size, size, self.image_stack, form)


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
