"""What is asked about cost."""

from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Annotated, Any, Self

import pandas as pd
from pydantic import BeforeValidator, Field, model_validator

from gpuspec.base.ask import Ask, Range, Short, Was, typed
from gpuspec.base.errors import InputError, renamed
from gpuspec.catalog.fields import (
    Currency,
    Day,
    ExchangeRate,
    GpuCount,
    Hours,
    ModelName,
    Names,
    Requests,
    RunTokens,
    UsedShare,
)
from gpuspec.topics.cost.prices import MODES, Operating, offers, operating
from gpuspec.topics.cost.prices.drift import DRIFTS, drift_year
from gpuspec.topics.shared import Compared


def _drift(value: Any) -> str | float:
    word = value.strip() if isinstance(value, str) else value
    try:
        return word if isinstance(word, str) and word in DRIFTS else drift_year(value)
    except InputError as error:
        raise renamed(error, "") from None


def pairs_text(value: Any) -> Any:
    """Write a mapping as ``key=value`` between commas."""
    if isinstance(value, Mapping):
        return ",".join(f"{key}={part}" for key, part in value.items())
    return value


Drift = Annotated[str | float, BeforeValidator(_drift)]
"""``down``, ``flat``, ``up``, or a change a year."""
Pairs = Annotated[str, BeforeValidator(pairs_text)]


class CostQuestion(Compared):
    """What do these GPUs cost, rented or owned, under these assumptions."""

    used_hours_share: Annotated[UsedShare, Was("utilisation"), Short("use")] = Field(
        0.65, description="Hours in use over hours owned or reserved, above 0 up to 1"
    )
    horizon_months: Annotated[float, Range(0, 120, "months", above=True), Short("months")] = Field(
        60.0, description="How long the GPUs are wanted; an owned server is sold then"
    )
    today: Day | None = Field(
        None,
        description="Day from which the age of prices counts, YYYY-MM-DD; None: of the tables",
    )
    drift: Drift = Field(
        "flat",
        description="Rents from here on: down (-25 % a year), flat, up (+25 %), or a number such "
        "as -0.1",
    )
    quotes: str | None = Field(
        None,
        description="Prices of your own, which outrank all others: h100-sxm-80:on-demand=2.10,"
        "h200-sxm-141:own-server=300000, or a CSV or YAML file",
    )
    operating: Annotated[Pairs | None, Was("operating_values")] = Field(
        None,
        description="Operating values of your own by their key in data/prices_operating.csv: "
        "electricity_usd_kwh=0.07,pue=1.2",
    )
    regions: Names = Field(
        (), description="China: prices in China where there are any, and its electricity"
    )
    providers: Names = Field(
        typed("hyperscalers"),
        description="hyperscalers, all, or names of providers, commas between",
    )
    currency: Currency = Field("USD", description="Currency of all costs: USD or CNY")
    cny_per_usd: Annotated[ExchangeRate, Was("fx")] = Field(7.1, description="Exchange rate")

    @model_validator(mode="after")
    def _can_be_priced(self) -> Self:
        _ = self.assumptions
        self.offers()  # says at the door what is wrong with the rest
        return self

    @cached_property
    def assumptions(self) -> Operating:
        """The operating values, the user's own over the table's."""
        return operating(self.operating, self.regions, self.cny_per_usd)

    def offers(
        self,
        modes: tuple[str, ...] = MODES,
        providers: tuple[str, ...] | None = None,
        drift: str | float | None = None,
    ) -> pd.DataFrame:
        """Return the offers; arguments replace what the question says."""
        named = self.providers if providers is None else providers
        return _offers(self, modes, named, self.drift if drift is None else drift).copy()

    @property
    def rate(self) -> float:
        """Return units of the currency for one USD."""
        return self.cny_per_usd if self.currency == "CNY" else 1.0


class CostedWork(Ask):
    """Work that the hours are spent on."""

    model: ModelName = Field(
        "Llama-3.1-8B",
        description="Model served and trained below: a name of the table (gpuspec list models) or "
        "the path of a config.json",
    )
    concurrency: Requests = Field(1024, description="Requests always in flight of the service")
    training_tokens: RunTokens = Field(1e12, description="Training run")
    training_gpus: GpuCount = Field(64, description="Size of the training run")
    simulation_gpu_hours: Hours = Field(
        1000.0, description="Time that a simulation takes on one GPU of the first kind"
    )


@lru_cache(64)
def _offers(
    q: CostQuestion, modes: tuple[str, ...], providers: tuple[str, ...], drift: str | float
) -> pd.DataFrame:
    return offers(
        q.gpus,
        modes,
        q.regions,
        providers,
        q.today,
        q.horizon_months,
        q.used_hours_share,
        drift,
        q.quotes,
        q.currency,
        q.cny_per_usd,
        q.operating,
    )
