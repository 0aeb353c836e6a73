"""Requests that arrive at random: the formulas against an iteration-level simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation import simulate

from gpuspec import gpu, model, precision
from gpuspec.evidence.fits import memory_terms
from gpuspec.formulas.serving import (
    Deployment,
    Layout,
    arrivals,
    engine,
    steady_state,
    sustainable_requests_s,
)

CASES = {
    "short prompts": ("llama-3.1-8b", "A100", "bf16", 1, 512, 200),
    "a large model": ("llama-3.1-70b", "H100", "fp8", 4, 2048, 300),
    "little room": ("llama-3.1-70b", "H100", "fp8", 2, 4000, 500),
}


def replica(name, device, weight, tp):
    found = engine("vllm")
    shape = Layout(network=model(name), gpu=gpu(device), weight=precision(weight), tp=tp)
    return Deployment(layout=shape, engine=found.terms, limits=found.limits, memory=memory_terms())


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("load", [0.2, 0.45, 0.7])
def test_percentiles_agree_with_a_simulation_of_every_iteration(case, load):
    *about, isl, osl = CASES[case]
    one = replica(*about)
    rate = load * sustainable_requests_s(one, isl, osl)
    seen = arrivals(one, rate, isl, osl)
    simulated = simulate(one, rate, isl, osl, requests=8000)
    for name, values in (("ttft", simulated.ttft_s), ("tpot", simulated.tpot_s)):
        for percent, tolerance in ((50, 0.12), (95, 0.2), (99, 0.25)):
            expected = np.quantile(values, percent / 100)
            assert seen[f"{name}_p{percent}_s"] == pytest.approx(expected, rel=tolerance)
    assert seen["in_flight"] == pytest.approx(simulated.in_flight, rel=0.15)


def test_prompts_longer_than_an_iteration_queue_behind_each_other():
    one = replica("llama-3.1-8b", "H100", "fp8", 1)
    rate = 0.5 * sustainable_requests_s(one, 20_000, 200)
    seen = arrivals(one, rate, 20_000, 200)
    simulated = simulate(one, rate, 20_000, 200, requests=8000)
    for percent in (50, 95):
        expected = np.quantile(simulated.ttft_s, percent / 100)
        assert seen[f"ttft_p{percent}_s"] == pytest.approx(expected, rel=0.25)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.05, 0.7), st.floats(0.1, 0.25), st.integers(64, 4000), st.integers(32, 800))
def test_more_arrivals_never_shorten_the_wait(load, more, isl, osl):
    one = replica("llama-3.1-8b", "H100", "fp8", 1)
    most = sustainable_requests_s(one, isl, osl)
    calm, busy = (arrivals(one, most * share, isl, osl) for share in (load, load + more))
    for name in ("ttft_p95_s", "tpot_p50_s", "in_flight"):
        assert busy[name] >= calm[name] * 0.93  # 2,048 draws tell a percentile to some percent
    assert calm["ttft_p50_s"] <= calm["ttft_p95_s"] <= calm["ttft_p99_s"]


def test_a_rate_beyond_what_can_be_sustained_is_said_and_never_nan():
    one = replica("llama-3.1-8b", "H100", "fp8", 1)
    most = sustainable_requests_s(one, 1000, 200)
    seen = arrivals(one, np.array([0.5, 1.0, 2.0]) * most, 1000, 200)
    assert seen["utilisation"].round(3).tolist() == [0.5, 1.0, 2.0]
    assert np.isfinite(seen["ttft_p95_s"][0])
    assert np.isinf(seen["ttft_p95_s"][1:]).all()
    assert not any(np.isnan(values).any() for values in seen.values())


def test_little_load_sees_an_idle_machine():
    one = replica("llama-3.1-8b", "H100", "fp8", 1)
    seen = arrivals(one, 1e-3, 1000, 200)
    alone = steady_state(one, 1.0, 1000, 200)
    assert seen["tpot_p50_s"] == pytest.approx(float(alone["tpot_s"]), rel=0.1)
    assert seen["in_flight"] < 0.01


def test_a_model_that_does_not_fit_serves_no_rate():
    one = replica("llama-3.1-405b", "H100", "bf16", 1)
    assert sustainable_requests_s(one, 1000, 200) == 0
    assert np.isinf(arrivals(one, 1.0, 1000, 200)["ttft_p50_s"])
