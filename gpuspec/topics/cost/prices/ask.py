"""What is asked of prices: which GPUs, for how long, from whom, with which values of one's own."""

from collections.abc import Mapping
from datetime import date
from functools import cached_property
from typing import Annotated

from pydantic import BeforeValidator, Field

from gpuspec.base.ask import Range, Short, Was, typed
from gpuspec.base.days import run_date
from gpuspec.base.errors import InputError, renamed
from gpuspec.catalog.fields import Currency, Day, ExchangeRate, Names
from gpuspec.topics.cost.prices.drift import DRIFTS, drift_year
from gpuspec.topics.cost.prices.quotes import Quote, read_quotes
from gpuspec.topics.cost.prices.records import Operating, operating
from gpuspec.topics.shared import Compared


def _drift(value: object) -> str | float:
    word = value.strip() if isinstance(value, str) else value
    try:
        return word if isinstance(word, str) and word in DRIFTS else drift_year(value)
    except InputError as error:
        raise renamed(error, "") from None


def pairs_text(value: object) -> object:
    """Write a mapping as ``key=value`` between commas."""
    if isinstance(value, Mapping):
        return ",".join(f"{key}={part}" for key, part in value.items())
    return value


Drift = Annotated[str | float, BeforeValidator(_drift)]
"""``down``, ``flat``, ``up``, or a change a year."""
Pairs = Annotated[str, BeforeValidator(pairs_text)]


class Priced(Compared):
    """Which offers there are for these GPUs."""

    horizon_months: Annotated[float, Range(0, 120, "months", above=True), Short("months")] = Field(
        60.0, description="How long the GPUs are wanted; an owned server is sold then"
    )
    today: Day | None = Field(
        None,
        description="Day of the run, to which prices are carried and from which their age counts, "
        "YYYY-MM-DD; None: the day's date",
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

    @property
    def day(self) -> date:
        """`today`, or the day of the run."""
        return self.today or run_date()

    @property
    def drift_year(self) -> float:
        """The change of rents in a year, as a share."""
        return drift_year(self.drift)

    @property
    def own(self) -> list[Quote]:
        """The quotes that the question states."""
        return read_quotes(self.quotes)

    @cached_property
    def assumptions(self) -> Operating:
        """The operating values, the user's own over the table's."""
        return operating(self.operating, self.regions, self.cny_per_usd)
