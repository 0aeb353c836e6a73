"""A scenario is read from one file, and a mistake in it is told with its place."""

import json

import pytest
import yaml

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.decision.scenario import SHIPPED, Inference, Scenario, scenario, scenario_names

BASE = {
    "name": "mine",
    "workloads": [{"kind": "inference", "name": "chat", "model": "Llama-3.1-8B", "concurrency": 8}],
}


def test_every_shipped_example_is_valid_and_says_what_it_is():
    assert {"article-a", "article-b", "article-c", "small-team", "a100-owner"} <= set(
        scenario_names()
    )
    for name in scenario_names():
        assert isinstance(scenario(name), Scenario)
        assert (SHIPPED / f"{name}.yaml").read_text("utf-8").startswith("# ")


def test_yaml_json_and_a_mapping_mean_the_same(tmp_path):
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(BASE))
    (tmp_path / "a.json").write_text(json.dumps(BASE))
    assert scenario(tmp_path / "a.yaml") == scenario(tmp_path / "a.json") == scenario(BASE)


def test_names_that_a_person_types_become_ids():
    asked = scenario(BASE | {"allow": {"gpus": "A100, H100 PCIe"}})
    assert asked.allow.gpus == ("a100-sxm-80", "h100-pcie-80")
    assert asked.workloads[0].model == "llama-3.1-8b"


def test_changes_replace_values_by_path_and_leave_the_source_alone():
    asked = scenario(BASE, {"workloads[0].concurrency": 64, "budget.monthly_usd": 5e3})
    first = asked.workloads[0]
    assert isinstance(first, Inference)
    assert first.concurrency == 64
    assert asked.budget.monthly_usd == 5e3
    assert BASE["workloads"][0]["concurrency"] == 8


@pytest.mark.parametrize(
    ("path", "value", "field", "close"),
    [
        ("workloads[0].ils", 3, "workloads[0].ils", "isl"),
        ("alow", {}, "alow", "allow"),
        ("budget.montly_usd", 3, "budget.montly_usd", "monthly_usd"),
        ("workloads[0].kind", "infrence", "workloads[0].kind", "inference"),
        ("workloads[0].model", "Lama-3.1-70B", "workloads[0].model", "llama-3.1-70b"),
        ("owned", [{"gpu": "H10", "count": 1}], "owned[0].gpu", "h100-sxm-80"),
        ("allow.gpus", "A100,H20000", "allow.gpus", "h200-sxm-141"),
        ("allow.modes", "on demand", "allow.modes[0]", "on-demand"),
    ],
)
def test_an_unknown_name_is_told_with_its_place_and_what_was_meant(path, value, field, close):
    with pytest.raises(UnknownNameError) as caught:
        scenario(BASE, {path: value})
    assert caught.value.field == field
    assert close in caught.value.close


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("workloads[0].isl", -3, "workloads[0].isl"),
        ("workloads[0].concurrency", 0, "workloads[0].concurrency"),
        ("workloads[0].request_rate", 3.0, "workloads[0].request_rate"),
        ("workloads[0].name", None, "workloads[0].name"),
        ("workloads[7].isl", 5, "workloads[7].isl"),
        ("workloads", [], "workloads"),
        ("horizon_months", 0, "horizon_months"),
        ("budget.capital_usd", float("nan"), "budget.capital_usd"),
        ("owned", 3, "owned"),
        ("allow.gpus", [], "allow.gpus"),
    ],
)
def test_a_value_that_cannot_be_used_is_told_with_its_place(path, value, field):
    with pytest.raises(InputError) as caught:
        scenario(BASE, {path: value})
    assert caught.value.field == field
    assert "pydantic" not in str(caught.value)


def test_a_workload_must_end_after_it_begins():
    with pytest.raises(InputError, match=r"to_quarter"):
        scenario(BASE, {"workloads[0].from_quarter": 4, "workloads[0].to_quarter": 2})


def test_two_workloads_of_one_name_are_refused():
    twice = BASE | {"workloads": BASE["workloads"] * 2}
    with pytest.raises(InputError, match=r"workloads\[1\]\.name"):
        scenario(twice)


def test_a_file_that_is_no_yaml_or_does_not_exist_is_one_sentence(tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: [unclosed")
    for given in (broken, tmp_path / "missing.yaml", "article-d"):
        with pytest.raises(InputError) as caught:
            scenario(given)
        assert "\n" not in str(caught.value)


def test_files_that_a_scenario_names_lie_beside_it(tmp_path):
    content = BASE | {"prices": {"file": "quotes.csv"}}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(content))
    assert scenario(tmp_path / "s.yaml").prices.file == str(tmp_path / "quotes.csv")


@pytest.mark.parametrize("name", ["Llama-3.1-70B", "70B", "Qwen/Qwen3-8B"])
def test_a_model_in_place_of_a_scenario_is_told_what_to_type(command, name):
    done = command("plan", name)
    assert done.returncode == 2
    assert f"'{name}' is not valid; it is a model; ask about one in a line" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    told = done.stderr.split("in a line: ")[1]
    for line in (told.split(", or ")[0], told.split(", or ")[1].split(" to train")[0]):
        asked = command("plan", *line.split(), "-p", "allow.gpus=H100")
        assert asked.returncode == 0, asked.stderr
