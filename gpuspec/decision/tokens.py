"""Services that may be bought by the million tokens: an offer beside those of GPUs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gpuspec.base.days import run_date
from gpuspec.base.lazy import pd
from gpuspec.decision.calendar import Calendar
from gpuspec.decision.contracts import Kinds
from gpuspec.decision.errors import Draws, stream, two_sided
from gpuspec.decision.options import Options
from gpuspec.decision.scenario import Inference, Scenario
from gpuspec.topics.cost.api import api_table, requests_month

UNTIMED = ("cost", "regret")
"""Objectives under which a service may be bought: an API states neither times nor energy."""


@dataclass(frozen=True)
class ByApi:
    """A service by API. The first offer counts: a price of one's own, else the cheapest."""

    work: str
    """Name of the service."""
    offers: pd.DataFrame
    """As `gpuspec.topics.cost.api.api_table`; a month is that of the first size."""
    requests_month: np.ndarray
    """(Q,) of each segment; 0 where the service is not there."""
    month_usd: np.ndarray
    """(Q,) what a month costs at the price of today, carried by the drift of prices."""
    taken: bool
    """Whether a plan may take it; else it is only compared."""

    @property
    def provider(self) -> str:
        """Who sells it."""
        return str(self.offers["provider"].iloc[0])

    def scaled(self, times: float) -> ByApi:
        """Return the same for so many times the load."""
        more = self.requests_month * times, self.month_usd * times
        return replace(self, requests_month=more[0], month_usd=more[1])

    def factor(self, draws: Draws) -> np.ndarray:
        """Return (S,) the factor on its price.

        A quote of one's own moves with the market of rents alone. Of a printed price the next
        provider's is the upper end of the 80 % interval: the cheapest may be too slow, or gone.
        """
        if not draws.drawn:
            return np.ones(draws.samples)
        each = self.offers["request_usd"].to_numpy(float)
        printed = self.offers["grade"].iloc[0] != "firm" and each[0] > 0
        high = each[:2].max() / each[0] if printed else 1.0
        name = f"price api {self.provider} {self.offers['product'].iloc[0]}"
        z = stream(draws.seed, name, draws.samples)
        return np.asarray(np.exp(two_sided(z, 1.0, high)) * draws.market("on-demand"))


def by_api(scenario: Scenario, mine: Options, calendar: Calendar, kinds: Kinds) -> ByApi | None:
    """Return a service by API; None for other work, and where nothing is priced or asked."""
    w: Any = scenario.workloads[mine.place]
    use = getattr(w, "api", None) or scenario.allow.api
    if not isinstance(w, Inference) or w.network.kind != "llm" or use == "never":
        return None
    requests_s = busiest(scenario, w, mine, kinds)
    count = requests_month(requests_s, w.peak_factor, w.hours_per_month)
    load = w.network.id, w.prompt_tokens, w.osl, count, w.cached_share, w.api_price
    day = scenario.today or run_date()
    offers = api_table(*load, day=day, cny_per_usd=scenario.prices.cny_per_usd)
    if offers.empty:
        return None
    sizes = np.where(mine.size_of >= 0, np.append(mine.sizes, 0.0)[mine.size_of], 0.0)
    month_usd = sizes * float(offers["month_usd"].iloc[0]) * calendar.drifted
    allowed = use == "allowed" and scenario.objective in UNTIMED
    return ByApi(w.name, offers, count * sizes, month_usd, allowed)


def busiest(scenario: Scenario, w: Inference, mine: Options, kinds: Kinds) -> float:
    """Return the requests a second in the busiest hour of the first size: as stated, or those in
    flight over the seconds of one: on the way that costs the least by the hour, which a faster one
    would serve more of; without any way at the limits.
    """
    if w.arriving:
        return float(w.arriving)
    each = (w.ttft_limit_s or 0.0) + (w.tpot_limit_s or 0.0) * (w.osl - 1)
    if mine.whole:
        hour_usd = dict(zip(kinds.names, kinds.hour_usd[:, 0], strict=True))
        names = mine.table["gpu"].iloc[: mine.whole]
        months, test_usd = scenario.horizon_months, scenario.effort.precision_usd
        usd = [
            float(mine.needs[i].mean_hours.mean()) * hour_usd[name] * months
            + test_usd * mine.changes_format(i)
            for i, name in enumerate(names)
        ]
        way = int(np.argmin(usd))
        gpus = float(mine.needs[way].central.max(initial=0.0))
        given = times_at(mine, dict(mine.table.iloc[way]), gpus, 1.0)
        each = given["ttft_s"] + given["tpot_s"] * (w.osl - 1) if given else each
    return w.in_flight / each if each else 0.0


def times_at(mine: Options, way: Mapping[Any, Any], gpus: float, share: float) -> dict[str, float]:
    """Return ``ttft_s`` and ``tpot_s`` under the load that a replica carries where `gpus` carry a
    share of the largest load at the central estimate; empty for what has none.
    """
    curve = mine.ways.table
    curve = curve[(curve["curve"] == way["curve"]) & curve["works"]].sort_values("batch")
    if way["curve"] < 0 or not np.isfinite(way["tpot_s"]):
        return {}
    load = float(mine.ways.curves[int(way["curve"])]["load"][0]) * mine.sizes.max() * share
    each = load / max(gpus / float(way["unit_gpus"]), 1.0)
    return {n: float(np.interp(each, curve["batch"], curve[n])) for n in ("ttft_s", "tpot_s")}
