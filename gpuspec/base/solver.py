"""The one way in which rows and columns go to HiGHS.

References
----------
Huangfu and Hall 2018, doi:10.1007/s12532-017-0130-5.
"""

import highspy
import numpy as np

FEASIBLE = 2
"""A solver's word for a solution that keeps all rows."""


def loaded(
    cost: np.ndarray,
    upper: np.ndarray,
    entries: tuple[np.ndarray, np.ndarray, np.ndarray],
    low: np.ndarray,
    high: np.ndarray,
) -> highspy.Highs:
    """Return a solver with a programme whose N columns lie between 0 and `upper` (N,).

    `entries` are rows, columns and values (those of one place add up); each of the M rows lies
    between `low` and `high` (M,).
    """
    row, column, value = entries
    place, back = np.unique(row * len(cost) + column, return_inverse=True)
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(cost), len(low)
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = cost, np.zeros(len(cost)), upper
    lp.row_lower_, lp.row_upper_ = low, high
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    starts = np.searchsorted(place, np.arange(len(low) + 1) * len(cost))
    lp.a_matrix_.start_ = starts.astype(np.int32)
    lp.a_matrix_.index_ = (place % len(cost)).astype(np.int32)
    lp.a_matrix_.value_ = np.bincount(back, value).astype(np.float64)
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    solver.passModel(lp)
    return solver


def whole(solver: highspy.Highs, columns: np.ndarray, are: bool = True) -> None:
    """Say that columns take whole numbers alone, or any."""
    kind = highspy.HighsVarType.kInteger if are else highspy.HighsVarType.kContinuous
    solver.changeColsIntegrality(
        len(columns), columns.astype(np.int32), np.full(len(columns), kind)
    )
