"""Training frameworks: what each can run, and what it keeps in memory; ``data/frameworks.csv``."""

from functools import lru_cache
from typing import Annotated

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
    recompute: Texts = column("What it recomputes: none, selective, operations, full")
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
    recipe: str = column("What it keeps of each parameter unless asked: a row of training_recipes")
    fused_norms: Flag = column("Whether a norm is one kernel", True, stated=True)
    fused_glu: Flag = column(
        "Whether a gated MLP's activation and product are one kernel", True, stated=True
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
