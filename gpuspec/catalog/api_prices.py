"""Prices of models behind an API, by the million tokens; columns as in ``data/prices_api.csv``."""

from functools import lru_cache
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from gpuspec.base.ask import Ask, Range
from gpuspec.base.errors import InputError
from gpuspec.catalog.columns import Day, Figure, Flag, Record, column, record_from
from gpuspec.catalog.fields import Currency
from gpuspec.catalog.phrases import phrase
from gpuspec.catalog.tables import edition, table_rows

TokenPrice = Annotated[float, Figure(0, 100_000, "currency/million tokens")]

YOURS = "your quote"
EXAMPLE = "input=0.20,output=0.60 (cached=, provider=, currency= may follow) or 0.20/0.60"
_Mtok = Annotated[float, Range(0, 100_000, "currency/million tokens")]


class TokenQuote(Ask):
    """A price of one's own for a million tokens: it goes before those of the table."""

    input_mtok: _Mtok = Field(description="A million tokens of prompts")
    output_mtok: _Mtok = Field(description="A million tokens of answers")
    cached_mtok: _Mtok | None = Field(
        None, description="A million tokens of prompts that are found in the cache; None: as others"
    )
    provider: str = Field(YOURS, min_length=1, max_length=200, description="Who sells it")
    currency: Currency = Field("USD", description="Currency of the prices")

    @model_validator(mode="after")
    def _cached_is_not_dearer(self) -> Self:
        if self.cached_mtok is not None and self.cached_mtok > self.input_mtok:
            raise InputError("cached_mtok", self.cached_mtok, "it must not exceed input_mtok")
        return self


def token_quote(value: object) -> object:
    """Read a price as people write it; what is no text is left as it is.

    >>> token_quote("input=0.2, output=0.6, provider=Acme")
    {'input_mtok': '0.2', 'output_mtok': '0.6', 'provider': 'Acme'}
    >>> token_quote("2元/8元")
    {'input_mtok': 2.0, 'output_mtok': 8.0, 'currency': 'CNY'}
    """
    if not isinstance(value, str) or not value.strip():
        return value
    found: dict[str, object] = {}
    text = value.strip()
    if "=" not in text:
        ends = [phrase(part, decimals=True) for part in text.split("/")]
        units = {end.unit if end else "?" for end in ends} - {""}
        if len(ends) != 2 or not units <= {"USD", "CNY"} or len(units) > 1:
            raise InputError("", value, f"write it as {EXAMPLE}")
        numbers = [end.number for end in ends if end is not None]
        found = dict(zip(("input_mtok", "output_mtok"), numbers, strict=True))
        return found | ({"currency": units.pop()} if units else {})
    for part in filter(None, map(str.strip, text.replace("，", ",").split(","))):
        name, equals, said = (piece.strip() for piece in part.partition("="))
        name = f"{name}_mtok" if name in ("input", "output", "cached") else name
        if name not in TokenQuote.model_fields or not equals or name in found:
            raise InputError("", value, f"write it as {EXAMPLE}, each part once")
        found[name] = said
    missing = {"input_mtok", "output_mtok"} - set(found)
    if missing:
        raise InputError("", value, f"give input and output, such as {EXAMPLE}")
    return found


TokenPriceQuote = Annotated[TokenQuote, BeforeValidator(token_quote)]


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
