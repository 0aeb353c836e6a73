"""One name for one thing over the tree of commands, and completion of names."""

import os
import shlex
import subprocess
import sys
from collections import defaultdict

import click
import pytest
from click.testing import CliRunner

from gpuspec.base.ask import asked
from gpuspec.cli import main
from gpuspec.cli.asking import APART, Asking
from gpuspec.cli.names import names_of
from gpuspec.questions import QUESTIONS, record_of

DATED = {"ask", "batch", "watch", "report", "reports", "plan", "most", "quotes", "trial", "upgrade"}
DATED |= {"prices", "api", "mig", "train", "posttrain", "data check", "data import-prices"}


def tree(group=main, before=""):
    """Return every command by what is typed for it, groups among them."""
    found = {before.strip() or "gpuspec": group}
    for name, command in group.commands.items():
        place = f"{before}{name} "
        inner = isinstance(command, click.Group)
        found |= tree(command, place) if inner else {place.strip(): command}
    return found


TREE = tree()
LEAVES = {name: c for name, c in TREE.items() if not isinstance(c, click.Group)}


def options(command, hidden=False):
    """Return the options of a command that its help shows, or those that it does not."""
    found = command.get_params(click.Context(command))
    return [p for p in found if isinstance(p, click.Option) and p.hidden == hidden]


def names(command, hidden=False):
    return {text for option in options(command, hidden) for text in option.opts}


def test_every_command_and_group_has_the_common_options():
    assert len(LEAVES) > 25
    for name, command in TREE.items():
        assert {"--lang", "--debug", "--help"} <= names(command), name
    for name, command in LEAVES.items():
        assert {"--json", "--calibration"} <= names(command), name
        assert ("--date" in names(command)) == (name in DATED), name
        takes = isinstance(command, Asking) or name in ("report", "import")
        assert ({"-p", "--param"} <= names(command)) == takes, name


def test_what_has_no_record_is_called_as_records_call_it():
    fields = {field.name for question in QUESTIONS for field in asked(record_of(question))}
    of_import = {"gpus", "count", "tp", "model", "engine"}
    assert of_import - {"count"} <= fields
    assert {f"--{name}" for name in of_import} <= names(LEAVES["import"])
    for name, command in LEAVES.items():
        if isinstance(command, Asking):
            known = {f"--{f.name.replace('_', '-')}" for f in asked(record_of(command.record))}
            shown = {o.opts[0] for o in command.options if not o.hidden}
            apart = {f"--{n.replace('_', '-')}" for n in (command.first, *APART)}
            assert shown == known - apart, name


def test_one_thing_has_one_name():
    meanings, letters = defaultdict(set), defaultdict(set)
    for command in LEAVES.values():
        for option in options(command):
            assert option.help
            meanings[option.help].add(max(option.opts, key=len))
            for text in option.opts:
                if not text.startswith("--"):
                    letters[text].add(max(option.opts, key=len))
    assert {told: n for told, n in meanings.items() if len(n) > 1} == {}
    assert {letter: n for letter, n in letters.items() if len(n) > 1} == {}


def test_one_name_is_one_kind_of_value():
    kinds = defaultdict(set)
    for command in LEAVES.values():
        for option in options(command):
            kinds[max(option.opts, key=len)].add((option.is_flag, option.multiple))
    assert {name: found for name, found in kinds.items() if len(found) > 1} == {}


def test_what_is_hidden_is_an_earlier_name():
    for name, command in LEAVES.items():
        hidden = names(command, hidden=True)
        assert not hidden & names(command), name
        if not isinstance(command, Asking):
            known = {"--language", "--today", "--gpu", "--set"}
            assert hidden <= known, name


@pytest.mark.parametrize(
    ("new", "old"),
    [
        ("prices H100 --date 2026-11-26 --lang zh", "prices H100 --today 2026-11-26 --language zh"),
        ("estimate Llama-3-8B --gpus H100 -p isl=512", "estimate Llama-3-8B --gpu H100 --isl 512"),
        ("--lang zh data check --date 2026-11-26", "data check --date 2026-11-26 --lang zh"),
        ("plan small-team -p today=2026-11-26 --json", "plan small-team --date 2026-11-26 --json"),
    ],
)  # fmt: skip
def test_doors_to_one_thing_say_the_same(new, old):
    one, two = (CliRunner().invoke(main, shlex.split(line)) for line in (new, old))
    assert (one.exit_code, two.exit_code) == (0, 0), one.output + two.output
    assert one.output == two.output
    assert len(one.output.splitlines()) > 3


def test_the_day_of_a_run_ends_with_it_and_outranks_that_of_a_file(tmp_path, monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    late = CliRunner().invoke(main, ["data", "check", "--date", "2030-01-01", "--json"])
    now = CliRunner().invoke(main, ["data", "check", "--json"])
    assert "SOURCE_DATE_EPOCH" not in os.environ
    assert late.output != now.output
    path = tmp_path / "dated.yaml"
    path.write_text(CliRunner().invoke(main, ["template", "inference"]).output + "\n", "utf-8")
    line = ["plan", str(path), "-p", "today=2026-06-01", "--date", "2026-11-26", "--save"]
    done = CliRunner().invoke(main, [*line, str(tmp_path / "s.yaml")])
    assert done.exit_code == 0, done.output
    assert "2026-06-01" in (tmp_path / "s.yaml").read_text("utf-8")  # what -p sets goes last


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("estimate Llama-3.1-8B -p isll=5", "did you mean isl"),
        ("estimate Llama-3.1-8B -p isl=5 --isl 6", "give it once"),
        ("estimate Llama-3.1-8B -p isl", "name=value"),
        ("prices H100 --date soon", "--date: 'soon' is not valid; write it as 2026-11-24"),
        ("import x.json --gpus 8 -o m.csv", "--count says how many"),
        ("import x.json --gpus Z9 -o m.csv", "gpus: 'Z9'"),
        ("upgrade a100-owner -p horizon_months=x", "horizon_months: 'x'"),
    ],
)
def test_what_cannot_be_set_is_one_sentence(line, said):
    done = CliRunner().invoke(main, shlex.split(line))
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert said in done.stderr


def test_a_value_of_a_fleet_is_set_by_its_path():
    line = ["upgrade", "a100-owner", "--quarters", "2", "--json"]
    was, now = (
        CliRunner().invoke(main, [*line, *more])
        for more in ([], ["-p", "budget.capital_usd=0", "-p", "budget.monthly_usd=200000"])
    )
    assert (was.exit_code, now.exit_code) == (0, 0), now.output
    assert was.output != now.output


@pytest.mark.parametrize(
    ("what", "name"),
    [
        ("workloads", "md"),
        ("frameworks", "megatron-core"),
        ("engines", "vllm-"),
        ("scenarios", "article-b"),
        ("precisions", "fp8"),
        ("image-models", "sdxl-1.0"),
    ],
)
def test_names_of_each_kind_are_listed_and_completed(what, name):
    lines = CliRunner().invoke(main, ["list", what]).output.splitlines()
    listed = [line.split()[0] for line in lines[2:]]
    assert sorted(listed) == sorted(names_of(what))
    assert any(entry.startswith(name) for entry in listed)
    assert CliRunner().invoke(main, ["list", what, "--csv"]).output.startswith("id,")


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("estimate llama-3.1-7", "llama-3.1-70b"),
        ("estimate x --gpus A100,h200-sx", "A100,h200-sxm-141"),
        ("estimate x --weights fp", "fp8"),
        ("estimate x --engine vll", "vllm-"),
        ("estimate x --use-case cha", "chat"),
        ("train x --framework megatron-c", "megatron-core"),
        ("train x --tuning q", "qlora"),
        ("images sd", "sdxl-1.0"),
        ("plan art", "article-a"),
        ("upgrade a1", "a100-owner"),
        ("plan --simulation m", "md"),
        ("plan --lang z", "zh"),
        ("list sc", "scenarios"),
        ("report mem", "memory"),
        ("template inf", "inference"),
        ("schema est", "estimate"),
        ("data imp", "import-prices"),
        ("import f --gpus l40", "l40s-pcie-48"),
    ],
)
def test_a_shell_completes_names(line, offered):
    words = f"gpuspec {line}"
    asked_for = {"_GPUSPEC_COMPLETE": "bash_complete", "COMP_WORDS": words}
    done = CliRunner().invoke(
        main,
        prog_name="gpuspec",
        env=asked_for | {"COMP_CWORD": str(len(words.split()) - 1)},
    )
    values = [text.split(",", 1)[1] for text in done.output.splitlines()]
    assert any(value.startswith(offered) for value in values)


def test_a_shell_is_told_how_to_complete():
    env = os.environ | {"_GPUSPEC_COMPLETE": "zsh_source"}
    line = "from gpuspec.cli import main; main(prog_name='gpuspec')"
    done = subprocess.run([sys.executable, "-c", line], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "_GPUSPEC_COMPLETE=zsh_complete" in done.stdout


@pytest.mark.parametrize("line", ["", "data"])
def test_a_group_without_a_command_shows_its_help(line):
    done = CliRunner().invoke(main, line.split())
    assert done.exit_code == 0
    assert "Commands:" in done.output
