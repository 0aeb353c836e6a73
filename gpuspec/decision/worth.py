"""What knowing more before signing is worth: quotes, trials, questions; and the least regret.

A plan is signed on the average over the draws, and in each draw another plan may have been the
cheapest. What that loses on average is the most that knowing everything can be worth; a quote or a
trial tells a part of it.

References
----------
Howard 1966, doi:10.1109/TSSC.1966.300074 (value of information); Strong, Oakley and Brennan 2014,
doi:10.1177/0272989X13505910 (a part of it, by regression on the draws); Savage 1951,
doi:10.1080/01621459.1951.10500768 (regret).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice, pairwise
from typing import Any, NamedTuple

import numpy as np

from gpuspec.base.lazy import pd
from gpuspec.decision.decide import Decision, decide, regrets_usd
from gpuspec.decision.errors import SURE, market_factors
from gpuspec.decision.gives import due, later, limited, slower
from gpuspec.decision.options import JOBS
from gpuspec.decision.plans import Plan, slim, with_columns
from gpuspec.decision.programme.choices import NONE
from gpuspec.decision.scenario import Inference
from gpuspec.topics.ways import doubtful

QUOTE, TRIAL, QUESTION, QUOTES, TRIALS, ALL = (
    "quote",
    "trial",
    "question",
    "all quotes",
    "all trials",
    "everything",
)
FOLDS = 5
"""Parts of the draws; of each the plan is chosen by the others."""
CROSSED = 4
"""Numbers of a state of knowledge up to which their products count."""
FLAT = 1e-9
"""Spread below which nothing is learnt."""
NEAR_PLANS = 2
"""Plans, the cheapest first, whose numbers signed are varied."""
MOST_NEAR = 8
"""Plans beside them, so that the answer stays quick."""
RARE = 0.005
"""Share of the draws below which a plan that is the cheapest there does not count."""
QUESTION_DRAWS = 250


# --- of any costs ---------------------------------------------------------------------------------


def perfect_usd(costs: np.ndarray) -> tuple[float, float]:
    """Return what knowing everything is worth, and the standard error of it.

    ``costs`` (P, S) are those of P plans in S draws. It is the mean cost of the plan that is the
    cheapest on average, less the mean of the cheapest of each draw; never below 0.

    >>> perfect_usd(np.array([[1.0, 3.0], [3.0, 1.0]]))[0]
    1.0
    """
    lost = costs[costs.mean(axis=1).argmin()] - costs.min(axis=0)
    return float(lost.mean()), _error(lost)


def partial_usd(
    costs: np.ndarray, known: np.ndarray, others: np.ndarray | None = None
) -> tuple[float, float]:
    """Return what knowing some numbers is worth, and the standard error of it.

    The cost of each plan is regressed on the numbers; who knows them takes the plan that is the
    cheapest by that. The plan of a draw is chosen by a regression on other draws and paid as the
    draw says, so that noise in it cannot pass for worth: the answer errs to the low side. It is
    never below 0, nor above that of knowing everything, and exactly 0 where no plan changes.

    Parameters
    ----------
    costs : array (P, S)
        Cost of each plan in each draw.
    known : array (N, S)
        What becomes known: numbers of each draw, in any unit.
    others : array (M, S), optional
        Numbers that stay unknown and are drawn apart from those that become known. What the
        regression on the other draws says of their part in a cost, whose mean is nothing whatever
        is known, is taken off what is paid (a control variate): the error is smaller, the answer
        stays.

    References
    ----------
    Strong, Oakley and Brennan 2014, doi:10.1177/0272989X13505910, equation 6, by cubic polynomials;
    Lavenberg and Welch 1981, doi:10.1287/mnsc.27.3.322 (control variates).
    """
    basis, first = _basis(known), int(costs.mean(axis=1).argmin())
    width = basis.shape[1]
    if others is not None and len(others):
        control = _basis(others)[:, 1:]
        basis = np.hstack([basis, control - control.mean(axis=0)])
    more = np.ascontiguousarray((costs - costs[first]).T)
    ends = np.linspace(0, costs.shape[1], FOLDS + 1).round().astype(int)
    parts = [slice(a, b) for a, b in pairwise(ends)]
    squares = [basis[part].T @ basis[part] for part in parts]
    products = [basis[part].T @ more[part] for part in parts]
    gained, taken, apart = np.zeros(costs.shape[1]), np.zeros(len(costs)), np.zeros_like(more)
    for part, square, product in zip(parts, squares, products, strict=True):
        slopes = np.linalg.lstsq(sum(squares) - square, sum(products) - product, rcond=None)[0]
        chosen = (basis[part, :width] @ slopes[:width]).argmin(axis=1)
        apart[part] = basis[part, width:] @ slopes[width:]
        gained[part] = (apart[part] - more[part])[np.arange(len(chosen)), chosen]
        taken += np.bincount(chosen, minlength=len(costs)) / len(more)
    most = perfect_usd(costs)[0]
    # The mean of what is taken off is nothing over all draws that there may be, not over these.
    return float(min(max(gained.mean(), 0.0), most)), _error(gained - apart @ taken)


def _error(values: np.ndarray) -> float:
    return float(values.std() / np.sqrt(len(values)))


def _basis(known: np.ndarray) -> np.ndarray:
    """Return (S, M) a constant and polynomials of the third degree of what is known."""
    spread = known.std(axis=1)
    varied = known[spread > FLAT * np.maximum(np.abs(known).max(axis=1), 1.0)]
    z = (varied - varied.mean(axis=1, keepdims=True)) / varied.std(axis=1, keepdims=True)
    z = np.clip(z, -4.0, 4.0)  # what is rarer pulls a cubic away
    terms = [np.ones(known.shape[1]), *z, *z**2, *z**3]
    if len(z) <= CROSSED:
        terms += [a * b for a, b in combinations(z, 2)]
    return np.stack(terms, axis=1)


# --- of a decision --------------------------------------------------------------------------------


class Known(NamedTuple):
    """Something that can be known before signing."""

    kind: str
    """``quote``, ``trial`` or ``question``; of several at once ``all quotes``, ``all trials``,
    and ``everything`` that is drawn, where rents go included."""
    offers: tuple[int, ...]
    """Rows of the offers that are quoted."""
    gpus: tuple[str, ...]
    works: tuple[str, ...]
    """Names of the works that are tried or asked about, or bought by API."""
    what: str
    """Of a question: ``load``, ``job``, ``hours``, ``spare``, ``limits``, ``deadline`` or ``day``;
    of a quote ``api`` for tokens."""
    usd: float
    """What it is worth at most: it is taken to be certain once known."""
    error_usd: float
    """Standard error of that, of the finite number of draws; NaN for a question."""
    cost_usd: float
    """Of a trial: an hour of the GPUs that one replica or job takes; NaN where unknown."""
    tried: tuple[float, ...] = ()
    """Of a trial: so many GPUs of each kind."""


def worth(decision: Decision, questions: bool = False, anew: bool = False) -> pd.DataFrame:
    """Return what each quote and trial is worth before signing, the most first.

    With `questions` that of loads and of values that nobody named as well: plans are evaluated
    anew for them; with `anew` that of limits, of deadlines and of the day, for which other plans
    are made. Both take seconds. One row each, the fields of `Known`; empty where something else
    than cost decides. One may change to the plans of the decision and to others near them
    (`variants`).
    """
    rows: list[Known] = []
    if decision.feasible and decision.scenario.objective not in ("time", "energy"):
        plans = variants(decision)
        costs = np.array([plan.costs for plan in plans])
        rows = [*_quotes(decision, plans, costs), *_trials(decision, plans, costs)]
        usd, error = perfect_usd(costs)
        rows.append(Known(ALL, (), (), (), "", usd, error, np.nan))
        rows += _questions(plans) if questions else []
        rows += _other_questions(decision) if anew else []
    table = pd.DataFrame(rows, columns=Known._fields)
    return table.sort_values("usd", ascending=False, kind="stable", ignore_index=True)


def variants(decision: Decision) -> list[Plan]:
    """Return the plans of a decision, then others near the cheapest ones that keep the limits: a
    step more or less of what is signed, or the same GPUs through another offer.

    Those that are hardly ever the cheapest are left out: nobody would change to them.
    """
    kept: list[Plan] | None = vars(decision).get("variants")
    if kept is None:
        kept = vars(decision)["variants"] = _variants(decision)
    return kept


def _variants(decision: Decision) -> list[Plan]:
    plans = [slim(plan) for plan in decision.plans]
    order = sorted(plans, key=lambda plan: plan.expected_usd)
    near = (_signing(plan, signed) for plan in order[:NEAR_PLANS] for signed in _signings(plan))
    every = [*plans, *(plan for plan in islice(near, MOST_NEAR) if _keeps(plan))]
    costs = np.array([plan.costs for plan in every])
    often = np.bincount(costs.argmin(axis=0), minlength=len(every)) >= RARE * costs.shape[1]
    often[[0, int(costs.mean(axis=1).argmin())]] = True
    return [plan for plan, kept in zip(every, often, strict=True) if kept]


class Regret(NamedTuple):
    """A plan and what it loses against the best plan of a draw."""

    plan: Plan
    most_usd: float
    """In 95 % of the draws at most."""
    worst_usd: float
    """In the worst draw."""


def regrets(decision: Decision) -> tuple[Regret, Regret]:
    """Return the recommendation, and the plan whose loss in 95 % of the draws is the least.

    The best of a draw is that of `variants`; both are the same where no plan loses less.
    """
    plans = variants(decision)
    costs = np.array([decision.best.costs, *(plan.costs for plan in plans)])
    lost = regrets_usd(costs)
    least = int(lost[:, 0].argmin())
    mine = Regret(decision.best, *lost[0].tolist())
    plan = plans[least - 1] if least else decision.best
    return mine, Regret(plan, *lost[least].tolist())


def _signing(plan: Plan, signed: np.ndarray) -> Plan:
    """Return a plan that signs other numbers; what other kinds lack is as it was."""
    con, chosen = plan.problem.contracts, replace(plan.chosen, signed=signed)
    kinds = set(con.kind[signed != plan.chosen.signed].tolist())
    found = replace(plan, chosen=chosen)
    changed = [place for place in plan.short if place[0] in kinds]
    vars(found)["short"] = plan.short | found.short_of(changed)
    return found


def _signings(plan: Plan) -> Iterator[np.ndarray]:
    """Yield what might be signed instead."""
    p, con, signed = plan.problem, plan.problem.contracts, plan.chosen.signed
    jobs = {int(p.choices.kind[c]) for c in plan.columns if p.choices.block[c]}
    for j in np.flatnonzero(signed > 0):
        same = (con.kind == con.kind[j]) & (con.start == con.start[j]) & (con.offer != con.offer[j])
        covers = (con.active | ~con.active[j]).all(axis=1)
        for other in np.flatnonzero(same & covers & (signed == 0)):
            gpus = np.ceil(signed[j] / con.step[other] - 1e-9) * con.step[other]
            if gpus >= con.minimum[other]:
                found = signed.copy()
                found[j], found[other] = 0.0, gpus
                yield found
        for step in (con.step[j], -con.step[j]):
            gpus = signed[j] + step
            if step > 0 or (
                int(con.kind[j]) not in jobs and (gpus == 0 or gpus >= con.minimum[j] - 1e-9)
            ):
                found = signed.copy()
                found[j] = gpus
                yield found


def _keeps(plan: Plan) -> bool:
    """Return whether a plan keeps the limits that all work shares."""
    limits = plan.problem.limits
    used = (
        (plan.upfront_usd, limits.capital),
        (float(plan.monthly_usd.max()) if np.isfinite(limits.monthly) else 0.0, limits.monthly),
        (plan.power_kw, limits.power),
        (float(plan.gpus_atonce.max()) if np.isfinite(limits.gpus) else 0.0, limits.gpus),
    )
    return all(value <= limit * (1 + 1e-3) for value, limit in used) and plan.undone <= 1 - SURE


def _quotes(decision: Decision, plans: Sequence[Plan], costs: np.ndarray) -> Iterator[Known]:
    """Yield what a quote of each offer that some plan takes is worth, and that of all of them."""
    draws, offers = plans[0].problem.draws, decision.offers
    market = market_factors(offers["mode"].tolist(), draws.samples, draws.seed)
    logs = np.log(draws.prices) - np.log(market)
    used = sorted({o for plan in plans for o in plan.offers_used})
    used = [o for o in used if logs[o].std() > FLAT]
    speeds = [n for trial in _tried(decision, plans).values() for n in trial.speeds.values()]
    unknown = np.array([draws.market("on-demand"), *speeds])
    found = [
        Known(QUOTE, (o,), (str(offers["gpu"].iloc[o]),), (), "", *of, np.nan)
        for o in used
        for of in [partial_usd(costs, logs[[o]], unknown)]
    ]
    numbers = {o: logs[o] for o in used}
    for api in tokens_taken(plans):
        price = np.log(api.factor(draws)) - np.log(draws.market("on-demand"))
        if price.std() > FLAT:
            numbers[len(numbers) + len(logs)] = price
            of = partial_usd(costs, price[None], unknown)
            found.append(Known(QUOTE, (), (), (api.work,), "api", *of, np.nan))
    yield from found
    if len(found) > 1:
        every = np.array([*numbers.values()])
        yield _together(QUOTES, found, *partial_usd(costs, every, unknown))


def tokens_taken(plans: Sequence[Plan]) -> list[Any]:
    """Return the services that some plan buys by API, each once."""
    found = {
        w: plan.problem.options[w]
        for plan in plans
        for w in plan.problem.choices.workload[plan.bought].tolist()
    }
    return [mine.api for _, mine in sorted(found.items())]


def _together(kind: str, parts: Sequence[Known], usd: float, error: float) -> Known:
    """Return several at once: worth what the regression on all says, at least what each says."""
    best = max(parts, key=lambda known: known.usd)
    usd, error = max((usd, error), (best.usd, best.error_usd))
    offers = tuple(dict.fromkeys(o for known in parts for o in known.offers))
    gpus = tuple(dict.fromkeys(g for known in parts for g in known.gpus))
    works = tuple(dict.fromkeys(w for known in parts for w in known.works))
    tried = tuple(n for known in parts for n in known.tried)
    cost = float(np.sum([known.cost_usd for known in parts]))
    return Known(kind, offers, gpus, works, "", usd, error, cost, tried)


@dataclass
class _Trial:
    """A kind of work on a kind of GPU: what a trial would tell."""

    works: dict[str, float]
    """GPUs of one replica, or of the job, of each work."""
    speeds: dict[tuple[object, ...], np.ndarray]
    """(S,) log of the factor on the speed, by number format and how sure it is; of a work that was
    measured also by itself."""


def _trials(decision: Decision, plans: Sequence[Plan], costs: np.ndarray) -> Iterator[Known]:
    """Yield what a trial of the works of a kind on each GPU is worth; of several GPUs, and all.

    In the draws, works of one kind share the error of a GPU: whoever has tried one knows it.
    """
    usd_of, parts = decision.best.work_usd, dict[str, list[Known]]()
    draws = decision.problem.draws
    used = sorted({o for plan in plans for o in plan.offers_used})
    unknown = np.log([draws.market("on-demand"), *draws.prices[used]])
    known: dict[tuple[str, str], np.ndarray] = {}
    for (kind, gpu), trial in _tried(decision, plans).items():
        numbers = np.array(list(trial.speeds.values()))
        if not (numbers.std(axis=1) > FLAT).any():
            continue
        known[kind, gpu] = numbers
        work = max(trial.works, key=lambda name: float(usd_of[name]))
        hour = decision.offers[
            (decision.offers["gpu"] == gpu) & (decision.offers["mode"] == "on-demand")
        ]["hour_usd"].min()
        usd, error = partial_usd(costs, numbers, unknown)
        count = trial.works[work]
        row = Known(TRIAL, (), (gpu,), (work,), "", usd, error, count * float(hour), (count,))
        parts.setdefault(kind, []).append(row)
    compared = {gpu for plan in decision.plans[:2] for gpu in plan.kinds_used}
    for kind, rows in parts.items():
        yield from rows
        near = [r for r in rows if r.gpus[0] in compared]
        if len(near) > 1:
            numbers = np.concatenate([known[kind, r.gpus[0]] for r in near])
            yield _together(TRIAL, near, *partial_usd(costs, numbers, unknown))
    every = [row for rows in parts.values() for row in rows]
    if len(parts) > 1:
        numbers = np.concatenate(list(known.values()))
        yield _together(TRIALS, every, *partial_usd(costs, numbers, unknown))


def _tried(decision: Decision, plans: Sequence[Plan]) -> dict[tuple[str, str], _Trial]:
    found: dict[tuple[str, str], _Trial] = {}
    draws = decision.problem.draws
    for mine, way in (
        (plan.problem.options[w], way)
        for plan in plans
        for w, way in zip(plan.problem.choices.workload, plan.problem.choices.way, strict=True)
        if way != NONE
    ):
        work = decision.problem.scenario.workloads[mine.place]
        row: dict[str, Any] = {name: cell[way] for name, cell in mine.cells.items()}
        wide, gpu, precision = doubtful(row), str(row["gpu"]), str(row["precision"])
        trial = found.setdefault((work.kind, gpu), _Trial({}, {}))
        size = float(row["gpus"] if work.kind in JOBS else row["unit_gpus"])
        trial.works[work.name] = min(size, trial.works.get(work.name, np.inf))
        measured = bool(getattr(work, "measured_speeds", ()))
        unit = int(row["unit_gpus"])
        key = precision, wide, (work.name, unit) if measured else None
        if key not in trial.speeds:
            trial.speeds[key] = np.log(draws.speed(work, gpu, precision, wide, unit))
    return found


# --- what to ask oneself --------------------------------------------------------------------------


CASES: dict[str, tuple[dict[str, float], ...]] = {
    "load": ({}, {"load": 0.5}, {"load": 2.0}),
    "job": ({}, {"load": 0.5}, {"load": 2.0}),
    "hours": ({}, {"hours_per_month": 243.0}),
    "spare": ({}, {"spare_replicas": 0}),
}
"""What may turn out of each question, each as likely: what was taken, then other values."""


def _questions(plans: Sequence[Plan]) -> Iterator[Known]:
    """Yield what it is worth to be sure of a load, or of a value that nobody named.

    What is signed stays; speeds and prices are unknown still: a plan costs their mean.
    """
    works: Any = plans[0].problem.scenario.workloads
    up = [w for w in works if hasattr(w, "hours_per_month")]
    asked = {
        "load": [w.name for w in up if w.kind != "tenants"],
        "job": [w.name for w in works if w.kind == "training"],
        "hours": [w.name for w in up if "hours_per_month" not in w.model_fields_set],
        "spare": [w.name for w in up if w.spare_replicas is None and w.hours_per_month > 700],
    }
    few = [_few(plan) for plan in plans]
    for what, names in asked.items():
        if names:
            costs = [[_case(p, names, case).expected_usd for case in CASES[what]] for p in few]
            usd, _ = perfect_usd(np.array(costs))
            yield Known(QUESTION, (), (), tuple(names), what, usd, np.nan, np.nan)


SLOWER = 2.0
"""Times as long as named that limits and deadlines may turn out."""
PROFILES = ("even", "office")
"""Days that a load may turn out to have, where none was named."""


def _other_questions(decision: Decision) -> Iterator[Known]:
    """Yield what it is worth to ask whether the limits on times to tokens, the deadlines of jobs,
    or the load over the day, are as taken: another plan may then do.

    Nobody signs the plan for looser limits before asking: what is signed is the recommendation,
    which in the other case costs what it does there. Each case is as likely.
    """
    s, best = decision.scenario, decision.best
    days = [
        w.name
        for w in s.workloads
        if isinstance(w, Inference) and w.profile is None and "peak_factor" in w.filled
    ]
    asked: dict[str, tuple[list[str], list[tuple[Any, dict[str, Any]]]]] = {
        "limits": (limited(s), [(slower(s, SLOWER), {"slower": SLOWER})]),
        "deadline": (due(s), [(later(s, SLOWER), {"later": SLOWER})]),
        "day": (days, [(_with_day(s, days, day), {"profile": day}) for day in PROFILES]),
    }
    for what, (names, cases) in asked.items():
        saved = [0.0]
        for other, case in cases if names else ():
            then = decide(other, quick=True)
            kept = _case(best, names, case).expected_usd
            saved.append(max(kept - then.best.expected_usd, 0.0) if then.feasible else 0.0)
        if names:
            yield Known(QUESTION, (), (), tuple(names), what, float(np.mean(saved)), np.nan, np.nan)


def _with_day(s: Any, names: Sequence[str], day: str) -> Any:
    """Return a scenario in which the load of some services goes over the day by a profile."""
    works = tuple(w.but(profile=day) if w.name in names else w for w in s.workloads)
    return s.model_copy(update={"workloads": works})


def _few(plan: Plan) -> Plan:
    """Return a plan in the first `QUESTION_DRAWS` draws."""
    draws = replace(plan.problem.draws, prices=plan.problem.draws.prices[:, :QUESTION_DRAWS])
    return _case(replace(plan, problem=with_columns(plan.problem, draws=draws)), (), {"again": 1.0})


def _case(plan: Plan, names: Sequence[str], case: dict[str, Any]) -> Plan:
    """Return a plan, signed as it is, where works have other fields, so many times the load, or
    limits or deadlines so many times as long.
    """
    if not case:
        return plan
    p, times, slow = plan.problem, case.get("load", 1.0), case.get("slower", 1.0)
    update = {
        n: value for n, value in case.items() if n not in ("load", "again", "slower", "later")
    }
    if "profile" in update:
        scenario = _with_day(p.scenario, names, update["profile"])
    elif "later" in case:
        scenario = later(p.scenario, case["later"])
    else:
        works = tuple(
            w.model_copy(update=update) if w.name in names else w for w in p.scenario.workloads
        )
        scenario = p.scenario.model_copy(update={"workloads": works})
    works = scenario.workloads
    options = []
    for mine, w, was in zip(p.options, works, p.scenario.workloads, strict=True):
        factor = times if w.name in names else 1.0
        eased = slow if w.name in names else 1.0
        curves = [curve | {"excess": curve["excess"] / eased} for curve in mine.ways.curves]
        ways = replace(mine.ways, curves=curves)
        part = mine.redrawn(scenario, p.draws, sizes=mine.sizes * factor, ways=ways)
        if mine.api is not None:
            factor *= getattr(w, "hours_per_month", 1.0) / getattr(was, "hours_per_month", 1.0)
            part = replace(part, api=mine.api.scaled(factor))
        options.append(part)
    return replace(plan, problem=with_columns(p, scenario=scenario, options=options))
