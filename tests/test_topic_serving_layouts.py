"""Layouts and settings of engines, as they are asked."""

import pandas as pd
import pytest
from click.testing import CliRunner

from gpuspec.base.errors import InputError
from gpuspec.cli import main
from gpuspec.constants.ground import FAR
from gpuspec.formulas.serving import USERS, engine
from gpuspec.topics import serving
from gpuspec.topics.serving.ask import EstimateQuestion
from gpuspec.topics.serving.layouts import unworkable
from gpuspec.topics.serving.ways import service_ways
from gpuspec.topics.ways import capacity, doubtful

R1 = {"model": "DeepSeek-R1", "gpus": "H200", "weights": "fp8", "kv": "fp8", "tp": 8}
LLAMA = {"model": "Llama-3.1-70B", "gpus": "H100", "weights": "fp8", "tp": 4}
LONG = {"isl": 7373, "osl": 922, "concurrency": 160, "prefill_gpus": 16, "decode_gpus": 40}


def answer(**asked):
    q = EstimateQuestion.ask(**asked)
    return serving.estimate_table(q, q.replica(q.devices[0], q.formats[0], q.tp, q.pp or 1))


def test_prompts_read_apart_are_answered_beside_the_same_gpus():
    found = answer(**R1, **LONG)
    sides = found["separate"]
    parts = sides["queue_s"] + sides["prefill_s"] + sides["transfer_s"]
    terms = engine().terms
    way = terms.request_ms / 1e3 + terms.prompt_us * LONG["isl"] / 1e6 + USERS.transport_s
    assert found["ttft_s"][0] == pytest.approx(parts + way)
    assert found["tpot_s"][0] == pytest.approx(sum(found["parts"].values()))
    assert found["same_gpus"]["replicas"] == 7
    assert found["tpot_s"][0] < found["same_gpus"]["tpot_s"]
    assert sides["transfer_bytes"] == 7376 * 61 * 576
    assert sides["slowest"] == "prefill"
    assert found["gpus"] == 56
    assert found["requests_s_sustained"] == sides["requests_s_most"]["prefill"]
    most = found["concurrency_within"]
    assert answer(**R1, **{**LONG, "concurrency": most})["keeps_limits"]
    assert not answer(**R1, **{**LONG, "concurrency": 2 * most})["keeps_limits"]
    assert found["ground"]["level"] == "near"
    low, high = found["output_tokens_s"][1:]
    assert low < found["output_tokens_s"][0] < high


def test_prompts_read_apart_take_a_rate_and_users_as_everywhere():
    apart = {**LONG, "concurrency": None}
    found = answer(**R1, **apart, request_rate=3.0)
    seen = found["arrivals"]
    time = seen["ttft_mean_s"] + seen["tpot_mean_s"] * (LONG["osl"] - 1)
    assert found["load"] == pytest.approx(3.0 * time, rel=1e-6)
    assert found["keeps_limits"] == (seen["ttft_p95_s"] <= 2 and seen["tpot_p95_s"] <= 0.05)
    assert (
        answer(**R1, **apart, users=900, active_share=1, requests_per_hour=12)["arrivals"] == seen
    )
    most = found["requests_s_within"]
    assert most < found["requests_s_sustained"]
    assert answer(**R1, **apart, request_rate=most)["keeps_limits"]
    beyond = answer(**R1, **apart, request_rate=most * 1.1)
    assert not beyond["keeps_limits"]
    assert beyond["same_gpus"]["ttft_s"] > found["same_gpus"]["ttft_s"]
    flood = answer(**R1, **apart, request_rate=100.0)
    assert flood["waiting"] == float("inf")
    assert flood["load"] == flood["max_concurrency"]


def test_spread_takes_memory_where_prompts_are_read_apart():
    equal, varied = (answer(**R1, **LONG, osl_cv=spread) for spread in (0.0, 1.5))
    assert varied["max_concurrency"] < equal["max_concurrency"]
    assert varied["tpot_s"] > equal["tpot_s"]


@pytest.mark.parametrize(
    ("changes", "field", "valid"),
    [
        ({"prefill_gpus": 12}, "prefill_gpus", "a multiple of the 8 GPUs of a worker"),
        ({"decode_gpus": 12}, "decode_gpus", "a multiple of the 8 GPUs of a worker"),
        ({"osl": 1}, "prefill_gpus", "answers of 2 tokens or more"),
        ({"draft_tokens": 3}, "prefill_gpus", "without speculation"),
    ],
)
def test_sides_that_cannot_be_are_refused(changes, field, valid):
    with pytest.raises(InputError, match=valid) as caught:
        answer(**{**R1, **LONG, **changes})
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"attention_dp": 3}, "attention DP 3 does not divide the 8 GPUs"),
        ({"attention_dp": 2}, "over all 8 GPUs of TP or over none"),
        ({"ep": 3}, "EP 3 does not divide"),
        ({"tp": 16, "node_network_gb_s": 0}, "no network joins the 2 nodes of 16 GPUs"),
        ({"engine": "vllm", "kv": "int8"}, "vllm keeps no cache in int8"),
        ({"weights": "nvfp4"}, "FP4 units only, which NVIDIA H200"),
        ({"model": "Llama-3.1-70B", "engine": "vllm", "attention_dp": 8}, "as replicas"),
        ({"model": "Llama-3.1-70B", "ep": 8}, "spreads experts"),
    ],
)
def test_what_an_engine_or_a_model_cannot_do_is_said(changes, reason):
    found = answer(**{**R1, **changes})
    assert not found["works"]
    assert reason in found["reason"]


@pytest.mark.parametrize("name", ["attention_dp", "prefill_gpus", "ep"])
def test_a_layout_that_is_looked_for_is_not_split_by_hand(name):
    with pytest.raises(InputError, match="give tp beside it"):
        EstimateQuestion.ask(**{**R1, "tp": None, name: 8})


def test_the_best_layout_keeps_its_groups():
    q = EstimateQuestion.ask(**{**R1, "tp": None}, isl=1024, osl=1024, concurrency=512)
    row = serving.estimates(q)[0]
    assert (row["tp"], row["ep"], row["attention_dp"]) == (8, 8, 8)
    assert row["gpus"] == row["replicas"] * 8
    assert row["ground"]["level"] == "measured"  # attention in groups by several publishers


def test_groups_of_any_size_run_where_an_engine_can():
    q = EstimateQuestion.ask(**R1, engine="sglang", attention_dp=2)
    layout = q.replica(q.devices[0], q.formats[0], 8).layout
    assert layout.attention_tp == 4
    assert not unworkable("sglang", layout)


def test_tensor_parallelism_over_nodes_is_answered_and_a_slow_network_is_slower():
    fast = answer(**{**LLAMA, "tp": 16})
    slow = answer(**{**LLAMA, "tp": 16}, node_network_gb_s=12.5)
    assert slow["tpot_s"][0] > 1.2 * fast["tpot_s"][0]
    assert slow["bound"] == "links between GPUs"


def test_settings_bound_a_batch():
    assert answer(**LLAMA, max_num_seqs=7)["max_concurrency"] == 7
    less, more = (answer(**LLAMA, memory_share=s)["max_concurrency"] for s in (0.5, 0.95))
    assert less < 0.6 * more
    short, long = (answer(**LLAMA, max_num_batched_tokens=n)["ttft_s"][0] for n in (256, 8192))
    assert short > long


def test_a_prompt_that_is_read_whole_stalls_the_others():
    cut, whole = (answer(**LLAMA, isl=4096, chunked_prefill=c) for c in (True, False))
    assert whole["tpot_s"][0] > cut["tpot_s"][0]
    with pytest.raises(InputError, match="give at least a whole prompt, 2,048 tokens"):
        answer(**LLAMA, chunked_prefill=False, max_num_batched_tokens=512)


def test_a_version_names_an_era_and_current_is_the_newest():
    eras = {
        version: EstimateQuestion.ask(**LLAMA, engine="vllm", engine_version=version).runtime.id
        for version in ("current", "0.6.3.post1", "v0.6.3")
    }
    assert eras["0.6.3.post1"] == eras["v0.6.3"] != eras["current"]
    assert eras["current"] == EstimateQuestion.ask(**LLAMA, engine="vllm").runtime.id
    for wrong in ("latest", "new", "1..2", ""):
        with pytest.raises(InputError, match="give a version such as"):
            EstimateQuestion.ask(**LLAMA, engine_version=wrong)


def test_ways_of_a_mixture_of_experts_name_their_groups():
    q = serving.ServingQuestion.ask(
        model="Qwen3-235B-A22B", gpus="H200", weights="fp8", max_gpus=8, concurrency=256
    )
    table = serving.options_table(q)
    groups = table[table["attention_dp"] > 1]
    assert set(groups["ep"]) <= {2, 4, 8}
    assert groups["works"].any()
    ways = service_ways(q).table
    assert ways["split"].str.contains("attention DP").any()


def test_a_design_space_takes_groups_of_attention():
    load = {"concurrency": 64, "isl": 1024, "osl": 256}
    rows = [
        {"gpu": "h200-sxm-141", "weight": "fp8", "kv": "fp8", "tp": 8, "pp": 1, "ep": 8,
         "attention_dp": groups, **load}
        for groups in (1, 8, 3)
    ]  # fmt: skip
    found = serving.evaluate_options("DeepSeek-R1", pd.DataFrame(rows), "sglang")
    assert (found["reason"] == "").tolist() == [True, True, False]
    assert found["max_concurrency"][1] > 5 * found["max_concurrency"][0]


def test_the_command_takes_settings_and_prints_both_sides():
    given = ["--gpus", "H200", "--tp", "8", "--weights", "fp8", "--concurrency", "64"]
    apart = ["--prefill-gpus", "8", "--chunked-prefill", "false"]
    found = CliRunner().invoke(main, ["estimate", "DeepSeek-R1", *given, *apart])
    assert found.exit_code == 0, found.output
    assert "8 GPUs read prompts" in found.output
    assert "GPUs that read and write, 2 replicas" in found.output


STRICT = {"model": "Llama-3.1-70B", "gpus": "H100", "weights": "fp8", "isl": 4096, "osl": 512}
STRICT |= {"concurrency": 256, "tpot_limit_s": 0.03, "ttft_limit_s": 2}


def test_fewer_gpus_with_prompts_apart_are_what_an_estimate_of_them_says():
    (row,) = serving.estimates(EstimateQuestion.ask(**STRICT))
    apart = row["apart"]
    assert apart["gpus"] < row["gpus"]
    assert apart["gpus"] == apart["prefill_gpus"] + apart["decode_gpus"]
    names = ("tp", "pp", "attention_dp", "prefill_tp", "prefill_attention_dp")
    sides = {name: apart[name] for name in (*names, "prefill_gpus", "decode_gpus")}
    (asked,) = serving.estimates(EstimateQuestion.ask(**STRICT, **sides))
    assert asked["keeps_limits"]
    assert asked["ttft_s"][0] == pytest.approx(apart["ttft_s"])
    assert asked["tpot_s"] == pytest.approx(
        (apart["tpot_s"], apart["tpot_s_low"], apart["tpot_s_high"])
    )
    assert asked["ground"] == apart["ground"]


def test_nothing_is_offered_where_prompts_apart_take_as_many_gpus():
    loose = {"concurrency": 64, "tpot_limit_s": 0.05, "isl": 2048}
    (row,) = serving.estimates(EstimateQuestion.ask(**STRICT | loose))
    assert row["apart"] is None
    found = CliRunner().invoke(main, ["estimate", "Llama-3.1-8B", "--gpus", "H100"])
    assert "Separate prefill" not in found.output


def test_the_command_offers_prompts_apart_with_what_it_rests_on():
    strict = ["--tpot-limit-s", "0.02", "--isl", "8192", "--osl", "256", "--concurrency", "256"]
    found = CliRunner().invoke(main, ["estimate", "Llama-3.1-70B", *strict, "--gpus", "H100"])
    assert "With prompts read on GPUs of their own" in found.output
    assert "is no part of the recommendation" in found.output


def test_prompts_read_apart_are_a_way_of_their_own_where_they_take_fewer_gpus():
    q = serving.ServingQuestion.ask(
        model="Llama-3.1-70B", gpus="H200", weights="fp8", isl=8000, osl=500,
        ttft_limit_s=2, tpot_limit_s=0.02, request_rate=2, max_gpus=8,
    )  # fmt: skip
    alone, both = service_ways(q, 12), service_ways(q, 12, apart=True)
    pairs = both.table[both.table["prefill_gpus"] > 0]
    pd.testing.assert_frame_equal(both.table.iloc[: len(alone.table)], alone.table)
    assert len(pairs) == 1
    assert not (alone.table["prefill_gpus"] > 0).any()
    pair = pairs.iloc[0]
    works = alone.table["works"] & (alone.table["within"] > 0)
    assert 0 < pair["prefill_gpus"] < pair["gpus"] < alone.table.loc[works, "gpus"].min()
    assert pair["units"] == 1
    assert pair["gpus"] == pair["unit_gpus"]
    assert pair["ttft_s"] <= 2
    assert pair["tpot_s"] <= 0.02
    assert doubtful(pair)
    assert pair["ground"] == FAR
    assert any("GPUs of their own" in str(reason) for reason in both.ground(pair).reasons)
    assert both.ground(alone.table.iloc[0]) == alone.ground(alone.table.iloc[0])
    curve = both.curves[pair["curve"]]
    assert capacity(curve["batch"], curve["excess"]) == pytest.approx(2)
    assert capacity(curve["batch"], curve["excess"], 1.5) == pytest.approx(3)
    assert str(pair["prefill_gpus"]) in pair["split"]
    assert "write" in pair["split"]
