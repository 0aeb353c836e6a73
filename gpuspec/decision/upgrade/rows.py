"""Columns and rows of a programme, collected before the solver sees them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array

from gpuspec.decision.upgrade.problem import FleetProblem

Term = tuple[ArrayLike, ArrayLike]
"""Places of variables, and their coefficients: as many, or one for all."""


class Columns:
    """Variables with their bounds and costs."""

    def __init__(self) -> None:
        self.upper: list[np.ndarray] = []
        self.cost: list[np.ndarray] = []
        self.whole: list[np.ndarray] = []
        self.size = 0

    def add(
        self,
        shape: tuple[int, ...],
        upper: ArrayLike = np.inf,
        cost: ArrayLike = 0.0,
        whole: bool = True,
    ) -> np.ndarray:
        """Add variables from 0 to `upper` and return their places, in the given shape."""
        size = int(np.prod(shape))
        places = np.arange(self.size, self.size + size).reshape(shape)
        self.upper.append(np.broadcast_to(np.asarray(upper, float), shape).ravel().copy())
        self.cost.append(np.broadcast_to(np.asarray(cost, float), shape).ravel().copy())
        self.whole.append(np.full(size, int(whole)))
        self.size += size
        return places


class Rows:
    """Constraints ``lower <= sum of coefficient x variable <= upper``, each with a name."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.entries: list[tuple[np.ndarray, np.ndarray]] = []
        self.lower: list[float] = []
        self.upper: list[float] = []

    def add(self, name: str, *terms: Term, lower: float = -np.inf, upper: float = np.inf) -> None:
        """Add one row from (places, coefficients) pairs; a coefficient may be a scalar."""
        places = [np.ravel(p) for p, _ in terms]
        values = [np.broadcast_to(np.asarray(v, float), np.shape(p)).ravel() for p, v in terms]
        self.names.append(name)
        self.entries.append((np.concatenate(places), np.concatenate(values)))
        self.lower.append(lower)
        self.upper.append(upper)

    def named(self, name: str) -> list[int]:
        """Return the places of the rows of a name."""
        return [row for row, each in enumerate(self.names) if each == name]

    def matrix(self, columns: int) -> csr_array:
        """Return the coefficients as a sparse matrix."""
        counts = [len(p) for p, _ in self.entries]
        row = np.repeat(np.arange(len(counts)), counts)
        column = np.concatenate([p for p, _ in self.entries])
        value = np.concatenate([v for _, v in self.entries])
        return csr_array((value, (row, column)), shape=(len(counts), columns))


@dataclass(frozen=True)
class Terms:
    """Places of the variables that say what is held and used, or their values in a plan."""

    problem: FleetProblem
    bought: np.ndarray
    retired: np.ndarray
    commits: np.ndarray
    units: np.ndarray
    busy: np.ndarray

    def owned(self, kind: int, quarter: int, each: float) -> tuple[list[Term], float]:
        """Return the terms of `each` x owned nodes of a kind in a quarter, and the constant."""
        usable = max(quarter - self.problem.lead_quarters + 1, 0)
        arrived, sold = self.bought[kind, :usable], self.retired[kind, : quarter + 1]
        return [(arrived, each), (sold, -each)], each * float(self.problem.kinds.owned[kind])

    def committed(self, kind: int, quarter: int, each: ArrayLike) -> list[Term]:
        """Return the terms of nodes under a commitment, `each` (C, T) by the quarter it began."""
        value = np.broadcast_to(each, (self.commits.shape[0], self.commits.shape[2]))
        spans = [slice(max(quarter - n + 1, 0), quarter + 1) for n in self.problem.kinds.terms]
        return [(self.commits[c, kind, s], value[c, s]) for c, s in enumerate(spans)]
