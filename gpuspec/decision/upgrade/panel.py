"""Control panel of the upgrade notebook."""

from typing import Any

import numpy as np

from gpuspec.decision.upgrade import OPTIMUM, UpgradeQuestion, gpus_table, solve, upgrade_question
from gpuspec.decision.upgrade.pictures import fleet_timeline
from gpuspec.decision.upgrade.words import upgrade_finding
from gpuspec.views.display import figure
from gpuspec.views.panel import Panel, choice, slider

CAPITAL_USD = (0.0, 250e3, 500e3, 1e6, 1.5e6, 2e6, 3e6, 5e6, 10e6, np.inf)
EFFORTS = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)


def upgrade_panel(question: UpgradeQuestion) -> Panel:
    """Return a panel over the question "what to add, and when", started at `question`."""
    q = question
    nodes = float(next(iter(q.owned.values()), 0))
    capital = q.problem.limits.asked().get("capital_usd", np.inf)
    controls = {
        "owned_nodes": slider("owned nodes", [float(n) for n in range(0, 17)], nodes),
        "quarters": slider("quarters", [float(n) for n in range(4, 17)], float(q.quarters)),
        "capital_usd": slider("capital, USD", CAPITAL_USD, capital, "{:,.0f}"),
        "drift": choice("prices", sorted({"down", "flat", "up", q.drift}), q.drift),
        "effort": slider("effort", EFFORTS, q.effort_multiple),
    }
    fixed: dict[str, Any] = {
        "monthly_usd": q.problem.limits.asked().get("month_usd", np.inf),
        "power_kw": q.problem.limits.asked().get("power_kw", np.inf),
        "lead_quarters": q.lead_quarters,
        "order_every": q.order_every,
        "time_limit_s": q.time_limit_s,
        "gap": q.gap,
    }

    def answer(**values: Any) -> tuple[UpgradeQuestion, Any]:
        whole: dict[str, Any] = {n: int(values.pop(n)) for n in ("owned_nodes", "quarters")}
        asked = upgrade_question(q.scenario, **fixed, **whole, **values)
        return asked, solve(asked.problem, OPTIMUM, asked.time_limit_s, asked.gap)

    def draw(answered: tuple[UpgradeQuestion, Any]) -> str:
        asked, plan = answered
        title = upgrade_finding(asked, {OPTIMUM.name: plan})
        return figure(fleet_timeline(gpus_table(asked.problem, plan), title), title, title).svg

    return Panel(controls, answer, draw)
