"""One way for each answer: tables, commands, plans and upgrades say the same of the same load."""

import numpy as np
import pandas as pd
import pytest

from gpuspec.base.errors import InputError
from gpuspec.catalog.models import model
from gpuspec.decision import plan, upgrade
from gpuspec.decision.scenario import scenario
from gpuspec.decision.ways import scenario_ways, workload_ways
from gpuspec.formulas.serving import maximum_load, steady_state
from gpuspec.formulas.splits import Split, impossible, node_tp, splits
from gpuspec.topics import memory, serving
from gpuspec.views.columns import readable
from gpuspec.views.display import table

EXPERTS = ["Mixtral-8x22B", "DeepSeek-V3", "Qwen3-235B-A22B"]
NO_SPARE = {"spare_replicas": 0}
LARGE = {
    "kind": "inference",
    "name": "w",
    "model": "Llama-3.1-405B",
    "concurrency": 8,
    "tpot_limit_s": 0.1,
} | NO_SPARE
IMAGES = {"kind": "images", "name": "w", "images_per_s": 10.0} | NO_SPARE
WEATHER = {"kind": "hpc", "name": "w", "workload": "weather", "gpu_hours": 3000}
TRAINED = {"kind": "training", "name": "w", "model": "Llama-3.1-70B", "tokens": 2e12}
ADAPTERS = {"kind": "training", "name": "w", "model": "Llama-2-13B", "tokens": 3e11}
MIXTRAL = {"kind": "inference", "name": "w", "model": "Mixtral-8x22B", "concurrency": 32} | NO_SPARE
DEEPSEEK = {"kind": "inference", "name": "w", "model": "DeepSeek-V3", "concurrency": 32} | NO_SPARE
ARRIVING = {
    "kind": "inference",
    "name": "w",
    "model": "Llama-3.1-70B",
    "request_rate": 8,
} | NO_SPARE


@pytest.mark.parametrize("name", EXPERTS)
def test_a_mixture_of_experts_is_as_fast_in_every_answer(name):
    limits = {"ttft_limit_s": 0, "tpot_limit_s": 0}
    load = {"model": name, "concurrency": 32, **limits}
    asked = serving.ServingQuestion.ask(gpus="H200", weights="fp8", **load)
    replica = asked.replica(asked.devices[0], asked.formats[0], 8)
    assert replica.layout.ep == 8
    known = float(steady_state(replica, 32, 2048, 512)["output_tokens_s"])
    table = serving.options_table(asked)
    row = table[(table["tp"] == 8) & (table["pp"] == 1)].iloc[0]
    assert row["output_tokens_s"] == pytest.approx(known)
    assert serving.estimate_table(asked, replica)["output_tokens_s"][0] == pytest.approx(known)
    load = {"concurrency": 32, "isl": 2048, "osl": 512}
    one = pd.DataFrame([{"gpu": "h200-sxm-141", "weight": "fp8", "kv": "bf16", "tp": 8, "pp": 1}])
    space = serving.evaluate_options(name, one.assign(**load), asked.engine)
    assert space["output_tokens_s"][0] == pytest.approx(known)
    s = scenario({"name": "x", "workloads": [MIXTRAL | {"model": name} | limits]})
    ways = workload_ways(s.workloads[0], ("h200-sxm-141",), ("fp8",)).table
    mine = ways[(ways["tp"] == 8) & (ways["pp"] == 1) & (ways["batch"] == 32)].iloc[0]
    assert 32 * 512 / (mine["ttft_s"] + 511 * mine["tpot_s"]) == pytest.approx(known)
    fleet = serving.fleet_capacity(name, "h200-sxm-141", "fp8", (2048,), (512,))[0][0, 0]
    assert fleet >= float(maximum_load(replica, 2048, 512)["output_tokens_s"]) * (1 - 1e-9)


@pytest.mark.parametrize(
    ("work", "gpu", "form", "count"),
    [
        (LARGE, "H100", "bf16", None),
        (IMAGES, "H100", "bf16", 18),
        (WEATHER | {"deadline_days": 20}, "H100", "bf16", 5),
        (TRAINED | {"deadline_days": 60}, "H100", "bf16", 512),
        (ADAPTERS | {"deadline_days": 21}, "A100", "bf16", None),
        (MIXTRAL | {"tpot_limit_s": 0.2}, "H100", "fp8", None),
        (DEEPSEEK, "H200", "fp8", 8),
        (ARRIVING, "H100", "bf16", None),
    ],
)
def test_plan_and_upgrade_take_the_same_way(work, gpu, form, count):
    allow = {"gpus": gpu, "weights": [form], "modes": ["on-demand"]}
    asked = scenario({"name": "x", "workloads": [work], "allow": allow, "horizon_months": 12})
    taken = plan.decide(asked, quick=True).best
    fleet = upgrade.UpgradeQuestion.ask(scenario=asked).decision.best
    runs = upgrade.runs_table(fleet)
    assert set(runs["split"]) == {taken.runs["split"].iloc[0]}
    assert runs["gpus"].max() == taken.runs["gpus"].iloc[0] == (count or runs["gpus"].max())


HELD_BY_HOST = {"kind": "training", "name": "w", "model": "Llama-3.1-70B", "tokens": 1e9}
LONG = DEEPSEEK | {"isl": 100_000, "concurrency": 4}


@pytest.mark.parametrize("work", [TRAINED, HELD_BY_HOST, ADAPTERS, LARGE, DEEPSEEK, LONG, WEATHER])
def test_the_ground_that_is_told_is_the_one_that_chose(work):
    dated = work if "concurrency" in work else work | {"deadline_days": 60}
    found = scenario_ways(scenario({"name": "one", "workloads": [dated]}), 0)
    rows = found.table[found.table["works"]]
    told = [found.ground(row).code for row in rows.to_dict("records")]
    assert told == rows["ground"].tolist()
    if work is HELD_BY_HOST:
        assert rows.loc[rows["offload"] != "", "ground"].eq(2).any()


def test_where_no_split_of_one_maker_is_worth_a_search_those_of_the_other_are():
    asked = scenario({"name": "one", "workloads": [ARRIVING]}).workloads[0]
    both = ("mi300x-oam-192", "h100-sxm-80")
    every = workload_ways(asked, both, ("fp8",)).table
    assert set(every.loc[every["works"], "gpu"]) == set(both)
    one = frozenset({("h100-sxm-80", "fp8", Split(4))})
    found = workload_ways(asked, both, ("fp8",), among=one).table
    assert found.loc[found["works"], ["gpu", "tp"]].to_numpy().tolist() == [["h100-sxm-80", 4]]


def test_images_in_8_bits_take_fewer_gpus_and_plain_pytorch_gains_nothing():
    def units(**more):
        work = IMAGES | more
        asked = scenario({"name": "x", "workloads": [work]}).workloads[0]
        return workload_ways(asked, ("a100-sxm-80", "h100-sxm-80"), ("bf16",)).table

    wide, low = units(), units(precision="8bit")
    assert list(low["precision"]) == ["int8", "fp8"]
    assert (low["units"] < wide["units"]).all()
    with pytest.raises(InputError, match="plain PyTorch"):
        units(precision="8bit", stack="eager")


def test_a_count_that_is_not_sure_to_meet_the_deadline_is_taken_by_neither():
    allow = {"gpus": "H100", "weights": ["bf16"], "modes": ["on-demand"]}
    content = {"name": "x", "workloads": [TRAINED | {"deadline_days": 60}], "allow": allow}
    asked = scenario(content)
    found = plan.decide(asked, quick=True)
    table = found.options[0].ways.table
    table = table[table["precision"] == "bf16"]
    days = table.set_index("gpus")["days"]
    speed = found.problem.draws.speed(asked.workloads[0], "h100-sxm-80", "bf16", False, 8)
    slow = float(np.quantile(speed, 0.2))
    assert 60 * slow < days[384] < 60  # in time at the central estimate, not in four of five draws
    assert days[512] < 60 * slow
    assert found.best.runs["gpus"].iloc[0] == 512


@pytest.mark.parametrize(("engine", "share"), [("vllm", 0.9), ("tensorrt-llm", 0.95)])
def test_memory_and_inference_hold_the_same_requests(engine, share):
    load = {"model": "Llama-3.1-70B", "gpus": "H100", "weights": "bf16", "engine": engine}
    asked = memory.MemoryQuestion.ask(gpu_memory_utilization=share, **load)
    table = memory.serving_table(asked).set_index("gpus")
    options = serving.options_table(serving.ServingQuestion.ask(**load))
    for row in options[(options["pp"] == 1) & (options["most"] > 0)].itertuples():
        assert table.loc[row.tp, "max_sequences"] == row.most


def test_every_split_of_the_list_is_possible_or_says_why_not():
    odd, even = model("falcon-7b"), model("Llama-3.1-70B")
    assert [s[:2] for s in splits(even, 16)] == [
        (1, 1), (2, 1), (4, 1), (2, 2), (8, 1), (4, 2), (8, 2)
    ]  # fmt: skip
    assert (1, 8, 1, 1) in splits(odd, 8)  # 71 heads: stages alone
    assert "heads" in impossible(odd, 8, 1)
    assert node_tp(odd, 8) == 1
    assert all(split.gpus <= 64 for split in splits(even, 64))


def test_a_column_is_shown_as_it_is_declared():
    asked = serving.ServingQuestion.ask(model="Llama-3.1-8B", gpus="H100")
    shown = readable(serving.options_table(asked)[["gpu", "tpot_s", "reason"]])
    assert list(shown.columns) == ["GPU", "TPOT, ms", "Why not"]
    one = table(shown, "Ways")
    assert one.rows[0][1] == f"{serving.options_table(asked)['tpot_s'].iloc[0] * 1e3:.1f}"
