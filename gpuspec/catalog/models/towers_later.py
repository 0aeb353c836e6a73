"""Towers of 2026, as `towers` describes them: GLM, Inkling, Muse, Hunyuan 4, Gemma 4 12B."""

from gpuspec.catalog.models import tower_parts as parts
from gpuspec.catalog.models.reading import Config


def glm5_vision(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """GLM 5 next: an MLP of a stated width behind the tower of GLM-OCR."""
    return _glm_tower(vision, vision.count("projection_intermediate_size", default=10240))


def glm_ocr_vision(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """GLM-OCR: an MLP three times as wide as the tower's output behind it."""
    out = vision.count("out_hidden_size", default=1536)
    return _glm_tower(vision, out * vision.count("in_channels", default=3))


def _glm_tower(vision: Config, wide: int) -> tuple[int, int]:
    """Gated MLPs, norms of heads, a convolution that merges four patches, a gated MLP."""
    width, ffn = (
        vision.count("hidden_size", default=1024),
        vision.count("intermediate_size", default=4096),
    )
    patch, merge = (
        parts.side_of(vision, "patch_size", 14),
        vision.count("spatial_merge_size", default=2),
    )
    times, heads = (
        parts.side_of(vision, "temporal_patch_size", 2),
        vision.count("num_heads", "num_attention_heads", default=16),
    )
    out = vision.count("out_hidden_size", default=1536)
    biased = vision.flag("attention_bias", True)
    block = parts.block(width, ffn, biased, gated=True) + 2 * width + 2 * (width // heads)
    layers = vision.count("depth", "num_hidden_layers", default=24) * block
    merger = parts.linear(merge * merge * width, out) + out * out + 2 * out + 3 * out * wide
    patches = parts.patches(vision, width, patch, times) + width
    return patches + layers + width + merger, parts.merged(patch, merge)


def inkling2_vision(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """Inkling 2: a class token, scales on each half of a layer, two projections."""
    width, patch = vision.count("hidden_size", default=1024), vision.count("patch_size", default=20)
    ffn = vision.count("intermediate_size", default=int(width * vision.number("mlp_ratio", 4.0)))
    merge, grid = (
        vision.count("spatial_merge_size", default=2),
        vision.count("posemb_grid_size", default=32),
    )
    wide = vision.count("projection_hidden_dim", default=4096)
    layers = vision.count("num_hidden_layers", default=23) * (parts.block(width, ffn) + 6 * width)
    positions, bias = (grid * grid + 2) * width, vision.flag("projector_bias")
    connector = parts.linear(merge * merge * width, wide, bias) + parts.linear(wide, hidden, bias)
    total = parts.patches(vision, width, patch) + positions + 2 * width + layers + connector
    return total, parts.merged(patch, merge)


def muse_spark_towers(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """Muse Spark: layer norms, three projections; for sound a pyramid of convolutions."""
    width, ffn = (
        vision.count("hidden_size", default=1536),
        vision.count("intermediate_size", default=8960),
    )
    patch, merge = (
        vision.count("patch_size", default=14),
        vision.count("merge_size", default=2),
    )
    rows = vision.count("pos_emb_height", default=32) * vision.count("pos_emb_width", default=32)
    into = config.count("out_hidden_size", default=6144)
    wide = config.count("projector_hidden_size", default=4096)
    layers = vision.count("num_hidden_layers", default=50) * (parts.block(width, ffn) + 4 * width)
    patches = parts.patches(vision, width, patch, vision.count("patch_temporal", default=2))
    connector = into * wide + wide * wide + wide * hidden
    total = patches + rows * width + layers + 4 * width + connector
    audio = config.section("audio_config")
    total += _sound_pyramid(audio, hidden) if audio.values else 0
    return total, parts.merged(patch, merge)


def _sound_pyramid(audio: Config, hidden: int) -> int:
    """Parameters of stages that shorten a wave form, each with convolutions and MLPs."""
    widths = audio.items("hidden_sizes", int) or [256, 512, 1024, 2048]
    steps = audio.items("patch_sizes", int, len(widths)) or [16, 6, 5, 4]
    depths = audio.items("depths", int, len(widths)) or [2] * len(widths)
    ratio, kernel = audio.number("mlp_ratio", 4.0), audio.count("conv_kernel_size", default=7)
    if len(steps) != len(widths) or any(not 1 <= each <= 1_000_000 for each in widths + steps):
        raise audio.error("patch_sizes", steps, f"a whole number for each of {len(widths)} stages")
    total, before = 0, 1
    for width, step, depth in zip(widths, steps, depths, strict=True):
        ffn = int(ratio * width)
        block = (kernel + 1) * width + width + parts.linear(width, ffn) + parts.linear(ffn, width)
        total += parts.linear(before * step, width) + width + depth * block
        before = width
    return total + before + parts.linear(before, hidden) + hidden


def hy_v4_vision(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """Hunyuan 4: a table of positions, two convolutions that merge patches, a vector for rows."""
    width, ffn = (
        vision.count("hidden_size", default=1536),
        vision.count("intermediate_size", default=6144),
    )
    patch, merge = (
        vision.count("patch_size", default=16),
        vision.count("spatial_merge_size", default=2),
    )
    rows, out = (
        vision.count("max_image_size", default=2048) // patch,
        vision.count("out_hidden_size", default=hidden),
    )
    layers = vision.count("num_hidden_layers", default=40) * (parts.block(width, ffn) + 4 * width)
    wide = width * merge * merge
    merger = parts.linear(wide, wide) + parts.linear(wide, out) + out + width
    patches = parts.patches(vision, width, patch) + width
    return patches + (rows * rows + 1) * width + layers + merger, parts.merged(patch, merge)


def gemma4_unified_towers(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """Gemma 4 12B: no tower, patches and sound are projected with norms and positions."""
    side = vision.count("patch_size", default=16) * vision.count("pooling_kernel_size", default=3)
    wide, into = vision.count("mm_embed_dim", default=3840), 3 * side * side
    positions = 2 * vision.count("mm_posemb_size", default=1120) * wide
    total = 2 * into + parts.linear(into, wide) + 4 * wide + positions
    total += vision.count("output_proj_dims", default=3840) * hidden
    audio = config.section("audio_config")
    if audio.values:
        total += audio.count("audio_embed_dim", default=640) * hidden
    return total, parts.merged(side, 1)
