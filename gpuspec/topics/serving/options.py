"""Every way to serve the asked load, as one table; the best of each GPU."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gpuspec.base.lazy import pd
from gpuspec.catalog import Gpu
from gpuspec.catalog.precision import WeightFormat
from gpuspec.constants.inference import inference_interval
from gpuspec.formulas.serving import Deployment
from gpuspec.formulas.splits import Split
from gpuspec.topics.serving.ask import ServingQuestion
from gpuspec.topics.serving.ground import levels, replica_ground, setting
from gpuspec.topics.serving.layouts import precision_note, replicas
from gpuspec.topics.serving.load import BOUNDS, keeps, seen_at, served
from gpuspec.topics.serving.ways import load_curve, rate_curve
from gpuspec.topics.ways import Row

FIGURES = ("ttft_s", "tpot_s", "output_tokens_s")
Tried = tuple[WeightFormat, Split, Deployment, str]
"""A format, how a replica is split, the replica, and why it does not work."""


def options_table(question: ServingQuestion) -> pd.DataFrame:
    """Return one row for each GPU, precision and split, with the replicas that the load needs.

    Returns
    -------
    DataFrame
        ``gpu``, ``weight``, ``tp``, ``pp``, ``ep``, ``attention_dp``, ``replica_gpus``, ``most``
        (requests that memory holds), ``within`` (those that keep the limits), ``replicas``,
        ``gpus``, then
        ``ttft_s``, ``tpot_s``, ``output_tokens_s`` (all replicas together) each with ``_low``
        and ``_high`` (80 % interval; with a request rate the times are those that 95 % of the
        requests keep, and ``rate_within`` is the largest rate of one replica), ``bound`` (part
        that takes most of a step), ``ground`` (measured, near or far) and ``ground_reasons``,
        ``works`` and ``reason`` (why not; never NaN), ``note``.
    """
    rows = []
    for device in question.devices:
        for weight in question.formats:
            rows += [_row(question, weight, *one) for one in replicas(question, device, weight)]
    return pd.DataFrame(rows)


def _row(
    q: ServingQuestion, weight: WeightFormat, split: Split, replica: Deployment, why: str
) -> Row:
    return _with_speed(q, replica, _needed(q, weight, split, replica, why))


def _needed(
    q: ServingQuestion, weight: WeightFormat, split: Split, replica: Deployment, why: str
) -> Row:
    """Return the replicas and GPUs that the load needs of a layout, its speed left blank."""
    device = replica.layout.gpu
    row: Row = {
        "gpu": device.id,
        "weight": weight.id,
        **split._asdict(),
        "replica_gpus": split.gpus,
        "most": 0.0,
        "within": 0.0,
        "rate_within": 0.0,
        "replicas": 0,
        "gpus": 0,
        **{f"{n}{end}": np.inf for n in FIGURES[:2] for end in ("", "_low", "_high")},
        **{f"output_tokens_s{end}": 0.0 for end in ("", "_low", "_high")},
        "bound": "",
        "ground": "",
        "ground_reasons": "",
        "works": False,
        "reason": why,
        "note": precision_note(device, weight),
    }
    if why:
        return row
    curve = load_curve(q, replica)
    row["most"], row["within"] = curve["most"], curve["within"]
    if row["within"] < 1:
        return row
    asked, each = float(q.in_flight), row["within"]
    if q.arriving:
        asked, each = q.arriving, rate_curve(q, replica)["within"]
        row["rate_within"] = each
        if not each:
            return row | {
                "reason": "one request at a time keeps the limits, random arrivals do not"
            }
    replicas = int(np.ceil(asked / each))
    return row | {"replicas": replicas, "gpus": replicas * replica.gpus, "works": True}


def _with_speed(q: ServingQuestion, replica: Deployment, row: Row) -> Row:
    """Return a row of `_needed` with what its replicas deliver, or how slow one request is."""
    if row["works"]:
        return row | _figures(q, replica, row["replicas"])
    if row["reason"]:
        return row
    one = served(q, replica, 1.0)
    alone = {n: float(np.ravel(one[n])[0]) for n in FIGURES}
    return row | alone | {"reason": _too_slow(q, alone)}


def _figures(q: ServingQuestion, replica: Deployment, replicas: int) -> Row:
    """Return what so many replicas deliver; at random arrivals what 95 % of the requests see."""
    load = q.in_flight / replicas
    if q.arriving:
        seen = seen_at(q, replica, q.arriving / replicas)
        load = max(float(seen["in_flight"]), 1.0)
    found = served(q, replica, load)
    if q.arriving:
        found |= {"ttft_s": seen["ttft_p95_s"], "tpot_s": seen["tpot_p95_s"]}
        found["output_tokens_s"] = seen["output_tokens_s"]
    ground = replica_ground(q, replica.layout, load)
    row: Row = {"ground": ground.level, "ground_reasons": "; ".join(ground.reasons)}
    for name in FIGURES:
        value = float(found[name]) * (replicas if name == "output_tokens_s" else 1)
        kind = {"ttft_s": "ttft", "tpot_s": "tpot"}.get(name, "throughput")
        low, high = inference_interval(
            value,
            kind,
            replica.layout.inherited,
            setting(q, replica.layout, load) | levels(q, replica.layout.gpu.architecture),
            ground.code,
        )
        row |= {name: value, f"{name}_low": float(low), f"{name}_high": float(high)}
    parts = {name: float(seconds) for name, seconds in found["parts"].items()}
    row["bound"] = BOUNDS[max(parts, key=lambda name: parts[name])]
    return row


def _too_slow(q: ServingQuestion, alone: dict[str, float]) -> str:
    """Say which limit even a single request breaks, and by how much."""
    said = []
    if q.ttft_limit_s and alone["ttft_s"] > q.ttft_limit_s:
        said.append(f"TTFT {alone['ttft_s']:.2f} s against {q.ttft_limit_s:g} s")
    if q.tpot_limit_s and alone["tpot_s"] > q.tpot_limit_s:
        said.append(f"TPOT {alone['tpot_s'] * 1e3:.0f} ms against {q.tpot_limit_s * 1e3:g} ms")
    return "even one request is too slow: " + " and ".join(said)


def best_layout(question: ServingQuestion, device: Gpu, weight: WeightFormat) -> Row:
    """Return the option of a GPU and format with the fewest GPUs, as `best_options` does."""
    q = question
    return _best(q, ((weight, *one) for one in replicas(q, device, weight)))


def _best(q: ServingQuestion, tried: Iterable[Tried]) -> Row:
    """Return the row of the fewest GPUs, then of the highest throughput; else the nearest miss.

    Only what is left in the end gets a speed, and no layout is sized of which one replica alone
    takes more GPUs than all of another. Random arrivals take long to compute: no layout is sized
    for them of which the mean alone takes more.
    """
    needed: list[tuple[Deployment, Row]] = []
    fewest = np.inf
    for least, one in _by_least(q, tried):
        if least <= fewest and (one[3] or _may_do(q, one[2], fewest)):
            needed.append((one[2], _needed(q, *one)))
            fewest = min(fewest, needed[-1][1]["gpus"] or np.inf)
    if not np.isfinite(fewest):
        miss = max(needed, key=lambda one: [one[1][n] for n in ("within", "most", "replica_gpus")])
        return _with_speed(q, *miss)
    rows = [_with_speed(q, replica, row) for replica, row in needed if row["gpus"] == fewest]
    return max(rows, key=lambda row: row["output_tokens_s"])


def _may_do(q: ServingQuestion, replica: Deployment, fewest: float) -> bool:
    """Return whether a load at random may take as few GPUs: one look, where sizing takes many."""
    if not q.arriving or not np.isfinite(fewest):
        return True
    return keeps(q, seen_at(q, replica, q.arriving / (fewest // replica.gpus)))


def _by_least(q: ServingQuestion, tried: Iterable[Tried]) -> Iterable[tuple[float, Tried]]:
    """Yield layouts with the GPUs that they take at least, in an order that finds few soon."""
    if not q.arriving:
        return ((one[1].gpus, one) for one in tried)
    each = [(one[1].gpus if one[3] else _mean_gpus(q, one[2]), one) for one in tried]
    return sorted(each, key=lambda one: one[0])


def _mean_gpus(q: ServingQuestion, replica: Deployment) -> float:
    """Return the GPUs that keep the limits where as many are always in flight; else infinite."""
    within = float(load_curve(q, replica)["within"])
    if within < 1:
        return float(replica.gpus)
    each = float(served(q, replica, within)["requests_s"])
    return float(np.ceil(q.arriving / each)) * replica.gpus


def best_rows(question: ServingQuestion) -> pd.DataFrame:
    """Return `best_options` of `options_table`, sooner: most options are never worked out."""
    q = question
    tried = (
        ((form, *one) for form in q.formats for one in replicas(q, device, form))
        for device in q.devices
    )
    return pd.DataFrame([_best(q, layouts) for layouts in tried])


def best_options(table: pd.DataFrame) -> pd.DataFrame:
    """Return for each GPU the option with the fewest GPUs, then the highest throughput.

    A GPU that works in no way keeps its nearest miss: the largest layout, with its reason.
    """
    rows = []
    for _, group in table.groupby("gpu", sort=False):
        working = group[group["works"]]
        if len(working):
            ranked = working.sort_values(["gpus", "output_tokens_s"], ascending=[True, False])
        else:
            ranked = group.sort_values(["within", "most", "replica_gpus"], ascending=False)
        rows.append(ranked.iloc[0])
    return pd.DataFrame(rows).reset_index(drop=True)


def fewest(best: pd.DataFrame) -> pd.DataFrame:
    """Return the row of `best_options` whose GPUs are the fewest; empty where none serves."""
    return best[best["works"]].sort_values("gpus", kind="stable").iloc[:1]
