"""One question about memory, checked once."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.catalog import Gpu, gpu, gpu_ids
from gpuspec.catalog.models import Model, model
from gpuspec.catalog.precision import KV_PRECISIONS, Precision, precision
from gpuspec.constants.memory import MemoryTerms
from gpuspec.evidence.fits import memory_terms
from gpuspec.formulas.serving import Deployment, Engine, Layout, engine

LIMITS = {  # name: (least, most)
    "isl": (1, 10_000_000),
    "osl": (1, 10_000_000),
    "concurrency": (1, 1_000_000),
    "training_seq_len": (1, 10_000_000),
    "micro_batch": (1, 65_536),
    "training_gpus": (1, 65_536),
    "lora_rank": (1, 4_096),
}


class MemoryQuestion(BaseModel):
    """A checked question: which model, on which GPUs, under which load."""

    model_config = ConfigDict(frozen=True)

    network: Model
    gpus: tuple[Gpu, ...]
    weight: Precision
    kv_precision: str
    isl: int
    osl: int
    concurrency: int
    gpu_memory_utilization: float
    engine: Engine
    training_seq_len: int
    micro_batch: int
    training_gpus: int
    lora_rank: int
    terms: MemoryTerms

    @property
    def context(self) -> int:
        """Tokens of one request at its end: input and output."""
        return self.isl + self.osl

    def replica(self, device: Gpu, tp: int = 1, pp: int = 1) -> Deployment:
        """Return the model on `tp` x `pp` GPUs under the engine."""
        limits = {"memory_share": self.gpu_memory_utilization}
        return Deployment(
            layout=Layout(
                network=self.network,
                gpu=device,
                weight=self.weight,
                kv_precision=self.kv_precision,
                tp=tp,
                pp=pp,
                library=self.engine.library,
            ),
            engine=self.engine.terms,
            limits=self.engine.limits.model_copy(update=limits),
            memory=self.terms,
        )


def memory_question(
    model_name: str | Path | Model,
    gpus: str | Sequence[str],
    weight_precision: str = "bf16",
    kv_precision: str = "bf16",
    isl: int = 4096,
    osl: int = 512,
    concurrency: int = 8,
    gpu_memory_utilization: float = 0.9,
    training_seq_len: int = 4096,
    micro_batch: int = 1,
    training_gpus: int = 8,
    lora_rank: int = 16,
    engine_name: str = "vllm",
    data: str | Path | None = None,
) -> MemoryQuestion:
    """Check every input once, and return the question that the tables below answer.

    Parameters
    ----------
    model_name : str, Path or Model
        A name of the table of models, or the path of a Hugging Face ``config.json``.
    gpus : str or sequence of str
        Names separated by commas, as typed: ``"A100,H100,H200"``.
    isl, osl, concurrency : int
        Tokens of a prompt, tokens of an answer, requests held at once.
    gpu_memory_utilization : float
        Share of the GPU's memory that the engine may take (vLLM: 0.9 unless set); under
        TensorRT-LLM, of what the loaded model leaves free.
    engine_name : str
        A name of ``data/engines.csv``: what it keeps besides the model and its cache.
    training_seq_len, micro_batch, training_gpus, lora_rank : int
        The training job: tokens a sequence, sequences at once on a GPU, GPUs, adapter rank.

    Raises
    ------
    InputError
        Names the field, the value and what is valid.
    """
    numbers = {
        "isl": isl,
        "osl": osl,
        "concurrency": concurrency,
        "training_seq_len": training_seq_len,
        "micro_batch": micro_batch,
        "training_gpus": training_gpus,
        "lora_rank": lora_rank,
    }
    for field, value in numbers.items():
        least, most = LIMITS[field]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise InputError(field, value, f"give a whole number from {least:,} to {most:,}")
    if not 0.1 <= float(gpu_memory_utilization) <= 1.0:
        raise InputError("gpu_memory_utilization", gpu_memory_utilization, "give 0.1 to 1.0")
    if kv_precision.lower() not in KV_PRECISIONS:
        raise UnknownNameError("kv_precision", kv_precision, KV_PRECISIONS)
    network = model_name if isinstance(model_name, Model) else model(model_name, data)
    network.need_llm("a key-value cache")
    return MemoryQuestion(
        network=network,
        gpus=tuple(gpu(name, data) for name in gpu_ids(gpus, data)),
        weight=precision(weight_precision, data),
        kv_precision=kv_precision.lower(),
        gpu_memory_utilization=float(gpu_memory_utilization),
        engine=engine(engine_name),
        terms=memory_terms(),
        **numbers,
    )
