"""Bytes of activations that a training step keeps for its backward pass."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats
from gpuspec.formulas.recompute import repeats

GATHERED_TENSORS = 4  # a product's gathered input, unreduced output, and the gradients of both
WAITING_TENSORS = 48
"""Freed tensors that wait for their collective: the queue of a GPU takes some 1,024 launches, and
half a layer and pass launches about 20, so the host is at most that many collectives ahead."""
HANDED_OVER = 2  # a stage's output to the next stage, and the gradient that comes back
WAITING_PER_LAYER = 4  # unreduced outputs of attention and MLP, and the gradients of their inputs
SCAN_CHUNK = 64
"""Tokens of a chunk of a recurrent mixer: states are kept between chunks. flash-linear-attention's;
Mamba-2's kernels take 128 or 256."""


@dataclass(frozen=True)
class LayerWidths:
    """Widths of what a layer keeps, in elements a token."""

    hidden: ArrayLike
    """Of the residual stream."""
    query: ArrayLike
    """Of all query heads."""
    kv: ArrayLike
    """Of the keys (= of the values)."""
    mlp_saved: ArrayLike
    """Of everything between the two MLP products that is kept: ``2 * ffn`` (input and output of the
    activation) or ``3 * ffn`` when gated (``4 * ffn`` where activation and product are separate
    kernels); for experts times those active."""
    mixer_saved: ArrayLike = 0.0
    """Of what else the mixer keeps, divided by tensor parallelism: gates, a recurrent mixer's
    projections with what its convolution and its norm make of them."""
    whole: ArrayLike = 0.0
    """Of what every GPU of a tensor-parallel group keeps whole: index queries and keys with the
    chosen places of sparse attention, tokens in the latent width of experts."""
    mixers: ArrayLike = 1.0
    """1 where the layer mixes tokens, with a norm in front."""
    mlps: ArrayLike = 1.0
    """1 where the layer has a feed-forward block, with a norm in front."""
    mlp_products: ArrayLike = 0.0
    """Of what the feed-forward products in front of the activation give: ``ffn``, twice where
    gated."""
    experts: ArrayLike = 0.0
    """Share of ``mlp_saved`` that lies in mixtures of experts."""


def layer_activation_bytes(
    tokens: ArrayLike,
    widths: LayerWidths,
    *,
    score_elements: ArrayLike = 0.0,
    dropout: ArrayLike = False,
    tp: ArrayLike = 1,
    sequence_parallel: ArrayLike = False,
    recompute: ArrayLike = "none",
    bytes_per_element: ArrayLike = 2.0,
    norm_bytes: ArrayLike = 2.0,
) -> dict[str, Floats]:
    """Bytes of activations that one transformer layer keeps for one micro-batch, on one GPU.

    Korthikanti's accounting, with the widths of each matrix left free so that grouped-query
    attention, gated MLPs and experts are covered too.

    Parameters
    ----------
    tokens : array_like
        Tokens of the micro-batch on this GPU (micro-batch x sequence / CP).
    widths : LayerWidths
        What the layer keeps for each token.
    score_elements : array_like
        Elements of the attention matrix (heads x sequence x sequence x micro-batch) when it is
        materialised: 0 with FlashAttention or equal.
    dropout : array_like of bool
        Whether dropout masks (1 byte an element) are kept, as in GPT-3-style training.
    tp, sequence_parallel : array_like
        Tensor-parallel size, and whether norms and dropouts are split over it as well.
    recompute : array_like of str
        ``none``; ``selective`` (attention core recomputed: its scores, nothing where attention is
        fused); ``operations`` (the layer's input, fused attention's output and every second
        product's are kept); ``full`` (only layer inputs are); of modules, ``norm`` keeps no output
        of a norm, ``act`` none of the feed-forward activation, ``moe`` nothing in experts.
    norm_bytes : array_like
        Bytes an element that one norm keeps: 2 for its 16-bit input; see `norm_saved_bytes`.

    Returns
    -------
    dict of arrays
        ``attention``, ``mlp``, ``norms``, ``scores``; together they are the total.

    References
    ----------
    Korthikanti et al. 2022, arXiv:2205.05198, equations 1 to 6 and table 2:
    s*b*h*(34 + 5*a*s/h) a layer, split as 10 + 24/t + 5*a*s/(h*t) or, with sequence
    parallelism, all of it over t.

    >>> widths = LayerWidths(hidden=4096, query=4096, kv=4096, mlp_saved=2 * 16384)
    >>> sum(layer_activation_bytes(1, widths, dropout=True).values()) / 4096
    np.float64(34.0)
    """
    tokens, hidden = np.asarray(tokens, float), np.asarray(widths.hidden, float)
    mask = np.where(dropout, 1.0, 0.0)
    split = np.asarray(tp, float)
    outside = np.where(sequence_parallel, split, 1.0)
    each = np.asarray(bytes_per_element, float)
    query, kv = np.asarray(widths.query, float), np.asarray(widths.kv, float)

    mixers, mlps = np.asarray(widths.mixers, float), np.asarray(widths.mlps, float)
    whole, mixed = np.asarray(widths.whole, float), np.asarray(widths.mixer_saved, float)
    mlp_saved = np.asarray(widths.mlp_saved, float)

    norms = tokens * (mixers + mlps) * np.asarray(norm_bytes, float) * hidden / outside
    # Shared input of Q, K and V; queries, keys, values and the output product's input; a mask.
    saved = (2 * query + 2 * kv + mixed) / split + whole
    normed = np.where(repeats(recompute, "norm"), 0.0, each) + mask
    attention = tokens * (mixers * normed * hidden / outside + each * saved)
    products = np.asarray(widths.mlp_products, float)
    inside = np.where(repeats(recompute, "act"), np.minimum(mlp_saved, products), mlp_saved)
    inside = inside * (1 - np.where(repeats(recompute, "moe"), widths.experts, 0.0))
    mlp = tokens * (mlps * normed * hidden / outside + each * inside / split)
    # Softmax output, and with dropout its mask and the masked copy.
    scores = np.asarray(score_elements, float) * np.where(dropout, 2 * each + mask, each) / split

    again = [np.equal(recompute, kind) for kind in ("operations", "full")]
    layer_input = tokens * each * hidden / outside
    # Of queries, keys, values and the output product every second is kept; of the MLP's too.
    half = (query + 2 * kv + mixed) / split + mixers * hidden / outside
    attended = tokens * each * (mixers * query / split + half / 2)
    widened = np.asarray(widths.mlp_products, float) / split + mlps * hidden / outside
    return {
        "attention": np.select(again, [attended, np.zeros(())], attention),
        "mlp": np.select(again, [tokens * each * widened / 2, np.zeros(())], mlp),
        "norms": np.select(again, [layer_input, layer_input], norms),
        "scores": np.where(again[0] | again[1] | repeats(recompute, "selective"), 0.0, scores),
    }


def scan_workspace_bytes(
    tokens: ArrayLike, state_elements: ArrayLike, tp: ArrayLike = 1, bytes_each: ArrayLike = 2.0
) -> Floats:
    """Bytes of the states between the chunks of one recurrent layer, and of their gradients.

    They are computed again in the backward pass, one layer at a time, and not kept.

    References
    ----------
    ``fla/ops/gated_delta_rule/chunk.py`` and ``mamba_ssm/ops/triton/ssd_combined.py``: what
    ``ctx.save_for_backward`` names.

    >>> float(scan_workspace_bytes(4096, 1_000_000) / 1e6)   # 64 chunks, 2 x 2 bytes
    256.0
    """
    chunks = np.ceil(np.asarray(tokens, float) / SCAN_CHUNK)
    return np.asarray(2 * chunks * np.asarray(state_elements, float) * bytes_each / np.asarray(tp))


def norm_saved_bytes(fused: ArrayLike, rms: bool, frozen: bool = False) -> Floats:
    """Bytes an element that a norm keeps: its 16-bit input, or what eager PyTorch makes of it.

    Without a fused kernel RMSNorm runs in FP32: the FP32 copy of the input stays for the
    square and for the product, and where its weights are trained the 16-bit result stays too.
    PyTorch's own LayerNorm is one kernel and keeps its input.

    >>> norm_saved_bytes([True, False], rms=True).tolist()
    [2.0, 6.0]
    """
    eager = (4.0 if frozen else 6.0) if rms else 2.0
    return np.where(fused, 2.0, eager)


def collective_bytes(
    tokens: ArrayLike,
    hidden: ArrayLike,
    layers: ArrayLike,
    tp: ArrayLike,
    pp: ArrayLike = 1,
    microbatches: ArrayLike = np.inf,
    bytes_per_element: ArrayLike = 2.0,
) -> tuple[Floats, Floats]:
    """Bytes of full-width tensors around the collectives of tensor parallelism, on one GPU.

    Sequence parallelism keeps the tensors between the matrix products divided, but every
    product's gathered input, unreduced output and their gradients are as wide as without it:
    `GATHERED_TENSORS` of them at any time. On top of that the allocator gives the input of a
    collective back only once the GPU has passed it, and the host runs ahead by as much as the
    GPU's queue takes: `WAITING_TENSORS`, fewer in a network that has not so many. They give way
    where memory runs out: the allocator then waits for the GPU. A step of one micro-batch begins
    with both level and peaks before its backward pass: half of them wait. Pipeline stages stay
    close to the GPU, because each micro-batch waits for its neighbour's: once as many went
    forward as there are stages, `HANDED_OVER` tensors are on their way.

    Parameters
    ----------
    tokens, hidden, layers : array_like
        Tokens of a micro-batch, width of the residual stream, layers of this GPU's stage.

    Returns
    -------
    tuple of arrays
        What the step needs, and what waits.

    References
    ----------
    Korthikanti et al. 2022, arXiv:2205.05198, section 4.2.2; PyTorch, ``Tensor.record_stream``
    and ``TORCH_NCCL_AVOID_RECORD_STREAMS``.

    >>> [float(size) / 2 for size in collective_bytes(1, 1, 32, tp=8)]
    [4.0, 48.0]
    """
    one = np.asarray(tokens, float) * np.asarray(hidden, float) * bytes_per_element
    one = np.where(np.asarray(tp) > 1, one, 0.0)
    waiting = np.minimum(WAITING_TENSORS, WAITING_PER_LAYER * np.asarray(layers, float))
    waiting = waiting * np.where(np.asarray(microbatches) > 1, 1.0, 0.5)
    handed = np.where(np.asarray(microbatches) > np.asarray(pp), HANDED_OVER, 0.0)
    waiting = np.where(np.equal(pp, 1), waiting, handed)
    return GATHERED_TENSORS * one, waiting * one


def microbatches_in_flight(
    pp: ArrayLike, microbatches: ArrayLike, interleave: ArrayLike = 1, place: ArrayLike = 0
) -> Floats:
    """Micro-batches whose activations a pipeline stage holds at its peak.

    With 1F1B the first stage keeps ``pp`` of them in flight (fewer when there are fewer), each
    stage behind it one less. With `interleave` v chunks a stage starts with ``2 (pp - 1 - place) +
    (v - 1) pp`` chunks and one more; on the first that is ``1 + (pp - 1)/(pp * v)`` of ``pp``.

    Parameters
    ----------
    place : array_like
        Stages in front of the stage.

    References
    ----------
    Narayanan et al. 2021, arXiv:2104.04473, section 2.2; Korthikanti et al. 2022,
    arXiv:2205.05198, section 4.2.3 (the interleaving factor); Megatron-LM, ``schedules.py``.

    >>> microbatches_in_flight(4, 64, 1, [0, 1, 3]).tolist()
    [4.0, 3.0, 1.0]
    >>> microbatches_in_flight(4, 64, 2, [0, 3]).tolist()
    [5.5, 2.5]
    >>> float(96 / 8 * microbatches_in_flight(8, 64, 3))   # layers of GPT-3: 96 * (1 + 7/24)
    124.0
    """
    stages, chunks = np.asarray(pp, float), np.asarray(interleave, float)
    behind = stages - 1 - np.asarray(place, float)
    started = 2 * behind + (chunks - 1) * stages + 1
    most = np.where(chunks > 1, started / chunks, behind + 1)
    return np.asarray(np.minimum(most, np.asarray(microbatches, float)))


def logits_bytes(
    tokens: ArrayLike, vocab: ArrayLike, tp: ArrayLike = 1, bytes_per_logit: ArrayLike = 4.0
) -> Floats:
    """Bytes of the output logits of one micro-batch on the last pipeline stage.

    4 bytes is one FP32 copy (Megatron's fused cross-entropy over a split vocabulary);
    frameworks that keep BF16 logits, an FP32 copy and its gradient hold 2 + 4 + 4.

    References
    ----------
    Korthikanti et al. 2022, arXiv:2205.05198, section 4.3: 4*s*b*v/t.
    """
    logits = np.asarray(tokens, float) * np.asarray(vocab, float) / np.asarray(tp, float)
    return np.asarray(logits * np.asarray(bytes_per_logit, float))
