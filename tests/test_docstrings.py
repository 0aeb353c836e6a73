"""Every example of a docstring gives what it says."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WITH_EXAMPLES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "gpuspec").rglob("*.py")
    if ">>> " in path.read_text("utf-8")
)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_are_true(name, capsys):
    module = importlib.import_module(name)
    found = doctest.testmod(module)
    if found.failed:
        pytest.fail(capsys.readouterr().out, pytrace=False)
    assert found.attempted


def test_examples_were_found():
    assert len(WITH_EXAMPLES) > 30
