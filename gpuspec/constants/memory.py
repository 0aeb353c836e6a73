"""The memory that is neither weights nor states nor cache, each term named."""

from pydantic import BaseModel, ConfigDict, Field

from gpuspec.base.units import GIB


class MemoryTerms(BaseModel):
    """What a GPU spends besides the model's own bytes.

    `gpuspec.evidence.fits.memory_terms` returns the values fitted to published measurements;
    the defaults here are round numbers for a formula used on its own.
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
