"""Low-rank adapters: the matrices of a layer that they are put on, and their parameters."""

from collections.abc import Sequence
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from gpuspec.catalog.models import Model
from gpuspec.catalog.precision import Precision
from gpuspec.formulas.memory.weights import lora_params
from gpuspec.formulas.transformer import mlp_width

Target = Literal["q", "k", "v", "o", "gate", "up", "down", "in_proj", "out_proj"]
TARGETS: tuple[Target, ...] = get_args(Target)
"""Every matrix of every layer."""
_FUSED = {"q": "qkv", "k": "qkv", "v": "qkv", "gate": "fc1", "up": "fc1"}
"""Projections of one input that are one matrix where a framework fuses them."""
Matrix = tuple[str, float, float]
"""Targets that mean a matrix, commas between, and the elements that it reads and writes."""


class Adapter(BaseModel):
    """Low-rank adapters on a frozen base (LoRA; QLoRA when `base` is a 4-bit format)."""

    model_config = ConfigDict(frozen=True)

    base: Precision
    rank: Annotated[int, Field(ge=1)] = 8
    targets: tuple[Target, ...] = ("q", "v")
    """Adapted matrices: of attention q, k, v, o, where a layer attends (under latent attention q
    is the whole query path, k or v the whole key-value path); of a recurrent mixer in_proj and
    out_proj; of a dense MLP, every routed and every shared expert gate, up and down."""
    fused: bool = False
    """Whether projections of one input share the first matrix of an adapter (Megatron-Core's
    ``linear_qkv`` and ``linear_fc1``); not under latent attention."""


def adapter_params(model: Model, adapter: Adapter) -> float:
    """Trainable parameters of LoRA on the named matrices of every layer that has them.

    References
    ----------
    Hu et al. 2021, arXiv:2106.09685: rank * (in + out) a matrix.

    >>> from gpuspec.catalog.models import model
    >>> from gpuspec.catalog.precision import precision
    >>> adapter_params(model("llama-2-7b"), Adapter(base=precision("bf16")))
    4194304.0
    """
    return sum(block.layers * sum(layer_adapters(block, adapter)) for block in model.blocks)


def layer_adapters(block: Model, adapter: Adapter) -> tuple[float, float]:
    """Trainable parameters in a mean layer of a block: what all tokens use, and routed experts."""
    fused = _FUSED if adapter.fused else {}
    if block.kv_lora_rank:
        fused = {name: one for name, one in fused.items() if one != "qkv"}

    def count(matrices: Sequence[Matrix]) -> float:
        shared: set[str] = set()
        total = 0.0
        for names, read, written in matrices:
            if set(names.split(",")).isdisjoint(adapter.targets):
                continue
            own = fused.get(names)
            total += float(lora_params(adapter.rank, 0.0 if own in shared else read, written))
            shared |= {own} if own else set()
        return total

    moe = block.moe_layers / block.layers
    mlp = (1 - moe) * count(_mlp(block, block.ffn)) if block.ffn else 0.0
    shared = moe * block.shared_experts * count(_mlp(block, block.shared_expert_ffn))
    routed = moe * block.experts * count(_mlp(block, block.expert_ffn, block.expert_latent))
    return count(_attention(block)) + count(_recurrent(block)) + mlp + shared, routed


def adapter_inputs(block: Model, adapter: Adapter) -> float:
    """Width of what the adapters of a mean layer read; projections of one input share it.

    >>> from gpuspec.catalog.models import model
    >>> from gpuspec.catalog.precision import precision
    >>> adapter_inputs(model("llama-2-7b"), Adapter(base=precision("bf16")))   # q and v
    4096.0
    """
    targets, attends = set(adapter.targets), block.mixer in ("attention", "both")
    recurs = block.mixer in ("linear", "both")
    read = [
        (targets & {"q", "k", "v"}, attends * block.hidden),
        (targets & {"o"}, attends * block.heads * block.v_head_dim),
        (targets & {"gate", "up"}, block.hidden),
        (targets & {"down"}, mlp_width(block)),
        (targets & {"in_proj"}, recurs * block.hidden),
        (targets & {"out_proj"}, recurs * block.linear_out),
    ]
    return float(sum(width for adapted, width in read if adapted))


def _attention(block: Model) -> list[Matrix]:
    if block.mixer not in ("attention", "both"):
        return []
    hidden, query = block.hidden, block.heads * block.head_dim
    output: Matrix = ("o", block.heads * block.v_head_dim, hidden)
    if block.kv_lora_rank:
        rank, latent = block.q_lora_rank, block.kv_lora_rank
        up = block.heads * (block.qk_nope_head_dim + block.v_head_dim)
        down = latent + block.qk_rope_head_dim
        path: list[Matrix] = [("q", hidden, rank), ("q", rank, query)]
        path = path if rank else [("q", hidden, query)]
        made: list[Matrix] = [] if block.cache == "shared" else [("k,v", hidden, down)]
        return [*path, *made, ("k,v", latent, up), output]
    matrices: list[Matrix] = [("q", hidden, query + block.attention_gate), output]
    if block.cache != "shared":
        matrices.append(("k", hidden, block.kv_heads * block.head_dim))
        if not block.values_are_keys:
            matrices.append(("v", hidden, block.kv_heads * block.v_head_dim))
    return matrices


def _recurrent(block: Model) -> list[Matrix]:
    if block.mixer not in ("linear", "both"):
        return []
    projections = ("in_proj", block.hidden, block.linear_in)
    return [projections, ("out_proj", block.linear_out, block.hidden)]


def _mlp(block: Model, width: float, latent: float = 0) -> list[Matrix]:
    hidden = latent or block.hidden
    matrices: list[Matrix] = [("up", hidden, width), ("down", width, hidden)]
    return [("gate", hidden, width), *matrices] if block.gated_mlp else matrices
