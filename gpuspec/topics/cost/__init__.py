"""Cost questions as tables: what a GPU-hour, a token, a run costs, and what decides it."""

from gpuspec.topics.cost.ask import CostedWork, CostQuestion
from gpuspec.topics.cost.compare import (
    break_even_table,
    drift_table,
    month_curves,
    spot_table,
    used_hours_curves,
)
from gpuspec.topics.cost.drivers import driver_table
from gpuspec.topics.cost.hours import (
    age_table,
    china_table,
    parts_table,
    ways_table,
    with_unpriced,
)
from gpuspec.topics.cost.trend import backtest_table, trend_change, trend_table
from gpuspec.topics.cost.work import (
    claims_table,
    runs_table,
    simulation_table,
    summary_table,
    tokens_table,
)
