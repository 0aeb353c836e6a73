"""A model in a format on GPUs of a kind, split in one way: the time that its kernels take."""

from collections.abc import Callable
from functools import cached_property
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, BeforeValidator, ConfigDict

from gpuspec.base.units import Floats, distinct
from gpuspec.catalog import Gpu
from gpuspec.catalog.models import Model
from gpuspec.catalog.precision import KV_PRECISIONS, QUANTIZABLE, WeightFormat
from gpuspec.constants.kernels import Kernels, kernels
from gpuspec.formulas.networks import all_reduce_seconds, all_to_all_seconds, point_to_point_seconds
from gpuspec.formulas.roofline import ExpertShape, experts_seconds, matmul_seconds
from gpuspec.formulas.serving import mixers
from gpuspec.formulas.serving.formats import Product, product_of
from gpuspec.formulas.transformer import Gemm, head_gemms, layer_halves, token_gemms

GRID = distinct(np.round(np.geomspace(1, 2**17, 120)))
"""Tokens of an iteration at which the products of a layer are computed; between, interpolated."""
DENSE_PARTS = ("matmul", "experts", "elementwise", "communication")
IMAGE_PATCHES = 4096
"""Patches of an image of a megapixel, 16 x 16 pixels each, of which a tower makes tokens."""


class Layout(BaseModel):
    """A model in a format, split over GPUs of a kind, and the time its kernels take.

    Arrays of load (tokens, sequences, context) broadcast; everything else is fixed here. Times of
    layers are sums over ``network.blocks``; a pipeline stage holds the mean of them, and as many
    layers as the longest stage.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    network: Model
    gpu: Gpu
    weight: Annotated[WeightFormat, BeforeValidator(WeightFormat.of)]
    kv_precision: str = "bf16"
    tp: int = 1
    pp: int = 1
    ep: int = 1
    """Experts are split over `ep` of the `tp` GPUs, the rest of `tp` splits each expert."""
    library: str = "tensorrt-llm"
    attention_dp: bool = False
    """Attention runs data-parallel over the `tp` GPUs (each with its own requests)."""
    image_tokens: float = 0.0
    """Tokens of a request's images."""
    images_per_token: float = 0.0
    """Images of a request over the tokens of its prompt."""

    @property
    def gpus(self) -> int:
        """Return the GPUs of one replica."""
        return self.tp * self.pp

    @cached_property
    def kernels(self) -> Kernels:
        """Return the calibrated kernels."""
        return kernels(self.gpu, self.library)

    @cached_property
    def inherited(self) -> bool:
        """Whether no timing of this GPU, or of such layers, formats and requests, is in the fit."""
        unlike = any(
            mixers.recurs(b) or b.index_topk or b.compress > 1 or b.cache != "own"
            for b in self.network.blocks
        )
        fp4 = any(self.product(part).compute == "fp4" for part in QUANTIZABLE)
        other = self.network.kind != "llm" or self.images_per_token > 0
        return self.kernels.inherited or unlike or fp4 or other

    @property
    def kv_bytes(self) -> float:
        """Bytes of an element of the cache."""
        return KV_PRECISIONS[self.kv_precision]

    def product(self, part: str) -> Product:
        """Return how most of the weights of a part are multiplied."""
        _, form = max(self.weight.formats(part), key=lambda one: one[0])
        return product_of(form, self.gpu)

    @cached_property
    def blocks(self) -> tuple[Model, ...]:
        """Groups of equal layers that a request passes: without an image none that reads one."""
        return tuple(b for b in self.network.blocks if b.cache != "image" or self.image_tokens)

    @property
    def stage_share(self) -> float:
        """Return the share of the layers that the longest pipeline stage holds."""
        return float(np.ceil(self.network.layers / self.pp) / self.network.layers)

    @property
    def stage_layers(self) -> float:
        """Return the layers of the longest stage; half of one has no mixer, or no MLP."""
        return self.stage_share * sum(layer_halves(block) * block.layers for block in self.blocks)

    @property
    def _attention_tp(self) -> int:
        return 1 if self.attention_dp else self.tp

    @cached_property
    def _dense(self) -> dict[str, Floats]:
        """Seconds of a stage's layers by part at every token count of `GRID`, mixers aside."""
        parts = {name: np.zeros(len(GRID)) for name in DENSE_PARTS}
        for block in self.blocks:
            for part, layers, matrices in token_gemms(block, self.tp, self._attention_tp):
                seconds = self._gemms(GRID, matrices, part)
                parts["matmul"] = parts["matmul"] + layers * self.stage_share * seconds
            if block.moe_layers:
                layers = block.moe_layers * self.stage_share
                parts["experts"] = parts["experts"] + layers * self._experts(block, GRID)
            layers = block.layers * self.stage_share
            parts["elementwise"] = parts["elementwise"] + layers * self._elementwise(block, GRID)
        parts["communication"] = self._communication(GRID)
        return parts

    def _gemms(self, tokens: Floats, shapes: list[Gemm], part: str) -> Floats:
        """Seconds of products with matrices of a part: the mean over the formats it is kept in."""
        n, k = (np.array(side, float) for side in zip(*shapes, strict=True))

        def of(how: Product) -> Floats:
            terms, rates = self.kernels.matmul(how.kernel), self.kernels.hardware(how.compute)
            sizes = how.weight_bytes, how.activation_bytes
            return matmul_seconds(tokens[:, None], n, k, rates, terms, *sizes).sum(axis=1)

        return self._over_formats(part, of)

    def _experts(self, block: Model, tokens: Floats) -> Floats:
        """Seconds of the routed experts of one layer."""
        shape = ExpertShape(
            block.expert_latent or block.hidden,
            block.expert_ffn,
            block.experts,
            block.active_experts,
            3 if block.gated_mlp else 2,
        )

        def of(how: Product) -> Floats:
            terms = self.kernels.experts("fp8" if how.kernel == "fp8" else "bf16")
            rates, split = self.kernels.hardware(how.compute), (self.tp / self.ep, self.ep)
            return experts_seconds(tokens, shape, rates, terms, *split, how.weight_bytes)

        return self._over_formats("experts", of)

    def _over_formats(self, part: str, seconds: Callable[[Product], Floats]) -> Floats:
        """Return the mean of the seconds of a part over the formats in which it is kept."""
        each = [(w, product_of(form, self.gpu)) for w, form in self.weight.formats(part)]
        return np.asarray(sum(share * seconds(how) for share, how in each))

    def _elementwise(self, block: Model, tokens: Floats) -> Floats:
        """Seconds of one layer's passes over vectors."""
        attends, recurs = mixers.attends(block), mixers.recurs(block)
        width = block.ffn if block.moe_layers < block.layers else 0
        heads = (block.heads + 2 * block.kv_heads) * block.head_dim / self._attention_tp
        gate = block.attention_gate / self._attention_tp
        scanned = (block.linear_in + 1.5 * block.linear_out) / self._attention_tp
        # Norms with residuals (3 reads or writes each, one before a mixer and one before an MLP),
        # rotary (2), gates (3), a recurrent mixer's convolution (2) and gated norm (3).
        norms = (block.mixer != "none") + bool(block.ffn or block.experts)
        vectors = 3 * norms * block.hidden + attends * (2 * heads + 3 * gate)
        vectors = vectors + recurs * 2 * scanned + 3 * width / self.tp
        rate = self.gpu.bandwidth_bytes_s * 0.7
        return np.asarray(tokens * vectors * 2 / rate)

    def _communication(self, tokens: Floats) -> Floats:
        """Seconds of a stage's exchanges: one after a layer's mixer, one after its MLP."""
        message, total = tokens * self.network.hidden * 2.0, np.zeros(len(tokens))
        if self.tp > 1:
            terms, link = self.kernels.collectives(self.tp)
            reduced = all_reduce_seconds(message, self.tp, link, terms)
            for block in self.blocks:
                feeds = bool(block.ffn or block.experts)
                each = (feeds + (block.mixer != "none")) * reduced
                if self.attention_dp:  # tokens go to where their experts are, and back
                    sent = message / self.tp * (block.active_experts or 1)
                    each = 2 * feeds * all_to_all_seconds(sent, self.tp, link, terms)
                total = total + each * block.layers * self.stage_share
        if self.pp > 1:
            terms, link = self.kernels.collectives(2)
            total = total + point_to_point_seconds(message, link, terms)
        return np.asarray(total)

    @cached_property
    def starts_seconds(self) -> float:
        """Seconds of a token step that collectives take however small their messages are."""
        return float(self._communication(np.array([1e-9]))[0])

    def dense_seconds(self, tokens: ArrayLike) -> dict[str, Floats]:
        """Seconds of a stage's layers without mixers for an iteration of `tokens`, by part."""
        log = np.log(np.maximum(np.asarray(tokens, float), 1.0))
        beyond = np.exp(np.maximum(log - np.log(GRID[-1]), 0.0))
        return {
            name: np.asarray(np.interp(log, np.log(GRID), seconds) * beyond)
            for name, seconds in self._dense.items()
        }

    @property
    def logits(self) -> int:
        """Return the scores of a sampled token; an encoder samples none."""
        return 0 if self.network.kind == "encoder" else self.network.vocab

    @cached_property
    def _head(self) -> Floats:
        if not self.logits:
            return np.zeros(len(GRID))
        return self._gemms(GRID, head_gemms(self.network, self.tp), "lm_head")

    def head_seconds(self, sampled: ArrayLike) -> Floats:
        """Seconds of the output projection for `sampled` positions."""
        log = np.log(np.maximum(np.asarray(sampled, float), 1.0))
        return np.asarray(np.interp(log, np.log(GRID), self._head))

    @property
    def grouped(self) -> bool:
        """Whether several queries share a key on each GPU."""
        return any(mixers.grouped(block) for block in self.blocks)

    @property
    def recurs(self) -> bool:
        """Whether some layers keep a recurrent state."""
        return any(mixers.recurs(block) for block in self.blocks)

    def _each(self, sequences: ArrayLike) -> Floats:
        """Return the sequences whose mixers one GPU computes."""
        return np.asarray(sequences, float) / (self.tp if self.attention_dp else 1)

    def decode_attention(
        self, sequences: ArrayLike, context: ArrayLike, tokens_each: ArrayLike = 1
    ) -> Floats:
        """Seconds of a stage's attention when each of `sequences` adds `tokens_each` tokens."""
        load = self._each(sequences), context, tokens_each, self.kv_bytes, self.image_tokens
        return self._mixing(mixers.attends, mixers.decode_attention, *load)

    def prefill_attention(
        self, sequences: ArrayLike, new_tokens: ArrayLike, past_tokens: ArrayLike = 0
    ) -> Floats:
        """Seconds of a stage's attention over `new_tokens` of each of `sequences`."""
        small = self.kv_bytes == 1 and self.product("attention").compute != "bf16"
        load = self._each(sequences), new_tokens, past_tokens, self.kv_bytes
        how = ("fp8" if small else "bf16"), self.image_tokens
        return self._mixing(mixers.attends, mixers.prefill_attention, *load, *how)

    def recurrence(self, sequences: ArrayLike, prompt_tokens: ArrayLike) -> Floats:
        """Seconds of a stage's recurrent states: `sequences` add a token each, prompts theirs."""
        each, read = self._each(sequences), self._each(prompt_tokens)
        one = self._mixing(mixers.recurs, mixers.decode_recurrence, each)
        many = self._mixing(mixers.recurs, mixers.prefill_recurrence, read)
        return np.asarray(np.where(each > 0, one, 0.0) + np.where(read > 0, many, 0.0))

    def _mixing(
        self, has: Callable[[Model], bool], seconds: Callable[..., Floats], *load: ArrayLike | str
    ) -> Floats:
        """Return a stage's sum over the blocks that have a kind of mixer."""
        each = [seconds(b, self.kernels, self._attention_tp, *load) for b in self.blocks if has(b)]
        return np.asarray(self.stage_share * sum(each, np.zeros(())))

    @cached_property
    def tower_seconds(self) -> float:
        """Seconds of one image in the tower, whose weights `tp` GPUs share, in 16 bits."""
        rates, terms = self.kernels.hardware("bf16"), self.kernels.matmul("bf16")
        flop = 2.0 * self.network.tower_params * IMAGE_PATCHES
        return flop / (rates.peak_flops * terms.peak_share) / self.tp
