"""One number, worked out by hand, for every formula of the roofline."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from toys import DECODE, EXPERTS, MATMUL, PREFILL

from gpuspec.constants.terms import (
    DecodeAttentionTerms,
    ExpertTerms,
    Hardware,
    MatmulTerms,
    PrefillAttentionTerms,
)
from gpuspec.formulas.roofline import (
    ExpertShape,
    decode_attention_seconds,
    experts_seconds,
    experts_touched,
    matmul_seconds,
    prefill_attention_seconds,
)

# 1e12 operations/s, 1e9 bytes/s, one SM, 1 MB of L2.
CHIP = Hardware(peak_flops=1e12, bandwidth_bytes_s=1e9, sm_count=1, l2_bytes=1e6)
FOUR = CHIP.model_copy(update={"sm_count": 4})


def product(m, n, k, hardware=CHIP, sizes=(2.0, 2.0), **terms):
    return matmul_seconds(m, n, k, hardware, MatmulTerms(**{**MATMUL, **terms}), *sizes)


# --- matrix products ---------------------------------------------------------------------------


def test_a_product_takes_its_tile_its_bytes_and_its_launch():
    # One tile of 64 x 64: 2 * 64 * 64 * 1000 = 8.192e6 operations, 8.192 us.
    # Bytes: 2 (64 * 1000 + 64 * 1000 + 64 * 64) = 264,192 at 1e9/s, 264.192 us. Launch: 1 us.
    assert_allclose(product(64, 64, 1000), 273.384e-6, rtol=1e-6)


def test_weights_and_activations_have_sizes_of_their_own():
    # 65 tokens fill two tiles of 64 x 64 (or one of 128 x 64): 16.384 us. Weights of half a byte:
    # 0.5 * 64 * 1000 = 32,000; activations of one: 65,000; result of two: 2 * 65 * 64 = 8,320.
    assert_allclose(product(65, 64, 1000, sizes=(0.5, 1.0)), 122.704e-6, rtol=1e-6)


def test_products_join_as_a_norm_of_the_sharpness():
    # Compute 8.192 us, memory 264.192 us, sharpness 2: sqrt(8.192^2 + 264.192^2) = 264.319.
    assert_allclose(product(64, 64, 1000, sharpness=2.0), 265.319e-6, rtol=1e-5)


def test_shares_prologue_depth_and_quantization_of_a_product():
    # Compute at 0.5 of the peak and 100 more of depth: 2 * 4096 * 1100 / 0.5e12 = 18.0224 us.
    # Memory at half the bandwidth: 528.384 us. Start: 1 + 3 * 1000 / 8192 = 1.3662 us.
    # Quantization: 5 bytes for each of 64 * 1000 inputs at the full rate: 320 us.
    found = product(
        64, 64, 1000, peak_share=0.5, prologue_k=100.0, bandwidth_share=0.5, depth_us=3.0,
        quantize_passes=5.0,
    )  # fmt: skip
    assert_allclose(found, 867.7726e-6, rtol=1e-6)


def test_small_tiles_lose_and_the_best_tile_wins():
    # 256 x 128 with an overhead of 1 x 128^2: efficiency of 32,768 is 32768 / 49152 * 2 = 4/3, of
    # 64 x 64 it is 4096 / 20480 * 2 = 0.4. One large tile: 2 * 32768 * 1000 / (4/3 e12) = 49.152
    # us. Bytes: 2 (128,000 + 256,000 + 32,768) = 833,536. Launch: 1.
    assert_allclose(product(256, 128, 1000, tile_overhead=1.0), 883.688e-6, rtol=1e-6)


def test_a_deep_product_is_split_over_idle_sms():
    # One tile of 64 x 64 on 4 SMs of 0.25e12 each: alone 2 * 4096 * 4000 / 0.25e12 = 131.072 us;
    # split in four 32.768 + 1 us of reducing. Bytes: 2 (256,000 * 2 + 4096) = 1,032,192.
    found = product(64, 64, 4000, FOUR, split_us=1.0)
    assert_allclose(found, (32.768 + 1 + 1032.192 + 1) * 1e-6, rtol=1e-6)


def test_tiles_come_in_whole_waves():
    # 64 x 320 are 5 tiles of 64 x 64 on 4 SMs: 2 waves of 2 * 4096 * 1000 / 0.25e12 = 32.768 us
    # (tiles of 128 x 128 or 64 x 128: 3 tiles, 1 wave of 65.536 us: the same).
    # Bytes: 2 (320,000 + 64,000 + 20,480) = 808,960.
    assert_allclose(product(64, 320, 1000, FOUR), (65.536 + 808.96 + 1) * 1e-6, rtol=1e-6)


# --- attention ---------------------------------------------------------------------------------


def decode(cached=False, kv_bytes=2.0, **terms):
    # 3 sequences of 768 tokens, 8 heads on 2 of keys, of width 10.
    constants = DecodeAttentionTerms(**{**DECODE, **terms})
    return decode_attention_seconds(3, 768, 8, 2, 10, CHIP, constants, kv_bytes, cached)


def test_decode_attention_reads_the_cache_once():
    # Keys and values: 3 * 768 * 2 * 2 * 10 * 2 bytes = 184,320: 184.32 us. Operations: 4 * 3 * 768
    # * 8 * 10 = 737,280: 0.73728 us. Launch: 1 us.
    assert_allclose(decode(), 186.05728e-6, rtol=1e-6)
    # An 8-bit cache: 92.16 us.
    assert_allclose(decode(kv_bytes=1.0), 93.89728e-6, rtol=1e-6)


def test_what_decode_attention_adds_to_its_cache():
    # Half the bandwidth: 368.64. 4 queries a key filled up by 6, at a tenth of the peak:
    # 4 * 3 * 768 * 10 * 2 * 10 = 1,843,200 at 1e11: 18.432. Split: 2 us * log2(1 + 3) = 4. Vectors:
    # 5 * 3 * (8 + 4) * 10 * 2 bytes = 3,600: 3.6. Launch: 1.
    found = decode(
        bandwidth_share=0.5, peak_share=0.1, padded_queries=6.0, split_us=2.0, head_passes=5.0
    )
    assert_allclose(found, 395.672e-6, rtol=1e-6)


def test_a_cache_in_l2_is_read_faster_in_a_benchmark_only():
    # 184,320 bytes of 1e6: gain 1 + 3 / (1 + 0.18432^4) = 3.99654: 46.1199 us.
    assert_allclose(decode(cached=True, cache_gain=3.0), 47.85713e-6, rtol=1e-5)
    assert_allclose(decode(cached=False, cache_gain=3.0), 186.05728e-6, rtol=1e-6)


def prefill(past=0, kv_bytes=2.0, hardware=CHIP, **terms):
    # 1 sequence of 256 new tokens, 4 heads on 2 of keys, of width 10.
    constants = PrefillAttentionTerms(**{**PREFILL, **terms})
    return prefill_attention_seconds(1, 256, 4, 2, 10, hardware, constants, past, kv_bytes)


def test_prefill_attention_is_half_a_square():
    # 2 tiles of 128 queries: 4 * 4 * 10 * 256 * (256 + 128) / 2 = 7,864,320: 7.86432 us.
    # Bytes: 256 * (2 * 4 + 2 * 2) * 2 * 10 = 61,440: 61.44 us. Launch: 1.
    assert_allclose(prefill(), 70.30432e-6, rtol=1e-6)


def test_prefill_attention_sees_the_past_and_pays_for_short_sequences():
    # Operations: 160 * 256 * (1000 + 192) = 48,824,320 at half the peak: 97.64864; times
    # 1 + 628 / (256 + 1000) = 1.5: 146.47296. Bytes: 61,440 + 1000 * 2 * 2 * 10 = 101,440 (8-bit
    # cache) at half the rate: 202.88.
    found = prefill(1000, 1.0, peak_share=0.5, bandwidth_share=0.5, short_tokens=628.0)
    assert_allclose(found, 350.35296e-6, rtol=1e-6)


def test_prefill_attention_comes_in_whole_waves():
    # 4 heads * 2 tiles = 8 on 3 SMs: 3 waves for 8/3: 9/8 of 7.86432 us.
    three = CHIP.model_copy(update={"sm_count": 3})
    assert_allclose(prefill(hardware=three), (8.84736 + 61.44 + 1) * 1e-6, rtol=1e-6)


# --- experts -----------------------------------------------------------------------------------


def test_distinct_experts_that_a_batch_uses():
    # E (1 - (1 - k/E)^T): 8 (1 - 0.75^3) = 4.625.
    assert_allclose(experts_touched(3, 8, 2), 4.625, rtol=1e-9)
    assert_allclose(experts_touched(1, 4, 4), 4.0, rtol=1e-9)


def experts(tokens, tp=1, ep=1, matrices=3, weight_bytes=2.0, **terms):
    constants = ExpertTerms(**{**EXPERTS, **terms})
    shape = ExpertShape(hidden=100, ffn=50, experts=8, active=2, matrices=matrices)
    return experts_seconds(tokens, shape, CHIP, constants, tp, ep, weight_bytes)


def test_experts_read_the_weights_of_those_in_use():
    # 1 token uses 2 experts of 3 * 100 * 50 weights: 60,000 bytes, 60 us; 2 * 2 * 15,000
    # operations, 0.06 us; launch 1 us.
    assert_allclose(experts(1), 61.06e-6, rtol=1e-6)
    # Two matrices of half a byte: 10 us and 0.04 us.
    assert_allclose(experts(1, matrices=2, weight_bytes=0.5), 11.04e-6, rtol=1e-6)


def test_experts_are_split_padded_and_their_tokens_moved():
    # Very many tokens (800) touch all 8 experts; over ep 4 a GPU holds 2, each half as wide (tp 2):
    # weights 2 * 3 * 100 * 25 * 2 = 30,000 bytes at half the rate: 60 us. Rows: 800 * 2 / 4 / 2 =
    # 200, padded to 256: 2 * 2 * 256 * 7,500 = 7.68e6 at a tenth of the peak: 76.8 us. Moved: 4
    # times 2 * 200 * 100 * 2 bytes = 320,000: 320 us.
    found = experts(
        800, 2, 4, bandwidth_share=0.5, peak_share=0.1, row_tile=64.0, passes=4.0, launch_us=3.0
    )
    assert_allclose(found, 459.8e-6, rtol=1e-6)


# --- the rest ----------------------------------------------------------------------------------


def test_every_constant_has_a_start_within_its_bounds():
    for kind in (MatmulTerms, DecodeAttentionTerms, PrefillAttentionTerms, ExpertTerms):
        for name, (start, low, high) in kind.bounds().items():
            assert low <= start <= high, name
    assert MatmulTerms.bounds()["sharpness"] == (3.0, 1.0, 12.0)
    with pytest.raises(ValueError, match="less than or equal to 12"):
        MatmulTerms(sharpness=13.0)


def test_formulas_broadcast():
    found = product(np.array([[64], [65]]), np.array([64, 128]), 1000)
    assert found.shape == (2, 2)
    assert_allclose(found[0, 0], 273.384e-6, rtol=1e-6)


def test_few_tokens_are_padded_to_the_rows_that_a_matrix_unit_takes():
    # Only operations take time: 1 to 16 rows cost the same, 17 twice as much.
    terms = MatmulTerms(
        peak_share=1, bandwidth_share=1, launch_us=0.1, sharpness=12, prologue_k=0,
        tile_overhead=0, split_us=0, depth_us=0, quantize_passes=0,
    )  # fmt: skip
    rates = Hardware(peak_flops=1e12, bandwidth_bytes_s=1e18, sm_count=1)
    one, sixteen, more = (matmul_seconds(m, 128, 1000, rates, terms) - 1e-7 for m in (1, 16, 17))
    assert_allclose(one, 2 * 16 * 128 * 1000 / 1e12)
    assert_allclose([sixteen, more], [one, 2 * one])
