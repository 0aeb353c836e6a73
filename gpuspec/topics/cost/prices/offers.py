"""Offers: every way to get a GPU for an hour, one row each, from tables and quotes."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gpuspec.base.units import HOURS_MONTH, NODE_GPUS, Floats
from gpuspec.catalog import gpu
from gpuspec.formulas import cost
from gpuspec.topics.cost.prices.age import age_days, grades, is_stale
from gpuspec.topics.cost.prices.ask import Priced
from gpuspec.topics.cost.prices.carry import carry
from gpuspec.topics.cost.prices.drift import drift_year
from gpuspec.topics.cost.prices.quotes import MODES, Mode, Quote, read_quotes
from gpuspec.topics.cost.prices.records import Operating, power_w_gpu, rated_w_gpu
from gpuspec.topics.cost.prices.sources import source_rows
from gpuspec.topics.cost.prices.terms import HOURLY, with_terms

TERM_MONTHS = {"reserved-1yr": 12, "reserved-3yr": 36}
ENDS = {"low": "_low", "central": "", "high": "_high"}
MONEY = [f"{name}{end}" for name in ("hour_usd", "capital_usd_gpu") for end in ENDS.values()]
MONEY += ["fixed_month_usd_gpu", "energy_hour_usd", "idle_hour_usd", "licence_month_usd_gpu"]


def offers(
    question: Priced, modes: Sequence[Mode] = MODES, quotes: Sequence[Quote] | None = None
) -> pd.DataFrame:
    """Return one row an offer; the package's docstring says what the columns are.

    Which ways to get a GPU exist follows from the tables and the quotes: those that the question
    names, unless others are given.

    Raises
    ------
    InputError, UnknownNameError
        Names the field, the value and what is valid.
    """
    stated = read_quotes(question.quotes) if quotes is None else quotes
    frame = source_rows(question, modes, stated)
    quoted_today = frame["quoted"].astype(bool) & (frame["as_of"] == "")
    frame["age_days"] = age_days(frame["as_of"], question.day)
    frame["age_days"] = frame["age_days"].where(~quoted_today, 0.0)
    frame["stale"] = is_stale(frame["mode"], frame["age_days"])
    frame = carry(frame, question.day, question.assumptions.contract_shares)
    frame = with_terms(_priced(frame, question))
    frame["grade"] = grades(frame)
    if question.currency == "CNY":
        frame[MONEY] *= question.cny_per_usd
    frame["currency"] = question.currency
    order = {name: i for i, name in enumerate([*question.gpus, *modes])}
    return frame.drop(columns=list(ENDS)).sort_values(
        ["gpu", "mode"], key=lambda s: s.map(order), kind="stable", ignore_index=True
    )


def unpriced(
    gpus: Sequence[str], modes: Sequence[Mode] = MODES, found: pd.DataFrame | None = None
) -> list[tuple[str, list[Mode]]]:
    """Return each GPU that lacks a price in some of the modes, with these modes.

    Parameters
    ----------
    found : DataFrame, optional
        Offers at hand, quotes among them; the shipped tables unless given.
    """
    names = list(dict.fromkeys(gpu(name).id for name in gpus))
    if found is None:
        found = offers(Priced.ask(gpus=names), modes, ())
    known = set(zip(found["gpu"], found["mode"], strict=True))
    missing = [(name, [mode for mode in modes if (name, mode) not in known]) for name in names]
    return [(name, lacking) for name, lacking in missing if lacking]


def _priced(frame: pd.DataFrame, question: Priced) -> pd.DataFrame:
    """Turn low, central and high into rents or capital, and add what owning costs besides."""
    values, months = question.assumptions, question.horizon_months
    own = (frame["mode"] == "own").to_numpy()
    term = frame["mode"].map(TERM_MONTHS).fillna(0).to_numpy(float)
    factor = cost.drift_factor(drift_year(question.drift), months, term)
    devices = {name: gpu(name) for name in frame["gpu"].unique()}
    power = frame["gpu"].map({n: power_w_gpu(d, values) for n, d in devices.items()})
    rated = frame["gpu"].map({n: rated_w_gpu(d) for n, d in devices.items()})
    share = np.where(frame["tier"] == "all-in", 0.0, values.network_share)
    frame["licence_month_usd_gpu"] = _licence_month(frame["mode"], values)
    beside = frame["licence_month_usd_gpu"].to_numpy(float) + values.network_usd_gpu_month
    factor = factor * (1 + values.support_share)
    for band, end in ENDS.items():
        price = frame[band].to_numpy(float)
        frame[f"hour_usd{end}"] = np.where(own, 0.0, price * factor + beside / HOURS_MONTH)
        frame[f"capital_usd_gpu{end}"] = np.where(own, cost.capital_usd_gpu(price, 1, share), 0.0)
    frame["fixed_month_usd_gpu"] = np.where(
        own, _fixed_month(frame, rated.to_numpy(float), values) + beside, 0.0
    )
    energy = cost.energy_hour_usd(power.to_numpy(float), values.pue, values.usd_kwh)
    frame["energy_hour_usd"] = np.where(own, energy, 0.0)
    frame["idle_hour_usd"] = np.where(own, energy * values.idle_share, 0.0)
    left = np.interp(months / 12, range(len(values.residuals)), values.residuals)
    frame["residual_share"] = np.where(own, left, 0.0)
    frame["cost_of_capital"] = values.cost_of_capital
    lost = values.spot_interruptions / NODE_GPUS
    frame["interruptions_per_gpu_hour"] = np.where(frame["mode"] == "spot", lost, 0.0)
    frame["power_w_gpu"] = power
    frame["term_months"] = np.where(own, months, term)
    return frame


def _licence_month(modes: pd.Series, values: Operating) -> Floats:
    """Return what software costs a GPU in a month of use: by the hour, or by the year."""
    month = values.licence_usd_gpu_year / 12
    hourly = modes.isin(HOURLY).to_numpy() & (values.licence_usd_gpu_hour > 0)
    return np.where(hourly, values.licence_usd_gpu_hour * HOURS_MONTH, month)


def _fixed_month(frame: pd.DataFrame, rated_w: Floats, values: Operating) -> Floats:
    capital = frame["capital_usd_gpu"].to_numpy(float)
    space = rated_w / 1e3 * values.usd_kw_month
    care = capital * values.maintenance_share_year / 12
    size = frame["gpus_per_node"].to_numpy(float)
    staff = cost.staff_hour_usd(values.staff_usd_year, values.staff_nodes_fte, size) * HOURS_MONTH
    return np.asarray(space + care + staff)
