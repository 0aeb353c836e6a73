"""Hold the model of separate prefill and decode against the measurements; store its errors.

    python tools/write_disaggregated.py

Part of ``make calibrate``. Writes ``gpuspec/constants/disaggregated.csv``; then
``tools/write_errors.py`` writes the documentation's table.
"""

import csv

import numpy as np

from gpuspec.constants.disaggregated import TABLE
from gpuspec.constants.memory import memory_terms
from gpuspec.evidence.measurements.inference import METRICS, predicted_inference, prepared
from gpuspec.evidence.measurements.rows import measurements


def main() -> None:
    """Write the table."""
    rows = prepared(measurements("inference-disaggregated"))
    ratio = rows["value"].to_numpy() / predicted_inference(rows, memory=memory_terms())
    kinds = rows["metric"].map(METRICS)
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        write = csv.writer(file, lineterminator="\n").writerow
        write(("kind", "rows", "median", "p90", "low", "high"))
        for kind in sorted(set(kinds)):
            own = ratio[kinds == kind]
            errors = np.quantile(np.abs(1 / own - 1), (0.5, 0.9))
            numbers = (*errors, *np.quantile(own, (0.1, 0.9)))
            write((kind, len(own), *(f"{number:.3f}" for number in numbers)))


if __name__ == "__main__":
    main()
