"""A whole training run: time, energy, checkpoints, failures, and what a node needs beside GPUs."""

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats
from gpuspec.catalog.models import Model
from gpuspec.catalog.precision import TrainingRecipe

FAILURES_PER_GPU_DAY = 4.7e-4
"""Unexpected interruptions: 419 in 54 days on 16,384 H100 (Llama 3, arXiv:2407.21783, table 5)."""
RESTART_S = 900.0
"""From an interruption to the first new step: under 10 minutes to find it, under 15 to catch up
with it (MegaScale, arXiv:2402.15627)."""
STAGING_COPIES = 2
"""Copies of a node's share of a checkpoint in host memory: one being written, one taken."""
HOST_BASE_GB = 128.0
"""Host memory of the system, the data loaders and pinned buffers of an eight-GPU node."""


def training_seconds(tokens: ArrayLike, tokens_per_step: ArrayLike, step_s: ArrayLike) -> Floats:
    """Seconds of computing for `tokens`, without failures.

    >>> float(training_seconds(15e12, 16e6, 20.0) / 86400)  # 15 T tokens, 16 M a step: days
    217.01388888888889
    """
    return np.asarray(np.asarray(tokens, float) / tokens_per_step * np.asarray(step_s, float))


def checkpoint_bytes(model: Model, recipe: TrainingRecipe) -> float:
    """Bytes of a checkpoint from which a run can go on: weights and optimizer states."""
    return model.params * (recipe.weight_bytes + recipe.optimizer_bytes)


def checkpoint_interval_s(write_s: ArrayLike, failures_per_s: ArrayLike) -> Floats:
    """Seconds of work between checkpoints that lose the least time.

    References
    ----------
    Young 1974, doi:10.1145/361147.361115: sqrt(2 write / rate); Daly 2006,
    doi:10.1016/j.future.2004.11.016, equation 37: the higher-order term for short times
    between failures.

    >>> round(float(checkpoint_interval_s(60.0, 1 / 86400)) / 60)   # minutes
    53
    """
    write, mean = np.asarray(write_s, float), 1 / np.maximum(np.asarray(failures_per_s), 1e-30)
    share = np.sqrt(write / (2 * mean))
    refined = np.sqrt(2 * write * mean) * (1 + share / 3 + share**2 / 9) - write
    return np.asarray(np.where(write < 2 * mean, np.maximum(refined, write), mean))


def goodput(
    interval_s: ArrayLike, write_s: ArrayLike, failures_per_s: ArrayLike, restart_s: ArrayLike
) -> Floats:
    """Useful share of the wall clock of a run that stops to write and sometimes fails.

    A failure costs the restart and, on average, half of an interval and its write. Writing
    in the background counts with the seconds that it still stops the run.

    References
    ----------
    Daly 2006, equation 20: exponential failures over intervals of work and write.
    """
    work, write = np.asarray(interval_s, float), np.asarray(write_s, float)
    rate, restart = np.asarray(failures_per_s, float), np.asarray(restart_s, float)
    mean = 1 / np.maximum(rate, 1e-30)
    spent = mean * np.exp(restart / mean) * np.expm1((work + write) / mean)
    return np.asarray(work / np.maximum(spent, work + write))


def host_memory_gb(checkpoint_size_bytes: ArrayLike, nodes: ArrayLike) -> Floats:
    """Host memory of a node, GB: system and loaders, and its share of staged checkpoints."""
    share = np.asarray(checkpoint_size_bytes, float) / np.asarray(nodes, float) / 1e9
    return np.asarray(HOST_BASE_GB + STAGING_COPIES * share)


def storage_bytes(
    checkpoint_size_bytes: ArrayLike,
    kept: ArrayLike,
    tokens: ArrayLike,
    bytes_per_token: float = 4,
) -> Floats:
    """Bytes of storage: the checkpoints that are kept, and the tokenised data set."""
    data = np.asarray(tokens, float) * bytes_per_token
    return np.asarray(np.asarray(checkpoint_size_bytes, float) * kept + data)
