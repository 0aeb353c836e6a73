"""Prices of the user's own: from a parameter or from a file. They outrank every other."""

import csv
import math
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.catalog import gpu

RENT_MODES = ("on-demand", "reserved-1yr", "reserved-3yr", "spot")
MODES = (*RENT_MODES, "own")
QUOTE_MODES = (*RENT_MODES, "own-server", "own-gpu")
COLUMNS = ("gpu", "mode", "price", "currency", "provider", "region", "as_of", "gpus_per_node")
CURRENCIES = ("USD", "CNY")
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
    if Path(text).suffix.lower() in (".csv", ".yaml", ".yml", ".json"):
        return _from_file(Path(text).expanduser())
    return [_from_text(part.strip()) for part in text.split(",") if part.strip()]


def _from_text(part: str) -> Quote:
    name, colon, rest = part.partition(":")
    mode, equals, price = rest.partition("=")
    if not colon or not equals:
        raise InputError("quotes", part, f"write GPU:mode=price, such as {EXAMPLE}")
    return quote_of({"gpu": name, "mode": mode, "price": price}, "quotes")


def _from_file(path: Path) -> list[Quote]:
    try:
        content = path.read_text("utf-8-sig")
        rows: Any = (
            list(csv.DictReader(content.splitlines(), strict=True))
            if path.suffix.lower() == ".csv"
            else yaml.safe_load(content)
        )
    except (OSError, UnicodeDecodeError, csv.Error, yaml.YAMLError) as error:
        raise InputError("quotes", str(path), f"it cannot be read: {error}") from error
    valid = f"give a list of rows with {', '.join(COLUMNS[:3])}"
    if isinstance(rows, dict):
        rows = rows.get("quotes")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError("quotes", str(path), valid)
    return [quote_of(row, f"{path} row {i}") for i, row in enumerate(rows, 1)]


def quote_of(row: dict[Any, Any], where: str) -> Quote:
    """Return one quote from its fields as a person wrote them; `where` names the place."""
    given = {str(k).strip(): str(v).strip() for k, v in row.items() if v not in (None, "")}
    for column in given:
        if column not in COLUMNS:
            raise UnknownNameError(f"{where} column", column, COLUMNS)
    for column in COLUMNS[:3]:
        if column not in given:
            raise InputError(f"{where} {column}", "", "a quote must state it")
    mode, currency = given["mode"], given.get("currency", "USD").upper()
    if mode not in QUOTE_MODES:
        raise UnknownNameError(f"{where} mode", mode, QUOTE_MODES)
    if currency not in CURRENCIES:
        raise UnknownNameError(f"{where} currency", currency, CURRENCIES)
    optional = {k: given[k] for k in ("provider", "region", "as_of") if k in given}
    return Quote(
        gpu_id=gpu(given["gpu"]).id,
        mode=mode,
        price=_number(given["price"], f"{where} price", 1e9),
        currency=currency,
        gpus_per_node=int(_number(given.get("gpus_per_node", "8"), f"{where} gpus_per_node", 72)),
        **optional,
    )


def _number(text: str, field: str, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= most:
        raise InputError(field, text, f"give a number above 0, at most {most:,.0f}")
    return value
