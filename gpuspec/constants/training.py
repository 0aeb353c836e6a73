"""Constants of a training framework: what rooflines and fabrics leave open."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike
from pydantic import Field

from gpuspec.catalog.frameworks import framework_record
from gpuspec.constants.stored import (
    Interval,
    stored,
    stored_errors,
    stored_interval,
    stored_ratio_interval,
)
from gpuspec.constants.terms import Terms

if TYPE_CHECKING:
    import pandas as pd


class TrainingTerms(Terms):
    """Fitted constants of a framework in a range of versions; the defaults are a start."""

    matmul_factor: float = Field(1.0, ge=0.6, le=2.5)
    """Time of BF16 products over that of the kernel tables (clocks under load, strides)."""
    fp8_factor: float = Field(1.15, ge=0.6, le=3.0)
    """The same of FP8 products."""
    row_factor: float = Field(1.3, ge=0.8, le=3.0)
    """Time of FP8 products with a scale for each row over those with one for a tensor."""
    block_factor: float = Field(1.1, ge=0.8, le=3.0)
    """The same with a scale for each block."""
    hopper_factor: float = Field(1.05, ge=0.7, le=2.0)
    """More on Hopper: what a generation's kernels lose in training (power, older software)."""
    flash2_on_hopper: float = Field(1.75, ge=1.0, le=4.0)
    """Time of FlashAttention 2 on Hopper over that of kernels made for it: 1.5 to 2 times
    (Shah et al. 2024, arXiv:2407.08608)."""
    flash_on_ampere: float = Field(0.88, ge=0.5, le=1.3)
    """Time of FlashAttention on Ampere over that of the kernel tables, which are of an inference
    library there: 190 of 312 TFLOPS (Dao 2023, arXiv:2307.08691, figure 4) against 140."""
    flash3_factor: float = Field(0.68, ge=0.3, le=1.3)
    """Time of FlashAttention 3 on Hopper, 4 on Blackwell, or cuDNN 9 over that of fused attention
    of 2023: 680 TFLOPS forward and 550 backward (Shah et al. 2024, figures 5 and 6; cuDNN 9 is as
    fast there) against 395 in all."""
    attention_factor: float = Field(1.2, ge=0.3, le=6.0)
    """Time of flash attention, forward and backward, over that of the kernel tables."""
    score_passes: float = Field(14.0, ge=2.0, le=60.0)
    """Times that the scores are read or written where attention is not fused."""
    elementwise_factor: float = Field(1.0, ge=0.3, le=8.0)
    """Passes over hidden vectors, as a multiple of what fused kernels need."""
    fp8_passes: float = Field(1.0, ge=0.0, le=8.0)
    """Casts to FP8 and their transposes, as a multiple of one pass each."""
    expert_factor: float = Field(1.2, ge=0.5, le=6.0)
    """Time of routed experts' products over that of equal dense ones (imbalance, small tiles)."""
    layer_us: float = Field(500.0, ge=20.0, le=3000.0)
    """Time in which the host launches the kernels of a layer and pass (backward counts one)."""
    separate_layer_us: float = Field(1225.0, ge=20.0, le=6000.0)
    """The same where a layer runs as separate operations of PyTorch, neither fused nor compiled: a
    7B Llama of 32 such layers makes 25.5 tokens/s, bound by the host (PyTorch team, Accelerating
    Generative AI with PyTorch II, 2023-11-30, pytorch.org/blog/accelerating-generative-ai-2)."""
    head_passes: float = Field(6.0, ge=0.5, le=60.0)
    """Times that the logits are read or written, in FP32, forward and backward together."""
    tp_exposed: float = Field(0.8, ge=0.02, le=2.5)
    """Tensor-parallel communication that nothing hides, over its modelled time.

    Above 1, here and below: the framework's collectives take longer than NCCL's on that fabric.
    """
    tp_overlapped: float = Field(0.4, ge=0.02, le=2.5)
    """The same where it runs in pieces beside the products of its layer."""
    tp_between: float = Field(1.0, ge=0.5, le=8.0)
    """Time of tensor-parallel communication between nodes, which nothing hides, over that of the
    fabric alone."""
    cp_exposed: float = Field(0.3, ge=0.01, le=2.0)
    """The same of context parallelism, where attention runs meanwhile."""
    ep_exposed: float = Field(0.9, ge=0.02, le=2.5)
    """The same of experts' all-to-all."""
    pp_exposed: float = Field(0.6, ge=0.02, le=3.0)
    """The same of pipeline hand-offs under a plain schedule, which waits for them."""
    pp_overlapped: float = Field(0.2, ge=0.02, le=3.0)
    """The same under an interleaved schedule, whose other chunks work meanwhile."""
    handoff_ms: float = Field(0.2, ge=0.0, le=400.0)
    """Time in which the host hands a micro-batch on to the next stage, whatever its size."""
    dp_exposed: float = Field(0.3, ge=0.01, le=8.0)
    """The same of gradients that every rank holds (ZeRO-0) while other work could hide them."""
    zero1_exposed: float = Field(0.3, ge=0.01, le=8.0)
    """The same of gradients scattered and weights gathered once a step (ZeRO-1 and 2)."""
    zero3_exposed: float = Field(0.2, ge=0.01, le=8.0)
    """The same of weights gathered for each pass (ZeRO-3, FSDP)."""
    bubble_factor: float = Field(1.0, ge=0.4, le=2.5)
    """Length of the pipeline bubble over the ideal one (uneven stages, jitter)."""
    optimizer_factor: float = Field(1.3, ge=0.5, le=12.0)
    """Time of the optimizer step over that of moving its states once."""
    offload_gb_s: float = Field(100.0, ge=5.0, le=800.0)
    """Rate of an optimizer step in host memory, a node."""
    step_ms: float = Field(10.0, ge=0.05, le=1000.0)
    """Time of a step whatever its size: clipping, logging, data."""
    jitter: float = Field(0.004, ge=0.0001, le=0.1)
    """Loss for each doubling of the GPUs: the slowest of them sets the pace."""


def framework(name: str = "megatron-core") -> tuple[str, TrainingTerms]:
    """Return a framework's id and its fitted constants; where unfitted those of the nearest.

    Raises
    ------
    UnknownNameError
        When no framework has that name; lists close matches.
    """
    key = framework_record(name).id
    return key, TrainingTerms(**stored("training")["frameworks"][fitted_framework(key)]["terms"])


def fitted_framework(name: str) -> str:
    """Return the framework whose fitted constants are used for one: itself, or the nearest.

    >>> fitted_framework("maxtext")
    'fsdp-compiled'
    """
    fitted, asked = stored("training")["frameworks"], framework_record(name)
    return next(key for key in (asked.id, asked.constants, "other") if key in fitted)


def stand_in(name: str) -> str:
    """Say whose constants stand in for a framework that has none; empty where it has its own.

    >>> stand_in("torchtitan")
    'No constants are fitted for torchtitan: those of PyTorch FSDP with torch.compile stand in'
    """
    asked, used = framework_record(name), fitted_framework(name)
    if used == asked.id:
        return ""
    whose = "the centre of all frameworks" if used == "other" else framework_record(used).name
    return f"No constants are fitted for {asked.name}: those of {whose} stand in"


def training_errors() -> "pd.DataFrame":
    """Return the held-out error of each figure; columns as in `stored_errors`."""
    return stored_errors("training")


def training_interval(
    value: ArrayLike,
    quantity: str = "step time",
    levels: Mapping[str, ArrayLike] | None = None,
    ground: ArrayLike = 0,
) -> Interval:
    """Return the 80 % interval of an estimate.

    Parameters
    ----------
    quantity : str
        ``step time``, ``ratio`` of the speeds of two GPUs, ``fp8 ratio``.
    levels : mapping, optional
        What else decides the width of a step's: ``known`` (`framework_known`), ``precision``
        (``fp8``, ``16 bit``), ``generation`` of the GPU, ``reach``; one value or an array. What is
        not said has the width of all.
    ground : array_like
        0 measured, 1 near, 2 far: see `constants.ground`.
    """
    return stored_interval(value, "training", quantity, levels, ground=ground)


def framework_known(name: str) -> str:
    """Return whether a framework has constants of its own, as intervals call it."""
    known = name in stored("training")["frameworks"]
    return "framework known" if known else "framework never seen"


def training_ratio_interval(value: ArrayLike, new: str, old: str) -> Interval:
    """Return the 80 % interval of a ratio of speeds of two GPUs, given by id."""
    return stored_ratio_interval(value, "training", new, old)
