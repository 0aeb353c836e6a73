"""How far neighbouring TensorRT-LLM pages differ on the same case: what no model can know.

python benchmarks/versions.py
"""

from itertools import pairwise

import numpy as np

from gpuspec.evidence.measurements.inference import prepared
from gpuspec.evidence.measurements.rows import measurements

CASE = ["gpu", "model", "weight_precision", "tp", "isl", "osl"]
PAGES = tuple(f"trtllm-0.{n}" for n in (10, 11, 12, 13, 15, 17, 19, 20, 21))


def main():
    rows = prepared(measurements("inference"))
    rows = rows[rows["source_id"].isin(PAGES) & (rows["scenario"] == "inflight_max")]
    table = np.log(rows.pivot_table(index=CASE, columns="source_id", values="value"))
    for old, new in pairwise(PAGES):
        change = (table[new] - table[old]).dropna()
        median, most = change.abs().quantile([0.5, 0.9])
        print(f"{old} to {new}: {len(change)} cases, median {median:.1%}, 90 % below {most:.1%}")


if __name__ == "__main__":
    main()
