"""A whole design space in one call."""

from __future__ import annotations

import numpy as np

from gpuspec.base.errors import InputError
from gpuspec.base.lazy import pd
from gpuspec.catalog import gpu
from gpuspec.catalog.models import Model
from gpuspec.catalog.models.formats import weight_format
from gpuspec.constants.ground import ground_codes
from gpuspec.formulas.serving import max_concurrency, steady_state
from gpuspec.formulas.splits import impossible
from gpuspec.topics.serving.ask import ServingQuestion
from gpuspec.topics.serving.ground import setting
from gpuspec.topics.serving.layouts import shortfall

SPLIT = ["gpu", "weight", "kv", "tp", "pp"]
LOAD = ["concurrency", "isl", "osl"]


def evaluate_options(
    model_name: str | Model, options: pd.DataFrame, engine_name: str = "tensorrt-llm"
) -> pd.DataFrame:
    """Return speed and capacity of every row of `options`, all in one vectorised call.

    Parameters
    ----------
    options : DataFrame
        ``gpu``, ``weight``, ``kv``, ``tp``, ``pp`` (one replica), ``concurrency``, ``isl``,
        ``osl`` (its load).

    Returns
    -------
    DataFrame
        Same index: ``ttft_s``, ``tpot_s``, ``output_tokens_s``, ``max_concurrency``, ``ground`` (0
        measured, 1 near, 2 far) and ``reason`` (a category; empty where the row works). A row that
        does not work keeps its place with infinite times and no throughput.

    Raises
    ------
    InputError
        A column is missing, a name is unknown, a length is below 1.
    """
    for column in (*SPLIT, *LOAD):
        if column not in options:
            raise InputError("options", column, "the table needs this column")
    for column in LOAD:
        least = options[column].min()
        if not least >= 1:
            raise InputError(column, least, "every row needs at least 1")
    q = ServingQuestion.ask(model=model_name, gpus=str(options["gpu"].iloc[0]), engine=engine_name)
    load = [options[c].to_numpy(float) for c in LOAD]
    size = len(options)
    ttft, tpot = np.full(size, np.inf), np.full(size, np.inf)
    rate, most = np.zeros(size), np.zeros(size)
    reason, ground = np.full(size, "", dtype=object), np.zeros(size, np.int8)
    for index in options.groupby(SPLIT, sort=False).indices.values():
        split = options.iloc[index[0]]
        tp, pp = int(split["tp"]), int(split["pp"])
        asked = q.model_copy(update={"kv": str(split["kv"])})
        form = weight_format(q.network, str(split["weight"]))
        replica = asked.replica(gpu(str(split["gpu"])), form, tp, pp)
        why = impossible(q.network, tp, pp) or shortfall(replica, 1)
        if why:
            reason[index] = why
            continue
        n, isl, osl = (values[index] for values in load)
        held = max_concurrency(replica, isl, osl)
        kept = np.minimum(n, np.maximum(held, 1.0))
        found = steady_state(replica, kept, isl, osl, in_step=False)
        works = held >= n
        most[index] = held
        lengths = {"isl": isl, "osl": osl, "load": n}
        ground[index] = ground_codes("inference", setting(asked, replica.layout, 1.0) | lengths)
        ttft[index] = np.where(works, found["ttft_s"], np.inf)
        tpot[index] = np.where(works, found["tpot_s"], np.inf)
        rate[index] = np.where(works, found["output_tokens_s"], 0.0)
        reason[index] = np.where(works, "", "more requests than memory holds")
    beyond = q.network.max_context and (load[1] + load[2] > q.network.max_context)
    if np.any(beyond):
        reason[beyond] = f"{q.network.name} ends at {q.network.max_context:,} tokens"
        ttft[beyond], tpot[beyond], rate[beyond] = np.inf, np.inf, 0.0
    return pd.DataFrame(
        {
            "ttft_s": ttft,
            "tpot_s": tpot,
            "output_tokens_s": rate,
            "max_concurrency": most,
            "ground": ground,
            "reason": pd.Categorical(reason),
        },
        index=options.index,
    )
