"""Scenarios: what a buyer has, needs and may spend, read from one file and checked once."""

from gpuspec.scenario.reading import (
    SHIPPED,
    asked_scenario,
    changed,
    owned_list,
    scenario,
    scenario_names,
)
from gpuspec.scenario.records import (
    HOURS_PER_MONTH,
    MODES,
    Allow,
    Budget,
    Hpc,
    Images,
    Inference,
    Limits,
    Owned,
    Prices,
    Scenario,
    Tenants,
    Training,
    Workload,
)

__all__ = [
    "HOURS_PER_MONTH",
    "MODES",
    "SHIPPED",
    "Allow",
    "Budget",
    "Hpc",
    "Images",
    "Inference",
    "Limits",
    "Owned",
    "Prices",
    "Scenario",
    "Tenants",
    "Training",
    "Workload",
    "asked_scenario",
    "changed",
    "owned_list",
    "scenario",
    "scenario_names",
]
