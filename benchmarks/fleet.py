"""Time the programme of upgrade plans by size of fleet and horizon, with the gap to the bound.

python benchmarks/fleet.py   (timings depend on the machine: read them side by side)

The last lines solve the shipped scenario whole, without the two steps, for the same gap.
"""

import time

import numpy as np

from gpuspec.decision import upgrade
from gpuspec.decision.upgrade.programme import Programme
from gpuspec.decision.upgrade.solve import bound_usd, relaxed

NODES = (2, 8, 32)
QUARTERS = (4, 8, 12)


def grown(nodes: int, quarters: int) -> upgrade.UpgradeQuestion:
    """Return the shipped scenario with as many times its load as its nodes."""
    from gpuspec.decision.scenario import scenario

    base = scenario("a100-owner")
    times = nodes / 2
    changes = {
        f"workloads[{i}].concurrency": int(w.concurrency * times)
        for i, w in enumerate(base.workloads)
        if w.kind == "inference"
    }
    return upgrade.UpgradeQuestion.ask(
        scenario=scenario("a100-owner", changes | {"budget": {}}),
        owned_nodes=nodes,
        quarters=quarters,
    )


def main() -> None:
    print(f"{'nodes':>5} {'quarters':>8} {'columns':>8} {'rows':>6} {'seconds':>8} {'gap':>6}")
    for nodes in NODES:
        for quarters in QUARTERS:
            problem = grown(nodes, quarters).problem
            programme = Programme(problem, upgrade.OPTIMUM, False)
            start = time.perf_counter()
            plan = upgrade.solve(problem, certify=True)
            seconds = time.perf_counter() - start
            size = f"{programme.columns.size:>8,} {len(programme.rows.lower):>6,}"
            print(f"{nodes:>5} {quarters:>8} {size} {seconds:>8.2f} {plan.gap:>6.1%}")
    problem = upgrade.UpgradeQuestion.ask(scenario="a100-owner").problem
    for name, call in (("two steps", two_steps), ("whole", whole)):
        start = time.perf_counter()
        cost = call(problem)
        print(f"a100-owner, {name}: {cost:,.0f} USD in {time.perf_counter() - start:.2f} s")


def two_steps(problem: upgrade.FleetProblem) -> float:
    return upgrade.solve(problem).cost_usd


def whole(problem: upgrade.FleetProblem) -> float:
    programme = Programme(problem, upgrade.OPTIMUM, False)
    found = relaxed(programme, 60.0, 0.02, "all")
    print(f"  bound of the whole programme: {bound_usd(programme, found):,.0f} USD")
    return float(np.concatenate(programme.columns.cost) @ found.x) + programme.constant


if __name__ == "__main__":
    main()
