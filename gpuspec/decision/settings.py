"""What the settings that nobody named cost, and whether another value changes the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from gpuspec.base.lazy import pd
from gpuspec.base.spread import spread
from gpuspec.decision.decide import Decision, decide
from gpuspec.decision.scenario import Scenario


class Setting(NamedTuple):
    """A setting, the value that was taken and another one."""

    name: str
    taken: str
    other: str
    works: tuple[str, ...]
    """Whose setting it is; empty: of the scenario."""
    changed: Callable[[Scenario], Scenario]


def settings(s: Scenario) -> Iterator[Setting]:
    """Yield the settings of a scenario that nobody named and whose other value may change much."""
    spare = _named(s, lambda w: _default(w, "spare_replicas") and w.hours_per_month > 700)
    if spare:
        yield Setting("spare replicas", "1", "0", spare, _with(spare, spare_replicas=0))
    cache = _named(s, lambda w: w.kind == "inference" and _default(w, "kv"))
    if cache:
        yield Setting("key-value cache", "stored", "fp8", cache, _with(cache, kv="fp8"))
    for field, name in (("ttft_limit_s", "first token"), ("tpot_limit_s", "each further token")):
        free = tuple(w.name for w in s.workloads if _default(w, field) and getattr(w, field, None))
        if free:
            value = float(getattr(next(w for w in s.workloads if w.name in free), field))
            twice = _with(free, **{field: 2 * value})
            yield Setting(name, f"{value:g} s", f"{2 * value:g} s", free, twice)
    if len(s.allow.weights) > 1:
        first = s.allow.model_copy(update={"weights": s.allow.weights[:1]})
        yield Setting(
            "number formats",
            ", ".join(s.allow.weights),
            s.allow.weights[0],
            (),
            lambda one: one.model_copy(update={"allow": first}),
        )


def _default(workload: Any, field: str) -> bool:
    """Return whether a workload has a field that was not named."""
    has = field in type(workload).model_fields
    return has and (field not in workload.model_fields_set or getattr(workload, field) is None)


def _named(s: Scenario, holds: Callable[[Any], Any]) -> tuple[str, ...]:
    return tuple(w.name for w in s.workloads if holds(w))


GAP = 1e-2
"""Share of the cost within which a plan with another value is proven: it is told in whole percents.
"""


def _with(names: tuple[str, ...], **values: object) -> Callable[[Scenario], Scenario]:
    def changed(s: Scenario) -> Scenario:
        works = tuple(w.model_copy(update=values) if w.name in names else w for w in s.workloads)
        return s.model_copy(update={"workloads": works})

    return changed


def settings_table(decision: Decision, only: tuple[str, ...] = ()) -> pd.DataFrame:
    """Return what other values of settings that nobody named would cost, in the same draws.

    One row a setting (or those of `only`): ``setting``, ``works``, ``taken``, ``other``,
    ``cost_usd`` (with the other value; NaN where nothing then fits), ``more`` (over the cost as
    asked, as a share) and ``flips`` (it runs on other kinds of GPU).
    """
    columns = ["setting", "works", "taken", "other", "cost_usd", "more", "flips"]
    if not decision.feasible:
        return pd.DataFrame(columns=columns).astype({"flips": bool})
    asked, samples = decision.best, decision.problem.draws.samples
    plain = decision.scenario
    if (asked.runs["share"] == 1.0).all():  # nothing is split: nor is it with the other value
        allow = plain.allow.model_copy(update={"split": False})
        plain = plain.model_copy(update={"allow": allow})

    def row(one: Setting) -> tuple[Any, ...]:
        found = decide(one.changed(plain), quick=True, gap=GAP, samples=samples)
        then = found.best if found.feasible else None
        cost = then.expected_usd if then else np.nan
        flips = bool(then and set(then.kinds_used) != set(asked.kinds_used))
        told = one.name, one.works, one.taken, one.other
        return *told, cost, cost / asked.expected_usd - 1, flips

    chosen = [one for one in settings(decision.scenario) if not only or one.name in only]
    rows = spread(row, chosen)
    return pd.DataFrame(rows, columns=columns).astype({"flips": bool})
