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
    "matmul_factor": 0.1,
    "fp8_factor": 0.15,
    "hopper_factor": 0.06,
    "flash2_on_hopper": 0.08,
    "attention_factor": 0.4,
    "score_passes": 0.5,
    "elementwise_factor": 0.5,
    "fp8_passes": 0.7,
    "expert_factor": 0.4,
    "layer_us": 0.7,
    "head_passes": 0.7,
    "tp_exposed": 0.4,
    "cp_exposed": 0.7,
    "ep_exposed": 0.7,
    "pp_exposed": 0.7,
    "dp_exposed": 0.8,
    "bubble_factor": 0.2,
    "optimizer_factor": 0.6,
    "offload_gb_s": 0.5,
    "step_ms": 1.0,
    "jitter": 0.5,
}
NOISE = 0.05


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
)
