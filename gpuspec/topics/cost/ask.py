"""One question about cost, checked once."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict

from gpuspec.base.errors import InputError
from gpuspec.catalog import Gpu, gpu, gpu_ids
from gpuspec.topics.cost.prices import MODES, Operating, Quote, offers, operating, read_quotes


class CostQuestion(BaseModel):
    """A checked question: what do these GPUs cost, rented or owned, under these assumptions."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    gpus: tuple[Gpu, ...]
    today: str
    utilisation: float
    horizon_months: float
    drift: str | float
    quotes: tuple[Quote, ...]
    regions: tuple[str, ...]
    providers: tuple[str, ...]
    currency: str
    fx: float
    operating: Operating
    own: str
    """Operating values of the user's own, as ``key=value`` separated by commas."""
    data: str | Path | None = None

    @property
    def ids(self) -> list[str]:
        """Return the ids of the GPUs in the order asked."""
        return [device.id for device in self.gpus]

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
        return self.fx if self.currency == "CNY" else 1.0


@lru_cache(64)
def _offers(
    q: CostQuestion, modes: tuple[str, ...], providers: tuple[str, ...], drift: str | float
) -> pd.DataFrame:
    return offers(
        q.ids,
        modes,
        q.regions,
        providers,
        q.today,
        q.horizon_months,
        q.utilisation,
        drift,
        list(q.quotes),
        q.currency,
        q.fx,
        q.own,
        q.data,
    )


def _written(values: Mapping[str, float] | str | None) -> str:
    if isinstance(values, Mapping):
        return ",".join(f"{key}={value}" for key, value in values.items())
    return values or ""


def cost_question(
    gpus: str | list[str] = "A100,H100,H200",
    utilisation: float = 0.65,
    horizon_months: float = 60.0,
    today: str = "",
    drift: str | float = "flat",
    quotes: str | Path | list[Quote] | None = None,
    regions: str = "",
    providers: str = "hyperscalers",
    currency: str = "USD",
    fx: float = 7.1,
    operating_values: Mapping[str, float] | str | None = None,
    data: str | Path | None = None,
) -> CostQuestion:
    """Check every input once, and return the question that the tables answer.

    Parameters
    ----------
    gpus : str or list of str
        Names as typed, separated by commas.
    utilisation : float
        Hours used over hours owned or reserved.
    horizon_months : float
        How long the GPUs are wanted; an owned server is sold then.
    today : str
        Day from which ages count; blank: the day of the tables.
    drift, quotes, regions, providers, currency, fx, operating_values
        As of `gpuspec.topics.cost.prices.offers`.

    Raises
    ------
    InputError
        Names the field, the value and what is valid.
    """
    if isinstance(utilisation, str) or not 0 < utilisation <= 1:
        raise InputError("utilisation", utilisation, "give a share of hours above 0, at most 1")
    places = tuple(part.strip() for part in regions.split(",") if part.strip())
    question = CostQuestion(
        gpus=tuple(gpu(name, data) for name in gpu_ids(gpus, data)),
        today=today,
        utilisation=float(utilisation),
        horizon_months=horizon_months,
        drift=drift,
        quotes=tuple(read_quotes(quotes)),
        regions=places,
        providers=tuple(part.strip() for part in providers.split(",") if part.strip()),
        currency=currency,
        fx=fx,
        operating=operating(operating_values, places, fx, data=data),
        own=_written(operating_values),
        data=data,
    )
    question.offers()  # says at the door what is wrong with the rest
    return question
