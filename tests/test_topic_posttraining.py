"""Reinforcement learning: what a step consists of, where it runs, and what is said of it."""

import numpy as np
import pytest

from gpuspec import InputError
from gpuspec.base.units import GB
from gpuspec.constants.posttraining import posttraining_errors, posttraining_terms
from gpuspec.constants.stored import held_out, stored
from gpuspec.evidence.fits.posttraining import held_out_steps
from gpuspec.evidence.measurements import posttraining as published
from gpuspec.evidence.measurements.rows import measurements
from gpuspec.formulas.posttraining import STAGES, step_seconds
from gpuspec.topics import posttraining
from gpuspec.topics.posttraining.answer import pools
from gpuspec.topics.posttraining.panel import posttraining_panel
from gpuspec.topics.posttraining.words import errors_sentence, run_finding, run_sentences

FEW = {"model": "Llama-3.1-8B", "gpus": "H100", "counts": 16, "prompts": 32, "generations": 8}


def asked(**more):
    return posttraining.PostTrainingQuestion.ask(**{**FEW, **more})


def run(**more):
    return posttraining.runs_table(asked(**more)).iloc[0]


def seconds(row, *names):
    return sum(row[f"{name}_s"] for name in names or STAGES)


@pytest.fixture(scope="module")
def usual():
    return run()


def test_stages_add_up_to_the_step_and_steps_to_the_run(usual):
    assert usual["works"]
    assert seconds(usual) == pytest.approx(usual["step_s"])
    assert usual["generation_gpus"] == usual["training_gpus"] == 16
    assert usual["replicas"] * usual["generation_tp"] * usual["generation_pp"] <= 16
    assert usual["days"] == pytest.approx(200 * usual["step_s"] / usual["goodput"] / 86400)
    assert usual["gpu_hours"] == pytest.approx(usual["days"] * 24 * 16)
    assert usual["usd"] / usual["gpu_hours"] == pytest.approx(3.85, rel=0.3)
    assert (
        usual["step_s_low"] < 0.7 * usual["step_s"] < 1.5 * usual["step_s"] < usual["step_s_high"]
    )


def test_ppo_takes_a_critic_and_no_reference_saves_a_pass(usual):
    ppo, free = run(algorithm="ppo"), run(reference_policy=False)
    assert usual["critic_s"] == 0
    assert ppo["critic_s"] > ppo["update_s"]
    assert ppo["step_s"] > usual["step_s"] + ppo["update_s"]
    assert ppo["host_gb"] > 1.5 * usual["host_gb"]
    assert ppo["ground"]["level"] == "far"
    assert free["reference_s"] == 0
    assert free["host_gb"] < usual["host_gb"]
    assert usual["step_s"] - free["step_s"] == pytest.approx(usual["reference_s"])


def test_every_answer_may_be_learnt_from_twice_in_smaller_batches(usual):
    twice = run(passes=2)
    assert twice["update_s"] == pytest.approx(2 * usual["update_s"])
    assert twice["log_probs_s"] == pytest.approx(usual["log_probs_s"])
    small = run(train_batch=64)
    assert usual["update_s"] < small["update_s"] < 2 * usual["update_s"]


def test_longer_and_more_varied_answers_take_longer(usual):
    assert run(osl=4096)["step_s"] > 1.2 * usual["step_s"]
    alike = run(length_spread=0)
    assert alike["generation_s"] < 0.6 * usual["generation_s"]
    cut = run(max_osl=3000)
    assert cut["generation_s"] < 0.7 * usual["generation_s"]
    waits = run(environment_s=60)
    assert waits["step_s"] == pytest.approx(usual["step_s"] + 60)


def test_two_pools_work_at_once_or_in_turns():
    at_once = run(placement="apart", counts=32)
    turns = run(placement="apart", counts=32, off_policy_steps=0)
    whole = run(placement="apart", counts=32, in_flight_updates=False)
    for row in (at_once, turns, whole):
        assert row["generation_gpus"] + row["training_gpus"] == 32
        assert row["generation_gpus"] % 8 == 0
    writes = seconds(at_once, "generation", "environment")
    learns = seconds(at_once, "log_probs", "reference", "critic", "update")
    assert at_once["step_s"] == pytest.approx(max(writes, learns) + at_once["refit_s"])
    assert seconds(turns) == pytest.approx(turns["step_s"])
    assert at_once["step_s"] < whole["step_s"] < turns["step_s"]
    # No states have to leave the GPUs of their own pool.
    assert at_once["host_gb"] < run(counts=32)["host_gb"]
    stated = run(placement="apart", counts=32, generation_gpus=24, generation_tp=4)
    assert (stated["generation_gpus"], stated["generation_tp"], stated["replicas"]) == (24, 4, 6)
    assert stated["step_s"] >= at_once["step_s"]


def test_pools_are_whole_nodes_where_there_are_several():
    apart = asked(placement="apart", counts="2,8,16,32")
    assert pools(apart, 2) == [1]
    assert pools(apart, 16) == [8]
    assert pools(apart, 32) == [8, 16, 24]
    assert all(0 < pool < 8 for pool in pools(apart, 8))
    assert pools(asked(), 32) == [32]


def test_what_does_not_fit_says_which_side_and_why():
    big = run(model="Llama-3.1-405B", counts=8)
    assert not big["works"]
    assert big["reason"].startswith("training: does not fit")
    assert np.isinf(big["days"])
    engine = run(model="Llama-3.1-70B", counts=64, generation_tp=1)
    assert engine["reason"].startswith("generation: weights")
    one = run(placement="apart", counts=1)
    assert "at least two GPUs" in one["reason"]
    odd = run(placement="apart", counts=16, generation_gpus=4)
    assert "multiples of its 8 GPUs" in odd["reason"]


def test_a_power_limit_and_smaller_nodes_reach_both_sides(usual):
    held = run(power_limit_w=300)
    assert held["update_s"] > 1.1 * usual["update_s"]
    assert held["generation_s"] > usual["generation_s"]
    small = run(gpus_per_node=2)
    assert small["generation_tp"] <= 2
    assert small["ground"]["level"] == "far"
    assert "crosses the 2 GPUs" in run(gpus_per_node=2, generation_tp=4)["reason"]
    assert run(algorithm="DAPO")["step_s"] == usual["step_s"]


def test_adapters_need_no_second_model(usual):
    lora = run(tuning="lora")
    assert lora["update_s"] < usual["update_s"]
    # The frozen base is the reference: nothing has to come from the host for it.
    assert lora["reference_s"] == lora["log_probs_s"]
    assert usual["reference_s"] > usual["log_probs_s"]
    assert "adapters" in " ".join(lora["ground"]["reasons"])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"osl": 9000}, "osl: 9000 .* at most max_osl, 8,192"),
        ({"max_osl": 200_000}, "max_osl.* ends at 131,072 tokens"),
        ({"train_batch": 100}, "divide the 256 answers"),
        ({"generation_gpus": 8}, "placement apart"),
        ({"off_policy_steps": 1}, "placement apart"),
        ({"placement": "apart", "generation_gpus": 16}, "fewer than the 16 GPUs"),
        ({"counts": 12}, "multiples of its 8 GPUs"),
        ({"algorithm": "dpo"}, "algorithm"),
        ({"prompts": 100_000, "generations": 64}, "generations.* to 1,000,000"),
        ({"steps": 0}, "steps"),
        ({"memory_share": 1.5}, "memory_share"),
        ({"fp8_recipe": "row"}, "NeMo RL.* tensor or block, or leave it blank$"),
        ({"framework": "maxtext", "tuning": "lora", "gpus": "H100"}, "does not train LoRA"),
        ({"model": "BERT-base"}, "model"),
        ({"deadline": "2000-01-01"}, "deadline"),
        ({"refit_gb_s": 0}, "refit_gb_s"),
    ],
)
def test_what_cannot_be_is_said_by_field(given, said):
    if "does not train" in said:
        assert said in run(**given)["reason"]
        return
    with pytest.raises(InputError, match=said):
        asked(**given)


def test_sentences_say_stages_ground_and_error(usual):
    q = asked()
    answer = posttraining.deadline_table(q, posttraining.runs_table(q))
    assert "200 steps of GRPO on Llama-3.1-8B, 256 answers" in run_finding(q, answer)
    text = run_sentences(q, answer)
    assert "in turns, engine" in text
    assert "answers" in text
    assert "one publisher's measurements alone" in text
    assert f"{posttraining_errors().loc['step', 'p90_error']:.0%}" in errors_sentence()


def test_the_panel_follows_its_controls():
    panel = posttraining_panel(asked(counts="8,16"))
    before = panel.picture.value
    panel.controls["max_osl"].value = 4096
    assert panel.message.value == ""
    assert panel.picture.value != before
    panel.controls["osl"].value = 8192
    assert "at most max_osl" in panel.message.value


# --- published steps -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rows():
    return published.prepared(measurements("posttraining"))


@pytest.fixture(scope="module")
def bare(rows):
    return published.bare_stages(rows)


def test_stored_errors_are_those_of_publishers_left_out(rows, bare):
    held = held_out_steps(rows, bare)
    kept = [held_out("posttraining")[case] for case in rows["case_id"]]
    assert held == pytest.approx(kept, rel=0.02)
    error = np.abs(held / rows["value"].to_numpy(float) - 1)
    line = posttraining_errors().loc["step"]
    assert np.median(error) == pytest.approx(line["median_error"], abs=0.01)
    assert np.median(error) < 0.3
    assert np.quantile(error, 0.9) < 0.65


def test_the_interval_is_as_wide_as_the_errors(rows):
    ends = stored("posttraining")["intervals"]["step"]
    assert ends["publishers"] == 2
    line = posttraining_errors().loc["step"]
    kept = np.array([held_out("posttraining")[case] for case in rows["case_id"]])
    ratio = rows["value"].to_numpy(float) / kept
    inside = (ratio >= line["low"]) & (ratio <= line["high"])
    assert inside.mean() > 0.75
    assert line["high"] / line["low"] > 3


def test_fitted_with_all_rows_half_are_within_a_fifth(rows, bare):
    found = published.predicted_posttraining(rows, posttraining_terms(), bare)
    assert np.median(np.abs(found / rows["value"].to_numpy(float) - 1)) < 0.2


def test_rows_say_what_they_are_and_contradict_nothing(rows):
    table = published.prepared(measurements("posttraining"))
    assert set(table["metric"]) <= set(published.METRICS)
    assert (table["answer_tokens"] <= table["max_answer_tokens"]).all()
    assert ((table["prompts"] * table["generations"]) % table["train_batch"] == 0).all()
    trained = table["n_gpus"] - table["generation_gpus"]
    assert (trained % (table["tp"] * table["pp"] * table["cp"]) == 0).all()
    pool = table["generation_gpus"].where(table["generation_gpus"] > 0, table["n_gpus"])
    assert (pool % (table["generation_tp"] * table["generation_pp"]) == 0).all()


def test_an_answer_is_what_a_published_row_of_its_settings_is_predicted_to_be(rows, bare):
    """The topic and the evidence ask the same formulas: NeMo RL's Llama-3.1-8B in turns."""
    at = list(rows["case_id"]).index("nemo-rl-05-11")
    row = rows.iloc[at]
    mine = run(
        counts=int(row["n_gpus"]),
        prompts=int(row["prompts"]),
        generations=int(row["generations"]),
        isl=int(row["prompt_tokens"]),
        osl=int(row["answer_tokens"]),
        max_osl=int(row["max_answer_tokens"]),
        train_batch=int(row["train_batch"]),
        generation_tp=int(row["generation_tp"]),
        memory_share=float(row["memory_share"]),
        recompute=row["recompute"],
    )
    theirs = published.with_terms(bare[at], posttraining_terms())
    # The row ran on an older era of the engine than the current one.
    assert mine["generation_s"] == pytest.approx(float(theirs["generation"]), rel=0.25)
    assert mine["step_s"] <= 1.05 * float(step_seconds(theirs))
    assert mine["memory_bytes"] < 80 * GB
