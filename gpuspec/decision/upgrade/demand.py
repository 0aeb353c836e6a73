"""A workload by quarter, and a way to run a unit of it."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Way:
    """One way to run a unit of a workload: on which GPU, how many, how much that does."""

    gpu: str
    precision: str
    gpus: int
    output: float
    """Demand that a unit satisfies, a job: 1."""
    days: np.ndarray
    """(T,) of a job; 0 for a replica."""
    allowed: np.ndarray
    """(T,) whether deadline and limits hold."""
    split: str
    quantity: str
    """Which held-out error its capacity has."""


@dataclass(frozen=True)
class Demand:
    """A workload by quarter, the ways to run it, and why some GPUs have none."""

    name: str
    unit: str
    is_job: bool
    interruptible: bool
    """Whether it may run on spot GPUs: jobs only, which restart from a checkpoint."""
    demand: np.ndarray
    hunger_bytes: float
    hours_share: float
    ways: tuple[Way, ...]
    reasons: dict[str, str]
