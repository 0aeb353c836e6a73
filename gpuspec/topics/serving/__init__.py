"""Which GPUs serve a load, how many, split how, and how fast: tables for decisions."""

from gpuspec.deploy.fleets import fleet_rates, fleet_requests
from gpuspec.deploy.options import best_options, options_table
from gpuspec.deploy.question import InferenceQuestion, inference_question, service_question
from gpuspec.deploy.space import evaluate_options
from gpuspec.deploy.tables import (
    arrivals_table,
    context_table,
    estimate_table,
    form_table,
    frontier_table,
    images_table,
    precision_table,
    ratio_map,
)

__all__ = [
    "InferenceQuestion",
    "arrivals_table",
    "best_options",
    "context_table",
    "estimate_table",
    "evaluate_options",
    "fleet_rates",
    "fleet_requests",
    "form_table",
    "frontier_table",
    "images_table",
    "inference_question",
    "options_table",
    "precision_table",
    "ratio_map",
    "service_question",
]
