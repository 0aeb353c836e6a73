"""What a buyer asks: frozen records, every field with its unit in the name or its comment."""

from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from gpuspec.base.errors import InputError
from gpuspec.base.units import HOURS_MONTH as HOURS_PER_MONTH
from gpuspec.catalog import gpu_ids, load_table, resolve

Mode = Literal["on-demand", "reserved-1yr", "reserved-3yr", "spot", "own"]
MODES: tuple[Mode, ...] = ("on-demand", "reserved-1yr", "reserved-3yr", "spot", "own")
Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""A number above 0."""
Hours = Annotated[float, Field(gt=0, le=744)]
"""Hours of a month."""
Limit = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""A number from 0, where 0 means that there is no limit."""


def _gpu(value: Any) -> Any:
    return resolve(value, load_table("gpus"), "gpu") if isinstance(value, str) else value


def _gpus(value: Any) -> Any:
    return tuple(gpu_ids(value)) if isinstance(value, str | list | tuple) and value else value


def _model(value: Any) -> Any:
    """Return the id of a model of the table; a path of a config.json stays as it is."""
    if not isinstance(value, str) or value.lower().endswith(".json") or "/config" in value:
        return value
    return resolve(value, load_table("models"), "model")


def _names(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


GpuId = Annotated[str, BeforeValidator(_gpu)]
GpuIds = Annotated[tuple[str, ...], BeforeValidator(_gpus), Field(min_length=1)]
ModelName = Annotated[str, BeforeValidator(_model)]
Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
Precisions = Annotated[
    tuple[Literal["bf16", "fp8", "int8", "int4"], ...],
    BeforeValidator(_names),
    Field(min_length=1),
]
Modes = Annotated[tuple[Mode, ...], BeforeValidator(_names), Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Budget(_Strict):
    """What may be spent, USD; None where there is no limit."""

    capital_usd: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    monthly_usd: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class Limits(_Strict):
    """What the place or the market allows; 0 where there is no limit."""

    power_kw: Limit = 0.0
    """Of all nodes at the wall of the room, cooling not counted."""
    gpus: int = Field(0, ge=0)
    racks: int = Field(0, ge=0)
    rack_kw: Limit = 0.0

    @property
    def total_kw(self) -> float:
        """Return the kW that rooms and racks allow; infinite where neither says."""
        room = self.power_kw or float("inf")
        return min(room, self.racks * self.rack_kw or float("inf"))


class Owned(_Strict):
    """GPUs that are there already: they cost energy and housing, no capital."""

    gpu: GpuId
    count: int = Field(ge=1, le=1_000_000)
    bought: date | None = None
    book_usd: Limit = 0.0
    """What they would fetch or stand for in the books, all together."""


class Allow(_Strict):
    """What may be chosen from."""

    gpus: GpuIds = ("a100-sxm-80", "h100-sxm-80", "h200-sxm-141")
    vendors: Names = ()
    """Providers of rented GPUs; all where empty."""
    regions: Names = ()
    modes: Modes = MODES
    precisions: Precisions = ("bf16", "fp8")


class Prices(_Strict):
    """Where prices come from and how they are read."""

    file: str = ""
    """A file with quotes of one's own, CSV or YAML; they outrank everything else."""
    quotes: tuple[dict[str, Any], ...] | str = ()
    """More of them: rows, or a text such as ``h100-sxm-80:on-demand=2.10``."""
    drift: Literal["down", "flat", "up"] = "flat"
    utilization: Annotated[float, Field(gt=0, le=1)] = 0.65
    """Share of the hours that GPUs in use are busy: the rest of the time they draw idle power."""
    currency: Literal["USD", "CNY"] = "USD"
    usd_cny: Amount = 7.1


class _Workload(_Strict):
    name: str = Field(min_length=1)
    from_quarter: int = Field(1, ge=1, le=40)
    to_quarter: int = Field(40, ge=1, le=40)
    growth: Annotated[float, Field(ge=-0.9, le=10)] = 0.0
    """Growth of the load from one quarter to the next: 0.1 is a tenth more each quarter."""

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> "_Workload":
        if self.to_quarter < self.from_quarter:
            valid = f"it must not lie before from_quarter {self.from_quarter}"
            raise InputError("to_quarter", self.to_quarter, valid)
        return self

    def timeless(self) -> Self:
        """Return the same work without its quarters and growth: all that matters for speed."""
        return self.model_copy(update={"from_quarter": 1, "to_quarter": 40, "growth": 0.0})


class Training(_Workload):
    """A training job: so many tokens until a deadline, so many times a year."""

    kind: Literal["training"] = "training"
    model: ModelName
    tokens: Amount
    deadline_days: Amount
    seq_len: int = Field(4096, ge=16, le=10_000_000)
    global_batch: int = Field(1024, ge=1, le=1_000_000)
    tuning: Literal["full", "lora", "qlora"] = "full"
    framework: str = "megatron-core"
    runs_per_year: Amount = 1.0
    interruptible: bool = True
    """Whether it may run on spot GPUs: it restarts from its last checkpoint."""


class Inference(_Workload):
    """A service: requests of a length, so many in flight or so many a second, within limits."""

    kind: Literal["inference"] = "inference"
    model: ModelName
    isl: int = Field(2048, ge=1, le=10_000_000)
    osl: int = Field(512, ge=1, le=10_000_000)
    concurrency: int = Field(0, ge=0, le=10_000_000)
    request_rate: Limit = 0.0
    """Requests a second that arrive at random; given, 95 % of them keep the limits."""
    ttft_limit_s: Limit = 2.0
    tpot_limit_s: Limit = 0.05
    hours_per_month: Hours = HOURS_PER_MONTH
    interruptible: bool = False
    """Whether the service may stop when a spot GPU is withdrawn."""
    kv_precision: Literal["bf16", "fp16", "fp8", "int8"] = "bf16"
    engine: str = "tensorrt-llm"
    cached_share: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @model_validator(mode="after")
    def _one_kind_of_load(self) -> "Inference":
        if not self.concurrency and not self.request_rate:
            raise InputError("concurrency", 0, "give concurrency or request_rate")
        if self.concurrency and self.request_rate:
            raise InputError("request_rate", self.request_rate, "give it or concurrency, not both")
        return self


class Images(_Workload):
    """A service that generates images, so many a second."""

    kind: Literal["images"] = "images"
    model: ModelName = "sdxl-1.0"
    images_per_s: Amount
    steps: int = Field(30, ge=1, le=1000)
    size: int = Field(1024, ge=64, le=8192)
    stack: Literal["tensorrt", "compiled", "eager"] = "tensorrt"
    hours_per_month: Hours = HOURS_PER_MONTH
    interruptible: bool = False


class Hpc(_Workload):
    """A simulation: so many GPU-hours of a class of work on a GPU that is known."""

    kind: Literal["hpc"] = "hpc"
    workload: str
    """Class of work, such as stencil-7 or md."""
    gpu_hours: Amount
    """Hours of one run on `reference_gpu`."""
    reference_gpu: GpuId = "a100-sxm-80"
    deadline_days: Amount
    runs_per_year: Amount = 12.0
    interruptible: bool = True


class Tenants(_Workload):
    """Many small services, each on a slice of a GPU."""

    kind: Literal["tenants"] = "tenants"
    table: str | tuple[dict[str, Any], ...]
    """A CSV file beside the scenario, or its rows."""
    hours_per_month: Hours = HOURS_PER_MONTH
    interruptible: bool = False


Workload = Training | Inference | Images | Hpc | Tenants
KINDS: dict[str, type[_Workload]] = {
    "training": Training,
    "inference": Inference,
    "images": Images,
    "hpc": Hpc,
    "tenants": Tenants,
}


class Scenario(_Strict):
    """Everything that a decision depends on, checked once."""

    name: str = Field(min_length=1)
    objective: Literal["cost", "time", "energy"] = "cost"
    horizon_months: int = Field(36, ge=1, le=120)
    today: date | None = None
    budget: Budget = Budget()
    limits: Limits = Limits()
    owned: tuple[Owned, ...] = Field((), max_length=1000)
    allow: Allow = Allow()
    prices: Prices = Prices()
    workloads: tuple[Annotated[Workload, Field(discriminator="kind")], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> "Scenario":
        names = [w.name for w in self.workloads]
        for place, name in enumerate(names):
            if name in names[:place]:
                raise InputError(f"workloads[{place}].name", name, "each workload has its own name")
        return self
