"""The `Model` record: the dimensions of one network, checked once when it is made."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from gpuspec.base.ask import said
from gpuspec.base.errors import InputError
from gpuspec.catalog.columns import Confidence, Figure, Flag, Integers, Matching, Named, column
from gpuspec.catalog.models.groups import Groups
from gpuspec.catalog.models.params import active_parameter_parts, parameter_parts

NO_WINDOW = 2**62
"""Window of a layer that sees the whole context: ``np.minimum(context, window)`` is the context."""

_LLM_NEEDS = ("layers", "hidden", "heads", "kv_heads", "head_dim", "vocab")
_HEADS = ("heads", "kv_heads", "head_dim")
_MLA_NEEDS = ("kv_lora_rank", "qk_nope_head_dim", "v_head_dim")


Layers = Annotated[int, Figure(0, 10_000, "layers")]
Heads = Annotated[int, Figure(0, 1_000_000, "heads")]
Experts = Annotated[int, Figure(0, 1_000_000, "experts")]
Width = Annotated[int, Figure(0, 1_000_000, "elements")]
Wide = Annotated[int, Figure(0, 10_000_000, "elements")]
Rows = Annotated[int, Figure(0, 10_000_000, "tokens")]
Tokens = Annotated[int, Figure(0, 10**9, "tokens")]
Parameters = Annotated[int, Figure(0, 10**15, "parameters")]
Elements = Annotated[int, Figure(0, 10**12, "elements")]
GB = Annotated[float, Figure(0, 10**6, "GB")]


class LayerColumns(BaseModel):
    """The columns of a layer: those in which a group of layers may differ from the rest."""

    model_config = ConfigDict(defer_build=True)

    heads: Heads = column("Query heads", 0)
    kv_heads: Heads = column("Key and value heads; under latent attention the query heads", 0)
    head_dim: Width = column(
        "Elements of a query or key head; under latent attention the rotary part included", 0
    )
    v_head_dim: Width = column("Elements of a value head where it is not head_dim", 0)
    ffn: Wide = column("Width of the dense MLP; empty where every layer has experts", 0)
    gated_mlp: Flag = column("Three matrices (gate, up, down) in an MLP, else two", True)
    norms_per_layer: Annotated[int, Figure(0, 10_000, "norms")] = column(
        "Norms of the hidden width in a layer", 2
    )
    mixer: Literal["attention", "linear", "both", "none"] = column(
        "What mixes tokens in a layer: attention, a recurrent state (linear attention, state "
        "space), both side by side, or nothing",
        "attention",
    )
    cache: Literal["own", "shared", "image"] = column(
        "Whose keys and values a layer's attention reads: its own, those that an earlier layer "
        "keeps, or those of an image (cross-attention: none grows with the text)",
        "own",
    )
    compress: Tokens = column(
        "Tokens of the past that one entry of the cache stands for; the window beside it is kept "
        "whole",
        1,
    )
    values_are_keys: Flag = column("Keys serve as values: no value projection", False)
    cached_once: Flag = column("One entry of the cache serves as key and as value", False)
    output_rank: Width = column(
        "Rank of the output projection of each group of heads; empty where it is one matrix", 0
    )
    output_groups: Heads = column("Groups of heads that the output projection takes apart", 0)
    attention_gate: Width = column(
        "Elements of a learned gate on the output of attention, computed from the layer's input", 0
    )
    index_heads: Heads = column("Sparse attention: heads of the indexer that chooses tokens", 0)
    index_head_dim: Width = column(
        "Sparse attention: elements of the index key that each token adds to the cache", 0
    )
    index_topk: Tokens = column("Sparse attention: tokens of the past that a query reads", 0)
    index_params: Parameters = column("Sparse attention: parameters of the layer's indexer", 0)
    linear_in: Wide = column("Recurrent mixer: elements projected from the layer's input", 0)
    linear_out: Wide = column("Recurrent mixer: elements that its output projection reads", 0)
    linear_params: Parameters = column(
        "Recurrent mixer: parameters beside the two projections (convolution, decays, norms)", 0
    )
    state_elements: Elements = column(
        "Recurrent mixer: elements of the state that a sequence keeps in the layer", 0
    )
    conv_elements: Elements = column(
        "Recurrent mixer: elements of the convolution's past that a sequence keeps in the layer", 0
    )
    qk_norm: Literal["none", "head", "full"] = column(
        "Norm of queries and keys: none, one weight a head dimension, or over all heads", "none"
    )
    attention_bias: Literal["none", "qkv", "all"] = column(
        "Which attention projections have a bias", "none"
    )
    attention_sinks: Flag = column("One learned sink a query head", False)
    mlp_bias: Flag = column("MLP matrices, experts too, have a bias", False)
    parallel_block: Flag = column(
        "Attention and MLP read the same input and are added together", False
    )
    experts: Experts = column("Routed experts in a layer that has them; empty for dense models", 0)
    active_experts: Experts = column("Routed experts that one token uses", 0)
    shared_experts: Experts = column("Experts that every token uses", 0)
    expert_ffn: Wide = column("Width of a routed expert", 0)
    shared_expert_ffn: Wide = column("Width of one shared expert", 0)
    shared_expert_gate: Flag = column("A learned gate scales the shared expert", False)
    router_bias: Flag = column("The router has one bias an expert", False)
    expert_latent: Width = column(
        "Width to which a token is projected before the routed experts, and from which after", 0
    )
    other_params: Parameters = column("Parameters of a layer that no other column describes", 0)
    q_lora_rank: Width = column(
        "Latent attention: rank of the query path; empty where it is one matrix", 0
    )
    kv_lora_rank: Width = column(
        "Latent attention: rank of the key-value path, which is what the cache holds", 0
    )
    qk_rope_head_dim: Width = column(
        "Latent attention: rotary elements of a head, cached once for all heads", 0
    )
    qk_nope_head_dim: Width = column("Latent attention: elements of a head without positions", 0)
    sliding_window: Tokens = column(
        "Tokens that a local layer sees (or its chunk); empty where all layers see everything",
        0,
    )


class Model(LayerColumns, Named):
    """One network: dimensions, published size and where the figures come from.

    A count of 0 means that the network has no such thing (no experts, no window, no MLA).
    Columns as in ``data/models.csv``; more of some of them in ``docs/adding-a-model.md``.

    The fields of a layer describe all layers, or those that `groups` does not describe otherwise:
    ``blocks`` are the groups of equal layers, each a model of its own layers alone, so that what
    holds for a network of equal layers is summed over them.
    """

    id: Annotated[str, Matching(r"[a-z0-9]+([.-][a-z0-9]+)*")] = column(
        "Canonical id: family-version-size"
    )
    name: str = column("Name as its publisher writes it", unique=True)
    family: str = column("Models that share an architecture or a publisher's series", "")
    kind: Literal["llm", "encoder", "encoder-decoder", "diffusion"] = column(
        "Language model (decoder), encoder (embeddings, classification), encoder with decoder, or "
        "image model by diffusion",
        "llm",
    )
    hf_id: str = column("Repository on Hugging Face", "")
    layers: Layers = column("Transformer layers", 0)
    hidden: Width = column("Width of the residual stream", 0)
    vocab: Rows = column("Rows of the embedding table, padding included", 0)
    head_vocab: Rows = column(
        "Rows of the output projection where it leaves out padding that the embedding table has", 0
    )
    tied_embeddings: Flag = column("The output projection is the embedding table", False)
    position: Literal["rope", "learned", "alibi", "none"] = column("How positions enter", "rope")
    learned_positions: Rows = column("Rows of a learned position table", 0)
    max_context: Tokens = column("Longest context of the published configuration", 0)
    norm: Literal["rmsnorm", "layernorm"] = column("Kind of normalisation", "rmsnorm")
    norm_bias: Flag = column("Norms have a bias beside their weight", False)
    embedding_norm: Flag = column("A norm follows the embedding", False)
    lm_head_bias: Flag = column("The output projection has a bias", False)
    dense_layers: Layers = column("Leading layers without experts", 0)
    moe_every: Layers = column("Every so many layers one has experts; 1 for all", 1)
    global_every: Layers = column(
        "The last of every so many layers sees everything; empty with a window: none does",
        0,
    )
    warnings: tuple[str, ...] = ()
    """Not a column: sentences about what was read with doubt, for every door to print."""
    global_layers: Integers = ()
    """Not a column: layers that see everything, where no period says which."""
    groups: Groups = column(
        "Groups of layers that differ from the columns: a JSON list of objects with the layers "
        '("0-2,5" or "3-59/4") and the columns that differ',
        (),
    )
    extra_params: Parameters = column(
        "Parameters of the language model outside its layers that no other column describes", 0
    )
    extra_lookup_params: Parameters = column(
        "Of them those in tables of which a token reads one row", 0
    )
    tower_params: Parameters = column(
        "Parameters of vision and audio towers with their connectors, not in the other counts", 0
    )
    tower: str = column("What the towers read: vision, audio", "")
    image_tokens: Tokens = column(
        "Tokens of the prompt that one image of about a megapixel becomes", 0
    )
    mtp_params: Parameters = column(
        "Parameters of layers that predict further tokens (MTP), not in the other counts", 0
    )
    params_total: Parameters = column(
        "As published, of the part that the dimensions describe unless the notes say otherwise",
        0,
    )
    params_precision: Literal["exact", "rounded", "none"] = column(
        "exact: published to the last digit; rounded: to the digits given; none: not published",
        "none",
    )
    params_active_published: Parameters = column("Parameters that one token uses, as published", 0)
    companion_params: Parameters = column(
        "Parameters of networks that run beside a diffusion model: text encoders, autoencoder", 0
    )
    stored: str = column(
        "Format of the published weights where it is not 16 bits: one of precisions.csv, or "
        "part=format pairs with | between them",
        "",
    )
    stored_kv: Literal["", "fp8", "int8"] = column(
        "Format of the key-value cache that the publisher prescribes, where one is", ""
    )
    stored_in: str = ""
    """Not a column: the file that says how weights are stored, where it is not the table."""
    weights_gb: GB = column("Size of the published weights, where it is known", 0.0)
    confidence: Confidence = column(
        "high: compared with a copy of the file or table named; medium: commonly stated values",
        "medium",
        stated=True,
    )

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise said(error) from None

    @model_validator(mode="before")
    @classmethod
    def _value_heads_default_to_key_heads(cls, fields: object) -> object:
        if isinstance(fields, dict) and not fields.get("v_head_dim"):
            return {**fields, "v_head_dim": fields.get("head_dim", 0)}
        return fields

    @model_validator(mode="after")
    def _dimensions_agree(self) -> "Model":
        if self.kind == "diffusion":
            if not self.params_total:
                raise InputError("params_total", 0, "a diffusion model needs its parameter count")
        elif self.groups:
            _check_groups(self)
            self.blocks  # noqa: B018 checks each
        else:
            _check_dense(self)
            _check_experts(self)
            _check_mla(self)
            _check_windows(self)
            if self.norms_per_layer > 1 and self.ffn < 1 and self.moe_layers < self.layers:
                valid = "layers without experts need the width of their MLP, unless of one norm"
                raise InputError("ffn", self.ffn, valid)
        return self

    @property
    def blocks(self) -> tuple[Self, ...]:
        """Return the groups of layers, each as a model of its own layers alone.

        The model itself where no group differs. Sizes, FLOP and bytes of the layers are sums over
        them; what lies outside the layers (embedding, head, towers) is the model's own.
        """
        # A model that kept itself in its own dictionary could not be compared with another.
        return self.group_blocks if self.groups else (self,)

    @cached_property
    def group_blocks(self) -> tuple[Self, ...]:
        """Return `blocks` of a model whose layers differ; they are made once."""
        rest = set(range(self.layers)).difference(*(group.layers for group in self.groups))
        blocks = [(len(group.layers), dict(group.fields)) for group in self.groups]
        blocks += [(len(rest), {})] if rest else []
        whole = {name: getattr(self, name) for name in type(self).model_fields} | {"groups": ()}
        return tuple(
            type(self).model_validate(whole | fields | {"layers": count})
            for count, fields in blocks
        )

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> "Model":
        """Return a copy with some fields changed; `blocks` are made again."""
        copied = super().model_copy(update=update, deep=deep)
        copied.__dict__.pop("group_blocks", None)
        return copied

    def by_layer(self, each: Callable[[Self], float | NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return for every layer, in order, what `each` says of its block, shape ``(layers,)``.

        `each` returns one number, or one for each layer of the block.

        Layers of a network without groups may still differ by ``moe_mask`` and ``layer_windows``.
        """
        places = [np.array(group.layers) for group in self.groups]
        rest = np.setdiff1d(np.arange(self.layers), np.concatenate([[], *places]))
        places += [rest] if rest.size else []
        values = np.zeros(self.layers)
        for block, place in zip(self.blocks, places, strict=True):
            values[place] = each(block)
        return values

    @property
    def doubts(self) -> str:
        """Return what is not surely understood of the network, in one sentence; empty for none."""
        return f"{self.name}: {'; '.join(self.warnings)}." if self.warnings else ""

    @property
    def attention(self) -> Literal["mha", "gqa", "mqa", "mla", "none"]:
        """Return the kind of attention, which decides what a token leaves in the KV cache."""
        self.need_layers("attention")
        if self.mixer in ("linear", "none"):
            return "none"
        if self.kv_lora_rank:
            return "mla"
        if self.kv_heads == self.heads:
            return "mha"
        return "mqa" if self.kv_heads == 1 else "gqa"

    @property
    def kv_elements_per_token_per_layer(self) -> int:
        """Return the elements that one token adds to the cache of one layer of a block.

        Keys and values of every KV head; under MLA the shared latent and the rotary key. Index
        keys (`index_head_dim`) are not in it. Layers without a cache of their own add none.
        """
        if self.attention == "none" or self.cache != "own":
            return 0
        if self.attention == "mla":
            return self.kv_lora_rank + self.qk_rope_head_dim
        return self.kv_heads * (self.head_dim + (0 if self.cached_once else self.v_head_dim))

    @property
    def kv_elements_per_token(self) -> float:
        """Return the elements that one token adds to the cache of all layers, windows not full."""
        return sum(
            block.layers
            * (block.kv_elements_per_token_per_layer + block.index_head_dim)
            / max(block.compress, 1)
            for block in self.blocks
        )

    @property
    def moe_layers(self) -> int:
        """Return the number of layers whose feed-forward block is a mixture of experts."""
        return sum(int(block.moe_mask().sum()) for block in self.blocks)

    @property
    def params(self) -> int:
        """Return the parameters counted from the dimensions; the published count for diffusion.

        Of the language model: towers and MTP layers are `tower_params` and `mtp_params`.
        """
        return sum(parameter_parts(self).values())

    @property
    def params_active(self) -> int:
        """Return the parameters that one token uses, embedding table included."""
        return sum(active_parameter_parts(self).values())

    @property
    def matmul_params_active(self) -> int:
        """Return the active parameters that multiply a token: 2 FLOP each, forward.

        Embedding look-ups, positions, norms are out; the output projection is in, tied or not.
        """
        self.need_layers("a count of matrix products per token")
        parts = active_parameter_parts(self)
        names = ("attention", "linear", "mlp", "experts", "shared_experts", "router")
        head = self.hidden * (self.head_vocab or self.vocab) if self.kind == "llm" else 0
        extra = self.extra_params - self.extra_lookup_params
        return sum(parts[name] for name in names) + head + extra

    def moe_mask(self) -> NDArray[np.bool_]:
        """Return for every layer of a block whether it is a mixture of experts."""
        layer = np.arange(self.layers)
        periodic = (layer + 1) % self.moe_every == 0
        return (layer >= self.dense_layers) & periodic & (self.experts > 0)

    def layer_windows(self) -> NDArray[np.int64]:
        """Return the attention window of every layer in tokens, shape ``(layers,)``.

        A global layer has `NO_WINDOW`, so ``np.minimum(context, model.layer_windows())`` is
        what each layer sees. Chunked attention (Llama 4) counts as a window of one chunk.
        """
        self.need_layers("attention windows")
        if self.groups:
            by_layer = self.by_layer(lambda block: block.sliding_window or NO_WINDOW)
            return by_layer.astype(np.int64)
        windows = np.full(self.layers, self.sliding_window or NO_WINDOW, dtype=np.int64)
        windows[list(self.global_layers)] = NO_WINDOW
        if self.global_every:
            windows[self.global_every - 1 :: self.global_every] = NO_WINDOW
        return windows

    def need_layers(self, what: str) -> None:
        """Raise for a network whose layers are not described: an image model by diffusion."""
        if self.kind == "diffusion":
            raise InputError("model", self.id, f"{what} exists for language models only")

    def need_llm(self, what: str) -> None:
        """Raise unless the model is a language model, the only kind that has `what`."""
        if self.kind != "llm":
            raise InputError("model", self.id, f"{what} exists for language models only")


def _check_groups(model: Model) -> None:
    """The patterns of a network of equal layers do not mix with groups that say it by layer."""
    for field in ("dense_layers", "global_every", "global_layers"):
        if getattr(model, field):
            raise InputError(field, getattr(model, field), "groups say which layers differ")
    if model.moe_every != 1:
        raise InputError("moe_every", model.moe_every, "groups say which layers have experts")
    layers = [layer for group in model.groups for layer in group.layers]
    if len(set(layers)) < len(layers) or any(layer >= model.layers for layer in layers):
        valid = f"each of the layers 0 to {model.layers - 1} stands in one group at most"
        raise InputError("groups", "layers", valid)
    unknown = {n for g in model.groups for n, _ in g.fields} - LayerColumns.model_fields.keys()
    if unknown:
        raise InputError("groups", ", ".join(sorted(unknown)), "only columns of a layer differ")


def _check_dense(model: Model) -> None:
    attends = model.mixer in ("attention", "both")
    for field in _LLM_NEEDS:
        if getattr(model, field) < 1 and (attends or field not in _HEADS):
            raise InputError(field, getattr(model, field), "a language model needs at least 1")
    if attends and model.heads % model.kv_heads:
        raise InputError("kv_heads", model.kv_heads, f"it must divide the {model.heads} heads")
    if model.mixer in ("linear", "both") and not (model.linear_in and model.linear_out):
        raise InputError("linear_in", model.linear_in, "a recurrent mixer needs its projections")
    if model.compress < 1:
        raise InputError("compress", model.compress, "1 keeps every token")
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
