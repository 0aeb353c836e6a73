"""Memory formulas against published figures, and the laws that they obey."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuspec import Model, gpu, model, precision, training_recipe
from gpuspec.base.units import GIB, KIB
from gpuspec.constants.memory import MemoryTerms, memory_terms
from gpuspec.evidence.measurements.memory import predicted_memory
from gpuspec.evidence.measurements.rows import measurements
from gpuspec.formulas.memory import (
    Adapter,
    LayerWidths,
    TrainingJob,
    adapter_params,
    cached_tokens,
    collective_bytes,
    kv_cache_bytes_per_token,
    kv_heads_per_gpu,
    layer_activation_bytes,
    max_context,
    max_sequences,
    microbatches_in_flight,
    mla_cache_bytes_per_token,
    sequence_kv_bytes,
    serving_parts,
    stage_layers,
    stage_weights_bytes,
    training_parts,
    training_state_bytes,
    weights_bytes,
)

BF16 = precision("bf16")
FREE = MemoryTerms(context_bytes=0, communicator_bytes=0, training_activation_factor=1)
LLAMA = model("Llama-3.1-70B")
SMALL = model("Llama-3.1-8B")

tokens = st.integers(1, 300_000)
counts = st.sampled_from([1, 2, 4, 8])


# --- weights -----------------------------------------------------------------------------------


def test_one_billion_parameters_in_bf16_are_two_gigabytes():
    assert weights_bytes(1e9) == 2e9


def test_a_70b_model_is_131_gib_and_fits_the_memory_of_one_h200_but_not_of_one_h100():
    size = stage_weights_bytes(LLAMA, BF16)
    assert size / 1e9 == pytest.approx(141.1, abs=0.1)
    assert size / GIB == pytest.approx(131.4, abs=0.1)
    assert gpu("H100").memory_bytes < size < gpu("H200").memory_bytes


@pytest.mark.parametrize(
    ("name", "bits"), [("fp32", 32), ("bf16", 16), ("awq", 4.15625), ("nf4-dq", 4.127)]
)
def test_bits_a_weight_include_scales(name, bits):
    # AWQ: groups of 128 with FP16 scale and 4-bit zero; QLoRA (arXiv:2305.14314): 0.127 bits.
    assert precision(name).bytes_per_weight * 8 == pytest.approx(bits, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "form", "tp", "gib"),
    [  # vLLM start-up logs, see measurements/memory.csv
        ("llama-3.1-8b", "bf16", 1, 14.99),
        ("llama-3.1-8b", "bf16", 2, 7.51),
        ("qwen2.5-7b", "bf16", 1, 14.25),
        ("llama-3.3-70b", "fp8", 2, 33.88),
        ("gemma-2-27b", "bf16", 1, 50.72),
        ("qwen3-32b", "bf16", 1, 61.03),
    ],
)
def test_weights_agree_with_what_engines_log(name, form, tp, gib):
    assert stage_weights_bytes(model(name), precision(form), tp) / GIB == pytest.approx(
        gib, rel=0.01
    )


def test_quantised_formats_keep_embeddings_and_head_in_16_bits():
    kept = 2 * SMALL.vocab * SMALL.hidden * 2
    assert stage_weights_bytes(SMALL, precision("int4")) > kept + 0.5 * (SMALL.params - kept / 2)


@given(counts, counts)
def test_splitting_never_needs_more_weights_a_gpu(tp, pp):
    whole = stage_weights_bytes(LLAMA, BF16)
    part = stage_weights_bytes(LLAMA, BF16, tp, pp)
    assert whole / (tp * pp) * 0.999 <= part <= whole


# --- key-value cache ---------------------------------------------------------------------------


def test_llama_70b_takes_320_kib_a_token():
    assert kv_cache_bytes_per_token(80, 8, 128, 2) == 320 * KIB
    assert sequence_kv_bytes(LLAMA, 16, 2.0) / 16 == 320 * KIB
    assert sequence_kv_bytes(model("Llama-2-70B"), 16, 2.0) / 16 == 320 * KIB


def test_latent_attention_caches_one_vector_a_layer():
    # DeepSeek-V2, arXiv:2405.04434, table 1: 4.5 d_h l elements; V3: 61 x 576 x 2 bytes.
    assert mla_cache_bytes_per_token(61, 512, 64, 2) == 70272
    assert sequence_kv_bytes(model("DeepSeek-V3"), 16, 2.0) / 16 == 70272


def test_a_sliding_window_caps_the_cache():
    mistral = model("mistral-7b-v0.1")
    assert sequence_kv_bytes(mistral, 32768) == sequence_kv_bytes(mistral, 4096)
    half_local = model("gpt-oss-20b")
    assert (
        sequence_kv_bytes(half_local, 32768)
        < 0.6
        * kv_cache_bytes_per_token(half_local.layers, half_local.kv_heads, half_local.head_dim, 2)
        * 32768
    )


def test_heads_are_replicated_when_there_are_more_gpus_than_heads():
    assert kv_heads_per_gpu(8, np.array([1, 2, 8, 16])).tolist() == [8, 4, 1, 1]
    assert sequence_kv_bytes(LLAMA, 1024, tp=8) == sequence_kv_bytes(LLAMA, 1024, tp=16)


@given(tokens, st.integers(1, 200_000), st.sampled_from([1, 16, 32, 256]))
def test_blocks_waste_less_than_one_block(context, window, block):
    kept = min(context, window)
    assert kept <= cached_tokens(context, window, block) < kept + block


# --- activations -------------------------------------------------------------------------------

# Korthikanti et al. 2022, arXiv:2205.05198, figure 1: GiB on the first pipeline stage with
# tensor parallelism 8, without and with sequence parallelism and selective recomputation.
PAPER = [
    ("megatron-gpt-22b", 4, 1, 1, 59.25, 9.5625),
    ("megatron-gpt-175b", 1, 8, 3, 66.84375, 12.3515625),
    ("megatron-gpt-529.6b", 1, 35, 3, 114.0234375, 23.076171875),
    ("megatron-gpt-1008b", 1, 64, 1, 131.25, 26.5625),
]


@pytest.mark.parametrize(("name", "batch", "pp", "interleave", "baseline", "selective"), PAPER)
def test_activations_equal_the_papers_figures(name, batch, pp, interleave, baseline, selective):
    parts = training_parts(
        model(name),
        training_recipe("megatron"),
        TrainingJob.of(
            seq_len=2048,
            micro_batch=batch,
            microbatches=2**20,
            tp=8,
            pp=pp,
            interleave=interleave,
            recompute=np.array(["none", "selective"], dtype=object),
            sequence_parallel=np.array([False, True]),
            attention="eager",
            dropout=True,
        ),
        terms=FREE,
    )
    assert parts["activations"] / GIB == pytest.approx([baseline, selective], rel=1e-9)


def test_the_papers_equation_for_one_layer():
    # 34 sbh + 5 a s^2 b, table 2 of the same paper.
    s, b, h, a = 2048, 4, 6144, 64
    parts = layer_activation_bytes(
        s * b, LayerWidths(h, h, h, 8 * h), score_elements=a * s * s * b, dropout=True
    )
    assert sum(parts.values()) == pytest.approx(s * b * h * (34 + 5 * a * s / h))


@given(counts, st.integers(1, 64), st.integers(1, 4))
def test_first_stage_holds_at_most_all_layers_times_the_interleaving_factor(pp, micro, chunks):
    held = 32 / pp * microbatches_in_flight(pp, micro, chunks)
    assert held <= 32 * (1 + (pp - 1) / (pp * chunks)) + 1e-9
    assert held >= 32 / pp


def test_balanced_stages_give_the_head_its_share_of_layers():
    # nanotron's 8.86B: the head weighs 2.2 layers, so 16 stages hold 3 layers and not 2.
    network = model("nanotron-8b")
    sizes = [stage_layers(network, pp, balanced=True) for pp in (1, 4, 16, 32)]
    assert [float(s[0, 0]) for s in sizes] == [32, 9, 3, 2]
    assert all(s[-1] <= s[0] and s.sum() == 32 for s in sizes)
    assert [float(stage_layers(network, pp)[0, 0]) for pp in (1, 4, 16, 32)] == [32, 8, 2, 1]


# --- training ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "ranks", "expected"),
    [(0, 64, 16), (1, 64, 4 + 12 / 64), (2, 64, 2 + 14 / 64), (3, 64, 16 / 64)],
)
def test_zero_stages_are_the_papers(stage, ranks, expected):
    # Rajbhandari et al. 2020, arXiv:1910.02054, figure 1.
    states = training_state_bytes(1.0, 2, 2, 12, stage, ranks)
    assert sum(states.values()) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("recipe", "alone", "distributed"),
    [("megatron", 18, 6 + 12 / 8), ("megatron-fp16", 20, 4 + 16 / 8), ("fp32", 16, 8 + 8 / 8)],
)
def test_bytes_a_parameter_are_those_of_megatrons_table(recipe, alone, distributed):
    # Megatron-LM, "Distributed Optimizer": theoretical memory per parameter.
    kept = training_recipe(recipe)
    sizes = (kept.weight_bytes, kept.grad_bytes, kept.optimizer_bytes)
    assert kept.bytes_per_param == alone
    if recipe == "megatron":
        assert sum(training_state_bytes(1.0, *sizes, 1, 8).values()) == distributed


def test_lora_counts_the_parameters_that_a_tuner_reports():
    # LitGPT resource tables: rank 8 on Q and V trains 4,194,304 of Llama-2-7B, 6,553,600 of 13B.
    adapter = Adapter(base=BF16, rank=8, targets=("q", "v"))
    assert adapter_params(model("Llama-2-7B"), adapter) == 4_194_304
    assert adapter_params(model("Llama-2-13B"), adapter) == 6_553_600


@given(
    seq=st.sampled_from([512, 4096, 32768]),
    micro=st.integers(1, 8),
    tp=counts,
    pp=counts,
    dp=st.sampled_from([1, 8, 64]),
    zero=st.integers(0, 3),
    recompute=st.sampled_from(["none", "selective", "full"]),
)
def test_training_obeys_its_laws(seq, micro, tp, pp, dp, zero, recompute):
    options = {"seq_len": seq, "micro_batch": micro, "tp": tp, "pp": pp, "microbatches": 2**20}
    options |= {"dp": dp, "recompute": recompute}
    recipe = training_recipe("adamw")

    def parts_with(**changed: object) -> dict[str, np.ndarray]:
        job = TrainingJob.of(**{"zero_stage": zero, **options, **changed})
        return training_parts(SMALL, recipe, job, terms=FREE)

    def total(**changed: object) -> float:
        parts = parts_with(**changed)
        assert all(part >= 0 for part in parts.values())
        return float(sum(parts.values()))

    here = total()
    assert total(micro_batch=micro + 1) >= here
    assert total(dp=dp * 2) <= here
    assert total(recompute="none") >= total(recompute="selective")
    states, lower = parts_with(zero_stage=min(zero + 1, 3)), parts_with()
    for name in ("weights", "gradients", "optimizer"):
        assert states[name] <= lower[name]


def parts_8b(stage="fullest", capacity_bytes=np.inf, **changed: object) -> dict[str, np.ndarray]:
    job = TrainingJob.of(**{"seq_len": 4096, "tp": 8, "dp": 2, **changed})
    limits = {"stage": stage, "capacity_bytes": capacity_bytes}
    return training_parts(SMALL, training_recipe("adamw"), job, **limits, terms=FREE)


def test_an_eager_norm_keeps_six_bytes_and_an_eager_gate_one_width_more():
    fused, eager_norm = (parts_8b(fused_norms=f)["activations"] for f in (True, False))
    assert eager_norm - fused == pytest.approx(2 * 4 * 4096 * SMALL.hidden * SMALL.layers / 8)
    fused, eager_glu = (parts_8b(fused_glu=f)["activations"] for f in (True, False))
    assert eager_glu - fused == pytest.approx(2 * 4096 * SMALL.ffn * SMALL.layers / 8)


def test_outputs_that_wait_for_their_collective_give_way_at_the_memorys_limit():
    need, wait = collective_bytes(4096, 4096, 32, np.array([1, 2, 32]))
    assert need.tolist() == [0, 4 * 2**25, 4 * 2**25]
    assert wait.tolist() == [0, 48 * 2**25, 48 * 2**25]
    assert collective_bytes(4096, 4096, 32, 8, pp=2, microbatches=2)[1] == 0
    assert collective_bytes(4096, 4096, 32, 8, microbatches=1)[1] == 24 * 2**25
    most = sum(parts_8b().values())
    least = sum(parts_8b(capacity_bytes=0.0).values())
    assert most - least == pytest.approx(24 * 2**25)
    for limit in np.linspace(float(least), float(most), 5):
        assert sum(parts_8b(capacity_bytes=limit).values()) == pytest.approx(limit)


def test_an_optimizer_step_counts_where_its_copies_exceed_activations():
    recipe = training_recipe("adamw-mixed")
    options = {"tp": 1, "dp": 1, "recompute": "full", "bytes_per_logit": 0.0}
    small, large = (parts_8b(seq_len=s, **options) for s in (16, 262144))
    step = SMALL.params * recipe.step_bytes
    assert small["activations"] + small["workspace"] == pytest.approx(step, rel=1e-3)
    assert large["activations"] + large["workspace"] > step


def test_a_log_of_rank_0_shows_the_first_stage():
    options = {"tp": 1, "pp": 8, "microbatches": 1, "micro_batch": 8, "bytes_per_logit": 10.0}
    fullest, first = (sum(parts_8b(stage=s, **options).values()) for s in ("fullest", "first"))
    assert first < fullest


def test_gradients_without_a_buffer_come_while_activations_go():
    kept, none, third = (parts_8b(persistent_gradients=p)["gradients"] for p in (1.0, 0.0, 2 / 3))
    assert none <= third <= kept
    assert third >= 2 / 3 * kept


def test_published_runs_are_predicted_to_fit_the_gpu_that_they_ran_on():
    rows = measurements("memory")
    rows = rows[(rows["source_id"] == "nanotron-sweep")]
    peak = predicted_memory(rows, memory_terms())
    assert (peak <= gpu("H100").memory_bytes).mean() > 0.97
    assert np.median(np.abs(np.log(rows["value_bytes"] / peak))) < 0.09


def test_formulas_broadcast_over_a_grid():
    parts = training_parts(
        SMALL,
        training_recipe("adamw"),
        TrainingJob.of(
            seq_len=4096,
            micro_batch=np.arange(1, 5)[:, None],
            tp=np.array([1, 2, 4, 8])[None, :],
            dp=8,
            zero_stage=1,
        ),
    )
    assert sum(parts.values()).shape == (4, 4)


def test_a_million_options_are_one_call():
    context = np.linspace(1024, 131072, 1000)[:, None]
    parts = serving_parts(LLAMA, BF16, context=context, sequences=np.arange(1, 1001), tp=8)
    assert sum(parts.values()).shape == (1000, 1000)


# --- serving -----------------------------------------------------------------------------------


@given(tokens, st.integers(1, 512), counts, counts)
def test_what_fits_fits_and_one_more_does_not(context, sequences, tp, pp):
    memory = gpu("H200").memory_bytes
    options = {"tp": tp, "pp": pp}
    most = float(max_sequences(SMALL, BF16, memory, context=context, **options))

    def used(count: float) -> float:
        return float(
            sum(serving_parts(SMALL, BF16, context=context, sequences=count, **options).values())
        )

    if most >= 1:
        assert used(most) <= 0.9 * memory * (1 + 1e-9)
    workspace = 0.02 * memory  # the most tokens of an iteration are planned for at once
    assert used(most + 1) > 0.9 * memory - workspace
    longest = float(max_context(SMALL, BF16, memory, sequences=sequences, **options))
    if longest >= 1:
        parts = serving_parts(SMALL, BF16, context=longest, sequences=sequences, **options)
        assert sum(parts.values()) <= 0.9 * memory
    parts = serving_parts(SMALL, BF16, context=longest + 17, sequences=sequences, **options)
    assert sum(parts.values()) > 0.9 * memory


@given(st.floats(1e9, 3e11), st.floats(1.0, 4.0))
def test_more_memory_never_holds_fewer_requests(memory, factor):
    few = max_sequences(SMALL, BF16, memory, context=4096)
    many = max_sequences(SMALL, BF16, memory * factor, context=4096)
    assert many >= few


def test_more_layers_need_more_memory():
    deeper = Model(**{**SMALL.model_dump(), "layers": SMALL.layers + 1})
    assert stage_weights_bytes(deeper, BF16) > stage_weights_bytes(SMALL, BF16)
    assert sequence_kv_bytes(deeper, 100) > sequence_kv_bytes(SMALL, 100)
