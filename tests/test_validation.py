"""Anybody's measurements against the model, from Python and from the command line."""

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from gpuspec import InputError, validation
from gpuspec.cli import main

FIXTURE = Path(__file__).parent / "fixtures" / "measurements.csv"


@pytest.fixture
def table(tmp_path):
    def write(**changes):
        rows = pd.read_csv(FIXTURE, dtype=str, keep_default_na=False).iloc[:4]
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


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("value", "fast", "value: 'fast'"),
        ("value", "-3", "value: '-3'"),
        ("tp", "1.5", "whole number"),
        ("gpu", "H1000", "gpu"),
        ("model", "my-model", "model"),
        ("metric", "joy", "metric 'joy'"),
        ("scenario", "dream", "scenario 'dream'"),
        ("isl", "", "blank"),
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
    with pytest.raises(InputError, match="case_id"):
        validation.validate(path)
    with pytest.raises(InputError, match="file"):
        validation.validate(tmp_path / "none.csv")
    with pytest.raises(InputError, match="kind"):
        validation.validate(FIXTURE, "dancing")


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
    answer = json.loads(run.output)
    low, value, high = (answer["tpot_s"][i] for i in (1, 0, 2))
    assert low < value < high
    assert sum(answer["parts"].values()) == pytest.approx(value)
    arriving = CliRunner().invoke(main, ["estimate", "Llama-3.1-8B", "--rate", "3"])
    assert "TTFT at that rate, ms: p50" in arriving.output
    flooded = CliRunner().invoke(main, ["estimate", "Llama-3.1-8B", "--rate", "3000"])
    assert "times what the replica can sustain" in flooded.output
    bad = CliRunner().invoke(main, ["estimate", "Llama-3.1-405B", "--gpu", "A100"])
    assert bad.exit_code == 2
    assert "GiB" in bad.output


def test_held_out_rows_show_the_stated_errors():
    found = validation.held_out()
    assert len(found.rows) > 1000
    assert not found.rows["predicted"].isna().any()
    assert len(validation.worst(found.rows, 5)) == 5
    assert validation.error_table(found, "gpu")["Rows"].sum() == len(found.rows)
