"""Fit the constants of training frameworks to published speeds of training."""

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import pandas as pd

from gpuspec.catalog import load_table
from gpuspec.constants.terms import Terms
from gpuspec.constants.training import TrainingTerms
from gpuspec.evidence.fits.hierarchy import Hierarchy
from gpuspec.evidence.measurements.training import (
    measured_step_seconds,
    predicted_step_seconds,
    training_work,
)
from gpuspec.formulas.training import assembled

PRIOR_WIDTH = {
    "matmul_factor": 0.04,
    "fp8_factor": 0.09,
    "row_factor": 0.09,
    "block_factor": 0.09,
    "hopper_factor": 0.015,
    "flash2_on_hopper": 0.04,
    "flash_on_ampere": 0.06,
    "flash3_factor": 0.06,
    "attention_factor": 0.24,
    "score_passes": 0.3,
    "elementwise_factor": 0.3,
    "fp8_passes": 0.42,
    "expert_factor": 0.24,
    "layer_us": 0.1,
    "separate_layer_us": 0.1,
    "head_passes": 0.42,
    "tp_exposed": 0.24,
    "tp_overlapped": 0.24,
    "tp_between": 0.1,
    "cp_exposed": 0.42,
    "ep_exposed": 0.42,
    "pp_exposed": 0.42,
    "pp_overlapped": 0.42,
    "handoff_ms": 0.3,
    "dp_exposed": 0.48,
    "zero1_exposed": 0.15,
    "zero3_exposed": 0.48,
    "bubble_factor": 0.12,
    "optimizer_factor": 0.36,
    "offload_gb_s": 0.3,
    "step_ms": 0.6,
    "jitter": 0.3,
}
OF_A_FRAMEWORK = {
    "layer_us": 6.0,
    "separate_layer_us": 6.0,
    "handoff_ms": 4.0,
    "tp_between": 4.0,
    "zero1_exposed": 3.0,
}
"""Constants that say little of another framework (its host, how it overlaps): how much wider they
may spread between frameworks than around the centre of all."""
NOISE = 0.08
"""Log error between publishers of one setting and of one job: `evidence.measurements.repeats`."""


@cache
def families() -> dict[str, str]:
    """Return the family of each framework of the table."""
    table = load_table("frameworks")
    return dict(zip(table["id"], table["family"], strict=True))


def _frameworks(rows: pd.DataFrame) -> "pd.Series[str]":
    return rows["framework"].astype(str)


class _Steps:
    """Steps whose work is computed once."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self.rows, self.work = rows, training_work(rows)

    def everything(
        self, terms: Mapping[str, TrainingTerms], crossed: Mapping[str, Terms] | None = None
    ) -> np.ndarray:
        """Return the seconds of each row's step."""
        return predicted_step_seconds(self.rows, terms, self.work)

    def part(self, chosen: np.ndarray) -> Callable[[TrainingTerms], np.ndarray]:
        """Return the seconds of the `chosen` rows as a function of one framework's constants."""
        work = self.work.rows(chosen)
        return lambda terms: np.asarray(sum(assembled(work, terms).values()))


FRAMEWORKS = Hierarchy(
    terms=TrainingTerms,
    widths=PRIOR_WIDTH,
    predictor=_Steps,
    measured=measured_step_seconds,
    member=_frameworks,
    family=lambda member: families().get(member, member),
    noise=NOISE,
    member_width=np.array([OF_A_FRAMEWORK.get(name, 1.0) for name in PRIOR_WIDTH]),
    tolerance=1e-4,
)
