"""How far predictions of MIG slices lie from published ones. Nothing is fitted to them."""

import numpy as np

from gpuspec.constants.stored import Stored
from gpuspec.evidence.fits.errors import summary
from gpuspec.evidence.fits.store import provenance
from gpuspec.evidence.measurements.mig import published_slices

LOADS = {"full load": True, "light load": False}


def calibrate() -> Stored:
    """Return everything that is stored: errors by load, and the least share that was given."""
    pairs = published_slices()
    error = np.log(pairs["measured"].to_numpy(float) / pairs["predicted"].to_numpy(float))
    sources = pairs["source_id"].to_numpy()
    groups = {name: (pairs["full"] == full).to_numpy() for name, full in LOADS.items()}
    groups["all"] = np.ones(len(pairs), bool)
    return {
        "errors": {name: summary(error[own], sources[own]) for name, own in groups.items()},
        "least_of_share": float((pairs["measured"] / pairs["share"]).min()),
        "provenance": provenance("mig", pairs, "no constant is fitted: every source is held out"),
    }
