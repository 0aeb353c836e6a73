"""Plans: an option for every workload at once, one kind of GPU for all or each its own."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd

from gpuspec.decision.plan.draws import Chosen, Need, PlanColumn, PlanDraws, best_shares, cost_of
from gpuspec.decision.plan.limits import limits_of, with_uses
from gpuspec.decision.plan.options import Options
from gpuspec.decision.plan.ranking import objective_scores, sampled_costs, spread

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
TOTAL_COLUMNS: tuple[PlanColumn, ...] = ("cost_usd", "upfront_usd", "cash_month_usd", "power_kw")


class Plans:
    """Combinations of candidates with their totals at the central estimates.

    ``table`` has one row a plan: ``choice`` (row of each workload's candidates), ``cost_usd``,
    ``upfront_usd``, ``cash_month_usd``, ``power_kw``, ``gpus``, ``time_index``, ``kwh_month``,
    ``use_...`` of each total limit and ``feasible``.
    """

    def __init__(
        self, options: Sequence[Options], candidates: Sequence[pd.DataFrame], draws: PlanDraws
    ) -> None:
        self.scenario, self.options, self.draws = draws.scenario, options, draws
        self.candidates = candidates
        self._needs: dict[tuple[int, int, bool], Need] = {}
        self._scores: dict[tuple[int, ...], float] = {}

    @cached_property
    def table(self) -> pd.DataFrame:
        """Return all combinations with their totals."""
        most = max(int(MOST_PLANS ** (1 / len(self.candidates))), 4)
        pools = [_shortlist(c, most) for c in self.candidates]
        if not all(pools):
            return pd.DataFrame({"choice": [], "feasible": []})
        choices = list(product(*pools))
        table = self._totals(choices)
        table.insert(0, "choice", pd.Series(choices, dtype=object))
        return table

    def _totals(self, choices: list[tuple[int, ...]]) -> pd.DataFrame:
        """Return central totals of all plans at once: needs become arrays over plans."""
        picks = np.array(choices)
        places = np.stack(
            [c["offer"].to_numpy(int)[p] for c, p in zip(self.candidates, picks.T, strict=True)]
        )
        totals = pd.DataFrame(0.0, index=range(len(choices)), columns=list(TOTAL_COLUMNS))
        over = np.zeros(len(choices))
        needs = [self._spread_needs(w, picks[:, w]) for w in range(len(self.candidates))]
        for offer in range(len(self.draws.offers)):
            if not (places == offer).any():
                continue
            chosen = [(offer, _masked(need, places[w] == offer)) for w, need in enumerate(needs)]
            part = cost_of(self.draws, chosen, keep=False)
            for name in TOTAL_COLUMNS:
                totals[name] += np.asarray(part[name])
            available = float(self.draws.rows[offer]["available"])
            over = np.maximum(over, np.asarray(part["pools"][offer]) / available)
        keep = cost_of(self.draws, [])
        totals["cost_usd"] += keep["cost_usd"]
        totals["cash_month_usd"] += keep["cash_month_usd"]
        totals["gpus"] = sum(need.gpus for need in needs)
        best = [float(np.min(c["time_s"])) for c in self.candidates]
        logs = [np.log(need.time_s / b) for need, b in zip(needs, best, strict=True)]
        totals["time_index"] = np.exp(np.mean(logs, axis=0))
        watts = self.draws.offers["power_w_gpu"].to_numpy(float)
        busy = self.scenario.prices.power_share
        totals["kwh_month"] = sum(
            need.gpus * need.hours_month * watts[places[w]] * busy / 1e3
            for w, need in enumerate(needs)
        )
        return with_uses(totals, limits_of(self.scenario), available=over)

    def _spread_needs(self, w: int, rows: np.ndarray) -> Need:
        """Return the central need of workload `w` for each plan, as arrays over plans."""
        distinct, place = np.unique(rows, return_inverse=True)
        needs = [self.need(w, int(row), central=True) for row in distinct]
        return Need(*(np.concatenate(values)[place] for values in zip(*needs, strict=True)))

    def need(self, w: int, row: int, central: bool = False) -> Need:
        """Return what a candidate needs in each sample, or in one at the central estimate."""
        key = (w, row, central)
        if key not in self._needs:
            place = int(self.candidates[w]["row"].iloc[row])
            speed = np.ones(1) if central else None
            self._needs[key] = self.draws.need(self.options[w], place, speed)
        return self._needs[key]

    def chosen(self, choice: Sequence[int], central: bool = False) -> Chosen:
        """Return offer and need of each workload of a plan."""
        return [
            (int(self.candidates[w]["offer"].iloc[row]), self.need(w, row, central))
            for w, row in enumerate(choice)
        ]

    def score(self, choice: tuple[int, ...]) -> float:
        """Return the objective of a plan, on average over the samples."""
        if choice not in self._scores:
            self._scores[choice] = float(spread(self.sampled([choice])[1])[0][0])
        return self._scores[choice]

    def sampled(self, choices: Iterable[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
        """Return cost and objective of plans in each sample, shape (plans, samples)."""
        chosen = [self.chosen(choice) for choice in choices]
        costs = sampled_costs(self.draws, chosen)
        return costs, objective_scores(self.scenario, self.draws, chosen, costs)

    def members(self, choice: Sequence[int]) -> pd.DataFrame:
        """Return the candidates of a plan, one row a workload."""
        rows = [self.candidates[w].iloc[row] for w, row in enumerate(choice)]
        return pd.DataFrame(rows).reset_index(drop=True)


def gpus_words(members: pd.DataFrame) -> str:
    """Return the GPUs of a plan in words, such as ``4 x h200-sxm-141 (own)``."""
    counts = members.groupby(["gpu", "label"], sort=False)["gpus"].sum().reset_index()
    return ", ".join(f"{r.gpus:,.0f} x {r.gpu} ({r.label})" for r in counts.itertuples())


def _masked(need: Need, mask: np.ndarray) -> Need:
    """Return a need that is nothing where `mask` is false; jobs stay jobs, services services."""
    service = bool(np.all(need.busy == 1))
    busy = need.busy if service else need.busy * mask
    return need._replace(gpus=need.gpus * mask, busy=busy, excess=need.excess * mask)


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

    Columns of `Plans.table`, then ``policies`` (a tuple of `Policy`: those that it is),
    ``expected_usd`` with ``low`` and ``high`` (80 % interval), ``probability`` (of being the best
    of these; they add up to 1), ``near`` (share of the samples in which it costs at most 5 % more
    than the best). Where no plan keeps the limits on totals, those that break them, with
    ``feasible`` false.
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
    best = ranked.loc[[index[c] for c in picks]].copy()
    best["policies"] = pd.Series([tuple(p) for p in picks.values()], best.index, dtype=object)
    return _scored(plans, best)


def _best_expected(plans: Plans, rows: pd.DataFrame) -> tuple[int, ...]:
    """Return the plan that is best on average over the samples, of the best central ones."""
    if len(rows) == 1:
        return tuple(rows["choice"].iloc[0])
    scores = [plans.score(c) for c in rows["choice"]]
    return tuple(rows["choice"].iloc[int(np.argmin(scores))])


def _groups(plans: Plans, ranked: pd.DataFrame) -> list[tuple[Policy, np.ndarray]]:
    picks = np.array(ranked["choice"].tolist())
    gpus, modes = (
        np.stack([c[name].to_numpy()[p] for c, p in zip(plans.candidates, picks.T, strict=True)])
        for name in ("gpu", "mode")
    )
    groups: list[tuple[Policy, np.ndarray]] = [(Policy(MIX), np.ones(len(ranked), bool))]
    names = list(dict.fromkeys(g for c in plans.candidates for g in c["gpu"]))
    groups += [(Policy(ONE, (g,)), (gpus == g).all(axis=0)) for g in names]
    owned = np.isin(modes, ("own", "owned"))
    rented, bought = np.all(~owned, axis=0), np.all(owned, axis=0)
    groups += [(Policy(RENTED), rented), (Policy(BOUGHT), bought)]
    jobs = np.array([w.kind in JOBS for w in plans.scenario.workloads])
    if jobs.any() and not jobs.all():
        for train, serve in product(names, names):
            if train != serve:
                mask = (gpus[jobs] == train).all(axis=0) & (gpus[~jobs] == serve).all(axis=0)
                groups.append((Policy(SPLIT, (train, serve)), mask))
    return groups


def _scored(plans: Plans, table: pd.DataFrame) -> pd.DataFrame:
    costs, scores = plans.sampled(table["choice"])
    mean, low, high = spread(costs)
    near = (scores <= 1.05 * scores.min(axis=0)).mean(axis=1)
    scored = table.assign(
        expected_usd=mean,
        low=low,
        high=high,
        score=spread(scores)[0],
        probability=best_shares(scores),
        near=near,
        sure=(costs < 1e14).mean(axis=1),
    )
    scored["sampled"] = list(scores)
    return scored.sort_values("score", kind="stable").reset_index(drop=True)
