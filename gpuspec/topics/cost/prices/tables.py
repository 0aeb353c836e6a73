"""Tables of prices, and the operating values that are used."""

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.catalog import data_as_of, load_table

_Folder = str | Path | None
BANDS = ("low", "central", "high")
CHINA = "China"


def rental_prices(data: _Folder = None) -> pd.DataFrame:
    """Return published rental prices, one row each; columns as ``data/prices_rental.csv``."""
    return load_table("prices-rental", data)


def purchase_prices(data: _Folder = None) -> pd.DataFrame:
    """Return published purchase prices; columns as ``data/prices_purchase.csv``."""
    return load_table("prices-purchase", data)


def operating_costs(data: _Folder = None) -> pd.DataFrame:
    """Return published operating costs and, with a key, the values that are used."""
    return load_table("prices-operating", data)


def price_trends(data: _Folder = None) -> pd.DataFrame:
    """Return series of prices of the same product, one row a point."""
    return load_table("prices-trend", data)


def default_prices(data: _Folder = None) -> pd.DataFrame:
    """Return low, central and high price by GPU, mode, tier and region."""
    return load_table("prices-defaults", data)


def operating_bands(data: _Folder = None) -> dict[str, dict[str, tuple[float, float, float]]]:
    """Return low, central and high of each operating value: by key, then by GPU ("": any)."""
    table = operating_costs(data)
    found: dict[str, dict[str, tuple[float, float, float]]] = {}
    for row in table[table["key"] != ""].to_dict("records"):
        low, central, high = (float(row[band]) for band in BANDS)
        found.setdefault(row["key"], {})[row["gpu_id"]] = (low, central, high)
    return found


def operating_value(
    key: str, gpu_id: str = "", band: str = "central", data: _Folder = None
) -> float | None:
    """Return a value that is used, of a GPU where it has its own; None where there is none."""
    bands = operating_bands(data)
    if key not in bands:
        raise UnknownNameError("operating", key, sorted(bands))
    values = bands[key].get(gpu_id, bands[key].get(""))
    return None if values is None else values[BANDS.index(band)]


def as_date(value: Any, field: str = "today") -> date:
    """Read a day; blank: the day on which the shipped tables were checked.

    Raises
    ------
    InputError
        For text that is no date.
    """
    if value is None or value == "":
        return data_as_of()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise InputError(field, value, "give a date such as 2026-11-26") from None
