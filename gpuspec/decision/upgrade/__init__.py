"""What to add to a fleet, when, and what runs where: the plan of a scenario, seen over quarters."""

from gpuspec.decision.upgrade.ask import UpgradeQuestion
from gpuspec.decision.upgrade.tables import (
    HELD,
    STRATEGIES,
    drift_table,
    effort_table,
    gpus_table,
    orders_table,
    period_names,
    runs_table,
    strategy_table,
    ways_table,
)
