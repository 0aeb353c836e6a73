"""Numbers of the formulas of reinforcement learning that were worked out by hand."""

import numpy as np
import pytest

from gpuspec.catalog import gpu
from gpuspec.catalog.models import model
from gpuspec.catalog.precision import precision
from gpuspec.constants.posttraining import PostTrainingTerms
from gpuspec.formulas.posttraining import (
    Lengths,
    cut_mean,
    forward_seconds,
    packed,
    packed_batch,
    refit_seconds,
    rollout_seconds,
    step_seconds,
    step_stages,
    still_writing,
    streamed_seconds,
    uncut_mean,
    with_terms,
)
from gpuspec.formulas.serving import Deployment, Layout, decode_seconds, prefill_seconds
from gpuspec.formulas.serving.serving import total_seconds

SAMPLES = np.exp(np.random.default_rng(7).normal(size=400_000))
"""Lognormal lengths of a median of 1 and a sigma of 1: mean e^0.5, spread (e - 1)^0.5."""
SPREAD = float(np.sqrt(np.e - 1))


@pytest.fixture(scope="module")
def replica():
    layout = Layout(network=model("llama-3.1-8b"), gpu=gpu("H100"), weight=precision("bf16"))
    return Deployment(layout=layout)


@pytest.mark.parametrize("most", [0.5, 1.0, 3.0])
def test_the_mean_of_cut_lengths_is_that_of_a_sample(most):
    mean = float(cut_mean(np.exp(0.5), most, SPREAD))
    assert mean == pytest.approx(np.minimum(SAMPLES, most).mean(), rel=0.003)
    assert uncut_mean(mean, most, SPREAD) == pytest.approx(np.exp(0.5), rel=1e-6)


def test_equal_lengths_end_together_and_cut_ones_at_the_cut():
    assert still_writing([10.0, 499.0, 500.0], 500.0, 800.0, 0.0).tolist() == [1.0, 1.0, 0.0]
    assert np.isinf(uncut_mean(800.0, 800.0, 0.8))
    all_cut = Lengths(800.0, 800.0, 0.8)
    assert all_cut.longer([799.0, 800.0]).tolist() == [1.0, 0.0]
    assert all_cut.biased == pytest.approx(800.0, rel=0.01)


def test_lengths_found_in_a_full_engine_are_longer():
    cut = np.minimum(SAMPLES, 3.0)
    lengths = Lengths(cut.mean() * 1000, 3000.0, SPREAD)
    assert lengths.biased == pytest.approx(1000 * (cut**2).mean() / cut.mean(), rel=0.01)


def test_equal_answers_are_a_batch_that_reads_once_and_writes_to_its_end(replica):
    found = rollout_seconds(replica, 32, 128, Lengths(1000.0, 1000.0, 0.0), generations=8)
    read = float(total_seconds(prefill_seconds(replica, 32, 16)))
    context = 128 + (np.arange(1000) + 0.5)
    wrote = float(np.sum(total_seconds(decode_seconds(replica, 32, context))))
    assert found == pytest.approx(read + wrote, rel=1e-3)


def test_the_longest_answers_hold_up_a_step(replica):
    alike = rollout_seconds(replica, 64, 128, Lengths(1000.0, 8000.0, 0.0))
    varied = rollout_seconds(replica, 64, 128, Lengths(1000.0, 8000.0, 0.8))
    cut = rollout_seconds(replica, 64, 128, Lengths(1000.0, 2000.0, 0.8))
    assert 3 * alike < varied < 8 * alike
    assert 1.5 * alike < cut < 2.2 * alike
    assert streamed_seconds(replica, 64, 128, Lengths(1000.0, 8000.0, 0.8)) < 1.5 * alike


def test_more_answers_than_memory_holds_wait_their_turn(replica):
    lengths = Lengths(4000.0, 8000.0, 0.5)
    few, many, most = (rollout_seconds(replica, n, 128, lengths) for n in (64, 1000, 2000))
    assert few < many < most
    rate = streamed_seconds(replica, 1000, 128, lengths)
    assert most - many == pytest.approx(rate, rel=0.02)
    big = replica.model_copy(
        update={"layout": replica.layout.model_copy(update={"network": model("llama-3.1-70b")})}
    )
    assert np.isinf(rollout_seconds(big, 1, 128, lengths))


def test_long_sequences_do_not_share_a_micro_batch():
    assert packed([16, 10], 1000.0, 4000.0, 0.1).tolist() == [4.0, 3.0]
    assert float(packed(16, 3000.0, 4000.0, 1.0)) == 16
    batch = packed_batch(96.0, Lengths(4000.0, 4000.0, 0.8), 8)
    assert float(batch.microbatches) == 8
    assert float(batch.seq_len) == 4096


def test_a_forward_pass_has_its_share_of_each_part():
    parts = {
        "gemm": 9.0,
        "attention": 8.0,
        "tp": 4.0,
        "recompute": 5.0,
        "optimizer": 3.0,
        "dp": 6.0,
    }
    assert float(forward_seconds(parts, 1)) == 3 + 2 + 2
    assert float(forward_seconds(parts, 3)) == 3 + 2 + 2 + 2
    assert float(forward_seconds(parts, 1, trained=False)) == 4.5 + 2 + 2


def test_a_step_adds_up_and_two_pools_at_once_take_the_longer():
    parts = {"gemm": 6.0}
    found = step_stages(30.0, parts, 1, updates=2, passes=3, critic=True, refit_s=1.0)
    said = {name: float(seconds) for name, seconds in found.items()}
    assert said == {
        "generation": 30, "environment": 0, "log_probs": 4, "reference": 4,
        "critic": 4 + 36, "update": 36, "refit": 1,
    }  # fmt: skip
    assert float(step_seconds(said)) == 30 + 4 + 4 + 40 + 36 + 1
    assert float(step_seconds(said, overlapped=True)) == 84 + 1
    bare = step_stages(30.0, parts, 1, reference=False)
    assert float(bare["reference"]) == float(bare["critic"]) == 0
    terms = PostTrainingTerms(generation_factor=2, training_factor=1.5, transition_s=7)
    held = with_terms(said, terms)
    assert [float(held[n]) for n in ("generation", "update", "refit")] == [60, 54, 8]


def test_weights_and_states_cross_their_links():
    assert float(refit_seconds(16e9, rate_bytes_s=8e9)) == 2
    assert float(refit_seconds(16e9, 25e9, 8e9, 50e9)) == 3
