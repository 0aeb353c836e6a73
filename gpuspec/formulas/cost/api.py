"""Tokens bought from an API: what a request costs, and from which load a fleet costs less."""

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats

MILLION = 1e6


def api_request_usd(
    isl: ArrayLike,
    osl: ArrayLike,
    input_usd_mtok: ArrayLike,
    output_usd_mtok: ArrayLike,
    cached_share: ArrayLike = 0.0,
    cached_usd_mtok: ArrayLike = np.nan,
) -> Floats:
    """Return what a request costs: isl ((1 - c) p_in + c p_cached) + osl p_out, over a million.

    Parameters
    ----------
    isl, osl : ArrayLike
        Tokens of the prompt and of the answer.
    input_usd_mtok, output_usd_mtok, cached_usd_mtok : ArrayLike
        Prices of a million tokens, in any currency; NaN: cached tokens cost what others do.
    cached_share : ArrayLike
        Share c of the prompt that the provider finds in its cache.

    >>> round(float(api_request_usd(2000, 500, 0.5, 1.5)), 6)   # 0.001 in, 0.00075 out
    0.00175
    >>> round(float(api_request_usd(2000, 500, 0.5, 1.5, 0.5, 0.1)), 6)   # half of it at a fifth
    0.00135
    """
    read = np.asarray(input_usd_mtok, float)
    found = np.where(np.isnan(np.asarray(cached_usd_mtok, float)), read, cached_usd_mtok)
    share = np.asarray(cached_share, float)
    prompt = np.asarray(isl, float) * ((1 - share) * read + share * found)
    return np.asarray((prompt + np.asarray(osl, float) * output_usd_mtok) / MILLION)


def even_requests(
    fleet_month_usd: ArrayLike, request_usd: ArrayLike, carried: ArrayLike = np.inf
) -> Floats:
    """Return the requests a month from which a fleet costs less than an API; infinite: never.

    fleet / request, where the fleet carries so many: several fleets cost as much a request as one
    that is full.

    Parameters
    ----------
    fleet_month_usd, request_usd : ArrayLike
        Cost of a month of the fleet, and of a request by API.
    carried : ArrayLike
        Requests a month that the fleet carries.

    >>> even_requests(1400, 0.00175, [1e6, 1e5]).tolist()   # 1400 / 0.00175
    [800000.0, inf]
    """
    fleet, each = np.asarray(fleet_month_usd, float), np.asarray(request_usd, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        even = np.where(each > 0, fleet / each, np.inf)
    return np.asarray(np.where(even <= carried, even, np.inf))
