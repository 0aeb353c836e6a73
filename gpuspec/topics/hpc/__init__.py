"""A simulation on GPUs: the question, and the tables that answer it."""

from gpuspec.topics.hpc.answer import (
    amdahl_table,
    class_scaling_table,
    energy_table,
    scaling_table,
    speed_table,
)
from gpuspec.topics.hpc.ask import HpcQuestion
from gpuspec.topics.hpc.classes import class_seconds, class_table, published_ratios, roofline_table
from gpuspec.topics.hpc.dynamic import dpx_pair, dynamic_table, published_dynamic, seven_times_table
from gpuspec.topics.hpc.published import published_scaling, scaling_errors
