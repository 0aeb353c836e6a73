"""The `Model` record: the dimensions of one network, checked once when it is made."""

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from gpuspec.base.errors import InputError

NO_WINDOW = 2**62
"""Window of a layer that sees the whole context: ``np.minimum(context, window)`` is the context."""

_LLM_NEEDS = ("layers", "hidden", "heads", "kv_heads", "head_dim", "vocab")
_MLA_NEEDS = ("kv_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim")


def _not_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a whole number is needed, not true or false")
    return value


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(filter(None, map(str.strip, value.split("|"))))


Layers = Annotated[int, BeforeValidator(_not_bool), Field(ge=0, le=10_000)]
Width = Annotated[int, BeforeValidator(_not_bool), Field(ge=0, le=1_000_000)]
Vocabulary = Annotated[int, BeforeValidator(_not_bool), Field(ge=0, le=10_000_000)]
Tokens = Annotated[int, BeforeValidator(_not_bool), Field(ge=0, le=10**9)]
Parameters = Annotated[int, BeforeValidator(_not_bool), Field(ge=0, le=10**15)]
Words = Annotated[tuple[str, ...], BeforeValidator(_split)]


class Model(BaseModel):
    """One network: dimensions, published size and where the figures come from.

    A count of 0 means that the network has no such thing (no experts, no window, no MLA).
    Fields are described in ``docs/adding-a-model.md``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1)
    name: str = Field(min_length=1)
    aliases: Words = ()
    family: str = ""
    kind: Literal["llm", "diffusion"] = "llm"
    hf_id: str = ""

    layers: Layers = 0
    hidden: Width = 0
    heads: Width = 0
    kv_heads: Width = 0
    head_dim: Width = 0
    v_head_dim: Width = 0
    ffn: Vocabulary = 0
    gated_mlp: bool = True
    vocab: Vocabulary = 0
    tied_embeddings: bool = False
    position: Literal["rope", "learned", "alibi", "none"] = "rope"
    learned_positions: Vocabulary = 0
    max_context: Tokens = 0

    norm: Literal["rmsnorm", "layernorm"] = "rmsnorm"
    norm_bias: bool = False
    norms_per_layer: Layers = 2
    embedding_norm: bool = False
    qk_norm: Literal["none", "head", "full"] = "none"
    attention_bias: Literal["none", "qkv", "all"] = "none"
    attention_sinks: bool = False
    mlp_bias: bool = False
    lm_head_bias: bool = False
    parallel_block: bool = False

    experts: Width = 0
    active_experts: Width = 0
    shared_experts: Width = 0
    expert_ffn: Vocabulary = 0
    shared_expert_ffn: Vocabulary = 0
    shared_expert_gate: bool = False
    router_bias: bool = False
    dense_layers: Layers = 0
    moe_every: Layers = 1

    q_lora_rank: Width = 0
    kv_lora_rank: Width = 0
    qk_rope_head_dim: Width = 0
    qk_nope_head_dim: Width = 0

    sliding_window: Tokens = 0
    global_every: Layers = 0
    global_layers: tuple[int, ...] = ()

    params_total: Parameters = 0
    params_precision: Literal["exact", "rounded", "none"] = "none"
    params_active_published: Parameters = 0
    companion_params: Parameters = 0
    weight_precision_hint: Literal["fp8", "mxfp4", "nvfp4", "int8", "int4"] | None = None

    sources: Words = ()
    source_seen: str = ""
    confidence: Literal["high", "medium", "low"] = "medium"
    notes: str = ""

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise _input_error(error, fields) from None

    @model_validator(mode="before")
    @classmethod
    def _value_heads_default_to_key_heads(cls, fields: Any) -> Any:
        if isinstance(fields, dict) and not fields.get("v_head_dim"):
            return {**fields, "v_head_dim": fields.get("head_dim", 0)}
        return fields

    @model_validator(mode="after")
    def _dimensions_agree(self) -> "Model":
        if self.kind == "llm":
            _check_dense(self)
            _check_experts(self)
            _check_mla(self)
            _check_windows(self)
        elif not self.params_total:
            raise InputError("params_total", 0, "a diffusion model needs its parameter count")
        return self

    @property
    def attention(self) -> Literal["mha", "gqa", "mqa", "mla"]:
        """Return the kind of attention, which decides what a token leaves in the KV cache."""
        self.need_llm("attention")
        if self.kv_lora_rank:
            return "mla"
        if self.kv_heads == self.heads:
            return "mha"
        return "mqa" if self.kv_heads == 1 else "gqa"

    @property
    def kv_elements_per_token_per_layer(self) -> int:
        """Return the elements that one token adds to the cache of one layer.

        Keys and values of every KV head; under MLA the shared latent and the rotary key.
        """
        if self.attention == "mla":
            return self.kv_lora_rank + self.qk_rope_head_dim
        return self.kv_heads * (self.head_dim + self.v_head_dim)

    @property
    def moe_layers(self) -> int:
        """Return the number of layers whose feed-forward block is a mixture of experts."""
        return int(self.moe_mask().sum())

    @property
    def params(self) -> int:
        """Return the parameters counted from the dimensions; the published count for diffusion."""
        from gpuspec.catalog.models.params import parameter_parts

        return sum(parameter_parts(self).values())

    @property
    def params_active(self) -> int:
        """Return the parameters that one token uses, embedding table included."""
        from gpuspec.catalog.models.params import active_parameter_parts

        return sum(active_parameter_parts(self).values())

    @property
    def matmul_params_active(self) -> int:
        """Return the active parameters that multiply a token: 2 FLOP each, forward.

        Embedding look-ups, positions, norms are out; the output projection is in, tied or not.
        """
        from gpuspec.catalog.models.params import active_parameter_parts

        self.need_llm("a count of matrix products per token")
        parts = active_parameter_parts(self)
        blocks = sum(parts[name] for name in ("attention", "mlp", "experts", "router"))
        return blocks + self.hidden * self.vocab

    def moe_mask(self) -> NDArray[np.bool_]:
        """Return for every layer whether it is a mixture of experts, shape ``(layers,)``."""
        layer = np.arange(self.layers)
        periodic = (layer + 1) % self.moe_every == 0
        return (layer >= self.dense_layers) & periodic & (self.experts > 0)

    def layer_windows(self) -> NDArray[np.int64]:
        """Return the attention window of every layer in tokens, shape ``(layers,)``.

        A global layer has `NO_WINDOW`, so ``np.minimum(context, model.layer_windows())`` is
        what each layer sees. Chunked attention (Llama 4) counts as a window of one chunk.
        """
        self.need_llm("attention windows")
        windows = np.full(self.layers, self.sliding_window or NO_WINDOW, dtype=np.int64)
        windows[list(self.global_layers)] = NO_WINDOW
        if self.global_every:
            windows[self.global_every - 1 :: self.global_every] = NO_WINDOW
        return windows

    def need_llm(self, what: str) -> None:
        """Raise unless the model is a language model, the only kind that has `what`."""
        if self.kind != "llm":
            raise InputError("model", self.id, f"{what} exists for language models only")


def _check_dense(model: Model) -> None:
    for field in _LLM_NEEDS:
        if getattr(model, field) < 1:
            raise InputError(field, getattr(model, field), "a language model needs at least 1")
    if model.heads % model.kv_heads:
        raise InputError("kv_heads", model.kv_heads, f"it must divide the {model.heads} heads")
    if model.ffn < 1 and model.moe_layers < model.layers:
        raise InputError("ffn", model.ffn, "layers without experts need the width of their MLP")
    if model.position == "learned" and not model.learned_positions:
        raise InputError("learned_positions", 0, "learned positions need their number")


def _check_experts(model: Model) -> None:
    if model.moe_every < 1:
        raise InputError("moe_every", model.moe_every, "1 puts experts in every layer")
    if model.active_experts > model.experts or (model.experts and not model.active_experts):
        valid = f"a token uses 1 to {model.experts} of the {model.experts} routed experts"
        raise InputError("active_experts", model.active_experts, valid)
    if model.experts and not model.expert_ffn:
        raise InputError("expert_ffn", 0, "experts need the width of their MLP")
    if model.dense_layers > model.layers:
        valid = f"at most the {model.layers} layers there are"
        raise InputError("dense_layers", model.dense_layers, valid)


def _check_mla(model: Model) -> None:
    if not model.kv_lora_rank:
        return
    for field in _MLA_NEEDS:
        if getattr(model, field) < 1:
            raise InputError(field, getattr(model, field), "latent attention needs at least 1")
    if model.head_dim != model.qk_nope_head_dim + model.qk_rope_head_dim:
        valid = "under latent attention it is qk_nope_head_dim + qk_rope_head_dim"
        raise InputError("head_dim", model.head_dim, valid)


def _check_windows(model: Model) -> None:
    if any(not 0 <= layer < model.layers for layer in model.global_layers):
        valid = f"layer numbers from 0 to {model.layers - 1}"
        raise InputError("global_layers", model.global_layers, valid)


def _input_error(error: ValidationError, fields: dict[str, Any]) -> InputError:
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, InputError):
        return cause
    field = str(first["loc"][0]) if first["loc"] else "model"
    return InputError(field, fields.get(field), first["msg"].removeprefix("Value error, "))
