"""Published latency with prompts and answers on separate GPUs, and its prediction.

``tp``, ``pp``, ``ep`` and ``attention_dp`` of a row are those of one decode worker; the columns
here are those of a prefill worker, and how many there are of each.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from gpuspec.base.units import Floats
from gpuspec.evidence.measurements.rows import Row, groups, numbers
from gpuspec.formulas.serving import Client, Deployment, Layout
from gpuspec.formulas.serving.disaggregated import Disaggregated, disaggregated

PREFILL = {
    "tp": "prefill_tp",
    "pp": "prefill_pp",
    "ep": "prefill_ep",
    "attention_dp": "prefill_attention_dp",
}
"""Fields of a layout, and the columns that hold them of a prefill worker."""
WORKERS = ("prefill_workers", "decode_workers")
COLUMNS = {**dict.fromkeys(PREFILL.values(), 1), **dict.fromkeys(WORKERS, 0)}
"""Columns of the two sides, and what blank means."""


def why_not(row: Row) -> str:
    """Return what a row lacks; empty where it says all."""
    lacking = [name for name in (*WORKERS, "concurrency") if not row[name] > 0]
    return f"{lacking[0]} is blank" if lacking else ""


def prefill_of(layout: Layout, row: Row) -> Layout:
    """Return the layout of a row's prefill workers, given that of its decode workers."""
    own = {name: getattr(layout, name) for name in Layout.model_fields}
    return Layout(**own | {name: int(row[column]) for name, column in PREFILL.items()})


def latency(replica: Deployment, rows: pd.DataFrame, client: Client) -> Mapping[str, Floats]:
    """Return ``ttft_s``, ``tpot_s`` and ``output_tokens_s`` (of all workers) of prepared rows.

    Workers are taken to stand in nodes of their own, which the network joins.
    """
    found = {name: np.zeros(len(rows)) for name in ("ttft_s", "tpot_s", "output_tokens_s")}
    for about, index in groups(rows, [*PREFILL.values(), *WORKERS]):
        pair = Disaggregated(
            prefill=replica.model_copy(update={"layout": prefill_of(replica.layout, about)}),
            decode=replica,
            prefill_workers=int(about["prefill_workers"]),
            decode_workers=int(about["decode_workers"]),
        )
        columns = ("concurrency", "isl", "osl", "requests")
        load, isl, osl, requests = numbers(rows.iloc[index], *columns)
        run = np.where(requests > 0, requests, np.inf)
        seen = disaggregated(pair, load, isl, osl, client=client, requests=run)
        for name in found:
            found[name][index] = seen[name]  # type: ignore[literal-required]
    return found
