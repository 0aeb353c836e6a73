"""Prices of models behind an API, by the million tokens; columns as in ``data/prices_api.csv``."""

from functools import lru_cache
from typing import Annotated, Any, Literal

from gpuspec.catalog.columns import Day, Figure, Flag, Record, column, record_from
from gpuspec.catalog.tables import edition, table_rows

TokenPrice = Annotated[float, Figure(0, 100_000, "currency/million tokens")]


class ApiPrice(Record):
    """What a provider takes for a million tokens of one of its products."""

    id: str = column("What the row is called", unique=True)
    provider: str = column("Who sells it")
    product: str = column("What the provider calls it")
    model_id: str = column("Model of the table of models")
    currency: Literal["USD", "CNY"] = column("Currency of the prices")
    input_mtok: TokenPrice = column("A million tokens of prompts")
    cached_mtok: TokenPrice | None = column(
        "A million tokens of prompts that the provider finds in its cache; empty: as others", None
    )
    output_mtok: TokenPrice = column("A million tokens of answers")
    as_of: Day = column(
        "Day on which the price was seen; of a month the first day, so that age is not understated"
    )
    as_of_precision: Literal["day", "month"] = column("How closely the source dates it")
    used: Flag = column("Whether offers are made of it", stated=True)
    reason: str = column("Why not", "")
    confidence: Literal["A", "B", "C"] = column(
        "A: the provider's own page or price API; B: a list that names it, or two lists that "
        "agree; C: one list alone, or two that disagree, the later one taken"
    )


def api_prices(model: str) -> list[ApiPrice]:
    """Return the prices of a model that offers are made of; one's own rows among them.

    >>> len({price.provider for price in api_prices("llama-3.3-70b")}) >= 3
    True
    """
    return [price for price in _prices(*edition()) if price.used and price.model_id == model]


@lru_cache(maxsize=8)
def _prices(folder: Any, stamp: object) -> tuple[ApiPrice, ...]:
    return tuple(record_from(ApiPrice, row) for row in table_rows("prices-api", folder))
