"""Count the machine instructions that DPX functions and cells compile to, and compare the table.

Every case is compiled twice for each architecture, as 1 and as 33 dependent steps in one unrolled
loop; the difference in instructions over 32 is what one step takes. Loads of the inputs are left
out: only arithmetic is counted. No GPU is needed.

The rows ``nvcc-13-sass`` of ``data/measurements/dpx.csv`` come from here. The compiler and the
disassembler are the wheels of `WHEELS` (`nvidia-cuda-nvcc` with its parts, `nvidia-cuda-runtime`,
`nvidia-cuda-nvdisasm`), installed into a virtual environment that is deleted afterwards; nvcc
also needs a host compiler (g++). With ``--toolkit`` those of an installed CUDA toolkit are used.

    python tools/count_dpx_instructions.py [--toolkit /usr/local/cuda] [--csv counts.csv]

Ends with 1 where a count differs from its stored row.
"""

import argparse
import csv
import re
import subprocess
import sys
import tempfile
import venv
from collections import Counter
from pathlib import Path

TABLE = Path(__file__).resolve().parents[1] / "data" / "measurements" / "dpx.csv"
SOURCE = "nvcc-13-sass"
WHEELS = (
    "nvidia-cuda-nvcc==13.0.88",
    "nvidia-nvvm==13.0.88",
    "nvidia-cuda-crt==13.0.88",
    "nvidia-cuda-runtime==13.0.96",
    "nvidia-cuda-nvdisasm>=13.2",
)
ARCHITECTURES = ("sm_80", "sm_89", "sm_90", "sm_100", "sm_120")
STEPS = 32
LOADS = ("LDG", "LDC", "LDCU", "LD.", "NOP")
"""Instructions that are not counted: loads of inputs and constants, padding."""

# In a step: b, c, g are loaded; r and d hold the cell to the left and the one before c above,
# e the horizontal gap, o keeps the vertical gap alive as a program would that stores it.
FUNCTIONS = (
    "__viaddmax_s32",
    "__viaddmax_s32_relu",
    "__vimax3_s32",
    "__viaddmax_s16x2",
    "__viaddmax_s16x2_relu",
    "__vimax3_s16x2",
    "__vimax3_s16x2_relu",
)
CASES = {  # (algorithm, case, data type): statement
    ("instruction", name, "s32" if "s32" in name else "s16x2"): f"r = (unsigned){name}(r, b, c);"
    for name in FUNCTIONS
} | {
    ("smith-waterman", "cell, linear gaps", "s32"): (
        "int n = __vimax3_s32_relu((int)d + (int)b, (int)r - 2, (int)c - 2); d = c; r = n;"
    ),
    ("smith-waterman", "cell, affine gaps", "s32"): (
        "e = __viaddmax_s32(e, -1, (int)r - 3);"
        " int f = __viaddmax_s32((int)b, -1, (int)c - 3);"
        " int n = __vimax_s32_relu(__viaddmax_s32((int)d, (int)g, e), f); d = c; r = n; o ^= f;"
    ),
    ("smith-waterman", "cell, affine gaps", "s16x2"): (
        "e = __viaddmax_s16x2(e, 0xffffffffu, __vadd2(r, 0xfffdfffdu));"
        " unsigned f = __viaddmax_s16x2(b, 0xffffffffu, __vadd2(c, 0xfffdfffdu));"
        " unsigned n = __vimax_s16x2_relu(__viaddmax_s16x2(d, g, e), f); d = c; r = n; o ^= f;"
    ),
    ("floyd-warshall", "relaxation", "s32"): (
        "r = (unsigned)__viaddmin_s32((int)b, (int)c, (int)r);"
    ),
    ("floyd-warshall", "relaxation", "s16x2"): "r = __viaddmin_s16x2(b, c, r);",
}
KERNEL = """
extern "C" __global__ void k{place}_{steps}(const unsigned *__restrict__ p, unsigned *q) {{
  p += threadIdx.x;
  unsigned r = p[0], d = p[1000], o = 0, b, c, g;
  {gap} e = p[2000];
#pragma unroll
  for (int i = 0; i < {steps}; i++) {{
    b = p[3000 + 3 * i]; c = p[3001 + 3 * i]; g = p[3002 + 3 * i];
    {statement}
  }}
  q[threadIdx.x] = r ^ d ^ e ^ o;
}}
"""


def source():
    """Return the CUDA source of all cases, each with 1 and with `STEPS` + 1 steps."""
    kernels = ["#include <cuda_runtime.h>"]
    for place, ((algorithm, _, kind), statement) in enumerate(CASES.items()):
        signed = algorithm == "smith-waterman" and kind == "s32"
        for steps in (1, STEPS + 1):
            named = {"place": place, "steps": steps, "statement": statement}
            kernels += [KERNEL.format(gap="int" if signed else "unsigned", **named)]
    return "\n".join(kernels)


def install(folder):
    """Install the wheels into a virtual environment in `folder`; return the toolkit's folder."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *WHEELS], check=True)
    return next(folder.glob("lib/python*/site-packages/nvidia/cu13"))


def instructions(toolkit, architecture, folder):
    """Compile for an architecture; return the instructions of each kernel by name."""
    code, binary = folder / "dpx.cu", folder / f"{architecture}.cubin"
    code.write_text(source())
    compiler = [toolkit / "bin" / "nvcc", "-O3", "-cubin", "-arch", architecture]
    compiler += ["-diag-suppress", "550"]  # not every case uses all inputs
    subprocess.run([*compiler, code, "-o", binary], check=True)
    disassembled = subprocess.run(
        [toolkit / "bin" / "nvdisasm", "-c", binary], check=True, capture_output=True, text=True
    )
    counts, kernel = {}, None
    for line in disassembled.stdout.splitlines():
        if found := re.match(r"\.text\.(\w+):", line.strip()):
            kernel = counts.setdefault(found[1], Counter())
        found = re.match(r"\s*/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)", line)
        if found and kernel is not None:
            kernel[found[1]] += 1
    return counts


def count(toolkit, folder):
    """Return the instructions of one step by case and architecture."""
    found = {}
    for architecture in ARCHITECTURES:
        counts = instructions(toolkit, architecture, folder)
        for place, case in enumerate(CASES):
            few, many = (
                sum(n for name, n in counts[f"k{place}_{steps}"].items() if not _is_load(name))
                for steps in (1, STEPS + 1)
            )
            found[case, architecture] = (many - few) / STEPS
    return found


def _is_load(name):
    return name.startswith(LOADS)


def stored():
    """Return the stored counts by case and architecture."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["source_id"] == SOURCE]
    return {
        ((r["algorithm"], r["case"], r["data_type"]), r["gpu_as_printed"]): float(r["value"])
        for r in rows
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--toolkit", type=Path, help="folder of a CUDA 13 toolkit")
    parser.add_argument("--csv", type=Path, help="where to write the counts")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = count(asked.toolkit or install(folder / "venv"), folder)
    known = stored()
    lines = [
        [*case, architecture, round(steps, 3), known.get((case, architecture), "")]
        for (case, architecture), steps in found.items()
    ]
    head = ["algorithm", "case", "data_type", "architecture", "instructions", "stored"]
    if asked.csv:
        with asked.csv.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([head, *lines])
    for line in [head, *lines]:
        print("{:<15} {:<24} {:<9} {:<12} {:>12} {:>8}".format(*map(str, line)))
    off = sum(line[4] != line[5] for line in lines) + len(set(known) - set(found))
    print(f"{len(lines)} counts, {len(known)} stored rows, {off} differ")
    sys.exit(1 if off else 0)


if __name__ == "__main__":
    main()
