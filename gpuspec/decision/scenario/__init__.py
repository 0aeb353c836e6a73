"""Scenarios: what a buyer has, needs and may spend, read from one file and checked once."""

from gpuspec.decision.scenario.ask import DecisionQuestion, asked_scenario, scenario_of
from gpuspec.decision.scenario.line import WORK, Line, owned_list
from gpuspec.decision.scenario.reading import SHIPPED, changed, parsed, scenario, scenario_names
from gpuspec.decision.scenario.records import (
    Hpc,
    Images,
    Inference,
    Owned,
    Scenario,
    Tenants,
    Training,
    Workload,
)
