"""Rows of offers from each source of prices: defaults, named providers, quotes."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.topics.cost.prices.age import age_days
from gpuspec.topics.cost.prices.backtest import PRICE_SPREAD
from gpuspec.topics.cost.prices.quotes import Quote
from gpuspec.topics.cost.prices.tables import CHINA, as_date, default_prices, rental_prices

OWN_SPREAD = (230 / 285, 375 / 285)
"""Low and high over central of a purchase with one quote: as of the H100 server."""
NEWEST_DAYS = 365
"""Age from which a row of a named provider is no offer any more."""
GENERIC = {"specialist": "specialist clouds", "hyperscaler": "hyperscaler list"}
BASE = (
    "gpu",
    "mode",
    "provider",
    "tier",
    "region",
    "gpus_per_node",
    "low",
    "central",
    "high",
    "as_of",
    "confidence",
    "derived",
    "quoted",
    "source",
    "notes",
)


def default_rows(
    ids: list[str], modes: list[str], places: tuple[str, ...], providers: Any, fx: float, data: Any
) -> list[dict[str, Any]]:
    """Return the defaults of the tables, a price in China before the world's."""
    table = default_prices(data)
    keep = table["gpu_id"].isin(ids) & table["mode"].isin(modes)
    wide = providers is not None and bool({"all", "hyperscalers"} & set(split(providers)))
    keep &= (table["tier"] == "specialist") | wide
    keep &= table["region"].isin(["", *places])
    table = table[keep].sort_values("region", ascending=False, kind="stable")
    local = CHINA in places
    if local:  # a price in China stands before the world's
        table = table.drop_duplicates(["gpu_id", "mode", "tier"])
    rows = []
    for row in table.to_dict("records"):
        rate = fx if row["currency"] == "CNY" else 1.0
        size = row["gpus"] if row["mode"] == "own" else 1
        bands = _filled(row["low"], row["central"], row["high"], row["mode"])
        rows.append(
            {
                "gpu": row["gpu_id"],
                "mode": row["mode"],
                "provider": "purchase" if row["mode"] == "own" else GENERIC[row["tier"]],
                "tier": row["tier"],
                "region": row["region"],
                "gpus_per_node": int(row["gpus"]),
                **{band: value / rate / size for band, value in bands.items()},
                "quoted": False,
                "source": row["sources"],
                **{k: row[k] for k in ("as_of", "confidence", "derived", "notes")},
            }
        )
    return rows


def _filled(low: float, central: float, high: float, mode: str) -> dict[str, float]:
    """Fill in the ends that nobody saw: the spread of the back-test, or of the H100 server."""
    down, up = OWN_SPREAD if mode == "own" else (1 - PRICE_SPREAD, 1 / (1 - PRICE_SPREAD))
    return {
        "low": central * down if np.isnan(low) else low,
        "central": central,
        "high": central * up if np.isnan(high) else high,
    }


def named_rows(
    ids: list[str],
    modes: list[str],
    places: tuple[str, ...],
    providers: Any,
    day: date,
    fx: float,
    data: Any,
) -> list[dict[str, Any]]:
    """Return what named providers printed last, of those asked for."""
    names = [name for name in split(providers) if name != "hyperscalers"]
    if not names:
        return []
    table = rental_prices(data)
    known = sorted(set(table["provider"]))
    for name in names:
        if name != "all" and name not in known:
            raise UnknownNameError("providers", name, ["all", "hyperscalers", *known])
    keep = table["used"] & table["gpu_id"].isin(ids) & table["mode"].isin(modes)
    keep &= ("all" in names) | table["provider"].isin(names)
    if places:
        keep &= table["region"].isin(places)
    keep &= age_days(table["as_of"], day) <= NEWEST_DAYS
    newest = _newest(table[keep])
    rows = []
    for row in newest.to_dict("records"):
        price = row["price_gpu_hour"] / (fx if row["currency"] == "CNY" else 1.0)
        size = row["gpus_per_node"]
        rows.append(
            {
                "gpu": row["gpu_id"],
                "gpus_per_node": 1 if np.isnan(size) else int(size),
                "low": price,
                "central": price,
                "high": price,
                "derived": False,
                "quoted": False,
                "source": row["sources"],
                "notes": "; ".join(filter(None, (row["product"], row["notes"]))),
                **{k: row[k] for k in ("mode", "provider", "tier", "region")},
                **{k: row[k] for k in ("as_of", "confidence")},
            }
        )
    return rows


def _newest(table: pd.DataFrame) -> pd.DataFrame:
    """Keep what each provider printed last; hyperscalers print a list for each region."""
    place = table["region"].where(table["tier"] == "hyperscaler", "")
    key = [table[name] for name in ("provider", "gpu_id", "mode", "tier")]
    last = table.groupby([*key, place])["as_of"].transform("max")
    size = ["provider", "gpu_id", "mode", "tier", "region", "gpus_per_node"]
    return table[table["as_of"] == last].drop_duplicates(size)


def wanted(quote: Quote, ids: list[str], modes: list[str]) -> bool:
    """Return whether a quote is for one of these GPUs and modes."""
    return quote.gpu_id in ids and quote.mode.split("-server")[0].split("-gpu")[0] in modes


def quote_row(quote: Quote, fx: float) -> dict[str, Any]:
    """Return a quote as a row: it is its own low and high."""
    price = quote.price / (fx if quote.currency == "CNY" else 1.0)
    if quote.mode == "own-server":
        price /= quote.gpus_per_node
    as_date(quote.as_of, "quotes as_of")
    return {
        "gpu": quote.gpu_id,
        "mode": "own" if quote.mode.startswith("own") else quote.mode,
        "provider": quote.provider,
        "tier": "all-in" if quote.mode == "own-gpu" else "quote",
        "region": quote.region,
        "gpus_per_node": quote.gpus_per_node,
        "low": price,
        "central": price,
        "high": price,
        "as_of": quote.as_of,
        "confidence": "own",
        "derived": False,
        "quoted": True,
        "source": "your quote",
        "notes": "",
    }


def outranked(rows: list[dict[str, Any]], quotes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Drop every price of ours for which there is a quote of the user's own."""
    quoted = {(quote["gpu"], quote["mode"]) for quote in quotes}
    return quotes + [row for row in rows if (row["gpu"], row["mode"]) not in quoted]


def split(given: str | Sequence[str] | None) -> list[str]:
    """Return the parts of a text between commas, or of a sequence."""
    parts = given.split(",") if isinstance(given, str) else (given or ())
    return [part.strip() for part in parts if part.strip()]


def listed(given: str | Sequence[str], field: str, known: Sequence[str]) -> list[str]:
    """Check names against the known ones; at least one is needed."""
    found = split(given)
    for name in found:
        if name not in known:
            raise UnknownNameError(field, name, known)
    if not found:
        raise InputError(field, given, f"give at least one of {', '.join(known)}")
    return list(dict.fromkeys(found))
