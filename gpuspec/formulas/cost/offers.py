"""A table of offers into costs of a used GPU-hour: rent and own alike."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from gpuspec.base.units import HOURS_MONTH, Floats
from gpuspec.formulas.cost.owned import depreciation_hour_usd, finance_hour_usd

BANDS = ("low", "central", "high")


def owned(offers: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which offers are of owned GPUs."""
    return np.asarray(offers["mode"] == "own")


def paid_always(offers: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which offers cost the same whether the GPU is used or not: reservations and own."""
    modes = offers["mode"].astype(str)
    return np.asarray(modes.str.startswith("reserved") | (modes == "own"))


def owned_fixed_hour_usd(offers: pd.DataFrame, band: str = "central") -> Floats:
    """Return the cost of an owned hour without energy; zero for rent. One value an offer."""
    suffix = "" if band == "central" else f"_{band}"
    capital = offers[f"capital_usd_gpu{suffix}"].to_numpy(float)
    residual = offers["residual_share"].to_numpy(float)
    years = offers["term_months"].to_numpy(float) / 12
    rate = offers["cost_of_capital"].to_numpy(float)
    lost = depreciation_hour_usd(capital, residual, np.where(years > 0, years, 1.0))
    running = offers["fixed_month_usd_gpu"].to_numpy(float) / HOURS_MONTH
    total = lost + finance_hour_usd(capital, residual, rate) + running
    return np.where(owned(offers), total, 0.0)


def gpu_hour_usd(offers: pd.DataFrame, used_hours_share: ArrayLike) -> pd.DataFrame:
    """Return low, central and high cost of a GPU-hour that is *used*, one row an offer.

    An hour on demand or on spot is paid while it is used; a reservation and an owned GPU cost
    all hours, which the used ones must carry. What interruptions of spot lose is not in here:
    `gpuspec.formulas.cost.spot_hour_usd` counts it, for the size of a job.

    Parameters
    ----------
    offers : DataFrame
        As `gpuspec.topics.cost.prices.offers` returns it.
    used_hours_share : ArrayLike
        Hours used over hours owned or reserved, above 0; one number, or one an offer.

    Returns
    -------
    DataFrame
        Columns ``low``, ``central``, ``high``; the index is that of `offers`. Low and high are
        the range of the price: of the rent, or of the server.
    """
    used = np.broadcast_to(np.asarray(used_hours_share, float), (len(offers),))
    own = owned(offers)
    share = np.where(paid_always(offers), used, 1.0)
    energy = offers["energy_hour_usd"].to_numpy(float)
    idle = offers["idle_hour_usd"].to_numpy(float) * (1 - used) / used
    costs = {}
    for band in BANDS:
        rent = offers["hour_usd" if band == "central" else f"hour_usd_{band}"].to_numpy(float)
        fixed = np.where(own, owned_fixed_hour_usd(offers, band), rent)
        costs[band] = fixed / share + np.where(own, energy + idle, 0.0)
    return pd.DataFrame(costs, index=offers.index)
