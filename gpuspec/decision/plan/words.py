"""Words of a decision that its page, tables and pictures share, in English and from the catalogue.

Every sentence is one template with named places; what fills them is a name, an amount or a list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gpuspec.decision.decide import (
    API,
    BOUGHT,
    GROW,
    MIX,
    ONE,
    OWN,
    RENTED,
    REPLACE,
    SPLIT,
    STAY,
    WAIT,
    Decision,
)
from gpuspec.decision.loads import layers
from gpuspec.decision.options import SERVICES
from gpuspec.decision.plans import Plan, Policy
from gpuspec.decision.programme import HOUR, POOL, SPOT, VENUES
from gpuspec.decision.scenario.records import Prices
from gpuspec.views.amounts import money, plain, three_digits
from gpuspec.views.columns import unit_of_days
from gpuspec.views.language import ENGLISH, Words, spoken, translator
from gpuspec.views.words import gpu_name, listed

PAID = {
    "on-demand": "by the hour",
    "reserved-1yr": "reserved for 1 year",
    "reserved-3yr": "reserved for 3 years",
    "spot": "on spot",
    "own": "bought",
    "owned": "owned already",
    "missing": "not to be had by the hour",
}
POLICIES = {
    MIX: "best mix",
    ONE: "{gpu} for all",
    RENTED: "all rented",
    BOUGHT: "all bought",
    SPLIT: "jobs on {jobs}, services on {services}",
    STAY: "the kinds that are owned, nothing bought",
    GROW: "all kept, newer kinds added",
    REPLACE: "newer kinds alone",
    WAIT: "no purchase in the first round",
    API: "all services by API that may be",
    OWN: "all on GPUs, nothing by API",
}
SIGNING = {
    (True, False, False): "Buy {gpus} now.",
    (True, False, True): "Buy {gpus} now, which are there after {wait}.",
    (True, True, False): "Buy {gpus} after {later}.",
    (True, True, True): "Buy {gpus} after {later}, which are there {wait} later.",
    (False, False, False): "Sign a contract for {gpus} now ({mode}), which is paid for {paid}.",
    (
        False,
        False,
        True,
    ): "Sign a contract for {gpus} now ({mode}), which begins after {wait} and is paid for {paid}.",
    (False, True, False): "Sign a contract for {gpus} after {later} ({mode}), which is paid for "
    "{paid}.",
    (False, True, True): "Sign a contract for {gpus} after {later} ({mode}), which begins {wait} "
    "later and is paid for {paid}.",
}
"""By whether it is bought, whether later than now, and whether one waits for it."""
SHARED = {
    "inference": "Of the requests of {work}, {parts}.",
    "images": "Of the images of {work}, {parts}.",
}
LATER_SHARED = {
    "inference": "After {months}: of the requests of {work}, {parts}.",
    "images": "After {months}: of the images of {work}, {parts}.",
}
"""How a work is split over kinds of GPU, by its kind; of jobs it is the runs."""
PARTS_OF = {
    "inference": "{work}, {share} of the requests",
    "images": "{work}, {share} of the images",
}
"""What a part of a work is called in a table."""
BOUGHT_BY_API = (
    "Buy {work} by API at {provider}: {first} a million tokens of prompts, {last} of answers."
)
BOUGHT_FOR_A_TIME = (
    "From month {from_} to month {until} buy {work} by API at {provider}: {first} a million tokens "
    "of prompts, {last} of answers."
)
HIDDEN = 0.5
"""Amounts below so many USD are not told."""


@dataclass(frozen=True)
class Voice:
    """A language, and the currency and rate of amounts."""

    prices: Prices
    language: str | None = None

    @cached_property
    def say(self) -> Words:
        """What puts an English sentence into the language, with values in its places."""
        return translator(self.language)

    def money(self, usd: float) -> str:
        """Write an amount in the unit that suits its size, with three digits."""
        return money(usd * self.prices.per_usd, self.prices.currency, self.language)

    def price(self, usd: float, mode: str) -> str:
        """Write the price of a GPU, or of an hour of one with its cents."""
        if mode == "own":
            return self.say("{amount} a GPU", amount=self.money(usd))
        amount = f"{usd * self.prices.per_usd:,.2f} {self.say(self.prices.currency)}"
        return self.say("{amount} an hour", amount=amount)

    def token(self, usd: float) -> str:
        """Write the price of a million tokens."""
        amount = plain(three_digits(usd * self.prices.per_usd))
        return f"{amount} {self.say(self.prices.currency)}"

    def span(self, low: float, high: float) -> str:
        """Write the ends of an interval of amounts."""
        return self.say("{low} to {high}", low=self.money(low), high=self.money(high))

    def months(self, count: float) -> str:
        """Return a number of months in words."""
        text = "1 month" if count == 1 else "{count} months"
        return self.say(text, count=plain(three_digits(count)))

    def days(self, days: float) -> str:
        """Return a time in days, hours or minutes, whichever suits it."""
        unit, each = unit_of_days(days)
        return self.say(f"{{count}} {unit}", count=plain(three_digits(days * each)))

    def seconds(self, seconds: float) -> str:
        """Return a time in seconds, or in milliseconds where it is below one."""
        if seconds < 1:
            return self.say("{count} ms", count=plain(three_digits(seconds * 1e3)))
        return self.say("{count} s", count=plain(three_digits(seconds)))

    def listed(self, words: Iterable[str]) -> str:
        """Join words as a sentence of the language does."""
        return listed([*words], put=self.say)

    def joined(self, sentences: Iterable[str]) -> str:
        """Put sentences behind each other."""
        return ("" if self.language == "zh" else " ").join(filter(None, sentences))

    def counted(self, gpus: Mapping[str, float]) -> str:
        """List numbers of GPUs by kind."""
        return self.listed(
            self.say("{count} x {gpu}", count=whole(n), gpu=gpu_name(g)) for g, n in gpus.items()
        )


def voice_of(decision: Decision, language: str | None = None) -> Voice:
    """Return the voice that tells a decision in a language."""
    return Voice(decision.scenario.prices, language or spoken())


def whole(value: float) -> str:
    """Write a number of GPUs.

    >>> whole(7.2), whole(-1e-9)
    ('8', '0')
    """
    return f"{np.ceil(value - 1e-6) + 0.0:,.0f}"


def percent(share: float, sign: bool = False) -> str:
    """Write a share as a percentage: whole, but near 0 and 1, which it never becomes by rounding.

    >>> percent(0.417), percent(0.0004), percent(0.9996), percent(0.0021, sign=True)
    ('42 %', '0.04 %', '99.9 %', '+0.2 %')
    """
    value = abs(share) * 100
    text = f"{value:.0f}"
    if 0 < value < 0.95:
        text = plain(float(f"{value:.1g}"))
    elif 99 < value < 100:
        text = f"{np.floor(value * 10) / 10:.1f}".removesuffix(".0")
    return f"{'-' if share < 0 else '+' if sign else ''}{text} %"


def policy_words(
    policy: Policy, say: Words = ENGLISH, name: Callable[[str], str] = gpu_name
) -> str:
    """Return what a plan is, with GPUs as buyers call them unless another `name` is asked."""
    first, second = [*map(name, policy.gpus), "", ""][:2]
    return say(POLICIES[policy.kind], gpu=first, jobs=first, services=second)


def paid_words(label: str, say: Words = ENGLISH) -> str:
    """Return how an offer is paid for, with its provider where it is a special one.

    >>> paid_words("reserved-3yr"), paid_words("own, reseller")
    ('reserved for 3 years', 'bought, reseller')
    """
    mode, comma, provider = label.partition(", ")
    return say(PAID.get(mode, mode)) + comma + provider


# --- a plan ---------------------------------------------------------------------------------------


def there(plan: Plan) -> dict[str, float]:
    """Return the GPUs of each kind that are signed for, bought or kept, the most at a time."""
    most = plan.chosen.there(plan.problem)[0].max(axis=1)
    return {n: float(c) for n, c in zip(plan.problem.kinds.names, most, strict=True) if c > 0}


def fleet(plan: Plan) -> dict[str, float]:
    """Return the GPUs of each kind at once, at the central estimates."""
    p, cho, calendar = plan.problem, plan.problem.choices, plan.problem.calendar
    held, found = plan.chosen.there(p)[0], np.zeros((len(p.kinds.names), len(calendar.months)))
    columns = plan.columns
    for q in range(len(calendar.months)):
        at = columns[cho.round[columns] == calendar.round_of[q]]
        pooled, lone = cho.venue[at] == POOL, cho.block[at] == 0
        np.add.at(found[:, q], cho.kind[at[pooled & lone]], cho.atonce[at[pooled & lone], q])
        found[:, q] = np.maximum(found[:, q], held[:, q])
        np.add.at(found[:, q], cho.kind[at[~pooled]], cho.atonce[at[~pooled], q])
    most = dict(zip(p.kinds.names, found.max(axis=1), strict=True))
    return {name: float(most[name]) for name in [*plan.kinds_used, *there(plan)] if most[name] > 0}


def fleet_label(plan: Plan) -> str:
    """Return the GPUs of a plan as a short label of a picture."""
    parts = [f"{whole(n)} {gpu_name(g)}" for g, n in fleet(plan).items()]
    return " + ".join([*parts, *(["API"] if len(plan.bought) else [])])


def modes_of(plan: Plan, run: Mapping[Any, Any]) -> list[str]:
    """Return how the GPUs of a row of `Plan.runs` are paid for: what is signed first."""
    if run["venue"] == VENUES[SPOT]:
        return ["spot"]
    if run["venue"] == VENUES[HOUR]:
        return ["on-demand"]
    name = str(run["gpu"])
    signed = list(dict.fromkeys(plan.signed.loc[plan.signed["gpu"] == name, "mode"]))
    k = plan.problem.kinds.names.index(name)
    kept = plan.problem.kinds.owned[k] > plan.chosen.sold[k].sum()
    found = [*(["owned"] if kept else []), *signed]
    short = plan.rented[(plan.rented["gpu"] == name) & (plan.rented["mode"] != "spot")]
    return found + list(short["mode"]) or ["on-demand"]


def plan_sentences(plan: Plan, voice: Voice) -> list[str]:
    """Say what is signed, sold and kept, and what is rented by use beside it."""
    say, found = voice.say, []
    for row in plan.sold.to_dict("records"):
        values = {"gpus": voice.counted({row["gpu"]: row["gpus"]})}
        text = "Sell {gpus} of those that are owned."
        if row["month"]:
            text = "Sell {gpus} of those that are owned after {months}."
            values["months"] = voice.months(row["month"])
        found.append(say(text, **values))
    kinds = plan.problem.kinds
    left = kinds.owned - plan.chosen.sold.sum(axis=1)
    kept = {n: float(c) for n, c in zip(kinds.names, left, strict=True) if c > 0}
    if kept:
        found.append(say("Keep the {gpus} that are owned.", gpus=voice.counted(kept)))
    found += [_signing(rows, voice) for rows in _signings(plan)]
    found += [*_renting(plan, voice), *sharing(plan, voice)]
    none = len(plan.bought) and not found
    return [*([say("No GPUs are needed.")] if none else found), *_buying(plan, voice)]


def _buying(plan: Plan, voice: Voice) -> Iterator[str]:
    """Say which services are bought by API, where, at which price, and from and until when."""
    p, calendar = plan.problem, plan.problem.calendar
    for w in dict.fromkeys(p.choices.workload[plan.bought].tolist()):
        api, work = p.options[w].api, p.scenario.workloads[w].name
        rounds = p.choices.round[plan.bought[p.choices.workload[plan.bought] == w]]
        prices = (api.offers[name].iloc[0] for name in ("input_mtok", "output_mtok"))
        first, last = (voice.token(float(usd)) for usd in prices)
        values = {"work": work, "provider": voice.say(api.provider), "first": first, "last": last}
        text = BOUGHT_BY_API
        here = np.isin(calendar.round_of, rounds)
        if not here[p.options[w].size_of >= 0].all():
            at = np.flatnonzero(here)
            text = BOUGHT_FOR_A_TIME
            values["from_"] = plain(three_digits(float(calendar.edges[at[0]])))
            values["until"] = plain(three_digits(float(calendar.edges[at[-1] + 1])))
        yield voice.say(text, **values)


def sharing(plan: Plan, voice: Voice) -> list[str]:
    """Say of each work that is split which share each kind of GPU carries; as long as it stays so.

    Where the load changes over the day, the first kind is filled before the next gets any.
    """
    say, found = voice.say, []
    for name, mine in plan.runs.groupby("workload", sort=False):
        for month, rows in mine.groupby("from_month"):
            if len(rows) < 2:
                continue
            work = plan.problem.scenario.workloads[int(rows["place"].iloc[0])]
            parts = []
            for row in rows.to_dict("records"):
                values = {"gpus": voice.counted({str(row["gpu"]): float(row["gpus"])})}
                text = "{gpus} carry {share}"
                parts.append(say(text, **values, share=percent(float(row["share"]))))
            values = {"work": str(name), "parts": voice.listed(parts)}
            what = SHARED.get(work.kind, "Of the runs of {work}, {parts}.")
            if month:
                values["months"] = voice.months(float(str(month)))
                what = LATER_SHARED.get(
                    work.kind, "After {months}: of the runs of {work}, {parts}."
                )
            found.append(say(what, **values))
            if work.kind in SERVICES and len(layers(work)) > 1:
                first = gpu_name(str(rows["gpu"].iloc[0]))
                found.append(say("The {gpu} are filled first, at every hour.", gpu=first))
    return found


def _signings(plan: Plan) -> list[list[dict[Any, Any]]]:
    """Return rows that are signed alike, joined."""
    alike: dict[tuple[object, ...], list[dict[Any, Any]]] = {}
    for row in plan.signed.to_dict("records"):
        key = tuple(row[n] for n in ("mode", "label", "order_month", "from_month"))
        paid = 0.0 if row["mode"] == "own" else row["paid_months"]
        alike.setdefault((*key, paid), []).append(row)
    return list(alike.values())


def _signing(rows: Sequence[Mapping[Any, Any]], voice: Voice) -> str:
    first, gpus = rows[0], {str(r["gpu"]): float(r["gpus"]) for r in rows}
    bought, later = first["mode"] == "own", first["order_month"] > 0
    provider = str(first["label"]).partition(", ")[2]
    wait = float(first["from_month"] - first["order_month"])
    return voice.say(
        SIGNING[bought, later, wait > 0],
        gpus=voice.counted(gpus),
        later=voice.months(first["order_month"]),
        paid=voice.months(first["paid_months"]),
        mode=voice.say(PAID[str(first["mode"])]) + (f", {provider}" if provider else ""),
        wait=voice.months(wait),
    )


def _renting(plan: Plan, voice: Voice) -> list[str]:
    """Say what is rented by the hour and on spot, beside what is there."""
    say, held = voice.say, there(plan)
    pooled: dict[str, float] = {}
    high = short_high(plan)
    lone: dict[tuple[str, str, float], list[str]] = {}
    for row in plan.runs.to_dict("records"):
        name = str(row["gpu"])
        if row["venue"] != VENUES[POOL]:
            lone.setdefault((str(row["venue"]), name, row["gpus"]), []).append(row["workload"])
        elif name not in held:
            pooled[name] = pooled.get(name, 0.0) + row["gpus"]
    kinds = plan.problem.kinds
    rent = {n: bool(o >= 0) for n, o in zip(kinds.names, kinds.hour_offer, strict=True)}
    found = [
        say(
            "{gpus} cannot be had in this time: their work stays undone."
            if not rent[name]
            else "Rent {gpus} by the hour, and up to {most} where speeds turn out lower."
            if high[name] > count
            else "Rent {gpus} by the hour.",
            gpus=voice.counted({name: count}),
            most=whole(high[name]),
        )
        for name, count in pooled.items()
    ]
    texts = {
        VENUES[HOUR]: "Rent {gpus} by the hour for the runs of {works}.",
        VENUES[SPOT]: "Rent {gpus} on spot for the runs of {works}.",
    }
    for (venue, name, count), works in lone.items():
        names = voice.listed(dict.fromkeys(works))
        found.append(say(texts[venue], gpus=voice.counted({name: count}), works=names))
    if plan.shortfall_usd + plan.waiting_usd > HIDDEN:
        able = all(rent[name] for name in held)
        text = "Rent by the hour what is short." if able else "What is short stays undone."
        found.append(say(text))
    return found


def short_high(plan: Plan) -> dict[str, float]:
    """Return how many GPUs of each kind in use are short at most, in nine of ten draws, once what
    was ordered is there.
    """
    names = plan.problem.kinds.names
    found: dict[str, Any] = {}
    for (k, q), (short, _, _) in plan.short.items():
        if not plan.arrived.get((k, q), True):
            continue
        found[names[k]] = np.maximum(found.get(names[k], 0.0), short)
    return {name: float(np.quantile(short, 0.9)) for name, short in found.items()}


def plan_words(plan: Plan, voice: Voice) -> str:
    """Return a plan in one line."""
    return voice.joined(plan_sentences(plan, voice))


def plan_labels(decision: Decision, language: str | None = None) -> list[str]:
    """Return what each plan is and its GPUs, short enough for a picture."""
    say = voice_of(decision, language).say
    return [
        say("{policy}: {gpus}", policy=policy_words(p.policies[0], say), gpus=fleet_label(p))
        for p in decision.plans
    ]
