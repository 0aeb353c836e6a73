"""What would make the runner-up the better plan: each input to its ends, the others stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from gpuspec.base.lazy import pd
from gpuspec.base.spread import spread
from gpuspec.base.units import HOURS_MONTH
from gpuspec.decision.decide import Decision, in_parts, problem_of
from gpuspec.decision.errors import MARKET, Z80, Draws, own_spread
from gpuspec.decision.plan.words import paid_words
from gpuspec.decision.plans import Plan, slim, with_columns
from gpuspec.decision.programme import Model, solve
from gpuspec.decision.scenario import Images, Inference, Scenario, Tenants, Training, Workload
from gpuspec.decision.ways import scenario_ways
from gpuspec.topics.cost.prices.quotes import RENT_MODES
from gpuspec.views.amounts import plain, three_digits
from gpuspec.views.words import gpu_name

TREND_LOADS, TREND_SAMPLES, TREND_GAP = 8, 200, 2e-2
"""Loads of a replica, samples and gap of a changed question: coarser, the answer is a trend."""
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

    The decision must have at least two plans. What is signed stays as it is where prices and
    speeds move; where the question itself changes, both plans sign anew, of the same GPUs and ways
    to pay.
    """

    def __init__(self, decision: Decision) -> None:
        self.decision = decision
        self.plans = [slim(plan) for plan in decision.plans[:2]]
        self.cost_usd = decision.best.expected_usd
        self.value = (decision.plans[1].expected_usd - self.cost_usd) / max(self.cost_usd, 1e-9)
        """The gap as it is, over the cost of the recommended plan."""

    @property
    def offers_used(self) -> list[int]:
        """Places of the offers that the two plans take."""
        return sorted({place for plan in self.plans for place in plan.offers_used})

    def _share(self, plans: list[Plan]) -> float:
        costs = [plan.expected_usd for plan in plans]
        return (costs[1] - costs[0]) / max(self.cost_usd, 1e-9)

    def with_prices(self, factors: np.ndarray) -> float:
        """Return the gap with the price of each offer multiplied."""
        return self._share([_priced(plan, factors) for plan in self.plans])

    def with_speeds(self, factors: Mapping[str, float]) -> float:
        """Return the gap with the speed of each GPU multiplied."""
        return self._share([_faster(plan, factors) for plan in self.plans])

    def _of_both(self, scenario: Scenario) -> Scenario:
        """Return a question with the GPUs of the two plans alone."""
        names = tuple(dict.fromkeys(n for plan in self.plans for n in plan.kinds_used))
        allow = scenario.allow.model_copy(update={"gpus": names or scenario.allow.gpus})
        return scenario.model_copy(update={"allow": allow})

    def begin(self) -> None:
        """Have the ways at hand that most changed questions share, before others ask for them."""
        s = self._of_both(self.decision.scenario)
        names = self.decision.problem.kinds.names
        kept = [name for name in names if name in s.allow.gpus]
        for place, work in enumerate(s.workloads):
            if not getattr(work, "arriving", 0.0):  # whose rates the decision has at hand
                scenario_ways(s, place, kept, TREND_LOADS)

    def with_scenario(self, scenario: Scenario) -> tuple[float, str]:
        """Return the gap of the same GPUs and ways to pay under a changed question.

        NaN where one of the two cannot do it any more. The second value is the cheaper of the two
        in words of its GPUs, where that is the runner-up.
        """
        problem = problem_of(self._of_both(scenario), TREND_SAMPLES, loads=TREND_LOADS)
        if not problem.able:
            return float("nan"), ""
        if any((plan.runs["share"] < 1).any() for plan in self.plans):
            problem = in_parts(problem) or problem
        model = Model(problem)
        found = [solve(model, _same(model, plan), TREND_GAP, 2.0) for plan in self.plans]
        if any(one is None for one in found):
            return float("nan"), ""
        costs = [one.cost_usd for one in found if one is not None]
        share = (costs[1] - costs[0]) / max(abs(costs[0]), 1e-9)
        return share, ", ".join(self.plans[1].kinds_used) if share < 0 else ""


def central(plan: Plan) -> Plan:
    """Return a plan in the one draw in which speeds and prices are as estimated."""
    return _redrawn(slim(plan), Draws.central(plan.problem.offers))


def _priced(plan: Plan, factors: np.ndarray) -> Plan:
    draws = replace(plan.problem.draws, prices=plan.problem.draws.prices * factors[:, None])
    changed = with_columns(plan.problem, draws=draws)
    vars(changed)["pools"] = plan.problem.pools
    return replace(plan, problem=changed)


def _faster(plan: Plan, factors: Mapping[str, float]) -> Plan:
    return _redrawn(plan, replace(plan.problem.draws, faster=factors))


def _redrawn(plan: Plan, draws: Draws) -> Plan:
    p = plan.problem
    options = [o.redrawn(p.scenario, draws) for o in p.options]
    return replace(plan, problem=with_columns(p, draws=draws, options=options))


def _same(model: Model, plan: Plan) -> np.ndarray:
    """Return bounds that leave each work on the GPU and venue that it has in a plan, and sign only
    offers that the plan signs.
    """
    p, cho = model.problem, model.problem.choices
    of, was = plan.problem, plan.problem.choices
    names = (*p.kinds.names, "")  # the last is that of a service by API
    kinds = (*of.kinds.names, "")
    runs = {(int(was.workload[c]), kinds[was.kind[c]], int(was.venue[c])) for c in plan.taken}
    mine = np.array(
        [
            (int(w), names[k], int(v)) in runs
            for w, k, v in zip(cho.workload, cho.kind, cho.venue, strict=True)
        ],
        bool,
    )
    labels = set(zip(plan.signed["gpu"], plan.signed["label"], strict=True))
    rows = p.offers.iloc[p.contracts.offer]
    signs = np.array([one in labels for one in zip(rows["gpu"], rows["label"], strict=True)], bool)
    upper = np.full(model.size, np.inf)
    upper[model.x[~mine]] = 0.0
    upper[model.n[~signs]] = 0.0
    if not plan.chosen.sold.any():
        upper[model.sold.ravel()] = 0.0
    return upper


def price_column(offer: Mapping[Any, Any]) -> str:
    """Return the column that holds the price of an offer."""
    return "capital_usd_gpu" if offer["mode"] == "own" else "hour_usd"


def price_words(offer: Mapping[Any, Any], value: float) -> str:
    """Write a price of an offer with its unit."""
    own = offer["mode"] == "own"
    return f"{plain(three_digits(value))} USD a GPU" if own else f"{value:,.2f} USD/h"


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
    """The GPUs that win at the end that flips."""
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
    rows, offers = [], gap.decision.offers
    for place in gap.offers_used:
        offer = dict(offers.iloc[place])
        column = price_column(offer)
        if not offer[column] > 0:
            continue
        ends = [float(offer[f"{column}_{end}"]) for end in ("low", "high")]
        at = np.arange(len(offers)) == place
        low, high = (gap.with_prices(np.where(at, e / float(offer[column]), 1.0)) for e in ends)
        from_, to = (price_words(offer, end) for end in ends)
        name = f"Price of {gpu_name(offer['gpu'])}, {paid_words(offer['label'])}"
        rows.append(Swing(name, from_, to, low, high))
    rented = offers["mode"].isin(RENT_MODES).to_numpy()
    low, high = (gap.with_prices(np.where(rented, f, 1.0)) for f in (1 / MARKET, MARKET))
    return [*rows, Swing("All rents together", *_percents(MARKET), low, high)]


def _percents(width: float) -> tuple[str, str]:
    return f"{1 / width - 1:.0%}", f"+{width - 1:.0%}"


def _speed_rows(gap: Gap) -> list[Swing]:
    rows = []
    names = sorted({g for plan in gap.plans for g in plan.kinds_used})
    works = gap.decision.problem.scenario.workloads
    for name in names if len(names) > 1 else []:
        kinds = {w.kind for w in works if not _measured(w, name)}
        if not kinds:
            continue
        width = float(np.exp(Z80 * max(own_spread(kind, name) for kind in kinds)))
        low, high = (gap.with_speeds({name: f}) for f in (1 / width, width))
        rows.append(
            Swing(f"Speed of {gpu_name(name)} against the others", *_percents(width), low, high)
        )
    low, high = (gap.with_speeds(dict.fromkeys(names, f)) for f in (0.85, 1 / 0.85))
    return [*rows, Swing("All speeds together", *_percents(1 / 0.85), low, high)]


def _measured(w: Workload, gpu_id: str) -> bool:
    return any(row.gpu == gpu_id for row in getattr(w, "measured_speeds", ()))


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
    asked = [what for what, row in LOAD_ROWS.items() if not row[3] or kinds & set(row[3])]
    changed = [scaled(s, what, factor) for what in asked for factor in LOAD_ROWS[what][1:3]]
    gap.begin()
    found = spread(lambda one: _changed_gap(gap, one), changed)
    both = zip(found[::2], found[1::2], strict=True)
    for what, less, more, ends in zip(asked, changed[::2], changed[1::2], both, strict=True):
        name, low, high, _ = LOAD_ROWS[what]
        from_, to = f"{low:.2g} times", f"{high:.2g} times"
        if what == "horizon":
            from_, to = (
                f"{one.horizon_months} month{'s' if one.horizon_months > 1 else ''}"
                for one in (less, more)
            )
        (at_low, best_low), (at_high, best_high) = ends
        best = best_high or best_low
        known = None if what == "horizon" else (low, high)
        rows.append(Swing(name, from_, to, at_low, at_high, best, known))
    return rows


def _changed_gap(gap: Gap, scenario: Scenario) -> tuple[float, str]:
    try:
        return gap.with_scenario(scenario)
    except ValueError:  # longer than the model's context, say
        return float("nan"), ""


def gap(decision: Decision) -> float:
    """Return what the runner-up costs more, over the cost of the recommended plan."""
    return Gap(decision).value if decision.runner_up is not None else 0.0
