"""Seconds of the collectives that inference engines bring themselves, in one node."""

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import MICRO, Floats
from gpuspec.constants.terms import CollectiveTerms


def all_reduce_seconds(
    message_bytes: ArrayLike, gpus: ArrayLike, link_bytes_s: ArrayLike, terms: CollectiveTerms
) -> Floats:
    """Seconds of an all-reduce of `message_bytes` over `gpus` of a node; 0 for one GPU.

    The faster of one shot (everybody reads everything; small messages) and two steps
    (2 (n-1)/n of the message over the link; large ones).

    References
    ----------
    Thakur et al. 2005, doi:10.1177/1094342005051521; nccl-tests, PERFORMANCE.md (bus
    bandwidth).
    """
    size, n = np.asarray(message_bytes, float), np.maximum(np.asarray(gpus, float), 1.0)
    t, link = terms, np.asarray(link_bytes_s, float)
    doublings = np.log2(np.maximum(n, 2)) - 1
    one_shot = (t.start_us + t.per_doubling_us * doublings) * MICRO
    one_shot = one_shot + (n - 1) * size / (link * t.one_shot_share)
    share = np.interp(np.log2(n), [1, 2, 3], [t.share_2, t.share_4, t.share_8])
    two_step = (t.ring_start_us + t.per_doubling_us * doublings) * MICRO
    two_step = two_step + 2 * (n - 1) / n * size / (link * share)
    return np.asarray(np.where(n > 1, np.minimum(one_shot, two_step), 0.0))


def all_to_all_seconds(
    bytes_per_gpu: ArrayLike, gpus: ArrayLike, link_bytes_s: ArrayLike, terms: CollectiveTerms
) -> Floats:
    """Seconds in which every GPU sends (n-1)/n of `bytes_per_gpu` to the others; 0 for one."""
    size, n = np.asarray(bytes_per_gpu, float), np.maximum(np.asarray(gpus, float), 1.0)
    share = np.minimum(
        np.interp(np.log2(n), [1, 2, 3], [terms.share_2, terms.share_4, terms.share_8]), 1
    )
    seconds = terms.ring_start_us * MICRO + (n - 1) / n * size / (
        np.asarray(link_bytes_s, float) * share
    )
    return np.asarray(np.where(n > 1, seconds, 0.0))


def point_to_point_seconds(
    message_bytes: ArrayLike, link_bytes_s: ArrayLike, terms: CollectiveTerms
) -> Floats:
    """Seconds to hand `message_bytes` to the next GPU (pipeline stages)."""
    rate = np.asarray(link_bytes_s, float) * min(terms.share_2, 1.0)
    return np.asarray(terms.start_us * MICRO + np.asarray(message_bytes, float) / rate)
