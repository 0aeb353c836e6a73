"""A step of reinforcement learning: answers are written, judged, learnt from, and handed on.

An RL step (PPO, GRPO and their kin) generates `generations` answers to each of `prompts`, computes
the log-probabilities that policy and reference give them, updates the policy (PPO: a critic, too),
and hands the new weights to the inference engine. Generation is the engine's, the rest a training
framework's: this module joins the formulas of both.

References
----------
Schulman et al. 2017, arXiv:1707.06347 (PPO); Shao et al. 2024, arXiv:2402.03300 (GRPO: no critic, a
group of answers to a prompt is the baseline); Sheng et al. 2024, arXiv:2409.19256 (the stages of a
step and where they run); Noukhovitch et al. 2024, arXiv:2410.18252 (one step off-policy).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats
from gpuspec.constants.posttraining import PostTrainingTerms
from gpuspec.formulas.job import Batch
from gpuspec.formulas.serving import Client, Deployment, max_concurrency, steady_state
from gpuspec.formulas.serving.lengths import length_biased, share_longer
from gpuspec.formulas.serving.serving import prefill_seconds, total_seconds

STAGES = ("generation", "environment", "log_probs", "reference", "critic", "update", "refit")
"""What an RL step consists of. ``generation``: answers; ``environment``: rewards, tools and tests;
``log_probs`` and ``reference``: a forward pass of policy and of reference; ``critic``: its forward
pass and its update; ``update``: the policy's optimizer steps; ``refit``: new weights to the engine,
and states to host memory and back."""
ALGORITHMS = ("grpo", "ppo")
FORWARD = {
    "gemm": 1 / 3,
    "attention": 1 / 4,
    "elementwise": 1 / 3,
    "head": 1 / 3,
    "launch_bound": 1 / 3,
    "tp": 1 / 2,
    "cp": 1 / 2,
    "ep": 1 / 2,
    "pp": 1 / 2,
    "bubble": 1 / 3,
}
"""Share of each part of a training step that its forward pass takes (`formulas.training.step`):
products have two more in the backward pass, fused attention three times its forward, collectives
and hand-offs one each way. What is not here has no forward pass."""
FROZEN_FORWARD = 1 / 2
"""The same of products where adapters are trained: no gradients of the frozen weights."""
GATHERED = 1 / 3
"""The same of ZeRO-3's communication: weights are gathered twice and gradients scattered once."""
LENGTH_SPREAD = 0.8
"""Spread of the lengths of answers, if nothing cut them, where nothing says it."""
REFIT_GB_S = 60.0
"""Rate at which all weights reach every replica of an engine: 61 to 75 GB/s on 8 H800 and 16 H20,
59 to 63 GB/s on 256 H20 (MoonshotAI/checkpoint-engine, README, broadcast)."""
SPANS = 192
"""Spans into which the longest answer is cut, to add up token steps of a batch that drains."""


def uncut_mean(mean: ArrayLike, most: ArrayLike, spread: ArrayLike) -> Floats:
    """Return the mean that lognormal lengths would have if nothing cut them.

    Answers end by themselves or are cut after `most` tokens; `mean` is what is seen then:
    ``E[min(X, M)]``. It grows with the mean of X, so bisection finds that. Infinite where all are
    cut.

    Parameters
    ----------
    mean, most : array_like
        Tokens; the mean is not more than the most.
    spread : array_like
        Standard deviation over mean of the lengths that nothing cuts.

    >>> float(uncut_mean(500.0, 1e6, 0.8).round(3)), float(uncut_mean(100.0, 100.0, 0.8))
    (500.0, inf)
    """
    m, top, cv = np.broadcast_arrays(*(np.asarray(x, float) for x in (mean, most, spread)))
    low, high = m.copy(), m * 1e9
    for _ in range(100):
        middle = np.sqrt(low * high)
        under = cut_mean(middle, top, cv) < m
        low, high = np.where(under, middle, low), np.where(under, high, middle)
    all_cut = (m >= top * (1 - 1e-9)) & (cv > 0)
    return np.asarray(np.where(all_cut, np.inf, np.where(cv > 0, high, m)))


def cut_mean(mean: ArrayLike, most: ArrayLike, spread: ArrayLike) -> Floats:
    """Return the mean of lognormal lengths that are cut: ``E[X; X < M] + M P(X >= M)``.

    The first term is the mean times the share below the cut of the length-biased lengths, which
    are lognormal with a mean of ``m (1 + c^2)`` and the same spread.

    >>> round(float(cut_mean(1000.0, 1000.0, 1.0)), 1)
    677.2
    """
    m, top = np.asarray(mean, float), np.asarray(most, float)
    below = 1 - share_longer(length_biased(m, spread), spread, top)
    return np.asarray(m * below + top * share_longer(m, spread, top))


def still_writing(
    tokens: ArrayLike, uncut: ArrayLike, most: ArrayLike, spread: ArrayLike
) -> Floats:
    """Return the share of the answers that are longer than so many tokens.

    >>> still_writing([0.0, 99.0, 100.0], 100.0, 100.0, 0.0).tolist()
    [1.0, 1.0, 0.0]
    """
    t, top = np.asarray(tokens, float), np.asarray(most, float)
    mean = np.asarray(uncut, float)
    longer = share_longer(np.where(np.isinf(mean), 1e30, mean), spread, np.maximum(t, 1e-9))
    longer = np.where(np.asarray(spread) > 0, longer, t < mean)
    return np.asarray(np.where(t < top, longer, 0.0))


@dataclass(frozen=True)
class Lengths:
    """Lengths of answers: their mean, where they are cut, and how they spread if nothing cut them.

    Lognormal, as lengths of answers are for users, too (`formulas.serving.lengths`).
    """

    mean: float
    """Mean tokens of an answer, those that were cut among them."""
    most: float
    """Tokens after which an answer is cut."""
    spread: float
    """Standard deviation over mean of the lengths that nothing cuts."""

    @cached_property
    def uncut(self) -> float:
        """Return the mean if nothing cut them."""
        return float(uncut_mean(self.mean, self.most, self.spread))

    def longer(self, tokens: ArrayLike) -> Floats:
        """Return the share of the answers that are longer than so many tokens."""
        return still_writing(tokens, self.uncut, self.most, self.spread)

    @cached_property
    def steps(self) -> Floats:
        """Return the tokens at which a batch that writes is looked at: middles of equal spans."""
        return np.asarray((np.arange(SPANS) + 0.5) * self.span, float)

    @property
    def span(self) -> float:
        """Return the tokens of a span."""
        return self.most / SPANS

    @cached_property
    def biased(self) -> float:
        """Return E[x^2] / E[x], the mean length of the answers found in a full engine."""
        alive = self.longer(self.steps)
        return float(2 * (self.steps * alive).sum() / alive.sum())


def rollout_seconds(
    replica: Deployment, answers: float, isl: float, lengths: Lengths, generations: float = 1.0
) -> float:
    """Seconds in which one replica writes `answers` that are all asked for at once.

    As many as memory holds start together. Where there are more, the engine stays full at the rate
    of its steady state until the last has started. Then the batch drains: after t further tokens
    only those still write that are longer, and a token step takes what so few take, until the
    longest ends: that tail is why few long answers hold up a step.

    Parameters
    ----------
    isl : float
        Tokens of a prompt.
    generations : float
        Answers to a prompt, which the engine reads once for all of them.

    Returns
    -------
    float
        Infinite where the replica holds no request.

    References
    ----------
    Feller 1971, An Introduction to Probability Theory and Its Applications 2, section XI.4: of
    those found in a full engine the share P(X > t) / E[X] has t tokens left.
    """
    held = float(max_concurrency(replica, isl, min(lengths.biased, lengths.most)))
    if held < 1:
        return float("inf")
    first, read = min(answers, held), max(isl / max(generations, 1.0), 1.0)
    alive, context = lengths.longer(lengths.steps), isl + lengths.steps
    if answers > first:
        seconds = (answers - first) / _full_rate(replica, first, isl, lengths, generations)
        alive = np.cumsum(alive[::-1])[::-1] / alive.sum()
        context = isl + np.minimum((lengths.biased + lengths.steps) / 2, lengths.most)
    else:
        seconds = float(total_seconds(prefill_seconds(replica, first, read)))
    last = first * alive >= 0.5  # the longest of so many ends where half a request is expected
    writing = np.maximum(first * alive, 1.0)[last]
    each = total_seconds(replica.iteration_parts(writing, context[last]))
    return float(seconds + np.sum(each) * lengths.span)


def streamed_seconds(
    replica: Deployment,
    answers: float,
    isl: float,
    lengths: Lengths,
    generations: float = 1.0,
    steps: float = 1.0,
) -> float:
    """Seconds in which a replica that never drains writes `answers`: those over its rate.

    It goes on with prompts of the next steps while the policy learns, so that as many answers are
    in flight as `steps` take, or as memory holds; new weights come in between. No tail.

    >>> from gpuspec.formulas.serving import Deployment, Layout
    >>> from gpuspec import gpu, model, precision
    >>> layout = Layout(network=model("llama-3.1-8b"), gpu=gpu("H100"), weight=precision("bf16"))
    >>> asked = Deployment(layout=layout), 64, 128, Lengths(1000, 4000, 0.8)
    >>> streamed_seconds(*asked) < rollout_seconds(*asked)
    True
    """
    held = float(max_concurrency(replica, isl, min(lengths.biased, lengths.most)))
    if held < 1:
        return float("inf")
    flight = min(answers * steps, held)
    return answers / _full_rate(replica, flight, isl, lengths, generations)


def _full_rate(
    replica: Deployment, flight: float, isl: float, lengths: Lengths, generations: float
) -> float:
    """Return the answers a second of a replica in which so many are always in flight."""
    spread = float(np.sqrt(max(lengths.biased / lengths.mean - 1, 0.0)))
    inside, cached = Client(osl_spread=spread, transport_s=0.0), 1 - 1 / max(generations, 1.0)
    full = steady_state(replica, flight, isl, lengths.mean, cached, client=inside, most=flight)
    return float(full["requests_s"])


def packed(sequences: ArrayLike, tokens: ArrayLike, most: float, large: float) -> Floats:
    """Return into how many micro-batches of at most `most` tokens a rank packs its sequences.

    As many as their tokens fill, or as there are sequences of more than half of one, of which none
    holds two: whichever is more, whole ones.

    Parameters
    ----------
    sequences, tokens : array_like
        Sequences of a rank and their mean length.
    large : float
        Share of the sequences that are longer than half of `most`.

    References
    ----------
    Martello, Toth 1990, Knapsack Problems, section 8.3 (both lower bounds).

    >>> packed([8, 8], 1000.0, 4000.0, 0.0).tolist(), packed(8, 3000.0, 4000.0, 0.9).tolist()
    ([2.0, 2.0], 8.0)
    """
    n = np.asarray(sequences, float)
    least = np.maximum(n * np.asarray(tokens, float) / most, n * large)
    return np.asarray(np.ceil(np.round(np.maximum(least, 1.0), 6)))


def packed_batch(isl: float, lengths: Lengths, sequences: ArrayLike) -> Batch:
    """Return what a data-parallel rank trains on in an optimizer step: its sequences, packed.

    ``seq_len`` of a micro-batch are the tokens that it holds on average, ``document_tokens`` the
    mean length of a sequence as a token sees it.
    """
    mean, most = isl + lengths.mean, isl + lengths.most
    bins = packed(sequences, mean, most, float(lengths.longer(most / 2 - isl)))
    filled = np.asarray(sequences, float) * mean / bins
    seen = np.minimum(isl + lengths.biased, filled)
    return Batch(seq_len=filled, microbatches=bins, document_tokens=seen)


def forward_seconds(
    parts: Mapping[str, ArrayLike], zero_stage: ArrayLike, trained: bool = True
) -> Floats:
    """Seconds of the forward pass of a training step, by its parts (`FORWARD`).

    Parameters
    ----------
    parts : mapping
        Seconds of a step without recomputation or with it, which a forward pass does not have.
    zero_stage : array_like
        From 3 on weights are gathered for the pass.
    trained : bool
        Whether all weights are trained, and not adapters beside them.

    >>> float(forward_seconds({"gemm": 6.0, "attention": 4.0, "recompute": 2.0, "dp": 3.0}, 3))
    4.0
    """
    shares = FORWARD if trained else FORWARD | {"gemm": FROZEN_FORWARD}
    found = sum(
        np.asarray(parts[name], float) * share for name, share in shares.items() if name in parts
    )
    gathered = np.where(
        np.asarray(zero_stage) >= 3, np.asarray(parts.get("dp", 0.0)) * GATHERED, 0.0
    )
    return np.asarray(found + gathered)


def refit_seconds(
    weights_bytes: ArrayLike,
    states_bytes: ArrayLike = 0.0,
    rate_bytes_s: ArrayLike = REFIT_GB_S * 1e9,
    host_bytes_s: ArrayLike = 1.0,
) -> Floats:
    """Seconds from the last optimizer step to the next answer: ``w / r + 2 s / h``.

    Parameters
    ----------
    weights_bytes : array_like
        Weights of the whole model in the engine's format; every replica receives all of them.
    states_bytes : array_like
        States of one GPU that give way to the engine, over `host_bytes_s` out and back.

    >>> float(refit_seconds(120e9, 50e9, 60e9, 50e9))
    4.0
    """
    moved = 2 * np.asarray(states_bytes, float) / np.asarray(host_bytes_s, float)
    return np.asarray(np.asarray(weights_bytes, float) / np.asarray(rate_bytes_s, float) + moved)


def step_stages(
    generation_s: ArrayLike,
    parts: Mapping[str, ArrayLike],
    zero_stage: ArrayLike,
    *,
    updates: float = 1.0,
    passes: float = 1.0,
    reference: bool = True,
    critic: bool = False,
    trained: bool = True,
    environment_s: float = 0.0,
    refit_s: ArrayLike = 0.0,
) -> dict[str, Floats]:
    """Return the seconds of each of the `STAGES` of an RL step.

    Parameters
    ----------
    parts : mapping
        Seconds by part of one optimizer step (`formulas.training.step_parts`).
    updates : float
        Optimizer steps that see every answer once.
    passes : float
        Times that every answer is learnt from; log-probabilities are computed once.
    critic : bool
        Whether a critic of the policy's size values every token and learns, as PPO's does.
    """
    step = np.asarray(sum(np.asarray(part, float) for part in parts.values()))
    forward = forward_seconds(parts, zero_stage, trained) * updates
    learns = step * updates * passes
    none = np.zeros(np.shape(step))
    return {
        "generation": np.asarray(generation_s, float),
        "environment": np.asarray(environment_s, float),
        "log_probs": forward,
        "reference": forward if reference else none,
        "critic": forward + learns if critic else none,
        "update": learns,
        "refit": np.asarray(refit_s, float),
    }


def with_terms(stages: Mapping[str, ArrayLike], terms: PostTrainingTerms) -> dict[str, Floats]:
    """Return the stages of a step with the constants of RL on them.

    >>> terms = PostTrainingTerms(generation_factor=2, training_factor=1, transition_s=5)
    >>> found = with_terms({"generation": 10.0, "update": 8.0, "refit": 1.0}, terms)
    >>> [float(found[name]) for name in ("generation", "update", "refit")]
    [20.0, 8.0, 6.0]
    """
    factors = {"generation": terms.generation_factor, "environment": 1.0, "refit": 1.0}
    found = {
        name: np.asarray(seconds, float) * factors.get(name, terms.training_factor)
        for name, seconds in stages.items()
    }
    return {**found, "refit": np.asarray(found["refit"] + terms.transition_s)}


def step_seconds(stages: Mapping[str, ArrayLike], overlapped: bool = False) -> Floats:
    """Seconds of an RL step from those of its `STAGES`.

    The sum of all; `overlapped` (two pools, answers of the policy one step before): the longer of
    what generates and of what trains, and the hand-over of weights, for which both wait.

    >>> step_seconds({"generation": 30.0, "update": 20.0, "refit": 2.0}, overlapped=True)
    array(32.)
    """
    found = {name: np.asarray(stages.get(name, 0.0), float) for name in STAGES}
    writes = found["generation"] + found["environment"]
    learns = found["log_probs"] + found["reference"] + found["critic"] + found["update"]
    both = np.maximum(writes, learns) if overlapped else writes + learns
    return np.asarray(both + found["refit"])
