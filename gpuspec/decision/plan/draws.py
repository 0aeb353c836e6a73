"""What an option needs and costs in every sample of the errors."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.decision.errors import SAMPLES, SEED, Speeds, price_factors, speeds_of
from gpuspec.decision.money import kept_usd_month
from gpuspec.decision.plan.options import Options
from gpuspec.decision.scenario import Scenario
from gpuspec.formulas.cost import spot_useful_share
from gpuspec.topics.ways import capacity

SHARED_BUSY = 0.9
"""Jobs share pooled GPUs in turns while they fill at most so much of the year."""
TECHNICAL = (
    "gpu",
    "precision",
    "inherited",
    "curve",
    "unit_gpus",
    "days",
    "hours_month",
    "busy",
    "batch",
)
LATE = 1e15
"""What an option that breaks a limit in a sample costs there, and more the further it does."""


@dataclass(frozen=True)
class Need:
    """What one option needs in each sample; arrays of shape (samples,)."""

    gpus: np.ndarray
    hours_month: np.ndarray
    busy: np.ndarray
    """Share of the year that a job keeps its GPUs; 1 for services."""
    excess: np.ndarray
    """How far the strictest limit is broken: 0 where all are kept."""
    time_s: np.ndarray


class Draws:
    """The samples of one scenario: speeds by kind of work, GPU and format; prices by offer."""

    def __init__(
        self, scenario: Scenario, offers: pd.DataFrame, samples: int = SAMPLES, seed: int = SEED
    ) -> None:
        self.scenario, self.offers, self.samples, self.seed = scenario, offers, samples, seed
        self.rows = offers.to_dict("records")
        """The offers as mappings: they are read one by one very often."""
        self.kept = kept_usd_month(offers)
        self._speeds: dict[str, Speeds] = {}
        self._factors: dict[tuple[str, str, str, bool], np.ndarray] = {}

    @cached_property
    def prices(self) -> np.ndarray:
        """Return the factor on the price of each offer, shape (offers, samples)."""
        return price_factors(self.offers, self.samples, self.seed)

    def speed(self, place: int, gpu_id: str, precision: str, inherited: bool) -> np.ndarray:
        """Return the factor on the speed of an option of workload `place`."""
        kind = self.scenario.workloads[place].kind
        if kind not in self._speeds:
            names = {*self.scenario.allow.gpus, *self.offers["gpu"]}
            self._speeds[kind] = speeds_of(kind, tuple(sorted(names)), self.samples, self.seed)
        key = (kind, gpu_id, precision, inherited)
        if key not in self._factors:
            self._factors[key] = self._speeds[kind].factor(gpu_id, precision, inherited)
        return self._factors[key]

    def need(self, options: Options, row: int, speed: np.ndarray | None = None) -> Need:
        """Return what row `row` of an options table needs in each sample."""
        numbers = {n: options.table[n].to_numpy()[row] for n in ("tech", "offer", "gpus", "time_s")}
        place = int(numbers["tech"])
        tech = {n: options.ways.table[n].to_numpy()[place] for n in TECHNICAL}
        if speed is None:
            names = (str(tech["gpu"]), str(tech["precision"]), bool(tech["inherited"]))
            speed = self.speed(options.place, *names)
        lost = float(self.rows[int(numbers["offer"])]["interruptions_per_gpu_hour"])
        useful = float(spot_useful_share(lost, float(tech["unit_gpus"]))) if lost else 1.0
        if int(tech["curve"]) < 0:
            return self._job(options.place, numbers, tech, speed, useful)
        return self._service(options, numbers, tech, speed, useful)

    def _job(self, place: int, numbers: Any, tech: Any, speed: np.ndarray, useful: float) -> Need:
        deadline = float(getattr(self.scenario.workloads[place], "deadline_days", np.inf))
        days = float(tech["days"]) / useful / speed
        return Need(
            gpus=np.full(len(speed), float(numbers["gpus"])),
            hours_month=float(tech["hours_month"]) / useful / speed,
            busy=float(tech["busy"]) / useful / speed,
            excess=np.maximum(days / deadline - 1, 0.0),
            time_s=float(numbers["time_s"]) / speed,
        )

    def _service(
        self, options: Options, numbers: Any, tech: Any, speed: np.ndarray, useful: float
    ) -> Need:
        """Return the replicas for the load: as many requests each as the limits then allow."""
        curve = options.ways.curves[int(tech["curve"])]
        batch, over, load = curve["batch"], curve["excess"], float(curve["load"][0])
        within = capacity(batch, over, speed)
        if "whole" in curve:  # requests in flight come in whole numbers
            within = np.floor(within + 1e-6)
        if self.scenario.objective != "cost":
            within = np.minimum(within, float(tech["batch"]))
        excess = np.maximum(over[0] / speed - 1, 0.0)
        units = np.ceil(load / np.maximum(within, batch[0]) - 1e-6)
        ones = np.ones(len(speed))
        return Need(
            gpus=units * float(tech["unit_gpus"]),
            hours_month=ones * float(tech["hours_month"]) / useful,
            busy=ones,
            excess=excess,
            time_s=float(numbers["time_s"]) / speed,
        )


def pooled_size(offer: Any, services: Any, jobs: list[tuple[Any, Any]]) -> Any:
    """Return the GPUs of one pool: services add up, jobs take turns where they leave time."""
    if jobs:
        counts = np.array([np.broadcast_to(g, np.shape(b)) for g, b in jobs])
        busy = np.array([b for _, b in jobs])
        share = busy.sum(axis=0) <= SHARED_BUSY
        services = services + np.where(share, counts.max(axis=0), counts.sum(axis=0))
    step = float(offer["step"])
    return np.ceil(np.asarray(services) / step - 1e-9) * step


def cost_of(
    draws: "Draws",
    chosen: list[tuple[int, Need]],
    prices: np.ndarray | None = None,
    keep: bool = True,
) -> dict[str, Any]:
    """Return what a plan costs: ``cost_usd``, ``upfront_usd``, ``cash_month_usd``, ``power_kw``.

    GPUs for a pool of reserved or owned ones: services add up, jobs take turns, whole servers
    are bought. ``excess`` tells how far limits are broken, ``pools`` the GPUs of each offer.

    Parameters
    ----------
    chosen : list of (int, Need)
        For each workload the place of its offer, and what it needs.
    prices : array, shape (offers, samples), optional
        Factors on prices; 1 where not given.
    keep : bool
        Whether to count the keep of GPUs that are owned already, used or not.
    """
    months, kept = float(draws.scenario.horizon_months), draws.kept if keep else 0.0
    total: dict[str, Any] = {"cost_usd": kept * months, "cash_month_usd": kept}
    total |= {"upfront_usd": 0.0, "power_kw": 0.0, "excess": 0.0}
    pools: dict[int, Any] = {}
    for place in sorted({o for o, _ in chosen}):
        factor = 1.0 if prices is None else prices[place]
        mine = [need for o, need in chosen if o == place]
        part, pools[place] = _of_offer(draws.rows[place], mine, factor, months)
        for name, amount in part.items():
            total[name] = total[name] + amount
    broken = np.asarray(total["excess"]) > 1e-9
    total["cost_usd"] = total["cost_usd"] + np.where(broken, LATE * (1 + total["excess"]), 0.0)
    return {**total, "pools": pools}


def _of_offer(
    offer: Any, mine: list[Need], factor: Any, months: float
) -> tuple[dict[str, Any], Any]:
    """Return what the GPUs of one offer cost, and how many they are."""
    used = sum(need.gpus * need.hours_month for need in mine)
    hourly = float(offer["hour_cost"]) * (1.0 if offer["housed"] else factor)
    cost, cash, upfront = hourly * used * months, hourly * used, 0.0
    held: Any = sum(need.gpus for need in mine)
    if offer["pooled"]:
        services: Any = sum((n.gpus for n in mine if np.all(n.busy == 1)), 0.0)
        jobs = [(n.gpus, n.busy) for n in mine if not np.all(n.busy == 1)]
        held = pooled_size(offer, services, jobs)
        running = float(offer["running_usd_month"])
        capital = float(offer["fixed_usd"]) - running * float(offer["months_paid"])
        if offer["housed"]:  # the price is that of the server; its keep does not follow it
            cost = cost + held * (capital * factor + running * months)
            cash = cash + held * running
        else:
            cost = cost + held * float(offer["fixed_usd"]) * factor
            cash = cash + held * running * factor
        upfront = held * float(offer["upfront_usd"]) * factor
    excess: Any = sum(need.excess for need in mine)
    excess = excess + np.maximum(held / float(offer["available"]) - 1, 0.0)
    kw = held * float(offer["power_w_gpu"]) / 1e3 if offer["housed"] else 0.0
    found = {"cost_usd": cost, "cash_month_usd": cash, "upfront_usd": upfront}
    return {**found, "power_kw": kw, "excess": excess}, held


def best_shares(scores: np.ndarray) -> np.ndarray:
    """Return in which share of the samples each row is the lowest; the shares add up to 1."""
    if not len(scores):
        return np.zeros(0)
    winners = np.argmin(scores, axis=0)
    return np.bincount(winners, minlength=len(scores)) / scores.shape[1]
