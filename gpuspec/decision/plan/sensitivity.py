"""What would flip the decision: how each input moves the gap to the runner-up."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from gpuspec.base.units import HOURS_MONTH
from gpuspec.decision.errors import MARKET, Z80
from gpuspec.decision.money import market
from gpuspec.decision.plan.decision import Decision, decide
from gpuspec.decision.plan.draws import Chosen, PlanDraws
from gpuspec.decision.plan.plans import gpus_words
from gpuspec.decision.plan.ranking import sampled_costs, spread
from gpuspec.decision.scenario import Images, Inference, Scenario, Tenants, Training, Workload
from gpuspec.topics.cost.prices.quotes import RENT_MODES
from gpuspec.topics.ways import doubtful

TREND_LOADS, TREND_SAMPLES = 12, 400
"""Loads of a replica and samples of a changed question: coarser, the answer is a trend."""
SERVICES = ("inference", "images", "tenants")


def scaled(scenario: Scenario, what: str, factor: float) -> Scenario:
    """Return the scenario with its traffic, context, hours, tokens or horizon multiplied."""
    if what == "horizon":
        months = max(round(scenario.horizon_months * factor), 1)
        return scenario.model_copy(update={"horizon_months": min(months, 120)})
    workloads = tuple(_scaled(w, what, factor) for w in scenario.workloads)
    return scenario.model_copy(update={"workloads": workloads})


def _scaled(w: Workload, what: str, factor: float) -> Workload:
    if what == "context" and isinstance(w, Inference):
        return w.model_copy(update={"isl": max(round(w.isl * factor), 1)})
    if what == "tokens" and isinstance(w, Training):
        return w.model_copy(update={"tokens": w.tokens * factor})
    if what == "hours" and isinstance(w, Inference | Images | Tenants):
        hours = min(w.hours_per_month * factor, HOURS_MONTH)
        return w.model_copy(update={"hours_per_month": hours})
    if what == "traffic" and isinstance(w, Inference):
        return w.times(factor)
    if what == "traffic" and isinstance(w, Images):
        return w.model_copy(update={"images_per_s": w.images_per_s * factor})
    return w


class Gap:
    """The expected cost of the runner-up minus that of the recommended plan, re-evaluated.

    The decision must have at least two plans.
    """

    def __init__(self, decision: Decision) -> None:
        self.decision, self.draws = decision, decision.plans.draws
        self.choices = list(decision.policies["choice"].head(2))
        self.members = [decision.plans.members(choice) for choice in self.choices]
        self.plans = [decision.plans.chosen(choice) for choice in self.choices]
        self.cost_usd, other = (expected_cost(self.draws, p, self.draws.prices) for p in self.plans)
        self.value = (other - self.cost_usd) / max(self.cost_usd, 1e-9)
        """The gap as it is, over the cost of the recommended plan."""
        self.offers_used = sorted({int(o) for m in self.members for o in m["offer"]})
        """Places of the offers that the two plans take."""

    def _share(self, plans: Sequence[Chosen], prices: np.ndarray) -> float:
        """Return the gap of two plans, over the cost of the recommended one as it is."""
        costs = [expected_cost(self.draws, plan, prices) for plan in plans]
        return (costs[1] - costs[0]) / max(self.cost_usd, 1e-9)

    def _at_speeds(self, choice: Sequence[int], speeds: Mapping[str, float]) -> Chosen:
        plans, chosen = self.decision.plans, []
        for table, options, row in zip(plans.candidates, plans.options, choice, strict=True):
            member = table.iloc[row]
            tech = options.ways.table.iloc[int(member["tech"])]
            names = (str(tech["gpu"]), str(tech["precision"]), doubtful(dict(tech)))
            speed = self.draws.speed(options.place, *names) * speeds.get(str(member["gpu"]), 1.0)
            need = self.draws.need(options, int(member["row"]), speed)
            chosen.append((int(member["offer"]), need))
        return chosen

    def with_prices(self, factors: np.ndarray) -> float:
        """Return the gap with the price of each offer multiplied."""
        return self._share(self.plans, self.draws.prices * factors[:, None])

    def with_speeds(self, factors: Mapping[str, float]) -> float:
        """Return the gap with the speed of each GPU multiplied."""
        return self._share([self._at_speeds(c, factors) for c in self.choices], self.draws.prices)

    def with_scenario(self, scenario: Scenario, offers: pd.DataFrame) -> tuple[float, str]:
        """Return the gap of the same GPUs and ways to pay under a changed question.

        NaN where one of the two cannot do it any more. The second value is the best plan of the
        GPUs and ways to pay of the two, in words, where the runner-up wins.
        """
        both = pd.concat(self.members)
        ways = pd.MultiIndex.from_frame(both[["gpu", "label"]])
        same = pd.MultiIndex.from_frame(offers[["gpu", "label"]]).isin(ways)
        few = offers[(offers["mode"] == "owned") | same].reset_index(drop=True)
        names = sorted(set(both["gpu"]))
        other = decide(scenario, names, TREND_SAMPLES, self.draws.seed, TREND_LOADS, few)
        costs = [_same_plan(other, m) for m in self.members]
        share = (costs[1] - costs[0]) / costs[0]
        best = gpus_words(other.plans.members(other.best["choice"])) if share < 0 else ""
        return share, best


def expected_cost(draws: PlanDraws, chosen: Chosen, prices: np.ndarray) -> float:
    """Return the mean cost of a plan over the samples that keep its limits."""
    return float(spread(sampled_costs(draws, [chosen], prices=prices))[0][0])


def _same_plan(decision: Decision, members: pd.DataFrame) -> float:
    """Return the expected cost of a plan with the same GPU and mode for each workload."""
    choice = []
    for table, m in zip(decision.candidates, members.itertuples(), strict=True):
        same = (table["gpu"] == m.gpu) & (table["label"] == m.label) & table["feasible"]
        if not same.any():
            return float("nan")
        choice.append(int(np.flatnonzero(same)[0]))
    draws = decision.plans.draws
    return expected_cost(draws, decision.plans.chosen(choice), draws.prices)


def price_column(offer: Mapping[Any, Any]) -> str:
    """Return the column that holds the price of an offer."""
    return "capital_usd_gpu" if offer["mode"] == "own" else "hour_usd"


def price_words(offer: Mapping[Any, Any], value: float) -> str:
    """Write a price of an offer with its unit."""
    return f"{value:,.0f} USD a GPU" if offer["mode"] == "own" else f"{value:,.2f} USD/h"


class Swing(NamedTuple):
    """How one input moves the gap between the runner-up and the recommended plan."""

    input: str
    from_: str
    to: str
    """Its ends in words."""
    low: float
    high: float
    """Gap over the cost of the recommended plan there; below 0 the runner-up is cheaper; NaN
    where one of them is not possible."""
    best: str = ""
    """The best plan at the end that flips."""
    factors: tuple[float, float] | None = None
    """The two ends of a load."""


def tornado(decision: Decision) -> pd.DataFrame:
    """Return how each input moves the gap between the runner-up and the recommended plan.

    One row an input, the widest first: the fields of `Swing`, then ``flips`` and ``reach``.
    """
    if not decision.feasible or decision.runner_up is None:
        columns = [*Swing._fields, "flips", "reach"]
        return pd.DataFrame(columns=columns).astype({"flips": bool})
    gap = Gap(decision)
    swings = [*_price_rows(gap), *_speed_rows(gap), *_load_rows(gap)]
    table = pd.DataFrame(swings, columns=Swing._fields)
    ends = table[["low", "high"]].to_numpy(float)
    reach = np.abs(np.nan_to_num(ends, nan=gap.value) - gap.value).max(axis=1)
    table = table.assign(flips=np.any(ends < 0, axis=1), reach=reach)[reach > 0.002]
    return table.sort_values("reach", ascending=False, kind="stable").reset_index(drop=True)


def _price_rows(gap: Gap) -> list[Swing]:
    rows, offers = [], gap.draws.offers
    for place in gap.offers_used:
        offer = gap.draws.rows[place]
        column = price_column(offer)
        if not offer[column] > 0:
            continue
        ends = [float(offer[f"{column}_{end}"]) for end in ("low", "high")]
        at = np.arange(len(offers)) == place
        low, high = (gap.with_prices(np.where(at, e / float(offer[column]), 1.0)) for e in ends)
        from_, to = (price_words(offer, end) for end in ends)
        rows.append(Swing(f"Price of {offer['gpu']}, {offer['label']}", from_, to, low, high))
    rented = offers["mode"].isin(RENT_MODES).to_numpy()
    low, high = (gap.with_prices(np.where(rented, f, 1.0)) for f in (1 / MARKET, MARKET))
    return [*rows, Swing("All rents together", *_percents(MARKET), low, high)]


def _percents(width: float) -> tuple[str, str]:
    return f"{1 / width - 1:.0%}", f"+{width - 1:.0%}"


def _speed_rows(gap: Gap) -> list[Swing]:
    rows = []
    names = sorted({g for m in gap.members for g in m["gpu"]})
    for name in names if len(names) > 1 else []:
        width = float(np.exp(Z80 * gap.draws.widest_spread(name)))
        low, high = (gap.with_speeds({name: f}) for f in (1 / width, width))
        rows.append(Swing(f"Speed of {name} against the others", *_percents(width), low, high))
    low, high = (gap.with_speeds(dict.fromkeys(names, f)) for f in (0.85, 1 / 0.85))
    return [*rows, Swing("All speeds together", *_percents(1 / 0.85), low, high)]


LOAD_ROWS = {
    "traffic": ("Traffic of the services", 0.5, 2.0, SERVICES),
    "context": ("Length of the prompts", 0.5, 4.0, ("inference",)),
    "hours": ("Hours of the services", 0.25, 0.5, SERVICES),
    "tokens": ("Tokens of the training jobs", 0.5, 2.0, ("training",)),
    "horizon": ("Horizon", 1 / 3, 5 / 3, ()),
}
"""Changes of the question: name, low and high factor, kinds of work that they concern."""


def _load_rows(gap: Gap) -> list[Swing]:
    rows, s = [], gap.decision.scenario
    kinds = {w.kind for w in s.workloads}
    for what, (name, low, high, concerned) in LOAD_ROWS.items():
        if concerned and not kinds & set(concerned):
            continue
        less, more = scaled(s, what, low), scaled(s, what, high)
        (at_low, best_low), (at_high, best_high) = (
            _changed_gap(gap, what, changed) for changed in (less, more)
        )
        from_, to = f"{low:.2g} times", f"{high:.2g} times"
        if what == "horizon":
            from_, to = (
                f"{one.horizon_months} month{'s' if one.horizon_months > 1 else ''}"
                for one in (less, more)
            )
        best = best_high or best_low
        known = None if what == "horizon" else (low, high)
        rows.append(Swing(name, from_, to, at_low, at_high, best, known))
    return rows


def _changed_gap(gap: Gap, what: str, scenario: Scenario) -> tuple[float, str]:
    offers = market(scenario) if what == "horizon" else gap.draws.offers
    try:
        return gap.with_scenario(scenario, offers)
    except ValueError:  # longer than the model's context, say
        return float("nan"), ""


def gap(decision: Decision) -> float:
    """Return what the runner-up costs more, over the cost of the recommended plan."""
    return Gap(decision).value if decision.runner_up is not None else 0.0
