"""How far predictions of MIG slices lie from published ones. Nothing is fitted to them."""

from functools import cache

import numpy as np
import pandas as pd

from gpuspec.evidence.fits.errors import summary
from gpuspec.evidence.measurements.mig import mig_measurements, slice_pairs

LOADS = {"full load": True, "light load": False}


@cache
def published_slices() -> pd.DataFrame:
    """Return the published slices paired with their whole GPU; columns as in `slice_pairs`."""
    return slice_pairs(mig_measurements())


def slice_errors() -> pd.DataFrame:
    """Return the error of slice over whole GPU, one row a load, and one for all.

    Columns as in `inference_errors`. The prediction has no constant that was fitted to these
    rows, so every source counts as held out. ``full load``: the batch fills the whole GPU, and a
    slice is expected to give its share of the SMs. ``light load``: it does not.
    """
    pairs = published_slices()
    error = np.log(pairs["measured"].to_numpy(float) / pairs["predicted"].to_numpy(float))
    sources = pairs["source_id"].to_numpy()
    groups = {name: (pairs["full"] == full).to_numpy() for name, full in LOADS.items()}
    groups["all"] = np.ones(len(pairs), bool)
    found = {name: summary(error[rows], sources[rows]) for name, rows in groups.items()}
    return pd.DataFrame(found).T.rename_axis("load")


def least_of_share() -> float:
    """Return the least that a published slice gave of its share of the whole GPU's speed."""
    pairs = published_slices()
    return float((pairs["measured"] / pairs["share"]).min())
