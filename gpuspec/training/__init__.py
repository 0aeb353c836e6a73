"""Training: seconds of a step, FLOP and utilisation."""

from gpuspec.training.flops import (
    CONVENTIONS,
    hardware_flops_per_token,
    model_flops_per_token,
    utilisation,
)
from gpuspec.training.step import PARTS, Machine, assembled, step_parts
from gpuspec.training.terms import TrainingTerms
from gpuspec.training.work import Work, step_work

__all__ = [
    "CONVENTIONS",
    "PARTS",
    "Machine",
    "TrainingTerms",
    "Work",
    "assembled",
    "hardware_flops_per_token",
    "model_flops_per_token",
    "step_parts",
    "step_work",
    "utilisation",
]
