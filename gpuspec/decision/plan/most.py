"""What a plan can do at most: the largest load within limits, the fastest tokens within a price."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field

from gpuspec.base.ask import Range
from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.catalog import fields
from gpuspec.decision.decide import Decision, decide
from gpuspec.decision.gives import FIELDS, asked_limit, without
from gpuspec.decision.plan.outside import served
from gpuspec.decision.plans import Plan
from gpuspec.decision.scenario import DecisionQuestion, Inference, Scenario

TOLERANCE, LEAST, MOST = 0.02, 2.0**-12, 2.0**12
"""How far a larger answer that does not hold lies above the one that does, as a share; multiples of
what was asked between which is searched."""
QUICK: dict[str, Any] = {"quick": True, "gap": 1e-2, "samples": 400}
"""How a single plan of the search is made."""
LOADS = ("users", "concurrency", "request_rate", "images_per_s")
TPOT_S, SLOWEST_S = 0.05, 10.0
"""Time of an output token where the search begins if no limit is stated, and the longest tried."""
BOUNDS = "say what bounds the answer: --budget, --power-kw, --gpu-limit or --owned-only"


class MostQuestion(DecisionQuestion):
    """How many users at most within the limits; at a price of tokens: how fast at most."""

    work: str | None = Field(
        None,
        max_length=200,
        description="Service whose load grows, or whose tokens are priced; None: all services "
        "together, and the first one",
    )
    mtok_usd: Annotated[float, Range(0, 1e6, "USD", above=True)] | None = Field(
        None,
        description="Most that a million output tokens may cost: asks how fast they can come; "
        "None: asks how large the load can be",
    )
    power_kw: Annotated[float, Range(0, 1e6, "kW", above=True)] | None = Field(
        None, description="Power of one's own rooms, in which all GPUs then stand: none is rented"
    )
    gpu_limit: fields.GpuCount | None = Field(None, description="GPUs that can be had at most")
    owned_only: bool = Field(
        False, description="Whether only the GPUs that are owned are used: nothing is added or sold"
    )

    def bounded(self, s: Scenario) -> Scenario:
        """Return a scenario with the limits of this question laid over it."""
        limits, allow, budget = s.limits, s.allow, s.budget
        changed: dict[str, object] = {"objective": "cost"}  # nothing else is searched
        if self.power_kw is not None:
            limits = limits.model_copy(update={"power_kw": self.power_kw})
            allow = allow.model_copy(update={"modes": ("own",)})
        if self.gpu_limit is not None:
            limits = limits.model_copy(update={"gpus": self.gpu_limit})
        if self.owned_only:
            if not s.owned:
                raise InputError("owned_only", True, "state what is owned, such as --owned 8xA100")
            kinds = tuple(dict.fromkeys(o.gpu for o in s.owned))
            own = {"gpus": kinds, "modes": ("own",), "sell": False}
            allow = allow.model_copy(update=own)
            budget = budget.model_copy(update={"capital_usd": 0.0})
        changed |= {"limits": limits, "allow": allow, "budget": budget}
        return s.model_copy(update=changed)


class Grown(NamedTuple):
    """The load of a service, as asked and at most."""

    workload: str
    field: str
    """``users``, ``concurrency``, ``request_rate`` (a second) or ``images_per_s``."""
    asked: float
    most: float


@dataclass(frozen=True)
class Most:
    """The answer: the last plan that keeps everything, and the first that does not."""

    question: MostQuestion
    asked: Scenario
    place: int
    """Of the service whose tokens are priced; -1 where the load is asked."""
    times: float
    """Multiple of the load (of the speed: of the one asked, or of `TPOT_S`); 0 where none holds."""
    beyond: float
    """The smallest multiple that was tried and does not hold; infinite where all do."""
    decision: Decision
    """At `times`; where nothing holds, at the smallest that was tried."""
    binds: tuple[str, ...]
    """Limits each of which alone stands in the way of more: keys of
    `gpuspec.decision.gives.FIELDS`, ``owned``, ``price``; ``works`` where no one of them does."""
    solves: int

    @property
    def holds(self) -> bool:
        """Whether even the smallest load, or the slowest token, keeps the limits."""
        return self.times > 0

    @cached_property
    def loads(self) -> list[Grown]:
        """The loads at the answer."""
        pairs = zip(self.asked.workloads, self.decision.scenario.workloads, strict=True)
        return [
            Grown(old.name, name, getattr(old, name), getattr(new, name))
            for old, new in pairs
            if self.question.work in (None, old.name)
            for name in load_fields(old)
        ]

    @property
    def tpot_s(self) -> float:
        """Limit of the time per output token at the answer."""
        work: Any = self.decision.scenario.workloads[self.place]
        return float(work.tpot_limit_s)

    @property
    def mtok_usd(self) -> float:
        """What a million output tokens of the priced service cost; infinite without a plan."""
        return mtok_usd(self.decision, self.place)


def load_fields(work: Any) -> list[str]:
    """Return the fields that state the load of a service; empty for jobs and for tenants."""
    return [n for n in LOADS if getattr(work, n, None)]


def grown(s: Scenario, times: float, work: str | None = None) -> Scenario:
    """Return a scenario with so many times the load of a service, or of all, to four digits; whole
    users and requests in flight, one at least.
    """

    def more(w: Any) -> Any:
        if work not in (None, w.name) or times == 1:
            return w
        values = {n: float(f"{getattr(w, n) * times:.4g}") for n in load_fields(w)}
        whole = {n: max(round(v), 1) for n, v in values.items() if n in LOADS[:2]}
        return w.model_copy(update=values | whole)

    return s.model_copy(update={"workloads": tuple(map(more, s.workloads))})


def mtok_usd(decision: Decision, place: int) -> float:
    """Return what a million output tokens of a service cost under the best plan."""
    if not decision.feasible:
        return np.inf
    plan: Plan = decision.best
    work = decision.scenario.workloads[place]
    assert isinstance(work, Inference)
    months, requests = served(plan, place, work)
    tokens = months * requests * work.osl
    return float(plan.work_usd[work.name]) / tokens * 1e6 if tokens else np.inf


def largest(
    good: Callable[[float], bool], least: float = LEAST, most: float = MOST
) -> tuple[float, float]:
    """Return the largest multiple that is good within `TOLERANCE`, and the next that is not.

    `good` holds up to some multiple and not beyond. Doubled from 1, then bisected by ratio: at most
    log2(most) + 1 + log2(ln 2 / ln(1 + `TOLERANCE`)) calls. 0 where `least` is not good, infinite
    where `most` is.

    >>> low, high = largest(lambda x: x <= 5)
    >>> low <= 5 < high <= low * 1.02
    True
    >>> largest(lambda x: False), largest(lambda x: True)
    ((0.0, 0.000244140625), (4096.0, inf))
    """
    low, high = 1.0, 2.0
    if good(1.0):
        while good(high):
            low, high = high, high * 2
            if high > most:
                return low, np.inf
    elif good(least):
        low, high = least, 1.0
    else:
        return 0.0, least
    while high > low * (1 + TOLERANCE):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if good(middle) else (low, middle)
    return low, high


def most(question: MostQuestion, s: Scenario) -> Most:
    """Search the largest load of the services of a scenario, or the fastest token at a price."""
    s = question.bounded(s)
    names = [w.name for w in s.workloads]
    if question.work is not None and question.work not in names:
        raise UnknownNameError("work", question.work, names)
    return _fastest(question, s) if question.mtok_usd else _loaded(question, s)


def _loaded(question: MostQuestion, s: Scenario) -> Most:
    chosen = [w for w in s.workloads if question.work in (None, w.name)]
    if not any(map(load_fields, chosen)):
        valid = f"its load must be stated as {', '.join(LOADS)} of a service"
        raise InputError("work", question.work, valid)
    known = [name for name in FIELDS if np.isfinite(asked_limit(s, name))]
    if not known:
        raise InputError("budget", None, BOUNDS)
    seen: dict[tuple[Any, ...], Decision] = {}

    def at(times: float) -> Decision:
        more = grown(s, times, question.work)
        key = tuple(getattr(w, n) for w in more.workloads for n in load_fields(w))
        if key not in seen:
            seen[key] = decide(more, **QUICK)
        return seen[key]

    low, high = largest(lambda times: at(times).feasible)
    answer, solves = at(low or high), len(seen)
    binds: tuple[str, ...] = ()
    if np.isfinite(high):
        binds = tuple(
            name
            for name in known
            if decide(grown(without(s, name), high, question.work), **QUICK).feasible
        )
        solves += len(known)
        own = question.owned_only
        binds = tuple("owned" if own and n == "capital" else n for n in binds) or ("works",)
    return Most(question, s, -1, low, high, answer, binds, solves)


def _fastest(question: MostQuestion, s: Scenario) -> Most:
    places = [i for i, w in enumerate(s.workloads) if isinstance(w, Inference)]
    places = [i for i in places if question.work in (None, s.workloads[i].name)]
    if not places:
        valid = "tokens are those of a service of the kind inference: name one"
        raise InputError("work", question.work, valid)
    place, price = places[0], float(question.mtok_usd or 0.0)
    work: Any = s.workloads[place]
    first = float(work.tpot_limit_s or TPOT_S)
    seen: dict[float, Decision] = {}

    def at(times: float) -> Decision:
        if times not in seen:
            limited = work.model_copy(update={"tpot_limit_s": first / times})
            works = (*s.workloads[:place], limited, *s.workloads[place + 1 :])
            seen[times] = decide(s.model_copy(update={"workloads": works}), **QUICK)
        return seen[times]

    least = min(first / SLOWEST_S, 1.0)
    low, high = largest(lambda times: mtok_usd(at(times), place) <= price, least)
    bound = "price" if np.isfinite(high) and at(high).feasible else "works"
    return Most(question, s, place, low, high, at(low or high), (bound,), len(seen))
