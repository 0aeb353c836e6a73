"""One number, worked out by hand, for what varied lengths, users and hours make of a load."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from toys import DENSE, FAST, layout

from gpuspec.constants.engine import EngineLimits
from gpuspec.constants.memory import MemoryTerms
from gpuspec.formulas.serving import (
    Client,
    Deployment,
    EngineTerms,
    arrivals,
    steady_state,
    sustainable_requests_s,
)
from gpuspec.formulas.serving.lengths import (
    Day,
    busiest_hour,
    closed_in_flight,
    length_biased,
    lognormal,
    mean_context,
    open_rate,
    share_longer,
)
from gpuspec.formulas.serving.simulation import Iterations, simulate

ONE = Deployment(
    layout=layout(DENSE, FAST),
    engine=EngineTerms(reserve_gb=0),
    limits=EngineLimits(max_sequences=10**6),
    memory=MemoryTerms(context_bytes=0, communicator_bytes=0),
)
MEANS = st.floats(1, 1e5)
SPREADS = st.floats(0, 4)


def test_long_answers_are_found_in_flight_more_often():
    # Answers of 100 and 300 tokens: E[x^2] / E[x] = (10,000 + 90,000) / 2 / 200 = 250.
    assert_allclose(length_biased(200, 0.5), 250)
    assert_allclose(mean_context(1000, [200, 200], [0, 0.5]), [1100, 1125])


def test_quantiles_of_lognormal_lengths():
    # spread sqrt(e - 1): sigma = 1, mu = ln(mean) - 1/2.
    spread = np.sqrt(np.e - 1)
    assert_allclose(lognormal(1000, spread, [0, 1]), [606.53, 1648.72], rtol=1e-5)
    assert_allclose(share_longer(1000, spread, [606.5307, 1648.7213]), [0.5, 0.158655], rtol=1e-5)
    assert_allclose(share_longer(1000, 0, [999, 1001]), [1, 0])


def test_users_as_a_load():
    assert_allclose(open_rate(6000, 0.1, 12), 2.0)  # 600 active, one request each 300 s
    assert_allclose(closed_in_flight(600, 45, 15), 150)  # a quarter of a cycle of 60 s is waiting
    assert_allclose(closed_in_flight(600, 0, 15), 600)


def test_the_busiest_hour():
    # Four gaps in four hours; the hour from 0 s on holds 0, 1,800 and 3,599 s.
    day = busiest_hour([14_400, 0, 1800, 3599, 7200])
    assert_allclose([day.mean_s * 3600, day.peak_s * 3600, day.factor], [1, 3, 3])
    assert busiest_hour([0, 10, 20]) == Day(0.1, 0.1)  # less than an hour is its own peak


@given(mean=MEANS, spread=SPREADS, more=SPREADS)
def test_more_spread_never_needs_less(mean, spread, more):
    assert length_biased(mean, spread + more) >= length_biased(mean, spread) >= mean


@given(
    users=st.integers(1, 10**6),
    more=st.integers(0, 10**6),
    share=st.floats(0.01, 1),
    rate=st.floats(0.01, 100),
    think=st.floats(0, 1000),
    answer=st.floats(0.01, 100),
)
def test_more_users_are_never_less_load(users, more, share, rate, think, answer):
    assert open_rate(users + more, share, rate) >= open_rate(users, share, rate)
    few, many = (closed_in_flight(n, think, answer) for n in (users, users + more))
    assert many >= few
    assert few <= users * (1 + 1e-12)
    assert_allclose(few / answer * (answer + think), users)  # X (R + Z) = N


@given(times=st.lists(st.floats(0, 1e6), min_size=2, max_size=60))
def test_the_peak_is_never_below_the_mean(times):
    if max(times) - min(times) > 1e-3:
        day = busiest_hour(times)
        assert day.peak_s >= day.mean_s > 0


@pytest.mark.parametrize("client", [Client(), Client(isl_spread=0.0, osl_spread=0.0)])
def test_no_spread_is_one_length(client):
    plain = steady_state(ONE, [1, 4], 100, 20)
    same = steady_state(ONE, [1, 4], 100, 20, client=client)
    assert_allclose(same["ttft_s"], plain["ttft_s"], rtol=0)
    step = Iterations(ONE, 100, 20)
    arrive = np.arange(50) * 0.01
    equal, given_ = (
        simulate(step, arrive, *lengths) for lengths in ((), (np.full(50, 20), np.full(50, 100)))
    )
    assert_allclose(equal.ttft_s, given_.ttft_s, rtol=0)


def test_varied_lengths_hold_more_memory_and_spread_the_times():
    varied = Client(isl_spread=1.0, osl_spread=1.0)
    rate = 0.5 * sustainable_requests_s(ONE, 100, 20, client=varied)
    equal, wide = (arrivals(ONE, rate, 100, 20, client=c) for c in (Client(), varied))
    assert wide["ttft_p99_s"] > equal["ttft_p99_s"]
    assert wide["utilisation"] > equal["utilisation"]
    held = [steady_state(ONE, 1e9, 100, 20, client=c) for c in (Client(), varied)]
    assert_allclose(held[0]["in_flight"], held[1]["in_flight"])
    assert held[1]["waiting"] > held[0]["waiting"]
