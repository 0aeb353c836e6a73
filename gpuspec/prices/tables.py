"""Tables of prices, and the operating values that are used."""

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from gpuspec.catalog import data_as_of, load_table
from gpuspec.errors import InputError, UnknownNameError

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


def operating_keys(data: _Folder = None) -> list[str]:
    """Return the names of operating values that a user can set."""
    table = operating_costs(data)
    return sorted(set(table.loc[table["key"] != "", "key"]))


def operating_value(
    key: str, gpu_id: str = "", band: str = "central", data: _Folder = None
) -> float | None:
    """Return a value that is used, of a GPU where it has its own; None where there is none."""
    table = operating_costs(data)
    rows = table[(table["key"] == key) & table["gpu_id"].isin(["", gpu_id])]
    if key not in set(table["key"]):
        raise UnknownNameError("operating", key, operating_keys(data))
    if rows.empty:
        return None
    return float(rows.sort_values("gpu_id")[band].iloc[-1])


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
