"""What can be asked about a load: use cases, users, varied lengths, files of requests."""

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuspec import InputError
from gpuspec.base.errors import UnknownNameError
from gpuspec.catalog import load_table
from gpuspec.catalog.use_cases import use_case
from gpuspec.cli import main
from gpuspec.decision.scenario import scenario
from gpuspec.topics.memory.ask import MemoryQuestion
from gpuspec.topics.serving import estimates, words
from gpuspec.topics.serving.ask import EstimateQuestion, ServingQuestion
from gpuspec.topics.serving.load import last_within
from gpuspec.topics.serving.options import best_layout, best_options, best_rows, options_table
from gpuspec.topics.serving.traces import read_requests
from gpuspec.topics.serving.ways import service_ways

USES = list(load_table("use-cases")["id"])
SERVICE = {"kind": "inference", "name": "s", "model": "Llama-3.1-8B"}


def asked(**names):
    return ServingQuestion.ask(model="Llama-3.1-8B", **names)


def written(folder, text, name="trace.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


# --- use cases -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", USES)
def test_blank_fields_are_those_of_the_use_case(name):
    q, use = asked(use_case=name), use_case(name)
    for field in ("isl", "osl", "isl_cv", "osl_cv", "ttft_limit_s", "tpot_limit_s", "peak_factor"):
        assert getattr(q, field) == getattr(use, field)
        assert field in q.filled
    assert MemoryQuestion.ask(use_case=name).isl == use.isl
    assert q.but() == q
    if name != "general":
        assert f"The use case {name} gives" in words.load_sentence(q)


def test_what_is_given_outranks_the_use_case_and_is_kept():
    q = asked(use_case="chat", isl=77, ttft_limit_s=0)
    assert (q.isl, q.ttft_limit_s, q.osl) == (77, 0.0, use_case("chat").osl)
    other = q.but(use_case="rag")
    assert (other.isl, other.ttft_limit_s, other.osl) == (77, 0.0, use_case("rag").osl)
    assert "isl" not in q.filled
    assert "isl," not in words.load_sentence(q)


def test_a_use_case_is_found_by_its_alias_or_refused_with_the_known_ones():
    assert asked(use_case="coding").use_case == "code-completion"
    with pytest.raises(UnknownNameError, match="did you mean chat"):
        asked(use_case="chatt")


def test_doors_agree_on_a_use_case():
    here = asked(use_case="chat", users=500)
    content = {**SERVICE, "use_case": "chat", "users": 500}
    there = scenario({"name": "x", "workloads": [content]}).workloads[0]
    assert (there.isl, there.osl_cv, there.arriving) == (here.isl, here.osl_cv, here.arriving)
    again = scenario(scenario({"name": "x", "workloads": [content]}).model_dump()).workloads[0]
    assert again == there
    arguments = [
        "estimate",
        "Llama-3.1-8B",
        "--use-case",
        "chat",
        "--users",
        "500",
        "--gpus",
        "H100",
    ]
    told = json.loads(CliRunner().invoke(main, [*arguments, "--weights", "bf16", "--json"]).output)
    assert told["schema_version"] == 3
    assert told["arrivals"]["in_flight"] == pytest.approx(told["concurrency"])
    assert "500 users" in told["load_asked"]


# --- users ---------------------------------------------------------------------------------------


def test_users_are_a_rate_or_think_and_wait():
    q = asked(users=6000, active_share=0.1, requests_per_hour=12)
    assert q.arriving == pytest.approx(2.0)
    waiting = asked(users=1000, think_s=30, isl=512, osl=501, ttft_limit_s=5, tpot_limit_s=0.05)
    assert (waiting.arriving, waiting.in_flight) == (0.0, 500)  # 5 + 25 s of 60
    assert asked(users=1000, think_s=0).in_flight == 1000
    assert asked(users=1000, think_s=30, ttft_limit_s=0).in_flight == 1000  # no limit: all at once


@pytest.mark.parametrize(
    ("names", "field", "said"),
    [
        ({"users": 5, "concurrency": 3}, "users", "give it or concurrency, not both"),
        ({"concurrency": 3, "request_rate": 1}, "request_rate", "not both"),
        ({"users": 5, "request_rate": 1, "use_case": "chat"}, "users", "not both"),
        ({"users": 5, "think_s": 1, "requests_per_hour": 3}, "think_s", "not both"),
        ({"users": 5}, "users", "requests_per_hour or think_s"),
        ({"users": 5, "use_case": "batch"}, "users", "batch states neither"),
        ({"think_s": 5}, "think_s", "none are given"),
        ({"requests_per_hour": 5}, "requests_per_hour", "none are given"),
    ],
)
def test_fields_that_conflict_are_refused(names, field, said):
    with pytest.raises(InputError, match=said) as caught:
        asked(**names)
    assert caught.value.field == field


def test_a_service_of_a_scenario_must_state_its_load():
    for load in ({"concurrency": 3}, {"users": 9, "think_s": 3}, {"request_rate": 1}):
        assert scenario({"name": "x", "workloads": [{**SERVICE, **load}]})
    with pytest.raises(InputError, match="give concurrency, request_rate, users"):
        scenario({"name": "x", "workloads": [{**SERVICE, "use_case": "chat"}]})


@settings(max_examples=30, deadline=None)
@given(users=st.integers(1, 10**6), more=st.integers(1, 10**6), factor=st.floats(1, 10))
def test_more_users_are_never_less_load(users, more, factor):
    for pace in ({"use_case": "chat"}, {"think_s": 20.0}):
        few, many = (asked(users=n, **pace) for n in (users, users + more))
        assert many.arriving >= few.arriving
        assert many.in_flight >= few.in_flight
        grown = few.times(factor)
        assert grown.arriving >= few.arriving
        assert grown.in_flight >= few.in_flight


# --- files of requests ---------------------------------------------------------------------------

PUBLIC = {
    "azure.csv": "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    "2023-11-16 18:17:03.9799600,100,10\n2023-11-16 18:17:13.9799600,300,30\n",
    "burst.csv": "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    "5,ChatGPT,100,10,110,API log\n15,GPT-4,300,30,330,API log\n",
    "mooncake.jsonl": '{"timestamp": 0, "input_length": 100, "output_length": 10, "hash_ids": []}\n'
    '{"timestamp": 10000, "input_length": 300, "output_length": 30, "hash_ids": [1, 2]}\n',
    "own.csv": "time,isl,osl\n0,100,10\n10,300,30\n",
}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_traces_are_read_as_they_are(tmp_path, name):
    path = written(tmp_path, PUBLIC[name], name)
    found = read_requests(path)
    assert found.isl.tolist() == [100, 300]
    assert found.osl.tolist() == [10, 30]
    assert np.ptp(found.times_s) == pytest.approx(10)
    q = asked(lengths=path)
    assert (q.isl, q.isl_cv, q.osl, q.osl_cv) == (200, 0.5, 20, 0.5)
    assert q.arriving == pytest.approx(0.1)
    assert asked(lengths=path, isl=5, concurrency=3).arriving == 0.0  # what is given outranks it
    assert f"{path} gives" in words.load_sentence(q)


def test_a_file_without_times_states_no_load(tmp_path):
    q = asked(lengths=written(tmp_path, "prompt_tokens,completion_tokens\n100,10\n100,10\n"))
    assert (q.arriving, q.in_flight, q.isl_cv, q.peak_factor) == (0.0, 64, 0.0, 1.0)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 8000), st.integers(1, 2000), st.integers(1, 40), st.integers(1, 300))
def test_requests_of_one_length_are_its_mean_with_a_spread_of_none(
    tmp_path_factory, isl, osl, rows, load
):
    text = "isl,osl\n" + f"{isl},{osl}\n" * rows
    limits = {"ttft_limit_s": 0, "tpot_limit_s": 0, "concurrency": load, "gpus": "H100"}
    read = asked(lengths=written(tmp_path_factory.mktemp("one"), text), **limits)
    said = asked(isl=isl, osl=osl, isl_cv=0, osl_cv=0, **limits)
    pd.testing.assert_frame_equal(*(service_ways(q, 6).table for q in (read, said)))


def test_the_busiest_hour_of_a_file_is_the_rate(tmp_path):
    rows = [f"{hour * 3600 + i},10,10" for hour in range(24) for i in range(30 if hour == 9 else 6)]
    q = asked(lengths=written(tmp_path, "time,isl,osl\n" + "\n".join(rows)))
    assert q.arriving == pytest.approx(30 / 3600)
    assert q.peak_factor == pytest.approx(30 / (167 / (23 * 3600 + 5) * 3600), rel=1e-6)
    assert "in the mean of the day" in words.load_sentence(q)


BAD_ROWS = ["", ",", "x,1", "1,x", "0,5", "5,0", "-1,5", "1.5,5", "nan,5", "inf,5", "1e9,5", "5"]
BAD_ROWS += ["1,2,3,4,5", '"1,2', "\x00,5", "9" * 400 + ",5", "२,5", "5,<script>"]


@pytest.mark.parametrize("bad", BAD_ROWS)
def test_one_bad_row_never_loses_the_others(tmp_path, bad):
    path = written(tmp_path, f"isl,osl\n100,10\n300,30\n{bad}\n")
    found = read_requests(path)
    assert found.isl.tolist() == [100, 300]
    assert len(found.skipped) == (1 if bad.strip(",") else 0) or bad == ","
    assert len(found.told) < 600


@pytest.mark.parametrize(
    "bad",
    ["{", "[]", "3", '"x"', '{"input_length": "many", "output_length": 3}', "[" * 5000, "NaN"],
)
def test_one_bad_line_of_json_never_loses_the_others(tmp_path, bad):
    good = '{"input_length": 100, "output_length": 10}'
    found = read_requests(written(tmp_path, f"{good}\n{bad}\n{good}\n", "t.jsonl"))
    assert found.isl.tolist() == [100, 100]
    assert [line for line, _ in found.skipped] == [2]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "isl\n5\n",
        "tokens,words\n1,2\n",
        "isl,osl\n",
        "isl,osl\nx,y\n",
        b"\xff\xfe\x00",
        b"\x1f\x8b",
        b"isl,osl\n\xff,3\n",
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(tmp_path, text):
    with pytest.raises(InputError) as caught:
        asked(lengths=written(tmp_path, text))
    assert caught.value.field == "lengths"
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_file_that_is_not_there_or_is_none(tmp_path):
    for name in (tmp_path, tmp_path / "none.csv", "https://example.org/trace.csv", "/dev/zero"):
        with pytest.raises(InputError, match="lengths"):
            asked(lengths=str(name))


def test_times_that_cannot_be_a_rate_are_none(tmp_path):
    for times in (("", ""), ("5", "5"), ("", "5")):
        rows = "\n".join(f"{t},10,10" for t in times)
        assert asked(lengths=written(tmp_path, f"time,isl,osl\n{rows}\n")).arriving == 0.0
    lost = read_requests(written(tmp_path, "time,isl,osl\n0,1,1\n1e300,1,1\nsoon,1,1\n9,1,1\n"))
    assert [line for line, _ in lost.skipped] == [3, 4]


def test_a_file_lies_beside_its_scenario(tmp_path):
    written(tmp_path, PUBLIC["own.csv"])
    text = json.dumps({"name": "x", "workloads": [{**SERVICE, "lengths": "trace.csv"}]})
    service = scenario(written(tmp_path, text, "mine.json")).workloads[0]
    assert (service.isl, service.arriving) == (200, pytest.approx(0.1))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**5)), min_size=1, max_size=40),
    st.lists(st.text(max_size=30), max_size=5),
)
def test_lengths_are_what_the_good_rows_say(tmp_path_factory, rows, junk):
    lines = [f"{i},{o}" for i, o in rows]
    clean = [j.replace('"', "").replace("\n", " ").replace("\r", " ") for j in junk]
    text = "\n".join(["isl,osl", *(f"{j},no" for j in clean), *lines])
    text = text.encode("utf-8", "ignore").decode()
    found = read_requests(written(tmp_path_factory.mktemp("rows"), text))
    assert found.isl.tolist() == [i for i, _ in rows]
    assert found.fields["isl"] == round(float(np.mean([i for i, _ in rows])))


# --- estimates -----------------------------------------------------------------------------------


def test_an_estimate_takes_the_layout_that_serves_the_load():
    q = EstimateQuestion.ask(model="Llama-3.1-70B", weights="fp8", concurrency=200)
    rows = estimates(q)
    assert [row["gpu"] for row in rows] == list(q.gpus)
    for row in rows:
        assert row["keeps_limits"]
        assert row["load"] * row["replicas"] == pytest.approx(200)
        assert row["gpus"] == row["replicas"] * row["tp"] * row["pp"]
        assert row["concurrency_within"] * row["replicas"] >= 200
        assert row["cache_tokens_used"] <= row["cache_tokens"]
        assert row["waiting"] == 0
    (asked_for,) = estimates(q.but(gpus="H100", tp=8))
    assert (asked_for["tp"], asked_for["pp"], asked_for["replicas"]) == (8, 1, 1)


def test_what_memory_does_not_hold_waits_by_littles_law():
    load = {"model": "Llama-3.1-8B", "gpus": "H200", "weights": "fp8", "tp": 1}
    (row,) = estimates(EstimateQuestion.ask(concurrency=3000, **load))
    # All but those that memory holds, and the few on their way to the engine and back.
    assert 0 <= 3000 - row["max_concurrency"] - row["waiting"] < 2
    rate = row["output_tokens_s"][0] / 512
    assert row["waiting_s"] == pytest.approx(row["waiting"] / rate)
    assert row["ttft_s"][0] > row["waiting_s"]
    latency = row["ttft_s"][0] + row["tpot_s"][0] * 511
    assert latency * rate == pytest.approx(3000, rel=1e-6)
    assert not row["keeps_limits"]
    (flooded,) = estimates(EstimateQuestion.ask(request_rate=1e4, **load))
    assert flooded["waiting"] == np.inf
    told = CliRunner().invoke(
        main, ["estimate", "Llama-3.1-8B", "--gpus", "H200", "--weights", "fp8", "--tp", "1",
               "--request-rate", "1e4"]
    )  # fmt: skip
    assert "the queue grows for ever" in told.output


def test_spread_takes_memory_and_time():
    load = {"model": "Llama-3.1-8B", "gpus": "H100", "weights": "bf16", "tp": 1, "concurrency": 50}
    (equal,), (varied,) = (
        estimates(EstimateQuestion.ask(osl_cv=cv, isl_cv=cv, **load)) for cv in (0, 1.5)
    )
    assert varied["max_concurrency"] < equal["max_concurrency"]
    assert varied["tpot_s"] > equal["tpot_s"]
    assert varied["cache_tokens_used"] > equal["cache_tokens_used"]


@pytest.mark.parametrize(
    "load", [{"concurrency": 3000}, {"concurrency": 20, "tpot_limit_s": 0.007}]
)
def test_the_best_layout_of_an_estimate_is_that_of_the_table(load):
    q = EstimateQuestion.ask(model="Llama-3.1-8B", gpus="A100,H100", weights="bf16,fp8", **load)
    table = options_table(q)
    for device in q.devices:
        for form in q.formats:
            mine = table[(table["gpu"] == device.id) & (table["weight"] == form.id)]
            best, found = best_options(mine).iloc[0], best_layout(q, device, form)
            for name in ("tp", "pp", "ep", "attention_dp", "gpus", "replicas", "works"):
                assert found[name] == best[name]


@pytest.mark.parametrize(
    "load",
    [
        {"concurrency": 1},
        {"concurrency": 3000},
        {"concurrency": 64, "ttft_limit_s": 0.05},  # nothing works, and each reason stays
        {"request_rate": 2.0, "isl": 300, "osl": 40, "max_gpus": 2},
        {"request_rate": 8.0, "isl": 4000, "osl": 40, "ttft_limit_s": 1, "max_gpus": 4},
    ],
)
def test_the_best_rows_are_those_of_the_whole_table(load):
    q = ServingQuestion.ask(model="Mixtral-8x7B", gpus="A100,H200", **load)
    pd.testing.assert_frame_equal(best_rows(q), best_options(options_table(q)))


@settings(deadline=None)
@given(
    st.floats(-3, 131),
    st.floats(1e-4, 2),
    st.integers(1, 200),
    st.sampled_from(("line", "steep", "none", "endless", "step")),
)
def test_the_last_place_within_limits_is_that_of_halving(edge, slope, cells, shape):
    tried = []

    def over(place):
        tried.append(place)
        away = slope * (place - edge)
        beyond = np.inf if away > 0 else -np.inf
        return {
            "line": away,
            "steep": away if away <= 0 else away**3 * 50,
            "none": -np.inf,
            "endless": away if away <= 0 else np.inf,
            "step": beyond,
        }[shape]

    kept = [place for place in range(1, cells + 1) if over(place) <= 0]
    tried.clear()
    assert last_within(over, cells) == max(kept, default=0)
    assert len(tried) == len(set(tried)) <= 18
    if shape == "line":
        assert len(tried) <= 6
