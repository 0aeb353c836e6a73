"""The same load bought by the million tokens: offers for a model, cheapest first."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from gpuspec.base.ask import Range, Was
from gpuspec.base.days import run_date
from gpuspec.base.errors import InputError
from gpuspec.base.lazy import pd
from gpuspec.base.units import HOURS_MONTH
from gpuspec.catalog.api_prices import ApiPrice, TokenPriceQuote, TokenQuote, api_prices
from gpuspec.catalog.fields import Day, ExchangeRate
from gpuspec.formulas.cost import api_request_usd, even_requests
from gpuspec.formulas.splits import Split
from gpuspec.topics.cost.ask import CostQuestion
from gpuspec.topics.cost.prices.age import limit_days
from gpuspec.topics.serving.answer import estimates
from gpuspec.topics.serving.ask import EstimateQuestion
from gpuspec.topics.serving.load import served as served_at

HOUR_S = 3600.0


class ApiQuestion(EstimateQuestion):
    """What does this load cost by API, beside GPUs by the hour."""

    hours_per_month: Annotated[float, Range(0, 744, "hours", above=True)] = Field(
        HOURS_MONTH, description="Hours of a month in which the service is up"
    )
    api_price: Annotated[TokenPriceQuote | None, Was("price")] = Field(
        None,
        description="A price of your own a million tokens, which goes first: 0.20/0.60 of prompts "
        "and answers, or input=0.20,cached=0.05,output=0.60,provider=...,currency=CNY",
    )
    today: Day | None = Field(
        None, description="Day of the run, from which the age of prices counts; None: the day's"
    )
    cny_per_usd: ExchangeRate = Field(7.1, description="Exchange rate")

    @property
    def day(self) -> date:
        """`today`, or the day of the run."""
        return self.today or run_date()


def api_table(
    model: str,
    isl: float,
    osl: float,
    requests_month: float,
    cached_share: float = 0.0,
    price: TokenQuote | None = None,
    day: date | None = None,
    cny_per_usd: float = 7.1,
) -> pd.DataFrame:
    """Return what a load costs at each provider of a model, a price of one's own first.

    One row a provider, its cheapest product for this load. Columns: ``provider``, ``product``,
    ``input_mtok``, ``cached_mtok``, ``output_mtok`` (USD a million tokens), ``request_usd``,
    ``month_usd``, ``as_of``, ``age_days``, ``grade`` (firm: your own; indicative; guess: older than
    a list price may be, or of the lowest trust).
    """
    today = day or run_date()
    found: list[ApiPrice | TokenQuote] = [*api_prices(model), *([price] if price else [])]
    rows = []
    for of in found:
        rate = 1.0 if of.currency == "USD" else 1 / cny_per_usd
        cached = np.nan if of.cached_mtok is None else of.cached_mtok * rate
        mtok = of.input_mtok * rate, of.output_mtok * rate, cached
        if isinstance(of, TokenQuote):
            rows.append((of.provider, model, *mtok, str(today), 0, "firm"))
            continue
        age = max((today - of.as_of).days, 0)
        grade = "guess" if of.confidence == "C" or age > limit_days("") else "indicative"
        rows.append((of.provider, of.product, *mtok, str(of.as_of), age, grade))
    names = ["provider", "product", "input_mtok", "output_mtok", "cached_mtok"]
    table = pd.DataFrame(rows, columns=[*names, "as_of", "age_days", "grade"])
    prices = table[names[2:]].to_numpy(float).T
    each = np.asarray(api_request_usd(isl, osl, prices[0], prices[1], cached_share, prices[2]))
    table = table.assign(request_usd=each, month_usd=each * requests_month)
    order = table.assign(other=table["grade"] != "firm")
    order = order.sort_values(["other", "request_usd", "provider"], kind="stable")
    return order.drop_duplicates("provider").drop(columns="other").reset_index(drop=True)


def requests_month(requests_s: float, peak_factor: float, hours: float) -> float:
    """Return the requests of a month from those a second in the busiest hour.

    >>> requests_month(1.0, 2.0, 730.0)
    1314000.0
    """
    return requests_s / peak_factor * hours * HOUR_S


def fleets(question: ApiQuestion) -> pd.DataFrame:
    """Return the fleet of each GPU that serves the load, and what it costs by the hour.

    Columns: ``gpu``, ``weights``, ``gpus``, ``keeps_limits``, ``requests_s`` (at the load asked, in
    the busiest hour), ``carries`` (requests/s that it sustains within the limits), ``month_usd``
    (NaN without a price).
    """
    q, rows = question, []
    prices = CostQuestion.ask(gpus=list(q.gpus), today=q.day).offers(("on-demand",), ())
    hour = dict(zip(prices["gpu"], prices["hour_usd"], strict=True))
    for row in estimates(q):
        if not row["works"] or "tpot_s" not in row:
            continue
        copies = row["replicas"]
        served = q.arriving or row["output_tokens_s"][0] * copies / q.osl
        within = row.get("requests_s_within", np.nan) * copies
        if not q.arriving:
            device = next(g for g in q.devices if g.id == row["gpu"])
            split = (row[name] for name in Split._fields)
            replica = q.replica(device, q.format_of(row["weights"]), *split)
            most = max(row["concurrency_within"], 1.0)
            within = float(served_at(q, replica, most)["requests_s"]) * copies
        month = hour.get(row["gpu"], np.nan) * row["gpus"] * q.hours_per_month
        kept = {name: row[name] for name in ("gpu", "weights", "gpus", "keeps_limits")}
        rows.append({**kept, "requests_s": served, "carries": float(within), "month_usd": month})
    columns = ["gpu", "weights", "gpus", "keeps_limits", "requests_s", "carries", "month_usd"]
    return pd.DataFrame(rows, columns=columns)


def api_answer(question: ApiQuestion) -> dict[str, Any]:
    """Return what the load is, what it costs by API and on GPUs by the hour, and where both meet.

    ``taken`` is the price of one's own, else the cheapest.
    Of a load of requests in flight the requests a month are those that the cheapest fleet serves.
    """
    q, own = question, fleets(question)
    own = own.sort_values(["keeps_limits", "month_usd"], ascending=[False, True], kind="stable")
    rate = q.arriving or (float(own["requests_s"].iloc[0]) if len(own) else np.nan)
    if not np.isfinite(rate):
        raise InputError(
            "concurrency", q.in_flight, "no GPU serves it, so that its rate is unknown"
        )
    count = requests_month(rate, q.peak_factor, q.hours_per_month)
    load = (q.network.id, q.prompt_tokens, q.osl, count, q.cached_share)
    offers = api_table(*load, q.api_price, q.day, q.cny_per_usd)
    most = own["carries"] / max(rate, 1e-12) * count
    own = own.drop(columns=["requests_s", "carries"]).assign(carries_requests_month=most)
    tokens = {"input": count * q.prompt_tokens, "output": count * q.osl}
    found: dict[str, Any] = {"model": q.network.id, "day": str(q.day), "requests_month": count}
    found |= {f"{name}_tokens_month": value for name, value in tokens.items()}
    if len(offers):
        found["taken"] = offers.iloc[0].to_dict()
        found["median_month_usd"] = float(offers["month_usd"].median())
        each = found["taken"]["request_usd"]
        own["even_requests_month"] = even_requests(own["month_usd"], each, most)
    return found | {"offers": offers, "fleets": own.reset_index(drop=True)}
