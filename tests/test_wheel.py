"""A wheel holds all that the checkout has, and its commands work from any folder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    done = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


@pytest.mark.parametrize(
    ("source", "target"),
    [("gpuspec", "gpuspec"), ("data", "gpuspec/data"), ("notebooks", "gpuspec/notebooks")],
)
def test_every_file_of_the_checkout_is_in_the_wheel(site, source, target):
    made = {"__pycache__", ".ipynb_checkpoints"}
    files = [p.relative_to(ROOT / source) for p in (ROOT / source).rglob("*") if p.is_file()]
    files = [p for p in files if not made & set(p.parts)]
    assert files
    missing = [str(p) for p in files if not (site / target / p).is_file()]
    assert not missing


@pytest.mark.parametrize("command", [("list", "gpus"), ("list", "models"), ("params", "memory")])
def test_its_commands_read_its_own_data_and_notebooks(site, tmp_path, command):
    environment = {k: v for k, v in os.environ.items() if k != "GPUSPEC_DATA"}
    environment["PYTHONPATH"] = str(site)
    where = run(
        *(sys.executable, "-P", "-c", "import gpuspec; print(gpuspec.__file__)"),
        cwd=tmp_path,
        env=environment,
    )
    assert where.stdout.startswith(str(site)), where.stdout + where.stderr
    done = run(sys.executable, "-P", "-m", "gpuspec", *command, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 5


def test_a_wheel_holds_data_notebooks_and_templates(site):
    names = {path.relative_to(site).as_posix() for path in site.rglob("*")}
    for name in ("data/gpus.csv", "data/datapackage.json", "data/measurements/memory.csv"):
        assert f"gpuspec/{name}" in names
    assert "gpuspec/notebooks/01_memory.ipynb" in names
    assert "gpuspec/py.typed" in names
    assert any(name.startswith("gpuspec/report/templates/") for name in names)


def test_an_installed_wheel_works_from_any_folder(site, tmp_path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import gpuspec; "
        "assert gpuspec.__file__.startswith(sys.argv[1]), gpuspec.__file__; "
        "assert len(gpuspec.gpus()) > 20 and gpuspec.model('Llama-3.1-8B').params > 8e9; "
        "from gpuspec.topics import memory; "
        "q = memory.MemoryQuestion.ask(model='Llama-3.1-8B', gpus='H100'); "
        "print(memory.serving_table(q).fits.any())"
    )
    done = run(sys.executable, "-P", "-c", code, str(site), cwd=tmp_path)
    assert done.stdout.strip() == "True", done.stderr
