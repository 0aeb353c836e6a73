"""What must give, and by how much, where the limits leave work undone."""

import numpy as np
import pandas as pd

from gpuspec.decision.upgrade.problem import FleetProblem
from gpuspec.decision.upgrade.programme import Programme
from gpuspec.decision.upgrade.solve import INFEASIBLE, relaxed
from gpuspec.decision.upgrade.strategies import OPTIMUM, Strategy

NAMES = {
    "capital_usd": "capital in all",
    "capital_quarter_usd": "capital of a quarter",
    "month_usd": "rent and running costs of a month",
    "power_kw": "power",
    "gpus": "number of GPUs",
}


def what_gives(
    problem: FleetProblem, strategy: Strategy = OPTIMUM, time_limit_s: float = 10.0
) -> pd.DataFrame:
    """Return by how much each limit alone would have to rise for all work to be done.

    One row a limit that is asked: ``limit``, ``now``, ``more`` (at least so much; infinite where
    raising it alone does not help), from the programme with that limit elastic and no other
    cost. Beyond small programmes replicas count as
    divisible: a true plan may need a little more.
    """
    rows = []
    for name, value in problem.limits.asked().items():
        programme = Programme(problem, strategy, may_fail=False, rounding="rows")
        columns = programme.columns
        for cost in columns.cost:
            cost[:] = 0.0
        slack = columns.add((1,), cost=1.0, whole=False)
        for row in programme.rows.named(name):
            places, values = programme.rows.entries[row]
            entry = (np.append(places, slack), np.append(values, -1.0))
            programme.rows.entries[row] = entry
        kept = "all" if programme.small else "lasting"
        found = relaxed(programme, time_limit_s, 0.01, kept)
        failed = found.status == INFEASIBLE or found.x is None
        rows.append((NAMES[name], value, np.inf if failed else float(found.x[slack[0]])))
    return pd.DataFrame(rows, columns=["limit", "now", "more"])
