"""The error model: publishers left out, widths by what decides them, hand-computed numbers."""

import numpy as np
import pandas as pd
import pytest

from gpuspec.constants.inference import inference_interval
from gpuspec.constants.stored import Z80, ground_ends, log_ends, stored, stored_interval, widened
from gpuspec.evidence.fits.errors import (
    PRIOR,
    Errors,
    fitted_interval,
    inside,
    one_more,
    row_weights,
    shrunk,
    variance_components,
)


def test_rows_weigh_less_the_more_their_publisher_has():
    weight = row_weights(np.array(["a", "a", "a", "a", "b"]))
    assert weight == pytest.approx([0.5, 0.5, 0.5, 0.5, 1.0])  # four rows count as two


def test_variance_components_by_hand():
    # Means 0.1 and 0.5: their variance is 0.08. Within: 4 x 0.1^2 / (4 - 2) = 0.02, of which each
    # mean of two rows keeps 0.01. Between: 0.08 - 0.01 = 0.07.
    error, publishers = np.array([0.0, 0.2, 0.4, 0.6]), np.array(["a", "a", "b", "b"])
    between, within = variance_components(error, publishers)
    assert between**2 == pytest.approx(0.07)
    assert within**2 == pytest.approx(0.02)
    assert variance_components(error, np.array(["a"] * 4))[0] == 0.0
    assert variance_components(np.array([0.1, -0.1]), np.array(["a", "b"]))[1] == 0.0


def test_few_publishers_are_drawn_to_the_whole():
    assert PRIOR == 2
    assert shrunk(3.0, 2) == 2.0  # half of the way
    assert shrunk(3.0, 8) == pytest.approx(2.6)  # (8 x 3 + 2 x 1) / 10
    assert shrunk(5.0, 0) == 1.0


def test_one_more_publisher_is_students_t_of_one_more_draw():
    # Three and the two of the prior: t(0.9, 4) = 1.5332, sqrt(1 + 1/5) = 1.0954, z = 1.2816
    assert one_more(3) == pytest.approx(1.5332 * 1.0954 / 1.2816, rel=1e-3)
    assert one_more(1) > one_more(2) > one_more(3) > one_more(100) > 1
    assert one_more(10_000) == pytest.approx(1, abs=1e-3)


def many(spread, size=40, rows=5, seed=0):
    """Return errors of publishers with means that spread, and who measured them."""
    draw = np.random.default_rng(seed)
    means = draw.normal(0, spread, size)
    error = (means[:, None] + draw.normal(0, 0.05, (size, rows))).ravel()
    return error, np.repeat([f"p{i:02}" for i in range(size)], rows)


def test_the_interval_holds_what_a_new_publisher_measures():
    error, publishers = many(0.2)
    assert 0.72 <= inside(error, publishers).mean() <= 0.90
    low, high = log_ends(fitted_interval(error, publishers), {})
    spread = np.hypot(0.2, 0.05)
    assert high - low == pytest.approx(2 * Z80 * spread, rel=0.25)


def test_the_spread_between_publishers_is_part_of_it():
    narrow, wide = (fitted_interval(*many(spread)) for spread in (0.02, 0.3))
    assert wide["between"] > 5 * narrow["between"]
    assert wide["high"] * wide["scale"] > 3 * narrow["high"] * narrow["scale"]


def test_a_level_with_larger_errors_is_wider_and_an_unknown_one_has_the_width_of_all():
    calm, who = many(0.05)
    wild, others = many(0.4, seed=1)
    error = np.concatenate([calm, wild])
    publishers = np.concatenate([who, np.char.add(others, "x")])
    factors = pd.DataFrame({"engine": ["calm"] * len(calm) + ["wild"] * len(wild)})
    found = fitted_interval(error, publishers, factors)
    widths = {n: e["width"] for n, e in found["groups"]["engine"].items()}
    assert widths["wild"] > 3 * widths["calm"]
    sizes = [np.ptp(log_ends(found, {"engine": name})) for name in ("calm", "new", "wild")]
    assert sizes == sorted(sizes)
    assert np.ptp(log_ends(found, {})) == pytest.approx(sizes[1])
    arrays = log_ends(found, {"engine": ["calm", "wild"]})
    assert np.subtract(arrays[1], arrays[0]) == pytest.approx([sizes[0], sizes[2]])
    covered = inside(error, publishers, factors)
    assert covered[: len(calm)].mean() > 0.7
    assert covered[len(calm) :].mean() > 0.7


def test_one_publisher_alone_covers_nothing_that_can_be_said():
    error, publishers = np.array([0.1, 0.2]), np.array(["a", "a"])
    assert np.isnan(inside(error, publishers)).all()
    rows = pd.DataFrame({"publisher": publishers, "source_id": ["x", "y"]})
    told = Errors(error, rows).of()
    assert (told["rows"], told["publishers"], told["sources"]) == (2, 1, 2)
    assert "coverage" not in told


def test_far_ground_adds_the_spread_between_publishers_once_more():
    # Half width 0.3 and between 0.2: sqrt(0.3^2 + (1.2816 x 0.2)^2) = 0.3946
    low, high = widened(-0.2, 0.4, 0.2, 1.0)
    assert (high - low) / 2 == pytest.approx(0.3946, abs=1e-4)
    assert (high + low) / 2 == pytest.approx(0.1)
    assert widened(-0.2, 0.4, 0.2, 0.0) == (pytest.approx(-0.2), pytest.approx(0.4))
    ends = [inference_interval(1.0, "tpot", ground=code) for code in (0, 1, 2)]
    sizes = [float(high / low) for low, high in ends]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2]


def test_far_rows_tell_what_far_ground_adds_in_widths():
    error, publishers = many(0.02)
    slow, fast = (np.char.endswith(publishers, end) for end in "12")
    wild, far = error + 0.5 * slow - 0.5 * fast, slow | fast
    found = fitted_interval(wild, publishers, far=far)
    assert found["spread"]["far"] > 1.5 * found["spread"]["known"]
    ends = [ground_ends(found, {}, level) for level in (0, 1, 2)]
    measured, near, beyond = (high - low for low, high in ends)
    assert measured < near < beyond
    assert ends[0] == log_ends(found, {})


def test_a_rate_has_the_interval_of_its_seconds_turned_round():
    low, high = inference_interval(1.0, "throughput", levels={"engine": "vllm"})
    of = {"quantity": "throughput", "engine": "vllm"}
    slow = stored_interval(1.0, "inference", "seconds", of)
    assert low == pytest.approx(1 / slow[1])
    assert high == pytest.approx(1 / slow[0])
    mixed = inference_interval([1.0, 1.0], ["throughput", "tpot"])
    assert mixed[0][0] == pytest.approx(inference_interval(1.0, "throughput")[0])


@pytest.mark.parametrize("topic", ["inference", "training", "collectives", "hpc", "memory", "mig"])
def test_every_topic_stores_intervals_that_a_reader_can_follow(topic):
    for interval in stored(topic)["intervals"].values():
        assert interval["low"] <= 0 <= interval["high"] or interval["scale"] == 0
        assert interval["rows"] >= interval["publishers"] >= 1
        for levels in interval["groups"].values():
            assert sum(level["rows"] for level in levels.values()) == interval["rows"]
            assert all(level["width"] > 0 for level in levels.values())
