"""Plans: an option for every workload at once, one kind of GPU for all or each its own."""

from collections.abc import Sequence
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from gpuspec.decision.plan.draws import Draws, Need, best_shares, cost_of
from gpuspec.decision.plan.options import Options
from gpuspec.decision.plan.ranking import objective_scores, sampled_costs, spread
from gpuspec.decision.scenario import Scenario

MOST_PLANS = 6000
"""Combinations of the best options of each workload that are compared."""
HEAD, FINALISTS = 8, 48
"""Plans of a group, the best at the central estimates, that are compared over the samples: in a
group of one kind, and in the mix of all."""
MIX, ONE, RENTED, BOUGHT, SPLIT = "mix", "one", "rented", "bought", "split"


class Policy(NamedTuple):
    """What a plan is: the best mix, one GPU for all, all rented or bought, or jobs on one GPU and
    services on another.
    """

    kind: str
    gpus: tuple[str, ...] = ()


JOBS = ("training", "hpc")
TOTALS = ("gpus", "available", "power", "capital", "monthly")


class Plans:
    """Combinations of candidates with their totals at the central estimates.

    ``table`` has one row a plan: ``choice`` (row of each workload's candidates), ``cost_usd``,
    ``upfront_usd``, ``cash_month_usd``, ``power_kw``, ``gpus``, ``time_index``, ``kwh_month``,
    ``use_...`` of each total limit and ``feasible``.
    """

    def __init__(
        self,
        scenario: Scenario,
        options: Sequence[Options],
        candidates: Sequence[pd.DataFrame],
        draws: Draws,
    ) -> None:
        self.scenario, self.options, self.draws = scenario, options, draws
        self.candidates = candidates
        self._needs: dict[tuple[int, int], Need] = {}
        self._central: dict[tuple[int, int], Need] = {}
        self._scores: dict[tuple[int, ...], float] = {}

    @cached_property
    def table(self) -> pd.DataFrame:
        """Return all combinations with their totals."""
        per = max(int(MOST_PLANS ** (1 / len(self.candidates))), 4)
        pools = [_shortlist(c, per) for c in self.candidates]
        if not all(pools):
            return pd.DataFrame({"choice": [], "feasible": []})
        choices = list(product(*pools))
        table = self._totals(choices)
        table.insert(0, "choice", pd.Series(choices, dtype=object))
        return table

    def _totals(self, choices: list[tuple[int, ...]]) -> pd.DataFrame:
        """Return central totals of all plans at once: needs become arrays over plans."""
        s, picks = self.scenario, np.array(choices)
        places = np.stack(
            [c["offer"].to_numpy(int)[p] for c, p in zip(self.candidates, picks.T, strict=True)]
        )
        found: dict[str, Any] = {}
        n = len(choices)
        totals = {k: np.zeros(n) for k in ("cost_usd", "upfront_usd", "cash_month_usd", "power_kw")}
        over = np.zeros(n)
        needs = [self._spread_needs(w, picks[:, w]) for w in range(len(self.candidates))]
        for offer in range(len(self.draws.offers)):
            if not (places == offer).any():
                continue
            chosen = [(offer, _masked(need, places[w] == offer)) for w, need in enumerate(needs)]
            part = cost_of(self.draws, chosen, keep=False)
            for name in totals:
                totals[name] += np.asarray(part[name])
            there = float(self.draws.rows[offer]["available"])
            over = np.maximum(over, np.asarray(part["pools"][offer]) / there)
        kept = cost_of(self.draws, [])
        totals["cost_usd"] += kept["cost_usd"]
        totals["cash_month_usd"] += kept["cash_month_usd"]
        found |= totals
        found["gpus"] = sum(need.gpus for need in needs)
        best = [float(np.min(c["time_s"])) for c in self.candidates]
        logs = [np.log(need.time_s / b) for need, b in zip(needs, best, strict=True)]
        found["time_index"] = np.exp(np.mean(logs, axis=0))
        watts = self.draws.offers["power_w_gpu"].to_numpy(float)
        busy = s.prices.power_share
        found["kwh_month"] = sum(
            need.gpus * need.hours_month * watts[places[w]] * busy / 1e3
            for w, need in enumerate(needs)
        )
        b, limits = s.budget, s.limits
        found["use_gpus"] = found["gpus"] / (limits.gpus or np.inf)
        found["use_available"] = over
        found["use_power"] = totals["power_kw"] / limits.total_kw
        found["use_capital"] = _used(totals["upfront_usd"], b.capital_usd)
        found["use_monthly"] = _used(totals["cash_month_usd"], b.monthly_usd)
        table = pd.DataFrame(found)
        table["feasible"] = (table[[f"use_{n}" for n in TOTALS]] <= 1 + 1e-9).all(axis=1)
        return table

    def _spread_needs(self, w: int, rows: np.ndarray) -> Need:
        """Return the central need of workload `w` for each plan, as arrays over plans."""
        kinds = {int(r): self.central_need(w, int(r)) for r in np.unique(rows)}
        fields = ("gpus", "hours_month", "busy", "excess", "time_s")
        table = {f: np.array([float(getattr(kinds[int(r)], f)[0]) for r in rows]) for f in fields}
        return Need(**table)

    def central_need(self, w: int, row: int) -> Need:
        """Return what a candidate needs at the central estimate; arrays of one element."""
        key = (w, row)
        if key not in self._central:
            place = int(self.candidates[w]["row"].iloc[row])
            self._central[key] = self.draws.need(self.options[w], place, np.ones(1))
        return self._central[key]

    def need(self, w: int, row: int) -> Need:
        """Return what a candidate needs in each sample."""
        key = (w, row)
        if key not in self._needs:
            place = int(self.candidates[w]["row"].iloc[row])
            self._needs[key] = self.draws.need(self.options[w], place)
        return self._needs[key]

    def chosen(self, choice: Sequence[int], central: bool = False) -> list[tuple[int, Need]]:
        """Return offer and need of each workload of a plan."""
        take = self.central_need if central else self.need
        return [
            (int(self.candidates[w]["offer"].iloc[row]), take(w, row))
            for w, row in enumerate(choice)
        ]

    def score(self, choice: tuple[int, ...]) -> float:
        """Return the objective of a plan, on average over the samples."""
        if choice not in self._scores:
            chosen = [self.chosen(choice)]
            costs = sampled_costs(self.draws, chosen)
            scores = objective_scores(self.scenario, self.draws, chosen, costs)
            self._scores[choice] = float(spread(scores)[0][0])
        return self._scores[choice]

    def members(self, choice: Sequence[int]) -> pd.DataFrame:
        """Return the candidates of a plan, one row a workload."""
        rows = [self.candidates[w].iloc[row] for w, row in enumerate(choice)]
        return pd.DataFrame(rows).reset_index(drop=True)


def _used(value: Any, limit: float | None) -> Any:
    if limit is None:
        return np.zeros(np.shape(value))
    return value / limit if limit else np.where(value > 0, 1 + value, 0.0)


def _masked(need: Need, mask: np.ndarray) -> Need:
    """Return a need that is nothing where `mask` is false; jobs stay jobs, services services."""
    service = bool(np.all(need.busy == 1))
    return Need(
        gpus=need.gpus * mask,
        hours_month=need.hours_month,
        busy=need.busy if service else need.busy * mask,
        excess=need.excess * mask,
        time_s=need.time_s,
    )


def _shortlist(table: pd.DataFrame, most: int) -> list[int]:
    """Return the rows worth combining: the best of each GPU, of each way to pay, then the rest."""
    if table.empty or not table["feasible"].any():
        return []
    able = table[table["feasible"]]
    first = [*able.drop_duplicates("gpu").index, *able.drop_duplicates("mode").index]
    return list(dict.fromkeys([*first, *able.index]))[: max(most, len(set(first)))]


def policies(plans: Plans) -> pd.DataFrame:
    """Return the plans that a buyer chooses between, best first, with their probabilities.

    The best mix of all; for each GPU the best plan with that GPU alone; all rented; all bought;
    trained on one kind and served on another. Plans that are the same are told once.

    Returns
    -------
    DataFrame
        Columns of `Plans.table`, then ``policies`` (a tuple of `Policy`: those that it is),
        ``expected_usd`` with ``low`` and ``high`` (80 % interval), ``probability`` (of being the
        best of these; they add up to 1), ``near`` (share of the samples in which it costs at most
        5 % more than the best). Where no plan keeps the limits on totals, those that break them,
        with ``feasible`` false.
    """
    table = plans.table
    able = table[table["feasible"]] if len(table) else table
    if able.empty:  # nothing keeps all totals: what it would cost without them
        able = table
    if able.empty:
        return able
    objective = {"cost": "cost_usd", "time": "time_index", "energy": "kwh_month"}
    order = [objective[plans.scenario.objective], "cost_usd"]
    ranked = able.sort_values(order, kind="stable")
    picks: dict[tuple[int, ...], list[Policy]] = {}
    for policy, mask in _groups(plans, ranked):
        if mask.any():
            most = FINALISTS if policy.kind == MIX else HEAD
            picks.setdefault(_best_expected(plans, ranked[mask].head(most)), []).append(policy)
    index = {c: i for i, c in zip(ranked.index, ranked["choice"], strict=True)}
    found = ranked.loc[[index[c] for c in picks]].copy()
    found["policies"] = pd.Series([tuple(p) for p in picks.values()], found.index, dtype=object)
    return _scored(plans, found)


def _best_expected(plans: Plans, rows: pd.DataFrame) -> tuple[int, ...]:
    """Return the plan that is best on average over the samples, of the best central ones."""
    if len(rows) == 1:
        return tuple(rows["choice"].iloc[0])
    scores = [plans.score(c) for c in rows["choice"]]
    return tuple(rows["choice"].iloc[int(np.argmin(scores))])


def _groups(plans: Plans, ranked: pd.DataFrame) -> list[tuple[Policy, Any]]:
    picks = np.array(ranked["choice"].tolist())
    gpus = np.stack(
        [c["gpu"].to_numpy()[p] for c, p in zip(plans.candidates, picks.T, strict=True)]
    )
    modes = np.stack(
        [c["mode"].to_numpy()[p] for c, p in zip(plans.candidates, picks.T, strict=True)]
    )
    groups: list[tuple[Policy, Any]] = [(Policy(MIX), np.ones(len(ranked), bool))]
    names = list(dict.fromkeys(g for c in plans.candidates for g in c["gpu"]))
    groups += [(Policy(ONE, (g,)), (gpus == g).all(axis=0)) for g in names]
    owned = np.isin(modes, ("own", "owned"))
    rented, bought = ~owned.any(axis=0), owned.all(axis=0)
    groups += [(Policy(RENTED), rented), (Policy(BOUGHT), bought)]
    jobs = np.array([w.kind in JOBS for w in plans.scenario.workloads])
    if jobs.any() and not jobs.all():
        for train, serve in product(names, names):
            if train != serve:
                mask = (gpus[jobs] == train).all(axis=0) & (gpus[~jobs] == serve).all(axis=0)
                groups.append((Policy(SPLIT, (train, serve)), mask))
    return groups


def _scored(plans: Plans, found: pd.DataFrame) -> pd.DataFrame:
    chosen = [plans.chosen(c) for c in found["choice"]]
    costs = sampled_costs(plans.draws, chosen)
    scores = objective_scores(plans.scenario, plans.draws, chosen, costs)
    mean, low, high = spread(costs)
    near = (scores <= 1.05 * scores.min(axis=0)).mean(axis=1)
    found = found.assign(
        expected_usd=mean,
        low=low,
        high=high,
        score=spread(scores)[0],
        probability=best_shares(scores),
        near=near,
        sure=(costs < 1e14).mean(axis=1),
    )
    found["sampled"] = list(scores)
    return found.sort_values("score", kind="stable").reset_index(drop=True)
