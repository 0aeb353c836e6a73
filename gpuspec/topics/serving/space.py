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
from gpuspec.formulas.splits import impossible, uneven
from gpuspec.topics.serving.ask import ServingQuestion
from gpuspec.topics.serving.ground import setting
from gpuspec.topics.serving.layouts import shortfall

SPLIT = ["gpu", "weight", "kv", "tp", "pp"]
EXPERTS = ["ep", "attention_dp"]
"""Columns that a table may lack: experts spread as usual, one group of attention."""
LOAD = ["concurrency", "isl", "osl"]


def evaluate_options(
    model_name: str | Model, options: pd.DataFrame, engine_name: str = "tensorrt-llm"
) -> pd.DataFrame:
    """Return speed and capacity of every row of `options`, all in one vectorised call.

    Parameters
    ----------
    options : DataFrame
        ``gpu``, ``weight``, ``kv``, ``tp``, ``pp`` (one replica), ``concurrency``, ``isl``,
        ``osl`` (its load); ``ep`` and ``attention_dp`` may be left out.

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
    reasons, code = ["", "more requests than memory holds"], np.zeros(size, np.int32)
    own, ground = [column for column in EXPERTS if column in options], np.zeros(size, np.int8)
    for index in _by_split(options, [*SPLIT, *own]):
        split = options.iloc[index[0]]
        tp, pp = int(split["tp"]), int(split["pp"])
        asked = q.model_copy(update={"kv": str(split["kv"])})
        form = weight_format(q.network, str(split["weight"]))
        groups = {column: int(split[column]) for column in own}
        replica = asked.replica(gpu(str(split["gpu"])), form, tp, pp, **groups)
        layout = replica.layout
        why = uneven(q.network, tp, layout.ep, layout.attention_dp)
        why = why or impossible(q.network, layout.attention_tp, pp) or shortfall(replica, 1)
        if why:
            code[index] = len(reasons)
            reasons.append(why)
            continue
        n, isl, osl = (values[index] for values in load)
        held = max_concurrency(replica, isl, osl)
        found = steady_state(replica, n, isl, osl, most=held)
        works = held >= n
        most[index] = held
        lengths = {"isl": isl, "osl": osl, "load": n}
        ground[index] = ground_codes("inference", setting(asked, replica.layout, 1.0) | lengths)
        ttft[index] = np.where(works, found["ttft_s"], np.inf)
        tpot[index] = np.where(works, found["tpot_s"], np.inf)
        rate[index] = np.where(works, found["output_tokens_s"], 0.0)
        code[index] = ~works
    beyond = q.network.max_context and (load[1] + load[2] > q.network.max_context)
    if np.any(beyond):
        code[beyond] = len(reasons)
        reasons.append(f"{q.network.name} ends at {q.network.max_context:,} tokens")
        ttft[beyond], tpot[beyond], rate[beyond] = np.inf, np.inf, 0.0
    return pd.DataFrame(
        {
            "ttft_s": ttft,
            "tpot_s": tpot,
            "output_tokens_s": rate,
            "max_concurrency": most,
            "ground": ground,
            "reason": _categories(reasons, code),
        },
        index=options.index,
    )


def _by_split(options: pd.DataFrame, names: list[str]) -> list[np.ndarray]:
    """Return the places of the rows of each split; neighbours that share one are grouped once."""
    starts = np.zeros(len(options), bool)
    starts[0] = True
    for column in names:
        values = options[column].to_numpy()
        starts[1:] |= values[1:] != values[:-1]
    runs = np.flatnonzero(starts)
    split = options[names].iloc[runs].groupby(names, sort=False).ngroup()
    known = split.fillna(-1).to_numpy(int)  # a blank name is of no split
    of_row = np.repeat(known, np.diff(runs, append=len(options)))
    order = np.argsort(of_row, kind="stable")
    return np.split(order, np.cumsum(np.bincount(of_row + 1)))[1:-1]


def _categories(texts: list[str], code: np.ndarray) -> pd.Categorical[str]:
    """Return texts by their places in a list as a category, of those that occur, in order."""
    found = sorted({texts[place] for place in np.flatnonzero(np.bincount(code))})
    place = np.array([found.index(text) if text in found else -1 for text in texts])
    return pd.Categorical.from_codes(place[code], categories=pd.Index(found))
