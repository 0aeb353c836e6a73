"""Rows of offers from each source of prices: defaults, named providers, quotes."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gpuspec.base.errors import UnknownNameError
from gpuspec.catalog import load_table
from gpuspec.topics.cost.prices.age import age_days
from gpuspec.topics.cost.prices.ask import Priced
from gpuspec.topics.cost.prices.backtest import PRICE_SPREAD
from gpuspec.topics.cost.prices.quotes import Quote
from gpuspec.topics.cost.prices.records import BANDS, CHINA

OWN_SPREAD = (230 / 285, 375 / 285)
"""Low and high over central of a purchase with one quote: as of the H100 server."""
NEWEST_DAYS = 365
"""Age from which a row of a named provider is no offer any more."""
GENERIC = {"specialist": "specialist clouds", "hyperscaler": "hyperscaler list"}
HYPERSCALERS = "hyperscalers"
COLUMNS = ["gpu", "mode", "provider", "tier", "region", "gpus_per_node", *BANDS]
COLUMNS += ["as_of", "confidence", "derived", "quoted", "source", "notes"]
RENAMED = {"gpu_id": "gpu", "gpus": "gpus_per_node", "sources": "source"}


def source_rows(question: Priced, modes: Sequence[str], quotes: Sequence[Quote]) -> pd.DataFrame:
    """Return low, central and high of every price that counts, USD: columns `COLUMNS`.

    A quote replaces every price of ours for its GPU and mode.
    """
    own = _quote_rows(question, modes, quotes)
    quoted = set(zip(own["gpu"], own["mode"], strict=True))
    frames = [own]
    for found in (_default_rows(question, modes), _named_rows(question, modes)):
        pairs = zip(found["gpu"], found["mode"], strict=True)
        frames.append(found[[pair not in quoted for pair in pairs]])
    return pd.concat([f for f in frames if len(f)] or frames[:1], ignore_index=True)


def _per_usd(question: Priced, currency: pd.Series) -> np.ndarray:
    return np.where(currency == "CNY", question.cny_per_usd, 1.0)


def _default_rows(question: Priced, modes: Sequence[str]) -> pd.DataFrame:
    """Return the defaults of the tables, a price in China before the world's."""
    table = load_table("prices-defaults")
    wide = bool({"all", HYPERSCALERS} & set(question.providers))
    keep = table["gpu_id"].isin(question.gpus) & table["mode"].isin(modes)
    keep &= (table["tier"] == "specialist") | wide
    keep &= table["region"].isin(["", *question.regions])
    table = table[keep].sort_values("region", ascending=False, kind="stable")
    if CHINA in question.regions:
        table = table.drop_duplicates(["gpu_id", "mode", "tier"])
    own = table["mode"] == "own"
    rate, size = _per_usd(question, table["currency"]), np.where(own, table["gpus"], 1)
    # Ends that nobody saw: the spread of the back-test, or of the H100 server.
    down = np.where(own, OWN_SPREAD[0], 1 - PRICE_SPREAD)
    up = np.where(own, OWN_SPREAD[1], 1 / (1 - PRICE_SPREAD))
    bands = {
        "low": table["low"].fillna(table["central"] * down),
        "central": table["central"],
        "high": table["high"].fillna(table["central"] * up),
    }
    table = table.assign(
        provider=np.where(own, "purchase", table["tier"].map(GENERIC)),
        quoted=False,
        **{band: price / rate / size for band, price in bands.items()},
    )
    return table.rename(columns=RENAMED)[COLUMNS]


def _named_rows(question: Priced, modes: Sequence[str]) -> pd.DataFrame:
    """Return what named providers printed last, of those asked for."""
    names = [name for name in question.providers if name != HYPERSCALERS]
    table = load_table("prices-rental")
    known = sorted(set(table["provider"]))
    for name in names:
        if name != "all" and name not in known:
            raise UnknownNameError("providers", name, ["all", HYPERSCALERS, *known])
    keep = table["used"] & table["gpu_id"].isin(question.gpus) & table["mode"].isin(modes)
    keep &= ("all" in names) | table["provider"].isin(names)
    if question.regions:
        keep &= table["region"].isin(question.regions)
    keep &= age_days(table["as_of"], question.day) <= NEWEST_DAYS
    table = _newest(table[keep])
    price = table["price_gpu_hour"] / _per_usd(question, table["currency"])
    notes = [
        "; ".join(filter(None, pair)) for pair in zip(table["product"], table["notes"], strict=True)
    ]
    table = table.assign(
        gpus_per_node=table["gpus_per_node"].fillna(1).astype(int),
        derived=False,
        quoted=False,
        notes=notes,
        **dict.fromkeys(BANDS, price),
    )
    return table.drop(columns="gpu").rename(columns=RENAMED)[COLUMNS]


def _newest(table: pd.DataFrame) -> pd.DataFrame:
    """Keep what each provider printed last; hyperscalers print a list for each region."""
    place = table["region"].where(table["tier"] == "hyperscaler", "")
    key = [table[name] for name in ("provider", "gpu_id", "mode", "tier")]
    last = table.groupby([*key, place])["as_of"].transform("max")
    size = ["provider", "gpu_id", "mode", "tier", "region", "gpus_per_node"]
    return table[table["as_of"] == last].drop_duplicates(size)


def _quote_rows(question: Priced, modes: Sequence[str], quotes: Sequence[Quote]) -> pd.DataFrame:
    """Return quotes for these GPUs and modes: each is its own low and high."""
    rows = []
    for quote in quotes:
        if quote.gpu not in question.gpus or quote.paid not in modes:
            continue
        price = quote.price / (question.cny_per_usd if quote.currency == "CNY" else 1.0)
        price /= quote.gpus_per_node if quote.mode == "own-server" else 1
        tier = "all-in" if quote.mode == "own-gpu" else "quote"
        place = (quote.gpu, quote.paid, quote.provider, tier, quote.region, quote.gpus_per_node)
        day = quote.as_of.isoformat() if quote.as_of else ""
        rows.append((*place, price, price, price, day, "own", False, True, "your quote", ""))
    return pd.DataFrame(rows, columns=list(COLUMNS))
