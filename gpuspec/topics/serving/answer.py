"""Tables behind the pictures of the inference notebook."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gpuspec.base.lazy import pd
from gpuspec.base.units import distinct
from gpuspec.catalog import Gpu, gpu
from gpuspec.catalog.models.formats import with_stored
from gpuspec.catalog.precision import WeightFormat
from gpuspec.constants.images import image_bits, image_interval
from gpuspec.constants.inference import inference_interval
from gpuspec.formulas.images import image_seconds
from gpuspec.formulas.serving import (
    Deployment,
    maximum_load,
)
from gpuspec.formulas.serving.lengths import DAY_S, mean_context
from gpuspec.formulas.serving.serving import kv_capacity_tokens
from gpuspec.formulas.splits import TENSOR, Split, impossible, together
from gpuspec.topics.serving.apart import fewest_apart
from gpuspec.topics.serving.ask import EstimateQuestion, ImagesQuestion, Replicas, ServingQuestion
from gpuspec.topics.serving.fleets import fleet_capacity
from gpuspec.topics.serving.ground import (
    images_ground,
    levels,
    replica_ground,
    separate_ground,
    setting,
)
from gpuspec.topics.serving.layouts import shortfall, unworkable
from gpuspec.topics.serving.load import (
    BOUNDS,
    most_requests,
    over_limits,
    seen_at,
    served,
    sustained,
)
from gpuspec.topics.serving.options import best_layout
from gpuspec.topics.serving.separate import pair_of, separate_answer
from gpuspec.topics.serving.ways import load_curve, rate_curve
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


def estimate_table(question: ServingQuestion, replica: Deployment, replicas: int = 1) -> Row:
    """Return the answer for one replica under its share of the load, parts of a step included.

    What memory does not hold waits outside, and its time to the first token counts the wait.
    """
    q, layout = question, replica.layout
    reason = unworkable(q.runtime.engine, layout) or shortfall(replica, q.held_context)
    answer: Row = {name: getattr(layout, name) for name in Split._fields}
    answer |= {"works": not reason, "reason": reason}
    if not reason and isinstance(question, EstimateQuestion) and question.prefill_gpus:
        pair = pair_of(question, replica)
        read = pair.prefill
        reason = unworkable(q.runtime.engine, read.layout) or shortfall(read, q.prompt_tokens)
        if not reason:
            found = separate_answer(question, pair)
            found["ground"] = separate_ground(q, pair, found["load"]).told()
            return judged(q, answer | found)
        reason = f"where prompts are read: {reason}"
        answer |= {"works": False, "reason": reason}
    if reason:
        return answer
    most = most_requests(q, replica)
    rate = q.arriving / replicas
    seen = {n: float(v) for n, v in seen_at(q, replica, rate).items()} if rate else {}
    # By Little's law; without bound where the rate is more than can be sustained.
    asked = seen["in_flight"] if seen else q.in_flight / replicas
    found = served(q, replica, max(min(asked, most), 1.0) if seen else asked)
    parts = {name: float(seconds) for name, seconds in found["parts"].items()}
    answer |= {"max_concurrency": most, "load": min(asked, most)}
    ground = replica_ground(q, layout, answer["load"])
    width = setting(q, layout, answer["load"]) | levels(q, layout.gpu.architecture)
    for name, of, kind in READS if q.network.kind == "encoder" else WRITES:
        value = float(found[of])
        low, high = inference_interval(value, kind, layout.inherited, width, ground.code)
        answer[name] = (value, float(low), float(high))
    answer["concurrency"] = asked
    waiting = max(asked - most, 0.0) if seen else round(float(found["waiting"]), 6)
    answer |= {"arrivals": seen} if seen else {}
    answer |= {"waiting": waiting, "waiting_s": waiting / float(found["requests_s"])}
    answer |= _largest(q, replica)
    answer |= _cache(q, replica, answer["load"]) if q.network.kind != "encoder" else {}
    answer["ground"] = ground.told()
    answer["parts"] = parts
    return judged(q, answer)


def judged(question: Replicas, answer: Row) -> Row:
    """Return an answer with whether it keeps the limits, and what its token step is bound by."""
    first = answer["ttft_s" if "ttft_s" in answer else "sequence_s"][0]
    between = answer["tpot_s"][0] if "tpot_s" in answer else 0.0
    parts = answer["parts"]
    if "arrivals" in answer:
        first, between = (answer["arrivals"][f"{name}_p95_s"] for name in ("ttft", "tpot"))
    answer["keeps_limits"] = bool(over_limits(question, first, between) <= 1)
    answer["bound"] = BOUNDS[max(parts, key=lambda name: parts[name])]
    return answer


def _largest(q: ServingQuestion, replica: Deployment) -> Row:
    """Return the largest loads that a replica sustains, and sustains within the limits."""
    row: Row = {"concurrency_within": float(load_curve(q, replica)["within"])}
    if q.network.kind != "encoder":
        row["requests_s_sustained"] = sustained(q, replica)
    if q.arriving:
        row["requests_s_within"] = rate_curve(q, replica)["within"]
    return row


def _cache(q: ServingQuestion, replica: Deployment, load: float) -> Row:
    """Return the tokens of the cache, and those that the load uses of them in the mean."""
    full = q.prompt_tokens + q.held_osl
    used = load * float(mean_context(q.prompt_tokens, q.osl, q.osl_cv))
    return {"cache_tokens": float(kv_capacity_tokens(replica, full)), "cache_tokens_used": used}


def estimates(question: EstimateQuestion) -> list[Row]:
    """Return an answer for each GPU and format of weights: of the asked layout, or of the best.

    The best layout is that which serves the load within its limits with the fewest GPUs;
    ``replicas`` of it share the load, and the answer is that of one of them.
    """
    q, rows = question, []
    for device in q.devices:
        for form in q.formats:
            replica, replicas = q.replica(device, form, q.tp or 1, q.pp or 1), 1
            if q.tp is None and q.pp is None:
                best = best_layout(q, device, form)
                replica = q.replica(device, form, *(int(best[name]) for name in Split._fields))
                replicas = int(best["replicas"]) or 1
            answer = estimate_table(q, replica, replicas)
            row: Row = {"gpu": device.id, "weights": form.id, "weights_format": form.words}
            row |= {"kv_format": q.kv_format, "engine": q.runtime.name}
            row |= {"replicas": replicas, "gpus": replicas * replica.gpus}
            rows.append({**row, **answer})
            if q.tp is None and q.pp is None:
                fewest = row["gpus"] if best["works"] else np.inf
                rows[-1]["apart"] = fewest_apart(q, device, form, fewest)
    return rows


def apart_table(question: ServingQuestion, best: pd.DataFrame) -> pd.DataFrame:
    """Return for each GPU of `best_options` the workers of `fewest_apart` that are fewer GPUs.

    Columns: ``gpu``, ``weight``, ``instead`` (GPUs of the best option, 0 where none works) and
    those of `fewest_apart`; a GPU with no fewer has no row.
    """
    q, rows = question, []
    for _, row in best.iterrows():
        device = next(g for g in q.devices if g.id == row["gpu"])
        form = next(w for w in q.formats if w.id == row["weight"])
        instead = int(row["gpus"]) if row["works"] else 0
        found = fewest_apart(q, device, form, instead or np.inf)
        if found:
            rows.append({"gpu": device.id, "weight": form.id, "instead": instead, **found})
    return pd.DataFrame(rows)


def day_table(question: ServingQuestion, best: pd.DataFrame) -> pd.DataFrame:
    """Return what the busiest hour needs of each GPU, and what the mean of the day would.

    Columns: ``gpu``, ``gpus``, ``mean_gpus``, ``day_share`` (of the fleet's capacity that a day
    uses), ``tokens_day`` (output tokens of a day).
    """
    q, rows = question, []
    busiest = q.arriving or float(q.in_flight)
    for _, row in best[best["works"]].iterrows():
        each = float(row["rate_within"] if q.arriving else row["within"])
        mean = busiest / q.peak_factor
        fleet = math.ceil(mean / each) * int(row["replica_gpus"])
        share = mean / (each * int(row["replicas"]))
        tokens = float(row["output_tokens_s"]) / q.peak_factor * DAY_S
        rows.append((row["gpu"], int(row["gpus"]), fleet, share, tokens))
    columns = ["gpu", "gpus", "mean_gpus", "day_share", "tokens_day"]
    return pd.DataFrame(rows, columns=columns)


def frontier_table(question: ServingQuestion, best: pd.DataFrame) -> pd.DataFrame:
    """Return speed for one user against throughput of a GPU, for the best layout of each GPU.

    Columns: ``gpu``, ``concurrency``, ``tpot_s``, ``user_tokens_s``, ``gpu_tokens_s``.
    """
    rows = []
    writes = question.network.kind != "encoder"  # an encoder has no time between tokens
    for _, row in best[(best["most"] >= 1) & writes].iterrows():
        replica = _replica(question, row)
        loads = distinct(np.floor(np.geomspace(1.0, row["most"], LOADS)))
        found = served(question, replica, loads, float(row["most"]))
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
        most = sustained(q, replica)
        rates = most * np.array(SHARES_OF_FULL)
        part = pd.DataFrame(seen_at(q, replica, rates))
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
    contexts = contexts or q.powers_of_two(LONGEST_PROMPT)
    for device in q.devices:
        replica = _over_all(q, device, q.formats[-1], gpus)
        lengths = np.array(contexts, float)
        rate = maximum_load(replica, lengths, q.osl, client=q.client)["output_tokens_s"]
        table[device.id] = np.where(np.isfinite(rate), rate, 0.0)
    return pd.DataFrame(table, index=pd.Index(list(contexts), name="context"))


def precision_table(question: ServingQuestion, gpus: int, names: Sequence[str]) -> pd.DataFrame:
    """Return the largest throughput of `gpus` of each kind in each number format of weights."""
    q, rows = question, []
    for device in q.devices:
        for form in with_stored(q.network, names, q.weights_gb):
            replica = _over_all(q, device, form, gpus)
            reason = shortfall(replica, q.held_context)
            rate = (
                0.0
                if reason
                else float(
                    maximum_load(replica, q.prompt_tokens, q.osl, client=q.client)[
                        "output_tokens_s"
                    ]
                )
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
    if shortfall(replica, question.held_context):
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

    Columns: ``gpu``, ``precision`` (``bf16``, ``fp8`` or ``int8``), ``seconds``, ``images_s`` with
    ``images_s_low`` and ``images_s_high`` (80 % interval), ``bound`` (its largest part) and
    ``ground`` (its level and reasons).
    """
    q, rows = question, []
    for device in q.devices:
        job = q.job(device)
        parts = image_seconds(q.network, device, job)
        seconds = float(sum(parts.values()))
        ground = images_ground(device, q.network.id, job)
        bits = image_bits(job.precision)
        low, high = image_interval(seconds, job.stack, bits, ground.code)
        rates = (1 / seconds, 1 / float(high), 1 / float(low))
        bound = max(parts, key=lambda name: float(parts[name]))
        rows.append((device.id, job.precision, seconds, *rates, bound, ground.told()))
    columns = ["gpu", "precision", "seconds", "images_s", "images_s_low", "images_s_high"]
    return pd.DataFrame(rows, columns=[*columns, "bound", "ground"])


def _replica(question: ServingQuestion, row: pd.Series) -> Deployment:
    device = next(g for g in question.devices if g.id == row["gpu"])
    weight = next(w for w in question.formats if w.id == row["weight"])
    return question.replica(device, weight, *(int(row[name]) for name in Split._fields))
