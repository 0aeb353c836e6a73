"""pyproject.toml, environment.yml and the lock files describe one environment."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
GROUPS = PROJECT["dependency-groups"]
RUNTIME = PROJECT["project"]["dependencies"] + GROUPS["build"]
EVERYTHING = RUNTIME + GROUPS["dev"]


def requirements(lines):
    parsed = [Requirement(line) for line in lines]
    return {canonicalize_name(r.name): r for r in parsed}


def pinned(name):
    pins = {}
    for line in (ROOT / name).read_text("utf-8").splitlines():
        match = re.match(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", line)
        if match:
            pins.setdefault(canonicalize_name(match[1]), set()).add(match[2])
    return pins


def test_conda_gets_the_same_packages_with_the_same_bounds():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))["dependencies"]
    plain = [entry for entry in listed if isinstance(entry, str)]
    by_pip = next(entry["pip"] for entry in listed if isinstance(entry, dict))
    conda = {k: str(v.specifier) for k, v in requirements(plain + by_pip).items()}
    assert conda.pop("python") == PROJECT["project"]["requires-python"]
    assert conda.pop("pip") == ""
    assert conda == {k: str(v.specifier) for k, v in requirements(EVERYTHING).items()}


@pytest.mark.parametrize(
    ("lock", "wanted"), [("requirements.lock", RUNTIME), ("requirements-dev.lock", EVERYTHING)]
)
def test_locks_pin_what_is_required(lock, wanted):
    pins = pinned(lock)
    for name, requirement in requirements(wanted).items():
        assert name in pins, f"{name} is not in {lock}: run make lock"
        for version in pins[name]:
            assert requirement.specifier.contains(version), f"{name}=={version} in {lock}"


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_every_pin_has_a_hash_and_no_index_is_named(lock):
    text = (ROOT / lock).read_text("utf-8")
    assert "://" not in text
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text.strip())
    assert all("--hash=sha256:" in block for block in blocks)


def test_the_test_environment_contains_the_runtime_one():
    runtime, dev = pinned("requirements.lock"), pinned("requirements-dev.lock")
    assert {name: dev[name] for name in runtime} == runtime


def test_packages_that_the_project_was_asked_to_use_are_there():
    asked = {"jupyterlab", "pandas", "matplotlib", "ipywidgets", "papermill", "numpy"}
    assert asked <= set(requirements(PROJECT["project"]["dependencies"]))
    assert "nbval" in requirements(GROUPS["dev"])


@pytest.mark.parametrize("package", ["numpy", "click"])
@pytest.mark.parametrize("content", ["raise ImportError('undefined symbol')", "x = ("])
def test_a_damaged_package_is_one_sentence_that_says_what_to_do(tmp_path, package, content):
    (tmp_path / f"{package}.py").write_text(content)
    done = subprocess.run(
        [sys.executable, "-m", "gpuspec", "list", "gpus"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("gpuspec: a package is damaged (")
    assert done.stderr.endswith("run make clean and try again\n")
    assert done.stderr.count("\n") == 1


def test_lab_opens_copies_that_are_trusted_and_leaves_the_notebooks(tmp_path, monkeypatch):
    import nbformat
    from lab import NOTEBOOKS, copied
    from nbformat.sign import NotebookNotary

    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    before = {path: path.read_bytes() for path in NOTEBOOKS.glob("*.ipynb")}
    copied(tmp_path)
    assert {path.name for path in before} == {path.name for path in tmp_path.glob("*.ipynb")}
    notary = NotebookNotary()
    for path in before:
        node = nbformat.read(tmp_path / path.name, 4)
        assert notary.check_signature(node), path.name
    assert all(path.read_bytes() == content for path, content in before.items())
