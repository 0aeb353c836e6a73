"""Offers: every way to get a GPU for an hour, one row each, from tables and quotes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.base.units import HOURS_MONTH, NODE_GPUS, Floats
from gpuspec.catalog import gpu
from gpuspec.formulas import cost
from gpuspec.topics.cost.prices.age import carry
from gpuspec.topics.cost.prices.ask import Priced
from gpuspec.topics.cost.prices.quotes import HOURLY, MODES, Mode, Quote
from gpuspec.topics.cost.prices.records import Operating, power_w_gpu, rated_w_gpu
from gpuspec.topics.cost.prices.sources import NOBODY, source_rows

TERM_MONTHS = {"reserved-1yr": 12, "reserved-3yr": 36}
ENDS = {"low": "_low", "central": "", "high": "_high"}
MONEY = [f"{name}{end}" for name in ("hour_usd", "capital_usd_gpu") for end in ENDS.values()]
OWNED: dict[str, Any] = {
    "mode": "owned",
    "provider": "owned already",
    "source": "yours",
    "stale": False,
}
OWNED |= {f"capital_usd_gpu{end}": 0.0 for end in ENDS.values()}
OWNED |= {"residual_share": 0.0, "gpus_per_node": 1, "step": 1.0, "minimum": 1.0}
"""What sets a GPU that is there apart from one that is bought."""
MONEY += ["fixed_month_usd_gpu", "energy_hour_usd", "idle_hour_usd"]
MONEY += ["licence_month_usd_gpu", "beside_month_usd_gpu"]


def offers(
    question: Priced,
    modes: Sequence[Mode] = MODES,
    quotes: Sequence[Quote] | None = None,
    owned: Sequence[str] = (),
    local: bool = False,
) -> pd.DataFrame:
    """Return one row an offer; the package's docstring says what the columns are.

    Which ways to get a GPU exist follows from the tables and the quotes: those that the question
    names, unless others are given. Of the GPUs in `owned` there is one more, in the mode ``owned``:
    no capital, only what keeping one costs. With `local`, offers of a GPU and mode are those of the
    question's regions, and usual ones of the world where the regions have none.

    Raises
    ------
    InputError, UnknownNameError
        Names the field, the value and what is valid.
    """
    quotes = question.own if quotes is None else quotes
    rows = source_rows(question, modes, quotes, owned, local)
    carried = carry(rows, question.day, question.assumptions.contract_shares)
    frame = _priced(carried, question)
    if question.currency == "CNY":
        frame[MONEY] *= question.cny_per_usd
    frame["currency"] = question.currency
    order = {name: i for i, name in enumerate([*question.gpus, *modes])}
    frame = frame.drop(columns=list(ENDS)).sort_values(
        ["gpu", "mode"], key=lambda s: s.map(order), kind="stable", ignore_index=True
    )
    return _with_owned(frame, owned) if owned else frame


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


def _with_owned(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return offers with a row for each kind of GPU that is owned: that of buying one, without its
    capital.
    """
    own = frame[(frame["mode"] == "own") & frame["gpu"].isin(names)].drop_duplicates("gpu")
    held = own.assign(**OWNED) if len(own) else own
    return pd.concat([frame[frame["provider"] != NOBODY], held], ignore_index=True)


def _priced(frame: pd.DataFrame, question: Priced) -> pd.DataFrame:
    """Turn low, central and high into rents or capital, and add what owning costs besides."""
    values, months = question.assumptions, question.horizon_months
    own = (frame["mode"] == "own").to_numpy()
    term = frame["mode"].map(TERM_MONTHS).fillna(0).to_numpy(float)
    factor = cost.drift_factor(question.drift_year, months, term)
    devices = {name: gpu(name) for name in frame["gpu"].unique()}
    power = frame["gpu"].map({n: power_w_gpu(d, values) for n, d in devices.items()})
    rated = frame["gpu"].map({n: rated_w_gpu(d) for n, d in devices.items()})
    share = np.where(frame["tier"] == "all-in", 0.0, values.network_share)
    frame["licence_month_usd_gpu"] = _licence_month(frame["mode"], values)
    frame["beside_month_usd_gpu"] = frame["licence_month_usd_gpu"] + values.network_usd_gpu_month
    beside = frame["beside_month_usd_gpu"].to_numpy(float)
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
    frame["residual_share"] = np.where(own, values.left(months / 12), 0.0)
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
