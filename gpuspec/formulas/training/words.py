"""How a layout is written for a reader."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

SIZES = ("tp", "pp", "cp", "ep", "dp")


def parallel_sizes(layout: "Mapping[Any, float] | pd.Series") -> list[str]:
    """Return the sizes of a layout that split anything.

    >>> parallel_sizes({"tp": 4, "pp": 1, "cp": 1, "ep": 1, "dp": 2})
    ['TP 4', 'DP 2']
    """
    return [f"{name.upper()} {int(layout[name])}" for name in SIZES if layout[name] > 1]
