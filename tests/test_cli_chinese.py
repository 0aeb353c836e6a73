"""Every command in Chinese: its help, its answer, and what it says of a bad input."""

import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gpuspec.catalog import load_table
from gpuspec.cli import main
from gpuspec.cli.asking import Asking
from gpuspec.cli.help import parts_of
from gpuspec.cli.tables import COLUMNS
from gpuspec.views.language import translator

ROOT = Path(__file__).parents[1]
FIXTURES = Path(__file__).parent / "fixtures"
TOOLS = FIXTURES / "tools"
EPOCH = "1796000000"  # 2026-11-30
_SENTENCE = re.compile(r"(?<![\w./-])[a-z]{2,}(?: [a-z]{2,}){2,}(?![\w-])")
_COMMANDS = r"gpuspec|axolotl|aiperf|printf|export|python\d?|cat"
_CODE = re.compile(rf"`[^`]*`|^\s*(?:{_COMMANDS}) .*$|gpuspec(?: [\w.-]+)+", re.M)
LEAVES = {
    f"{before}{name}": command
    for before, group in (("", main), ("data ", main.commands["data"]))
    for name, command in group.commands.items()
    if not isinstance(command, click.Group)
}


def _data_names():
    """Return texts that are data, longest first: names of rows stay as their source has them."""
    tables = ("engines", "frameworks", "precisions", "servers", "links", "gpus", "models")
    tables += ("workloads", "load-profiles", "use-cases", "regions")
    frames = [load_table(table) for table in tables]
    cells = {
        str(cell)
        for frame in frames
        for n in ("name", "aliases")
        if n in frame
        for cell in frame[n]
    }
    return sorted(cells, key=len, reverse=True)


DATA = _data_names()


def english(text):
    """Return the runs of English words in a text: code and names of the tables are none."""
    text = _CODE.sub(" ", text)
    for name in DATA:
        if " " in name:
            text = text.replace(name, "")
    return _SENTENCE.findall(text)


def test_a_sentence_is_told_from_names():
    assert english("没有 vllm 的 tensorrt-llm 数据") == []
    assert english("它 cannot be written here。") == ["cannot be written here"]


def run(line, tmp_path, monkeypatch, text=""):
    monkeypatch.chdir(tmp_path)
    words = [*shlex.split(line), "--lang", "zh"]
    env = {"SOURCE_DATE_EPOCH": EPOCH}
    return CliRunner(env=env).invoke(main, words, prog_name="gpuspec", input=text)


@pytest.mark.parametrize("name", ["", "data", *LEAVES])
def test_help_is_chinese(name, tmp_path, monkeypatch):
    done = run(f"{name} --help", tmp_path, monkeypatch)
    assert done.exit_code == 0
    assert english(done.output) == []
    assert "用法：" in done.output
    assert "选项：" in done.output
    assert max(map(len, done.output.splitlines())) < 140


@pytest.mark.parametrize("name", LEAVES)
def test_every_text_of_a_help_has_a_translation(name):
    say = translator("zh")
    assert [t for t in parts_of(LEAVES[name]) if " " in t and say(t) == t] == []


@pytest.mark.parametrize("name", LEAVES)
def test_bad_options_are_refused_in_chinese(name, tmp_path, monkeypatch):
    command = LEAVES[name]
    lines = [f"{name} --no-such-option", f"{name} --json=3", f"{name} a b c d --calibration"]
    if isinstance(command, Asking):
        lines += [f"{name} x -p nothing", f"{name} x -p nosuch.field=1"]
        lines += [f"{name} nowhere.yaml", f"{name} nowhere.json"]
        for option in command.options:
            if not option.hidden:
                lines.append(f"{name} small-team {option.opts[0]} '[?]'")
    else:
        lines += [name, f"{name} nowhere.csv", f"{name} nowhere.csv -o /dev/null/x.csv"]
        ranged = [o for o in command.params if isinstance(o, click.Option) and not o.is_flag]
        lines += [f"{name} nowhere.csv {max(o.opts, key=len)} '[?]'" for o in ranged]
    for line in lines:
        if line in ("reports", "schema", "ask", "data check") or line.startswith("measure"):
            continue
        done = run(line, tmp_path, monkeypatch)
        assert done.exit_code in (0, 1, 2), (line, done.output)
        if done.exit_code:
            assert english(done.stderr) == [], line
            assert re.search("[\u4e00-\u9fff]", done.stderr), (line, done.stderr)
            assert done.stderr.count("\n") == 1, line


ANSWERS = f"""
api Llama-3.1-8B --request-rate 0.2 --gpus H100
data check
data import-prices {FIXTURES}/verda/vms.csv -o prices.csv --provider Verda
estimate Llama-3.1-8B
estimate Llama-3.1-8B --gpus H100 --weights bf16 --request-rate 2
estimate Llama-3.1-8B --gpus H100 --weights bf16 --run
images SDXL
import {TOOLS}/vllm-rate.json -o m.csv
import {TOOLS}/vllm-published.json --gpus L40S --tp 1 --count 4 -o m.csv
import {TOOLS}/megatron.log {TOOLS}/nvidia-smi.xml -o m.csv
import {TOOLS}/nccl-one-node.txt {TOOLS}/hpl.txt {TOOLS}/mlperf-server.txt -o m.csv
import {TOOLS}/vllm-start.log {TOOLS}/trtllm-bench.json {TOOLS}/axolotl.log -o m.csv
learn {FIXTURES}/training.csv -o calibration
measure -o m.csv
mig
model Llama-3.1-8B
most --model 8B --users 2000 --gpus H100 --gpu-limit 8
params memory
params serving
params training
params decision
plan small-team
plan --model 70B --tokens 1B --deadline 3d --budget 10
posttrain Llama-3.1-8B --gpus H100 --counts 8
prices H100,H200
quotes small-team
report {FIXTURES}/report_sample.ipynb -p context=16384 -o x.html
reports
template inference
template training
template hpc
template images
template tenants
train Llama-3.1-8B --gpus H100 --counts 8
train Llama-3.1-8B --gpus H100 --counts 8 --tuning lora --run
trial small-team
upgrade a100-owner --quarters 2
validate {FIXTURES}/measurements.csv
validate {FIXTURES}/training.csv --kind training
""".strip().splitlines()


@pytest.mark.parametrize(
    "line", [*ANSWERS, *(f"list {what}" for what in COLUMNS if what != "models")]
)
def test_an_answer_is_chinese(line, tmp_path, monkeypatch):
    done = run(line, tmp_path, monkeypatch)
    assert done.exit_code == {"measure": 2, "plan": done.exit_code}.get(line.split()[0], 0), (
        done.output
    )
    assert re.search("[\u4e00-\u9fff]", done.output)
    assert english(done.output) == []


def test_questions_and_their_answers_are_chinese(tmp_path, monkeypatch):
    done = run("ask --save q.yaml", tmp_path, monkeypatch, "8B\n500\nnone\n20000/month\n8xA100\n")
    assert done.exit_code == 0
    assert english(done.output) == []


def test_the_environment_speaks_at_every_door(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    env = {"LANG": "zh_CN.UTF-8", "GPUSPEC_LANG": "", "LC_ALL": "", "LC_MESSAGES": ""}
    for line in ("--help", "data", "plan --help", "plan --foo", "lst"):
        done = CliRunner(env=env).invoke(main, line.split(), prog_name="gpuspec")
        assert english(done.output) == [], line
        assert re.search("[\u4e00-\u9fff]", done.output)
    done = CliRunner(env=env).invoke(main, ["--lang", "en", "--help"], prog_name="gpuspec")
    assert "Usage:" in done.output
