"""How a training job is run: its batch, its split over GPUs, and what its software does.

Fields are numbers or arrays that broadcast with each other: one record describes one layout or
a grid of them.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Batch:
    """What one step processes."""

    seq_len: ArrayLike
    """Tokens of a sequence."""
    micro_batch: ArrayLike = 1
    """Sequences that one data-parallel rank processes at once."""
    microbatches: ArrayLike = 1
    """Such micro-batches a step (gradient accumulation); fewer than `pp` leave stages unfilled."""
    document_tokens: ArrayLike = 0
    """Mean length of documents that are packed into a sequence and attend to themselves alone
    (0: a sequence is one document)."""


@dataclass(frozen=True)
class Parallel:
    """How a job is split over ``tp * pp * dp * cp`` GPUs.

    Ranks lie as in Megatron-LM: tensor parallelism innermost, then context, data and pipeline.
    """

    tp: ArrayLike = 1
    """Tensor parallelism."""
    pp: ArrayLike = 1
    """Pipeline stages."""
    dp: ArrayLike = 1
    """Data parallelism."""
    cp: ArrayLike = 1
    """Context parallelism; it counts as part of the ranks that ZeRO shards over."""
    ep: ArrayLike = 1
    """Expert parallelism: experts are split over `ep` of the ``dp * cp`` ranks."""
    interleave: ArrayLike = 1
    """Model chunks that a stage holds (1: plain 1F1B)."""
    zero_stage: ArrayLike = 0
    """States that are sharded: 0 (none) to 3."""
    shard_gpus: ArrayLike = 0
    """GPUs that share one copy of the sharded states (0: all ``dp * cp``; fewer is HSDP)."""
    sequence_parallel: ArrayLike = True
    """Whether norms and dropouts are split over `tp` as well."""
    balanced_stages: ArrayLike = False
    """Whether pipeline stages are balanced by cost, output head included, and not by layers."""
    tp_overlap: ArrayLike = False
    """Whether tensor-parallel collectives run in pieces beside the products of their layer
    (Transformer Engine's userbuffers, PyTorch's async TP)."""
    gathers_ahead: ArrayLike = True
    """Whether sharded weights are gathered beside other work: after an update beside the next
    forward pass (ZeRO-1 and 2), of a layer beside the one before it (ZeRO-3)."""
    layer_gathers: ArrayLike = 1
    """Collectives that gather the weights of a layer under ZeRO-3: one, or one for each tensor."""
    by_layer: ArrayLike = False
    """Whether the gradients and weights of a layer move together at every stage of ZeRO (FSDP), and
    not in buckets."""
    bucket_per_rank: ArrayLike = 0.0
    """Parameters by which the buckets of ZeRO-0 to 2 grow with each data-parallel rank."""
    node_dispatch: ArrayLike = False
    """Whether a token travels once to each node that has experts of it, and from there to their
    GPUs (DeepEP, HybridEP), and not once to each expert."""
    offload_optimizer: ArrayLike = False
    """Whether optimizer states lie in host memory and the CPU updates them (ZeRO-Offload)."""


@dataclass(frozen=True)
class Software:
    """What a framework recomputes, fuses and keeps."""

    recompute: ArrayLike = "none"
    """``none``, ``selective`` (attention core), ``operations`` (every second product and the passes
    over vectors) or ``full`` (only layer inputs are kept), or modules such as ``norm+act``:
    `formulas.recompute`."""
    recompute_share: ArrayLike = 1.0
    """Share of the layers that recompute it: a half where every second layer does."""
    fp8_recipe: ArrayLike = "tensor"
    """What shares a scale where products are in FP8: ``tensor``, ``row`` or ``block``."""
    cuda_graphs: ArrayLike = False
    """Whether a layer's kernels are launched as one recorded graph."""
    offload_activations: ArrayLike = False
    """Whether what layers keep for the backward pass goes to host memory and comes back."""
    attention: ArrayLike = "flash"
    """``flash`` (fused, made for the GPU), ``flash2`` (FlashAttention 2 or older, half as fast on
    Hopper), ``flash3`` (FlashAttention 3 on Hopper, 4 on Blackwell, or cuDNN 9, which Transformer
    Engine has used since spring 2024) or ``eager`` (scores materialised)."""
    dropout: ArrayLike = False
    """Whether dropout masks are kept, as in GPT-3-style training."""
    bytes_per_logit: ArrayLike = 4.0
    """4 for a fused loss; about 10 where BF16 logits, an FP32 copy and its gradient coexist; 0 for
    a chunked loss."""
    persistent_gradients: ArrayLike = True
    """Whether gradients keep their buffers during the forward pass (accumulation, Megatron,
    DeepSpeed), or are allocated while activations are freed (a plain PyTorch step); a number is
    the share of the gradients' bytes that stays."""
    fused_norms: ArrayLike = True
    """Whether RMSNorm is one kernel (Megatron, Liger, torch.compile) or eager PyTorch."""
    fused_glu: ArrayLike = True
    """The same of the activation of a gated MLP with its product: where it is not, a layer runs as
    separate operations, which the host launches more slowly."""


@dataclass(frozen=True)
class TrainingJob:
    """A batch, how it is split, and the software that runs it."""

    batch: Batch
    parallel: Parallel = Parallel()
    software: Software = Software()

    @classmethod
    def of(cls, **columns: ArrayLike) -> "TrainingJob":
        """Return a job from the fields of its three records, such as columns of a table.

        >>> TrainingJob.of(seq_len=4096, tp=[1, 8], recompute="full").parallel.tp
        [1, 8]
        """
        kinds = (Batch, Parallel, Software)
        names = [{field.name for field in fields(kind)} for kind in kinds]
        unknown = set(columns).difference(*names)
        if unknown:
            raise TypeError(f"a training job has no {', '.join(sorted(unknown))}")
        batch, parallel, software = (
            kind(**{name: columns[name] for name in own & set(columns)})
            for kind, own in zip(kinds, names, strict=True)
        )
        return cls(batch, parallel, software)

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape to which the fields broadcast."""
        records = (self.batch, self.parallel, self.software)
        values = [getattr(record, field.name) for record in records for field in fields(record)]
        return np.broadcast_shapes(*map(np.shape, values))

    @property
    def tokens(self) -> np.ndarray:
        """Return the tokens of a micro-batch on one GPU."""
        batch = self.batch
        each = np.asarray(batch.micro_batch, float) * batch.seq_len
        return np.asarray(each / np.asarray(self.parallel.cp))
