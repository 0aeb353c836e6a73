"""A plan read from the programme's numbers: what is signed, what runs where, what it costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from gpuspec.base.lazy import pd
from gpuspec.base.units import HOURS_MONTH
from gpuspec.constants.ground import Ground
from gpuspec.decision.ground import chosen_ground
from gpuspec.decision.programme import API, HOUR, POOL, SPOT, VENUES, Chosen, Problem
from gpuspec.decision.programme.choices import NONE, Choices, useful

PARTS = (
    "purchases",
    "contracts",
    "upkeep",
    "by the hour",
    "spot",
    "by API",
    "energy",
    "owned today",
    "effort",
    "undone",
)
"""What a plan's cost consists of; purchases less what is left at the end, with interest; owned
today: what the GPUs that are there lose of their worth until they are sold or the horizon ends;
undone: what work counts whose GPUs are missing and cannot be rented."""
ENOUGH = 1e-6
RUNS = ["workload", "place", "from_month", "gpu", "precision", "split", "tech", "days", "ttft_s"]
RUNS += ["tpot_s", "bound", "share", "share_from", "share_to", "venue", "way", "gpus", "gpus_high"]
RUNS += ["hours_month", "gpu_hours_month", "sure", "useful"]
"""Columns of `Plan.runs`."""


class Policy(NamedTuple):
    """What a plan is: the best of all, one GPU for all, all rented or bought, and so on."""

    kind: str
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """One way to do all the work; costs of shape (S,) over the draws."""

    problem: Problem
    chosen: Chosen
    policies: tuple[Policy, ...]
    gap: float = 0.0
    """How far its cost may lie above the best of its policy, as a share."""

    def named(self, *more: Policy) -> Plan:
        """Return the same plan as the answer to more policies."""
        return replace(self, policies=tuple(dict.fromkeys([*self.policies, *more])))

    @property
    def key(self) -> tuple[object, ...]:
        """What makes two plans the same."""
        return tuple(self.taken), tuple(self.chosen.signed), tuple(self.chosen.sold.ravel())

    @cached_property
    def taken(self) -> np.ndarray:
        """Places of the columns that are chosen."""
        return np.flatnonzero(self.chosen.taken > 0.5)

    @cached_property
    def columns(self) -> np.ndarray:
        """Those of them that run on GPUs."""
        return self.taken[self.problem.choices.venue[self.taken] != API]

    @cached_property
    def bought(self) -> np.ndarray:
        """Those of them that are services by API."""
        return self.taken[self.problem.choices.venue[self.taken] == API]

    @cached_property
    def short(self) -> dict[tuple[int, int], tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """For each kind and segment of its pool in use: GPUs that are missing, and what a month of
        renting them and of energy in one's own rooms costs, each (S,).
        """
        return self.short_of(self.problem.pools)

    def short_of(
        self, places: Iterable[tuple[int, int]]
    ) -> dict[tuple[int, int], tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Return `short` of some kinds and segments."""
        return {
            short.place: (short.every.short, short.rent_usd, short.energy_usd)
            for short in self.problem.tails(self.chosen, places)
        }

    @cached_property
    def parts(self) -> dict[str, np.ndarray]:
        """What the cost consists of, by `PARTS`; each (S,)."""
        p, con, calendar, kinds = self.problem, *_of(self.problem)
        found = {name: np.zeros(p.draws.samples) for name in PARTS}
        for j in np.flatnonzero(self.chosen.signed > 0):
            gpus = self.chosen.signed[j]
            name = "purchases" if con.housed[j] else "contracts"
            found[name] += gpus * con.priced_usd[j] * p.draws.price(int(con.offer[j]))
            found["upkeep"] += gpus * con.fixed_usd[j]
        months = np.append(calendar.starts, calendar.edges[-1])
        tied = kinds.tied_usd(months)
        kept = kinds.owned - self.chosen.sold.sum(axis=1)
        there = np.column_stack([self.chosen.sold, kept])
        found["owned today"] += float((there * tied).sum())
        found["upkeep"] += float((there * kinds.keep_usd[:, None] * months).sum())
        for (k, q), (_, rent, energy) in self.short.items():
            found["by the hour" if kinds.hour_offer[k] >= 0 else "undone"] += (
                rent * calendar.months[q]
            )
            found["energy"] += energy * calendar.months[q]
        for c in self.columns:
            venue = p.choices.venue[c]
            if venue != POOL:
                found["by the hour" if venue == HOUR else "spot"] += self._rent(int(c))
        for c in self.bought:
            found["by API"] += self.api_usd(int(c))
        found["effort"] += self.effort_usd
        return found

    def api_usd(self, c: int) -> np.ndarray:
        """Return (S,) what a service by API costs over the horizon in the round of its column."""
        p, calendar = self.problem, self.problem.calendar
        api: Any = p.options[p.choices.workload[c]].api
        here = calendar.round_of == p.choices.round[c]
        return np.asarray(
            float((api.month_usd * calendar.months)[here].sum()) * api.factor(p.draws)
        )

    def _rent(self, c: int) -> np.ndarray:
        """Return (S,) what a column by the hour or on spot costs over the horizon."""
        return self._rented(c)[1]

    def _rented(self, c: int) -> np.ndarray:
        """Return (2, S) the GPU-hours that such a column pays over the horizon, and their USD."""
        p, cho, kinds = self.problem, self.problem.choices, self.problem.kinds
        mine, k, way = p.options[cho.workload[c]], int(cho.kind[c]), int(cho.way[c])
        total, moving = np.zeros((2, p.draws.samples)), self.useful(c)
        for q in np.flatnonzero((p.calendar.round_of == cho.round[c]) & (mine.size_of >= 0)):
            hours = mine.needs[way].gpu_hours[mine.size_of[q]] * p.calendar.months[q] / moving
            price = p.hour_usd(k, int(q))
            if cho.venue[c] == SPOT:
                price = kinds.spot_usd[k, q] * p.draws.price(int(kinds.spot_offer[k]))
            total += hours * np.stack([np.ones_like(price), price])
        return total

    def useful(self, c: int) -> np.ndarray:
        """Return (S,) the share of paid hours in which a column's work goes on: on spot not all."""
        p, cho = self.problem, self.problem.choices
        if cho.venue[c] != SPOT:
            return np.ones(p.draws.samples)
        mine = p.options[cho.workload[c]]
        return useful(mine, int(cho.way[c]), p.kinds, int(cho.kind[c]), p.draws)

    def over(self, c: int) -> np.ndarray:
        """Return (Z, S) time that a column's work takes over the strictest limit on it, its
        interruptions included.
        """
        mine = self.problem.options[self.problem.choices.workload[c]]
        over = mine.needs[self.problem.choices.way[c]].over
        return np.asarray(over / self.useful(c))

    def rent_usd(self, c: int) -> float:
        """Return what a column costs on average that runs by the hour or on spot; else 0."""
        return 0.0 if self.problem.choices.venue[c] == POOL else float(self._rent(c).mean())

    def rents_from(self, c: int) -> int:
        """Return the offer that a column runs on by the hour or on spot; -1 for none."""
        cho, kinds = self.problem.choices, self.problem.kinds
        by_use = {HOUR: kinds.hour_offer, SPOT: kinds.spot_offer}.get(int(cho.venue[c]))
        return -1 if by_use is None else int(by_use[cho.kind[c]])

    @cached_property
    def paid(self) -> pd.DataFrame:
        """One row an offer: ``gpu_hours`` that are paid through it, used or not (of a purchase
        those of its use), and their ``usd``, on average.
        """
        p, con, kinds = self.problem, self.problem.contracts, self.problem.kinds
        hours, usd = np.zeros((2, len(p.offers)))
        price = p.draws.prices.mean(axis=1)[con.offer]
        np.add.at(hours, con.offer, self.chosen.signed * con.paid_months * HOURS_MONTH)
        np.add.at(usd, con.offer, self.chosen.signed * con.priced_usd * price)
        for (k, q), (_, rent, _) in self.short.items():
            if (offer := kinds.hour_offer[k]) >= 0:
                hours[offer] += (rent / p.hour_usd(k, q)).mean() * p.calendar.months[q]
                usd[offer] += rent.mean() * p.calendar.months[q]
        for c in map(int, self.columns):
            if (offer := self.rents_from(c)) >= 0:
                rented = self._rented(c).mean(axis=1)
                hours[offer] += rented[0]
                usd[offer] += rented[1]
        return pd.DataFrame({"gpu_hours": hours, "usd": usd})

    @property
    def services_usd(self) -> dict[str, float]:
        """What of the cost licences, support plans and lines take, on average: ``licences``,
        ``support``, ``lines``; 0 of what is not set among the operating values.
        """
        p, values = self.problem, self.problem.scenario.operating
        months = self.paid["gpu_hours"].to_numpy() / HOURS_MONTH
        ends = np.append(p.calendar.starts, p.calendar.edges[-1])
        kept = np.column_stack([self.chosen.sold, p.kinds.owned - self.chosen.sold.sum(axis=1)])
        for name, held in zip(p.kinds.names, kept @ ends, strict=True):
            months = months + held * ((p.offers["gpu"] == name) & (p.offers["mode"] == "owned"))
        beside = months * p.offers["beside_month_usd_gpu"]
        rents = (self.paid["usd"] - beside)[~p.offers["housed"]].sum()
        licences = float((months * p.offers["licence_month_usd_gpu"]).sum())
        return {
            "licences": licences,
            "support": float(rents * values.support_share / (1 + values.support_share)),
            "lines": float(beside.sum()) - licences,
        }

    @cached_property
    def effort_usd(self) -> float:
        """Effort of kinds, moves, formats and contracts."""
        p, cho = self.problem, self.problem.choices
        effort, columns = p.scenario.effort, self.columns
        used = max(len({int(k) for k in cho.kind[columns]}) - 1, 0)
        total = effort.kind_usd_year * float(p.calendar.edges[-1]) / 12 * used
        places = {(int(cho.workload[c]), int(cho.kind[c])) for c in self.taken}
        total += effort.workload_usd * (len(places) - len({w for w, _ in places}))
        changed = {
            int(cho.workload[c])
            for c in columns
            if p.options[cho.workload[c]].changes_format(int(cho.way[c]))
        }
        total += effort.precision_usd * len(changed)
        return total + effort.contract_usd * int((self.chosen.signed > 0).sum())

    @cached_property
    def costs(self) -> np.ndarray:
        """(S,) what the plan costs over the horizon in each draw."""
        return np.asarray(sum(self.parts.values()))

    @property
    def expected_usd(self) -> float:
        """The cost over the horizon on average over all draws."""
        return float(self.costs.mean())

    @property
    def interval_usd(self) -> tuple[float, float]:
        """The 80 % interval of the cost."""
        low, high = np.quantile(self.costs, (0.1, 0.9))
        return float(low), float(high)

    @property
    def upfront_usd(self) -> float:
        """Capital that is paid for what is bought, at the prices of the table."""
        return float(self.chosen.signed @ self.problem.contracts.upfront_usd)

    @cached_property
    def monthly_usd(self) -> np.ndarray:
        """(Q,) cash of a month of each segment, on average over the draws."""
        p, con, calendar, kinds = self.problem, *_of(self.problem)
        mean = np.array([p.draws.price(int(o)).mean() for o in con.offer])
        each = np.where(con.housed, 1.0, mean)[:, None] * con.month_usd
        held = kinds.owned[:, None] - np.cumsum(self.chosen.sold, axis=1)[:, calendar.round_of]
        total = self.chosen.signed @ each + kinds.keep_usd @ held
        total = total + p.choices.month_usd[self.taken].sum(axis=0)
        for (k, q), (_, rent, energy) in self.short.items():
            total[q] += float((rent * p.paid_share[k, q] + energy).mean())
        return np.asarray(total)

    @property
    def spent_usd(self) -> float:
        """Cash over the horizon, purchases included and not what they are worth at its end."""
        return self.upfront_usd + float(self.monthly_usd @ self.problem.calendar.months)

    @property
    def power_kw(self) -> float:
        """Most power of the GPUs in one's own rooms."""
        there, others = self.chosen.there(self.problem)
        return float((self.problem.kinds.power_kw @ (there - others)).max())

    @cached_property
    def gpus_atonce(self) -> np.ndarray:
        """(Q,) GPUs at once at the central estimates, those that are there and rented ones."""
        p, cho, calendar = self.problem, self.problem.choices, self.problem.calendar
        there, _ = self.chosen.there(p)
        total = np.zeros(len(calendar.months))
        columns = self.columns
        for q in range(len(calendar.months)):
            at = columns[cho.round[columns] == calendar.round_of[q]]
            for k in range(len(p.kinds.names)):
                mine = at[(cho.kind[at] == k) & (cho.venue[at] == POOL) & (cho.block[at] == 0)]
                total[q] += max(there[k, q], cho.atonce[mine, q].sum())
            total[q] += cho.atonce[at[cho.venue[at] != POOL], q].sum()
        return total

    @cached_property
    def enough(self) -> np.ndarray:
        """(S,) whether in a draw the GPUs that are signed for or owned are enough, from the time
        on at which what was ordered has arrived.
        """
        found = np.ones(self.problem.draws.samples, bool)
        for place, (short, _, _) in self.short.items():
            if self.arrived.get(place):
                found &= short <= ENOUGH
        return found

    @cached_property
    def arrived(self) -> dict[tuple[int, int], bool]:
        """Whether what was ordered of a kind is there in a segment; of kinds that are there at all
        and in use.
        """
        there, _ = self.chosen.there(self.problem)
        round_of = self.problem.calendar.round_of
        return {
            (k, q): bool(there[k, q] > 0 and there[k, q] >= there[k, round_of == round_of[q]].max())
            for k, q in self.short
            if there[k].max() > 0
        }

    def _rented_usd(self, arrived: bool) -> float:
        months = self.problem.calendar.months
        places = [place for place, here in self.arrived.items() if here == arrived]
        return float(sum(self.short[k, q][1].mean() * months[q] for k, q in places))

    @property
    def shortfall_usd(self) -> float:
        """What renting costs on average where signed or owned GPUs are there and not enough."""
        return self._rented_usd(True)

    @property
    def waiting_usd(self) -> float:
        """What renting costs on average until what was ordered is there."""
        return self._rented_usd(False)

    @property
    def undone(self) -> float:
        """Share of the draws in which GPUs are missing that cannot be rented, once what is ordered
        has arrived.
        """
        p = self.problem
        settled = set(p.calendar.settled.tolist())
        found = np.zeros(p.draws.samples, bool)
        for (k, q), (short, _, _) in self.short.items():
            if p.kinds.hour_offer[k] < 0 and q in settled:
                found |= short > ENOUGH
        return float(found.mean())

    @cached_property
    def kept(self) -> np.ndarray:
        """(S,) whether in a draw all deadlines and limits of the works are kept."""
        found = np.ones(self.problem.draws.samples, bool)
        for c in self.columns:
            found &= (self.over(int(c)) <= 1 + 1e-9).all(axis=0)
        return found

    @cached_property
    def signed(self) -> pd.DataFrame:
        """One row a contract or purchase: ``gpu``, ``mode``, ``label``, ``offer``, ``gpus``,
        ``from_month``, ``until_month``, ``paid_months``, ``upfront_usd``, ``month_usd`` (cash of a
        month without use) and ``cost_usd`` (on average, over what is paid), of all its GPUs.
        """
        p, con, calendar, _ = self.problem, *_of(self.problem)
        rows: list[dict[str, Any]] = []
        for j in np.flatnonzero(self.chosen.signed > 0):
            gpus, offer = float(self.chosen.signed[j]), int(con.offer[j])
            active = np.flatnonzero(con.active[j])
            factor = float(p.draws.price(offer).mean())
            cost = con.fixed_usd[j] + con.priced_usd[j] * factor
            rows.append(
                {
                    **{name: p.offers[name].iat[offer] for name in ("gpu", "mode", "label")},
                    "offer": offer,
                    "gpus": gpus,
                    "order_month": float(calendar.starts[con.start[j]]),
                    "from_month": float(calendar.edges[active[0]]),
                    "until_month": float(calendar.edges[active[-1] + 1]),
                    "paid_months": float(con.paid_months[j]),
                    "upfront_usd": gpus * float(con.upfront_usd[j]),
                    "month_usd": gpus * float(con.month_usd[j].max()),
                    "cost_usd": gpus * float(cost),
                }
            )
        names = ["gpu", "mode", "label", "offer", "gpus", "order_month", "from_month"]
        names += ["until_month", "paid_months", "upfront_usd", "month_usd", "cost_usd"]
        return pd.DataFrame(rows, columns=names)

    @cached_property
    def sold(self) -> pd.DataFrame:
        """One row a sale: ``gpu``, ``gpus``, ``month`` and ``worth_usd`` (what it brings)."""
        kinds, calendar = self.problem.kinds, self.problem.calendar
        rows = [
            (kinds.names[k], float(n), float(calendar.starts[e]), float(n * kinds.worth_usd[k, e]))
            for (k, e), n in np.ndenumerate(self.chosen.sold)
            if n > 0
        ]
        return pd.DataFrame(rows, columns=["gpu", "gpus", "month", "worth_usd"])

    @cached_property
    def offers_used(self) -> list[int]:
        """Places of the offers that are taken: signed, then by use."""
        kinds, found = self.problem.kinds, [int(o) for o in self.signed["offer"]]
        by_use = {"on-demand": kinds.hour_offer, "spot": kinds.spot_offer}
        for gpu, mode in zip(self.rented["gpu"], self.rented["mode"], strict=True):
            if mode in by_use:
                found.append(int(by_use[mode][kinds.names.index(gpu)]))
        return list(dict.fromkeys(found))

    @cached_property
    def rented(self) -> pd.DataFrame:
        """One row a kind and way of paying by use: ``gpu``, ``mode`` (on-demand, spot; missing
        where it cannot be rented), ``beside`` (GPUs that are signed for or owned, at most),
        ``gpus`` (on average while the work is there), ``gpus_high`` (in 90 % of the draws at most),
        ``cost_usd`` over the horizon, on average, and ``month_usd``.
        """
        p, cho, calendar = self.problem, self.problem.choices, self.problem.calendar
        there, _ = self.chosen.there(p)
        rows: list[dict[str, Any]] = []
        for k, name in enumerate(p.kinds.names):
            mode = "on-demand" if p.kinds.hour_offer[k] >= 0 else "missing"
            parts = [(s, r, q) for (at, q), (s, r, _) in self.short.items() if at == k]
            jobs = self.columns[(cho.kind[self.columns] == k) & (cho.venue[self.columns] == HOUR)]
            usd = sum(float(r.mean()) * calendar.months[q] for _, r, q in parts)
            usd += sum(float(self._rent(int(c)).mean()) for c in jobs)
            short = np.max([s for s, _, _ in parts], axis=0) if parts else np.zeros(1)
            more = cho.atonce[jobs].max(axis=1).sum() if len(jobs) else 0.0
            if usd > 0.5:
                row = {"gpu": name, "mode": mode, "beside": float(there[k].max())}
                row |= {"gpus": float(short.mean() + more), "cost_usd": float(usd)}
                rows.append(row | {"gpus_high": float(np.quantile(short, 0.9) + more)})
            spots = self.columns[(cho.kind[self.columns] == k) & (cho.venue[self.columns] == SPOT)]
            if len(spots):
                usd = sum(float(self._rent(int(c)).mean()) for c in spots)
                count = float(cho.atonce[spots].max(axis=1).max())
                row = {"gpu": name, "mode": "spot", "beside": 0.0, "gpus": count}
                rows.append(row | {"gpus_high": count, "cost_usd": float(usd)})
        table = pd.DataFrame(
            rows, columns=["gpu", "mode", "beside", "gpus", "gpus_high", "cost_usd"]
        )
        return table.assign(month_usd=table["cost_usd"] / calendar.edges[-1])

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row a workload (of one that is split, a part of it) and round in which its ways
        change: ``workload`` (name), ``place``, ``from_month``, ``gpu``, ``precision``, ``split``,
        ``venue``, ``way`` (that does all of the work), ``tech``, ``gpus`` (at the central estimate,
        the most of the round), ``gpus_high`` (at most, in 90 % of the draws), ``days`` (of a job,
        interruptions included), ``useful`` (share of the hours in which the work goes on),
        ``ttft_s``, ``tpot_s``, ``hours_month``, ``gpu_hours_month`` (on average), ``sure`` (share
        of the draws in which its limits are kept), ``share`` (of all that is served), and
        ``share_from``, ``share_to`` (of the load of the busiest hour).
        """
        cho = self.problem.choices
        rows: list[dict[str, Any]] = []
        before: dict[int, list[tuple[int, int]]] = {}
        last: dict[int, list[dict[str, Any]]] = {}
        order = sorted(
            self.columns, key=lambda c: (cho.workload[c], cho.round[c], cho.share_from[c])
        )
        for (w, _), of in groupby(order, key=lambda c: (int(cho.workload[c]), cho.round[c])):
            columns = [int(c) for c in of]
            now = [(int(cho.way[c]), int(cho.venue[c])) for c in columns]
            mine = [self._run(c) for c in columns]
            if before.get(w) == now:
                for row, more in zip(last[w], mine, strict=True):
                    for name in ("gpus", "gpus_high"):
                        row[name] = max(row[name], more[name])
                continue
            before[w], last[w] = now, mine
            rows += mine
        return pd.DataFrame(rows, columns=RUNS)

    def _run(self, c: int) -> dict[str, Any]:
        """Return a row of `runs`, of a column."""
        p, cho, calendar = self.problem, self.problem.choices, self.problem.calendar
        w, way = int(cho.workload[c]), int(cho.way[c])
        mine = p.options[w]
        at = np.flatnonzero((calendar.round_of == cho.round[c]) & (mine.size_of >= 0))
        need, sizes = mine.needs[way], np.unique(mine.size_of[at])
        high = float(np.quantile(need.gpus[:, sizes].sum(axis=0).max(axis=0), 0.9))
        count, row = float(cho.atonce[c].max()), dict(mine.table.iloc[way])
        used = need.gpus[:, sizes].any(axis=(1, 2))
        useful_share = float(np.median(self.useful(c)))
        names = ["gpu", "precision", "split", "tech", "days", "ttft_s", "tpot_s", "bound"]
        names += ["share", "share_from", "share_to"]
        return {
            "workload": p.scenario.workloads[w].name,
            "place": w,
            "from_month": float(calendar.starts[cho.round[c]]),
            **{n: row[n] for n in names},
            "days": row["days"] / useful_share,
            "venue": VENUES[int(cho.venue[c])],
            "way": int(row["whole_way"]),
            "gpus": count,
            "gpus_high": max(high, count) if not mine.is_job else count,
            "hours_month": float(need.hours[used].max(initial=0.0)),
            "gpu_hours_month": float(need.mean_hours[sizes].mean()),
            "sure": float((self.over(c) <= 1 + 1e-9).mean(axis=1).min(initial=1.0)),
            "useful": useful_share,
        }

    @cached_property
    def work_usd(self) -> pd.Series:
        """What each workload costs over the horizon, by name: rent of its own, and its share, by
        GPU-hours, of what the pool of its kind costs.
        """
        p, con, calendar, kinds = self.problem, *_of(self.problem)
        cho = p.choices
        pool = np.zeros(len(kinds.names))
        for j in np.flatnonzero(self.chosen.signed > 0):
            mean = float(p.draws.price(int(con.offer[j])).mean())
            each = con.fixed_usd[j] + con.priced_usd[j] * mean
            pool[con.kind[j]] += self.chosen.signed[j] * each
        for (k, q), (_, rent, energy) in self.short.items():
            pool[k] += float((rent + energy).mean()) * calendar.months[q]
        hours = np.zeros((len(p.options), len(kinds.names)))
        found = np.zeros(len(p.options))
        for c in self.columns:
            w, k, mine = int(cho.workload[c]), int(cho.kind[c]), p.options[cho.workload[c]]
            if cho.venue[c] != POOL:
                found[w] += float(self._rent(int(c)).mean())
                continue
            for place in np.flatnonzero((calendar.round_of == cho.round[c]) & (mine.size_of >= 0)):
                used = mine.needs[cho.way[c]].mean_hours[mine.size_of[place]]
                hours[w, k] += float(used) * calendar.months[place]
        for c in self.bought:
            found[int(cho.workload[c])] += float(self.api_usd(int(c)).mean())
        share = hours / np.maximum(hours.sum(axis=0), 1e-9)
        names = [w.name for w in p.scenario.workloads]
        return pd.Series(found + share @ pool, index=names)

    @property
    def keep_usd(self) -> float:
        """What the GPUs that are there already cost over the horizon, used or not."""
        months = np.append(self.problem.calendar.starts, self.problem.calendar.edges[-1])
        kinds = self.problem.kinds
        kept = kinds.owned - self.chosen.sold.sum(axis=1)
        there = np.column_stack([self.chosen.sold, kept])
        each = kinds.keep_usd[:, None] * months + kinds.tied_usd(months)
        return float((there * each).sum())

    @cached_property
    def grounds(self) -> list[Ground]:
        """What is known of settings like each row of `runs`."""
        ways = [o.ways for o in self.problem.options]
        rows = self.runs[["place", "tech"]].to_numpy(int)
        return [chosen_ground(ways[w], tech) for w, tech in rows]

    @property
    def kinds_used(self) -> tuple[str, ...]:
        """Ids of the kinds of GPU that something runs on, the most GPU-hours first."""
        used = self.runs.groupby("gpu")["gpu_hours_month"].sum()
        return tuple(used.sort_values(ascending=False, kind="stable").index)

    @property
    def simplicity(self) -> tuple[float, ...]:
        """What decides between equal plans: kinds, contracts, longest commitment, worst case."""
        longest = float(self.signed["paid_months"].max()) if len(self.signed) else 0.0
        kinds = len(self.kinds_used) + bool(len(self.bought))
        return kinds, len(self.signed), longest, self.interval_usd[1]


def slim(plan: Plan) -> Plan:
    """Return the same plan over a problem of its own columns and ways alone: quick to evaluate
    again, and to draw again.
    """
    p, cho, at = plan.problem, plan.problem.choices, plan.taken
    options, way = [], cho.way[at]
    for w, mine in enumerate(p.options):
        here = np.flatnonzero((cho.workload[at] == w) & (way != NONE))
        whole = mine.table["whole_way"].to_numpy(int)
        kept = np.unique(np.concatenate([way[here], whole[way[here]]]))
        table = mine.table.iloc[kept].reset_index(drop=True)
        table["whole_way"] = np.searchsorted(kept, whole[kept])
        needs, count = [mine.needs[i] for i in kept], int((kept < mine.whole).sum())
        part = replace(mine, table=table, needs=needs, whole=count)
        cells = {name: cell[kept] for name, cell in mine.cells.items()}
        vars(part)["cells"] = cells | {"whole_way": table["whole_way"].to_numpy()}
        options.append(part)
        way[here] = np.searchsorted(kept, way[here])
    problem = replace(p, options=options)
    own = Choices(**{f.name: getattr(cho, f.name)[at] for f in fields(Choices)})
    vars(problem)["choices"] = replace(own, way=way)
    found = replace(plan, problem=problem, chosen=replace(plan.chosen, taken=np.ones(len(at))))
    for name in ("costs", "short"):
        if name in vars(plan):
            vars(found)[name] = vars(plan)[name]
    return found


def with_columns(problem: Problem, **changed: Any) -> Problem:
    """Return a problem with parts changed and its columns as they are."""
    found = replace(problem, **changed)
    vars(found)["choices"] = problem.choices
    return found


def _of(problem: Problem) -> tuple[Any, Any, Any]:
    return problem.contracts, problem.calendar, problem.kinds
