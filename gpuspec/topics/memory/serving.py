"""What fits where when a model is served."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.lazy import pd
from gpuspec.base.units import GB, GIB
from gpuspec.catalog import Gpu
from gpuspec.catalog.models.formats import with_stored
from gpuspec.catalog.precision import KV_PRECISIONS
from gpuspec.constants.memory import interval
from gpuspec.formulas.memory import sequence_bytes, stage_weights_bytes
from gpuspec.formulas.serving import (
    cache_bytes,
    engine_memory,
    longest_context,
    max_concurrency,
    request_bytes,
)
from gpuspec.formulas.splits import together
from gpuspec.topics.memory.ask import MemoryQuestion
from gpuspec.topics.memory.ground import serving_ground

GPU_COUNTS = (1, 2, 4, 8, 16, 32)


def serving_table(question: MemoryQuestion) -> pd.DataFrame:
    """Return what serving takes of each GPU, for every GPU asked for and every layout.

    Returns
    -------
    DataFrame
        ``gpu``, ``gpus``, ``tp``, ``pp``; bytes on one GPU: ``capacity``, ``budget``,
        ``weights``, ``activations``, ``runtime``, ``kv_cache`` (for `concurrency` requests),
        ``free`` (negative: what is missing), ``free_low``/``free_high`` (80 % interval);
        ``max_sequences``, ``max_context`` (one request), ``fits``, ``verdict``, ``ground`` (level
        and reasons).
    """
    q = question
    rows = [
        {"gpu": g.id, "gpus": n, "tp": tp, "pp": pp, **_held(q, g, tp, pp)}
        for n, tp, pp in together(q.network, GPU_COUNTS)
        for g in q.devices
    ]
    table = pd.DataFrame(rows)
    table["free_low"], table["free_high"] = _free_interval(table)
    table["fits"] = table["free"] >= 0
    table["verdict"] = [_verdict(row, q) for _, row in table.iterrows()]
    splits = zip(table["tp"], table["pp"], strict=True)
    told = [serving_ground(q, int(tp), int(pp)).told() for tp, pp in splits]
    table["ground"] = pd.Series(told, table.index, dtype=object)
    return table


def _held(q: MemoryQuestion, device: Gpu, tp: int, pp: int) -> dict[str, float]:
    """Return the bytes of each part on one GPU, and how much a replica of them holds."""
    replica = q.replica(device, tp, pp)
    taken, budget = engine_memory(replica, q.context)
    parts = {name: float(size) for name, size in taken.items()}
    parts["kv_cache"] = q.concurrency * float(request_bytes(replica, q.context))
    return parts | {
        "capacity": float(device.memory_bytes),
        "budget": float(budget),
        "free": float(budget) - sum(parts.values()),
        "max_sequences": float(max_concurrency(replica, q.prompt_tokens, q.osl)),
        "max_context": longest_context(replica),
    }


def _free_interval(table: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Return the ends of the free bytes: the errors of the parts do not depend on each other."""
    more, less = np.zeros(len(table)), np.zeros(len(table))
    for part, kind in SERVING_KINDS.items():
        least, most = interval(table[part], kind)
        more, less = np.hypot(more, most - table[part]), np.hypot(less, table[part] - least)
    return table["free"] - more, table["free"] + less


SERVING_KINDS = {
    "weights": "serving weights",
    "kv_cache": "serving kv cache",
    "activations": "serving activations",
    "runtime": "serving runtime",
}


def _verdict(row: pd.Series, q: MemoryQuestion) -> str:
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


def request_kv_bytes(question: MemoryQuestion, contexts: ArrayLike) -> np.ndarray:
    """Return the bytes of cache and states of one request over all GPUs, against its length."""
    each, images = KV_PRECISIONS[question.kv_format], question.image_tokens
    return sequence_bytes(question.network, contexts, each, image_tokens=images)


def state_bytes(question: MemoryQuestion) -> float:
    """Return those of them that do not grow with its length: recurrent states, images' keys."""
    return float(request_kv_bytes(question, 0))


def utilization_table(question: MemoryQuestion, shares: Sequence[float]) -> pd.DataFrame:
    """Return what one GPU of each kind holds when the engine is given more of its memory.

    The engine is set to one request at a time, so that it keeps no buffers for many.
    """
    q, rows = question, []
    for share, g in product(shares, q.devices):
        replica = q.replica(g)
        alone = {"max_sequences": 1, "memory_share": share}
        changes = {
            "limits": replica.limits.model_copy(update=alone),
            "engine": replica.engine.model_copy(update={"reserve_gb": 0.0}),
        }
        replica = replica.model_copy(update=changes)
        rows.append((g.id, share, float(cache_bytes(replica, 1)), longest_context(replica)))
    return pd.DataFrame(rows, columns=["gpu", "utilization", "free", "max_context"])


def sequences_by_context(question: MemoryQuestion, contexts: ArrayLike) -> pd.DataFrame:
    """Return how many requests an equal number of each GPU holds, against their length.

    The number is the smallest that holds the asked load on every GPU (or the most tried).
    Columns: ``"4 x h100-sxm-80"`` and so on; index ``context`` in tokens.
    """
    q, contexts = question, np.asarray(contexts, float)
    row = smallest_serving(serving_table(q)).sort_values("gpus", kind="stable").iloc[-1]
    columns = {
        f"{row['gpus']} x {g.id}": max_concurrency(
            q.replica(g, int(row["tp"]), int(row["pp"])), contexts, 0.0
        )
        for g in q.devices
    }
    return pd.DataFrame(columns, index=pd.Index(contexts.astype(int), name="context"))


def weights_table(question: MemoryQuestion, names: Sequence[str]) -> pd.DataFrame:
    """Return the size of the weights by number format, and what share of each GPU they take.

    The format in which the model is stored stands first where it is none of those named.
    """
    q = question
    forms = with_stored(q.network, names, q.weights_gb)
    rows = []
    for form in forms:
        size = float(stage_weights_bytes(q.network, form))
        shares = [size / g.memory_bytes for g in q.devices]
        rows.append((form.name, form.main.bytes_per_weight * 8, size / GB, size / GIB, *shares))
    columns = ["weight", "weight_bits", "weights_gb", "weights_gib"]
    return pd.DataFrame(rows, columns=[*columns, *(f"of {g.id}" for g in q.devices)])
