"""Loads: the formulas against a simulation of every iteration, and laws that hold at every load."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from simulation import simulate as simulate_one_by_one

from gpuspec import gpu, model, precision
from gpuspec.constants.memory import memory_terms
from gpuspec.formulas.serving import (
    USERS,
    Client,
    Deployment,
    Layout,
    arrivals,
    engine,
    max_concurrency,
    maximum_load,
    steady_state,
    sustainable_requests_s,
)
from gpuspec.formulas.serving.simulation import Iterations, simulate

CASES = {
    "short prompts": ("llama-3.1-8b", "A100", "bf16", 1, 512, 200),
    "a large model": ("llama-3.1-70b", "H100", "fp8", 4, 2048, 300),
    "little room": ("llama-3.1-70b", "H100", "fp8", 2, 4000, 500),
}
LOOPS = {
    **CASES,
    "few tokens": ("llama-3.1-70b", "H100", "fp8", 4, 2000, 10),
    "long prompts": ("llama-3.1-8b", "H100", "fp8", 1, 20_000, 200),
}


def replica(name, device, weight, tp, engine_name="vllm"):
    found = engine(engine_name)
    shape = Layout(
        network=model(name),
        gpu=gpu(device) if isinstance(device, str) else device,
        weight=precision(weight),
        tp=tp,
        library=found.library,
    )
    return Deployment(layout=shape, engine=found.terms, limits=found.limits, memory=memory_terms())


# --- the simulation ------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("load", [0.5, 0.9])
def test_passing_over_equal_iterations_changes_nothing(case, load):
    *about, isl, osl = CASES[case]
    one = replica(*about)
    rate = load * sustainable_requests_s(one, isl, osl)
    seen = arrivals(one, rate, isl, osl, client=Client(transport_s=0.0))
    slow = simulate_one_by_one(one, rate, isl, osl, requests=2500)
    for name, values in (("ttft", slow.ttft_s), ("tpot", slow.tpot_s)):
        for percent in (50, 95):
            expected = np.quantile(values, percent / 100)
            assert seen[f"{name}_p{percent}_s"] == pytest.approx(expected, rel=0.1)


def test_prompts_that_come_at_random_wait_as_in_m_d_1():
    """Answers of one token, iterations of one prompt: rho s / (2 (1 - rho)) beside the service."""
    one = replica("llama-3.1-8b", "H100", "bf16", 1)
    one = one.model_copy(update={"limits": one.limits.model_copy(update={"max_tokens": 4096})})
    step = Iterations(one, 4096, 1)
    service = float(np.interp(4096, step.tokens, step.seconds[0]))
    for busy in (0.3, 0.6):
        gaps = np.random.default_rng(1).exponential(service / busy, 60_000)
        seen = simulate(step, np.cumsum(gaps))
        expected = service * (1 + busy / (2 * (1 - busy)))
        assert seen.ttft_s.mean() == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("clients", [1, 8, 64])
@pytest.mark.parametrize("case", LOOPS)
def test_requests_in_flight_agree_with_a_closed_loop_of_every_iteration(case, clients):
    *about, isl, osl = LOOPS[case]
    one, count = replica(*about), max(clients * 12, 100)
    answers = np.random.default_rng(0).uniform(0.2, 1.8, count) * osl
    way = float(one.arrival_seconds(USERS, isl))
    loop = simulate(
        Iterations(one, isl, osl), np.zeros(count), answers, clients=clients, transport_s=way
    )
    kept = slice(min(clients * 4, count // 2), -clients)
    found = steady_state(one, clients, isl, osl)
    assert found["ttft_s"] == pytest.approx(loop.ttft_s[kept].mean(), rel=0.25)
    assert found["tpot_s"] == pytest.approx(loop.tpot_s[kept].mean(), rel=0.2)
    latency = (loop.ttft_s + loop.tpot_s * (answers - 1))[kept].mean()
    assert found["requests_s"] == pytest.approx(clients / latency, rel=0.12)


@pytest.mark.parametrize("case", LOOPS)
def test_a_burst_agrees_with_one_of_every_iteration(case):
    *about, isl, osl = LOOPS[case]
    one = replica(*about)
    way = float(one.arrival_seconds(USERS, isl))
    burst = simulate(Iterations(one, isl, osl), np.zeros(100), transport_s=way)
    found = steady_state(one, 100, isl, osl, requests=100)
    assert found["ttft_s"] == pytest.approx(burst.ttft_s.mean(), rel=0.25)


# --- arrivals at random --------------------------------------------------------------------------


@settings(max_examples=8, deadline=None)
@given(st.floats(0.05, 0.7), st.floats(0.1, 0.25), st.integers(64, 4000), st.integers(32, 800))
def test_more_arrivals_never_shorten_the_wait(load, more, isl, osl):
    one = replica("llama-3.1-8b", "H100", "fp8", 1)
    most = sustainable_requests_s(one, isl, osl)
    calm, busy = (arrivals(one, most * share, isl, osl) for share in (load, load + more))
    for name in ("ttft_p95_s", "tpot_p50_s", "in_flight"):
        assert busy[name] >= calm[name] * 0.98
    assert calm["ttft_p50_s"] <= calm["ttft_p95_s"] <= calm["ttft_p99_s"]


def test_a_rate_beyond_what_can_be_sustained_is_said_and_never_nan():
    one = replica("llama-3.1-8b", "H100", "fp8", 1)
    most = sustainable_requests_s(one, 1000, 200)
    seen = arrivals(one, np.array([0.5, 1.0, 2.0]) * most, 1000, 200)
    assert seen["utilisation"].round(3).tolist() == [0.5, 1.0, 2.0]
    assert np.isfinite(seen["ttft_p95_s"][0])
    assert np.isinf(seen["ttft_p95_s"][1:]).all()
    assert not any(np.isnan(values).any() for values in seen.values())


def test_a_run_that_ends_shows_how_long_its_queue_becomes():
    one = replica("llama-3.1-8b", "H100", "fp8", 1)
    most = sustainable_requests_s(one, 1000, 200)
    short, long = (arrivals(one, 3 * most, 1000, 200, requests=n) for n in (500, 2000))
    assert 2 * short["ttft_mean_s"] < long["ttft_mean_s"] < np.inf
    assert long["output_tokens_s"] == pytest.approx(most * 200, rel=0.1)


def test_little_load_sees_an_idle_machine():
    one = replica("llama-3.1-8b", "H100", "fp8", 1)
    seen = arrivals(one, 1e-3, 1000, 200)
    alone = steady_state(one, 1.0, 1000, 200)
    assert seen["tpot_p50_s"] == pytest.approx(float(alone["tpot_s"]), rel=0.01)
    assert seen["ttft_p50_s"] == pytest.approx(float(alone["ttft_s"]), rel=0.1)
    assert seen["in_flight"] < 0.01


def test_a_model_that_does_not_fit_serves_no_rate():
    one = replica("llama-3.1-405b", "H100", "bf16", 1)
    assert sustainable_requests_s(one, 1000, 200) == 0
    assert np.isinf(arrivals(one, 1.0, 1000, 200)["ttft_p50_s"])


# --- laws ----------------------------------------------------------------------------------------

MODELS = (
    "llama-3.2-1b", "llama-3.1-8b", "qwen3-32b", "llama-3.1-70b", "llama-3.1-405b", "mixtral-8x7b",
    "gpt-oss-120b", "qwen3-30b-a3b", "qwen3-235b-a22b", "deepseek-r1",
)  # fmt: skip
EXACT, WAVES = 1e-9, 0.01
"""Kernels fill whole waves of SMs, by which a rate may fall back under 1 %."""


def within(low, high):
    """Whole numbers whose sizes are all as likely."""
    return st.floats(np.log(low), np.log(high)).map(lambda x: round(float(np.exp(x))))


@st.composite
def replicas(draw):
    about = (
        draw(st.sampled_from(MODELS)),
        draw(st.sampled_from(("A100", "H100", "H200"))),
        draw(st.sampled_from(("bf16", "fp8"))),
        draw(st.sampled_from((1, 2, 4, 8))),
        draw(st.sampled_from(("vllm", "sglang", "tensorrt-llm"))),
    )
    assume(float(max_concurrency(replica(*about), 16, 1)) >= 1)
    return about


ISL, OSL, LOAD = within(16, 32_768), within(1, 4096), within(1, 1024)
laws = settings(max_examples=40, deadline=None)
ONE_WAVE = 0.15
"""Of a single wave of small models: its iterations are a line over the tokens that they read, whose
start rises where their slope falls; seen up to 7 %.
"""
EARLIER = 5e-3
"""Prompts that are read sooner leave more answers in each iteration: a token may take a little
longer, though a request as a whole does not; seen up to 0.12 %.
"""
THOUSANDTH = 1e-3
"""A request that comes between two shorter iterations may miss one more of them."""


def fits(one, isl, osl, load=1):
    return float(max_concurrency(one, isl, osl)) >= load


def more(about, **figures):
    """The same replica on a GPU that has more of something."""
    device = gpu(about[1])
    changed = {name: getattr(device, name) * factor for name, factor in figures.items()}
    return replica(about[0], device.model_copy(update=changed), *about[2:])


def rises(values, tolerance=EXACT):
    """Whether no value falls back behind one before it."""
    return (values >= np.maximum.accumulate(values) * (1 - tolerance)).all()


def latency(found, osl):
    return found["ttft_s"] + found["tpot_s"] * (osl - 1)


@laws
@given(replicas(), ISL, OSL, LOAD, st.sampled_from([1, 2, 10, np.inf]), st.booleans())
def test_in_flight_is_the_rate_times_the_time_of_each(about, isl, osl, load, waves, equal):
    one = replica(*about)
    assume(fits(one, isl, osl))
    client = Client(lengths="equal" if equal else "varied")
    found = steady_state(one, load, isl, osl, client=client, requests=waves * load)
    assert found["in_flight"] == pytest.approx(found["requests_s"] * latency(found, osl), rel=1e-9)
    if waves == np.inf:
        assert found["in_flight"] == pytest.approx(load, rel=1e-9)
    held = float(max_concurrency(one, isl, osl))
    assert max(load - held * 1.1, 0) - 1 <= found["waiting"] <= max(load - held, 0) + EXACT * load
    assert found["decoding"] <= held * (1 + EXACT)
    assert sum(found["parts"].values()) == pytest.approx(found["tpot_s"], rel=1e-9)


@laws
@given(replicas(), ISL, OSL)
def test_more_in_flight_is_never_less_throughput_nor_sooner_done(about, isl, osl):
    one, loads = replica(*about), np.unique(np.round(np.geomspace(1, 1024, 60)))
    assume(fits(one, isl, osl))
    found = steady_state(one, loads, isl, osl)
    assert rises(found["requests_s"], WAVES)
    assert rises(latency(found, osl), WAVES)  # and so two replicas never do less than one
    assert rises(found["ttft_s"], WAVES)
    assert osl == 1 or rises(found["tpot_s"])  # one token has no time between


@laws
@given(replicas(), OSL, LOAD)
def test_longer_prompts_never_have_an_earlier_first_token(about, osl, load):
    one, lengths = replica(*about), np.unique(np.round(np.geomspace(16, 32_768, 40)))
    held = max_concurrency(one, lengths, osl)
    for requests, kept in ((np.inf, held >= 1), (load, held >= load)):
        found = steady_state(one, load, lengths[kept], osl, requests=requests)
        assert rises(found["ttft_s"], WAVES)
        assert rises(1 / found["requests_s"], WAVES)


@laws
@given(replicas(), ISL, OSL, LOAD, st.floats(1.05, 3))
def test_more_bandwidth_is_never_slower(about, isl, osl, load, factor):
    slow, fast = replica(*about), more(about, memory_bandwidth_gb_s=factor)
    assume(fits(slow, isl, osl))
    for requests in (np.inf, load):
        before, after = (steady_state(r, load, isl, osl, requests=requests) for r in (slow, fast))
        assert after["ttft_s"] <= before["ttft_s"] * (1 + THOUSANDTH)
        close = EARLIER if requests == np.inf else ONE_WAVE
        assert osl == 1 or after["tpot_s"] <= before["tpot_s"] * (1 + close)
        assert after["requests_s"] >= before["requests_s"] * (1 - THOUSANDTH)


@laws
@given(replicas(), ISL, OSL, LOAD, st.floats(1.05, 3))
def test_more_memory_is_never_less_throughput(about, isl, osl, load, factor):
    small, large = replica(*about), more(about, memory_reported_mib=factor)
    assume(fits(small, isl, osl))
    for run in (lambda r: steady_state(r, load, isl, osl), lambda r: maximum_load(r, isl, osl)):
        assert run(large)["requests_s"] >= run(small)["requests_s"] * (1 - WAVES)


@laws
@given(replicas(), ISL, OSL, LOAD)
def test_more_gpus_are_never_less_throughput(about, isl, osl, load):
    """Each number of GPUs is split as gives most: many replicas, or few of more GPUs."""
    name, device, weight, _, engine_name = about

    def most(gpus):
        rates = [0.0]
        for tp in (1, 2, 4, 8):
            one = replica(name, device, weight, tp, engine_name)
            if tp <= gpus and fits(one, isl, osl):
                copies = min(gpus // tp, load)
                rates.append(
                    copies * float(steady_state(one, load / copies, isl, osl)["requests_s"])
                )
        return max(rates)

    assert rises(np.array([most(gpus) for gpus in (1, 2, 4, 8)]), WAVES)


def test_what_prompts_cannot_keep_up_with_waits():
    """2,000 tokens in, 10 out: from 64 in flight on only the time grows."""
    one = replica("llama-3.1-70b", "H100", "fp8", 4)
    found = steady_state(one, [64, 150], 2000, 10)
    assert found["requests_s"][1] == pytest.approx(found["requests_s"][0], rel=0.02)
    assert found["ttft_s"][1] > 3 * found["ttft_s"][0]
