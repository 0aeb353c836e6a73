"""What the programme decides on: plain arrays, checked once."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gpuspec.base.errors import InputError

SITES = ("pool", "by the hour", "spot")
"""Where a unit of work runs: on the nodes of the quarter, owned or rented; a job also by the
hour, interruptible or not."""
QUARTERS_A_YEAR = 4


@dataclass(frozen=True)
class Kinds:
    """The kinds of node, K of them, over T quarters; money in USD of the start.

    Rents are a GPU-quarter, everything else a node. A price that is NaN is not offered.
    """

    names: tuple[str, ...]
    owned: np.ndarray
    """(K,) nodes at the start."""
    capital: np.ndarray
    """(K, T) price of a node ordered in a quarter, network included."""
    residual: np.ndarray
    """(K, T) what that node is worth when the horizon ends."""
    resale: np.ndarray
    """(K, T + 1) what a node owned from the start brings at the start of a quarter, or kept
    to the end."""
    fixed: np.ndarray
    """(K,) space, maintenance and staff of an owned node for a quarter."""
    energy: np.ndarray
    """(K,) energy of a busy owned GPU for a quarter."""
    power_kw: np.ndarray
    """(K,) rating of an owned node."""
    on_demand: np.ndarray
    """(K, T) rent of a GPU for a quarter."""
    spot: np.ndarray
    """(K, T) the same, interruptions included."""
    committed: np.ndarray
    """(C, K, T) rent of a GPU for a quarter under a commitment made in quarter t."""
    terms: tuple[int, ...] = (4,)
    """(C,) quarters of each commitment; none is signed that outlasts the horizon."""
    introduce: Any = 0.0
    """(K,) one-off effort of running a kind at all: driver, images, monitoring."""
    node_gpus: int = 8
    rental_gpus: int = 1
    """GPUs of the smallest unit that is rented by the hour."""

    @property
    def is_new(self) -> np.ndarray:
        """Return (K,) whether none of a kind is owned at the start."""
        return self.owned == 0


@dataclass(frozen=True)
class Work:
    """W workloads over T quarters and O ways to run a unit of them.

    A unit is a replica of a service or one job. A workload splits over kinds and sites in whole
    units only.
    """

    names: tuple[str, ...]
    demand: np.ndarray
    """(W, T) requests/s, images/s or jobs a quarter."""
    is_job: np.ndarray
    """(W,) jobs share GPUs in time; replicas keep theirs for the quarter."""
    interruptible: np.ndarray
    """(W,) may run on spot capacity."""
    hunger: np.ndarray
    """(W,) bytes of memory that a unit needs: the article's order of what moves first."""
    workload: np.ndarray
    """(O,) row of the workload that an option runs."""
    kind: np.ndarray
    """(O,) row of the kind that it runs on."""
    gpus: np.ndarray
    """(O,) GPUs that a unit needs at once: a divisor or a multiple of a node's."""
    gpu_quarters: np.ndarray
    """(O, T) GPU-quarters that a unit takes."""
    output: np.ndarray
    """(O,) demand that a unit satisfies."""
    allowed: np.ndarray
    """(O, T) whether it meets deadline and limits in that quarter."""
    hours_share: np.ndarray
    """(O,) share of the hours that it is paid for where it is rented by the hour."""
    move_usd: np.ndarray
    """(O,) one-off effort before the workload runs in this way at all; 0 for today's way."""


@dataclass(frozen=True)
class Limits:
    """What the plan may not exceed; infinite where nothing is asked."""

    capital_usd: float = np.inf
    capital_quarter_usd: float = np.inf
    month_usd: float = np.inf
    """Rent and running costs of a month."""
    power_kw: float = np.inf
    gpus: float = np.inf
    """GPUs owned, committed and rented for replicas at a time."""

    def asked(self) -> dict[str, float]:
        """Return the limits that bind at all."""
        return {name: value for name, value in vars(self).items() if np.isfinite(value)}


@dataclass(frozen=True)
class FleetProblem:
    """One question: kinds, work, limits, and how money counts over time."""

    kinds: Kinds
    work: Work
    limits: Limits = field(default_factory=Limits)
    discount_year: float = 0.09
    """Cost of capital."""
    lead_quarters: int = 1
    """Quarters from order to use of a bought node."""
    order_every: int = 4
    """Quarters between rounds of ordering and of signing commitments; 1: any quarter."""
    unmet_factor: float = 10.0
    """Price of work that is not done, in multiples of renting for it by the hour."""

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """Return (kinds, quarters, workloads, options, commitments)."""
        kinds, quarters = self.kinds.capital.shape
        return kinds, quarters, len(self.work.names), len(self.work.kind), len(self.kinds.terms)

    def factor(self, quarter: Any) -> Any:
        """Return what a dollar of a quarter (0.5: its middle) is worth at the start."""
        return (1 + self.discount_year) ** (-np.asarray(quarter, float) / QUARTERS_A_YEAR)


def check(problem: FleetProblem) -> FleetProblem:
    """Return the problem when its arrays fit together.

    Raises
    ------
    InputError
        Names the array and the shape or values that it needs.
    """
    k, t, w, o, c = problem.shape
    kinds, work = problem.kinds, problem.work
    shapes: dict[str, tuple[int, ...]] = {"owned": (k,), "committed": (c, k, t)}
    shapes |= {"resale": (k, t + 1), **dict.fromkeys(("residual", "on_demand", "spot"), (k, t))}
    shapes |= {"demand": (w, t), "gpu_quarters": (o, t), "allowed": (o, t)}
    for name, shape in shapes.items():
        given = np.shape(getattr(work if hasattr(work, name) else kinds, name))
        if given != shape:
            raise InputError(name, given, f"give an array of shape {shape}")
    node = kinds.node_gpus
    # Replicas must nest in nodes; counts of jobs are those of their ways.
    odd = [int(g) for g in work.gpus[~work.is_job[work.workload]] if node % g and g % node]
    if odd:
        raise InputError("gpus", odd[0], f"give divisors or multiples of a node's {node} GPUs")
    if (np.asarray(work.demand) < 0).any():
        raise InputError("demand", float(np.min(work.demand)), "give 0 or more")
    return problem
