"""One question about serving, checked once."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.catalog import Gpu, gpu, gpu_ids
from gpuspec.catalog.models import Model, model
from gpuspec.catalog.precision import KV_PRECISIONS, Precision, precision
from gpuspec.constants.memory import MemoryTerms, memory_terms
from gpuspec.formulas.serving import Deployment, Engine, Layout, engine
from gpuspec.formulas.splits import expert_split

LENGTHS = (1, 10_000_000)
LIMITS = {  # name: (least, most)
    "isl": LENGTHS,
    "osl": LENGTHS,
    "concurrency": (1, 10_000_000),
    "max_gpus": (1, 64),
    "draft_tokens": (0, 32),
}
SHARES = ("cached_share", "acceptance")


class InferenceQuestion(BaseModel):
    """A checked question: which model, on which GPUs, under which load and limits."""

    model_config = ConfigDict(frozen=True)

    network: Model
    gpus: tuple[Gpu, ...]
    weights: tuple[Precision, ...]
    kv_precision: str
    isl: int
    osl: int
    concurrency: int
    request_rate: float
    """Requests a second that arrive at random, over all replicas; 0: `concurrency` in flight."""
    ttft_limit_s: float
    tpot_limit_s: float
    engine: Engine
    max_gpus: int
    cached_share: float
    draft_tokens: int
    acceptance: float
    memory: MemoryTerms

    @property
    def context(self) -> int:
        """Tokens of one request at its end: input and output."""
        return self.isl + self.osl

    def replica(
        self, device: Gpu, weight: Precision, tp: int, pp: int = 1, ep: int | None = None
    ) -> Deployment:
        """Return one replica of the model on `tp` x `pp` GPUs; `ep`: of them that share experts.

        Without `ep` whole experts are spread over all of `tp` where their number divides.
        """
        ep = expert_split(self.network, tp) if ep is None else ep
        layout = _layout(
            self.network, device, weight, self.kv_precision, tp, pp, ep, self.engine.library
        )
        return Deployment(
            layout=layout, engine=self.engine.terms, limits=self.engine.limits, memory=self.memory
        )


@lru_cache(2048)
def _layout(
    network: Model, device: Gpu, weight: Precision, kv: str, tp: int, pp: int, ep: int, library: str
) -> Layout:
    """Return a layout, the same one for the same question: it keeps what it has computed."""
    return Layout(
        network=network,
        gpu=device,
        weight=weight,
        kv_precision=kv,
        tp=tp,
        pp=pp,
        ep=ep,
        library=library,
    )


def inference_question(
    model_name: str | Path | Model,
    gpus: str | Sequence[str],
    weight_precision: str | Sequence[str] = "bf16",
    kv_precision: str = "bf16",
    isl: int = 2048,
    osl: int = 512,
    concurrency: int = 64,
    ttft_limit_s: float = 2.0,
    tpot_limit_s: float = 0.05,
    engine_name: str = "tensorrt-llm",
    max_gpus: int = 16,
    cached_share: float = 0.0,
    draft_tokens: int = 0,
    acceptance: float = 0.7,
    request_rate: float = 0.0,
    data: str | Path | None = None,
) -> InferenceQuestion:
    """Check every input once, and return the question that the tables answer.

    Parameters
    ----------
    model_name : str, Path or Model
        A name of the table of models, or the path of a Hugging Face ``config.json``.
    gpus, weight_precision : str or sequence of str
        Names separated by commas, as typed: ``"A100,H100,H200"``, ``"bf16,fp8"``.
    isl, osl : int
        Mean tokens of a prompt and of an answer.
    concurrency : int
        Requests always in flight, over all replicas.
    ttft_limit_s, tpot_limit_s : float
        Limits in seconds; 0 for none.
    max_gpus : int
        Largest number of GPUs of one replica that is tried.
    cached_share : float
        Share of the prompt's tokens found in the prefix cache.
    draft_tokens, acceptance : int, float
        Speculative decoding: tokens proposed a step (0: off), probability that one is right.
    request_rate : float
        Requests a second that arrive at random (Poisson), over all replicas. Given, the fleet
        is sized for it instead of `concurrency`, and the limits hold for 95 % of the requests.

    Raises
    ------
    InputError
        Names the field, the value and what is valid.
    """
    numbers = {
        "isl": isl,
        "osl": osl,
        "concurrency": concurrency,
        "max_gpus": max_gpus,
        "draft_tokens": draft_tokens,
    }
    for field, value in numbers.items():
        least, most = LIMITS[field]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise InputError(field, value, f"give a whole number from {least:,} to {most:,}")
    for field, share in zip(SHARES, (cached_share, acceptance), strict=True):
        if not 0 <= float(share) < 1:
            raise InputError(field, share, "give a share from 0 to less than 1")
    numbers_from_0 = {
        "ttft_limit_s": ttft_limit_s,
        "tpot_limit_s": tpot_limit_s,
        "request_rate": request_rate,
    }
    for field, limit in numbers_from_0.items():
        if not 0 <= float(limit) < float("inf"):
            raise InputError(field, limit, "give a number of at least 0 (0: none)")
    if request_rate and draft_tokens:
        valid = "0 with a request rate: queues are not modelled with speculation"
        raise InputError("draft_tokens", draft_tokens, valid)
    if kv_precision.lower() not in KV_PRECISIONS:
        raise UnknownNameError("kv_precision", kv_precision, KV_PRECISIONS)
    network = model_name if isinstance(model_name, Model) else model(model_name, data)
    network.need_llm("tokens per second")
    if network.max_context and isl + osl > network.max_context:
        valid = f"{network.name} ends at {network.max_context:,} tokens; isl + osl is {isl + osl:,}"
        raise InputError("isl", isl, valid)
    names = weight_precision.split(",") if isinstance(weight_precision, str) else weight_precision
    return InferenceQuestion(
        network=network,
        gpus=tuple(gpu(name, data) for name in gpu_ids(gpus, data)),
        weights=tuple(precision(name.strip(), data) for name in names),
        kv_precision=kv_precision.lower(),
        request_rate=float(request_rate),
        ttft_limit_s=float(ttft_limit_s),
        tpot_limit_s=float(tpot_limit_s),
        engine=engine(engine_name),
        cached_share=float(cached_share),
        acceptance=float(acceptance),
        memory=memory_terms(),
        **numbers,
    )
