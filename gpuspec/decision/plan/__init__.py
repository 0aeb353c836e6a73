"""The planner: what to buy or rent, how to run it, how sure that is, what would change it."""

from gpuspec.planner.breakeven import break_evens
from gpuspec.planner.decision import Decision, decide, front
from gpuspec.planner.market import market
from gpuspec.planner.nearest import nearest
from gpuspec.planner.options import Options, pareto, priced_options
from gpuspec.planner.reasons import rejected
from gpuspec.planner.rows import Technical
from gpuspec.planner.sensitivity import gap, plan_words, tornado
from gpuspec.planner.technical import technical

__all__ = [
    "Decision",
    "Options",
    "Technical",
    "break_evens",
    "decide",
    "front",
    "gap",
    "market",
    "nearest",
    "pareto",
    "plan_words",
    "priced_options",
    "rejected",
    "technical",
    "tornado",
]
