"""What several files of tests use: the command line, run in this process or in one of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from gpuspec.cli import main

ROOT = Path(__file__).parents[1]
CHROMIUM = next((p for p in map(shutil.which, ("chromium", "google-chrome")) if p), None)


@pytest.fixture(autouse=True)
def _speaks_english():
    """Let no test leave a language to the next."""
    yield
    if known := sys.modules.get("gpuspec.views.language"):
        known.speak(None)


@pytest.fixture(scope="module")
def browser():
    """Start a headless Chromium for a file of tests; where there is none, they are skipped."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        running = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Run the command in an empty folder, in this process: its exit code and its two streams."""

    def run(*args, **env):
        monkeypatch.chdir(tmp_path)
        words = [str(word) for word in args]
        done = CliRunner(env=env).invoke(main, words, prog_name="gpuspec", catch_exceptions=False)
        return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture
def process(tmp_path):
    """Run the command in an empty folder as a person does, in a process of its own."""

    def run(*args, cwd=tmp_path, **env):
        return subprocess.run(
            [sys.executable, "-P", "-m", "gpuspec", *map(str, args)],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT), **env},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run
