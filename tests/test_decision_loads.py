"""What a service asks over the month: layers of its load, replicas in reserve."""

import csv
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.base.paths import DATA
from gpuspec.catalog import load_table
from gpuspec.catalog.load_profiles import load_profile
from gpuspec.decision.alone import every_alone
from gpuspec.decision.decide import decide
from gpuspec.decision.loads import failures_and_repair, layers, replicas, stated
from gpuspec.decision.scenario import scenario
from gpuspec.decision.scenario.records import KINDS, Inference
from gpuspec.formulas.duration import (
    MOST_LAYERS,
    day_and_night,
    hourly_levels,
    layer_edges,
    time_share,
)
from gpuspec.formulas.reliability import kept_for, up_share
from gpuspec.formulas.training.run import FAILURES_PER_GPU_DAY
from gpuspec.views.language import translator

FIELDS = {
    "inference": {"model": "Llama-3.1-8B"},
    "images": {"images_per_s": 2.0},
    "tenants": {"table": [{"name": "a", "memory_gib": 8, "gpu_share": 0.1}]},
    "training": {"model": "Llama-3.1-8B", "tokens": 1e9, "deadline_days": 3},
    "hpc": {"workload": "md", "gpu_hours": 10, "deadline_days": 3},
}
SERVICES = ["inference", "images", "tenants"]
PROFILES = list(load_table("load-profiles")["id"])
shares = st.floats(0, 1)
days = st.lists(shares, min_size=24, max_size=24).filter(lambda day: max(day) > 0.01)
targets = st.floats(0.5, 0.999999)


def asked(kind="inference", **fields):
    if kind == "inference" and not {"request_rate", "users", "lengths"} & set(fields):
        fields = {"concurrency": 8} | fields
    work = {"kind": kind, "name": "w"} | FIELDS[kind] | fields
    return scenario({"name": "s", "workloads": [work]}).workloads[0]


def area(found):
    return sum((layer.share_to - layer.share_from) * layer.hours_month for layer in found)


def kept(workload, needed, gpus=8):
    return replicas(workload, np.asarray(needed), gpus).tolist()


def words(workload):
    return " ".join(line.words for line in stated(workload))


# --- layers --------------------------------------------------------------------------------------


def test_a_load_that_is_always_in_flight_is_one_layer():
    for use in ("general", "chat"):  # the peak of chat is of users, not of what is always there
        assert layers(asked(use_case=use)) == ((0.0, 1.0, 730.0),)
    assert layers(asked(hours_per_month=200)) == ((0.0, 1.0, 200.0),)
    assert layers(asked(profile="even", use_case="chat", request_rate=2.0, concurrency=None)) == (
        (0.0, 1.0, 730.0),
    )


@pytest.mark.parametrize("kind", ["training", "hpc"])
def test_a_job_is_one_layer_without_reserve(kind):
    assert layers(asked(kind)) == ((0.0, 1.0, 730.0),)
    assert kept(asked(kind), [1, 7]) == [1, 7]
    assert stated(asked(kind)) == []


def test_a_peak_alone_is_a_day_of_two_levels():
    """Mean 1/2: busy for (1/2) / (3/2) of the hours, a quarter of the load in the others."""
    found = layers(asked(peak_factor=2, hours_per_month=600))
    assert [tuple(layer) for layer in found] == [
        (0.0, 0.25, 600.0),
        (0.25, 1.0, pytest.approx(200)),
    ]
    chat = asked(use_case="chat", request_rate=2.0)  # whose use case says 2
    assert area(layers(chat)) == pytest.approx(730 / 2)
    assert layers(chat.times(3)) == layers(chat)


def test_the_two_levels_are_those_of_the_measured_days():
    for name in ("office", "consumer"):
        day = np.array(load_profile(name).day_loads)
        (_, night), (busy, _) = day_and_night(day.mean())
        measured = np.clip((day - night) / (1 - night), 0, 1).mean()
        assert busy == pytest.approx(measured, rel=0.1)


def test_a_profile_of_three_levels_is_kept_as_it_is():
    """8 h at 1/4, 6 h at 1/2, 10 h at the peak: 730/24 hours a month for each."""
    found = layers(asked(profile=[1] * 8 + [2] * 6 + [4] * 10))
    month = 730 / 24
    assert [tuple(layer) for layer in found] == [
        (0.0, 0.25, 730.0),
        (0.25, 0.5, pytest.approx(16 * month)),
        (0.5, 1.0, pytest.approx(10 * month)),
    ]


def test_the_unit_of_a_profile_does_not_matter():
    day = [3, 0, 7, 9] * 6
    expected = layers(asked(profile=day))
    assert layers(asked(profile=[x / 9 for x in day])) == expected
    assert layers(asked(profile=",".join(map(str, day)))) == expected


@pytest.mark.parametrize("name", PROFILES)
def test_a_named_profile_keeps_its_mean(name):
    found = layers(asked(profile=name, hours_per_month=521))
    assert area(found) == pytest.approx(521 * np.mean(load_profile(name).day_loads))
    assert layers(asked("images", profile=name, hours_per_month=521)) == found


@settings(max_examples=200, deadline=None)
@given(days, st.floats(1, 744))
def test_layers_follow_the_curve_and_keep_its_area(day, hours):
    day = [round(x, 6) for x in day]
    levels = np.array(day) / max(day)
    found = layers(asked(profile=day, hours_per_month=hours))
    assert 1 <= len(found) <= MOST_LAYERS
    assert found[0].share_from == 0.0
    assert found[-1].share_to == 1.0
    for low, high in pairwise(found):
        assert low.share_to == high.share_from
        assert high.hours_month <= low.hours_month * (1 + 1e-12)
    assert all(layer.share_from < layer.share_to for layer in found)
    assert all(0 < layer.hours_month <= hours * (1 + 1e-12) for layer in found)
    assert area(found) == pytest.approx(hours * levels.mean())
    # No other four edges at levels of the day do better.
    edges = layer_edges(levels, np.full(24, 1 / 24))
    rng = np.random.default_rng(0)
    inner = np.unique(levels[(levels > 0) & (levels < 1)])
    for _ in range(5):
        other = rng.choice(inner, min(len(inner), MOST_LAYERS - 1), replace=False)
        other = np.concatenate([[0], np.sort(other), [1]])
        assert _misfit(levels, edges) <= _misfit(levels, other) + 1e-9


def _misfit(levels, edges):
    """Squared distance of the steps from the duration curve, on a fine grid of levels."""
    grid = (np.arange(4000) + 0.5) / 4000
    curve = (levels[:, None] > grid).mean(0)
    steps = time_share(edges, levels, np.full(len(levels), 1 / len(levels)))
    return ((curve - steps[np.searchsorted(edges, grid) - 1]) ** 2).mean()


@settings(max_examples=100)
@given(st.floats(1e-3, 1))
def test_two_levels_keep_the_mean(mean):
    levels, share = day_and_night(mean)
    assert share.sum() == pytest.approx(1)
    assert (levels * share).sum() == pytest.approx(mean)


def _trace(tmp_path, counts):
    """A file of requests: so many in each hour, evenly."""
    times = [h * 3600 + (i + 0.5) * 3600 / n for h, n in enumerate(counts) for i in range(n)]
    path = tmp_path / "requests.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["isl", "osl", "time"])
        writer.writerows([100, 10, t] for t in times)
    return str(path)


def test_a_file_with_times_gives_the_curve(tmp_path):
    """Two days: 100 requests an hour by night, 400 by day for eight hours."""
    path = _trace(tmp_path, ([100] * 16 + [400] * 8) * 2)
    found = layers(asked(lengths=path))
    mean = (16 * 100 + 8 * 400) / 24 / 400
    assert area(found) == pytest.approx(730 * mean, rel=0.01)
    long = [layer for layer in found if layer.hours_month > 700]
    assert long[-1].share_to == pytest.approx(0.25, abs=0.02)
    assert found[-1].hours_month == pytest.approx(730 / 3, rel=0.07)
    assert "file of lengths" in words(asked(lengths=path))
    # What is given outranks the file: a peak, a profile, a load that is always there.
    assert len(layers(asked(lengths=path, peak_factor=4))) == 2
    assert layers(asked(lengths=path, profile="night")) == layers(asked(profile="night"))
    assert len(layers(asked(lengths=path, concurrency=8))) == 1


def test_a_file_of_an_hour_is_an_even_load(tmp_path):
    assert len(layers(asked(lengths=_trace(tmp_path, [300])))) == 1


def test_hours_of_a_long_file_are_cut_into_four_layers():
    rng = np.random.default_rng(1)
    times = np.cumsum(rng.exponential(1 / (1 + 0.9 * np.sin(np.arange(200_000) / 9e3))) * 30)
    levels = hourly_levels(times, 2.0 / 30)
    even = np.full(len(levels), 1 / len(levels))
    edges = layer_edges(levels, even)
    assert len(np.unique(levels)) > 100
    assert len(edges) == MOST_LAYERS + 1
    assert (np.diff(edges) * time_share(edges, levels, even)).sum() == pytest.approx(levels.mean())


# --- replicas ------------------------------------------------------------------------------------


def test_one_spare_replica_where_the_service_is_up_all_month():
    for kind in SERVICES:
        assert kept(asked(kind), [1, 5]) == [2, 6]
        assert kept(asked(kind, hours_per_month=701), 5) == 6
        assert kept(asked(kind, hours_per_month=700), 5) == 5
        assert kept(asked(kind, spare_replicas=0), [1, 5]) == [1, 5]
        assert kept(asked(kind, hours_per_month=10, spare_replicas=2), 5) == 7


def test_the_least_number_is_kept_spare_ones_aside():
    assert kept(asked(replicas_min=3), [1, 3, 4]) == [4, 4, 5]


def test_a_replica_of_eight_gpus_is_up_99_percent_of_the_time():
    """419 / (16,384 x 54 x 24) failures a GPU-hour; 0.78 x 72 + 0.22 x 3 = 56.82 hours."""
    failures, repair = failures_and_repair()
    assert failures == pytest.approx(419 / (16384 * 54 * 24))
    assert failures * 24 == pytest.approx(FAILURES_PER_GPU_DAY, rel=0.02)
    assert repair == pytest.approx(56.82)
    assert up_share(8, failures, repair) == pytest.approx(
        1 / (1 + 8 * 1.97335e-5 * 56.82), rel=1e-6
    )
    # Down 0.0089: one of one 0.9911, one of two 0.99992, two of two 0.982, two of three 0.99976.
    assert kept(asked(availability=0.99), [1, 2]) == [1, 3]
    assert kept(asked(availability=0.9995), [1, 2]) == [2, 3]
    assert kept(asked(availability=0.9999), [1, 2]) == [2, 4]
    assert kept(asked(availability=0.99), [1, 2], gpus=1) == [1, 2]


def test_of_availability_and_spare_replicas_the_larger_counts():
    assert kept(asked(availability=0.999, spare_replicas=5), 2) == 7
    assert kept(asked(availability=0.999, spare_replicas=0), 2) == 3
    assert kept(asked(availability=0.5, replicas_min=4), 1) == 4


def test_shapes_and_what_cannot_be_had_stay():
    needed = np.array([[1, np.inf, np.nan], [2, 3, 40]])
    for service in (asked(), asked(availability=0.999), asked(hours_per_month=1)):
        found = replicas(service, needed, 2)
        assert found.shape == needed.shape
        assert np.isinf(found[0, 1])
        assert np.isnan(found[0, 2])
        assert (found[1] >= needed[1]).all()
        assert replicas(service, np.array([1, 2]), 2).dtype == int


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 400), st.floats(0.3, 1), targets)
def test_as_many_are_kept_as_the_binomial_asks(needed, up, target):
    n = int(kept_for(needed, up, target))
    assert n >= needed
    assert binom.sf(needed - 1, n, up) >= target - 1e-12
    if n > needed:
        assert binom.sf(needed - 1, n - 1, up) < target + 1e-12


@settings(max_examples=100, deadline=None)
@given(targets, targets, st.integers(1, 64), st.integers(1, 64), st.integers(0, 3))
def test_asking_for_more_never_keeps_fewer(one, other, few, many, spare):
    (low, high), (few, many) = sorted((one, other)), sorted((few, many))
    needed = np.arange(1, 200)
    more = replicas(asked(availability=high), needed, few)
    less = replicas(asked(availability=low), needed, few)
    assert (more >= less).all()
    assert (less >= needed).all()
    assert (np.diff(less) >= 0).all()
    assert (replicas(asked(availability=low), needed, many) >= less).all()
    assert (replicas(asked(availability=low, spare_replicas=spare), needed, few) >= less).all()
    assert (replicas(asked(availability=low, replicas_min=9), needed, few) >= less).all()


def test_a_repair_time_of_ones_own_outranks_the_table(tmp_path, monkeypatch):
    (tmp_path / "reliability.csv").write_text("id,value\nreliability-56,0.01\n", "utf-8")
    target = asked(availability=0.999)
    assert kept(target, 1) == 2
    monkeypatch.setenv("GPUSPEC_DATA", str(tmp_path))
    assert kept(target, 1) == 1


# --- what is asked, and what is said -------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "field", "value", "told"),
    [
        ("inference", "profile", "ofice", "did you mean office"),
        ("inference", "profile", [1, 2], "24 numbers"),
        ("inference", "profile", [0] * 24, "above 0"),
        ("inference", "profile", [1] * 23 + ["x"], "a number from 0"),
        ("images", "profile", [1] * 23 + [-1], "a number from 0"),
        ("images", "profile", True, "24 numbers"),
        ("inference", "availability", 99.9, "less than 1"),
        ("inference", "availability", 1, "less than 1"),
        ("tenants", "availability", 0, "above 0"),
        ("inference", "spare_replicas", -1, "from 0 to 1,000"),
        ("images", "replicas_min", 0, "from 1 to 10,000"),
        ("images", "replicas_min", 1.5, "a whole number"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_place(kind, field, value, told):
    with pytest.raises(InputError, match=told) as error:
        asked(kind, **{field: value})
    assert error.value.field == f"workloads[0].{field}"


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        *((kind, "profile") for kind in ("tenants", "training", "hpc")),
        *((kind, "spare_replicas") for kind in ("training", "hpc")),
        ("tenants", "replicas_min"),
        ("inference", "spare_replica"),
    ],
)
def test_a_field_that_a_kind_has_not_is_refused(kind, field):
    with pytest.raises(UnknownNameError, match=field):
        asked(kind, **{field: 1})


def test_a_profile_and_another_peak_are_refused():
    with pytest.raises(InputError, match=r"profile or peak_factor, not both.*2\.23") as error:
        asked(profile="office", peak_factor=4)
    assert error.value.field == "workloads[0].peak_factor"
    assert asked(profile="office", peak_factor=2.23).profile == "office"  # the same, rounded
    assert asked(profile="office").peak_factor == pytest.approx(24 / 10.74)


@pytest.mark.parametrize("kind", SERVICES)
def test_a_service_is_read_again_as_it_was_written(kind):
    service = asked(kind, availability=0.99, hours_per_month=500)
    if kind != "tenants":
        service = asked(kind, profile=[1, 2, 3] * 8, availability=0.99, replicas_min=2)
    again = KINDS[kind].model_validate_json(service.model_dump_json())
    assert again == service
    assert layers(again) == layers(service)


def test_reserve_and_profile_do_not_matter_for_speed():
    plain = asked(peak_factor=1.92)
    other = asked(profile=[1] * 23 + [2], replicas_min=2, spare_replicas=3, availability=0.9)
    assert other.timeless().but(peak_factor=1.92) == plain.timeless()
    assert isinstance(other.timeless(), Inference)


def test_defaults_are_named_as_such():
    plain = {line.field: (line.value, line.is_default) for line in stated(asked())}
    assert plain == {
        "replicas_min": (1, True),
        "spare_replicas": (1, True),
        "peak_factor": (1.0, True),
    }
    given_ = asked(replicas_min=2, spare_replicas=0, availability=0.999, profile="office")
    found = {line.field: (line.value, line.is_default) for line in stated(given_)}
    assert found == {
        "replicas_min": (2, False),
        "availability": (0.999, False),
        "spare_replicas": (0, False),
        "profile": ("office", False),
    }
    assert "99.9%" in words(given_)
    assert "45% of the busiest hour" in words(given_)
    assert ("profile", "even", True) in [tuple(line)[:3] for line in stated(asked("images"))]
    assert [line.field for line in stated(asked("tenants"))] == ["spare_replicas"]
    chat = asked(use_case="chat", request_rate=1.0)
    assert "243.3 hours of 730" in words(chat)
    assert stated(chat)[-1].is_default
    assert not stated(asked(peak_factor=2))[-1].is_default


def test_every_sentence_has_its_chinese(tmp_path):
    zh = translator("zh")
    path = _trace(tmp_path, [100, 400, 100])
    for service in (
        asked(),
        asked(availability=0.99, spare_replicas=1, profile=[1, 2] * 12),
        asked("tenants", availability=0.99),
        asked(profile="office"),
        asked(peak_factor=3),
        asked(lengths=path),
    ):
        for english, chinese in zip(stated(service), stated(service, zh), strict=True):
            assert english[:3] == chinese[:3]
            assert english.words != chinese.words
            assert any("\u4e00" <= c <= "\u9fff" for c in chinese.words)


# --- the table -----------------------------------------------------------------------------------


def test_profiles_say_where_they_come_from():
    for row in load_table("load-profiles").to_dict("records"):
        day = load_profile(row["id"]).day_loads
        assert len(day) == 24
        assert max(day) == 1.0
        assert row["sources"]
        assert row["notes"] or row["id"] == "even"
    assert load_profile("batch at night").id == "night"


def test_a_profile_of_ones_own(tmp_path, monkeypatch):
    day = "|".join(["1"] * 12 + ["4"] * 12)
    own = f"id,name,day_loads,sources\nmine,Mine,{day},my own counts\n"
    (tmp_path / "load_profiles.csv").write_text(own, "utf-8")
    monkeypatch.setenv("GPUSPEC_DATA", str(tmp_path))
    assert layers(asked(profile="mine"))[0] == (0.0, 0.25, 730.0)
    assert (DATA / "load_profiles.csv").is_file()


def test_a_service_alone_and_in_a_plan_loses_the_same_hours_on_spot():
    s = scenario(
        {
            "name": "spot",
            "allow": {"gpus": ["A100"], "modes": ["spot"], "weights": ["bf16"]},
            "workloads": [
                {
                    "kind": "inference",
                    "name": "chat",
                    "model": "Llama-3.1-70B",
                    "concurrency": 32,
                    "interruptible": True,
                    "spare_replicas": 0,
                }
            ],
        }
    )
    decision = decide(s, samples=200, loads=8, quick=True)
    plan = decision.best
    table = every_alone(decision.problem)[0].table
    way = int(decision.problem.choices.way[plan.columns[0]])
    mine = table[(table["mode"] == "spot") & (table["way"] == way)].iloc[0]
    assert plan.runs["split"].iloc[0] != "one GPU"  # several that stop together
    assert mine["expected_usd"] == pytest.approx(plan.parts["spot"].mean())
