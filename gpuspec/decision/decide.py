"""The answer: the best plan of a scenario and those that it is held against, computed once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from gpuspec.base.lazy import pd
from gpuspec.base.spread import spread
from gpuspec.decision.calendar import ROUND, calendar_of, sizes
from gpuspec.decision.contenders import contenders
from gpuspec.decision.contracts import contracts_of, kinds_of
from gpuspec.decision.errors import SAMPLES, SEED, SURE, Draws
from gpuspec.decision.measured import measured_ways
from gpuspec.decision.money import every_offer, market
from gpuspec.decision.options import JOBS, Options, drawn_options
from gpuspec.decision.parts import finer, with_parts
from gpuspec.decision.plans import Plan, Policy
from gpuspec.decision.programme import API as API_VENUE
from gpuspec.decision.programme import POOL, Found, Model, Problem, solve
from gpuspec.decision.programme.model import Limits
from gpuspec.decision.scenario import Scenario
from gpuspec.decision.tokens import by_api
from gpuspec.decision.ways import scenario_ways
from gpuspec.topics.serving.ways import LOADS

MIX, ONE, RENTED, BOUGHT, SPLIT = "mix", "one", "rented", "bought", "split"
STAY, GROW, REPLACE, WAIT = "stay", "grow", "replace", "wait"
API, OWN = "api", "gpus"
"""What plans are. Of an owner: stay with what is there and rent more of the same kinds; keep it and
add newer kinds, as the article advises; work on newer kinds alone; buy nothing in the first round.
Of services that may be bought by API: all of them there; none."""
GAP, ROUNDS_GAP, OTHERS_GAP = 2e-4, 1e-3, 2e-2
"""Shares of the cost within which plans are proven: of one round, of several, and of what the
recommendation is held against."""
TIME_LIMIT_S = 60.0
"""Of one programme; a quarter of what the recommendation is held against. Nodes end the search
before it, so that a busy machine answers the same."""
OTHERS_NODES = 400
MOST_ALONE = 8
"""Kinds of GPU of which a plan for all work alone is made."""
DEARER = (1.0, 5.0, 5.0, 5.0, 5.0)
"""Where GPUs that cannot be rented would be missing in more than one of five draws, what is missing
counts so many times as much, once more and again: where a job is short, few GPU-hours are missing,
and a plan without its GPUs is no answer however little they are worth."""
REGRET = 0.95
"""Share of the draws in which a plan's loss is at most the one it is judged by."""
TIE = 5e-4
"""Plans whose costs differ by less are equal: the simpler one is taken."""


class Alone(NamedTuple):
    """A kind of GPU on which all work together does not keep all limits."""

    gpu: str
    works: tuple[str, ...]
    """Works that have no way on it within their own limits; empty where the limits that all work
    shares stand in the way."""


@dataclass(frozen=True)
class Decision:
    """Everything that the answer is read from."""

    scenario: Scenario
    problem: Problem
    plans: tuple[Plan, ...]
    """The recommendation first; empty where nothing keeps all limits."""
    impossible: tuple[Alone, ...] = ()
    """Kinds of GPU of which there is no plan for all work, where there are several kinds."""

    @property
    def offers(self) -> pd.DataFrame:
        """The offers that may be taken."""
        return self.problem.offers

    @property
    def options(self) -> list[Options]:
        """The ways of each workload."""
        return self.problem.options

    @property
    def feasible(self) -> bool:
        """Return whether any plan keeps all limits."""
        return bool(self.plans)

    @property
    def best(self) -> Plan:
        """Return the recommended plan."""
        return self.plans[0]

    @property
    def runner_up(self) -> Plan | None:
        """Return the best plan beside it; None if there is none."""
        return self.plans[1] if len(self.plans) > 1 else None

    @cached_property
    def costs(self) -> np.ndarray:
        """(plans, S) what each plan costs in each draw."""
        return np.array([plan.costs for plan in self.plans])

    @cached_property
    def shares(self) -> np.ndarray:
        """(plans,) share of the draws in which each plan is the cheapest; they add up to 1."""
        first = np.argmin(self.costs, axis=0)
        return np.bincount(first, minlength=len(self.plans)) / self.costs.shape[1]

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a plan, the recommendation first: ``plan``, ``policies``, ``expected_usd``,
        ``low``, ``high`` (80 % interval), ``upfront_usd``, ``month_usd`` (the dearest),
        ``power_kw``, ``gpus``, ``probability`` (of being the cheapest), ``near`` (share of the
        draws in which it costs at most 5 % more than the cheapest), ``enough``, ``sure``, ``gap``.
        """
        near = (self.costs <= 1.05 * self.costs.min(axis=0)).mean(axis=1) if self.plans else []
        rows = [
            {
                "plan": plan,
                "policies": plan.policies,
                "expected_usd": plan.expected_usd,
                "low": plan.interval_usd[0],
                "high": plan.interval_usd[1],
                "upfront_usd": plan.upfront_usd,
                "month_usd": float(plan.monthly_usd.max()),
                "power_kw": plan.power_kw,
                "gpus": float(plan.gpus_atonce.max()),
                "probability": float(self.shares[i]),
                "near": float(near[i]),
                "enough": float(plan.enough.mean()),
                "sure": float(plan.kept.mean()),
                "gap": plan.gap,
            }
            for i, plan in enumerate(self.plans)
        ]
        names = ["plan", "policies", "expected_usd", "low", "high", "upfront_usd", "month_usd"]
        names += ["power_kw", "gpus", "probability", "near", "enough", "sure", "gap"]
        return pd.DataFrame(rows, columns=names)

    def beats(self, plan: Plan) -> float:
        """Return in which share of the draws the recommendation is cheaper than another plan."""
        return float((self.best.costs < plan.costs).mean())


def problem_of(
    scenario: Scenario,
    samples: int = SAMPLES,
    seed: int = SEED,
    loads: int = LOADS,
    round_months: float = ROUND,
    lead_months: float | None = None,
) -> Problem:
    """Return the arrays of a scenario: offers, ways with their needs in each draw, limits.

    `loads` is at how many loads of a replica its speed is computed; `round_months` lie between
    rounds of ordering where loads grow; `lead_months` replace those from the order of a GPU to its
    use that the offers state.
    """
    every = every_offer(scenario)
    offers = market(scenario, every)
    if lead_months is not None:
        offers["lead_months"] = np.where(offers["mode"] == "own", lead_months, 0.0)
    calendar = calendar_of(scenario, offers, round_months)
    size = [sizes(w, calendar) for w in scenario.workloads]
    kinds = kinds_of(scenario, offers, every, calendar)
    contracts = contracts_of(offers, kinds, calendar)
    stated = scenario.model_copy(update={"workloads": scenario.works})
    draws = Draws.of(offers, samples, seed)
    names, works, ways = list(kinds.names), [], []
    for place, work in enumerate(stated.workloads):
        among = contenders(stated, place, names, size[place], draws, loads)
        mine = scenario_ways(stated, place, names, loads, among=among)
        known, mine = measured_ways(work, mine, place)
        works.append(known)
        ways.append(mine)
    stated = scenario.model_copy(update={"workloads": tuple(works)})
    options = [
        drawn_options(stated, place, mine, size[place], draws, set(names))
        for place, mine in enumerate(ways)
    ]
    options = [replace(mine, api=by_api(stated, mine, calendar, kinds)) for mine in options]
    return Problem(stated, offers, calendar, kinds, contracts, options, draws, limits_of(scenario))


def limits_of(scenario: Scenario) -> Limits:
    """Return the limits that all work shares; infinite where none is set."""
    limits = (
        scenario.budget.capital_usd,
        scenario.budget.monthly_usd,
        scenario.limits.total_kw,
        scenario.limits.gpus,
        scenario.budget.total_usd,
    )
    return Limits(*(np.inf if limit is None else float(limit) for limit in limits))


def decide(
    scenario: Scenario,
    quick: bool = False,
    gap: float | None = None,
    time_limit_s: float = TIME_LIMIT_S,
    **how: Any,
) -> Decision:
    """Plan a scenario: the best plan, then those that a buyer would hold it against.

    With `quick` the best plan alone. `gap` is the share of the cost within which the best plan is
    proven, `how` are the parameters of `problem_of`.
    """
    problem = problem_of(scenario, **how)
    if not problem.able:
        return Decision(scenario, problem, ())
    if gap is None:
        gap = ROUNDS_GAP if len(problem.calendar.rounds) > 1 else GAP
    whole = problem
    for dearer in DEARER:
        whole = whole.with_missing(dearer)
        problem, model, found = best_of(whole, gap, time_limit_s)
        plans = [Plan(problem, found.chosen, (Policy(MIX),), found.gap)] if found else []
        if not plans or plans[0].undone <= 1 - SURE:
            break
    if not plans or plans[0].undone > 1 - SURE:
        return Decision(scenario, problem, ())
    if quick:
        return Decision(scenario, problem, tuple(plans))
    impossible, known = _unable(problem), len(model.bounds)

    def other(upper: np.ndarray) -> Found | None:
        model.forget(known)  # so that each is what it is without the others
        return solve(model, upper, OTHERS_GAP, time_limit_s / 4, OTHERS_NODES)

    asked = list(policies(model, plans[0]))
    for (policy, _), found in zip(asked, spread(other, [up for _, up in asked]), strict=True):
        if found is not None:
            plans.append(Plan(problem, found.chosen, (policy,), found.gap))
        elif policy.kind == ONE:
            impossible.append(Alone(policy.gpus[0], ()))
    return Decision(scenario, problem, ranked(scenario, plans), tuple(impossible))


def regrets_usd(costs: np.ndarray) -> np.ndarray:
    """Return (P, 2) what each plan loses against the best of a draw: in `REGRET` of the draws at
    most, and in the worst of them; ``costs`` (P, S) are those of plans in draws.

    >>> regrets_usd(np.array([[1.0, 3.0], [3.0, 1.0]])).tolist()
    [[1.9, 2.0], [1.9, 2.0]]

    References
    ----------
    Savage 1951, doi:10.1080/01621459.1951.10500768.
    """
    lost = costs - costs.min(axis=0)
    return np.stack([np.quantile(lost, REGRET, axis=1), lost.max(axis=1)], axis=1)


def best_of(
    problem: Problem, gap: float, time_limit_s: float
) -> tuple[Problem, Model, Found | None]:
    """Return the best plan, with the question and the programme that it belongs to: works are split
    over kinds of GPU where that costs less, or where nothing else keeps all limits.
    """
    model = Model(problem)
    found = solve(model, None, gap, time_limit_s)
    cut = in_parts(problem)
    if cut is None:
        return problem, model, found
    wide = Model(cut, bounds=model.bounds)
    more = solve(wide, None, gap, time_limit_s)
    works = _split_works(cut, more)
    if more is None or not works or (found and more.cost_usd > found.cost_usd * (1 - TIE)):
        return problem, model, found
    options = [(cut if w in works else problem).options[w] for w in range(len(problem.options))]
    taken = [(int(cut.choices.workload[c]), int(cut.choices.way[c])) for c in _taken(more)]
    closer = replace(problem, options=finer(problem.scenario, options, problem.draws, taken))
    model = Model(closer, bounds=wide.bounds)
    best = solve(model, None, gap, time_limit_s)
    if best is None or best.cost_usd > more.cost_usd:  # where the time was not enough
        return cut, wide, more
    return closer, model, best


def in_parts(problem: Problem) -> Problem | None:
    """Return the same question with works that may be split; None where none can be."""
    options = with_parts(problem.scenario, problem.options, problem.draws)
    split = any(mine.split for mine in options)
    return replace(problem, options=options) if split else None


def _taken(found: Found) -> np.ndarray:
    return np.flatnonzero(found.chosen.taken > 0.5)


def _split_works(problem: Problem, found: Found | None) -> set[int]:
    """Return the places of the works that a plan splits."""
    cho = problem.choices
    return set() if found is None else {int(cho.workload[c]) for c in _taken(found) if cho.part[c]}


def ranked(scenario: Scenario, plans: Sequence[Plan]) -> tuple[Plan, ...]:
    """Return plans in order of their cost, the same ones joined; of equal ones the simplest first.
    Those that sign the same and cost the same in every draw are one, in the ways of nearest ground.

    Where regret counts, in order of theirs; where another objective does, the free plan stays
    first.
    """
    joined: dict[tuple[object, ...], Plan] = {}
    for plan in plans:
        same = joined.get(plan.key)
        joined[plan.key] = plan if same is None else same.named(*plan.policies)
    order = sorted(joined.values(), key=lambda plan: plan.expected_usd)
    by_cost = scenario.objective in ("cost", "regret")
    order = _told_apart(order) if by_cost else order
    if not by_cost:
        free = next(plan for plan in order if Policy(MIX) in plan.policies)
        return (free, *(plan for plan in order if plan is not free))
    least = order[0].expected_usd
    equal = [p for p in order if p.expected_usd - least <= TIE * abs(least)]
    first = min(equal, key=lambda plan: plan.simplicity)
    rest = [plan for plan in order if plan is not first]
    if Policy(MIX) not in first.policies:  # what is cheapest of all is the best of all
        rest = [_without(plan, MIX) for plan in rest]
        first = replace(first, policies=(Policy(MIX), *first.policies))
    if scenario.objective == "regret":
        lost = regrets_usd(np.array([plan.costs for plan in (first, *rest)]))[:, 0]
        return tuple((first, *rest)[i] for i in np.argsort(lost, kind="stable"))
    return (first, *rest)


def _told_apart(order: Sequence[Plan]) -> list[Plan]:
    """Return plans in their order, in the ways of nearest ground that cost the same in every draw;
    those joined between which no draw and no contract decides then.
    """
    kept: dict[tuple[object, ...], Plan] = {}
    for plan in map(_nearest, order):
        key = (*plan.key[1:], plan.costs.tobytes())
        kept[key] = kept[key].named(*plan.policies) if key in kept else plan
    return list(kept.values())


def _nearest(plan: Plan) -> Plan:
    """Return a plan with its works in ways of nearer ground, where no draw tells the ways apart."""
    cho, options = plan.problem.choices, plan.problem.options
    place = np.stack([cho.workload, cho.round, cho.venue, cho.kind, cho.share_from, cho.share_to])
    for w, way in dict.fromkeys(
        zip(cho.workload[plan.columns], cho.way[plan.columns], strict=True)
    ):
        codes = options[w].cells["ground"]
        for other in sorted(np.flatnonzero(codes < codes[way]), key=lambda i: int(codes[i])):
            mine = plan.taken[(cho.workload[plan.taken] == w) & (cho.way[plan.taken] == way)]
            alike = (place[:, :, None] == place[:, None, mine]).all(axis=0)
            alike &= (cho.way == other)[:, None]
            if not alike.any(axis=0).all():
                continue
            taken = plan.chosen.taken.copy()
            taken[mine], taken[alike.argmax(axis=0)] = 0.0, 1.0
            found = replace(plan, chosen=replace(plan.chosen, taken=taken))
            if np.array_equal(found.costs, plan.costs) and (found.kept >= plan.kept).all():
                plan = found
                break
    return plan


def _without(plan: Plan, kind: str) -> Plan:
    left = tuple(p for p in plan.policies if p.kind != kind)
    return replace(plan, policies=left or plan.policies)


def policies(model: Model, best: Plan) -> Iterator[tuple[Policy, np.ndarray]]:
    """Yield what a buyer would hold the best plan against, as bounds of the columns: one kind for
    all, all rented, all bought, jobs on one kind and services on another; an owner's strategies;
    waiting with purchases. Works that the best plan does not split stay whole.
    """
    p, cho, con = model.problem, model.problem.choices, model.problem.contracts
    names = p.kinds.names

    def bounds(ways: np.ndarray, contracts: np.ndarray, sales: bool = True) -> np.ndarray:
        upper = np.full(model.size, np.inf)
        upper[model.x[~ways | by_api]] = 0.0
        upper[model.n[~contracts]] = 0.0
        if not sales:
            upper[model.sold.ravel()] = 0.0
        return upper

    by_api = cho.venue == API_VENUE
    split = np.unique(cho.workload[best.columns[cho.part[best.columns]]])
    every = ~cho.part | np.isin(cho.workload, split)
    all_contracts = np.ones(len(con.offer), bool)
    able = [k for k in range(len(names)) if _does_all(p, k)]
    if by_api.any():
        priced = np.isin(cho.workload, cho.workload[by_api])
        upper = np.full(model.size, np.inf)
        upper[model.x[(priced | ~every) & ~by_api]] = 0.0
        yield Policy(API), upper
        yield Policy(OWN), bounds(every, all_contracts)
    order = [names.index(n) for n in best.kinds_used]
    able = [*[k for k in order if k in able], *[k for k in able if k not in order]]
    for k in able[:MOST_ALONE]:
        yield Policy(ONE, (names[k],)), bounds(every & (cho.kind == k), con.kind == k)
    yield Policy(RENTED), bounds(every, ~con.housed)
    yield Policy(BOUGHT), bounds(every & (cho.venue == POOL), con.housed)
    if p.kinds.owned.any():
        held = p.kinds.owned > 0
        yield (
            Policy(STAY),
            bounds(every & held[cho.kind], held[con.kind] & ~con.housed, sales=False),
        )
        yield Policy(GROW), bounds(every, ~held[con.kind], sales=False)
        yield Policy(REPLACE), bounds(every & ~held[cho.kind], ~held[con.kind])
    first = con.housed & (con.start == 0)
    if len(p.calendar.rounds) > 1 and (best.chosen.signed[first] > 0).any():
        yield Policy(WAIT), bounds(every, ~first)
    jobs = np.array([w.kind in JOBS for w in p.scenario.workloads])
    if jobs.any() and not jobs.all():
        used = [names.index(n) for n in best.kinds_used][:3]
        for train in used:
            for serve in used:
                if train != serve:
                    kind = np.where(jobs[cho.workload], train, serve)
                    policy = Policy(SPLIT, (names[train], names[serve]))
                    yield policy, bounds(every & (cho.kind == kind), all_contracts)


def _unable(problem: Problem) -> list[Alone]:
    """Return the kinds of GPU on which some work has no way within its limits."""
    found = []
    for name in problem.kinds.names if len(problem.kinds.names) > 1 else ():
        works = tuple(
            problem.scenario.workloads[o.place].name
            for o in problem.options
            if (o.size_of >= 0).any() and not (o.table["gpu"] == name).any()
        )
        found += [Alone(name, works)] if works else []
    return found


def _does_all(problem: Problem, k: int) -> bool:
    """Return whether a kind of GPU does every work."""
    name = problem.kinds.names[k]
    return all(
        (o.table["gpu"] == name).any() or not (o.size_of >= 0).any() for o in problem.options
    )
