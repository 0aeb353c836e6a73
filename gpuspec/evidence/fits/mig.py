"""How far predictions of MIG slices lie from published ones. Nothing is fitted to them."""

import numpy as np

from gpuspec.constants.stored import Stored
from gpuspec.evidence.fits.errors import Errors
from gpuspec.evidence.fits.store import provenance
from gpuspec.evidence.measurements.described import FACTORS, described
from gpuspec.evidence.measurements.known import ground_record_of
from gpuspec.evidence.measurements.mig import published_slices


def calibrate() -> Stored:
    """Return everything that is stored: errors by load, and the least share that was given."""
    pairs = published_slices()
    error = np.log(pairs["measured"].to_numpy(float) / pairs["predicted"].to_numpy(float))
    said = described("mig", pairs)
    of = Errors(error, pairs, said[FACTORS["mig"]], "mig", said)
    return {
        "errors": {
            **of.by(said["load"]),
            **of.by(said["size"]),
            "all": of.of(),
            **of.by_ground(),
        },
        "intervals": {"slice": of.interval},
        "ground": {"mig": ground_record_of("mig", said, of.publishers)},
        "least_of_share": float((pairs["measured"] / pairs["share"]).min()),
        "provenance": provenance(
            "mig", pairs, "no constant is fitted: every publisher is held out"
        ),
    }
