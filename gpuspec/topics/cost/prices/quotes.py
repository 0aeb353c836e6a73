"""Prices of the user's own: from a parameter or from a file. They outrank every other."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from gpuspec.base.checks import number_of
from gpuspec.base.documents import day_of, read_document
from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.base.files import MOST_SCENARIO_BYTES, check_text, read_text
from gpuspec.base.rows import sure_rows
from gpuspec.catalog import gpu

RENT_MODES = ("on-demand", "reserved-1yr", "reserved-3yr", "spot")
MODES = (*RENT_MODES, "own")
QUOTE_MODES = (*RENT_MODES, "own-server", "own-gpu")
COLUMNS = ("gpu", "mode", "price", "currency", "provider", "region", "as_of", "gpus_per_node")
CURRENCIES = ("USD", "CNY")
MOST_QUOTES = 5000
EXAMPLE = "h100-sxm-80:on-demand=2.10,h200-sxm-141:own-server=300000"


class Quote(BaseModel):
    """One price of the user's own."""

    model_config = ConfigDict(frozen=True)

    gpu_id: str
    mode: str
    """``own-server``: of a server; ``own-gpu``: all capital for one GPU, network included."""
    price: float
    currency: str = "USD"
    provider: str = "your quote"
    region: str = ""
    as_of: str = ""
    gpus_per_node: int = 8


def read_quotes(quotes: str | Path | list[Quote] | None) -> list[Quote]:
    """Read quotes: text as `EXAMPLE` shows, or a CSV or YAML file.

    A file has a row a quote with columns gpu, mode and price, and, as wanted, currency,
    provider, region, as_of and gpus_per_node.

    Raises
    ------
    InputError, UnknownNameError
        Name the entry, its value and what is valid.
    """
    if not quotes:
        return []
    if isinstance(quotes, list):
        return quotes
    text = str(quotes)
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
        found = sure_rows("quotes", text, path, COLUMNS[:3], COLUMNS, MOST_QUOTES)
        return [quote_of(row.cells, f"{path} line {row.line}") for row in found]
    rows = read_document("quotes", path, MOST_SCENARIO_BYTES)
    if isinstance(rows, dict):
        rows = rows.get("quotes")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError("quotes", path, f"give a list of rows with {', '.join(COLUMNS[:3])}")
    if len(rows) > MOST_QUOTES:
        raise InputError("quotes", path, f"give at most {MOST_QUOTES:,}")
    return [quote_of(row, f"{path} row {i}") for i, row in enumerate(rows, 1)]


def quote_of(row: dict[Any, Any], where: str) -> Quote:
    """Return one quote from its fields as a person wrote them; `where` names the place."""
    given: dict[str, str] = {}
    for column, value in row.items():
        if column not in COLUMNS:
            raise UnknownNameError(f"{where} column", column, COLUMNS)
        if isinstance(value, dict | list | tuple | bool):
            raise InputError(f"{where} {column}", value, "give a text or a number")
        if value not in (None, ""):
            given[column] = check_text(f"{where} {column}", str(value).strip(), lines=False)
    for column in COLUMNS[:3]:
        if column not in given:
            raise InputError(f"{where} {column}", "", "a quote must state it")
    if "as_of" in given:
        given["as_of"] = day_of(f"{where} as_of", given["as_of"]).isoformat()
    mode, currency = given["mode"], given.get("currency", "USD").upper()
    if mode not in QUOTE_MODES:
        raise UnknownNameError(f"{where} mode", mode, QUOTE_MODES)
    if currency not in CURRENCIES:
        raise UnknownNameError(f"{where} currency", currency, CURRENCIES)
    per_node = given.get("gpus_per_node", "8")
    optional = {k: given[k] for k in ("provider", "region", "as_of") if k in given}
    return Quote(
        gpu_id=gpu(given["gpu"]).id,
        mode=mode,
        price=number_of(f"{where} price", given["price"], 0, 1e9, above=True),
        currency=currency,
        gpus_per_node=number_of(f"{where} gpus_per_node", per_node, 1, 72, whole=True),
        **optional,
    )
