"""What fits where when a model is served."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.base.units import GB, GIB
from gpuspec.catalog.models import Model
from gpuspec.catalog.precision import KV_PRECISIONS, precision
from gpuspec.evidence.fits import interval
from gpuspec.formulas.memory import (
    budget_bytes,
    max_context,
    max_sequences,
    sequence_kv_bytes,
    serving_parts,
    stage_weights_bytes,
)
from gpuspec.topics.memory.ask import MemoryQuestion

GPU_COUNTS = (1, 2, 4, 8, 16, 32)
NODE_GPUS = 8  # tensor parallelism stays inside a node; beyond it layers are split (pipeline)


def node_tp(network: Model, count: int) -> int:
    """Return the largest tensor-parallel size in a node that divides `count` and the heads."""
    sizes = range(1, min(count, NODE_GPUS) + 1)
    return max(t for t in sizes if count % t == 0 and network.heads % t == 0)


def layouts(network: Model, counts: Sequence[int] = GPU_COUNTS) -> pd.DataFrame:
    """Return how `counts` GPUs are used together: ``gpus``, ``tp``, ``pp``.

    Tensor parallelism takes the largest divisor of the number of heads that a node holds,
    pipeline parallelism the rest; a count that needs more stages than layers is left out.
    """
    rows = []
    for count in counts:
        tp = node_tp(network, count)
        if count // tp <= network.layers:
            rows.append((count, tp, count // tp))
    return pd.DataFrame(rows, columns=["gpus", "tp", "pp"])


def serving_table(question: MemoryQuestion) -> pd.DataFrame:
    """Return what serving takes of each GPU, for every GPU asked for and every layout.

    Returns
    -------
    DataFrame
        ``gpu``, ``gpus``, ``tp``, ``pp``; bytes on one GPU: ``capacity``, ``budget``,
        ``weights``, ``activations``, ``runtime``, ``kv_cache`` (for `concurrency` requests),
        ``free`` (negative: what is missing), ``free_low``/``free_high`` (80 % interval);
        ``max_sequences``, ``max_context`` (one request), ``fits``, ``verdict``.
    """
    q = question
    table = layouts(q.network).merge(
        pd.DataFrame(
            {"gpu": [g.id for g in q.devices], "capacity": [g.memory_bytes for g in q.devices]}
        ),
        how="cross",
    )
    options = {**q.serving, "tp": table["tp"].to_numpy(), "pp": table["pp"].to_numpy()}
    parts = serving_parts(
        q.network, q.weight, context=q.context, sequences=q.concurrency, **options
    )
    table = table.assign(**parts)
    table["budget"] = budget_bytes(table["capacity"], q.gpu_memory_utilization)
    table["free"] = table["budget"] - sum(parts.values())
    table["free_low"], table["free_high"] = _free_interval(table)
    limit = {"utilization": q.gpu_memory_utilization}
    capacity = table["capacity"].to_numpy()
    table["max_sequences"] = max_sequences(
        q.network, q.weight, capacity, context=q.context, **limit, **options
    )
    table["max_context"] = max_context(q.network, q.weight, capacity, **limit, **options)
    table["fits"] = table["free"] >= 0
    table["verdict"] = [_verdict(dict(row), q) for _, row in table.iterrows()]
    order = {g.id: i for i, g in enumerate(q.devices)}
    return table.sort_values(["gpus", "gpu"], key=lambda c: c.map(order) if c.name == "gpu" else c)


def _free_interval(table: pd.DataFrame) -> tuple[Any, Any]:
    """Free bytes when every part lies at the unfavourable (favourable) end of its interval."""
    low, high = 0.0, 0.0
    for part, kind in SERVING_KINDS.items():
        least, most = interval(table[part], kind)
        low, high = low + most, high + least
    return table["budget"] - low, table["budget"] - high


SERVING_KINDS = {
    "weights": "serving weights",
    "kv_cache": "serving kv cache",
    "activations": "serving activations",
    "runtime": "serving runtime",
}


def _verdict(row: dict[Any, Any], q: MemoryQuestion) -> str:
    room = row["budget"] - row["weights"] - row["runtime"]
    if room < 0:
        return f"weights alone are {-room / GIB:.1f} GiB too large"
    if row["max_sequences"] < 1:
        return f"no room for one request of {q.context:,} tokens"
    if not row["fits"]:
        return f"{row['max_sequences']:,.0f} of {q.concurrency:,} requests fit"
    if row["free_low"] < 0:
        return "fits, but within the error of the estimate"
    return "fits"


def smallest_serving(table: pd.DataFrame) -> pd.DataFrame:
    """Return for each GPU the smallest number that holds the asked load, or its largest try."""
    rows = []
    for _, group in table.groupby("gpu", sort=False):
        fitting = group[group["fits"]]
        rows.append((fitting if len(fitting) else group.tail(1)).iloc[0])
    return pd.DataFrame(rows).reset_index(drop=True)


def layouts_around(table: pd.DataFrame, smallest: pd.DataFrame) -> pd.DataFrame:
    """Return the rows worth drawing: down to a quarter of the GPUs that the load needs."""
    most = max(smallest["gpus"].max(), 2)
    return table[table["gpus"].between(most / 4, most)]


def request_kv_bytes(question: MemoryQuestion, contexts: Any) -> Any:
    """Return the bytes of cache that one request takes over all GPUs, against its length."""
    each = KV_PRECISIONS[question.kv]
    return sequence_kv_bytes(question.network, contexts, each)


def utilization_table(question: MemoryQuestion, shares: Sequence[float]) -> pd.DataFrame:
    """Return what one GPU of each kind holds when the engine is given more of its memory."""
    q = question
    rows = []
    for share in shares:
        for g in q.devices:
            sizes = {"memory_bytes": g.memory_bytes, "utilization": share, **q.serving}
            context = float(max_context(q.network, q.weight, **sizes))
            parts = serving_parts(q.network, q.weight, context=1, sequences=1, **q.serving)
            free = g.memory_bytes * share - float(sum(parts.values()))
            rows.append((g.id, share, free, context))
    return pd.DataFrame(rows, columns=["gpu", "utilization", "free", "max_context"])


def sequences_by_context(question: MemoryQuestion, contexts: Any) -> pd.DataFrame:
    """Return how many requests an equal number of each GPU holds, against their length.

    The number is the smallest that holds the asked load on every GPU (or the most tried).
    Columns: ``"4 x h100-sxm-80"`` and so on; index ``context`` in tokens.
    """
    q, contexts = question, np.asarray(contexts, float)
    row = smallest_serving(serving_table(q)).sort_values("gpus", kind="stable").iloc[-1]
    options = {**q.serving, "tp": int(row["tp"]), "pp": int(row["pp"])}
    limit = {"context": contexts, "utilization": q.gpu_memory_utilization}
    columns = {
        f"{row['gpus']} x {g.id}": max_sequences(
            q.network, q.weight, g.memory_bytes, **limit, **options
        )
        for g in q.devices
    }
    return pd.DataFrame(columns, index=pd.Index(contexts.astype(int), name="context"))


def weights_table(question: MemoryQuestion, names: Sequence[str]) -> pd.DataFrame:
    """Return the size of the weights by number format, and what share of each GPU they take."""
    q = question
    rows = []
    for name in names:
        form = precision(name)
        size = float(stage_weights_bytes(q.network, form))
        shares = [size / g.memory_bytes for g in q.devices]
        rows.append((form.name, form.bytes_per_weight * 8, size / GB, size / GIB, *shares))
    columns = ["Format", "Bits a weight", "GB", "GiB", *(f"of {g.id}" for g in q.devices)]
    return pd.DataFrame(rows, columns=columns)
