"""What can be signed, bought, rented or sold in each round, and what a GPU of it costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuspec.base.days import run_date
from gpuspec.base.lazy import pd
from gpuspec.base.units import HOURS_MONTH
from gpuspec.decision.calendar import Calendar
from gpuspec.decision.scenario import Scenario
from gpuspec.topics.cost.prices.records import Operating

SOLD_SHARE = 0.8
"""What a seller gets of the price at which a used node is offered: an assumption."""
DEFAULT_AGE_YEARS = 3.0
"""Age of owned GPUs whose date of purchase is not given."""
YEAR_DAYS = 365.25
UNRENTED_USD = 10.0
"""What an hour counts of a kind that nobody rents out: the same whatever else is allowed."""
MISSING = 5.0
"""An hour of a GPU that is missing and cannot be rented counts as so many hours on demand."""


@dataclass(frozen=True)
class Contracts:
    """J things that can be signed: an offer from a round on. Money in USD, for one GPU.

    What one costs in a draw is ``fixed_usd + priced_usd * factor`` of its offer's price.
    """

    offer: np.ndarray
    """(J,) row of the table of offers."""
    kind: np.ndarray
    """(J,) place of its GPU."""
    start: np.ndarray
    """(J,) round in which it is signed."""
    paid_months: np.ndarray
    """(J,) months that are paid, of a contract; months of use, of a purchase."""
    active: np.ndarray
    """(J, Q) segments in which its GPUs are there."""
    step: np.ndarray
    """(J,) GPUs that are taken together."""
    minimum: np.ndarray
    """(J,) fewest GPUs, where any are taken."""
    housed: np.ndarray
    """(J,) whether it stands in rooms of one's own."""
    upfront_usd: np.ndarray
    """(J,) capital at signing."""
    month_usd: np.ndarray
    """(J, Q) cash of a month without use."""
    fixed_usd: np.ndarray
    priced_usd: np.ndarray


@dataclass(frozen=True)
class Kinds:
    """The K kinds of GPU that there are offers of; money in USD."""

    names: tuple[str, ...]
    hour_offer: np.ndarray
    """(K,) offer from which a GPU is rented by the hour; -1 where there is none."""
    hour_usd: np.ndarray
    """(K, Q) its price; of a GPU that cannot be rented, what a missing hour counts."""
    spot_offer: np.ndarray
    """(K,) offer of spot GPUs; -1 where there is none."""
    spot_usd: np.ndarray
    """(K, Q)"""
    lost: np.ndarray
    """(K,) interruptions of a spot GPU in an hour."""
    busy_usd: np.ndarray
    """(K,) what an hour of use adds to an owned GPU's cost."""
    power_kw: np.ndarray
    """(K,) of a GPU with its share of the server."""
    owned: np.ndarray
    """(K,) GPUs that are there."""
    keep_usd: np.ndarray
    """(K,) a month of one that is there, used or not."""
    worth_usd: np.ndarray
    """(K, E + 1) what one brings at the start of each round, and at the end of the horizon."""
    operating: Operating
    """What owning costs besides."""

    def tied_share(self, months: float) -> float:
        """Return what a purchase that is sold after some months costs, as a share of its price:
        what it loses, and interest on what it is worth on average.
        """
        left = float(self.operating.left(months / 12))
        return 1 - left + (1 + left) / 2 * self.operating.cost_of_capital * months / 12

    def tied_usd(self, months: np.ndarray) -> np.ndarray:
        """Return (K, E + 1) what keeping one until then costs beside its keep: what it loses of
        its worth, and interest on what it is worth on average; `months` are those of its end.
        """
        now = self.worth_usd[:, :1]
        average = (now + self.worth_usd) / 2
        return np.asarray(
            now - self.worth_usd + average * self.operating.cost_of_capital * months / 12
        )


def kinds_of(
    scenario: Scenario, offers: pd.DataFrame, every: pd.DataFrame, calendar: Calendar
) -> Kinds:
    """Return the kinds of GPU of a table of offers.

    `every` has the offers of all modes, allowed or not: what a missing GPU counts follows its
    price on demand.
    """
    names = tuple(dict.fromkeys(offers["gpu"]))
    hour_offer, spot_offer = (_cheapest(offers, names, mode) for mode in ("on-demand", "spot"))
    hour_usd = np.where(
        hour_offer[:, None] >= 0,
        _column(offers, hour_offer, "hour_usd", 0.0)[:, None] * calendar.drifted,
        _missing(offers, every, names, calendar),
    )
    first = [int(np.flatnonzero(offers["gpu"] == n)[0]) for n in names]
    own = [_first(offers, n, ("owned", "own"), f) for n, f in zip(names, first, strict=True)]
    owned = _column(offers, _cheapest(offers, names, "owned"), "available", 0.0)
    return Kinds(
        names=names,
        hour_offer=hour_offer,
        hour_usd=hour_usd,
        spot_offer=spot_offer,
        spot_usd=_column(offers, spot_offer, "hour_usd", np.inf)[:, None] * calendar.drifted,
        lost=_column(offers, spot_offer, "interruptions_per_gpu_hour", 0.0),
        busy_usd=power_usd_hour(offers, scenario.prices.power_share)[own],
        power_kw=offers["power_w_gpu"].to_numpy(float)[own] / 1e3,
        owned=owned,
        keep_usd=keep_usd_month(offers)[own] * (owned > 0),
        worth_usd=_worths(scenario, names, owned, every, calendar),
        operating=scenario.operating,
    )


def keep_usd_month(offers: pd.DataFrame) -> np.ndarray:
    """Return what an owned GPU costs a month, used or not: space, upkeep, staff, idle power."""
    idle = offers["idle_hour_usd"].to_numpy(float)
    return np.asarray(offers["fixed_month_usd_gpu"].to_numpy(float) + idle * HOURS_MONTH)


def power_usd_hour(offers: pd.DataFrame, power_share: float) -> np.ndarray:
    """Return what an hour in use adds to it.

    A GPU in use works at full power for `power_share` of the time, and else idles.
    """
    return np.asarray((offers["energy_hour_usd"] - offers["idle_hour_usd"]) * power_share)


def _cheapest(offers: pd.DataFrame, names: tuple[str, ...], mode: str) -> np.ndarray:
    """Return the row of the cheapest offer of each GPU in a mode; -1 where there is none."""
    rows = offers[offers["mode"] == mode].sort_values("hour_usd", kind="stable")
    first = rows.drop_duplicates("gpu")
    found = dict(zip(first["gpu"], first.index, strict=True))
    return np.array([found.get(name, -1) for name in names], int)


def _column(offers: pd.DataFrame, rows: np.ndarray, name: str, other: float) -> np.ndarray:
    """Return a column at some rows; `other` where there is no row (-1)."""
    return np.where(rows >= 0, offers[name].to_numpy(float)[rows], other)


def _first(offers: pd.DataFrame, name: str, modes: tuple[str, ...], other: int) -> int:
    for mode in modes:
        rows = np.flatnonzero((offers["gpu"] == name) & (offers["mode"] == mode))
        if len(rows):
            return int(rows[0])
    return other


def _missing(
    offers: pd.DataFrame, every: pd.DataFrame, names: tuple[str, ...], calendar: Calendar
) -> np.ndarray:
    """Return (K, Q) what an hour of a GPU counts that is missing and cannot be rented.

    Before the first delivery of its kind work can only wait: that counts as rent, no more.
    """
    rented = every[every["mode"].isin(("on-demand", "reserved-1yr", "reserved-3yr", "spot"))]
    by_gpu = rented.groupby("gpu")["hour_usd"].max().to_dict()
    usd = np.array([by_gpu.get(name, UNRENTED_USD) for name in names])
    first = (
        offers.groupby("gpu")["lead_months"].min().reindex(list(names)).fillna(0.0).to_numpy(float)
    )
    return np.where(calendar.edges[:-1] < first[:, None] - 1e-9, 1.0, MISSING) * usd[:, None]


def _worths(
    scenario: Scenario,
    names: tuple[str, ...],
    held: np.ndarray,
    every: pd.DataFrame,
    calendar: Calendar,
) -> np.ndarray:
    """Return (K, E + 1) what an owned GPU brings in each round and at the end.

    Its market price of today falls with its age as the residual values of the operating table do;
    a seller gets `SOLD_SHARE` of it.
    """
    years = np.append(calendar.starts, calendar.edges[-1]) / 12
    found = np.zeros((len(names), len(years)))
    operating = scenario.operating
    for k, name in enumerate(names):
        price = every[(every["gpu"] == name) & (every["mode"] == "own")]["capital_usd_gpu"]
        if not held[k] or price.empty:
            continue
        age_years = _age_years(scenario, name)
        now, later = operating.left(age_years), operating.left(age_years + years)
        card = float(price.min()) * (1 - operating.network_share)
        found[k] = card * SOLD_SHARE * later / now
    return found


def _age_years(scenario: Scenario, name: str) -> float:
    """Return the mean age of the owned GPUs of a kind."""
    today = scenario.today or run_date()
    ages = [
        max((today - part.bought).days / YEAR_DAYS, 0.0) if part.bought else DEFAULT_AGE_YEARS
        for part in scenario.owned
    ]
    counts = [part.count * (part.gpu == name) for part in scenario.owned]
    return float(np.average(ages, weights=counts))


def contracts_of(offers: pd.DataFrame, kinds: Kinds, calendar: Calendar) -> Contracts:
    """Return what can be signed in each round: contracts and purchases.

    A contract is paid to the end of its last term, also where that lies beyond the horizon; one
    that ends within it may be renewed until the next round.
    """
    rows: list[dict[str, Any]] = []
    keep_usd = keep_usd_month(offers)
    for place, offer in enumerate(offers.to_dict("records")):
        mode = str(offer["mode"])
        if mode in ("owned", "on-demand", "spot"):
            continue
        k, lead = kinds.names.index(offer["gpu"]), float(offer["lead_months"])
        for round_, here in enumerate((calendar.starts + lead).tolist()):
            row: dict[str, Any] = {
                "offer": place,
                "kind": k,
                "start": round_,
                "housed": mode == "own",
            }
            row |= {"step": float(offer["step"]), "minimum": float(offer["minimum"])}
            if mode == "own":
                capital_usd = float(offer["capital_usd_gpu"]) * calendar.drifts[round_]
                row |= _bought(capital_usd, keep_usd[place], here, calendar, kinds)
            else:
                month_usd = float(offer["hour_usd"]) * HOURS_MONTH * calendar.drifts[round_]
                row |= _reserved(month_usd, float(offer["term_months"]), here, calendar)
            if row["active"].any():
                rows.append(row)

    def column(name: str, kind: type = float) -> np.ndarray:
        return np.array([r[name] for r in rows], kind)

    shape = (len(rows), len(calendar.months))
    return Contracts(
        **{n: column(n, int) for n in ("offer", "kind", "start")},
        **{n: column(n) for n in ("paid_months", "step", "minimum", "upfront_usd")},
        **{n: column(n) for n in ("fixed_usd", "priced_usd")},
        active=column("active", bool).reshape(shape),
        month_usd=column("month_usd").reshape(shape),
        housed=column("housed", bool),
    )


def _bought(
    capital_usd: float, keep_usd: float, here: float, calendar: Calendar, kinds: Kinds
) -> dict[str, Any]:
    """Return what a purchase costs that is there from a month on and is sold at the end."""
    months = max(calendar.edges[-1] - here, 0.0)
    active = calendar.edges[:-1] >= here - 1e-9
    return {
        "active": active,
        "paid_months": months,
        "upfront_usd": capital_usd,
        "month_usd": active * keep_usd,
        "fixed_usd": keep_usd * months,
        "priced_usd": capital_usd * kinds.tied_share(months),
    }


def _reserved(month_usd: float, term: float, here: float, calendar: Calendar) -> dict[str, Any]:
    """Return what a contract costs from a month on, renewed until a round or the end."""
    turns = (*calendar.starts, calendar.edges[-1])
    terms = term * np.arange(1, 1000)
    paid_months = next(
        paid for paid in terms if here + paid in turns or here + paid >= turns[-1] - 1e-9
    )
    active = (calendar.edges[:-1] >= here - 1e-9) & (
        calendar.edges[:-1] < here + paid_months - 1e-9
    )
    return {
        "active": active,
        "paid_months": paid_months,
        "upfront_usd": 0.0,
        "month_usd": active * month_usd,
        "fixed_usd": 0.0,
        "priced_usd": month_usd * paid_months,
    }
