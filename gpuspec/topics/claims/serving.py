"""Grids of serving: one GPU over another in every setting, within limits, and for a load."""

from functools import lru_cache
from itertools import product

import numpy as np
import pandas as pd

from gpuspec.catalog import Gpu, gpu
from gpuspec.catalog.models import Model
from gpuspec.catalog.precision import precision
from gpuspec.constants.inference import ratio_interval
from gpuspec.formulas.memory import stage_weights_bytes
from gpuspec.formulas.serving import max_concurrency
from gpuspec.topics.claims.ask import LARGE_B, SMALL_B, ClaimsQuestion
from gpuspec.topics.claims.machines import about, exact
from gpuspec.topics.claims.verdict import FIGURES
from gpuspec.topics.serving import ServingQuestion, fleet_capacity, options_table
from gpuspec.topics.serving.load import served
from gpuspec.topics.serving.ways import load_curve
from gpuspec.topics.ways import capacity

Formats = tuple[str, str]
"""Of the weights on the newer and on the older side."""
FEASIBLE = 1e-9
VENDOR_MODEL = "megatron-gpt-529.6b"
VENDOR_TOKENS = (128, 20)
"""Model, prompt and answer of the vendor's footnote on "30 times"."""
LIMITS_S = (0.2, 0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
LATENCY_JOBS = (
    (VENDOR_MODEL, 8, 4),
    ("llama-3.1-405b", 8, 2),
    ("llama-3.1-70b", 4, 1),
    ("llama-3.1-8b", 1, 1),
)
"""Model, TP and PP: the vendor's own, then smaller ones on as few GPUs as serve them well."""
REQUESTS = (8, 16, 32, 64, 128, 256, 512)
RIVAL = "B200"


def over_a100(q: ClaimsQuestion, new: str = "h100") -> pd.DataFrame:
    """Return throughput of `new` (a field of the question) over A100, which serves in BF16."""
    device: Gpu = getattr(q, f"{new}_gpu")
    pairs = tuple((form, "bf16") for form in _formats(q, device))
    return serving_grid(q, device, q.a100_gpu, pairs)


def over_h100(q: ClaimsQuestion, requests: bool = False) -> pd.DataFrame:
    """Return throughput, or `requests` in memory, of H200 over H100 in the same format."""
    pairs = tuple((form, form) for form in _formats(q, q.h100_gpu))
    return serving_grid(q, q.h200_gpu, q.h100_gpu, pairs, requests)


def over_rivals(q: ClaimsQuestion) -> pd.DataFrame:
    """Return throughput of H200 over A100, H100 and next year's GPU; ``rival`` names which."""
    rival = gpu(RIVAL)
    pairs = tuple((form, form) for form in _formats(q, q.h200_gpu))
    parts = {
        q.a100_gpu.id: over_a100(q, "h200"),
        q.h100_gpu.id: over_h100(q),
        rival.id: serving_grid(q, q.h200_gpu, rival, pairs),
    }
    return pd.concat([part.assign(rival=name) for name, part in parts.items()], ignore_index=True)


def _formats(q: ClaimsQuestion, device: Gpu) -> list[str]:
    return [w for w in q.weights if w != "fp8" or "fp8" in device.precisions] or ["bf16"]


@lru_cache(64)
def serving_grid(
    q: ClaimsQuestion, new: Gpu, old: Gpu, weights: tuple[Formats, ...], requests: bool = False
) -> pd.DataFrame:
    """Return throughput of fleets of `new` over equal ones of `old`, in every setting.

    `weights` are pairs of formats, new and old; `requests`: those that fit instead of throughput.
    Columns: ``model``, ``params_b``, ``weights`` (of the new side), ``context``, ``answer``,
    ``gpus``, ``filled`` (share of the memory of the old GPUs that its weights take), ``value``,
    ``low``, ``high``. Infinite where the old GPUs hold no request; settings that neither holds are
    left out.
    """
    isl, osl = (tuple(v) for v in zip(*product(q.contexts, q.answers), strict=True))
    place = 1 if requests else 0
    parts = []
    for (name, network), (fresh, aged) in product(zip(q.models, q.networks, strict=True), weights):
        top = fleet_capacity(name, new.id, fresh, isl, osl, q.fleets)[place]
        base = fleet_capacity(name, old.id, aged, isl, osl, q.fleets)[place]
        ratio = np.divide(top, base, out=np.full(top.shape, np.inf), where=base > FEASIBLE)
        ratio[(top <= FEASIBLE) | np.isnan(top)] = np.nan
        size = float(stage_weights_bytes(network, precision(aged)))
        filled = np.round(size / (np.array(q.fleets) * old.memory_bytes), 2)
        part = {
            **about(network),
            "weights": fresh.upper(),
            "context": np.tile(isl, len(q.fleets)),
            "answer": np.tile(osl, len(q.fleets)),
            "gpus": np.repeat(q.fleets, len(isl)),
            "filled": np.repeat(filled, len(isl)),
            "value": ratio.ravel(),
        }
        parts.append(pd.DataFrame(part).dropna())
    grid = pd.concat(parts, ignore_index=True)
    if requests:
        return grid.assign(low=grid["value"], high=grid["value"])
    return _judged(grid, new, old)


def _judged(grid: pd.DataFrame, new: Gpu, old: Gpu) -> pd.DataFrame:
    """Add the 80 % interval of a ratio of two GPUs."""
    low, high = ratio_interval(grid["value"].to_numpy(float), new.id, old.id)
    return grid.assign(low=low, high=high)


def latency_grid(
    q: ClaimsQuestion,
    limits: tuple[float, ...] = LIMITS_S,
    jobs: tuple[tuple[str, int, int], ...] = LATENCY_JOBS,
) -> pd.DataFrame:
    """Return throughput within a limit on the whole answer, H100 in FP8 over A100 in BF16.

    The lengths are those of the vendor's footnote. `jobs` are (model, TP, PP). Columns:
    ``model``, ``params_b``, ``gpus``, ``limit_s``, ``value``, ``low``, ``high``. Infinite where
    A100 keeps the limit with no request; limits that neither keeps are left out.
    """
    parts = []
    for name, tp, pp in jobs:
        network, old = _bounded(name, q.a100_gpu, "bf16", tp, pp, limits)
        _, new = _bounded(name, q.h100_gpu, "fp8", tp, pp, limits)
        ratio = np.divide(new, old, out=np.full(len(limits), np.inf), where=old > 0)
        part = {**about(network), "gpus": tp * pp, "limit_s": limits}
        value = np.where(new > 0, ratio, np.nan)
        parts.append(pd.DataFrame({**part, "value": value}).dropna())
    return _judged(pd.concat(parts, ignore_index=True), q.h100_gpu, q.a100_gpu)


@lru_cache(256)
def _bounded(
    name: str, device: Gpu, weight: str, tp: int, pp: int, limits: tuple[float, ...]
) -> tuple[Model, np.ndarray]:
    """Return the model, and the best throughput under each limit."""
    isl, osl = VENDOR_TOKENS
    asked = {"model": name, "gpus": device.id, "weights": weight, "isl": isl, "osl": osl}
    q = ServingQuestion.ask(**asked, max_gpus=64)
    replica = q.replica(device, q.formats[0], tp, pp)
    most = int(max_concurrency(replica, isl, osl))
    if most < 1:
        return q.network, np.zeros(len(limits))
    curve = load_curve(q.but(concurrency=most), replica)
    seconds = curve["ttft_s"] + osl * curve["tpot_s"]
    best = []
    for limit in limits:
        near = float(capacity(curve["batch"], seconds / limit))  # between the curve's points
        loads = np.arange(max(np.floor(0.9 * near), 1), min(np.ceil(1.1 * near), most) + 1)
        found = served(q, replica, loads)
        keeps = found["ttft_s"] + osl * found["tpot_s"] <= limit
        best.append(found["output_tokens_s"][keeps].max(initial=0.0))
    return q.network, np.array(best)


def large_needed(q: ClaimsQuestion) -> pd.DataFrame:
    """Return how many H200 serve Llama-3.1-70B within 10 s to the first token and 50 ms a token.

    Columns: ``model``, ``weights``, ``context``, ``requests`` (in flight), ``value``, ``low``,
    ``high``; settings that no eight GPUs serve are left out.
    """
    settings = product([q.h200_gpu], ["llama-3.1-70b"], q.weights, (2048, 8192, 32_768))
    return pd.concat([_fewest(*one) for one in settings], ignore_index=True)


def small_needed(q: ClaimsQuestion) -> pd.DataFrame:
    """Return how many A100 or H100 serve Llama-3.1-8B; columns as `large_needed`."""
    settings = product([q.a100_gpu, q.h100_gpu], ["llama-3.1-8b"], ["bf16"], (2048, 8192))
    return pd.concat([_fewest(*one) for one in settings], ignore_index=True)


def _fewest(device: Gpu, name: str, kind: str, context: int) -> pd.DataFrame:
    load = {"isl": context, "osl": 512, "concurrency": 1, "ttft_limit_s": 10.0, "max_gpus": 8}
    q = ServingQuestion.ask(model=name, gpus=device.id, weights=kind, **load)
    options = options_table(q)
    options = options[options["within"] >= 1]
    rows = []
    for count in REQUESTS if len(options) else ():
        fewest = float((np.ceil(count / options["within"]) * options["replica_gpus"]).min())
        rows.append((q.network.name, kind.upper(), context, count, fewest))
    return exact(rows, "model", "weights", "context", "requests")


def gain_of_size(q: ClaimsQuestion) -> pd.DataFrame:
    """Return the gain of H200 over H100 at 70B and more, over the small models' median."""
    grid, setting = over_h100(q), ["weights", "context", "answer", "gpus"]
    grid = grid[np.isfinite(grid["value"])]
    small = grid[grid["params_b"] <= SMALL_B].groupby(setting)["value"].median()
    large = grid[grid["params_b"] >= LARGE_B].reset_index(drop=True)
    rest = large.join(small.rename("typical"), on=setting).dropna()
    return rest.assign(**{c: rest[c] / rest["typical"] for c in FIGURES}).drop(columns="typical")
