"""What an option needs and costs in every sample of the errors."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal, NamedTuple, TypedDict

import numpy as np
import pandas as pd

from gpuspec.decision.errors import SAMPLES, SEED, Speeds, price_factors, speeds_of
from gpuspec.decision.money import kept_usd_month
from gpuspec.decision.plan.options import Options
from gpuspec.decision.scenario import Scenario
from gpuspec.formulas.cost import spot_useful_share
from gpuspec.topics.ways import capacity, doubtful, records

SHARED_BUSY = 0.9
"""Jobs share pooled GPUs in turns while they fill at most so much of the year."""
LATE = 1e15
"""What an option that breaks a limit in a sample costs there, and more the further it does."""
Offer = dict[str, Any]
"""One row of `market`."""
Amount = float | np.ndarray
PlanColumn = Literal["cost_usd", "upfront_usd", "cash_month_usd", "power_kw", "excess"]


class Need(NamedTuple):
    """What one option needs in each sample; arrays of shape (samples,)."""

    gpus: np.ndarray
    hours_month: np.ndarray
    busy: np.ndarray
    """Share of the year that a job keeps its GPUs; 1 for services."""
    excess: np.ndarray
    """How far the strictest limit is broken: 0 where all are kept."""
    time_s: np.ndarray


Chosen = list[tuple[int, Need]]
"""For each workload of a plan the place of its offer, and what it needs."""


class PlanCost(TypedDict):
    """What a plan costs, uses and breaks; numbers, or arrays over samples or plans."""

    cost_usd: Amount
    upfront_usd: Amount
    cash_month_usd: Amount
    power_kw: Amount
    excess: Amount
    pools: dict[int, Amount]
    """GPUs of each offer."""


class PlanDraws:
    """The samples of one scenario: speeds by kind of work, GPU and format; prices by offer."""

    def __init__(
        self, scenario: Scenario, offers: pd.DataFrame, samples: int = SAMPLES, seed: int = SEED
    ) -> None:
        self.scenario, self.offers, self.samples, self.seed = scenario, offers, samples, seed
        self.rows: list[Offer] = records(offers)
        """The offers as mappings: they are read one by one very often."""
        self.keep_usd = kept_usd_month(offers)
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

    def widest_spread(self, gpu_id: str) -> float:
        """Return the largest spread of a GPU's own error over the kinds of work."""
        return max(speeds.spread.get(gpu_id, 0.0) for speeds in self._speeds.values())

    def need(self, options: Options, row: int, speed: np.ndarray | None = None) -> Need:
        """Return what row `row` of an options table needs in each sample."""
        place, offer, gpus, time_s = (
            options.table[n].to_numpy()[row] for n in ("tech", "offer", "gpus", "time_s")
        )

        def of_tech(name: str) -> Any:
            return options.ways.table[name].to_numpy()[place]

        if speed is None:
            names = str(of_tech("gpu")), str(of_tech("precision"))
            wide = doubtful({name: of_tech(name) for name in ("inherited", "ground")})
            speed = self.speed(options.place, *names, wide)
        lost = float(self.rows[offer]["interruptions_per_gpu_hour"])
        useful = float(spot_useful_share(lost, of_tech("unit_gpus"))) if lost else 1.0
        ones, curve = np.ones(len(speed)), int(of_tech("curve"))
        hours, busy, time = of_tech("hours_month") / useful, ones, float(time_s) / speed
        if curve < 0:
            deadline = getattr(self.scenario.workloads[options.place], "deadline_days", np.inf)
            late = np.maximum(of_tech("days") / useful / speed / float(deadline) - 1, 0.0)
            busy = of_tech("busy") / useful / speed
            return Need(ones * float(gpus), hours / speed, busy, late, time)
        units, excess = self._units(options.ways.curves[curve], of_tech("batch"), speed)
        return Need(units * of_tech("unit_gpus"), ones * hours, busy, excess, time)

    def _units(
        self, curve: dict[str, np.ndarray], most: float, speed: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the replicas for the load, with as many requests each as the limits then allow.

        The second is how far the limits are broken.
        """
        batch, over, load = curve["batch"], curve["excess"], float(curve["load"][0])
        within = capacity(batch, over, speed)
        if "whole" in curve:  # requests in flight come in whole numbers
            within = np.floor(within + 1e-6)
        if self.scenario.objective != "cost":
            within = np.minimum(within, most)
        units = np.ceil(load / np.maximum(within, batch[0]) - 1e-6)
        return units, np.maximum(over[0] / speed - 1, 0.0)


def pooled_size(
    offer: Offer, services: Amount, jobs: Sequence[tuple[Amount, Amount]]
) -> np.ndarray:
    """Return the GPUs of one pool: services add up, jobs take turns where they leave time."""
    if jobs:
        counts = np.array([np.broadcast_to(g, np.shape(b)) for g, b in jobs])
        busy = np.array([b for _, b in jobs])
        in_turns = busy.sum(axis=0) <= SHARED_BUSY
        services = services + np.where(in_turns, counts.max(axis=0), counts.sum(axis=0))
    step = float(offer["step"])
    return np.asarray(np.ceil(np.asarray(services) / step - 1e-9) * step)


def cost_of(
    draws: PlanDraws, chosen: Chosen, prices: np.ndarray | None = None, keep: bool = True
) -> PlanCost:
    """Return what a plan costs.

    GPUs for a pool of reserved or owned ones: services add up, jobs take turns, whole servers
    are bought. `prices` are factors on prices, shape (offers, samples), 1 where not given; `keep`
    says whether to count that of GPUs that are owned already, used or not.
    """
    months, keep_usd = float(draws.scenario.horizon_months), draws.keep_usd if keep else 0.0
    total = PlanCost(
        cost_usd=keep_usd * months,
        cash_month_usd=keep_usd,
        upfront_usd=0.0,
        power_kw=0.0,
        excess=0.0,
        pools={},
    )
    for place in sorted({o for o, _ in chosen}):
        factor = 1.0 if prices is None else prices[place]
        needs = [need for o, need in chosen if o == place]
        part, total["pools"][place] = _of_offer(draws.rows[place], needs, factor, months)
        for name, amount in part.items():
            total[name] = total[name] + amount
    broken = np.asarray(total["excess"]) > 1e-9
    total["cost_usd"] = total["cost_usd"] + np.where(broken, LATE * (1 + total["excess"]), 0.0)
    return total


def _of_offer(
    offer: Offer, needs: list[Need], factor: Amount, months: float
) -> tuple[dict[PlanColumn, Amount], Amount]:
    """Return what the GPUs of one offer cost, and how many they are."""
    used: Amount = sum(need.gpus * need.hours_month for need in needs)
    hourly = float(offer["hour_cost"]) * (1.0 if offer["housed"] else factor)
    cost, cash = hourly * used * months, hourly * used
    upfront: Amount = 0.0
    gpus: Amount = sum(need.gpus for need in needs)
    if offer["pooled"]:
        services: Amount = sum((n.gpus for n in needs if np.all(n.busy == 1)), 0.0)
        jobs = [(n.gpus, n.busy) for n in needs if not np.all(n.busy == 1)]
        gpus = pooled_size(offer, services, jobs)
        running = float(offer["running_usd_month"])
        capital = float(offer["fixed_usd"]) - running * float(offer["months_paid"])
        if offer["housed"]:  # the price is that of the server; its keep does not follow it
            cost = cost + gpus * (capital * factor + running * months)
            cash = cash + gpus * running
        else:
            cost = cost + gpus * float(offer["fixed_usd"]) * factor
            cash = cash + gpus * running * factor
        upfront = gpus * float(offer["upfront_usd"]) * factor
    excess: Amount = sum(need.excess for need in needs)
    excess = excess + np.maximum(gpus / float(offer["available"]) - 1, 0.0)
    power_kw = gpus * float(offer["power_w_gpu"]) / 1e3 if offer["housed"] else 0.0
    totals: dict[PlanColumn, Amount] = {"cost_usd": cost, "cash_month_usd": cash}
    return {**totals, "upfront_usd": upfront, "power_kw": power_kw, "excess": excess}, gpus


def best_shares(scores: np.ndarray) -> np.ndarray:
    """Return in which share of the samples each row is the lowest; the shares add up to 1."""
    if not len(scores):
        return np.zeros(0)
    winners = np.argmin(scores, axis=0)
    return np.bincount(winners, minlength=len(scores)) / scores.shape[1]
