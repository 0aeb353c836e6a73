"""What would flip the decision: how each input moves the gap to the runner-up."""

from typing import Any

import numpy as np
import pandas as pd

from gpuspec.base.units import HOURS_MONTH
from gpuspec.decision.errors import MARKET, Z80
from gpuspec.decision.money import market
from gpuspec.decision.plan.decision import Decision, decide
from gpuspec.decision.plan.draws import cost_of
from gpuspec.decision.plan.ranking import spread
from gpuspec.decision.scenario import Inference, Scenario, Training
from gpuspec.topics.cost.prices.quotes import RENT_MODES

LOADS = 12
"""Loads of a replica where a changed question is answered: coarser, the answer is a trend."""
SAMPLES = 400
SERVICES = ("inference", "images", "tenants")


def scaled(scenario: Scenario, what: str, factor: float) -> Scenario:
    """Return the scenario with its traffic, context, hours, tokens or horizon multiplied."""
    if what == "horizon":
        months = max(round(scenario.horizon_months * factor), 1)
        return scenario.model_copy(update={"horizon_months": min(months, 120)})
    workloads = tuple(_scaled(w, what, factor) for w in scenario.workloads)
    return scenario.model_copy(update={"workloads": workloads})


def _scaled(w: Any, what: str, factor: float) -> Any:
    if what == "context" and isinstance(w, Inference):
        return w.model_copy(update={"isl": max(round(w.isl * factor), 1)})
    if what == "tokens" and isinstance(w, Training):
        return w.model_copy(update={"tokens": w.tokens * factor})
    if what == "hours" and w.kind in SERVICES:
        hours = min(w.hours_per_month * factor, HOURS_MONTH)
        return w.model_copy(update={"hours_per_month": hours})
    if what == "traffic" and isinstance(w, Inference):
        changes: dict[str, Any] = {"request_rate": w.request_rate and w.request_rate * factor}
        if w.concurrency:
            changes["concurrency"] = max(round(w.concurrency * factor), 1)
        return w.model_copy(update=changes)
    if what == "traffic" and w.kind == "images":
        return w.model_copy(update={"images_per_s": w.images_per_s * factor})
    return w


class Gap:
    """The expected cost of the runner-up minus that of the recommended plan, re-evaluated.

    Parameters
    ----------
    decision : Decision
        With at least two plans.
    """

    def __init__(self, decision: Decision) -> None:
        self.decision, self.draws = decision, decision.plans.draws
        self.pair = [tuple(p["choice"]) for p in (decision.best, decision.runner_up)]
        self.members = [decision.plans.members(choice) for choice in self.pair]
        self.base = [self._cost(i) for i in (0, 1)]

    @property
    def value(self) -> float:
        """Return the gap as it is, over the cost of the recommended plan."""
        return self._share(self.base)

    def _share(self, costs: list[float]) -> float:
        return (costs[1] - costs[0]) / max(self.base[0], 1e-9)

    def _cost(
        self, place: int, prices: Any = None, speeds: dict[str, float] | None = None
    ) -> float:
        plans, choice = self.decision.plans, self.pair[place]
        factors = self.draws.prices if prices is None else self.draws.prices * prices[:, None]
        if speeds is None:
            chosen = plans.chosen(choice)
        else:
            chosen = [self._changed_need(w, row, speeds) for w, row in enumerate(choice)]
        cost = cost_of(self.draws, chosen, factors)["cost_usd"]
        return float(spread(np.atleast_2d(np.broadcast_to(cost, (self.draws.samples,))))[0][0])

    def _changed_need(self, w: int, row: int, speeds: dict[str, float]) -> Any:
        plans = self.decision.plans
        member = plans.candidates[w].iloc[row]
        options = plans.options[w]
        tech = options.ways.table.iloc[int(member["tech"])]
        names = (str(tech["gpu"]), str(tech["precision"]), bool(tech["inherited"]))
        factor = speeds.get(str(member["gpu"]), 1.0)
        speed = self.draws.speed(options.place, *names) * factor
        return int(member["offer"]), self.draws.need(options, int(member["row"]), speed)

    def with_prices(self, factors: np.ndarray) -> float:
        """Return the gap with the price of each offer multiplied."""
        return self._share([self._cost(i, factors) for i in (0, 1)])

    def with_speeds(self, factors: dict[str, float]) -> float:
        """Return the gap with the speed of each GPU multiplied."""
        return self._share([self._cost(i, None, factors) for i in (0, 1)])

    def with_scenario(self, scenario: Scenario, offers: pd.DataFrame) -> tuple[float, str]:
        """Return the gap of the same GPUs and ways to pay under a changed question.

        NaN where one of the two cannot do it any more. The second value is the best plan of the
        GPUs and ways to pay of the two, in words.
        """
        names = sorted({g for m in self.members for g in m["gpu"]})
        ways = {
            (g, label) for m in self.members for g, label in zip(m["gpu"], m["label"], strict=True)
        }
        known = zip(offers["gpu"], offers["label"], offers["mode"], strict=True)
        kept = [mode == "owned" or (g, label) in ways for g, label, mode in known]
        few = offers[kept].reset_index(drop=True)
        found = decide(scenario, names, SAMPLES, self.draws.seed, LOADS, few)
        costs = [_same_plan(found, m) for m in self.members]
        share = (costs[1] - costs[0]) / costs[0]
        return share, plan_words(found, found.best) if share < 0 else ""


def _same_plan(found: Decision, members: pd.DataFrame) -> float:
    """Return the expected cost of a plan with the same GPU and mode for each workload."""
    choice = []
    for table, m in zip(found.candidates, members.itertuples(), strict=True):
        same = (table["gpu"] == m.gpu) & (table["label"] == m.label) & table["feasible"]
        if not same.any():
            return float("nan")
        choice.append(int(np.flatnonzero(same)[0]))
    cost = cost_of(found.plans.draws, found.plans.chosen(choice), found.plans.draws.prices)
    costs = np.broadcast_to(cost["cost_usd"], (found.plans.draws.samples,))
    return float(spread(np.atleast_2d(costs))[0][0])


def plan_words(decision: Decision, plan: Any) -> str:
    """Return the GPUs of a plan in words, such as ``4 x h200-sxm-141 (own)``."""
    members = decision.plans.members(plan["choice"])
    groups: Any = members.groupby(["gpu", "label"], sort=False)["gpus"].sum()
    return ", ".join(f"{n:,.0f} x {gpu} ({label})" for (gpu, label), n in groups.items())


def tornado(decision: Decision) -> pd.DataFrame:
    """Return how each input moves the gap between the runner-up and the recommended plan.

    Returns
    -------
    DataFrame
        One row an input, the widest first: ``input``, ``from_``, ``to`` (its ends in words),
        ``low``, ``high`` (gap over the cost of the recommended plan there; below 0 the
        runner-up is cheaper; NaN where one of them is not possible), ``flips``, ``best`` (the
        best plan at the end that flips), ``factors`` (the two ends of a load, else None).
    """
    columns = ["input", "from_", "to", "low", "high", "best", "factors"]
    if not decision.feasible or decision.runner_up is None:
        return pd.DataFrame(columns=[*columns, "flips", "reach"]).astype({"flips": bool})
    gap = Gap(decision)
    rows = [*_price_rows(gap), *_speed_rows(gap), *_load_rows(gap)]
    found = pd.DataFrame(rows, columns=columns)
    ends = found[["low", "high"]].to_numpy(float)
    flips: Any = (ends < 0).any(axis=1)
    found["flips"] = flips
    reach = np.abs(np.nan_to_num(ends, nan=gap.value) - gap.value).max(axis=1)
    found = found[reach > 0.002].assign(reach=reach[reach > 0.002])
    return found.sort_values("reach", ascending=False, kind="stable").reset_index(drop=True)


def _price_rows(gap: Gap) -> list[tuple[Any, ...]]:
    rows, offers = [], gap.draws.offers
    used = sorted({int(o) for m in gap.members for o in m["offer"]})
    for place in used:
        offer = gap.draws.rows[place]
        own = offer["mode"] == "own"
        name = "capital_usd_gpu" if own else "hour_usd"
        if not offer[name] > 0:
            continue
        ends = [float(offer[f"{name}_{end}"]) for end in ("low", "high")]
        found = []
        for end in ends:
            factors = np.ones(len(offers))
            factors[place] = end / float(offer[name])
            found.append(gap.with_prices(factors))
        unit = " USD a GPU" if own else " USD/h"
        words = [f"{end:,.0f}" if own else f"{end:,.2f}" for end in ends]
        what = f"Price of {offer['gpu']}, {offer['label']}"
        rows.append((what, words[0] + unit, words[1] + unit, *found, "", None))
    rented = offers["mode"].isin(RENT_MODES).to_numpy()
    found = [gap.with_prices(np.where(rented, f, 1.0)) for f in (1 / MARKET, MARKET)]
    words = [f"{1 / MARKET - 1:.0%}", f"+{MARKET - 1:.0%}"]
    rows.append(("All rents together", *words, *found, "", None))
    return rows


def _speed_rows(gap: Gap) -> list[tuple[Any, ...]]:
    rows = []
    names = sorted({g for m in gap.members for g in m["gpu"]})
    kinds = {w.kind for w in gap.decision.scenario.workloads}
    spreads = [gap.draws._speeds[k].spread for k in kinds if k in gap.draws._speeds]
    for name in names if len(names) > 1 else []:
        width = np.exp(Z80 * max(s.get(name, 0.0) for s in spreads))
        found = [gap.with_speeds({name: f}) for f in (1 / width, width)]
        ends = (f"{1 / width - 1:.0%}", f"+{width - 1:.0%}")
        rows.append((f"Speed of {name} against the others", *ends, *found, "", None))
    found = [gap.with_speeds(dict.fromkeys(names, f)) for f in (0.85, 1 / 0.85)]
    rows.append(("All speeds together", "-15%", f"+{1 / 0.85 - 1:.0%}", *found, "", None))
    return rows


LOAD_ROWS = {
    "traffic": ("Traffic of the services", 0.5, 2.0, SERVICES),
    "context": ("Length of the prompts", 0.5, 4.0, ("inference",)),
    "hours": ("Hours of the services", 0.25, 0.5, SERVICES),
    "tokens": ("Tokens of the training jobs", 0.5, 2.0, ("training",)),
    "horizon": ("Horizon", 1 / 3, 5 / 3, ()),
}
"""Changes of the question: name, low and high factor, kinds of work that they concern."""


def _load_rows(gap: Gap) -> list[tuple[Any, ...]]:
    rows, s = [], gap.decision.scenario
    kinds = {w.kind for w in s.workloads}
    for what, (name, low, high, of) in LOAD_ROWS.items():
        if of and not kinds & set(of):
            continue
        found, best = [], ""
        for factor in (low, high):
            changed = scaled(s, what, factor)
            offers = market(changed) if what == "horizon" else gap.draws.offers
            try:
                share, words = gap.with_scenario(changed, offers)
            except ValueError:  # longer than the model's context, say
                share, words = float("nan"), ""
            found.append(share)
            best = words or best
        ends = [f"{f:.2g} times" for f in (low, high)]
        if what == "horizon":
            ends = [f"{scaled(s, what, f).horizon_months} months" for f in (low, high)]
        rows.append((name, *ends, *found, best, None if what == "horizon" else (low, high)))
    return rows


def gap(decision: Decision) -> float:
    """Return what the runner-up costs more, over the cost of the recommended plan."""
    return Gap(decision).value if decision.runner_up is not None else 0.0
