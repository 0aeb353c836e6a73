"""Encoders: sequences that are read once and answered with a vector or a score."""

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats
from gpuspec.formulas.serving.client import USERS, Client
from gpuspec.formulas.serving.deployment import Deployment


def encoding(
    replica: Deployment, concurrency: ArrayLike, isl: ArrayLike, client: Client = USERS
) -> dict[str, Floats]:
    """Return the speed of an encoder with `concurrency` sequences of `isl` tokens in flight.

    Sequences are read in batches of as many as are there and the engine's token budget takes; a
    sequence waits for those before it, so that in flight = rate x time (Little's law).

    Returns
    -------
    dict
        ``sequence_s`` (seconds from a sequence's arrival to its answer), ``sequences_s`` and, of
        one batch, ``batch`` (its sequences) and its seconds by part.
    """
    n, tokens = np.asarray(concurrency, float), np.asarray(isl, float)
    together = np.maximum(np.floor(replica.limits.max_tokens / tokens), 1.0)
    batch = np.minimum(np.maximum(n, 1e-9), together)
    parts = replica.iteration_parts(0, 1, tokens, batch)
    seconds = n / batch * np.asarray(sum(parts.values())) + replica.arrival_seconds(client, tokens)
    return {
        "sequence_s": seconds,
        "sequences_s": n / seconds,
        "batch": batch,
        **parts,
    }
