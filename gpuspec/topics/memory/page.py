"""Tables as a page shows them."""

import pandas as pd

from gpuspec.views import columns


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table for a page: bytes in GiB, columns under names that a reader knows."""
    needs = {c: str(c).replace("needs ", "GPUs: ") for c in table if str(c).startswith("needs ")}
    return columns.readable(table.rename(columns=needs))
