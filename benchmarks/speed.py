"""How long answers take: commands from a cold start, a million options, a slider move.

python benchmarks/speed.py   (timings depend on the machine: read them side by side)
"""

import itertools
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from gpuspec.topics import serving
from gpuspec.topics.serving.panel import inference_panel

OPTIONS = 1_000_000
COLD = {
    "one estimate": ("estimate", "Llama-3.1-70B", "--gpu", "H200", "--tp", "2"),
    "a decision": ("plan", "article-b"),
    "a decision for time": ("plan", "article-b", "-p", "objective=time"),
    "a decision as PDF": ("report", "decision", "--param", "scenario=article-b", "-o", "a.pdf"),
}
"""Commands that are started anew."""


def million():
    axes = {
        "gpu": ["a100-sxm-80", "h100-sxm-80", "h200-sxm-141"],
        "weight": ["bf16", "fp8"],
        "kv": ["bf16", "fp8"],
        "tp": [1, 2, 4, 8],
        "pp": [1, 2, 4],
        "concurrency": range(1, 101),
        "isl": [2**i for i in range(7, 17)],
        "osl": [64, 128, 256, 512, 1024, 2048, 4096],
    }
    rows = itertools.islice(itertools.product(*axes.values()), OPTIONS)
    return pd.DataFrame(rows, columns=list(axes))


def timed(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def cold(command):
    """Return the seconds of a command, and those of all processors: user and system."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    path = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    with tempfile.TemporaryDirectory() as folder:
        full = [sys.executable, "-m", "gpuspec", *command]
        quiet = {"stdout": subprocess.DEVNULL, "check": True, "cwd": folder, "env": path}
        wall = timed(lambda: subprocess.run(full, **quiet))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    for name, command in COLD.items():
        wall, cpu = min((cold(command) for _ in range(3)), key=lambda one: one[1])
        print(f"{name}, cold start of the command line: {wall:.2f} s, {cpu:.2f} s of processors")
    options = million()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = timed(lambda: serving.evaluate_options("Llama-3.1-70B", options))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{len(options):,} options in one call: {seconds:.2f} s, {peak / 2**20:.2f} GiB peak")
    print(f"  of which the table itself: {before / 2**20:.2f} GiB")
    panel = inference_panel(
        serving.ServingQuestion.ask(model="Llama-3.1-70B", gpus="A100,H100,H200")
    )
    slider = panel.controls["concurrency"]
    moves = [timed(lambda value=v: setattr(slider, "value", value)) for v in (32, 128, 16, 256, 8)]
    print(f"a slider move, answer and picture: {sorted(moves)[2] * 1e3:.0f} ms")


if __name__ == "__main__":
    main()
