"""Prices of the user's own: from a parameter or from a file. They outrank every other."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator

from gpuspec.base.ask import Ask, Range
from gpuspec.base.documents import read_document
from gpuspec.base.errors import InputError, UnknownNameError, renamed
from gpuspec.base.files import MOST_SCENARIO_BYTES, check_text, read_text
from gpuspec.base.rows import sure_rows
from gpuspec.base.units import NODE_GPUS
from gpuspec.catalog.fields import Currency, Day, GpuName
from gpuspec.topics.cost.prices.terms import HOURLY

RentMode = Literal["on-demand", "reserved-1yr", "reserved-3yr", "spot"]
Mode = Literal[RentMode, "own"]
"""How a GPU is paid for."""
RENT_MODES: tuple[RentMode, ...] = get_args(RentMode)
MODES: tuple[Mode, ...] = get_args(Mode)
MOST_QUOTES = 5000
EXAMPLE = "h100-sxm-80:on-demand=2.10,h200-sxm-141:own-server=300000"


Name = Annotated[str, BeforeValidator(lambda v: check_text("", str(v).strip(), lines=False))]


class Quote(Ask):
    """One price of the user's own."""

    gpu: GpuName
    mode: Literal[RentMode, "own-server", "own-gpu"]
    """``own-server``: of a server; ``own-gpu``: all capital for one GPU, network included."""
    price: Annotated[float, Range(0, 1e9, above=True)]
    currency: Currency = "USD"
    provider: Name = "your quote"
    region: Name = ""
    as_of: Day | None = None
    gpus_per_node: Annotated[int, Range(1, 72, "GPUs")] | None = None
    """Of the server or the instance, which is taken whole; not given: 8, by the hour 1."""
    minimum: Annotated[int, Range(1, 1e6, "GPUs")] | None = None
    """Fewest GPUs that are sold."""
    lead_months: Annotated[float, Range(0, 60, "months")] | None = None
    """From order to use."""
    after_term: Literal["on-demand", "month by month"] | None = None
    """What a contract turns into."""

    @property
    def node(self) -> int:
        """GPUs of the server or the instance."""
        return self.gpus_per_node or NODE_GPUS

    @property
    def step(self) -> int:
        """GPUs that are taken together."""
        return self.gpus_per_node or (1 if self.mode in HOURLY else NODE_GPUS)

    @property
    def paid(self) -> str:
        """The mode of the offer that the quote makes."""
        return "own" if self.mode in ("own-server", "own-gpu") else self.mode


COLUMNS = tuple(Quote.model_fields)
NEEDED = COLUMNS[:3]


def read_quotes(quotes: str | Path | None) -> list[Quote]:
    """Read quotes: text as `EXAMPLE` shows, or a CSV or YAML file.

    A file has a row a quote with columns gpu, mode and price, and, as wanted, currency,
    provider, region, as_of, gpus_per_node, minimum, lead_months and after_term.

    Raises
    ------
    InputError, UnknownNameError
        Name the entry, its value and what is valid.
    """
    text = str(quotes or "")
    if text.lower().endswith((".csv", ".yaml", ".yml", ".json")):
        return _from_file(text)
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if len(parts) > MOST_QUOTES:
        raise InputError("quotes", text, f"give at most {MOST_QUOTES:,}")
    return [_from_text(part) for part in parts]


def _from_text(part: str) -> Quote:
    name, colon, rest = part.partition(":")
    mode, equals, price = rest.partition("=")
    if not colon or not equals:
        raise InputError("quotes", part, f"write GPU:mode=price, such as {EXAMPLE}")
    return quote_of({"gpu": name, "mode": mode, "price": price}, "quotes")


def _from_file(path: str) -> list[Quote]:
    if path.lower().endswith(".csv"):
        text = read_text("quotes", path, MOST_SCENARIO_BYTES)
        found = sure_rows("quotes", text, path, NEEDED, COLUMNS, MOST_QUOTES)
        return [quote_of(row.cells, f"{path} line {row.line}") for row in found]
    rows = read_document("quotes", path, MOST_SCENARIO_BYTES)
    if isinstance(rows, dict):
        rows = rows.get("quotes")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError("quotes", path, f"give a list of rows with {', '.join(NEEDED)}")
    if len(rows) > MOST_QUOTES:
        raise InputError("quotes", path, f"give at most {MOST_QUOTES:,}")
    return [quote_of(row, f"{path} row {i}") for i, row in enumerate(rows, 1)]


def quote_of(row: Mapping[str, object], where: str) -> Quote:
    """Return one quote from its fields as a person wrote them; `where` names the place."""
    given = {}
    for column, value in row.items():
        if column not in COLUMNS:
            raise UnknownNameError(f"{where} column", column, COLUMNS)
        if isinstance(value, dict | list | tuple | bool):
            raise InputError(f"{where} {column}", value, "give a text or a number")
        if value not in (None, ""):
            given[column] = value.strip() if isinstance(value, str) else value
    for column in NEEDED:
        if column not in given:
            raise InputError(f"{where} {column}", "", "a quote must state it")
    try:
        return Quote.of(given)
    except InputError as error:
        raise renamed(error, f"{where} {error.field}") from None
