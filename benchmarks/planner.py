"""How long a million options take to be evaluated, constrained and ranked, and how much memory.

python benchmarks/planner.py   (timings depend on the machine: read them side by side)
"""

import resource
import time

from gpuspec.decision import plan
from gpuspec.decision.money import market
from gpuspec.decision.plan.draws import PlanDraws
from gpuspec.decision.plan.options import pareto, priced_options
from gpuspec.decision.plan.ranking import candidates
from gpuspec.decision.scenario import scenario
from gpuspec.decision.ways import scenario_ways

LOADS = 5200
"""Loads of a replica: with every published price, the options of one service are a million."""
ASKED = {
    "workloads[0].concurrency": 20_000,
    "allow.gpus": "A100,H100,H200,H100 PCIe,H100 NVL",
    "allow.weights": "bf16,fp8,int8,int4",
    "allow.vendors": "all",
    "budget.monthly_usd": 1e7,
    "budget.capital_usd": 1e9,
    "limits.power_kw": 1e5,
}


def peak_gib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def million():
    asked = scenario("article-b", ASKED)
    offers = market(asked)
    draws = PlanDraws(asked, offers)
    start, before = time.perf_counter(), peak_gib()
    options = priced_options(asked, 0, scenario_ways(asked, 0, loads=LOADS), offers)
    priced = time.perf_counter() - start
    ranked = candidates(asked, options, draws)
    done = time.perf_counter() - start
    kept = int(pareto(options.table[options.table["feasible"]]).sum())
    front = time.perf_counter() - start - done
    rows, good = len(options.table), int(options.table["feasible"].sum())
    print(f"{rows:,} options, {good:,} feasible: evaluated and priced in {priced:.2f} s,")
    print(f"  ranked with probabilities after {done:.2f} s ({len(ranked)} ways to get GPUs),")
    print(
        f"  the front of {kept:,} in {front:.2f} s; {peak_gib() - before:.2f} GiB more at the peak"
    )


def scenarios():
    for name in ("article-b", "article-a", "article-c", "a100-owner", "small-team"):
        start = time.perf_counter()
        decision = plan.decide(scenario(name))
        rows = sum(len(o.table) for o in decision.options)
        plans = len(decision.policies)
        decided = time.perf_counter() - start
        plan.break_evens(decision, plan.tornado(decision))
        total = time.perf_counter() - start
        told = f"{name}: {rows:,} options, {plans} plans in {decided:.2f} s"
        print(f"{told}; with what flips it {total:.2f} s")


if __name__ == "__main__":
    million()
    scenarios()
