"""Prices of the user's own: from a parameter or from a file. They outrank every other."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import BeforeValidator, model_validator

from gpuspec.base.ask import Ask, Range
from gpuspec.base.documents import read_document
from gpuspec.base.errors import InputError, UnknownNameError, renamed
from gpuspec.base.files import MOST_SCENARIO_BYTES, check_text, read_text
from gpuspec.base.rows import plain_cell, sure_rows
from gpuspec.base.units import NODE_GPUS
from gpuspec.catalog.fields import Currency, Day, GpuName

RentMode = Literal["on-demand", "reserved-1yr", "reserved-3yr", "spot"]
Mode = Literal[RentMode, "own"]
"""How a GPU is paid for."""
RENT_MODES: tuple[RentMode, ...] = get_args(RentMode)
MODES: tuple[Mode, ...] = get_args(Mode)
HOURLY: tuple[RentMode, ...] = ("on-demand", "spot")
"""Modes that are paid by the hour, without a term."""
MOST_QUOTES = 5000
EXAMPLE = "h100-sxm-80:on-demand=2.10,h200-sxm-141:own-server=300000"


HOUR = (0.01, 10_000.0, "one GPU for an hour")
PLAUSIBLE = {
    "own-server": (500.0, 100e6, "a server"),
    "own-gpu": (100.0, 10e6, "a GPU with its share of server and network"),
}
"""Least and most that a quote may be, in its currency: a tenth of the cheapest hour ever seen to a
hundred times the dearest, and a rack of 72 GPUs ten times over. Beyond is another unit."""

Name = Annotated[str, BeforeValidator(lambda v: check_text("", str(v).strip(), lines=False))]


class Quote(Ask):
    """One price of the user's own."""

    gpu: GpuName
    mode: Literal[RentMode, "own-server", "own-gpu"]
    """``own-server``: of a server; ``own-gpu``: all capital for one GPU, network included."""
    price: Annotated[float, Range(0, 1e9, above=True)]
    """Of one GPU in one hour, of a server or of a GPU, as `mode` says; see `PLAUSIBLE`."""
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

    @model_validator(mode="after")
    def _plausible(self) -> Self:
        low, high, of = PLAUSIBLE.get(self.mode, HOUR)
        if not low <= self.price <= high:
            valid = f"give what {of} costs: from {low:,g} to {high:,.0f} {self.currency}"
            raise InputError("price", self.price, valid)
        return self

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
ASKED = (
    *("unit", "ask", "number", "term_months", "network", "support"),
    *("used_price", "used_as_of", "grade", "flips_below", "flips_above", "worth_usd"),
)
"""What a request for quotes says beside the columns of a quote; it is not read back."""


def read_quotes(quotes: str | Path | None) -> list[Quote]:
    """Read quotes: text as `EXAMPLE` shows, or a CSV or YAML file.

    A file has a row a quote with columns gpu, mode and price, and, as wanted, currency,
    provider, region, as_of, gpus_per_node, minimum, lead_months and after_term. A request for
    quotes (`gpuspec quotes`) is such a file: its rows without a price are asked, not read, and
    its columns `ASKED` say what was asked.

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
        return [
            _answered(c, f"{path} line {n}") for n, c in _csv_rows(path).items() if not is_open(c)
        ]
    content = read_document("quotes", path, MOST_SCENARIO_BYTES)
    if isinstance(content, dict):
        content = content.get("quotes")
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise InputError("quotes", path, f"give a list of rows with {', '.join(NEEDED)}")
    if len(content) > MOST_QUOTES:
        raise InputError("quotes", path, f"give at most {MOST_QUOTES:,}")
    return [quote_of(row, f"{path} row {i}") for i, row in enumerate(content, 1)]


def is_open(cells: Mapping[str, str]) -> bool:
    """Return whether a row of a request has no price yet."""
    return "ask" in cells and not cells["price"]


def open_rows(quotes: str | Path | None) -> int:
    """Return how many rows of a request for quotes have no price yet; 0 of anything else."""
    text = str(quotes or "")
    if not text.lower().endswith(".csv"):
        return 0
    return sum(is_open(row) for row in _csv_rows(text).values())


def answered_rows(path: str | Path) -> int:
    """Return how many rows of a file of quotes have a price; 0 of anything else."""
    try:
        rows = _csv_rows(str(path)).values()
    except InputError:
        return 0
    return sum(not is_open(row) for row in rows)


def _csv_rows(path: str) -> dict[int, dict[str, str]]:
    text = read_text("quotes", path, MOST_SCENARIO_BYTES)
    found = sure_rows("quotes", text, path, NEEDED, (*COLUMNS, *ASKED), MOST_QUOTES)
    return {row.line: {n: plain_cell(c) for n, c in row.cells.items()} for row in found}


def _answered(cells: Mapping[str, str], where: str) -> Quote:
    return quote_of({name: cell for name, cell in cells.items() if name not in ASKED}, where)


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
