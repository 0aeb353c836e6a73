"""Control panel of the upgrade notebook."""

from typing import Any

from gpuspec.decision.upgrade import OPTIMUM, UpgradeQuestion, gpus_table, solve
from gpuspec.decision.upgrade.pictures import fleet_timeline
from gpuspec.decision.upgrade.words import upgrade_finding
from gpuspec.views.display import figure
from gpuspec.views.panel import Panel, choice, controls

CAPITAL_USD = (0.0, 250e3, 500e3, 1e6, 1.5e6, 2e6, 3e6, 5e6, 10e6)
EFFORTS = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)


def upgrade_panel(question: UpgradeQuestion) -> Panel:
    """Return a panel over the question "what to add, and when", started at `question`."""
    q = question
    drifts = [*dict.fromkeys(["down", "flat", "up", q.prices_drift])]
    shown = {
        **controls(
            q.but(owned_nodes=next(iter(q.owned.values()), 0), quarters=q.horizon),
            owned_nodes=range(0, 17),
            quarters=range(4, 17),
            capital_usd=CAPITAL_USD,
            effort=EFFORTS,
        ),
        "drift": choice("prices", drifts, q.prices_drift),
    }

    def answer(**values: Any) -> tuple[UpgradeQuestion, Any]:
        asked = q.but(**values)
        return asked, solve(asked.problem, OPTIMUM, asked.time_limit_s, asked.gap)

    def draw(answered: tuple[UpgradeQuestion, Any]) -> str:
        asked, plan = answered
        title = upgrade_finding(asked, {OPTIMUM.name: plan})
        return figure(fleet_timeline(gpus_table(asked.problem, plan), title), title, title).svg

    return Panel(shown, answer, draw)
