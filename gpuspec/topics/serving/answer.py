"""Tables behind the pictures of the inference notebook."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpuspec.base.lazy import pd
from gpuspec.catalog import Gpu, gpu
from gpuspec.catalog.models.formats import with_stored
from gpuspec.catalog.precision import WeightFormat
from gpuspec.constants.inference import inference_interval
from gpuspec.formulas.images import image_seconds
from gpuspec.formulas.serving import (
    Deployment,
    arrivals,
    max_concurrency,
    maximum_load,
    sustainable_requests_s,
)
from gpuspec.formulas.splits import TENSOR, impossible, together
from gpuspec.topics.serving.ask import ImagesQuestion, Replicas, ServingQuestion
from gpuspec.topics.serving.fleets import fleet_capacity
from gpuspec.topics.serving.ground import images_ground, levels, replica_ground
from gpuspec.topics.serving.layouts import shortfall
from gpuspec.topics.serving.load import BOUNDS, over_limits, served
from gpuspec.topics.ways import Row

WRITES = (
    ("ttft_s", "ttft_s", "ttft"),
    ("tpot_s", "tpot_s", "tpot"),
    ("output_tokens_s", "output_tokens_s", "throughput"),
)
"""Figures of an estimate, the steady state's name of each and the kind of its error."""
READS = (
    ("sequence_s", "ttft_s", "ttft"),
    ("sequences_s", "requests_s", "throughput"),
    ("tokens_s", "output_tokens_s", "throughput"),
)
"""The same of an encoder."""
LOADS = 40
SHARES_OF_FULL = (0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.94, 0.97)
LONGEST_PROMPT = 131_072


def estimate_table(question: Replicas, replica: Deployment) -> Row:
    """Return the answer for one replica at the asked concurrency, parts of a step included."""
    q, layout = question, replica.layout
    reason = impossible(q.network, layout.tp, layout.pp) or shortfall(replica, q.context)
    most = 0.0 if reason else float(max_concurrency(replica, q.prompt_tokens, q.osl))
    if reason:
        return {"works": False, "reason": reason}
    load = min(float(q.concurrency), most)
    found = served(q, replica, load)
    parts = {name: float(seconds) for name, seconds in found["parts"].items()}
    ground = replica_ground(q, layout, load)
    answer: Row = {"works": True, "reason": "", "max_concurrency": most, "load": load}
    width = levels(q, layout.gpu.architecture)
    for name, of, kind in READS if q.network.kind == "encoder" else WRITES:
        value = float(found[of])
        low, high = inference_interval(value, kind, layout.inherited, width, ground.code)
        answer[name] = (value, float(low), float(high))
    answer["concurrency"] = float(q.concurrency)
    answer["keeps_limits"] = bool(over_limits(q, found["ttft_s"], found["tpot_s"]) <= 1)
    if q.request_rate:
        seen = arrivals(replica, q.request_rate, q.prompt_tokens, q.osl, q.cached_share)
        answer["arrivals"] = {name: float(value) for name, value in seen.items()}
    answer["ground"] = ground.told()
    answer["parts"] = parts
    answer["bound"] = BOUNDS[max(parts, key=lambda name: parts[name])]
    return answer


def frontier_table(question: ServingQuestion, best: pd.DataFrame) -> pd.DataFrame:
    """Return speed for one user against throughput of a GPU, for the best layout of each GPU.

    Columns: ``gpu``, ``concurrency``, ``tpot_s``, ``user_tokens_s``, ``gpu_tokens_s``.
    """
    rows = []
    writes = question.network.kind != "encoder"  # an encoder has no time between tokens
    for _, row in best[(best["most"] >= 1) & writes].iterrows():
        replica = _replica(question, row)
        loads = np.unique(np.floor(np.geomspace(1.0, row["most"], LOADS)))
        found = served(question, replica, loads)
        rows.append(
            pd.DataFrame(
                {
                    "gpu": row["gpu"],
                    "concurrency": loads,
                    "tpot_s": found["tpot_s"],
                    "user_tokens_s": 1 / found["tpot_s"],
                    "gpu_tokens_s": found["output_tokens_s"] / replica.gpus,
                }
            )
        )
    columns = ["gpu", "concurrency", "tpot_s", "user_tokens_s", "gpu_tokens_s"]
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=columns)


def arrivals_table(question: ServingQuestion, best: pd.DataFrame) -> pd.DataFrame:
    """Return what users see as requests arrive faster, for the best fleet of each GPU.

    Columns: ``gpu``, ``requests_s`` (over the whole fleet), ``utilisation``, ``in_flight`` and
    ``ttft_p50_s``, ``ttft_p95_s``, ``ttft_p99_s``, ``tpot_p50_s``...
    """
    q, rows = question, []
    for _, row in best[best["works"] & (q.network.kind != "encoder")].iterrows():
        replica, copies = _replica(q, row), int(row["replicas"])
        most = sustainable_requests_s(replica, q.prompt_tokens, q.osl, q.cached_share)
        rates = most * np.array(SHARES_OF_FULL)
        part = pd.DataFrame(arrivals(replica, rates, q.prompt_tokens, q.osl, q.cached_share))
        part.insert(0, "gpu", row["gpu"])
        part.insert(1, "requests_s", rates * copies)
        part["in_flight"] *= copies
        rows.append(part)
    seen = [f"{name}_{share}_s" for name in ("ttft", "tpot") for share in ("p50", "p95", "p99")]
    columns = ["gpu", "requests_s", "utilisation", "in_flight", *seen]
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=columns)


def context_table(
    question: ServingQuestion, gpus: int, contexts: Sequence[int] | None = None
) -> pd.DataFrame:
    """Return the largest throughput of `gpus` of each kind against the length of a prompt.

    One replica over all of them; 0 where not one request fits. Index ``context`` in tokens, by
    default up to 131,072 or to where the model ends; one column a GPU.
    """
    q, table = question, {}
    contexts = contexts or q.lengths(LONGEST_PROMPT)
    for device in q.devices:
        replica = _over_all(q, device, q.formats[-1], gpus)
        lengths = np.array(contexts, float)
        rate = maximum_load(replica, lengths, q.osl)["output_tokens_s"]
        table[device.id] = np.where(np.isfinite(rate), rate, 0.0)
    return pd.DataFrame(table, index=pd.Index(list(contexts), name="context"))


def precision_table(question: ServingQuestion, gpus: int, names: Sequence[str]) -> pd.DataFrame:
    """Return the largest throughput of `gpus` of each kind in each number format of weights."""
    q, rows = question, []
    for device in q.devices:
        for form in with_stored(q.network, names, q.weights_gb):
            replica = _over_all(q, device, form, gpus)
            reason = shortfall(replica, q.context)
            rate = (
                0.0
                if reason
                else float(maximum_load(replica, q.prompt_tokens, q.osl)["output_tokens_s"])
            )
            rows.append((device.id, form.name, rate, reason))
    return pd.DataFrame(rows, columns=["gpu", "weights", "output_tokens_s", "reason"])


def _over_all(
    question: ServingQuestion, device: Gpu, weight: WeightFormat, gpus: int
) -> Deployment:
    _, tp, pp = together(question.network, (gpus,))[0]
    return question.replica(device, weight, tp, pp)


def form_table(question: ServingQuestion, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Return the throughput of PCIe forms over SXM ones, at each tensor-parallel size."""
    q, rows = question, []
    for pcie, sxm in pairs:
        for tp in TENSOR:
            if impossible(q.network, tp, 1):
                continue
            rates = [_most(q, gpu(name), tp) for name in (pcie, sxm)]
            if all(rates):
                rows.append((f"{pcie} / {sxm}", tp, *rates, rates[0] / rates[1]))
    return pd.DataFrame(rows, columns=["pair", "tp", "pcie_tokens_s", "sxm_tokens_s", "ratio"])


def _most(question: ServingQuestion, device: Gpu, tp: int) -> float:
    replica = question.replica(device, question.formats[0], tp)
    if shortfall(replica, question.context):
        return 0.0
    return float(maximum_load(replica, question.prompt_tokens, question.osl)["output_tokens_s"])


def ratio_map(
    new: tuple[str, str],
    old: tuple[str, str],
    models: Sequence[str],
    contexts: Sequence[int],
    osl: int = 512,
    gpus: int = 8,
) -> pd.DataFrame:
    """Return throughput of `gpus` new GPUs over old ones, by model and prompt length.

    `new` and `old` are (GPU, weight precision). Each side uses the smallest tensor-parallel
    size that holds a request and fills its GPUs with replicas. NaN never appears: where the
    old GPUs cannot serve, the ratio is infinite.
    """
    isl, answers = tuple(int(c) for c in contexts), (osl,) * len(contexts)
    table = {}
    for name in models:
        ServingQuestion.ask(
            model=name, gpus=new[0], weights=new[1], isl=max(isl), osl=osl
        )  # the model reaches so far
        sides = [fleet_capacity(name, *side, isl, answers, (gpus,))[0][0] for side in (new, old)]
        table[name] = np.divide(
            sides[0], sides[1], out=np.full(len(contexts), np.inf), where=sides[1] > 0
        )
    return pd.DataFrame(table, index=pd.Index(list(contexts), name="context"))


def images_table(question: ImagesQuestion) -> pd.DataFrame:
    """Return how fast one GPU of each kind generates images, one after another.

    Columns: ``gpu``, ``seconds``, ``images_s`` with ``images_s_low`` and ``images_s_high`` (80 %
    interval), ``ground`` (its level and reasons). 16-bit computation: no published time in FP8
    is in the fit.
    """
    q, rows = question, []
    for device in q.devices:
        parts = image_seconds(
            q.network, device, q.image_steps, q.image_size, q.image_size, q.image_stack
        )
        seconds = sum(parts.values())
        setting = (q.network.id, q.image_stack, q.image_steps, q.image_size)
        ground = images_ground(device, *setting)
        wide = {"stack": q.image_stack}
        low, high = inference_interval(seconds, "images", levels=wide, ground=ground.code)
        rates = (1 / float(seconds), 1 / float(high), 1 / float(low))
        rows.append((device.id, float(seconds), *rates, ground.told()))
    columns = ["gpu", "seconds", "images_s", "images_s_low", "images_s_high", "ground"]
    return pd.DataFrame(rows, columns=columns)


def _replica(question: ServingQuestion, row: pd.Series) -> Deployment:
    device = next(g for g in question.devices if g.id == row["gpu"])
    weight = next(w for w in question.formats if w.id == row["weight"])
    return question.replica(device, weight, int(row["tp"]), int(row["pp"]))
