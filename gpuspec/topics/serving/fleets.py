"""Throughput of a number of GPUs that serve one model, over many lengths in one call."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from gpuspec.formulas.serving import max_concurrency, maximum_load
from gpuspec.formulas.splits import impossible, splits
from gpuspec.topics.serving.ask import ServingQuestion


@lru_cache(4096)
def fleet_capacity(
    model: str,
    gpu: str,
    weight: str,
    isl: tuple[int, ...],
    osl: tuple[int, ...],
    counts: Sequence[int] = (8,),
) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest throughput of fleets of one GPU kind, and the most requests they hold.

    Each fleet is filled with replicas of the split that gives most.

    Parameters
    ----------
    isl, osl : tuple of int
        Tokens of prompts and of answers, pairwise.
    counts : tuple of int
        GPUs of a fleet.

    Returns
    -------
    two ndarrays of shape (counts, lengths)
        Output tokens/s and requests: 0 where not one request fits, NaN where the model ends
        before prompt and answer. Kept: do not change them.
    """
    q = ServingQuestion.ask(model=model, gpus=gpu, weights=weight, isl=1, osl=1)
    prompts, tokens = np.array(isl, float), np.array(osl, float)
    rates, held = np.zeros((2, len(counts), len(prompts)))
    for split in splits(q.network, max(counts)):
        if impossible(q.network, split.tp // split.attention_dp, split.pp):
            continue
        replica = q.replica(q.devices[0], q.formats[0], *split)
        one = np.asarray(maximum_load(replica, prompts, tokens)["output_tokens_s"])
        one = np.where(np.isfinite(one), one, 0.0)
        most = np.maximum(np.asarray(max_concurrency(replica, prompts, tokens)), 0.0)
        for place, count in enumerate(counts):
            rates[place] = np.maximum(rates[place], one * (count // split.gpus))
            held[place] = np.maximum(held[place], most * (count // split.gpus))
    beyond = (prompts + tokens > (q.network.max_context or np.inf))[None, :]
    return np.where(beyond, np.nan, rates), np.where(beyond, np.nan, held)
