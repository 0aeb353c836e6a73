"""Training jobs: layouts with reasons, runs against a deadline, and what is said of them."""

import datetime
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuspec import InputError
from gpuspec.base.errors import UnknownNameError
from gpuspec.catalog import table_rows
from gpuspec.catalog.frameworks import framework_record
from gpuspec.catalog.models import Model
from gpuspec.catalog.precision import training_recipe
from gpuspec.decision.scenario import scenario
from gpuspec.topics import training
from gpuspec.topics.training import words
from gpuspec.topics.training.answer import best_layout
from gpuspec.topics.training.elsewhere import OTHERS
from gpuspec.topics.training.layouts import layout_parts, possible_layouts
from gpuspec.topics.training.panel import training_panel
from gpuspec.topics.training.pictures import days_by_gpus
from gpuspec.topics.training.rules import impossible


@pytest.fixture(scope="module")
def question():
    return training.TrainingQuestion.ask(
        model="Llama-3.1-70B", gpus="A100,H100,H200", counts="64,256,1024", precision="fp8"
    )


@pytest.fixture(scope="module")
def runs(question):
    return training.runs_table(question)


@pytest.fixture(scope="module")
def layouts(question):
    return training.layout_table(question, question.devices[1], 64)


def test_every_layout_has_a_step_or_a_reason(layouts):
    assert (layouts["reason"] == "").equals(layouts["works"])
    assert np.isfinite(layouts.loc[layouts["works"], "step_s"]).all()
    assert np.isinf(layouts.loc[~layouts["works"], "step_s"]).all()
    assert (layouts["tp"] * layouts["pp"] * layouts["cp"] * layouts["dp"] == 64).all()
    assert layouts["step_s"].is_monotonic_increasing


def test_a_working_layout_obeys_every_rule(question, layouts):
    good, device = layouts[layouts["works"]], question.devices[1]
    assert (good["memory_bytes"] <= device.memory_bytes).all()
    assert (good["tp"] <= 8).all()
    assert (64 % good["tp"] == 0).all()
    batches = question.global_batch / (good["dp"] * good["micro_batch"])
    assert (batches == np.floor(batches)).all()
    inside = good["step_s"].between(good["step_s_low"], good["step_s_high"])
    assert inside.all()
    assert good["mfu"].between(0.01, 0.8).all()


def asked_for(network, **options):
    """Ask for a network that no table holds."""
    asked = training.TrainingQuestion.ask(model="Llama-3.1-8B", gpus="H100", **options)
    asked.__dict__["network"] = network
    return asked


SIZES = {"hidden": 2048, "heads": 16, "kv_heads": 8, "head_dim": 128, "vocab": 32_000}


def test_a_network_where_few_layers_have_experts_is_laid_out_by_them():
    recurs = {
        "mixer": "linear", "linear_in": 8192, "linear_out": 4096, "state_elements": 2**19,
        "norms_per_layer": 1,
    }  # fmt: skip
    groups = [
        {"layers": "1-15/4", "norms_per_layer": 2, "ffn": 8192},
        {"layers": "2-15/4", "mixer": "none", "experts": 24, "active_experts": 4,
         "expert_ffn": 1024},
    ]  # fmt: skip
    network = Model(id="h", name="H", layers=16, **{**SIZES, **recurs}, groups=groups)
    asked = asked_for(network, counts="32", seq_len=8192, global_batch=256)
    table = training.layout_table(asked, asked.devices[0], 32)
    assert table["works"].any()
    works = table[table["works"]]
    assert {1, 2, 4, 8} <= set(works["ep"])
    assert (24 % works["ep"] == 0).all()
    unfit = table.loc[table["ep"] == 16, "reason"]
    assert unfit.str.contains("EP 16 does not divide the 24 experts").any()
    tuned = asked_for(network, counts="8", tuning="lora", global_batch=64)
    assert training.layout_table(tuned, tuned.devices[0], 8)["works"].any()


def test_an_encoder_trains_and_an_encoder_with_a_decoder_says_why_not():
    network = Model(
        id="e", name="E", kind="encoder", layers=12, ffn=8192, tied_embeddings=True, **SIZES
    )
    asked = asked_for(network, counts="8", seq_len=512, global_batch=1024)
    best = training.layout_table(asked, asked.devices[0], 8).iloc[0]
    assert best["works"]
    assert 0.1 < best["mfu"] < 0.8
    both = network.model_copy(update={"kind": "encoder-decoder"})
    refused = asked_for(both, counts="8")
    with pytest.raises(InputError, match="encoder with a decoder"):
        refused._fits_the_model()


def test_reasons_name_what_is_wrong(question):
    small = question.model_copy(update={"global_batch": 32})
    said = " | ".join(
        training.rejections(training.layout_table(small, small.devices[1], 64), 20)["reason"]
    )
    for reason in ("crosses the 8 GPUs of a node", "GiB a GPU short", "bubble"):
        assert reason in said


def test_all_layouts_of_405b_on_1024_gpus_take_less_than_a_second():
    q = training.TrainingQuestion.ask(
        model="Llama-3.1-405B", gpus="H100", counts=[1024], seq_len=8192, global_batch=2048
    )
    training.layout_table(q, q.devices[0], 1024)
    start = time.perf_counter()
    table = training.layout_table(q, q.devices[0], 1024)
    assert time.perf_counter() - start < 5  # 0.1 s alone; the machine may be busy
    assert len(table) > 1000
    assert table["works"].sum() > 20


def test_newer_gpus_finish_sooner_and_more_of_them_too(runs):
    days = runs.pivot(index="gpus", columns="gpu", values="days")
    assert days.to_numpy()[0, 0] > days.to_numpy()[-1, 0]
    assert (days["h200-sxm-141"] <= days["h100-sxm-80"]).all()
    assert (days["h100-sxm-80"] < days["a100-sxm-80"] / 2).all()


def test_a_run_adds_up(question, runs):
    for r in runs[runs["works"]].to_dict("records"):
        steps = question.tokens / question.tokens_per_step
        assert r["days"] * 86400 * r["goodput"] == pytest.approx(steps * r["step_s"])
        assert r["gpu_hours"] == pytest.approx(r["days"] * 24 * r["gpus"])
        assert 0.8 < r["goodput"] < 1
        assert r["days_low"] < r["days"] < r["days_high"]


def test_the_deadline_is_judged_at_both_ends(question, runs):
    answer = training.deadline_table(question, runs).set_index("gpu")
    for name, row in answer.iterrows():
        fewer = runs[(runs["gpu"] == name) & (runs["gpus"] < row["gpus"])]
        assert not (row["meets"] and fewer["meets"].any())
        assert ("misses" in row["verdict"]) == (row["days"] > question.deadline_days)
    said = words.deadline_sentences(question, answer.reset_index())
    assert all(g.id in said for g in question.devices)
    assert "80" in words.deadline_finding(question, answer.reset_index())


def test_shares_of_a_step_are_whole(question, runs):
    parts = training.parts_table(question, runs)
    assert parts.sum(axis=1).to_numpy() == pytest.approx(np.ones(len(parts)))


def test_a_model_too_large_says_by_how_much():
    q = training.TrainingQuestion.ask(model="Llama-3.1-405B", gpus="A100", counts="8")
    answer = training.deadline_table(q, training.runs_table(q))
    assert not answer["works"].any()
    assert "GiB a GPU short" in answer["verdict"].iloc[0]
    assert "none of the numbers" in words.deadline_finding(q, answer)


def test_ratios_by_size_are_those_that_were_published():
    # Median H100/A100 2.2 to 2.5 with the attention of 2023, H200/H100 1.10 (MLPerf 4.0).
    sizes = ("llama-3.1-8b", "llama-3.1-70b")
    h100 = training.size_table(("H100", "bf16"), ("A100", "bf16"), sizes, (8, 64))
    h200 = training.size_table(("H200", "bf16"), ("H100", "bf16"), sizes, (8, 64))
    assert h100["ratio"].between(2.2, 3.2).all()
    assert h200["ratio"].between(1.0, 1.25).all()
    assert (h100["ratio_low"] < h100["ratio"]).all()


def test_an_a100_gains_nothing_from_fp8(question):
    table = training.fp8_table(question, 64).set_index("gpu")
    assert table.loc["a100-sxm-80", "fp8_over_bf16"] == 1
    assert "no FP8 units" in table.loc["a100-sxm-80", "note"]
    assert 1.2 < table.loc["h100-sxm-80", "fp8_over_bf16"] < 1.7


def test_slow_storage_wastes_time(question):
    table = training.checkpoint_table(question, 1024)
    assert table["goodput"].is_monotonic_increasing
    assert table["interval_minutes"].is_monotonic_decreasing


def test_what_a_node_needs_is_written(question, runs):
    needs = training.node_table(question, runs[runs["works"]].iloc[0])
    said = needs.set_index("what")["amount"]
    assert "GB" in said["Host memory of a node"]
    assert "kW" in said["Power of a node in training"]


def test_nodes_without_a_network_are_no_cluster():
    asked = training.TrainingQuestion.ask(
        model="Llama-3.1-8B", gpus="H100,GB200", counts="8,16", node_network_gb_s=0
    )
    runs = training.runs_table(asked)
    said = list(runs.loc[~runs["works"], "reason"])
    assert said == ["no network joins the nodes of 16 GPUs"]  # a rack of GB200 is one node
    assert np.isfinite(runs.loc[runs["works"], "days"]).all()


def test_slower_networks_scale_worse():
    asked = [
        training.TrainingQuestion.ask(
            model="Llama-3.1-8B",
            gpus="H100",
            counts="8,32",
            node_network_gb_s=rate,
            network_kind="tcp",
            seq_len=4096,
        )
        for rate in (1.25, 12.5)
    ]
    kept = [
        training.scaling_table(q, q.counts).query("kind == 'strong'")["efficiency"].iloc[-1]
        for q in asked
    ]
    assert kept[0] < kept[1] < 1.1


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"counts": "8,12"}, "counts"),
        ({"counts": "many"}, "counts"),
        ({"counts": [0]}, "counts"),
        ({"tokens": 0}, "tokens"),
        ({"deadline_days": float("nan")}, "deadline_days"),
        ({"seq_len": 4096.5}, "seq_len"),
        ({"seq_len": 1_000_000}, "seq_len"),
        ({"global_batch": 0}, "global_batch"),
        ({"storage_gb_s": -1}, "storage_gb_s"),
        ({"node_network_gb_s": float("inf")}, "node_network_gb_s"),
    ],
)
def test_wrong_numbers_are_named(options, field):
    with pytest.raises(InputError, match=field):
        training.TrainingQuestion.ask(model="Llama-3.1-8B", **options)


@pytest.mark.parametrize(
    ("options", "close"),
    [
        ({"gpus": "H10"}, "H100|h100"),
        ({"compute": "fp9"}, "fp8"),
        ({"tuning": "lroa"}, "lora"),
        ({"framework": "megatron-cor"}, "megatron-core"),
        ({"network_kind": "infinband"}, "infiniband"),
    ],
)
def test_mistyped_names_get_close_matches(options, close):
    with pytest.raises(UnknownNameError, match=close):
        training.TrainingQuestion.ask(model="Llama-3.1-8B", **options)


@settings(max_examples=15, deadline=None)
@given(st.sampled_from([8, 16, 24, 64]), st.sampled_from(["llama-3.2-1b", "qwen3-30b-a3b"]))
def test_rules_reject_only_what_is_wrong(count, name):
    q = training.TrainingQuestion.ask(model=name, gpus="H100", counts=[count], global_batch=96)
    grid = training.layout_grid(q, count)
    reason = impossible(q.network, q, grid)
    free = grid[reason == ""]
    assert ((free["dp"] * free["cp"]) % free["ep"] == 0).all()
    assert (free["interleave"] * free["pp"] <= q.network.layers).all()


def test_an_odd_sequence_is_refused_to_context_parallelism_alone():
    q = training.TrainingQuestion.ask(model="llama-3.2-1b", gpus="H100", counts=[8], seq_len=32_769)
    grid = training.layout_grid(q, 8)
    refused = np.char.startswith(impossible(q.network, q, grid).astype(str), "CP")
    assert (grid.loc[refused, "cp"] > 1).all()
    assert (refused[grid["cp"] == 1] == 0).all()
    assert refused.any()


def test_the_panel_follows_its_sliders():
    panel = training_panel(
        training.TrainingQuestion.ask(
            model="Llama-3.1-8B", gpus="A100,H100", counts="8,64", tokens=1e11
        )
    )
    before = panel.picture.value
    panel.controls["tokens"].value = 1e12
    assert panel.picture.value != before
    assert panel.message.value == ""
    panel.controls["seq_len"].value = 131072.0
    assert "<svg" in panel.picture.value
    for name, value in {"power_limit_w": 400, "fp8_recipe": "block", "gpus_per_node": 4}.items():
        before = panel.answer
        panel.controls[name].value = value
        assert panel.message.value == ""
        assert panel.answer[0] != before[0]
    panel.controls["power_limit_w"].value = ""
    assert panel.answer[0].power_limit_w is None


def fastest(count=16, device="H100", **options):
    """Return the best run of a job in FP8, and its ground."""
    asked = training.TrainingQuestion.ask(
        model="Llama-3.1-8B", gpus=device, counts=count, precision="fp8", **options
    )
    return training.runs_table(asked).iloc[0]


def test_a_finer_scale_a_power_limit_and_smaller_nodes_take_longer():
    usual = fastest()
    assert fastest(fp8_recipe="tensor")["days"] == usual["days"]
    block = fastest(fp8_recipe="block")
    assert block["days"] > 1.02 * usual["days"]
    held = fastest(power_limit_w=350)
    assert 1.1 * usual["days"] < held["days"] < 2 * usual["days"]
    assert held["kwh"] < usual["kwh"] * held["days"] / usual["days"]
    assert "power limits" in " ".join(held["ground"]["reasons"])
    assert fastest(power_limit_w=5000)["days"] == usual["days"]
    whole, halves = fastest(8), fastest(8, gpus_per_node=4)
    assert halves["days"] > whole["days"]
    assert halves["ground"]["level"] == "far"
    assert fastest(4, gpus_per_node=4)["days"] == fastest(4)["days"]
    layouts = training.layout_table(
        training.TrainingQuestion.ask(gpus="H100", counts=64, gpus_per_node=4, framework="nemo"),
        training.TrainingQuestion.ask(gpus="H100").devices[0],
        64,
    )
    assert layouts.loc[layouts["works"], "tp"].max() <= 4


def test_what_stands_in_and_what_changes_nothing_is_said(command):
    def told(*options):
        return command("train", "Llama-3.1-8B", "--counts", "8", *options).stderr

    assert "those of PyTorch FSDP with torch.compile stand in" in told("--framework", "torchtitan")
    assert not told("--framework", "megatron")
    assert "in BF16 on a100-sxm-80" in told("--precision", "fp8")
    assert "xolotl does not train in FP8" in told("--precision", "fp8", "--framework", "axolotl")
    assert "fp8_recipe block changes nothing" in told("--fp8-recipe", "block")
    assert "500 W is no limit to a100-sxm-80" in told("--power-limit-w", "500")
    assert not told("--gpus", "H100", "--power-limit-w", "500", "--precision", "fp8")
    brought = "No muon comes with llm.c: it has to be brought along."
    assert brought in told("--framework", "llm.c", "--optimizer", "muon")
    assert not told("--framework", "megatron", "--optimizer", "muon")
    job = {"framework": "llm.c", "optimizer": "muon", "model": "Llama-3.1-8B", "tokens": 1e9}
    own = {"kind": "training", "name": "t", "deadline_days": 3, **job}
    assert scenario({"name": "s", "workloads": [own]}).doubts == brought


def test_every_optimizer_that_a_framework_lists_is_that_of_a_recipe():
    kinds = {training_recipe(row["id"]).optimizer for row in table_rows("training_recipes")}
    every = (framework_record(row["id"]) for row in table_rows("frameworks"))
    assert {name for one in every for name in one.optimizers} | {"adamw"} == kinds


def test_tokens_come_from_documents_and_days_from_a_date(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1796000000")  # 2026-11-30, a Monday
    asked = training.TrainingQuestion.ask(
        documents=3000, document_tokens=2000, epochs=3, deadline="friday"
    )
    assert asked.tokens == 18e6
    assert asked.deadline == datetime.date(2026, 12, 4)
    assert asked.deadline_days == 4
    assert asked.but(epochs=2).tokens == 12e6
    same = training.TrainingQuestion.ask(deadline="Mon")
    assert same.deadline_days == 7, "today is too late: the next Monday"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"documents": 10}, "document_tokens"),
        ({"documents": 10, "document_tokens": 5, "tokens": 7}, "not both"),
        ({"epochs": 2}, "documents"),
        ({"deadline": "2026-11-30"}, "after that of the run, 2026-11-30"),
        ({"deadline": "friday", "deadline_days": 9}, "not both"),
        ({"deadline": "someday"}, "weekday"),
        ({"optimizer": "adamx"}, "optimizer"),
    ],
)
def test_half_of_an_amount_or_two_of_them_are_refused(monkeypatch, given, said):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1796000000")
    with pytest.raises(InputError, match=said):
        training.TrainingQuestion.ask(**given)


def test_a_lighter_optimizer_leaves_room(question):
    least = [
        training.layout_table(question.but(optimizer=name), question.devices[1], 64)[
            "memory_bytes"
        ].min()
        for name in ("adamw-8bit", "adamw-mixed")
    ]
    assert least[0] < 0.8 * least[1]


def test_a_job_of_minutes_is_told_in_minutes(command):
    job = ("--tokens", "2e7", "--tuning", "lora", "--global-batch", "16", "--gpus", "H100")
    told = command("train", "Qwen2.5-7B", *job, "--counts", "8").stdout
    assert "minutes (" in told
    assert "0.0 days" not in told


def test_a_picture_of_minutes_is_in_minutes():
    asked = small(tokens=1e7, tuning="lora", counts=(1, 8))
    figure = days_by_gpus(training.runs_table(asked), 4.0, "Time")
    (axes,) = figure.axes
    assert axes.get_ylabel() == "minutes of wall clock"
    assert axes.get_lines()[-1].get_ydata()[0] == 4 * 1440
    assert "deadline: 4.0 days" in {text.get_text() for text in axes.texts}


def small(**more):
    usual = {"model": "Llama-3.1-8B", "gpus": "H100", "framework": "torchtune"}
    return training.TrainingQuestion.ask(**{**usual, "global_batch": 64, **more})


def test_what_is_recomputed_can_be_said():
    peak = {}
    for said in ("none", "full every 2", "full"):
        table = training.layout_table(small(recompute=said), small().devices[0], 8)
        alike = (table["micro_batch"] == 1) & (table["zero_stage"] == 3)
        peak[said] = table.loc[alike & (table["dp"] == 8), "memory_bytes"].iloc[0]
        assert set(table["recompute"]) == {said.split()[0]}
    kept = peak["none"] - peak["full"]
    assert 0.3 * kept < peak["none"] - peak["full every 2"] < 0.6 * kept


def test_one_rank_shards_nothing():
    table = training.layout_table(small(), small().devices[0], 1)
    assert set(table["zero_stage"]) == {0}
    table = training.layout_table(small(framework="meta"), small().devices[0], 8)
    assert set(table.loc[table["dp"] * table["cp"] == 1, "zero_stage"]) == {0}
    assert set(table.loc[table["dp"] == 8, "zero_stage"]) == {1, 3}


@pytest.mark.parametrize(("model", "holds"), [("Llama-3.1-70B", True), ("DeepSeek-V3", False)])
def test_nothing_is_said_to_hold_no_job_that_a_way_holds(model, holds):
    asked = small(counts=[1]).but(model=model, gpus="L40S", framework="fsdp")
    reason = best_layout(asked, asked.devices[0], 1)["reason"]
    assert ("would fit" in reason) == holds, reason
    for name in (*OTHERS, "axolotl", "unsloth", "other"):
        for tuning in ("full", "lora", "qlora"):
            way = asked.but(framework=name, tuning=tuning)
            assert holds or not (possible_layouts(way, way.devices[0], 1)[1] == "").any(), way


def test_states_in_host_memory_take_time():
    def best(gpu, **more):
        asked = small(counts=[1], **more).but(gpus=gpu)
        return best_layout(asked, asked.devices[0], 1)

    plain, offload = best("H200", optimizer="adamw-bf16"), best("H200", optimizer="adamw-offload")
    assert offload["offload"] == "optimizer"
    assert offload["host_bytes"] == pytest.approx(8.03e9 * 12, rel=0.01)
    assert offload["step_s"] > plain["step_s"]
    paged = {"optimizer": "adamw-8bit-paged", "recompute": "full"}
    roomy, tight = best("H200", **paged), best("L40S", **paged)
    assert roomy["host_bytes"] == 0 < tight["host_bytes"] < 8.03e9 * 2.01
    with pytest.raises(InputError, match="keeps optimizer states in host memory"):
        small(optimizer="adamw-offload", offload="none")


@pytest.mark.parametrize(
    ("recompute", "repeated"), [("norm+act", ("elementwise",)), ("norm+moe", ("gemm", "ep"))]
)
def test_modules_are_repeated_alone(recompute, repeated):
    asked = training.TrainingQuestion.ask(
        model="qwen3-30b-a3b", gpus="H100", counts=[8], global_batch=64
    )
    device = asked.devices[0]
    grid, _ = possible_layouts(asked.but(recompute="none"), device, 8)
    grid = grid[(grid["ep"] == 8) & (grid["micro_batch"] == 1)].head(1)
    parts = {
        said: layout_parts(asked, device, grid.assign(recompute=said))
        for said in ("none", recompute, "full")
    }
    again = {said: float(part["recompute"][0]) for said, part in parts.items()}
    assert again["none"] == 0 < again[recompute] < again["full"]
    assert (parts[recompute]["ep"] > parts["none"]["ep"]).all() == ("ep" in repeated)
    share = again[recompute] / float(parts["none"][repeated[0]][0])
    assert 0.05 < share < 0.34  # at most the forward third


def test_what_goes_to_host_memory_can_be_said():
    tables = {
        said: training.layout_table(small(offload=said), small().devices[0], 8)
        for said in ("none", "activations", "both")
    }
    assert not tables["none"]["offload"].any()
    assert set(tables["both"]["offload"]) == {"optimizer|activations"}
    best = {said: table.iloc[0] for said, table in tables.items()}
    assert best["activations"]["step_s"] > best["none"]["step_s"]
    assert best["both"]["host_bytes"] > best["activations"]["host_bytes"] > 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"recompute": "operations"}, "recomputes none, full"),
        ({"recompute": "now and then"}, "full every 2"),
        ({"offload": "both", "framework": "nanotron"}, "keeps nothing in host memory"),
        ({"fp8_recipe": "block"}, "a scale for each tensor or row"),
        ({"fp8_recipe": "row", "framework": "axolotl"}, "does not train in FP8"),
        ({"fp8_recipe": "column"}, "fp8_recipe"),
        ({"power_limit_w": 100}, "above 140 W on h100"),
        ({"power_limit_w": 0}, "power_limit_w"),
        ({"counts": (4, 6), "gpus_per_node": 4}, "multiples of its 4 GPUs"),
        ({"gpus_per_node": 0}, "gpus_per_node"),
    ],
)
def test_what_a_framework_cannot_do_is_refused(given, said):
    asked = {"model": "Llama-3.1-8B", "gpus": "H100", "framework": "torchtune", **given}
    with pytest.raises(InputError, match=said):
        training.TrainingQuestion.ask(**asked)
