"""Who shares the GPUs, on which kinds and at which price."""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from gpuspec.base.ask import Ask, Range, Short, Was
from gpuspec.base.errors import InputError, renamed
from gpuspec.catalog import Gpu, gpu, gpu_ids
from gpuspec.catalog.fields import EngineName, GpuName, ModelName
from gpuspec.catalog.models import doubts_of
from gpuspec.formulas.mig import geometry
from gpuspec.formulas.serving import Engine, engine
from gpuspec.topics.cost.prices import Pairs
from gpuspec.topics.mig.reading import (
    Cells,
    Tenant,
    cells_of,
    every_tenant,
)
from gpuspec.topics.mig.reading import (
    TenantRow as TenantRow,
)
from gpuspec.topics.serving import ServingQuestion
from gpuspec.topics.shared import Compared

PRICES_USD = {
    "a100-sxm-80": 1.80,
    "h100-pcie-80": 2.90,
    "h100-sxm-80": 3.85,
    "h200-sxm-141": 4.60,
    "b200-sxm-180": 6.75,
}
"""Median of providers' on-demand lists, USD for a GPU-hour, November 2026; a parameter, because
prices age in weeks."""
PRICE = Range(0, 1e6, "USD", above=True)


def _table(value: object) -> object:
    """Keep rows as plain data that can be hashed."""
    if isinstance(value, list | tuple):
        return tuple(map(cells_of, value))
    return str(value) if isinstance(value, Path) else value


class MigQuestion(Compared):
    """How are these tenants put on the fewest or cheapest of these GPUs."""

    tenants: Annotated[str | tuple[Cells, ...], BeforeValidator(_table)] = Field(
        "example",
        description="Table of tenants: example, the path of a CSV file, or its lines with ; "
        "between (columns: docs/mig.md)",
    )
    prices: Pairs | None = Field(
        None,
        description="USD for a GPU-hour by kind, such as A100=1.8,H100=3.85; None: medians of "
        "on-demand lists, November 2026",
    )
    objective: Literal["cost", "gpus"] = Field(
        "cost", description="What is as small as possible: cost or gpus"
    )
    reference: GpuName = Field(
        "A100", description="GPU of which gpu_share and bandwidth_share of the tenants are shares"
    )
    engine: Annotated[EngineName, Was("engine_name")] = Field(
        "vllm", description="Inference engine of the language models: vllm, tensorrt-llm, sglang"
    )
    load_factor: Annotated[float, Range(0.01, 1000)] = Field(
        1.0, description="Load of every language model, as a multiple of what the table says"
    )
    reserve: Annotated[float, Range(0, 10)] = Field(
        0.0,
        description="How much more than the table says each place must bear and hold: 0.2 is 20 % "
        "more load and memory",
    )
    max_gpus: Annotated[int, Range(1, 64, "GPUs")] = Field(
        8, description="Most whole GPUs of one replica"
    )
    solver_seconds: Annotated[float, Range(0, 3600, "s", above=True), Short("seconds")] = Field(
        5.0, description="Time limit of the solver"
    )

    @field_validator("gpus")
    @classmethod
    def _have_mig(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        try:
            for name in names:
                geometry(name)
        except InputError as error:
            raise renamed(error, "") from None
        return names

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        _ = self.prices_usd
        _ = self.everyone
        return self

    @cached_property
    def everyone(self) -> tuple[Tenant, ...]:
        """The tenants, with the reserve in what they need."""
        like = ServingQuestion.ask(gpus=self.gpus[0], engine=self.engine)
        return every_tenant(self.tenants, like, self.reserve, self.load_factor)

    @property
    def doubts(self) -> str:
        """What is not surely understood of the tenants' models; empty for none."""
        loads = [tenant.load for tenant in self.everyone if tenant.load]
        return doubts_of(load.model for load in loads)

    @cached_property
    def prices_usd(self) -> dict[str, float]:
        """USD for a GPU-hour of each kind; those not given from `PRICES_USD`."""
        found = dict(PRICES_USD)
        for text in filter(None, (part.strip() for part in (self.prices or "").split(","))):
            name, equals, value = text.partition("=")
            if not equals:
                raise InputError("prices", text, "write A100=1.8,H100=3.85")
            try:
                found[gpu_ids(name)[0]] = PRICE.read(value, whole=False)
            except InputError as error:
                raise InputError("prices", text, error.valid) from None
        for name in self.gpus:
            if name not in found:
                valid = f"its price is unknown: give it with prices, such as {name}=2.5"
                raise InputError("gpus", name, valid)
        return {name: found[name] for name in self.gpus}

    @cached_property
    def runtime(self) -> Engine:
        """The engine's record."""
        return engine(self.engine)

    @cached_property
    def reference_gpu(self) -> Gpu:
        """The record of `reference`."""
        return gpu(self.reference)

    def weight(self, gpu_id: str) -> float:
        """Return what one GPU counts in the objective."""
        return self.prices_usd[gpu_id] if self.objective == "cost" else 1.0


class SliceModel(Ask):
    """With which model slices are held against their GPU."""

    slice_model: ModelName = Field(
        "Llama-3.2-3B", description="Language model with which slices are compared to their GPU"
    )
