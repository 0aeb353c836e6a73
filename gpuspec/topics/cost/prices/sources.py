"""Rows of offers from each source of prices: defaults, named providers, quotes."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.catalog import load_table
from gpuspec.catalog.regions import places_of
from gpuspec.topics.cost.prices.age import age_days
from gpuspec.topics.cost.prices.ask import Priced
from gpuspec.topics.cost.prices.quotes import Quote
from gpuspec.topics.cost.prices.records import BANDS, CHINA
from gpuspec.topics.cost.prices.terms import STATED, node_steps

NEWEST_DAYS = 365
"""Age from which a row of a named provider is no offer any more."""
GENERIC = {"specialist": "specialist clouds", "hyperscaler": "hyperscaler list"}
HYPERSCALERS = "hyperscalers"
COLUMNS = ["gpu", "mode", "provider", "tier", "region", "gpus_per_node", *BANDS]
COLUMNS += ["as_of", "confidence", "derived", "quoted", "source", "notes", "step", *STATED]
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
    bands = {
        "low": table["low"].fillna(table["central"] * _usual_ends("low", own)),
        "central": table["central"],
        "high": table["high"].fillna(table["central"] * _usual_ends("high", own)),
    }
    table = table.assign(
        provider=np.where(own, "purchase", table["tier"].map(GENERIC)),
        quoted=False,
        step=node_steps(table),
        **{band: price / rate / size for band, price in bands.items()},
    )
    return table.rename(columns=RENAMED).reindex(columns=COLUMNS)


def _usual_ends(band: str, own: pd.Series) -> np.ndarray:
    """Return an end of a price over its centre where nobody saw it: the median of those seen."""
    table = load_table("prices-defaults")
    ratio = (table[band] / table["central"]).groupby(table["mode"] == "own").median()
    return np.asarray(np.where(own, float(ratio[True]), float(ratio[False])))


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
        keep &= table["region"].isin(places_of(question.regions))
    keep &= age_days(table["as_of"], question.day) <= NEWEST_DAYS
    keep &= table["as_of"] <= question.day.isoformat()
    table = _newest(table[keep])
    price = table["price_gpu_hour"] / _per_usd(question, table["currency"])
    notes = [
        "; ".join(filter(None, pair)) for pair in zip(table["product"], table["notes"], strict=True)
    ]
    node = table["gpus_per_node"].fillna(1).astype(int)
    table = table.assign(
        gpus_per_node=node,
        derived=False,
        quoted=False,
        notes=notes,
        step=node.astype(float),
        **dict.fromkeys(BANDS, price),
    )
    return table.drop(columns="gpu").rename(columns=RENAMED).reindex(columns=COLUMNS)


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
        if quote.as_of and quote.as_of > question.day:
            valid = f"give a day up to that of the run, {question.day}"
            raise InputError(f"quotes {quote.gpu}:{quote.mode} as_of", str(quote.as_of), valid)
        price = quote.price / (question.cny_per_usd if quote.currency == "CNY" else 1.0)
        price /= quote.node if quote.mode == "own-server" else 1
        rows.append(
            {
                **quote.model_dump(include=set(STATED)),
                **dict.fromkeys(BANDS, price),
                "gpu": quote.gpu,
                "mode": quote.paid,
                "provider": quote.provider,
                "tier": "all-in" if quote.mode == "own-gpu" else "quote",
                "region": quote.region,
                "gpus_per_node": quote.node,
                "step": float(quote.step),
                "as_of": quote.as_of.isoformat() if quote.as_of else "",
                "confidence": "own",
                "derived": False,
                "quoted": True,
                "source": "your quote",
                "notes": "",
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))
