"""How wrong a price is some months later: earlier rows of a series predict its later ones."""

import numpy as np
import pandas as pd

from gpuspec.catalog import load_table

FROM, TO = ("2026-05-01", "2026-06-30"), ("2026-10-01", "2026-11-30")
"""Rows that predict, and rows that are predicted."""
PRICE_SPREAD = 0.35
"""Relative error that a price half a year old may have: the worst of `back_test`, rounded up to
five per cent. It makes the band of a price for which no low and high were seen."""


def back_test() -> pd.DataFrame:
    """Predict the last row of each series within `TO` by its last row within `FROM`, unchanged.

    One row a series that has both: ``series``, ``gpu_id``, ``mode``, dates, prices and ``error``
    (predicted over actual, less 1: below 0 where prices have risen).
    """
    trend = load_table("prices-trend")
    trend = trend[trend["used"]].sort_values("as_of", kind="stable")
    first = _last_within(trend, FROM)
    last = _last_within(trend, TO)
    both = first.merge(last, on="series", suffixes=("", "_later"))
    both["error"] = both["price_gpu_hour"] / both["price_gpu_hour_later"] - 1
    columns = ["series", "gpu_id", "mode", "as_of", "price_gpu_hour"]
    columns += ["as_of_later", "price_gpu_hour_later", "error"]
    return both[columns].sort_values("error", ignore_index=True, kind="stable")


def error_summary(errors: pd.DataFrame) -> dict[str, float]:
    """Return number of series, median, 90th percentile and worst of absolute errors, and bias."""
    size = errors["error"].abs().to_numpy()
    if not len(size):
        return {"series": 0}
    return {
        "series": len(size),
        "median": float(np.median(size)),
        "p90": float(np.quantile(size, 0.9)),
        "worst": float(size.max()),
        "bias": float(errors["error"].mean()),
    }


def _last_within(trend: pd.DataFrame, span: tuple[str, str]) -> pd.DataFrame:
    inside = trend[(trend["as_of"] >= span[0]) & (trend["as_of"] <= span[1])]
    return inside.drop_duplicates("series", keep="last")
