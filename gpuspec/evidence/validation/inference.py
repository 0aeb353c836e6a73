"""Hold the model of inference against anybody's measurements."""

import numpy as np
import pandas as pd

from gpuspec.constants.inference import inference_interval
from gpuspec.constants.memory import memory_terms
from gpuspec.evidence.measurements.inference import (
    METRICS,
    era_of,
    predicted_inference,
    prepared,
    skip_reasons,
)
from gpuspec.evidence.measurements.pairs import matched_pairs
from gpuspec.evidence.measurements.rows import numbers
from gpuspec.evidence.validation.common import (
    CASE,
    Columns,
    Kind,
    ratios,
    with_interval,
)

COLUMNS = Columns(
    needed=(
        *CASE,
        "n_gpus",
        "tp",
        "model",
        "weight_precision",
        "engine",
        "isl",
        "osl",
        "scenario",
        "metric",
        "value",
    ),
    numbers={
        **dict.fromkeys(("n_gpus", "tp", "value"), True),
        **dict.fromkeys(("pp", "ep", "isl", "osl", "batch_size"), False),
        **dict.fromkeys(("concurrency", "request_rate", "requests"), False),
        **dict.fromkeys(("max_sequences", "max_tokens"), False),
    },
    least=dict.fromkeys(("n_gpus", "tp", "pp", "ep"), 1),
    endless=("request_rate",),
)


def _compared(rows: pd.DataFrame) -> pd.DataFrame:
    quantity = rows["metric"].map(METRICS)
    rows = rows.assign(quantity=quantity)
    rows["era"] = era_of(rows) if len(rows) else pd.Series(dtype=object)
    rows = with_interval(rows, quantity, inference_interval)
    rows["error"] = np.log(rows["predicted"] / rows["value"])
    rows["inside"] = rows["value"].between(rows["low"], rows["high"])
    return rows


UNFIT = "by our reckoning the model does not fit"
INFERENCE = Kind(
    columns=COLUMNS,
    check=lambda row: None,
    named=lambda rows: rows,
    skipped=lambda rows: skip_reasons(prepared(rows)),
    prepared=prepared,
    predicted=lambda rows: predicted_inference(rows, memory=memory_terms()),
    compared=_compared,
    ratios=lambda rows: ratios(rows, matched_pairs(rows), *numbers(rows, "value", "predicted")),
    silent=f"{UNFIT} these GPUs",
    unstored=UNFIT,
)
