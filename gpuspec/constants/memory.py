"""The memory that is neither weights nor states nor cache, each term named."""

from typing import TYPE_CHECKING

from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field

from gpuspec.base.units import GIB
from gpuspec.constants.stored import Interval, stored, stored_errors, stored_interval

if TYPE_CHECKING:
    import pandas as pd

KINDS = {
    "activations": "activations, the paper's own formula",
    "full": "training all weights, peak",
    "lora": "LoRA, peak",
    "qlora": "QLoRA, peak",
    "rule of thumb": "rule of thumb of a fine-tuning tool",
    "serving activations": "serving: activations",
    "serving kv cache": "serving: cache of a token",
    "serving runtime": "serving: runtime",
    "serving weights": "serving: weights",
}
"""What a reader calls each kind of figure."""


class MemoryTerms(BaseModel):
    """What a GPU spends besides the model's own bytes.

    `memory_terms` returns the values fitted to published measurements; the defaults here are
    round numbers for a formula used on its own.
    """

    model_config = ConfigDict(frozen=True)

    context_bytes: float = Field(0.5 * GIB, ge=0)
    """CUDA context, loaded kernels and library handles of one process."""
    communicator_bytes: float = Field(1.0 * GIB, ge=0)
    """Buffers of the collectives' library where tensor parallelism is used."""
    serving_activation_factor: float = Field(1.0, ge=0)
    """Live copies of an engine's widest intermediate tensors, over the one that is needed."""
    serving_logit_bytes: float = Field(8.0, ge=0)
    """Bytes a logit while a token is sampled: FP32 logits, their copies, sorted indices."""
    training_activation_factor: float = Field(1.0, ge=0)
    """Activations that eager kernels and casts keep beyond Korthikanti's accounting."""
    fragmentation: float = Field(0.0, ge=0)
    """Share of the allocator's memory that is reserved but not in use."""


def memory_terms() -> MemoryTerms:
    """Return the constants that the last calibration stored."""
    return MemoryTerms(**stored("memory")["terms"])


def memory_errors() -> "pd.DataFrame":
    """Return the held-out error of each kind of memory figure; columns as in `stored_errors`."""
    return stored_errors("memory", "kind")


def interval(value: ArrayLike, kind: str) -> Interval:
    """Return the 80 % interval around an estimate of the given kind."""
    return stored_interval(value, "memory", kind)
