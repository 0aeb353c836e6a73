"""Control panel of the cost notebook."""

from typing import Any

import pandas as pd

from gpuspec.topics.cost import CostQuestion, break_even_table, used_hours_curves
from gpuspec.topics.cost.pictures import cost_by_used_hours
from gpuspec.topics.cost.prices import DRIFTS
from gpuspec.topics.cost.words import break_even_finding
from gpuspec.views.display import figure
from gpuspec.views.panel import Panel, choice, controls, number


def cost_panel(question: CostQuestion) -> Panel:
    """Return a panel over the question "rent or own, at which use", started at `question`."""
    q, start = question, question.assumptions
    shown = {
        **controls(q, "used_hours_share", "horizon_months"),
        "drift": choice("drift", list(dict.fromkeys([q.drift, *DRIFTS])), q.drift),
        **controls(q, "currency"),
        "usd_kwh": number("USD/kWh", start.usd_kwh, 0, 10, "USD/kWh"),
        "cost_of_capital": number("capital cost", start.cost_of_capital, 0, 1, "a year"),
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

    return Panel(shown, answer, draw, question=q)
