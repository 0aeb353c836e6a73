"""How long answers take: one estimate from a cold start, a million options, a slider move.

python benchmarks/speed.py   (timings depend on the machine: read them side by side)
"""

import itertools
import resource
import subprocess
import sys
import time

import pandas as pd

from gpuspec.topics import serving
from gpuspec.topics.serving.panel import inference_panel

OPTIONS = 1_000_000


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


def main():
    command = [sys.executable, "-m", "gpuspec", "estimate", "Llama-3.1-70B", "--gpu", "H200"]
    quiet = {"stdout": subprocess.DEVNULL, "check": True}
    cold = min(timed(lambda: subprocess.run([*command, "--tp", "2"], **quiet)) for _ in range(3))
    print(f"one estimate, cold start of the command line: {cold:.2f} s")
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
