"""Training frameworks: what each can run, and what it keeps in memory; ``data/frameworks.csv``."""

from functools import lru_cache
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Flags
from gpuspec.catalog import find
from gpuspec.catalog.columns import Figure, Flag, Named, Texts, column


class Framework(Named):
    """A training framework in a range of versions."""

    family: str = column("Frameworks whose constants are drawn to each other")
    constants: str = column(
        "Framework whose fitted constants stand in while it has none of its own; empty: the "
        "centre of all",
        "",
    )
    splits: Texts = column("Ways to split a model that it has: tp, pp, cp, ep", ())
    zero_stages: Texts = column("Stages of ZeRO that it has, of FSDP too (3); 0 is plain copies")
    recompute: Texts = column(
        "What it recomputes: none, selective, norm, act, moe, operations, full"
    )
    tunings: Texts = column("What it trains: full, lora, qlora")
    sharded_qlora: Flag = column(
        "Whether the 4-bit base of QLoRA may be split over GPUs", False, stated=True
    )
    offload: Texts = column("What it keeps in host memory where asked: optimizer, activations", ())
    fp8_recipes: Texts = column(
        "What may share a scale where it trains in FP8: tensor, row, block; empty: no FP8", ()
    )
    interleaves: Flag = column(
        "Whether a pipeline stage may hold several chunks of layers", False, stated=True
    )
    optimizers: Texts = column(
        "Optimizers that come with it or with the libraries that it names, beside AdamW: sgd, "
        "adamw-8bit, adamw-paged, adafactor, muon",
        (),
    )
    recipe: str = column("What it keeps of each parameter unless asked: a row of training_recipes")
    fused_norms: Flag = column("Whether a norm is one kernel", True, stated=True)
    fused_glu: Flag = column(
        "Whether a gated MLP's activation and product are one kernel", True, stated=True
    )
    fused_adapters: Flag = column(
        "Whether one adapter serves the projections of one input: q, k and v, gate and up",
        False,
        stated=True,
    )
    bytes_per_logit: Annotated[float, Figure(0, 100, unit="byte/logit")] = column(
        "Bytes that the loss keeps of a logit: 4 fused, 10 plain PyTorch, 0 in chunks",
        4.0,
        stated=True,
    )
    persistent_gradients: Flag = column(
        "Whether gradients keep their buffers during the forward pass", True, stated=True
    )
    balanced_stages: Flag = column(
        "Whether pipeline stages are balanced by cost, output head included", False, stated=True
    )
    attention: str = column("Attention kernels of its newest version: flash, flash2, flash3")
    overlaps_tensor: Flag = column(
        "Whether tensor-parallel collectives run in pieces beside the products of their layer",
        False,
        stated=True,
    )

    gathers_ahead: Texts = column(
        "Stages of ZeRO of which it gathers the sharded weights beside other work: 1, 2, 3", ()
    )
    layer_gathers: Annotated[int, Figure(1, 1000)] = column(
        "Collectives that gather the weights of a layer under ZeRO-3: 1, or one a tensor",
        1,
        stated=True,
    )

    by_layer: Flag = column(
        "Whether gradients and weights move layer by layer at every stage (FSDP), not in buckets",
        False,
        stated=True,
    )
    bucket_per_rank: Annotated[float, Figure(0, 1e9, unit="parameters")] = column(
        "Parameters by which its buckets of gradients grow with each data-parallel rank",
        0.0,
        stated=True,
    )

    def ahead(self, zero_stage: ArrayLike) -> Flags:
        """Return whether the weights of a stage of ZeRO are gathered beside other work.

        >>> framework_record("deepspeed").ahead([1, 3]).tolist()
        [False, True]
        """
        return np.isin(np.asarray(zero_stage, int), [int(stage) for stage in self.gathers_ahead])

    @property
    def fp8(self) -> bool:
        """Whether it trains in FP8 at all."""
        return bool(self.fp8_recipes)


@lru_cache(256)
def framework_record(name: str) -> Framework:
    """Look up a training framework, such as ``"nemo"`` or ``"torchtitan"``.

    Raises
    ------
    UnknownNameError
        When no framework has that name; lists close matches.

    >>> framework_record("torchtune").splits
    ()
    """
    return find("frameworks", Framework, name, None, "framework")
