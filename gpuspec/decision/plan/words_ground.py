"""What a plan rests on, in sentences: measurements, formats, engines, and what was not read."""

from __future__ import annotations

from gpuspec.base.lazy import pd
from gpuspec.catalog import gpu as device_of
from gpuspec.catalog.engines import engine_for
from gpuspec.catalog.models.formats import format_title
from gpuspec.constants.engine import engine
from gpuspec.constants.ground import FAR, Ground, called
from gpuspec.decision.decide import Decision
from gpuspec.decision.ground import warning
from gpuspec.decision.measured import figure
from gpuspec.decision.plan.words import Voice, whole
from gpuspec.decision.plan.words_cost import priced_words
from gpuspec.decision.plans import Plan
from gpuspec.decision.scenario import Inference
from gpuspec.views.amounts import plain, three_digits
from gpuspec.views.words import gpu_name


def far_sentence(plan: Plan, voice: Voice) -> str:
    """Say in the headline which works run far from all that was measured; empty where none does."""
    runs = zip(plan.runs["workload"], plan.grounds, strict=True)
    if far := dict.fromkeys(str(work) for work, ground in runs if ground.code == FAR):
        text = "Nothing like the settings of {works} was measured: try them before you sign."
        return voice.say(text, works=voice.listed(far))
    return ""


def ground_warning(decision: Decision, voice: Voice) -> str:
    """Return what is known of settings like those of the recommendation."""
    first, second = (
        None if plan is None else _by_place(plan, voice)
        for plan in (decision.best, decision.runner_up)
    )
    return warning(first or {}, second, voice.say)


def _by_place(plan: Plan, voice: Voice) -> dict[str, Ground]:
    """Return the ground of a plan by what runs where."""
    rows = plan.runs[["workload", "gpu"]].to_numpy(str)
    places = [
        voice.say("{work}, {gpu}", work=voice.say(work), gpu=gpu_name(gpu)) for work, gpu in rows
    ]
    return dict(zip(places, plan.grounds, strict=True))


def quality_sentence(decision: Decision, voice: Voice) -> str:
    """Say which works run in another number format, and what checking them is counted at."""
    plan = decision.best
    found: dict[tuple[str, str], list[str]] = {}
    for run in plan.runs.to_dict("records"):
        options = plan.problem.options[run["place"]]
        if options.changes_format(run["way"]):
            key = format_title(run["precision"]), voice.say(format_title(options.usual))
            found.setdefault(key, []).append(run["workload"])
    text = (
        "{works} would run in {new} instead of {old}: check the quality of the answers before you "
    )
    text += "sign; {usd} each is counted for that."
    usd = voice.money(decision.scenario.effort.precision_usd)
    return voice.joined(
        voice.say(text, works=voice.listed(dict.fromkeys(works)), new=new, old=old, usd=usd)
        for (new, old), works in found.items()
    )


def engine_sentences(decision: Decision, voice: Voice) -> list[str]:
    """Name the services that the plan runs with another engine, as theirs does not run there."""
    found = dict[tuple[str, str, str], list[str]]()
    works = {w.name: w for w in decision.scenario.workloads}
    for run in decision.best.runs.to_dict("records") if decision.feasible else ():
        work = works[run["workload"]]
        if isinstance(work, Inference):
            other = engine_for(device_of(run["gpu"]).vendor, work.engine)
            key = (engine(work.engine).engine, engine(other).engine, run["gpu"])
            found.setdefault(key, []).append(work.name)
    text = "On {gpu} {engine} runs {works}, since {first} does not run there."
    return [
        voice.say(
            text,
            gpu=gpu_name(name),
            works=voice.listed(dict.fromkeys(of)),
            first=called(first),
            engine=called(other),
        )
        for (first, other, name), of in found.items()
        if first != other
    ]


def unused_sentence(decision: Decision, voice: Voice) -> str:
    """Name the quotes that the answer does not use because their GPU may not be chosen."""
    scenario = decision.scenario
    may = {*scenario.allow.gpus, *(o.gpu for o in scenario.owned)}
    names = dict.fromkeys(q.gpu for q in scenario.prices.own if q.gpu not in may)
    if not names:
        return ""
    text = "Not used: your quotes of {gpus}, which allow.gpus does not list."
    return voice.say(text, gpus=voice.listed(gpu_name(n) for n in names))


FIGURES = {
    "requests_per_s": "{work} on {gpu} ({value} requests a second on {count} GPUs)",
    "tokens_per_s": "{work} on {gpu} ({value} tokens a second on {count} GPUs)",
    "images_per_s": "{work} on {gpu} ({value} images a second on {count} GPUs)",
    "gpu_hours": "{work} on {gpu} ({value} GPU-hours)",
}
"""What was measured, by the name of its figure."""


def measured_sentence(decision: Decision, voice: Voice) -> str:
    """Name the speeds that were measured, and what counts for all others; empty without any."""
    told = []
    for w in decision.problem.scenario.workloads:
        for row in getattr(w, "measured_speeds", ()):
            name, value = figure(row)
            values = {"gpu": gpu_name(row.gpu), "value": plain(three_digits(value))}
            count = whole(getattr(row, "gpus", 1))
            told.append(voice.say(FIGURES[name], work=w.name, count=count, **values))
    if not told:
        return ""
    text = "{names}. These speeds replace the estimates and have no error but the one that you "
    text += "state; the others follow them as far as their errors are alike, and keep their own."
    return voice.say(text, names=voice.listed(told))


def _unmeasured(decision: Decision, voice: Voice) -> list[str]:
    """Name the measured speeds that no estimate stands beside."""
    found = []
    for w, used in zip(
        decision.scenario.workloads, decision.problem.scenario.workloads, strict=True
    ):
        known = {(row.gpu, figure(row)) for row in getattr(used, "measured_speeds", ())}
        for i, row in enumerate(getattr(w, "measured_speeds", ())):
            if (row.gpu, figure(row)) not in known:
                values = {"place": f"{w.name}: measured_speeds[{i}]", "gpu": gpu_name(row.gpu)}
                found.append(voice.say("{place} (nothing is estimated for {gpu} there)", **values))
    return found


OF_USERS = ("active_share", "requests_per_hour", "think_s")
"""Fields of a service that say something beside a number of users alone."""


def unread_sentence(decision: Decision, voice: Voice) -> str:
    """Name the fields of the file that the answer does not depend on."""
    s, found = decision.scenario, []
    found += ["owned.book_usd"] if any(o.book_usd for o in s.owned) else []
    half = (s.limits.racks is None) != (s.limits.rack_kw is None)
    found += ["limits.racks" if s.limits.racks else "limits.rack_kw"] if half else []
    if s.allow.vendors and decision.feasible:
        taken = decision.offers.iloc[decision.best.offers_used]
        other = ~taken["provider"].isin(s.allow.vendors) & ~taken["mode"].isin(("own", "owned"))
        text = "allow.vendors ({names}: no price of these providers is known)"
        found += _elsewhere(taken[other], text, voice)
    for w in s.workloads:
        if w.kind == "inference" and w.users is None:
            given = [n for n in OF_USERS if n in w.model_fields_set and getattr(w, n) is not None]
            found += [f"{w.name}: {name}" for name in given if name not in w.filled]
    found += _unmeasured(decision, voice)
    if not found:
        return ""
    return voice.say("Fields that are not used: {names}.", names=voice.listed(found))


def _elsewhere(rows: pd.DataFrame, text: str, voice: Voice) -> list[str]:
    """Name the offers that are not where a scenario wants them, into a text; none without any."""
    names = voice.listed(priced_words(row, voice) for row in rows.to_dict("records"))
    return [voice.say(text, names=names)] if len(rows) else []


def apart_sentence(decision: Decision, voice: Voice) -> str:
    """Say that services were not tried with prompts on GPUs of their own; empty without any."""
    services = [w for w in decision.scenario.workloads if w.kind == "inference"]
    if all(w.prefill_apart for w in services):
        return ""
    text = "Not tried: prompts read on GPUs of their own; gpuspec estimate says where they take "
    return voice.say(text + "fewer.")
