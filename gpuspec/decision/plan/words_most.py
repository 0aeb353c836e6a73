"""The largest load within limits and the fastest tokens at a price, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from gpuspec.decision.gives import asked_limit
from gpuspec.decision.plan.limits import Use, uses
from gpuspec.decision.plan.most import QUICK, Grown, Most
from gpuspec.decision.plan.record import answer_record
from gpuspec.decision.plan.words import Voice, percent, plan_words, voice_of
from gpuspec.decision.plan.words_limits import limit_words
from gpuspec.views.amounts import plain, three_digits

LOADS = {
    "users": "{count} users of {work}",
    "concurrency": "{count} requests in flight of {work}",
    "request_rate": "{count} requests a second of {work}",
    "images_per_s": "{count} images a second of {work}",
}
LARGEST = "At most {loads}: {times} times what was asked."
OPEN = "Even {times} times what was asked ({loads}) keeps all limits: none of them bounds it."
NONE = "Not even so few can be served within the limits: {loads}."
FASTEST = (
    "{work}: with {tpot} for each output token, at the fastest, a million of them cost {usd}, at "
    "most {price}."
)
DEARER = "{work}: a million output tokens cost more than {price} even at {tpot} for each: {usd}."
NO_PLAN = "{work}: even with {tpot} for each output token no plan keeps all limits."
PLAN = "The plan for it: {plan} It costs {usd} over {months}."
STOPS = "What stands in the way: {limits}."
STAY = "As they are: {works}."
SURE = "All deadlines and limits are kept in {share} of the draws."
UNDONE = (
    "In {missing} of the draws GPUs are missing that cannot be rented; on those that are there all "
    "deadlines and limits are kept in {share}."
)
BINDS = "What stands in the way of more: {limits}."
LIMITS = {
    "capital": "the capital of {amount}",
    "monthly": "the {amount} a month",
    "total": "the {amount} in all",
    "power": "the {count} kW of the rooms",
    "gpus": "the {count} GPUs that can be had",
    "owned": "the GPUs that are owned",
    "price": "the price of a million tokens",
    "works": "the limits of the works themselves, or several limits at once",
}
TOLERANCE = (
    "It is searched by halves: {share} more was tried and does not hold. Plans of the search are "
    "within {gap} of the cheapest, in {draws} draws."
)


def most_text(found: Most, language: str | None = None) -> str:
    """Return the answer in sentences."""
    voice = voice_of(found.decision, language)
    first = _speed(found, voice) if found.place >= 0 else _load(found, voice)
    return "\n".join(filter(None, [first, _still(found, voice), *_more(found, voice)]))


def _still(found: Most, voice: Voice) -> str:
    """Name the works whose load does not grow; empty where a speed is asked."""
    moved = {load.workload for load in found.loads}
    works = [w.name for w in found.asked.workloads if w.name not in moved and found.place < 0]
    return voice.say(STAY, works=voice.listed(works)) if works else ""


def _load(found: Most, voice: Voice) -> str:
    loads = voice.listed(_loads(found.loads, voice))
    text = NONE if not found.holds else LARGEST if np.isfinite(found.beyond) else OPEN
    return voice.say(text, loads=loads, times=plain(three_digits(found.times)))


def _loads(loads: Iterable[Grown], voice: Voice) -> Iterator[str]:
    for load in loads:
        whole = isinstance(load.most, int)
        count = f"{load.most:,}" if whole else plain(three_digits(load.most))
        yield voice.say(LOADS[load.field], work=load.workload, count=count)


def _speed(found: Most, voice: Voice) -> str:
    values = {"work": found.asked.workloads[found.place].name, "tpot": voice.seconds(found.tpot_s)}
    values["price"] = voice.money(found.question.mtok_usd or 0.0)
    if not found.decision.feasible:
        return voice.say(NO_PLAN, **values)
    values["usd"] = voice.money(found.mtok_usd)
    return voice.say(FASTEST if found.holds else DEARER, **values)


def _more(found: Most, voice: Voice) -> Iterator[str]:
    limits = voice.listed(_limit(found, name, voice) for name in found.binds)
    if not found.holds:
        if found.place < 0:
            yield voice.say(STOPS, limits=limits)
        return
    best = found.decision.best
    values = {"plan": plan_words(best, voice), "usd": voice.money(best.expected_usd)}
    yield voice.say(PLAN, **values, months=voice.months(found.asked.horizon_months))
    sure = percent(float(best.kept.mean()))
    yield voice.say(UNDONE if best.undone else SURE, share=sure, missing=percent(best.undone))
    yield from (limit_words(use, voice) for use in _told(found))
    if not np.isfinite(found.beyond):
        return
    yield voice.say(BINDS, limits=limits)
    values = {"share": percent(found.beyond / found.times - 1), "gap": percent(QUICK["gap"])}
    yield voice.say(TOLERANCE, **values, draws=f"{QUICK['samples']:,}")


def _told(found: Most) -> list[Use]:
    """Return what the plan makes of the limits that all work shares, but for what none states."""
    stated = uses(found.decision, found.decision.best)
    own = found.question.owned_only
    return [u for u in stated if not u.workload and not (own and u.limit == "capital_usd")]


def _limit(found: Most, name: str, voice: Voice) -> str:
    amount = 0.0 if name in ("owned", "price", "works") else asked_limit(found.asked, name)
    values = {"amount": voice.money(amount), "count": plain(three_digits(amount))}
    return voice.say(LIMITS[name], **values)


def most_record(found: Most) -> dict[str, Any]:
    """Return the answer as plain values."""
    told = answer_record(found.decision) if found.decision.feasible else {}
    record: dict[str, Any] = {"scenario": found.asked.name}
    record["asks"] = "speed" if found.place >= 0 else "load"
    record |= {"feasible": found.holds, "times": found.times, "beyond_times": found.beyond}
    record["binds"] = list(found.binds)
    if found.place >= 0:
        record["workload"] = found.asked.workloads[found.place].name
        record |= {"tpot_limit_s": found.tpot_s, "mtok_usd": found.mtok_usd}
    else:
        record["loads"] = [load._asdict() for load in found.loads]
    record["solves"] = found.solves
    return record | {"recommendation": told.get("recommendation") if found.holds else None}
