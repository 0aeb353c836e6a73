"""A question is its record: every door says what it says, and a bad input is one sentence."""

import ast
import inspect
import json
import re
import runpy
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from gpuspec import InputError
from gpuspec.base.ask import Ask, asked, parameters_cell, parameters_table
from gpuspec.base.errors import UnknownNameError
from gpuspec.cli import main
from gpuspec.cli.asking import APART, Asking
from gpuspec.decision.scenario import Line, scenario
from gpuspec.questions import QUESTIONS, notebook_records, record_of
from gpuspec.report import check_parameters, find, notebooks

ROOT = Path(__file__).parents[1]
ASKED = [name for name in QUESTIONS if name != "scenario"]
WRITER = runpy.run_path(str(ROOT / "tools/write_parameters.py"))
NUMBERS = [
    (name, field.name, field.range, field.whole, field.many)
    for name in ASKED
    for field in asked(record_of(name))
    if field.range
]
DIFFER = {  # one default a name, but for these: the question is another one
    "model": {
        "networks",
        "work",
        "decision",
        "posttraining",
    },  # one that a single GPU trains; as in the scenario
    "weights": {"model", "memory", "claims"},  # one is pictured; what the article says of two
    "concurrency": {
        "work",
        "decision",
        "memory",
    },  # a bill of a large service; as in the scenario; one load
    "framework": {"posttraining"},  # one for reinforcement learning
    "counts": {"posttraining"},  # a run of days, not of months
    "isl": {"posttraining"},  # no users whose use case says them
    "osl": {"posttraining"},
    "engine": {
        "mig",
        "memory",
        "posttraining",
    },  # the one whose buffers fit slices; whose share of memory is 0.9
    "max_gpus": {"mig"},  # tenants stay within a node
    "training_gpus": {"work"},  # a run that is paid for, not a node
    "horizon_months": {"cost"},  # an owned server lives five years, a plan looks three ahead
    "scenario": {"decision", "upgrade"},  # an upgrade needs owned GPUs
}
BLANK_IN_SCENARIOS = {  # laid over a scenario: blank is as it says
    "decision": set(Line.model_fields),
    "upgrade": {"drift", *Line.model_fields},
    "most": {*Line.model_fields},
}


# --- the doors -----------------------------------------------------------------------------------


@pytest.mark.parametrize("notebook", notebooks(), ids=lambda n: n.name)
def test_the_cell_of_parameters_is_what_the_records_give(notebook):
    assert WRITER["notebook_text"](notebook.path) == notebook.path.read_text("utf-8")
    told = {p.name: p.default for p in notebook.parameters}
    records = notebook_records(notebook.name)
    assert list(told) == [line.split(" = ")[0] for line in parameters_cell(*records).splitlines()]
    for record in records:
        assert record.of(told) == record.ask()


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda p: p.stem)
def test_tables_of_the_documentation_are_what_the_records_give(page):
    assert WRITER["page_text"](page) == page.read_text("utf-8")


def test_each_question_has_its_table_in_the_documentation():
    text = "".join(page.read_text("utf-8") for page in (ROOT / "docs").glob("*.md"))
    told = set(re.findall(r"<!-- parameters of (\w+) -->", text))
    assert told >= set(ASKED) - {"overview", "estimate"}


@pytest.mark.parametrize("name", [n for n, c in main.commands.items() if isinstance(c, Asking)])
def test_options_of_a_command_are_the_fields_of_its_record(name):
    command = main.commands[name]
    apart = (command.first, *APART)  # --lang and --date
    fields = [f for f in asked(record_of(command.record)) if f.name not in apart]
    shown = [o for o in command.options if not o.hidden]
    assert [o.field for o in shown] == [f.name for f in fields]
    assert {f"--{old.replace('_', '-')}" for f in fields for old in f.options} == {
        o.opts[0] for o in command.options
    }
    help_ = " ".join(CliRunner().invoke(main, [name, "--help"]).output.split())
    for field in fields:
        assert f"--{field.name.replace('_', '-')} " in help_
        assert not any(f"--{old.replace('_', '-')} " in help_ for old in field.options[1:])
        assert not field.shown or f"(default: {field.shown})" in help_.replace("- ", "-")


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_schema_holds_the_ranges(name):
    told = json.loads(CliRunner().invoke(main, ["schema", name]).output)
    for field in asked(record_of(name)):
        shown = json.dumps(told["properties"][field.name])
        assert field.help in told["properties"][field.name].get("description", "")
        if field.range:
            assert f": {json.dumps(field.range.most)}" in shown or "array" in shown


def test_a_schema_of_an_unknown_question_names_the_known_ones():
    with pytest.raises(SystemExit) as ended:
        main(["schema", "servign"])
    assert ended.value.code == 2


@pytest.mark.parametrize("name", ASKED)
def test_a_question_is_plain_hashable_data(name):
    q = record_of(name).ask()
    assert hash(q) == hash(record_of(name).ask())
    json.dumps(q.model_dump(mode="json"))
    first = next(iter(type(q).model_fields))
    with pytest.raises(ValueError, match="frozen"):
        setattr(q, first, getattr(q, first))
    assert q.but() == q


def test_a_name_has_one_default():
    seen: dict[str, dict[str, object]] = {}
    for name in ASKED:
        for field in asked(record_of(name)):
            other = name in DIFFER.get(field.name, ())
            if not other and field.name not in BLANK_IN_SCENARIOS.get(name, ()):
                seen.setdefault(field.name, {})[name] = field.default
    assert {n: d for n, d in seen.items() if len(set(map(str, d.values()))) > 1} == {}


def test_workloads_of_a_scenario_ask_the_same_fields():
    for kind, name in (("inference", "serving"), ("training", "training")):
        workload = import_module("gpuspec.decision.scenario.records").KINDS[kind]
        here, there = ({f.name: f for f in asked(r)} for r in (workload, record_of(name)))
        shared = set(here) & set(there)
        assert len(shared) >= 7
        for field in shared:
            assert (here[field].range, here[field].choices, here[field].was) == (
                there[field].range,
                there[field].choices,
                there[field].was if field != "model" else (),
            )
            stated = here[field].required or field in ("concurrency", "tokens", "deadline_days")
            assert stated or here[field].default == there[field].default


def test_no_signature_has_another_default_for_a_field_of_a_question():
    stated: dict[str, set[str]] = {}
    for field in asked(*map(record_of, QUESTIONS)):
        stated.setdefault(field.name, set())
    for name in QUESTIONS:
        for field in asked(record_of(name)):
            stated[field.name].add(str(field.default))
    other = set()
    for layer in ("topics", "decision", "cli", "report", "views"):
        for path in (ROOT / "gpuspec" / layer).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.FunctionDef) and node.args.defaults:
                    last = node.args.args[-len(node.args.defaults) :]
                    for argument, default in zip(last, node.args.defaults, strict=True):
                        written = str(getattr(default, "value", None))
                        known = {*stated.get(argument.arg, {written}), "None"}
                        if written not in known:
                            other.add(f"{node.name}({argument.arg})")
    # A number of GPUs, one split, the time of a part of the answer: other things.
    assert other <= {
        "class_ground(gpus)",
        "large_jobs(gpus)",
        "ratio_map(gpus)",
        "ratio_map(osl)",
        "replica(pp)",
        "replica(tp)",
        "serving_ground(pp)",
        "serving_ground(tp)",
        "what_gives(time_limit_s)",
    }


# --- names of the release before -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "old", "new", "value"),
    [
        ("serving", "weight_precision", "weights", "fp8"),
        ("memory", "kv_precision", "kv", "fp8"),
        ("training", "compute", "precision", "fp8"),
        ("claims", "new_weights", "weights", "fp8"),
        ("memory", "training_seq_len", "seq_len", 512),
        ("cost", "utilisation", "used_hours_share", 0.5),
    ],
)
def test_earlier_names_are_understood_and_not_shown(question, old, new, value):
    record = record_of(question)
    assert record.of({old: value}) == record.of({new: value}) != record.ask()
    assert check_parameters(find(question), {old: value}) == {new: value}
    assert not re.search(rf"\b{old}\b", parameters_cell(record) + parameters_table(record))


def test_earlier_options_are_understood():
    told = [
        CliRunner().invoke(main, ["train", "Llama-3.1-8B", "--gpus", "H100", *rest]).output
        for rest in (
            ["--days", "3", "--seq", "512", "--batch", "64", "--counts", "8", "--compute", "fp8"],
            ["--deadline-days", "3", "--seq-len", "512", "--global-batch", "64", "--counts", "8",
             "--precision", "fp8"],
        )
    ]  # fmt: skip
    assert told[0] == told[1]
    assert "in 3 days" in told[0]


def test_earlier_names_of_a_scenario_are_understood():
    work = {"kind": "inference", "name": "s", "model": "Llama-3.1-8B", "concurrency": 4}
    old, new = (
        scenario({"name": "x", "allow": {a: ["fp8"]}, "workloads": [{**work, b: "fp8"}]})
        for a, b in (("precisions", "kv_precision"), ("weights", "kv"))
    )
    assert old == new


# --- blank, zero and numbers ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "field"), [("decision", "capital_usd"), ("upgrade", "capital_usd")]
)
def test_blank_is_none_and_zero_is_zero(question, field):
    record = record_of(question)
    assert getattr(record.ask(**{field: ""}), field) is None
    assert getattr(record.ask(**{field: 0}), field) == 0.0
    with pytest.raises(InputError, match=field):
        record.ask(**{field: -1})


def test_blank_is_accepted_by_a_report():
    given = {"ttft_limit_s": "", "request_rate": "2"}
    told = check_parameters(find("serving"), given)
    assert told == {"ttft_limit_s": None, "request_rate": 2.0}
    assert check_parameters(find("decision"), {"capital_usd": "0"}) == {"capital_usd": 0}
    with pytest.raises(InputError, match="give a number from 0"):
        check_parameters(find("decision"), {"capital_usd": "-1"})


def test_no_capital_is_a_limit_of_nothing():
    q = record_of("upgrade").ask(capital_usd=0, quarters=2)
    assert q.stated.budget.capital_usd == 0.0
    assert record_of("decision").ask(capital_usd=0).stated.budget.capital_usd == 0.0


@pytest.mark.parametrize(("question", "name", "range_", "whole", "many"), NUMBERS)
def test_every_number_has_two_ends_and_says_them(question, name, range_, whole, many):
    record = record_of(question)
    assert np.isfinite([range_.least, range_.most]).all()
    assert range_.least < range_.most
    beyond = (True, float("nan"), float("inf"), "much", range_.least - 1, range_.most * 2 + 1)
    for wrong in (*beyond, range_.least + 0.5) if whole else beyond:
        with pytest.raises(InputError) as error:
            record.ask(**{name: [wrong] if many else wrong})
        assert error.value.field == name
        assert error.value.valid.startswith(range_.valid(whole))


@pytest.mark.parametrize("given", [2048, 2048.0, "2048", "2.048e3", np.int64(2048)])
def test_a_whole_number_is_one_however_it_is_written(given):
    q = record_of("serving").ask(isl=given)
    assert (q.isl, type(q.isl)) == (2048, int)
    work = {"kind": "inference", "name": "s", "model": "Llama-3.1-8B", "concurrency": 4}
    if not isinstance(given, np.int64):
        read = scenario({"name": "x", "workloads": [{**work, "isl": given}]})
        assert read.workloads[0].isl == 2048


def test_choices_are_understood_in_capitals_and_names_by_their_aliases():
    q = record_of("serving").ask(kv="FP8", gpus="h100, H100 ,A100 40GB", weights="FP8;bf16")
    assert (q.kv, q.weights) == ("fp8", ("fp8", "bf16"))
    assert q.gpus == ("h100-sxm-80", "a100-sxm-40")


BAD = [
    ("serving", "ttft_limit_s", "fast"),
    ("serving", "ttft_limit_s", -1),
    ("serving", "cached_share", "half"),
    ("serving", "kv", 8),
    ("serving", "weights", 8),
    ("serving", "max_gpus", "a"),
    ("memory", "gpu_memory_utilization", "high"),
    ("training", "node_network_gb_s", "fast"),
    ("cost", "used_hours_share", None),
    ("cost", "horizon_months", None),
    ("cost", "regions", None),
    ("mig", "reserve", "some"),
    ("upgrade", "effort", "lots"),
    ("upgrade", "gap", "small"),
    ("upgrade", "time_limit_s", "x"),
    ("upgrade", "capital_usd", "1e6 EUR"),
    ("hpc", "application", 3),
    ("decision", "scenario", [1]),
    ("validation", "kind", "inferense"),
    ("claims", "models", 3),
    ("mig", "tenants", [1]),
    ("serving", "isl", "9" * 5000),
    ("serving", "isl", "२०४८"),
    ("serving", "isl", 10**400),
    ("training", "counts", "8," * 5000),
    ("serving", "gpus", "A100," * 5000),
]


@pytest.mark.parametrize(("question", "field", "value"), BAD)
def test_a_bad_input_is_one_sentence(question, field, value):
    with pytest.raises(InputError) as error:
        record_of(question).ask(**{field: value})
    said = str(error.value)
    assert said.startswith(f"{field}: ")
    assert "is not valid; " in said
    assert "\n" not in said
    assert len(said) < 400


def test_an_unknown_name_is_told_with_what_was_meant():
    with pytest.raises(UnknownNameError, match="did you mean concurrency"):
        record_of("serving").ask(concurency=3)


def test_a_command_says_the_same_sentence():
    done = CliRunner().invoke(main, ["estimate", "Llama-3.1-8B", "--isl", "many"])
    assert done.exit_code == 2
    with pytest.raises(InputError) as error:
        record_of("estimate").ask(isl="many")
    assert str(error.value) in done.output


def test_an_estimate_answers_for_every_gpu_and_format_that_was_asked():
    arguments = ["estimate", "Llama-3.1-8B", "--gpu", "A100,H100", "--weights", "bf16,fp8"]
    told = json.loads(CliRunner().invoke(main, [*arguments, "--json"]).output)["estimates"]
    assert [(t["gpu"], t["weights"]) for t in told] == [
        (g, w) for g in ("a100-sxm-80", "h100-sxm-80") for w in ("bf16", "fp8")
    ]


def test_every_field_is_explained():
    for name in QUESTIONS:
        record = record_of(name)
        assert inspect.getdoc(record)
        assert issubclass(record, Ask)
        assert [f.name for f in asked(record) if not f.help] == []
