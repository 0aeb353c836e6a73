"""The project's own shape: layers of imports, types, set-up that repairs itself."""

import csv
import re
import runpy
import subprocess
import sys
from pathlib import Path

import click
import pytest

from gpuspec.cli import main

ROOT = Path(__file__).parents[1]
BOOTSTRAP = ROOT / "tools" / "bootstrap.py"


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_types_are_right():
    done = run(sys.executable, "-m", "mypy", cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_lower_layers_never_import_higher_ones():
    linter = Path(sys.executable).with_name("lint-imports")
    done = run(str(linter), "--no-cache", cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_files_and_options_that_are_there(page):
    text = page.read_text("utf-8")
    named = re.findall(
        r"(?<![\w/])(?:tests|tools|gpuspec|benchmarks|data|notebooks)/[\w./-]*\w", text
    )
    found = {name for name in named if "TOPIC" not in name and not (ROOT / name).exists()}
    assert not found
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
    assert not [link for link in links if not (page.parent / link).exists()]
    for name, rest in re.findall(rf"gpuspec ({'|'.join(main.commands)})\b([^`\n]*)", text):
        command = main.commands[name]
        shown = [
            p for p in command.get_params(click.Context(command)) if not getattr(p, "hidden", False)
        ]
        options = {text for p in shown for text in p.opts}
        assert set(re.findall(r"(?<!\S)--[a-z-]+", rest)) <= options, name


def test_an_old_python_gets_one_clear_sentence():
    code = (
        "import sys, runpy; sys.version_info = (3, 9, 18); sys.argv = ['bootstrap', 'runtime']; "
        f"runpy.run_path({str(BOOTSTRAP)!r}, run_name='__main__')"
    )
    done = run(sys.executable, "-c", code)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "gpuspec needs Python 3.11 or newer" in done.stderr
    assert "is Python 3.9" in done.stderr


def test_set_up_is_skipped_only_for_the_environment_that_is_there(tmp_path):
    for name in ("requirements.lock", "requirements-dev.lock", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "tools").mkdir()
    copy = tmp_path / "tools" / "bootstrap.py"
    copy.write_bytes(BOOTSTRAP.read_bytes())
    code = (
        "import sys; sys.path.insert(0, 'tools'); import bootstrap as b; import os; "
        "os.makedirs(b.VENV); open(b.STAMP.format('dev'), 'w').write(b.digest(b.LOCKS['dev'])); "
        "b.run = lambda what, *command: print('RUN', what); "
        "sys.argv = ['bootstrap', 'dev']; b.main(); print('first done'); "
        "open('requirements-dev.lock', 'a').write('# changed'); b.main()"
    )
    done = run(sys.executable, "-c", code, cwd=tmp_path)
    quiet, busy = done.stdout.split("first done")
    assert "RUN" not in quiet
    assert "RUN installing requirements-dev.lock" in busy, done.stderr


def test_wrong_use_of_the_set_up_says_what_is_right():
    done = run(sys.executable, str(BOOTSTRAP), "everything")
    assert done.returncode == 1
    assert done.stderr.startswith("usage:")


def test_every_error_of_the_mutation_table_has_its_place_and_its_tests():
    file = ROOT / "benchmarks" / "mutations.py"
    missing = runpy.run_path(str(file), run_name="mutations")["missing"]
    with file.with_suffix(".csv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    assert len(rows) > 80
    assert missing(rows) == []
    gone = {**rows[0], "old": "a text that no formula holds"}
    assert missing([gone, *rows[1:]]) == [f"{gone['id']}: not once in the package: {gone['old']}"]


def test_readme_and_docs_show_the_stored_errors():
    done = run(sys.executable, str(ROOT / "tools" / "write_errors.py"), "--check", cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_readme_states_the_sizes_of_the_tables():
    import gpuspec
    from gpuspec.catalog import load_table

    text = (ROOT / "README.md").read_text("utf-8")
    sizes = {
        "GPUs": len(gpuspec.gpus()),
        "servers": len(gpuspec.servers()),
        "links": len(gpuspec.links()),
        "MIG profiles": len(gpuspec.mig_profiles()),
        "models": len(gpuspec.models()),
        "memory figures": len(load_table("measurements-memory")),
        "inference measurements": len(load_table("measurements-inference")),
        "steps of reinforcement learning": len(load_table("measurements-posttraining")),
        "training measurements": len(load_table("measurements-training")),
        "collectives": len(load_table("measurements-collectives")),
        "HPC results": len(load_table("measurements-hpc")),
        "speeds of slices": len(load_table("measurements-mig")),
        "rental prices": len(load_table("prices-rental")),
    }
    for name, size in sizes.items():
        assert f"{size:,} {name}" in text


@pytest.mark.parametrize(
    "command",
    [["estimate", "Llama-3.1-70B", "--json"], ["model", "Qwen3-8B", "--json"], ["--help"]],
)
def test_a_quick_answer_does_not_wait_for_pandas(command):
    code = (
        "import sys; from gpuspec.cli import main\n"
        "try: main()\nexcept SystemExit as end: assert not end.code\n"
        "assert 'pandas.core' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, *command], check=True, stdout=subprocess.DEVNULL)
