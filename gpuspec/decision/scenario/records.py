"""What a buyer asks: frozen records, every field with its unit in the name or its comment."""

import math
import re
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from gpuspec.base.ask import BLANK, Ask, Blank, Range, Was, typed
from gpuspec.base.errors import InputError, renamed
from gpuspec.base.units import HOURS_MONTH as HOURS_PER_MONTH
from gpuspec.catalog import fields, resolve
from gpuspec.catalog.api_prices import TokenPriceQuote
from gpuspec.catalog.load_profiles import HOURS, hours_of_day, load_profile
from gpuspec.catalog.models import doubts_of
from gpuspec.formulas.images import check_fused
from gpuspec.topics.cost.prices.ask import Drift, Pairs
from gpuspec.topics.cost.prices.drift import drift_year
from gpuspec.topics.cost.prices.quotes import MODES, Mode, Quote, quote_of, read_quotes
from gpuspec.topics.cost.prices.records import Operating, operating
from gpuspec.topics.serving.ask import Load
from gpuspec.topics.training.ask import Job

AGREES = 0.01
"""Relative difference between two statements of one peak that are both rounded."""


def _profile(value: object) -> object:
    """Read a name of the table of profiles, or 24 numbers."""
    parts = fields.split(value)
    if isinstance(value, str) and len(parts) <= 1:
        return resolve("load-profiles", value, "")
    try:
        return hours_of_day(parts)
    except InputError as error:
        valid = f"{error.valid}; or the name of a profile (gpuspec list load-profiles)"
        raise InputError("", value, valid) from None


DayProfile = Annotated[str | tuple[float, ...], BeforeValidator(_profile)]
"""A profile of the table by its id, or the loads of 24 hours over that of the busiest."""
MonthHours = Annotated[float, Range(0, 744, "hours", above=True)]
Quarter = Annotated[int, Range(1, 40, "quarters")]
Runs = Annotated[float, Range(0, 1e5, "runs", above=True)]
ApiUse = Literal["allowed", "compare", "never"]
Objective = Literal["cost", "time", "energy", "regret"]
Modes = Annotated[tuple[Mode, ...], BeforeValidator(fields.split), Field(min_length=1)]


class Budget(Ask):
    """What may be spent; 0 is nothing, None no limit."""

    capital_usd: fields.Usd | None = Field(None, description="Capital that may be spent")
    monthly_usd: fields.Usd | None = Field(None, description="Money a month that may be spent")
    total_usd: fields.Usd | None = Field(
        None, description="Money that may be spent over the horizon, purchases included"
    )


class SiteLimits(Ask):
    """What the place or the market allows; None: no limit."""

    power_kw: Annotated[float, Range(0, 1e6, "kW", above=True)] | None = Field(
        None, description="Power of all nodes at the wall of the room, cooling not counted"
    )
    gpus: fields.GpuCount | None = Field(None, description="GPUs that can be had")
    racks: Annotated[int, Range(1, 100_000, "racks")] | None = Field(None, description="Racks")
    rack_kw: Annotated[float, Range(0, 1000, "kW", above=True)] | None = Field(
        None, description="Power of a rack"
    )

    @property
    def total_kw(self) -> float:
        """Return the kW that rooms and racks allow; infinite where neither says."""
        room = self.power_kw or float("inf")
        return min(room, (self.racks or 0) * (self.rack_kw or 0.0) or float("inf"))


class Owned(Ask):
    """GPUs that are there already: they cost energy and housing, no capital."""

    gpu: fields.GpuName = Field(description="Kind of GPU")
    count: Annotated[int, Range(1, 1_000_000, "GPUs")] = Field(description="How many")
    bought: fields.Day | None = Field(None, description="Day of purchase")
    book_usd: fields.Usd = Field(
        0.0, description="What they would fetch or stand for in the books, all together"
    )


class Allow(Ask):
    """What may be chosen from."""

    gpus: fields.GpuNames = Field(typed(fields.THREE), description="Kinds of GPU")
    vendors: fields.Names = Field((), description="Providers of rented GPUs; all where empty")
    regions: fields.RegionNames = Field(
        (),
        description="Regions, such as China or US (gpuspec list regions), or places as price lists "
        "print them; all where empty",
    )
    modes: Modes = Field(MODES, description="Ways to pay")
    sell: bool = Field(True, description="Whether GPUs that are owned may be sold")
    api: ApiUse = Field(
        "compare",
        description="Services of tokens by API: allowed as an offer like others, compared with the "
        "plan on page 1, or never spoken of",
    )
    split: bool = Field(
        True, description="Whether a work may run on several kinds of GPU at once, each a share"
    )
    weights: Annotated[fields.Formats, Was("precisions")] = Field(
        typed("stored,fp8"),
        description="Number formats of the weights to try; stored: as each model's publisher "
        "stores them, and beside it only smaller ones",
    )


class Effort(Ask):
    """What change and variety cost besides: inputs, not facts."""

    kind_usd_year: fields.Usd = Field(
        5_000.0,
        description="Of a year of each kind of GPU in use beyond the first: drivers, "
        "images, monitoring",
    )
    workload_usd: fields.Usd = Field(
        2_000.0,
        description="Of a workload that moves to another kind of GPU within the horizon: builds, "
        "tests",
    )
    precision_usd: fields.Usd = Field(
        2_000.0,
        description="Of a workload that runs in another number format than it is stored "
        "in: validation of quality",
    )
    contract_usd: fields.Usd = Field(
        1_000.0, description="Of each contract that is signed, and each purchase: legal, finance"
    )


class Prices(Ask):
    """Where prices come from and how they are read."""

    file: str = Field(
        "", description="Quotes of your own, CSV or YAML; they outrank everything else"
    )
    quotes: tuple[dict[str, object], ...] | str = Field(
        (), description="More of them: rows, or a text such as h100-sxm-80:on-demand=2.10"
    )
    drift: Drift = Field(
        "flat", description="Where prices go: down, flat, up, or a change a year such as -0.1"
    )
    power_share: Annotated[fields.UsedShare, Was("utilization")] = Field(
        0.65, description="Share of the hours in use that GPUs are busy; else they draw idle power"
    )
    currency: fields.Currency = Field("USD", description="Currency of the answer")
    cny_per_usd: Annotated[fields.ExchangeRate, Was("usd_cny", "fx")] = Field(
        7.1, description="Exchange rate"
    )

    operating: Pairs | None = Field(
        None,
        description="Operating values of your own by their key in data/prices_operating.csv: "
        "licence_usd_gpu_year=4500,support_share=0.1,electricity_usd_kwh=0.07",
    )

    @field_validator("operating")
    @classmethod
    def _are_known(cls, value: str | None) -> str | None:
        try:
            operating(value)
        except InputError as error:
            raise renamed(error, error.field.removeprefix("operating").strip()) from None
        return value

    @property
    def drift_year(self) -> float:
        """The change of prices in a year, as a share."""
        return drift_year(self.drift)

    @property
    def own(self) -> list[Quote]:
        """The quotes: those of the file, then those that are stated."""
        found, stated = read_quotes(self.file), self.quotes
        if isinstance(stated, str):
            return found + read_quotes(stated)
        return found + [quote_of(q, f"prices.quotes[{i}]") for i, q in enumerate(stated)]

    @property
    def per_usd(self) -> float:
        """Amounts of the answer's currency that a dollar is."""
        return self.cny_per_usd if self.currency == "CNY" else 1.0


class Assumed(Ask):
    """A value that nobody stated, or that stands for something less exact."""

    field: str = Field(max_length=200, description="Its place, such as workloads[0].tokens")
    said: str | None = Field(
        None, max_length=200, description="What was said instead, such as 70B of a model"
    )


class _Measured(Ask):
    gpu: fields.GpuName = Field(description="Kind of GPU")
    plus_minus: Annotated[float, Range(0, 1)] = Field(
        0.0, description="By which share the figure may be off either way, in four of five cases"
    )


class _MeasuredOn(_Measured):
    gpus: fields.GpuCount = Field(description="GPUs that gave the figure together")
    precision: fields.Format | None = Field(
        None, description="Number format of the weights; None: the first that the GPU may run"
    )


class MeasuredRequests(_MeasuredOn):
    """How fast a service ran on some GPUs."""

    requests_per_s: Annotated[float, Range(0, 1e7, "requests/s", above=True)] = Field(
        description="Requests a second that they served together within the limits"
    )


class MeasuredImages(_MeasuredOn):
    """How fast images were generated on some GPUs."""

    images_per_s: Annotated[float, Range(0, 1e7, "images/s", above=True)] = Field(
        description="Images a second that they generated together at most"
    )


class MeasuredTokens(_MeasuredOn):
    """How fast a job trained on some GPUs."""

    tokens_per_s: Annotated[float, Range(0, 1e12, "tokens/s", above=True)] = Field(
        description="Tokens a second that they trained on together, checkpoints and failures aside"
    )


class MeasuredRun(_Measured):
    """How long a simulation took on a kind of GPU beside the reference."""

    gpu_hours: fields.Hours = Field(description="GPU-hours of one run")


class _Workload(Ask):
    name: str = Field(min_length=1, max_length=200, description="Name of the workload")
    from_quarter: Quarter = Field(1, description="First quarter")
    to_quarter: Quarter = Field(40, description="Last quarter")
    growth: Annotated[float, Range(-0.9, 10)] = Field(
        0.0, description="Growth of the load from quarter to quarter: 0.1 is a tenth"
    )

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> "_Workload":
        if self.to_quarter < self.from_quarter:
            valid = f"it must not lie before from_quarter {self.from_quarter}"
            raise InputError("to_quarter", self.to_quarter, valid)
        return self

    def timeless(self) -> Self:
        """Return the same work without its quarters and growth, and without what was measured: all
        that matters for the estimate of its speed.
        """
        blank: dict[str, object] = {"from_quarter": 1, "to_quarter": 40, "growth": 0.0}
        blank |= {"measured_speeds": ()} if "measured_speeds" in type(self).model_fields else {}
        return self.model_copy(update=blank)


class _Up(_Workload):
    """Something that is up so many hours a month, with replicas in reserve."""

    hours_per_month: MonthHours = Field(HOURS_PER_MONTH, description="Hours of a month it is up")
    interruptible: bool = Field(
        False, description="Whether it may stop when a spot GPU is withdrawn"
    )
    spare_replicas: Annotated[int, Range(0, 1000, "replicas")] | None = Field(
        None,
        description="Replicas kept beside those that the load needs (of tenants: GPUs); None: as "
        "availability says, else one where hours_per_month is above 700, else none",
    )
    availability: Annotated[float, Range(0, 1, above=True, below=True)] | None = Field(
        None,
        description="Share of the time in which as many replicas as the load needs are up, such as "
        "0.999: so many more are kept; None: no target. Beside spare_replicas the larger counts",
    )

    def timeless(self) -> Self:
        """Return the same work without quarters, growth, reserve and profile."""
        blank = {"replicas_min": 1, "spare_replicas": None, "availability": None, "profile": None}
        blank |= {"api": None, "api_price": None}
        mine = {name: value for name, value in blank.items() if hasattr(self, name)}
        return super().timeless().model_copy(update=mine)


class _Served(_Up):
    """A service of whole replicas whose load goes over the day."""

    replicas_min: Annotated[int, Range(1, 10_000, "replicas")] = Field(
        1, description="Replicas that are kept at least, spare ones aside"
    )
    profile: DayProfile | None = Field(
        None,
        description="Load over the day: even, office, consumer, night (gpuspec list "
        "load-profiles), or 24 numbers, one for each hour; the load that is stated is that of the "
        "busiest. Each stands for a 24th of hours_per_month. None: as peak_factor says, else even",
    )

    @property
    def day(self) -> tuple[float, ...] | None:
        """Load of each hour of the day over that of the busiest, where a profile is given."""
        given = self.profile
        return load_profile(given).day_loads if isinstance(given, str) else given


class Training(_Workload, Job):
    """A training job: so many tokens until a deadline, so many times a year."""

    kind: Literal["training"] = "training"
    measured_speeds: tuple[MeasuredTokens, ...] = Field(
        (), max_length=100, description="Speeds that you measured; they replace the estimates"
    )
    model: fields.ModelName = Field(description="Model: a name of the table or a config.json")
    tokens: Annotated[fields.RunTokens, Blank()] = Field(
        BLANK, description="Tokens to train on, unless documents and document_tokens are given"
    )
    deadline_days: Annotated[fields.Days, Blank()] = Field(
        BLANK, description="Time that a run may take, unless deadline is given"
    )
    runs_per_year: Annotated[Runs, Blank()] = Field(
        BLANK, description="Runs a year; None: once over the horizon"
    )
    interruptible: bool = Field(
        True, description="Whether it may run on spot GPUs: it restarts from a checkpoint"
    )

    @model_validator(mode="after")
    def _states_its_size(self) -> Self:
        others = {"tokens": "documents and document_tokens", "deadline_days": "deadline"}
        for name, other in others.items():
            if getattr(self, name) is None:
                raise InputError(name, None, f"give it, or {other}")
        return self


class Inference(_Served, Load):
    """A service: requests of a length, so many in flight or so many a second, within limits."""

    kind: Literal["inference"] = "inference"
    measured_speeds: tuple[MeasuredRequests, ...] = Field(
        (), max_length=100, description="Speeds that you measured; they replace the estimates"
    )
    model: fields.ModelName = Field(description="Model: a name of the table or a config.json")
    prefill_apart: bool = Field(
        False, description="Whether prompts may also be read on GPUs of their own"
    )
    api: ApiUse | None = Field(
        None,
        description="Whether it may be bought by API: allowed, compare (page 1 says what it would "
        "cost) or never; None: as allow.api",
    )
    api_price: TokenPriceQuote | None = Field(
        None,
        description="A price of your own for the API: input_mtok, output_mtok, cached_mtok, "
        "provider, currency, or a text such as 0.20/0.60; it goes before those of the table",
    )

    @model_validator(mode="after")
    def _states_its_load(self) -> Self:
        if not self.concurrency and not self.users and not self.arriving:
            valid = "give concurrency, request_rate, users, or a file of lengths with times"
            raise InputError("concurrency", None, valid)
        return self

    @model_validator(mode="after")
    def _has_one_peak(self) -> Self:
        """A profile has its own peak; what is always in flight has none, unless one is given."""
        blank = "peak_factor" in self.filled
        if self.day is not None:
            factor = HOURS / math.fsum(self.day)
            if not blank and not math.isclose(self.peak_factor, factor, rel_tol=AGREES):
                valid = (
                    f"give profile or peak_factor, not both: by the profile the busiest hour is "
                    f"{factor:.3g} times the mean"
                )
                raise InputError("peak_factor", self.peak_factor, valid)
            self._put({"peak_factor": factor} if blank else {})
        elif blank and self.concurrency:
            self._put({"peak_factor": 1.0})
        return self


class _Pictures(Ask):
    """Which images, and how many a second."""

    model: fields.ModelName = Field("sdxl-1.0", description="Diffusion model")
    images_per_s: Annotated[float, Range(0, 1e6, "images/s", above=True)] = Field(
        description="Images a second"
    )
    steps: fields.ImageSteps = Field(30, description="Denoising steps of an image")
    size: fields.ImageSize = Field(1024, description="Pixels of its width and height")
    stack: fields.ImageStack = Field("tensorrt", description="Software that generates the images")
    precision: fields.ImagePrecision = Field(
        "bf16",
        description="Number format of the products: bf16 (or FP16), or 8bit: FP8 where a GPU has "
        "it, else INT8",
    )

    @model_validator(mode="after")
    def _gains_by_its_precision(self) -> Self:
        check_fused(self.stack, self.precision)
        return self


class Images(_Served, _Pictures):
    """A service that generates images, so many a second."""

    kind: Literal["images"] = "images"
    measured_speeds: tuple[MeasuredImages, ...] = Field(
        (), max_length=100, description="Speeds that you measured; they replace the estimates"
    )


class Hpc(_Workload):
    """A simulation: so many GPU-hours of a class of work on a GPU that is known."""

    kind: Literal["hpc"] = "hpc"
    measured_speeds: tuple[MeasuredRun, ...] = Field(
        (), max_length=100, description="Speeds that you measured; they replace the estimates"
    )
    workload: str = Field(description="Class of work, such as stencil7 or md")
    gpu_hours: fields.Hours = Field(description="Hours of one run on reference_gpu")
    reference_gpu: fields.GpuName = Field("a100-sxm-80", description="GPU that is known")
    deadline_days: fields.Days = Field(description="Time that a run may take")
    runs_per_year: Runs = Field(12.0, description="Runs a year")
    interruptible: bool = Field(True, description="Whether it may run on spot GPUs")


class _Slices(Ask):
    """Which tenants there are."""

    table: str | tuple[dict[str, object], ...] = Field(
        description="A CSV file beside the scenario, or its rows"
    )


class Tenants(_Up, _Slices):
    """Many small services, each on a slice of a GPU."""

    kind: Literal["tenants"] = "tenants"


Workload = Training | Inference | Images | Hpc | Tenants
_RECORDS: tuple[type[_Workload], ...] = (Training, Inference, Images, Hpc, Tenants)
KINDS: dict[str, type[_Workload]] = {
    record.model_fields["kind"].default: record for record in _RECORDS
}


class Scenario(Ask):
    """Everything that a decision depends on, checked once."""

    name: str = Field(min_length=1, max_length=200, description="Name of the scenario")
    objective: Objective = Field(
        "cost",
        description="What is as small as possible; regret: what a plan loses against the best one "
        "of a draw, in 95 % of the draws",
    )
    horizon_months: fields.Months = Field(36, description="How long the GPUs are wanted")
    today: fields.Day | None = Field(None, description="Day of the decision; None: the day's date")
    budget: Budget = Field(Budget(), description="What may be spent")
    limits: SiteLimits = Field(SiteLimits(), description="What the place or the market allows")
    owned: tuple[Owned, ...] = Field((), max_length=1000, description="GPUs that are there already")
    allow: Allow = Field(Allow(), description="What may be chosen from")
    prices: Prices = Field(Prices(), description="Where prices come from")
    effort: Effort = Field(Effort(), description="What change costs besides")
    workloads: tuple[Annotated[Workload, Field(discriminator="kind")], ...] = Field(
        min_length=1, description="What is to be done"
    )
    assumed: tuple[Assumed, ...] = Field(
        (), max_length=1000, description="Values above that nobody stated; page 1 names them"
    )

    @property
    def doubts(self) -> str:
        """What is not sure of the models and of what trains them; empty for none."""
        kinds = (Training, Inference, Images)
        said = [doubts_of(w.model for w in self.workloads if isinstance(w, kinds))]
        said += [w.software for w in self.workloads if isinstance(w, Training)]
        return " ".join(filter(None, dict.fromkeys(said)))

    @property
    def operating(self) -> Operating:
        """What owning and renting costs besides prices: the scenario's own values over the table's,
        and those of its regions.
        """
        prices = self.prices
        return operating(prices.operating, self.allow.regions, prices.cny_per_usd)

    @property
    def works(self) -> tuple[Workload, ...]:
        """The workloads, jobs with their runs a year: a horizon holds one whole run at least."""
        least = 12 / self.horizon_months
        return tuple(
            w.model_copy(update={"runs_per_year": max(w.runs_per_year or 0.0, least)})
            if isinstance(w, Training | Hpc)
            else w
            for w in self.workloads
        )

    @model_validator(mode="after")
    def _names_differ(self) -> "Scenario":
        names = [w.name for w in self.workloads]
        for place, name in enumerate(names):
            if name in names[:place]:
                raise InputError(f"workloads[{place}].name", name, "each workload has its own name")
        return self

    def at(self, field: str) -> tuple[object, str]:
        """Return the part of the scenario and the name in it that a place such as
        ``workloads[0].tokens`` names; the name is empty where there is none.
        """
        place = re.fullmatch(r"workloads\[(\d{1,6})\]\.(\w+)", field, re.ASCII)
        part: Ask = self
        if place:
            part = self.workloads[int(place[1])] if int(place[1]) < len(self.workloads) else Ask()
        name = place[2] if place else field
        return part, name if name in type(part).model_fields else ""

    def value_at(self, field: str) -> object:
        """Return the value at a place."""
        part, name = self.at(field)
        return getattr(part, name) if name else None

    @model_validator(mode="after")
    def _assumes_what_is_there(self) -> "Scenario":
        for i, row in enumerate(self.assumed):
            if self.value_at(row.field) is None:
                valid = "give the place of a value of the scenario, such as workloads[0].tokens"
                raise InputError(f"assumed[{i}].field", row.field, valid)
        return self

    @model_validator(mode="after")
    def _begin_within_the_horizon(self) -> "Scenario":
        last = -(-self.horizon_months // 3)
        for place, w in enumerate(self.workloads):
            if w.from_quarter > last:
                valid = f"the horizon of {self.horizon_months} months ends in quarter {last}"
                raise InputError(f"workloads[{place}].from_quarter", w.from_quarter, valid)
        return self
