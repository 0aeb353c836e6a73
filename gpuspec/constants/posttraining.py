"""Constants of reinforcement learning: what the formulas of engine and training leave open."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike
from pydantic import Field

from gpuspec.constants.stored import Interval, stored, stored_errors, stored_interval
from gpuspec.constants.terms import Terms

if TYPE_CHECKING:
    import pandas as pd


class PostTrainingTerms(Terms):
    """Fitted constants of an RL step; 1 is what engine and training framework take alone."""

    generation_factor: float = Field(1.2, ge=0.5, le=5.0)
    """Time of the answers over that of the engine by itself: log-probabilities of each token,
    replicas that wait for the one with the longest answers, rewards between."""
    training_factor: float = Field(1.2, ge=0.5, le=5.0)
    """Time of forward passes and updates over that of a tuned run of the training framework:
    uneven sequences, data that is moved between stages, buffers that are emptied."""
    transition_s: float = Field(5.0, ge=0.5, le=120.0)
    """Time of a step that neither explains: engines that fall asleep and wake, batches that are
    gathered and scattered, logging."""


def posttraining_terms() -> PostTrainingTerms:
    """Return the stored constants."""
    return PostTrainingTerms(**stored("posttraining")["terms"])


def posttraining_errors() -> "pd.DataFrame":
    """Return the held-out error of each figure; columns as in `stored_errors`."""
    return stored_errors("posttraining")


def posttraining_interval(
    value: ArrayLike, levels: Mapping[str, ArrayLike] | None = None, ground: ArrayLike = 0
) -> Interval:
    """Return the 80 % interval of the seconds of a step.

    `levels` may say ``placement``: ``in turns`` or ``at once``; what is not said has the width of
    all. `ground`: see `constants.ground`.
    """
    return stored_interval(value, "posttraining", "step", levels, ground=ground)
