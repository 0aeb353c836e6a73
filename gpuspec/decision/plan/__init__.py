"""The answer as a plan for a buyer: page 1, tables, pictures, and what would change it."""

from gpuspec.decision.alone import alone
from gpuspec.decision.decide import Decision, decide
from gpuspec.decision.gives import what_gives
from gpuspec.decision.money import every_offer, market
from gpuspec.decision.plan.breakeven import break_evens
from gpuspec.decision.plan.sensitivity import gap, tornado
