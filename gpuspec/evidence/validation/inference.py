"""Hold the model of inference against anybody's measurements."""

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError
from gpuspec.base.units import GIB
from gpuspec.catalog.models.formats import STORED, weight_format
from gpuspec.constants.inference import inference_interval
from gpuspec.constants.memory import memory_terms
from gpuspec.evidence.measurements import disaggregated
from gpuspec.evidence.measurements.described import row_levels
from gpuspec.evidence.measurements.inference import (
    METRICS,
    era_of,
    lacking_bytes,
    predicted_inference,
    prepared,
    skip_reasons,
)
from gpuspec.evidence.measurements.pairs import matched_pairs
from gpuspec.evidence.measurements.rows import Row, completed, known_model, numbers
from gpuspec.evidence.validation.common import SILENT, Kind, ratios
from gpuspec.evidence.validation.reading import Columns, known_gpu, named_model

COLUMNS = Columns(
    kind="inference",
    needed=("gpu", "tp", "model", "engine", "isl", "osl"),
    numbers={
        **dict.fromkeys(("tp", "isl", "osl", "value"), True),
        "n_gpus": False,
        **dict.fromkeys(("pp", "ep", "batch_size"), False),
        **dict.fromkeys(("concurrency", "request_rate", "requests"), False),
        **dict.fromkeys(("max_sequences", "max_tokens", "receive_every", "mixed"), False),
        **dict.fromkeys(("attention_dp", *disaggregated.COLUMNS), False),
    },
    least=dict.fromkeys(("n_gpus", "tp", "pp", "ep", "attention_dp", *disaggregated.COLUMNS), 1),
    endless=("request_rate",),
    lowered=("kv_precision", "scenario", "metric"),
    metrics=tuple(METRICS),
    names={"gpu": known_gpu, "model": known_model},
)
LOAD = ("concurrency", "request_rate", "requests")


def _check(row: Row) -> None:
    """Raise what is wrong with a row."""
    known_gpu(row["gpu"])
    named_model(row)
    if row["scenario"] == "serving" and not any(row.get(name, 0) > 0 for name in LOAD):
        raise InputError("concurrency", "", f"serving needs a load: give {' or '.join(LOAD)}")


def _named(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with the GPUs of one replica and the model's own format where they are blank."""
    rows = rows.copy()
    sides = {"pp": 1, **disaggregated.COLUMNS}
    size = completed(rows[[name for name in sides if name in rows]], sides, {})
    one = rows["tp"] * size["pp"]
    apart = size["decode_workers"] > 0  # and as many GPUs as both sides have
    read = size["prefill_workers"] * size["prefill_tp"] * size["prefill_pp"]
    one = one.where(~apart, one * size["decode_workers"] + read)
    rows["n_gpus"] = rows.get("n_gpus", one).fillna(one)
    own = rows.get("weight_precision", pd.Series("", rows.index))
    rows["weight_precision"] = own.where(own != "", rows["model"].map(_stored))
    return rows


def _stored(name: str) -> str:
    """Return the format in which a model is stored, by its name where all of it is in one."""
    try:
        form = weight_format(known_model(name))
    except InputError:  # said of the row
        return STORED
    return form.id if form.id == STORED else form.main.id


def _unfit(rows: pd.DataFrame) -> list[str]:
    """Say by how much memory each row's model does not fit."""
    lacking = lacking_bytes(rows, memory_terms()) / GIB
    return [f"{UNFIT} these GPUs: each lacks {n:,.1f} GiB" if n > 0 else SILENT for n in lacking]


def _compared(rows: pd.DataFrame) -> pd.DataFrame:
    quantity = rows["metric"].map(METRICS)
    rows = rows.assign(quantity=quantity)
    rows["era"] = era_of(rows) if len(rows) else pd.Series(dtype=object)
    rows["low"], rows["high"] = inference_interval(
        rows["predicted"], quantity, levels=row_levels("inference", rows), ground=rows["ground"]
    )
    rows["error"] = np.log(rows["predicted"] / rows["value"])
    rows["inside"] = rows["value"].between(rows["low"], rows["high"])
    return rows


UNFIT = "by our reckoning the model does not fit"
INFERENCE = Kind(
    columns=COLUMNS,
    check=_check,
    named=_named,
    skipped=lambda rows: skip_reasons(prepared(rows)),
    prepared=prepared,
    predicted=lambda rows: predicted_inference(rows, memory=memory_terms()),
    compared=_compared,
    ratios=lambda rows: ratios(rows, matched_pairs(rows), *numbers(rows, "value", "predicted")),
    silent=_unfit,
    unstored=UNFIT,
)
