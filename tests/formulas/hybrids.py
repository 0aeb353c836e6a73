"""Released networks whose layers differ, by hand, with what one token and one sequence leave."""

from typing import NamedTuple

from gpuspec.catalog.models import Model
from gpuspec.catalog.models.groups import LayerGroup


class Case(NamedTuple):
    """A network, and what its configuration says in 16 bits."""

    model: Model
    token_bytes: float
    """Cache of one token while no window is full."""
    bytes_128k: float
    """Cache of a sequence of 131,072 tokens."""
    state_elements: int


def group(layers, **fields):
    return LayerGroup(tuple(layers), tuple(sorted(fields.items())))


def _model(name, **fields):
    return Model(id=name, name=name, **fields)


QWEN = _model(
    "qwen3.5-27b", layers=64, hidden=5120, vocab=248_320, ffn=17_408, mixer="linear",
    linear_in=16_480, linear_out=6144, state_elements=48 * 128 * 128, conv_elements=4 * 10_240,
    max_context=262_144, tower_params=460_000_000, tower="vision", image_tokens=1024,
    groups=(
        group(range(3, 64, 4), mixer="attention", heads=24, kv_heads=4, head_dim=256,
              v_head_dim=256, attention_gate=6144, state_elements=0, conv_elements=0),
    ),
)  # fmt: skip

_PATTERN = "M-M-M-M*-" + 9 * "M-M-M-M-M*-" + "M-M-M-M-M-"
NEMOTRON = _model(
    "nemotron-h-56b", layers=118, hidden=8192, vocab=131_072, gated_mlp=False, mixer="none",
    ffn=32_768, norms_per_layer=1, max_context=8192,
    groups=(
        group([i for i, kind in enumerate(_PATTERN) if kind == "M"], mixer="linear", ffn=0,
              linear_in=37_120, linear_out=16_384, state_elements=256 * 64 * 256,
              conv_elements=4 * 20_480),
        group([i for i, kind in enumerate(_PATTERN) if kind == "*"], mixer="attention", ffn=0,
              heads=64, kv_heads=8, head_dim=128, v_head_dim=128),
    ),
)  # fmt: skip

DEEPSEEK = _model(
    "deepseek-v3.2", layers=61, hidden=7168, vocab=129_280, heads=128, kv_heads=128, head_dim=192,
    v_head_dim=128, q_lora_rank=1536, kv_lora_rank=512, qk_nope_head_dim=128, qk_rope_head_dim=64,
    index_heads=64, index_head_dim=128, index_topk=2048, ffn=18_432, dense_layers=3, experts=256,
    active_experts=8, expert_ffn=2048, shared_experts=1, shared_expert_ffn=2048,
    max_context=163_840,
)  # fmt: skip

GEMMA = _model(
    "gemma-4-31b", layers=60, hidden=5376, vocab=262_144, heads=32, kv_heads=16, head_dim=256,
    ffn=21_504, sliding_window=1024, tied_embeddings=True, norms_per_layer=4, max_context=262_144,
    groups=(
        group(range(5, 60, 6), kv_heads=4, head_dim=512, v_head_dim=512, sliding_window=0,
              values_are_keys=True),
    ),
)  # fmt: skip

MINIMAX = _model(
    "minimax-m3", layers=60, hidden=6144, vocab=200_064, heads=64, kv_heads=4, head_dim=128,
    experts=128, active_experts=4, expert_ffn=3072, shared_experts=1, shared_expert_ffn=3072,
    index_heads=4, index_head_dim=128, index_topk=2048, max_context=1_048_576,
    groups=(
        group(range(3), experts=0, active_experts=0, shared_experts=0, ffn=12_288, index_heads=0,
              index_head_dim=0, index_topk=0),
    ),
)  # fmt: skip

FALCON = _model(
    "falcon-h1", layers=32, hidden=4096, vocab=128_000, heads=32, kv_heads=8, head_dim=128,
    ffn=14_336, mixer="both", linear_in=2 * 1024 + 2 * 256 + 128, linear_out=1024,
    state_elements=128 * 8 * 256, conv_elements=4 * 1536, max_context=8192,
)  # fmt: skip

LLAMA_VISION = _model(
    "llama-3.2-90b-vision", layers=100, hidden=8192, vocab=128_256, heads=64, kv_heads=8,
    head_dim=128, ffn=28_672, max_context=131_072, tower_params=900_000_000, tower="vision",
    image_tokens=1601 * 4, groups=(group(range(3, 100, 5), cache="image"),),
)  # fmt: skip

COMPRESSED = _model(
    "compressed", layers=8, hidden=1024, vocab=32_000, heads=16, kv_heads=1, head_dim=128,
    ffn=4096, sliding_window=128, compress=4, index_heads=8, index_head_dim=64, index_topk=512,
    groups=(group(range(1, 8, 2), compress=128, index_heads=0, index_head_dim=0, index_topk=0),),
)  # fmt: skip

GIB = 2**30
CASES = (
    Case(QWEN, 65_536, 8.0 * GIB, 39_714_816),
    Case(NEMOTRON, 40_960, 5.0 * GIB, 230_916_096),
    Case(DEEPSEEK, 85_888, 85_888 * 131_072, 0),
    Case(GEMMA, 901_120, 10.78125 * GIB, 0),
    Case(MINIMAX, 122_880 + 57 * 256, (122_880 + 57 * 256) * 131_072, 0),
    Case(FALCON, 131_072, 16.0 * GIB, 8_585_216),
    Case(LLAMA_VISION, 327_680, 40.0 * GIB, 0),
)
