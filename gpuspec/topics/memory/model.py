"""What is understood of a model: its layers, parameters, cache, format and context."""

from functools import cached_property
from typing import Annotated, Any

from pydantic import Field

from gpuspec.base.ask import Ask, Was
from gpuspec.catalog.fields import Format, KvFormat, ModelName, Tokens, WeightsGb
from gpuspec.catalog.models import NO_WINDOW, Model, model
from gpuspec.catalog.models.formats import kv_format, weight_format
from gpuspec.catalog.precision import KV_PRECISIONS, WeightFormat
from gpuspec.formulas.memory import (
    sequence_kv_bytes,
    sequence_state_bytes,
    stage_weights_bytes,
)

FAR = 2**24
"""Tokens beyond every window, where a cache grows by what layers without one add."""
STEP = 2**14
USUAL_CONTEXT = 131_072


class ModelQuestion(Ask):
    """What a model is, as a name or a config.json says it."""

    model: Annotated[ModelName, Was("model_name")] = Field(
        "Llama-3.1-70B",
        description="Model: a name of the table (gpuspec list models), of a checkpoint of one of "
        "them, or the path of a config.json",
    )
    context: Tokens | None = Field(
        None, description="Tokens of the sequence whose cache is counted; blank: the longest"
    )
    weights: Format = Field("stored", description="Number format of the weights")
    weights_gb: WeightsGb | None = Field(
        None, description="Size of the weights, where it is known; it outranks the format"
    )
    kv: KvFormat = Field("stored", description="Number format of the key-value cache")

    @cached_property
    def network(self) -> Model:
        """The model's record."""
        return model(self.model)

    @cached_property
    def weight(self) -> WeightFormat:
        """The format of each part of the weights."""
        return weight_format(self.network, self.weights, self.weights_gb)


def description(question: ModelQuestion) -> dict[str, Any]:
    """Return what is understood of the model; keys as in ``docs/json.md``."""
    network = question.network
    context = question.context or network.max_context or USUAL_CONTEXT
    kv = kv_format(network, question.kv)
    each = KV_PRECISIONS[kv]

    def cache(tokens: float) -> float:
        if network.kind == "encoder":  # it reads a sequence once and keeps none of it
            return 0.0
        return float(sequence_kv_bytes(network, tokens, each, block_tokens=1))

    whole = float(stage_weights_bytes(network, question.weight))
    towers = network.tower_params * question.weight.bytes_each("towers")
    warnings = [*network.warnings]
    if network.max_context and context > network.max_context:
        warnings.append(f"the model's context ends at {network.max_context:,} tokens")
    return {
        "id": network.id,
        "name": network.name,
        "kind": network.kind,
        "family": network.family,
        "params_total": network.params + network.tower_params,
        "params_text": network.params,
        "params_active": network.params_active,
        "params_towers": network.tower_params,
        "params_mtp": network.mtp_params,
        "layers": layer_kinds(network),
        "hidden": network.hidden,
        "vocab": network.vocab,
        "kv_format": kv,
        "kv_bytes_per_token": (cache(FAR + STEP) - cache(FAR)) / STEP,
        "kv_bytes_per_token_in_windows": cache(1),
        "context": context,
        "cache_bytes_at_context": cache(context),
        "state_bytes_per_sequence": float(sequence_state_bytes(network)),
        "weights_bytes": whole - towers,
        "weights_bytes_towers": towers,
        "format": question.weight.words,
        "max_context": network.max_context,
        "image_tokens": network.image_tokens,
        "warnings": warnings,
        "notes": network.notes,
        "sources": list(network.sources),
    }


def layer_kinds(network: Model) -> dict[str, int]:
    """Return the number of layers of each kind, in words.

    >>> layer_kinds(model("gpt-oss-20b"))
    {'full attention, experts': 12, 'window of 128, experts': 12}
    """
    kinds: dict[str, int] = {}
    for block in network.blocks:
        windows, experts = block.layer_windows(), block.moe_mask()
        for window, routed in zip(windows.tolist(), experts.tolist(), strict=True):
            words = ", ".join(filter(None, (_mixer(block, window), _feed_forward(block, routed))))
            kinds[words or "feed-forward only"] = kinds.get(words or "feed-forward only", 0) + 1
    return dict(sorted(kinds.items()))


def _mixer(block: Model, window: int) -> str:
    words = []
    if block.mixer in ("attention", "both"):
        whole = "latent attention" if block.attention == "mla" else "full attention"
        words.append(whole if window == NO_WINDOW else f"window of {window:,}")
        if block.index_topk:
            words.append(f"{block.index_topk:,} tokens chosen")
        if block.compress > 1:
            words.append(f"the past by {block.compress:,}")
        if block.cache != "own":
            words.append(
                {"shared": "an earlier layer's cache", "image": "to the image"}[block.cache]
            )
    if block.mixer in ("linear", "both"):
        words.append("recurrent state")
    return " and ".join(words)


def _feed_forward(block: Model, routed: bool) -> str:
    if routed:
        return "experts"
    return "" if block.ffn else "no feed-forward"
