"""Towers that turn images into tokens of the prompt: their parameters, with the connector.

One function a tower, from the section ``vision_config`` to a count and the tokens of an image of
1,024 x 1,024. Sizes that a file leaves out are those of the tower's own code.
"""

from collections.abc import Callable

from gpuspec.catalog.models.reading import Config

_SIDE = 1024
"""Side in pixels of the image whose tokens are counted: about a megapixel."""
Tower = Callable[[Config, Config, int], tuple[int, int]]


def _block(width: int, ffn: int, biases: bool = True, gated: bool = False) -> int:
    """Parameters of a layer of a tower without its norms: four projections and an MLP."""
    matrices = 3 if gated else 2
    bias = 4 * width + (matrices - 1) * ffn + width if biases else 0
    return 4 * width * width + matrices * width * ffn + bias


def _linear(into: int, out: int, bias: bool = True) -> int:
    return into * out + bias * out


def _merged(patch: int, merge: int) -> int:
    """Tokens of the image, one for a square of merged patches."""
    side = -(-_SIDE // max(patch * merge, 1))
    return side * side


def _patches(vision: Config, width: int, patch: int, times: int = 1) -> int:
    return vision.count("in_channels", "in_chans", "num_channels", default=3) * (
        times * patch * patch * width
    )


def qwen2_vision(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """Qwen2-VL: layer norms, an MLP of a ratio, a merger of four patches into one token."""
    width, patch = vision.count("embed_dim", default=1280), vision.count("patch_size", default=14)
    ffn = round(width * vision.number("mlp_ratio", 4.0))
    merge = vision.count("spatial_merge_size", default=2)
    wide, out = width * merge * merge, vision.count("hidden_size", default=hidden)
    times = vision.count("temporal_patch_size", default=2)
    layers = vision.count("depth", default=32) * (_block(width, ffn) + 4 * width)
    merger = 2 * width + _linear(wide, wide) + _linear(wide, out)
    return _patches(vision, width, patch, times) + layers + merger, _merged(patch, merge)


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
    layers = vision.count("depth", default=32) * (_block(width, ffn, gated=True) + 2 * width)
    merger = width + _linear(wide, wide) + _linear(wide, out)
    return _patches(vision, width, patch, times) + layers + merger, _merged(patch, merge)


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
    layers = vision.count("depth", default=27) * (_block(width, ffn) + 4 * width)
    mlp = _linear(wide, wide) + _linear(wide, out)
    positions = vision.count("num_position_embeddings", default=2304) * width
    mergers = mlp + 2 * width + deep * (mlp + 2 * wide)
    patches = _patches(vision, width, patch, times) + width
    return patches + positions + layers + mergers, _merged(patch, merge)


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
    layers = vision.count("num_hidden_layers", default=12) * (_block(width, ffn) + 4 * width)
    total = _patches(vision, width, patch) + width + patches * width + layers + 2 * width
    if head:
        total += width + _block(width, ffn) + 2 * width
    return total, patches


def siglip_gemma(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """Gemma 3: SigLIP, pooled to 256 tokens, one projection."""
    total, _ = _siglip(vision, vision.flag("vision_use_head", True))
    width = vision.count("hidden_size", default=768)
    return total + width * hidden + width, config.count("mm_tokens_per_image", default=256)


def siglip_paligemma(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """PaliGemma: SigLIP without a head, one projection with a bias."""
    total, patches = _siglip(vision, vision.flag("vision_use_head", True))
    return total + _linear(vision.count("hidden_size", default=768), hidden), patches


def pixtral(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """Pixtral in Mistral Small 3.1 and Devstral: norms and gated MLPs without biases."""
    width, patch = vision.count("hidden_size", default=1024), vision.count("patch_size", default=16)
    ffn, merge = (
        vision.count("intermediate_size", default=4096),
        config.count("spatial_merge_size", default=2),
    )
    depth = vision.count("num_hidden_layers", default=24)
    layers = depth * (_block(width, ffn, biases=False, gated=True) + 2 * width)
    bias = config.flag("multimodal_projector_bias")
    connector = width + merge * merge * width * width
    connector += _linear(width, hidden, bias) + _linear(hidden, hidden, bias)
    return _patches(vision, width, patch) + width + layers + connector, _merged(patch, merge)


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
    projector = _linear(width, hidden) + _linear(hidden, hidden)
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
    layers = depth * (_block(width, ffn) + 4 * width)
    positions = (patches + 1) * width + width
    total = _patches(vision, width, patch) + positions + layers + 4 * width
    return total + projector, patches


def _llava_pixtral(vision: Config, hidden: int) -> tuple[int, int]:
    """Pixtral 12B: no merging of patches, two projections with biases."""
    width, patch = vision.count("hidden_size", default=1024), vision.count("patch_size", default=16)
    ffn = vision.count("intermediate_size", default=4096)
    depth = vision.count("num_hidden_layers", default=24)
    layers = depth * (_block(width, ffn, biases=False, gated=True) + 2 * width)
    total = _patches(vision, width, patch) + width + layers
    return total + _linear(width, hidden) + _linear(hidden, hidden), _merged(patch, 1)


def intern_vision(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """InternVL: a tower with a scale on each half of a layer, patches shuffled four into one."""
    width = vision.count("hidden_size", default=1024)
    ffn = vision.count("intermediate_size", default=4096)
    patch, side = _side(vision, "patch_size", 14), _side(vision, "image_size", 448)
    patches = (side // patch) ** 2
    biased = vision.flag("qkv_bias", vision.flag("attention_bias"))
    norms = (2 if vision.text("norm_type", "layer_norm") == "layer_norm" else 1) * 2 * width
    norms += 2 * width * vision.flag("use_qk_norm", vision.flag("qk_normalization"))
    block = _block(width, ffn) - (0 if biased else 3 * width) + norms + 2 * width
    layers = vision.count("num_hidden_layers", default=24) * block
    wide = 4 * width
    projector = 2 * wide + _linear(wide, hidden) + _linear(hidden, hidden)
    total = _patches(vision, width, patch) + width + (patches + 2) * width + layers
    return total + projector, 10 * patches // 4


def _side(vision: Config, key: str, default: int) -> int:
    """Return a side that some files state once and others for each direction."""
    value, _ = vision.found((key,), default)
    if isinstance(value, list) and value:
        value = value[0]
    if type(value) is not int or not 1 <= value <= 1_000_000:
        raise vision.error(key, value, "a side in pixels is needed")
    return value


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
    layers = depth * (_block(width, ffn) + 4 * width)
    total = _patches(vision, width, patch) + (patches + 2) * width + 4 * width + layers
    total += ffn * into + out * out + vision.count("vision_output_dim", default=7680) * hidden
    tiles = (_SIDE // side) ** 2 + 1
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
    layers = depth * (_block(width, ffn) + 4 * width)
    positions = rows * vision.count("init_pos_emb_width", "pos_emb_width", default=64) * width
    wide = 4 * width
    connector = 2 * width + _linear(wide, wide) + _linear(wide, hidden)
    patches = _patches(vision, width, patch) + width
    return patches + positions + layers + 2 * width + connector, _merged(patch, 2)


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
    total = _patches(vision, width, patch) + width + tables + 4 * width + layers
    return total + _linear(vision.count("vision_output_dim", default=7680), hidden), tiles * patches


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
    layers = vision.count("num_hidden_layers", default=32) * (_block(width, ffn) + 4 * width)
    connector = _linear(width, wide) + 2 * _linear(wide, hidden)
    connector += _linear(hidden * merge * merge, wide)
    return (
        _patches(vision, width, patch, times) + 2 * width + layers + connector,
        _merged(patch, merge),
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
    patches = _patches(vision, width, patch, times) + width + (side // patch) ** 2 * width
    merger = _linear(merge * merge * width, out) + out * out + 2 * out + 3 * out * wide
    layers = vision.count("depth", default=24) * block
    return patches + 2 * width + layers + merger, _merged(patch, merge)


def siglip_cohere(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """Command A Vision: SigLIP, four patches into one through a gated projection."""
    total, patches = _siglip(vision, vision.flag("vision_use_head", True))
    merge = config.count("downsample_factor", default=2)
    wide = config.count("alignment_intermediate_size", default=36864)
    into = vision.count("hidden_size", default=768) * merge * merge
    connector = _linear(into, wide) + _linear(wide // 2, hidden)
    return total + connector, 10 * patches // (merge * merge)


def siglip_idefics(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """Idefics 3 and SmolVLM: SigLIP with sizes of its own, a shuffle and one projection."""
    width, ffn = (
        vision.count("hidden_size", default=1152),
        vision.count("intermediate_size", default=3072),
    )
    patch, side = vision.count("patch_size", default=32), vision.count("image_size", default=224)
    patches, merge = (side // patch) ** 2, config.count("scale_factor", default=2)
    layers = vision.count("num_hidden_layers", default=12) * (_block(width, ffn) + 4 * width)
    total = _patches(vision, width, patch) + width + patches * width + layers + 2 * width
    tiles = (-(-_SIDE // side)) ** 2 + 1
    return total + merge * merge * width * hidden, tiles * patches // (merge * merge)


def step_vision(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """Step 3.7: scales on each half of a layer, two convolutions that merge sixteen patches."""
    width, ffn = (
        vision.count("hidden_size", default=1536),
        vision.count("intermediate_size", default=8960),
    )
    patch, side = vision.count("patch_size", default=14), vision.count("image_size", default=728)
    layers = vision.count("num_hidden_layers", default=47) * (_block(width, ffn) + 6 * width)
    patches = (side // patch) ** 2
    merging = 9 * (2 * width * width + 8 * width * width) + 6 * width
    total = _patches(vision, width, patch) + patches * width + 2 * width + layers + merging
    bias = config.flag("projector_bias")
    return total + _linear(4 * width, hidden, bias), (-(-_SIDE // side)) ** 2 * (patches // 16)


def glm5_vision(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """GLM 5 next: gated MLPs, norms of heads, a convolution that merges four patches, an MLP."""
    width, ffn = (
        vision.count("hidden_size", default=1024),
        vision.count("intermediate_size", default=4096),
    )
    patch, merge = (
        _side(vision, "patch_size", 14),
        vision.count("spatial_merge_size", default=2),
    )
    times, heads = (
        _side(vision, "temporal_patch_size", 2),
        vision.count("num_heads", "num_attention_heads", default=16),
    )
    out = vision.count("out_hidden_size", default=1536)
    wide = vision.count("projection_intermediate_size", default=10240)
    biased = vision.flag("attention_bias", True)
    block = _block(width, ffn, biased, gated=True) + 2 * width + 2 * (width // heads)
    layers = vision.count("depth", "num_hidden_layers", default=24) * block
    merger = _linear(merge * merge * width, out) + out * out + 2 * out + 3 * out * wide
    patches = _patches(vision, width, patch, times) + width
    return patches + layers + width + merger, _merged(patch, merge)


def inkling2_vision(config: Config, vision: Config, hidden: int) -> tuple[int, int]:
    """Inkling 2: a class token, scales on each half of a layer, two projections."""
    width, patch = vision.count("hidden_size", default=1024), vision.count("patch_size", default=20)
    ffn = vision.count("intermediate_size", default=int(width * vision.number("mlp_ratio", 4.0)))
    merge, grid = (
        vision.count("spatial_merge_size", default=2),
        vision.count("posemb_grid_size", default=32),
    )
    wide = vision.count("projection_hidden_dim", default=4096)
    layers = vision.count("num_hidden_layers", default=23) * (_block(width, ffn) + 6 * width)
    positions, bias = (grid * grid + 2) * width, vision.flag("projector_bias")
    connector = _linear(merge * merge * width, wide, bias) + _linear(wide, hidden, bias)
    total = _patches(vision, width, patch) + positions + 2 * width + layers + connector
    return total, _merged(patch, merge)


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
    layers = vision.count("num_hidden_layers", default=50) * (_block(width, ffn) + 4 * width)
    patches = _patches(vision, width, patch, vision.count("patch_temporal", default=2))
    connector = into * wide + wide * wide + wide * hidden
    total = patches + rows * width + layers + 4 * width + connector
    audio = config.section("audio_config")
    total += _sound_pyramid(audio, hidden) if audio.values else 0
    return total, _merged(patch, merge)


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
        block = (kernel + 1) * width + width + _linear(width, ffn) + _linear(ffn, width)
        total += _linear(before * step, width) + width + depth * block
        before = width
    return total + before + _linear(before, hidden) + hidden


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
    layers = vision.count("num_hidden_layers", default=40) * (_block(width, ffn) + 4 * width)
    wide = width * merge * merge
    merger = _linear(wide, wide) + _linear(wide, out) + out + width
    patches = _patches(vision, width, patch) + width
    return patches + (rows * rows + 1) * width + layers + merger, _merged(patch, merge)


WITH_SOUND = ("muse_spark_towers",)
"""Those that count the tower for sound too."""
TOWERS: dict[str, Tower] = {
    "qwen2_vision": qwen2_vision, "qwen2_5_vision": qwen2_5_vision, "qwen3_vision": qwen3_vision,
    "siglip_gemma": siglip_gemma, "siglip_paligemma": siglip_paligemma, "pixtral": pixtral,
    "clip": clip, "intern_vision": intern_vision, "llama4_vision": llama4_vision,
    "moonvit": moonvit, "gemma4_vision": gemma4_vision, "mllama_vision": mllama_vision,
    "minimax_vision": minimax_vision, "glm_vision": glm_vision, "siglip_cohere": siglip_cohere,
    "siglip_idefics": siglip_idefics, "step_vision": step_vision, "glm5_vision": glm5_vision,
    "inkling2_vision": inkling2_vision, "muse_spark_towers": muse_spark_towers,
    "hy_v4_vision": hy_v4_vision,
}  # fmt: skip
