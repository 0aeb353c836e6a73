"""The settings over which claims are examined."""

from functools import cached_property
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from gpuspec.base.ask import Range, Was, typed
from gpuspec.base.errors import InputError
from gpuspec.catalog import Gpu, gpu, load_table
from gpuspec.catalog.fields import (
    Formats,
    FrameworkNames,
    GpuCounts,
    GpuName,
    ModelNames,
    Names,
    SequenceTokens,
    Tokens,
    split,
)
from gpuspec.catalog.models import Model, model
from gpuspec.views.spoken import Spoken

SMALL_B, LARGE_B = 33.0, 70.0
"""Parameters (in 1e9) up to which the article's "up to 30B", and from which its "70B and more"."""
Lengths = Annotated[tuple[Tokens, ...], BeforeValidator(split), Field(min_length=1)]
Sequences = Annotated[tuple[SequenceTokens, ...], BeforeValidator(split), Field(min_length=1)]
Fleets = Annotated[
    tuple[Annotated[int, Range(1, 8, "GPUs")], ...], BeforeValidator(split), Field(min_length=1)
]
Ratios = Annotated[
    tuple[Annotated[float, Range(0.01, 100)], ...], BeforeValidator(split), Field(min_length=1)
]


class ClaimsQuestion(Spoken):
    """Which GPUs stand for the article's three, and the grid of settings."""

    claims: Names = Field((), description="Statements to examine, such as C01,C12; empty: all")
    a100: GpuName = Field(
        "A100", description="GPU that stands for the guide's A100, such as A100 PCIe 80GB or A800"
    )
    h100: GpuName = Field(
        "H100", description="GPU that stands for its H100, such as H100 PCIe or H800"
    )
    h200: GpuName = Field(
        "H200", description="GPU that stands for its H200, such as H200 NVL or H20"
    )
    models: ModelNames = Field(
        typed("Llama-3.2-1B,Llama-3.1-8B,Qwen2.5-32B,Llama-3.1-70B,Mistral-Large-123B"),
        description="Models that are served",
    )
    contexts: Lengths = Field(typed("512,2048,8192,32768,98304"), description="A prompt")
    answers: Lengths = Field(typed("128,1024"), description="An answer")
    fleets: Fleets = Field(typed("1,2,4,8"), description="GPUs that serve together")
    weights: Annotated[Formats, Was("new_weights")] = Field(
        typed("bf16,fp8"), description="Formats of weights on H100 and H200 (A100 serves in BF16)"
    )
    trained: ModelNames = Field(
        typed("Llama-3.1-8B,Qwen2.5-32B,Llama-3.1-70B,Mixtral-8x22B,Llama-3.1-405B"),
        description="Models that are trained",
    )
    train_gpus: GpuCounts = Field(typed("16,64,128,256,1024"), description="GPUs for each of them")
    frameworks: FrameworkNames = Field(
        typed("megatron-core,fsdp-compiled,llm-foundry"),
        description="Frameworks that train them; a published run stands beside those of its own",
    )
    sequences: Sequences = Field(typed("4096,32768"), description="A training sequence")
    h100_prices: Ratios | None = Field(
        None,
        description="Prices of an H100-hour to try, in A100-hours, such as 1.8,2.1,2.5; None: "
        "rents of the price table",
    )
    h200_prices: Ratios | None = Field(
        None,
        description="Prices of an H200-hour to try, in H100-hours; None: rents of the price table",
    )

    @model_validator(mode="after")
    def _can_be_examined(self) -> Self:
        if len(self.trained) != len(self.train_gpus):
            valid = f"give one number for each of the {len(self.trained)} trained models"
            raise InputError("train_gpus", len(self.train_gpus), valid)
        for network in (*self.networks, *self.trained_networks):
            network.need_llm("tokens per second")
        _ = self.h100_ratios, self.h200_ratios
        return self

    @cached_property
    def a100_gpu(self) -> Gpu:
        """The record of `a100`."""
        return gpu(self.a100)

    @cached_property
    def h100_gpu(self) -> Gpu:
        """The record of `h100`."""
        return gpu(self.h100)

    @cached_property
    def h200_gpu(self) -> Gpu:
        """The record of `h200`."""
        return gpu(self.h200)

    @cached_property
    def networks(self) -> tuple[Model, ...]:
        """The records of `models`."""
        return tuple(model(name) for name in self.models)

    @cached_property
    def trained_networks(self) -> tuple[Model, ...]:
        """The records of `trained`."""
        return tuple(model(name) for name in self.trained)

    @cached_property
    def h100_ratios(self) -> tuple[float, ...]:
        """Hours of A100 that an hour of H100 costs: the levels to try."""
        return self.h100_prices or _rents("h100_prices", self.h100_gpu, self.a100_gpu)

    @cached_property
    def h200_ratios(self) -> tuple[float, ...]:
        """Hours of H100 that an hour of H200 costs."""
        return self.h200_prices or _rents("h200_prices", self.h200_gpu, self.h100_gpu)


def _rents(field: str, new: Gpu, old: Gpu) -> tuple[float, ...]:
    """Return the price ratios of rents in the same mode and tier."""
    table = load_table("prices-defaults")
    table = table[(table["mode"] != "own") & (table["currency"] == "USD")]
    keys = ["mode", "tier", "region"]
    sides = [table[table["gpu_id"] == g.id].set_index(keys)["central"] for g in (new, old)]
    ratios = (sides[0] / sides[1]).dropna()
    if ratios.empty:
        valid = f"no rent of {new.id} and {old.id} is known: give ratios, such as 1.8,2.1,2.5"
        raise InputError(field, None, valid)
    levels = (ratios.min(), ratios.median(), ratios.max())
    return tuple(dict.fromkeys(round(float(level), 2) for level in levels))
