"""One replica: a model in a precision on GPUs of a kind, split in one way, under one engine."""

from functools import cached_property
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, BeforeValidator, ConfigDict

from gpuspec.base.units import MICRO, Floats
from gpuspec.catalog import Gpu
from gpuspec.catalog.models import Model
from gpuspec.catalog.models.record import NO_WINDOW
from gpuspec.catalog.precision import KV_PRECISIONS, Precision, WeightFormat
from gpuspec.constants.engine import EngineLimits, EngineTerms
from gpuspec.constants.kernels import Kernels, kernels
from gpuspec.constants.memory import MemoryTerms
from gpuspec.formulas.networks import all_reduce_seconds, all_to_all_seconds, point_to_point_seconds
from gpuspec.formulas.roofline import (
    ExpertShape,
    decode_attention_seconds,
    experts_seconds,
    matmul_seconds,
    prefill_attention_seconds,
)
from gpuspec.formulas.transformer import (
    Gemm,
    attention_gemms,
    every_token_mlps,
    head_gemms,
    kv_heads_per_gpu,
    mlp_gemms,
)

GRID = np.unique(np.round(np.geomspace(1, 2**17, 120)))
"""Tokens of an iteration at which the products of a layer are computed; between, interpolated."""
SOCKET_GPUS = 4
"""GPUs of a PCIe server that share a socket; eight are spread over two."""
DENSE_PARTS = ("matmul", "experts", "elementwise", "communication")
PARTS = (*DENSE_PARTS, "attention", "head", "engine")


def weight_format(weight: object) -> object:
    """Return a format by part; one format alone is taken by the parts that it quantizes."""
    return WeightFormat.of(weight) if isinstance(weight, Precision) else weight


def _compute(form: Precision, gpu: Gpu) -> str:
    """Return the precision whose kernels are calibrated: products in FP4 are not."""
    return "fp8" if form.native(gpu) == "fp8" else "bf16"


class Layout(BaseModel):
    """A model in a precision, split over GPUs of a kind, and the time its kernels take.

    Arrays of load (tokens, sequences, context) broadcast; everything else is fixed here.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    network: Model
    gpu: Gpu
    weight: Annotated[WeightFormat, BeforeValidator(weight_format)]
    kv_precision: str = "bf16"
    tp: int = 1
    pp: int = 1
    ep: int = 1
    """Experts are split over `ep` of the `tp` GPUs, the rest of `tp` splits each expert."""
    library: str = "tensorrt-llm"
    attention_dp: bool = False
    """Attention runs data-parallel over the `tp` GPUs (each with its own requests)."""

    @property
    def gpus(self) -> int:
        """Return the GPUs of one replica."""
        return self.tp * self.pp

    @cached_property
    def kernels(self) -> Kernels:
        """Return the calibrated kernels."""
        return kernels(self.gpu, self.library)

    @property
    def kv_bytes(self) -> float:
        """Bytes of an element of the cache."""
        return KV_PRECISIONS[self.kv_precision]

    @property
    def compute(self) -> str:
        """Precision in which the quantized products compute on this GPU."""
        return _compute(self.weight.main, self.gpu)

    @property
    def weight_only(self) -> bool:
        """Whether weights are stored smaller than the GPU computes with them."""
        return self.weight.quantized and self.compute == "bf16"

    def _kind(self, form: Precision) -> str:
        """Return the calibrated kernel that multiplies weights of a format."""
        if not form.quantized:
            return "bf16"
        if _compute(form, self.gpu) != "bf16":
            return "fp8"
        return "int8" if form.bits > 4 else "int4-awq"

    @cached_property
    def _dense(self) -> dict[str, Floats]:
        """Seconds of a stage's layers by part at every token count of `GRID`, attention aside."""
        parts = {name: np.zeros(len(GRID)) for name in DENSE_PARTS}
        model, tokens = self.network, GRID
        layers = self.stage_layers
        each = self._gemms(tokens, attention_gemms(model, self._attention_tp), "attention")
        for share, width in every_token_mlps(model):
            each = each + share * self._gemms(tokens, mlp_gemms(model, width, self.tp), "mlp")
        parts["matmul"] = each * layers
        if model.moe_layers:
            parts["experts"] = self._experts(tokens) * model.moe_layers / model.layers * layers
        parts["elementwise"] = self._elementwise(tokens) * layers
        parts["communication"] = self._communication(tokens)
        return parts

    @property
    def _attention_tp(self) -> int:
        return 1 if self.attention_dp else self.tp

    def _gemms(self, tokens: Floats, shapes: list[Gemm], part: str) -> Floats:
        n, k = (np.array(side, float) for side in zip(*shapes, strict=True))
        total = np.zeros(len(tokens))
        for share, form in self.weight.formats(part):
            compute = _compute(form, self.gpu)
            each = matmul_seconds(
                tokens[:, None],
                n,
                k,
                self.kernels.hardware(compute),
                self.kernels.matmul(self._kind(form)),
                form.bytes_per_weight,
                1.0 if compute == "fp8" else 2.0,
            )
            total = total + share * each.sum(axis=1)
        return np.asarray(total)

    def _experts(self, tokens: Floats) -> Floats:
        model = self.network
        shape = ExpertShape(
            model.hidden,
            model.expert_ffn,
            model.experts,
            model.active_experts,
            3 if model.gated_mlp else 2,
        )
        total = np.zeros(len(tokens))
        for share, form in self.weight.formats("experts"):
            kind = self._kind(form)
            total = total + share * experts_seconds(
                tokens,
                shape,
                self.kernels.hardware(_compute(form, self.gpu)),
                self.kernels.experts(kind if kind in ("bf16", "fp8") else "bf16"),
                self.tp / self.ep,
                self.ep,
                form.bytes_per_weight,
            )
        return np.asarray(total)

    def _elementwise(self, tokens: Floats) -> Floats:
        model, split = self.network, self.tp
        width = model.ffn if model.moe_layers < model.layers else 0
        heads = (model.heads + 2 * model.kv_heads) * model.head_dim / self._attention_tp
        # Two norms with residuals (3 reads or writes each), rotary (2), gate and activation (3).
        vectors = 6 * model.hidden + 2 * heads + 3 * width / split
        rate = self.gpu.bandwidth_bytes_s * 0.7
        return np.asarray(tokens * vectors * 2 / rate)

    def _communication(self, tokens: Floats) -> Floats:
        model = self.network
        layers = np.ceil(model.layers / self.pp)
        message = tokens * model.hidden * 2.0
        total = np.zeros(len(tokens))
        if self.tp > 1:
            terms, link = self.kernels.collectives(self.tp)
            if self.attention_dp:
                sent = message / self.tp * (model.active_experts or 1)
                each = 2 * all_to_all_seconds(sent, self.tp, link, terms)
            else:
                each = 2 * all_reduce_seconds(message, self.tp, link, terms)
            total = total + each * layers
        if self.pp > 1:
            terms, link = self.kernels.collectives(2)
            total = total + point_to_point_seconds(message, link, terms)
        return np.asarray(total)

    @cached_property
    def starts_seconds(self) -> float:
        """Seconds of a token step that collectives take however small their messages are."""
        return float(self._communication(np.array([1e-9]))[0])

    def dense_seconds(self, tokens: ArrayLike) -> dict[str, Floats]:
        """Seconds of a stage's layers without attention for an iteration of `tokens`, by part."""
        log = np.log(np.maximum(np.asarray(tokens, float), 1.0))
        beyond = np.exp(np.maximum(log - np.log(GRID[-1]), 0.0))
        return {
            name: np.asarray(np.interp(log, np.log(GRID), seconds) * beyond)
            for name, seconds in self._dense.items()
        }

    @cached_property
    def _head(self) -> Floats:
        return self._gemms(GRID, head_gemms(self.network, self.tp), "lm_head")

    def head_seconds(self, sampled: ArrayLike) -> Floats:
        """Seconds of the output projection for `sampled` positions."""
        log = np.log(np.maximum(np.asarray(sampled, float), 1.0))
        return np.asarray(np.interp(log, np.log(GRID), self._head))

    def _windows(self) -> tuple[Floats, Floats]:
        windows, counts = np.unique(self.network.layer_windows(), return_counts=True)
        share = np.ceil(self.network.layers / self.pp) / self.network.layers
        return windows.astype(float), counts * share

    @property
    def grouped(self) -> bool:
        """Whether several queries share a key on each GPU."""
        model = self.network
        return model.attention == "mla" or model.heads > model.kv_heads

    @property
    def stage_layers(self) -> float:
        """Return the layers of the fullest pipeline stage."""
        return float(np.ceil(self.network.layers / self.pp))

    def decode_attention(
        self, sequences: ArrayLike, context: ArrayLike, tokens_each: ArrayLike = 1
    ) -> Floats:
        """Seconds of a stage's attention when each of `sequences` adds `tokens_each` tokens."""
        model, tp = self.network, self._attention_tp
        each = np.asarray(sequences, float) / (self.tp if self.attention_dp else 1)
        heads, kv_heads = model.heads / tp, float(kv_heads_per_gpu(model.kv_heads, tp))
        width = (model.head_dim + model.v_head_dim) / 2
        if model.attention == "mla":  # one latent vector serves as key and value of every head
            latent, rope = model.kv_lora_rank, model.qk_rope_head_dim
            width, kv_heads = (latent + rope) / 2, 1.0
            heads = heads * (2 * latent + rope) / (latent + rope)
        kv = "fp8" if self.kv_bytes == 1 else "bf16"
        terms = self.kernels.decode_attention(kv, self.grouped)
        rates, total = self.kernels.hardware("bf16"), 0.0
        queries = heads * np.asarray(tokens_each, float)
        for window, layers in zip(*self._windows(), strict=True):
            seen = np.minimum(np.asarray(context, float), window)
            total = total + layers * decode_attention_seconds(
                each, seen, queries, kv_heads, width, rates, terms, self.kv_bytes
            )
        return np.asarray(total)

    def prefill_attention(
        self, sequences: ArrayLike, new_tokens: ArrayLike, past_tokens: ArrayLike = 0
    ) -> Floats:
        """Seconds of a stage's attention over `new_tokens` of each of `sequences`."""
        model, tp = self.network, self._attention_tp
        each = np.asarray(sequences, float) / (self.tp if self.attention_dp else 1)
        compute = "fp8" if self.kv_bytes == 1 and self.compute == "fp8" else "bf16"
        heads, kv_heads = model.heads / tp, float(kv_heads_per_gpu(model.kv_heads, tp))
        width, terms = (
            (model.head_dim + model.v_head_dim) / 2,
            self.kernels.prefill_attention(compute),
        )
        rates, total = self.kernels.hardware(compute), 0.0
        new, past = np.asarray(new_tokens, float), np.asarray(past_tokens, float)
        for window, layers in zip(*self._windows(), strict=True):
            if window < NO_WINDOW:  # each token sees at most the window: a band, not a triangle
                seen = np.minimum(new, window)
                before = np.minimum(past, window)
                one = prefill_attention_seconds(
                    each * new / seen,
                    seen,
                    heads,
                    kv_heads,
                    width,
                    rates,
                    terms,
                    np.where(new > window, window / 2, before),
                    self.kv_bytes,
                )
            else:
                one = prefill_attention_seconds(
                    each, new, heads, kv_heads, width, rates, terms, past, self.kv_bytes
                )
            total = total + layers * one
        return np.asarray(total)


class Deployment(BaseModel):
    """One replica: a `Layout` under an engine with its constants and settings."""

    model_config = ConfigDict(frozen=True)

    layout: Layout
    engine: EngineTerms = EngineTerms()
    limits: EngineLimits = EngineLimits()
    memory: MemoryTerms = MemoryTerms()

    @property
    def gpus(self) -> int:
        """Return the GPUs of one replica."""
        return self.layout.gpus

    @property
    def _collective_factors(self) -> tuple[float, float]:
        """Return the factors on the start of a collective and on its bytes' time."""
        group, terms = max(self.layout.tp, 2), self.engine
        if self.layout.kernels.over_nvlink(group):
            return terms.collective_start_factor, terms.collective_factor
        factor = terms.pcie_factor if group <= SOCKET_GPUS else terms.pcie_far_factor
        return factor, factor

    def iteration_parts(
        self,
        sequences: ArrayLike,
        context: ArrayLike,
        prefill_tokens: ArrayLike = 0,
        prefill_sequences: ArrayLike = 0,
        past_tokens: ArrayLike = 0,
        tokens_each: ArrayLike = 1,
    ) -> dict[str, Floats]:
        """Seconds of one token step of the whole replica, by part.

        Parameters
        ----------
        sequences, context : array_like
            Sequences that decode one token each, and their mean cached tokens.
        prefill_tokens, prefill_sequences, past_tokens : array_like
            Prompt tokens of each of some sequences in the same iteration, after `past_tokens`.
        tokens_each : array_like
            Tokens of each decoding sequence: 1, or those that speculation proposes plus one.

        Returns
        -------
        dict of arrays
            ``matmul``, ``experts``, ``elementwise``, ``communication``, ``attention``, ``head``,
            ``engine``. With pipeline stages each works on 1/pp of the batch, and a step takes
            pp of them.
        """
        layout, terms, pp = self.layout, self.engine, self.layout.pp
        b, new = np.asarray(sequences, float) / pp, np.asarray(prefill_tokens, float)
        prompts, each = np.asarray(prefill_sequences, float) / pp, np.asarray(tokens_each, float)
        parts = layout.dense_seconds(b * each + new * prompts)
        parts["matmul"] = parts["matmul"] * terms.matmul_factor
        fp8 = layout.compute == "fp8"
        parts["experts"] = parts["experts"] * (
            terms.expert_fp8_factor if fp8 else terms.expert_factor
        )
        parts["elementwise"] = parts["elementwise"] + layout.stage_layers * terms.layer_us * MICRO
        starts = np.minimum(layout.starts_seconds, parts["communication"])
        start_factor, factor = self._collective_factors
        parts["communication"] = starts * start_factor + (parts["communication"] - starts) * factor
        decoding = np.where(b > 0, layout.decode_attention(b, context, each), 0.0)
        factor = terms.grouped_factor if layout.grouped else terms.attention_factor
        prefill = layout.prefill_attention(
            np.maximum(prompts, 1e-9), np.maximum(new, 1), past_tokens
        )
        if layout.kv_bytes == 1:
            factor = factor * terms.fp8_cache_factor
        parts["attention"] = decoding * factor + np.where(prompts > 0, prefill, 0.0)
        sampled = b * each + prompts
        logits = sampled * layout.network.vocab * terms.logit_bytes / layout.gpu.bandwidth_bytes_s
        parts["head"] = layout.head_seconds(sampled) * terms.matmul_factor + logits
        host = terms.iteration_us / pp + terms.sequence_us * (b + prompts)
        parts["engine"] = np.asarray(host * MICRO)
        return {name: np.asarray(seconds * pp) for name, seconds in parts.items()}
