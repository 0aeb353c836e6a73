"""Anybody's measurements against the model, from Python and from the command line."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from gpuspec import InputError
from gpuspec.cli import main
from gpuspec.evidence import validation
from gpuspec.topics.validation import words

FIXTURES = Path(__file__).parent / "fixtures"
FIXTURE = FIXTURES / "measurements.csv"
TRAINING = FIXTURES / "training.csv"
COLLECTIVES = FIXTURES / "collectives.csv"


@pytest.fixture
def table(tmp_path):
    def write(source=FIXTURE, keep=None, first="", **changes):
        rows = pd.read_csv(source, dtype=str, keep_default_na=False)
        rows = rows[rows["case_id"] >= first].iloc[:4].reset_index(drop=True)
        rows = rows[list(keep)] if keep else rows
        for column, value in changes.items():
            rows.loc[1, column] = value
        path = tmp_path / "mine.csv"
        rows.to_csv(path, index=False)
        return path

    return write


def test_a_good_table_is_predicted_whole():
    found = validation.validate(FIXTURE)
    figures = found.figures()
    assert figures["rows"] == len(found.rows) == 30
    assert figures["skipped"] == []
    assert 0 < figures["median_absolute_error"] < 0.3
    assert set(figures["by_gpu"]) == set(found.rows["gpu"])
    assert figures["ratio_pairs"] > 0


def test_errors_are_split_by_who_measured_what_and_how_well_it_is_known(table):
    path = table(publisher="", source_id="")
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    rows["publisher"], rows["source_id"] = ["me", "", "", ""], ["a", "a", "", "b"]
    rows.to_csv(path, index=False)
    figures = validation.validate(path).figures()
    publishers = {name: one["rows"] for name, one in figures["by_publisher"].items()}
    assert publishers == {"me": 1, "a": 1, "b": 1, "not named": 1}
    assert set(figures["by_ground"]) <= {"measured", "near", "far"}
    for split in ("publisher", "ground", "metric", "engine", "scenario"):
        assert sum(one["rows"] for one in figures[f"by_{split}"].values()) == 4
    told = CliRunner().invoke(main, ["validate", str(path)]).output
    assert "publisher not named" in told
    for kind in validation.KINDS:
        split = validation.held_out(kind).figures()
        few = kind == "posttraining"  # of two publishers one is beside the other alone
        assert set(split["by_ground"]) == ({"near", "far"} if few else {"measured", "near", "far"})
        assert len(split["by_publisher"]) > (1 if few else 5)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("value", "fast", "value: 'fast'"),
        ("value", "-3", "value: '-3'"),
        ("tp", "1.5", "whole number"),
        ("gpu", "H1000", "gpu"),
        ("model", "my-model", "model"),
        ("metric", "joy", "metric: 'joy'"),
        ("scenario", "dream", "scenario: 'dream'"),
        ("isl", "", "isl: ''"),
    ],
)
def test_a_wrong_row_is_skipped_by_line_and_the_others_stay(table, column, value, said):
    figures = validation.validate(table(**{column: value})).figures()
    assert figures["rows"] == 3
    assert figures["skipped"][0]["line"] == 3
    assert said in figures["skipped"][0]["reason"]


def test_a_missing_column_and_a_missing_file_are_named(tmp_path):
    path = tmp_path / "short.csv"
    path.write_text("gpu,value\nH100,3\n")
    with pytest.raises(InputError, match=r"lacks tp, model, engine, isl, osl, metric$"):
        validation.validate(path)
    with pytest.raises(InputError, match="file"):
        validation.validate(tmp_path / "none.csv")
    with pytest.raises(InputError, match="kind"):
        validation.validate(FIXTURE, "dancing")
    with pytest.raises(InputError, match="did you mean training"):
        validation.held_out("trainings")
    path.write_text("gpu,n_gpus,model,seq_len,metric,value\n")
    with pytest.raises(InputError, match="global_batch or micro_batch"):
        validation.validate(path, "training")


@pytest.mark.parametrize(
    ("kind", "path"),
    [("inference", FIXTURE), ("training", TRAINING), ("collectives", COLLECTIVES)],
)
def test_a_file_of_each_kind_is_told_and_taken_for_no_other(kind, path):
    found = validation.validation_of(path, kind)
    said = words.validation_finding(found)
    assert said.startswith(f"{len(found.rows)} ")
    assert f"{found.figures()['median_absolute_error']:.0%}" in said
    for column in validation.SPLITS[kind]:
        assert validation.error_table(found, column)["rows"].sum() == len(found.rows)
    assert set(validation.stated_errors(kind)["coverage"]) <= set(
        np.linspace(0, 1, 10_001).round(4)
    )
    for other in {"memory", "mig", "images", *validation.KINDS} - {kind}:
        with pytest.raises(InputError, match=f"has the columns of {kind}"):
            validation.validation_of(path, other)


def test_a_file_without_a_usable_row_says_why(table):
    path = table(keep=None, gpu="H1000")
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    rows.assign(gpu="H1000").to_csv(path, index=False)
    with pytest.raises(InputError, match=r"none of its rows can be used; line 2: .*H1000"):
        validation.validation_of(path)
    assert words.validation_finding(validation.validate(path)).startswith("No figures")


def test_the_command_prints_json_text_and_a_picture(tmp_path):
    picture = tmp_path / "errors.png"
    run = CliRunner().invoke(main, ["validate", str(FIXTURE), "--json", "--picture", str(picture)])
    assert run.exit_code == 0
    assert json.loads(run.output)["rows"] == 30
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "Median error" in CliRunner().invoke(main, ["validate", str(FIXTURE)]).output
    assert CliRunner().invoke(main, ["validate", str(tmp_path / "no.csv")]).exit_code == 2


def test_an_estimate_from_the_command_line():
    run = CliRunner().invoke(main, ["estimate", "Llama-3.1-8B", "--gpu", "H100", "--json"])
    answer = json.loads(run.output)["estimates"][0]
    low, value, high = (answer["tpot_s"][i] for i in (1, 0, 2))
    assert low < value < high
    assert sum(answer["parts"].values()) == pytest.approx(value)
    one = ["estimate", "Llama-3.1-8B", "--gpu", "H100", "--weights", "bf16", "--tp", "1"]
    arriving = CliRunner().invoke(main, [*one, "--rate", "3"])
    assert "TTFT at that rate, ms: p50" in arriving.output
    flooded = CliRunner().invoke(main, [*one, "--rate", "3000"])
    assert "times what the replica can sustain" in flooded.output
    bad = CliRunner().invoke(main, ["estimate", "Llama-3.1-405B", "--gpu", "A100", "--tp", "1"])
    assert bad.exit_code == 2
    assert "GiB" in bad.output


def test_held_out_rows_show_the_stated_errors():
    found = validation.held_out()
    assert len(found.rows) > 1000
    assert not found.rows["predicted"].isna().any()
    assert len(validation.worst(found.rows, 5)) == 5
    assert validation.error_table(found, "gpu")["rows"].sum() == len(found.rows)


def test_a_training_table_is_predicted_whole():
    found = validation.validate(TRAINING, "training")
    figures = found.figures()
    assert figures["rows"] == 32
    assert figures["skipped"] == []
    assert 0 < figures["median_absolute_error"] < 0.15
    assert set(figures["by_framework"]) == set(found.rows["framework"])
    assert {"by_gpu", "by_model", "by_precision"} < set(figures)
    assert {"h100-sxm-80 / a100-sxm-80", "fp8 / bf16"} <= set(figures["ratio_by_pair"])
    assert (found.rows["low"] < found.rows["high"]).all()
    json.dumps(figures)


def test_few_columns_and_everyday_names_are_enough(table):
    needed = ["gpu", "n_gpus", "model", "seq_len", "metric", "value", "micro_batch"]
    names = {"gpu": "H100", "model": "Llama-3.1-8B", "n_gpus": "8"}
    one = {"metric": "mfu", "value": "0.4", "seq_len": "8192"}
    path = table(TRAINING, needed, **names, **one, micro_batch="1")
    found = validation.validate(path, "training")
    assert len(found.rows) == 4
    row = found.rows.iloc[1]
    assert (row["gpu"], row["framework"]) == ("h100-sxm-80", "other")
    assert (row["case_id"], row["precision"]) == ("line 3", "bf16")
    told = found.notes["note"][found.notes["line"] == 3].tolist()
    assert any("framework '' is taken as 'other'" in note for note in told)
    assert row["measured_tflops"] == pytest.approx(0.4 * 989.4, rel=0.01)  # of the dense peak


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"value": "fast"}, "value: 'fast'"),
        ({"gpu": "H1000"}, "gpu: 'H1000' is not valid; did you mean"),
        ({"model": "llama-7"}, "model: 'llama-7' is not valid"),
        ({"recipe": "adamm"}, "did you mean adam"),
        ({"metric": "tflops"}, "metric: 'tflops' is not valid; did you mean"),
        ({"n_gpus": "7", "dp": "8"}, "must give the number of GPUs"),
        ({"n_gpus": "64", "dp": "1", "tp": "4"}, "where dp is 16, leave it blank"),
        ({"n_gpus": "4", "dp": "1", "tp": "8"}, "tp, pp and cp alone take 8"),
        ({"tp": "3", "n_gpus": "3", "dp": "1"}, "must divide the"),
        ({"pp": "500", "n_gpus": "500", "dp": "1"}, "layers"),
        ({"cp": "7", "n_gpus": "7", "dp": "1"}, "must divide the sequence"),
        ({"ep": "8"}, "no experts"),
        ({"global_batch": "13", "micro_batch": "2"}, "multiple of dp x micro_batch"),
        ({"gpu": "A100 80GB SXM", "precision": "fp8"}, "a100-sxm-80 has bf16, fp16"),
        ({"global_batch": "", "micro_batch": ""}, "global_batch or micro_batch is needed"),
        ({"seq_len": "2048.5"}, "whole number"),
        ({"tp": "inf"}, "whole number"),
        ({"zero_stage": "4"}, "give 0, 1, 2 or 3"),
    ],
)
def test_a_wrong_training_row_is_skipped_with_one_sentence(table, changes, said):
    figures = validation.validate(table(TRAINING, first="llmf", **changes), "training").figures()
    assert figures["rows"] == 3
    assert figures["skipped"][0]["line"] == 3
    assert said in figures["skipped"][0]["reason"]


def test_a_collectives_table_is_predicted_whole():
    found = validation.validate(COLLECTIVES, "collectives")
    figures = found.figures()
    assert figures["rows"] == 54
    assert figures["skipped"] == []
    assert 0 < figures["median_absolute_error"] < 0.2
    assert set(figures["by_size"]) == {"below 1 MiB", "from 1 MiB"}
    assert set(figures["by_reach"]) == {"in a node", "between nodes"}
    assert {"by_gpu", "by_operation", "by_link"} < set(figures)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"gpu": "H1000"}, "did you mean"),
        ({"operation": "allreduce"}, "did you mean all_reduce"),
        ({"link": "nvlink4"}, "did you mean nvlink-4"),
        ({"gpu": "a100-sxm-80", "link": "nvlink-4"}, "a100-sxm-80 has nvlink-3"),
        ({"nodes": "2", "network_kind": "", "node_network_gb_s": "50"}, "network_kind"),
        ({"nodes": "2", "network_kind": "roce", "node_network_gb_s": ""}, "node_network_gb_s"),
        ({"gpus_per_node": "1"}, "two GPUs"),
        ({"seconds": "", "algbw_gb_s": "0.00", "busbw_gb_s": ""}, "seconds or algbw_gb_s"),
        ({"message_bytes": "1.5"}, "whole number"),
    ],
)
def test_a_wrong_collective_is_skipped_with_one_sentence(table, changes, said):
    figures = validation.validate(table(COLLECTIVES, **changes), "collectives").figures()
    assert figures["rows"] == 3
    assert figures["skipped"][0]["line"] == 3
    assert said in figures["skipped"][0]["reason"]


@pytest.mark.parametrize("kind", ["training", "collectives"])
def test_a_table_without_a_usable_row_is_no_crash(table, kind):
    path = table(TRAINING if kind == "training" else COLLECTIVES)
    rows = pd.read_csv(path, dtype=str, keep_default_na=False).assign(gpu="nothing")
    rows.to_csv(path, index=False)
    figures = validation.validate(path, kind).figures()
    assert (figures["rows"], len(figures["skipped"])) == (0, 4)
    assert figures["median_absolute_error"] is None


def test_zero_bandwidths_of_small_messages_are_blanks(table):
    path = table(COLLECTIVES, seconds="1e-5", algbw_gb_s="0.00", busbw_gb_s="0.00")
    assert len(validation.validate(path, "collectives").rows) == 4


@pytest.mark.parametrize("kind", ["training", "collectives"])
def test_the_command_takes_every_kind(tmp_path, kind):
    picture, path = tmp_path / "errors.svg", TRAINING if kind == "training" else COLLECTIVES
    command = ["validate", str(path), "--kind", kind]
    run = CliRunner().invoke(main, [*command, "--json", "--picture", str(picture)])
    assert run.exit_code == 0, run.output
    assert json.loads(run.output)["rows"] > 30
    assert picture.stat().st_size > 1000
    assert "Median error" in CliRunner().invoke(main, command).output


def test_stored_training_errors_meet_their_bounds():
    found = validation.held_out("training")
    known = found.rows[found.rows["known"]]
    assert known["error"].abs().median() <= 0.11
    ratios = found.figures()["ratio_by_pair"]
    assert ratios["h100-sxm-80 / a100-sxm-80"]["median_absolute_error"] <= 0.085
    assert len(validation.worst(found.rows, 5)) == 5


def test_stored_collectives_cover_the_table():
    found = validation.held_out("collectives")
    assert found.skipped.empty
    assert len(found.rows) > 4000
    large = found.figures()["by_size"]["from 1 MiB"]
    assert large["median_absolute_error"] <= 0.16
    assert len(validation.worst(found.rows, 5)) == 5
