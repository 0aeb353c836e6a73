"""Published throughput and latency of language-model inference, and their predictions."""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.base.units import Floats
from gpuspec.catalog import gpu
from gpuspec.catalog.precision import KV_PRECISIONS
from gpuspec.constants.engine import Engine, EngineLimits
from gpuspec.constants.kernels import generation_of
from gpuspec.constants.memory import MemoryTerms
from gpuspec.constants.terms import GenerationTerms
from gpuspec.evidence.measurements import disaggregated
from gpuspec.evidence.measurements.rows import (
    Row,
    completed,
    groups,
    known_model,
    model_id,
    numbers,
    weights_of,
)
from gpuspec.formulas.serving import (
    USERS,
    Client,
    Deployment,
    EngineTerms,
    Layout,
    SteadyState,
    arrivals,
    cache_bytes,
    engine,
    finite_run,
    max_concurrency,
    maximum_load,
    prefill_seconds,
    request_bytes,
    static_batch,
    steady_state,
    sustainable_requests_s,
    total_seconds,
)

METRICS = {
    "output_tokens_per_s_total": "throughput",
    "output_tokens_per_s_per_gpu": "throughput",
    "total_tokens_per_s": "throughput",
    "requests_per_s": "throughput",
    "ttft_ms": "ttft",
    "ttft_p50_ms": "ttft",
    "tpot_ms": "tpot",
    "tpot_p50_ms": "tpot",
    "latency_s": "latency",
}
"""Metrics that a row may hold, and the quantity whose error they measure."""

SCENARIOS = ("inflight_max", "static_batch", "first_token", "serving", "disaggregated")
WAVES = 10
"""Requests of a run over those in flight where a source does not say: what benchmarks advise."""
NEARLY_FULL = 0.97
"""Share of the sustainable rate at which a run beyond it is read whose requests are not said."""
LONGEST_RUN = 5000
"""Requests of a run that are simulated at most."""
TUNED = 0
"""Expert-parallel size of a row that does not say: the fastest way counts."""
LAYOUT = ["model", "gpu", "weight_precision", "kv_precision", "tp", "pp", "ep", "attention_dp"]
"""Columns that say which model runs on which GPUs, in which precision and split how."""
_SETTINGS = ["max_sequences", "max_tokens", "receive_every", "mixed"]
_ONE_CALL = [*LAYOUT, "engine", "engine_version", "scenario", *_SETTINGS, "lengths", "client"]


def prepared(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with every column that a prediction reads, blanks filled as documented.

    A blank ``ep`` says that a mixture of experts was run in whichever way is fastest (experts
    split or spread, attention split or data-parallel); a blank cache precision is 16 bit.
    Without ``attention_dp`` all GPUs of a replica share its requests.
    A blank ``max_sequences``, ``max_tokens``, ``receive_every`` or ``mixed`` is the engine's own.
    Blank ``lengths`` are equal in runs of batches and varied in serving; a blank ``client`` sends
    over HTTP in serving, and ``in process`` otherwise. Tables without these columns or without
    ``pp``, ``concurrency`` or ``request_rate`` are accepted.
    """
    load = ("concurrency", "request_rate", "requests", "batch_size", *_SETTINGS)
    whole = {"ep": TUNED, "tp": 1, "pp": 1, "attention_dp": 1}
    blank = {**whole, **disaggregated.COLUMNS, **dict.fromkeys(load, np.nan)}
    texts = {"kv_precision": "bf16", "engine_version": "", "lengths": "", "client": ""}
    rows = completed(rows, blank, texts)
    return rows.assign(model=rows["model"].map(model_id), engine_version=_versions(rows))


def _versions(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return the version of each row; the month in which it was measured where that is blank."""
    version = rows["engine_version"].astype(str)
    if "measured_on" not in rows:
        return version
    return version.where(version != "", rows["measured_on"].fillna("").astype(str).str[:7])


def generations_of(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return the generation of GPUs of each prepared row."""
    known = {name: generation_of(gpu(name)) for name in rows["gpu"].unique()}
    return rows["gpu"].map(known)


def era_of(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return the engine era of each prepared row."""
    pairs = rows[["engine", "engine_version"]].drop_duplicates()
    ids = {tuple(p): engine(*p).id for p in pairs.itertuples(index=False)}
    keys = zip(rows["engine"], rows["engine_version"], strict=True)
    return pd.Series([ids[k] for k in keys], rows.index)


def skip_reasons(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return for each prepared row why it cannot be predicted; empty where it can."""
    reasons = [_reason(row) for row in rows.to_dict("records")]
    return pd.Series(reasons, rows.index, dtype=object)


def _reason(row: Row) -> str:
    if row["scenario"] not in SCENARIOS:
        return str(UnknownNameError("scenario", row["scenario"], SCENARIOS))
    if row["metric"] not in METRICS:
        return str(UnknownNameError("metric", row["metric"], METRICS))
    if pd.isna(row["isl"]) or pd.isna(row["osl"]):
        return "isl or osl is blank"
    try:
        layout(*(row[c] for c in LAYOUT))
        if row["scenario"] == "disaggregated":
            layout(*(row[disaggregated.PREFILL.get(c, c)] for c in LAYOUT))
        engine(row["engine"], row["engine_version"])
    except InputError as error:
        return str(error)
    if row["scenario"] in ("static_batch", "first_token") and not row["batch_size"] > 0:
        return "batch_size is blank"
    return disaggregated.why_not(row) if row["scenario"] == "disaggregated" else ""


@lru_cache(4096)
def layout(
    name: str,
    device: str,
    weight: str,
    kv: str,
    tp: int,
    pp: int,
    ep: int,
    attention_dp: int = 1,
    library: str = "tensorrt-llm",
) -> Layout:
    """Return the checked layout of a row.

    Raises
    ------
    InputError
        Unknown names; a tensor-parallel size that the heads do not allow; a model that is no
        language model.
    """
    network, weights = known_model(name), weights_of(name, weight)
    network.need_llm("tokens per second")
    if kv not in KV_PRECISIONS:
        raise InputError("kv_precision", kv, f"give one of {', '.join(KV_PRECISIONS)}")
    if tp % attention_dp:
        raise InputError("attention_dp", int(attention_dp), f"it must divide the {int(tp)} GPUs")
    if network.heads % (tp // attention_dp):
        raise InputError("tp", int(tp), f"it must divide the {network.heads} heads")
    return Layout(
        network=network,
        gpu=gpu(device),
        weight=weights,
        kv_precision=kv,
        tp=int(tp),
        pp=int(pp),
        ep=max(int(ep), 1),
        library=library,
        attention_dp=int(attention_dp),
    )


def predicted_inference(
    rows: pd.DataFrame,
    terms: Mapping[str, EngineTerms] | None = None,
    memory: MemoryTerms | None = None,
    silicon: Mapping[str, GenerationTerms] | None = None,
    planned: "list[Call] | None" = None,
) -> np.ndarray:
    """Return what the model says for each prepared row, in the unit of its metric.

    Parameters
    ----------
    terms : mapping, optional
        Engine constants by era; the stored ones unless given.
    silicon : mapping, optional
        Constants by generation of GPUs; the stored ones unless given.
    planned : list, optional
        What `calls` returns for these rows.

    Returns
    -------
    array, shape ``(len(rows),)``
        0 where the model does not fit the GPUs of the row.
    """
    result = np.full(len(rows), np.nan)
    for call in calls(rows) if planned is None else planned:
        era = call.era
        own = (silicon or {}).get(generation_of(call.ways[0].gpu))
        result[call.places] = predicted_call(
            call, (terms or {}).get(era.id, era.terms), own, memory
        )
    return result


class Call(NamedTuple):
    """Rows that one deployment predicts together."""

    places: np.ndarray
    """Places of the rows."""
    rows: pd.DataFrame
    era: Engine
    limits: EngineLimits
    ways: list[Layout]
    scenario: str
    client: Client


def calls(rows: pd.DataFrame) -> list[Call]:
    """Return how prepared rows are predicted, to be used again with other constants."""
    found = []
    for about, index in groups(rows, _ONE_CALL):
        era = engine(about["engine"], about["engine_version"])
        ways = _ways(about, era.library)
        how = about["scenario"], client_of(about)
        found.append(Call(index, rows.iloc[index], era, _limits(about, era), ways, *how))
    return found


def predicted_call(
    call: Call,
    terms: EngineTerms,
    silicon: GenerationTerms | None = None,
    memory: MemoryTerms | None = None,
) -> np.ndarray:
    """Return the figures of the rows of one call: the best of its ways.

    Constants may be arrays, with a value for each row.
    """
    best = np.zeros(len(call.rows))
    for shape in call.ways:
        replica = Deployment(
            layout=shape,
            engine=terms,
            limits=call.limits,
            memory=memory or MemoryTerms(),
            silicon=silicon,
        )
        predict = _PREDICTORS[call.scenario]
        best = np.maximum(best, predict(replica, call.rows, call.client))
    return best


def client_of(about: Row) -> Client:
    """Return who sent the requests of a prepared row."""
    serving = about["scenario"] in ("serving", "disaggregated")
    lengths = about["lengths"] or ("varied" if serving else "fixed")
    far = about["client"] != "in process" and serving
    transport = USERS.transport_s if far else 0.0
    return Client(lengths="equal" if lengths == "fixed" else "varied", transport_s=transport)


def lacking_bytes(rows: pd.DataFrame, memory: MemoryTerms) -> np.ndarray:
    """Return the bytes that a GPU lacks to hold the model and the requests of each prepared row.

    Of the roomiest way to lay it out: one request, or the batch of a row that runs one. Not above
    0 where they fit.
    """
    result = np.zeros(len(rows))
    for about, index in groups(rows, _ONE_CALL):
        era = engine(about["engine"], about["engine_version"])
        isl, osl, batch = numbers(rows.iloc[index], "isl", "osl", "batch_size")
        together = np.where((about["scenario"] == "static_batch") & (batch > 0), batch, 1.0)
        lacks = []
        for shape in _ways(about, era.library):
            replica = Deployment(
                layout=shape, engine=era.terms, limits=_limits(about, era), memory=memory
            )
            need = request_bytes(replica, isl + osl) * together
            lacks.append(need - cache_bytes(replica, isl + osl))
        result[index] = np.minimum.reduce(lacks)
    return result


def _limits(about: Row, era: Engine) -> EngineLimits:
    set_by_source = {n: about[n] for n in _SETTINGS if about[n] > 0}
    return era.limits.model_copy(update=set_by_source)


def _ways(about: Row, library: str) -> list[Layout]:
    """Return the layout of a row; where a mixture of experts leaves it open, the usual ones."""
    given = [about[c] for c in LAYOUT]
    tp, experts = int(about["tp"]), known_model(about["model"]).experts
    tuned = about["ep"] == TUNED and experts and tp > 1 and about["scenario"] == "inflight_max"
    if not tuned or experts % tp or about["attention_dp"] > 1:
        return [layout(*given, library)]
    whole = given[: LAYOUT.index("ep")]
    return [layout(*whole, *split, library) for split in ((1, 1), (tp, 1), (tp, tp))]


def _replicas(replica: Deployment, rows: pd.DataFrame) -> np.ndarray:
    return np.maximum(rows["n_gpus"].to_numpy(float) / replica.gpus, 1.0)


def _pick(rows: pd.DataFrame, replica: Deployment, speed: Mapping[str, Floats]) -> np.ndarray:
    """Choose the figure that each row's metric names, for all replicas of the row."""
    isl, osl = numbers(rows, "isl", "osl")
    copies = _replicas(replica, rows)
    output = speed["output_tokens_s"] * copies
    ttft, tpot = speed["ttft_s"], speed["tpot_s"]
    gpus = np.maximum(rows["n_gpus"].to_numpy(float), 1.0)
    values = {
        "output_tokens_per_s_total": output,
        "output_tokens_per_s_per_gpu": output / gpus,
        "total_tokens_per_s": output * (isl + osl) / osl,
        "requests_per_s": output / osl,
        "ttft_ms": ttft * 1e3,
        "ttft_p50_ms": speed.get("ttft_p50_s", ttft) * 1e3,
        "tpot_ms": tpot * 1e3,
        "tpot_p50_ms": speed.get("tpot_p50_s", tpot) * 1e3,
        "latency_s": ttft + tpot * (osl - 1),
    }
    metric, picked = rows["metric"].to_numpy(), np.zeros(len(rows))
    for name in set(metric):
        picked = np.where(metric == name, values[name], picked)
    return picked


def _speed(steady: SteadyState) -> dict[str, Floats]:
    """Return the figures of a steady state that a metric may name."""
    return {
        "ttft_s": steady["ttft_s"],
        "tpot_s": steady["tpot_s"],
        "output_tokens_s": steady["output_tokens_s"],
    }


def _static(replica: Deployment, rows: pd.DataFrame, client: Client) -> np.ndarray:
    batch, isl, osl = numbers(rows, "batch_size", "isl", "osl")
    return _pick(rows, replica, static_batch(replica, batch, isl, osl))


def _first_token(replica: Deployment, rows: pd.DataFrame, client: Client) -> np.ndarray:
    batch, isl, osl = numbers(rows, "batch_size", "isl", "osl")
    seconds = total_seconds(prefill_seconds(replica, batch, isl))
    rate = batch * osl / seconds
    speed = {"ttft_s": seconds, "tpot_s": np.zeros(len(rows)), "output_tokens_s": rate}
    return _pick(rows, replica, speed)


def _maximum(replica: Deployment, rows: pd.DataFrame, client: Client) -> np.ndarray:
    """All requests there from the start; a run of known length has its ramps and tails."""
    isl, osl, requests = numbers(rows, "isl", "osl", "requests")
    steady = maximum_load(replica, isl, osl, client=client)
    each = requests / _replicas(replica, rows)
    possible = steady["max_concurrency"]
    most = np.maximum(possible * replica.engine.occupancy, 1.0)
    finite = np.isfinite(each)
    seconds = finite_run(replica, np.where(finite, each, 1.0), most, isl, osl, client)
    rate = np.where(finite, each * osl / seconds, steady["output_tokens_s"])
    speed = _speed(steady) | {"output_tokens_s": np.where(possible >= 1, rate, 0.0)}
    return _pick(rows, replica, speed)


def _serving(replica: Deployment, rows: pd.DataFrame, client: Client) -> np.ndarray:
    """Arrivals at a rate, or a closed loop; all at once where neither it nor a rate is given."""
    isl, osl, concurrency, rate = numbers(rows, "isl", "osl", "concurrency", "request_rate")
    copies = _replicas(replica, rows)
    requests = rows["requests"].to_numpy(float) / copies
    most = max_concurrency(replica, isl, osl)
    sent = np.where(np.isnan(concurrency), np.inf, concurrency / copies)
    sent = np.maximum(np.where(np.isinf(sent) & np.isnan(requests), most, sent), 1e-9)
    run = np.where(np.isnan(requests), WAVES * sent, requests)
    steady = steady_state(replica, sent, isl, osl, client=client, requests=run, most=most)
    burst = run <= sent
    seconds = finite_run(replica, run, np.maximum(most, 1), isl, osl, client)
    speed = _speed(steady)
    speed["output_tokens_s"] = np.where(burst, run * osl / seconds, speed["output_tokens_s"])
    speed |= {"ttft_p50_s": speed["ttft_s"], "tpot_p50_s": speed["tpot_s"]}
    speed = {name: np.array(np.broadcast_to(v, (len(rows),))) for name, v in speed.items()}
    seen: dict[tuple[float, ...], dict[str, float]] = {}  # a run has a row for each metric
    for place in map(int, np.flatnonzero(np.isfinite(rate))):
        load = (rate[place] / copies[place], isl[place], osl[place], requests[place])
        if load not in seen:
            seen[load] = _arriving(replica, *load, client)
        loop = np.isfinite(concurrency[place])  # which bounds what arrives
        for name, value in seen[load].items():
            speed[name][place] = min(value, float(speed[name][place])) if loop else value
    return np.where(most >= 1, _pick(rows, replica, speed), 0.0)


def _arriving(
    replica: Deployment, rate: float, isl: float, osl: float, requests: float, client: Client
) -> dict[str, float]:
    """Return what the requests of a run see that come at a rate.

    A run whose number of requests is not known shows a rate beyond what can be sustained as one
    just below it.
    """
    if np.isnan(requests):
        rate = min(rate, NEARLY_FULL * sustainable_requests_s(replica, isl, osl))
    run = np.inf if np.isnan(requests) else min(requests, LONGEST_RUN)
    one = arrivals(replica, rate, isl, osl, client=client, requests=run)
    speed = {"ttft_s": one["ttft_mean_s"], "tpot_s": one["tpot_mean_s"]}
    speed |= {"ttft_p50_s": one["ttft_p50_s"], "tpot_p50_s": one["tpot_p50_s"]}
    speed["output_tokens_s"] = one["output_tokens_s"]
    return {name: float(value) for name, value in speed.items()}


def _separate(replica: Deployment, rows: pd.DataFrame, client: Client) -> np.ndarray:
    found = dict(disaggregated.latency(replica, rows, client))
    found["output_tokens_s"] = found["output_tokens_s"] / _replicas(replica, rows)
    return _pick(rows, replica, found)


_PREDICTORS = {
    "static_batch": _static,
    "first_token": _first_token,
    "inflight_max": _maximum,
    "serving": _serving,
    "disaggregated": _separate,
}
