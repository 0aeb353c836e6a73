"""What learning a few own rows does to the errors of the others, on the shipped measurements.

    python benchmarks/learning.py [ROWS...]     # 1, 5 and 20 unless given

Each publisher in turn is the user: left out of the fit and of the weights, some rows of it learnt
(`REPEATS` random choices), the rest predicted. Printed are means over publishers and, beside them,
the ratio of the medians over publishers.
"""

import sys

import pandas as pd

from gpuspec.constants.learnt import TOPICS
from gpuspec.evidence.fits.learning import backtest


def main(counts: list[int]) -> None:
    """Print a table for each number of rows."""
    for count in counts:
        lines = []
        for topic in TOPICS:
            found = pd.DataFrame(backtest(topic, count))
            if found.empty:
                continue
            mean, middle = found.mean(numeric_only=True), found.median(numeric_only=True)
            lines.append(
                {
                    "kind": topic,
                    "publishers": len(found),
                    "median error": f"{mean['before']:.1%}",
                    "once learnt": f"{mean['after']:.1%}",
                    "lower by": f"{1 - mean['after'] / mean['before']:.0%}",
                    "of the median publisher by": f"{1 - middle['after'] / middle['before']:.0%}",
                    "inside before": f"{mean['inside_before']:.0%}",
                    "inside": f"{mean['inside']:.0%}",
                    "width": f"{mean['width']:.2f}",
                }
            )
        print(f"\n{count} rows learnt\n{pd.DataFrame(lines).to_string(index=False)}")


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [1, 5, 20])
