"""How long decisions take, from a shipped scenario to a hundred workloads, with the proven gap.

python benchmarks/planner.py            (timings depend on the machine: read them side by side)
python benchmarks/planner.py 20 25      workloads and kinds of GPU of one random scenario
"""

import resource
import sys
import time

import numpy as np

from gpuspec.decision.decide import best_of, decide, problem_of
from gpuspec.decision.errors import catalogued
from gpuspec.decision.plan.breakeven import break_evens
from gpuspec.decision.plan.sensitivity import tornado
from gpuspec.decision.plans import Plan
from gpuspec.decision.scenario import scenario

SIZES = ((1, 3), (5, 3), (8, 3), (20, 25), (100, 3), (50, 3, 0.05))
"""Workloads, kinds of GPU, and growth a quarter."""
MODELS = ("Llama-3.1-8B", "Qwen2.5-32B", "Llama-3.1-70B", "Mistral-7B", "Qwen2.5-14B")
GAP, TIME_LIMIT_S = 1e-2, 120.0


def peak_gib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def made(works, kinds, growth=0.0):
    """Return a scenario of services, jobs and simulations."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(works):
        name, kind = f"w{i}", i % 4
        if kind == 3:
            row = {"kind": "hpc", "workload": "md", "gpu_hours": float(rng.integers(200, 4000))}
            row |= {"deadline_days": float(rng.integers(5, 30)), "runs_per_year": 12}
        elif kind == 2:
            row = {"kind": "training", "model": "Llama-3.1-8B", "tokens": 1e9 * rng.integers(1, 9)}
            row |= {"deadline_days": 14, "global_batch": 128, "runs_per_year": 6}
        else:
            row = {"kind": "inference", "model": str(rng.choice(MODELS)), "isl": 1024, "osl": 256}
            row |= {"concurrency": int(rng.integers(8, 400)), "growth": growth}
        rows.append({"name": name, **row})
    order = ["a100-sxm-80", "h100-sxm-80", "h200-sxm-141"]
    order += [g for g in catalogued() if g not in order]
    allow = {"gpus": order[:kinds], "modes": ["on-demand", "reserved-1yr", "reserved-3yr", "own"]}
    return scenario({"name": "s", "workloads": rows, "allow": allow})


def sized(works, kinds, growth=0.0):
    start = time.perf_counter()
    problem = problem_of(made(works, kinds, growth))
    read = time.perf_counter() - start
    problem, _, found = best_of(problem, GAP, TIME_LIMIT_S)
    solved = time.perf_counter() - start - read
    cost = Plan(problem, found.chosen, ()).expected_usd
    told = f"{works} workloads, {kinds} kinds, {len(problem.calendar.months)} segments: "
    told += f"{len(problem.choices):,} ways to run in {read:.1f} s, solved in {solved:.1f} s"
    print(f"{told}, gap {found.gap:.2%}, {cost:,.0f} USD, {peak_gib():.2f} GiB at the peak")


def shipped():
    for name in ("article-b", "article-a", "article-c", "a100-owner", "small-team"):
        start = time.perf_counter()
        decision = decide(scenario(name))
        decided = time.perf_counter() - start
        break_evens(decision, tornado(decision))
        total = time.perf_counter() - start
        print(
            f"{name}: {len(decision.plans)} plans in {decided:.2f} s; what flips it {total:.2f} s"
        )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sized(*(int(n) for n in sys.argv[1:3]), *(float(g) for g in sys.argv[3:]))
    else:
        for size in SIZES:
            sized(*size)
        shipped()
