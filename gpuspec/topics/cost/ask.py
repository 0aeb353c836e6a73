"""What is asked about cost."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Self

import pandas as pd
from pydantic import Field, model_validator

from gpuspec.base.ask import Ask, Short, Was
from gpuspec.catalog.fields import GpuCount, Hours, ModelName, Requests, RunTokens, UsedShare
from gpuspec.topics.cost.prices import MODES, Mode, Priced, offers, unpriced


class CostQuestion(Priced):
    """What do these GPUs cost, rented or owned, under these assumptions."""

    used_hours_share: Annotated[UsedShare, Was("utilisation"), Short("use")] = Field(
        0.65, description="Hours in use over hours owned or reserved, above 0 up to 1"
    )

    @model_validator(mode="after")
    def _can_be_priced(self) -> Self:
        self.offers()  # says at the door what is wrong with the rest
        return self

    def offers(
        self,
        modes: Sequence[Mode] = MODES,
        providers: tuple[str, ...] | None = None,
        drift: str | float | None = None,
    ) -> pd.DataFrame:
        """Return the offers; arguments replace what the question says."""
        given = {"providers": providers, "drift": drift, "today": self.day}
        asked = {name: value for name, value in given.items() if value is not None}
        return _offers(self.model_copy(update=asked), tuple(modes)).copy()

    def unpriced(self) -> list[tuple[str, list[Mode]]]:
        """Return each GPU that lacks a price in some way to get it, with these ways."""
        return unpriced(self.gpus, MODES, self.offers())

    @property
    def rate(self) -> float:
        """Return units of the currency for one USD."""
        return self.cny_per_usd if self.currency == "CNY" else 1.0


_offers = lru_cache(64)(offers)


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
