"""Which GPUs serve a load, how many, split how, and how fast: tables for decisions."""

from gpuspec.topics.serving.answer import (
    apart_table,
    arrivals_table,
    context_table,
    day_table,
    estimate_table,
    estimates,
    form_table,
    frontier_table,
    images_table,
    precision_table,
    ratio_map,
)
from gpuspec.topics.serving.ask import (
    ImagesQuestion,
    ServingQuestion,
)
from gpuspec.topics.serving.fleets import fleet_capacity
from gpuspec.topics.serving.options import best_options, best_rows, options_table
from gpuspec.topics.serving.space import evaluate_options
