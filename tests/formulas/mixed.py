"""Networks whose layers differ: released ones, by hand from their configurations, and random."""

from hypothesis import strategies as st

from gpuspec.catalog.models import Model
from gpuspec.catalog.models.groups import grouped


def network(layers, /, **fields):
    """A model of a list of layers, each a dict of the columns in which it differs."""
    names = {name for layer in layers for name in layer}
    blank = {name: Model.model_fields[name].default for name in names}
    common, groups = grouped([blank | layer for layer in layers])
    return Model(**{**fields, **common, "layers": len(layers), "groups": groups})


_GATED_DELTA = {
    "mixer": "linear",
    "linear_in": 2 * 2048 + 2 * 6144 + 2 * 48,
    "linear_out": 6144,
    "linear_params": 10_240 * 4 + 2 * 48 + 128,
    "state_elements": 48 * 128 * 128,
    "conv_elements": 10_240 * 4,
}
_GATED_ATTENTION = {
    "heads": 24, "kv_heads": 4, "head_dim": 256, "v_head_dim": 256, "attention_gate": 6144,
    "qk_norm": "head",
}  # fmt: skip
QWEN = network(
    ([_GATED_DELTA] * 3 + [_GATED_ATTENTION]) * 16,
    id="qwen3.5-27b", name="Qwen3.5-27B", hidden=5120, ffn=17_408, vocab=248_320,
    max_context=262_144,
)  # fmt: skip
"""Three of four layers recur (gated delta rule), the fourth attends."""

_MAMBA = {
    "mixer": "linear",
    "linear_in": 2 * 16_384 + 2 * 8 * 256 + 256,
    "linear_out": 16_384,
    "linear_params": 20_480 * 5 + 3 * 256 + 16_384,
    "state_elements": 256 * 64 * 256,
    "conv_elements": 20_480 * 3,
}
_LAYERS = {
    "M": _MAMBA,
    "-": {"mixer": "none", "ffn": 32_768},
    "*": {"heads": 64, "kv_heads": 8, "head_dim": 128, "v_head_dim": 128},
}
NEMOTRON = network(
    [_LAYERS[kind] for kind in "M-M-M-M*-" + "M-M-M-M-M*-" * 9 + "M-M-M-M-M-"],
    id="nemotron-h-56b", name="Nemotron-H-56B", hidden=8192, vocab=131_072, norms_per_layer=1,
    gated_mlp=False, max_context=8192,
)  # fmt: skip
"""Each layer mixes tokens or is an MLP: Mamba-2, attention, MLP."""

SPARSE = Model(
    id="deepseek-v3.2", name="DeepSeek-V3.2", layers=61, hidden=7168, heads=128, kv_heads=128,
    head_dim=192, v_head_dim=128, ffn=18_432, vocab=129_280, max_context=163_840, experts=256,
    active_experts=8, shared_experts=1, expert_ffn=2048, shared_expert_ffn=2048, dense_layers=3,
    q_lora_rank=1536, kv_lora_rank=512, qk_rope_head_dim=64,
    qk_nope_head_dim=128, index_heads=64, index_head_dim=128, index_topk=2048,
    index_params=1536 * 64 * 128 + 7168 * (128 + 64) + 2 * 128,
)  # fmt: skip
"""Latent attention over tokens that an indexer chooses."""

_LOCAL = {"kv_heads": 16, "head_dim": 256, "v_head_dim": 256, "sliding_window": 1024}
_GLOBAL = {"kv_heads": 4, "head_dim": 512, "v_head_dim": 512, "values_are_keys": True}
GEMMA = network(
    ([_LOCAL] * 5 + [_GLOBAL]) * 10,
    id="gemma-4-31b", name="Gemma-4-31B", hidden=5376, heads=32, ffn=21_504, vocab=262_144,
    tied_embeddings=True, norms_per_layer=4, qk_norm="head", max_context=262_144,
)  # fmt: skip
"""Five of six layers see a window; the sixth has other heads, whose keys serve as values."""

EXACT = {
    QWEN: 26_895_998_464,
    NEMOTRON: 56_324_350_464,
    SPARSE: 671_877_929_216,
    GEMMA: 30_697_345_280,
}
"""Parameters of the language model, as transformers builds it."""

_HALF = {"norms_per_layer": 1}
_RECURS = {
    "mixer": "linear", "linear_in": 48, "linear_out": 24, "linear_params": 30,
    "state_elements": 200, "conv_elements": 60,
}  # fmt: skip
_ATTENDS = {"heads": 8, "kv_heads": 2, "head_dim": 8, "v_head_dim": 8}
_MLP = {"ffn": 64}
_EXPERTS = {"experts": 8, "active_experts": 2, "expert_ffn": 24}
_SHARED = {"shared_experts": 1, "shared_expert_ffn": 32, "shared_expert_gate": True}
KINDS = (
    _ATTENDS | _MLP,
    _ATTENDS | _MLP | {"sliding_window": 64, "kv_heads": 4, "head_dim": 4, "v_head_dim": 4},
    _ATTENDS | _EXPERTS | _SHARED,
    _ATTENDS | _EXPERTS | {"attention_gate": 64, "expert_latent": 16},
    _ATTENDS | _MLP | {"cache": "shared", "other_params": 7},
    _ATTENDS | _MLP | {"cache": "image"},
    _ATTENDS
    | _MLP
    | {"index_heads": 4, "index_head_dim": 8, "index_topk": 64, "index_params": 900},
    _ATTENDS | _MLP | {"compress": 4, "sliding_window": 32},
    _RECURS | _MLP,
    _RECURS | _EXPERTS,
    _RECURS | _HALF,
    _ATTENDS | _HALF,
    _MLP | _HALF | {"mixer": "none"},
    _ATTENDS | _RECURS | _MLP | {"mixer": "both"},
)
"""Kinds of layers, of widths that 8 GPUs divide."""


@st.composite
def networks(draw):
    """Networks of up to 12 layers of any kinds, not of attention alone."""
    lists = st.lists(st.sampled_from(KINDS), min_size=1, max_size=12)
    layers = draw(lists.filter(lambda layers: any(kind != _ATTENDS | _HALF for kind in layers)))
    return network(
        layers,
        id="random",
        name="Random",
        hidden=32,
        vocab=128,
        tied_embeddings=draw(st.booleans()),
        extra_params=draw(st.sampled_from((0, 1000))),
    )
