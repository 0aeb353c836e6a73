"""How far predictions of separate prefill and decode lie from published ones. Nothing is fitted."""

import numpy as np

from gpuspec.constants.memory import memory_terms
from gpuspec.constants.stored import Stored
from gpuspec.evidence.fits.store import provenance
from gpuspec.evidence.measurements.described import described
from gpuspec.evidence.measurements.inference import METRICS, predicted_inference, prepared
from gpuspec.evidence.measurements.known import ground_record_of
from gpuspec.evidence.measurements.rows import measurements, publisher_of


def calibrate() -> Stored:
    """Return everything that is stored: errors by kind of figure, and what was measured."""
    rows = prepared(measurements("inference-disaggregated"))
    ratio = rows["value"].to_numpy() / predicted_inference(rows, memory=memory_terms())
    kinds = rows["metric"].map(METRICS)
    said = described("disaggregated", rows)
    publishers = publisher_of(rows).to_numpy(str)
    return {
        "errors": {kind: _errors(ratio[kinds == kind]) for kind in sorted(set(kinds))},
        "ground": {"disaggregated": ground_record_of("disaggregated", said, publishers)},
        "provenance": provenance(
            "inference_disaggregated", rows, "no constant is fitted: the publisher is held out"
        ),
    }


def _errors(ratio: np.ndarray) -> dict[str, float]:
    """Return errors of predictions, given measured / predicted, and what holds 80 % of them."""
    median, p90 = np.quantile(np.abs(1 / ratio - 1), (0.5, 0.9))
    low, high = np.quantile(ratio, (0.1, 0.9))
    found = {"median": median, "p90": p90, "low": low, "high": high}
    return {"rows": len(ratio), **{name: round(float(v), 3) for name, v in found.items()}}
