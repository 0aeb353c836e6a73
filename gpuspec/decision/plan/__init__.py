"""The planner: what to buy or rent, how to run it, how sure that is, what would change it."""

from gpuspec.decision.money import market
from gpuspec.decision.plan.breakeven import break_evens
from gpuspec.decision.plan.decision import Decision, decide, front
from gpuspec.decision.plan.nearest import nearest
from gpuspec.decision.plan.options import Options
from gpuspec.decision.plan.reasons import rejected
from gpuspec.decision.plan.sensitivity import gap, tornado
