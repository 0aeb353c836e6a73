"""Columns and rows of a programme, collected before the solver sees them."""

from typing import Any

import numpy as np
from scipy.sparse import csr_array


class Columns:
    """Variables with their bounds and costs."""

    def __init__(self) -> None:
        self.lower: list[np.ndarray] = []
        self.upper: list[np.ndarray] = []
        self.cost: list[np.ndarray] = []
        self.whole: list[np.ndarray] = []
        self.size = 0

    def add(
        self, shape: tuple[int, ...], upper: Any = np.inf, cost: Any = 0.0, whole: bool = True
    ) -> np.ndarray:
        """Add variables from 0 to `upper` and return their places, in the given shape."""
        size = int(np.prod(shape))
        places = np.arange(self.size, self.size + size).reshape(shape)
        self.lower.append(np.zeros(size))
        self.upper.append(np.broadcast_to(np.asarray(upper, float), shape).ravel().copy())
        self.cost.append(np.broadcast_to(np.asarray(cost, float), shape).ravel().copy())
        self.whole.append(np.full(size, int(whole)))
        self.size += size
        return places


class Rows:
    """Constraints ``lower <= sum of coefficient x variable <= upper``."""

    def __init__(self) -> None:
        self.entries: list[tuple[np.ndarray, np.ndarray]] = []
        self.lower: list[float] = []
        self.upper: list[float] = []

    def add(self, *terms: tuple[Any, Any], lower: float = -np.inf, upper: float = np.inf) -> None:
        """Add one row from (places, coefficients) pairs; a coefficient may be a scalar."""
        places = [np.ravel(p) for p, _ in terms]
        values = [np.broadcast_to(np.asarray(v, float), np.shape(p)).ravel() for p, v in terms]
        self.entries.append((np.concatenate(places), np.concatenate(values)))
        self.lower.append(lower)
        self.upper.append(upper)

    def matrix(self, columns: int) -> csr_array:
        """Return the coefficients as a sparse matrix."""
        counts = [len(p) for p, _ in self.entries]
        row = np.repeat(np.arange(len(counts)), counts)
        column = np.concatenate([p for p, _ in self.entries])
        value = np.concatenate([v for _, v in self.entries])
        return csr_array((value, (row, column)), shape=(len(counts), columns))
