"""Grids of speed ratios between two GPUs, for serving and for training."""

from functools import lru_cache
from itertools import product

import numpy as np
import pandas as pd

from gpuspec.catalog import Gpu
from gpuspec.catalog.models import Model
from gpuspec.catalog.precision import precision
from gpuspec.constants.inference import ratio_interval
from gpuspec.formulas.memory import stage_weights_bytes
from gpuspec.formulas.serving import max_concurrency, steady_state
from gpuspec.topics.claims.ask import ClaimsQuestion
from gpuspec.topics.serving import ServingQuestion, fleet_rates, fleet_requests
from gpuspec.topics.training import size_table

FEASIBLE = 1e-9
GLOBAL_BATCH_TOKENS = 4_194_304
"""Tokens of an optimizer step in the grid of training."""
LOADS = 64
VENDOR_MODEL = "megatron-gpt-529.6b"
VENDOR_TOKENS = (128, 20)
"""Model, prompt and answer of the vendor's footnote on "30 times"."""


def serving_grid(
    question: ClaimsQuestion, new: Gpu, old: Gpu, weights: tuple[tuple[str, str], ...]
) -> pd.DataFrame:
    """Return throughput of fleets of `new` over equal ones of `old`, in every setting.

    `weights` are pairs of formats, new and old. Columns: ``model``, ``params_b``, ``weights``
    (of the new side), ``context``, ``answer``, ``gpus``, ``filled`` (share of the memory of the
    old GPUs that its weights take), ``value``, ``low``, ``high``. Infinite
    where the old GPUs hold no request; settings that neither holds are left out.
    """
    return _with_interval(_serving(question, new, old, weights, "rates"), new, old)


def batch_grid(
    question: ClaimsQuestion, new: Gpu, old: Gpu, weights: tuple[tuple[str, str], ...]
) -> pd.DataFrame:
    """Return requests that fit fleets of `new` over those of `old`; columns as `serving_grid`."""
    grid = _serving(question, new, old, weights, "requests")
    return grid.assign(low=grid["value"], high=grid["value"])


@lru_cache(64)
def _serving(
    q: ClaimsQuestion, new: Gpu, old: Gpu, weights: tuple[tuple[str, str], ...], what: str
) -> pd.DataFrame:
    lengths = list(product(q.contexts, q.answers))
    isl, osl = (tuple(v) for v in zip(*lengths, strict=True))
    measure = fleet_rates if what == "rates" else fleet_requests
    parts = []
    for (name, network), (fresh, aged) in product(zip(q.models, q.networks, strict=True), weights):
        top = measure(name, new.id, fresh, isl, osl, q.fleets)
        base = measure(name, old.id, aged, isl, osl, q.fleets)
        ratio = np.divide(top, base, out=np.full(top.shape, np.inf), where=base > FEASIBLE)
        ratio[(top <= FEASIBLE) | np.isnan(top)] = np.nan
        part = pd.DataFrame(
            {
                "model": network.name,
                "params_b": round(network.params / 1e9, 1),
                "weights": fresh.upper(),
                "context": np.tile(isl, len(q.fleets)),
                "answer": np.tile(osl, len(q.fleets)),
                "gpus": np.repeat(q.fleets, len(isl)),
                "filled": np.repeat(_filled(network, old, aged, q.fleets), len(isl)),
                "value": ratio.ravel(),
            }
        )
        parts.append(part.dropna())
    return pd.concat(parts, ignore_index=True)


def _filled(network: Model, device: Gpu, weight: str, fleets: tuple[int, ...]) -> np.ndarray:
    size = float(stage_weights_bytes(network, precision(weight)))
    return np.round(size / (np.array(fleets) * device.memory_bytes), 2)


def _with_interval(grid: pd.DataFrame, new: Gpu, old: Gpu) -> pd.DataFrame:
    low, high = ratio_interval(grid["value"].to_numpy(float), new.id, old.id)
    return grid.assign(low=low, high=high)


def latency_grid(
    question: ClaimsQuestion, limits: tuple[float, ...], jobs: tuple[tuple[str, int, int], ...]
) -> pd.DataFrame:
    """Return throughput within a limit on the whole answer, H100 in FP8 over A100 in BF16.

    The lengths are those of the vendor's footnote. `jobs` are (model, TP, PP). Columns:
    ``model``, ``params_b``, ``gpus``, ``limit_s``, ``a100_requests`` and ``h100_requests``
    (in flight), ``value``, ``low``, ``high``. Infinite where A100 keeps the limit with no
    request; limits that neither keeps are left out.
    """
    q, parts = question, []
    for name, tp, pp in jobs:
        network, old = _bounded(name, q.a100_gpu, "bf16", tp, pp, limits)
        _, new = _bounded(name, q.h100_gpu, "fp8", tp, pp, limits)
        ratio = np.divide(new[0], old[0], out=np.full(len(limits), np.inf), where=old[0] > 0)
        parts.append(
            pd.DataFrame(
                {
                    "model": network.name,
                    "params_b": round(network.params / 1e9, 1),
                    "gpus": tp * pp,
                    "limit_s": limits,
                    "a100_requests": old[1],
                    "h100_requests": new[1],
                    "value": np.where(new[0] > 0, ratio, np.nan),
                }
            ).dropna()
        )
    return _with_interval(pd.concat(parts, ignore_index=True), q.h100_gpu, q.a100_gpu)


@lru_cache(256)
def _bounded(
    name: str, device: Gpu, weight: str, tp: int, pp: int, limits: tuple[float, ...]
) -> tuple[Model, np.ndarray]:
    """Return the model, then the best throughput and its requests under each limit."""
    isl, osl = VENDOR_TOKENS
    q = ServingQuestion.ask(
        model=name, gpus=device.id, weights=weight, isl=isl, osl=osl, max_gpus=64
    )
    replica = q.replica(device, q.formats[0], tp, pp)
    most = float(max_concurrency(replica, isl, osl))
    if most < 1:
        return q.network, np.zeros((2, len(limits)))
    loads = np.unique(np.floor(np.geomspace(1, most, LOADS)))
    found = steady_state(replica, loads, isl, osl, in_step=False)
    seconds = found["ttft_s"] + osl * found["tpot_s"]
    keeps = seconds[None, :] <= np.array(limits)[:, None]
    rates = np.where(keeps, found["output_tokens_s"][None, :], 0.0)
    best = rates.argmax(axis=1)
    kept = np.where(keeps.any(axis=1), loads[best], 0.0)
    return q.network, np.stack([rates.max(axis=1), kept])


def training_grid(
    question: ClaimsQuestion, pairs: tuple[tuple[tuple[str, str], tuple[str, str]], ...]
) -> pd.DataFrame:
    """Return training speed of one (GPU, precision) over another, each in its best layout.

    Columns: ``model``, ``params_b``, ``gpus``, ``seq_len``, ``precision`` (of the new side),
    ``value``, ``low``, ``high``. Jobs that the old GPUs do not hold are left out.
    """
    return pd.concat([_trained(question, new, old) for new, old in pairs], ignore_index=True)


@lru_cache(64)
def _trained(q: ClaimsQuestion, new: tuple[str, str], old: tuple[str, str]) -> pd.DataFrame:
    parts = []
    for length in q.sequences:
        table = size_table(
            new, old, q.trained, q.train_gpus, length, max(GLOBAL_BATCH_TOKENS // length, 1)
        )
        part = table.rename(columns={"ratio": "value", "ratio_low": "low", "ratio_high": "high"})
        part = part.assign(seq_len=length, precision=new[1].upper())
        part["params_b"] = part["params_b"].round(1)
        columns = ["model", "params_b", "gpus", "seq_len", "precision", "value", "low", "high"]
        parts.append(part[columns].dropna())
    return pd.concat(parts, ignore_index=True)
