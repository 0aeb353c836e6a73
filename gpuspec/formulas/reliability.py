"""How many replicas must be kept so that enough of them are up: failures, repairs, spares."""

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats


def up_share(gpus: ArrayLike, failures_per_gpu_hour: ArrayLike, repair_hours: ArrayLike) -> Floats:
    """Return the share of the time in which a replica is up: all of its GPUs are.

    1 / (1 + n f r), a series of n parts that stop together: up for 1 / (n f) hours on average,
    then down for r.

    Parameters
    ----------
    gpus : array_like
        GPUs of the replica, n.
    failures_per_gpu_hour : array_like
        Failures of a GPU in an hour, f, with what stands around it.
    repair_hours : array_like
        Mean hours from a failure until the GPU, or another in its place, works, r.

    References
    ----------
    Barlow and Proschan 1975, Statistical Theory of Reliability and Life Testing, chapter 7 (series
    systems whose other parts stop while one is repaired).

    >>> round(float(up_share(8, 2e-5, 48.0)), 5)   # 8 x 2e-5 x 48 = 0.00768
    0.99238
    """
    down = np.asarray(gpus, float) * failures_per_gpu_hour * np.asarray(repair_hours, float)
    return np.asarray(1 / (1 + down))


def kept_for(needed: ArrayLike, up: ArrayLike, target: ArrayLike) -> Floats:
    """Return the fewest replicas of which at least `needed` are up with probability `target`.

    The smallest n with P(X >= k) >= target, X binomial of n and `up`. That many trials are enough
    for k successes exactly where at most n - k of them fail before the k-th success, so n - k is
    the quantile of a negative binomial. Replicas fail independently of each other; what stops all
    of them at once (power, network, a bad release) is not in it.

    Parameters
    ----------
    needed : array_like
        Replicas that the load needs, k; whole numbers from 0.
    up : array_like
        Share of the time in which a replica is up, above 0.
    target : array_like
        Probability that enough are up, below 1.

    References
    ----------
    Feller 1968, An Introduction to Probability Theory and Its Applications 1, VI.8.

    >>> kept_for([1, 2, 20], 0.99, 0.999).tolist()   # 1 of 2: 1 - 0.01^2; 2 of 3: 0.9997
    [2.0, 3.0, 23.0]
    """
    from scipy.stats import nbinom  # takes long to load, and few ask for a target

    k = np.asarray(needed, float)
    spare = nbinom.ppf(target, np.maximum(k, 1.0), up)
    return np.asarray(k + np.where(k > 0, spare, 0.0))
