"""Rooflines, iterations and loads: laws, golden values, and the numbers that a user sees."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuspec import gpu, model, precision
from gpuspec.constants.inference import inference_errors, inference_interval, ratio_interval
from gpuspec.constants.kernels import kernels
from gpuspec.constants.memory import memory_terms
from gpuspec.constants.terms import (
    CollectiveTerms,
    DecodeAttentionTerms,
    ExpertTerms,
    GenerationTerms,
    Hardware,
    MatmulTerms,
    PrefillAttentionTerms,
)
from gpuspec.evidence.fits.engines import engine_fit, fit_engines
from gpuspec.evidence.measurements.inference import (
    predicted_inference,
    prepared,
    skip_reasons,
)
from gpuspec.evidence.measurements.pairs import matched_pairs
from gpuspec.evidence.measurements.rows import measurements
from gpuspec.formulas.networks import all_reduce_seconds
from gpuspec.formulas.roofline import (
    decode_attention_seconds,
    experts_touched,
    matmul_seconds,
    prefill_attention_seconds,
)
from gpuspec.formulas.serving import (
    PARTS,
    Client,
    Deployment,
    EngineTerms,
    Layout,
    engine,
    finite_run,
    max_concurrency,
    maximum_load,
    per_output_token,
    static_batch,
    steady_state,
)
from gpuspec.formulas.serving.speculative import accepted_tokens, speculative

H100 = Hardware(peak_flops=989.4e12, bandwidth_bytes_s=3.35e12, sm_count=132)
sizes = st.integers(1, 4096)


def replica(name="llama-3.1-70b", device="H100", weight="fp8", tp=4, pp=1, kv="bf16", **more):
    found = engine("tensorrt-llm")
    layout = Layout(
        network=model(name),
        gpu=gpu(device),
        weight=precision(weight),
        kv_precision=kv,
        tp=tp,
        pp=pp,
        **more,
    )
    return Deployment(layout=layout, engine=found.terms, limits=found.limits, memory=memory_terms())


# --- one operation -------------------------------------------------------------------------------


@given(sizes, sizes, sizes, st.floats(1.0, 4.0))
def test_more_bandwidth_or_more_flops_never_slow_a_product(m, n, k, factor):
    terms = MatmulTerms()
    base = matmul_seconds(m, n, k, H100, terms)
    wide = H100.model_copy(update={"bandwidth_bytes_s": H100.bandwidth_bytes_s * factor})
    fast = H100.model_copy(update={"peak_flops": H100.peak_flops * factor})
    assert matmul_seconds(m, n, k, wide, terms) <= base
    assert matmul_seconds(m, n, k, fast, terms) <= base


@given(st.integers(1, 512), st.integers(32, 60_000), st.integers(0, 5000))
def test_longer_contexts_never_decode_faster(sequences, context, more):
    terms = DecodeAttentionTerms()
    short = decode_attention_seconds(sequences, context, 32, 8, 128, H100, terms)
    assert decode_attention_seconds(sequences, context + more, 32, 8, 128, H100, terms) >= short


def test_arrays_give_what_scalars_give():
    terms, tokens = MatmulTerms(), np.array([1, 100, 5000])
    together = matmul_seconds(tokens, 8192, 8192, H100, terms)
    each = [float(matmul_seconds(t, 8192, 8192, H100, terms)) for t in tokens]
    np.testing.assert_allclose(together, each)


def test_a_square_product_reaches_what_is_published_for_h100():
    """8192^3 in BF16 on H100 SXM: 600 to 800 TFLOP/s in public cuBLAS tables."""
    found = kernels(gpu("H100"))
    seconds = float(matmul_seconds(8192, 8192, 8192, found.hardware("bf16"), found.matmul("bf16")))
    assert 600e12 < 2 * 8192**3 / seconds < 830e12


def test_a_chunk_after_others_costs_more_attention_than_the_first():
    terms = PrefillAttentionTerms()
    first = prefill_attention_seconds(1, 2048, 32, 8, 128, H100, terms)
    later = prefill_attention_seconds(1, 2048, 32, 8, 128, H100, terms, past_tokens=30_000)
    assert later > 5 * first


@given(st.integers(1, 10**6), st.integers(1, 256), st.integers(1, 8))
def test_touched_experts_stay_between_one_choice_and_all(tokens, experts, active):
    active = min(active, experts)
    touched = float(experts_touched(tokens, experts, active))
    assert active - 1e-9 <= touched <= experts + 1e-9


def test_all_reduce_of_one_gpu_is_free_and_more_bytes_take_longer():
    terms = CollectiveTerms()
    assert float(all_reduce_seconds(1e6, 1, 450e9, terms)) == 0
    times = all_reduce_seconds(np.geomspace(1e2, 1e9, 50), 8, 450e9, terms)
    assert (np.diff(times) >= 0).all()


@pytest.mark.parametrize("terms", [MatmulTerms, DecodeAttentionTerms, ExpertTerms, CollectiveTerms])
def test_every_constant_starts_inside_its_bounds(terms):
    for start, low, high in terms.bounds().values():
        assert low <= start <= high


def test_gpus_without_timings_inherit_and_say_so():
    assert kernels(gpu("H100 PCIe")).measured_on == "h100-sxm-80"
    assert kernels(gpu("H100 PCIe")).inherited
    assert not kernels(gpu("H200")).inherited


# --- a load --------------------------------------------------------------------------------------


def test_parts_add_up_to_the_time_between_tokens():
    found = steady_state(replica(), [1, 16, 100], 2000, 500)
    assert set(found["parts"]) == set(PARTS)
    np.testing.assert_allclose(sum(found["parts"].values()), found["tpot_s"])


@settings(max_examples=30)
@given(st.integers(1, 200), st.integers(10, 8000), st.integers(2, 2000))
def test_more_requests_never_speed_up_a_user_nor_slow_the_gpu_down_much(load, isl, osl):
    found = steady_state(replica(), [load, load + 1], isl, osl)
    assert found["tpot_s"][1] >= found["tpot_s"][0] * 0.999
    assert found["output_tokens_s"][1] >= found["output_tokens_s"][0] * 0.97


def test_h200_is_never_slower_than_h100_where_memory_decides():
    rates = [
        float(maximum_load(replica(device=g), 8000, 1000)["output_tokens_s"])
        for g in ("H100", "H200")
    ]
    assert 1.2 < rates[1] / rates[0] < 2.5


def test_an_a100_asked_for_fp8_stores_less_and_computes_in_16_bit():
    eight = replica(device="A100", weight="fp8").layout
    assert eight.product("mlp").kernel == "int8"
    assert eight.product("mlp").compute == "bf16"
    assert replica(device="H100", weight="fp8").layout.product("mlp").compute == "fp8"


def test_pipeline_stages_trade_a_users_speed_for_fewer_links():
    wide, deep = replica(tp=8), replica(tp=4, pp=2)
    assert steady_state(deep, 1, 1000, 100)["tpot_s"] > steady_state(wide, 1, 1000, 100)["tpot_s"]


def test_a_prefix_found_in_the_cache_shortens_the_wait():
    cold = steady_state(replica(), 8, 8000, 200)
    warm = steady_state(replica(), 8, 8000, 200, cached_share=0.9)
    assert warm["ttft_s"] < 0.5 * cold["ttft_s"]


def test_speculation_pays_at_one_request_and_not_at_full_load():
    one = replica()
    speeds = []
    for load in (1.0, 200.0):
        plain = steady_state(one, load, 1000, 500)
        guess = speculative(one, plain, 1000, 500, 4, 0.7)
        speeds.append(float(plain["tpot_s"] / guess["tpot_s"]))
    assert speeds[0] > 1.3
    assert speeds[1] < speeds[0]
    assert float(accepted_tokens(0, 0.9)) == 1.0


def test_a_model_that_does_not_fit_serves_nothing_and_gives_no_nan():
    found = maximum_load(replica(tp=1, weight="bf16"), [1000, 100_000], 100)
    assert (found["output_tokens_s"] == 0).all()


def test_a_run_of_known_length_is_slower_than_the_steady_state():
    one = replica("llama-3.1-8b", tp=1)
    most = float(max_concurrency(one, 1000, 1000))
    steady = steady_state(one, most, 1000, 1000)["requests_s"]
    few, many = (float(n / finite_run(one, n, most, 1000, 1000)) for n in (most * 1.2, most * 50))
    assert few < many <= float(steady) * 1.1


def test_static_batches_of_a_published_table_come_out():
    """TensorRT-LLM 0.5: Llama 2 7B in FP16 on A100, batch 64, 128/128: 3,486 tokens/s."""
    found = engine("tensorrt-llm", "0.5.0")
    one = replica("llama-2-7b", "A100", "fp16", tp=1)
    old = one.model_copy(update={"engine": found.terms, "limits": found.limits})
    assert float(static_batch(old, 64, 128, 128)["output_tokens_s"]) == pytest.approx(3486, rel=0.2)


def test_tools_that_divide_by_all_tokens_are_converted():
    assert float(per_output_token(2.0, 0.05, 1)) == 2.0


def test_engines_are_found_by_version():
    assert engine("tensorrt-llm", "0.6.1").id == "tensorrt-llm-0.5"
    assert engine("tensorrt-llm", "0.10.0").id == "tensorrt-llm-0.8"
    assert engine("tensorrt-llm", "0.13.0").id == "tensorrt-llm-0.11"
    assert engine("tensorrt-llm", "0.17.0").id == "tensorrt-llm-0.14"
    assert engine("tensorrt-llm", "0.21.0").id == "tensorrt-llm-0.19"
    assert engine("tensorrt-llm", "1.2.0rc6.post3").id == engine("tensorrt-llm").id
    assert engine("vllm", "v0.6.3.post1").id == "vllm-0.6"
    assert engine("vllm", "0.2.5").id == engine("vllm", "2023-11").id == "vllm-0.1"
    assert engine("vllm", "0.2.6").id == engine("vllm", "2023-12").id == "vllm-0.2.6"
    assert engine("vllm").id == engine("vllm", "current").id == "vllm-0.14"
    assert engine("sglang", "0.5.5.post1").id == "sglang-0.5"
    assert engine("sglang", "0.5.10.post1").id == "sglang-0.5.6"
    with pytest.raises(ValueError, match="engine"):
        engine("vlm-x")


def test_a_version_that_was_not_noted_is_the_era_of_its_date():
    assert engine("vllm", "2025-10 (not printed)").id == "vllm-0.8"
    assert engine("vllm", "2024 (not printed)").id == "vllm-0.4"  # of a year its middle
    assert engine("vllm", "main 2024-08 (0.5.3)").id == "vllm-0.4"
    assert engine("sglang", "2026-03").id == "sglang-0.5.6"
    assert engine("lmdeploy", "2024-01").id == "other"  # no dates are known


def test_images_of_others_that_number_an_engine_anew_are_found_by_that_number():
    assert engine("tensorrt-llm", "0.8.1.post2").id == engine("tensorrt-llm", "1.2.0").id
    assert engine("tensorrt-llm", "0.8.1").id == "tensorrt-llm-0.8"


def test_a_version_beyond_every_measured_one_says_so():
    assert engine("vllm", "0.99.0").beyond_measured
    assert not engine("vllm", "0.11.0").beyond_measured
    assert not engine("vllm").beyond_measured


# --- measurements --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rows():
    rows = prepared(measurements("inference"))
    return rows[skip_reasons(rows) == ""].reset_index(drop=True)


def test_the_table_holds_what_was_asked_for(rows):
    assert len(rows) >= 500
    assert rows["gpu"].str.startswith("a100").sum() >= 100
    pairs = matched_pairs(rows)["pair"].value_counts()
    assert pairs["h200-sxm-141 / h100-sxm-80"] > 50
    assert pairs["h100-sxm-80 / a100-sxm-80"] > 50


def test_dense_models_at_full_load_are_within_the_stated_error(rows):
    chosen = rows[(rows["source_id"] == "trtllm-1.0") & (rows["model"] == "llama-3.3-70b")]
    error = np.log(predicted_inference(chosen, memory=memory_terms()) / chosen["value"])
    assert np.median(np.abs(error)) < 0.1


def test_refitting_a_small_part_improves_on_the_start(rows):
    chosen = rows[rows["source_id"].isin(["trtllm-0.5", "trtllm-0.6.1"])].iloc[::2]
    eras, generations = fit_engines(engine_fit(chosen, memory_terms()))
    unfitted = {name: EngineTerms() for name in eras}, {n: GenerationTerms() for n in generations}
    value = np.log(chosen["value"])
    errors = [
        np.median(np.abs(np.log(predicted_inference(chosen, t, memory_terms(), g)) - value))
        for t, g in ((eras, generations), unfitted)
    ]
    assert errors[0] < errors[1]
    assert errors[0] < 0.12


def test_intervals_cover_most_of_what_no_fit_has_seen():
    errors = inference_errors()
    families = ("vllm", "sglang", "tensorrt-llm", "Ampere", "Hopper", "Blackwell")
    assert (errors.loc[[*families, "all figures"], "coverage"] >= 0.65).all()
    low, high = inference_interval(100.0, "throughput")
    wide = inference_interval(100.0, "throughput", inherited=True)
    assert wide[0] < low < 100 < high < wide[1]


def test_a_ratio_uses_the_errors_of_its_pair_both_ways_round():
    low, high = ratio_interval(2.0, "h200-sxm-141", "h100-sxm-80")
    assert low < 2.0 < high
    back = ratio_interval(0.5, "h100-sxm-80", "h200-sxm-141")
    assert back == (pytest.approx(1 / high), pytest.approx(1 / low))
    rare = ratio_interval(2.0, "b200-sxm-180", "v100-sxm-32")
    assert rare == inference_interval(2.0, "ratio")


def test_pcie_cards_pay_for_their_links_and_more_so_across_sockets():
    def rate(device, tp):
        return float(
            maximum_load(replica("llama-3.1-8b", device, "fp16", tp), 1000, 500)["output_tokens_s"]
        )

    assert rate("A100 PCIe 80GB", 4) < 0.8 * rate("A100", 4)
    assert rate("A100 PCIe 80GB", 8) / rate("A100", 8) < rate("A100 PCIe 80GB", 4) / rate("A100", 4)


def test_a_sources_own_settings_outrank_the_engines(rows):
    one = rows[rows["max_tokens"] > 0].head(1)
    plain = one.assign(max_tokens=np.nan, max_sequences=np.nan)
    tight = one.assign(max_tokens=256.0)
    assert predicted_inference(tight) < predicted_inference(plain)


def test_experts_in_fp8_are_those_of_the_engine_s_library():
    h200 = gpu("H200")
    own = {name: kernels(h200, name) for name in ("vllm", "sglang", "tensorrt-llm")}
    for name in ("vllm", "sglang"):  # timed with a scale for each block only
        assert own[name].experts("fp8-block") == own[name].experts("fp8")
        assert own[name].experts("fp8").bandwidth_share > 0.8
    assert own["tensorrt-llm"].experts("fp8-block") != own["tensorrt-llm"].experts("fp8")


def test_weight_only_products_outside_tensorrt_llm_are_as_those_of_16_bits():
    for name in ("vllm", "sglang"):
        assert kernels(gpu("H100"), name).matmul("int4-awq") == kernels(gpu("H100"), name).matmul(
            "bf16"
        )


@pytest.mark.parametrize("device", ["H20", "H100", "H200"])
@pytest.mark.parametrize("library", ["vllm", "tensorrt-llm"])
def test_half_the_bytes_are_never_slower_where_a_step_reads_weights(device, library):
    seconds = [
        Layout(
            network=model("qwen3-32b"), gpu=gpu(device), weight=precision(form), library=library
        ).dense_seconds(1)["matmul"]
        for form in ("fp8", "bf16")
    ]
    assert seconds[0] < 0.75 * seconds[1]


# --- what a server's host does -------------------------------------------------------------------


def sent(version, transport_s, stream_us, load=200):
    """Seconds between tokens of a small model on one H100, and of an iteration's host."""
    found = engine("vllm", version)
    one = replica("llama-3.1-8b", tp=1)
    one = one.model_copy(
        update={
            "engine": found.terms.model_copy(update={"stream_us": stream_us}),
            "limits": found.limits,
        }
    )
    seen = steady_state(one, load, 200, 200, client=Client(transport_s=transport_s))
    return float(seen["tpot_s"])


def test_a_server_in_the_scheduler_s_process_keeps_it_waiting_for_every_token():
    near, quick, slow = (sent("0.5.4", *how) for how in ((0.0, 100), (0.005, 1e-6), (0.005, 100)))
    assert near == pytest.approx(quick, rel=0.03)  # in process nothing is sent
    assert slow - quick == pytest.approx(200 * 100e-6 * 1.09, rel=0.25)


def test_a_server_of_its_own_only_bounds_how_many_tokens_a_second_leave_it():
    quick, hidden, slow = (sent("0.11", 0.005, each) for each in (1e-6, 10, 1000))
    assert hidden == quick  # 2 ms of sending behind a longer iteration
    assert slow == pytest.approx(200 * 1000e-6 * 1.09, rel=0.2)
    assert sent("0.11", 0.0, 1000) < slow / 4


def test_a_compiled_program_takes_a_tenth_of_python_s_time_for_a_sequence():
    one = replica("llama-3.1-8b", tp=1)
    each = {}
    for compiled in (False, True):
        limits = one.limits.model_copy(update={"compiled": compiled, "works_ahead": False})
        made = one.model_copy(update={"limits": limits, "silicon": GenerationTerms()})
        host = [float(made.iteration_parts(n, 500)["engine"]) for n in (1, 101)]
        each[compiled] = host[1] - host[0]
    assert each[False] == pytest.approx(100 * one.engine.sequence_us * 1e-6)
    assert each[True] == pytest.approx(each[False] / 10)


def test_layers_of_experts_take_small_kernels_of_their_own():
    one = replica("deepseek-v3", "H200", tp=8)
    terms = one.engine.model_copy(update={"expert_layer_us": one.engine.expert_layer_us + 100})
    slow = one.model_copy(update={"engine": terms})
    more = slow.iteration_parts(8, 500)["experts"] - one.iteration_parts(8, 500)["experts"]
    assert more == pytest.approx(58 * 100e-6)  # 3 of its 61 layers are dense


def test_mxfp4_without_its_units_runs_through_kernels_timed_so():
    timed, other = kernels(gpu("H100")), kernels(gpu("A100"))
    assert timed.experts("mxfp4") not in (timed.experts("int4-awq"), timed.experts("bf16"))
    assert other.experts("mxfp4") == other.experts("int4-awq")
    assert timed.matmul("mxfp4") == timed.matmul("int4-awq")
    h100, h20 = (replica("gpt-oss-120b", name, "mxfp4", tp=2) for name in ("H100", "H20"))
    assert {one.layout.product("experts").kernel for one in (h100, h20)} == {"mxfp4"}
    assert replica("gpt-oss-120b", "B200", "mxfp4", tp=2).layout.product("experts").kernel == "fp4"
