"""Control panel of the cost notebook."""

from typing import Any

import pandas as pd

from gpuspec.topics.cost import CostQuestion, break_even_table, used_hours_curves
from gpuspec.topics.cost.pictures import cost_by_used_hours
from gpuspec.topics.cost.prices import DRIFTS
from gpuspec.topics.cost.words import break_even_finding
from gpuspec.views.display import figure
from gpuspec.views.panel import Panel, choice, controls, slider

USES = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.8, 0.85, 0.9, 1.0]
MONTHS = [12, 24, 36, 48, 60, 72]


def cost_panel(question: CostQuestion) -> Panel:
    """Return a panel over the question "rent or own, at which use", started at `question`."""
    q, start = question, question.assumptions
    shown = {
        **controls(q, used_hours_share=USES, horizon_months=MONTHS),
        "drift": choice("drift", list(dict.fromkeys([q.drift, *DRIFTS])), q.drift),
        **controls(q, "currency"),
        "usd_kwh": slider("USD/kWh", [0.05, 0.09, 0.13, 0.2], start.usd_kwh),
        "cost_of_capital": slider(
            "capital cost", [0.06, 0.09, 0.12, 0.15], start.cost_of_capital, "{:.0%}"
        ),
    }

    def answer(
        usd_kwh: float, cost_of_capital: float, **values: Any
    ) -> tuple[CostQuestion, pd.DataFrame, pd.DataFrame]:
        pairs = [part.partition("=") for part in (q.operating or "").split(",") if "=" in part]
        own = {key.strip(): float(value) for key, _, value in pairs}
        own |= {"electricity_usd_kwh": usd_kwh, "cost_of_capital": cost_of_capital}
        asked = q.but(providers="", operating=own, **values)
        return asked, used_hours_curves(asked), break_even_table(asked)

    def draw(answered: tuple[CostQuestion, pd.DataFrame, pd.DataFrame]) -> str:
        asked, curves, table = answered
        title = break_even_finding(asked, table)
        picture = cost_by_used_hours(curves, asked.currency, asked.used_hours_share, title)
        return figure(picture, title, title, tight=False).svg

    return Panel(shown, answer, draw)
