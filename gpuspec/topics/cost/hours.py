"""What a GPU-hour costs, of what it is made, and how old its prices are."""

import pandas as pd

from gpuspec.catalog import Gpu, load_table
from gpuspec.formulas.cost import OWNED_PARTS, OwnedServer, gpu_hour_usd, owned_parts_usd
from gpuspec.topics.cost.ask import CostQuestion
from gpuspec.topics.cost.prices import limit_days, power_w_gpu, rated_w_gpu

MODE_NAMES = {
    "on-demand": "rent, on demand",
    "reserved-1yr": "rent, 1 year",
    "reserved-3yr": "rent, 3 years",
    "spot": "rent, spot",
    "own": "own",
}
PRICE_CNY = {"price_gpu_hour": "price_cny", "price": "price_cny"}


def way_names(offers: pd.DataFrame) -> list[str]:
    """Return what a reader calls each offer: the mode, and whose list it is."""
    names = []
    for row in offers.itertuples():
        name = MODE_NAMES[str(row.mode)]
        if row.tier == "hyperscaler":
            name += ", hyperscaler list"
        elif not row.quoted and row.provider not in ("specialist clouds", "purchase"):
            name += f", {row.provider}"
        names.append(name)
    return names


def with_unpriced(table: pd.DataFrame, question: CostQuestion) -> pd.DataFrame:
    """Add a row for each GPU without any price, that says so in ``way``; its mode is ""."""
    rows = [
        {"gpu": gpu, "mode": "", "way": "no price"}
        for gpu, modes in question.unpriced()
        if len(modes) == len(MODE_NAMES)
    ]
    return pd.concat([table, pd.DataFrame(rows)], ignore_index=True) if rows else table


def ways_table(question: CostQuestion) -> pd.DataFrame:
    """Return one row an offer: cost of a GPU-hour that is used, and how sure the price is.

    Columns: ``gpu``, ``mode``, ``way``, ``low``, ``central``, ``high`` (currency of the question
    for a used GPU-hour), ``paid`` (for a paid one), ``age_days``, ``stale``, ``confidence``,
    ``derived``, ``tier``, ``quoted``, ``as_of``, ``grade``, ``carried``, ``carried_why``, ``step``,
    ``minimum``, ``lead_months``, ``after_term``.
    """
    found = question.offers()
    hours = gpu_hour_usd(found, question.used_hours_share)
    paid = gpu_hour_usd(found, 1.0)["central"]
    keep = ["gpu", "mode", "age_days", "stale", "confidence", "derived", "tier", "quoted", "as_of"]
    keep += ["grade", "carried", "carried_why", "step", "minimum", "lead_months", "after_term"]
    return pd.concat([found[keep], hours, paid.rename("paid")], axis=1).assign(way=way_names(found))


def owned_server(question: CostQuestion, device: Gpu, own: pd.Series) -> OwnedServer:
    """Return what a server costs and draws at central values, from an offer to own it."""
    values, gpus = question.assumptions, own["gpus_per_node"]
    share = 0.0 if own["tier"] == "all-in" else values.network_share
    asked = {name: value for name, value in values if name in OwnedServer.__dataclass_fields__}
    asked |= {
        "server_usd": own["capital_usd_gpu"] / question.rate * (1 - share) * gpus,
        "gpus": gpus,
        "network_share": share,
        "residual_share": own["residual_share"],
        "years": question.horizon_months / 12,
        "rate_year": values.cost_of_capital,
        "rated_w_gpu": rated_w_gpu(device),
        "power_w_gpu": power_w_gpu(device, values),
        "services_usd_month": values.licence_usd_gpu_year / 12 + values.network_usd_gpu_month,
        "used_hours_share": question.used_hours_share,
    }
    return OwnedServer(**asked)


def parts_table(question: CostQuestion) -> pd.DataFrame:
    """Return the parts of an owned GPU-hour that is used; index GPU, a column a part.

    GPUs without a purchase price are left out, and services where they cost nothing. The parts add
    up to the central cost of `ways_table`.
    """
    q = question
    own = q.offers(("own",))
    rows = {}
    for _, row in own.drop_duplicates("gpu").iterrows():
        device = next(g for g in q.devices if g.id == row["gpu"])
        parts = owned_parts_usd(owned_server(q, device, row))
        rows[row["gpu"]] = {n: float(p) / q.used_hours_share * q.rate for n, p in parts.items()}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(OWNED_PARTS))
    return table if table["services"].any() else table.drop(columns="services")


def age_table(question: CostQuestion) -> pd.DataFrame:
    """Return the age of each price that is used, its limit, its move, and how far it is trusted."""
    found = question.offers(providers=())
    table = found[["gpu", "mode", "as_of", "age_days", "stale", "confidence", "derived"]].copy()
    table.insert(2, "way", way_names(found))
    table["as_of"] = found["as_of"].where(found["as_of"] != "", str(question.day))
    table = table.assign(moved=found["carried"] - 1, why=found["carried_why"], grade=found["grade"])
    table["limit_days"] = [limit_days(mode) for mode in table["mode"]]
    return with_unpriced(table, question)


def china_table(cny_per_usd: float = 7.1) -> pd.DataFrame:
    """Return every price in CNY that was found, with its age in words; all of low confidence."""
    tables = (load_table(f"prices-{kind}") for kind in ("rental", "purchase"))
    rent, bought = (table[table["currency"] == "CNY"] for table in tables)
    rent = rent.assign(what=rent["provider"] + ", " + rent["mode"], unit="GPU-hour")
    size = bought["gpus"].map("{:.0f} GPUs".format).replace("1 GPUs", "1 GPU")
    bought = bought.assign(what=bought["item"], unit=size)
    rent, bought = rent.rename(columns=PRICE_CNY), bought.rename(columns=PRICE_CNY)
    table = pd.concat([rent, bought], ignore_index=True)
    usd = table["price_cny"] / cny_per_usd
    table = table.assign(price_usd=usd, as_of=table["as_of"].replace("", "undated"))
    return table[["gpu", "what", "price_cny", "price_usd", "unit", "as_of", "confidence"]]
