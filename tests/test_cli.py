"""The command line, as a person runs it: its two streams and its exit code."""

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gpuspec.cli import main

FIXTURES = Path(__file__).parent / "fixtures"
SAMPLE = str(FIXTURES / "report_sample.ipynb")


def refused(done, *said, code=2):
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("gpuspec: ")
    for text in said:
        assert text in last


def test_help_loads_little_and_documents_exit_codes(process):
    done = process("--help")
    assert done.returncode == 0
    assert "Exit codes" in done.stdout
    heavy = "{'matplotlib', 'nbconvert', 'papermill', 'scipy', 'typst'} & set(sys.modules)"
    heavy = f"import sys, gpuspec.cli; print({heavy}); "
    heavy += "import gpuspec.report; print('rfc3987_syntax' in sys.modules)"  # takes two seconds
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\nFalse\n"


NOWHERE = """name: none
workloads:
  - {kind: inference, name: big, model: Llama-3.1-405B, isl: 100000, osl: 1000, concurrency: 9}
allow: {gpus: [V100], precisions: [bf16], modes: [on-demand]}
"""


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("estimate Llama-3.1-8B --gpus H100 --weights bf16", "ttft_s"),
        ("estimate Llama-3.1-8B", "estimates"),
        ("model gpt-oss-20b", "params_total"),
        ("images SDXL", "images"),
        ("model gpt-oss-120b", "weights_bytes"),
        ("train Llama-3.1-405B --counts 1,512 --gpus H100", "runs"),
        ("posttrain Llama-3.1-405B --counts 8,512 --gpus H100 --algorithm ppo", "runs"),
        ("mig", "placements"),
        ("prices H100", "ways"),
        ("list models", "models"),
        ("validate tiny.csv", "by_gpu"),
        ("plan nowhere.yaml", "what_must_give"),
        ("plan small-team", "recommendation"),
        ("upgrade a100-owner --quarters 2", "orders"),
        ("params memory", "parameters"),
        ("reports", "notebooks"),
        ("report --list", "notebooks"),
    ],
)
def test_every_answer_is_strict_json(tmp_path, monkeypatch, line, key):
    rows = (FIXTURES / "measurements.csv").read_text("utf-8").splitlines()[:4]
    cells = rows[2].split(",")
    cells[rows[0].split(",").index("value")] = "1e-320"
    (tmp_path / "tiny.csv").write_text("\n".join([*rows[:2], ",".join(cells), rows[3]]), "utf-8")
    (tmp_path / "nowhere.yaml").write_text(NOWHERE, "utf-8")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, [*line.split(), "--json"])
    assert done.exit_code == (3 if key == "what_must_give" else 0), done.output
    answer = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(name))
    assert next(iter(answer)) == "schema_version"
    assert answer[key]
    tables = [answer[key]] if isinstance(answer[key], list) and key != "models" else []
    rows = [row for table in tables for row in table if isinstance(row, dict)]
    names = {*answer, *(name for row in rows for name in row)} - {"models"}
    documented = re.findall(
        r"`(\w+)`", (FIXTURES.parents[1] / "docs" / "json.md").read_text("utf-8")
    )
    ends = {f"{name}_{end}" for name in documented for end in ("low", "high")}
    assert names <= {*documented, *ends, "by_framework", "by_engine", "by_scenario", "by_quantity"}


def test_every_command_that_answers_has_json_and_every_command_debug():
    groups = [main, *(c for c in main.commands.values() if isinstance(c, click.Group))]
    for name, command in (pair for group in groups for pair in group.commands.items()):
        texts = [text for p in command.params for text in p.opts]
        assert {"--json", "--debug", "--lang"} <= set(texts) or command in groups, name
        assert len(texts) == len(set(texts)), name


@pytest.mark.parametrize("args", [["--debug", "params", "memry"], ["params", "memry", "--debug"]])
def test_debug_stands_before_or_after_the_command(args):
    done = CliRunner().invoke(main, args)
    assert done.exit_code == 2
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("gpuspec: notebook: 'memry'")


@pytest.mark.parametrize(("shut", "said"), [(">&-", "closed"), (">/dev/full", "No space left")])
def test_a_stdout_that_takes_nothing_is_one_sentence(shut, said):
    line = f"{sys.executable} -m gpuspec list gpus {shut}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("gpuspec: stdout")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_reader_that_has_seen_enough_is_no_failure():
    line = f"{sys.executable} -m gpuspec list models --json; echo $? >&2"
    done = subprocess.run(
        ["bash", "-c", f"({line}) | head -1"], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("{\n", "0\n")


def test_version(process):
    assert process("--version").stdout.startswith("gpuspec, version ")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["-p", "contxt=1"], ["contxt", "did you mean context"]),
        (["-p", "context=8k"], ["context: '8k'", "whole number"]),
        (["-p", "context"], ["--param", "name=value"]),
        (["-p", "=1"], ["--param", "name=value"]),
        (["-p", "context=1", "-p", "context=2"], ["--param", "given before"]),
        (["-o", "x.docx"], ["output: 'x.docx'", ".pdf"]),
        (["--format", "word"], ["format: 'word'", "pdf"]),
        (["--lang", "fr"], ["language: 'fr'", "zh"]),
        (["--date", "tomorrow"], ["--date: 'tomorrow'"]),
        (["--dat"], ["--date"]),
    ],
)
def test_bad_input_is_one_sentence(command, tmp_path, args, said):
    refused(command("report", SAMPLE, *args), *said)
    assert not list(tmp_path.iterdir())


def test_bad_notebooks(command, tmp_path):
    refused(command("report", "nowhere.ipynb"), "nowhere.ipynb", "no such file")
    (tmp_path / "text.ipynb").write_text("hello")
    refused(command("report", "text.ipynb"), "text.ipynb", "not a Jupyter notebook")
    (tmp_path / "list.ipynb").write_text("[]")
    refused(command("report", "list.ipynb"), "list.ipynb", "not a Jupyter notebook")
    refused(command("report", "no-such-story"), "notebook: 'no-such-story'")
    refused(command("report"), "name a notebook")
    refused(command("reprt"), "did you mean report")


def test_refused_inside_the_notebook(command, tmp_path):
    done = command("report", SAMPLE, "-p", "steps=0", "-o", "out/x.pdf")
    refused(done, "gpuspec: steps: 0 is not valid; at least 1")
    assert not list(tmp_path.iterdir())


def test_failure_inside_the_notebook(command, tmp_path):
    done = command("report", SAMPLE, "-p", "steps=-1", "-o", "x.html")
    refused(done, "report_sample.ipynb, cell 4", "ZeroDivisionError: division by zero", code=1)
    assert not list(tmp_path.iterdir())


def test_debug_shows_the_traceback(command):
    done = command("report", SAMPLE, "-p", "steps=-1", "-o", "x.pdf", "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ratio = 1 / (steps + 1)" in done.stderr


def test_report_is_written_where_asked(process, tmp_path):
    done = process("report", SAMPLE, "-o", "new/x.pdf", SOURCE_DATE_EPOCH="1795478400")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{Path('new/x.pdf')}\n"
    assert done.stderr.splitlines() == ["executing 16 cells", "typesetting"]
    assert (tmp_path / "new" / "x.pdf").read_bytes().startswith(b"%PDF")
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["x.pdf"]


def test_quiet_is_quiet_and_names_the_default_file(command, tmp_path):
    done = command("report", SAMPLE, "--format", "html", "--quiet", "--date", "2026-11-24")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "2026-11-24" in (tmp_path / "reports" / "report_sample.html").read_text("utf-8")


def test_parameters_are_listed(command):
    done = command("params", SAMPLE)
    assert done.returncode == 0
    assert "tokens of one request" in done.stdout
    assert "8192" in done.stdout


def test_notebooks_are_listed(command):
    assert command("reports").stdout == command("report", "--list").stdout
    assert "Question" in command("reports").stdout


@pytest.mark.parametrize("what", ["gpus", "models", "servers", "links"])
def test_tables_are_listed(command, what):
    done = command("list", what)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 3
    assert command("list", what, "--csv").stdout.startswith("id,")


def test_models_are_listed_with_kind_context_repository_and_format(command):
    lines = {
        line.split()[0]: line.split()[1:] for line in command("list", "models").stdout.splitlines()
    }
    assert lines["kimi-k2.5"][-3:] == [
        "262144",
        "moonshotai/Kimi-K2.5",
        "experts=int4-g32-sym|rest=bf16",
    ]
    assert lines["bge-m3"][0] == "encoder"
    assert lines["whisper-large-v3"][0] == "encoder-decoder"


def test_unknown_table(process):
    refused(process("list", "gpuz"), "did you mean gpus")


def test_prices_lists_every_way_and_says_what_is_old(command):
    done = command("prices", "H100", "--quotes", "H100:spot=1.5", "--date", "2026-11-26")
    assert done.returncode == 0, done.stderr
    assert "rent, on demand" in done.stdout
    assert "your quote" in done.stdout
    assert "The purchase price of H100 SXM is 633 days old (limit 180)" in done.stdout
    refused(command("prices", "H100", "--quotes", "H100:sport=1.5"), "sport", "spot")


def test_what_is_in_doubt_of_a_model_is_said_on_stderr_and_in_the_answer(tmp_path):
    config = json.loads((FIXTURES / "configs" / "llama-3.1-8b.json").read_text("utf-8"))
    weights = {"weight_quant_params": {"nbits": 4, "group_size": 64}}
    config["quantization_config"] = {"quant_method": "hqq", "quant_config": weights}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config), "utf-8")
    for command in (["model", str(path), "--json"], ["estimate", str(path), "--gpus", "H100"]):
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 0
        assert "note: " in done.stderr
        assert "4.5 bits a weight" in done.stderr
        assert "4.5 bits" in done.stdout
    refused = CliRunner().invoke(main, ["estimate", str(path), "--gpus", "V9"])
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
