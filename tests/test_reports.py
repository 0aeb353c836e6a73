"""Many reports in one go: in parallel, and one failure stops no other."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from pypdf import PdfReader

from gpuspec.base.errors import InputError
from gpuspec.report import build, build_all

ROOT = Path(__file__).parents[1]


def notebook(folder, name, *code):
    cells = [nbformat.v4.new_markdown_cell(f"# About {name}\n\nA question?")]
    cells += [nbformat.v4.new_code_cell(line) for line in code]
    path = folder / f"{name}.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return str(path)


HIDING = ("pandas", "click", "random", "json", "socket", "multiprocessing", "tempfile")
"""Modules that commands, workers, kernels and typesetters import."""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Run the command over two notebooks, of which the first fails, beside files called so."""
    folder = tmp_path_factory.mktemp("many")
    names = [notebook(folder, "bad", "1 / 0"), notebook(folder, "good", "print('all well')")]
    for name in HIDING:
        (folder / f"{name}.py").write_text("open('ran', 'a').write(__name__); raise SystemExit(9)")
    done = subprocess.run(
        [sys.executable, "-m", "gpuspec", "reports", *names, "-o", str(folder / "out")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=200,
    )
    return folder, done


def test_no_file_of_the_current_folder_runs(ran):
    folder, _ = ran
    assert not (folder / "ran").exists()


def test_the_others_are_written_and_the_failed_one_is_named(ran):
    folder, done = ran
    assert done.returncode == 1
    text = "".join(p.extract_text() for p in PdfReader(folder / "out" / "good.pdf").pages)
    assert "all well" in text
    assert not (folder / "out" / "bad.pdf").exists()
    last = done.stderr.strip().splitlines()[-1]
    assert "bad" in last
    assert "ZeroDivisionError" in last
    assert "1 of 2 reports" in done.stdout


def test_progress_has_a_line_for_each(ran):
    _, done = ran
    lines = done.stderr.splitlines()
    assert sum(line.startswith("[1/2]") for line in lines) == 1
    assert sum(line.startswith("[2/2]") for line in lines) == 1


def test_an_unknown_name_is_refused_before_any_work(tmp_path):
    with pytest.raises(InputError, match="decision"):
        build_all(["decisionn"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_make_writes_the_decision_report_of_a_scenario():
    for asked, file in (("", "decision-article-b.pdf"), ("SCENARIO=mine/own.yaml", "decision-own")):
        done = subprocess.run(
            ["make", "-n", "report", *asked.split()], capture_output=True, text=True, cwd=ROOT
        )
        assert file in done.stdout
        assert "report decision" in done.stdout


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_answer_is_on_the_first_page(tmp_path, language):
    path = build(
        "decision",
        {"scenario": "small-team"},
        tmp_path / "answer.pdf",
        language=language,
    )
    pages = [page.extract_text() for page in PdfReader(path).pages]
    words = {
        "en": ("You asked", "assistant 8B", "What it rests on", "What to do next", "Name and date"),
        "zh": ("您的要求", "assistant 8B", "依据", "下一步", "签名与日期"),
    }[language]
    for word in words:
        assert word in pages[0]
    later = {"en": ("Runner-up", "How sure", "Why"), "zh": ("次优方案", "把握")}[language]
    for word in later:
        assert word in pages[1] + pages[2]
    answer = {"en": "Rent 1 x L40S", "zh": "租用 1 张 L40S"}[language]
    assert answer in " ".join(pages[0].split()[:60])
    asked = {"en": "What was asked", "zh": "输入条件"}[language]
    assert any(asked in page for page in pages[1:])
    assert asked not in pages[0]


@pytest.fixture
def running(tmp_path):
    """Start the command over a quick and an endless notebook; wait until the first is written."""
    quick = notebook(tmp_path, "quick", "print('done')")
    slow = notebook(tmp_path, "slow", "import time; time.sleep(600)")
    command = [sys.executable, "-m", "gpuspec", "reports", quick, slow, "-o", "out", "-w", "2"]
    started = subprocess.Popen(
        [*command, "--format", "html"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert "[1/2] out/quick.html" in started.stderr.readline()
        end = time.monotonic() + 60
        while len(below := psutil.Process(started.pid).children(recursive=True)) < 4:
            assert time.monotonic() < end  # two workers, a kernel, the tracker of resources
            time.sleep(0.1)
        yield started, below
    finally:
        started.kill()
        started.stderr.close()


def test_workers_and_kernels_end_with_a_killed_parent(running):
    started, below = running
    started.kill()
    _, alive = psutil.wait_procs(below, timeout=30)
    assert not alive


def test_ctrl_c_says_what_was_written(running, tmp_path):
    started, below = running
    os.killpg(started.pid, signal.SIGINT)
    assert started.wait(240) == 130
    assert started.stderr.read() == "gpuspec: stopped; written: out/quick.html\n"
    _, alive = psutil.wait_procs(below, timeout=30)
    assert not alive
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["quick.html"]


def test_an_executed_notebook_with_widgets_is_the_same_twice(tmp_path):
    name = notebook(
        tmp_path, "panel", "import ipywidgets as W", "W.VBox([W.IntSlider(), W.HTML('here')])"
    )
    first, second = (build(name, output=tmp_path / f"{i}.ipynb").read_bytes() for i in (1, 2))
    assert b"IntSliderModel" in first
    assert first == second


WHO = "import os, pathlib; pathlib.Path(f'/proc/{os.getppid()}/cmdline').read_text().split(chr(0))"


@pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux")
@pytest.mark.parametrize("place", [{}, {"GPUSPEC_ZYGOTE": "/nowhere"}], ids=["there", "gone"])
def test_a_kernel_is_forked_of_what_has_loaded_it_or_started_where_that_is_gone(
    tmp_path, process, place
):
    name = notebook(tmp_path, "who", WHO, "import os; print(os.environ['MINE'], os.getcwd())")
    done = process("report", name, "-o", "who.ipynb", MINE="of mine", **place)
    assert done.returncode == 0, done.stderr
    said = (tmp_path / "who.ipynb").read_text("utf-8")
    assert f"of mine {tmp_path}" in said
    assert ("zygote.py" in said) == (not place)
    assert not [p for p in psutil.process_iter(["cmdline"]) if name in f"{p.info['cmdline']}"]


def test_ctrl_c_ends_a_report_and_what_loads_for_it(tmp_path):
    name = notebook(tmp_path, "slow", "open('begun', 'w'); import time; time.sleep(600)")
    started = subprocess.Popen(
        [sys.executable, "-P", "-m", "gpuspec", "report", name, "--quiet"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    end = time.monotonic() + 100
    while not (tmp_path / "begun").exists():
        assert time.monotonic() < end
        time.sleep(0.1)
    below = psutil.Process(started.pid).children(recursive=True)
    os.killpg(started.pid, signal.SIGINT)
    assert started.wait(60) == 130
    assert not psutil.wait_procs(below, timeout=30)[1]
    started.stderr.close()
