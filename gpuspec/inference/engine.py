"""What an inference engine adds to its kernels: the few constants of its scheduler."""

from pydantic import Field

from gpuspec.roofline import Terms


class EngineTerms(Terms):
    """Constants of an engine and its era, fitted to published end-to-end measurements."""

    iteration_us: float = Field(300.0, ge=0.0, le=20_000.0)
    """Scheduling, launching and sampling of one iteration that is not hidden behind the GPU."""
    sequence_us: float = Field(1.0, ge=0.0, le=60.0)
    """More for each sequence of the iteration (sampling, bookkeeping, streaming)."""
    layer_us: float = Field(10.0, ge=0.0, le=100.0)
    """Small kernels of a layer: norms, residuals, rotary, activation."""
    matmul_factor: float = Field(1.0, ge=0.7, le=2.0)
    """Time of the products over that of the calibrated kernels."""
    attention_factor: float = Field(1.0, ge=0.6, le=3.0)
    """Time of attention over that of the calibrated kernels."""
    expert_factor: float = Field(1.0, ge=0.5, le=3.0)
    """Time of the experts over that of the calibrated kernels."""
    collective_factor: float = Field(1.0, ge=0.3, le=4.0)
    """Time of the collectives over that of the calibrated ones; less where they are hidden."""
    occupancy: float = Field(0.95, ge=0.5, le=1.0)
    """Mean share of the possible sequences that are in flight at full load."""


class EngineLimits(Terms):
    """Settings that bound a batch: not fitted, but what the engine documents."""

    max_sequences: float = Field(2048, ge=1, le=65_536)
    """Most sequences of one iteration (vLLM: ``max_num_seqs``; TensorRT-LLM: max batch size)."""
    max_tokens: float = Field(8192, ge=1, le=1_000_000)
    """Most tokens of one iteration (``max_num_batched_tokens``, ``max_num_tokens``)."""
    memory_share: float = Field(0.9, ge=0.1, le=1.0)
    """Share of memory: of the total (vLLM) or of what is free after loading (TensorRT-LLM)."""
