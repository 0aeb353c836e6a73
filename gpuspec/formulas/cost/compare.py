"""Rent against own: the share of hours in use and the month from which owning is cheaper."""

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import HOURS_MONTH, Floats
from gpuspec.formulas.training.run import checkpoint_interval_s, goodput

RESTART_S = 900.0
"""Until a replacement works: about what a large job needs after a failure (MegaScale)."""


def break_even_share(
    rent_hour_usd: ArrayLike,
    fixed_hour_usd: ArrayLike,
    energy_hour_usd: ArrayLike,
    idle_hour_usd: ArrayLike = 0.0,
    paid_always: ArrayLike = False,
) -> Floats:
    """Share of hours in use from which owning is cheaper; 0: always, infinite: never.

    Parameters
    ----------
    rent_hour_usd : ArrayLike
        Of an hour that is paid for: an hour in use on demand, every hour of a reservation.
    fixed_hour_usd : ArrayLike
        Of an owned hour without energy.
    energy_hour_usd, idle_hour_usd : ArrayLike
        Energy of an hour in use, and of an idle one.
    paid_always : ArrayLike of bool
        Whether the rent is paid for idle hours too (reservations).

    >>> round(float(break_even_share(3.85, 1.70, 0.12)), 2)
    0.46
    """
    rent, fixed = np.asarray(rent_hour_usd, float), np.asarray(fixed_hour_usd, float)
    energy, idle = np.asarray(energy_hour_usd, float), np.asarray(idle_hour_usd, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(rent - energy + idle > 0, (fixed + idle) / (rent - energy + idle), np.inf)
    on_demand = np.where(share > 1, np.inf, share)
    # A reservation costs the same used or not: owning is cheaper at any use, or at none, but for
    # the energy of hours in use, which only the owner pays.
    reserved = np.where(rent >= fixed + energy, 0.0, np.inf)
    return np.asarray(np.where(paid_always, reserved, on_demand))


def break_even_month(
    rent_month_usd: ArrayLike,
    capital_usd: ArrayLike,
    running_month_usd: ArrayLike,
    rate_year: ArrayLike = 0.09,
) -> Floats:
    """Month in which the rent saved has paid back the capital; infinite: never.

    The saving of each month is discounted at the cost of capital; a sale at the end is not
    counted, so it is the month from which owning is cheaper even if nobody buys the server.

    Parameters
    ----------
    rent_month_usd, capital_usd, running_month_usd : ArrayLike
        Rent that owning saves, capital, and running cost (colocation, energy, maintenance,
        staff), for one GPU.

    >>> round(float(break_even_month(2000, 43_000, 500)), 1)
    32.2
    """
    saved = np.asarray(rent_month_usd, float) - np.asarray(running_month_usd, float)
    rate = np.maximum(_monthly(rate_year), 1e-12)
    with np.errstate(divide="ignore", invalid="ignore"):
        eaten = np.asarray(capital_usd, float) * rate / saved  # share that interest takes
        months = -np.log1p(-np.where(eaten < 1, eaten, np.nan)) / np.log1p(rate)
    return np.asarray(np.where((saved > 0) & (eaten < 1), months, np.inf))


def present_value_usd(
    month_usd: ArrayLike,
    months: ArrayLike,
    rate_year: ArrayLike,
    capital_usd: ArrayLike = 0.0,
    residual_usd: ArrayLike = 0.0,
) -> Floats:
    """Value today of capital now, a cost at the end of each month, and a sale after the last.

    >>> round(float(present_value_usd(100, 12, 0.0)))
    1200
    """
    rate = _monthly(rate_year)
    count = np.asarray(months, float)
    faded = np.exp(-count * np.log1p(rate))
    with np.errstate(divide="ignore", invalid="ignore"):
        paid = -np.expm1(-count * np.log1p(rate)) / np.where(rate > 0, rate, 1)
        annuity = np.where(rate > 0, paid, count)
    sale = np.asarray(residual_usd, float) * faded
    return np.asarray(np.asarray(capital_usd, float) + np.asarray(month_usd) * annuity - sale)


def spot_useful_share(
    interruptions_per_gpu_hour: ArrayLike,
    gpus: ArrayLike,
    write_s: ArrayLike = 60.0,
    restart_s: ArrayLike = RESTART_S,
) -> Floats:
    """Share of paid spot hours that move a job forward, at the best checkpoint interval.

    An interruption of any GPU stops the whole job: what was computed since the last checkpoint
    is lost, and `restart_s` until it runs again. Waiting for capacity is not paid and not here.

    References
    ----------
    Daly 2006, doi:10.1016/j.future.2004.11.016, as in `gpuspec.formulas.training.goodput`.

    >>> round(float(spot_useful_share(3.6e-4, 64)), 3)
    0.967
    """
    rate = np.asarray(interruptions_per_gpu_hour, float) * gpus / 3600
    interval = checkpoint_interval_s(write_s, rate)
    return goodput(interval, write_s, rate, restart_s)


def spot_hour_usd(
    price_hour_usd: ArrayLike,
    interruptions_per_gpu_hour: ArrayLike,
    gpus: ArrayLike,
    write_s: ArrayLike = 60.0,
    restart_s: ArrayLike = RESTART_S,
) -> Floats:
    """Price of a *useful* GPU-hour on spot: what is paid over what is not lost."""
    useful = spot_useful_share(interruptions_per_gpu_hour, gpus, write_s, restart_s)
    return np.asarray(np.asarray(price_hour_usd, float) / useful)


def drift_factor(
    drift_year: ArrayLike, months: ArrayLike, repriced_months: ArrayLike = 0.0
) -> Floats:
    """Average price over the next `months` against today's, where prices change by a rate.

    Parameters
    ----------
    drift_year : ArrayLike
        Change in a year: -0.25, 0, 0.25.
    repriced_months : ArrayLike
        0: the price follows the market; else a contract fixes it for so many months.

    >>> float(drift_factor(-0.25, 36, 36)), round(float(drift_factor(-0.25, 36)), 3)
    (1.0, 0.67)
    """
    rate, span = np.asarray(drift_year, float), np.asarray(months, float) / 12
    term = np.asarray(repriced_months, float) / 12
    growth = np.log1p(rate)
    flat = np.abs(growth) < 1e-9
    safe = np.where(flat, 1.0, growth)
    market = np.where(flat, 1.0, np.expm1(safe * span) / (safe * span))
    step = np.where(term > 0, term, 1.0)
    whole = np.floor(span / step + 1e-9)
    ratio = np.exp(growth * step)
    done = np.where(flat, whole, (ratio**whole - 1) / np.where(flat, 1.0, ratio - 1)) * step
    fixed = (done + ratio**whole * np.maximum(span - whole * step, 0)) / span
    return np.asarray(np.where(term > 0, fixed, market))


def month_usd(hour_usd: ArrayLike, used_hours_share: ArrayLike, paid_always: ArrayLike) -> Floats:
    """Rent of a month for one GPU: every hour of a reservation, hours in use otherwise."""
    share = np.where(paid_always, 1.0, np.asarray(used_hours_share, float))
    return np.asarray(np.asarray(hour_usd, float) * HOURS_MONTH * share)


def _monthly(rate_year: ArrayLike) -> Floats:
    """Return the rate of a month that compounds to `rate_year`, exact for tiny rates too."""
    return np.expm1(np.log1p(np.asarray(rate_year, float)) / 12)
