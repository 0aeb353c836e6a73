"""Towers that turn images into tokens of the prompt: their parameters, with the connector.

One function a tower, from the section ``vision_config`` to a count and the tokens of an image of
1,024 x 1,024. Sizes that a file leaves out are those of the tower's own code.
"""

from collections.abc import Callable

from gpuspec.catalog.models import tower_parts as parts
from gpuspec.catalog.models import towers_later as later
from gpuspec.catalog.models.reading import Config

Tower = Callable[[Config, Config, int], tuple[int, int]]


def qwen2_vision(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """Qwen2-VL: layer norms, an MLP of a ratio, a merger of four patches into one token."""
    width, patch = vision.count("embed_dim", default=1280), vision.count("patch_size", default=14)
    ffn = round(width * vision.number("mlp_ratio", 4.0))
    merge = vision.count("spatial_merge_size", default=2)
    wide, out = width * merge * merge, vision.count("hidden_size", default=hidden)
    times = vision.count("temporal_patch_size", default=2)
    layers = vision.count("depth", default=32) * (parts.block(width, ffn) + 4 * width)
    merger = 2 * width + parts.linear(wide, wide) + parts.linear(wide, out)
    return parts.patches(vision, width, patch, times) + layers + merger, parts.merged(patch, merge)


def qwen2_5_vision(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """Qwen2.5-VL: as before with gated MLPs and norms without a bias."""
    width = vision.count("hidden_size", default=3584)
    patch, merge = (
        vision.count("patch_size", "spatial_patch_size", default=14),
        vision.count("spatial_merge_size", default=2),
    )
    ffn = vision.count("intermediate_size", default=3420)
    wide, out = width * merge * merge, vision.count("out_hidden_size", default=hidden)
    times = vision.count("temporal_patch_size", default=2)
    layers = vision.count("depth", default=32) * (parts.block(width, ffn, gated=True) + 2 * width)
    merger = width + parts.linear(wide, wide) + parts.linear(wide, out)
    return parts.patches(vision, width, patch, times) + layers + merger, parts.merged(patch, merge)


def qwen3_vision(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """Qwen3-VL: a table of positions; further mergers feed the first layers of the text model."""
    width, patch = vision.count("hidden_size", default=1152), vision.count("patch_size", default=16)
    merge, ffn = (
        vision.count("spatial_merge_size", default=2),
        vision.count("intermediate_size", default=4304),
    )
    wide, out = width * merge * merge, vision.count("out_hidden_size", default=hidden)
    deep = len(vision.items("deepstack_visual_indexes", int))
    times = vision.count("temporal_patch_size", default=2)
    layers = vision.count("depth", default=27) * (parts.block(width, ffn) + 4 * width)
    mlp = parts.linear(wide, wide) + parts.linear(wide, out)
    positions = vision.count("num_position_embeddings", default=2304) * width
    mergers = mlp + 2 * width + deep * (mlp + 2 * wide)
    patches = parts.patches(vision, width, patch, times) + width
    return patches + positions + layers + mergers, parts.merged(patch, merge)


def _siglip(vision: Config, head: bool) -> tuple[int, int]:
    """Return the parameters of a SigLIP tower, and its patches; `head`: with a pooling head."""
    width, ffn = (
        vision.count("hidden_size", default=768),
        vision.count("intermediate_size", default=3072),
    )
    patch, side = (
        vision.count("patch_size", default=16),
        vision.count("image_size", default=224),
    )
    patches = (side // patch) ** 2
    layers = vision.count("num_hidden_layers", default=12) * (parts.block(width, ffn) + 4 * width)
    total = parts.patches(vision, width, patch) + width + patches * width + layers + 2 * width
    if head:
        total += width + parts.block(width, ffn) + 2 * width
    return total, patches


def siglip_gemma(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """Gemma 3: SigLIP, pooled to 256 tokens, one projection."""
    total, _ = _siglip(vision, vision.flag("vision_use_head", True))
    width = vision.count("hidden_size", default=768)
    return total + width * hidden + width, config.count("mm_tokens_per_image", default=256)


def siglip_paligemma(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """PaliGemma: SigLIP without a head, one projection with a bias."""
    total, patches = _siglip(vision, vision.flag("vision_use_head", True))
    return total + parts.linear(vision.count("hidden_size", default=768), hidden), patches


def pixtral(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """Pixtral in Mistral Small 3.1 and Devstral: norms and gated MLPs without biases."""
    width, patch = vision.count("hidden_size", default=1024), vision.count("patch_size", default=16)
    ffn, merge = (
        vision.count("intermediate_size", default=4096),
        config.count("spatial_merge_size", default=2),
    )
    depth = vision.count("num_hidden_layers", default=24)
    layers = depth * (parts.block(width, ffn, biases=False, gated=True) + 2 * width)
    bias = config.flag("multimodal_projector_bias")
    connector = width + merge * merge * width * width
    connector += parts.linear(width, hidden, bias) + parts.linear(hidden, hidden, bias)
    return parts.patches(vision, width, patch) + width + layers + connector, parts.merged(
        patch, merge
    )


def clip(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """LLaVA: CLIP with a class token and two projections, or SigLIP in later ones.

    Where an image is cut into a grid, a learned vector ends each of its rows.
    """
    kind = vision.text("model_type", "clip_vision_model")
    if kind not in ("clip_vision_model", "siglip_vision_model", "pixtral"):
        raise vision.error("model_type", kind, "CLIP, SigLIP and Pixtral are read in this place")
    if kind == "pixtral":
        return _llava_pixtral(vision, hidden)
    siglip = kind == "siglip_vision_model"
    width = vision.count("hidden_size", default=768 if siglip else 1024)
    projector = parts.linear(width, hidden) + parts.linear(hidden, hidden)
    config.read.add("image_grid_pinpoints")
    if "image_grid_pinpoints" in config:
        projector += hidden
    if siglip:
        total, patches = _siglip(vision, vision.flag("vision_use_head", True))
        return total + projector, patches
    patch, side = vision.count("patch_size", default=14), vision.count("image_size", default=336)
    patches = (side // patch) ** 2
    ffn = vision.count("intermediate_size", default=4096)
    depth = vision.count("num_hidden_layers", default=24)
    layers = depth * (parts.block(width, ffn) + 4 * width)
    positions = (patches + 1) * width + width
    total = parts.patches(vision, width, patch) + positions + layers + 4 * width
    return total + projector, patches


def _llava_pixtral(vision: Config, hidden: int) -> tuple[int, int]:
    """Pixtral 12B: no merging of patches, two projections with biases."""
    width, patch = vision.count("hidden_size", default=1024), vision.count("patch_size", default=16)
    ffn = vision.count("intermediate_size", default=4096)
    depth = vision.count("num_hidden_layers", default=24)
    layers = depth * (parts.block(width, ffn, biases=False, gated=True) + 2 * width)
    total = parts.patches(vision, width, patch) + width + layers
    return total + parts.linear(width, hidden) + parts.linear(hidden, hidden), parts.merged(
        patch, 1
    )


def intern_vision(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """InternVL: a tower with a scale on each half of a layer, patches shuffled four into one."""
    width = vision.count("hidden_size", default=1024)
    ffn = vision.count("intermediate_size", default=4096)
    patch, side = parts.side_of(vision, "patch_size", 14), parts.side_of(vision, "image_size", 448)
    patches = (side // patch) ** 2
    biased = vision.flag("qkv_bias", vision.flag("attention_bias"))
    norms = (2 if vision.text("norm_type", "layer_norm") == "layer_norm" else 1) * 2 * width
    norms += 2 * width * vision.flag("use_qk_norm", vision.flag("qk_normalization"))
    block = parts.block(width, ffn) - (0 if biased else 3 * width) + norms + 2 * width
    layers = vision.count("num_hidden_layers", default=24) * block
    wide = 4 * width
    projector = 2 * wide + parts.linear(wide, hidden) + parts.linear(hidden, hidden)
    total = parts.patches(vision, width, patch) + width + (patches + 2) * width + layers
    return total + projector, 10 * patches // 4


def llama4_vision(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """Llama 4: tiles of an image, patches shuffled four into one, one projection."""
    width, ffn = (
        vision.count("hidden_size", default=768),
        vision.count("intermediate_size", default=5632),
    )
    patch, side = vision.count("patch_size", default=14), vision.count("image_size", default=448)
    patches = (side // patch) ** 2
    into = vision.count("projector_input_dim", default=4096)
    out = vision.count("projector_output_dim", default=4096)
    depth = vision.count("num_hidden_layers", default=34)
    layers = depth * (parts.block(width, ffn) + 4 * width)
    total = parts.patches(vision, width, patch) + (patches + 2) * width + 4 * width + layers
    total += ffn * into + out * out + vision.count("vision_output_dim", default=7680) * hidden
    tiles = (parts.SIDE // side) ** 2 + 1
    return total, tiles * patches // 4


def moonvit(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """Kimi K2.5: MoonViT with a table of positions, four patches merged by two projections."""
    width = vision.count("hidden_size", "vt_hidden_size", default=1152)
    ffn = vision.count("intermediate_size", "vt_intermediate_size", default=4304)
    depth = vision.count("num_hidden_layers", "vt_num_hidden_layers", default=27)
    patch, rows = (
        vision.count("patch_size", default=14),
        vision.count("init_pos_emb_height", "pos_emb_height", default=64),
    )
    layers = depth * (parts.block(width, ffn) + 4 * width)
    positions = rows * vision.count("init_pos_emb_width", "pos_emb_width", default=64) * width
    wide = 4 * width
    connector = 2 * width + parts.linear(wide, wide) + parts.linear(wide, hidden)
    patches = parts.patches(vision, width, patch) + width
    return patches + positions + layers + 2 * width + connector, parts.merged(patch, 2)


def gemma4_vision(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """Gemma 4: gated MLPs, four norms a layer, positions for both directions, one projection."""
    width, ffn = (
        vision.count("hidden_size", default=768),
        vision.count("intermediate_size", default=3072),
    )
    heads, dim = (
        vision.count("num_attention_heads", default=12),
        vision.count("head_dim", default=64),
    )
    patch = vision.count("patch_size", default=16)
    attention = 4 * width * heads * dim + 2 * dim
    layers = vision.count("num_hidden_layers", default=16)
    layers *= attention + 3 * width * ffn + 4 * width
    positions = 2 * vision.count("position_embedding_size", default=10240) * width
    tokens = config.count("vision_soft_tokens_per_image", default=280)
    return 3 * patch * patch * width + positions + layers + width * hidden, tokens


def mllama_vision(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """Llama 3.2 Vision: tiles with tables of positions by aspect ratio, global gated layers."""
    width, ffn = (
        vision.count("hidden_size", default=1280),
        vision.count("intermediate_size", default=5120),
    )
    patch, side = vision.count("patch_size", default=14), vision.count("image_size", default=448)
    tiles, ratios = vision.count("max_num_tiles", default=4), _ratios(vision) + 1
    patches = (side // patch) ** 2 + 1
    block = 4 * width * width + 2 * width * ffn + ffn + width + 4 * width
    gated = vision.count("num_global_layers", default=8)
    layers = vision.count("num_hidden_layers", default=32) * block + gated * (block + 2)
    tables = 2 * (ratios * tiles * width + 1) + 1
    tables += patches * width + ratios * tiles * patches * width
    total = parts.patches(vision, width, patch) + width + tables + 4 * width + layers
    return total + parts.linear(
        vision.count("vision_output_dim", default=7680), hidden
    ), tiles * patches


def _ratios(vision: Config) -> int:
    value, _ = vision.found(("supported_aspect_ratios",), [])
    return len(value) if isinstance(value, list) and value else 8


def minimax_vision(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """MiniMax M3: a CLIP tower for video, two MLPs that project and then merge four patches."""
    width, ffn = (
        vision.count("hidden_size", default=1280),
        vision.count("intermediate_size", default=5120),
    )
    patch = vision.count("patch_size", default=14)
    packing = vision.section("img_token_compression_config")
    merge = packing.count("spatial_merge_size", default=2)
    times = packing.count("temporal_patch_size", default=2)
    wide = config.count("projector_hidden_size", default=hidden)
    layers = vision.count("num_hidden_layers", default=32) * (parts.block(width, ffn) + 4 * width)
    connector = parts.linear(width, wide) + 2 * parts.linear(wide, hidden)
    connector += parts.linear(hidden * merge * merge, wide)
    return (
        parts.patches(vision, width, patch, times) + 2 * width + layers + connector,
        parts.merged(patch, merge),
    )


def glm_vision(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """GLM-4.5V: gated MLPs as wide as its output, a convolution that merges four patches."""
    width, patch = vision.count("hidden_size", default=1536), vision.count("patch_size", default=14)
    out, wide = (
        vision.count("out_hidden_size", default=hidden),
        vision.count("intermediate_size", default=13696),
    )
    merge, side = (
        vision.count("spatial_merge_size", default=2),
        vision.count("image_size", default=336),
    )
    times = vision.count("temporal_patch_size", default=2)
    block = 4 * width * width + 3 * width * out + 2 * width
    block += 3 * width if vision.flag("attention_bias") else 0
    patches = parts.patches(vision, width, patch, times) + width + (side // patch) ** 2 * width
    merger = parts.linear(merge * merge * width, out) + out * out + 2 * out + 3 * out * wide
    layers = vision.count("depth", default=24) * block
    return patches + 2 * width + layers + merger, parts.merged(patch, merge)


def siglip_cohere(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """Command A Vision: SigLIP, four patches into one through a gated projection."""
    total, patches = _siglip(vision, vision.flag("vision_use_head", True))
    merge = config.count("downsample_factor", default=2)
    wide = config.count("alignment_intermediate_size", default=36864)
    into = vision.count("hidden_size", default=768) * merge * merge
    connector = parts.linear(into, wide) + parts.linear(wide // 2, hidden)
    return total + connector, 10 * patches // (merge * merge)


def siglip_idefics(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """Idefics 3 and SmolVLM: SigLIP with sizes of its own, a shuffle and one projection."""
    width, ffn = (
        vision.count("hidden_size", default=1152),
        vision.count("intermediate_size", default=3072),
    )
    patch, side = vision.count("patch_size", default=32), vision.count("image_size", default=224)
    patches, merge = (side // patch) ** 2, config.count("scale_factor", default=2)
    layers = vision.count("num_hidden_layers", default=12) * (parts.block(width, ffn) + 4 * width)
    total = parts.patches(vision, width, patch) + width + patches * width + layers + 2 * width
    tiles = (-(-parts.SIDE // side)) ** 2 + 1
    return total + merge * merge * width * hidden, tiles * patches // (merge * merge)


def step_vision(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """Step 3.7: scales on each half of a layer, two convolutions that merge sixteen patches."""
    width, ffn = (
        vision.count("hidden_size", default=1536),
        vision.count("intermediate_size", default=8960),
    )
    patch, side = vision.count("patch_size", default=14), vision.count("image_size", default=728)
    layers = vision.count("num_hidden_layers", default=47) * (parts.block(width, ffn) + 6 * width)
    patches = (side // patch) ** 2
    merging = 9 * (2 * width * width + 8 * width * width) + 6 * width
    total = parts.patches(vision, width, patch) + patches * width + 2 * width + layers + merging
    bias = config.flag("projector_bias")
    return total + parts.linear(4 * width, hidden, bias), (-(-parts.SIDE // side)) ** 2 * (
        patches // 16
    )


WITH_SOUND = ("muse_spark_towers", "gemma4_unified_towers")
"""Those that count the tower for sound too."""
TOWERS: dict[str, Tower] = {
    "qwen2_vision": qwen2_vision, "qwen2_5_vision": qwen2_5_vision, "qwen3_vision": qwen3_vision,
    "siglip_gemma": siglip_gemma, "siglip_paligemma": siglip_paligemma, "pixtral": pixtral,
    "clip": clip, "intern_vision": intern_vision, "llama4_vision": llama4_vision,
    "moonvit": moonvit, "gemma4_vision": gemma4_vision, "mllama_vision": mllama_vision,
    "minimax_vision": minimax_vision, "glm_vision": glm_vision, "siglip_cohere": siglip_cohere,
    "siglip_idefics": siglip_idefics, "step_vision": step_vision, "glm5_vision": later.glm5_vision,
    "inkling2_vision": later.inkling2_vision, "muse_spark_towers": later.muse_spark_towers,
    "hy_v4_vision": later.hy_v4_vision, "glm_ocr_vision": later.glm_ocr_vision,
    "gemma4_unified_towers": later.gemma4_unified_towers,
}  # fmt: skip
