"""The question about memory: its checks, its tables, its sentences, its control panel."""

import json

import numpy as np
import pytest

from gpuspec import InputError
from gpuspec.catalog.models import model
from gpuspec.catalog.precision import training_recipe
from gpuspec.constants.memory import interval, memory_errors, memory_terms
from gpuspec.evidence.fits.errors import Errors
from gpuspec.evidence.fits.memory import FIT_KINDS, fit_memory_terms
from gpuspec.evidence.measurements.memory import predicted_memory
from gpuspec.evidence.measurements.rows import measurements
from gpuspec.topics.memory import (
    MemoryQuestion,
    sequences_by_context,
    serving_table,
    smallest_serving,
    training_table,
    utilization_table,
    weights_table,
    words,
)
from gpuspec.topics.memory.panel import serving_panel

PARTS = ["weights", "kv_cache", "activations", "runtime"]


@pytest.fixture(scope="module")
def question():
    return MemoryQuestion.ask(model="Llama-3.1-70B", gpus="A100,H100,H200")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("isl", -1, "isl: -1 is not valid; give a whole number from 1"),
        ("osl", 0, "osl: 0 is not valid"),
        ("concurrency", 2.5, "concurrency: 2.5 is not valid; give a whole number"),
        (
            "gpu_memory_utilization",
            1.2,
            "gpu_memory_utilization: 1.2 is not valid; give a number from 0.1 to 1",
        ),
        ("kv", "bf61", "did you mean bf16"),
        ("weights", "fp88", "weights: 'fp88' is not valid; did you mean fp8"),
        ("gpus", "A100,H1000", "did you mean"),
        ("model", "Llama-3.1-71B", "did you mean"),
        ("model", "/tmp", "it is a folder; name the config.json in it"),
        ("model", "sdxl-1.0", "language models only"),
        ("lora_rank", True, "lora_rank: True is not valid"),
    ],
)
def test_bad_input_names_field_value_and_what_is_valid(field, value, said):
    asked = {"model": "Llama-3.1-8B", "gpus": "H100", field: value}
    with pytest.raises(InputError, match="is not valid") as error:
        MemoryQuestion.ask(**asked)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_70b_needs_two_h200_or_four_h100_for_eight_requests(question):
    chosen = smallest_serving(serving_table(question)).set_index("gpu")["gpus"]
    assert chosen.to_dict() == {"a100-sxm-80": 4, "h100-sxm-80": 4, "h200-sxm-141": 2}


def test_70b_on_one_h200_depends_on_the_engines_share(question):
    table = utilization_table(question, [0.9, 0.95, 0.98]).set_index(["gpu", "utilization"])
    context = table["max_context"]["h200-sxm-141"]
    assert context[0.9] == 0
    assert 1000 < context[0.95] < context[0.98] < 40_000
    assert (table["max_context"]["h100-sxm-80"] == 0).all()


def test_parts_add_up_to_the_budget(question):
    table = serving_table(question)
    assert np.allclose(table[PARTS].sum(axis=1) + table["free"], table["budget"])
    assert (table["free_low"] <= table["free"]).all()
    training = training_table(question)
    parts = ["weights", "gradients", "optimizer", "activations", "logits", "workspace", "runtime"]
    assert np.allclose(training[parts].sum(axis=1), training["total"])


def test_verdicts_say_what_is_missing(question):
    table = serving_table(question).set_index(["gpu", "gpus"])["verdict"]
    assert "too large" in table["h100-sxm-80", 1]
    assert table["h200-sxm-141", 4] == "fits"


def test_layouts_use_every_gpu_and_divide_the_heads():
    # 71 heads: no tensor parallelism
    asked = MemoryQuestion.ask(model="falcon-7b", gpus="H100")
    network, table = asked.network, serving_table(asked)
    assert (table["tp"] * table["pp"] == table["gpus"]).all()
    assert (network.heads % table["tp"] == 0).all()


@pytest.mark.parametrize(("name", "count"), [("falcon-7b", 8), ("Llama-3.1-8B", 12)])
def test_training_takes_any_number_of_gpus(name, count):
    table = training_table(MemoryQuestion.ask(model=name, gpus="H100", training_gpus=count))
    assert (table["total"] > 0).all()
    assert table.set_index("policy")["total"]["AdamW, ZeRO-3 / FSDP"] > 0


def test_more_gpus_hold_more_requests(question):
    table = serving_table(question)
    for _, group in table.groupby("gpu"):
        assert group.sort_values("gpus")["max_sequences"].is_monotonic_increasing


def test_longer_contexts_hold_fewer_requests(question):
    table = sequences_by_context(question, [2048, 8192, 32768])
    assert (table.diff().dropna() <= 0).all().all()
    assert table.iloc[0]["4 x h200-sxm-141"] > 2 * table.iloc[0]["4 x h100-sxm-80"]


def test_tables_for_readers(question):
    assert weights_table(question, ["bf16", "int4"])["weights_gb"].iloc[0] == pytest.approx(
        141.1, abs=0.1
    )


def test_sentences_follow_the_numbers(question):
    smallest = smallest_serving(serving_table(question))
    assert "2 x h200-sxm-141" in words.serving_finding(question, smallest)
    assert "320.0 KiB" in words.kv_sentence(question)
    huge = MemoryQuestion.ask(model="DeepSeek-V3", gpus="A100 40GB", concurrency=4000, isl=100_000)
    assert "do not hold it" in words.serving_finding(huge, smallest_serving(serving_table(huge)))


# --- measurements and calibration ----------------------------------------------------------------


def test_enough_published_rows_are_used():
    rows = measurements("memory")
    assert len(rows) >= 150
    assert rows["source_id"].nunique() >= 8
    assert np.isfinite(predicted_memory(rows, memory_terms())).all()


def test_weights_and_cache_agree_with_engine_logs():
    errors = memory_errors()
    assert errors.loc["serving weights", "median_error"] < 0.01
    assert errors.loc["serving kv cache", "p90_error"] < 0.01
    assert errors.loc["activations", "p90_error"] < 1e-6


def test_stored_errors_are_those_of_the_rows():
    # Kinds without a fitted constant have the same error whatever is held out.
    rows = measurements("memory")
    rows = rows[rows["kind"].isin(["activations", "serving weights", "serving kv cache"])]
    predicted = predicted_memory(rows, memory_terms())
    error = np.log(rows["value_bytes"] / predicted)
    for kind, part in error.groupby(rows["kind"]):
        shown = Errors(part.to_numpy(), rows.loc[part.index]).of()
        assert shown == pytest.approx(memory_errors().loc[kind].dropna().to_dict(), abs=1e-3)


def test_a_small_refit_finds_a_planted_constant():
    rows = measurements("memory")
    rows = rows[rows["kind"].isin(FIT_KINDS) & (rows["part"] == "runtime")].copy()
    planted = memory_terms().model_copy(
        update={"context_bytes": 3.0e8, "communicator_bytes": 9.0e8}
    )
    rows["value_bytes"] = predicted_memory(rows, planted)
    found = fit_memory_terms(rows)
    assert found.context_bytes == pytest.approx(3.0e8, rel=0.02)
    assert found.communicator_bytes == pytest.approx(9.0e8, rel=0.02)


def test_intervals_hold_the_stated_share_of_rows():
    errors = memory_errors()
    assert (errors["low"] <= 1.01).all()
    assert (errors["high"] >= 0.999).all()
    low, high = interval(100.0, "full")
    assert low < 100 < high


# --- widgets -------------------------------------------------------------------------------------

CHANGES = {
    "model": "llama-3.1-8b",
    "weights": "fp8",
    "kv": "fp8",
    "isl": 65536,
    "osl": 4096,
    "concurrency": 16,
    "gpu_memory_utilization": 0.6,
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_widget_changes_the_pictures_data(question, name):
    panel = serving_panel(question)
    assert set(panel.controls) == set(CHANGES)
    before, drawn = panel.answer[1].to_csv(), panel.picture.value
    panel.controls[name].value = CHANGES[name]
    assert panel.answer[1].to_csv() != before
    assert panel.picture.value != drawn
    assert panel.message.value == ""


def test_a_panel_keeps_its_picture_and_says_what_is_wrong(question, monkeypatch):
    panel = serving_panel(question)
    drawn = panel.picture.value
    panel.controls["kv"].options = ["bf16", "bf61"]
    panel.controls["kv"].value = "bf61"
    assert "did you mean bf16" in panel.message.value
    assert drawn in panel.picture.value
    assert "opacity" in panel.picture.value


def test_of_an_encoder_with_a_decoder_the_states_are_answered(tmp_path):
    t5 = {"model_type": "t5", "d_model": 512, "d_ff": 2048, "d_kv": 64, "num_heads": 8}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(t5 | {"num_layers": 6, "vocab_size": 32_128}), "utf-8")
    table = training_table(MemoryQuestion(model=str(path), gpus="H100", training_gpus=1))
    assert table["policy"].str.endswith(", states alone").all()
    first, recipe = table.iloc[0], training_recipe("adamw-mixed")
    assert first["total"] == pytest.approx(model(str(path)).params * recipe.bytes_per_param)
    assert first["total"] == first[["weights", "gradients", "optimizer"]].sum()
