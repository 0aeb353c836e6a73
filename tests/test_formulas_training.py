"""A training step: laws that any roofline obeys, published steps, runs with failures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuspec import InputError
from gpuspec.base.errors import UnknownNameError
from gpuspec.base.paths import DATA
from gpuspec.base.units import NODE_GPUS
from gpuspec.catalog import gpu
from gpuspec.catalog.models import model
from gpuspec.catalog.precision import precision, training_recipe
from gpuspec.constants.fabrics import fabric
from gpuspec.constants.ground import FAR, LEVELS
from gpuspec.constants.kernels import kernels
from gpuspec.constants.stored import held_out, stored
from gpuspec.constants.training import framework, training_errors, training_interval
from gpuspec.evidence.measurements.described import ground_of_rows
from gpuspec.evidence.measurements.pairs import matched_steps
from gpuspec.evidence.measurements.training import measured_step_seconds, prepared_rows
from gpuspec.formulas.memory import Adapter
from gpuspec.formulas.power import node_power_w
from gpuspec.formulas.training import (
    PARTS,
    Cluster,
    TrainingJob,
    checkpoint_bytes,
    checkpoint_interval_s,
    goodput,
    hardware_flops_per_token,
    model_flops_per_token,
    step_parts,
    training_seconds,
    utilisation,
)

LLAMA = model("llama-3.1-8b")
RECIPE = training_recipe("adamw-megatron")


def machine(name="H100", node_gb_s=None, kind="infiniband", software="megatron-core"):
    device = gpu(name)
    terms = framework(software)[1]
    return Cluster(kernels=kernels(device), fabric=fabric(device, node_gb_s, kind), terms=terms)


def parts_of(where=None, network=LLAMA, recipe=RECIPE, fp8=False, adapter=None, **options):
    job = TrainingJob.of(**{"seq_len": 4096, **options})
    return step_parts(network, recipe, where or machine(), job, fp8=fp8, adapter=adapter)


def seconds(where=None, network=LLAMA, recipe=RECIPE, **options):
    return float(sum(parts_of(where, network, recipe, **options).values()))


LAYOUT = {"micro_batch": 1, "microbatches": 8, "tp": 2, "pp": 2, "dp": 16, "zero_stage": 1}


def test_parts_are_all_named_not_negative_and_add_up():
    parts = parts_of(**LAYOUT)
    assert tuple(parts) == PARTS
    assert all(v >= 0 for v in parts.values())
    alone = parts_of()
    quiet = ("tp", "cp", "ep", "pp", "dp", "bubble", "recompute")
    assert all(alone[name] == 0 for name in quiet)


def test_a_column_of_layouts_equals_its_rows():
    tp, dp = np.array([1, 2, 4, 8]), np.array([8, 4, 2, 1])
    column = parts_of(microbatches=4, tp=tp, dp=dp)
    for i, (t, d) in enumerate(zip(tp, dp, strict=True)):
        row = parts_of(microbatches=4, tp=t, dp=d)
        assert {k: float(v[i]) for k, v in column.items()} == pytest.approx(
            {k: float(v) for k, v in row.items()}
        )


@given(st.floats(1.0, 800.0), st.floats(1.05, 4.0), st.sampled_from([0, 1, 3]))
def test_a_faster_network_never_slows_a_step(rate, factor, stage):
    options = {**LAYOUT, "zero_stage": stage, "pp": 1, "dp": 32}
    slow = seconds(machine(node_gb_s=rate), **options)
    fast = seconds(machine(node_gb_s=rate * factor), **options)
    assert fast <= slow * (1 + 1e-9)


@given(st.integers(1, 64), st.integers(1, 4))
def test_more_micro_batches_take_longer_but_less_each(batches, more):
    options = {**LAYOUT, "microbatches": batches}
    one = seconds(**options)
    many = seconds(**{**options, "microbatches": batches * (1 + more)})
    assert one < many <= one * (1 + more) * (1 + 1e-9)


@given(st.sampled_from(["llama-3.2-1b", "llama-3.1-8b", "mixtral-8x7b"]), st.integers(9, 14))
def test_recomputation_costs_up_to_half_more(name, power):
    network, options = model(name), {"seq_len": 2**power, "microbatches": 4}
    none = seconds(network=network, **options)
    full = seconds(network=network, recompute="full", **options)
    selective = seconds(network=network, recompute="selective", **options)
    operations = seconds(network=network, recompute="operations", **options)
    half = seconds(network=network, recompute="full", recompute_share=0.5, **options)
    assert none < selective < full < 1.5 * none
    assert none < operations < full
    assert none < half < full


def test_unfused_attention_grows_with_the_square_of_the_sequence():
    flash = [seconds(seq_len=n) / n for n in (4096, 32768)]
    eager = [seconds(seq_len=n, attention="eager") / n for n in (4096, 32768)]
    assert eager[1] / eager[0] > 1.5 * flash[1] / flash[0]


def test_interleaving_shrinks_the_bubble_and_a_deeper_pipeline_grows_it():
    options = {"microbatches": 8, "tp": 1, "seq_len": 4096}

    def bubble(pp, chunks):
        parts = parts_of(pp=pp, interleave=chunks, **options)
        return float(parts["bubble"] / sum(parts.values()))

    assert bubble(4, 8) < bubble(4, 1) < bubble(8, 1)


def test_other_chunks_of_an_interleaved_schedule_hide_gradients():
    options = {"microbatches": 8, "pp": 4, "dp": 64, "zero_stage": 1, "seq_len": 512}
    slow = machine(node_gb_s=12.5, kind="roce")

    def shown(chunks):
        return float(parts_of(slow, interleave=chunks, **options)["dp"])

    assert shown(8) < 0.95 * shown(1)
    assert shown(8) <= shown(2)


def test_packed_documents_attend_to_themselves_alone():
    def attention(**options):
        parts = parts_of(seq_len=8192, **options)
        return float(parts["attention"]), float(parts["gemm"])

    whole, packed = attention(), attention(document_tokens=512)
    assert packed[0] < whole[0] / 4
    assert packed[1] == whole[1]
    assert attention(document_tokens=8192) == attention(document_tokens=10**6) == whole


def test_fp8_halves_what_is_gathered_but_not_what_is_summed():
    options = {"tp": 4, "sequence_parallel": True, "seq_len": 8192}
    wide, narrow = (float(parts_of(fp8=fp8, **options)["tp"]) for fp8 in (False, True))
    assert 0.6 * wide < narrow < 0.8 * wide


def test_h100_is_faster_than_a100_h200_no_slower_and_fp8_faster_still():
    a100, h100, h200 = (seconds(machine(n), **LAYOUT) for n in ("A100", "H100", "H200"))
    assert h200 <= h100 * 1.02 < a100 / 2
    assert seconds(fp8=True, **LAYOUT) < 0.92 * h100


def test_ten_gigabit_ethernet_ruins_a_job_over_two_nodes():
    options = {"microbatches": 4, "dp": 16, "zero_stage": 1}
    fast = seconds(machine(), **options)
    slow = seconds(machine(node_gb_s=1.25, kind="tcp"), **options)
    assert slow > 3 * fast


def test_adapters_skip_the_gradients_of_frozen_weights_and_unpacking_costs():
    def tuned(base):
        return Adapter(base=precision(base), rank=16, targets=("q", "v"))

    full = seconds(microbatches=8)
    lora = seconds(microbatches=8, adapter=tuned("bf16"))
    qlora = seconds(microbatches=8, adapter=tuned("nf4"))
    assert 0.5 * full < lora < 0.85 * full
    assert lora < qlora < 1.2 * lora


def test_offloading_the_optimizer_costs_seconds():
    sharded = {"dp": 8, "zero_stage": 3, "microbatches": 1}
    assert seconds(offload_optimizer=True, **sharded) > seconds(**sharded) + 0.5


@pytest.mark.parametrize(
    ("name", "gpus", "options", "published"),
    [
        # Korthikanti et al. 2022, arXiv:2205.05198, table 5: selective recomputation.
        ("megatron-gpt-22b", 8, {"tp": 8, "micro_batch": 4}, 1.10),
        ("megatron-gpt-175b", 64, {"tp": 8, "pp": 8, "interleave": 3, "microbatches": 64}, 13.75),
        (
            "megatron-gpt-529.6b",
            280,
            {"tp": 8, "pp": 35, "interleave": 3, "microbatches": 280},
            37.83,
        ),
        ("megatron-gpt-1008b", 512, {"tp": 8, "pp": 64, "microbatches": 512}, 71.49),
    ],
)
def test_published_iterations_of_megatron_on_a100(name, gpus, options, published):
    where = machine("A100", software="megatron-2022")
    recipe = training_recipe("adamw-megatron-fp16")
    found = seconds(
        where,
        model(name),
        recipe,
        seq_len=2048,
        attention="eager",
        recompute="selective",
        **options,
    )
    assert options["tp"] * options.get("pp", 1) == gpus
    assert found == pytest.approx(published, rel=0.15)


@pytest.mark.parametrize(("fp8", "published"), [(False, 12.91), (True, 9.67)])
def test_a_published_step_of_llama_8b_on_h100(fp8, published):
    # NVIDIA DGX Cloud Benchmarking v25.01: 8 GPUs, batch 128 of 8,192 tokens, CP 2; cuDNN 9.
    job = {"microbatches": 32, "dp": 4, "cp": 2, "zero_stage": 1, "attention": "flash3"}
    found = seconds(seq_len=8192, fp8=fp8, **job)
    assert found == pytest.approx(published, rel=0.15)


def test_flops_of_published_models():
    # Narayanan et al. 2021, arXiv:2104.04473, section 5.1: 1,024 A100 at 140 TFLOP/s train
    # GPT-3 on 300 billion tokens in 34 days, recomputation included.
    flops = float(hardware_flops_per_token(model("megatron-gpt-175b"), 2048, "full", "full"))
    assert 300e9 * flops / (1024 * 140e12) / 86400 == pytest.approx(34, rel=0.05)
    causal, full, plain = (
        float(model_flops_per_token(LLAMA, 8192, c)) for c in ("causal", "full", "parameters")
    )
    assert plain < causal < full
    assert full - plain == pytest.approx(2 * (causal - plain))
    assert plain == pytest.approx(6 * 7.5e9, rel=0.01)  # embeddings are looked up, not multiplied
    assert utilisation(494.7e12, 989.4e12) == pytest.approx(0.5)


def test_a_sliding_window_caps_attention():
    windowed, whole = model("mistral-7b-v0.1"), model("mistral-7b-v0.3")
    short = [float(model_flops_per_token(m, 4096)) for m in (windowed, whole)]
    long = [float(model_flops_per_token(m, 32768)) for m in (windowed, whole)]
    assert short[0] == pytest.approx(short[1], rel=0.001)
    assert long[0] < 0.75 * long[1]


def test_llama_3_was_interrupted_every_three_hours_and_ninety_percent_useful():
    # Llama 3, arXiv:2407.21783, section 3.3.4: 16,384 H100, more than 90 % effective time.
    rate = 4.7e-4 * 16384 / 86400
    assert 1 / rate / 3600 == pytest.approx(3.1, rel=0.05)
    interval = checkpoint_interval_s(10.0, rate)
    assert 0.88 < goodput(interval, 10.0, rate, 900.0) < 0.95


@given(st.floats(1, 600), st.floats(1e-6, 1e-4), st.floats(60, 1800))
def test_no_interval_is_more_useful_than_dalys(write, rate, restart):
    best = float(checkpoint_interval_s(write, rate))
    tried = best * np.geomspace(0.3, 3, 61)
    most = goodput(tried, write, rate, restart).max()
    assert goodput(best, write, rate, restart) >= most * (1 - 2e-3)


def test_a_run_without_failures_is_useful_but_for_writing():
    assert goodput(3600.0, 36.0, 0.0, 900.0) == pytest.approx(3600 / 3636, rel=1e-6)
    assert training_seconds(1e12, 4e6, 2.0) == pytest.approx(5e5)


def test_checkpoints_and_power():
    assert checkpoint_bytes(LLAMA, RECIPE) == pytest.approx(LLAMA.params * 14)
    assert node_power_w(700, 8, 10_200) == pytest.approx(7750, rel=0.01)  # arXiv:2506.14551
    assert node_power_w(400) == pytest.approx(0.76 * 1.85 * 3200)


def test_wrong_input_is_named():
    with pytest.raises(InputError, match=r"fp8.*A100"):
        seconds(machine("A100"), fp8=True)
    with pytest.raises(InputError, match="language models only"):
        seconds(network=model("sdxl-1.0"))
    with pytest.raises(UnknownNameError, match="megatron"):
        framework("megatrn")


def test_every_fitted_constant_is_inside_its_bounds():
    for name, entry in stored("training")["frameworks"].items():
        terms = framework(name)[1]
        assert terms.model_dump() == entry["terms"]
    assert framework("axolotl")[1] == framework("deepspeed")[1]  # nothing was fitted: the nearest


def test_held_out_errors_keep_what_the_documents_promise():
    errors = training_errors()
    known = errors.loc["step time, framework known"]
    assert known["median_error"] <= 0.08
    assert known["p90_error"] <= 0.22
    assert errors.loc["step time", "median_error"] <= 0.085
    assert errors.loc["ratio h100-sxm-80 / a100-sxm-80", "median_error"] <= 0.07
    assert known["rows"] > 200
    assert known["publishers"] >= 5
    low, high = training_interval(10.0, levels={"known": "framework known"})
    assert low < 10 < high


def test_intervals_hold_what_they_promise_of_publishers_that_were_left_out():
    inside = training_errors()["coverage"]
    assert 0.75 <= inside["step time"] <= 0.90
    each = stored("training")["each_publisher"]
    assert 0.72 <= each <= 0.85  # 80 % promised, of 20 publishers
    page = (DATA.parent / "docs" / "training.md").read_text("utf-8")
    assert f"each publisher counting once, {each:.0%} lie inside" in page
    for group in ("Ampere", "Hopper", "Blackwell", *map("family {}".format, FAMILIES)):
        assert inside[f"step time, {group}"] >= 0.64


FAMILIES = ("megatron", "fsdp", "deepspeed", "internevo")
"""Of nanotron half of the steps, and of llm.c and nanoGPT fewer: nobody else ran such hosts."""


def test_what_was_measured_is_known_no_worse_than_what_is_near_or_far():
    errors = training_errors()
    rows = [errors.loc[f"step time, ground {level}"] for level in LEVELS]
    measured, near, far = (row["median_error"] for row in rows)
    assert measured <= near + 0.005  # of 38 rows: level with near ground, not worse
    near, far = (row["p90_error"] for row in rows[1:])
    assert near < far  # two sweeps make most far rows, and their middle is as near


def test_splits_over_nodes_are_within_a_fifth_or_far_ground():
    rows = prepared_rows()
    stages = (rows["pp"] > 1) & (rows["n_gpus"] > NODE_GPUS)
    split = (stages | (rows["tp"] > NODE_GPUS)).to_numpy()
    predicted = rows["case_id"].map(held_out("training")).to_numpy(float)
    away = np.abs(predicted / measured_step_seconds(rows) - 1)
    known = ground_of_rows("training", rows, left_out=True) < FAR
    assert rows.loc[split & (away > 0.2) & known, "case_id"].tolist() == ["nemo-perf-24.07-004"]
    assert away[split & known].max() < 0.23
    assert split.sum() > 150
    assert (split & known).sum() > 40  # not all is far


def test_the_batch_of_every_used_run_can_be_split_over_its_ranks():
    rows = prepared_rows()
    left = rows["global_batch"] % (rows["dp"] * rows["micro_batch"])
    assert rows.loc[left != 0, "case_id"].tolist() == []


def test_pairs_differ_in_the_gpu_alone():
    rows = prepared_rows()
    pairs = matched_steps(rows)
    old, new = (
        rows.iloc[pairs[side].to_numpy(int)].reset_index(drop=True) for side in ("old", "new")
    )
    for column in ("source_id", "model", "seq_len", "precision", "framework", "recompute"):
        assert (old[column] == new[column]).all()
    assert (old["gpu"] != new["gpu"]).all()
    assert pairs["pair"].str.startswith("h100-sxm-80 / a100-sxm-80").sum() > 40
