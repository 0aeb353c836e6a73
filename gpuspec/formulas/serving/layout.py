"""A model in a format on GPUs of a kind, split in one way: the time that its kernels take."""

from collections.abc import Callable
from functools import cached_property
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, BeforeValidator, ConfigDict

from gpuspec.base.units import NODE_GPUS, Floats, distinct
from gpuspec.catalog import Gpu
from gpuspec.catalog.models import Model
from gpuspec.catalog.precision import KV_PRECISIONS, WeightFormat
from gpuspec.constants.fabrics import fabric
from gpuspec.constants.kernels import Kernels, kernels, nvlink_island
from gpuspec.constants.links import Fabric
from gpuspec.formulas.networks import (
    all_reduce_seconds,
    all_to_all_seconds,
    collective_seconds,
    point_to_point_seconds,
)
from gpuspec.formulas.roofline import (
    ExpertShape,
    experts_seconds,
    experts_touched,
    matmul_seconds,
)
from gpuspec.formulas.serving import mixers
from gpuspec.formulas.serving.formats import Product, product_of
from gpuspec.formulas.transformer import Gemm, head_gemms, layer_halves, token_gemms

GRID = distinct(np.round(np.geomspace(1, 2**17, 120)))
"""Tokens of an iteration at which the products of a layer are computed; between, interpolated."""
DENSE_PARTS = ("matmul", "experts", "elementwise", "communication")
MIXERS = ("attention", "linear")
"""Parts of the weights that mix tokens."""
FINE_EXPERTS = 64
"""Experts of a layer from which on they are small, as in DeepSeek-V3 and Qwen3, whose FP8 has a
scale for each block; few large ones (Mixtral, Llama 4) have one for each tensor or channel."""
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
    attention_dp: int = 1
    """Groups among the `tp` GPUs whose attention works on requests of its own; 1: all share them,
    `tp`: every GPU has its own."""
    node_gb_s: float | None = None
    """Network of a node in one direction, GB/s; None: the reference design of the GPU."""
    network_kind: str = "infiniband"
    image_tokens: float = 0.0
    """Tokens of a request's images."""
    images_per_token: float = 0.0
    """Images of a request over the tokens of its prompt."""

    @property
    def gpus(self) -> int:
        """Return the GPUs of one replica."""
        return self.tp * self.pp

    @property
    def attention_tp(self) -> int:
        """Return the GPUs that share the attention of a request."""
        return self.tp // self.attention_dp

    @cached_property
    def node_gpus(self) -> int:
        """Return the GPUs of a node."""
        return max(NODE_GPUS, nvlink_island(self.gpu.id, self.gpu.form_factor))

    @property
    def nodes(self) -> int:
        """Return the nodes of one replica."""
        return -(-self.gpus // self.node_gpus)

    @cached_property
    def fabric(self) -> Fabric:
        """Return what joins the GPUs of several nodes."""
        return fabric(self.gpu, self.node_gb_s, self.network_kind, self.node_gpus)

    @cached_property
    def kernels(self) -> Kernels:
        """Return the calibrated kernels."""
        return kernels(self.gpu, self.library)

    @cached_property
    def inherited(self) -> bool:
        """Whether no timing of this GPU, or of such layers and requests, is in the fit."""
        unlike = any(
            mixers.recurs(b) or b.index_topk or b.compress > 1 or b.cache != "own"
            for b in self.network.blocks
        )
        other = self.network.kind != "llm" or self.images_per_token > 0
        far = self.tp > self.node_gpus
        return self.kernels.inherited or unlike or other or far

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

    @cached_property
    def stage_share(self) -> float:
        """Return the share of the layers that the longest pipeline stage holds."""
        return float(np.ceil(self.network.layers / self.pp) / self.network.layers)

    @cached_property
    def stage_layers(self) -> float:
        """Return the layers of the longest stage; half of one has no mixer, or no MLP."""
        return self.stage_share * sum(layer_halves(block) * block.layers for block in self.blocks)

    @cached_property
    def stage_expert_layers(self) -> float:
        """Return the layers of the longest stage whose MLP is a mixture of experts."""
        return self.stage_share * sum(block.moe_layers for block in self.blocks)

    @cached_property
    def _dense(self) -> dict[str, Floats]:
        """Seconds of a stage's layers by part at every token count of `GRID`, mixers aside."""
        parts = {name: np.zeros(len(GRID)) for name in DENSE_PARTS}
        for block in self.blocks:
            if block.moe_layers:
                layers = block.moe_layers * self.stage_share
                parts["experts"] = parts["experts"] + layers * self._experts(block, GRID)
            width = block.ffn if block.moe_layers < block.layers else 0
            passes = self._passes(GRID, 3 * width / self.tp)
            layers = block.layers * self.stage_share
            parts["elementwise"] = parts["elementwise"] + layers * passes
        parts["matmul"] = self._products(own=False)
        parts["communication"] = self._communication(GRID)
        return {name: without_steps(seconds) for name, seconds in parts.items()}

    @cached_property
    def _own(self) -> dict[str, Floats]:
        """Seconds of what each group of attention does with its own tokens, at those of `GRID`."""
        passes = np.zeros(len(GRID))
        for block in self.blocks:
            layers = block.layers * self.stage_share
            passes = passes + layers * self._passes(GRID, self._vectors(block))
        return {"matmul": without_steps(self._products(own=True)), "elementwise": passes}

    @cached_property
    def _together(self) -> dict[str, Floats]:
        """Seconds of both where all GPUs share the tokens."""
        none = np.zeros(len(GRID))
        return {name: seconds + self._own.get(name, none) for name, seconds in self._dense.items()}

    def _products(self, own: bool) -> Floats:
        """Seconds of a stage's products with weights that mix tokens (`own`), or do not."""
        total = np.zeros(len(GRID))
        for block in self.blocks:
            for part, layers, matrices in token_gemms(block, self.tp, self.attention_tp):
                if (part in MIXERS) == own:
                    total = total + layers * self.stage_share * self._gemms(GRID, matrices, part)
        return total

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
            fine = how.kernel == "fp8" and block.experts >= FINE_EXPERTS
            terms = self.kernels.experts("fp8-block" if fine else how.kernel)
            rates, split = self.kernels.hardware(how.compute), (self.tp / self.ep, self.ep)
            return experts_seconds(tokens, shape, rates, terms, *split, how.weight_bytes)

        return self._over_formats("experts", of)

    def _over_formats(self, part: str, seconds: Callable[[Product], Floats]) -> Floats:
        """Return the mean of the seconds of a part over the formats in which it is kept."""
        each = [(w, product_of(form, self.gpu)) for w, form in self.weight.formats(part)]
        return np.asarray(sum(share * seconds(how) for share, how in each))

    def _vectors(self, block: Model) -> float:
        """Elements of a token that one layer reads or writes around its mixer, norms included."""
        attends, recurs = mixers.attends(block), mixers.recurs(block)
        heads = (block.heads + 2 * block.kv_heads) * block.head_dim / self.attention_tp
        gate = block.attention_gate / self.attention_tp
        scanned = (block.linear_in + 1.5 * block.linear_out) / self.attention_tp
        # Norms with residuals (3 reads or writes each, one before a mixer and one before an MLP),
        # rotary (2), gates (3), a recurrent mixer's convolution (2) and gated norm (3).
        norms = (block.mixer != "none") + bool(block.ffn or block.experts)
        vectors = 3 * norms * block.hidden + attends * (2 * heads + 3 * gate)
        return float(vectors + recurs * 2 * scanned)

    def _passes(self, tokens: Floats, vectors: float) -> Floats:
        """Seconds of passes over vectors of so many elements a token."""
        return np.asarray(tokens * vectors * 2 / (self.gpu.bandwidth_bytes_s * 0.7))

    def _communication(self, tokens: Floats) -> Floats:
        """Seconds of a stage's exchanges: one after a layer's mixer, one around its MLP."""
        message, total = tokens * self.network.hidden * 2.0, np.zeros(len(tokens))
        if self.tp > 1:
            each = message / self.attention_dp
            mixed = self._all_reduce(each, self.attention_tp)
            fed = self._all_reduce(message, self.tp)
            for block in self.blocks:
                passed = (block.mixer != "none") * mixed
                if block.ffn or block.experts:
                    passed = passed + self._fed(block, message, fed)
                total = total + passed * block.layers * self.stage_share
        if self.pp > 1:
            total = total + self._handed_on(message / self.attention_dp)
        return np.asarray(total)

    def _fed(self, block: Model, message: Floats, reduced: Floats) -> Floats:
        """Seconds of the exchanges around the MLP of one layer, the mean over its layers.

        Where GPUs share all tokens the MLP ends in an all-reduce. Where groups have their own, all
        tokens are gathered before and scattered after it, which together is an all-reduce
        (`reduced`); or they travel to the GPUs that hold their experts, one copy for each, and
        back. The faster counts.
        """
        if self.attention_dp == 1 or self.ep == 1 or not block.moe_layers:
            return reduced
        holders = experts_touched(block.active_experts, self.ep, 1)
        sent = message / self.tp * holders * (self.tp / self.ep)
        routed = np.minimum(reduced, 2 * self._all_to_all(sent, self.tp))
        sparse = block.moe_layers / block.layers
        return np.asarray(sparse * routed + (1 - sparse) * reduced)

    def _all_reduce(self, message: Floats, gpus: int) -> Floats:
        """Seconds of an all-reduce: the engine's own in a node, NCCL's between nodes."""
        if gpus > self.node_gpus:
            nodes = gpus / self.node_gpus
            return collective_seconds("all_reduce", message, self.fabric, self.node_gpus, nodes)
        terms, link = self.kernels.collectives(gpus)
        return all_reduce_seconds(message, gpus, link, terms)

    def _all_to_all(self, sent: Floats, gpus: int) -> Floats:
        if gpus > self.node_gpus:
            nodes = gpus / self.node_gpus
            return collective_seconds("all_to_all", sent, self.fabric, self.node_gpus, nodes)
        terms, link = self.kernels.collectives(gpus)
        return all_to_all_seconds(sent, gpus, link, terms)

    def _handed_on(self, message: Floats) -> Floats:
        """Seconds to the next stage of a pipeline: the mean of those in a node and between."""
        terms, link = self.kernels.collectives(2)
        inside = point_to_point_seconds(message, link, terms)
        if self.nodes == 1:
            return inside
        across = collective_seconds("point_to_point", message, self.fabric, nodes=2)
        share = min((self.nodes - 1) / (self.pp - 1), 1.0)
        return np.asarray(share * across + (1 - share) * inside)

    @cached_property
    def starts_seconds(self) -> float:
        """Seconds of a token step that collectives take however small their messages are."""
        return float(self._communication(np.array([1e-9]))[0])

    def dense_seconds(
        self, tokens: ArrayLike, own_tokens: ArrayLike | None = None
    ) -> dict[str, Floats]:
        """Seconds of a stage's layers without mixers for an iteration of `tokens`, by part.

        `own_tokens` are those of the busiest group of attention; an equal share unless given.
        """
        if self.attention_dp == 1:
            return _between(self._together, tokens)
        own = np.asarray(tokens) / self.attention_dp if own_tokens is None else own_tokens
        parts = _between(self._dense, tokens)
        for name, seconds in _between(self._own, own).items():
            parts[name] = parts[name] + seconds
        return parts

    @property
    def logits(self) -> int:
        """Return the scores of a sampled token; an encoder samples none."""
        return 0 if self.network.kind == "encoder" else self.network.vocab

    @cached_property
    def _head(self) -> Floats:
        if not self.logits:
            return np.zeros(len(GRID))
        return without_steps(self._gemms(GRID, head_gemms(self.network, self.tp), "lm_head"))

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

    def own(self, sequences: ArrayLike) -> Floats:
        """Return the sequences of the busiest group of attention: an equal share, or one whole."""
        n = np.asarray(sequences, float)
        return np.maximum(n / self.attention_dp, np.minimum(n, 1.0))

    def decode_attention(
        self, sequences: ArrayLike, context: ArrayLike, tokens_each: ArrayLike = 1
    ) -> Floats:
        """Seconds of a stage's attention when each of `sequences` adds `tokens_each` tokens."""
        load = self.own(sequences), context, tokens_each, self.kv_bytes, self.image_tokens
        return self._mixing(mixers.attends, mixers.decode_attention, *load)

    def prefill_attention(
        self, sequences: ArrayLike, new_tokens: ArrayLike, past_tokens: ArrayLike = 0
    ) -> Floats:
        """Seconds of a stage's attention over `new_tokens` of each of `sequences`."""
        small = self.kv_bytes == 1 and self.product("attention").compute != "bf16"
        load = self.own(sequences), new_tokens, past_tokens, self.kv_bytes
        how = ("fp8" if small else "bf16"), self.image_tokens
        return self._mixing(mixers.attends, mixers.prefill_attention, *load, *how)

    def recurrence(self, sequences: ArrayLike, prompt_tokens: ArrayLike) -> Floats:
        """Seconds of a stage's recurrent states: `sequences` add a token each, prompts theirs."""
        each, read = self.own(sequences), self.own(prompt_tokens)
        one = self._mixing(mixers.recurs, mixers.decode_recurrence, each)
        many = self._mixing(mixers.recurs, mixers.prefill_recurrence, read)
        return np.asarray(np.where(each > 0, one, 0.0) + np.where(read > 0, many, 0.0))

    def _mixing(
        self, has: Callable[[Model], bool], seconds: Callable[..., Floats], *load: ArrayLike | str
    ) -> Floats:
        """Return a stage's sum over the blocks that have a kind of mixer."""
        each = [seconds(b, self.kernels, self.attention_tp, *load) for b in self.blocks if has(b)]
        return np.asarray(self.stage_share * sum(each, np.zeros(())))

    @cached_property
    def tower_seconds(self) -> float:
        """Seconds of one image in the tower, whose weights `tp` GPUs share, in 16 bits."""
        rates, terms = self.kernels.hardware("bf16"), self.kernels.matmul("bf16")
        flop = 2.0 * self.network.tower_params * IMAGE_PATCHES
        return flop / (rates.peak_flops * terms.peak_share) / self.tp


def without_steps(seconds: Floats) -> Floats:
    """Return seconds at the tokens of `GRID` without the steps of whole tiles.

    Iterations of a load differ in size, experts in their tokens, so that steps average out: midway
    between the curve that a step starts from and the one that it leads to. More tokens then never
    take less time, nor more time each.
    """
    each = seconds / GRID
    below = np.minimum.accumulate(each)
    above = np.maximum.accumulate(each[::-1])[::-1]
    return np.asarray(np.maximum.accumulate(np.sqrt(below * above) * GRID))


def _between(tables: dict[str, Floats], tokens: ArrayLike) -> dict[str, Floats]:
    """Return tables over `GRID` at numbers of tokens; beyond it they grow with them."""
    log = np.log(np.maximum(np.asarray(tokens, float), 1.0))
    beyond = np.exp(np.maximum(log - np.log(GRID[-1]), 0.0))
    return {
        name: np.asarray(np.interp(log, np.log(GRID), seconds) * beyond)
        if seconds.any()
        else np.zeros(log.shape)
        for name, seconds in tables.items()
    }
