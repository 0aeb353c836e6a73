"""What to add to a fleet, when, and what runs where: a mixed-integer programme."""

from gpuspec.decision.upgrade.ask import Effort, UpgradeQuestion, upgrade_question
from gpuspec.decision.upgrade.compare import (
    compare,
    effort_break_even,
    effort_table,
    named_as,
    runner_up,
    strategy_table,
    unmet_shares,
    wait_table,
)
from gpuspec.decision.upgrade.elastic import what_gives
from gpuspec.decision.upgrade.problem import SITES, FleetProblem, Kinds, Limits, Work, check
from gpuspec.decision.upgrade.robust import draw, drawn_costs, sureness
from gpuspec.decision.upgrade.solve import PARTS, Plan, month_usd, solve
from gpuspec.decision.upgrade.strategies import (
    GROW,
    OPTIMUM,
    RENT,
    REPLACE,
    STAY,
    STRATEGIES,
    Strategy,
)
from gpuspec.decision.upgrade.tables import (
    HELD,
    capacity_table,
    gpus_table,
    moves_table,
    orders_table,
    pool_use,
    quarter_names,
    runs_table,
    short,
)

__all__ = [
    "GROW",
    "HELD",
    "OPTIMUM",
    "PARTS",
    "RENT",
    "REPLACE",
    "SITES",
    "STAY",
    "STRATEGIES",
    "Effort",
    "FleetProblem",
    "Kinds",
    "Limits",
    "Plan",
    "Strategy",
    "UpgradeQuestion",
    "Work",
    "capacity_table",
    "check",
    "compare",
    "draw",
    "drawn_costs",
    "effort_break_even",
    "effort_table",
    "gpus_table",
    "month_usd",
    "moves_table",
    "named_as",
    "orders_table",
    "pool_use",
    "quarter_names",
    "runner_up",
    "runs_table",
    "short",
    "solve",
    "strategy_table",
    "sureness",
    "unmet_shares",
    "upgrade_question",
    "wait_table",
    "what_gives",
]
