"""Rows of offers with their terms from each source of prices: defaults, named providers, quotes."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.base.units import NODE_GPUS, Floats
from gpuspec.catalog import load_table
from gpuspec.catalog.regions import places_of, usual
from gpuspec.topics.cost.prices.ask import Priced
from gpuspec.topics.cost.prices.market import HYPERSCALER
from gpuspec.topics.cost.prices.quotes import HOURLY, Quote
from gpuspec.topics.cost.prices.records import BANDS, CHINA

NEWEST_DAYS = 365
"""Age from which a row of a named provider is no offer any more."""
GENERIC = {"specialist": "specialist clouds", "hyperscaler": "hyperscaler list"}
HYPERSCALERS = "hyperscalers"
STATED = ["minimum", "lead_months", "after_term"]
"""What ``data/prices_terms.csv`` says, and a quote may."""
COLUMNS = ["gpu", "mode", "provider", "tier", "region", "gpus_per_node", *BANDS]
COLUMNS += ["as_of", "confidence", "derived", "quoted", "source", "notes", "step", *STATED]
NOBODY = "nobody"
UNSOLD = {
    "mode": "own",
    "provider": NOBODY,
    "tier": "all-in",
    "region": "",
    "gpus_per_node": NODE_GPUS,
}
UNSOLD |= {**dict.fromkeys(BANDS, 1e-9), "as_of": "", "confidence": "own", "derived": False}
UNSOLD |= {"quoted": True, "source": "", "notes": "", "step": float(NODE_GPUS)}
RENAMED = {"gpu_id": "gpu", "gpus": "gpus_per_node", "sources": "source"}


def source_rows(
    question: Priced,
    modes: Sequence[str],
    quotes: Sequence[Quote],
    owned: Sequence[str] = (),
    local: bool = False,
) -> pd.DataFrame:
    """Return low, central and high of every price that counts, USD: columns `COLUMNS`.

    A quote replaces every price of ours for its GPU and mode. ``minimum``, ``lead_months`` and
    ``after_term`` are a quote's own, else of the GPU, else of the mode. `owned` and `local`
    are those of `offers`; a GPU that is owned and that nobody sells any more is `NOBODY`'s, at no
    price: what it draws is known all the same.
    """
    own = _quote_rows(question, modes, quotes)
    quoted = set(zip(own["gpu"], own["mode"], strict=True))
    frames = [own]
    for found in (_default_rows(question, modes), _named_rows(question, modes)):
        pairs = zip(found["gpu"], found["mode"], strict=True)
        frames.append(found[[pair not in quoted for pair in pairs]])
    found = pd.concat([f for f in frames if len(f)] or frames[:1], ignore_index=True)
    found = _local(found, question.regions) if local else found
    sold = set(found.loc[found["mode"] == "own", "gpu"])
    free = [UNSOLD | {"gpu": name} for name in owned if name not in sold]
    return _with_terms(pd.concat([found, pd.DataFrame(free, columns=COLUMNS)]) if free else found)


def _local(found: pd.DataFrame, regions: Sequence[str]) -> pd.DataFrame:
    """Return offers of regions, and usual ones of the world where the regions have none."""
    here = of_regions(found, regions)
    pairs = set(zip(found.loc[here, "gpu"], found.loc[here, "mode"], strict=True))
    priced = [pair in pairs for pair in zip(found["gpu"], found["mode"], strict=True)]
    world = (found["region"] == "") & ~found["provider"].eq(GENERIC["hyperscaler"])
    return found[here | (world & ~np.array(priced, bool))].reset_index(drop=True)


def of_regions(found: pd.DataFrame, regions: Sequence[str]) -> np.ndarray:
    """Return which offers are of these regions; a quote is, since its buyer asked there."""
    here = found["region"].isin(places_of(regions)) | found["quoted"].astype(bool)
    world = (found["region"] == "") & (found["provider"] != GENERIC["hyperscaler"])
    return np.asarray(here | (world & usual(regions)), bool)


def priced_elsewhere(gpus: Sequence[str], regions: Sequence[str]) -> dict[str, list[str]]:
    """Return the regions, none of these, in which the tables have a default price of a GPU: region
    and GPUs.
    """
    table = load_table("prices-defaults")
    table = table[table["gpu_id"].isin([*gpus]) & ~table["region"].isin(["", *regions])]
    return {
        str(place): [name for name in gpus if name in set(rows["gpu_id"])]
        for place, rows in table.groupby("region")
    }


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
        step=_node_steps(table),
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
    oldest = question.day - timedelta(days=NEWEST_DAYS)
    keep &= table["as_of"].between(oldest.isoformat(), question.day.isoformat())
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


def _with_terms(frame: pd.DataFrame) -> pd.DataFrame:
    """Return rows with `STATED` filled in; ``minimum`` is a whole number of steps, at least one."""
    table = load_table("prices-terms")
    places = zip(table["mode"], table["gpu_id"], strict=True)
    known = dict(zip(places, table[STATED].to_dict("records"), strict=True))
    blank = {"minimum": np.nan, "lead_months": 0.0, "after_term": ""}
    keys = zip(frame["mode"], frame["gpu"], strict=True)
    said = [known.get((mode, gpu), known.get((mode, ""), blank)) for mode, gpu in keys]
    terms = pd.DataFrame(said, columns=STATED, index=frame.index)
    step = frame["step"].to_numpy(float)
    least = frame["minimum"].astype(float).fillna(terms["minimum"].astype(float)).to_numpy()
    return frame.assign(
        minimum=np.maximum(np.ceil(np.nan_to_num(least) / step), 1) * step,
        lead_months=frame["lead_months"].astype(float).fillna(terms["lead_months"]),
        after_term=frame["after_term"].astype(object).fillna(terms["after_term"]),
    )


def _node_steps(table: pd.DataFrame) -> Floats:
    """Return how many GPUs the rows of the defaults sell together.

    By the hour one, where some rental row of the GPU, the mode and the kind of seller offers
    single GPUs; else, and for contracts and purchases, the node of the row.
    """
    rows = load_table("prices-rental")
    rows = rows[rows["used"] & (rows["gpus_per_node"] == 1) & rows["mode"].isin(HOURLY)]
    single = set(zip(rows["gpu_id"], rows["mode"], rows["tier"] == HYPERSCALER, strict=True))
    mine = zip(table["gpu_id"], table["mode"], table["tier"] == HYPERSCALER, strict=True)
    alone = np.array([key in single for key in mine], bool)
    return np.asarray(np.where(alone, 1.0, table["gpus"].to_numpy(float)))
