"""What to add to a fleet, when, and what runs where: a mixed-integer programme."""

from gpuspec.decision.upgrade.ask import UpgradeQuestion
from gpuspec.decision.upgrade.compare import (
    compare,
    effort_break_even,
    effort_table,
    runner_up,
    strategy_table,
    unmet_shares,
    wait_table,
)
from gpuspec.decision.upgrade.elastic import what_gives
from gpuspec.decision.upgrade.problem import FleetProblem, Kinds, Limits, Work, check
from gpuspec.decision.upgrade.robust import draw, drawn_costs, sureness
from gpuspec.decision.upgrade.solve import PARTS, Plan, month_usd, solve
from gpuspec.decision.upgrade.strategies import GROW, OPTIMUM, STRATEGIES, Strategy
from gpuspec.decision.upgrade.tables import (
    HELD,
    capacity_table,
    gpus_table,
    moves_table,
    orders_table,
    quarter_names,
    runs_table,
    short,
)
