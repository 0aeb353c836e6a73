"""Networks whose layers differ: what a sequence leaves in memory, and what a token costs."""

from itertools import pairwise

import numpy as np
import pytest
from hybrids import (
    CASES,
    COMPRESSED,
    DEEPSEEK,
    FALCON,
    GEMMA,
    LLAMA_VISION,
    MINIMAX,
    NEMOTRON,
    QWEN,
    group,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from toys import BF16, FAST, WIDE, layout, replica

from gpuspec.catalog import gpu
from gpuspec.catalog.models import Model
from gpuspec.catalog.models.groups import grouped
from gpuspec.catalog.precision import WeightFormat, precision
from gpuspec.formulas.memory import sequence_bytes, sequence_kv_bytes, sequence_state_bytes
from gpuspec.formulas.roofline import recurrent_decode_seconds, recurrent_prefill_seconds
from gpuspec.formulas.serving import (
    OFFLINE,
    PARTS,
    Client,
    Layout,
    longest_context,
    prefill_seconds,
    request_bytes,
    steady_state,
)
from gpuspec.formulas.serving.encoding import encoding
from gpuspec.formulas.serving.formats import product_of
from gpuspec.formulas.splits import impossible, splits
from gpuspec.formulas.transformer import attention_spans, stage_counts, token_gemms

MODELS = [case.model for case in CASES] + [COMPRESSED]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.model.id)
def test_released_networks_keep_what_their_configurations_say(case):
    assert sequence_kv_bytes(case.model, 16) / 16 == case.token_bytes
    assert case.model.kv_elements_per_token * 2 == case.token_bytes
    assert sequence_kv_bytes(case.model, 131_072) == case.bytes_128k
    elements = sequence_state_bytes(case.model, state_bytes_each=1, conv_bytes_each=1)
    assert elements == case.state_elements


def test_engines_keep_states_in_32_bits_and_index_keys_in_8():
    # 48 layers: 786,432 elements of 4 bytes and 40,960 of 2; 16 layers of 4 KiB a token.
    assert sequence_state_bytes(QWEN) == 48 * (786_432 * 4 + 40_960 * 2)
    assert sequence_bytes(QWEN, 1600) == 1600 * 65_536 + sequence_state_bytes(QWEN)
    # A latent of 576 in 16 bits and an index key of 128 bytes with a scale of 4, 61 layers.
    assert sequence_bytes(DEEPSEEK, 1600) == 1600 * 61 * (576 * 2 + 132)
    assert sequence_bytes(DEEPSEEK, 1600, 1.0) == 1600 * 61 * (576 + 132)


def test_tensor_parallelism_splits_heads_and_states_and_repeats_latents():
    assert sequence_state_bytes(QWEN, tp=8) == sequence_state_bytes(QWEN) / 8
    assert sequence_kv_bytes(QWEN, 1600, tp=8) == sequence_kv_bytes(QWEN, 1600) / 4  # 4 KV heads
    assert sequence_kv_bytes(DEEPSEEK, 1600, tp=8) == sequence_kv_bytes(DEEPSEEK, 1600)
    # 10 layers of 4 KV heads of 512 and 50 of 16 of 256: one and two on each of 8 GPUs.
    assert sequence_kv_bytes(GEMMA, 16, tp=8) == 16 * 2 * (10 * 1024 + 50 * 2 * 512)


def test_the_fullest_of_contiguous_stages_counts():
    counts = stage_counts(NEMOTRON, 4)  # 118 layers: 30, 30, 29, 29
    assert counts.sum(axis=1).tolist() == [30, 30, 29, 29]
    assert counts.sum(axis=0).tolist() == [54, 10, 54]
    attending = counts[:, 1].max()
    assert attending == 3
    assert sequence_kv_bytes(NEMOTRON, 1600, pp=4) == 1600 * attending * 4096
    assert sequence_kv_bytes(NEMOTRON, 1600, pp=[1, 4]).tolist() == [1600 * 40_960, 1600 * 12_288]


def test_what_a_compressed_cache_keeps():
    # 16 tokens fill no window of 128: 4 layers also keep 16 / 4 entries, 4 keep 16 / 128; of 256
    # elements each; and the first 4 an index key of 64 elements for each entry.
    entries = 8 * 16 + 4 * 16 / 4 + 4 * 16 / 128
    assert sequence_kv_bytes(COMPRESSED, 16) == 2 * (entries * 256 + 4 * 4 * 64)
    entries = 8 * 128 + 4 * 12_800 / 4 + 4 * 12_800 / 128
    assert sequence_kv_bytes(COMPRESSED, 12_800) == 2 * (entries * 256 + 4 * 3200 * 64)
    first, second = sorted(COMPRESSED.blocks, key=lambda block: block.compress)
    assert attention_spans(first, 128) == [(128, 1), (512 * 4, 4)]
    assert attention_spans(second, 128)[1].each == 128


def test_an_image_is_kept_once_and_shared_caches_never():
    text = sequence_kv_bytes(LLAMA_VISION, 1600)
    image = sequence_kv_bytes(LLAMA_VISION, 1600, image_tokens=6416) - text
    assert image == 6416 * 20 * 8 * 256 * 2
    shared = GEMMA.model_copy(update={"groups": (), "cache": "shared"})
    assert sequence_kv_bytes(shared, 1600) == 0


def test_matrices_follow_the_kind_of_layer():
    _, attending = QWEN.blocks if QWEN.blocks[0].mixer == "linear" else QWEN.blocks[::-1]
    gemms = {part: matrices for part, _, matrices in token_gemms(attending, 1, 1)}
    # Queries and their gate 2 x 6144, keys and values 2 x 1024.
    assert gemms["attention"] == [(14_336, 5120), (5120, 6144)]
    assert gemms["mlp"] == [(34_816, 5120), (5120, 17_408)]
    only = {block.mixer: token_gemms(block, 1, 1) for block in NEMOTRON.blocks}
    assert [gemm.part for gemm in only["attention"]] == ["attention"]
    assert only["linear"][0].matrices == [(37_120, 8192), (8192, 16_384)]
    assert only["none"] == [("mlp", 54, [(32_768, 8192), (8192, 32_768)])]
    wide = next(block for block in GEMMA.blocks if block.values_are_keys)
    attention = token_gemms(wide, 1, 1)[0].matrices  # 32 queries and 4 keys of 512, no values
    assert attention == [(36 * 512, 5376), (5376, 32 * 512)]
    indexed = token_gemms(DEEPSEEK, 1, 1)[0].matrices[-2:]
    assert indexed == [(64 * 128, 1536), (128 + 64, 7168)]


def test_a_state_is_read_and_written_at_each_token(toy_mixer):
    # 1e9 bytes/s and 1 us: 2 x 3 sequences x (100 x 4 + 10 x 2) bytes, 4 layers.
    found = layout(toy_mixer, FAST).recurrence(3.0, 0.0)
    assert_allclose(found, 4 * (1e-6 + 2 * 3 * 420 / 1e9))
    # Of a prompt only the vectors and a state in 16 bits every 64 tokens, read and written.
    found = layout(toy_mixer, FAST).recurrence(0.0, 64.0)
    assert_allclose(found, 4 * (1e-6 + (64 * 2 * 80 + 4 * 100) / 1e9))
    # 8 FLOP an element and token at 1e12 a second.
    found = layout(toy_mixer, WIDE).recurrence(0.0, 64.0)
    assert_allclose(found, 4 * (1e-6 + 8 * 100 * 64 / 1e12))


@pytest.fixture
def toy_mixer():
    return Model(
        id="toy", name="Toy", layers=4, hidden=100, vocab=1000, ffn=300, mixer="linear",
        linear_in=60, linear_out=20, state_elements=100, conv_elements=10,
    )  # fmt: skip


def test_recurrence_by_hand():
    from gpuspec.constants.terms import DecodeAttentionTerms, Hardware, PrefillAttentionTerms

    rates = Hardware(peak_flops=1e12, bandwidth_bytes_s=1e9, sm_count=1)
    decode = DecodeAttentionTerms(bandwidth_share=0.5, launch_us=2)
    assert_allclose(recurrent_decode_seconds(10, 1e6, rates, decode), 2e-6 + 2 * 10 * 1e6 / 5e8)
    read = PrefillAttentionTerms(peak_share=0.5, bandwidth_share=0.5, launch_us=2, sharpness=1)
    compute, memory = 8 * 1000 * 640 / 5e11, 640 * (2 * 50 + 4 * 1000 / 64) / 5e8
    found = recurrent_prefill_seconds(640, 50, 1000, rates, read)
    assert_allclose(found, 2e-6 + compute + memory)


def test_layers_without_a_mixer_or_an_mlp_cost_none_of_it():
    toy = {"layers": 4, "hidden": 100, "vocab": 1000, "mixer": "none", "norms_per_layer": 1}
    attends = group([0], mixer="attention", heads=10, kv_heads=2, head_dim=10, v_head_dim=10, ffn=0)
    model = Model(id="toy", name="Toy", ffn=300, groups=(attends,), **toy)
    found = layout(model, FAST)
    whole = layout(model.model_copy(update={"groups": ()}), FAST)
    assert float(whole.decode_attention(1.0, 100.0)) == 0
    assert float(found.decode_attention(1.0, 100.0)) > 0
    assert found.stage_layers == 2  # four layers of one half each
    two = replica(model, FAST, tp=2)
    once = replica(model.model_copy(update={"groups": (), "norms_per_layer": 1}), FAST, tp=2)
    parts = [float(r.iteration_parts(1.0, 1.0)["communication"]) for r in (two, once)]
    assert parts[0] == parts[1]  # one sum over the GPUs after each layer


def test_sparse_attention_reads_all_index_keys_and_the_chosen_entries():
    one = layout(MINIMAX, FAST)
    short, long = (float(one.decode_attention(1.0, n)) for n in (1e5, 2e5))
    # 1e9 bytes/s: of 100,000 tokens more, 3 layers read keys and values, 57 the index keys.
    more = 1e5 * (3 * 4 * 256 * 2 + 57 * 132)
    assert_allclose(long - short, more / 1e9, rtol=1e-6)


def test_every_part_of_the_weights_has_its_own_format_and_kernel():
    fp4, bf16 = precision("mxfp4"), precision("bf16")
    b200, h100 = gpu("B200"), gpu("H100")
    assert product_of(fp4, b200).compute == "fp4"
    assert product_of(fp4, h100)[:2] == ("mxfp4", "bf16")
    assert product_of(precision("fp8"), h100)[:2] == ("fp8", "fp8")
    assert product_of(precision("fp8"), gpu("A100"))[:2] == ("int8", "bf16")
    half = WeightFormat("half", bf16, (("mlp", ((0.5, precision("fp8")), (0.5, bf16))),))
    times = [
        float(Layout(network=FALCON, gpu=h100, weight=w).dense_seconds(4096)["matmul"])
        for w in (WeightFormat.of(precision("fp8")), half, bf16)
    ]
    assert times[0] < times[1] < times[2]
    plain = Layout(network=FALCON, gpu=h100, weight=precision("fp8"))
    assert float(plain.dense_seconds(4096)["matmul"]) == times[0]


def test_fp4_is_computed_as_fp4_where_there_are_units():
    kept = {"network": MINIMAX, "tp": 8, "ep": 8}
    b200 = gpu("B200")
    fp4 = WeightFormat("fp4", BF16, (("experts", ((1.0, precision("mxfp4")),)),))
    fast, slow = (
        float(Layout(gpu=b200, weight=w, **kept).dense_seconds(65_536)["experts"])
        for w in (fp4, precision("fp8"))
    )
    # Products at twice the rate; moving routed tokens takes what it took.
    assert 0.5 < fast / slow < 0.95


def test_splits_mind_the_heads_of_every_kind_of_layer():
    assert not impossible(QWEN, 8, 1)
    odd = QWEN.model_copy(update={"linear_out": 6145})
    assert impossible(odd, 2, 1) == "TP 2 does not divide the 6145 elements of the recurrent heads"
    assert "KV heads" in impossible(_with_kv_heads(6), 4, 1)
    assert (8, 1) in [split[:2] for split in splits(NEMOTRON, 8)]


def _with_kv_heads(kv_heads):
    fields = dict(GEMMA.groups[0].fields) | {"kv_heads": kv_heads, "heads": 48}
    return GEMMA.model_copy(update={"groups": (group(GEMMA.groups[0].layers, **fields),)})


def test_a_compressed_cache_is_read_by_entries():
    # 4 layers: 128 tokens and 512 chosen entries, index keys of 66 bytes for all 3,200; 4 layers:
    # 128 tokens and 100 entries; 256 elements of 2 bytes; 12 kernels.
    moved = 4 * (640 * 512 + 3200 * 66) + 4 * 228 * 512
    found = layout(COMPRESSED, FAST).decode_attention(1.0, 12_800.0)
    assert_allclose(found, 12e-6 + moved / 1e9, rtol=1e-6)


def test_a_prompt_passes_sparse_attention_in_its_latent():
    # One query tile of 128: 128 heads of latent and half of the rotary key, 512 + 32, and 64 index
    # heads of 128 without values; 4 FLOP; 61 layers of two kernels.
    flops = 4 * (128 * 544 + 64 * 64) * 128 * 128
    found = layout(DEEPSEEK, WIDE).prefill_attention(1.0, 128.0)
    assert_allclose(found, 61 * (2e-6 + flops / 1e12))


def test_a_prompt_crosses_to_the_whole_image():
    blind, seeing = (layout(LLAMA_VISION, WIDE, image_tokens=n) for n in (0, 6416))
    more = seeing.prefill_attention(1.0, 128.0) - blind.prefill_attention(1.0, 128.0)
    flops = 4 * 64 * 128 * 128 * (6416 + 64)  # half a tile beyond the image
    assert_allclose(more, 20 * (1e-6 + flops / 1e12))


def test_experts_in_a_latent_have_its_width():
    sizes = {"layers": 4, "hidden": 100, "heads": 10, "kv_heads": 2, "head_dim": 10, "vocab": 1000}
    experts = {"experts": 8, "active_experts": 2, "expert_ffn": 50, "expert_latent": 20}
    model = Model(id="latent", name="Latent", **sizes, **experts)
    # One token uses 2 experts of 3 matrices, 20 x 50, in 2 bytes.
    parts = layout(model, FAST).dense_seconds(1)
    assert_allclose(parts["experts"], 4 * (1e-6 + 2 * 3 * 20 * 50 * 2 / 1e9))
    assert token_gemms(model, 1, 1)[-1] == ("experts", 4, [(20, 100), (100, 20)])


def test_passes_over_vectors_follow_the_kind_of_layer():
    attending = 6 * 5120 + 2 * (24 + 8) * 256 + 3 * 6144 + 3 * 17_408
    recurrent = 6 * 5120 + 2 * 16_480 + 3 * 6144 + 3 * 17_408
    found = layout(QWEN, FAST).dense_seconds(1)["elementwise"]
    assert_allclose(found, (16 * attending + 48 * recurrent) * 2 / 0.7e9)


ENCODER = Model(
    id="encoder", name="Encoder", kind="encoder", layers=4, hidden=100, heads=10, kv_heads=10,
    head_dim=10, ffn=300, gated_mlp=False, vocab=1000, max_context=512,
)  # fmt: skip


def test_an_encoder_reads_a_batch_and_keeps_nothing():
    one = replica(ENCODER, WIDE, limits={"max_tokens": 1000})
    assert float(request_bytes(one, 100)) == 0
    assert longest_context(one) == 512
    found = encoding(one, 20.0, 100, OFFLINE)  # ten of 100 tokens at once
    parts = {name: float(found[name]) for name in PARTS}
    assert float(found["batch"]) == 10
    assert_allclose(found["sequences_s"], 10 / sum(parts.values()))
    assert_allclose(found["sequence_s"], 2 * sum(parts.values()))  # two batches of ten
    far = encoding(one, 20.0, 100, Client(transport_s=0.5))
    assert_allclose(far["sequence_s"], found["sequence_s"] + 0.5)
    assert parts["head"] == 0
    # Each of 10 sequences: 10 heads, 4 FLOP, 10 elements, 128 padded queries and a square of 100
    # keys that all see: 50 before and half of 128 + 128 in the triangle; one SM, 1 us.
    flops = 4 * 10 * 10 * 10 * 128 * (50 + 128)
    assert_allclose(parts["attention"], 4 * (1e-6 + flops / 1e12))


def test_an_encoder_at_any_load_obeys_littles_law():
    one, loads = replica(ENCODER, FAST, limits={"max_tokens": 1000}), np.array([1.0, 7.0, 500.0])
    found = steady_state(one, loads, 100, 1)
    assert_allclose(found["requests_s"] * found["ttft_s"], loads)
    assert_allclose(found["output_tokens_s"], found["requests_s"] * 100)
    assert (found["tpot_s"] == 0).all()


def test_a_tower_reads_the_images_of_a_prompt():
    # 2 x 460e6 parameters x 4096 patches at 1e12 a second, split over 2 GPUs; 4 images in 1000
    # tokens of a prompt, of which an iteration takes 250.
    one = replica(QWEN, WIDE, tp=2, images_per_token=4 / 1000)
    seconds = 2 * 460e6 * 4096 / 1e12 / 2
    assert_allclose(one.layout.tower_seconds, seconds)
    assert_allclose(one.iteration_parts(0, 1, 250, 1)["tower"], seconds)
    assert "tower" not in replica(QWEN, WIDE).iteration_parts(0, 1, 250, 1)


def test_without_an_image_no_layer_that_reads_one_is_passed():
    blind, seeing = (layout(LLAMA_VISION, FAST, image_tokens=n) for n in (0, 6416))
    assert [block.layers for block in blind.blocks] == [80]
    assert sum(block.layers for block in seeing.blocks) == 100
    more = float(seeing.decode_attention(1.0, 1600.0) - blind.decode_attention(1.0, 1600.0))
    assert_allclose(more, 20 * (1e-6 + 6416 * 8 * 256 * 2 / 1e9), rtol=1e-6)


# Laws over random lists of layers.

ATTENDS = {"mixer": "attention", "heads": 8, "kv_heads": 4, "head_dim": 16, "v_head_dim": 16}
RECURS = {"linear_in": 96, "linear_out": 32, "state_elements": 512, "conv_elements": 64}
KINDS = [
    ATTENDS,
    ATTENDS | {"kv_heads": 8, "sliding_window": 64},
    ATTENDS | {"sliding_window": 32, "compress": 8},
    ATTENDS | {"index_heads": 2, "index_head_dim": 8, "index_topk": 128},
    ATTENDS | {"cache": "shared"},
    ATTENDS | RECURS | {"mixer": "both"},
    ATTENDS | {"attention_gate": 128, "experts": 8, "active_experts": 2, "expert_ffn": 32},
    ATTENDS | {"heads": 0, "kv_heads": 0, "head_dim": 0, "v_head_dim": 0} | RECURS
    | {"mixer": "linear"},
]  # fmt: skip
COLUMNS = {name: 0 for kind in KINDS for name in kind} | {"compress": 1, "cache": "own"}


def listed(kinds):
    """A network whose layers are of the given kinds, in order."""
    common, groups = grouped([COLUMNS | {"ffn": 64} | KINDS[kind] for kind in kinds])
    sizes = {"layers": len(kinds), "hidden": 64, "vocab": 100}
    return Model(id="listed", name="Listed", groups=groups, **sizes, **common)


LAYERS = st.lists(st.integers(0, len(KINDS) - 1), min_size=1, max_size=12).map(listed)
CONTEXTS = st.integers(1, 100_000)
few = settings(max_examples=30, deadline=None)


@few
@given(LAYERS, CONTEXTS)
def test_cache_adds_up_over_groups(model, context):
    total = float(sequence_bytes(model, context))
    assert_allclose(total, sum(float(sequence_bytes(b, context)) for b in model.blocks))
    alone = model.by_layer(lambda block: float(sequence_bytes(block, context)) / block.layers)
    assert_allclose(total, alone.sum())


@few
@given(LAYERS, CONTEXTS, st.sampled_from([1, 2, 4]), st.integers(1, 4))
def test_splits_add_up_to_the_whole(model, context, tp, pp):
    whole = float(sequence_kv_bytes(model, context) + sequence_state_bytes(model))
    if not any(b.index_head_dim for b in model.blocks):  # index keys are on every GPU
        shares = sequence_kv_bytes(model, context, tp=tp) + sequence_state_bytes(model, tp=tp)
        assert_allclose(tp * float(shares), whole)
    pp = min(pp, model.layers)
    counts = stage_counts(model, pp)
    assert counts.sum(axis=0).tolist() == [block.layers for block in model.blocks]
    fullest = float(sequence_kv_bytes(model, context, pp=pp))
    total = float(sequence_kv_bytes(model, context))
    assert total / pp * (1 - 1e-12) <= fullest <= total


@few
@given(LAYERS, st.lists(CONTEXTS, min_size=2, max_size=5))
def test_a_longer_context_never_needs_less(model, contexts):
    held = sequence_bytes(model, np.sort(contexts))
    assert (np.diff(held) >= 0).all()
    one = Layout(network=model, gpu=gpu("H100"), weight=BF16)
    seconds = one.decode_attention(4.0, np.sort(contexts))
    assert (np.diff(np.broadcast_to(seconds, len(contexts))) >= -1e-12).all()


@few
@given(LAYERS, st.integers(1, 64), st.integers(16, 20_000))
def test_more_bandwidth_is_never_slower(model, concurrency, isl):
    speeds = []
    for rate in (1000.0, 2000.0, 4000.0):
        device = gpu("H100").model_copy(update={"memory_bandwidth_gb_s": rate})
        made = replica(model, device)
        made.layout.__dict__.pop("kernels")
        steady = steady_state(made, float(concurrency), isl, 100)
        read = sum(prefill_seconds(made, 1, isl).values())
        speeds.append((float(steady["tpot_s"]), float(read)))
    assert all(a >= b * (1 - 1e-9) for s, f in pairwise(speeds) for a, b in zip(s, f, strict=True))


@few
@given(LAYERS, st.integers(1, 64), st.integers(1, 20_000))
def test_parts_of_a_step_are_positive_and_add_up(model, sequences, context):
    parts = replica(model, gpu("H100")).iteration_parts(sequences, context, 256, 2, 100)
    assert all(np.isfinite(v) and v >= 0 for v in parts.values())
    assert ("recurrence" in parts) == any(b.mixer in ("linear", "both") for b in model.blocks)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_speed_of_released_networks_is_finite(model):
    for tp, pp in ((1, 1), (8, 1), (4, 2)):
        parts = Layout(network=model, gpu=gpu("H200"), weight=BF16, tp=tp, pp=pp, image_tokens=500)
        assert float(sum(parts.dense_seconds(100).values())) > 0
        assert float(parts.prefill_attention(1.0, 1000.0)) > 0
