"""Every way to serve the asked load, as one table; the best of each GPU."""

from __future__ import annotations

import numpy as np

from gpuspec.base.lazy import pd
from gpuspec.catalog import Gpu
from gpuspec.catalog.precision import WeightFormat
from gpuspec.constants.inference import inference_interval
from gpuspec.formulas.serving import Deployment
from gpuspec.formulas.splits import Split
from gpuspec.topics.serving.ask import ServingQuestion
from gpuspec.topics.serving.ground import levels, replica_ground
from gpuspec.topics.serving.layouts import precision_note, replicas
from gpuspec.topics.serving.load import BOUNDS, seen_at, served
from gpuspec.topics.serving.ways import load_curve, rate_curve
from gpuspec.topics.ways import Row

TRIED = 2
"""Layouts of a GPU and format that are compared at random arrivals where one answer is asked."""
FIGURES = ("ttft_s", "tpot_s", "output_tokens_s")


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
        one = served(q, replica, 1.0)
        alone = {n: float(np.ravel(one[n])[0]) for n in FIGURES}
        row.update(alone, reason=_too_slow(q, alone))
        return row
    if not q.arriving:
        return {**row, **_sized(q, replica, row["within"])}
    row["rate_within"] = rate_curve(q, replica)["within"]
    if not row["rate_within"]:
        row["reason"] = "one request at a time keeps the limits, random arrivals do not"
        return row
    return {**row, **_sized_for_rate(q, replica, row["rate_within"])}


def _sized(q: ServingQuestion, replica: Deployment, within: float) -> Row:
    """Return the replicas for the load and what each then delivers."""
    replicas = int(np.ceil(q.in_flight / within))
    load = q.in_flight / replicas
    found = served(q, replica, load)
    return {"replicas": replicas, **_figures(q, replica, found, replicas, load)}


def _sized_for_rate(q: ServingQuestion, replica: Deployment, rate: float) -> Row:
    """Return the replicas for the request rate and what 95 % of the requests then see."""
    replicas = int(np.ceil(q.arriving / rate))
    seen = seen_at(q, replica, q.arriving / replicas)
    load = max(float(seen["in_flight"]), 1.0)
    found = served(q, replica, load)
    found |= {"ttft_s": seen["ttft_p95_s"], "tpot_s": seen["tpot_p95_s"]}
    found["output_tokens_s"] = seen["output_tokens_s"]
    return {"replicas": replicas, **_figures(q, replica, found, replicas, load)}


def _figures(
    q: ServingQuestion, replica: Deployment, found: Row, replicas: int, load: float
) -> Row:
    row: Row = {"gpus": replicas * replica.gpus, "works": True, "reason": ""}
    ground = replica_ground(q, replica.layout, load)
    row |= {"ground": ground.level, "ground_reasons": "; ".join(ground.reasons)}
    for name in FIGURES:
        value = float(found[name]) * (replicas if name == "output_tokens_s" else 1)
        kind = {"ttft_s": "ttft", "tpot_s": "tpot"}.get(name, "throughput")
        low, high = inference_interval(
            value,
            kind,
            replica.layout.inherited,
            levels(q, replica.layout.gpu.architecture),
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
    """Return the option of a GPU and format with the fewest GPUs, as `best_options` does.

    Random arrivals take long to compute: of the layouts that would need the fewest GPUs in the
    mean, the first `TRIED` are compared.
    """
    q = question
    tried: list[tuple[WeightFormat, Split, Deployment, str]] = []
    needs: list[float] = []
    for split, replica, why in replicas(q, device, weight):
        if split.gpus > min(needs, default=np.inf):
            break  # one replica is more than all of another layout
        tried.append((weight, split, replica, why))
        needs.append(np.inf if why else _fewest(q, replica))
    few = np.argsort(needs, kind="stable")
    if np.isfinite(needs).any():
        near = TRIED if q.arriving else int(np.sum(np.array(needs) == min(needs)))
        few = few[:near]
    rows = [_row(q, *tried[place]) for place in few]
    working = [row for row in rows if row["works"]]
    if working:
        return min(working, key=lambda row: (row["gpus"], -row["output_tokens_s"]))
    return max(rows, key=lambda row: (row["within"], row["most"], row["replica_gpus"]))


def _fewest(q: ServingQuestion, replica: Deployment) -> float:
    """Return the GPUs that keep the limits in the mean; infinite where no number does."""
    within = float(load_curve(q, replica)["within"])
    if within < 1:
        return float("inf")
    asked, each = float(q.in_flight), within
    if q.arriving:
        asked, each = q.arriving, float(served(q, replica, within)["requests_s"])
    return float(np.ceil(asked / each)) * replica.gpus


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
