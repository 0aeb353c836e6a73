"""Control panel of the upgrade notebook."""

from typing import Any

import pandas as pd

from gpuspec.decision.upgrade import UpgradeQuestion, gpus_table, orders_table, period_names
from gpuspec.decision.upgrade.pictures import fleet_timeline
from gpuspec.decision.upgrade.words import upgrade_finding
from gpuspec.views.display import figure
from gpuspec.views.panel import Panel, choice, controls


def upgrade_panel(question: UpgradeQuestion) -> Panel:
    """Return a panel over the question "what to add, and when", started at `question`."""
    q, s = question, question.stated
    drifts = [*dict.fromkeys(["down", "flat", "up", str(s.prices.drift)])]
    count = s.owned[0].count // 8 if s.owned else 0
    shown = {
        **controls(
            q.but(owned_nodes=count, quarters=max(round(s.horizon_months / 3), 1)),
            "owned_nodes",
            "quarters",
            "capital_usd",
            "effort",
        ),
        "drift": choice("prices", drifts, str(s.prices.drift)),
    }

    def answer(**values: Any) -> UpgradeQuestion:
        return q.but(**values)

    def tables(asked: UpgradeQuestion) -> dict[str, pd.DataFrame]:
        best = asked.decision.best if asked.decision.feasible else None
        return {"gpus": gpus_table(best), "orders": orders_table(best)} if best else {}

    def draw(asked: UpgradeQuestion) -> str:
        decision = asked.decision
        title = upgrade_finding(decision)
        if not decision.feasible:
            return f"<p>{title}.</p>"
        periods = period_names(decision.problem.calendar)
        drawing = fleet_timeline(gpus_table(decision.best), periods, title)
        return figure(drawing, title, title).svg

    return Panel(shown, answer, draw, question=q, tables=tables)
