"""What work costs: tokens, training runs, simulations; energy and carbon."""

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats


def usd_per_million_tokens(gpu_hour_usd: ArrayLike, tokens_s_gpu: ArrayLike) -> Floats:
    """Cost of a million tokens at a rate for one GPU; hours and rate of GPUs in use.

    >>> float(usd_per_million_tokens(3.6, 1000))
    1.0
    """
    rate = np.asarray(tokens_s_gpu, float) * 3600 / 1e6
    with np.errstate(divide="ignore"):
        return np.asarray(np.asarray(gpu_hour_usd, float) / rate)


def run_usd(gpu_hour_usd: ArrayLike, gpus: ArrayLike, hours: ArrayLike) -> Floats:
    """Cost of a training run or of a simulation that keeps `gpus` for `hours`."""
    return np.asarray(np.asarray(gpu_hour_usd, float) * np.asarray(gpus) * np.asarray(hours, float))


def energy_kwh(
    power_w_gpu: ArrayLike, gpus: ArrayLike, hours: ArrayLike, pue: ArrayLike = 1.0
) -> Floats:
    """Energy at the meter of the building: draw of servers times PUE."""
    drawn_kw = np.asarray(power_w_gpu, float) / 1e3 * np.asarray(pue, float)
    return np.asarray(drawn_kw * np.asarray(gpus) * np.asarray(hours, float))


def carbon_kg(kwh: ArrayLike, kg_per_kwh: ArrayLike) -> Floats:
    """CO2 equivalent of electricity; making the hardware is not counted."""
    return np.asarray(np.asarray(kwh, float) * np.asarray(kg_per_kwh, float))
