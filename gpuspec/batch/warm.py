"""What a process that answers questions has loaded before: modules, tables, the draws' errors."""

import gpuspec.batch.work
import gpuspec.decision.plan.breakeven
import gpuspec.decision.plan.outside
import gpuspec.decision.plan.record
import gpuspec.decision.plan.words_worth  # noqa: F401
from gpuspec.batch.edition import edition
from gpuspec.decision.decide import problem_of
from gpuspec.decision.scenario import scenario

edition()
for _name in ("small-team", "article-b"):
    problem_of(scenario(_name))  # no more: a solver that has run has threads, which a fork loses
