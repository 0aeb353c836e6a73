"""Time the packing of 200 tenants on about 50 GPUs, and print the gap to the bound.

python benchmarks/packing.py [tenants]

One core is enough. The tenants differ: a few models under loads of their own, and other work of
random size; the same seed gives the same tenants.
"""

import os
import sys
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402

from gpuspec.topics.mig import MigQuestion, faults, pack, tenant_options  # noqa: E402

MODELS = (
    ("Llama-3.2-1B", "bf16", 0.25),
    ("Llama-3.2-3B", "bf16", 0.2),
    ("Qwen2.5-7B", "bf16", 0.2),
    ("Llama-3.1-8B", "int8", 0.2),
    ("Llama-3.1-8B", "bf16", 0.15),
)


def random_tenants(count: int, seed: int = 0) -> list[dict[str, object]]:
    """Return rows of the table of tenants: half language models, half other work."""
    draw = np.random.default_rng(seed)
    shares = [share for *_, share in MODELS]
    rows: list[dict[str, object]] = []
    for i in range(count):
        if i % 2:
            memory = float(draw.choice([4, 6, 8, 9, 14, 18, 25, 35]))
            share = round(float(draw.uniform(0.03, 0.4)), 2)
            rows.append({"name": f"job-{i}", "memory_gib": memory, "gpu_share": share})
            continue
        model, weights, _ = MODELS[int(draw.choice(len(MODELS), p=shares))]
        load = {
            "isl": int(draw.choice([256, 512, 1024, 2048])),
            "osl": int(draw.choice([64, 128, 256, 512])),
            "concurrency": int(draw.integers(1, 33)),
        }
        rows.append({"name": f"chat-{i}", "model": model, "weights": weights, **load})
    return rows


def main() -> None:
    """Print one line a fleet: seconds of both parts, GPUs, gap."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    rows = random_tenants(count)
    print("kinds, tenants, options_s, packing_s, gpus, usd_per_hour, gap, invalid layouts")
    for kinds in ("A100", "H100", "H200", "A100,H100,H200"):
        start = time.perf_counter()
        question = MigQuestion.ask(tenants=rows, gpus=kinds, solver_seconds=8.0)
        options = tenant_options(question)
        middle = time.perf_counter()
        found = pack(question, options)
        end = time.perf_counter()
        print(
            f"{kinds}, {count}, {middle - start:.1f}, {end - middle:.1f}, "
            f"{sum(found.gpus.values())}, {found.usd_per_hour:.2f}, {found.gap:.2%}, "
            f"{len(faults(found))}, unplaced {len(found.unplaced)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
