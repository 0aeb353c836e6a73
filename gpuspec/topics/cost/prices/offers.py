"""Offers: every way to get a GPU for an hour, one row each, from tables and quotes."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.catalog import gpu, gpu_ids
from gpuspec.formulas.cost import (
    HOURS_MONTH,
    capital_usd_gpu,
    drift_factor,
    energy_hour_usd,
    staff_hour_usd,
)
from gpuspec.topics.cost.prices.age import age_days, is_stale
from gpuspec.topics.cost.prices.drift import drift_year
from gpuspec.topics.cost.prices.quotes import CURRENCIES, MODES, Quote, read_quotes
from gpuspec.topics.cost.prices.records import Operating, operating, power_w_gpu, rated_w_gpu
from gpuspec.topics.cost.prices.sources import (
    BASE,
    default_rows,
    listed,
    named_rows,
    outranked,
    quote_row,
    split,
    wanted,
)
from gpuspec.topics.cost.prices.tables import as_date

COLUMNS = (
    "gpu",
    "mode",
    "provider",
    "tier",
    "region",
    "gpus_per_node",
    "term_months",
    "currency",
    "hour_usd_low",
    "hour_usd",
    "hour_usd_high",
    "capital_usd_gpu_low",
    "capital_usd_gpu",
    "capital_usd_gpu_high",
    "fixed_month_usd_gpu",
    "energy_hour_usd",
    "idle_hour_usd",
    "residual_share",
    "cost_of_capital",
    "interruptions_per_gpu_hour",
    "power_w_gpu",
    "as_of",
    "age_days",
    "stale",
    "confidence",
    "derived",
    "quoted",
    "source",
    "notes",
)
TERM_MONTHS = {"reserved-1yr": 12, "reserved-3yr": 36}
PRICE_COLUMNS = ("hour_usd_low", "hour_usd", "hour_usd_high")
CAPITAL_COLUMNS = ("capital_usd_gpu_low", "capital_usd_gpu", "capital_usd_gpu_high")
MONEY = (
    *PRICE_COLUMNS,
    *CAPITAL_COLUMNS,
    "fixed_month_usd_gpu",
    "energy_hour_usd",
    "idle_hour_usd",
)


def offers(
    gpus: str | Sequence[str],
    modes: str | Sequence[str] = MODES,
    regions: str | Sequence[str] | None = None,
    providers: str | Sequence[str] | None = None,
    today: str | date | None = None,
    horizon_months: float = 36,
    utilization: float = 0.65,
    drift: str | float = "flat",
    quotes: str | Path | list[Quote] | None = None,
    currency: str = "USD",
    fx: float = 7.1,
    operating_values: Any = None,
    data: str | Path | None = None,
) -> pd.DataFrame:
    """Return one row an offer; the package's docstring says what the columns are.

    Parameters
    ----------
    gpus : str or sequence of str
        Names as typed. Which ways to get one exist follows from the tables and the quotes.
    modes : str or sequence of str
        Of ``on-demand``, ``reserved-1yr``, ``reserved-3yr``, ``spot``, ``own``.
    regions : str or sequence of str, optional
        ``China`` takes prices in China where there are any, and its electricity if alone;
        regions also choose among the rows of named providers.
    providers : str or sequence of str, optional
        ``hyperscalers`` adds their list prices, ``all`` adds every named provider too, names add
        those.
    today : str or date, optional
        Day from which ages count; blank: the day of the tables. No formula reads the clock.
    horizon_months : float
        How long the GPUs are wanted: rents drift over it, an owned server is sold after it.
    utilization : float
        Not used for the columns; it is checked here and kept in the frame's ``attrs``.
    drift : str or float
        ``down``, ``flat``, ``up``, or a change a year: rents average over the horizon.
    quotes : str, Path or list of Quote, optional
        Prices of one's own: a quote replaces every other price of its GPU and mode.
    currency, fx : str, float
        ``USD`` or ``CNY`` for all money columns; CNY for one USD.
    operating_values : mapping or str, optional
        Operating values of one's own, as `gpuspec.topics.cost.prices.operating` takes them.

    Raises
    ------
    InputError, UnknownNameError
        Names the field, the value and what is valid.
    """
    ids = gpu_ids(gpus, data)
    chosen = listed(modes, "modes", MODES)
    places = tuple(split(regions))
    for field, number, most in (
        ("horizon_months", horizon_months, 120),
        ("fx", fx, 1000),
        ("utilization", utilization, 1),
    ):
        if isinstance(number, str) or not 0 < number <= most:
            raise InputError(field, number, f"give a number above 0, at most {most}")
    if currency not in CURRENCIES:
        raise UnknownNameError("currency", currency, CURRENCIES)
    day, mine = as_date(today), read_quotes(quotes)
    values = operating(operating_values, places, fx, data=data)
    rows = default_rows(ids, chosen, places, providers, fx, data)
    rows += named_rows(ids, chosen, places, providers, day, fx, data)
    rows = outranked(rows, [quote_row(q, fx) for q in mine if wanted(q, ids, chosen)])
    frame = _priced(pd.DataFrame(rows, columns=list(BASE)), values, drift, horizon_months, data)
    frame["age_days"] = age_days(frame["as_of"], day)
    quoted_today = frame["quoted"] & (frame["as_of"] == "")
    frame["age_days"] = frame["age_days"].where(~quoted_today, 0.0)
    frame["stale"] = is_stale(frame["mode"], frame["age_days"])
    if currency == "CNY":
        frame[list(MONEY)] *= fx
    frame["currency"] = currency
    order = {name: i for i, name in enumerate([*ids, *chosen])}
    frame = frame.sort_values(
        ["gpu", "mode"], key=lambda s: s.map(order), kind="stable", ignore_index=True
    )
    frame.attrs = {"today": day.isoformat(), "drift": drift_year(drift), "utilization": utilization}
    return frame[list(COLUMNS)]


def _priced(
    frame: pd.DataFrame, values: Operating, drift: str | float, months: float, data: Any
) -> pd.DataFrame:
    """Turn low, central and high into rents or capital, and add what owning costs besides."""
    rate, own = drift_year(drift), (frame["mode"] == "own").to_numpy()
    term = frame["mode"].map(TERM_MONTHS).fillna(0).to_numpy(float)
    factor = drift_factor(rate, months, term)
    devices = {name: gpu(name, data) for name in frame["gpu"].unique()}
    power = frame["gpu"].map({n: power_w_gpu(d, values, data) for n, d in devices.items()})
    rated = frame["gpu"].map({n: rated_w_gpu(d, data) for n, d in devices.items()})
    share = np.where(frame["tier"] == "all-in", 0.0, values.network_share)
    for band, hour, capital in zip(
        ("low", "central", "high"), PRICE_COLUMNS, CAPITAL_COLUMNS, strict=True
    ):
        price = frame[band].to_numpy(float)
        frame[hour] = np.where(own, 0.0, price * factor)
        frame[capital] = np.where(own, capital_usd_gpu(price, 1, share), 0.0)
    frame["fixed_month_usd_gpu"] = np.where(own, _fixed_month(frame, rated, values), 0.0)
    energy = energy_hour_usd(power.to_numpy(float), values.pue, values.usd_kwh)
    frame["energy_hour_usd"] = np.where(own, energy, 0.0)
    frame["idle_hour_usd"] = np.where(own, energy * values.idle_share, 0.0)
    left = np.interp(months / 12, range(len(values.residuals)), values.residuals)
    frame["residual_share"] = np.where(own, left, 0.0)
    frame["cost_of_capital"] = values.cost_of_capital
    lost = values.spot_interruptions / 8
    frame["interruptions_per_gpu_hour"] = np.where(frame["mode"] == "spot", lost, 0.0)
    frame["power_w_gpu"] = power
    frame["term_months"] = np.where(own, months, term)
    return frame


def _fixed_month(frame: pd.DataFrame, rated_w: Any, values: Operating) -> Any:
    capital = frame["capital_usd_gpu"].to_numpy(float)
    space = rated_w.to_numpy(float) / 1e3 * values.usd_kw_month
    care = capital * values.maintenance_share_year / 12
    size = frame["gpus_per_node"].to_numpy(float)
    staff = staff_hour_usd(values.staff_usd_year, values.staff_nodes_fte, size) * HOURS_MONTH
    return space + care + staff
