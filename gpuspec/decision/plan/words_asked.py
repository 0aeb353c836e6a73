"""What a scenario asks: in sentences with units for page 1, and as a table by its fields."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from gpuspec.base.lazy import pd
from gpuspec.base.units import HOURS_MONTH
from gpuspec.catalog.models import model
from gpuspec.constants.engine import engine
from gpuspec.decision.errors import SURE
from gpuspec.decision.loads import stated
from gpuspec.decision.plan.words import PAID, Voice, percent, whole
from gpuspec.decision.plans import Plan
from gpuspec.decision.scenario import Hpc, Images, Inference, Scenario, Tenants, Training, Workload
from gpuspec.topics.cost.prices import MODES
from gpuspec.views.amounts import plain, three_digits
from gpuspec.views.words import count_words, gpu_name

LATER = ("kind", "name")
"""Fields of a workload that are its heading."""
BLANK: tuple[object, ...] = (None, "", 0, (), [], False)
MOST_WORKS = 8
"""Works that are told in sentences; of more, how many there are."""
TUNING = {
    "full": "{name} trains all weights of {model} on {tokens} tokens.",
    "lora": "{name} trains adapters (LoRA) of {model} on {tokens} tokens.",
    "qlora": "{name} trains adapters of {model}, whose weights are stored in 4 bits (QLoRA), on "
    "{tokens} tokens.",
}
GOALS = {
    "cost": "The lowest cost over {months} is wanted for this work.",
    "time": "The shortest times are wanted for this work over {months}, and then the lowest cost.",
    "regret": "The least regret is wanted for this work over {months}: what is lost against the "
    "best plan of a draw, in 95 % of the draws.",
    "energy": "The least energy is wanted for this work over {months}, and then the lowest cost.",
}


def asked_sentences(s: Scenario, voice: Voice) -> list[str]:
    """Return what was asked: the work, its limits, the money, what is owned and to choose from."""
    say = voice.say
    found = [say(GOALS[s.objective], months=voice.months(s.horizon_months))]
    for w in s.workloads[:MOST_WORKS]:
        found += _work(w, voice)
    if more := len(s.workloads) - MOST_WORKS:
        found += [say("{count} more works are in the file.", count=more)] if more > 0 else []
    return [*found, *_means(s, voice)]


def _work(w: Workload, voice: Voice) -> list[str]:
    say = voice.say
    if isinstance(w, Inference):
        found = _inference(w, voice)
    elif isinstance(w, Training):
        words = {
            "name": w.name,
            "model": model(w.model).name,
            "tokens": token_words(w.tokens, voice),
        }
        found = [say(TUNING[w.tuning], **words), *_runs(w, voice)]
    elif isinstance(w, Images):
        text = (
            "{name} makes {rate} images a second with {model}, of {size} pixels in {steps} steps."
        )
        words = {"name": w.name, "model": w.model, "rate": plain(w.images_per_s)}
        found = [say(text, **words, size=f"{w.size:,}", steps=w.steps)]
    elif isinstance(w, Hpc):
        text = "{name} takes {hours} GPU-hours of {gpu} a run ({workload})."
        words = {"name": w.name, "hours": plain(w.gpu_hours), "workload": w.workload}
        found = [say(text, **words, gpu=gpu_name(w.reference_gpu)), *_runs(w, voice)]
    else:
        found = [_tenants(w, voice)]
    found += [t.words for t in stated(w, say) if not t.is_default]
    hours = getattr(w, "hours_per_month", HOURS_MONTH)
    if hours != HOURS_MONTH:
        found.append(say("It is up {hours} hours a month.", hours=plain(hours)))
    if w.growth:
        share = percent(abs(w.growth))
        grows = (
            "It grows by {share} a quarter." if w.growth > 0 else "It shrinks by {share} a quarter."
        )
        found.append(say(grows, share=share))
    if w.from_quarter > 1 or w.to_quarter < 40:
        text = "It is there from quarter {first} to quarter {last}."
        found.append(say(text, first=w.from_quarter, last=w.to_quarter))
    return found


def _inference(w: Inference, voice: Voice) -> list[str]:
    say, size = voice.say, {"isl": f"{w.isl:,}", "osl": f"{w.osl:,}"}
    size |= {"name": w.name, "model": model(w.model).name}
    if w.concurrency:
        text = (
            "{name} serves {model} to {count} requests always in flight, with {isl} tokens in and "
        )
        text += "{osl} out each."
        count = f"{w.concurrency:,}"
    elif w.request_rate:
        text = "{name} serves {model} at {count} requests a second in the busiest hour, with {isl} "
        text += "tokens in and {osl} out each."
        count = plain(w.request_rate)
    elif w.users is not None:
        text = (
            "{name} serves {model} to {count} users, with {isl} tokens in and {osl} out a request."
        )
        count = f"{w.users:,}"
    else:
        text = "{name} serves {model} to the requests of a file, {count} a second in the busiest "
        text += "hour, with {isl} tokens in and {osl} out each."
        count = plain(three_digits(w.arriving))
    found = [say(text, count=count, **size)]
    stated = _limits(w, voice, w.filled)
    return [*found, stated] if stated else found


def _limits(w: Inference, voice: Voice, without: Collection[str]) -> str:
    """Return the limits of a service but for some fields; empty where there are none."""
    first, each = (
        0.0 if name in without else float(getattr(w, name))
        for name in ("ttft_limit_s", "tpot_limit_s")
    )
    values = {"first": voice.seconds(first), "each": voice.seconds(each)}
    texts = {
        (
            True,
            True,
        ): "Its first token must come within {first} and each further one within {each}.",
        (True, False): "Its first token must come within {first}.",
        (False, True): "Each of its tokens must come within {each} of the one before.",
    }
    text = texts.get((bool(first), bool(each)))
    return voice.say(text, **values) if text else ""


def _runs(w: Training | Hpc, voice: Voice) -> list[str]:
    days = voice.days(w.deadline_days)
    if w.runs_per_year is None:
        return [voice.say("It runs once and must be done within {days}.", days=days)]
    runs = plain(three_digits(w.runs_per_year))
    text = "It runs {runs} times a year and must each time be done within {days}."
    text = "It runs once a year and must be done within {days}." if w.runs_per_year == 1 else text
    return [voice.say(text, runs=runs, days=days)]


def _tenants(w: Tenants, voice: Voice) -> str:
    rows = w.table if isinstance(w.table, tuple) else ()
    count = sum(int(str(row.get("copies", 1))) for row in rows)
    if not rows:
        return voice.say("{name} are small services on slices of GPUs, of a file.", name=w.name)
    text = "{name} are {count} small services on slices of GPUs."
    return voice.say(text, name=w.name, count=f"{count:,}")


def token_words(count: float, voice: Voice) -> str:
    """Write a number of tokens in the units of the language."""
    if voice.language != "zh":
        return count_words(count)
    size, word = next(
        (u for u in ((1e12, "万亿"), (1e8, "亿"), (1e4, "万")) if count >= u[0]), (1, "")
    )
    return f"{plain(three_digits(count / size))} {word}".strip()


def _means(s: Scenario, voice: Voice) -> list[str]:
    """Return money, room, what is owned and what may be chosen."""
    say, found = voice.say, []
    capital, monthly = s.budget.capital_usd, s.budget.monthly_usd
    texts = {
        (True, True): "At most {capital} may be spent on what is bought, and {monthly} a month.",
        (True, False): "At most {capital} may be spent on what is bought.",
        (False, True): "At most {monthly} a month may be spent.",
        (False, False): "No budget is named.",
    }
    values = {"capital": voice.money(capital or 0.0), "monthly": voice.money(monthly or 0.0)}
    total = s.budget.total_usd
    if capital is not None or monthly is not None or total is None:
        found.append(say(texts[capital is not None, monthly is not None], **values))
    if total is not None:
        text = "At most {total} may be spent in all over {months}, purchases included."
        found.append(say(text, total=voice.money(total), months=voice.months(s.horizon_months)))
    if s.limits.total_kw < float("inf"):
        kw = plain(three_digits(s.limits.total_kw))
        found.append(say("Your rooms give {kw} kW.", kw=kw))
    if s.limits.gpus:
        found.append(say("At most {count} GPUs can be had.", count=whole(s.limits.gpus)))
    if s.owned:
        counts: dict[str, float] = {}
        for o in s.owned:
            counts[o.gpu] = counts.get(o.gpu, 0.0) + o.count
        text = "You own {gpus}." if s.allow.sell else "You own {gpus}, none of which may be sold."
        found.append(say(text, gpus=voice.counted(counts)))
    if "gpus" in s.allow.model_fields_set:
        gpus = voice.listed(gpu_name(g) for g in s.allow.gpus)
        found.append(say("To choose from: {gpus}.", gpus=gpus))
    if set(s.allow.modes) != set(MODES):
        modes = voice.listed(say(PAID[m]) for m in s.allow.modes)
        found.append(say("Ways to pay: {modes}.", modes=modes))
    if not s.allow.split:
        found.append(say("No work may be split over kinds of GPU."))
    return found


def default_sentences(s: Scenario, voice: Voice, plan: Plan | None = None) -> list[str]:
    """Return the defaults that the answer rests on, as nothing else was named; those of effort and
    of GPUs of one's own where the plan has any.
    """
    say, found = voice.say, []
    limits: dict[str, list[str]] = {}
    for w in s.workloads:
        if isinstance(w, Inference):
            stated = {"ttft_limit_s", "tpot_limit_s"} - w.filled
            limits.setdefault(_limits(w, voice, stated), []).append(w.name)
    for text, names in limits.items():
        if text:
            found.append(say("{works}: {text}", works=voice.listed(names), text=text))
    if "horizon_months" not in s.model_fields_set:
        found.append(
            say("The horizon of {months} is the usual one.", months=voice.months(s.horizon_months))
        )
    if "gpus" not in s.allow.model_fields_set:
        gpus = voice.listed(gpu_name(g) for g in s.allow.gpus)
        found.append(say("To choose from: {gpus}, rented or bought.", gpus=gpus))
    found += _reserve(s, voice)
    if plan and plan.power_kw and "power_share" not in s.prices.model_fields_set:
        share = percent(s.prices.power_share)
        text = "GPUs of your own draw full power in {share} of the hours in use."
        found.append(say(text, share=share))
    if plan and plan.effort_usd and not s.effort.model_fields_set:
        text = (
            "A further kind of GPU costs {kind} a year, a contract or purchase {contract}, a work "
        )
        text += "in another number format {precision}, and one that moves to another kind later, "
        text += "or is split, {work}."
        amounts = {"kind": s.effort.kind_usd_year, "contract": s.effort.contract_usd}
        amounts |= {"precision": s.effort.precision_usd, "work": s.effort.workload_usd}
        found.append(say(text, **{n: voice.money(usd) for n, usd in amounts.items()}))
    text = "A way to run a work counts where it keeps its limits in {share} of the draws."
    return [*found, say(text, share=percent(SURE))]


def _reserve(s: Scenario, voice: Voice) -> list[str]:
    """Name the services that keep a replica in reserve by default."""
    names = [
        w.name
        for w in s.workloads[:MOST_WORKS]
        if any(t.field == "spare_replicas" and t.is_default and t.value for t in stated(w))
    ]
    text = "One spare replica is kept of each work that is up all month ({works})."
    return [voice.say(text, works=voice.listed(names))] if names else []


# --- the same as a table --------------------------------------------------------------------------


def asked_table(scenario: Scenario) -> pd.DataFrame:
    """Return what was asked, defaults included, by the names of the fields; blank ones left out.

    >>> from gpuspec.decision.scenario import scenario
    >>> asked_table(scenario("small-team")).loc["budget", "value"]
    'capital_usd 50,000; monthly_usd 10,000'
    """
    asked = scenario.model_dump()
    rows = [
        (w["name"], f"kind {w['kind']}; " + _fields(w | _engine(w), (*LATER, *_usual(w))))
        for w in asked["workloads"]
    ]
    rows += [(part, _fields(asked[part])) for part in ("budget", "limits")]
    rows += [("owned", "; ".join(f"{o.count:,} x {o.gpu}" for o in scenario.owned))]
    rows += [(part, _fields(asked[part])) for part in ("allow", "prices", "effort")]
    rows += [("goal", f"objective {scenario.objective}; horizon_months {scenario.horizon_months}")]
    shown = [(name, text or "none") for name, text in rows]
    return pd.DataFrame(shown, columns=["asked", "value"]).set_index("asked")


def _engine(workload: Mapping[str, Any]) -> dict[str, str]:
    """Return the engine that a workload asks, with the versions that it stands for."""
    return {"engine": engine(workload["engine"]).name} if "engine" in workload else {}


def _usual(workload: Mapping[str, Any]) -> list[str]:
    """Return fields that say nothing: of users who are not there, an even day, one replica."""
    usual = {"use_case": "general", "peak_factor": 1.0, "replicas_min": 1}
    usual |= {"from_quarter": 1, "to_quarter": 40}
    usual |= {} if workload.get("users") else {"active_share": workload.get("active_share")}
    return [name for name, value in usual.items() if workload.get(name) == value]


def _fields(part: Mapping[str, object], without: tuple[str, ...] = ()) -> str:
    """Write the fields of a record: a list by its items, a table by its number of rows."""
    stated = {k: v for k, v in part.items() if k not in without and v not in BLANK}
    if part.get("capital_usd") == 0 or part.get("monthly_usd") == 0:  # 0 is an amount here
        stated = {k: v for k, v in part.items() if v is not None}
    return "; ".join(f"{name} {_value(value)}" for name, value in stated.items())


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        listed = all(isinstance(v, str | int | float) for v in value)
        return ", ".join(map(_value, value)) if listed else f"of {len(value):,} rows"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,.15g}" if abs(value) < 1e9 else f"{value:.6g}"
    return "yes" if value is True else str(value)
