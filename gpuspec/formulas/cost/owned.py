"""What an owned GPU costs for an hour, in parts that add up."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import HOURS_MONTH, HOURS_YEAR, Floats

OWNED_PARTS = (
    "server",
    "network",
    "finance",
    "colocation",
    "maintenance",
    "staff",
    "services",
    "energy",
)
"""Parts of an owned hour, in the order in which pictures stack them."""


def capital_usd_gpu(server_usd: ArrayLike, gpus: ArrayLike, network_share: ArrayLike) -> Floats:
    """Capital for one GPU: its share of the server, and of the network that joins servers.

    `network_share` is a share of the whole capital, not of the server.

    >>> round(float(capital_usd_gpu(280_000, 8, 0.19)))
    43210
    """
    server = np.asarray(server_usd, float) / np.asarray(gpus, float)
    return np.asarray(server / (1 - np.asarray(network_share, float)))


def depreciation_hour_usd(
    capital_usd: ArrayLike, residual_share: ArrayLike, years: ArrayLike
) -> Floats:
    """Loss of value for an hour owned, straight over `years` down to the residual value."""
    lost = np.asarray(capital_usd, float) * (1 - np.asarray(residual_share, float))
    return np.asarray(lost / (np.asarray(years, float) * HOURS_YEAR))


def finance_hour_usd(
    capital_usd: ArrayLike, residual_share: ArrayLike, rate_year: ArrayLike
) -> Floats:
    """Cost of capital for an hour owned: the rate on the average of first and last value."""
    average = np.asarray(capital_usd, float) * (1 + np.asarray(residual_share, float)) / 2
    return np.asarray(average * np.asarray(rate_year, float) / HOURS_YEAR)


def colocation_hour_usd(rated_w: ArrayLike, usd_kw_month: ArrayLike) -> Floats:
    """Space and cooling for an hour, by rated power: that is what a data centre sells."""
    rated_kw = np.asarray(rated_w, float) / 1e3
    return np.asarray(rated_kw * np.asarray(usd_kw_month, float) / HOURS_MONTH)


def energy_hour_usd(power_w: ArrayLike, pue: ArrayLike, usd_kwh: ArrayLike) -> Floats:
    """Energy of an hour at the power that is drawn, not at the rating, times the PUE."""
    drawn_kw = np.asarray(power_w, float) / 1e3 * np.asarray(pue, float)
    return np.asarray(drawn_kw * np.asarray(usd_kwh, float))


def staff_hour_usd(usd_year: ArrayLike, nodes_fte: ArrayLike, gpus: ArrayLike) -> Floats:
    """An engineer's cost over the servers that one looks after, for one of their GPUs."""
    looked_after = np.asarray(nodes_fte, float) * np.asarray(gpus, float)
    return np.asarray(np.asarray(usd_year, float) / looked_after / HOURS_YEAR)


@dataclass(frozen=True)
class OwnedServer:
    """What an owned server costs and draws; fields are numbers or arrays that broadcast."""

    server_usd: ArrayLike
    rated_w_gpu: ArrayLike
    """Rating of the server, for one GPU, W."""
    power_w_gpu: ArrayLike
    """What it draws in use, for one GPU, W."""
    gpus: ArrayLike = 8
    network_share: ArrayLike = 0.19
    """Share of the network between servers in the whole capital."""
    residual_share: ArrayLike = 0.12
    """Share of the capital that a sale brings back after `years`."""
    years: ArrayLike = 5
    rate_year: ArrayLike = 0.09
    """Cost of capital a year."""
    idle_share: ArrayLike = 1.0
    """Draw of an idle hour over that in use."""
    used_hours_share: ArrayLike = 1.0
    """Hours in use over hours owned."""
    usd_kw_month: ArrayLike = 195
    """Colocation for a rated kW and month without power."""
    pue: ArrayLike = 1.35
    usd_kwh: ArrayLike = 0.09
    maintenance_share_year: ArrayLike = 0.05
    """Share of the capital for support and spares a year."""
    staff_usd_year: ArrayLike = 0.0
    """Cost of an engineer."""
    staff_nodes_fte: ArrayLike = 75
    """Servers that one looks after."""
    services_usd_month: ArrayLike = 0.0
    """Software licences, line and traffic, for one GPU."""


def owned_parts_usd(server: OwnedServer) -> dict[str, Floats]:
    """Return the parts of an *owned* GPU-hour by name; their sum is its cost.

    Divide by `used_hours_share` for an hour that is *used*: an idle hour costs the same but for the
    energy that it does not draw, which `idle_share` of the power in use states.

    References
    ----------
    Epoch AI, training-cost-trends (network share, draw as a share of the rating);
    arXiv:2506.14551 (draw of a node of 8 H100 in training: 76 % of its rating).
    """
    s = server
    capital = capital_usd_gpu(s.server_usd, s.gpus, s.network_share)
    lost = depreciation_hour_usd(capital, s.residual_share, s.years)
    network, care = np.asarray(s.network_share, float), np.asarray(s.maintenance_share_year, float)
    used = np.asarray(s.used_hours_share, float)
    drawn = np.asarray(s.power_w_gpu, float) * (used + (1 - used) * np.asarray(s.idle_share, float))
    return {
        "server": np.asarray(lost * (1 - network)),
        "network": np.asarray(lost * network),
        "finance": finance_hour_usd(capital, s.residual_share, s.rate_year),
        "colocation": colocation_hour_usd(s.rated_w_gpu, s.usd_kw_month),
        "maintenance": np.asarray(capital * care / HOURS_YEAR),
        "staff": staff_hour_usd(s.staff_usd_year, s.staff_nodes_fte, s.gpus),
        "services": np.asarray(np.asarray(s.services_usd_month, float) / HOURS_MONTH),
        "energy": energy_hour_usd(drawn, s.pue, s.usd_kwh),
    }


def owned_hour_usd(server: OwnedServer) -> Floats:
    """Return the cost of a GPU-hour that is *used*.

    >>> server = OwnedServer(server_usd=280_000, rated_w_gpu=1275, power_w_gpu=987.5)
    >>> round(float(owned_hour_usd(server)), 2)
    1.82
    """
    return np.asarray(
        sum(owned_parts_usd(server).values()) / np.asarray(server.used_hours_share, float)
    )
