"""What is asked about memory."""

from functools import cached_property
from typing import Annotated, Self

from pydantic import Field, model_validator

from gpuspec.base.ask import Range, Was
from gpuspec.catalog import Gpu
from gpuspec.catalog.fields import Batch, EngineName, Format, GpuCount, Rank, SequenceTokens
from gpuspec.catalog.models.formats import weight_format
from gpuspec.catalog.precision import WeightFormat
from gpuspec.constants.memory import MemoryTerms, memory_terms
from gpuspec.formulas.serving import Deployment, Engine, Layout, engine
from gpuspec.topics.shared import Compared, Traffic


class MemoryQuestion(Traffic, Compared):
    """What fits which GPUs."""

    weights: Annotated[Format, Was("weight_precision")] = Field(
        "stored",
        description="Number format of the weights: bf16, fp8, int8, int4, mxfp4, ...; stored: as "
        "the model's publisher stores them",
    )
    gpu_memory_utilization: Annotated[float, Range(0.1, 1)] = Field(
        0.9, description="Share of the GPU's memory that the engine may take (vLLM: 0.9 unless set)"
    )
    engine: Annotated[EngineName, Was("engine_name")] = Field(
        "vllm", description="Inference engine: what it keeps besides the model and its cache"
    )
    seq_len: Annotated[SequenceTokens, Was("training_seq_len")] = Field(
        4096, description="Training sequence"
    )
    micro_batch: Batch = Field(1, description="Training sequences processed at once on a GPU")
    training_gpus: GpuCount = Field(8, description="GPUs of the training job")
    lora_rank: Rank = Field(16, description="Rank of LoRA adapters")

    @model_validator(mode="after")
    def _has_a_cache(self) -> Self:
        self.network.need_layers("memory by layer")
        _ = self.weight  # says what is wrong with it
        return self

    @cached_property
    def weight(self) -> WeightFormat:
        """The format of each part of the weights."""
        return weight_format(self.network, self.weights, self.weights_gb)

    @cached_property
    def terms(self) -> MemoryTerms:
        """Fitted constants of memory."""
        return memory_terms()

    @cached_property
    def runtime(self) -> Engine:
        """The engine's record."""
        return engine(self.engine)

    def replica(self, device: Gpu, tp: int = 1, pp: int = 1) -> Deployment:
        """Return the model on `tp` x `pp` GPUs under the engine."""
        limits = {"memory_share": self.gpu_memory_utilization}
        return Deployment(
            layout=Layout(
                network=self.network,
                gpu=device,
                weight=self.weight,
                kv_precision=self.kv_format,
                tp=tp,
                pp=pp,
                library=self.runtime.library,
                image_tokens=float(self.image_tokens),
            ),
            engine=self.runtime.terms,
            limits=self.runtime.limits.model_copy(update=limits),
            memory=self.terms,
        )
