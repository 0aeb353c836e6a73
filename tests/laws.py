"""Laws that every decision keeps, each a function of a scenario and of what answers it.

A law takes a scenario as a file says it, `decide` (from a scenario to its answer as
``gpuspec plan FILE --json`` prints it) and `pick`, which takes one of several changes by name. It
returns by how much it is broken, as a share of the cost: 0 is kept, infinite where an answer comes
or goes that must not; None where it says nothing about this scenario.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import lru_cache
from typing import Any

import brute
from scenarios import COMMON, MODES, PRICED, Plain

from gpuspec.base.errors import InputError
from gpuspec.base.json import answer_json
from gpuspec.decision.decide import Decision
from gpuspec.decision.decide import decide as decided
from gpuspec.decision.plan.record import answer_record
from gpuspec.decision.plan.words_page import answer_page, rest_page
from gpuspec.decision.scenario import scenario

Record = dict[str, Any]
Decide = Callable[[Mapping[str, Any]], Record]
Choose = Callable[[Mapping[str, Plain]], Plain]
Law = Callable[[Plain, Decide, Choose], float | None]

TOLERANCE = 1e-3
HOW: dict[str, Any] = {}
"""Parameters of every decision; draws and loads of a replica, where less must do."""
TIGHTER, MORE = 0.7, 1.4
GIVES = 0.02
"""Share of the cost within which what must give is told: its search ends sooner."""
LOADS = {
    "training": ("tokens", "runs_per_year"),
    "inference": ("concurrency", "request_rate", "users", "hours_per_month"),
    "images": ("images_per_s", "hours_per_month"),
    "hpc": ("gpu_hours", "runs_per_year"),
    "tenants": ("hours_per_month",),
}
LIMITS_OF_WORK = ("deadline_days", "ttft_limit_s", "tpot_limit_s")
TOTALS = {
    ("budget", "capital_usd"): "upfront_usd",
    ("budget", "monthly_usd"): "cash_month_usd",
    ("budget", "total_usd"): "spent_usd",
    ("limits", "power_kw"): "power_kw",
    ("limits", "gpus"): "gpus",
}
"""Limits on the whole, and what a plan uses of each."""


def answer(asked: Mapping[str, Any]) -> Record:
    """Return the answer to a scenario, as the command prints it for programs."""
    return deepcopy(_answer(written(asked)))


def written(asked: Mapping[str, Any]) -> str:
    """Return a scenario as JSON; its days as texts."""
    return json.dumps(asked, default=str)


@lru_cache(maxsize=4)
def decision_of(text: str) -> Decision:
    """Return the decision of a scenario that is written as JSON."""
    return decided(scenario(json.loads(text)), **HOW)


@lru_cache(maxsize=256)
def _answer(text: str) -> Record:
    return json.loads(answer_json(answer_record(decision_of(text), None)))


def page(asked: Mapping[str, Any], language: str = "en") -> str:
    """Return the text of page 1."""
    found = decision_of(written(asked))
    return f"{answer_page(found, language).text}\n{rest_page(found, None, language).text}"


def first(options: Mapping[str, Plain]) -> Plain:
    """Return the first of some changes."""
    return next(iter(options.values()))


# What an answer says.


def usd(record: Record) -> float:
    """Return what the recommended plan costs; infinite where nothing fits."""
    return float(record["recommendation"]["expected_usd"]) if record["feasible"] else math.inf


def used(record: Record, name: str) -> float:
    """Return what the recommended plan uses of a total."""
    return float(record["recommendation"][name])


def what_runs(record: Record) -> dict[str, tuple[str, str, float, float]]:
    """Return what each work runs on."""
    if not record["feasible"]:
        return {}
    works = record["recommendation"]["works"]
    return {w["workload"]: (w["gpu"], w["mode"], w["gpus"], w["from_month"]) for w in works}


def excess(low: float, high: float) -> float | None:
    """Return by how much what may not cost more does; None where neither is there."""
    if low == high == math.inf:
        return None
    return max(0.0, low / high - 1) if low < math.inf else math.inf


def never_dearer(asked: Plain, changed: Plain, decide: Decide) -> float | None:
    """Return by how much `changed` costs more than what was asked."""
    return excess(usd(decide(changed)), usd(decide(asked)))


def never_cheaper(asked: Plain, changed: Plain, decide: Decide) -> float | None:
    """Return by how much `changed` costs less than what was asked."""
    return never_dearer(changed, asked, decide)


def alike(one: Record, other: Record) -> float | None:
    """Return by how much two answers differ in cost; infinite where they take other GPUs."""
    costs = sorted((usd(one), usd(other)))
    if costs[1] == math.inf:
        return None if costs[0] == math.inf else math.inf
    if sorted(what_runs(one).values()) != sorted(what_runs(other).values()):
        return math.inf
    return costs[1] / costs[0] - 1


def with_value(asked: Plain, path: tuple[str | int, ...], value: Any) -> Plain:
    """Return a copy with one value set; mappings on the way are made."""
    found: Any = deepcopy(asked)
    part = found
    for step in path[:-1]:
        part = part.setdefault(step, {}) if isinstance(part, dict) else part[step]
    part[path[-1]] = value
    return found


def works(asked: Plain) -> list[tuple[int, Plain]]:
    """Return the workloads of a scenario with their places."""
    return list(enumerate(asked["workloads"]))


def without(part: Plain, *names: str) -> Plain:
    """Return a mapping without some of its fields."""
    return {name: value for name, value in part.items() if name not in names}


def at_lowest_cost(law: Law) -> Law:
    """Return a law that says nothing where another goal than the cost was asked."""

    def kept(asked: Plain, decide: Decide, pick: Choose = first) -> float | None:
        return law(asked, decide, pick) if asked.get("objective", "cost") == "cost" else None

    kept.__doc__, kept.__name__ = law.__doc__, law.__name__
    return kept


# Order and names.


def order(asked: Plain, decide: Decide, pick: Choose = first) -> float | None:
    """The order of workloads, GPUs, ways to pay and owned GPUs changes nothing."""
    allow, options = asked["allow"], {}
    if len(asked["workloads"]) > 1:
        options["workloads"] = asked | {"workloads": asked["workloads"][::-1]}
    for name in ("gpus", "modes", "weights"):
        if len(allow.get(name, ())) > 1:
            options[name] = asked | {"allow": allow | {name: allow[name][::-1]}}
    if len(asked.get("owned", ())) > 1:
        options["owned"] = asked | {"owned": asked["owned"][::-1]}
    return alike(decide(asked), decide(pick(options))) if options else None


def names(asked: Plain, decide: Decide, pick: Choose = first) -> float | None:
    """The name of the scenario and of its workloads, and how a GPU is written, change nothing."""
    full = {"A100": "a100-sxm-80", "H100": "h100-sxm-80", "H200": "NVIDIA H200 SXM5 141GB"}
    kinds = [full.get(g, g) for g in asked["allow"]["gpus"]]
    renamed = [w | {"name": f"other {99 - i}"} for i, w in works(asked)]
    options = {
        "scenario": asked | {"name": "another"},
        "workloads": asked | {"workloads": renamed},
        "gpus": asked | {"allow": asked["allow"] | {"gpus": kinds}},
    }
    return alike(decide(asked), decide(pick(options)))


# More to choose from.


@at_lowest_cost
def one_more_kind(asked: Plain, decide: Decide, pick: Choose = first) -> float | None:
    """One more kind of GPU that may be chosen never costs more."""
    allow = asked["allow"]
    more = [g for g in (*COMMON, *PRICED) if g not in allow["gpus"]]
    options = {g: asked | {"allow": allow | {"gpus": [*allow["gpus"], g]}} for g in more}
    return never_dearer(asked, pick(options), decide) if options else None


@at_lowest_cost
def one_more_mode(asked: Plain, decide: Decide, pick: Choose = first) -> float | None:
    """One more way to pay never costs more."""
    allow = asked["allow"]
    modes = allow.get("modes", MODES)
    more = [m for m in MODES if m not in modes]
    options = {m: asked | {"allow": allow | {"modes": [*modes, m]}} for m in more}
    return never_dearer(asked, pick(options), decide) if options else None


@at_lowest_cost
def one_more_format(asked: Plain, decide: Decide, pick: Choose = first) -> float | None:
    """One more number format of the weights never costs more."""
    allow = asked["allow"]
    formats = allow.get("weights", ["stored", "fp8"])
    more = [f for f in ("fp8", "int8", "int4") if f not in formats]
    options = {f: asked | {"allow": allow | {"weights": [*formats, f]}} for f in more}
    return never_dearer(asked, pick(options), decide) if options else None


@at_lowest_cost
def may_be_split(asked: Plain, decide: Decide, pick: Choose = first) -> float | None:
    """Works that may run on several kinds of GPU at once never cost more."""
    alone, both = (asked | {"allow": asked["allow"] | {"split": may}} for may in (False, True))
    return never_dearer(alone, both, decide)


@at_lowest_cost
def one_more_owned(asked: Plain, decide: Decide, pick: Choose = first) -> float | None:
    """One more GPU that is there already and may be sold never costs more, efforts of moving aside.

    (Whoever owns GPUs pays for moving work to other kinds; whoever owns none does not.)
    """
    if not asked["allow"].get("sell", True):
        return None
    asked = with_value(asked, ("effort", "workload_usd"), 0)
    held = asked.get("owned", [])
    rest = {g: [o for o in held if o["gpu"] != g] for g in COMMON}
    count = {g: sum(o["count"] for o in held if o["gpu"] == g) for g in COMMON}
    options = {
        f"{many} {g}": asked | {"owned": [*rest[g], {"gpu": g, "count": count[g] + many}]}
        for many in (1, 8)
        for g in COMMON
    }
    return never_dearer(asked, pick(options), decide)


# Tighter limits, more to do.


@at_lowest_cost
def tighter(asked: Plain, decide: Decide, pick: Choose = first) -> float | None:
    """A tighter limit never costs less, and never makes possible what was not."""
    options = {}
    for i, work in works(asked):
        for name in LIMITS_OF_WORK:
            if work.get(name):
                value = work[name] * TIGHTER
                options[f"{name} of {i}"] = with_value(asked, ("workloads", i, name), value)
    before = decide(asked)
    for (part, name), use in TOTALS.items():
        limit = asked.get(part, {}).get(name)
        if limit is None and before["feasible"]:
            limit = used(before, use)
        if limit and name == "gpus":
            limit = max(1, math.floor(limit * TIGHTER)) / TIGHTER
        if limit:
            value = round(limit * TIGHTER) if name == "gpus" else limit * TIGHTER
            options[name] = with_value(asked, (part, name), value)
    return never_cheaper(asked, pick(options), decide) if options else None


@at_lowest_cost
def more_load(asked: Plain, decide: Decide, pick: Choose = first) -> float | None:
    """More to do never costs less, and never makes possible what was not."""
    options = {}
    for i, work in works(asked):
        for name in LOADS[work["kind"]]:
            if name not in work:
                continue
            value = work[name] * MORE
            if name in ("concurrency", "users"):
                value = math.ceil(value)
            value = min(value, 730) if name == "hours_per_month" else value
            options[f"{name} of {i}"] = with_value(asked, ("workloads", i, name), value)
    return never_cheaper(asked, pick(options), decide) if options else None


@at_lowest_cost
def one_work_less(asked: Plain, decide: Decide, pick: Choose = first) -> float | None:
    """Without one of the workloads it never costs more."""
    if len(asked["workloads"]) < 2:
        return None
    all_of = asked["workloads"]
    options = {
        f"without {i}": asked | {"workloads": all_of[:i] + all_of[i + 1 :]}
        for i in range(len(all_of))
    }
    return never_dearer(asked, pick(options), decide)


@at_lowest_cost
def later_and_shorter(asked: Plain, decide: Decide, pick: Choose = first) -> float | None:
    """Work that begins later or ends earlier never costs more; work that grows never less."""
    options, sign = {}, {}
    for i, work in works(asked):
        place = ("workloads", i)
        late = min(work.get("from_quarter", 1) + 1, work.get("to_quarter", 40))
        soon = max(work.get("to_quarter", 12) - 1, work.get("from_quarter", 1))
        for name, value, more in (
            ("from_quarter", late, False),
            ("to_quarter", soon, False),
            ("growth", work.get("growth", 0.0) + 0.1, True),
        ):
            label = f"{name} of {i}"
            options[label] = with_value(asked, (*place, name), value)
            sign[written(options[label])] = more
    changed = pick(options)
    law = never_cheaper if sign[written(changed)] else never_dearer
    return law(asked, changed, decide)


@at_lowest_cost
def limit_as_used(asked: Plain, decide: Decide, pick: Choose = first) -> float | None:
    """A limit that equals what the plan uses changes nothing."""
    before = decide(asked)
    if not before["feasible"]:
        return None
    options = {}
    for (part, name), use in TOTALS.items():
        value = used(before, use)
        if value or name == "capital_usd":
            options[name] = with_value(
                asked, (part, name), round(value) if use == "gpus" else value
            )
    return alike(before, decide(pick(options))) if options else None


@at_lowest_cost
def limits_are_kept(asked: Plain, decide: Decide, pick: Choose = first) -> float | None:
    """A plan that is recommended keeps every limit on the whole that was stated."""
    found = decide(asked)
    stated = {u: asked.get(p, {}).get(n) for (p, n), u in TOTALS.items()}
    stated = {use: limit for use, limit in stated.items() if limit is not None}
    if not stated or not found["feasible"]:
        return None
    return max(
        max(0.0, used(found, use) / limit - 1) if limit else math.inf * (used(found, use) > 0 or 0)
        for use, limit in stated.items()
    )


# Time, goals, money.


@at_lowest_cost
def one_month_more(asked: Plain, decide: Decide, pick: Choose = first) -> float | None:
    """A month more costs at most a month by itself, or of the average, and never less than none."""
    if asked.get("prices", {}).get("drift", "flat") != "flat":
        return None
    if any(w.get("growth", 0) for w in asked["workloads"]):
        return None
    months = asked.get("horizon_months", 36)
    less, more = usd(decide(asked)), usd(decide(asked | {"horizon_months": months + 1}))
    if less == more == math.inf:
        return None
    if math.inf in (less, more):
        return math.inf
    allowed = less * (months + 1) / months
    if more > allowed * (1 + TOLERANCE):
        always = [without(w, "from_quarter", "to_quarter") for w in asked["workloads"]]
        alone = usd(decide(asked | {"horizon_months": 1, "workloads": always}))
        allowed = max(allowed, less + alone)
    return max(excess(more, allowed) or 0.0, excess(less, more) or 0.0)


@at_lowest_cost
def what_gives_gives(asked: Plain, decide: Decide, pick: Choose = first) -> float | None:
    """Where nothing fits, each change that is named alone makes something fit at about its cost;
    where none is, no limit on the whole that is left open does.
    """
    found = decide(asked)
    if found["feasible"]:
        return None
    given = [row for row in found["what_must_give"] if row["cost_usd"] and not row["reason"]]
    changed = {row["what"] + " of " + row["workload"]: row for row in given}
    open_ = {
        n: without(asked, p) | {p: without(asked[p], n)}
        for p, n in TOTALS
        if asked.get(p, {}).get(n)
    }
    if not given:
        return math.inf if open_ and decide(pick(open_))["feasible"] else 0.0
    row = pick(changed)
    then = decide(eased(asked, row))
    told = usd(then) / row["cost_usd"] - 1 - GIVES
    return max(0.0, told if not HOW else 0.0) if then["feasible"] else math.inf


def eased(asked: Plain, row: Record) -> Plain:
    """Return a scenario with what must give as far as it must, which is told for all draws."""
    row = row | {"needed": row["needed"] * (1 + GIVES * bool(HOW))}
    shared = {"capital": ("budget", "capital_usd"), "monthly": ("budget", "monthly_usd")}
    shared |= {"total": ("budget", "total_usd"), "gpus": ("limits", "gpus")}
    if row["what"] in shared:
        value = row["needed"]
        return with_value(
            asked, shared[row["what"]], math.ceil(value) if row["what"] == "gpus" else value
        )
    if row["what"] == "power":
        site = without(asked["limits"], "racks", "rack_kw")
        return asked | {"limits": site | {"power_kw": row["needed"]}}
    named, changed = row["workload"].split(", "), asked
    for i, work in works(asked):
        if row["what"] == "deadline" and work["name"] in named:
            changed = with_value(changed, ("workloads", i, "deadline_days"), row["needed"])
        limits = resolved(asked, i) if row["what"] == "latency" and work["name"] in named else {}
        for name, value in limits.items():
            changed = with_value(changed, ("workloads", i, name), value * row["needed"])
    return changed


def resolved(asked: Plain, place: int) -> dict[str, float]:
    """Return the limits on the times of a service, those of its use case included."""
    work = scenario(json.loads(written(asked))).workloads[place]
    limits = {n: getattr(work, n, None) for n in ("ttft_limit_s", "tpot_limit_s")}
    return {n: value for n, value in limits.items() if value}


@at_lowest_cost
def signed_is_paid(asked: Plain, decide: Decide, pick: Choose = first) -> float | None:
    """What is signed, kept, rented and bought by API adds up to the cost, as do the works."""
    found = decide(asked)
    if not found["feasible"]:
        return None
    best = found["recommendation"]
    parts, cost = best["parts"], best["expected_usd"]
    keep = found["owned_keep_usd_month"] * asked.get("horizon_months", 36)
    signed = sum(row["cost_usd"] for row in best["signed"])
    rented = sum(row["cost_usd"] for row in best["rented"])
    api = sum(row["cost_usd"] for row in best["by_api"])
    by_name = {w["workload"]: w["cost_usd"] for w in [*best["by_api"], *best["works"]]}
    held = sum(parts[name] for name in ("purchases", "contracts", "upkeep", "owned today"))
    rows = (
        sum(parts.values()),
        signed + keep + rented + api + parts["energy"] + parts["effort"],
        sum(by_name.values()) + keep + parts["effort"],
    )
    paid = all(
        r["paid_months"] >= r["until_month"] - r["from_month"] - 1e-6 for r in best["signed"]
    )
    late = math.inf if not paid else abs(signed + keep - held) / max(abs(cost), 1.0)
    return max(late, *(abs(row - cost) / max(abs(cost), 1.0) for row in rows))


def no_draw_dropped(asked: Plain, decide: Decide, pick: Choose = first) -> float | None:
    """Every draw has a cheapest plan: the shares of the plans add up to 1."""
    plans = decide(asked).get("plans", [])
    if not plans:
        return None
    return abs(sum(plan["probability"] for plan in plans) - 1)


def any_goal(asked: Plain, decide: Decide, pick: Choose = first) -> float | None:
    """What is possible at the lowest cost is possible for every goal, and never costs less."""
    options = {goal: asked | {"objective": goal} for goal in ("time", "energy", "regret")}
    cheap, other = decide(asked | {"objective": "cost"}), decide(pick(options))
    if cheap["feasible"] != other["feasible"]:
        return math.inf
    return excess(usd(cheap), usd(other))


def currency(asked: Plain, decide: Decide, pick: Choose = first) -> float | None:
    """The same file in yuan gives the same plan, and its amounts are those in dollars x rate."""
    rate = 10.0  # of ten, so that digits stay what they are
    prices = asked.get("prices", {}) | {"cny_per_usd": rate}
    both = [asked | {"prices": prices | {"currency": c}} for c in ("USD", "CNY")]
    if not decide(both[0])["feasible"]:
        return None if not decide(both[1])["feasible"] else math.inf
    dollars, yuan = (amounts(page(s), c) for s, c in zip(both, ("USD", "CNY"), strict=True))
    if len(dollars) != len(yuan):
        return math.inf
    shown = [abs(y / (rate * d) - 1) for d, y in zip(dollars, yuan, strict=True) if d >= 100]
    return max(*shown, 0.0, alike(*map(decide, both)) or 0.0)


def amounts(text: str, unit: str) -> list[float]:
    """Return the amounts of money that a page states in a unit.

    >>> amounts("1.19 million USD, 41,100 USD a month; 7.1 CNY", "USD")
    [1190000.0, 41100.0]
    """
    text = re.sub(r"1 USD = [\d.]+ CNY", "", text)
    found = re.findall(rf"([\d,]*\d(?:\.\d+)?)((?: million| billion)? {unit}| cents)\b", text)
    scale = {" million": 1e6, " billion": 1e9, " cents": 0.01, f" {unit}": 1.0}
    times = [next(scale[name] for name in scale if word.startswith(name)) for _, word in found]
    return [float(n.replace(",", "")) * by for (n, _), by in zip(found, times, strict=True)]


def page_says_it(asked: Plain, decide: Decide, pick: Choose = first) -> float | None:
    """Page 1 says the plan and the cost that the answer for programs has."""
    found, text = decide(asked), page(asked)
    if not found["feasible"]:
        return 0.0 if "Take " not in text else math.inf
    plain = text.replace("**", "").replace("\\", "")
    if found["recommendation"]["plan"] not in plain:
        return math.inf
    prices = asked.get("prices", {})
    unit = prices.get("currency", "USD")
    cost = usd(found) * (prices.get("cny_per_usd", 7.1) if unit == "CNY" else 1.0)
    told = [abs(amount / cost - 1) for amount in amounts(plain, unit)]
    nearest = min(told, default=math.inf)
    return 0.0 if nearest <= 0.006 else nearest  # three digits


@at_lowest_cost
def apart(asked: Plain, decide: Decide, pick: Choose = first) -> float | None:
    """Together it costs no more than each alone, where no limit is shared and kinds are free."""
    if len(asked["workloads"]) < 2:
        return None
    free = without(asked, "budget", "limits", "owned") | {"effort": {"kind_usd_year": 0}}
    single = [usd(decide(free | {"workloads": [work]})) for work in asked["workloads"]]
    return excess(usd(decide(free)), sum(single))


@at_lowest_cost
def limit_split(asked: Plain, decide: Decide, pick: Choose = first) -> float | None:
    """A limit that two works share never costs more than any split of it between them."""
    free = without(asked, "budget", "limits", "owned") | {"workloads": asked["workloads"][:2]}
    free["effort"] = {"kind_usd_year": 0}
    found = decide(free)
    if len(free["workloads"]) < 2 or not found["feasible"] or used(found, "gpus") < 2:
        return None
    limit = max(2, math.ceil(used(found, "gpus") * TIGHTER))
    shares = {f"{part}": part for part in sorted({1, limit // 4, limit // 2, limit - 1} - {0})}
    part = pick(shares)
    halves = [
        usd(decide(free | {"limits": {"gpus": count}, "workloads": [work]}))
        for count, work in zip((part, limit - part), free["workloads"], strict=True)
    ]
    return excess(usd(decide(free | {"limits": {"gpus": limit}})), sum(halves))


def time_counts(asked: Plain, decide: Decide, pick: Choose = first) -> float | None:
    """Growth and quarters change the answer, or page 1 names them."""
    options = {}
    for i, work in works(asked):
        for name, value in (("growth", 0.5), ("from_quarter", 3), ("to_quarter", 1)):
            if name not in work and not {"from_quarter", "to_quarter"} & set(work):
                options[f"{name} of {i}"] = with_value(asked, ("workloads", i, name), value)
    if not options or asked.get("horizon_months", 36) < 9 or not decide(asked)["feasible"]:
        return None
    changed = pick(options)
    before, after = decide(asked), decide(changed)
    if (alike(before, after) or 0.0) > 1e-6 or not after["feasible"]:
        return 0.0
    one, other = page(asked), page(changed)
    named = any(word in other and word not in one for word in ("growth", "grows", "quarter"))
    return 0.0 if named else math.inf


@at_lowest_cost
def dearer_price(asked: Plain, decide: Decide, pick: Choose = first) -> float | None:
    """A price that is a tenth higher costs no less, and at most a tenth more."""
    options: dict[str, Any] = {}
    for gpu, mode, price in (
        ("A100", "on-demand", 1.8),
        ("H100", "on-demand", 3.8),
        ("H200", "on-demand", 4.6),
        ("H100", "reserved-1yr", 2.6),
        ("H200", "reserved-3yr", 3.0),
        ("A100", "spot", 0.9),
    ):
        allow = asked["allow"]
        if gpu in allow["gpus"] and mode in allow.get("modes", MODES):
            quotes = [f"{gpu}:{mode}={price * more:.3f}" for more in (1.0, 1.1)]
            options[f"{gpu} {mode}"] = [with_value(asked, ("prices", "quotes"), q) for q in quotes]
    if not options:
        return None
    low, high = (usd(decide(s)) for s in pick(options))
    if low == high == math.inf:
        return None
    return max(excess(low, high) or 0.0, excess(high, low * 1.1) or 0.0)


def two_small_works(asked: Plain) -> Plain:
    """Return a scenario of two works at most, on GPUs all the time, small enough to try all that
    may be signed for them.
    """
    times, loads = ("growth", "from_quarter", "to_quarter"), ("request_rate", "users", "api")
    few = [without(work, *times) for work in asked["workloads"][:2]]
    for work in few:
        if work["kind"] == "inference":
            for name in (*loads, "requests_per_hour"):
                work.pop(name, None)
            work["concurrency"] = min(work.get("concurrency", 40), 40)
    budget = without(asked.get("budget", {}), "total_usd")
    months = min(asked.get("horizon_months", 36), 36)
    months -= months % 12 if months > 12 else 0  # contracts of a year end with it
    found = asked | {"workloads": few, "budget": budget, "horizon_months": months}
    return found | {"allow": asked["allow"] | {"api": "never"}}


@at_lowest_cost
def nothing_cheaper(asked: Plain, decide: Decide, pick: Choose = first) -> float | None:
    """No plan of two works is cheaper, whatever ways they go and whatever is signed for them."""
    small, draws = two_small_works(asked), {"samples": 100}
    free = decided(scenario(small), quick=True, **draws)
    shares = {"all": 1.0, "two thirds": 0.7, "half": 0.5}
    share = pick(shares)
    if share < 1 and free.feasible:
        most = max(1, int(float(free.best.gpus_atonce.max()) * share))
        small = with_value(small, ("limits", "gpus"), most)
    problem = brute.everything(scenario(small), **draws)
    if len(problem.calendar.rounds) > 1 or (problem.kinds.hour_offer < 0).any():
        return None
    found = decided(scenario(small), quick=True, **draws)
    least = brute.best(problem)[0] if problem.able else math.inf
    return excess(found.best.expected_usd if found.feasible else math.inf, least)


LAWS: tuple[Law, ...] = (
    order,
    names,
    one_more_kind,
    one_more_mode,
    one_more_format,
    may_be_split,
    one_more_owned,
    tighter,
    more_load,
    one_work_less,
    later_and_shorter,
    limit_as_used,
    limits_are_kept,
    one_month_more,
    what_gives_gives,
    signed_is_paid,
    no_draw_dropped,
    any_goal,
    currency,
    page_says_it,
    apart,
    limit_split,
    nothing_cheaper,
    time_counts,
    dearer_price,
)


def tried(law: Law, asked: Plain, pick: Choose) -> float | None:
    """Return by how much a law is broken; None where it says nothing, or a change is refused."""
    try:
        return law(asked, answer, pick)
    except (InputError, LookupError):
        return None
