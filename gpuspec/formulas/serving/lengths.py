"""What varied lengths, users and hours of the day make of a load: formulas over means and spreads.

A spread is a coefficient of variation: standard deviation over mean; 0 where all are alike.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats

HOUR_S = 3600.0
DAY_S = 86_400.0


def length_biased(mean: ArrayLike, spread: ArrayLike) -> Floats:
    """Return E[x^2] / E[x], the mean length of the requests that are found in flight, in tokens.

    A request stays as long as its answer is, so a look at a busy replica finds long answers more
    often than a look at its log.

    References
    ----------
    Feller 1971, An Introduction to Probability Theory and Its Applications 2, I.4 (waiting-time
    paradox).

    >>> float(length_biased(200, 0.5))   # 200 (1 + 0.25)
    250.0
    """
    return np.asarray(np.asarray(mean, float) * (1 + np.asarray(spread, float) ** 2))


def mean_context(isl: ArrayLike, osl: ArrayLike, osl_spread: ArrayLike = 0.0) -> Floats:
    """Return the mean tokens of context over the token steps of all requests.

    E[i] + E[o^2] / (2 E[o]): at a random step the answer is length-biased, and half written. The
    lengths of prompt and answer are taken to be independent.

    >>> float(mean_context(1000, 200, 0.5))   # 1000 + 250 / 2
    1125.0
    """
    return np.asarray(np.asarray(isl, float) + length_biased(osl, osl_spread) / 2)


def lognormal(mean: ArrayLike, spread: ArrayLike, normal: ArrayLike) -> Floats:
    """Return lognormal lengths at so many standard deviations of their logarithm.

    exp(mu + sigma z) with sigma^2 = ln(1 + spread^2), mu = ln(mean) - sigma^2 / 2.

    >>> round(float(lognormal(1000, 1.0, 0.0)), 1)   # the median: 1000 / sqrt(2)
    707.1
    """
    variance = np.log1p(np.asarray(spread, float) ** 2)
    middle = np.log(np.asarray(mean, float)) - variance / 2
    return np.asarray(np.exp(middle + np.sqrt(variance) * np.asarray(normal, float)))


def share_longer(mean: ArrayLike, spread: ArrayLike, limit: ArrayLike) -> Floats:
    """Return the share of lognormal lengths above a limit.

    >>> round(float(share_longer(1000, 1.0, 707.10678)), 3)   # above the median
    0.5
    """
    from scipy.special import ndtr

    sigma = np.sqrt(np.log1p(np.asarray(spread, float) ** 2))
    far = np.log(np.asarray(limit, float) / np.asarray(mean, float)) + sigma**2 / 2
    return np.asarray(ndtr(-far / np.maximum(sigma, 1e-12)))


def open_rate(users: ArrayLike, active_share: ArrayLike, requests_per_hour: ArrayLike) -> Floats:
    """Return the requests a second of users who ask without waiting for each other.

    >>> float(open_rate(6000, 0.1, 12))   # 600 active users, each every five minutes
    2.0
    """
    active = np.asarray(users, float) * np.asarray(active_share, float)
    return np.asarray(active * np.asarray(requests_per_hour, float) / HOUR_S)


def closed_in_flight(active: ArrayLike, think_s: ArrayLike, answer_s: ArrayLike) -> Floats:
    """Return the mean requests in flight of users who wait for an answer, then think.

    N R / (Z + R), from the interactive response time law X = N / (Z + R) and N = X R.

    References
    ----------
    Denning and Buzen 1978, The operational analysis of queueing network models,
    doi:10.1145/356733.356735; Little 1961, doi:10.1287/opre.9.3.383.

    >>> float(closed_in_flight(600, 45.0, 15.0))
    150.0
    """
    answer, think = np.asarray(answer_s, float), np.asarray(think_s, float)
    return np.asarray(np.asarray(active, float) * answer / (think + answer))


@dataclass(frozen=True)
class Day:
    """How many requests arrive a second, in the mean and in the busiest hour."""

    mean_s: float
    peak_s: float

    @property
    def factor(self) -> float:
        """The busiest hour over the mean."""
        return self.peak_s / self.mean_s


def busiest_hour(times_s: ArrayLike) -> Day:
    """Return mean and peak of the rate at which requests arrived.

    Parameters
    ----------
    times_s : array_like
        When each request arrived, in seconds from any start; two at least, not all at once.

    Returns
    -------
    Day
        Requests a second over the whole span, and in the busiest of its hours (windows of an hour
        that begin with a request); a span of less than an hour is its own peak.

    >>> day = busiest_hour([0, 1800, 3599, 7200, 14400])
    >>> round(day.mean_s * 3600, 3), round(day.peak_s * 3600, 3)   # 4 gaps in 4 hours; 3 in one
    (1.0, 3.0)
    """
    times = np.sort(np.asarray(times_s, float))
    span = float(times[-1] - times[0])
    mean = (len(times) - 1) / span
    if span <= HOUR_S:
        return Day(mean, mean)
    within = np.searchsorted(times, times + HOUR_S, side="left") - np.arange(len(times))
    return Day(mean, max(float(within.max()) / HOUR_S, mean))
