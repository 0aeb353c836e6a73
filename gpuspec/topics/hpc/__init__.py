"""A simulation on GPUs: the question, and the tables that answer it."""

from gpuspec.simulation.classes import (
    class_seconds,
    class_table,
    published_ratios,
    roofline_table,
)
from gpuspec.simulation.dynamic import (
    dpx_pair,
    dynamic_table,
    published_dynamic,
    seven_times_table,
)
from gpuspec.simulation.question import SimulationQuestion, simulation_question
from gpuspec.simulation.tables import (
    amdahl_table,
    class_scaling_table,
    energy_table,
    scaling_table,
    speed_table,
)

__all__ = [
    "SimulationQuestion",
    "amdahl_table",
    "class_scaling_table",
    "class_seconds",
    "class_table",
    "dpx_pair",
    "dynamic_table",
    "energy_table",
    "published_dynamic",
    "published_ratios",
    "roofline_table",
    "scaling_table",
    "seven_times_table",
    "simulation_question",
    "speed_table",
]
