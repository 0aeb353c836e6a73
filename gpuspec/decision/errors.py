"""Samples of what may come out otherwise: speeds and prices, what is common kept common.

The error of an estimate has a part that all GPUs share (the engine, the framework, the load) and
a part of its own. The published ratio of two GPUs shows only the second. So a sample draws one
common error for each kind of work, one for each GPU such that any two differ by the stored error
of their ratio, and one for FP8. Prices are drawn the same way: one market for all rents, half of
the rest common to all GPUs of a mode, half of its own.

Every stream of random numbers is named after what it belongs to, not after its place: the same
questions with another price, load or order of options differ by that alone.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd

from gpuspec.base.units import HOURS_MONTH
from gpuspec.catalog import load_table
from gpuspec.catalog.models import model
from gpuspec.constants.engine import engine
from gpuspec.constants.ground import format_name, model_kind
from gpuspec.constants.hpc import hpc_ratio_interval
from gpuspec.constants.images import image_interval
from gpuspec.constants.inference import inference_interval, ratio_interval
from gpuspec.constants.learnt import learnt
from gpuspec.constants.training import framework, training_interval, training_ratio_interval
from gpuspec.formulas.cost import spot_useful_share
from gpuspec.topics.cost.prices.records import BANDS, operating_value

SAMPLES = 2000
SEED = 0
SURE = 0.8
"""A way is recommended only if it keeps its limits in so many of the samples."""
Z80 = 1.2815515655446004
"""Standard normal quantile of 0.9: an 80 % interval reaches so many standard deviations."""
MARKET = 1.35
"""All rents together may drift by so much over the horizon (80 % interval): Hopper rents rose by
more than half from October 2025 to mid-2026, and had fallen by as much before."""
MARKET_SHARES = {"on-demand": 1.0, "spot": 1.0, "reserved-1yr": 0.5}
"""Share of the market's logarithm that a price follows; none where it is fixed for longer."""
COMMON_PRICE = 0.5
"""Share of the variance of a price that all GPUs of a mode have in common."""
TYPICAL_LOAD = 32.0
"""Requests in flight of a replica at which own rows count where a work does not say any."""
WIDER = 1.5
"""Factor on the error of a GPU whose kernels were not measured."""


@lru_cache(512)
def stream(seed: int, name: str, size: int) -> np.ndarray:
    """Return `size` standard normal numbers that depend on `seed` and `name` alone."""
    found = np.random.default_rng([seed, crc32(name.encode())]).standard_normal(size)
    found.flags.writeable = False
    return found


def two_sided(z: np.ndarray, low: Any, high: Any) -> np.ndarray:
    """Return log errors whose 80 % interval is log(`low`) to log(`high`), from normal `z`.

    The median lies halfway where the interval does not hold 1, at 1 where it does.
    """
    lower, upper = np.log(np.asarray(low, float)), np.log(np.asarray(high, float))
    centre = np.where((lower <= 0) & (upper >= 0), 0.0, (lower + upper) / 2)
    return np.asarray(centre + np.where(z < 0, (centre - lower) * z, (upper - centre) * z) / Z80)


def own_spreads(kind: str, gpus: Sequence[str]) -> tuple[dict[str, float], dict[str, float]]:
    """Return shift and spread of each GPU's own log error of speed.

    The spreads are those whose pairwise differences come closest to the stored errors of the
    ratios; the shifts likewise, with mean 0.
    """
    pairs = list(combinations(range(len(gpus)), 2))
    if not pairs:
        return dict.fromkeys(gpus, 0.0), dict.fromkeys(gpus, 0.0)
    ends = np.log([_ratio(kind, gpus[b], gpus[a]) for a, b in pairs])
    rows = np.zeros((len(pairs), len(gpus)))
    for row, (a, b) in zip(rows, pairs, strict=True):
        row[[a, b]] = 1.0
    width = (ends[:, 1] - ends[:, 0]) / 2 / Z80
    variance = np.linalg.lstsq(rows, width**2, rcond=None)[0]
    if variance.min() < 0:
        from scipy.optimize import nnls  # takes long to load, and is hardly ever needed

        variance = nnls(rows, width**2)[0]
    spread = np.sqrt(variance)
    signs = np.array([[(i == b) - (i == a) for i in range(len(gpus))] for a, b in pairs], float)
    shift = np.linalg.lstsq(signs, ends.mean(axis=1), rcond=None)[0]
    return dict(zip(gpus, shift, strict=True)), dict(zip(gpus, spread, strict=True))


def _ratio(kind: str, new: str, old: str) -> tuple[Any, Any]:
    if kind == "hpc":
        return hpc_ratio_interval(1.0, "application", new, old)
    return (training_ratio_interval if kind == "training" else ratio_interval)(1.0, new, old)


@lru_cache(64)
def spot_stops(samples: int, seed: int) -> np.ndarray:
    """Return (S,) factors on the rate at which spot GPUs are withdrawn: any between the published
    ends is as probable as another of its logarithm, for all of a draw.
    """
    least, usual, most = (operating_value("spot_interruptions", band=end) or 1.0 for end in BANDS)
    share = np.random.default_rng([seed, crc32(b"spot interruptions")]).random(samples)
    found = least / usual * (most / least) ** share
    found.flags.writeable = False
    return np.asarray(found)


class Speeds:
    """Factors on the speed of every option: above 1 it turns out faster than estimated."""

    def __init__(
        self, kind: str, gpus: Collection[str], samples: int = SAMPLES, seed: int = SEED
    ) -> None:
        self.kind, self.samples, self.seed = kind, samples, seed
        names = sorted(gpus)
        self.shift, self.spread = own_spreads(kind, names)
        own = float(np.mean([s**2 for s in self.spread.values()]))
        if kind == "hpc":  # the hours on one GPU are the buyer's own: only the ratio is uncertain
            self.common = np.zeros(samples)
            return
        low, high = self._absolute()
        wide = (np.log(high) - np.log(low)) / 2 / Z80
        share = np.sqrt(max(1 - own / wide**2, 0.0))
        z = stream(seed, f"common {kind}", samples)
        self.common = two_sided(z, low, high) * share

    def _absolute(self) -> tuple[float, float]:
        if self.kind == "training":
            ends = training_interval(1.0, levels={"known": "framework known"})
            return 1 / float(ends[1]), 1 / float(ends[0])
        # Both are errors of seconds: of an image, and of a token under the load that is asked.
        images = self.kind == "images"
        low, high = image_interval(1.0) if images else inference_interval(1.0, "tpot")
        return 1 / float(high), 1 / float(low)

    def factor(self, gpu_id: str, precision: str, inherited: bool = False) -> np.ndarray:
        """Return one factor a sample for a GPU and a number format."""
        z = stream(self.seed, f"{self.kind} {gpu_id}", self.samples)
        own = self.shift[gpu_id] + z * self.spread[gpu_id] * (WIDER if inherited else 1.0)
        if precision == "fp8" and self.kind != "images":  # whose own error holds both
            low, high = training_interval(1.0, "fp8 ratio")
            own = own + two_sided(stream(self.seed, f"{self.kind} fp8", self.samples), low, high)
        return np.exp(self.common + own)

    def gains(self, known: Sequence[Any]) -> np.ndarray:
        """Return by how much the common error follows each measured speed: the weights of the
        conditional mean of normal errors, (rows,).
        """
        wide = max(float(np.std(self.common)), 1e-9)
        own = [self.spread.get(row.gpu, 0.0) ** 2 + _said(row) ** 2 + 1e-9 for row in known]
        weights = 1 / np.array(own)
        return np.asarray(weights / (1 / wide**2 + weights.sum()))

    def after(
        self, known: Sequence[Any], gpu_id: str, precision: str, inherited: bool, gpus: int
    ) -> np.ndarray:
        """Return the factor of `factor` where some speeds are known, beside their estimates.

        What was measured keeps what its row says, and the error of another format; on another
        number of GPUs also its own. Elsewhere the draws of the common error are corrected by what
        the measured ones would have shown (Matheron's rule), which leaves the conditional spread.
        """
        services = self.kind in ("inference", "images")
        place = matching(known, gpu_id, precision, gpus, services)
        if place is None:
            free = self.factor(gpu_id, precision, inherited)
            seen = [
                np.log(self.factor(row.gpu, getattr(row, "precision", None) or "bf16"))
                for row in known
            ]
            return np.asarray(free * np.exp(-self.gains(known) @ np.array(seen)))
        row = known[place]
        name = f"measured {self.kind} {row.gpu} {getattr(row, 'gpus', 0)}"
        found = stream(self.seed, name, self.samples) * _said(row)
        form = getattr(row, "precision", None) or precision
        if (form == "fp8") != (precision == "fp8"):
            low, high = training_interval(1.0, "fp8 ratio")
            found = found + two_sided(
                stream(self.seed, f"{self.kind} fp8", self.samples), low, high
            )
        if not _same(row, gpus, services):
            z = stream(self.seed, f"{self.kind} {gpu_id}", self.samples)
            found = found + z * self.spread[gpu_id]
        return np.asarray(np.exp(found))


def _said(row: Any) -> float:
    """Return the spread of the log of a measured speed, by its own row."""
    return float(np.log1p(row.plus_minus)) / Z80


def _same(row: Any, gpus: int, services: bool) -> bool:
    """Return whether a way on so many GPUs a replica, or for the job, was measured."""
    measured = getattr(row, "gpus", 0)
    return not measured or not gpus or (measured % gpus == 0 if services else measured == gpus)


def matching(
    known: Sequence[Any], gpu_id: str, precision: str, gpus: int, services: bool
) -> int | None:
    """Return the place of the measured speed that is nearest to a way: of its GPU, then of its
    format, then on as many GPUs; None where its GPU was not measured.
    """

    def far(i: int) -> tuple[bool, bool, float]:
        form = getattr(known[i], "precision", None) or precision
        count = abs(float(np.log(max(getattr(known[i], "gpus", 1), 1) / max(gpus, 1))))
        return form != precision, not _same(known[i], gpus, services), count

    mine = [i for i, row in enumerate(known) if row.gpu == gpu_id]
    return min(mine, key=far, default=None)


def speeds_of_work(kind: str, samples: int = SAMPLES, seed: int = SEED) -> Speeds:
    """Return the factors on speed of a kind of work on all GPUs of the catalogue."""
    return speeds_of(kind, catalogued(), samples, seed)


@lru_cache(64)
def speeds_of(kind: str, gpus: tuple[str, ...], samples: int = SAMPLES, seed: int = SEED) -> Speeds:
    """Return the factors on speed of a kind of work on some GPUs; what was drawn is kept."""
    return Speeds(kind, gpus, samples, seed)


def market_factors(modes: Sequence[str], samples: int, seed: int) -> np.ndarray:
    """Return what the market does to a price of each mode in each sample: no quote of today says.

    A contract fixes the rent for its term; what follows is the market's again.
    """
    market = np.exp(stream(seed, "market", samples) * np.log(MARKET) / Z80)
    shares = np.array([MARKET_SHARES.get(mode, 0.0) for mode in modes])
    return np.asarray(market ** shares[:, None])


def price_factors(offers: pd.DataFrame, samples: int, seed: int) -> np.ndarray:
    """Return a factor on the price of each offer and sample, shape (offers, samples).

    What licences and lines add to a rent is the same in all of them.
    """
    market = market_factors(offers["mode"].tolist(), samples, seed)
    found = np.ones((len(offers), samples))
    for place, row in enumerate(offers.to_dict("records")):
        mode, gpu_id = str(row["mode"]), str(row["gpu"])
        if mode == "owned":
            continue
        own = mode == "own"
        name = "capital_usd_gpu" if own else "hour_usd"
        beside = 0.0 if own else row["beside_month_usd_gpu"] / HOURS_MONTH
        low, value, high = (row[f"{name}{end}"] - beside for end in ("_low", "", "_high"))
        if not value > 0:
            continue
        common = stream(seed, f"price {mode}", samples)
        alone = stream(seed, f"price {mode} {gpu_id} {row['provider']}", samples)
        z = np.sqrt(COMMON_PRICE) * common + np.sqrt(1 - COMMON_PRICE) * alone
        factor = np.exp(two_sided(z, min(low / value, 1.0), max(high / value, 1.0))) * market[place]
        found[place] = (factor * value + beside) / (value + beside) if beside else factor
    return found


@dataclass(frozen=True)
class Draws:
    """The samples of one question: speeds by kind of work, GPU and format; prices by offer.

    The errors of GPUs are those of the whole catalogue: what else may be chosen changes nothing.
    """

    prices: np.ndarray
    """(offers, S) factors on the price of each offer."""
    seed: int = SEED
    faster: Mapping[str, float] = field(default_factory=dict)
    """Factors on the speed of GPUs, beside what is drawn."""
    drawn: bool = True
    """Whether speeds are drawn; else all are as estimated."""

    @classmethod
    def of(cls, offers: pd.DataFrame, samples: int = SAMPLES, seed: int = SEED) -> "Draws":
        """Return the draws of a table of offers."""
        return cls(price_factors(offers, samples, seed), seed)

    @classmethod
    def central(cls, offers: pd.DataFrame) -> "Draws":
        """Return the one draw in which all is as estimated."""
        return cls(np.ones((len(offers), 1)), drawn=False)

    @property
    def samples(self) -> int:
        """Number of draws."""
        return int(self.prices.shape[1])

    def price(self, offer: int) -> np.ndarray:
        """Return (S,) the factor on the price of an offer."""
        return np.asarray(self.prices[offer])

    def spot_useful(self, stops_per_gpu_hour: float, gpus: float) -> np.ndarray:
        """Return (S,) the share of paid spot hours that move work forward on so many GPUs at once,
        at the rate of interruptions of each draw.
        """
        of = spot_stops(self.samples, self.seed) if self.drawn else np.ones(1)
        return np.asarray(spot_useful_share(stops_per_gpu_hour * of, gpus))

    def market(self, mode: str) -> np.ndarray:
        """Return (S,) what the market of rents does to a price of a mode."""
        return market_factors([mode], self.samples, self.seed)[0]

    def speed(
        self, workload: Any, gpu_id: str, precision: str, wide: bool, gpus: int
    ) -> np.ndarray:
        """Return (S,) the factor on the speed of a way; `wide`: its own error is wider; `gpus` are
        those of a replica, or of the job.

        The hours of a simulation are the buyer's own on the reference GPU: there nothing is drawn.
        """
        faster = self.faster.get(gpu_id, 1.0)
        own = workload.kind == "hpc" and gpu_id == workload.reference_gpu
        if own or not self.drawn or workload.kind == "tenants":  # slices: memory decides
            return np.full(self.samples, faster)
        speeds = speeds_of_work(workload.kind, self.samples, self.seed)
        known = getattr(workload, "measured_speeds", ())
        if any(row.gpu == gpu_id for row in known) or (known and workload.kind != "hpc"):
            return speeds.after(known, gpu_id, precision, wide, gpus) * faster
        left = known_share(workload, gpu_id, precision, gpus)
        factor = speeds.factor(gpu_id, precision, wide) ** left * faster
        if workload.kind == "hpc":
            factor = factor / speeds.factor(workload.reference_gpu, precision, False)
        return np.asarray(factor)


def known_share(workload: Any, gpu_id: str, precision: str, gpus: int) -> float:
    """Return how much of the error of a work on a GPU one's own rows leave: 1 without any.

    `gpus` are those of a replica, taken to be split by tensors, or of the job.
    """
    topic = {"inference": "inference", "training": "training"}.get(workload.kind, "")
    own = learnt(topic) if topic else None
    if own is None:
        return 1.0
    network = model(workload.model)
    said: dict[str, Any] = {
        "gpu": gpu_id,
        "params_b": network.params / 1e9,
        "kind": model_kind(network),
        "quantity": "tpot",
        "engine": engine(workload.engine).engine if topic == "inference" else "",
        "framework": framework(workload.framework)[0] if topic == "training" else "",
        "weights": format_name(precision),
        "precision": "fp8" if precision == "fp8" else "16 bit",
        "tuning": "adapters" if getattr(workload, "tuning", "full") != "full" else "all weights",
        "tp": gpus,
        "pp": 1,
        "gpus": gpus,
        "load": float(getattr(workload, "concurrency", None) or TYPICAL_LOAD),
        "isl": float(getattr(workload, "isl", 0) or 1),
        "osl": float(getattr(workload, "osl", 0) or 1),
        "seq_len": float(getattr(workload, "seq_len", 0) or 1),
    }
    return float(own.predicted({n: np.asarray(v) for n, v in said.items()})[1])


def own_spread(kind: str, gpu_id: str) -> float:
    """Return the spread of a GPU's own log error of speed in a kind of work."""
    return 0.0 if kind == "tenants" else speeds_of(kind, catalogued()).spread[gpu_id]


@lru_cache(1)
def catalogued() -> tuple[str, ...]:
    """Return the ids of all GPUs of the catalogue."""
    return tuple(sorted(load_table("gpus")["id"]))
