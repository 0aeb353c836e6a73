"""Cost questions as tables: what a GPU-hour, a token, a run costs, and what decides it."""

from gpuspec.money.compare import (
    break_even_table,
    drift_table,
    month_curves,
    spot_table,
    utilisation_curves,
)
from gpuspec.money.drivers import driver_table
from gpuspec.money.hours import age_table, amount, china_table, parts_table, ways_table
from gpuspec.money.question import CostQuestion, cost_question
from gpuspec.money.trend import backtest_table, trend_change, trend_table
from gpuspec.money.work import (
    claims_table,
    runs_table,
    simulation_table,
    summary_table,
    tokens_table,
)

__all__ = [
    "CostQuestion",
    "age_table",
    "amount",
    "backtest_table",
    "break_even_table",
    "china_table",
    "claims_table",
    "cost_question",
    "drift_table",
    "driver_table",
    "month_curves",
    "parts_table",
    "runs_table",
    "simulation_table",
    "spot_table",
    "summary_table",
    "tokens_table",
    "trend_change",
    "trend_table",
    "utilisation_curves",
    "ways_table",
]
